//! The operator's page, at `/admin`: HTML that is whole without a script, and keeps itself up to date with one.
//!
//! `login` is the way in and `visitor` who has come in. `overview` is the page; its sections are `status`,
//! `sessions`, `servers`, `tenants`, `sandbox` and `audit`, each a `section`, whose rows can be replaced one by
//! one. `events` sends those that have changed to whoever looks. `actions` are what can be done, each asked about
//! first and sent by a `form`. `try_it` is a page of its own, on which a server is tried. `layout` is what all
//! pages have in common, `assets` their looks, `figure` how numbers are told.
//!
//! A page is told by `Overview` alone, shows no secret, and a `GET` changes nothing.

mod actions;
mod assets;
mod audit;
mod events;
mod figure;
mod form;
mod layout;
mod login;
mod overview;
mod sandbox;
mod section;
mod servers;
mod sessions;
mod status;
mod tenants;
mod try_it;
mod visitor;

use actix_web::dev::HttpServiceFactory;
use actix_web::web::{self, ServiceConfig};
use actix_web::{FromRequest, Handler, HttpResponse, Resource, Responder};

pub(super) use self::events::Lookers;
pub use self::try_it::Tries;
pub(super) use self::visitor::visit;

/// Where the page is.
const HOME: &str = "/admin";

/// What answers below `/admin`.
pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .service(shown(HOME, overview::overview))
        .service(shown(assets::STYLE, assets::style))
        .service(shown(assets::SCRIPT, assets::script))
        .service(web::resource(events::EVENTS).route(web::get().to(events::events)))
        .service(both(actions::END, actions::ask_to_end, actions::end))
        .service(both(actions::DRAIN, actions::ask_to_drain, actions::drain))
        .service(both(actions::RELOAD, actions::ask_to_reload, actions::reload))
        .service(both(actions::REVOKE, actions::ask_to_revoke, actions::revoke))
        .service(both(login::LOGIN, login::ask, login::log_in))
        .service(sent(login::LOGOUT, login::log_out))
        .configure(try_it::routes);
}

/// What can only be looked at.
fn shown<F, A>(path: &str, handler: F) -> impl HttpServiceFactory + use<F, A>
where
    F: Handler<A> + Clone,
    A: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    look(path, handler).default_service(web::to(async || other_method("GET, HEAD")))
}

/// What can only be sent.
fn sent<F, A>(path: &str, handler: F) -> impl HttpServiceFactory + use<F, A>
where
    F: Handler<A>,
    A: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let resource = web::resource(path).route(web::post().to(handler));
    resource.default_service(web::to(async || other_method("POST")))
}

/// What is looked at first, then sent.
fn both<F, A, G, B>(path: &str, asking: F, sending: G) -> impl HttpServiceFactory + use<F, A, G, B>
where
    F: Handler<A> + Clone,
    A: FromRequest + 'static,
    F::Output: Responder + 'static,
    G: Handler<B>,
    B: FromRequest + 'static,
    G::Output: Responder + 'static,
{
    let resource = look(path, asking).route(web::post().to(sending));
    resource.default_service(web::to(async || other_method("GET, HEAD, POST")))
}

fn look<F, A>(path: &str, handler: F) -> Resource
where
    F: Handler<A> + Clone,
    A: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    web::resource(path).route(web::get().to(handler.clone())).route(web::head().to(handler))
}

fn other_method(allowed: &'static str) -> HttpResponse {
    HttpResponse::MethodNotAllowed().insert_header(("Allow", allowed)).finish()
}
