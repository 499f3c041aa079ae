//! How a remote server is asked: where, with which headers, as whom.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use tokio::time::timeout;
use url::Url;

use super::client::client;
use super::fault::Fault;
use super::inbound::Inbound;
use super::{LEAVE, Remotes, Tokens};
use crate::catalog::{Credential, Endpoint, Sealed};
use crate::mcp::{Frame, Repeated, ToolHeaders, called_tool};

/// A remote server as one session knows it.
#[derive(Debug)]
pub(super) struct Peer {
    endpoint: Endpoint,
    client: Client,
    pub(super) inbound: Inbound,
    /// For each grant that its credentials may be.
    tokens: Vec<(Arc<crate::catalog::Grant>, Arc<Tokens>)>,
    /// What its tools want repeated in headers.
    tools: Mutex<ToolHeaders>,
}

/// What the remote server and we have agreed on: goes with every message after `initialize`.
#[derive(Clone, Debug, Default)]
pub(super) struct Head {
    /// The session's id there, which no client gets to see.
    pub(super) session: Option<HeaderValue>,
    pub(super) revision: Option<HeaderValue>,
}

pub(super) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
const JSON_AND_EVENTS: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// How long a stream may take to begin.
const BEGINS: Duration = Duration::from_secs(30);

impl Peer {
    pub(super) fn new(endpoint: Endpoint, inbound: Inbound, remotes: &Remotes) -> Self {
        let tokens = endpoint.grants().map(|grant| (grant.clone(), remotes.tokens(grant))).collect();
        let client = client(endpoint.allows_private());
        Self { endpoint, client, inbound, tokens, tools: Mutex::default() }
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Answers a request in the server's place.
    pub(super) async fn fail(&self, frame: &Frame, fault: &Fault) {
        let server = self.endpoint.server();
        tracing::warn!(%server, %fault, "a request to a remote server failed");
        if let crate::mcp::Kind::Request(id, _) = frame.kind() {
            self.inbound.fail(id, server.as_str(), fault).await;
        }
    }

    /// Sends one message. Comes back with whatever the server says to it.
    pub(super) async fn post(&self, url: &Url, head: &Head, frame: &Frame) -> Result<Response, Fault> {
        let tool = Some(frame).filter(|_| self.endpoint.has_tool_credentials()).and_then(called_tool);
        let credential = self.endpoint.credential(tool.as_deref());
        let credential = credential.map_err(|missing| Fault::NoCredential(missing.to_string()))?;
        let repeated = self.repeated(frame);
        self.send(credential, Method::POST, url, |mut request| {
            for (name, value) in &repeated {
                request = request.header(name, value);
            }
            let request = head.add_to(request).header(ACCEPT, JSON_AND_EVENTS).header(CONTENT_TYPE, JSON);
            request.body(frame.bytes().clone())
        })
        .await
    }

    /// Opens a stream of events, or takes up one after the last event that came.
    pub(super) async fn listen(&self, url: &Url, head: &Head, last: Option<&str>) -> Result<Response, Fault> {
        let credential = self.endpoint.credential(None).map_err(|_| Fault::Unreachable)?;
        let opening = self.send(credential, Method::GET, url, |request| {
            let request = head.add_to(request).header(ACCEPT, EVENTS);
            last.iter().fold(request, |request, last| request.header(LAST_EVENT_ID, *last))
        });
        timeout(BEGINS, opening).await.unwrap_or(Err(Fault::Late))
    }

    /// Lets go of the session.
    pub(super) async fn leave(&self, url: &Url, head: &Head) {
        let Ok(credential) = self.endpoint.credential(None) else { return };
        let leaving = self.send(credential, Method::DELETE, url, |request| head.add_to(request));
        let _ = timeout(LEAVE, leaving).await;
    }

    /// Keeps what an answer to this request tells of the server's tools.
    pub(super) fn learn(&self, request: &Frame, answer: &Frame) {
        if Repeated::of(request).is_some_and(|repeated| repeated.method == "tools/list") {
            self.tools.lock().unwrap_or_else(PoisonError::into_inner).learn(request, answer);
        }
    }

    /// The headers in which a client of the stateless era repeats parts of a request.
    fn repeated(&self, frame: &Frame) -> Vec<(HeaderName, HeaderValue)> {
        let Some(repeated) = Repeated::of(frame) else { return Vec::new() };
        let tools = self.tools.lock().unwrap_or_else(PoisonError::into_inner);
        let params =
            tools.repeat(frame).into_iter().map(|(name, value)| (format!("mcp-param-{name}"), value));
        let own = [
            (PROTOCOL_VERSION, Some(repeated.version)),
            (METHOD, Some(repeated.method)),
            (NAME, repeated.name),
        ];
        let own =
            own.into_iter().filter_map(|(name, value)| Some((name, HeaderValue::try_from(value?).ok()?)));
        own.chain(params.filter_map(|(name, value)| {
            Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?))
        }))
        .collect()
    }

    async fn send(
        &self,
        credential: Option<&Credential>,
        method: Method,
        url: &Url,
        adorn: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, Fault> {
        let request = |url: Url, own: Option<(&HeaderName, HeaderValue)>| {
            let mut headers = self.endpoint.headers().clone();
            own.map(|(name, value)| headers.insert(name, value));
            adorn(self.client.request(method.clone(), url).headers(headers))
        };
        match credential {
            None => self.execute(request(url.clone(), None)).await,
            Some(Credential::Header(name, value)) => {
                self.execute(request(url.clone(), Some((name, value.clone())))).await
            }
            Some(Credential::Query(name, value)) => {
                let mut url = url.clone();
                url.query_pairs_mut().append_pair(name, value.reveal());
                self.execute(request(url, None)).await
            }
            Some(Credential::Grant(grant)) => {
                let bearer = |token: &Sealed| {
                    let mut value = HeaderValue::try_from(format!("Bearer {}", token.reveal())).ok();
                    value.iter_mut().for_each(|value| value.set_sensitive(true));
                    value.map(|value| (&AUTHORIZATION, value)).ok_or(Fault::NoToken)
                };
                let known = self.tokens.iter().find(|(own, _)| own == grant);
                let (_, tokens) = known.ok_or(Fault::NoToken)?;
                let lacking = |error| {
                    tracing::warn!(server = %self.endpoint.server(), %error, "no token for a remote server");
                    Fault::NoToken
                };
                let token = tokens.token(&self.client).await.map_err(lacking)?;
                let response = self.execute(request(url.clone(), Some(bearer(&token)?))).await?;
                if response.status() != StatusCode::UNAUTHORIZED {
                    return Ok(response);
                }
                let token = tokens.renew(&self.client, &token).await.map_err(lacking)?;
                self.execute(request(url.clone(), Some(bearer(&token)?))).await
            }
        }
    }

    async fn execute(&self, request: RequestBuilder) -> Result<Response, Fault> {
        let response = request.send().await.map_err(|error| self.tell(error))?;
        if response.status().is_redirection() { Err(Fault::Redirected) } else { Ok(response) }
    }

    /// Tells the operator what went wrong on the way, in more words than a client hears.
    pub(super) fn tell(&self, error: reqwest::Error) -> Fault {
        let fault = Fault::of(&error);
        // Its URL may hold a credential.
        let error = error.without_url();
        let error = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
        let error = error.map(ToString::to_string).collect::<Vec<_>>().join(": ");
        tracing::warn!(server = %self.endpoint.server(), error, "a remote server does not answer");
        fault
    }
}

impl Head {
    fn add_to(&self, request: RequestBuilder) -> RequestBuilder {
        let pairs = [(SESSION_ID, &self.session), (PROTOCOL_VERSION, &self.revision)];
        pairs.into_iter().fold(request, |request, (name, value)| match value {
            Some(value) => request.header(name, value),
            None => request,
        })
    }
}
