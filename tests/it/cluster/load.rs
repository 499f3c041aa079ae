//! The official SDKs, all at once: 200 sessions and 10,000 calls over every transport, each of which must come back with
//! what is its own.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdout, Stdio};

use serde::Deserialize;

use super::front::{Front, Way};
use super::nodes::{Cluster, Plan};
use super::proxy::{Kind, Proxy};
use crate::clients::{node_at, python_at};

/// Script, transport, sessions, calls.
type Part = (&'static str, &'static str, u32, u32);

/// The whole, for `tests/cluster`: a minute for each front end. Python takes longer for a call than anything else here.
const WHOLE: [Part; 8] = [
    ("load_v1.mjs", "sse", 45, 2600),
    ("load_v1.mjs", "streamable", 45, 2600),
    ("load_v2.mjs", "stateless", 40, 2300),
    ("load_v2.mjs", "streamable", 20, 800),
    ("load_v2.mjs", "sse", 20, 800),
    ("load.py", "sse", 10, 300),
    ("load.py", "streamable", 10, 300),
    ("load.py", "stateless", 10, 300),
];
/// As much as can be waited for where something else is to be seen.
pub(super) const LITTLE: [Part; 4] = [
    ("load_v1.mjs", "sse", 6, 600),
    ("load_v1.mjs", "streamable", 6, 600),
    ("load_v2.mjs", "stateless", 6, 600),
    ("load.py", "streamable", 3, 150),
];

/// By each SDK and transport, for as long as somebody looks.
pub(super) const ENDLESS: [Part; 5] = [
    ("load_v1.mjs", "streamable", 6, u32::MAX),
    ("load_v1.mjs", "sse", 6, u32::MAX),
    ("load_v2.mjs", "stateless", 6, u32::MAX),
    ("load.py", "sse", 2, u32::MAX),
    ("load.py", "streamable", 2, u32::MAX),
];

/// A tenth of it, unless the whole is asked for.
fn parts() -> [Part; 8] {
    let share = if std::env::var_os("LOCKGATE_WHOLE").is_some() { 1 } else { 10 };
    WHOLE.map(|(script, transport, sessions, calls)| (script, transport, sessions / share, calls / share))
}

fn calls(parts: &[Part]) -> u32 {
    parts.iter().map(|(_, _, _, calls)| calls).sum()
}

/// Clients that are at work.
pub(super) struct Load(Vec<Running>);

struct Running {
    part: Part,
    client: Child,
    told: BufReader<ChildStdout>,
}

/// What came of their calls.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Counts {
    pub(super) ok: u32,
    /// No answer, and nobody said why.
    pub(super) lost: u32,
    /// An answer that is somebody else's.
    pub(super) crossed: u32,
    /// An error was told.
    pub(super) failed: u32,
    pub(super) opened: u32,
    pub(super) errors: BTreeMap<String, u32>,
    /// How long opening and calling took, for whoever reads what is printed.
    #[expect(dead_code, reason = "it is printed")]
    milliseconds: [u32; 2],
}

impl Load {
    /// Begins with it.
    pub(super) fn start(base: &str, parts: &[Part]) -> Self {
        Self(parts.iter().map(|part| Running::start(base, *part, false)).collect())
    }

    /// The same by clients that open another session where they are told an error, and go on until `finish`. All their
    /// sessions are open now.
    pub(super) fn start_again_and_again(base: &str, parts: &[Part]) -> Self {
        let mut all: Vec<_> = parts.iter().map(|part| Running::start(base, *part, true)).collect();
        for one in &mut all {
            let mut line = String::new();
            one.told.read_line(&mut line).unwrap();
            assert_eq!(line, "begun\n", "{:?}", one.part);
        }
        Self(all)
    }

    /// No more calls; what came of those that there were.
    pub(super) fn finish(mut self) -> Counts {
        self.0.iter_mut().for_each(|one| drop(one.client.stdin.take()));
        self.outcome()
    }

    /// Waits until all have done; what came of it all together, and is printed of each.
    pub(super) fn outcome(self) -> Counts {
        let mut all = Counts::default();
        for mut one in self.0 {
            let last = one.told.by_ref().lines().map_while(Result::ok).last().unwrap_or_default();
            assert!(one.client.wait().unwrap().success(), "{:?}", one.part);
            let counts: Counts = serde_json::from_str(&last).unwrap();
            println!("{:?}: {counts:?}", one.part);
            all.add(counts);
        }
        all
    }
}

impl Running {
    fn start(base: &str, part: Part, again: bool) -> Self {
        let (script, transport, sessions, calls) = part;
        let (sessions, calls) = (sessions.to_string(), calls.to_string());
        let mut arguments = vec!["demo", transport, &sessions, &calls];
        arguments.extend(again.then_some("again"));
        let mut command = match script {
            "load.py" => python_at(base, script, &arguments),
            _ => node_at(base, script, &arguments),
        };
        // Whose end they wait for, if it is `again`.
        let mut client = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let told = BufReader::new(client.stdout.take().unwrap());
        Self { part, client, told }
    }
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.ok += other.ok;
        self.lost += other.lost;
        self.crossed += other.crossed;
        self.failed += other.failed;
        self.opened += other.opened;
        for (text, count) in other.errors {
            *self.errors.entry(text).or_default() += count;
        }
    }

    /// Fails unless every call of these came back with what is its own.
    pub(super) fn is_whole(&self, parts: &[Part]) {
        let calls: u32 = parts.iter().map(|(.., calls)| calls).sum();
        assert_eq!((self.ok, self.lost, self.crossed, self.failed), (calls, 0, 0, 0), "{:?}", self.errors);
    }
}

/// Sessions of a small server that need no users of their own.
pub(super) fn plan(reach: &'static str) -> Plan {
    Plan::of(reach).with(
        "[sandbox]\nprofile = \"off\"\n[limits]\nsessions_per_tenant = 500\nsessions_per_server = 500\n",
    )
}

/// The harness by itself: each client has a node, and none knows of another.
#[test]
fn nothing_is_lost_or_crossed_where_each_client_has_its_node() {
    Cluster::run(plan("none"), async |cluster| {
        let front = Front::start(Way::Sticky, cluster).await;
        let counts = Load::start(&front.base, &LITTLE).outcome();
        counts.is_whole(&LITTLE);
        for node in &cluster.nodes {
            assert!(node.scrape().await.sum("lockgate_calls_total", &[]) > 0.0, "{} has some", node.name);
        }
    });
}

#[test]
fn nothing_is_lost_or_crossed_where_each_request_goes_to_the_next_node() {
    Cluster::run(plan("forward"), async |cluster| {
        let front = Front::start(Way::Turns, cluster).await;
        let parts = parts();
        Load::start(&front.base, &parts).outcome().is_whole(&parts);
        front.is_content();
        let handed = cluster.sum("lockgate_handovers_total", &[("way", "forward")]).await;
        assert!(handed > f64::from(calls(&parts) / 3), "{handed} were handed over");
    });
}

#[test]
fn nothing_is_lost_or_crossed_behind_flys_proxy() {
    Cluster::run(plan("fly"), async |cluster| {
        let front = Front::start(Way::Fly, cluster).await;
        let parts = parts();
        Load::start(&front.base, &parts).outcome().is_whole(&parts);
        front.is_content();
        assert!(front.replays() > (calls(&parts) / 3) as usize, "{} were replayed", front.replays());
    });
}

#[test]
fn nothing_is_lost_or_crossed_behind_haproxy() {
    Cluster::run(plan("forward"), async |cluster| {
        let Some(proxy) = Proxy::start(Kind::HaProxy, cluster).await else { return };
        let parts = parts();
        Load::start(&proxy.base, &parts).outcome().is_whole(&parts);
    });
}

/// Sessions go to their nodes at once; only what has none may be handed over.
#[test]
fn proxies_that_read_the_ids_send_sessions_where_they_are() {
    const SESSIONS: [Part; 3] =
        [("load_v1.mjs", "sse", 6, 120), ("load_v1.mjs", "streamable", 6, 120), ("load.py", "sse", 3, 30)];
    for kind in [Kind::HaProxy, Kind::Nginx] {
        Cluster::run(plan("forward"), async |cluster| {
            let Some(proxy) = Proxy::start(kind, cluster).await else { return };
            Load::start(&proxy.base, &SESSIONS).outcome().is_whole(&SESSIONS);
            assert_eq!(cluster.sum("lockgate_handovers_total", &[]).await, 0.0, "{kind:?}");
        });
    }
}
