//! What each request of the stateless era carries of the client that makes it (MCP 2026-07-28, `_meta`).

use serde_json::Value;

use crate::mcp::edits::Edits;
use crate::mcp::frame::Frame;
use crate::mcp::id::RequestId;
use crate::mcp::introduction::Introduction;
use crate::mcp::ladder::{CAPABILITIES, CLIENT, ENVELOPE, LOG_LEVEL, VERSION};
use crate::mcp::level::Level;
use crate::mcp::members::members;
use crate::mcp::splice;
use crate::mcp::version::STATELESS_VERSIONS;

/// The client as the backend is told of it, and what it can be asked.
#[derive(Debug)]
pub(super) struct Envelope {
    pub(super) introduction: Introduction,
    /// The members of `_meta` that say it.
    text: String,
    /// How much of the server's log the client wants. Until it says so it gets none, as the backend sends none.
    level: Option<Level>,
}

/// What only the answer to `input_required` has in its parameters.
const ANSWERS: [&str; 2] = ["inputResponses", "requestState"];
/// The first revision in which a client can be sent to a URL.
const URLS_SINCE: &str = "2025-11-25";

impl Envelope {
    /// Of a client that has introduced itself so, and speaks this revision. What a backend of the stateless era
    /// cannot use, or the client cannot be asked, is not told.
    pub(super) fn new(mut introduction: Introduction, revision: &str) -> Self {
        let capabilities = &mut introduction.capabilities;
        capabilities.remove("tasks");
        if let Some(Value::Object(roots)) = capabilities.get_mut("roots") {
            roots.remove("listChanged");
        }
        if revision < URLS_SINCE
            && let Some(Value::Object(elicitation)) = capabilities.get_mut("elicitation")
            && elicitation.remove("url").is_some()
            && elicitation.is_empty()
        {
            // `{}` would mean forms.
            capabilities.remove("elicitation");
        }
        let mut envelope = Self { introduction, text: String::new(), level: None };
        envelope.write();
        envelope
    }

    /// The client wants the log from this level on.
    pub(super) fn set_level(&mut self, level: Level) {
        self.level = Some(level);
        self.write();
    }

    fn write(&mut self) {
        let capabilities = Value::Object(self.introduction.capabilities.clone());
        self.text = format!(r#""{VERSION}":"{}","{CAPABILITIES}":{capabilities}"#, STATELESS_VERSIONS[0]);
        if let Some(info) = &self.introduction.info {
            self.text.push_str(&format!(r#","{CLIENT}":{info}"#));
        }
        if let Some(level) = self.level {
            self.text.push_str(&format!(r#","{LOG_LEVEL}":"{}""#, level.name()));
        }
    }

    /// The object that is `_meta` of a request of our own.
    pub(super) fn meta(&self) -> String {
        format!("{{{}}}", self.text)
    }

    /// A request of the client under this number; `None` if its parameters cannot carry an envelope.
    pub(super) fn dress(&self, request: &Frame, number: &RequestId) -> Option<Frame> {
        self.dress_with(request, number, "", &[])
    }

    /// A request in which the backend may ask the client, with what answers it: members of the parameters, or
    /// nothing.
    pub(super) fn dress_answering(
        &self,
        request: &Frame,
        number: &RequestId,
        answers: &str,
    ) -> Option<Frame> {
        self.dress_with(request, number, answers, &ANSWERS)
    }

    fn dress_with(&self, request: &Frame, number: &RequestId, comes: &str, goes: &[&str]) -> Option<Frame> {
        let params = request.payload();
        if params.is_empty() {
            let method = Value::from(&*request.method()).to_string();
            let params = format!(r#"{{"_meta":{}}}"#, self.meta());
            return Some(splice::request(number, &method[1..method.len() - 1], &params));
        }
        let [meta] = members(params, ["_meta"]).ok()?;
        let mut edits = Edits::of(request);
        let mut comes: Vec<_> =
            Some(comes.to_owned()).filter(|comes| !comes.is_empty()).into_iter().collect();
        match meta {
            Some(meta) => edits.reshape(meta, |name| ENVELOPE.contains(&name), &*self.text).ok()?,
            None => comes.push(format!(r#""_meta":{}"#, self.meta())),
        }
        edits.reshape(params, |name| goes.contains(&name), comes.join(",")).ok()?;
        Some(edits.done(Some(number)))
    }
}
