//! HAProxy and nginx in front of the nodes, by the files of `docs/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::nodes::Cluster;
use crate::gateway::until;
use crate::page_files::{edited, installed};

/// On a machine of its own, so that nobody else has it.
const PORT: u16 = 8080;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    HaProxy,
    Nginx,
}

pub(super) struct Proxy {
    pub(super) base: String,
    process: Child,
    _place: tempfile::TempDir,
}

impl Kind {
    /// `None` where it is not installed.
    fn program(self) -> Option<PathBuf> {
        match self {
            Self::HaProxy => installed("haproxy", "haproxy"),
            Self::Nginx => installed("nginx", "nginx-light"),
        }
    }

    /// Its file, for these nodes and without TLS.
    fn file(self, cluster: &Cluster) -> String {
        let front = cluster.front();
        let (name, mut edits) = match self {
            Self::HaProxy => (
                "haproxy.cfg",
                vec![("bind :443 ssl crt /etc/haproxy/gate.example.com.pem", format!("bind {front}:{PORT}"))],
            ),
            Self::Nginx => (
                "nginx.conf",
                vec![
                    ("listen 443 ssl;", format!("listen {front}:{PORT};")),
                    ("gate.example.com;", format!("{front};")),
                ],
            ),
        };
        let hosts = ["10.0.0.11:8000", "10.0.0.12:8000", "10.0.0.13:8000"];
        edits.extend(hosts.into_iter().zip(cluster.nodes.iter().map(|node| node.address().to_string())));
        let edits: Vec<_> = edits.iter().map(|(from, to)| (*from, to.as_str())).collect();
        let text = fs::read_to_string(docs().join(name)).unwrap();
        let text: String = text.lines().filter(|line| !line.contains("ssl_cert")).fold(String::new(), joined);
        edited(&text, &edits)
    }

    /// What does this with the file in the directory where it is.
    fn command(self, place: &Path, only_checks: bool) -> Option<Command> {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(self.program()?).current_dir(place);
        match self {
            Self::HaProxy => command.args(["-f", "haproxy.cfg"]).args(only_checks.then_some("-c")),
            Self::Nginx => {
                let around = "user root;\ndaemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr error;\n\
                              events { worker_connections 4096; }\nhttp { access_log off; include lockgate.conf; }\n";
                fs::write(place.join("whole.conf"), around).unwrap();
                command.args(["-e", "stderr", "-c", "whole.conf", "-p"]).arg(place);
                command.args(only_checks.then_some("-t"))
            }
        };
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Some(command)
    }
}

impl Proxy {
    /// On the machine where this is called; `None` where it is not installed.
    pub(super) async fn start(kind: Kind, cluster: &Cluster) -> Option<Self> {
        let place = tempfile::tempdir().unwrap();
        let mut command = kind.command(place.path(), false)?;
        let name = if kind == Kind::HaProxy { "haproxy.cfg" } else { "lockgate.conf" };
        fs::write(place.path().join(name), kind.file(cluster)).unwrap();
        let process = command.spawn().unwrap();
        let mut proxy = Self { base: format!("http://{}:{PORT}", cluster.front()), process, _place: place };
        until("it takes connections", || {
            assert!(proxy.process.try_wait().unwrap().is_none(), "{kind:?} has ended");
            std::net::TcpStream::connect((cluster.front(), PORT)).is_ok()
        })
        .await;
        Some(proxy)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

fn joined(text: String, line: &str) -> String {
    text + line + "\n"
}

/// As they stand, but for the certificate, which is made for it.
#[test]
fn the_files_are_valid_as_they_stand() {
    let place = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["gate.example.com".to_owned()]).unwrap();
    let [both, certificate, key] = ["both.pem", "own.pem", "own.key"].map(|name| place.path().join(name));
    super::store::write_pem(&certificate, "CERTIFICATE", made.cert.der());
    super::store::write_pem(&key, "PRIVATE KEY", &made.signing_key.serialize_der());
    fs::write(&both, [&certificate, &key].map(|path| fs::read_to_string(path).unwrap()).concat()).unwrap();
    for (kind, name, edits) in [
        (Kind::HaProxy, "haproxy.cfg", vec![("/etc/haproxy/gate.example.com.pem", &both)]),
        (
            Kind::Nginx,
            "nginx.conf",
            vec![
                ("/etc/ssl/gate.example.com.pem", &certificate),
                ("/etc/ssl/private/gate.example.com.key", &key),
            ],
        ),
    ] {
        let Some(mut command) = kind.command(place.path(), true) else { continue };
        let edits: Vec<_> = edits.iter().map(|(from, to)| (*from, to.to_str().unwrap())).collect();
        let text = edited(&fs::read_to_string(docs().join(name)).unwrap(), &edits);
        let own = if kind == Kind::HaProxy { name } else { "lockgate.conf" };
        fs::write(place.path().join(own), text).unwrap();
        let output = command.stderr(Stdio::piped()).output().unwrap();
        assert!(output.status.success(), "{kind:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
