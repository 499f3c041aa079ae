//! The script of the page, in parts that browsers load as modules.

use std::sync::LazyLock;

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};

use crate::admin::Admin;
use crate::admin::page::assets::Asset;
use crate::http::nothing_to_see;

/// Where the parts are.
pub(super) const PLACE: &str = "/admin/try/{part}";
/// The part that loads the others.
pub(super) const ENTRY: &str = "/admin/try/page.js";

static PARTS: LazyLock<[(&str, Asset); 14]> = LazyLock::new(|| {
    let part = |name, text| (name, Asset::new("text/javascript; charset=utf-8", text));
    [
        part("asking.js", include_str!("asking.js")),
        part("client.js", include_str!("client.js")),
        part("element.js", include_str!("element.js")),
        part("events.js", include_str!("events.js")),
        part("form.js", include_str!("form.js")),
        part("gateway.js", include_str!("gateway.js")),
        part("list.js", include_str!("list.js")),
        part("messages.js", include_str!("messages.js")),
        part("mirror.js", include_str!("mirror.js")),
        part("page.js", include_str!("page.js")),
        part("result.js", include_str!("result.js")),
        part("schema.js", include_str!("schema.js")),
        part("tool.js", include_str!("tool.js")),
        part("variables.js", include_str!("variables.js")),
    ]
});

pub(super) async fn part(request: HttpRequest, name: Path<String>, admin: Data<Admin>) -> HttpResponse {
    let found = PARTS.iter().find(|(known, _)| **known == **name);
    found.map_or_else(nothing_to_see, |(_, part)| part.answer(&request, &admin))
}
