//! How the conversation with the backend begins, and what clients are told of it.

use serde_json::{Map, Value};

use super::Frame;
use crate::mcp::edits::Edits;
use crate::mcp::error::{Code, Failure, error_message};
use crate::mcp::id::RequestId;
use crate::mcp::introduction::{Introduction, own_info};
use crate::mcp::members::members;
use crate::mcp::profile::{Profile, SERVER_INFO};
use crate::mcp::shape::Shape;
use crate::mcp::splice;
use crate::mcp::version::{NEWEST_SESSION, STATELESS_VERSIONS};

/// As much of the backend's words as clients are shown, in characters.
const SHOWN: usize = 256;

/// `initialize` in the name of the clients. What only a client of the handshake era can do is not offered.
pub(super) fn initialize(id: &RequestId, introduction: &Introduction) -> Frame {
    let mut capabilities = Map::new();
    for name in ["elicitation", "sampling", "roots", "experimental"] {
        if let Some(own) = introduction.capabilities.get(name).filter(|own| own.is_object()) {
            capabilities.insert(name.to_owned(), own.clone());
        }
    }
    if let Some(Value::Object(roots)) = capabilities.get_mut("roots") {
        // Nobody could tell the backend.
        roots.remove("listChanged");
    }
    let info = introduction.info.clone().unwrap_or_else(|| own_info().to_string().into());
    let params = format!(
        r#"{{"protocolVersion":"{NEWEST_SESSION}","capabilities":{},"clientInfo":{info}}}"#,
        Value::Object(capabilities)
    );
    splice::request(id, "initialize", &params)
}

/// The answer to `server/discover` of a client; `named` is what a server is called that does not say.
pub(super) fn discovered(client: &RequestId, profile: &Profile, named: &str) -> Frame {
    let instructions = profile.instructions.as_ref().map(|text| format!(r#","instructions":{text}"#));
    let result = format!(
        r#"{{{},"supportedVersions":["{}"],"capabilities":{}{},"_meta":{{"{SERVER_INFO}":{}}}}}"#,
        Shape::of("server/discover").complete_text(),
        STATELESS_VERSIONS[0],
        profile.capabilities,
        instructions.unwrap_or_default(),
        profile.info_or(named)
    );
    let whole = splice::response(client, &result);
    let mut edits = Edits::of(&whole);
    if let Ok([Some(capabilities)]) = members(whole.payload(), ["capabilities"]) {
        // Tasks of 2025-11-25 are others than those of 2026-07-28.
        let _ = edits.reshape(capabilities, |name| name == "tasks", "");
    }
    edits.done(None)
}

/// What a server is taken for that has agreed, and says nothing else.
pub(super) fn silent() -> Profile {
    Profile { capabilities: "{}".into(), info: None, instructions: None }
}

/// What clients are told where the backend has refused to begin.
pub(super) fn refusal(answer: &Frame) -> Failure {
    let words: String = error_message(answer).unwrap_or_default().chars().take(SHOWN).collect();
    let said = if words.is_empty() { String::new() } else { format!(" ({words})") };
    let reason = format!("the server refused to be initialized{said}");
    Failure::new(Code::Internal, reason)
}
