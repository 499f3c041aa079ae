//! Logs: for people on a terminal, JSON lines elsewhere. They hold ids and sizes, never payloads, header
//! values, secrets or session ids.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging to standard error. `level` is `error`, `warn`, `info`, `debug`, `trace` or `off`, or a
/// filter such as `lockgate=debug,actix_server=warn`.
///
/// # Errors
/// If the level is none of these.
pub fn start(level: &str) -> Result<(), String> {
    let filter = EnvFilter::try_new(match level.to_ascii_lowercase().as_str() {
        plain @ ("error" | "warn" | "info" | "debug" | "trace" | "off") => {
            format!("{},lockgate={plain}", if plain == "off" { "off" } else { "warn" })
        }
        _ => level.to_owned(),
    })
    .map_err(|error| format!("LOG_LEVEL={level} is no level or filter: {error}"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        builder.with_target(false).init();
    } else {
        builder.json().flatten_event(true).with_target(false).init();
    }
    Ok(())
}
