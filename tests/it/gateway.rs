//! A running gateway, and what can be seen of it from outside.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::client::{Client, patience};

pub(crate) const SECRET: &str = "test-secret-of-the-default-tenant";

pub(crate) struct Gateway {
    process: Child,
    pub(crate) address: String,
    log: Arc<Mutex<String>>,
    /// Its TMPDIR: what it leaves on disk can be counted.
    pub(crate) place: tempfile::TempDir,
}

/// The scripted server, built by cargo beside the tests.
pub(crate) fn peer() -> String {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples/peer");
    assert!(path.exists(), "{} is missing: run the tests with `tests/run` or `cargo test`", path.display());
    within_reach(&path).to_str().unwrap().to_owned()
}

/// Whether every user may pass through the directories above.
pub(crate) fn is_open(path: &Path) -> bool {
    path.ancestors().skip(1).all(|above| fs::metadata(above).unwrap().permissions().mode() & 0o1 != 0)
}

/// A program where the users of sessions can run it: where it is, or a copy, if these sources lie in a
/// directory that is closed to others.
fn within_reach(program: &Path) -> PathBuf {
    static COPIES: Mutex<Option<PathBuf>> = Mutex::new(None);
    if is_open(program) {
        return program.to_owned();
    }
    let mut copies = COPIES.lock().unwrap();
    let place = copies.get_or_insert_with(|| {
        let place = tempfile::tempdir().unwrap().keep();
        fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).unwrap();
        place
    });
    let copy = place.join(program.file_name().unwrap());
    if !copy.exists() {
        fs::copy(program, &copy).unwrap();
    }
    copy
}

pub(crate) fn lockgate() -> Command {
    let mut command = Command::new(within_reach(Path::new(env!("CARGO_BIN_EXE_lockgate"))));
    command.env_clear().env("PATH", std::env::var("PATH").unwrap());
    command
}

impl Gateway {
    /// With the server `peer`, no rates, and these settings.
    pub(crate) fn start(settings: &str) -> Self {
        Self::start_bare(&with_peers(settings), &[("LOCKGATE_SECRET", SECRET)])
    }

    /// The same with a log of this level.
    pub(crate) fn start_at(level: &str, settings: &str) -> Self {
        Self::start_bare(&with_peers(settings), &[("LOCKGATE_SECRET", SECRET), ("LOG_LEVEL", level)])
    }

    pub(crate) fn start_bare(settings: &str, variables: &[(&str, &str)]) -> Self {
        let place = tempfile::tempdir().unwrap();
        Self::start_in(place, settings, variables)
    }

    pub(crate) fn start_in(place: tempfile::TempDir, settings: &str, variables: &[(&str, &str)]) -> Self {
        Self::start_by(lockgate(), place, settings, variables)
    }

    /// By a command of which nothing but the arguments is missing.
    pub(crate) fn start_by(
        mut command: Command,
        place: tempfile::TempDir,
        settings: &str,
        variables: &[(&str, &str)],
    ) -> Self {
        command.args(["serve", "--port", "0"]);
        Self::start_where_told(command, place, settings, variables)
    }

    /// The same where the settings say where it listens; to the command belongs `serve`.
    pub(crate) fn start_where_told(
        mut command: Command,
        place: tempfile::TempDir,
        settings: &str,
        variables: &[(&str, &str)],
    ) -> Self {
        // Sessions with users of their own pass through.
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let file = place.path().join("lockgate.toml");
        fs::write(&file, settings).unwrap();
        let mut process = command
            .args(["--config", "lockgate.toml"])
            .current_dir(place.path())
            .env("TMPDIR", place.path())
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(process.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(String::new()));
        let mut line = String::new();
        let address = loop {
            line.clear();
            let count = stderr.read_line(&mut line).unwrap();
            assert!(count > 0, "the gateway ended: {}", log.lock().unwrap());
            log.lock().unwrap().push_str(&line);
            if let Ok(event) = serde_json::from_str::<serde_json::Value>(&line)
                && event["message"] == "listening"
            {
                break event["address"].as_str().unwrap().to_owned();
            }
        };
        let kept = log.clone();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                kept.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        Self { process, address, log, place }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&format!("http://{}", self.address), SECRET)
    }

    /// Waits until so many sessions are active: a seat is free a moment after the last trace of its session.
    pub(crate) async fn until_active(&self, sessions: u64) {
        let give_up = Instant::now() + patience();
        loop {
            let asked = tokio::time::timeout(patience(), crate::client::get(self.url("/health")));
            let health = asked.await.expect("an answer").unwrap();
            let health: serde_json::Value = health.json().await.unwrap();
            let active = health["sessions"]["active"].as_u64();
            if active == Some(sessions) {
                return;
            }
            assert!(Instant::now() < give_up, "never came about: {sessions} active sessions, but {active:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn signal(&self, signal: &str) {
        send_signal(self.pid(), signal);
    }

    /// Gives it other settings, and waits until they are in effect.
    pub(crate) async fn reload(&self, settings: &str) {
        self.reload_bare(&with_peers(settings), "settings_reloaded").await;
    }

    /// The same with these settings alone, of which this event is to come.
    pub(crate) async fn reload_bare(&self, settings: &str, event: &str) {
        let before = self.audit(event).len();
        fs::write(self.place.path().join("lockgate.toml"), settings).unwrap();
        self.signal("HUP");
        until(event, || self.audit(event).len() > before).await;
    }

    /// The audit lines of an event so far.
    pub(crate) fn audit(&self, event: &str) -> Vec<serde_json::Value> {
        let log = self.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        lines.filter(|line| line["event"] == event).collect()
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.process.wait().unwrap()
    }

    /// Takes its directory, to be used by another gateway; this one must have ended.
    pub(crate) fn take_place(&mut self) -> tempfile::TempDir {
        std::mem::replace(&mut self.place, tempfile::tempdir().unwrap())
    }
}

/// The scripted server under several names, no rates, and these settings.
pub(crate) fn with_peers(settings: &str) -> String {
    let servers: String = [
        ("peer", ""),
        ("other", "--linger"),
        ("stubborn", "--ignore-term"),
        ("dual", "--dual"),
        ("stateless", "--stateless"),
        ("fatal", "--fatal"),
    ]
    .iter()
    .map(|(name, flag)| format!("[servers.{name}]\nrun = {:?}\n", format!("{} {flag}", peer()).trim()))
    .collect();
    let rate =
        if settings.contains("[rate]") { "" } else { "[rate]\nper_minute = 0\nopens_per_minute = 0\n" };
    format!("{rate}{settings}\n{servers}")
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("the gateway's log:\n{}", self.log());
        }
    }
}

pub(crate) fn send_signal(pid: u32, signal: &str) {
    let status =
        Command::new("kill").args(["-s", signal, &pid.to_string()]).stderr(Stdio::null()).status().unwrap();
    assert!(status.success(), "kill -s {signal} {pid}");
}

/// Waits for something that only can be looked at, not awaited; says what if it does not come about.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    until_told(what, async || holds()).await;
}

/// The same for what has to be asked for.
pub(crate) async fn until_told(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let give_up = Instant::now() + patience();
    while !holds().await {
        assert!(Instant::now() < give_up, "never came about: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
