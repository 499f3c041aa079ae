//! Sessions: those that live, what has passed through them, and how their backends began.

use std::collections::BTreeMap;

use serde::Serialize;

use super::names::Names;
use super::sheet::{Labels, Sheet, count, float};
use crate::admin::overview::word;
use crate::admin::{Overview, ServerView};
use crate::ids::ServerName;
use crate::session::{Account, Totals, Transport};

/// A word as the overview has it.
fn told(of: impl Serialize) -> String {
    word(of).unwrap_or_else(|| "unknown".to_owned())
}

fn labels((server, transport): &(ServerName, Transport)) -> Labels {
    vec![("server", server.to_string()), ("transport", told(transport))]
}

fn with(mut labels: Labels, name: &'static str, value: &str) -> Labels {
    labels.push((name, value.to_owned()));
    labels
}

/// Sessions that live now.
pub(super) fn live(sheet: &mut Sheet, overview: &Overview, names: &Names) {
    let mut live: BTreeMap<Labels, f64> = BTreeMap::new();
    for view in &overview.sessions {
        let labels = vec![
            ("server", view.server.clone()),
            ("tenant", names.of(&view.tenant).to_owned()),
            ("transport", told(view.transport)),
            ("era", told(view.era)),
            ("stage", told(view.stage)),
        ];
        *live.entry(labels).or_default() += 1.0;
    }
    sheet.gauge("lockgate_sessions", "Live sessions; era is what the backend speaks.", live);
    let limit = [(vec![], count(overview.limits.sessions))];
    sheet.gauge("lockgate_sessions_limit", "How many sessions there may be: limits.sessions.", limit);
    let limits = overview.servers.iter().map(|server| {
        let listing = &server.listing;
        (vec![("server", listing.server.to_string())], count(listing.max_sessions))
    });
    sheet.gauge("lockgate_server_sessions_limit", "How many sessions a server may have.", limits);
}

/// What has passed through sessions.
pub(super) fn passed(sheet: &mut Sheet, totals: &Totals) {
    let each = |number: fn(&Account) -> u64| {
        totals.sessions.iter().map(move |(key, account)| (labels(key), float(number(account))))
    };
    let both = |name: &'static str, values: [&'static str; 2], numbers: fn(&Account) -> [u64; 2]| {
        totals.sessions.iter().flat_map(move |(key, account)| {
            let pairs = values.into_iter().zip(numbers(account));
            pairs.map(|(value, number)| (with(labels(key), name, value), float(number))).collect::<Vec<_>>()
        })
    };
    sheet.counter("lockgate_sessions_opened", "Sessions that were opened.", each(|account| account.opened));
    let ended = totals.sessions.iter().flat_map(|(key, account)| {
        let of = |(why, number): (&&str, &u64)| (with(labels(key), "reason", why), float(*number));
        account.ended.iter().map(of).collect::<Vec<_>>()
    });
    sheet.counter("lockgate_sessions_ended", "Sessions that have ended, by why.", ended);
    sheet.counter("lockgate_calls", "Requests of clients.", each(|account| account.traffic.calls));
    let open = totals.sessions.iter().map(|(key, account)| (labels(key), count(account.queues.open)));
    sheet.gauge("lockgate_calls_open", "Calls that wait for an answer.", open);
    let messages = both("from", ["client", "server"], |account| {
        [account.traffic.messages_in, account.traffic.messages_out]
    });
    sheet.counter("lockgate_messages", "Messages of clients and of servers.", messages);
    let bytes =
        both("from", ["client", "server"], |account| [account.traffic.bytes_in, account.traffic.bytes_out]);
    sheet.counter("lockgate_message_bytes", "Bytes of these messages.", bytes);
    let stalls = both("by", ["server", "client"], |account| {
        [account.traffic.backend_stalls, account.traffic.client_stalls]
    });
    sheet.counter("lockgate_stalls", "How often messages had to wait for who reads them, by whom.", stalls);
    let queues = both("for", ["server", "client"], |account| {
        [account.queues.to_backend as u64, account.queues.to_client as u64]
    });
    sheet.gauge(
        "lockgate_queue_bytes",
        "Bytes that wait in sessions, in queues and in the bridge, for whom.",
        queues,
    );
    durations(sheet, totals);
}

fn durations(sheet: &mut Sheet, totals: &Totals) {
    let backend = totals.sessions.iter().map(|(key, account)| (labels(key), account.times.backend.clone()));
    sheet.times(
        "lockgate_call_server_seconds",
        "From when a call is handed to the server until its answer is read.",
        backend,
    );
    let gateway = totals.sessions.iter().flat_map(|(key, account)| {
        let ways = [("in", &account.times.way_in), ("out", &account.times.way_out)];
        ways.map(|(way, times)| (with(labels(key), "way", way), times.clone()))
    });
    sheet.times(
        "lockgate_call_gateway_seconds",
        "What the gateway adds to a call: in, until it is handed over; out, until its client takes the answer.",
        gateway,
    );
}

/// How backends began.
pub(super) fn starts(sheet: &mut Sheet, totals: &Totals, overview: &Overview) {
    let of = |server: &ServerName| vec![("server", server.to_string())];
    let starts = || totals.starts.iter();
    let started = starts().map(|(server, starts)| (of(server), float(starts.started)));
    sheet.counter("lockgate_starts", "Backends that ran.", started);
    let failed = starts().map(|(server, starts)| (of(server), float(starts.failed)));
    sheet.counter("lockgate_failures", "Sessions that failed because of their backend.", failed);
    let ready = starts().map(|(server, starts)| (of(server), starts.ready.clone()));
    sheet.times(
        "lockgate_start_ready_seconds",
        "From when a session was opened until its backend ran, with what was waited for in between.",
        ready,
    );
    let answered = starts().map(|(server, starts)| (of(server), starts.answered.clone()));
    sheet.times(
        "lockgate_start_answer_seconds",
        "From when a backend was asked something first until it answered.",
        answered,
    );
    let listed = |number: fn(&ServerView) -> usize| {
        overview.servers.iter().map(move |server| (of(&server.listing.server), count(number(server))))
    };
    sheet.gauge("lockgate_warm_children", "Children that wait for a session.", listed(|server| server.warm));
    let wanted = listed(|server| server.listing.warm_wanted);
    sheet.gauge("lockgate_warm_children_wanted", "How many are to wait.", wanted);
}
