//! Whatever a client of the handshake era and a backend of the stateless era say to each other: what passes is
//! messages, and each request of the client is answered once.

#![no_main]

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use libfuzzer_sys::arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use lockgate::mcp::{
    Bridge, Era, Frame, Introduction, Kind, Method, Passed, RequestId, Seal, Sides, cancelled,
};
use lockgate_fuzz::{Text, same};

// A first line `?` means that nobody knows which era the backend speaks. Other lines: `>` and what the client says, `<` and what the backend says, anything else lets the time pass. In them `$n` is
// the number of our last request to the backend, and `$q` that of our last to the client.
fuzz_target!(|input: &[u8]| {
    let lines = input.split(|byte| *byte == b'\n');
    let is_known = !input.starts_with(b"?\n");
    let mut world = World::begin(is_known.then_some(Era::Stateless));
    for line in lines.skip(usize::from(!is_known)) {
        match line.split_first() {
            Some((b'>', text)) => world.client(text),
            Some((b'<', text)) => world.backend(text),
            _ => world.wait(),
        }
        if world.bridge.is_direct() {
            // Nothing is between the two sides any more.
            return;
        }
    }
    world.end();
});

struct World {
    bridge: Bridge,
    now: Duration,
    /// Whether all that passes is of a bridge's making. Where the era was not known, both sides' own messages pass as
    /// they are, and nobody but the session holds them against each other.
    is_bridged: bool,
    /// The client's requests that are not answered.
    open: HashSet<RequestId>,
    /// The last numbers of ours, to the backend and to the client.
    number: u64,
    question: u64,
    /// What has been said, in bytes.
    said: usize,
}

impl World {
    fn begin(backend: Option<Era>) -> Self {
        let sides = Sides {
            client: Era::Handshake,
            backend,
            profile: None,
            introduction: Introduction::nobody(),
            server: "demo".to_owned(),
            seal: Seal::new([0; 32]),
        };
        let (bridge, out) = Bridge::new(sides);
        assert!(out.to_backend.is_empty() && out.to_client.is_empty(), "the client begins");
        let (is_bridged, open) = (backend.is_some(), HashSet::new());
        Self { bridge, now: Duration::ZERO, is_bridged, open, number: 0, question: 0, said: 0 }
    }

    fn read(&mut self, text: &[u8]) -> Option<Frame> {
        let text = Text::arbitrary(&mut Unstructured::new(text)).ok()?.0;
        let text = String::from_utf8(text).ok()?;
        let text = text.replace("$n", &self.number.to_string()).replace("$q", &self.question.to_string());
        self.said += text.len();
        Frame::parse(Bytes::from(text)).ok()
    }

    fn client(&mut self, text: &[u8]) {
        let Some(frame) = self.read(text) else { return };
        match frame.kind() {
            // Nothing else passes by the session, where the ids of open requests differ.
            Kind::Request(id, _) if !self.open.insert(id.clone()) => return,
            Kind::Notification(Method::Cancelled(Some(id))) => drop(self.open.remove(id)),
            _ => {}
        }
        let out = self.bridge.client_says(frame, self.now);
        self.take(&out);
    }

    fn backend(&mut self, text: &[u8]) {
        let Some(frame) = self.read(text) else { return };
        let out = self.bridge.backend_says(frame, self.now);
        self.take(&out);
    }

    fn wait(&mut self) {
        self.now = self.bridge.next_deadline().unwrap_or(self.now);
        let out = self.bridge.tick(self.now);
        assert!(self.bridge.next_deadline().is_none_or(|due| due > self.now), "it is done");
        self.take(&out);
    }

    fn take(&mut self, out: &Passed) {
        for frame in &out.to_backend {
            readable(frame);
            if let Kind::Request(id, _) = frame.kind() {
                self.number = self.later(self.number, id);
            }
        }
        for message in &out.to_client {
            readable(&message.frame);
            match message.frame.kind() {
                Kind::Response(id) => {
                    let answered = id.as_ref().is_some_and(|id| self.open.remove(id));
                    assert!(answered || !self.is_bridged, "nobody waits for it");
                }
                Kind::Request(id, _) => {
                    let about = message.about.as_ref();
                    assert!(about.map_or(!self.is_bridged, |about| self.open.contains(about)));
                    self.question = self.later(self.question, id);
                }
                Kind::Notification(_) => {}
            }
        }
        assert!(self.bridge.held() <= self.said, "it keeps what has been said, and no more");
    }

    /// Numbers of ours only go up.
    fn later(&self, last: u64, id: &RequestId) -> u64 {
        let number = id.token().parse().ok();
        assert!(!self.is_bridged || number.is_some_and(|number| number > last), "a number of ours");
        number.unwrap_or(last)
    }

    /// Whoever still waits gives up, and then nothing is kept.
    fn end(mut self) {
        while let Some(id) = self.open.iter().next().cloned() {
            self.open.remove(&id);
            let out = self.bridge.client_says(cancelled(&id, "the end"), self.now);
            self.take(&out);
        }
        assert_eq!(self.bridge.held(), 0);
    }
}

fn readable(frame: &Frame) {
    let read = Frame::parse(frame.bytes().clone()).expect("what comes out is a message");
    assert!(same(frame, &read));
}
