//! The operator's listener. Whoever shares the loopback address can connect to it, the processes of sessions too, so
//! places here are lent.

use std::future::ready;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_service::{Service as _, ServiceFactoryExt as _, fn_service};
use actix_web::dev::Server;
use actix_web::web::ServiceConfig;
use actix_web::{App, HttpRequest};

use super::connection::{Attended, Course, HEAD_TIMEOUT};
use super::lent::{self, Lent};
use super::server::{LAST_RESPONSES, Listening, attended};
use crate::access::Operator;

/// Connections of those who are about to say who they are.
const MOST: usize = 64;

/// Serves the operator, whom one worker is enough for, by these routes.
///
/// # Errors
/// If the listener cannot be used.
pub fn serve_admin(
    listening: Listening,
    routes: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
    stalled: Duration,
) -> io::Result<Server> {
    // What gives way is closed a moment later; until then nobody else is let in.
    let builder = Server::build().workers(1).disable_signals().max_concurrent_connections(2 * MOST);
    let builder = builder.shutdown_timeout(LAST_RESPONSES);
    let draining = builder.graceful_shutdown_signal();
    let kept = Arc::new(listening.kept);
    let server = builder.listen("admin", listening.listener, move || {
        // For as long as connections are taken.
        let _ = &kept;
        let draining = draining.clone();
        let app = App::new().configure(routes.clone()).wrap_fn(|request, routes| {
            let answering = request.conn_data::<Rc<Course>>().map(Course::begin);
            let answer = routes.call(request);
            async move {
                let response = answer.await?;
                Ok(response.map_body(|_, body| Attended { body, _answering: answering, _cause: None }))
            }
        });
        let http = attended(app, HEAD_TIMEOUT, move || {
            let draining = draining.clone();
            async move { draining.notified().await }
        });
        let lent = Rc::new(Lent::new(MOST));
        fn_service(move |socket| ready(lent.enter(socket, stalled))).and_then(http).map_err(drop)
    })?;
    Ok(server.run())
}

/// Notes that the operator calls on the connection of this request: it gives way to nobody any more.
pub fn keep_for_operator(request: &HttpRequest, _operator: &Operator) {
    lent::keep(request);
}
