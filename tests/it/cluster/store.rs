//! What the nodes share: Redis, as Debian has it, on a machine of its own.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::lan::{Lan, Machine};
use crate::page_files::installed;

pub(super) const PASSWORD: &str = "test-password-of-the-store";
const PORT: u16 = 6379;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Guard {
    /// Who reaches it may use it.
    None,
    Password,
    /// And a password.
    Tls,
}

/// A store; nothing of it outlives its process.
pub(super) struct Store {
    pub(super) machine: Machine,
    guard: Guard,
    process: Option<Child>,
    place: tempfile::TempDir,
}

impl Store {
    /// `None` where Redis is not installed.
    pub(super) fn start(machine: Machine, guard: Guard) -> Option<Self> {
        installed("redis-server", "redis-server")?;
        let place = tempfile::tempdir().unwrap();
        if guard == Guard::Tls {
            write_certificates(place.path(), &machine.address);
        }
        let mut store = Self { machine, guard, process: None, place };
        store.begin();
        Some(store)
    }

    /// Starts it, with nothing in it, and waits until it takes connections.
    pub(super) fn begin(&mut self) {
        let mut command = self.machine.command();
        command.args(["redis-server", "--save", "", "--appendonly", "no", "--protected-mode", "no"]);
        command.args(["--bind", &self.machine.address, "--dir"]).arg(self.place.path());
        let port = PORT.to_string();
        match self.guard {
            Guard::Tls => {
                command.args(["--port", "0", "--tls-port", &port, "--tls-auth-clients", "no"]).args([
                    "--tls-cert-file",
                    "own.pem",
                    "--tls-key-file",
                    "own.key",
                    "--tls-ca-cert-file",
                    "ca.pem",
                ])
            }
            _ => command.args(["--port", &port]),
        };
        if self.guard != Guard::None {
            command.args(["--requirepass", PASSWORD]);
        }
        command.current_dir(self.place.path()).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut told = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let ready = told.any(|line| line.contains("Ready to accept connections"));
        assert!(ready, "the store does not start");
        // Else it could not tell any more.
        std::thread::spawn(move || told.for_each(drop));
        self.process = Some(process);
    }

    /// It is gone from one moment to the next, with all that it knew.
    pub(super) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// For the nodes' settings.
    pub(super) fn settings(&self) -> String {
        let address = &self.machine.address;
        match self.guard {
            Guard::Tls => {
                let ca = self.place.path().join("ca.pem");
                format!("[store]\nurl = \"rediss://{address}:{PORT}/0\"\nca = {ca:?}\n")
            }
            _ => format!("[store]\nurl = \"redis://{address}:{PORT}/0\"\n"),
        }
    }

    pub(super) fn has_password(&self) -> bool {
        self.guard != Guard::None
    }

    /// What it answers to a command of somebody who knows its password, or does not.
    fn answer(&self, password: Option<&str>, words: &[&str]) -> String {
        let mut command = self.machine.command();
        command.args(["redis-cli", "-h", &self.machine.address]).current_dir(self.place.path());
        command.args(password.into_iter().flat_map(|password| ["--no-auth-warning", "-a", password]));
        if self.guard == Guard::Tls {
            command.args(["--tls", "--cacert", "ca.pem"]);
        }
        command.args(words);
        crate::clients::stdout_of(command).1.trim_end().to_owned()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An authority, and what it says of this address.
fn write_certificates(place: &Path, address: &str) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    // By one name, a certificate would be its own authority.
    authority.distinguished_name.push(DnType::CommonName, "the authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    write_pem(&place.join("ca.pem"), "CERTIFICATE", authority.self_signed(&key).unwrap().der());
    let issuer = Issuer::new(authority, key);
    let own = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new([address.to_owned()]).unwrap().signed_by(&own, &issuer).unwrap();
    write_pem(&place.join("own.pem"), "CERTIFICATE", certificate.der());
    write_pem(&place.join("own.key"), "PRIVATE KEY", &own.serialize_der());
}

/// A key or a certificate as files have them.
pub(super) fn write_pem(path: &Path, kind: &str, bytes: &[u8]) {
    let text = STANDARD.encode(bytes);
    fs::write(path, format!("-----BEGIN {kind}-----\n{text}\n-----END {kind}-----\n")).unwrap();
}

/// The harness by itself.
#[test]
fn a_store_answers_who_may_use_it_and_forgets_everything_when_it_is_killed() {
    if !crate::traces::is_root() {
        return;
    }
    for guard in [Guard::None, Guard::Password, Guard::Tls] {
        let lan = Lan::new();
        let Some(mut store) = Store::start(lan.machine(2), guard) else { return };
        let password = store.has_password().then_some(PASSWORD);
        assert_eq!(store.answer(password, &["SET", "key", "value"]), "OK", "{guard:?}");
        assert_eq!(store.answer(None, &["GET", "key"]).contains("NOAUTH"), store.has_password());
        store.kill();
        store.begin();
        assert_eq!(store.answer(password, &["EXISTS", "key"]), "0");
    }
}
