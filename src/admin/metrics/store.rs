//! What is shared with other nodes.

use super::sheet::{Labels, Sheet, float};
use crate::store::Store;

/// Nothing, if there is no store.
pub(super) fn store(sheet: &mut Sheet, store: Option<&Store>) {
    let Some(store) = store else { return };
    let figures = store.figures();
    let labelled = |name: &'static str, counts: [(&'static str, u64); 4]| {
        counts.map(|(value, number)| (vec![(name, value.to_owned())], float(number)))
    };
    let up = [(Labels::new(), f64::from(u8::from(!store.is_away())))];
    sheet.gauge("lockgate_store_up", "1 while the store that nodes share answers.", up);
    let calls = labelled("outcome", figures.calls);
    sheet.counter(
        "lockgate_store_calls",
        "What the store was asked, heartbeats excepted, by what came of it.",
        calls,
    );
    let times = [(Labels::new(), figures.times)];
    sheet.times("lockgate_store_seconds", "How long the store took to answer.", times);
    let decisions = labelled("by", figures.decisions);
    sheet.counter(
        "lockgate_store_decisions",
        "What limits of all nodes have decided, by who did.",
        decisions,
    );
}
