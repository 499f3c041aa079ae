//! Everything that there is to be seen, at one moment: what the page shows and `lockgate top` reads.

use std::collections::BTreeMap;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use super::{Admin, admit};
use crate::access::{Operator, TenantUse, WrongSecrets};
use crate::audit::{self, Told};
use crate::backend::{Report, UidCount};
use crate::catalog::Listing;
use crate::http::{answer_json, not_operator};
use crate::ids::{ServerName, TenantId};
use crate::session::{Account, Quantiles, Starts, TenantAccount, Times, Totals, Traffic, Trouble, View};
use crate::settings::Limits;
use crate::store::{self, Store};

/// What there is to be seen.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Overview {
    /// Now, in seconds since 1970.
    pub at: u64,
    /// Of this program.
    pub version: &'static str,
    /// Since the gateway started.
    pub uptime_seconds: u64,
    /// Whether it shuts down.
    pub draining: bool,
    /// Sessions that there have been.
    pub sessions_total: u64,
    /// How many there may be, and the like.
    pub limits: Limits,
    /// How long calls take in the backends of all servers.
    pub backend: Quantiles,
    /// Those that live, oldest first.
    pub sessions: Vec<View>,
    /// The allowlist, by name.
    pub servers: Vec<ServerView>,
    /// Whoever may connect, by id.
    pub tenants: Vec<TenantView>,
    /// What is shared with other nodes; `None` if there are none.
    pub store: Option<store::View>,
    /// Secrets that were revoked, here or on another node.
    pub revoked_secrets: usize,
    /// Secrets that nobody has.
    pub wrong_secrets: WrongSecrets,
    /// What sessions are kept from.
    pub sandbox: Report,
    /// How their user ids are used, if they have some of their own.
    pub uids: Option<UidCount>,
    /// The last lines of the audit log, oldest first.
    pub audit: Vec<Told>,
}

/// A server of the allowlist, and how it does.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ServerView {
    /// What it is.
    #[serde(flatten)]
    pub listing: Listing,
    /// Sessions that live.
    pub sessions: usize,
    /// Sessions that there have been.
    pub opened: u64,
    /// Children that wait for a session.
    pub warm: usize,
    /// Backends that ran.
    pub started: u64,
    /// Sessions that failed because of their backend.
    pub failed: u64,
    /// The last of these, oldest first.
    pub failures: Vec<Trouble>,
    /// From when a session was opened until its backend ran.
    pub ready: Quantiles,
    /// From when a backend was first asked something until it answered.
    pub answered: Quantiles,
    /// How long calls take in the backend.
    pub backend: Quantiles,
    /// How long they take in the gateway, both ways together.
    pub gateway: Quantiles,
    /// What has passed through its sessions.
    pub traffic: Traffic,
}

/// A tenant, and what it makes of it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct TenantView {
    /// What it may do, and what it was kept from.
    #[serde(flatten)]
    pub usage: TenantUse,
    /// Sessions that live.
    pub sessions: usize,
    /// Sessions that there have been.
    pub opened: u64,
    /// What has passed through its sessions.
    pub traffic: Traffic,
}

/// `/overview`, for programs.
pub(super) async fn overview(request: HttpRequest, admin: Data<Admin>) -> HttpResponse {
    match admit(&request, &admin) {
        Ok(operator) => {
            let overview = Overview::of(&admin, &operator).await;
            answer_json(&request, HttpResponse::Ok(), &serde_json::json!(overview))
        }
        Err(reason) => not_operator(&reason),
    }
}

/// The word that programs read for something here; `None` if it is not known.
pub(super) fn word(of: impl Serialize) -> Option<String> {
    serde_json::to_value(of).ok()?.as_str().map(str::to_owned)
}

impl Overview {
    /// What there is to be seen now.
    pub(super) async fn of(admin: &Admin, operator: &Operator) -> Self {
        Self::with_totals(admin, operator).await.0
    }

    /// The same, with the totals that it was made of. What children use may be some seconds old.
    pub(super) async fn with_totals(admin: &Admin, operator: &Operator) -> (Self, Totals) {
        let policy = admin.front.policy();
        let sessions = &policy.sessions;
        admin.uses.look(sessions, operator).await;
        let census = sessions.census(operator);
        let totals = sessions.totals(operator);
        let warm = sessions.started_ahead(operator);
        let mut all = Times::default();
        totals.sessions.values().for_each(|account| all.join(&account.times));
        let mut by_server: BTreeMap<&ServerName, Account> = BTreeMap::new();
        for ((server, _), account) in &totals.sessions {
            by_server.entry(server).or_default().join(account.clone());
        }
        let count = |counts: &BTreeMap<String, usize>, name: &str| counts.get(name).copied().unwrap_or(0);
        let servers = policy.catalog.listings(operator).into_iter().map(|listing| {
            let name = &listing.server;
            let account = by_server.remove(name).unwrap_or_default();
            let starts = totals.starts.get(name).cloned().unwrap_or_default();
            let (live, warm) = (count(&census.by_server, name.as_str()), count(&warm, name.as_str()));
            ServerView::new(listing, live, warm, account, starts)
        });
        let tenants = policy.gate.tenants(operator).into_iter().map(|usage| {
            let account = totals.tenants.get(&TenantId::new(&usage.tenant)).copied();
            let TenantAccount { opened, traffic } = account.unwrap_or_default();
            TenantView { sessions: count(&census.by_tenant, &usage.tenant), opened, traffic, usage }
        });
        let overview = Self {
            at: audit::seconds_since_1970(),
            version: env!("CARGO_PKG_VERSION"),
            uptime_seconds: admin.front.since.elapsed().as_secs(),
            draining: sessions.is_draining(),
            sessions_total: sessions.total(),
            backend: Quantiles::of(&all.backend),
            limits: sessions.limits(operator).clone(),
            sessions: sessions.views(operator).into_iter().map(|view| admin.with_usage(view)).collect(),
            servers: servers.collect(),
            tenants: tenants.collect(),
            store: admin.store.as_ref().map(Store::view),
            revoked_secrets: policy.gate.revoked().len(),
            wrong_secrets: policy.gate.wrong_secrets(operator),
            sandbox: sessions.sandbox(operator).clone(),
            uids: sessions.uid_count(operator),
            audit: audit::recent(),
        };
        (overview, totals)
    }
}

impl Admin {
    fn with_usage(&self, view: View) -> View {
        View { usage: self.uses.of(view.number), ..view }
    }
}

impl ServerView {
    fn new(listing: Listing, sessions: usize, warm: usize, account: Account, starts: Starts) -> Self {
        let Times { backend, mut way_in, way_out } = account.times;
        way_in.join(&way_out);
        Self {
            listing,
            sessions,
            opened: account.opened,
            warm,
            started: starts.started,
            failed: starts.failed,
            ready: Quantiles::of(&starts.ready),
            answered: Quantiles::of(&starts.answered),
            backend: Quantiles::of(&backend),
            gateway: Quantiles::of(&way_in),
            traffic: account.traffic,
            failures: starts.failures.into(),
        }
    }
}
