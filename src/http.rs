//! The public listener: routes, and the way of a request through the layers below.
//!
//! `call` and `body` read a request, `admitted` is one that has passed the guard, `answer` and `event` write
//! what comes back, `error` is the only place that knows which status a refusal has, `cors` what a browser
//! needs. `sse` and `message` are the two halves of the `sse` transport; `mcp` is the endpoint that
//! `streamable` and `stateless` clients share.
//! `health` needs no secret. `admin` is the listener of the operator, who has a secret of its own. `server`
//! listens; `connections` and `connection` see to it that nobody takes all connections or keeps one for
//! nothing, `in_flight` the same for bodies.

mod admin;
mod admitted;
mod answer;
mod body;
mod call;
mod connection;
mod connections;
mod cors;
mod error;
// Open to benches/instructions.
pub mod event;
mod health;
mod in_flight;
mod mcp;
mod message;
mod server;
mod sse;
mod stateless;
mod streamable;

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use tokio::sync::watch;
use tokio::time::Instant;

pub use self::admin::Admin;
pub use self::body::Bodies;
pub use self::call::Call;
pub use self::connections::Connections;
pub use self::server::{Listening, bind, serve, serve_admin};

use crate::access::Gate;
use crate::catalog::Catalog;
use crate::session::Sessions;

/// What the routes work with.
#[derive(Debug)]
pub struct Front {
    /// What a reload can change.
    pub policy: watch::Receiver<Arc<Policy>>,
    /// Prefix of every route.
    pub base_path: String,
    /// Who is connected.
    pub connections: Arc<Connections>,
    /// After how much silence a stream gets a sign of life.
    pub heartbeat: Duration,
    /// When the gateway started.
    pub since: Instant,
}

/// What one version of the settings makes of a request. A request sees one version from end to end.
#[derive(Debug)]
pub struct Policy {
    /// Who may come in.
    pub gate: Gate,
    /// What may be started.
    pub catalog: Catalog,
    /// What runs, and how much may.
    pub sessions: Sessions,
    /// What bodies of requests may take.
    pub bodies: Bodies,
}

impl Front {
    /// What holds now.
    pub fn policy(&self) -> Arc<Policy> {
        self.policy.borrow().clone()
    }
}

fn routes(front: &Arc<Front>) -> impl Fn(&mut ServiceConfig) + Clone + use<> {
    let front = Data::from(front.clone());
    move |config| {
        let scope = web::scope(&front.base_path)
            .service(web::resource("/health").to(health::health))
            .service(web::resource("/health/live").to(health::live))
            .service(web::resource("/health/ready").to(health::ready))
            .service(web::resource("/.well-known/{document:.*}").to(nowhere))
            .service(web::resource(["/{server}/mcp", "/{server}/mcp/"]).to(mcp::route))
            .service(web::resource("/{server}/sse").to(sse::route))
            .service(web::resource("/{server}/message").to(message::route));
        config.app_data(front.clone()).service(scope).default_service(web::to(nowhere));
    }
}

/// Everything else, `/.well-known/` and `/register` among it: clients that look for OAuth find out at once
/// that there is none.
async fn nowhere(request: HttpRequest) -> HttpResponse {
    error::not_found(&request)
}
