//! What two readings come to: how often something happens.

use std::collections::HashMap;

use tokio::time::Instant;

use super::overview::Overview;

/// A reading, with what has happened since the one before.
#[derive(Debug)]
pub(super) struct Figures {
    pub(super) overview: Overview,
    read: Instant,
    rates: Rates,
}

/// Calls in a second.
#[derive(Debug, Default)]
struct Rates {
    sessions: HashMap<u64, f64>,
    servers: HashMap<String, f64>,
    tenants: HashMap<String, f64>,
}

impl Figures {
    pub(super) fn new(overview: Overview, read: Instant, before: Option<&Self>) -> Self {
        let rates = before.map(|before| Rates::between(before, &overview, read)).unwrap_or_default();
        Self { overview, read, rates }
    }

    /// Calls of a session in a second; `None` if that is not known yet.
    pub(super) fn of_session(&self, number: u64) -> Option<f64> {
        self.rates.sessions.get(&number).copied()
    }

    /// The same of a server.
    pub(super) fn of_server(&self, name: &str) -> Option<f64> {
        self.rates.servers.get(name).copied()
    }

    /// The same of a tenant.
    pub(super) fn of_tenant(&self, id: &str) -> Option<f64> {
        self.rates.tenants.get(id).copied()
    }

    /// The same of all together.
    pub(super) fn of_all(&self) -> Option<f64> {
        (!self.rates.servers.is_empty()).then(|| self.rates.servers.values().sum())
    }
}

impl Rates {
    fn between(before: &Figures, now: &Overview, read: Instant) -> Self {
        let seconds = read.saturating_duration_since(before.read).as_secs_f64();
        let earlier = &before.overview;
        // Another gateway, which has begun to count anew.
        if seconds <= 0.0 || now.uptime_seconds < earlier.uptime_seconds {
            return Self::default();
        }
        let since =
            |calls: u64, before: Option<u64>| calls.saturating_sub(before.unwrap_or(0)) as f64 / seconds;
        let old: HashMap<_, _> = earlier.sessions.iter().map(|one| (one.number, one.traffic.calls)).collect();
        let sessions = now.sessions.iter();
        let sessions =
            sessions.map(|one| (one.number, since(one.traffic.calls, old.get(&one.number).copied())));
        let old: HashMap<_, _> = earlier.servers.iter().map(|one| (&one.server, one.traffic.calls)).collect();
        let servers = now.servers.iter();
        let servers =
            servers.map(|one| (one.server.clone(), since(one.traffic.calls, old.get(&one.server).copied())));
        let old: HashMap<_, _> = earlier.tenants.iter().map(|one| (&one.tenant, one.traffic.calls)).collect();
        let tenants = now.tenants.iter();
        let tenants =
            tenants.map(|one| (one.tenant.clone(), since(one.traffic.calls, old.get(&one.tenant).copied())));
        Self { sessions: sessions.collect(), servers: servers.collect(), tenants: tenants.collect() }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::overview::{Server, Session, Traffic};
    use super::*;

    fn overview(uptime_seconds: u64, calls: &[(u64, u64)]) -> Overview {
        let session = |(number, calls): &(u64, u64)| Session {
            number: *number,
            traffic: Traffic { calls: *calls },
            ..Session::default()
        };
        let sum = Traffic { calls: calls.iter().map(|(_, calls)| calls).sum() };
        let server = Server { server: "a".into(), traffic: sum, ..Server::default() };
        let sessions = calls.iter().map(session).collect();
        Overview { uptime_seconds, sessions, servers: vec![server], ..Overview::default() }
    }

    #[test]
    fn rates_are_what_has_happened_between_two_readings() {
        let now = Instant::now();
        let first = Figures::new(overview(10, &[(1, 10)]), now, None);
        assert_eq!((first.of_session(1), first.of_all()), (None, None));
        let later = now + Duration::from_secs(2);
        let second = Figures::new(overview(12, &[(1, 30), (2, 4)]), later, Some(&first));
        assert_eq!((second.of_session(1), second.of_session(2)), (Some(10.0), Some(2.0)));
        assert_eq!((second.of_all(), second.of_server("b")), (Some(12.0), None));
        let restarted = Figures::new(overview(1, &[(1, 5)]), later + Duration::from_secs(1), Some(&second));
        assert_eq!(restarted.of_session(1), None);
    }
}
