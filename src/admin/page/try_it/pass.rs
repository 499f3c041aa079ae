//! The passes that pages use. A page knows the number of its pass, and never the secret.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::relay::NotRelayed;
use crate::access::{Intent, MAX_PASSES, PASS_LASTS, Secret};
use crate::admin::Admin;
use crate::admin::page::form::Form;
use crate::admin::page::visitor::visit;
use crate::ids::TenantId;

/// Where a page gets a pass for a tenant.
pub(in crate::admin::page) const PASS: &str = "/admin/pass";

/// The passes that pages use, oldest first.
#[derive(Debug, Default)]
pub(super) struct Passes(Mutex<VecDeque<(u64, Secret)>>);

/// Gives the page a pass.
pub(in crate::admin::page) async fn give(
    request: HttpRequest,
    body: Payload,
    admin: Data<Admin>,
) -> HttpResponse {
    let form = Form::read(body).await;
    let given = async {
        let intent = admin.gate.intend(&visit(&request), form.token().as_bytes())?;
        admin.tries.passes.draw(&admin, &intent, &TenantId::new(&form.field("tenant")))
    };
    match given.await {
        Ok(number) => HttpResponse::Ok()
            .insert_header(("Cache-Control", "no-store"))
            .json(json!({ "pass": number.to_string(), "seconds": PASS_LASTS.as_secs() })),
        Err(reason) => reason.response(),
    }
}

impl Passes {
    /// Has a pass made. The gate ends the oldest of them all, so no more need be kept.
    fn draw(&self, admin: &Admin, intent: &Intent, tenant: &TenantId) -> Result<u64, NotRelayed> {
        let secret = admin.front.policy().gate.pass(intent, tenant)?;
        let mut passes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = passes.back().map_or(1, |(last, _)| last + 1);
        passes.push_back((number, secret));
        if passes.len() > MAX_PASSES {
            passes.pop_front();
        }
        Ok(number)
    }

    /// The pass of this number.
    pub(super) fn find(&self, number: u64, _intent: &Intent) -> Option<Secret> {
        let passes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        passes.iter().find(|(known, _)| *known == number).map(|(_, secret)| secret.clone())
    }
}
