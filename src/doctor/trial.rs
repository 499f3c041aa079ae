//! One server, started in the sandbox or reached over the network, and asked who it is.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::overheard::Overheard;
use crate::backend::{Backlog, Exit, Line, Link, Sent, StartFailed, Starter};
use crate::catalog::Means;
use crate::mcp::{Answer, Era, Frame, Heard, Identity, Inquiry, Unidentified};
use crate::settings::Timeouts;

/// Whether a server starts and answers.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// It does.
    Answered {
        /// What it calls itself.
        name: Option<String>,
        /// The version that it says it has.
        version: Option<String>,
        /// The era that it was asked in.
        era: Era,
        /// How long it took, from its start or from when it was first asked.
        seconds: f64,
    },
    /// It was not tried, or cannot be by nobody in particular; why.
    NotStarted(String),
    /// A step failed.
    Failed {
        /// Which.
        step: Step,
        /// Why, and what to do if that is known.
        reason: String,
        /// The last line of its stderr that says something.
        last_line: Option<String>,
    },
}

/// What has to work, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// What the settings say of it, its program's place included.
    Settings,
    /// To start it.
    Start,
    /// To be answered.
    Answer,
}

/// Reads of what a process had written when it ended: a pipe holds 64 KiB.
const READS_AT_THE_END: usize = 64;
/// From the end of its output to the end of a process.
const EXIT_FOLLOWS: Duration = Duration::from_secs(1);

/// Starts a server, asks, and ends it again; nothing of it is left.
pub(super) async fn run(
    starter: &Arc<Starter>,
    means: &Means,
    era: Option<Era>,
    timeouts: &Timeouts,
) -> Health {
    let begun = Instant::now();
    let until = begun + timeouts.start;
    let failed = |step, reason, last_line| Health::Failed { step, reason, last_line };
    let slot = starter.slot().await;
    let starting = async {
        let launch = match means {
            Means::Launch(launch) => launch,
            Means::Endpoint(endpoint) => return starter.reach(endpoint),
        };
        let provisions = starter.provide(launch).await?;
        starter.start(launch, provisions, &slot).await
    };
    let mut link = match timeout_at(until, starting).await {
        Ok(Ok(link)) => link,
        // What was in the way is told beside it.
        Ok(Err(StartFailed::Barred { error, .. })) => {
            return failed(Step::Start, format!("its program could not be executed: {error}"), None);
        }
        Ok(Err(error)) => return failed(Step::Start, error.to_string(), None),
        Err(_) => return failed(Step::Start, late(timeouts), None),
    };
    let mut talk = Conversation { link: &mut link, until };
    let overheard = Overheard::default();
    let listening = matches!(means, Means::Endpoint(_)).then(|| overheard.listen());
    let health = match talk.begin(era).await {
        Ok(Identity { name, version, era }) => {
            Health::Answered { name, version, era, seconds: begun.elapsed().as_secs_f64() }
        }
        Err(silence) => {
            if matches!(silence, Silence::Ended(_)) {
                link.life.hear_out().await;
            }
            let words = link.life.last_words();
            match listening {
                None => failed(Step::Answer, silence.reason(era, timeouts), words),
                Some(_) => {
                    let reason = overheard.reason().or(words);
                    failed(Step::Answer, reason.unwrap_or_else(|| silence.reason(era, timeouts)), None)
                }
            }
        }
    };
    let Link { outlet, inlet: _inlet, life } = link;
    // The end of its stdin, which is how it is asked to end.
    drop(outlet);
    life.stop(timeouts.eof, timeouts.term).await;
    health
}

fn late(timeouts: &Timeouts) -> String {
    format!(
        "it said nothing within the {:?} of timeouts.start; if it only needs longer, raise that",
        timeouts.start
    )
}

/// The beginning of a session.
struct Conversation<'l> {
    link: &'l mut Link,
    until: Instant,
}

/// Why it is not known who the server is.
#[derive(Debug)]
enum Silence {
    Ended(Exit),
    Closed,
    Late,
    Unidentified(Unidentified),
}

impl Conversation<'_> {
    /// Asks who the server is.
    async fn begin(&mut self, era: Option<Era>) -> Result<Identity, Silence> {
        let (mut inquiry, mut question) = Inquiry::begin(era);
        loop {
            let answer = self.ask(question, &inquiry).await?;
            match inquiry.hear(&answer) {
                Heard::Question(next, further) => (inquiry, question) = (next, further),
                Heard::Identified(identity, last) => {
                    if let Some(last) = last {
                        self.link.outlet.send(&mut backlog(last));
                    }
                    return Ok(identity);
                }
                Heard::Unidentified(reason) => return Err(Silence::Unidentified(reason)),
            }
        }
    }

    /// Sends a question and waits for its answer.
    async fn ask(&mut self, question: Frame, inquiry: &Inquiry) -> Result<Answer, Silence> {
        let mut queue = backlog(question);
        loop {
            let blocked = self.link.outlet.send(&mut queue) == Sent::Some;
            if let Some(answer) = self.answer(inquiry) {
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
                exit = life.exited() => return self.last_answer(inquiry).ok_or(Silence::Ended(exit)),
                () = outlet.ready(), if blocked => {}
                () = sleep_until(self.until) => return Err(Silence::Late),
            }
        }
    }

    /// The answer, if it is among what has been read.
    fn answer(&mut self, inquiry: &Inquiry) -> Option<Answer> {
        let lines = std::iter::from_fn(|| self.link.inlet.next_line());
        let mut frames = lines.filter_map(|line| match line {
            Line::Whole(bytes) => Frame::parse(bytes).ok(),
            Line::Message(frame) => Some(frame),
            Line::TooLong { .. } => None,
        });
        frames.find_map(|frame| inquiry.answer(frame))
    }

    /// What a process that is gone had written.
    fn last_answer(&mut self, inquiry: &Inquiry) -> Option<Answer> {
        for _ in 0..READS_AT_THE_END {
            if let Some(answer) = self.answer(inquiry) {
                return Some(answer);
            }
            if !self.link.inlet.try_read() {
                break;
            }
        }
        None
    }
}

fn backlog(frame: Frame) -> Backlog {
    let mut backlog = Backlog::default();
    backlog.push(frame);
    backlog
}

impl Silence {
    /// Why, and what to do; `era` is what the settings say.
    fn reason(&self, era: Option<Era>, timeouts: &Timeouts) -> String {
        match self {
            Self::Ended(exit) => format!("it {exit} before it answered"),
            Self::Closed => "it closed its stdout before it answered".into(),
            Self::Late => late(timeouts),
            Self::Unidentified(reason) if era.is_none() => {
                format!(
                    "{reason}; if it lacks something, give it that in its settings, else tell those who maintain it"
                )
            }
            Self::Unidentified(reason) => {
                format!("{reason}; if `era` in its settings is wrong, leave it out to have it found out")
            }
        }
    }
}
