//! A request to an MCP route, read but not yet believed.

use std::net::{IpAddr, Ipv4Addr};

use actix_web::HttpRequest;
use actix_web::http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN,
};

use super::media_range::MediaRange;
use crate::access::{HandedOver, Presented};
use crate::catalog::{BadNames, BadTarget, BadVariable, Offer, Overrides, Target};
use crate::ids::SessionId;
use crate::mcp::{Mirror, is_session_version};
use crate::session::EventId;

/// Names a session of `streamable`, in requests and responses.
pub(super) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");
/// Names of tools, separated by commas.
pub(super) const ALLOW_TOOLS: [&str; 2] = ["x-lockgate-allow-tools", "x-envoy-allow-mcp-tools"];
const ALLOW_TOOLS_NAMES: [HeaderName; 2] =
    [HeaderName::from_static(ALLOW_TOOLS[0]), HeaderName::from_static(ALLOW_TOOLS[1])];
/// What a node says of a request that it hands over.
pub(super) const HANDOVER: HeaderName = HeaderName::from_static("lockgate-handover");
/// What Fly's proxy says of a request that a node has had it bring here, and of one that it could not bring there.
const FLY_REPLAY_SRC: HeaderName = HeaderName::from_static("fly-replay-src");
const FLY_REPLAY_FAILED: HeaderName = HeaderName::from_static("fly-replay-failed");
const FLY_CLIENT_IP: HeaderName = HeaderName::from_static("fly-client-ip");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What a request says, as far as its head tells.
#[derive(Debug)]
pub struct Call<'r> {
    request: &'r HttpRequest,
    /// The path segment that names the server, exactly as it was sent.
    segment: &'r str,
}

impl<'r> Call<'r> {
    /// Reads a request that has matched a route `{base}/{server}/…`.
    pub fn read(request: &'r HttpRequest, base_path: &str) -> Self {
        let path = request.uri().path();
        let path = path.strip_prefix(base_path).unwrap_or(path);
        let segment = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        Self { request, segment }
    }

    /// What decides whether the request is admitted.
    pub fn presented(&self) -> Presented<'r> {
        let all = |name: HeaderName| self.request.headers().get_all(name).map(|v| v.as_bytes()).collect();
        Presented {
            authorization: all(AUTHORIZATION),
            origin: all(ORIGIN),
            host: self.request.headers().get(HOST).map(|value| value.as_bytes()),
            peer: self.peer(),
            fly_client_ip: all(FLY_CLIENT_IP),
            forwarded_for: all(FORWARDED_FOR),
            vouched: None,
        }
    }

    /// The other end of its connection.
    pub fn peer(&self) -> IpAddr {
        self.request.peer_addr().map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.ip())
    }

    /// All of its headers.
    pub(super) fn headers(&self) -> &'r HeaderMap {
        self.request.headers()
    }

    /// What a node signs of it that hands it over.
    pub fn handed_over(&self) -> HandedOver<'r> {
        let uri = self.request.uri();
        HandedOver {
            method: self.request.method().as_str(),
            target: uri.path_and_query().map_or("", |target| target.as_str()),
            authorization: self.request.headers().get_all(AUTHORIZATION).map(|v| v.as_bytes()).collect(),
        }
    }

    /// What a node has signed that hands it over itself.
    pub fn handover(&self) -> Option<&'r str> {
        self.text(&HANDOVER)
    }

    /// What a node has signed that has had Fly's proxy bring it here.
    pub fn replay_state(&self) -> Option<&'r str> {
        field(self.text(&FLY_REPLAY_SRC)?, "state")
    }

    /// Why Fly's proxy brings it back, if it does, because it could not be brought to where it belongs.
    pub fn replay_failed(&self) -> Option<&'r str> {
        self.request.headers().get(FLY_REPLAY_FAILED)?;
        Some(self.text(&FLY_REPLAY_FAILED).and_then(|text| field(text, "reason")).unwrap_or_default())
    }

    /// The value of a header that is there once.
    fn text(&self, name: &HeaderName) -> Option<&'r str> {
        let mut values = self.request.headers().get_all(name);
        let first = values.next().filter(|_| values.next().is_none())?;
        first.to_str().ok()
    }

    /// The path segment that names the server, as it was sent.
    pub fn segment(&self) -> &'r str {
        self.segment
    }

    /// The server that is meant.
    ///
    /// # Errors
    /// If the segment is not percent-encoded UTF-8.
    pub fn target(&self) -> Result<Target, BadTarget> {
        Target::decode(self.segment)
    }

    /// The variables in `ENV_NAME` and `X-Env-NAME` headers. In the second form `-` stands for `_`, for
    /// proxies that drop header names with underscores.
    ///
    /// # Errors
    /// With the name of the first that is not acceptable.
    pub fn overrides(&self) -> Result<Overrides, BadVariable> {
        let mut overrides = Overrides::default();
        for (header, value) in self.request.headers() {
            let header = header.as_str();
            if let Some(name) = header.strip_prefix("env_") {
                overrides.add(name, value.as_bytes())?;
            } else if let Some(name) = header.strip_prefix("x-env-") {
                overrides.add(&name.replace('-', "_"), value.as_bytes())?;
            }
        }
        Ok(overrides)
    }

    /// The tools that the request asks to be confined to, by `X-Lockgate-Allow-Tools` and by the name that Higress
    /// has for it. Each can only take away.
    ///
    /// # Errors
    /// If a header is no text, or names too many.
    pub fn allowed_tools(&self) -> Result<Offer, BadNames> {
        ALLOW_TOOLS.into_iter().zip(ALLOW_TOOLS_NAMES).try_fold(Offer::EVERYTHING, |offer, (name, header)| {
            let values = self.request.headers().get_all(header).map(|value| value.as_bytes());
            Ok(offer.and(&Offer::of_tools(name, values)?))
        })
    }

    /// What the header of this name says: `None` if it is not there, `Some(None)` if it is there twice or no text.
    pub fn only(&self, name: &http::HeaderName) -> Option<Option<String>> {
        let mut values = self.request.headers().get_all(name.as_str());
        let first = values.next()?;
        let only = Some(first).filter(|_| values.next().is_none());
        Some(only.and_then(|value| value.to_str().ok()).map(str::to_owned))
    }

    /// The session that the query names, as `sessionId` or `session_id`.
    pub fn session_id(&self) -> Option<SessionId> {
        let named = |pair: &'r str| {
            let (name, value) = pair.split_once('=')?;
            (name == "sessionId" || name == "session_id").then_some(value)
        };
        self.request.query_string().split('&').find_map(named).and_then(SessionId::parse)
    }

    /// The protocol version in the header of a client that has a session.
    pub fn revision(&self) -> Option<&'r str> {
        let value = self.request.headers().get(PROTOCOL_VERSION)?.to_str().ok()?;
        is_session_version(value).then_some(value)
    }

    /// The session that the `Mcp-Session-Id` header names: `None` if there is no such header, `Some(None)`
    /// if it cannot be an id of ours, or there are several.
    pub fn named_session(&self) -> Option<Option<SessionId>> {
        let mut values = self.request.headers().get_all(SESSION_ID);
        let first = values.next()?;
        let only = Some(first).filter(|_| values.next().is_none());
        Some(only.and_then(|value| value.to_str().ok()).and_then(SessionId::parse))
    }

    /// The protocol version in the header, if it is none that has sessions.
    pub fn foreign_revision(&self) -> Option<String> {
        let value = self.request.headers().get(PROTOCOL_VERSION)?;
        let text = String::from_utf8_lossy(value.as_bytes());
        (!is_session_version(&text)).then(|| text.chars().take(64).collect())
    }

    /// The event after which the client wants a stream resumed: `None` if it does not, `Some(None)` if that
    /// cannot be an event of ours.
    pub fn last_event(&self) -> Option<Option<EventId>> {
        let value = self.request.headers().get(LAST_EVENT_ID)?;
        Some(value.to_str().ok().and_then(|text| text.parse().ok()))
    }

    /// The headers in which a client of 2026-07-28 repeats parts of its body.
    pub fn mirror(&self) -> Mirror<'r> {
        let headers = self.request.headers();
        let all = |name: HeaderName| headers.get_all(name).map(|value| value.as_bytes()).collect();
        let param = |(name, value): (&'r HeaderName, &'r HeaderValue)| {
            Some((name.as_str().strip_prefix("mcp-param-")?, value.as_bytes()))
        };
        Mirror {
            version: all(PROTOCOL_VERSION),
            method: all(METHOD),
            name: all(NAME),
            params: headers.iter().filter_map(param).collect(),
        }
    }

    /// Whether the client takes this media type. No `Accept` takes anything (RFC 9110 section 12.5.1).
    pub fn accepts(&self, kind: &str, subtype: &str) -> bool {
        let mut values = self.request.headers().get_all(ACCEPT).peekable();
        if values.peek().is_none() {
            return true;
        }
        let ranges = values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
        ranges.filter_map(MediaRange::read).any(|range| range.covers(kind, subtype))
    }

    /// Whether the body says that it is plain JSON in UTF-8.
    ///
    /// # Errors
    /// With what is wrong.
    pub fn check_content(&self) -> Result<(), &'static str> {
        if self.request.headers().get(CONTENT_ENCODING).is_some_and(|v| v.as_bytes() != b"identity") {
            return Err("a compressed body is not taken; send it without Content-Encoding");
        }
        let text = self.request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let mut parts = text.unwrap_or_default().split(';').map(str::trim);
        if !parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json")) {
            return Err("the body must be sent with Content-Type: application/json");
        }
        let charset =
            parts.filter_map(|p| p.split_once('=')).find(|(n, _)| n.eq_ignore_ascii_case("charset"));
        match charset.map(|(_, value)| value.trim_matches('"').to_ascii_lowercase()) {
            Some(value) if value != "utf-8" && value != "utf8" => Err("the body must be sent in UTF-8"),
            _ => Ok(()),
        }
    }
}

/// A field of what Fly's proxy says: `name=value;name=value`.
fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let mut fields = text.split(';').filter_map(|field| field.split_once('='));
    fields.find_map(|(known, value)| (known.trim() == name).then_some(value.trim()))
}
