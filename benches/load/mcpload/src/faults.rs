//! What a gateway makes of children that misbehave.
//!
//! Each fault gets two fresh sessions: a victim, whose child is made to
//! misbehave, and a bystander. Afterwards both are asked for an echo, and a new
//! session is opened.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tokio::task::LocalSet;

use crate::load::call;
use crate::rpc::{Expect, Verdict};
use crate::session::{Failure, Session, Wire};
use crate::{Shared, lower, procfs, runtime};

/// Name, tool, arguments.
const FAULTS: &[(&str, &str, &str)] = &[
    ("garbage_text", "garbage_stdout", r#"{"kind":"text"}"#),
    ("garbage_binary", "garbage_stdout", r#"{"kind":"binary"}"#),
    ("garbage_json", "garbage_stdout", r#"{"kind":"json"}"#),
    ("garbage_blank", "garbage_stdout", r#"{"kind":"blank"}"#),
    ("stderr_flood_4mb", "stderr_flood", r#"{"bytes":4000000}"#),
    ("reply_1mb", "big", r#"{"bytes":1000000}"#),
    ("reply_16mb", "big", r#"{"bytes":16000000}"#),
    ("grandchild", "spawn_grandchild", r#"{"secs":20,"inherit":true}"#),
    ("crash", "crash", r#"{"code":3}"#),
];

pub fn run(shared: &'static Shared) -> Value {
    let local = LocalSet::new();
    runtime().block_on(local.run_until(async {
        let cfg = &shared.cfg;
        let mut faults = Map::new();
        let mut all_well = cfg.fault.as_ref().is_none_or(|only| FAULTS.iter().any(|fault| only == fault.0));
        for (nth, fault) in FAULTS.iter().enumerate() {
            if cfg.fault.as_ref().is_some_and(|only| only != fault.0) {
                continue;
            }
            let (well, found) = one(nth as u32 * 10, fault, shared).await;
            all_well &= well;
            faults.insert(fault.0.to_owned(), found);
        }
        json!({
            "label": cfg.label,
            "mode": lower(cfg.mode),
            "transport": lower(cfg.transport),
            "ok": all_well,
            "faults": faults,
        })
    }))
}

async fn one(index: u32, (name, tool, args): &(&str, &str, &str), shared: &'static Shared) -> (bool, Value) {
    let cfg = &shared.cfg;
    let gateway_alive =
        || cfg.gateway_pid.is_none_or(|pid| std::fs::exists(format!("/proc/{pid}/exe")).is_ok_and(|e| e));
    let (victim, bystander) =
        match (Session::open(index, shared).await, Session::open(index + 1, shared).await) {
            (Ok(victim), Ok(bystander)) => (victim, bystander),
            (Err(why), _) | (_, Err(why)) => {
                let found = json!({"set_up": why, "gateway_alive": gateway_alive()});
                return (false, found);
            }
        };
    let mut wire = Wire::default();
    let begin = Instant::now();
    let outcome = victim
        .request(&mut wire, Expect::Any, shared, |out, id, _| {
            let _ = write!(
                out,
                r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{args}}}}}"#
            );
        })
        .await;
    let took = begin.elapsed();
    let answer = match outcome {
        Ok(answer) => lower(answer.verdict),
        Err(Failure::Lost) => "no answer".to_owned(),
        Err(Failure::Dead) => "stream closed".to_owned(),
        Err(Failure::Error(why)) => why.chars().take(160).collect(),
    };
    let echo_victim = echo(&victim, shared).await;
    let echo_bystander = echo(&bystander, shared).await;
    let grandchild: Option<u32> = victim.router.borrow().last_text.parse().ok();
    victim.close(shared).await;
    bystander.close(shared).await;
    let mut new_session = match Session::open(index + 2, shared).await {
        Ok(session) => {
            let well = echo(&session, shared).await;
            session.close(shared).await;
            well
        }
        Err(why) => why,
    };
    new_session.truncate(160);
    if new_session != "good" {
        // A gateway that is going down needs a moment to be gone.
        tokio::time::sleep(Duration::from_secs_f64(cfg.settle)).await;
    }
    let crash = *name == "crash";
    let mut well = echo_bystander == "good" && new_session == "good" && gateway_alive();
    // After a crash an answer in reasonable time is all one can ask for.
    well &= if crash { answer != "no answer" } else { answer == "good" && echo_victim == "good" };
    let mut found = json!({
        "answer": answer,
        "took_ms": took.as_millis() as u64,
        "victim_after": echo_victim,
        "bystander_after": echo_bystander,
        "new_session_after": new_session,
        "gateway_alive": gateway_alive(),
    });
    if *name == "grandchild" {
        tokio::time::sleep(Duration::from_secs_f64(cfg.settle)).await;
        let left = grandchild.is_some_and(|pid| procfs::runs(pid, "sleep"));
        found["grandchild_outlives_session"] = json!(left);
    }
    (well, found)
}

async fn echo(session: &Session, shared: &'static Shared) -> String {
    match call(session, &mut Wire::default(), shared).await {
        Ok(answer) if answer.verdict == Verdict::Good => "good".to_owned(),
        Ok(answer) => lower(answer.verdict),
        Err(Failure::Lost) => "no answer".to_owned(),
        Err(Failure::Dead) => "stream closed".to_owned(),
        Err(Failure::Error(why)) => why.chars().take(160).collect(),
    }
}
