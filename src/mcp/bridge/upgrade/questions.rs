//! What the backend has asked and nobody has answered yet. A question that comes while a call runs is one of that
//! call, and ends with it; any other belongs to nobody, and waits until the next call can carry it to its client.

use std::collections::HashMap;
use std::time::Duration;

use super::Frame;
use crate::mcp::bridge::passed::Passed;
use crate::mcp::edits::Edits;
use crate::mcp::error::{Code, error_frame};
use crate::mcp::id::RequestId;
use crate::mcp::members::{entries, members};
use crate::mcp::splice;

/// The open questions, in the order they came.
#[derive(Debug, Default)]
pub(super) struct Questions {
    open: Vec<Question>,
    bytes: usize,
    next_key: u64,
}

#[derive(Debug)]
struct Question {
    /// As the backend calls it.
    id: RequestId,
    /// As clients are asked: an object with its method and parameters.
    text: Box<str>,
    /// How long it waits for a call, if it is of none.
    until: Option<Duration>,
    /// As the client that was asked calls it.
    key: Option<Box<str>>,
}

/// Questions that may be open.
pub(super) const MAX: usize = 64;
/// What they may take, in bytes. One alone may be as large as the limit for lines allows.
const MAX_BYTES: usize = 1 << 20;

impl Questions {
    /// Takes a request of the backend, which waits so long for a call, if it is of none.
    ///
    /// # Errors
    /// Why it cannot be asked, for the backend.
    pub(super) fn add(
        &mut self,
        id: &RequestId,
        question: &Frame,
        until: Option<Duration>,
    ) -> Result<(), (Code, &'static str)> {
        let fault = |reason| (Code::Internal, reason);
        let text = text(question).ok_or(fault("`params` must be an object, each member there once"))?;
        if self.open.iter().any(|open| open.id == *id) {
            return Err(fault("a request with this id is still open"));
        }
        let bytes = self.bytes + text.len();
        if self.open.len() >= MAX || (!self.open.is_empty() && bytes > MAX_BYTES) {
            return Err(fault("too many requests to clients are open"));
        }
        self.bytes = bytes;
        self.open.push(Question { id: id.clone(), text, until, key: None });
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// The backend wants no answer any more.
    pub(super) fn withdraw(&mut self, id: &RequestId) {
        self.take_if(|question| question.id == *id);
    }

    /// All of them, as `inputRequests`. They are of the call that asks now. One that is asked again keeps its key.
    pub(super) fn ask(&mut self) -> String {
        let next_key = &mut self.next_key;
        let asked = self.open.iter_mut().map(|question| {
            question.until = None;
            let key = question.key.get_or_insert_with(|| {
                *next_key += 1;
                format!("q{next_key}").into()
            });
            format!(r#""{key}":{}"#, question.text)
        });
        format!("{{{}}}", asked.collect::<Vec<_>>().join(","))
    }

    /// What a client has brought as `inputResponses`, as answers for the backend. What it has not brought stays open;
    /// what nobody has asked is left out.
    pub(super) fn answer(&mut self, responses: Option<&str>) -> Vec<Frame> {
        let keys: HashMap<_, _> =
            self.open.iter().filter_map(|open| Some((open.key.as_deref()?, &open.id))).collect();
        let mut answers = Vec::new();
        // What is no object answers nothing.
        let _ = entries(responses.unwrap_or_default(), |key, token| {
            let id = keys.get(&*key).filter(|_| token.starts_with('{'));
            answers.extend(id.map(|id| ((*id).clone(), token)));
        });
        let mut frames = Vec::with_capacity(answers.len());
        for (id, token) in answers {
            // Of two answers with the same key the first counts.
            if !self.take_if(|question| question.id == id).is_empty() {
                frames.push(splice::response(&id, token));
            }
        }
        frames
    }

    /// The call that runs has ended. What was asked in it will not be answered.
    pub(super) fn end_call(&mut self) -> Vec<RequestId> {
        self.take_if(|question| question.until.is_none())
    }

    /// Answers for clients what no call could carry in time.
    pub(super) fn refuse_due(&mut self, now: Duration, out: &mut Passed) {
        let due = self.take_if(|question| question.until.is_some_and(|due| due <= now));
        let reason = "no call came in which a client could have been asked";
        out.to_backend.extend(due.iter().map(|id| error_frame(id, Code::Internal, reason)));
    }

    pub(super) fn take_all(&mut self) -> Vec<RequestId> {
        self.take_if(|_| true)
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.open.iter().filter_map(|question| question.until).min()
    }

    fn take_if(&mut self, goes: impl Fn(&Question) -> bool) -> Vec<RequestId> {
        let taken: Vec<_> = self.open.extract_if(.., |question| goes(question)).collect();
        self.bytes -= taken.iter().map(|question| question.text.len()).sum::<usize>();
        taken.into_iter().map(|question| question.id).collect()
    }
}

/// A request of the backend as a client is asked it. The progress token goes: a result cannot carry progress.
fn text(question: &Frame) -> Option<Box<str>> {
    let method = serde_json::Value::from(&*question.method());
    if question.payload().is_empty() {
        return Some(format!(r#"{{"method":{method}}}"#).into());
    }
    let [meta] = members(question.payload(), ["_meta"]).ok()?;
    let mut edits = Edits::of(question);
    if let Some(meta) = meta.filter(|meta| meta.starts_with('{')) {
        edits.reshape(meta, |name| name == "progressToken", "").ok()?;
    }
    Some(format!(r#"{{"method":{method},"params":{}}}"#, edits.done(None).payload()).into())
}
