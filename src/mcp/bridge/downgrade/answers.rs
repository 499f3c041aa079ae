//! Results and errors of the stateless era, as a client of the handshake era expects them.

use super::requests::Request;
use crate::mcp::bridge::downgrade::rounds::{Untold, Wanted};
use crate::mcp::edits::Edits;
use crate::mcp::error::{Code, OF_ENVELOPES, error_code, error_frame};
use crate::mcp::frame::Frame;
use crate::mcp::id::RequestId;
use crate::mcp::members::{decode, each, members};
use crate::mcp::profile::SERVER_INFO;
use crate::mcp::shape::ONLY_STATELESS;

/// What an answer of the backend is.
#[derive(Debug)]
pub(super) enum Answer<'f> {
    /// It ends the request: as the client gets it.
    Last(Frame),
    /// The backend wants to know something first.
    Wants(Wanted<'f>),
    /// It wants that in a way in which it cannot be told.
    Untold(Untold),
}

/// Reads what the backend answers to this request.
pub(super) fn read<'f>(request: &Request, answer: &'f Frame) -> Answer<'f> {
    if answer.is_error() {
        return Answer::Last(error(&request.id, answer));
    }
    let unreadable = || {
        error_frame(
            &request.id,
            Code::Internal,
            "the server's answer is no result that can be read; tell the operator",
        )
    };
    let Ok([kind]) = members(answer.payload(), ["resultType"]) else { return Answer::Last(unreadable()) };
    match kind.map(decode) {
        None => {}
        Some(Some(kind)) if kind == "complete" => {}
        Some(Some(kind)) if kind == "input_required" => {
            return match request.shape.may_ask {
                true => Wanted::read(answer.payload()).map_or_else(Answer::Untold, Answer::Wants),
                false => Answer::Untold(Untold::Unbidden),
            };
        }
        Some(_) => {
            let words = "the server's answer is of a kind that the protocol version of this client does not have; \
                 tell the operator";
            return Answer::Last(error_frame(&request.id, Code::Internal, words));
        }
    }
    Answer::Last(result(request, answer).unwrap_or_else(|_| unreadable()))
}

/// An error, with its words.
pub(super) fn error(id: &RequestId, answer: &Frame) -> Frame {
    let mut edits = Edits::of(answer);
    if error_code(answer).is_some_and(|code| OF_ENVELOPES.contains(&code))
        && let Ok([Some(code)]) = members(answer.payload(), ["code"])
    {
        edits.replace(code, Code::Internal.number().to_string());
    }
    edits.done(Some(id))
}

fn result(request: &Request, answer: &Frame) -> Result<Frame, serde_json::Error> {
    let result = answer.payload();
    let [meta, tools, structured] = members(result, ["_meta", "tools", "structuredContent"])?;
    let mut edits = Edits::of(answer);
    if let Some(meta) = meta.filter(|meta| meta.starts_with('{')) {
        edits.reshape(meta, |name| name == SERVER_INFO, "")?;
    }
    if let Some(tools) = tools.filter(|_| request.shape.lists_tools) {
        schemas(tools, &mut edits)?;
    }
    // Before 2026-07-28 it is an object; the same stands in `content` for people and models to read.
    let is_bare = request.shape.calls_tool && structured.is_some_and(|value| !value.starts_with('{'));
    edits.reshape(
        result,
        |name| ONLY_STATELESS.contains(&name) || (is_bare && name == "structuredContent"),
        "",
    )?;
    Ok(edits.done(Some(&request.id)))
}

/// Takes out of tools what says that they return something else than an object, which no older client can read.
fn schemas(tools: &str, edits: &mut Edits<'_>) -> Result<(), serde_json::Error> {
    let mut outcome = Ok(());
    each(tools, |tool| {
        let Ok([Some(schema)]) = members(tool, ["outputSchema"]) else { return };
        let of = members(schema, ["type"]).ok().and_then(|[of]| decode(of?));
        if outcome.is_ok() && of.is_none_or(|of| of != "object") {
            outcome = edits.reshape(tool, |name| name == "outputSchema", "");
        }
    })?;
    outcome
}
