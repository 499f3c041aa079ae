//! The beginning of a session with a server that was started or reached: who it is, and how many tools it has.

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use crate::backend::{Backlog, Exit, Line, Link, Sent, StartSlot, Starter};
use crate::mcp::{Counted, Counting, Era, Frame, Heard, Identity, Inquiry, Uncounted, Unidentified};

/// A server that is asked one thing after the other.
pub(super) struct Conversation<'l> {
    link: &'l mut Link,
    queue: Backlog,
    until: Instant,
    /// Held until the server has shown life, but not so long that others wait for one that shows none.
    slot: Option<StartSlot>,
    slot_until: Instant,
}

/// Why a server has not answered as it should.
#[derive(Debug)]
pub(super) enum Silence {
    Ended(Exit),
    Closed,
    Late,
    Unidentified(Unidentified),
    Uncounted(Uncounted),
}

/// Reads of what a process had written when it ended: a pipe holds 64 KiB.
const READS_AT_THE_END: usize = 64;
/// From the end of its output to the end of a process.
const EXIT_FOLLOWS: Duration = Duration::from_secs(1);

impl<'l> Conversation<'l> {
    pub(super) fn new(link: &'l mut Link, until: Instant, slot: Option<StartSlot>) -> Self {
        let slot_until = Instant::now() + Starter::SLOT_HOLD;
        Self { link, queue: Backlog::default(), until, slot, slot_until }
    }

    /// Asks who the server is.
    pub(super) async fn identity(&mut self, era: Option<Era>) -> Result<Identity, Silence> {
        let (mut inquiry, mut question) = Inquiry::begin(era);
        loop {
            let answer = self.ask(question, |message| inquiry.answer(message)).await?;
            match inquiry.hear(&answer) {
                Heard::Question(next, further) => (inquiry, question) = (next, further),
                Heard::Identified(identity, last) => {
                    if let Some(last) = last {
                        self.queue.push(last);
                        self.link.outlet.send(&mut self.queue);
                    }
                    return Ok(identity);
                }
                Heard::Unidentified(reason) => return Err(Silence::Unidentified(reason)),
            }
        }
    }

    /// Counts its tools; `None` if it does not say that it has some.
    pub(super) async fn tools(&mut self, identity: &Identity) -> Result<Option<usize>, Silence> {
        let Some((mut counting, mut question)) = Counting::begin(identity) else { return Ok(None) };
        loop {
            let page = self.ask(question, |message| counting.page(message)).await?;
            match counting.hear(&page) {
                Counted::Question(next, further) => (counting, question) = (next, further),
                Counted::All(tools) => return Ok(Some(tools)),
                Counted::Uncounted(reason) => return Err(Silence::Uncounted(reason)),
            }
        }
    }

    /// Sends a question and waits for its answer.
    async fn ask<A>(&mut self, question: Frame, own: impl Fn(Frame) -> Option<A>) -> Result<A, Silence> {
        self.queue.push(question);
        loop {
            let blocked = self.link.outlet.send(&mut self.queue) == Sent::Some;
            if let Some(answer) = self.heard(&own) {
                return Ok(answer);
            }
            let Link { outlet, inlet, life } = &mut *self.link;
            if inlet.has_ended() {
                let exit = timeout(EXIT_FOLLOWS, life.exited()).await;
                return Err(exit.map_or(Silence::Closed, Silence::Ended));
            }
            tokio::select! {
                biased;
                () = inlet.read() => {}
                exit = life.exited() => return self.last_heard(&own).ok_or(Silence::Ended(exit)),
                () = outlet.ready(), if blocked => {}
                () = sleep_until(self.until) => return Err(Silence::Late),
                () = sleep_until(self.slot_until), if self.slot.is_some() => self.slot = None,
            }
        }
    }

    /// The answer, if it is among what has been read.
    fn heard<A>(&mut self, own: impl Fn(Frame) -> Option<A>) -> Option<A> {
        let lines = std::iter::from_fn(|| self.link.inlet.next_line());
        let mut frames = lines.filter_map(|line| match line {
            Line::Whole(bytes) => Frame::parse(bytes).ok(),
            Line::Message(frame) => Some(frame),
            Line::TooLong { .. } => None,
        });
        let answer = frames.find_map(own)?;
        self.slot = None;
        Some(answer)
    }

    /// What a process that is gone had written.
    fn last_heard<A>(&mut self, own: impl Fn(Frame) -> Option<A>) -> Option<A> {
        for _ in 0..READS_AT_THE_END {
            if let Some(answer) = self.heard(&own) {
                return Some(answer);
            }
            if !self.link.inlet.try_read() {
                break;
            }
        }
        None
    }
}
