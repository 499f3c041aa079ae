//! `[telemetry]`: what the gateway tells of itself while it runs.

use serde::{Deserialize, Serialize};
use url::Url;

use super::choice::Choice;

/// Logs and traces. Headers for the collector are secrets, so they come from `OTEL_EXPORTER_OTLP_HEADERS`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Telemetry {
    /// What the lines of the log look like.
    pub log: LogForm,
    /// The collector's endpoint for OTLP over HTTP, without `/v1/traces`; empty for no traces.
    pub traces: String,
    /// The part of all requests whose spans are exported, from 0 to 1.
    pub traces_sampled: f64,
}

/// What the lines of the log look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", rename_all = "lowercase")]
pub enum LogForm {
    /// For people on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Human,
    /// One JSON object on each line.
    Json,
}

impl Telemetry {
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        if !(0.0..=1.0).contains(&self.traces_sampled) {
            return Err((
                "telemetry.traces_sampled",
                format!("is {}; give a part of all requests, from 0.0 to 1.0", self.traces_sampled),
            ));
        }
        if self.traces.is_empty() {
            return Ok(());
        }
        check_url(&self.traces).map_err(|reason| ("telemetry.traces", reason.to_owned()))?;
        if !cfg!(feature = "otel") {
            let reason =
                "cannot be used: this build exports no traces; build with `--features otel`, or give \"\"";
            return Err(("telemetry.traces", reason.into()));
        }
        Ok(())
    }
}

/// Errors do not repeat what may hold a secret.
fn check_url(text: &str) -> Result<(), &'static str> {
    let url =
        Url::parse(text).map_err(|_| "is no URL; give one such as \"http://127.0.0.1:4318\", or \"\"")?;
    if !["http", "https"].contains(&url.scheme()) {
        return Err("must begin with http:// or https://");
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err(
            "may hold neither credentials nor a query; put headers in the variable OTEL_EXPORTER_OTLP_HEADERS",
        );
    }
    Ok(())
}

impl Choice for LogForm {
    const WORDS: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("human", Self::Human), ("json", Self::Json)];
}

impl TryFrom<String> for LogForm {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::of(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(traces: &str, traces_sampled: f64) -> Result<(), (&'static str, String)> {
        Telemetry { log: LogForm::Auto, traces: traces.into(), traces_sampled }.check()
    }

    #[test]
    fn a_collector_is_a_plain_url_and_a_part_is_one() {
        assert_eq!(check("", 1.0), Ok(()));
        assert_eq!(check("http://127.0.0.1:4318", 0.0).is_ok(), cfg!(feature = "otel"));
        for traces in
            ["127.0.0.1:4318", "ftp://a/", "http://u:hunter2@a/", "http://a/?key=hunter2", "hunter2"]
        {
            let (key, reason) = check(traces, 1.0).unwrap_err();
            assert!(key == "telemetry.traces" && !reason.contains("hunter2"), "{reason}");
        }
        for part in [-0.1, 1.1, f64::NAN] {
            assert_eq!(check("", part).unwrap_err().0, "telemetry.traces_sampled");
        }
    }
}
