//! What the client is told unasked. A backend of the stateless era tells it on a subscription that lists what is
//! wanted and cannot be changed, so that a change means another subscription, behind whose acknowledgement the old
//! one is called off. From there on only the new one counts: whatever comes on both is passed once, and nothing is
//! lost.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::mcp::bridge::passed::Passed;
use crate::mcp::error::{Code, Failure, error_frame, error_message};
use crate::mcp::frame::Frame;
use crate::mcp::id::RequestId;
use crate::mcp::members::{decode, each, members};
use crate::mcp::profile::Profile;
use crate::mcp::related::cancelled;
use crate::mcp::splice;

/// The subscription of one client, and what is to become of it.
#[derive(Debug, Default)]
pub(super) struct Listening {
    /// The members of a subscription for the lists of which the backend says when they change.
    lists: Vec<&'static str>,
    /// Whether the client is ready.
    has_begun: bool,
    /// The resources that the client has subscribed to, some of them perhaps in vain.
    uris: BTreeSet<Box<str>>,
    /// The subscription that counts.
    current: Option<Current>,
    /// One that has been asked for.
    next: Option<RequestId>,
    /// What the client has asked for, and waits for.
    changes: Vec<Change>,
    /// What is wanted is not what was last asked for.
    is_stale: bool,
    /// How often the backend has ended it in a row.
    ended: u32,
    due: Option<Duration>,
}

#[derive(Debug)]
struct Current {
    number: RequestId,
    since: Duration,
}

/// A `resources/subscribe` or `resources/unsubscribe`.
#[derive(Debug)]
struct Change {
    id: RequestId,
    uri: Box<str>,
    adds: bool,
    /// The subscription that was asked for because of it, among others.
    by: Option<RequestId>,
}

/// What becomes of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// There is nothing to change.
    IsSo,
    /// The client is answered when the backend has been.
    Later,
}

/// How many resources a client may subscribe to, and what their names may take together, in bytes.
const MAX_URIS: usize = 1024;
const MAX_BYTES: usize = 64 << 10;
/// How long until an ended subscription is asked for again, how often, and after how long it counts as the first time.
const PACE: Duration = Duration::from_secs(1);
const MAX_ENDED: u32 = 5;
const LASTING: Duration = Duration::from_secs(60);

impl Listening {
    /// Of a backend that can tell this.
    pub(super) fn of(profile: &Profile) -> Self {
        let lists = [
            ("tools", "toolsListChanged"),
            ("prompts", "promptsListChanged"),
            ("resources", "resourcesListChanged"),
        ];
        let told = lists.into_iter().filter(|(what, _)| profile.can(what, Some("listChanged")));
        Self { lists: told.map(|(_, member)| member).collect(), ..Self::default() }
    }

    /// The client is ready to be told.
    pub(super) fn begin(&mut self) {
        self.is_stale |= !std::mem::replace(&mut self.has_begun, true) && !self.lists.is_empty();
    }

    /// Takes a request to be told of changes of a resource, or to be told no more.
    ///
    /// # Errors
    /// If that cannot be.
    pub(super) fn change(&mut self, request: &Frame, id: &RequestId, adds: bool) -> Result<Taken, Failure> {
        let refused = |words| Err(Failure::new(Code::InvalidParams, words));
        let uri = members(request.payload(), ["uri"]).ok().and_then(|[uri]| decode(uri?));
        let Some(uri) = uri else { return refused("`params.uri` must be there, and a string") };
        let is_so = adds == self.uris.contains(&*uri) && !self.is_changing(&uri);
        if is_so && (self.current.is_some() || !adds) {
            return Ok(Taken::IsSo);
        }
        let is_full = |count: usize, bytes: usize| count >= MAX_URIS || bytes + uri.len() > MAX_BYTES;
        if adds && is_full(self.uris.len(), self.uris.iter().map(|uri| uri.len()).sum()) {
            return refused("too many resources are subscribed to; unsubscribe from some");
        }
        if is_full(self.changes.len(), self.changes.iter().map(|change| change.uri.len()).sum()) {
            return refused("too many subscriptions are being changed; wait for the answers to others");
        }
        let uri: Box<str> = uri.into();
        match adds {
            true => drop(self.uris.insert(uri.clone())),
            false => drop(self.uris.remove(&uri)),
        }
        self.changes.push(Change { id: id.clone(), uri, adds, by: None });
        self.is_stale = true;
        self.ended = 0;
        Ok(Taken::Later)
    }

    fn is_changing(&self, uri: &str) -> bool {
        self.changes.iter().any(|change| *change.uri == *uri)
    }

    pub(super) fn expects(&self, id: &RequestId) -> bool {
        self.changes.iter().any(|change| change.id == *id)
    }

    /// The client does not wait for a change any more. Says whether it did.
    pub(super) fn call_off(&mut self, id: &RequestId) -> bool {
        let Some(at) = self.changes.iter().position(|change| change.id == *id) else { return false };
        let change = self.changes.remove(at);
        if change.adds && !self.is_changing(&change.uri) {
            self.is_stale |= self.uris.remove(&change.uri);
        }
        true
    }

    /// Whether the backend is to be asked for something else, and has answered what it was last asked.
    pub(super) fn is_behind(&self) -> bool {
        self.is_stale && self.next.is_none()
    }

    /// Asks the backend for what is wanted now.
    pub(super) fn catch_up(&mut self, meta: &str, number: impl FnOnce() -> RequestId, out: &mut Passed) {
        (self.is_stale, self.due) = (false, None);
        if self.lists.is_empty() && self.uris.is_empty() {
            self.drop_current(out);
            return self.settle(|_| true, |change| splice::response(&change.id, "{}"), out);
        }
        let number = number();
        for change in self.changes.iter_mut().filter(|change| change.by.is_none()) {
            change.by = Some(number.clone());
        }
        let mut wanted: serde_json::Map<_, _> =
            self.lists.iter().map(|list| ((*list).to_owned(), Value::Bool(true))).collect();
        if !self.uris.is_empty() {
            wanted.insert("resourceSubscriptions".to_owned(), json!(self.uris));
        }
        let params = format!(r#"{{"_meta":{meta},"notifications":{}}}"#, Value::Object(wanted));
        out.to_backend.push(splice::request(&number, "subscriptions/listen", &params));
        self.next = Some(number);
    }

    /// The backend has acknowledged a subscription.
    pub(super) fn acknowledged(&mut self, number: &RequestId, ack: &Frame, now: Duration, out: &mut Passed) {
        if self.next.as_ref() != Some(number) {
            return;
        }
        self.drop_current(out);
        let honoured = honoured(ack);
        for change in self.changes.iter().filter(|change| change.adds && change.by.as_ref() == Some(number)) {
            if !honoured.contains(&*change.uri) {
                self.uris.remove(&change.uri);
            }
        }
        let answer = |change: &Change| match !change.adds || honoured.contains(&*change.uri) {
            true => splice::response(&change.id, "{}"),
            false => error_frame(&change.id, Code::InvalidParams, NOT_TAKEN),
        };
        self.settle(|change| change.by.as_ref() == Some(number), answer, out);
        self.current = Some(Current { number: number.clone(), since: now });
        self.next = None;
    }

    /// A subscription has ended; `answer` is what the backend says to it, if it says something.
    pub(super) fn ended(
        &mut self,
        number: &RequestId,
        answer: Option<&Frame>,
        now: Duration,
        out: &mut Passed,
    ) {
        if self.next.as_ref() == Some(number) {
            self.next = None;
            for change in
                self.changes.iter().filter(|change| change.adds && change.by.as_ref() == Some(number))
            {
                self.uris.remove(&change.uri);
            }
            let words = answer.and_then(error_message).unwrap_or_else(|| NOT_TAKEN.to_owned());
            let answer = |change: &Change| match change.adds {
                true => error_frame(&change.id, Code::InvalidParams, &words),
                false => splice::response(&change.id, "{}"),
            };
            self.settle(|change| change.by.as_ref() == Some(number), answer, out);
        } else if self.current.as_ref().is_some_and(|current| current.number == *number) {
            let lasted =
                self.current.take().is_some_and(|current| now.saturating_sub(current.since) >= LASTING);
            self.ended = if lasted { 0 } else { self.ended };
        } else {
            return;
        }
        let is_wanted = !self.lists.is_empty() || !self.uris.is_empty();
        if self.current.is_none() && is_wanted && self.next.is_none() && self.ended < MAX_ENDED {
            self.ended += 1;
            self.due = Some(now + PACE * self.ended);
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.due
    }

    /// What has ended is asked for again when its time has come.
    pub(super) fn tick(&mut self, now: Duration) {
        if self.due.is_some_and(|due| due <= now) {
            self.due = None;
            self.is_stale = true;
        }
    }

    /// Whether the client is told what comes on this subscription.
    pub(super) fn counts(&self, number: &RequestId) -> bool {
        let counting = self.current.as_ref().map(|current| &current.number).or(self.next.as_ref());
        counting == Some(number)
    }

    /// Whether the backend knows a subscription by this number.
    pub(super) fn is_open(&self, number: &RequestId) -> bool {
        self.next.as_ref() == Some(number) || self.current.as_ref().is_some_and(|own| own.number == *number)
    }

    /// Whether nothing is on its way.
    #[cfg(test)]
    pub(super) fn is_settled(&self) -> bool {
        self.next.is_none() && self.changes.is_empty() && self.due.is_none() && !self.is_stale
    }

    fn drop_current(&mut self, out: &mut Passed) {
        if let Some(old) = self.current.take() {
            out.to_backend.push(cancelled(&old.number, "another subscription takes its place"));
        }
    }

    /// Answers the changes of which that holds.
    fn settle(
        &mut self,
        which: impl Fn(&Change) -> bool,
        answer: impl Fn(&Change) -> Frame,
        out: &mut Passed,
    ) {
        out.to_client.extend(self.changes.extract_if(.., |change| which(change)).map(|c| answer(&c).into()));
    }
}

const NOT_TAKEN: &str =
    "the server does not tell of changes of this resource; `resources/list` shows what it has";

/// The resources of whose changes the backend is going to tell.
fn honoured(ack: &Frame) -> BTreeSet<String> {
    let mut honoured = BTreeSet::new();
    let uris = members(ack.payload(), ["notifications"])
        .and_then(|[wanted]| members(wanted.unwrap_or("{}"), ["resourceSubscriptions"]));
    if let Ok([Some(uris)]) = uris {
        // What cannot be read is not honoured.
        let _ = each(uris, |uri| honoured.extend(decode(uri).map(|uri| uri.into_owned())));
    }
    honoured
}
