//! What a trace shows of a session: the time that its backend takes.

use super::Session;
use crate::catalog::Means;
use crate::mcp::{Frame, Kind, known_method};
use crate::telemetry::{self, Span};

impl Session {
    /// A message as it goes on to the backend, whose spans shall be below ours; and the span of the time until it is
    /// answered. Where nothing is exported a child gets every byte as it came.
    pub(super) fn trace(&self, frame: Frame) -> (Frame, Span) {
        let span = match frame.kind() {
            Kind::Request(..) => telemetry::below("backend", telemetry::Kind::Client),
            Kind::Notification(_) | Kind::Response(_) => Span::default(),
        };
        if span.is_recorded() {
            self.describe(&span);
            span.set("mcp.method.name", known_method(&frame));
        }
        let frame = match self.plan.means() {
            Means::Launch(_) => match span.context() {
                Some(context) => frame.below(&context),
                None => frame,
            },
            Means::Endpoint(_) => match telemetry::beside(&span) {
                Some(beside) => frame.with(beside),
                None => frame,
            },
        };
        (frame, span)
    }

    /// The span of its opening, below that of the request that opens it.
    pub(super) fn trace_opening(&self) -> Span {
        let span = telemetry::below("open", telemetry::Kind::Internal);
        if span.is_recorded() {
            self.describe(&span);
        }
        telemetry::found(self.tag);
        span
    }

    fn describe(&self, span: &Span) {
        span.set("lockgate.tenant", self.plan.tenant());
        span.set("lockgate.server", self.plan.server());
        span.set("lockgate.session", self.tag);
    }
}
