//! The gateway itself, and what it and its children have of the host.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use super::sheet::{Labels, Sheet, count, float};
use crate::admin::Overview;
use crate::admin::usage::Cpu;
use crate::backend::{State, Usage};
use crate::http::Front;

/// What sessions' processes use.
pub(super) fn children(sheet: &mut Sheet, overview: &Overview, cpu: &Cpu) {
    let mut uses: BTreeMap<&str, Usage> = BTreeMap::new();
    for view in &overview.sessions {
        if let Some(usage) = view.usage {
            *uses.entry(&view.server).or_default() += usage;
        }
    }
    let of = |server: &str| vec![("server", server.to_owned())];
    let each =
        |number: fn(&Usage) -> f64| uses.iter().map(move |(server, usage)| (of(server), number(usage)));
    let processes = each(|usage| count(usage.processes));
    sheet.gauge("lockgate_children", "Processes of sessions.", processes);
    let memory = each(|usage| float(usage.memory));
    sheet.gauge(
        "lockgate_children_memory_bytes",
        "Memory of these processes; what is shared counts for each.",
        memory,
    );
    let seconds = cpu.by_server.iter().map(|(server, seconds)| (of(server), *seconds));
    sheet.counter(
        "lockgate_children_cpu_seconds",
        "Processor time of sessions' processes, as seen at each scrape.",
        seconds,
    );
}

/// What comes in.
pub(super) fn listener(sheet: &mut Sheet, front: &Front, overview: &Overview) {
    let reasons =
        front.refusals.counts().map(|(reason, number)| (vec![("reason", reason.to_owned())], float(number)));
    sheet.counter("lockgate_refusals", "Requests to MCP routes that were refused, by why.", reasons);
    let (open, limit, refused) = front.connections.counts();
    sheet.gauge("lockgate_connections", "Open connections of clients.", [(Labels::new(), count(open))]);
    sheet.gauge("lockgate_connections_limit", "How many there may be.", [(Labels::new(), count(limit))]);
    let refused = [(Labels::new(), float(refused))];
    sheet.counter("lockgate_connections_refused", "Connections that were cut off at once.", refused);
    let in_flight = [(Labels::new(), count(front.policy().bodies.in_flight()))];
    sheet.gauge("lockgate_bodies_bytes", "Bytes of larger bodies on their way to sessions.", in_flight);
    let draining = [(Labels::new(), f64::from(u8::from(overview.draining)))];
    sheet.gauge("lockgate_draining", "1 while new sessions are refused because the gateway ends.", draining);
}

/// What sessions are kept from.
pub(super) fn sandbox(sheet: &mut Sheet, overview: &Overview) {
    let items = overview.sandbox.items.iter().filter(|item| item.state != State::NotWanted);
    let items = items.map(|item| {
        let in_force = matches!(item.state, State::InForce(_));
        (vec![("item", item.name.to_owned())], f64::from(u8::from(in_force)))
    });
    let help = "Parts of the sandbox that the settings ask for: 1 in force, 0 missing on this host.";
    sheet.gauge("lockgate_sandbox_item", help, items);
    let uids = overview.uids.iter().flat_map(|uids| {
        let states = [
            ("in_use", uids.in_use),
            ("resting", uids.resting),
            ("free", uids.free),
            ("unclaimed", uids.unclaimed),
        ];
        states.map(|(state, number)| (vec![("state", state.to_owned())], f64::from(number)))
    });
    sheet.gauge("lockgate_uids", "User ids of sessions; free and unclaimed ones are left.", uids);
}

/// This process, by the names that every Prometheus client has for it.
pub(super) fn gateway(sheet: &mut Sheet, overview: &Overview, started: SystemTime) {
    let of = |number: f64| [(Labels::new(), number)];
    let labels = vec![("version", overview.version.to_owned())];
    sheet.gauge("lockgate_build_info", "Which version runs.", [(labels, 1.0)]);
    let own = Usage::own();
    sheet.gauge("process_resident_memory_bytes", "Memory of the gateway itself.", of(float(own.memory)));
    sheet.counter("process_cpu_seconds", "Processor time of the gateway itself.", of(own.cpu));
    let descriptors = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    sheet.gauge("process_open_fds", "Descriptors of the gateway.", of(count(descriptors)));
    let started = started.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    sheet.gauge(
        "process_start_time_seconds",
        "When the gateway started, in seconds since 1970.",
        of(started),
    );
}
