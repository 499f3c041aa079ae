//! What the backend wants to know before it answers, and what the client says to it. A backend of the stateless era
//! returns its questions, and is sent the request again with the answers (MCP 2026-07-28, `input_required`); a client
//! of the handshake era is asked by requests.

use crate::mcp::edits::Edits;
use crate::mcp::error::{Code, error_frame, error_message};
use crate::mcp::frame::Frame;
use crate::mcp::id::RequestId;
use crate::mcp::introduction::{Ask, Introduction};
use crate::mcp::members::{decode, entries, members};
use crate::mcp::shape::Shape;
use crate::mcp::splice;

/// The questions of one `input_required`.
#[derive(Debug)]
pub(super) struct Round {
    questions: Vec<Question>,
    /// The backend's `requestState`, which goes back to it to the byte.
    state: Option<Box<str>>,
}

#[derive(Debug)]
struct Question {
    /// The id of our request to the client.
    id: RequestId,
    /// What the backend calls it, as JSON text.
    key: Box<str>,
    /// Its method.
    method: &'static str,
    /// The client's result.
    answer: Option<Box<str>>,
}

/// What a result of the kind `input_required` says.
#[derive(Debug)]
pub(super) struct Wanted<'f> {
    /// Each under the key that the backend gave it, as JSON text.
    asks: Vec<(String, Ask, Option<&'f str>)>,
    pub(super) state: Option<&'f str>,
}

/// Why the backend is not told what it wants to know. The client hears of it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Untold {
    #[error("the server asks for input in a way that cannot be read; tell those who maintain it")]
    Malformed,
    #[error(
        "the server asks for input in answer to a request to which the protocol does not allow it; tell those who \
         maintain it"
    )]
    Unbidden,
    #[error(
        "the server wants to ask the client by `{0}`, and the client has not said in `initialize` that it can be \
         asked that; use a client that can"
    )]
    Undeclared(&'static str),
    #[error("the client answered `{0}` of the server with an error: {1}")]
    Refused(&'static str, String),
    #[error(
        "the client answered `{0}` of the server with something that is no result; tell those who maintain it"
    )]
    NoResult(&'static str),
    #[error(
        "the server has asked for input {MAX_ROUNDS} times and still does not answer; try something else"
    )]
    Endless,
    #[error(
        "too much is kept for requests that the server may ask something about; wait for answers to others"
    )]
    TooMuch,
}

/// How often the backend may want to know something about one request.
pub(super) const MAX_ROUNDS: usize = 10;
/// How much it may want to know at once.
const MAX_QUESTIONS: usize = 32;
/// As much of a client's words as an error repeats, in characters.
const SHOWN: usize = 256;

// === impl Wanted ===

impl<'f> Wanted<'f> {
    /// Reads what such a result says.
    pub(super) fn read(result: &'f str) -> Result<Self, Untold> {
        let [asks, state] =
            members(result, ["inputRequests", "requestState"]).map_err(|_| Untold::Malformed)?;
        if state.is_some_and(|state| !state.starts_with('"')) {
            return Err(Untold::Malformed);
        }
        let mut wanted = Self { asks: Vec::new(), state };
        let mut is_read = true;
        if let Some(asks) = asks {
            entries(asks, |key, ask| match wanted.asks.len() < MAX_QUESTIONS && is_read {
                true => is_read = wanted.take(&key, ask).is_some(),
                false => is_read = false,
            })
            .map_err(|_| Untold::Malformed)?;
        }
        let is_empty = wanted.asks.is_empty() && state.is_none();
        if is_read && !is_empty { Ok(wanted) } else { Err(Untold::Malformed) }
    }

    fn take(&mut self, key: &str, ask: &'f str) -> Option<()> {
        let key = serde_json::Value::from(key).to_string();
        let [method, params] = members(ask, ["method", "params"]).ok()?;
        let ask = Ask::of(&decode(method?)?)?;
        let is_object = params.is_some_and(|params| params.starts_with('{'));
        let is_whole = is_object || (ask == Ask::Roots && params.is_none());
        (is_whole && self.asks.iter().all(|(own, ..)| *own != key)).then_some(())?;
        self.asks.push((key, ask, params));
        Some(())
    }

    /// Bytes that are kept of it.
    pub(super) fn weighs(&self) -> usize {
        self.asks.iter().map(|(key, ..)| key.len()).sum::<usize>() + self.state.map_or(0, str::len)
    }

    /// Whether there is nothing that the client could say.
    pub(super) fn is_silent(&self) -> bool {
        self.asks.is_empty()
    }

    /// The requests for the client, and where what it says to them is noted down.
    ///
    /// # Errors
    /// If it cannot be asked one of them.
    pub(super) fn put(
        &self,
        client: &Introduction,
        mut next: impl FnMut() -> RequestId,
    ) -> Result<(Round, Vec<Frame>), Untold> {
        let mut round = Round { questions: Vec::new(), state: self.state.map(Box::from) };
        let mut frames = Vec::new();
        for (key, ask, params) in &self.asks {
            let (params, id) = (params.unwrap_or("{}"), next());
            if !client.can_be_asked(*ask, params).map_err(|_| Untold::Malformed)? {
                return Err(Untold::Undeclared(ask.method()));
            }
            frames.push(put(&id, *ask, params)?);
            let key = key.as_str().into();
            round.questions.push(Question { id, key, method: ask.method(), answer: None });
        }
        Ok((round, frames))
    }
}

/// A question as a request. One that sends the client to a URL has an `elicitationId` in the handshake era.
fn put(id: &RequestId, ask: Ask, params: &str) -> Result<Frame, Untold> {
    let request = splice::request(id, ask.method(), params);
    let [mode, own] = members(params, ["mode", "elicitationId"]).map_err(|_| Untold::Malformed)?;
    let is_url = ask == Ask::Elicitation && mode.and_then(decode).is_some_and(|mode| mode == "url");
    if !is_url || own.is_some() {
        return Ok(request);
    }
    let mut edits = Edits::of(&request);
    let minted = format!(r#""elicitationId":"lockgate-{}""#, id.token());
    edits.reshape(request.payload(), |_| false, minted).map_err(|_| Untold::Malformed)?;
    Ok(edits.done(None))
}

// === impl Round ===

impl Round {
    /// Takes the client's answer to one of the questions.
    ///
    /// # Errors
    /// If it is none that the backend could use.
    pub(super) fn answer(&mut self, id: &RequestId, answer: &Frame) -> Result<(), Untold> {
        let Some(question) = self.questions.iter_mut().find(|question| question.id == *id) else {
            return Ok(());
        };
        // It is open no more, whatever it says.
        let result = question.answer.insert(answer.payload().into());
        if answer.is_error() {
            let words = error_message(answer).unwrap_or_default();
            return Err(Untold::Refused(question.method, words.chars().take(SHOWN).collect()));
        }
        if !result.starts_with('{') {
            return Err(Untold::NoResult(question.method));
        }
        Ok(())
    }

    /// The questions that the client has not answered.
    pub(super) fn open(&self) -> impl Iterator<Item = &RequestId> {
        self.questions.iter().filter(|question| question.answer.is_none()).map(|question| &question.id)
    }

    pub(super) fn is_over(&self) -> bool {
        self.open().next().is_none()
    }

    /// Bytes that are kept for it.
    pub(super) fn weighs(&self) -> usize {
        let texts = self.questions.iter().map(|q| q.key.len() + q.answer.as_ref().map_or(0, |a| a.len()));
        texts.sum::<usize>() + self.state.as_ref().map_or(0, |state| state.len())
    }

    /// What the request is sent again with: members of its parameters.
    pub(super) fn told(&self) -> String {
        let answers: Vec<_> = self
            .questions
            .iter()
            .map(|question| format!("{}:{}", question.key, question.answer.as_deref().unwrap_or("{}")))
            .collect();
        let answers = format!(r#""inputResponses":{{{}}}"#, answers.join(","));
        match &self.state {
            Some(state) => format!("{answers},{}", returned(state)),
            None => answers,
        }
    }
}

/// The member by which a state goes back to the backend.
pub(super) fn returned(state: &str) -> String {
    format!(r#""requestState":{state}"#)
}

// === impl Untold ===

impl Untold {
    /// The answer to the request that the backend has asked about. A model reads what comes of a tool, so it is told
    /// as that.
    pub(super) fn answer(&self, id: &RequestId, shape: Shape) -> Frame {
        if !shape.calls_tool {
            return error_frame(id, Code::Internal, &self.to_string());
        }
        let text = serde_json::Value::from(self.to_string());
        let result = format!(r#"{{"content":[{{"type":"text","text":{text}}}],"isError":true}}"#);
        splice::response(id, &result)
    }
}
