//! Packages that are fetched once, and what a session can make of its copy (security.md T16).

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::gateway::{Gateway, SECRET, lockgate, peer, until, until_told};
use crate::traces::{homes, is_root};

/// A package runner that does what the test says, and a gateway's directories.
pub(crate) struct Runner {
    place: tempfile::TempDir,
}

/// Files below a directory: their bytes, times and links.
type Files = BTreeMap<PathBuf, (Vec<u8>, i64, u32)>;

impl Runner {
    pub(crate) fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let runner = Self { place };
        fs::create_dir(runner.path("bin")).unwrap();
        fs::create_dir(runner.path("tmp")).unwrap();
        fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/npx/npx"), runner.path("bin/npx")).unwrap();
        runner
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    pub(crate) fn tell(&self, what: &str) {
        fs::write(self.path("bin").join(what), "").unwrap();
    }

    pub(crate) fn settings(&self) -> String {
        format!(
            "[rate]\nper_minute = 0\nopens_per_minute = 0\n[sandbox]\ntemplates = {:?}\n\
             [servers.pkg]\nrun = \"npx -y pkg\"\nprefetch = true\nenv = {{ PEER = {:?} }}\nreadable = [{:?}]\n",
            self.path("kept"),
            peer(),
            Path::new(&peer()).parent().unwrap()
        )
    }

    pub(crate) fn variables(&self) -> [(&'static str, String); 3] {
        [
            ("LOCKGATE_SECRET", SECRET.into()),
            ("PATH", format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap())),
            ("TMPDIR", self.path("tmp").to_str().unwrap().into()),
        ]
    }

    fn gateway(&self) -> Gateway {
        self.gateway_with("")
    }

    pub(crate) fn gateway_with(&self, settings: &str) -> Gateway {
        let variables = self.variables();
        let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
        Gateway::start_bare(&format!("{settings}{}", self.settings()), &variables)
    }

    fn prefetch(&self, names: &[&str]) -> (i32, String, String) {
        fs::write(self.path("lockgate.toml"), self.settings()).unwrap();
        let mut command = lockgate();
        command.arg("prefetch").args(names).arg("--config").arg(self.path("lockgate.toml"));
        let output = command.envs(self.variables()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    /// The complete templates.
    pub(crate) fn templates(&self) -> Vec<PathBuf> {
        let list = fs::read_dir(self.path("kept/packages")).into_iter().flatten().flatten();
        list.map(|entry| entry.path()).filter(|path| path.join(".npm").is_dir()).collect()
    }

    fn homes(&self) -> Vec<PathBuf> {
        homes(&self.path("tmp"))
    }
}

fn files(top: &Path) -> Files {
    let mut found = Files::new();
    let mut open = vec![top.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap().flatten() {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file() {
                let (inside, data) = (entry.path(), fs::metadata(entry.path()).unwrap());
                let inside = inside.strip_prefix(top).unwrap().to_owned();
                found.insert(inside, (fs::read(entry.path()).unwrap(), data.mtime(), data.mode()));
            }
        }
    }
    found
}

fn count(gateway: &Gateway, what: &str) -> usize {
    gateway.log().matches(what).count()
}

#[tokio::test]
async fn sessions_that_come_before_the_packages_wait_for_one_fetch_of_which_nothing_else_stays() {
    let runner = Runner::new();
    let gateway = runner.gateway();
    let clients: Vec<_> = (0..3)
        .map(|_| {
            let client = gateway.client();
            tokio::spawn(async move { client.connect("pkg").await })
        })
        .collect();
    gateway.until_active(3).await;
    assert!(runner.templates().is_empty() && clients.iter().all(|client| !client.is_finished()));
    runner.tell("release");
    let mut sessions = Vec::new();
    for client in clients {
        sessions.push(client.await.unwrap());
    }
    for session in &mut sessions {
        assert_eq!(session.call("echo", json!([1])).await, json!([1]));
    }
    until("the log says so", || count(&gateway, "packages fetched") > 0).await;
    assert_eq!((count(&gateway, "fetching packages"), count(&gateway, "packages fetched")), (1, 1));
    assert_eq!(runner.templates().len(), 1);
    let escaped = |pid: &u32| {
        fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(b"sleep\x003121"))
    };
    assert!(!gateway.descendants().iter().any(escaped), "what the fetch left behind runs");
    assert_eq!(runner.homes().len(), 3, "its home is gone");
}

#[tokio::test]
async fn a_hostile_session_changes_nothing_that_another_gets() {
    let runner = Runner::new();
    runner.tell("release");
    let gateway = runner.gateway();
    runner.tell("hostile");
    let first = gateway.client().connect("pkg").await;
    let template = runner.templates().remove(0);
    let before = files(&template);
    assert_eq!(before.len(), 3, "{before:?}");
    assert!(before.values().all(|(text, _, mode)| !text.starts_with(b"evil") && mode & 0o7022 == 0));
    let package = ".npm/_npx/0/node_modules/pkg";
    assert!(fs::symlink_metadata(template.join(package).join("out")).is_err());
    assert_eq!(fs::read_link(template.join(package).join("link")).unwrap(), Path::new("../../../../../.npm"));
    let evil = files(&runner.homes()[0]);
    let of = |name: &str| evil[&Path::new(package).join(name)].0.clone();
    assert_eq!(
        (of("file"), of("program")),
        (b"evil\n".to_vec(), b"evil\n".to_vec()),
        "it can replace its own"
    );
    fs::remove_file(runner.path("bin/hostile")).unwrap();
    let second = gateway.client().connect("pkg").await;
    let home = runner.homes().into_iter().find(|home| !home.join(package).join("file.old").exists()).unwrap();
    for (path, (text, time, _)) in &before {
        let data = fs::metadata(home.join(path)).unwrap();
        assert_eq!((&fs::read(home.join(path)).unwrap(), data.mtime()), (text, *time), "{}", path.display());
    }
    assert_eq!(files(&template), before);
    let links = || fs::metadata(template.join(package).join("file")).unwrap().nlink();
    if is_root() {
        let shared = fs::metadata(home.join(package).join("file")).unwrap();
        assert_eq!((shared.uid(), shared.mode() & 0o7777, links()), (0, 0o644, 3));
        let index = fs::metadata(home.join(".npm/_cacache/index-v5/index")).unwrap();
        assert!(index.uid() != 0 && index.nlink() == 1, "what runners write to is each session's own");
    }
    drop((first, second));
    gateway.until_active(0).await;
    assert_eq!((links(), files(&template)), (1, before));
}

#[tokio::test]
async fn a_fetch_that_fails_is_told_and_made_again() {
    let runner = Runner::new();
    runner.tell("broken");
    let gateway = runner.gateway();
    let refused = gateway.client().get("/pkg/sse").send().await.unwrap();
    assert_eq!(refused.status(), 502);
    let body: Value = refused.json().await.unwrap();
    let text = body["error"]["message"].as_str().unwrap();
    for part in
        ["the server pkg", "could not be fetched", "exited with status 1", "opened in 5 s", "operator"]
    {
        assert!(text.contains(part), "{text}");
    }
    assert!(!text.contains('/') && !text.contains("no such package"), "{text}");
    until("the log says more", || gateway.log().contains("no such package")).await;
    runner.tell("release");
    fs::remove_file(runner.path("bin/broken")).unwrap();
    until_told("it is fetched again", async || {
        gateway.client().get("/pkg/sse").send().await.unwrap().status() == 200
    })
    .await;
    gateway.client().connect("pkg").await;
    gateway.until_active(0).await;
    // What somebody has removed is fetched again, too.
    fs::remove_dir_all(runner.templates().remove(0)).unwrap();
    gateway.client().connect("pkg").await;
    assert_eq!(runner.templates().len(), 1);
}

#[tokio::test]
async fn a_fetch_does_not_hold_up_the_end() {
    let runner = Runner::new();
    let mut gateway = runner.gateway();
    let client = gateway.client();
    let waiting = tokio::spawn(async move { client.get("/pkg/sse").send().await.unwrap().status() });
    gateway.until_active(1).await;
    gateway.signal("TERM");
    assert_eq!(waiting.await.unwrap(), 503);
    assert_eq!(gateway.wait().code(), Some(0));
    assert!(runner.homes().is_empty() && runner.templates().is_empty());
}

#[tokio::test]
async fn what_was_fetched_ahead_is_used_and_fetched_anew_on_demand() {
    let runner = Runner::new();
    runner.tell("release");
    let (code, out, error) = runner.prefetch(&[]);
    assert_eq!((code, out.starts_with("pkg: 22 B, ")), (0, true), "{out}{error}");
    let first = fs::metadata(&runner.templates()[0]).unwrap().ino();
    let gateway = runner.gateway();
    let _session = gateway.client().connect("pkg").await;
    assert_eq!(count(&gateway, "fetching packages"), 0);
    assert_eq!(runner.prefetch(&["pkg"]).0, 0);
    assert_eq!(runner.templates().len(), 1);
    assert_ne!(fs::metadata(&runner.templates()[0]).unwrap().ino(), first);
    let _another = gateway.client().connect("pkg").await;
    runner.tell("broken");
    let (code, _, error) = runner.prefetch(&[]);
    assert!(code == 1 && error.contains("lockgate: pkg: ") && error.contains("no such package"), "{error}");
    assert_eq!(runner.templates().len(), 1, "what was kept stays");
    let (code, _, error) = runner.prefetch(&["other"]);
    assert!(code == 2 && error.contains("no server is called \"other\""), "{error}");
}

#[test]
fn what_cannot_be_fetched_stops_the_start_with_the_remedy() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("lockgate.toml");
    for (settings, expected) in [
        ("[servers.s]\nrun = \"sh server\"\nprefetch = true", ["`servers.s.prefetch`", "npx, uvx"]),
        ("[sandbox]\ntemplates = \"here\"", ["`sandbox.templates`", "absolute"]),
    ] {
        fs::write(&file, settings).unwrap();
        let output = lockgate().args(["check", "--config"]).arg(&file).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.code() == Some(2) && expected.iter().all(|part| error.contains(part)),
            "{error}"
        );
    }
}

/// The real runners: what one of them has fetched, the next finds again in another home and without a network.
async fn starts_warm(name: &str, command: &str) {
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let network = if is_root() { "none" } else { "full" };
    let settings = format!(
        "[sandbox]\ntemplates = {:?}\nnetwork = {network:?}\n[servers.real]\nrun = {command:?}\nprefetch = true\n\
         env = {{ UV_SYSTEM_CERTS = \"true\" }}",
        place.path().join("kept")
    );
    let file = place.path().join("lockgate.toml");
    fs::write(&file, &settings).unwrap();
    let mut prefetch = lockgate();
    prefetch.args(["prefetch", "real", "--config"]).arg(&file).env("TMPDIR", place.path());
    let output = tokio::process::Command::from(prefetch).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let gateway = Gateway::start_bare(&settings, &[("LOCKGATE_SECRET", SECRET)]);
    for _ in 0..2 {
        let mut session = gateway.client().open("real").await;
        let told = session.initialize().await;
        assert!(told["serverInfo"]["name"].as_str().unwrap().contains(name), "{told}");
        drop(session);
        gateway.until_active(0).await;
    }
    assert_eq!(count(&gateway, "fetching packages"), 0);
}

#[tokio::test]
async fn npx_starts_warm() {
    starts_warm("everything", "npx -y @modelcontextprotocol/server-everything").await;
}

#[tokio::test]
async fn uvx_starts_warm() {
    let path = std::env::var_os("PATH").unwrap();
    if std::env::split_paths(&path).any(|place| place.join("uvx").exists()) {
        starts_warm("time", "uvx mcp-server-time").await;
    } else {
        eprintln!("skipped: uvx is not on PATH");
    }
}
