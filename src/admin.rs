//! The operator's listener: an address of its own, a secret of its own. Nothing here is told to anybody without
//! it, because the loopback address is shared with every session's processes.
//!
//! `overview` is what there is to be seen, `detail` the part of it that `/health/detail` has always told, `metrics`
//! the same as numbers over time, and `usage` what children use of the host; `health` tries a server, `controls` are
//! what the operator can have the gateway do, and `revoke` is what ends a secret at once. `page` is all that for people with a browser.

mod controls;
mod detail;
mod health;
mod metrics;
mod overview;
mod page;
mod revoke;
mod usage;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::SystemTime;

use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};

pub use self::controls::{Controls, Orders, Reloaded};
pub use self::page::Tries;

use self::metrics::Names;
use self::overview::{Overview, ServerView, TenantView};
use self::page::Lookers;
use self::usage::Uses;
use crate::access::{AdminGate, NotOperator, Operator};
use crate::doctor::Examiner;
use crate::http::{Call, Front, keep_for_operator, not_operator, nothing_to_see};
use crate::store::Store;

/// What the operator's routes work with.
#[derive(Debug)]
pub struct Admin {
    /// Who may come in.
    pub gate: AdminGate,
    /// What is looked at.
    front: Arc<Front>,
    /// What is shared with other nodes, if anything is.
    store: Option<Store>,
    /// What can be done.
    controls: Controls,
    /// What tries servers.
    examiner: Examiner,
    /// What servers are tried with.
    tries: Tries,
    lookers: Lookers,
    uses: Uses,
    names: Names,
    /// When the gateway started, by the clock of that moment: a start that moves would look like another one.
    started: SystemTime,
}

impl Admin {
    /// Everything for who comes in by this gate.
    pub fn new(
        gate: AdminGate,
        front: Arc<Front>,
        store: Option<Store>,
        controls: Controls,
        examiner: Examiner,
        tries: Tries,
    ) -> Self {
        let started = SystemTime::now() - front.since.elapsed();
        let (uses, names) = (Uses::default(), Names::default());
        Self { gate, front, store, controls, examiner, tries, lookers: Lookers::new(), uses, names, started }
    }

    /// Keeps the pages up to date that are looked at, for as long as it is awaited.
    pub async fn keep_up_to_date(&self) -> Infallible {
        self.lookers.tell(self).await
    }

    /// Tells the pages that are looked at that there is nothing more to come.
    pub fn end_updates(&self) {
        self.lookers.end();
    }
}

/// What answers the operator.
pub fn routes(admin: &Arc<Admin>) -> impl Fn(&mut ServiceConfig) + Clone + use<> {
    let admin = Data::from(admin.clone());
    move |config| {
        config
            .app_data(admin.clone())
            .service(web::resource("/health/detail").to(detail::detail))
            .service(web::resource("/health/deep").to(health::deep))
            .service(web::resource("/metrics").to(metrics::metrics))
            .service(web::resource("/revoke").route(web::post().to(revoke::revoke)))
            .service(web::resource("/overview").to(overview::overview))
            .configure(page::routes)
            .default_service(web::to(nowhere));
    }
}

/// Without the secret, nobody learns what there is for programs. (The page's own routes are no secret: they say who is
/// to log in.)
async fn nowhere(request: HttpRequest, admin: Data<Admin>) -> HttpResponse {
    match admit(&request, &admin) {
        Ok(_) => nothing_to_see(),
        Err(reason) => not_operator(&reason),
    }
}

/// Lets the operator in who shows the secret with each request, as programs do.
fn admit(request: &HttpRequest, admin: &Admin) -> Result<Operator, NotOperator> {
    let operator = admin.gate.admit(&Call::read(request, "").presented())?;
    keep_for_operator(request, &operator);
    Ok(operator)
}
