//! Whatever clients and a backend say, and in whatever order: nothing is lost, doubled, crossed or left behind.

mod world;

use proptest::prelude::*;

use self::world::{NOBODY, Round, World};
use super::*;
use crate::mcp::bridge::upgrade::calls::PATIENCE;

/// What may happen; numbers choose among what there is.
#[derive(Clone, Debug)]
enum Step {
    Call {
        logs: bool,
    },
    List,
    Listen(u8),
    CallOff(usize),
    /// A client is back, with the answers whose bits are set; with the state of an earlier round if there is one; as
    /// another call.
    Bring {
        which: usize,
        answers: u8,
        stale: bool,
        changed: bool,
    },
    Answer(usize),
    Fail(usize, bool),
    AnswerGone(usize),
    Question(u8),
    Withdraw(usize),
    Progress(usize),
    Line(usize),
    Change(u8),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let which = || 0..8_usize;
    prop_oneof![
        4 => any::<bool>().prop_map(|logs| Step::Call { logs }),
        2 => Just(Step::List),
        1 => any::<u8>().prop_map(Step::Listen),
        1 => which().prop_map(Step::CallOff),
        6 => (which(), any::<u8>(), prop::bool::weighted(0.2), prop::bool::weighted(0.1))
            .prop_map(|(which, answers, stale, changed)| Step::Bring { which, answers, stale, changed }),
        4 => which().prop_map(Step::Answer),
        1 => (which(), any::<bool>()).prop_map(|(which, urls)| Step::Fail(which, urls)),
        1 => which().prop_map(Step::AnswerGone),
        6 => any::<u8>().prop_map(Step::Question),
        1 => which().prop_map(Step::Withdraw),
        2 => which().prop_map(Step::Progress),
        1 => which().prop_map(Step::Line),
        1 => any::<u8>().prop_map(Step::Change),
        6 => prop_oneof![Just(0), Just(50), Just(5_000), Just(400_000)].prop_map(Step::Wait),
    ]
}

impl World {
    fn request(&mut self, number: u64, method: &str, params: &Value) {
        let said = self.both.asks(number, method, &params.to_string());
        self.heard(&said);
    }

    fn call(&mut self, tag: String, mut params: Value) {
        let number = self.number();
        params["name"] = json!(tag);
        params["_meta"]["progressToken"] = json!(number);
        self.waiting.insert(number, tag);
        self.request(number, "tools/call", &params);
    }

    fn bring(&mut self, which: usize, answers: u8, stale: bool, changed: bool) {
        if self.rounds.is_empty() {
            return;
        }
        let at = which % self.rounds.len();
        let Round { tag, keys, states } = &self.rounds[at];
        let state = if stale { &states[0] } else { &states[states.len() - 1] };
        let is_good = !changed && self.both.upgrade.has_asked(state);
        let responses: serde_json::Map<_, _> = keys
            .iter()
            .enumerate()
            .filter(|(n, _)| answers >> (n % 8) & 1 == 1)
            .map(|(_, key)| (key.clone(), json!({ "tag": tag })))
            .collect();
        let params = json!({ "inputResponses": responses, STATE: state });
        let tag = if changed { format!("{tag}-changed") } else { tag.clone() };
        let number = self.next + 1;
        let before = self.seen.len() + self.questions.len();
        self.call(tag, params);
        if !is_good {
            assert!(!self.waiting.contains_key(&number), "it is refused");
            assert_eq!(before, self.seen.len() + self.questions.len(), "and the backend hears nothing of it");
        }
    }

    fn says(&mut self, text: &str) {
        let said = self.both.backend(text);
        self.heard(&said);
    }

    /// One of the requests that are open at the backend.
    fn pick(&self, which: usize) -> Option<(String, Option<String>)> {
        let at = which % self.open.len().max(1);
        self.open.iter().nth(at).map(|(id, tag)| (id.clone(), tag.clone()))
    }

    fn answer(&mut self, which: usize, member: &str, value: impl FnOnce(&str) -> Value) {
        let Some((id, tag)) = self.pick(which) else { return };
        self.open.remove(&id);
        self.left(&tag);
        let value = value(tag.as_deref().unwrap_or_default());
        self.gone.push(id.clone());
        self.says(&format!(r#"{{"jsonrpc":"2.0","id":{id},"{member}":{value}}}"#));
    }

    fn tell(&mut self, method: &str, params: &Value) {
        self.says(&format!(r#"{{"jsonrpc":"2.0","method":"notifications/{method}","params":{params}}}"#));
    }

    fn ask(&mut self, kind: u8) {
        let id = self.next_question;
        self.next_question += 1;
        let tag = self.at.clone().unwrap_or_else(|| NOBODY.to_owned());
        let method =
            ["elicitation/create", "roots/list", "sampling/createMessage", "other"][usize::from(kind % 4)];
        self.questions.insert(id, tag.clone());
        self.says(&format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{"message":"{tag}"}}}}"#
        ));
    }

    fn takes(&mut self, step: Step) {
        match step {
            Step::Call { logs } => {
                let level =
                    if logs { json!({ "io.modelcontextprotocol/logLevel": "info" }) } else { json!({}) };
                let tag = format!("t{}", self.next);
                self.call(tag, json!({ "_meta": level }));
            }
            Step::List => {
                let number = self.number();
                self.waiting.insert(number, format!("l{number}"));
                self.request(number, "tools/list", &json!({ "name": format!("l{number}") }));
            }
            Step::Listen(which) => {
                let number = self.number();
                self.listens.insert(number, false);
                let uris: Vec<_> = (0..which % 4).map(|n| format!("u{n}")).collect();
                let wanted = json!({ "toolsListChanged": which & 64 == 0, "resourceSubscriptions": uris });
                self.request(number, "subscriptions/listen", &json!({ "notifications": wanted }));
            }
            Step::CallOff(which) => {
                let all: Vec<_> = self.waiting.keys().chain(self.listens.keys()).copied().collect();
                let Some(number) = all.get(which) else { return };
                self.waiting.remove(number);
                self.listens.remove(number);
                let said = self.both.calls_off(*number);
                self.heard(&said);
            }
            Step::Bring { which, answers, stale, changed } => self.bring(which, answers, stale, changed),
            Step::Wait(millis) => {
                let said = self.both.wait(millis);
                self.heard(&said);
                let due = self.both.upgrade.next_deadline();
                assert!(due.is_none_or(|due| due > self.both.now), "what is due is done");
            }
            of_backend => self.backend_takes(of_backend),
        }
    }

    fn backend_takes(&mut self, step: Step) {
        match step {
            Step::Answer(which) => self.answer(which, "result", |tag| json!({ "tag": tag })),
            Step::Fail(which, urls) => {
                let code = if urls { -32042 } else { -32002 };
                self.answer(which, "error", |tag| {
                    let url = json!({ "mode": "url", "url": "u", "message": tag });
                    json!({ "code": code, "message": "m", "data": { "elicitations": [url] } })
                });
            }
            Step::AnswerGone(which) => {
                if let Some(id) = self.gone.get(which).cloned() {
                    let said = self.both.answers(&id, r#"{"tag":"none"}"#);
                    assert_eq!(said, Said::default());
                }
            }
            Step::Question(kind) => self.ask(kind),
            Step::Withdraw(which) => {
                let Some(id) = self.questions.keys().nth(which).copied() else { return };
                self.questions.remove(&id);
                self.tell("cancelled", &json!({ "requestId": id }));
            }
            Step::Progress(which) => {
                let Some((id, Some(tag))) = self.pick(which) else { return };
                let token: Value = serde_json::from_str(&id).unwrap();
                self.tell("progress", &json!({ "progressToken": token, "progress": 1, "message": tag }));
            }
            Step::Line(which) => {
                let Some((_, Some(tag))) = self.pick(which) else { return };
                self.tell("message", &json!({ "level": "error", "data": tag }));
            }
            Step::Change(0..128) => self.tell("tools/list_changed", &json!({})),
            Step::Change(which) => {
                self.tell("resources/updated", &json!({ "uri": format!("u{}", which % 4) }))
            }
            _ => {}
        }
    }

    /// Everybody does what is left to do; nobody comes back.
    fn end(mut self) {
        for id in self.listens.keys().copied().collect::<Vec<_>>() {
            self.listens.remove(&id);
            let said = self.both.calls_off(id);
            self.heard(&said);
        }
        let most = self.waiting.len() + self.open.len() + self.questions.len() + 8;
        for _ in 0..2 * most {
            while !self.open.is_empty() {
                self.answer(0, "result", |tag| json!({ "tag": tag }));
            }
            let said = self.both.wait(u64::try_from(PATIENCE.as_millis()).unwrap());
            self.heard(&said);
        }
        assert!(self.waiting.is_empty(), "never answered: {:?}", self.waiting);
        assert!(self.questions.is_empty(), "never answered: {:?}", self.questions);
        let upgrade = &self.both.upgrade;
        if upgrade.refusal().is_none() {
            let open = self.both.open_one();
            assert!(open.requests.is_empty() && open.questions.is_empty() && open.subscriptions.is_empty());
        }
        assert_eq!((upgrade.held(), upgrade.is_taken(), upgrade.is_parked()), (0, false, false));
        assert_eq!(upgrade.next_deadline(), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn nothing_is_lost_doubled_crossed_or_left_behind(
        before in prop::collection::vec(step(), 0..6),
        steps in prop::collection::vec(step(), 0..120),
        can_be_asked in prop::bool::weighted(0.8),
        refuses in prop::bool::weighted(0.05),
    ) {
        let mut world = World::begin(if can_be_asked { EVERYTHING } else { "{}" });
        // The backend says nothing of what it has not been asked yet.
        let early = |step: &Step| !matches!(step, Step::Answer(_) | Step::Fail(..));
        before.into_iter().filter(early).for_each(|step| world.takes(step));
        let agreed: Value = serde_json::from_str(&agreement()).unwrap();
        match refuses {
            true => world.answer(0, "error", |_| json!({ "code": 1, "message": "m" })),
            false => world.answer(0, "result", |_| agreed),
        }
        steps.into_iter().for_each(|step| world.takes(step));
        world.end();
    }
}
