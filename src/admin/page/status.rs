//! How the gateway is, in one line, and what everybody should know who looks.

use maud::{Markup, html};

use super::figure;
use super::section::{Section, state};
use crate::admin::Overview;
use crate::store;

/// The line.
pub(super) fn section(overview: &Overview) -> Section {
    let [kind, word] = if overview.draining { ["bad", "draining"] } else { ["good", "serving"] };
    let summary = html! {
        p {
            (state(kind, word)) " Version " (overview.version) ", up for "
            (figure::since(overview.at, overview.uptime_seconds as f64)) "."
            @if let Some(store) = &overview.store {
                " " (store_line(store))
            }
        }
    };
    Section::new("status", summary, Vec::new())
}

/// Whether other nodes can be heard.
fn store_line(store: &store::View) -> Markup {
    html! {
        @if store.up {
            (state("good", "store answers")) " " (store.nodes) " " (if store.nodes == 1 { "node" } else { "nodes" }) "."
        } @else {
            (state("bad", "store out of reach")) " Limits are as " code { "store.away" } " says."
        }
    }
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
