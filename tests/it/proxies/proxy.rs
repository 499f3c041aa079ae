//! nginx and Caddy, as docs/proxies.md has them.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::network::Network;
use crate::gateway::{Gateway, send_signal};
use crate::page_files::{Page, edited, installed};

/// The name in the page.
const NAME: &str = "gate.example.com";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Nginx,
    Caddy,
}

/// A proxy that runs, in front of a gateway.
pub(super) struct Proxy {
    kind: Kind,
    process: Child,
    /// Where clients find it.
    pub(super) base: String,
    /// What it was started from.
    _place: tempfile::TempDir,
}

/// What differs from the page, beside names, ports and TLS.
#[derive(Clone, Copy, Default)]
pub(super) struct Setup<'s> {
    /// Texts of the proxy's file that become others.
    pub(super) edits: &'s [(&'s str, &'s str)],
    /// Where it runs, if not on this machine's own network.
    pub(super) network: Option<&'s Network>,
}

impl Kind {
    /// Those that this machine has.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        [Self::Nginx, Self::Caddy].into_iter().filter(|kind| kind.program().is_some())
    }

    pub(super) fn program(self) -> Option<PathBuf> {
        match self {
            Self::Nginx => installed("nginx", "nginx-light"),
            Self::Caddy => installed("caddy", "caddy"),
        }
    }

    /// Its file in the page, for this address of the gateway.
    fn file(self, host: &str, port: u16, gateway: &str) -> String {
        let page = Page::open("proxies.md");
        match self {
            Self::Nginx => {
                let file = page.file("/etc/nginx/conf.d/lockgate.conf");
                let listen = format!("listen {port};");
                let edits = [("127.0.0.1:8000", gateway), (NAME, host), ("listen 443 ssl;", &listen)];
                let without_tls = |line: &&str| !line.trim_start().starts_with("ssl_");
                edited(&file, &edits).lines().filter(without_tls).map(|line| format!("{line}\n")).collect()
            }
            Self::Caddy => {
                let site = format!("http://{host}:{port}");
                let file = page.file("/etc/caddy/Caddyfile");
                format!(
                    "{{\n  admin off\n}}\n{}",
                    edited(&file, &[("127.0.0.1:8000", gateway), (NAME, &site)])
                )
            }
        }
    }

    /// What runs it in a directory of its own, where its file is.
    fn command(self, mut command: Command, place: &Path) -> Command {
        command
            .arg(self.program().unwrap())
            .current_dir(place)
            .env("HOME", place)
            .env("XDG_DATA_HOME", place);
        match self {
            Self::Nginx => command.args(["-e", "stderr", "-c", "nginx.conf", "-p"]).arg(place),
            Self::Caddy => command.args(["run", "--adapter", "caddyfile", "--config", "lockgate.conf"]),
        };
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }
}

/// What the page's file is part of on a machine.
fn nginx_conf() -> String {
    // Root's own directory may be closed to others.
    let user = if rustix::process::geteuid().is_root() { "user root;\n" } else { "" };
    let places: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|name| format!("  {name}_temp_path {name};\n"))
        .collect();
    format!(
        "{user}daemon off;\npid nginx.pid;\nworker_processes 1;\nerror_log stderr error;\n\
         events {{ worker_connections 768; }}\nhttp {{\n  gzip on;\n  access_log off;\n{places}  include lockgate.conf;\n}}\n"
    )
}

impl Proxy {
    /// As the page has it.
    pub(super) async fn start(kind: Kind, gateway: &Gateway) -> Self {
        Self::start_with(kind, gateway, Setup::default()).await
    }

    pub(super) async fn start_with(kind: Kind, gateway: &Gateway, setup: Setup<'_>) -> Self {
        // A port that is free now may be somebody else's a moment later.
        for _ in 0..5 {
            if let Some(proxy) = Self::try_start(kind, gateway, setup).await {
                return proxy;
            }
        }
        panic!("{kind:?} does not start");
    }

    async fn try_start(kind: Kind, gateway: &Gateway, setup: Setup<'_>) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let host = setup.network.map_or("127.0.0.1", |_| Network::HOST);
        let place = tempfile::tempdir().unwrap();
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let file = edited(&kind.file(host, port, &gateway.address), setup.edits);
        fs::write(place.path().join("lockgate.conf"), file).unwrap();
        fs::write(place.path().join("nginx.conf"), nginx_conf()).unwrap();
        let around = setup.network.map_or_else(|| Command::new("env"), Network::host);
        let process = kind.command(around, place.path()).spawn().unwrap();
        let mut proxy = Self { kind, process, base: format!("http://{host}:{port}"), _place: place };
        for _ in 0..1000 {
            if proxy.process.try_wait().unwrap().is_some() {
                return None;
            }
            if listens(proxy.process.id(), port) {
                return Some(proxy);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{kind:?} does not listen");
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Asked to end, nginx takes its workers with it, but Caddy waits for clients that are not gone yet.
        match self.kind {
            Kind::Nginx if self.process.try_wait().is_ok_and(|status| status.is_none()) => {
                send_signal(self.process.id(), "TERM");
            }
            _ => drop(self.process.kill()),
        }
        let _ = self.process.wait();
    }
}

/// Whether somebody listens at this port in the network of this process.
fn listens(pid: u32, port: u16) -> bool {
    let at = format!(":{port:04X}");
    ["tcp", "tcp6"].iter().any(|table| {
        let sockets = fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        sockets.lines().skip(1).any(|socket| {
            let mut fields = socket.split_whitespace().skip(1);
            // 0A is LISTEN.
            fields.next().is_some_and(|local| local.ends_with(&at)) && fields.nth(1) == Some("0A")
        })
    })
}
