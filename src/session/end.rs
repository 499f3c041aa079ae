//! Why a session ends, and what a client with an open request is told of it.

use std::time::Duration;

use humantime_serde::re::humantime::{FormattedDuration, format_duration};

use crate::access::Lost;
use crate::backend::{Exit, StartFailed};
use crate::ids::ServerName;
use crate::settings::Timeouts;

/// Why a session ends.
#[derive(Debug)]
pub(super) enum End {
    /// The client's stream is gone.
    ClientLeft,
    /// What it was to start with was not there in time.
    Unprovided,
    /// The command could not be started.
    NotStarted(StartFailed),
    /// It has not begun, and whoever opened it was told why.
    NotOpened(String),
    /// The backend's leader has ended.
    BackendExited(Exit),
    /// The backend has closed its output.
    BackendClosed,
    /// The backend has not answered its first request in time.
    NoAnswer,
    /// The backend has refused to be initialized, with these words if clients have not heard them themselves.
    Refused(Option<String>),
    /// The backend may still be at work on a call that was called off, and is of no use for another.
    Spent,
    /// No message came for so long: `timeouts.idle`, or `timeouts.warm` where the backend is shared.
    Idle(Duration),
    /// `timeouts.lifetime`
    Lifetime,
    /// `timeouts.stalled_reader`
    Stalled,
    /// Nobody may use it any more.
    Revoked(Lost),
    /// The operator has ended it.
    Dismissed,
    /// Nothing was open when the gateway began to shut down, or any more.
    Drained,
    /// Something was still open when `timeouts.drain` was over.
    ShutDown,
}

impl End {
    /// The word for it, for counting.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::ClientLeft => "client_left",
            Self::Unprovided => "not_fetched",
            Self::NotStarted(_) => "not_started",
            Self::NotOpened(_) => "not_opened",
            Self::BackendExited(_) => "server_exited",
            Self::BackendClosed => "server_closed",
            Self::NoAnswer => "no_answer",
            Self::Refused(_) => "refused",
            Self::Spent => "spent",
            Self::Idle(_) => "idle",
            Self::Lifetime => "lifetime",
            Self::Stalled => "stalled",
            Self::Revoked(_) => "revoked",
            Self::Dismissed => "operator",
            Self::Drained => "drained",
            Self::ShutDown => "shut_down",
        }
    }

    /// Whether the backend is to blame, which has ended like this if it has.
    pub(super) fn is_failure(&self, exit: Option<Exit>) -> bool {
        match self {
            Self::Unprovided
            | Self::NotStarted(_)
            | Self::NotOpened(_)
            | Self::NoAnswer
            | Self::Refused(_) => true,
            Self::BackendExited(_) | Self::BackendClosed => exit != Some(Exit::Status(0)),
            _ => false,
        }
    }

    /// The text for a client; `exit` and `last_words` are the backend's, if they are known.
    pub(super) fn reason(
        &self,
        server: &ServerName,
        timeouts: &Timeouts,
        exit: Option<Exit>,
        last_words: Option<&str>,
    ) -> String {
        let words = match (last_words, exit) {
            (None, _) => String::new(),
            (Some(reason), Some(Exit::Lost)) => format!(": {reason}"),
            (Some(line), _) => format!("; its last line on stderr: {line}"),
        };
        match (self, exit) {
            (Self::BackendExited(_) | Self::BackendClosed, Some(exit)) => {
                format!("the server {server} {exit} before it answered{words}")
            }
            (Self::BackendExited(_) | Self::BackendClosed, None) => {
                format!("the server {server} closed its output before it answered{words}")
            }
            (Self::NoAnswer, _) => {
                format!("the server {server} gave no answer within {}{words}", for_people(timeouts.start))
            }
            (Self::Unprovided, _) => {
                let limit = for_people(timeouts.start);
                format!(
                    "the packages of the server {server} were not there within {limit}; try again shortly"
                )
            }
            (Self::NotStarted(failed), _) => {
                format!("the server {server} cannot be started: {}", failed.public())
            }
            (Self::NotOpened(reason), _) => reason.clone(),
            (Self::ClientLeft, _) => "the client closed its stream".into(),
            (Self::Refused(Some(reason)), _) => reason.clone(),
            (Self::Refused(None), _) => format!("the server {server} refused to be initialized"),
            (Self::Spent, _) => "a call was called off, in which the server could still ask something".into(),
            (Self::Idle(limit), _) => format!("the session was idle for {}", for_people(*limit)),
            (Self::Lifetime, _) => {
                format!("the session reached its lifetime of {}", for_people(timeouts.lifetime))
            }
            (Self::Stalled, _) => {
                format!("the client read nothing for {}", for_people(timeouts.stalled_reader))
            }
            (Self::Revoked(lost), _) => lost.reason().into(),
            (Self::Dismissed, _) => "the operator has ended the session; open a new one".into(),
            (Self::Drained | Self::ShutDown, _) => {
                "the gateway is shutting down; open a new session shortly".into()
            }
        }
    }
}

/// A duration as the settings write it.
pub(super) fn for_people(duration: Duration) -> FormattedDuration {
    format_duration(duration)
}
