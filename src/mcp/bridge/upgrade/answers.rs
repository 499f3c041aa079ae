//! Answers of the backend as clients of the stateless era expect them (MCP 2026-07-28; protocol.md section 5.3).

use super::Frame;
use crate::mcp::edits::{Edits, Merged};
use crate::mcp::error::{Code, OF_ENVELOPES, error_code, error_frame};
use crate::mcp::id::RequestId;
use crate::mcp::listing::sieved;
use crate::mcp::members::{at_most, decode, each, members};
use crate::mcp::profile::SERVER_INFO;
use crate::mcp::shape::Shape;
use crate::mcp::splice;

/// Older revisions say so that there is no such resource.
const NO_RESOURCE: i64 = -32002;
/// Older revisions say so that the client must open a URL first.
const URLS_REQUIRED: i64 = -32042;
/// URLs that one answer may want opened.
const MAX_URLS: usize = 64;

/// The result or error, for this request of a client; `info` is what the server says of itself.
pub(super) fn rewritten(answer: &Frame, shape: Shape, info: &str, client: &RequestId) -> Frame {
    if answer.is_error() {
        return failed(answer, client);
    }
    completed(answer, shape, info, client).unwrap_or_else(|_| {
        // Clients would take it for no answer at all.
        let reason = "the server has answered with a result that is no JSON object; tell whoever runs it";
        error_frame(client, Code::Internal, reason)
    })
}

fn completed(
    answer: &Frame,
    shape: Shape,
    info: &str,
    client: &RequestId,
) -> Result<Frame, serde_json::Error> {
    let without = shape.lists_tools.then(|| without_tasks(answer)).flatten();
    let answer = without.as_ref().unwrap_or(answer);
    let mut edits = Edits::of(answer);
    let complete = shape.complete_text();
    let merged = Merged { members: &complete, instead_of: shape.marks(), meta: (SERVER_INFO, info) };
    edits.merge(answer.payload(), merged)?;
    if shape.lists_tools
        && let Ok([Some(tools)]) = members(answer.payload(), ["tools"])
    {
        // A list that is none stays as it is; so does a tool.
        let _ = each(tools, |tool| {
            let _ = edits.reshape(tool, |name| name == "execution", "");
        });
    }
    Ok(edits.done(Some(client)))
}

/// A list of tools without those that can be called as tasks of 2025-11-25 only; `None` if there are none.
fn without_tasks(answer: &Frame) -> Option<Frame> {
    let needs_task = |tool: &str| {
        let [execution] = members(tool, ["execution"]).ok()?;
        let [support] = members(execution?, ["taskSupport"]).ok()?;
        decode(support?).map(|support| support == "required")
    };
    let [tools] = members(answer.payload(), ["tools"]).ok()?;
    let left = sieved(tools?, |tool| needs_task(tool) != Some(true)).ok()??;
    let mut edits = Edits::of(answer);
    edits.replace(tools?, left);
    Some(edits.done(None))
}

fn failed(answer: &Frame, client: &RequestId) -> Frame {
    let code = match error_code(answer) {
        Some(NO_RESOURCE) => Some(Code::InvalidParams),
        // Nothing else than what may ask can be answered so.
        Some(URLS_REQUIRED) => Some(Code::Internal),
        Some(code) if OF_ENVELOPES.contains(&code) => Some(Code::Internal),
        _ => None,
    };
    let mut edits = Edits::of(answer);
    let token = members(answer.payload(), ["code"]).ok().and_then(|[token]| token);
    if let (Some(code), Some(token)) = (code, token) {
        edits.replace(token, code.number().to_string());
    }
    edits.done(Some(client))
}

/// The elicitations that the client must see to before the server does what it was asked, if the answer names such;
/// each is an object as the server sent it.
pub(super) fn urls_required(answer: &Frame) -> Option<Vec<&str>> {
    error_code(answer).filter(|code| *code == URLS_REQUIRED)?;
    let [data] = members(answer.payload(), ["data"]).ok()?;
    let [urls] = members(data?, ["elicitations"]).ok()?;
    let urls = at_most(urls?, MAX_URLS).ok()??;
    (!urls.is_empty() && urls.iter().all(|url| url.starts_with('{'))).then_some(urls)
}

/// Asks the client of a request. `asked` is an object, `state` a string, both as JSON text.
pub(super) fn input_required(client: &RequestId, asked: &str, state: &str, info: &str) -> Frame {
    let result = format!(
        r#"{{"resultType":"input_required","inputRequests":{asked},"requestState":{state},"_meta":{{"{SERVER_INFO}":{info}}}}}"#
    );
    splice::response(client, &result)
}
