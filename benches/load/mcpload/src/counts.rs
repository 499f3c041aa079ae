//! What is counted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// Everything counted over one run; summed over sessions.
#[derive(Default, Clone, Debug)]
pub struct Counts {
    pub attempted: u64,
    pub ok: u64,
    pub errors: u64,
    pub lost: u64,
    pub late: u64,
    pub mismatched: u64,
    pub duplicates: u64,
    /// Messages that belong to another session or to nobody.
    pub foreign: u64,
    /// Replies that arrived behind a later reply of the same child.
    pub reordered: u64,
    pub unparsable: u64,
    /// Requests from the server (roots, sampling, ...), which nobody expects.
    pub server_requests: u64,
    pub other_notifications: u64,
    pub reconnects: u64,
    pub sessions_died: u64,
    pub note_expected: u64,
    pub note_received: u64,
    pub note_duplicates: u64,
    pub note_reordered: u64,
    pub note_foreign: u64,
    pub note_damaged: u64,
    pub note_bytes: u64,
    pub last_note: Option<Instant>,
    pub pids: BTreeSet<u32>,
    pub error_kinds: BTreeMap<String, u64>,
}

impl Counts {
    pub fn error(&mut self, why: &str) {
        self.errors += 1;
        self.kind(why);
    }

    pub fn kind(&mut self, why: &str) {
        let mut short: String = why.chars().take(120).collect();
        if !self.error_kinds.contains_key(&short) && self.error_kinds.len() >= 20 {
            short = "others".to_owned();
        }
        *self.error_kinds.entry(short).or_default() += 1;
    }

    pub fn add(&mut self, o: &Self) {
        self.attempted += o.attempted;
        self.ok += o.ok;
        self.errors += o.errors;
        self.lost += o.lost;
        self.late += o.late;
        self.mismatched += o.mismatched;
        self.duplicates += o.duplicates;
        self.foreign += o.foreign;
        self.reordered += o.reordered;
        self.unparsable += o.unparsable;
        self.server_requests += o.server_requests;
        self.other_notifications += o.other_notifications;
        self.reconnects += o.reconnects;
        self.sessions_died += o.sessions_died;
        self.note_expected += o.note_expected;
        self.note_received += o.note_received;
        self.note_duplicates += o.note_duplicates;
        self.note_reordered += o.note_reordered;
        self.note_foreign += o.note_foreign;
        self.note_damaged += o.note_damaged;
        self.note_bytes += o.note_bytes;
        self.last_note = self.last_note.max(o.last_note);
        self.pids.extend(&o.pids);
        for (kind, n) in &o.error_kinds {
            *self.error_kinds.entry(kind.clone()).or_default() += n;
        }
    }
}
