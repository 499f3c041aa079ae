//! The looks of the pages, and the script that keeps them up to date. They say nothing of this gateway, so the page
//! to log in at has them, too.

use std::sync::LazyLock;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::visitor::visit;
use crate::admin::Admin;
use crate::http::not_operator;

/// Where the style sheet is.
pub(super) const STYLE: &str = "/admin/style.css";
/// Where the script is.
pub(super) const SCRIPT: &str = "/admin/page.js";

static STYLE_SHEET: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("text/css; charset=utf-8", concat!(include_str!("page.css"), include_str!("try_it/page.css")))
});
static MODULE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("text/javascript; charset=utf-8", include_str!("page.js")));

/// A text that is the same for as long as this program is.
pub(super) struct Asset {
    kind: &'static str,
    text: &'static str,
    tag: String,
}

pub(super) async fn style(request: HttpRequest, admin: Data<Admin>) -> HttpResponse {
    STYLE_SHEET.answer(&request, &admin)
}

pub(super) async fn script(request: HttpRequest, admin: Data<Admin>) -> HttpResponse {
    MODULE.answer(&request, &admin)
}

impl Asset {
    pub(super) fn new(kind: &'static str, text: &'static str) -> Self {
        let tag = URL_SAFE_NO_PAD.encode(&Sha256::digest(text)[..12]);
        Self { kind, text, tag: format!("\"{tag}\"") }
    }

    pub(super) fn answer(&self, request: &HttpRequest, admin: &Admin) -> HttpResponse {
        if let Err(reason) = admin.gate.check_origin(&visit(request).presented) {
            return not_operator(&reason);
        }
        let known = request.headers().get_all(IF_NONE_MATCH).filter_map(|value| value.to_str().ok());
        let is_known = known.flat_map(|tags| tags.split(',')).any(|tag| tag.trim() == self.tag);
        let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        // Asked about each time: the next version of the gateway has others under the same names.
        response.insert_header((CACHE_CONTROL, "private, no-cache")).insert_header((ETAG, self.tag.as_str()));
        super::layout::protect(&mut response);
        if is_known {
            return response.finish();
        }
        response.insert_header((CONTENT_TYPE, self.kind)).body(self.text)
    }
}
