//! The load: who calls when, and with what.

use std::cell::Cell;
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::Shared;
use crate::cli::{Mode, NoteKind, Transport};
use crate::rpc::{Answer, Expect, Verdict};
use crate::session::{Failure, Session, Wire};
use crate::tally::{MAX_NS, Tally, record};

/// A worker that fails this often in a row stops.
const MAX_FAILURES: u32 = 20;

#[derive(Clone, Copy, PartialEq)]
pub enum Phase {
    WarmUp,
    Measured,
}

pub async fn work(sessions: &[Rc<Session>], phase: Phase, shared: &'static Shared) -> Vec<Histogram<u64>> {
    let cfg = &shared.cfg;
    let started = Instant::now();
    let deadline = match phase {
        Phase::WarmUp => Some(started + Duration::from_secs_f64(cfg.warmup_s)),
        Phase::Measured if cfg.calls.is_some() => None,
        Phase::Measured => Some(started + Duration::from_secs_f64(cfg.duration)),
    };
    let mut tasks = Vec::new();
    for session in sessions {
        let share = match phase {
            Phase::WarmUp => cfg.warmup * u64::from(cfg.concurrency),
            Phase::Measured => {
                let (all, of) = (cfg.calls.unwrap_or(0), u64::from(cfg.sessions));
                let index = u64::from(session.router.borrow().session());
                all / of + u64::from(index < all % of)
            }
        };
        let left = Rc::new(Cell::new(share));
        for nth in 0..cfg.concurrency {
            let pace = cfg.rate.filter(|_| phase == Phase::Measured).map(|rate| {
                let workers = f64::from(cfg.sessions * cfg.concurrency);
                let index = f64::from(session.router.borrow().session() * cfg.concurrency + nth);
                let step = Duration::from_secs_f64(workers / rate);
                (started + step.mul_f64(index / workers), step)
            });
            let worker =
                Worker { session: Rc::clone(session), left: Rc::clone(&left), deadline, pace, phase, shared };
            tasks.push(tokio::task::spawn_local(worker.run()));
        }
    }
    let mut hists = Vec::new();
    for task in tasks {
        if let Ok(hist) = task.await {
            hists.push(hist);
        }
    }
    hists
}

struct Worker {
    session: Rc<Session>,
    /// Calls left to this session when calls are counted.
    left: Rc<Cell<u64>>,
    deadline: Option<Instant>,
    pace: Option<(Instant, Duration)>,
    phase: Phase,
    shared: &'static Shared,
}

impl Worker {
    /// Whether another call is due.
    fn again(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        match (self.phase, self.deadline) {
            (Phase::WarmUp, Some(deadline)) => left > 0 || Instant::now() < deadline,
            (_, Some(deadline)) => Instant::now() < deadline,
            (_, None) => left > 0,
        }
    }

    async fn run(mut self) -> Histogram<u64> {
        let mut hist = Histogram::new_with_bounds(1, MAX_NS, 3).expect("valid bounds");
        let mut wire = Wire::default();
        let mut failures = 0;
        while failures < MAX_FAILURES && self.again() {
            let begin = self.begin().await;
            let outcome = call(&self.session, &mut wire, self.shared).await;
            failures += 1;
            let pause = {
                let counts = &mut self.session.router.borrow_mut().counts;
                counts.attempted += 1;
                match outcome {
                    Ok(answer) => {
                        record(&mut hist, answer.at.saturating_duration_since(begin));
                        match answer.verdict {
                            Verdict::Good => {
                                counts.ok += 1;
                                failures = 0;
                            }
                            Verdict::Mismatch => counts.mismatched += 1,
                            Verdict::RpcError => counts.errors += 1,
                        }
                        false
                    }
                    Err(Failure::Lost) => {
                        counts.lost += 1;
                        // A connection that waits for a lost reply is of no use.
                        wire = Wire::default();
                        false
                    }
                    Err(Failure::Dead) => {
                        counts.error("session is dead");
                        break;
                    }
                    Err(Failure::Error(why)) => {
                        counts.error(&why);
                        true
                    }
                }
            };
            if pause {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        hist
    }

    /// Waits until the next call is due; returns when its latency starts.
    async fn begin(&mut self) -> Instant {
        let Some((due, step)) = self.pace else {
            return Instant::now();
        };
        self.pace = Some((due + step, step));
        if Instant::now() < due {
            tokio::time::sleep_until(due.into()).await;
            return Instant::now();
        }
        due
    }
}

pub async fn call(session: &Session, wire: &mut Wire, shared: &'static Shared) -> Result<Answer, Failure> {
    let cfg = &shared.cfg;
    let head = |out: &mut String, id: u64, name: &str| {
        let _ = write!(
            out,
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{name}","arguments":{{"#
        );
    };
    let index = session.router.borrow().session();
    match cfg.mode {
        Mode::Raw => {
            wire.body.clear();
            head(&mut wire.body, 1, "echo");
            wire.body.push_str(r#""payload":"#);
            shared.payload.json(0, 1, &mut wire.body);
            wire.body.push_str("}}}");
            session.raw(wire, shared).await
        }
        Mode::Burst => {
            let expect = Expect::Length(cfg.notes.to_string().len());
            session
                .request(wire, expect, shared, |out, id, seq| {
                    session.router.borrow_mut().expect_burst(seq, cfg.notes);
                    head(out, id, "burst");
                    let kind = match cfg.note_kind {
                        NoteKind::Message => "message",
                        NoteKind::Progress => "progress",
                    };
                    let _ = write!(
                        out,
                        r#""n":{},"size":{},"kind":"{kind}","tag":"s{index}q{seq}"}},"_meta":{{"progressToken":"s{index}q{seq}"}}}}}}"#,
                        cfg.notes, cfg.note_size
                    );
                })
                .await
        }
        Mode::Big => {
            let expect = Expect::Length(cfg.payload);
            session
                .request(wire, expect, shared, |out, id, _| {
                    head(out, id, "big");
                    let _ = write!(out, r#""bytes":{}}}}}}}"#, cfg.payload);
                })
                .await
        }
        _ => {
            session
                .request(wire, Expect::Echo, shared, |out, id, seq| {
                    head(out, id, "echo");
                    out.push_str(r#""payload":"#);
                    shared.payload.json(index, seq, out);
                    out.push('}');
                    if cfg.transport == Transport::Stateless {
                        let _ = write!(
                            out,
                            r#","_meta":{{"io.modelcontextprotocol/protocolVersion":"{}","io.modelcontextprotocol/clientCapabilities":{{}},"io.modelcontextprotocol/clientInfo":{{"name":"mcpload","version":"0.1.0"}}}}"#,
                            cfg.protocol()
                        );
                    }
                    out.push_str("}}");
                })
                .await
        }
    }
}

/// Cycles of connect, initialize, one call, disconnect.
pub async fn churn(mine: &[u32], tally: &mut Tally, shared: &'static Shared) {
    let cfg = &shared.cfg;
    let deadline = Instant::now() + Duration::from_secs_f64(cfg.duration);
    let mut tasks = Vec::new();
    for &lane in mine {
        tasks.push(tokio::task::spawn_local(async move {
            let mut tally = Tally::new();
            let all = cfg.calls.unwrap_or(u64::MAX);
            let lanes = u64::from(cfg.sessions);
            // Cycle numbers are session numbers, so that no two payloads agree.
            for cycle in (u64::from(lane)..all).step_by(lanes as usize) {
                if cfg.calls.is_none() && Instant::now() >= deadline {
                    break;
                }
                let begin = Instant::now();
                let session = match Session::open(cycle as u32, shared).await {
                    Ok(session) => session,
                    Err(why) => {
                        tally.setup_failed += 1;
                        tally.counts.attempted += 1;
                        tally.counts.error(&format!("set-up: {why}"));
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        continue;
                    }
                };
                record(&mut tally.setups, session.setup);
                let outcome = call(&session, &mut Wire::default(), shared).await;
                let router = Rc::clone(&session.router);
                session.close(shared).await;
                let mut router = router.borrow_mut();
                let counts = &mut router.counts;
                counts.attempted += 1;
                match outcome {
                    Ok(answer) => match answer.verdict {
                        Verdict::Good => {
                            counts.ok += 1;
                            record(&mut tally.calls, begin.elapsed());
                        }
                        Verdict::Mismatch => counts.mismatched += 1,
                        Verdict::RpcError => counts.errors += 1,
                    },
                    Err(Failure::Lost) => counts.lost += 1,
                    Err(Failure::Dead) => counts.error("session is dead"),
                    Err(Failure::Error(why)) => counts.error(&why),
                }
                tally.counts.add(counts);
            }
            tally
        }));
    }
    for task in tasks {
        if let Ok(part) = task.await {
            tally.merge(&part);
        }
    }
}
