//! What is read of `/overview`. The gateway may be of another version: what it does not tell is not shown.

use serde::Deserialize;

/// What there is to be seen, as far as it is shown here.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Overview {
    pub(super) version: String,
    pub(super) uptime_seconds: u64,
    pub(super) draining: bool,
    pub(super) limits: Limits,
    pub(super) sessions: Vec<Session>,
    pub(super) servers: Vec<Server>,
    pub(super) tenants: Vec<Tenant>,
    pub(super) backend: Quantiles,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Limits {
    pub(super) sessions: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Session {
    pub(super) number: u64,
    pub(super) tag: String,
    pub(super) tenant: String,
    pub(super) server: String,
    pub(super) transport: String,
    pub(super) era: Option<String>,
    pub(super) stage: String,
    /// In seconds, as all durations.
    pub(super) age: f64,
    pub(super) idle: f64,
    pub(super) traffic: Traffic,
    pub(super) backend: Quantiles,
    pub(super) usage: Option<Usage>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Server {
    pub(super) server: String,
    pub(super) kind: String,
    pub(super) sessions: u64,
    pub(super) max_sessions: u64,
    pub(super) warm: u64,
    pub(super) started: u64,
    pub(super) failed: u64,
    pub(super) traffic: Traffic,
    pub(super) backend: Quantiles,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Tenant {
    pub(super) tenant: String,
    pub(super) sessions: u64,
    pub(super) traffic: Traffic,
    pub(super) requests: RateUse,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Traffic {
    pub(super) calls: u64,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RateUse {
    pub(super) limited: u64,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Quantiles {
    pub(super) p50: Option<f64>,
    pub(super) p99: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Usage {
    pub(super) memory: u64,
    pub(super) cpu: f64,
}
