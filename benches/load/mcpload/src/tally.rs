//! What a run came to, as a line of JSON.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use crate::cli::Mode;
use crate::counts::Counts;
use crate::{Shared, lower};

/// The longest time that is told from longer ones, in nanoseconds.
pub const MAX_NS: u64 = 600_000_000_000;

pub struct Tally {
    pub counts: Counts,
    pub calls: Histogram<u64>,
    pub setups: Histogram<u64>,
    pub setup_failed: u64,
    pub setup_wall: Duration,
    pub started: Option<Instant>,
    pub ended: Option<Instant>,
}

impl Tally {
    pub fn new() -> Self {
        let hist = || Histogram::new_with_bounds(1, MAX_NS, 3).expect("valid bounds");
        Self {
            counts: Counts::default(),
            calls: hist(),
            setups: hist(),
            setup_failed: 0,
            setup_wall: Duration::ZERO,
            started: None,
            ended: None,
        }
    }

    pub fn merge(&mut self, o: &Self) {
        self.counts.add(&o.counts);
        self.calls += &o.calls;
        self.setups += &o.setups;
        self.setup_failed += o.setup_failed;
        self.setup_wall = self.setup_wall.max(o.setup_wall);
        self.started = match (self.started, o.started) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self.ended = self.ended.max(o.ended);
    }
}

pub fn record(hist: &mut Histogram<u64>, took: Duration) {
    hist.saturating_record((took.as_nanos() as u64).clamp(1, MAX_NS));
}

fn ms(ns: u64) -> Value {
    json!(((ns as f64 / 1e3).round()) / 1e3)
}

fn quantiles(hist: &Histogram<u64>) -> Map<String, Value> {
    let mut map = Map::new();
    if hist.is_empty() {
        return map;
    }
    map.insert("mean_ms".into(), ms(hist.mean() as u64));
    for (name, q) in [("p50_ms", 0.5), ("p90_ms", 0.9), ("p99_ms", 0.99), ("p999_ms", 0.999)] {
        map.insert(name.into(), ms(hist.value_at_quantile(q)));
    }
    map.insert("max_ms".into(), ms(hist.max()));
    map
}

fn per_s(n: u64, wall: f64) -> Value {
    if wall > 0.0 { json!((n as f64 / wall * 10.0).round() / 10.0) } else { Value::Null }
}

/// The line of JSON.
pub fn report(shared: &Shared, tally: &Tally) -> Value {
    let cfg = &shared.cfg;
    let c = &tally.counts;
    let wall = match (tally.started, tally.ended) {
        (Some(from), Some(to)) => (to - from).as_secs_f64(),
        _ => 0.0,
    };
    let setup_wall = if cfg.mode == Mode::Churn { wall } else { tally.setup_wall.as_secs_f64() };
    let note_lost = c.note_expected.saturating_sub(c.note_received);
    let wrong = c.errors
        + c.lost
        + c.late
        + c.mismatched
        + c.duplicates
        + c.foreign
        + c.reordered
        + c.unparsable
        + c.sessions_died
        + c.note_duplicates
        + c.note_reordered
        + c.note_foreign
        + c.note_damaged
        + note_lost
        + tally.setup_failed;
    let did = match cfg.mode {
        Mode::Setup | Mode::Idle => tally.setups.len(),
        _ => c.ok,
    };
    let mut setup = quantiles(&tally.setups);
    setup.insert("n".into(), json!(tally.setups.len()));
    setup.insert("failed".into(), json!(tally.setup_failed));
    setup.insert("wall_s".into(), json!((setup_wall * 1e3).round() / 1e3));
    setup.insert("per_s".into(), per_s(tally.setups.len(), setup_wall));
    let mut calls = quantiles(&tally.calls);
    calls.insert("per_s".into(), per_s(c.ok, wall));
    calls.insert("wall_s".into(), json!((wall * 1e3).round() / 1e3));
    for (name, n) in [
        ("attempted", c.attempted),
        ("ok", c.ok),
        ("errors", c.errors),
        ("lost", c.lost),
        ("late", c.late),
        ("mismatched", c.mismatched),
        ("duplicates", c.duplicates),
        ("foreign", c.foreign),
        ("reordered", c.reordered),
        ("unparsable", c.unparsable),
        ("sessions_died", c.sessions_died),
        ("reconnects", c.reconnects),
        ("server_requests", c.server_requests),
        ("other_notifications", c.other_notifications),
    ] {
        calls.insert(name.into(), json!(n));
    }
    let mut out = json!({
        "label": cfg.label,
        "mode": lower(cfg.mode),
        "transport": lower(cfg.transport),
        "sessions": cfg.sessions,
        "concurrency": cfg.concurrency,
        "payload": cfg.payload,
        "ids": lower(cfg.ids),
        "ok": wrong == 0 && did > 0,
        "setup": setup,
        "calls": calls,
        "distinct_children": c.pids.len(),
        "notes": c.error_kinds,
    });
    if cfg.mode == Mode::Burst {
        let note_wall = match (tally.started, c.last_note) {
            (Some(from), Some(to)) => to.saturating_duration_since(from).as_secs_f64(),
            _ => 0.0,
        };
        out["notifications"] = json!({
            "expected": c.note_expected,
            "received": c.note_received,
            "lost": note_lost,
            "duplicates": c.note_duplicates,
            "reordered": c.note_reordered,
            "foreign": c.note_foreign,
            "damaged": c.note_damaged,
            "per_s": per_s(c.note_received, note_wall),
            "mb_per_s": per_s(c.note_bytes, note_wall * 1e6),
        });
    }
    out
}
