//! Asks the daemon that has the containers, through the same client that started them.
//!
//! The client is started as every child is, by the one thread that may, so it too ends with the gateway.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use rustix::pipe::{PipeFlags, pipe_with};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::time::timeout;

use super::super::sandbox::Confinement;
use super::failed::StartFailed;
use super::launcher::{Orders, Stage};
use super::process::{Exit, launched, search_path, watch};
use super::spawner::{Spawned, Spawner};
use super::stderr::Tail;
use crate::catalog::Engine;

/// Why the daemon was not asked, or did not do it. For the log.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unasked {
    /// The client did not run.
    #[error("its client was not started: {0}")]
    Start(#[from] StartFailed),
    /// The client failed, and says why.
    #[error("its client {0}: {1}")]
    Refused(Exit, String),
    /// No answer.
    #[error("it did not answer in time")]
    Silent,
}

/// What one command may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// What is read of an answer: thousands of ids.
const MAX_ANSWER: u64 = 64 * 1024;

/// The ids of all containers with this label, running or not.
pub(super) async fn list(spawner: &Spawner, engine: &Engine, label: &str) -> Result<Vec<String>, Unasked> {
    let answer = ask(spawner, engine, &["ps", "-aq", "--filter", &format!("label={label}")]).await?;
    let answer = String::from_utf8_lossy(&answer);
    let is_id = |word: &&str| word.bytes().all(|b| b.is_ascii_alphanumeric());
    Ok(answer.split_whitespace().filter(is_id).map(str::to_owned).collect())
}

/// Kills containers and removes them with the volumes that have no name.
pub(super) async fn remove(spawner: &Spawner, engine: &Engine, ids: &[String]) -> Result<(), Unasked> {
    let mut words = vec!["rm", "-f", "-v"];
    words.extend(ids.iter().map(String::as_str));
    ask(spawner, engine, &words).await.map(drop)
}

/// The daemon's client is configured in the home of whoever runs the gateway, if at all.
pub(super) fn home() -> String {
    std::env::var("HOME").unwrap_or_else(|_| "/".into())
}

async fn ask(spawner: &Spawner, engine: &Engine, words: &[&str]) -> Result<Vec<u8>, Unasked> {
    timeout(PATIENCE, answer(spawner, engine, words)).await.map_err(|_| Unasked::Silent)?
}

async fn answer(spawner: &Spawner, engine: &Engine, words: &[&str]) -> Result<Vec<u8>, Unasked> {
    let host = |error: io::Error| Unasked::Start(error.into());
    let stdin = File::open("/dev/null").map_err(host)?.into();
    let (our_stdout, stdout) = pipe_with(PipeFlags::CLOEXEC).map_err(|e| host(e.into()))?;
    let (our_stderr, stderr) = pipe_with(PipeFlags::CLOEXEC).map_err(|e| host(e.into()))?;
    let our_stdout = pipe::Receiver::from_owned_fd(our_stdout).map_err(host)?;
    let our_stderr = pipe::Receiver::from_owned_fd(our_stderr).map_err(host)?;
    let spawned = spawner.spawn(orders(engine, words), [stdin, stdout, stderr], |_| Ok(())).await;
    let (Spawned { leader, control }, ()) = spawned.map_err(host)?;
    let ended = watch(leader.pidfd()).map_err(host)?;
    launched(control).await?;
    let (tail, mut text) = (Tail::default(), Vec::new());
    let mut our_stdout = our_stdout.take(MAX_ANSWER);
    let (read, ()) = tokio::join!(our_stdout.read_to_end(&mut text), tail.clone().follow(our_stderr));
    read.map_err(host)?;
    drop(our_stdout);
    ended.readable().await.map_err(host)?.retain_ready();
    drop(ended);
    match leader.reap() {
        Exit::Status(0) => Ok(text),
        exit => Err(Unasked::Refused(exit, tail.last_line(str::to_owned).unwrap_or_default())),
    }
}

fn orders(engine: &Engine, words: &[&str]) -> Orders {
    let base = [("PATH", search_path()), ("HOME", home()), ("LANG", "C.UTF-8".into())];
    let mut environment: Vec<(String, String)> =
        base.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    environment.extend(engine.environment.clone());
    Orders {
        stage: Stage::Leader,
        program: engine.program.clone(),
        argv: engine.argv.iter().cloned().chain(words.iter().map(|&word| word.to_owned())).collect(),
        environment,
        home: PathBuf::from("/"),
        parent: rustix::process::getpid().as_raw_nonzero().get(),
        // The daemon's socket is not for sessions.
        confinement: Confinement::default(),
    }
}
