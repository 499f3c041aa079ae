//! Browsers that have logged in as the operator. What they show is a cookie of 256 random bits, of which a digest is
//! kept, in memory only: a restart logs everybody out.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Operator;
use super::secret::{Secret, SecretHash};

/// Proof that the operator looks in with a browser that has logged in. It is no proof that the operator wants
/// anything done: a browser shows its cookie with whatever another page has it ask for.
#[derive(Debug)]
pub struct Login {
    operator: Operator,
    key: SecretHash,
    form_token: Secret,
}

/// The browsers that are logged in, whoever logged in first in front.
#[derive(Debug, Default)]
pub(super) struct Logins(Mutex<VecDeque<Entry>>);

#[derive(Debug)]
struct Entry {
    key: SecretHash,
    since: Instant,
    used: Instant,
}

/// With one more, whoever logged in first is logged out.
const MOST: usize = 16;
/// A login ends after so long, used or not.
pub const LOGIN_LASTS: Duration = Duration::from_secs(12 * 60 * 60);
/// A login ends that is not used for so long. A page that is open and updates itself uses it.
const UNUSED: Duration = Duration::from_secs(60 * 60);

impl Login {
    pub(super) fn new(operator: Operator, key: SecretHash, cookie: &[u8]) -> Self {
        Self { operator, key, form_token: Secret::derived(cookie, "lockgate form of the login ") }
    }

    /// Who looks in.
    pub fn operator(&self) -> &Operator {
        &self.operator
    }

    /// What the forms of this login's pages must send along: nobody else's page knows it.
    pub fn form_token(&self) -> &Secret {
        &self.form_token
    }

    pub(super) fn key(&self) -> &SecretHash {
        &self.key
    }
}

impl Logins {
    /// Logs another browser in. What its cookie is.
    pub(super) fn begin(&self) -> Result<Secret, getrandom::Error> {
        let cookie = Secret::draw()?;
        let now = Instant::now();
        let mut entries = self.living(now);
        if entries.len() >= MOST {
            entries.pop_front();
        }
        entries.push_back(Entry { key: cookie.hash(), since: now, used: now });
        Ok(cookie)
    }

    /// Whether this login lasts. If so, it is used from now on.
    pub(super) fn touch(&self, key: &SecretHash) -> bool {
        let now = Instant::now();
        let mut entries = self.living(now);
        // All are compared, whichever it is.
        entries.iter_mut().fold(false, |found, entry| {
            let is_it = entry.key.is(key);
            if is_it {
                entry.used = now;
            }
            found | is_it
        })
    }

    /// Logs a browser out.
    pub(super) fn end(&self, key: &SecretHash) {
        self.living(Instant::now()).retain(|entry| !entry.key.is(key));
    }

    /// Those that have not expired.
    fn living(&self, now: Instant) -> MutexGuard<'_, VecDeque<Entry>> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|entry| now - entry.since < LOGIN_LASTS && now - entry.used < UNUSED);
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_login_ends_unused_after_an_hour_and_used_after_twelve() {
        let logins = Logins::default();
        let (used, unused) = (logins.begin().unwrap().hash(), logins.begin().unwrap().hash());
        for _ in 0..23 {
            tokio::time::advance(31 * MINUTE).await;
            assert!(logins.touch(&used));
        }
        assert!(!logins.touch(&unused));
        tokio::time::advance(8 * MINUTE).await;
        assert!(!logins.touch(&used), "twelve hours are over");
        assert!(logins.living(Instant::now()).is_empty(), "nothing is kept of them");
    }

    #[tokio::test(start_paused = true)]
    async fn logins_are_bounded_and_the_oldest_makes_room() {
        let logins = Logins::default();
        let keys: Vec<_> = (0..MOST + 2).map(|_| logins.begin().unwrap().hash()).collect();
        let alive: Vec<bool> = keys.iter().map(|key| logins.touch(key)).collect();
        assert_eq!(alive.iter().filter(|alive| **alive).count(), MOST);
        assert!(!alive[0] && !alive[1] && alive[2]);
        logins.end(&keys[5]);
        assert!(!logins.touch(&keys[5]) && logins.touch(&keys[6]));
    }
}
