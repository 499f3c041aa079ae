//! The era matrix: what clients on the official SDKs can do, by each transport, with a server of each era. `tests/run`
//! installs the SDKs; the scripts are `tests/clients/matrix*`.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::{fmt, thread};

use serde_json::Value;

use crate::clients::{everything, gateway, node, python, stdout_of};
use crate::gateway::Gateway;
use crate::remote::server;
use crate::remote_real::Process;

const FEATURES: [&str; 14] = [
    "list",
    "call",
    "progress",
    "log level",
    "elicitation",
    "sampling",
    "roots",
    "subscribe + update",
    "list-changed",
    "ping",
    "cancel",
    "resource",
    "prompt",
    "completion",
];

/// A client: its SDK, and how it is going to speak.
#[derive(Clone, Copy)]
struct Client {
    sdk: &'static str,
    transport: &'static str,
}

const CLIENTS: [Client; 8] = [
    Client { sdk: "TypeScript 1", transport: "sse" },
    Client { sdk: "TypeScript 2", transport: "sse" },
    Client { sdk: "Python 2", transport: "sse" },
    Client { sdk: "TypeScript 1", transport: "streamable" },
    Client { sdk: "TypeScript 2", transport: "streamable" },
    Client { sdk: "Python 2", transport: "streamable" },
    Client { sdk: "TypeScript 2", transport: "stateless" },
    Client { sdk: "Python 2", transport: "stateless" },
];

/// What a cell shows.
#[derive(Clone, PartialEq)]
enum Outcome {
    Works,
    /// The code of an error that the client was told.
    Error(i64),
    /// Anything else, and what was said of it.
    Failed(String),
}

/// What a cell must show: that the feature works, or the error that docs/eras.md names.
fn documented(client: Client, feature: &str) -> Outcome {
    match (client.transport, feature) {
        ("stateless", "ping") => Outcome::Error(-32601),
        _ => Outcome::Works,
    }
}

impl Outcome {
    fn read(line: &Value) -> Self {
        match (line["outcome"].as_str(), line["code"].as_i64()) {
            (Some("works"), _) => Self::Works,
            (_, Some(code)) => Self::Error(code),
            _ => Self::Failed(line["message"].to_string()),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Works => formatter.pad("works"),
            Self::Error(code) => formatter.pad(&code.to_string()),
            Self::Failed(_) => formatter.pad("failed"),
        }
    }
}

/// A client with a server: the cells, all that the script has said, and whether it was content.
struct Row {
    client: Client,
    server: &'static str,
    cells: BTreeMap<String, Outcome>,
    said: String,
    success: bool,
}

impl Row {
    fn of(gateway: &Gateway, client: Client, server: &'static str) -> Self {
        let arguments = [server, client.transport];
        let (success, said) = stdout_of(match client.sdk {
            "TypeScript 1" => node("matrix_v1.mjs", gateway, &arguments),
            "TypeScript 2" => node("matrix_v2.mjs", gateway, &arguments),
            _ => python("matrix.py", gateway, &arguments),
        });
        let lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let cells = lines
            .filter_map(|line| Some((line["feature"].as_str()?.to_owned(), Outcome::read(&line))))
            .collect();
        Self { client, server, cells, said, success }
    }

    fn cell(&self, feature: &str) -> Outcome {
        self.cells.get(feature).cloned().unwrap_or_else(|| Outcome::Failed("not a word of it".into()))
    }

    fn is_as_documented(&self) -> bool {
        self.success && FEATURES.iter().all(|name| self.cell(name) == documented(self.client, name))
    }
}

/// Every client with every server, two at a time, in the order of the table.
fn rows(gateway: &Gateway, clients: &[Client], servers: [&'static str; 3]) -> Vec<Row> {
    let pairs = clients.iter().flat_map(|client| servers.map(|server| (*client, server)));
    let left = Mutex::new(pairs.enumerate());
    let done = Mutex::new(BTreeMap::new());
    let next = || left.lock().unwrap().next();
    let work = || {
        while let Some((place, (client, server))) = next() {
            let row = Row::of(gateway, client, server);
            done.lock().unwrap().insert(place, row);
        }
    };
    thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    done.into_inner().unwrap().into_values().collect()
}

impl fmt::Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Client { sdk, transport } = self.client;
        write!(formatter, "{sdk:<14}{transport:<12}{:<11}", self.server)?;
        FEATURES
            .iter()
            .try_for_each(|name| write!(formatter, "{:<width$}", self.cell(name), width = width(name)))
    }
}

/// Of a column.
fn width(feature: &str) -> usize {
    feature.len().max("-32601".len()) + 2
}

/// Prints the table, and fails for the rows that are not as documented.
fn shows_what_is_documented(rows: &[Row]) {
    let columns = FEATURES.map(|name| format!("{name:<width$}", width = width(name)));
    println!("{:<14}{:<12}{:<11}{}", "SDK", "transport", "server", columns.concat());
    rows.iter().for_each(|row| println!("{row}"));
    let others = rows.iter().filter(|row| !row.is_as_documented());
    let told: String = others.map(|row| format!("{row}\n{}\n", row.said)).collect();
    assert!(told.is_empty(), "not as docs/eras.md has it:\n{told}");
}

#[test]
fn every_client_does_everything_with_children_of_every_era() {
    let gateway = gateway(&everything());
    shows_what_is_documented(&rows(&gateway, &CLIENTS, ["handshake", "dual", "stateless"]));
}

/// One client for each transport: what is different here is behind the gateway.
#[test]
fn every_transport_does_everything_with_remotes_of_every_era() {
    let forms = ["sessions", "dual", "stateless"];
    let remotes = forms.map(Process::typescript);
    let tables =
        forms.iter().zip(&remotes).map(|(form, remote)| server(form, &format!("{}/mcp", remote.base), ""));
    let gateway = gateway(&tables.collect::<String>());
    let chosen = [("TypeScript 1", "sse"), ("Python 2", "streamable"), ("TypeScript 2", "stateless")];
    let clients: Vec<_> =
        CLIENTS.into_iter().filter(|client| chosen.contains(&(client.sdk, client.transport))).collect();
    assert_eq!(clients.len(), chosen.len());
    shows_what_is_documented(&rows(&gateway, &clients, forms));
}
