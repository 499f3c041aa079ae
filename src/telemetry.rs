//! What the gateway tells of itself while it runs: lines of a log, and spans for a collector.
//!
//! Lines are for people on a terminal, JSON elsewhere. They hold ids and sizes, never payloads, header values,
//! secrets or session ids. [`Cause`] is on whose account they are. A [`Span`] is how long something took; without the
//! feature `otel`, or a collector in the settings, there is none.

#[cfg(not(feature = "otel"))]
mod absent;
mod cause;
mod distribution;
#[cfg(feature = "otel")]
mod export;
mod histogram;
mod line;
mod span;

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

pub use self::cause::{Cause, below, beside, describe, follow, found, request};
pub use self::distribution::Distribution;
pub use self::histogram::Histogram;
pub use self::span::{Kind, Span};

#[cfg(not(feature = "otel"))]
use self::absent::Export;
#[cfg(feature = "otel")]
use self::export::Export;
use self::line::{HumanFields, JsonLine};
use crate::audit::TARGET;
use crate::settings::{LogForm, Telemetry};

/// The export of spans, for as long as the process lives.
#[derive(Debug)]
#[must_use = "the last spans are lost without `finish`"]
pub struct Exporting(Option<Export>);

/// Starts logging to standard error, which `writer` leads to; the form for people is `coloured` on demand. `level`
/// is `error`, `warn`, `info`, `debug`, `trace` or `off`, or a filter such as `lockgate=debug,actix_server=warn`.
/// Audit lines are written at every level but `off`; a filter can leave them out with `lockgate::audit=off`.
///
/// # Errors
/// If the level is none of these.
pub fn start_log<W>(level: &str, form: LogForm, coloured: bool, writer: W) -> Result<(), String>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(filter(level))
        .map_err(|error| format!("LOG_LEVEL={level} is no level or filter: {error}"))?;
    // That nobody reads the log any more could be told nowhere but there.
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).log_internal_errors(false);
    let is_for_people = match form {
        LogForm::Auto => std::io::stderr().is_terminal(),
        LogForm::Human => true,
        LogForm::Json => false,
    };
    if is_for_people {
        builder.with_target(false).with_ansi(coloured).fmt_fields(HumanFields::new()).init();
    } else {
        builder.json().event_format(JsonLine::new()).init();
    }
    Ok(())
}

/// Starts the export of spans, if a collector is named. `headers` are for that. Must be called outside of any
/// runtime.
///
/// # Errors
/// If they cannot be used; what is said shows none of them.
pub fn start_export(settings: &Telemetry, headers: Option<&str>) -> Result<Exporting, String> {
    if settings.traces.is_empty() {
        return Ok(Exporting(None));
    }
    Export::start(settings, headers).map(|export| Exporting(Some(export)))
}

impl Exporting {
    /// Sends what waits, within some seconds. To be called outside of any runtime.
    pub fn finish(self) {
        self.0.into_iter().for_each(Export::finish);
    }
}

fn filter(level: &str) -> String {
    match level.to_ascii_lowercase().as_str() {
        "off" => "off".to_owned(),
        plain @ ("error" | "warn" | "info" | "debug" | "trace") => {
            format!("warn,lockgate={plain},{TARGET}=info")
        }
        // A filter that does not speak of the audit lines does not mean them.
        named if !named.contains(TARGET) => format!("{level},{TARGET}=info"),
        _ => level.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audit_lines_are_left_out_on_purpose_only() {
        assert_eq!(filter("ERROR"), "warn,lockgate=error,lockgate::audit=info");
        assert_eq!(filter("lockgate=debug"), "lockgate=debug,lockgate::audit=info");
        assert_eq!(filter("lockgate::audit=off,info"), "lockgate::audit=off,info");
        assert_eq!(filter("off"), "off");
    }
}
