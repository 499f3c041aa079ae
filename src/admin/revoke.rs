//! `POST /revoke`: a secret opens nothing any more, at once, and on every node that shares the store.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

use super::page::visit;
use super::{Admin, admit};
use crate::access::{Intent, Revoked, SecretHash};
use crate::http::{not_operator, problem};

/// What programs send.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    secret: String,
}

/// What revoking has come to.
#[derive(Debug)]
pub(super) struct Done {
    /// Whose it was.
    pub(super) tenant: Option<String>,
    /// Whether other nodes have been told; `None` if there is no store to tell them by.
    pub(super) told: Option<bool>,
    /// The same in words.
    pub(super) text: String,
}

/// A request is smaller, in bytes.
const LIMIT: usize = 4096;
const PATIENCE: Duration = Duration::from_secs(10);
const FORM: &str = "Send {\"secret\": \"sha256:…\"}, as [tenants.*] has it and `lockgate secret` prints it.";

pub(super) async fn revoke(request: HttpRequest, body: Payload, admin: Data<Admin>) -> HttpResponse {
    // A browser has the page's form for it.
    let admitted = admit(&request, &admin).and_then(|_| admin.gate.intend(&visit(&request), &[]));
    let intent = match admitted {
        Ok(intent) => intent,
        Err(reason) => return not_operator(&reason),
    };
    let refuse = |status, detail: &str| problem(HttpResponse::build(status), status, detail);
    let sent = match timeout(PATIENCE, body.to_bytes_limited(LIMIT)).await {
        Ok(Ok(Ok(bytes))) => bytes,
        _ => Bytes::new(),
    };
    let Ok(Wanted { secret }) = serde_json::from_slice(&sent) else {
        return refuse(StatusCode::BAD_REQUEST, FORM);
    };
    match admin.revoke(&intent, &secret).await {
        Ok(Done { tenant, told, text }) => {
            let answer = json!({ "secret": secret, "tenant": tenant, "told_others": told, "detail": text });
            HttpResponse::Ok().insert_header(("Cache-Control", "no-store")).json(answer)
        }
        Err(reason) => refuse(StatusCode::BAD_REQUEST, &reason),
    }
}

impl Admin {
    /// Revokes the secret of this hash, here and on every node that shares the store.
    ///
    /// # Errors
    /// With why it cannot be.
    pub(super) async fn revoke(&self, intent: &Intent, hash: &str) -> Result<Done, String> {
        let key: SecretHash =
            hash.trim().parse().map_err(|reason| format!("What is to be revoked {reason}."))?;
        let gate = &self.front.policy().gate;
        let revoked = gate.revoke(intent, key).map_err(|reason| reason.to_string())?;
        let told = match &self.store {
            Some(store) => Some(store.tell_revoked(&[key.to_string()]).await.is_ok()),
            None => None,
        };
        let here = match &revoked {
            Revoked::Of(tenant) => {
                format!("A secret of tenant {tenant} is revoked: its sessions end, and it is refused.")
            }
            Revoked::Nobodys => "No tenant has this secret here; it is revoked all the same.".to_owned(),
            Revoked::Already => "This secret was revoked before.".to_owned(),
        };
        let others = match told {
            Some(true) => "The other nodes are told, and those that start later.",
            Some(false) => "The other nodes are told once the store can be reached.",
            None if self.front.cluster.is_alone() => {
                "Take it out of the settings, too: a restart forgets this."
            }
            None => {
                "The other nodes are not told, because there is no store: revoke it at each, and take it out of the \
                 settings, as a restart forgets this."
            }
        };
        let tenant = match revoked {
            Revoked::Of(tenant) => Some(tenant.to_string()),
            Revoked::Nobodys | Revoked::Already => None,
        };
        Ok(Done { tenant, told, text: format!("{here} {others}") })
    }
}
