//! The public listener: routes, and the way of a request through the layers below.
//!
//! `call` and `body` read a request, `admitted` is one that has passed the guard, `answer` and `event` write what comes back, `error` is the only place
//! that knows which status a refusal has, `cors` what a browser needs. `sse` and `message` are the two
//! halves of the `sse` transport; `mcp` is the endpoint that `streamable` and `stateless` clients share.
//! `health` needs no secret. `admin` is the listener of the operator, who has a secret of its own.

mod admin;
mod admitted;
mod answer;
mod body;
mod call;
mod cors;
mod error;
mod event;
mod health;
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
use tokio::time::Instant;

pub use self::admin::Admin;
pub use self::call::Call;
pub use self::server::{Listening, bind, serve, serve_admin};

use crate::access::Gate;
use crate::catalog::Catalog;
use crate::session::Sessions;

/// What the routes work with.
#[derive(Debug)]
pub struct Front {
    /// Who may come in.
    pub gate: Gate,
    /// What may be started.
    pub catalog: Catalog,
    /// What runs.
    pub sessions: Sessions,
    /// Prefix of every route.
    pub base_path: String,
    /// The largest message of a client, in bytes.
    pub max_message: usize,
    /// After how much silence a stream gets a sign of life.
    pub heartbeat: Duration,
    /// When the gateway started.
    pub since: Instant,
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
