//! The router that checks every message a session receives against what it sent.

use std::collections::HashMap;
use std::time::Instant;

use serde_json::value::RawValue;
use tokio::sync::oneshot;

use crate::counts::Counts;
use crate::message::{InitializeResult, LogParams, Message, ProgressParams, ToolResult};
use crate::payload::{Payload, parse_tag};

/// What the answer to a request must look like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Expect {
    /// An initialize result.
    Initialize,
    /// The payload that was sent.
    Echo,
    /// Any tool result; its text is kept.
    Any,
    /// A text of this length.
    Length(usize),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    Good,
    Mismatch,
    RpcError,
}

pub struct Answer {
    pub at: Instant,
    pub verdict: Verdict,
}

struct Pending {
    seq: u64,
    expect: Expect,
    reply: oneshot::Sender<Answer>,
}

struct Burst {
    seen: Vec<bool>,
    next: u64,
}

/// One session's book of what was asked and what came back.
pub struct Router {
    session: u32,
    /// Added to a sequence number to make the JSON-RPC id.
    id_base: u64,
    next_seq: u64,
    pending: HashMap<u64, Pending>,
    /// `answered[seq]`, to tell a duplicate from a stranger.
    answered: Vec<bool>,
    bursts: HashMap<u64, Burst>,
    burst_fill: usize,
    last_child_seq: (u32, u64),
    /// Whether replies share one ordered stream.
    ordered: bool,
    pub dead: Option<String>,
    /// The protocol version that initialize agreed on.
    pub protocol: String,
    /// The text of the last `Expect::Any` result.
    pub last_text: String,
    pub counts: Counts,
}

impl Router {
    pub fn new(session: u32, unique_ids: bool, ordered: bool, burst_fill: usize) -> Self {
        Self {
            session,
            id_base: if unique_ids { (u64::from(session) + 1) << 28 } else { 0 },
            next_seq: 0,
            pending: HashMap::new(),
            answered: vec![false],
            bursts: HashMap::new(),
            burst_fill,
            last_child_seq: (0, 0),
            ordered,
            dead: None,
            protocol: String::new(),
            last_text: String::new(),
            counts: Counts::default(),
        }
    }

    pub fn session(&self) -> u32 {
        self.session
    }

    /// Books a new request; returns its id and sequence number.
    pub fn open(&mut self, expect: Expect) -> (u64, u64, oneshot::Receiver<Answer>) {
        self.next_seq += 1;
        let seq = self.next_seq;
        self.answered.push(false);
        let (reply, answer) = oneshot::channel();
        let id = self.id_base + seq;
        self.pending.insert(id, Pending { seq, expect, reply });
        (id, seq, answer)
    }

    /// Announces a burst of `n` notifications for call `seq`.
    pub fn expect_burst(&mut self, seq: u64, n: u64) {
        self.counts.note_expected += n;
        let seen = vec![false; n as usize];
        self.bursts.insert(seq, Burst { seen, next: 0 });
    }

    pub fn is_pending(&self, id: u64) -> bool {
        self.pending.contains_key(&id)
    }

    /// Gives up on a request that got no answer.
    pub fn abandon(&mut self, id: u64) {
        self.pending.remove(&id);
    }

    /// Forgets what set-up and warm-up counted.
    pub fn start_counting(&mut self) {
        let died = self.counts.sessions_died;
        let pids = std::mem::take(&mut self.counts.pids);
        self.counts = Counts { sessions_died: died, pids, ..Counts::default() };
        self.bursts.clear();
    }

    pub fn died(&mut self, why: String) {
        if self.dead.is_none() {
            self.counts.sessions_died += 1;
            self.counts.kind(&format!("session died: {why}"));
            self.dead = Some(why);
        }
        // Dropping the senders wakes those who wait.
        self.pending.clear();
    }

    pub fn on_message(&mut self, bytes: &[u8], payload: &Payload) {
        if bytes.trim_ascii().is_empty() {
            return;
        }
        let at = Instant::now();
        let Ok(msg) = serde_json::from_slice::<Message<'_>>(bytes) else {
            self.counts.unparsable += 1;
            return;
        };
        if !msg.method.is_empty() {
            if msg.id.is_some() {
                self.counts.server_requests += 1;
            } else {
                self.on_notification(&msg, at);
            }
            return;
        }
        let id = msg.id.and_then(|id| id.get().parse::<u64>().ok());
        let Some(pending) = id.and_then(|id| self.pending.remove(&id)) else {
            return self.on_stray(id, &msg);
        };
        let verdict = self.judge(&msg, &pending, payload);
        self.answered[pending.seq as usize] = true;
        // The one who waited may have given up just now; then it counts there.
        let _ = pending.reply.send(Answer { at, verdict });
    }

    fn judge(&mut self, msg: &Message<'_>, pending: &Pending, payload: &Payload) -> Verdict {
        let Some(result) = msg.result else {
            let why = msg.error.map_or("neither result nor error", RawValue::get);
            self.counts.kind(&format!("rpc: {why}"));
            return Verdict::RpcError;
        };
        match pending.expect {
            Expect::Initialize => {
                let Ok(init) = serde_json::from_str::<InitializeResult>(result.get()) else {
                    return Verdict::Mismatch;
                };
                self.protocol = init.protocol_version;
                return Verdict::Good;
            }
            Expect::Echo | Expect::Any | Expect::Length(_) => {}
        }
        let Ok(result) = serde_json::from_str::<ToolResult<'_>>(result.get()) else {
            return Verdict::Mismatch;
        };
        let text = result.content.first().map_or("", |c| &*c.text);
        if result.is_error {
            self.counts.kind(&format!("tool error: {text}"));
            return Verdict::RpcError;
        }
        if let Some(meta) = result.meta {
            self.counts.pids.insert(meta.pid);
            let (pid, last) = self.last_child_seq;
            if self.ordered && pid == meta.pid && meta.seq < last {
                self.counts.reordered += 1;
            }
            self.last_child_seq = (meta.pid, meta.seq);
        }
        let good = match pending.expect {
            Expect::Initialize => true,
            Expect::Any => {
                self.last_text = text.to_owned();
                true
            }
            Expect::Echo => payload.matches(text, self.session, pending.seq),
            Expect::Length(n) => text.len() == n,
        };
        if good { Verdict::Good } else { Verdict::Mismatch }
    }

    /// A reply that no open request asked for.
    fn on_stray(&mut self, id: Option<u64>, msg: &Message<'_>) {
        let ours =
            id.and_then(|id| id.checked_sub(self.id_base)).filter(|seq| (1..=self.next_seq).contains(seq));
        let tag = msg
            .result
            .and_then(|r| serde_json::from_str::<ToolResult<'_>>(r.get()).ok())
            .and_then(|r| parse_tag(r.content.first()?.text.split_once('|')?.0));
        match (ours, tag) {
            (_, Some((session, _))) if session != self.session => self.counts.foreign += 1,
            (Some(seq), _) if self.answered[seq as usize] => self.counts.duplicates += 1,
            (Some(seq), _) => {
                self.answered[seq as usize] = true;
                self.counts.late += 1;
            }
            (None, _) => self.counts.foreign += 1,
        }
    }

    fn on_notification(&mut self, msg: &Message<'_>, at: Instant) {
        let params = msg.params.map_or("null", RawValue::get);
        let note = match &*msg.method {
            "notifications/message" => serde_json::from_str::<LogParams<'_>>(params)
                .ok()
                .map(|p| (p.data.tag, p.data.i, p.data.fill)),
            "notifications/progress" => serde_json::from_str::<ProgressParams<'_>>(params)
                .ok()
                .map(|p| (p.token, p.progress as u64, p.message)),
            _ => None,
        };
        let Some((tag, i, fill)) = note else {
            self.counts.other_notifications += 1;
            return;
        };
        let counts = &mut self.counts;
        let burst = match parse_tag(&tag) {
            Some((session, seq)) if session == self.session => self.bursts.get_mut(&seq),
            _ => None,
        };
        let Some(burst) = burst else {
            counts.note_foreign += 1;
            return;
        };
        match burst.seen.get_mut(i as usize) {
            Some(seen) if !*seen => *seen = true,
            _ => {
                counts.note_duplicates += 1;
                return;
            }
        }
        if i < burst.next {
            counts.note_reordered += 1;
        } else {
            burst.next = i + 1;
        }
        if fill.len() != self.burst_fill {
            counts.note_damaged += 1;
        }
        counts.note_received += 1;
        counts.note_bytes += params.len() as u64;
        counts.last_note = Some(at);
    }
}

#[cfg(test)]
mod tests;
