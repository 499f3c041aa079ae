//! One server, started in the sandbox or reached over the network, and asked who it is and what tools it has.

use std::sync::Arc;

use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use super::budget::Budget;
use super::conversation::{Conversation, Silence};
use crate::backend::{Link, StartFailed, StartSlot, Starter};
use crate::catalog::{BadVariable, Means, NoCredential, Refused, Trial};
use crate::mcp::{Era, Identity};

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
        /// How many tools it has; `None` if it does not say that it has any.
        tools: Option<usize>,
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
    /// To be told its tools, if it says that it has some.
    Tools,
}

const CROWDED: &str = "as many servers are being started as limits.starts allows; ask again";

/// Why nobody in particular can try it, if that is so: what a session of a client would bring.
pub(super) fn obstacle(trial: &Trial) -> Option<String> {
    match &trial.means {
        Err(Refused::Variable(BadVariable::Missing(name))) => {
            Some(format!("each session has to bring {name}: a client sends it in the header ENV_{name}"))
        }
        Err(Refused::Credential(NoCredential(header))) => {
            Some(format!("each client has to bring a credential of its own, in the header {header}"))
        }
        Err(other) => Some(other.to_string()),
        Ok(_) if trial.only_known_as.is_empty() => None,
        Ok(_) => {
            let tenants: Vec<String> = trial.only_known_as.iter().map(ToString::to_string).collect();
            let tenants = tenants.join(", ");
            Some(format!("it gets the credentials of tenants only ({tenants}), and is tried as none of them"))
        }
    }
}

/// Starts a server, asks, and ends it again; nothing of it is left. Without the values that it was given.
pub(super) async fn run(starter: &Arc<Starter>, means: &Means, era: Option<Era>, budget: &Budget) -> Health {
    let begun = Instant::now();
    let until = begun + budget.answers;
    let failed = |step, reason| Health::Failed { step, reason, last_line: None };
    // As for sessions: what is reached needs no slot.
    let (slot, started) = match means {
        Means::Endpoint(endpoint) => (None, starter.reach(endpoint)),
        Means::Launch(launch) => {
            let Ok(slot) = timeout_at(until, starter.slot()).await else {
                return Health::NotStarted(CROWDED.into());
            };
            let starting = async {
                let provisions = starter.provide(launch).await?;
                starter.start(launch, provisions, &slot).await
            };
            let Ok(started) = timeout_at(until, starting).await else {
                return failed(Step::Start, Silence::Late.reason(Step::Start, era, budget));
            };
            (Some(slot), started)
        }
    };
    let link = match started {
        Ok(link) => link,
        // What was in the way is told beside it.
        Err(StartFailed::Barred { error, .. }) => {
            return failed(Step::Start, format!("its program could not be executed: {error}"));
        }
        Err(error) => return failed(Step::Start, error.to_string()),
    };
    let health = examine(link, slot, (begun, until), means, era, budget).await;
    health.without_values(means)
}

/// Asks a server that runs, and ends it.
async fn examine(
    mut link: Link,
    slot: Option<StartSlot>,
    (begun, until): (Instant, Instant),
    means: &Means,
    era: Option<Era>,
    budget: &Budget,
) -> Health {
    let mut talk = Conversation::new(&mut link, until, slot);
    let answers = question(&mut talk, era).await;
    // Its slot with it: how it ends is of no concern to who starts.
    drop(talk);
    let health = match answers {
        Ok((Identity { name, version, era, .. }, tools)) => {
            Health::Answered { name, version, era, tools, seconds: begun.elapsed().as_secs_f64() }
        }
        Err((step, silence)) => {
            if matches!(silence, Silence::Ended(_)) {
                link.life.hear_out().await;
            }
            // Of a remote server that means more than what a client was told.
            let reason = link.life.trouble();
            let last_line = link
                .life
                .last_words(|text| means.conceal(text))
                .filter(|_| matches!(means, Means::Launch(_)));
            let reason = reason.unwrap_or_else(|| silence.reason(step, era, budget));
            Health::Failed { step, reason, last_line }
        }
    };
    let Link { outlet, inlet: _inlet, life } = link;
    // The end of its stdin, which is how it is asked to end.
    drop(outlet);
    life.stop(budget.eof, budget.term).await;
    health
}

/// Who it is, and how many tools it has.
async fn question(
    talk: &mut Conversation<'_>,
    era: Option<Era>,
) -> Result<(Identity, Option<usize>), (Step, Silence)> {
    let identity = talk.identity(era).await.map_err(|silence| (Step::Answer, silence))?;
    let tools = talk.tools(&identity).await.map_err(|silence| (Step::Tools, silence))?;
    Ok((identity, tools))
}

impl Health {
    /// What came of it, in one word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Answered { .. } => "ok",
            Self::NotStarted(_) => "not_tried",
            Self::Failed { .. } => "failed",
        }
    }

    /// A server may say anything that it was told.
    fn without_values(self, means: &Means) -> Self {
        let conceal = |text: String| means.conceal(&text);
        match self {
            Self::Answered { name, version, era, tools, seconds } => {
                let (name, version) = (name.map(conceal), version.map(conceal));
                Self::Answered { name, version, era, tools, seconds }
            }
            Self::Failed { step, reason, last_line } => {
                Self::Failed { step, reason: conceal(reason), last_line: last_line.map(conceal) }
            }
            other @ Self::NotStarted(_) => other,
        }
    }
}

impl Silence {
    /// Why, and what to do; `era` is what the settings say.
    fn reason(&self, step: Step, era: Option<Era>, budget: &Budget) -> String {
        let due = if step == Step::Tools { "told its tools" } else { "answered" };
        match self {
            Self::Ended(exit) => format!("it {exit} before it {due}"),
            Self::Closed => format!("it closed its stdout before it {due}"),
            Self::Late if step == Step::Tools => {
                format!("it did not tell its tools within the {}", budget.limit())
            }
            Self::Late => format!("it said nothing within the {}", budget.limit()),
            Self::Uncounted(reason) => format!("{reason}; tell those who maintain it"),
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
