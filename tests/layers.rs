//! Imports point down only. The table is the architecture; a change here is a change there.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::Path;

/// Each module of `src/`, bottom up, and what it may use. `ids` and `settings` are open to all that stand above
/// them. The order is checked too: a module may use only what stands before it.
const TABLE: &[(&str, &[&str])] = &[
    ("ids", &[]),
    ("lifecycle", &[]),
    // What is refused is told where it is refused, so every layer that decides may use it.
    ("audit", &["ids"]),
    ("mcp", &[]),
    // What to paste where: text about a URL, which the command line prints and the operator's page shows.
    ("snippets", &[]),
    // The settings name the era that a server speaks, which `mcp` knows.
    ("settings", &["ids", "mcp"]),
    // On whose account something happens is open to every layer that starts tasks or sends messages; what a message
    // says of its trace is for `mcp` to read.
    ("telemetry", &["ids", "audit", "mcp", "settings"]),
    // What nodes share. Limits are decided there, so it stands below all that has some.
    ("store", &["settings", "telemetry"]),
    // Limits that nodes share are fetched ahead, by tasks.
    ("access", &["ids", "lifecycle", "audit", "settings", "store"]),
    ("catalog", &["ids", "mcp", "settings", "access"]),
    ("backend", &["ids", "settings", "telemetry", "lifecycle", "mcp", "catalog"]),
    // A session is opened with the proof that its tenant may do so now.
    (
        "session",
        &[
            "ids",
            "audit",
            "settings",
            "telemetry",
            "lifecycle",
            "mcp",
            "store",
            "access",
            "catalog",
            "backend",
        ],
    ),
    // Where a session is that others may have. Backends have the fingerprints by which they are warm somewhere.
    ("cluster", &["ids", "settings", "lifecycle", "access", "catalog"]),
    (
        "http",
        &[
            "ids",
            "audit",
            "settings",
            "telemetry",
            "lifecycle",
            "mcp",
            "access",
            "catalog",
            "session",
            "cluster",
        ],
    ),
    // It starts a server once, for the operator, without listeners, tenants or sessions. The operator's listener has
    // that done while the gateway serves, so it stands below.
    ("doctor", &["ids", "settings", "lifecycle", "mcp", "access", "catalog", "backend"]),
    // The operator's listener: it looks at everything below, and steers by what `gateway` gives it.
    (
        "admin",
        &[
            "ids", "audit", "snippets", "settings", "mcp", "store", "access", "catalog", "backend",
            "session", "cluster", "http", "doctor",
        ],
    ),
    (
        "gateway",
        &[
            "ids",
            "audit",
            "settings",
            "lifecycle",
            "store",
            "access",
            "catalog",
            "backend",
            "session",
            "cluster",
            "http",
            "doctor",
            "admin",
        ],
    ),
    ("demo", &["mcp"]),
    (
        "cli",
        &[
            "ids",
            "snippets",
            "settings",
            "telemetry",
            "store",
            "access",
            "catalog",
            "gateway",
            "doctor",
            "demo",
        ],
    ),
    // `main` is the binary: it sees the library by its name.
    ("lib", &[]),
    ("main", &["backend", "cli"]),
];

/// Crates that only some layers may know, so that the rest stays free of them.
const KEPT_APART: &[(&str, &[&str])] = &[
    ("actix_web", &["http", "admin", "gateway", "cli"]),
    ("actix_http", &["http"]),
    ("actix_service", &["http"]),
    ("maud", &["admin"]),
    // The collector is reached as remote servers are; the operator's page tries servers by our own public listener; and
    // the gateway that `lockgate top` looks at may be behind TLS.
    ("reqwest", &["backend", "telemetry", "admin", "cli"]),
    ("rustls", &["backend", "telemetry", "store", "cli"]),
    // What goes to other nodes goes there byte by byte, which reqwest does not do.
    ("hyper", &["cluster"]),
    ("hyper_util", &["cluster"]),
    ("http_body_util", &["cluster"]),
    ("redis", &["store"]),
    ("tokio_rustls", &["store"]),
    ("rustls_platform_verifier", &["store"]),
    ("opentelemetry", &["telemetry"]),
    ("opentelemetry_sdk", &["telemetry"]),
    ("rustix", &["backend", "gateway", "cli"]),
    ("clap", &["cli"]),
    ("prometheus_client", &["admin"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("anstream", &["cli"]),
    ("anstyle", &["cli"]),
];

/// The words for the two eras. Who uses them decides by era, which is for these places alone: `mcp` knows what an era
/// is, the settings what an operator calls one, and one transport is called so. Tests need values of all kinds.
const ERAS: [&str; 2] = ["handshake", "stateless"];
const KNOW_ERAS: &[&str] = &[
    "lib.rs",
    "mcp.rs",
    "mcp/",
    "settings.rs",
    "settings/",
    "session.rs",
    "http/mcp.rs",
    "http/stateless.rs",
];
/// The names of that transport and of its file.
const TRANSPORT: [&str; 2] = ["Transport::Stateless", "mod stateless;"];

/// A file of `src/`.
struct Source {
    /// Below `src/`.
    path: String,
    /// Which module of the table it is part of.
    module: String,
    text: String,
}

fn sources(directory: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let inside = path.strip_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap();
            let first = inside.iter().next().unwrap().to_str().unwrap();
            found.push(Source {
                path: inside.to_str().unwrap().to_owned(),
                module: first.trim_end_matches(".rs").to_owned(),
                text: fs::read_to_string(&path).unwrap(),
            });
        }
    }
}

fn all() -> Vec<Source> {
    let mut found = Vec::new();
    sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut found);
    assert!(found.len() > 30, "the sources were not found");
    found
}

/// The modules of ours that a text names, as `crate::x` or `lockgate::x`.
fn used(text: &str) -> Vec<String> {
    let code =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    ["crate::", "lockgate::"]
        .iter()
        .flat_map(|prefix| code.split(prefix).skip(1).map(str::to_owned).collect::<Vec<_>>())
        .map(|rest| rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect())
        .filter(|name: &String| TABLE.iter().any(|(module, _)| module == name))
        .collect()
}

#[test]
fn imports_point_down() {
    for Source { module, text, .. } in all() {
        let (_, allowed) = TABLE.iter().find(|(name, _)| *name == module).unwrap_or_else(|| {
            panic!("src/{module} has no place in the layer table");
        });
        for name in used(&text) {
            assert!(name == module || allowed.contains(&name.as_str()), "src/{module} must not use {name}");
        }
    }
}

#[test]
fn the_table_itself_points_down() {
    for (position, (module, allowed)) in TABLE.iter().enumerate() {
        for name in *allowed {
            assert!(TABLE[..position].iter().any(|(lower, _)| lower == name), "{module} stands below {name}");
        }
    }
}

#[test]
fn crates_stay_where_they_belong() {
    for Source { module, text, .. } in all() {
        for (name, layers) in KEPT_APART {
            let named = text.contains(&format!("{name}::"));
            assert!(!named || layers.contains(&module.as_str()), "src/{module} must not use {name}");
        }
    }
}

#[test]
fn nothing_in_mcp_does_io_waits_or_draws() {
    const WAITS: [&str; 6] = ["tokio", "std::io", "std::fs", "std::net", "async fn", ".await"];
    // The time and what is drawn at random come in as arguments.
    const DIFFERS: [&str; 5] = ["Instant", "SystemTime", "getrandom", "rand::", "RandomState"];
    for Source { path, text, .. } in all().iter().filter(|source| source.module == "mcp") {
        for word in WAITS.iter().chain(&DIFFERS) {
            let mut rests = text.split(word).skip(1);
            let is_whole = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric());
            assert!(!rests.any(is_whole), "src/{path} names {word}");
        }
    }
}

/// Whether a path is one of these files, or below one of these directories, which end in `/`.
fn is_among(path: &str, places: &[&str]) -> bool {
    places.iter().any(|place| path == *place || (place.ends_with('/') && path.starts_with(place)))
}

#[test]
fn who_need_not_know_about_eras_does_not_name_them() {
    let sources = all();
    let names_an_era = |line: &str| {
        let rest = TRANSPORT.iter().fold(line.to_owned(), |line, name| line.replace(name, ""));
        ERAS.iter().any(|word| rest.to_lowercase().contains(word))
    };
    let is_test = |path: &str| path.ends_with("/tests.rs") || path.contains("/tests/");
    let need_not = |source: &&Source| !is_among(&source.path, KNOW_ERAS) && !is_test(&source.path);
    for Source { path, text, .. } in sources.iter().filter(need_not) {
        if let Some((number, line)) = text.lines().enumerate().find(|(_, line)| names_an_era(line)) {
            panic!("src/{path}:{} names an era, which is for {KNOW_ERAS:?}: {line}", number + 1);
        }
    }
}

#[test]
fn files_stay_small_enough_to_hold_one_idea() {
    for Source { path, text, .. } in all() {
        let production = text.split("#[cfg(test)]\nmod tests {").next().unwrap().lines().count();
        assert!(production <= 360, "src/{path} has {production} lines");
    }
}
