//! The public listener: routes, and the way of a request through the layers below.
//!
//! `route` says what answers a path, `worker` is what each thread that answers has of its own. `call` and `body`
//! read a request (`media_range` what it takes), `admitted` is one that the guard has let in, `local` one that is
//! answered here, `answer` and `event`
//! write what comes back, `error` is the only place that knows which status a refusal has, `refusals` counts
//! them, `cors` is what a browser needs. `sse` and `message` are the two halves of the `sse` transport; `mcp` is
//! the endpoint that the two others share, each of which has a file of its name. `health` needs no secret.
//!
//! What is not answered here, `handover` has another node answer, whose words `relayed` passes on; `nodes` is where
//! other nodes do the same.
//! `server` listens, and gives each request what `traced` has for it; `connections` and `connection` see to it
//! that nobody takes all connections or keeps one for nothing, `in_flight` the same for bodies; `lent` does where
//! strangers have no business, which is at the listeners of nodes and of the operator.
//! `operator` is the listener of the operator, whose routes are others'.

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
mod handover;
mod health;
mod in_flight;
mod lent;
mod local;
mod mcp;
mod media_range;
mod message;
mod nodes;
mod operator;
mod refusals;
mod relayed;
mod route;
mod server;
mod sse;
mod stateless;
mod streamable;
mod traced;
mod worker;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{self, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use tokio::sync::watch;
use tokio::time::Instant;

pub use self::body::Bodies;
pub use self::call::Call;
pub use self::connections::Connections;
pub use self::error::{not_operator, nothing_to_see, problem, try_later, turning_away};
pub use self::health::{answer as answer_json, glance, not_looking};
pub use self::nodes::serve_nodes;
pub use self::operator::{keep_for_operator, serve_admin};
pub use self::refusals::Refusals;
pub use self::server::{Listening, bind, serve};

use self::route::Route;
use self::worker::{Side, Worker};
use crate::access::Gate;
use crate::catalog::Catalog;
use crate::cluster::Cluster;
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
    /// What was refused.
    pub refusals: Refusals,
    /// Other nodes, if there are any.
    pub cluster: Arc<Cluster>,
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
    /// What holds now. Requests ask their worker.
    pub fn policy(&self) -> Arc<Policy> {
        self.policy.borrow().clone()
    }
}

/// What answers on one worker.
fn routes(front: &Arc<Front>, side: Side) -> impl Fn(&mut ServiceConfig) + use<> {
    let worker = Rc::new(Worker::new(front.clone(), side));
    move |config| {
        let worker = worker.clone();
        config.default_service(web::to(move |request, payload| route(request, payload, worker.clone())));
    }
}

async fn route(request: HttpRequest, payload: Payload, worker: Rc<Worker>) -> HttpResponse {
    let route = Route::of(request.uri().path(), &worker.front.base_path);
    traced::goes_to(&request, route);
    if worker.side == Side::Nodes && !matches!(route, Some(Route::Mcp | Route::Message)) {
        return nodes::answer(&request, &worker.front);
    }
    match route {
        Some(Route::Mcp) => mcp::route(request, payload, &worker).await,
        Some(Route::Message) => message::route(request, payload, &worker).await,
        Some(Route::Sse) => sse::route(request, &worker).await,
        Some(Route::Health) => health::health(&request, &worker.front),
        Some(Route::Live) => health::live(&request),
        Some(Route::Ready) => health::ready(&request, &worker.front),
        // `/.well-known/` and `/register` among it: clients that look for OAuth find out at once that there is
        // none.
        None => error::not_found(&request),
    }
}
