//! mcpload: load for MCP gateways, with every reply checked.
//!
//! Each thread runs its share of the sessions on its own single-threaded
//! runtime; nothing is shared between threads but the configuration.

mod cli;
mod counts;
mod exchange;
mod faults;
mod http;
mod load;
mod message;
mod payload;
mod procfs;
mod rpc;
mod session;
mod sse;
mod stream;
mod tally;

use std::fmt::Write as _;
use std::rc::Rc;
use std::time::{Duration, Instant};

use clap::Parser;
use serde_json::{Value, json};
use tokio::sync::{Barrier, Semaphore};
use tokio::task::LocalSet;

use cli::{Cfg, Mode, Transport};
use http::Target;
use load::{Phase, churn, work};
use payload::Payload;
use procfs::Snapshot;
use session::Session;
use tally::{Tally, record, report};

pub struct Shared {
    cfg: Cfg,
    payload: Payload,
    target: Option<Target>,
    /// The extra headers, as they go on the wire.
    headers: String,
    barrier: Barrier,
}

impl Shared {
    pub fn target(&self) -> Result<&Target, String> {
        self.target.as_ref().ok_or_else(|| "no --url".to_owned())
    }
}
fn main() {
    let cfg = Cfg::parse();
    let target = match cfg.transport {
        Transport::Pipe => None,
        _ => match Target::parse(&cfg.url) {
            Ok(target) => Some(target),
            Err(why) => fail(&why),
        },
    };
    if cfg.headers.iter().any(|h| !h.contains(':')) {
        fail("a header is \"Name: value\"");
    }
    let threads = cfg.threads.clamp(1, cfg.sessions.max(1));
    let shared: &'static Shared = Box::leak(Box::new(Shared {
        payload: Payload::new(cfg.payload),
        target,
        headers: cfg.headers.iter().fold(String::new(), |mut all, h| {
            let _ = write!(all, "{h}\r\n");
            all
        }),
        barrier: Barrier::new(threads as usize + 1),
        cfg,
    }));
    watchdog(shared);
    let result = if shared.cfg.mode == Mode::Faults { faults::run(shared) } else { run(shared, threads) };
    println!("{result}");
    if !result["ok"].as_bool().unwrap_or(false) {
        std::process::exit(1);
    }
}

fn fail(why: &str) -> ! {
    eprintln!("mcpload: {why}");
    std::process::exit(2);
}

/// Ends a run that hangs, still with a line of JSON.
fn watchdog(shared: &'static Shared) {
    let cfg = &shared.cfg;
    let limit = Duration::from_secs_f64(cfg.max_time);
    std::thread::spawn(move || {
        std::thread::sleep(limit);
        println!(
            "{}",
            json!({"label": cfg.label, "mode": lower(cfg.mode), "transport": lower(cfg.transport),
                "sessions": cfg.sessions, "concurrency": cfg.concurrency, "payload": cfg.payload,
                "ok": false, "aborted": format!("max-time {} s", cfg.max_time)})
        );
        std::process::exit(3);
    });
}

pub fn lower(value: impl std::fmt::Debug) -> String {
    format!("{value:?}").to_lowercase()
}

/// The largest resident set seen, polled from a thread of its own.
fn poll_peak(pid: u32) -> std::sync::Arc<std::sync::atomic::AtomicU64> {
    let peak = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let seen = std::sync::Arc::clone(&peak);
    std::thread::spawn(move || {
        loop {
            seen.fetch_max(procfs::rss_kb(pid), std::sync::atomic::Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    peak
}

fn run(shared: &'static Shared, threads: u32) -> Value {
    let cfg = &shared.cfg;
    let pid = match cfg.transport {
        Transport::Pipe => Some(std::process::id()),
        _ => cfg.gateway_pid,
    };
    let peak = pid.map(poll_peak);
    let shot = || pid.map(|pid| Snapshot::take(pid, &cfg.child_name));
    let named_before = procfs::count_named(&cfg.child_name);

    let workers: Vec<_> =
        (0..threads).map(|index| std::thread::spawn(move || thread_main(index, threads, shared))).collect();
    let rt = runtime();
    let meet = || rt.block_on(shared.barrier.wait());
    meet(); // connected and warm
    let before = shot();
    meet(); // go
    meet(); // load done, sessions still open
    let after = shot();
    meet(); // close
    let mut tally = Tally::new();
    for worker in workers {
        match worker.join() {
            Ok(part) => tally.merge(&part),
            Err(_) => tally.counts.error("a load generator thread panicked"),
        }
    }
    std::thread::sleep(Duration::from_secs_f64(cfg.settle));
    let end = shot();
    let named_after = procfs::count_named(&cfg.child_name);

    let mut out = report(shared, &tally);
    if let (Some(before), Some(after), Some(end)) = (before, after, end) {
        let mut proc = after.json(&before);
        if let Some(peak) = peak {
            proc["gateway"]["rss_peak_kb"] = json!(peak.load(std::sync::atomic::Ordering::Relaxed));
        }
        proc["alive_at_end"] = json!(end.alive);
        proc["after_disconnect"] = json!({
            "children": end.children.n,
            "helpers": end.helpers.n,
            "gateway_rss_kb": end.gateway.rss_kb,
            "gateway_fds": end.gateway.fds,
        });
        proc["children_by_name"] = json!({"before": named_before, "after": named_after});
        if !end.alive {
            out["ok"] = json!(false);
        }
        out["proc"] = proc;
    }
    out
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a tokio runtime")
}

fn thread_main(index: u32, threads: u32, shared: &'static Shared) -> Tally {
    let mine: Vec<u32> = (0..shared.cfg.sessions).filter(|session| session % threads == index).collect();
    let local = LocalSet::new();
    runtime().block_on(local.run_until(thread_run(mine, shared)))
}

async fn thread_run(mine: Vec<u32>, shared: &'static Shared) -> Tally {
    let cfg = &shared.cfg;
    let mut tally = Tally::new();
    if cfg.mode == Mode::Churn {
        shared.barrier.wait().await;
        shared.barrier.wait().await;
        tally.started = Some(Instant::now());
        churn(&mine, &mut tally, shared).await;
        tally.ended = Some(Instant::now());
        shared.barrier.wait().await;
        shared.barrier.wait().await;
        return tally;
    }
    let sessions = connect(&mine, &mut tally, shared).await;
    let loads = matches!(cfg.mode, Mode::Echo | Mode::Burst | Mode::Big | Mode::Raw);
    if loads {
        work(&sessions, Phase::WarmUp, shared).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for session in &sessions {
        session.router.borrow_mut().start_counting();
    }
    shared.barrier.wait().await;
    shared.barrier.wait().await;
    tally.started = Some(Instant::now());
    if loads {
        for hist in work(&sessions, Phase::Measured, shared).await {
            tally.calls += hist;
        }
    } else if cfg.mode == Mode::Idle {
        tokio::time::sleep(Duration::from_secs_f64(cfg.duration)).await;
    }
    tally.ended = Some(Instant::now());
    if loads {
        drain(&sessions).await;
    }
    shared.barrier.wait().await;
    shared.barrier.wait().await;
    let routers: Vec<_> = sessions.iter().map(|s| Rc::clone(&s.router)).collect();
    for session in sessions {
        session.close(shared).await;
    }
    for router in routers {
        tally.counts.add(&router.borrow().counts);
    }
    tally
}

/// Gives late notifications and unwanted replies time to arrive.
async fn drain(sessions: &[Rc<Session>]) {
    for _ in 0..40 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let complete = sessions.iter().all(|s| {
            let router = s.router.borrow();
            router.counts.note_received >= router.counts.note_expected
        });
        if complete {
            return;
        }
    }
}

async fn connect(mine: &[u32], tally: &mut Tally, shared: &'static Shared) -> Vec<Rc<Session>> {
    let started = Instant::now();
    let gate = Rc::new(Semaphore::new(shared.cfg.connect_parallel.max(1) as usize));
    let tasks: Vec<_> = mine
        .iter()
        .map(|&index| {
            let gate = Rc::clone(&gate);
            tokio::task::spawn_local(async move {
                let _turn = gate.acquire().await;
                Session::open(index, shared).await
            })
        })
        .collect();
    let mut sessions = Vec::new();
    for task in tasks {
        match task.await {
            Ok(Ok(session)) => {
                record(&mut tally.setups, session.setup);
                sessions.push(Rc::new(session));
            }
            Ok(Err(why)) => {
                tally.setup_failed += 1;
                tally.counts.kind(&format!("set-up: {why}"));
            }
            Err(_) => tally.setup_failed += 1,
        }
    }
    tally.setup_wall = started.elapsed();
    sessions
}
