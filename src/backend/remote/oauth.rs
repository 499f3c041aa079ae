//! Access tokens by OAuth 2.1 client credentials (RFC 6749, section 4.4), for servers that want them.
//!
//! All sessions of a server share its token. However many want one, one request is under way, by a task of its own:
//! whoever waits may leave.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::destination::Destination;
use super::unreachable::Unreachable;
use crate::catalog::{Grant, Sealed};
use crate::lifecycle::Lifecycle;

mod asking;

/// The token of one server. Clones are the same.
#[derive(Clone, Debug)]
pub(in crate::backend) struct Tokens(Arc<Shared>);

/// Why there is no token. Shown, it is for the log.
#[derive(Clone, Debug, thiserror::Error)]
pub(in crate::backend) enum NoToken {
    /// The authorization server did not answer.
    #[error("the authorization server was not reached: {0}")]
    Unreachable(#[from] Unreachable),
    /// It gives us none.
    #[error("the authorization server refuses, with status {status} and error {code:?}")]
    Refused {
        /// The status of its answer.
        status: u16,
        /// One of RFC 6749, section 5.2, or another in such letters; empty if it gives none.
        code: Arc<str>,
    },
    /// It gives what is no token, or none that could be used.
    #[error("the authorization server's answer {0}")]
    Unusable(&'static str),
    /// It gives the token again that the server has rejected.
    #[error("the server rejects the token that the authorization server gives, and gives again")]
    Unchanged,
    /// Nothing new is asked for any more.
    #[error("the gateway is stopping")]
    Ending,
}

#[derive(Debug)]
struct Shared {
    grant: Arc<Grant>,
    /// Where tokens are asked for.
    token_url: Destination,
    lifecycle: Lifecycle,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    token: Option<Token>,
    /// How the request that is under way will end.
    asking: Option<watch::Receiver<Option<Answer>>>,
    failure: Option<(NoToken, Instant)>,
    /// The last token that a server has rejected and that another was asked for instead.
    rejected: Option<Sealed>,
}

#[derive(Clone, Debug)]
struct Token {
    secret: Sealed,
    until: Instant,
}

type Answer = Result<Sealed, NoToken>;

enum Look {
    Known(Answer),
    /// What the request under way will bring.
    Asking(watch::Receiver<Option<Answer>>),
}

/// How long a failure is told before another try is made.
const FAILURE: Duration = Duration::from_millis(500);

// === impl Tokens ===

impl Tokens {
    /// None is asked for before it is wanted. `token_url` is the grant's, looked at.
    pub(in crate::backend) fn new(grant: Arc<Grant>, token_url: Destination, lifecycle: Lifecycle) -> Self {
        Self(Arc::new(Shared { grant, token_url, lifecycle, state: Mutex::default() }))
    }

    /// Whether somebody but its keeper has it.
    pub(in crate::backend) fn are_in_use(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// A token that is good for some time yet.
    ///
    /// # Errors
    /// If the authorization server gives none; also for half a second after that, without asking again.
    pub(in crate::backend) async fn token(&self) -> Result<Sealed, NoToken> {
        loop {
            let mut asking = match self.look() {
                Look::Known(answer) => return answer,
                Look::Asking(asking) => asking,
            };
            // An error means that the runtime which asked has gone; then it is for us to ask.
            if let Ok(answer) = asking.wait_for(Option::is_some).await
                && let Some(answer) = answer.clone()
            {
                return answer;
            }
        }
    }

    /// Another token, for one that the server has rejected (status 401). Whoever comes with one that was replaced
    /// meanwhile gets the new one.
    ///
    /// # Errors
    /// As [`Tokens::token`]; and if another was asked for before, or now, and it is still the same.
    pub(in crate::backend) async fn renew(&self, rejected: &Sealed) -> Result<Sealed, NoToken> {
        self.0.state().reject(rejected)?;
        let token = self.token().await?;
        if token == *rejected { Err(NoToken::Unchanged) } else { Ok(token) }
    }

    /// Begins a request if nothing is known and none is under way.
    fn look(&self) -> Look {
        let mut state = self.0.state();
        if let Some(known) = state.known() {
            return Look::Known(known);
        }
        match &state.asking {
            Some(asking) if asking.has_changed().is_ok() => Look::Asking(asking.clone()),
            _ => {
                let (tell, asking) = watch::channel(None);
                state.asking = Some(asking.clone());
                drop(state);
                self.0.lifecycle.spawn(self.clone().ask(tell));
                Look::Asking(asking)
            }
        }
    }

    async fn ask(self, tell: watch::Sender<Option<Answer>>) {
        let answer = tokio::select! {
            answer = self.0.exchange() => answer,
            () = self.0.lifecycle.ending() => Err(NoToken::Ending),
        };
        let answer = self.0.state().end(answer);
        tell.send_replace(Some(answer));
    }
}

// === impl Shared ===

impl Shared {
    /// Held for a few instructions, never while something is waited for.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    fn known(&self) -> Option<Answer> {
        let now = Instant::now();
        match (&self.token, &self.failure) {
            (Some(token), _) if now < token.until => Some(Ok(token.secret.clone())),
            (_, Some((failure, until))) if now < *until => Some(Err(failure.clone())),
            _ => None,
        }
    }

    fn reject(&mut self, rejected: &Sealed) -> Result<(), NoToken> {
        if self.token.as_ref().is_some_and(|token| token.secret == *rejected) {
            if self.rejected.as_ref() == Some(rejected) {
                return Err(NoToken::Unchanged);
            }
            self.token = None;
            self.rejected = Some(rejected.clone());
        }
        Ok(())
    }

    fn end(&mut self, answer: Result<Token, NoToken>) -> Answer {
        self.asking = None;
        self.token = answer.as_ref().ok().cloned();
        self.failure = answer.as_ref().err().map(|failure| (failure.clone(), Instant::now() + FAILURE));
        answer.map(|token| token.secret)
    }
}

// === impl NoToken ===

impl NoToken {
    /// What a client may know of it, and do.
    pub(in crate::backend) fn public(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => {
                "whoever gives tokens for it cannot be reached; try again shortly, or tell the operator, whose log has the detail"
            }
            Self::Refused { .. } | Self::Unusable(_) | Self::Unchanged => {
                "the gateway gets no token for it; tell the operator, whose log has the detail"
            }
            Self::Ending => "the gateway is stopping; try again shortly",
        }
    }
}

#[cfg(test)]
mod tests;
