//! The headers of Fly.io's proxy: what an answer with `fly-replay` asks for, and what requests are told of it then.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What is larger, head and body together, cannot be replayed.
pub(super) const LARGEST: u64 = 1_000_000;
/// The proxy gives up by itself after so long.
const PATIENCE: Duration = Duration::from_millis(7500);

#[derive(Debug, PartialEq)]
pub(super) struct Replay {
    pub(super) instance: String,
    state: Option<String>,
    pub(super) timeout: Duration,
    /// Whether the issuer gets the request again where it cannot be replayed.
    pub(super) falls_back: bool,
}

impl Replay {
    /// From the value of the header: `instance=…;state=…;timeout=800ms;fallback=force_self`.
    pub(super) fn read(value: &str) -> Result<Self, String> {
        let mut replay = Self { instance: String::new(), state: None, timeout: PATIENCE, falls_back: false };
        for field in value.split(';').map(str::trim) {
            let wrong = || format!("fly-replay has {field:?}");
            match field.split_once('=').ok_or_else(wrong)? {
                ("instance", name) => replay.instance = name.into(),
                ("state", state) => replay.state = Some(state.into()),
                ("timeout", within) => replay.timeout = duration(within).ok_or_else(wrong)?,
                ("fallback", "force_self") => replay.falls_back = true,
                // The others mean nothing here; Lockgate sends none of them.
                _ => return Err(wrong()),
            }
        }
        if replay.instance.is_empty() { Err(format!("no instance in {value:?}")) } else { Ok(replay) }
    }

    /// `fly-replay-src` of the request that the target gets.
    pub(super) fn source(&self, issuer: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
        let state = self.state.as_ref().map(|state| format!(";state={state}")).unwrap_or_default();
        format!("instance={issuer};region=test;t={now}{state}")
    }

    /// `fly-replay-failed` of the request that the issuer gets again.
    pub(super) fn failed(&self, issuer: &str, reason: &str, after: Duration) -> String {
        format!(
            "instance={};app=lockgate;region=test;replay_source={issuer};reason={reason};elapsed_ms={}",
            self.instance,
            after.as_millis()
        )
    }
}

fn duration(text: &str) -> Option<Duration> {
    match text.strip_suffix("ms") {
        Some(number) => number.parse().ok().map(Duration::from_millis),
        None => text.strip_suffix('s')?.parse().ok().map(Duration::from_secs),
    }
}

#[test]
fn what_fly_knows_is_read_and_nothing_else() {
    let replay = Replay::read("instance=n2;state=abc.def;timeout=800ms;fallback=force_self").unwrap();
    assert_eq!((&*replay.instance, replay.timeout.as_millis(), replay.falls_back), ("n2", 800, true));
    assert!(replay.source("n1").starts_with("instance=n1;region=test;t="));
    assert!(replay.source("n1").ends_with(";state=abc.def"));
    let failed = replay.failed("n1", "no_candidate", Duration::from_millis(3));
    assert!(failed.contains("instance=n2;") && failed.ends_with("reason=no_candidate;elapsed_ms=3"));
    for wrong in ["", "state=x", "instance=", "instance=n1;timeout=1h", "instance=n1;fallback=none", "n1"] {
        assert!(Replay::read(wrong).is_err(), "{wrong}");
    }
}
