//! What a request of the stateless era must get right before a backend sees it, in the order in which it
//! is checked (protocol.md section 3.1; MCP 2026-07-28, transports and versioning).

use std::borrow::Cow;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::error::{Code, Failure};
use super::frame::{Frame, Kind};
use super::introduction::Introduction;
use super::members::{decode, members};
use super::mirror::{Mirror, plain, wrapped};
use super::shape::Shape;
use super::version::{Era, STATELESS_VERSIONS, is_stateless_version};

/// A request of the stateless era that has passed every check which needs no backend.
#[derive(Clone, Debug)]
pub struct Enveloped {
    frame: Frame,
    introduction: Introduction,
    capabilities: [u8; 32],
    tool: Option<String>,
    state: Option<String>,
    may_be_asked: bool,
}

/// Why a request does not fit the stateless era. The client is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// What `_meta` must hold is not there.
    #[error("`params._meta` must hold {}", .0.join(" and "))]
    Missing(Vec<&'static str>),
    /// A part of the parameters is not what it must be.
    #[error("`{0}` {1}")]
    Malformed(&'static str, &'static str),
    /// A header that mirrors the body.
    #[error("the header {0} {1}; it must repeat what the body says")]
    Header(Cow<'static, str>, &'static str),
    /// The version is not served, or not by this server.
    #[error("protocol version {requested} is not served here; {} {}", .era.how(), .era.versions().join(", "))]
    Version {
        /// What the client asked for.
        requested: String,
        /// The era whose versions it may ask for.
        era: Era,
    },
    /// The method belongs to the other era.
    #[error("there is no method `{0}` in protocol version 2026-07-28")]
    NoMethod(String),
    /// Not a message that a client may send.
    #[error("{0}")]
    Message(&'static str),
}

pub(super) const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
pub(super) const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
pub(super) const CLIENT: &str = "io.modelcontextprotocol/clientInfo";
pub(super) const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";

/// What makes a request one of the stateless era: these members of its `_meta`.
pub(super) const ENVELOPE: [&str; 4] = [VERSION, CAPABILITIES, CLIENT, LOG_LEVEL];

/// Methods of the handshake era that the stateless one removed.
const REMOVED: [&str; 5] =
    ["initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"];

/// The era that a message belongs to: its body decides, the version header only cross-checks.
///
/// # Errors
/// If the header names the stateless era and the body does not fit it.
pub fn era_of(frame: &Frame, mirror: &Mirror<'_>) -> Result<Era, Misfit> {
    let named = mirror.named_versions().any(is_stateless_version);
    let claimed = claims(frame);
    match frame.kind() {
        Kind::Request(..) if claimed && frame.method() == "initialize" => {
            let valid = Meta::read(frame).is_ok_and(|meta| is_stateless_version(&meta.version));
            Ok(if valid { Era::Stateless } else { Era::Handshake })
        }
        Kind::Request(..) if claimed => Ok(Era::Stateless),
        Kind::Request(..) if named && frame.method() != "initialize" => {
            Err(Misfit::Missing(vec![VERSION, CAPABILITIES]))
        }
        Kind::Notification(_) if claimed || named => Ok(Era::Stateless),
        Kind::Response(_) if named => {
            Err(Misfit::Message("a client of the stateless era sends requests and notifications only"))
        }
        _ => Ok(Era::Handshake),
    }
}

/// Whether the message carries the envelope of the stateless era.
fn claims(frame: &Frame) -> bool {
    let claim = || members(members(frame.payload(), ["_meta"]).ok()?[0]?, [VERSION]).ok()?[0];
    !matches!(frame.kind(), Kind::Response(_)) && claim().is_some()
}

/// What the envelope says, well-formed.
struct Meta<'a> {
    version: Cow<'a, str>,
    client: Option<&'a str>,
    capabilities: Map<String, Value>,
    name: Option<&'a str>,
    uri: Option<&'a str>,
    state: Option<&'a str>,
}

impl<'a> Meta<'a> {
    fn read(frame: &'a Frame) -> Result<Self, Misfit> {
        let doubled = |_| Misfit::Malformed("params", "must be an object, each member there once");
        let [meta, name, uri, state] =
            members(frame.payload(), ["_meta", "name", "uri", "requestState"]).map_err(doubled)?;
        let meta = meta.ok_or_else(|| Misfit::Missing(vec![VERSION, CAPABILITIES]))?;
        let doubled = |_| Misfit::Malformed("params._meta", "must be an object, each member there once");
        // What is read later on must be there once at most, too.
        let [version, capabilities, client, ..] =
            members(meta, [VERSION, CAPABILITIES, CLIENT, "progressToken", LOG_LEVEL]).map_err(doubled)?;
        let missing: Vec<_> = [(VERSION, version), (CAPABILITIES, capabilities)]
            .into_iter()
            .filter_map(|(name, token)| token.is_none().then_some(name))
            .collect();
        let (Some(version), Some(capabilities)) = (version, capabilities) else {
            return Err(Misfit::Missing(missing));
        };
        let version = decode(version).ok_or(Misfit::Malformed(VERSION, "must be a string"))?;
        let capabilities = serde_json::from_str(capabilities)
            .map_err(|_| Misfit::Malformed(CAPABILITIES, "must be an object"))?;
        if client.is_some_and(|client| !is_implementation(client)) {
            return Err(Misfit::Malformed(CLIENT, "must be an object with a `name` and a `version`"));
        }
        Ok(Self { version, client, capabilities, name, uri, state })
    }
}

fn is_implementation(token: &str) -> bool {
    let text = |token: Option<&str>| token.and_then(decode).is_some();
    members(token, ["name", "version"]).is_ok_and(|[name, version]| text(name) && text(version))
}

impl Enveloped {
    /// Checks a request that claims the stateless era.
    ///
    /// # Errors
    /// The first step that fails.
    pub fn check(frame: Frame, mirror: &Mirror<'_>) -> Result<Self, Misfit> {
        if !matches!(frame.kind(), Kind::Request(..)) {
            return Err(Misfit::Message("it is no request"));
        }
        let meta = Meta::read(&frame)?;
        let header = plain(&mirror.version);
        let same_version = || Some(|header: &str| header == meta.version);
        if !matches!(header, Ok(None)) {
            agrees("MCP-Protocol-Version", header, same_version())?;
        }
        if !STATELESS_VERSIONS.contains(&&*meta.version) {
            return Err(Misfit::version(&meta.version, Era::Stateless));
        }
        agrees("MCP-Protocol-Version", header, same_version())?;
        let method = frame.method().into_owned();
        agrees("Mcp-Method", plain(&mirror.method), Some(|header: &str| header == method))?;
        let named = match &*method {
            "tools/call" | "prompts/get" => Some(meta.name),
            "resources/read" => Some(meta.uri),
            _ => None,
        };
        if let Some(token) = named {
            let name = token.and_then(decode);
            agrees(
                "Mcp-Name",
                wrapped(&mirror.name),
                name.as_ref().map(|name| move |header: &str| header == *name),
            )?;
        }
        if REMOVED.contains(&&*method) {
            return Err(Misfit::NoMethod(method));
        }
        let shape = Shape::of(&method);
        let tool = meta.name.filter(|_| shape.calls_tool).and_then(decode).map(Cow::into_owned);
        let state = meta.state.and_then(decode).map(Cow::into_owned);
        let introduction = Introduction { info: meta.client.map(Box::from), capabilities: meta.capabilities };
        let capabilities = Sha256::digest(introduction.capabilities_text()).into();
        let may_be_asked = shape.may_ask && introduction.can_be_asked_anything();
        Ok(Self { introduction, capabilities, tool, state, may_be_asked, frame })
    }

    /// The request.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// Stands for the client's capabilities, whatever the order in which it named them.
    pub fn capabilities(&self) -> &[u8; 32] {
        &self.capabilities
    }

    /// What the client says of itself.
    pub fn introduction(&self) -> &Introduction {
        &self.introduction
    }

    /// The state that it brings back, if it is called again with answers.
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// Whether its client may be asked something in return.
    pub fn may_be_asked(&self) -> bool {
        self.may_be_asked
    }

    /// The tool that it calls, if it calls one.
    pub fn tool(&self) -> Option<&str> {
        self.tool.as_deref()
    }
}

/// A header must be there exactly if the body says something, and say the same.
pub(super) fn agrees(
    name: impl Into<Cow<'static, str>>,
    header: Result<Option<impl AsRef<str>>, &'static str>,
    says: Option<impl Fn(&str) -> bool>,
) -> Result<(), Misfit> {
    let fault = match (header, says) {
        (Err(fault), _) => fault,
        (Ok(None), Some(_)) => "is missing",
        (Ok(Some(_)), None) => "says something that the body does not",
        (Ok(Some(header)), Some(says)) if !says(header.as_ref()) => "says something else than the body",
        _ => return Ok(()),
    };
    Err(Misfit::Header(name.into(), fault))
}

impl From<&Misfit> for Failure {
    fn from(misfit: &Misfit) -> Self {
        Self { code: misfit.code(), message: misfit.to_string(), data: misfit.data() }
    }
}

impl Misfit {
    /// A client asks for this version where those of an era are served.
    pub fn version(requested: &str, era: Era) -> Self {
        Self::Version { requested: requested.chars().take(64).collect(), era }
    }

    /// The error code for the wire.
    pub fn code(&self) -> Code {
        match self {
            Self::Missing(_) | Self::Malformed(..) => Code::InvalidParams,
            Self::Header(..) => Code::HeaderMismatch,
            Self::Version { .. } => Code::UnsupportedVersion,
            Self::NoMethod(_) => Code::NoMethod,
            Self::Message(_) => Code::InvalidRequest,
        }
    }

    /// The error's `data`, where the protocol wants some.
    pub fn data(&self) -> Option<Value> {
        match self {
            Self::Version { requested, era } => {
                Some(json!({ "supported": era.versions(), "requested": requested }))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
