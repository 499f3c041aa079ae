//! Sessions of plain clients, of which each knows its node, so that it can be said whom a failure must have hit.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::HeaderName;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::front::{Front, Way};
use super::nodes::Cluster;
use crate::client::{Client, Session, http};
use crate::events::{Endpoint, Events};
use crate::gateway::SECRET;

/// What is over by then was not waited for: on a quiet machine all of it takes less than 2 s, which is printed.
pub(super) const SOON: Duration = Duration::from_secs(30);

/// A session by Streamable HTTP.
pub(super) struct Talk {
    pub(super) endpoint: Endpoint,
    /// That of its node.
    pub(super) node: String,
}

/// One by the older transport.
pub(super) struct OldTalk {
    pub(super) session: Session,
    pub(super) node: String,
}

/// What became of a request.
#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    Own,
    /// Another answer than it must have.
    Wrong(Value),
    Status(u16),
    /// The connection ended.
    Cut,
}

/// The node that a session's id names; where ids name none, the one that the front end chooses by the client.
fn node_of(cluster: &Cluster, way: Way, client: usize, id: &str) -> String {
    match way {
        Way::Sticky => {
            let place = front_client(client).bytes().map(usize::from).sum::<usize>() % cluster.nodes.len();
            cluster.nodes[place].name.clone()
        }
        _ => id.split_once('.').expect("the id names its node").0.to_owned(),
    }
}

fn front_client(number: usize) -> String {
    number.to_string()
}

impl Talk {
    /// With the scripted server.
    pub(super) async fn open(cluster: &Cluster, front: &Front, number: usize) -> Self {
        let endpoint = Endpoint::at(format!("{}/peer/mcp", front.base));
        let endpoint = endpoint.header("x-client", &front_client(number)).open("2025-11-25").await;
        let id = &endpoint.headers.iter().find(|(name, _)| name == "mcp-session-id").unwrap().1;
        let node = node_of(cluster, front.router.way(), number, id);
        Self { endpoint, node }
    }

    pub(super) fn id(&self) -> &str {
        &self.endpoint.headers.iter().find(|(name, _)| name == "mcp-session-id").unwrap().1
    }

    /// Asks for an echo of its own.
    pub(super) async fn try_call(&self, text: &str) -> Outcome {
        try_call(&self.endpoint, text).await
    }

    pub(super) async fn is_well(&self) {
        assert_eq!(self.try_call("are you there?").await, Outcome::Own, "a session of {}", self.node);
    }

    /// Its stream for what belongs to no call.
    pub(super) async fn stream(&self) -> Events {
        Events::of(self.endpoint.get().await)
    }

    /// Calls until it is told to stop, and counts. Nothing may fail but what was under way before `died`, because it went
    /// by way of who died; and whatever fails, the session is there.
    pub(super) async fn go_on(self, died: watch::Receiver<bool>, stop: watch::Receiver<bool>) -> usize {
        let mut count = 0;
        while !*stop.borrow() {
            let after = *died.borrow();
            count += 1;
            match self.try_call(&format!("{} {count}", self.id())).await {
                Outcome::Own => {}
                Outcome::Status(502) | Outcome::Cut if !after => {}
                outcome => panic!("{outcome:?}, in a session of {}, after {count} calls", self.node),
            }
        }
        count
    }
}

/// Asks for an echo of this text.
pub(super) async fn try_call(endpoint: &Endpoint, text: &str) -> Outcome {
    let message = json!({ "jsonrpc": "2.0", "id": 7, "method": "echo", "params": { "text": text } });
    let request = endpoint.request(Method::POST).header("content-type", "application/json");
    let Ok(response) = request.body(message.to_string()).send().await else { return Outcome::Cut };
    if response.status() != 200 {
        return Outcome::Status(response.status().as_u16());
    }
    let is_json = response.headers()["content-type"] == "application/json";
    let answer = match is_json {
        true => response.json::<Value>().await.ok(),
        false => Events::of(response).message().await,
    };
    match answer {
        Some(answer) if answer["result"]["text"] == text && answer["id"] == 7 => Outcome::Own,
        Some(answer) => Outcome::Wrong(answer),
        None => Outcome::Cut,
    }
}

impl OldTalk {
    pub(super) async fn open(cluster: &Cluster, front: &Front, number: usize) -> Self {
        let headers = [(HeaderName::from_static("x-client"), front_client(number).parse().unwrap())];
        let http = http().pool_max_idle_per_host(0).default_headers(headers.into_iter().collect());
        let session = Client::by(http.build().unwrap(), &front.base, SECRET).connect("peer").await;
        let id = session.endpoint.split_once("sessionId=").unwrap().1;
        let node = node_of(cluster, front.router.way(), number, id);
        Self { session, node }
    }
}
