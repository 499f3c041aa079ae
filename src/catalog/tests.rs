use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::access::Operator;
use crate::settings::{Flags, Platform};

fn settings(file: &str) -> Settings {
    let path = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&path, file).unwrap();
    let flags = Flags { file: Some(path.path().to_owned()), ..Flags::default() };
    Settings::load(&flags, &Platform::default()).unwrap()
}

fn catalog(file: &str) -> Catalog {
    Catalog::load(&settings(file)).unwrap()
}

impl Launch {
    /// Of a server that alone has these settings.
    pub(crate) fn for_test(server: &str) -> Self {
        let catalog = catalog(&format!("[servers.s]\n{server}"));
        catalog.only_launch()
    }
}

impl LaunchPlan {
    fn launch(&self) -> &Launch {
        match self.means() {
            Means::Launch(launch) => launch,
            Means::Endpoint(_) => panic!("it is remote"),
        }
    }
}

impl Catalog {
    fn only_launch(&self) -> Launch {
        match self.trials(&Operator::at_the_command_line()).pop().unwrap().means.unwrap() {
            Means::Launch(launch) => launch,
            Means::Endpoint(_) => panic!("it is remote"),
        }
    }
}

fn target(segment: &str) -> Target {
    Target::decode(segment).unwrap()
}

fn variables(pairs: &[(&str, &str)]) -> Overrides {
    let mut overrides = Overrides::default();
    pairs.iter().for_each(|(name, value)| overrides.add(name, value.as_bytes()).unwrap());
    overrides
}

#[test]
fn a_server_is_reached_by_its_name_or_its_exact_command_and_by_nothing_else() {
    let catalog = catalog("[servers.s]\nrun = \"sh -c 'echo  @a/b+c'\"");
    let permit = Permit::for_test(&["s"], &[]);
    for segment in ["s", "sh%20-c%20%27echo%20%20%40a%2Fb+c%27", "%73"] {
        assert_eq!(catalog.find(&permit, &target(segment)).unwrap().as_str(), "s", "{segment}");
    }
    for segment in [
        "S",
        "s%20",
        "%20s",
        "sh",
        "sh%20-c",
        "sh%2520-c",
        "sh%20-c%20%27echo%20%40a%2Fb+c%27",
        "sh%20-c%20%27echo%20%20%40a%2Fb%20c%27",
        "s%C2%A0",
        "s%E2%80%8B",
        "",
        "..",
        "s/x",
    ] {
        assert_eq!(catalog.find(&permit, &target(segment)), Err(Refused::NotAllowed), "{segment}");
    }
}

#[test]
fn what_is_not_percent_encoded_text_is_refused() {
    for (segment, expected) in [
        ("%", BadTarget::Escape),
        ("%4", BadTarget::Escape),
        ("a%zz", BadTarget::Escape),
        ("%c0%af", BadTarget::Utf8),
        ("%ff", BadTarget::Utf8),
        ("a%00", BadTarget::Control),
        ("a%0a", BadTarget::Control),
    ] {
        assert_eq!(Target::decode(segment), Err(expected), "{segment}");
    }
}

proptest! {
    #[test]
    fn decoding_undoes_encoding_once(text in "\\PC*") {
        prop_assume!(!text.chars().any(char::is_control));
        let target = Target::decode(&urlencoding::encode(&text)).unwrap();
        prop_assert_eq!(target.as_str(), text);
    }

    #[test]
    fn decoding_never_panics(raw in ".*") {
        let _ = Target::decode(&raw);
    }
}

#[test]
fn the_plan_carries_the_resolved_program_and_the_split_arguments() {
    let catalog = catalog("[servers.s]\nrun = \"sh -c 'a b'\"\nenv = { A = \"1\", B = \"2\" }");
    let overrides = variables(&[("b", "3"), ("C", "4")]);
    let plan = catalog.plan(&Permit::for_test(&["s"], &[]), &target("s"), overrides, |_| None).unwrap();
    assert!(plan.launch().program().is_absolute());
    assert_eq!(plan.launch().argv(), ["sh", "-c", "a b"]);
    let mut environment: Vec<_> = plan.launch().environment().map(|(n, v)| format!("{n}={v}")).collect();
    environment.sort();
    assert_eq!(environment, ["A=1", "B=3", "C=4"]);
}

#[test]
fn the_environment_is_the_servers_then_the_tenants_then_the_clients() {
    let catalog = catalog("[servers.s]\nrun = \"sh\"\nenv = { A = \"s\", B = \"s\", C = \"s\" }");
    let plan = |tenants: &[(&str, &str)]| {
        let permit = Permit::for_test(&["s"], tenants);
        catalog.plan(&permit, &target("s"), variables(&[("C", "c"), ("E", "c")]), |_| None).unwrap()
    };
    let one = plan(&[("B", "t"), ("C", "t"), ("D", "t"), ("E", "t")]);
    let mut environment: Vec<_> = one.launch().environment().map(|(n, v)| format!("{n}={v}")).collect();
    environment.sort();
    assert_eq!(environment, ["A=s", "B=t", "C=c", "D=t", "E=c"]);
    assert_ne!(one.fingerprint(), plan(&[("B", "t"), ("C", "t"), ("D", "x"), ("E", "t")]).fingerprint());
    assert_eq!(one.fingerprint(), plan(&[("B", "t"), ("C", "x"), ("D", "t"), ("E", "x")]).fingerprint());
}

#[test]
fn whatever_makes_another_process_makes_another_fingerprint() {
    let print = |settings: &str| {
        let plan = catalog(&format!("[servers.s]\n{settings}")).plan(
            &Permit::for_test(&["s"], &[]),
            &target("s"),
            variables(&[]),
            |_| None,
        );
        plan.unwrap().fingerprint()
    };
    let one = print("run = \"sh a\"\nreadable = [\"/a\", \"/b\"]");
    assert_eq!(one, print("run = \"sh a\"\nreadable = [\"/a\", \"/b\"]\nenv_allow = [\"X\"]\nsessions = 3"));
    for other in [
        "run = \"/bin/sh a\"\nreadable = [\"/a\", \"/b\"]",
        "run = \"sh a b\"\nreadable = [\"/a\", \"/b\"]",
        "run = \"sh a\"",
        "run = \"sh a\"\nreadable = [\"/a\"]\nwritable = [\"/b\"]",
        "run = \"sh a\"\nwritable = [\"/a\", \"/b\"]",
        "run = \"sh a\"\nreadable = [\"/a\", \"/b\"]\nenv = { A = \"a\" }",
    ] {
        assert_ne!(one, print(other), "{other}");
    }
    let npx = "run = \"npx -y pkg\"";
    if which::which("npx").is_ok() {
        assert_ne!(print(npx), print(&format!("{npx}\nprefetch = true")));
    }
}

#[test]
fn blocked_names_and_families_are_refused_by_name() {
    let catalog = catalog("[servers.s]\nrun = \"sh\"");
    let plan = |pairs: &[(&str, &str)]| {
        catalog.plan(&Permit::for_test(&["s"], &[]), &target("s"), variables(pairs), |_| None)
    };
    for name in [
        "PATH",
        "TOKEN",
        "ld_preload",
        "NODE_OPTIONS",
        "PYTHONPATH",
        "BASH_ENV",
        "npm_config_registry",
        "HTTPS_PROXY",
        "MAXIM_SECRET",
        "LOCKGATE_SECRET",
        "GOFLAGS",
        "SUDO_USER",
        "LC_ALL",
        "SSH_AUTH_SOCK",
    ] {
        let refused = plan(&[(name, "x")]).unwrap_err();
        assert_eq!(refused, BadVariable::Blocked(name.to_ascii_uppercase()).into(), "{name}");
    }
    for name in
        ["FOO", "GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "GOOGLE_API_KEY", "NODE_ENV", "OPENAI_API_KEY"]
    {
        assert!(plan(&[(name, "x")]).is_ok(), "{name}");
    }
    assert!(plan(&[("F", "() { :; }; id")]).is_err());
}

#[test]
fn an_allow_list_overrules_the_blocklist() {
    let catalog = catalog("[servers.s]\nrun = \"sh\"\nenv_allow = [\"API_KEY\"]");
    let plan = |name| {
        catalog.plan(&Permit::for_test(&["s"], &[]), &target("s"), variables(&[(name, "x")]), |_| None)
    };
    assert!(plan("API_KEY").is_ok());
    assert!(plan("FOO").is_err());
}

#[test]
fn blocked_names_can_be_dropped_instead() {
    let catalog = catalog("[access]\nblocked_env = \"ignore\"\n[servers.s]\nrun = \"sh\"");
    let overrides = variables(&[("PATH", "x"), ("FOO", "y")]);
    let plan = catalog.plan(&Permit::for_test(&["s"], &[]), &target("s"), overrides, |_| None).unwrap();
    assert_eq!(plan.launch().environment().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["FOO"]);
}

#[test]
fn malformed_conflicting_and_excessive_variables_are_named() {
    let mut overrides = Overrides::default();
    for name in ["", "1A", "A-B", "A B", "Ä", &"A".repeat(129)] {
        assert!(matches!(overrides.add(name, b"x"), Err(BadVariable::Name(_))), "{name}");
    }
    assert_eq!(overrides.add("a", b"\xff"), Err(BadVariable::Value("A".into())));
    overrides.add("a", b"1").unwrap();
    overrides.add("A", b"1").unwrap();
    assert_eq!(overrides.add("A", b"2"), Err(BadVariable::Conflict("A".into())));
    assert_eq!(overrides.add("B", &[b'x'; 33 << 10]), Err(BadVariable::TooMuch));
    let mut many = Overrides::default();
    (0..64).for_each(|n| many.add(&format!("V{n}"), b"").unwrap());
    assert_eq!(many.add("ONE_MORE", b""), Err(BadVariable::TooMuch));
}

#[test]
fn a_server_that_cannot_be_used_stops_the_start() {
    for (file, expected) in [
        ("[servers.s]\nrun = \"\"", "`servers.s.run` is empty"),
        ("[servers.s]\nrun = \"sh 'x\"", "cannot be split"),
        ("[servers.s]\nrun = \"./x\"", "give an absolute path"),
        ("[servers.s]\nrun = \"no-such-program-here\"", "not an executable on PATH"),
        ("[servers.s]\nrun = \"cat | sh\"", "no shell reads it"),
        ("[servers.s]\nrun = \"sh\"\n[servers.t]\nrun = \"sh\"", "is also what"),
        ("[servers.s]\nrun = \"sh\"\nenv = { a = \"1\" }", "`servers.s.env` holds \"a\""),
        ("[servers.s]\nrun = \"sh\"\nenv = { A = \"\\u0000\" }", "a NUL byte in the value of A"),
        (
            "[tenants.t]\nsecrets = []\nservers = []\nenv = { a = \"1\" }",
            "`tenants.t.env` holds \"a\", but a name must match",
        ),
        ("[servers.\"a/b\"]\nrun = \"sh\"", "becomes part of a URL"),
    ] {
        let error = Catalog::load(&settings(file)).unwrap_err().to_string();
        assert!(error.contains(expected), "{file:?} gave {error:?}");
    }
}

#[test]
fn what_a_command_needs_is_known_to_all_its_plans_until_the_settings_are_read_again() {
    let load = || catalog("[servers.s]\nrun = \"sh\"");
    let plan = Catalog::only_launch;
    let first = load();
    assert_eq!(plan(&first).needed(), None);
    plan(&first).fetch().runs_with(Arc::default());
    assert_eq!(plan(&first).needed(), None, "fetching is another command");
    let needed: Arc<[PathBuf]> = [PathBuf::from("/a")].into();
    plan(&first).runs_with(needed.clone());
    assert_eq!(plan(&first).needed(), Some(needed));
    assert_eq!((plan(&first).fetch().needed(), plan(&load()).needed()), (None, None));
}
