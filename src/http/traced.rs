//! What every request has before it is routed: a tag, by which its client and the log know it, and a span where spans
//! are exported.

use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::dev::ServiceRequest;
use actix_web::http::Method;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

use super::route::Route;
use crate::ids::RequestTag;
use crate::mcp::{Frame, TraceContext, known_method};
use crate::telemetry::{Cause, Span, describe};

/// Counts the requests of one worker.
#[derive(Debug)]
pub(super) struct Series {
    /// Tells it from those of other workers, and of other gateways.
    number: u32,
    next: Cell<u64>,
}

/// The tag of a request, in it and in its response.
pub(super) const REQUEST_ID: &str = "x-request-id";
pub(super) const TRACE_PARENT: &str = "traceparent";
pub(super) const TRACE_STATE: &str = "tracestate";
const REQUEST_ID_NAME: HeaderName = HeaderName::from_static(REQUEST_ID);
const TRACE_PARENT_NAME: HeaderName = HeaderName::from_static(TRACE_PARENT);
const TRACE_STATE_NAME: HeaderName = HeaderName::from_static(TRACE_STATE);

impl Series {
    pub(super) fn draw() -> Self {
        // Nothing depends on that nobody can guess it.
        let drawn = RandomState::new().hash_one(());
        Self { number: (drawn >> 32) as u32, next: Cell::new(1) }
    }

    /// For a request that has just come.
    pub(super) fn next(&self, request: &ServiceRequest) -> Arc<Cause> {
        let headers = request.headers();
        let tag = named(headers).unwrap_or_else(|| {
            let number = self.next.get();
            self.next.set(number + 1);
            RequestTag::numbered(self.number, number)
        });
        let context = context(headers);
        let span = Span::request(known(request.method()), context.as_ref());
        span.set("lockgate.request", &tag);
        Cause::request(tag, context, span)
    }
}

/// The methods that there are; any other is a client's to choose.
fn known(method: &Method) -> &'static str {
    let known = ["GET", "POST", "DELETE", "OPTIONS", "HEAD"];
    known.into_iter().find(|known| *known == method.as_str()).unwrap_or("_OTHER")
}

/// What its client calls it, if that can be taken.
fn named(headers: &HeaderMap) -> Option<RequestTag> {
    RequestTag::parse(only(headers, &REQUEST_ID_NAME)?)
}

fn context(headers: &HeaderMap) -> Option<TraceContext> {
    let parent = only(headers, &TRACE_PARENT_NAME)?;
    // It may be sent in several parts.
    let parts: Option<Vec<&str>> = headers.get_all(TRACE_STATE_NAME).map(|part| part.to_str().ok()).collect();
    TraceContext::read(parent, parts.map(|parts| parts.join(",")).as_deref())
}

/// The value of a header that is there once.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name);
    let first = values.next()?;
    if values.next().is_some() { None } else { first.to_str().ok() }
}

/// Notes where a request goes.
pub(super) fn goes_to(request: &HttpRequest, route: Option<Route>) {
    describe(|span| {
        if let Some(route) = route {
            span.name(|| format!("{} {}", known(request.method()), route.template()));
            span.set("http.route", route.template());
        }
    });
}

/// Notes what a request says, by the first of its messages.
pub(super) fn says(message: &Frame) {
    describe(|span| {
        span.set("mcp.method.name", known_method(message));
        // Before the headers, which may be a proxy's.
        TraceContext::of(message).iter().for_each(|context| span.adopt(context));
    });
}

/// Notes how a request was answered, and tells the client by what to ask for it.
pub(super) fn respond<B>(cause: &Cause, response: &mut actix_web::HttpResponse<B>) {
    cause.span().responded(response.status().as_u16());
    if let Some(value) = cause.tag().and_then(|tag| HeaderValue::from_str(tag.as_str()).ok()) {
        response.headers_mut().insert(REQUEST_ID_NAME, value);
    }
}
