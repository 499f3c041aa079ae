//! Whatever clients of the stateless era and a backend of the handshake era say to each other through a bridge: each
//! request is answered once, each question too, and nothing is left behind.
//!
//! The first line of the input says what clients can do, behind a `?` if nobody knows which era the backend speaks; each
//! other line is a step: `> METHOD PARAMS` a request of a
//! client, `x N` it calls one off, `? METHOD PARAMS` a question of the backend, `! METHOD PARAMS` its notification,
//! `= N RESULT` its answer to one of its requests, `- N ERROR` the same as an error, `< MESSAGE` anything it says,
//! `. N` so many milliseconds pass. `$state` is the last state that clients were to bring back.

#![no_main]

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use lockgate::mcp::{
    Bridge, Era, Frame, Introduction, Kind, Method, Origin, Passed, RequestId, Seal, Sides, cancelled,
};
use lockgate_fuzz::{at, same};

/// More than any round or question waits.
const LONG: Duration = Duration::from_secs(600);

fuzz_target!(|text: &[u8]| {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let mut lines = text.lines();
    let mut world = World::begin(lines.next().unwrap_or_default());
    for line in lines {
        world.step(line);
        if world.bridge.is_direct() {
            // Nothing is between the two sides any more.
            return;
        }
    }
    world.end();
});

/// Both sides, and what each of them waits for.
struct World {
    bridge: Bridge,
    now: Duration,
    next_number: u64,
    next_question: u64,
    /// Requests of clients; whether they are subscriptions.
    waiting: Vec<(RequestId, bool)>,
    /// What the backend has to answer.
    open: Vec<RequestId>,
    heard: HashSet<RequestId>,
    /// What the backend has asked, and how often under the same id.
    questions: HashMap<RequestId, usize>,
    state: String,
}

fn read(text: String) -> Option<Frame> {
    Frame::parse(Bytes::from(text)).ok()
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text is JSON")
}

impl World {
    fn begin(line: &str) -> Self {
        let unknown = line.strip_prefix('?');
        let (capabilities, backend) = (unknown.unwrap_or(line), unknown.is_none().then_some(Era::Handshake));
        let initialize = format!(
            r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"capabilities":{capabilities}}}}}"#
        );
        let introduction = read(initialize).and_then(|frame| Introduction::read(&frame));
        let (mut bridge, first) = Bridge::new(Sides {
            client: Era::Stateless,
            backend,
            profile: None,
            introduction: introduction.unwrap_or_else(Introduction::nobody),
            server: "s".into(),
            seal: Seal::new([7; 32]),
        });
        bridge.backend_runs(Duration::ZERO);
        let mut world = Self {
            bridge,
            now: Duration::ZERO,
            next_number: 1,
            next_question: 0,
            waiting: Vec::new(),
            open: Vec::new(),
            heard: HashSet::new(),
            questions: HashMap::new(),
            state: String::new(),
        };
        world.check(first);
        world
    }

    fn step(&mut self, line: &str) {
        let Some((what, rest)) = line.split_once(' ') else { return };
        let (first, second) = rest.split_once(' ').unwrap_or((rest, "{}"));
        let number = first.parse::<usize>().unwrap_or_default();
        let said = |id: &str| {
            let params = second.replace("$state", &self.state);
            read(format!(r#"{{"jsonrpc":"2.0",{id}"method":{},"params":{params}}}"#, quoted(first)))
        };
        match what {
            ">" => said(r#""id":0,"#).into_iter().for_each(|frame| self.client_asks(&frame)),
            "x" => self.client_calls_off(number),
            "?" => {
                let frame = said(&format!(r#""id":{},"#, self.next_question));
                self.next_question += 1;
                frame.into_iter().for_each(|frame| self.backend_says(frame));
            }
            "!" => said("").into_iter().for_each(|frame| self.backend_says(frame)),
            "=" => self.answer(number, "result", second),
            "-" => self.answer(number, "error", second),
            "<" => read(rest.to_owned()).into_iter().for_each(|frame| self.backend_says(frame)),
            "." => self.wait(Duration::from_millis(number as u64 % 1_000_000)),
            _ => {}
        }
    }

    /// As it comes out of what shares a backend among clients.
    fn client_asks(&mut self, frame: &Frame) {
        let Kind::Request(id, method) = frame.kind() else { return };
        let number = RequestId::number(self.next_number);
        self.next_number += 1;
        self.waiting.push((number.clone(), *method == Method::Listen));
        let (_, frame) = Origin::renumber(frame, id.clone(), &number);
        let passed = self.bridge.client_says(frame, self.now);
        self.check(passed);
    }

    fn client_calls_off(&mut self, number: usize) {
        if number < self.waiting.len() {
            let (id, _) = self.waiting.remove(number);
            let passed = self.bridge.client_says(cancelled(&id, "it left"), self.now);
            self.check(passed);
        }
    }

    fn backend_says(&mut self, frame: Frame) {
        match frame.kind() {
            Kind::Request(id, _) => *self.questions.entry(id.clone()).or_default() += 1,
            Kind::Response(Some(id)) => self.open.retain(|open| open != id),
            Kind::Notification(Method::Cancelled(Some(id))) => drop(self.questions.remove(id)),
            _ => {}
        }
        let passed = self.bridge.backend_says(frame, self.now);
        self.check(passed);
    }

    fn answer(&mut self, number: usize, member: &str, value: &str) {
        let Some(id) = self.open.get(number) else { return };
        let frame = read(format!(r#"{{"jsonrpc":"2.0","id":{},"{member}":{value}}}"#, id.token()));
        frame.into_iter().for_each(|frame| self.backend_says(frame));
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        let passed = self.bridge.tick(self.now);
        self.check(passed);
        assert!(self.bridge.next_deadline().is_none_or(|due| due > self.now), "what is due is done");
    }

    fn check(&mut self, passed: Passed) {
        let to_client: Vec<_> = passed.to_client.into_iter().map(|one| one.frame).collect();
        for frame in passed.to_backend.iter().chain(&to_client) {
            let again = Frame::parse(frame.bytes().clone()).expect("what comes out is a message");
            assert!(same(frame, &again), "{frame:?} is read as {again:?}");
        }
        if self.bridge.is_direct() {
            return;
        }
        passed.to_backend.iter().for_each(|frame| self.backend_hears(frame));
        to_client.iter().for_each(|frame| self.client_hears(frame));
    }

    fn backend_hears(&mut self, frame: &Frame) {
        match frame.kind() {
            Kind::Request(id, _) => {
                assert!(self.heard.insert(id.clone()), "two requests have the id {id:?}");
                self.open.push(id.clone());
            }
            Kind::Notification(Method::Cancelled(id)) => {
                let open = self.open.iter().position(|open| Some(open) == id.as_ref());
                self.open.remove(open.expect("what is called off is open"));
            }
            Kind::Notification(_) | Kind::Response(None) => {}
            Kind::Response(Some(id)) => {
                // One that it has called off may have been answered by then.
                let left = self.questions.get_mut(id).expect("what is answered was asked");
                *left -= 1;
                if *left == 0 {
                    self.questions.remove(id);
                }
            }
        }
    }

    fn client_hears(&mut self, frame: &Frame) {
        match frame.kind() {
            Kind::Request(..) => panic!("clients of this era get no requests: {frame:?}"),
            Kind::Notification(_) => {}
            Kind::Response(id) => {
                let waits = self.waiting.iter().position(|(own, _)| Some(own) == id.as_ref());
                let (_, listens) = self.waiting.remove(waits.expect("somebody waits for what is answered"));
                assert!(!listens || frame.is_error(), "a subscription has no answer");
                if let Ok(Some(state)) = at(frame.payload(), &["requestState"])
                    && let Ok(text) = serde_json::from_str::<String>(state)
                    && self.bridge.has_asked(&text)
                {
                    self.state = state.to_owned();
                }
            }
        }
    }

    /// The backend answers everything, and no client comes back.
    fn end(mut self) {
        while let Some((number, _)) =
            self.waiting.iter().enumerate().find_map(|(n, (_, l))| l.then_some((n, ())))
        {
            self.client_calls_off(number);
        }
        let most = self.waiting.len() + self.open.len() + 2;
        for _ in 0..most {
            while !self.open.is_empty() {
                self.answer(0, "result", "{}");
            }
            self.wait(LONG);
        }
        assert!(self.waiting.is_empty(), "never answered: {:?}", self.waiting);
        assert!(self.questions.is_empty(), "never answered: {:?}", self.questions);
        assert_eq!((self.bridge.held(), self.bridge.next_deadline()), (0, None));
        let is_free = !self.bridge.is_taken() || self.bridge.is_spent();
        assert!(!self.bridge.is_parked() && is_free);
    }
}
