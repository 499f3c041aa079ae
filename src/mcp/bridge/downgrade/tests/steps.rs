//! What can happen between a client and a backend.

use proptest::prelude::*;
use proptest::sample::Index;

/// Something that happens.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Request(&'static str, usize),
    Cancel(Index),
    /// The client answers a question, or what was none.
    Tell(Index, How),
    /// The backend answers a request, or what was none.
    Answer(Index, How),
    /// It wants to know so much about one.
    Want(Index, usize, bool),
    /// It says something about one of them, or of a resource.
    Notify(Index, &'static str),
    Acknowledge(Index, bool),
    /// It does what it may not.
    Ask(i64),
    Tick(u64),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum How {
    Right,
    Error,
    Stray,
}

const METHODS: [&str; 9] = [
    "tools/call",
    "tools/call",
    "tools/list",
    "prompts/get",
    "ping",
    "logging/setLevel",
    "resources/subscribe",
    "resources/unsubscribe",
    "tasks/get",
];
const NOTES: [&str; 5] = [
    "notifications/progress",
    "notifications/message",
    "notifications/resources/updated",
    "notifications/cancelled",
    "notifications/tools/list_changed",
];
pub(super) const KINDS: [&str; 4] = ["elicitation/create", "sampling/createMessage", "roots/list", "ping"];

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let how = || prop_oneof![4 => Just(How::Right), 1 => Just(How::Error), 1 => Just(How::Stray)];
    let step = prop_oneof![
        6 => (prop::sample::select(&METHODS[..]), 0..4_usize).prop_map(|(method, n)| Step::Request(method, n)),
        2 => any::<Index>().prop_map(Step::Cancel),
        5 => (any::<Index>(), how()).prop_map(|(at, how)| Step::Tell(at, how)),
        4 => (any::<Index>(), how()).prop_map(|(at, how)| Step::Answer(at, how)),
        5 => (any::<Index>(), 0..5_usize, any::<bool>()).prop_map(|(at, n, state)| Step::Want(at, n, state)),
        2 => (any::<Index>(), prop::sample::select(&NOTES[..])).prop_map(|(at, note)| Step::Notify(at, note)),
        3 => (any::<Index>(), any::<bool>()).prop_map(|(at, takes)| Step::Acknowledge(at, takes)),
        1 => (0..9_i64).prop_map(Step::Ask),
        2 => (0..3000_u64).prop_map(Step::Tick),
    ];
    prop::collection::vec(step, 0..80)
}
