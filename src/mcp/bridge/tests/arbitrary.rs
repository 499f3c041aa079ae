//! A backend of which nobody knows the era, whatever it turns out to be and in whatever order it answers: each request
//! of a client is answered once or called off, and nothing is lost, doubled or crossed when what stands between the two
//! sides changes.

mod backend;

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::Index;

use self::backend::{Backend, Nature};
use super::*;

/// What may happen.
#[derive(Clone, Debug)]
enum Step {
    /// A client sends a request, whose id is one of a clock or of a counter.
    Ask(&'static str, bool),
    /// A client of the handshake era says that it is ready.
    Ready,
    CallOff(Index),
    /// The backend answers one of what it has been asked, as an error or not.
    Answer(Index, bool),
    /// It says something unasked.
    Line,
    /// It ends, if over our question.
    End,
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let methods =
        prop::sample::select(&["tools/call", "tools/list", "ping", "prompts/get", "initialize"][..]);
    let step = prop_oneof![
        6 => (methods, any::<bool>()).prop_map(|(method, large)| Step::Ask(method, large)),
        1 => Just(Step::Ready),
        2 => any::<Index>().prop_map(Step::CallOff),
        6 => (any::<Index>(), prop::bool::weighted(0.2)).prop_map(|(at, fails)| Step::Answer(at, fails)),
        1 => Just(Step::Line),
        1 => Just(Step::End),
        2 => prop_oneof![Just(50), Just(1000), Just(11_000)].prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 0..60)
}

/// A time in milliseconds, as some clients take it for an id: above all numbers of ours.
const CLOCK: u64 = 1_795_000_000_000;

/// Both sides, and what each of them may hear.
struct World {
    bridge: Bridge,
    client: Era,
    backend: Backend,
    now: Duration,
    drawn: u64,
    /// What clients wait for.
    open: BTreeSet<u64>,
    /// Requests of those that begin a session: the session lets nobody call them off.
    beginnings: BTreeSet<u64>,
    /// What has been called off. The session drops a late answer.
    gone: BTreeSet<u64>,
}

impl World {
    fn begin(client: Era, nature: Nature) -> Self {
        let (mut bridge, first) = Bridge::new(sides(client, None));
        bridge.backend_runs(Duration::ZERO);
        let mut world = Self {
            bridge,
            client,
            backend: Backend::new(nature),
            now: Duration::ZERO,
            drawn: 0,
            open: BTreeSet::new(),
            beginnings: BTreeSet::new(),
            gone: BTreeSet::new(),
        };
        world.take(first);
        world
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Ask(method, large) => self.ask(method, *large),
            Step::Ready => self.client_says(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#),
            Step::CallOff(at) => self.call_off(at),
            Step::Answer(at, fails) => {
                let answer = self.backend.answer(|count| at.index(count), *fails);
                answer.into_iter().for_each(|answer| self.backend_says(&answer));
            }
            Step::Line => {
                let line = r#"{"level":"info","data":"x"}"#;
                self.backend_says(&format!(
                    r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{line}}}"#
                ));
            }
            Step::End => {
                if let Some(passed) = self.bridge.begin_again(self.now) {
                    self.backend = Backend::new(Nature::Handshake);
                    self.take(passed);
                }
            }
            Step::Wait(milliseconds) => {
                self.now += Duration::from_millis(*milliseconds);
                let passed = self.bridge.tick(self.now);
                assert!(self.bridge.next_deadline().is_none_or(|due| due > self.now), "what is due is done");
                self.take(passed);
            }
        }
    }

    fn ask(&mut self, method: &str, large: bool) {
        let begins = method == "initialize";
        if begins && self.client == Era::Stateless {
            return;
        }
        self.drawn += 1;
        // A session numbers the requests of clients that share a backend.
        let is_clock = large && self.client == Era::Handshake;
        let id = if is_clock { CLOCK + self.drawn } else { self.drawn };
        let params = match begins {
            true => r#""protocolVersion":"2025-06-18","capabilities":{}"#.to_owned(),
            false => format!(r#""name":"n-{id}""#),
        };
        self.open.insert(id);
        self.beginnings.extend(begins.then_some(id));
        self.client_says(&format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{params}}}}}"#
        ));
    }

    fn call_off(&mut self, at: &Index) {
        let may: Vec<_> = self.open.difference(&self.beginnings).copied().collect();
        if !may.is_empty() {
            let id = *at.get(&may);
            self.open.remove(&id);
            self.gone.insert(id);
            let passed = self.bridge.client_says(cancelled(id), self.now);
            self.take(passed);
        }
    }

    fn client_says(&mut self, text: &str) {
        let passed = self.bridge.client_says(frame(text), self.now);
        self.take(passed);
    }

    fn backend_says(&mut self, text: &str) {
        let passed = self.bridge.backend_says(frame(text), self.now);
        self.take(passed);
    }

    fn take(&mut self, passed: Passed) {
        passed.to_backend.iter().for_each(|frame| self.backend.hears(frame));
        for ForClient { frame, .. } in passed.to_client {
            let Kind::Response(Some(id)) = frame.kind() else { continue };
            // A late answer to our own question, where nothing is between the two any more: the session drops it.
            let Ok(id) = id.token().parse::<u64>() else { continue };
            assert!(self.open.remove(&id) || self.gone.remove(&id), "{frame:?} is for nobody");
            if let Some(name) = backend::name_in(&frame) {
                assert_eq!(name, format!("n-{id}"), "crossed");
            }
        }
    }

    /// The backend answers all that it still hears.
    fn end(mut self) {
        for _ in 0..200 {
            match self.backend.answer(|_| 0, false) {
                Some(answer) => self.backend_says(&answer),
                None if self.open.is_empty() => break,
                None => self.step(&Step::Wait(11_000)),
            }
        }
        assert!(self.open.is_empty(), "never answered: {:?}", self.open);
        assert_eq!(self.bridge.held(), 0);
    }
}

fn natures() -> impl Strategy<Value = Nature> {
    prop::sample::select(&[Nature::Handshake, Nature::Stateless, Nature::Picky, Nature::Neither][..])
}

proptest! {
    #[test]
    fn nothing_is_lost_or_doubled_when_a_backend_shows_its_era(
        client in prop::sample::select(&[Era::Handshake, Era::Stateless][..]),
        nature in natures(),
        steps in steps(),
    ) {
        let mut world = World::begin(client, nature);
        steps.iter().for_each(|step| world.step(step));
        world.end();
    }
}
