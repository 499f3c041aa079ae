//! How a remote server is asked: where, with which headers, as whom.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use tokio::time::timeout;

use super::address::Reach;
use super::client::Stay;
use super::destination::{Destination, Misplaced};
use super::fault::Fault;
use super::inbound::Inbound;
use super::oauth::{NoToken, Tokens};
use super::outbound::Lines;
use super::reply::Refusal;
use super::trouble::Trouble;
use super::unreachable::Unreachable;
use crate::catalog::{Credential, Endpoint, Grant, Sealed};
use crate::mcp::{Frame, Kind, Repeated, ToolHeaders, called_tool};

/// A remote server as one session knows it.
#[derive(Debug)]
pub(super) struct Peer {
    endpoint: Endpoint,
    destination: Arc<Destination>,
    pub(super) inbound: Inbound,
    /// For each grant that its credentials may be.
    tokens: Vec<(Arc<Grant>, Tokens)>,
    /// What its tools want repeated in headers.
    tools: Mutex<ToolHeaders>,
    /// Connections for requests, and for what stays.
    pub(super) calls: Lines,
    pub(super) streams: Lines,
    /// What the operator hears of its failures.
    pub(super) trouble: Arc<Trouble>,
    waits: Waits,
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waits {
    /// A request, which its session has given up by then; `None` for ever.
    pub(super) request: Option<Duration>,
    /// Until `initialize` is answered.
    pub(super) start: Duration,
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
const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACE_STATE: HeaderName = HeaderName::from_static("tracestate");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
const JSON_AND_EVENTS: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// What a client hears if a token cannot be used.
const NO_TOKEN: &str = "the gateway gets no token for it; tell the operator";
/// How long a stream may take to begin.
const BEGINS: Duration = Duration::from_secs(30);

impl Peer {
    /// For requests on this runtime. `tokens` gets tokens by a grant.
    pub(super) fn new(
        endpoint: Endpoint,
        inbound: Inbound,
        [calls, streams]: [Lines; 2],
        waits: Waits,
        tokens: impl Fn(&Arc<Grant>, Reach) -> Result<Tokens, Misplaced>,
    ) -> Result<Self, Misplaced> {
        let reach = if endpoint.allows_private() { Reach::Open } else { Reach::Guarded };
        let pair = |grant: &Arc<Grant>| tokens(grant, reach).map(|tokens| (grant.clone(), tokens));
        let tokens = endpoint.grants().map(pair).collect::<Result<_, _>>()?;
        let destination = Arc::new(Destination::new(endpoint.url().clone(), reach)?);
        let (tools, trouble) = (Mutex::default(), Arc::default());
        Ok(Self { endpoint, destination, inbound, tokens, tools, calls, streams, trouble, waits })
    }

    /// How long a request may take.
    pub(super) fn patience(&self) -> Option<Duration> {
        self.waits.request
    }

    /// How long `initialize` may take.
    pub(super) fn start(&self) -> Duration {
        self.waits.start
    }

    /// Where the settings say that it is.
    pub(super) fn destination(&self) -> &Arc<Destination> {
        &self.destination
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Answers a request in the server's place.
    pub(super) async fn fail(&self, frame: &Frame, fault: &Fault) {
        let server = self.endpoint.server();
        tracing::warn!(%server, %fault, "a request to a remote server failed");
        self.trouble.fails(fault);
        if let Kind::Request(id, _) = frame.kind() {
            self.inbound.fail(id, server.as_str(), fault).await;
        }
    }

    /// Answers a request that the server refuses: in its own words, if it has said any.
    pub(super) async fn refuse(&self, frame: &Frame, refusal: Refusal) {
        let Kind::Request(id, _) = frame.kind() else { return };
        match refusal.error(id) {
            Some(error) => drop(self.inbound.pass(error).await),
            None => self.fail(frame, &refusal.fault).await,
        }
    }

    /// Sends one message. Comes back with whatever the server says to it.
    pub(super) async fn post(
        &self,
        to: &Destination,
        stay: Stay,
        head: &Head,
        frame: &Frame,
    ) -> Result<Response, Fault> {
        let credential = self.credential_for(frame)?;
        // Once a revision was agreed on, nothing is repeated.
        let repeated = if head.revision.is_none() { self.repeated(frame) } else { Vec::new() };
        let traced = self.traced(frame);
        self.send(credential, (Method::POST, stay), to, |mut request| {
            for (name, value) in repeated.iter().chain(&traced) {
                request = request.header(name, value);
            }
            let request = head.add_to(request).header(ACCEPT, JSON_AND_EVENTS).header(CONTENT_TYPE, JSON);
            request.body(frame.bytes().clone())
        })
        .await
    }

    /// Opens a stream of events, or takes up one after the last event that came.
    pub(super) async fn listen(
        &self,
        to: &Destination,
        head: &Head,
        last: Option<&str>,
    ) -> Result<Response, Fault> {
        let opening = self.send(self.endpoint.credential(), (Method::GET, Stay::Long), to, |request| {
            let request = head.add_to(request).header(ACCEPT, EVENTS);
            last.iter().fold(request, |request, last| request.header(LAST_EVENT_ID, *last))
        });
        timeout(BEGINS, opening).await.unwrap_or(Err(Fault::Late))
    }

    /// Lets go of the session.
    pub(super) async fn leave(&self, to: &Destination, head: &Head) {
        let leaving = self.send(self.endpoint.credential(), (Method::DELETE, Stay::Short), to, |request| {
            head.add_to(request)
        });
        // Whoever waits for it does not wait for ever; nobody else needs the answer.
        let _ = leaving.await;
    }

    /// As whom a message goes. Where tools differ in that, no server may take it for the call of another.
    fn credential_for(&self, frame: &Frame) -> Result<Option<&Credential>, Fault> {
        if !self.endpoint.has_tool_credentials() {
            return Ok(self.endpoint.credential());
        }
        frame.check_use(|_, _| true).map_err(|misuse| Fault::NotCalled(misuse.to_string()))?;
        match called_tool(frame) {
            Some(tool) => {
                let credential = self.endpoint.credential_for(&tool);
                credential.map_err(|missing| Fault::NotCalled(missing.to_string()))
            }
            None => Ok(self.endpoint.credential()),
        }
    }

    /// Keeps what an answer to this request tells of the server's tools.
    pub(super) fn learn(&self, request: &Frame, answer: &Frame) {
        // Only requests of 2026-07-28 repeat anything; the name is looked at first, because that costs nothing.
        if request.method() == "tools/list" && Repeated::of(request).is_some() {
            self.tools.lock().unwrap_or_else(PoisonError::into_inner).learn(request, answer);
        }
    }

    /// The headers in which a client of 2026-07-28 repeats parts of a request.
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

    /// The headers that put its spans below ours, or below the client's. What the operator has set stays.
    fn traced(&self, frame: &Frame) -> Vec<(HeaderName, HeaderValue)> {
        let Some(context) = frame.beside().and_then(|beside| beside.context.as_ref()) else {
            return Vec::new();
        };
        if self.endpoint.headers().contains_key(TRACE_PARENT) {
            return Vec::new();
        }
        let pairs = [(TRACE_PARENT, Some(context.parent())), (TRACE_STATE, context.state())];
        let pair = |(name, value): (_, Option<&str>)| Some((name, HeaderValue::try_from(value?).ok()?));
        pairs.into_iter().filter_map(pair).collect()
    }

    async fn send(
        &self,
        credential: Option<&Credential>,
        (method, stay): (Method, Stay),
        to: &Destination,
        adorn: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, Fault> {
        let request = |to: &Destination, own: Option<(&HeaderName, HeaderValue)>| -> Result<_, Fault> {
            let mut headers = self.endpoint.headers().clone();
            own.map(|(name, value)| headers.insert(name, value));
            let request = to.request(method.clone(), stay).map_err(|reason| self.tell(&reason))?;
            Ok(adorn(request.headers(headers)))
        };
        match credential {
            None => self.execute(request(to, None)?).await,
            Some(Credential::Header(name, value)) => {
                self.execute(request(to, Some((name, value.clone())))?).await
            }
            Some(Credential::Query(name, value)) => {
                self.execute(request(&to.with(name, value.reveal()), None)?).await
            }
            Some(Credential::Grant(grant)) => {
                let bearer = |token: &Sealed| {
                    let mut value = HeaderValue::try_from(format!("Bearer {}", token.reveal())).ok();
                    value.iter_mut().for_each(|value| value.set_sensitive(true));
                    value.map(|value| (&AUTHORIZATION, value)).ok_or(Fault::NoToken(NO_TOKEN))
                };
                let known = self.tokens.iter().find(|(own, _)| own == grant);
                let (_, tokens) = known.ok_or(Fault::NoToken(NO_TOKEN))?;
                let lacking = |error: NoToken| {
                    tracing::warn!(server = %self.endpoint.server(), %error, "no token for a remote server");
                    self.trouble.because(&error);
                    Fault::NoToken(error.public())
                };
                let token = tokens.token().await.map_err(lacking)?;
                let response = self.execute(request(to, Some(bearer(&token)?))?).await?;
                if response.status() != StatusCode::UNAUTHORIZED {
                    return Ok(response);
                }
                let token = tokens.renew(&token).await.map_err(lacking)?;
                self.execute(request(to, Some(bearer(&token)?))?).await
            }
        }
    }

    async fn execute(&self, request: RequestBuilder) -> Result<Response, Fault> {
        let response = request.send().await.map_err(|error| self.tell(&Unreachable::of(&error)))?;
        if response.status().is_redirection() { Err(Fault::Redirected) } else { Ok(response) }
    }

    /// Tells the operator what went wrong on the way, in more words than a client hears.
    pub(super) fn tell(&self, reason: &Unreachable) -> Fault {
        tracing::warn!(server = %self.endpoint.server(), %reason, "a remote server does not answer");
        self.trouble.because(reason);
        Fault::from(reason)
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
