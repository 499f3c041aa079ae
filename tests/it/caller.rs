//! Clients of every transport, which ask a server `stocked` the same.

use serde_json::{Value, json};

use crate::client::Session;
use crate::events::Endpoint;
use crate::gateway::Gateway;
use crate::stateless::{enveloped, mirrored};
use crate::tenants::client;

const NEWEST: &str = "2025-11-25";

/// A client of one of the transports.
pub(crate) enum Caller<'g> {
    Sse(Box<Session>),
    Streamable(Endpoint),
    Stateless(&'g Gateway, &'static str, Vec<(&'static str, &'static str)>),
}

impl<'g> Caller<'g> {
    /// One of each, of this tenant and with these headers.
    pub(crate) async fn all(
        gateway: &'g Gateway,
        secret: &'static str,
        headers: &[(&'static str, &'static str)],
    ) -> [Self; 3] {
        let mut sse = client(gateway, secret);
        let mut streamable = Endpoint::new(gateway, "stocked").of_tenant(secret);
        for (name, value) in headers {
            sse = sse.header(name, value);
            streamable = streamable.header(name, value);
        }
        let mut streamable = streamable.open(NEWEST).await;
        streamable.headers.retain(|(name, _)| !headers.iter().any(|(own, _)| own == name));
        [
            Self::Sse(Box::new(sse.connect("stocked").await)),
            Self::Streamable(streamable),
            Self::Stateless(gateway, secret, headers.to_vec()),
        ]
    }

    /// Asks, and comes back with the whole answer as it was sent.
    pub(crate) async fn ask(&mut self, method: &str, params: Value) -> String {
        match self {
            Self::Sse(session) => {
                session.request(method, params).await;
                session.event().await.unwrap()
            }
            Self::Streamable(endpoint) => {
                let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
                endpoint.post(&body).await.text().await.unwrap()
            }
            Self::Stateless(gateway, secret, headers) => {
                let body = enveloped(1, method, params);
                let endpoint = mirrored(gateway, "stocked", &body).of_tenant(secret);
                let endpoint = headers.iter().fold(endpoint, |e, (name, value)| e.header(name, value));
                endpoint.post(&body).await.text().await.unwrap()
            }
        }
    }

    pub(crate) async fn answer(&mut self, method: &str, params: Value) -> Value {
        serde_json::from_str(&self.ask(method, params).await).unwrap()
    }

    /// The names of a page of tools.
    pub(crate) async fn tools(&mut self, params: Value) -> Vec<String> {
        let answer = self.answer("tools/list", params).await;
        let tools = answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("{answer}")).clone();
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
    }

    /// The code and the message of a refusal.
    pub(crate) async fn refusal(&mut self, method: &str, params: Value) -> (i64, String) {
        let answer = self.answer(method, params).await;
        let error = &answer["error"];
        let code = error["code"].as_i64().unwrap_or_else(|| panic!("not refused: {answer}"));
        (code, error["message"].as_str().unwrap().to_owned())
    }

    /// Everything that the server has heard.
    pub(crate) async fn heard(&mut self) -> String {
        let answer = self.answer("tools/call", json!({ "name": "heard", "arguments": {} })).await;
        answer["result"]
            .as_array()
            .unwrap_or_else(|| panic!("{answer}"))
            .iter()
            .map(Value::to_string)
            .collect()
    }
}
