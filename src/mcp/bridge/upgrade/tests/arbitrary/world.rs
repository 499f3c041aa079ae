//! Both sides, and what each of them may hear by what has been said.

use std::collections::{BTreeMap, BTreeSet};

use super::super::*;

/// A call that its client was asked something in.
pub(super) struct Round {
    pub(super) tag: String,
    pub(super) keys: Vec<String>,
    pub(super) states: Vec<String>,
}

/// Both sides, and what each of them waits for.
pub(super) struct World {
    pub(super) both: Both,
    pub(super) next: u64,
    /// What clients wait for, by number: the tag of the request. Each tag is another request's.
    pub(super) waiting: BTreeMap<u64, String>,
    pub(super) listens: BTreeMap<u64, bool>,
    /// What clients were asked.
    pub(super) rounds: Vec<Round>,
    /// What is open at the backend, by id; that of ours has no tag.
    pub(super) open: BTreeMap<String, Option<String>>,
    pub(super) gone: Vec<String>,
    /// What the backend has asked, by id: the tag of the call in which it did.
    pub(super) questions: BTreeMap<u64, String>,
    pub(super) next_question: u64,
    /// The call that the backend is at.
    pub(super) at: Option<String>,
    pub(super) seen: BTreeSet<String>,
}

pub(super) const NOBODY: &str = "nobody";

impl World {
    pub(super) fn begin(capabilities: &str) -> Self {
        let (both, first) = Both::begin(sides(capabilities));
        let mut world = Self {
            both,
            next: 1,
            waiting: BTreeMap::new(),
            listens: BTreeMap::new(),
            rounds: Vec::new(),
            open: BTreeMap::new(),
            gone: Vec::new(),
            questions: BTreeMap::new(),
            next_question: 0,
            at: None,
            seen: BTreeSet::new(),
        };
        world.heard(&first);
        world
    }

    pub(super) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Checks everything that has come out.
    pub(super) fn heard(&mut self, said: &Said) {
        said.to_backend.iter().for_each(|message| self.backend_hears(message));
        said.to_client.iter().for_each(|message| self.client_hears(message));
    }

    pub(super) fn backend_hears(&mut self, message: &Value) {
        match (message["method"].as_str(), message.get("id")) {
            (Some(method), Some(id)) => {
                assert!(self.seen.insert(id.to_string()), "two requests have the id {id}");
                let tag = message["params"]["name"].as_str().map(str::to_owned);
                assert!(message["params"].get(STATE).is_none());
                if method == "tools/call" {
                    assert!(
                        self.at.is_none() || !self.both.upgrade.sides.introduction.can_be_asked_anything(),
                        "calls are taken one at a time"
                    );
                    self.at.clone_from(&tag);
                }
                if !matches!(method, "logging/setLevel" | "resources/unsubscribe") {
                    self.open.insert(id.to_string(), tag);
                }
            }
            (Some("notifications/cancelled"), None) => {
                let id = message["params"]["requestId"].to_string();
                let tag = self.open.remove(&id).unwrap_or_else(|| panic!("{id} is not open"));
                self.left(&tag);
                self.gone.push(id);
            }
            (Some(_), None) => {}
            (None, id) => {
                let id = id.and_then(Value::as_u64).unwrap();
                let tag = self.questions.remove(&id).unwrap_or_else(|| panic!("{id} was not asked"));
                if let Some(result) = message.get("result") {
                    assert!(tag == NOBODY || result["tag"] == tag, "{message} answers {tag}");
                }
            }
        }
    }

    /// The backend is not at this call any more.
    pub(super) fn left(&mut self, tag: &Option<String>) {
        if self.at == *tag {
            self.at = None;
        }
    }

    pub(super) fn client_hears(&mut self, message: &Value) {
        let Some(method) = message["method"].as_str() else { return self.client_gets(message) };
        assert!(message.get("id").is_none(), "a client of this era gets no requests: {message}");
        let params = &message["params"];
        match method {
            "notifications/progress" => {
                let tag = &self.waiting[&params["progressToken"].as_u64().unwrap()];
                assert_eq!(params["message"], **tag);
            }
            "notifications/message" => {
                assert!(self.waiting.values().any(|tag| params["data"] == **tag), "{message}");
                assert_eq!(self.open.len(), 1);
            }
            _ => {
                let id = params["_meta"]["io.modelcontextprotocol/subscriptionId"].as_u64().unwrap();
                let is_first = method == "notifications/subscriptions/acknowledged";
                let acknowledged = self.listens.insert(id, true).unwrap();
                assert_eq!(acknowledged, !is_first, "the first word comes first, and once");
            }
        }
    }

    pub(super) fn client_gets(&mut self, message: &Value) {
        let id = message["id"].as_u64().unwrap();
        if self.listens.remove(&id).is_some() {
            assert!(message.get("error").is_some());
            return;
        }
        let tag = self.waiting.remove(&id).unwrap_or_else(|| panic!("nobody waits for {message}"));
        let result = &message["result"];
        if let Some(own) = result.get("tag") {
            assert_eq!(*own, *tag);
        }
        if result["resultType"] != "input_required" {
            return;
        }
        let asked = result["inputRequests"].as_object().unwrap();
        for question in asked.values() {
            let of = &question["params"]["message"];
            assert!(*of == *tag || *of == NOBODY, "{tag} is asked the question of {of}");
        }
        let state = result[STATE].as_str().unwrap().to_owned();
        assert!(self.both.upgrade.has_asked(&state));
        let keys = asked.keys().cloned().collect();
        match self.rounds.iter_mut().find(|round| round.tag == tag) {
            Some(round) => {
                round.keys = keys;
                round.states.push(state);
            }
            None => self.rounds.push(Round { tag, keys, states: vec![state] }),
        }
    }
}
