//! A store of a test's own: `valkey-server` or `redis-server`, whichever this machine has.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use redis::FromRedisValue;

use crate::gateway::send_signal;

pub(crate) struct Valkey {
    process: Option<Child>,
    port: u16,
    arguments: Vec<String>,
    place: tempfile::TempDir,
}

impl Valkey {
    /// In the clear, with these arguments beside.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_at("--port", arguments)
    }

    /// By TLS alone, with a certificate for `localhost` of an authority of its own, whose file is the second.
    pub(crate) fn start_secretly() -> (Self, std::path::PathBuf) {
        let place = tempfile::tempdir().unwrap();
        let run = |command: &str| {
            let status =
                Command::new("sh").args(["-ec", command]).current_dir(place.path()).output().unwrap();
            assert!(status.status.success(), "{command}: {}", String::from_utf8_lossy(&status.stderr));
        };
        run(
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem \
             -subj /CN=authority -days 2 -addext basicConstraints=critical,CA:TRUE",
        );
        run(
            "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout own.key -out own.csr -subj /CN=store",
        );
        run("printf subjectAltName=DNS:localhost > names; \
             openssl x509 -req -in own.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out own.pem");
        let own = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
        let files = [own("own.pem"), own("own.key"), own("ca.pem")];
        let [certificate, key, authority] = &files;
        let arguments = [
            ["--port", "0"],
            ["--tls-cert-file", certificate],
            ["--tls-key-file", key],
            ["--tls-ca-cert-file", authority],
            ["--tls-auth-clients", "no"],
        ];
        let mut store = Self::start_at("--tls-port", &arguments.concat());
        let authority = authority.into();
        store.place = place;
        (store, authority)
    }

    fn start_at(listens: &str, arguments: &[&str]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let place = tempfile::tempdir().unwrap();
        let mut all = vec!["--bind".to_owned(), "127.0.0.1".to_owned(), "--save".to_owned(), String::new()];
        all.extend([listens.to_owned(), port.to_string()]);
        all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        let mut store = Self { process: None, port, arguments: all, place };
        store.start_again();
        store
    }

    /// What `[store]` needs to find it; in the clear.
    pub(crate) fn settings(&self) -> String {
        format!("[store]\nurl = \"redis://127.0.0.1:{}\"\n", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// With nothing of what it knew, where it was before.
    pub(crate) fn start_again(&mut self) {
        let program = ["valkey-server", "redis-server"].into_iter().find(|name| {
            Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
        });
        let program = program.expect("this test needs valkey-server or redis-server: apt-get install either");
        let mut process = Command::new(program)
            .args(&self.arguments)
            .current_dir(self.place.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut heard = Vec::new();
        loop {
            let line = lines.next().unwrap_or_else(|| panic!("{program} has ended: {heard:?}"));
            if line.contains("eady to accept connections") {
                break;
            }
            heard.push(line);
        }
        std::thread::spawn(move || lines.for_each(drop));
        self.process = Some(process);
    }

    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().unwrap();
        process.wait().unwrap();
    }

    pub(crate) fn signal(&self, signal: &str) {
        send_signal(self.process.as_ref().expect("it runs").id(), signal);
    }

    /// Asks it something.
    pub(crate) fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let client = redis::Client::open(("127.0.0.1", self.port)).unwrap();
        let mut command = redis::Cmd::new();
        words.iter().for_each(|word| {
            command.arg(*word);
        });
        command.query(&mut client.get_connection().unwrap()).unwrap()
    }
}

impl Drop for Valkey {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
