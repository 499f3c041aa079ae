//! `lockgate top`: what it shows is what there is, and the terminal is as it was when it ends.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Termios, Winsize, tcgetattr, tcsetwinsize};
use serde_json::{Value, json};

use crate::admin::{ADMIN_SECRET, Admin, bearer};
use crate::gateway::{Gateway, lockgate, peer, until};

const ENTERED: &str = "\u{1b}[?1049h\u{1b}[?25l";
const LEFT: &str = "\u{1b}[?25h\u{1b}[?1049l";

fn admin() -> Admin {
    Admin::with(&format!("[rate]\nper_minute = 0\n[servers.peer]\nrun = {:?}\n", peer()))
}

fn top(url: &str, arguments: &[&str]) -> Command {
    let mut command = lockgate();
    command.args(["top", "--url", url]).args(arguments).env("LOCKGATE_ADMIN_SECRET", ADMIN_SECRET);
    command.stdin(Stdio::null());
    command
}

fn output(mut command: Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

impl Admin {
    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The tag of its only session.
    async fn tag(&self) -> String {
        let overview = self.get("/overview", &[("authorization", &bearer(ADMIN_SECRET))]).await;
        let overview: Value = overview.json().await.unwrap();
        overview["sessions"][0]["tag"].as_str().expect("a session").to_owned()
    }
}

#[tokio::test]
async fn where_there_is_no_terminal_the_table_is_printed_once_with_rates() {
    let admin = admin();
    let mut session = admin.gateway.client().connect("peer").await;
    let tag = admin.tag().await;
    // Two readings are a second apart; calls go on until both are there.
    let mut child = top(&admin.url(), &[]).stdout(Stdio::piped()).spawn().unwrap();
    while child.try_wait().unwrap().is_none() {
        session.call("echo", json!({})).await;
    }
    let Output { status, stdout, .. } = child.wait_with_output().unwrap();
    let shown = String::from_utf8(stdout).unwrap();
    assert!(status.success() && !shown.contains('\u{1b}'), "{shown}");
    assert!(shown.contains("sessions 1/1000"), "{shown}");
    let row = |first: &str| shown.lines().find(|line| line.split_whitespace().next() == Some(first));
    let cells: Vec<&str> = row(&tag).expect("its row").split_whitespace().collect();
    assert_eq!(cells[1..6], ["default", "peer", "sse", "handshake", "live"], "{shown}");
    assert!(cells[8].parse::<u64>().unwrap() > 0, "{shown}");
    assert!(cells[9].parse::<f64>().unwrap() > 0.0, "{shown}");
    assert!(cells[11].ends_with('M') && cells[12].ends_with('s'), "{shown}");
    assert!(row("peer").is_some_and(|line| line.contains("1/100")), "{shown}");
    assert!(row("default").is_some(), "{shown}");
}

#[tokio::test]
async fn machines_get_the_overview_and_the_secret_may_be_in_a_file() {
    let admin = admin();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{ADMIN_SECRET}\n")).unwrap();
    let mut command = top(&admin.url(), &["--json", "--secret-file", file.path().to_str().unwrap()]);
    command.env_remove("LOCKGATE_ADMIN_SECRET");
    let (code, document, _) = output(command);
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!((code, &document["servers"][0]["server"]), (0, &json!("peer")));
    // Without --url it is where the settings say.
    let mut command = lockgate();
    command.args(["top", "--json"]).env("LOCKGATE_ADMIN_SECRET", ADMIN_SECRET).stdin(Stdio::null());
    command.env("LOCKGATE__ADMIN__ADDRESS", &admin.address);
    assert_eq!(output(command).0, 0);
}

#[tokio::test]
async fn what_is_in_the_way_is_told_with_what_to_do() {
    let admin = admin();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let clients = admin.gateway.url("");
    for (url, secret, expected) in [
        (&*admin.url(), "wrong", "refuses this secret"),
        (&closed, ADMIN_SECRET, "nobody answers as a gateway"),
        (&clients, ADMIN_SECRET, "must lead to the admin listener"),
        ("http://192.0.2.1:8001", ADMIN_SECRET, "in the clear"),
        ("127.0.0.1:8001", ADMIN_SECRET, "is no URL"),
    ] {
        for way in ["--once", "--json"] {
            let mut command = top(url, &[way]);
            let (code, stdout, stderr) = output({
                command.env("LOCKGATE_ADMIN_SECRET", secret);
                command
            });
            assert_eq!((code, stdout.as_str()), (1, ""), "{url}: {stderr}");
            assert!(stderr.starts_with("lockgate: ") && stderr.contains(expected), "{url}: {stderr}");
            assert!(!stderr.contains(secret), "{stderr}");
        }
    }
    let mut command = top(&admin.url(), &[]);
    command.env_remove("LOCKGATE_ADMIN_SECRET");
    let (code, _, stderr) = output(command);
    assert!(code == 2 && stderr.contains("--secret-file"), "{stderr}");
}

/// The program on a terminal, and what that was given so far.
struct Terminal {
    ours: File,
    theirs: File,
    before: Termios,
    shown: Arc<Mutex<String>>,
    child: Child,
}

impl Terminal {
    fn start(mut command: Command) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
        let theirs = File::options().read(true).write(true).open(name).unwrap();
        tcsetwinsize(&theirs, Winsize { ws_row: 30, ws_col: 160, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let before = tcgetattr(&theirs).unwrap();
        let end = || Stdio::from(theirs.try_clone().unwrap());
        let child = command.stdin(end()).stdout(end()).stderr(end()).env("TERM", "xterm").spawn().unwrap();
        let (ours, shown) = (File::from(ours), Arc::new(Mutex::new(String::new())));
        let (mut terminal, kept) = (ours.try_clone().unwrap(), shown.clone());
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = terminal.read(&mut bytes) {
                kept.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        Self { ours, theirs, before, shown, child }
    }

    fn shows(&self, text: &str) -> bool {
        self.shown.lock().unwrap().contains(text)
    }

    fn press(&mut self, keys: &[u8]) {
        self.ours.write_all(keys).unwrap();
    }

    /// It has ended by itself, and the terminal is as it was.
    async fn until_left(mut self) {
        until("it ends", || self.child.try_wait().unwrap().is_some()).await;
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        until("the terminal is left", || self.shown.lock().unwrap().ends_with(LEFT)).await;
        let after = tcgetattr(&self.theirs).unwrap();
        assert_eq!(after.local_modes, self.before.local_modes);
        assert_eq!(
            (after.input_modes, after.output_modes),
            (self.before.input_modes, self.before.output_modes)
        );
    }
}

#[tokio::test]
async fn on_a_terminal_it_keeps_up_and_leaves_everything_as_it_was() {
    let admin = admin();
    let mut terminal = Terminal::start(top(&admin.url(), &[]));
    until("it is there", || terminal.shows(ENTERED) && terminal.shows("no session is open")).await;
    assert!(!tcgetattr(&terminal.theirs).unwrap().local_modes.contains(LocalModes::ECHO));
    let session = admin.gateway.client().connect("peer").await;
    let tag = admin.tag().await;
    until("the session is shown", || terminal.shows(&tag)).await;
    terminal.press(b"s");
    until("it is sorted otherwise", || terminal.shows("sort by (p99)")).await;
    tcsetwinsize(&terminal.theirs, Winsize { ws_row: 30, ws_col: 10, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    until("it fits", || terminal.shows("\nq quit   s\u{1b}[K")).await;
    drop(session);
    terminal.press(b"q");
    terminal.until_left().await;
}

#[tokio::test]
async fn whatever_ends_it_the_terminal_is_left() {
    let admin = admin();
    for end in ["ctrl-c", "TERM", "HUP"] {
        let mut terminal = Terminal::start(top(&admin.url(), &[]));
        until("it is there", || terminal.shows("no session is open")).await;
        match end {
            "ctrl-c" => terminal.press(b"\x03"),
            signal => crate::gateway::send_signal(terminal.child.id(), signal),
        }
        terminal.until_left().await;
    }
}

#[tokio::test]
async fn a_gateway_that_goes_away_is_told_and_what_was_known_stays() {
    let mut admin = admin();
    let mut terminal = Terminal::start(top(&admin.url(), &[]));
    until("it is there", || terminal.shows("no session is open")).await;
    admin.gateway.signal("TERM");
    assert_eq!(Gateway::wait(&mut admin.gateway).code(), Some(0));
    until("it is told", || terminal.shows("nobody answers as a gateway")).await;
    terminal.press(b"q");
    terminal.until_left().await;
}
