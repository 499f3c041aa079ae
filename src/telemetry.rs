//! Logs: for people on a terminal, JSON lines elsewhere. They hold ids and sizes, never payloads, header
//! values, secrets or session ids.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::audit::TARGET;

/// Starts logging to standard error. `level` is `error`, `warn`, `info`, `debug`, `trace` or `off`, or a
/// filter such as `lockgate=debug,actix_server=warn`. Audit lines are written at every level but `off`; a
/// filter can leave them out with `lockgate::audit=off`.
///
/// # Errors
/// If the level is none of these.
pub fn start(level: &str) -> Result<(), String> {
    let filter = EnvFilter::try_new(filter(level))
        .map_err(|error| format!("LOG_LEVEL={level} is no level or filter: {error}"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        builder.with_target(false).init();
    } else {
        builder.json().flatten_event(true).with_target(false).init();
    }
    Ok(())
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
