//! `/metrics`: everything that is counted, for Prometheus, in the text format that it asks for.
//!
//! Families are made of what the layers below show, when somebody scrapes, and of nothing else: a series lives as
//! long as what it is about. `sheet` writes them down; `sessions`, `tenants`, `store`,
//! `cluster` and `host` are what there is; `names` bounds the tenants that have series of their own.

mod cluster;
mod host;
mod names;
mod sessions;
mod sheet;
mod store;
mod tenants;

use actix_web::http::header::ACCEPT;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

pub(super) use self::names::Names;

use self::sheet::Sheet;
use super::{Admin, Overview, admit};
use crate::access::Operator;
use crate::http::not_operator;

/// OpenMetrics 1.0, for who asks for it.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The older text format, which everybody reads.
const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) async fn metrics(request: HttpRequest, admin: Data<Admin>) -> HttpResponse {
    let operator = match admit(&request, &admin) {
        Ok(operator) => operator,
        Err(reason) => return not_operator(&reason),
    };
    let sheet = fill(&admin, &operator).await;
    let asked = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (kind, text) = match asked.contains("application/openmetrics-text") {
        true => (OPEN_METRICS, sheet.open_metrics()),
        false => (CLASSIC, sheet.classic()),
    };
    HttpResponse::Ok().insert_header(("Cache-Control", "no-store")).content_type(kind).body(text)
}

async fn fill(admin: &Admin, operator: &Operator) -> Sheet {
    let mut sheet = Sheet::default();
    let (overview, totals) = Overview::with_totals(admin, operator).await;
    let cpu = admin.uses.cpu();
    sessions::live(&mut sheet, &overview, &admin.names);
    sessions::passed(&mut sheet, &totals);
    sessions::starts(&mut sheet, &totals, &overview);
    tenants::passed(&mut sheet, &totals, &overview, &admin.names);
    tenants::tenants(&mut sheet, &overview, &admin.names, &cpu);
    store::store(&mut sheet, admin.store.as_ref());
    cluster::cluster(&mut sheet, &admin.front.cluster);
    host::children(&mut sheet, &overview, &cpu);
    host::listener(&mut sheet, &admin.front, &overview);
    host::sandbox(&mut sheet, &overview);
    host::gateway(&mut sheet, &overview, admin.started);
    sheet
}
