//! What the client is told unasked. A backend of the stateless era tells it on a subscription that lists what is
//! wanted and cannot be changed, so that a change means another subscription, behind whose acknowledgement the old
//! one is called off. From there on only the new one counts: whatever comes on both is passed once, and nothing is
//! lost.
//!
//! ```text
//! Silent ── wanted ──▶ Asked ── acknowledged ──▶ On ── wanted changes ──▶ On and Asked ── acknowledged ──▶ On
//!   ▲                  ▲   │ refused,             │ ended                    │ refused, or late ──▶ On
//!   │         time is up   │ or late (10 s)       ▼                          │ ended ──▶ Asked
//!   │                  └── Pausing, 1 s … 5 s ◀───┘
//!   └── five in a row, until the client changes something; or nothing is wanted any more
//! ```
//! What is `next` has been asked for, what is `current` is on. What the client changes is in `changes`.

mod changes;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use self::changes::Changes;
use crate::mcp::bridge::passed::Passed;
use crate::mcp::error::{Code, Failure, error_message};
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
    next: Option<Next>,
    /// What the client has asked for, and waits for.
    changes: Changes,
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

#[derive(Debug)]
struct Next {
    number: RequestId,
    /// When it is late.
    due: Duration,
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
/// How long the backend may take to acknowledge a subscription.
const PATIENCE: Duration = Duration::from_secs(10);
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
        let is_so = adds == self.uris.contains(&*uri) && !self.changes.concern(&uri);
        if is_so && (self.current.is_some() || !adds) {
            return Ok(Taken::IsSo);
        }
        if adds && !has_room(self.uris.iter().map(|uri| &**uri), &uri) {
            return refused("too many resources are subscribed to; unsubscribe from some");
        }
        if !has_room(self.changes.uris(), &uri) {
            return refused("too many subscriptions are being changed; wait for the answers to others");
        }
        match adds {
            true => drop(self.uris.insert((&*uri).into())),
            false => drop(self.uris.remove(&*uri)),
        }
        self.changes.push(id, &uri, adds);
        self.is_stale = true;
        self.ended = 0;
        Ok(Taken::Later)
    }

    pub(super) fn expects(&self, id: &RequestId) -> bool {
        self.changes.contain(id)
    }

    /// The client does not wait for a change any more. Says whether it did.
    pub(super) fn call_off(&mut self, id: &RequestId) -> bool {
        let Some(change) = self.changes.remove(id) else { return false };
        if change.adds && !self.changes.concern(&change.uri) {
            self.is_stale |= self.uris.remove(&change.uri);
        }
        true
    }

    /// Whether the backend is to be asked for something else, and has answered what it was last asked.
    pub(super) fn is_behind(&self) -> bool {
        self.is_stale && self.next.is_none()
    }

    /// Asks the backend for what is wanted now.
    pub(super) fn catch_up(
        &mut self,
        meta: &str,
        number: impl FnOnce() -> RequestId,
        now: Duration,
        out: &mut Passed,
    ) {
        (self.is_stale, self.due) = (false, None);
        if self.lists.is_empty() && self.uris.is_empty() {
            self.drop_current(out);
            return out.to_client.extend(self.changes.take_all().iter().map(|change| change.done().into()));
        }
        let number = number();
        self.changes.join(&number);
        let mut wanted: serde_json::Map<_, _> =
            self.lists.iter().map(|list| ((*list).to_owned(), Value::Bool(true))).collect();
        if !self.uris.is_empty() {
            wanted.insert("resourceSubscriptions".to_owned(), json!(self.uris));
        }
        let params = format!(r#"{{"_meta":{meta},"notifications":{}}}"#, Value::Object(wanted));
        out.to_backend.push(splice::request(&number, "subscriptions/listen", &params));
        self.next = Some(Next { number, due: now + PATIENCE });
    }

    /// The backend has acknowledged a subscription.
    pub(super) fn acknowledged(&mut self, number: &RequestId, ack: &Frame, now: Duration, out: &mut Passed) {
        if self.next.take_if(|next| next.number == *number).is_none() {
            return;
        }
        self.drop_current(out);
        let honoured = honoured(ack);
        self.settle(number, |uri| honoured.contains(uri), NOT_TAKEN, out);
        self.current = Some(Current { number: number.clone(), since: now });
    }

    /// A subscription has ended; `answer` is what the backend says to it, if it says something.
    pub(super) fn ended(
        &mut self,
        number: &RequestId,
        answer: Option<&Frame>,
        now: Duration,
        out: &mut Passed,
    ) {
        if self.next.take_if(|next| next.number == *number).is_some() {
            let words = answer.and_then(error_message);
            self.settle(number, |_| false, words.as_deref().unwrap_or(NOT_TAKEN), out);
        } else if let Some(current) = self.current.take_if(|current| current.number == *number) {
            let lasted = now.saturating_sub(current.since) >= LASTING;
            self.ended = if lasted { 0 } else { self.ended };
        } else {
            return;
        }
        self.pause(now);
    }

    /// Answers the changes that were part of this subscription. `words` say why the client is not told of a resource;
    /// if it has asked for that once more, that is still to be seen.
    fn settle(&mut self, number: &RequestId, is_told: impl Fn(&str) -> bool, words: &str, out: &mut Passed) {
        for change in self.changes.take(number) {
            let is_done = !change.adds || is_told(&change.uri);
            if !is_done && !self.changes.concern(&change.uri) {
                self.uris.remove(&change.uri);
            }
            out.to_client.push(if is_done { change.done() } else { change.refused(words) }.into());
        }
    }

    /// Asks again in a while, if the client is told nothing now of what it wants.
    fn pause(&mut self, now: Duration) {
        let is_wanted = !self.lists.is_empty() || !self.uris.is_empty();
        if self.current.is_none() && is_wanted && self.next.is_none() && self.ended < MAX_ENDED {
            self.ended += 1;
            self.due = Some(now + PACE * self.ended);
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.due.into_iter().chain(self.next.as_ref().map(|next| next.due)).min()
    }

    /// What has ended is asked for again when its time has come; what is late is called off.
    pub(super) fn tick(&mut self, now: Duration, out: &mut Passed) {
        if let Some(late) = self.next.take_if(|next| next.due <= now) {
            out.to_backend.push(cancelled(&late.number, "it was not acknowledged in time"));
            self.settle(&late.number, |_| false, LATE, out);
            self.pause(now);
        }
        if self.due.is_some_and(|due| due <= now) {
            self.due = None;
            self.is_stale = true;
        }
    }

    /// Whether the client is told what comes on this subscription.
    pub(super) fn counts(&self, number: &RequestId) -> bool {
        let next = self.next.as_ref().map(|next| &next.number);
        let counting = self.current.as_ref().map(|current| &current.number).or(next);
        counting == Some(number)
    }

    /// Whether the backend knows a subscription by this number.
    pub(super) fn is_open(&self, number: &RequestId) -> bool {
        let is_next = self.next.as_ref().is_some_and(|next| next.number == *number);
        is_next || self.current.as_ref().is_some_and(|own| own.number == *number)
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
}

const NOT_TAKEN: &str =
    "the server does not tell of changes of this resource; `resources/list` shows what it has";
const LATE: &str =
    "the server has not said within 10 seconds whether it tells of changes of this resource; try again later";

/// Whether there is room for one more among these.
fn has_room<'a>(uris: impl Iterator<Item = &'a str>, uri: &str) -> bool {
    let (count, bytes) = uris.fold((0, uri.len()), |(count, bytes), own| (count + 1, bytes + own.len()));
    count < MAX_URIS && bytes <= MAX_BYTES
}

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
