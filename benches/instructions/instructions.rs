//! What a message costs on its way through the gateway, in instructions, which do not depend on what else the
//! machine does. `benches/check` runs this and compares with `baseline.txt` beside it.
//!
//! It reaches what it measures as the fuzz targets do: by what the library makes public.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use gungraun::{Callgrind, EventKind, LibraryBenchmarkConfig};
use gungraun::{library_benchmark, library_benchmark_group, main};
use lockgate::access::{Gate, Machine, Permit, Presented, Secret, Secrets};
use lockgate::backend::{Framer, Line};
use lockgate::catalog::{Catalog, LaunchPlan, Overrides, Target};
use lockgate::http::event;
use lockgate::ids::ServerName;
use lockgate::mcp::{Frame, Malformed, Origin, RequestId};
use lockgate::session::Delivery;
use lockgate::settings::{Flags, Platform, Settings};
use lockgate_instructions::{answer, call, note};

const SMALL: usize = 200;
const LARGE: usize = 1_000_000;
/// What is read of a pipe at once.
const PIPE: usize = 64 * 1024;
const MAX_LINE: usize = 16 << 20;
const SECRET: &[u8] = b"Bearer a-secret-of-the-usual-length-0123456789";

fn frame(text: String) -> Frame {
    Frame::parse(text.into()).unwrap()
}

// === framing of what a child writes ===

/// On a thread that has read before: the buffer is the thread's.
fn output(lines: usize, size: usize) -> (Framer, Vec<u8>) {
    let mut first = Framer::new(MAX_LINE);
    first.space();
    first.rest();
    (Framer::new(MAX_LINE), format!("{}\n", answer(size)).repeat(lines).into())
}

#[library_benchmark]
#[bench::one_small(output(1, SMALL))]
#[bench::hundred_small(output(100, SMALL))]
#[bench::one_large(output(1, LARGE))]
fn framing((mut framer, output): (Framer, Vec<u8>)) -> Vec<Line> {
    let mut lines = Vec::with_capacity(100);
    for read in output.chunks(PIPE) {
        framer.space().extend_from_slice(read);
        while let Some(line) = framer.next_line() {
            lines.push(line);
        }
    }
    lines
}

// === envelopes ===

#[library_benchmark]
#[bench::call(call(SMALL).into())]
#[bench::answer(answer(SMALL).into())]
#[bench::notification(note().into())]
#[bench::large_answer(answer(LARGE).into())]
fn envelope(text: Bytes) -> Result<Frame, Malformed> {
    Frame::parse(black_box(text))
}

// === events ===

fn delivery(frames: usize, size: usize) -> Delivery {
    let frames = (0..frames).map(|_| frame(answer(size))).collect();
    Delivery { first: "3-7".parse().unwrap(), frames, last: false, waited: std::time::Duration::ZERO }
}

#[library_benchmark]
#[bench::one_small(delivery(1, SMALL))]
#[bench::hundred_small(delivery(100, SMALL))]
#[bench::one_large(delivery(1, LARGE))]
fn events(delivery: Delivery) -> (Bytes, Delivery) {
    (event::messages(black_box(&delivery), true), delivery)
}

// === ids, where clients share a child ===

fn renumbered(size: usize) -> (Frame, RequestId) {
    (frame(call(size)), RequestId::parse("17").unwrap())
}

#[library_benchmark]
#[bench::small(renumbered(SMALL))]
#[bench::large(renumbered(LARGE))]
fn renumber((request, id): (Frame, RequestId)) -> (Origin, Frame, Frame) {
    let (origin, numbered) = Origin::renumber(black_box(&request), id, &RequestId::number(1234));
    (origin, numbered, request)
}

fn answered(size: usize) -> (Origin, Frame) {
    let (request, id) = renumbered(SMALL);
    (Origin::renumber(&request, id, &RequestId::number(17)).0, frame(answer(size)))
}

#[library_benchmark]
#[bench::small(answered(SMALL))]
#[bench::large(answered(LARGE))]
fn restore_response((origin, response): (Origin, Frame)) -> (Frame, Frame) {
    (origin.restore_response(black_box(&response)), response)
}

fn progressing() -> (Origin, Frame) {
    (answered(SMALL).0, frame(note().into()))
}

#[library_benchmark]
#[bench::small(progressing())]
fn restore_progress((origin, notification): (Origin, Frame)) -> (Option<Frame>, Frame) {
    (origin.restore_progress(black_box(&notification)), notification)
}

// === guard and catalog ===

struct Front {
    gate: Gate,
    catalog: Catalog,
}

/// Limits are on, as they are by default, but far away.
fn front() -> Front {
    let often = ["PER_MINUTE", "BURST"].map(|key| (format!("LOCKGATE__RATE__{key}"), "1000000".to_owned()));
    let platform = Platform { variables: BTreeMap::from(often) };
    let allow = (0..100).map(|n| format!("/bin/true --port {n}")).collect();
    let settings = Settings::load(&Flags { allow, ..Flags::default() }, &platform).unwrap();
    let secret = Secret::new("a-secret-of-the-usual-length-0123456789".into()).unwrap();
    let secrets = Secrets { tenant: Some(&secret), ..Secrets::default() };
    let address = "127.0.0.1:8000".parse().unwrap();
    let gate = Gate::new(&settings, secrets, address, &Machine::default()).unwrap();
    let front = Front { gate, catalog: Catalog::load(&settings).unwrap() };
    // The first request of a tenant does what later ones need not.
    admitted(&front);
    front
}

fn presented() -> Presented<'static> {
    Presented {
        authorization: vec![SECRET],
        origin: vec![],
        host: Some(b"localhost:8000"),
        peer: std::net::Ipv4Addr::LOCALHOST.into(),
        fly_client_ip: vec![],
        forwarded_for: vec![],
        vouched: None,
    }
}

/// Without a store, nothing is waited for.
fn at_once<T>(decision: impl Future<Output = T>) -> T {
    let Poll::Ready(decided) = pin!(decision).poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("it waits")
    };
    decided
}

fn admitted(front: &Front) -> (Permit, ServerName) {
    let permit = at_once(front.gate.admit(&presented())).unwrap();
    let target = Target::decode(black_box("%2Fbin%2Ftrue%20--port%2042")).unwrap();
    let server = front.catalog.find(&permit, &target).unwrap();
    (permit, server)
}

// What each request goes through before its body is read.
#[library_benchmark]
#[bench::request(front())]
fn guard(front: Front) -> ((Permit, ServerName), Front) {
    (admitted(black_box(&front)), front)
}

// What a request that opens a session goes through.
#[library_benchmark]
#[bench::opening(front())]
fn plan(front: Front) -> (LaunchPlan, Front) {
    let permit = at_once(front.gate.admit(&presented())).unwrap();
    let target = Target::decode(black_box("%2Fbin%2Ftrue%20--port%2042")).unwrap();
    let mut overrides = Overrides::default();
    overrides.add("api_token", b"0123456789").unwrap();
    overrides.add("region", b"eu").unwrap();
    (front.catalog.plan(&permit, &target, overrides, |_| None).unwrap(), front)
}

library_benchmark_group!(name = child, benchmarks = [framing]);
library_benchmark_group!(name = message, benchmarks = [envelope, events]);
library_benchmark_group!(name = ids, benchmarks = [renumber, restore_response, restore_progress]);
library_benchmark_group!(name = way_in, benchmarks = [guard, plan]);

main!(
    config = LibraryBenchmarkConfig::default()
        .tool(Callgrind::with_args(["--cache-sim=no"]).format([EventKind::Ir])),
    library_benchmark_groups = [child, message, ids, way_in]
);
