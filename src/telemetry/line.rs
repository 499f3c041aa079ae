//! What a line of the log looks like: as tracing has it, with the fields of whose account it is on.

use std::fmt;

use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::{DefaultFields, Format, Json, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::cause::current;

/// The fields of a line for people.
pub(super) struct HumanFields(DefaultFields);

/// A line of JSON.
pub(super) struct JsonLine(Format<Json>);

/// Whether a line has a field of this name itself, and with a value.
struct Has {
    name: &'static str,
    found: bool,
}

impl HumanFields {
    pub(super) fn new() -> Self {
        Self(DefaultFields::new())
    }
}

impl JsonLine {
    pub(super) fn new() -> Self {
        Self(tracing_subscriber::fmt::format().json().flatten_event(true).with_target(false))
    }
}

impl<'w> FormatFields<'w> for HumanFields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        self.0.format_fields(writer.by_ref(), &fields)?;
        each_missing(&fields, |name, value| write!(writer, " {name}={value}"))
    }
}

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        // An object and a line break.
        writer.write_str(line.strip_suffix("}\n").ok_or(fmt::Error)?)?;
        each_missing(event, |name, value| write!(writer, ",\"{name}\":{}", Value::from(value)))?;
        writer.write_str("}\n")
    }
}

/// Each field of whose account it is on that these do not have.
fn each_missing(
    fields: &impl RecordFields,
    mut write: impl FnMut(&'static str, String) -> fmt::Result,
) -> fmt::Result {
    let mut outcome = Ok(());
    current(|cause| {
        cause.fields(|name, value| {
            let mut has = Has { name, found: false };
            fields.record(&mut has);
            if !has.found && outcome.is_ok() {
                outcome = write(name, value.to_string());
            }
        });
    });
    outcome
}

impl Visit for Has {
    fn record_debug(&mut self, field: &Field, _: &dyn fmt::Debug) {
        self.found |= field.name() == self.name;
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;
    use crate::audit::Of;
    use crate::ids::{RequestTag, ServerName, TenantId};
    use crate::telemetry::{Cause, Span};

    #[derive(Clone, Default)]
    struct Text(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Text {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Text {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    impl Text {
        fn take(&self) -> String {
            String::from_utf8(std::mem::take(&mut self.0.lock().unwrap())).unwrap()
        }
    }

    async fn tell_all() {
        let tag = RequestTag::parse("r-1").unwrap();
        let (tenant, server) = (TenantId::new("ac\"me"), ServerName::new("peer"));
        let of = Of {
            tenant: &tenant,
            server: &server,
            session: crate::ids::Mint::default().draw().unwrap().tag(),
        };
        tracing::info!("nobody's");
        Cause::request(tag.clone(), None, Span::default()).scope(async { tracing::info!("one") }).await;
        let own = async { tracing::info!(request = "own", session = None::<&str>, "two") };
        Cause::session(of).on_account_of(Some(tag)).scope(own).await;
    }

    #[tokio::test]
    async fn a_line_says_on_whose_account_it_is_once() {
        let text = Text::default();
        let json = tracing_subscriber::fmt().json().event_format(JsonLine::new()).with_writer(text.clone());
        let guard = tracing::subscriber::set_default(json.finish());
        tell_all().await;
        drop(guard);
        let lines = text.take();
        let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[0].get("request"), None);
        assert_eq!((&lines[1]["message"], &lines[1]["request"]), (&"one".into(), &"r-1".into()));
        assert_eq!((&lines[2]["request"], &lines[2]["tenant"]), (&"own".into(), &"ac\"me".into()));
        assert_eq!(lines[2]["session"].as_str().unwrap().len(), 8);
        let human = tracing_subscriber::fmt().fmt_fields(HumanFields::new()).with_ansi(false);
        let guard = tracing::subscriber::set_default(human.with_writer(text.clone()).finish());
        tell_all().await;
        drop(guard);
        let lines = text.take();
        let lines: Vec<&str> = lines.lines().collect();
        assert!(lines[0].ends_with("nobody's") && lines[1].ends_with("one request=r-1"), "{lines:?}");
        assert!(lines[2].contains("request=\"own\"") && !lines[2].contains("r-1"), "{}", lines[2]);
    }
}
