//! On whose account something happens: what the lines of the log carry that are written meanwhile.
//!
//! It goes with the task and not with each call, and is looked at only where a line is written. So a request about
//! which nothing is told pays for two swaps of a pointer whenever it is polled.

use std::future::Future;
use std::sync::{Arc, OnceLock};

use super::span::{Kind, Span};
use crate::audit::Of;
use crate::ids::{RequestTag, ServerName, SessionTag, TenantId};
use crate::mcp::{Beside, TraceContext};

tokio::task_local! {
    static CAUSE: Arc<Cause>;
}

/// A request, or a session that goes on by itself.
#[derive(Debug, Default)]
pub struct Cause {
    request: Option<RequestTag>,
    /// Known once the request has found its session.
    session: OnceLock<SessionTag>,
    whose: Option<(TenantId, ServerName)>,
    /// What the client says of the trace that its request belongs to.
    context: Option<TraceContext>,
    /// Of the request; ends with the last that holds this.
    span: Span,
}

impl Cause {
    /// A request.
    pub fn request(tag: RequestTag, context: Option<TraceContext>, span: Span) -> Arc<Self> {
        Arc::new(Self { request: Some(tag), context, span, ..Self::default() })
    }

    /// A session.
    pub fn session(of: Of<'_>) -> Arc<Self> {
        let whose = Some((of.tenant.clone(), of.server.clone()));
        Arc::new(Self { session: of.session.into(), whose, ..Self::default() })
    }

    /// The same on account of a request, if it is known which.
    pub fn on_account_of(&self, request: Option<RequestTag>) -> Arc<Self> {
        let (session, whose) = (self.session.clone(), self.whose.clone());
        Arc::new(Self { request, session, whose, ..Self::default() })
    }

    /// What happens in this future happens on this account.
    pub fn scope<F: Future>(self: Arc<Self>, future: F) -> impl Future<Output = F::Output> + use<F> {
        CAUSE.scope(self, future)
    }

    /// What the log knows the request by.
    pub fn tag(&self) -> Option<&RequestTag> {
        self.request.as_ref()
    }

    /// The span of the request.
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// Each field that a line carries.
    pub(super) fn fields(&self, mut take: impl FnMut(&'static str, &dyn std::fmt::Display)) {
        self.request.iter().for_each(|request| take("request", request));
        self.session.get().into_iter().for_each(|session| take("session", session));
        if let Some((tenant, server)) = &self.whose {
            take("tenant", tenant);
            take("server", server);
        }
    }
}

/// On whose account this happens, as far as that is known.
pub(super) fn current<T>(with: impl FnOnce(&Arc<Cause>) -> T) -> Option<T> {
    CAUSE.try_with(with).ok()
}

/// The request on whose account this happens.
pub fn request() -> Option<RequestTag> {
    current(|cause| cause.request.clone()).flatten()
}

/// The request has found its session.
pub fn found(session: SessionTag) {
    current(|cause| {
        let _ = cause.session.set(session);
        cause.span.set("lockgate.session", session);
    });
}

/// Has something noted in the request's span, if that is exported; else it costs nothing.
pub fn describe(with: impl FnOnce(&Span)) {
    current(|cause| {
        if cause.span.is_recorded() {
            with(&cause.span);
        }
    });
}

/// A span below that of the request; none if that is not exported.
pub fn below(name: &'static str, kind: Kind) -> Span {
    current(|cause| cause.span.child(name, kind)).unwrap_or_default()
}

/// What goes beside a message of the request to a remote server: `span` is the message's own.
pub fn beside(span: &Span) -> Option<Beside> {
    current(|cause| {
        let own = span.context().or_else(|| cause.span.context());
        let context = own.or_else(|| cause.context.clone());
        Some(Beside { request: cause.request.as_ref()?.as_str().into(), context })
    })
    .flatten()
}

/// Has a task that is about to be started go on, on account of the same session, and of the request that this message
/// came with.
pub fn follow<F: Future>(beside: Option<&Beside>, future: F) -> impl Future<Output = F::Output> + use<F> {
    let request = beside.and_then(|beside| RequestTag::parse(&beside.request));
    let cause = current(|cause| cause.on_account_of(request)).unwrap_or_default();
    cause.scope(future)
}
