//! What a client says of itself, in either era: in `initialize`, or in the envelope of each request.

use serde_json::{Map, Value, json};

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

/// The `clientInfo` of Lockgate itself, where it asks in its own name.
pub(super) fn own_info() -> Value {
    json!({ "name": "lockgate", "version": env!("CARGO_PKG_VERSION") })
}

impl Ask {
    const ALL: [Self; 3] = [Self::Elicitation, Self::Sampling, Self::Roots];

    /// What this method asks, if it is one of these.
    pub(super) fn of(method: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ask| ask.method() == method)
    }

    /// The method that asks this.
    pub(super) fn method(self) -> &'static str {
        match self {
            Self::Elicitation => "elicitation/create",
            Self::Sampling => "sampling/createMessage",
            Self::Roots => "roots/list",
        }
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

    /// Whether the client has declared all that this question needs, in each of its parameters (MCP 2025-11-25 and
    /// 2026-07-28, client features).
    ///
    /// # Errors
    /// If the parameters cannot be read in one way.
    pub(super) fn can_be_asked(&self, ask: Ask, params: &str) -> Result<bool, serde_json::Error> {
        let params = if params.is_empty() { "{}" } else { params };
        let [mode, tools, choice] = members(params, ["mode", "tools", "toolChoice"])?;
        let Some(own) = self.capabilities.get(ask.capability()).filter(|own| own.is_object()) else {
            return Ok(false);
        };
        let says = |token: Option<&str>, text| token.and_then(decode).is_some_and(|said| said == text);
        Ok(match ask {
            Ask::Elicitation if says(mode, "url") => own.get("url").is_some(),
            // `{}` means forms, for all clients that know of nothing else.
            Ask::Elicitation => own.get("form").is_some() || own.get("url").is_none(),
            // What it is to include is a wish, which a client need not fulfil.
            Ask::Sampling => (tools.is_none() && choice.is_none()) || own.get("tools").is_some(),
            Ask::Roots => true,
        })
    }

    /// Whether the client can be asked anything.
    pub(super) fn can_be_asked_anything(&self) -> bool {
        Ask::ALL.iter().any(|ask| self.capabilities.get(ask.capability()).is_some_and(Value::is_object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a client with these capabilities can be asked this; `None` if the question cannot be read.
    fn can(capabilities: &str, method: &str, params: &str) -> Option<bool> {
        let capabilities = serde_json::from_str(capabilities).unwrap();
        Introduction { info: None, capabilities }.can_be_asked(Ask::of(method).unwrap(), params).ok()
    }

    fn sampling(own: &str, params: &str) -> bool {
        can(&format!(r#"{{"sampling":{own}}}"#), "sampling/createMessage", params).unwrap()
    }

    fn elicitation(own: &str, params: &str) -> bool {
        can(&format!(r#"{{"elicitation":{own}}}"#), "elicitation/create", params).unwrap()
    }

    #[test]
    fn a_client_is_asked_only_what_it_has_declared_whole() {
        for params in ["{}", r#"{"messages":[]}"#, r#"{"includeContext":"none"}"#] {
            assert!(sampling("{}", params), "{params}");
        }
        for params in [r#"{"tools":[]}"#, r#"{"toolChoice":{"mode":"none"}}"#] {
            assert!(
                !sampling(r#"{"context":{}}"#, params) && sampling(r#"{"tools":{}}"#, params),
                "{params}"
            );
        }
        assert!(sampling("{}", r#"{"includeContext":"thisServer"}"#));
        assert!(elicitation("{}", "{}") && !elicitation(r#"{"url":{}}"#, r#"{"mode":"form"}"#));
        assert!(elicitation(r#"{"url":{}}"#, r#"{"mode":"url"}"#) && !elicitation("{}", r#"{"mode":"url"}"#));
        assert_eq!(can(r#"{"roots":{}}"#, "roots/list", ""), Some(true));
        assert_eq!(can(r#"{"roots":true}"#, "roots/list", ""), Some(false));
        // One of the two could be what another reader takes it for.
        assert_eq!(can(r#"{"sampling":{}}"#, "sampling/createMessage", r#"{"tools":[],"tools":null}"#), None);
    }
}
