//! The listener of other nodes: they hand requests over, and ask who is there. What they say is signed, so whoever else
//! comes by gets nothing.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};

use super::Front;
use super::error::{not_found, problem};
use super::lent;
use super::server::{self, Listening};
use super::worker::Side;
use crate::cluster::{Answer, HELLO, HELLO_PATH};

/// Serves other nodes as [`super::serve`] serves clients.
///
/// # Errors
/// If the listener cannot be used.
pub fn serve_nodes(listening: Listening, front: &Arc<Front>, stalled: Duration) -> io::Result<Server> {
    server::serve_side(listening, front, stalled, Side::Nodes)
}

/// Who is here, for another node that asks.
pub(super) fn answer(request: &HttpRequest, front: &Front) -> HttpResponse {
    if request.path() != HELLO_PATH {
        return not_found(request);
    }
    let asked = request.headers().get(HELLO).and_then(|value| value.to_str().ok());
    match asked.and_then(|asked| front.cluster.introduce(asked)) {
        Some(Answer { body, signature }) => {
            lent::keep(request);
            HttpResponse::Ok().insert_header((HELLO, signature)).content_type("application/json").body(body)
        }
        None => {
            let detail = "Only other nodes of this gateway may ask, with the secret that all of them have.";
            problem(HttpResponse::Forbidden(), StatusCode::FORBIDDEN, detail)
        }
    }
}
