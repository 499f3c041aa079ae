//! What hostile servers are told to try, and where they run.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::client::Session;
use crate::gateway::{Gateway, peer};

impl Gateway {
    /// The scripted servers that run, by their ids on the host.
    pub(crate) fn peers(&self) -> BTreeSet<u32> {
        let program = PathBuf::from(peer()).canonicalize().unwrap();
        let runs = |pid: &u32| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == program);
        self.descendants().into_iter().filter(runs).collect()
    }
}

impl Session {
    /// Tries an act of `tests/peer/hostile.py`.
    pub(crate) async fn attack(&mut self, act: &str, with: Value) -> Value {
        self.call("attack", json!({ "act": act, "with": with })).await
    }
}
