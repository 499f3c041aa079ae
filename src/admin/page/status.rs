//! How the gateway is, in one line, and what everybody should know who looks.

use maud::html;

use super::figure;
use super::section::{Section, state};
use crate::admin::Overview;

/// The line.
pub(super) fn section(overview: &Overview) -> Section {
    let [kind, word] = if overview.draining { ["bad", "draining"] } else { ["good", "serving"] };
    let summary = html! {
        p {
            (state(kind, word)) " Version " (overview.version) ", up for "
            (figure::since(overview.at, overview.uptime_seconds as f64)) "."
        }
    };
    Section::new("status", summary, Vec::new())
}

/// What is said aloud: it must change when there is something to say only.
pub(super) fn notice(overview: &Overview) -> Section {
    let summary = html! {
        @if overview.draining {
            p.banner.bad {
                strong { "The gateway drains." } " New sessions are refused; requests in flight finish within "
                code { "timeouts.drain" } ", then every session ends, and the gateway with them."
            }
        }
    };
    Section::new("notice", summary, Vec::new())
}
