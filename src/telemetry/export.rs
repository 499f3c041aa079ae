//! The way of spans to the collector: OTLP over HTTP, from a thread of its own. Requests put what has ended in a
//! bounded queue and never wait; what finds no room there is dropped.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceId,
    TraceState, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider, SpanData,
};
use reqwest::redirect::Policy;
use rustls::crypto::{CryptoProvider, ring};

use super::span::Kind;
use crate::mcp::TraceContext;
use crate::settings::Telemetry;

/// The export of this process. Call [`Export::finish`] in the end.
#[derive(Debug)]
pub(super) struct Export(SdkTracerProvider);

/// A span that is exported when it is dropped, unless its trace is not sampled.
#[derive(Debug)]
pub(super) struct Live(Mutex<Stage>);

#[derive(Debug)]
enum Stage {
    /// Where it belongs may turn out yet: a message says so in its body. And what it belongs below.
    Begun(Box<SpanBuilder>, Context),
    Started(Context),
}

/// Tells once when the collector does not take spans, and once when it does again.
#[derive(Debug)]
struct Watched {
    exporter: opentelemetry_otlp::SpanExporter,
    is_failing: AtomicBool,
}

/// Who makes the spans of this process, if anybody does.
static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// Spans that wait, and that go in one request.
const QUEUE: usize = 4096;
const BATCH: usize = 512;
/// How long they wait for others.
const DELAY: Duration = Duration::from_secs(1);
/// How long the collector may take for one request, with what is tried again.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long the last spans may take at the end of the process, which a platform waits for so long only.
const LAST: Duration = Duration::from_secs(2);

impl Export {
    /// `headers` are `name=value`, separated by commas, the values percent-encoded (OpenTelemetry, OTLP exporter).
    pub(super) fn start(settings: &Telemetry, headers: Option<&str>) -> Result<Self, String> {
        let exporter = exporter(&settings.traces, headers.unwrap_or_default())?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(DELAY)
            .build();
        let watched = Watched { exporter, is_failing: AtomicBool::new(false) };
        let processor = BatchSpanProcessor::builder(watched).with_batch_config(batches).build();
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let resource = Resource::builder().with_service_name("lockgate").with_attribute(version).build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            // By the trace alone: whether a client records its own says nothing of what the operator wants.
            .with_sampler(Sampler::TraceIdRatioBased(settings.traces_sampled))
            .with_resource(resource)
            .build();
        let _ = TRACER.set(provider.tracer("lockgate"));
        Ok(Self(provider))
    }

    /// Sends what waits, within bounds.
    pub(super) fn finish(self) {
        if self.0.shutdown_with_timeout(LAST).is_err() {
            tracing::warn!("the last spans have not reached the collector");
        }
    }
}

fn exporter(url: &str, headers: &str) -> Result<opentelemetry_otlp::SpanExporter, String> {
    if CryptoProvider::get_default().is_none() {
        // If another thread was faster, it has installed the same.
        let _ = ring::default_provider().install_default();
    }
    // Another place is not to have the headers, which say who we are.
    let client = reqwest::blocking::Client::builder().redirect(Policy::none()).timeout(PATIENCE).build();
    let client =
        client.map_err(|error| format!("there can be no connection to telemetry.traces: {error}"))?;
    opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_endpoint(format!("{}/v1/traces", url.trim_end_matches('/').trim_end_matches("/v1/traces")))
        .with_timeout(PATIENCE)
        .with_headers(read_headers(headers)?)
        .build()
        .map_err(|error| format!("telemetry.traces cannot be used: {error}"))
}

/// Errors do not repeat what is a secret.
fn read_headers(text: &str) -> Result<HashMap<String, String>, String> {
    const FAULT: &str = "OTEL_EXPORTER_OTLP_HEADERS must hold name=value pairs, separated by commas, the values percent-encoded";
    let pair = |entry: &str| {
        let (name, value) = entry.split_once('=')?;
        let (name, value) = (name.trim(), urlencoding::decode(value.trim()).ok()?);
        http::HeaderName::try_from(name).ok()?;
        http::HeaderValue::try_from(&*value).ok()?;
        Some((name.to_owned(), value.into_owned()))
    };
    let entries = text.split(',').filter(|entry| !entry.trim().is_empty());
    entries.map(|entry| pair(entry).ok_or_else(|| FAULT.to_owned())).collect()
}

impl opentelemetry_sdk::trace::SpanExporter for Watched {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let outcome = self.exporter.export(batch).await;
        match (outcome.is_err(), self.is_failing.swap(outcome.is_err(), Relaxed)) {
            (true, false) => tracing::warn!(
                "the collector does not take spans, which are dropped until it does; is telemetry.traces right, and does it run?"
            ),
            (false, true) => tracing::info!("the collector takes spans again"),
            _ => {}
        }
        outcome
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

// === impl Live ===

impl Live {
    /// Of a request that begins now; `None` if nothing is exported.
    pub(super) fn request() -> Option<Self> {
        TRACER.get().map(|_| {
            let begun = SpanBuilder::from_name("request").with_kind(SpanKind::Server);
            let begun = begun.with_start_time(SystemTime::now());
            Self(Mutex::new(Stage::Begun(Box::new(begun), Context::new())))
        })
    }

    pub(super) fn adopt(&self, context: &TraceContext) {
        if let Stage::Begun(_, parent) = &mut *self.stage() {
            let (trace, span, flags) = context.ids();
            let state = context.state().and_then(|state| state.parse::<TraceState>().ok());
            *parent = Context::new().with_remote_span_context(SpanContext::new(
                TraceId::from(trace),
                SpanId::from(span),
                TraceFlags::new(flags),
                true,
                state.unwrap_or_default(),
            ));
        }
    }

    pub(super) fn name(&self, name: String) {
        match &mut *self.stage() {
            Stage::Begun(begun, _) => begun.name = name.into(),
            Stage::Started(context) => context.span().update_name(name),
        }
    }

    pub(super) fn set(&self, key: &'static str, value: String) {
        self.note(KeyValue::new(key, value));
    }

    pub(super) fn responded(&self, status: u16) {
        self.note(KeyValue::new("http.response.status_code", i64::from(status)));
        if status >= 500 {
            self.fail();
        }
    }

    pub(super) fn fail(&self) {
        self.stage().started().span().set_status(Status::error(""));
    }

    pub(super) fn child(&self, name: &'static str, kind: Kind) -> Self {
        let kind = match kind {
            Kind::Client => SpanKind::Client,
            Kind::Internal => SpanKind::Internal,
        };
        let mut stage = self.stage();
        let mut child = Stage::Begun(
            Box::new(SpanBuilder::from_name(name).with_kind(kind).with_start_time(SystemTime::now())),
            stage.started().clone(),
        );
        child.started();
        Self(Mutex::new(child))
    }

    pub(super) fn context(&self) -> Option<TraceContext> {
        let mut stage = self.stage();
        let span = stage.started().span();
        let own = span.span_context();
        let (trace, id, flags) = (own.trace_id(), own.span_id(), own.trace_flags().to_u8());
        let state = own.trace_state().header();
        TraceContext::read(&format!("00-{trace}-{id}-{flags:02x}"), Some(&*state).filter(|s| !s.is_empty()))
    }

    fn note(&self, attribute: KeyValue) {
        match &mut *self.stage() {
            Stage::Begun(begun, _) => begun.attributes.get_or_insert_default().push(attribute),
            Stage::Started(context) => context.span().set_attribute(attribute),
        }
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stage {
    /// From here on it is settled what it belongs below.
    fn started(&mut self) -> &Context {
        if let Self::Begun(begun, parent) = self
            && let Some(tracer) = TRACER.get()
        {
            let span = tracer.build_with_context(std::mem::take(begun), parent);
            *self = Self::Started(parent.with_span(span));
        }
        let (Self::Started(context) | Self::Begun(_, context)) = self;
        context
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.stage().started().span().end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_others_write_them_and_never_shown() {
        let read = read_headers("authorization=Bearer%20s%2Cx, x-tenant = a ,").unwrap();
        assert_eq!((read["authorization"].as_str(), read["x-tenant"].as_str()), ("Bearer s,x", "a"));
        assert!(read_headers("").unwrap().is_empty());
        for text in ["hunter2", "a b=hunter2", "a=hunter2%0a", "=hunter2"] {
            assert!(!read_headers(text).unwrap_err().contains("hunter2"), "{text}");
        }
    }
}
