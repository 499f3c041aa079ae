//! What a client says of itself, in either era: in `initialize`, or in the envelope of each request.

use serde_json::{Map, Value};

use super::frame::Frame;
use super::members::{decode, members};

/// Who a client is, and what it can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introduction {
    /// `clientInfo`, an object as the client sent it.
    pub(super) info: Option<Box<str>>,
    /// What it can do, by the names of its capabilities.
    pub(super) capabilities: Map<String, Value>,
}

/// What a backend may ask a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// `elicitation/create`
    Elicitation,
    /// `sampling/createMessage`
    Sampling,
    /// `roots/list`
    Roots,
}

impl Ask {
    /// What this method asks, if it is one of these.
    pub(super) fn of(method: &str) -> Option<Self> {
        Some(match method {
            "elicitation/create" => Self::Elicitation,
            "sampling/createMessage" => Self::Sampling,
            "roots/list" => Self::Roots,
            _ => return None,
        })
    }

    /// The capability of a client that can be asked this.
    pub(super) fn capability(self) -> &'static str {
        match self {
            Self::Elicitation => "elicitation",
            Self::Sampling => "sampling",
            Self::Roots => "roots",
        }
    }
}

impl Introduction {
    /// Of a client without a name that can do nothing.
    pub fn nobody() -> Self {
        Self { info: None, capabilities: Map::new() }
    }

    /// Reads the parameters of `initialize`.
    pub fn read(initialize: &Frame) -> Option<Self> {
        let [capabilities, info] = members(initialize.payload(), ["capabilities", "clientInfo"]).ok()?;
        let capabilities = capabilities.map_or(Some(Map::new()), |token| serde_json::from_str(token).ok())?;
        Some(Self { info: info.filter(|token| token.starts_with('{')).map(Box::from), capabilities })
    }

    /// The same text for the same capabilities, whatever the order in which they were named.
    pub(super) fn capabilities_text(&self) -> String {
        Value::from(self.capabilities.clone()).to_string()
    }

    /// Whether the client can be asked this. An elicitation that opens a URL must be declared by itself.
    pub(super) fn can_be_asked(&self, ask: Ask, params: &str) -> bool {
        let Some(own) = self.capabilities.get(ask.capability()).filter(|own| own.is_object()) else {
            return false;
        };
        let mode = members(params, ["mode"]).ok().and_then(|[mode]| decode(mode?).map(|mode| mode == "url"));
        match (ask, mode) {
            (Ask::Elicitation, Some(true)) => own.get("url").is_some(),
            // `{}` means forms, for all clients that know of nothing else.
            (Ask::Elicitation, _) => own.get("form").is_some() || own.get("url").is_none(),
            _ => true,
        }
    }

    /// Whether the client can be asked anything.
    pub(super) fn can_be_asked_anything(&self) -> bool {
        [Ask::Elicitation, Ask::Sampling, Ask::Roots]
            .iter()
            .any(|ask| self.capabilities.get(ask.capability()).is_some_and(Value::is_object))
    }
}
