mod credentials;

use std::io::Write;

use super::super::{Catalog, Means, Overrides, Refused, Target};
use super::*;
use crate::access::{Operator, Permit};
use crate::catalog::Fingerprint;
use crate::settings::{Flags, Platform, Settings};

/// What a header of the request says.
type Sent = [(&'static str, &'static str)];

/// A file with this in it, as settings name it.
fn holding(text: &str) -> (tempfile::NamedTempFile, String) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let named = format!("file = {:?}", file.path());
    (file, named)
}

fn load(file: &str) -> Result<Catalog, String> {
    let path = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&path, file).unwrap();
    let flags = Flags { file: Some(path.path().to_owned()), ..Flags::default() };
    let settings = Settings::load(&flags, &Platform::default()).map_err(|error| error.to_string())?;
    Catalog::load(&settings).map_err(|error| error.to_string())
}

/// Of the server `d`, with these settings beside its URL and behind its table.
fn catalog(server: &str, more: &str) -> Catalog {
    load(&format!("[servers.d]\nurl = \"https://a.example/mcp\"\n{server}\n{more}")).unwrap()
}

/// For the tenant that permits of tests are of, with these variables and headers.
fn plan(catalog: &Catalog, variables: &Sent, headers: &Sent) -> Result<(Endpoint, Fingerprint), Refused> {
    let mut overrides = Overrides::default();
    variables.iter().for_each(|(name, value)| overrides.add(name, value.as_bytes()).unwrap());
    let find = |name: &HeaderName| headers.iter().find(|(own, _)| own == name);
    planned(catalog, overrides, |name| find(name).map(|(_, value)| Some((*value).to_owned())))
}

/// The same of variables alone, for a tenant that has some itself; what is sent.
fn told(catalog: &Catalog, of_tenant: &Sent, of_client: &Sent) -> Result<String, Refused> {
    let mut overrides = Overrides::default();
    of_client.iter().for_each(|(name, value)| overrides.add(name, value.as_bytes()).unwrap());
    let permit = Permit::for_test(&["d"], of_tenant);
    let plan = catalog.plan(&permit, &Target::decode("d").unwrap(), overrides, |_| None)?;
    match plan.means() {
        Means::Endpoint(endpoint) => Ok(endpoint.url().query().unwrap().to_owned()),
        Means::Launch(_) => panic!("it is a command"),
    }
}

/// The same with no variables, and headers that may be unreadable.
fn plan_with(
    catalog: &Catalog,
    header: impl Fn(&HeaderName) -> Option<Option<String>>,
) -> Result<(Endpoint, Fingerprint), Refused> {
    planned(catalog, Overrides::default(), header)
}

fn planned(
    catalog: &Catalog,
    overrides: Overrides,
    header: impl Fn(&HeaderName) -> Option<Option<String>>,
) -> Result<(Endpoint, Fingerprint), Refused> {
    let target = Target::decode("d").unwrap();
    let plan = catalog.plan(&Permit::for_test(&["d"], &[]), &target, overrides, header)?;
    match plan.means() {
        Means::Endpoint(endpoint) => Ok(((**endpoint).clone(), plan.fingerprint())),
        Means::Launch(_) => panic!("it is a command"),
    }
}

fn endpoint(catalog: &Catalog, headers: &Sent) -> Endpoint {
    plan(catalog, &[], headers).unwrap().0
}

/// What is sent: `name: value`, `name=value`, or what is asked for with a grant.
fn sent(credential: Option<&Credential>) -> String {
    match credential {
        None => "nothing".into(),
        Some(Credential::Header(name, value)) => {
            assert!(value.is_sensitive(), "{name} would be shown");
            format!("{name}: {}", value.to_str().unwrap())
        }
        Some(Credential::Query(name, value)) => format!("{name}={}", value.reveal()),
        Some(Credential::Grant(grant)) => {
            let Grant { token_url, client_id, client_secret, scope, resource } = &**grant;
            format!("{token_url} {client_id} {} {scope:?} {resource}", client_secret.reveal())
        }
    }
}

fn own(endpoint: &Endpoint) -> String {
    sent(endpoint.credential())
}

#[test]
fn headers_and_query_hold_variables_of_the_session() {
    let catalog = catalog(
        "headers = { X-Both = \"${ONE}, ${TWO}\", X-Fixed = \"f\" }\nquery = { \"a b\" = \"${TWO}&\" }\nenv = { ONE = \"1\" }",
        "",
    );
    let (endpoint, _) = plan(&catalog, &[("TWO", "2=")], &[]).unwrap();
    assert_eq!(endpoint.url().as_str(), "https://a.example/mcp?a+b=2%3D%26");
    assert_eq!(endpoint.query().collect::<Vec<_>>(), [("a b", "2=&")]);
    assert_eq!(endpoint.headers()["x-both"], "1, 2=");
    assert_eq!(endpoint.headers()["x-fixed"], "f");
    assert!(endpoint.headers().values().all(HeaderValue::is_sensitive), "{endpoint:?}");
    let missing = plan(&catalog, &[], &[]).unwrap_err();
    assert_eq!(missing, BadVariable::Missing("TWO".into()).into());
    // Of several, the one that is at fault is named, and not shown.
    let unsendable = plan(&catalog, &[("TWO", "hunter2\r\nX-Other: 1")], &[]).unwrap_err();
    assert_eq!(unsendable, BadVariable::Unsendable("TWO".into()).into());
    assert!(!unsendable.to_string().contains("hunter2"), "{unsendable}");
    // Nothing else has a meaning for it.
    assert_eq!(plan(&catalog, &[("FOO", "1")], &[]).unwrap_err(), BadVariable::Blocked("FOO".into()).into());
}

#[test]
fn a_client_cannot_pass_for_somebody_else_than_the_operator_says() {
    let both = "query = { user = \"${USER_ID}\", key = \"${KEY}\" }\nenv = { USER_ID = \"server\" }";
    let settled = |name: &str| Err(BadVariable::Settled(name.into()).into());
    let server = catalog(both, "");
    assert_eq!(told(&server, &[], &[("KEY", "own")]).unwrap(), "key=own&user=server");
    assert_eq!(told(&server, &[], &[("KEY", "own"), ("user_id", "x")]), settled("USER_ID"));
    assert_eq!(told(&server, &[], &[("KEY", "own"), ("USER_ID", "server")]), settled("USER_ID"));
    let tenant = [("KEY", "tenant"), ("USER_ID", "tenant"), ("OTHER", "tenant")];
    assert_eq!(told(&server, &tenant, &[]).unwrap(), "key=tenant&user=tenant");
    assert_eq!(told(&server, &tenant, &[("KEY", "x")]), settled("KEY"));
    // What has no meaning for the server is refused as ever, whoever has set it.
    assert_eq!(told(&server, &tenant, &[("OTHER", "x")]), Err(BadVariable::Blocked("OTHER".into()).into()));
    let allowed = catalog(&format!("{both}\nenv_allow = [\"USER_ID\"]"), "");
    assert_eq!(told(&allowed, &tenant, &[("USER_ID", "own")]).unwrap(), "key=tenant&user=own");
    assert_eq!(told(&allowed, &tenant, &[("KEY", "x")]), Err(BadVariable::Blocked("KEY".into()).into()));
    let quiet = catalog(both, "[access]\nblocked_env = \"ignore\"");
    assert_eq!(told(&quiet, &tenant, &[("USER_ID", "x"), ("KEY", "x")]).unwrap(), "key=tenant&user=tenant");
}

#[test]
fn texts_with_variables_that_are_none_stop_the_start() {
    for (server, expected) in [
        ("headers = { A = \"${hunter2}\" }", "`servers.d.headers` holds a `${…}` that is no variable"),
        ("headers = { A = \"${A:-hunter2}\" }", "`servers.d.headers` holds a `${…}` that is no variable"),
        ("query = { a = \"hunter2${A\" }", "`servers.d.query` holds a `${` without its `}`"),
        ("env = { A = \"hunter2\" }", "`servers.d.env` holds A, but neither `headers` nor `query` has ${A}"),
    ] {
        let error = load(&format!("[servers.d]\nurl = \"https://a.example\"\n{server}")).unwrap_err();
        assert!(error.contains(expected) && !error.contains("hunter2"), "{server} gave {error:?}");
    }
}

#[test]
fn nothing_that_can_be_printed_shows_a_secret() {
    let (_file, secret) = holding("hunter2");
    let auths = format!(
        "auth = {{ scheme = \"bearer\", {secret} }}\nheaders = {{ X-A = \"hunter2\", X-B = \"${{B}}\" }}\n\
         query = {{ a = \"hunter2\", b = \"${{C}}\" }}\nenv = {{ C = \"hunter2\" }}\n\
         tool_auth = {{ a = {{ scheme = \"apiKey\", query = \"k\", {secret} }}, b = {{ scheme = \"basic\", user = \"u\", {secret} }}, \
         c = {{ scheme = \"oauth\", token_url = \"https://b.example\", client_id = \"c\", {secret} }} }}"
    );
    let catalog = catalog(&auths, "");
    let (endpoint, _) = plan(&catalog, &[("B", "hunter2")], &[]).unwrap();
    let tools = ["a", "b", "c"].map(|tool| format!("{:?}", endpoint.credential_for(tool)));
    let shown = format!("{catalog:?}{endpoint:?}{tools:?}{:?}", endpoint.headers());
    for hidden in ["hunter2", "dTpodW50ZXIy"] {
        assert!(!shown.contains(hidden), "{shown}");
    }
}

#[test]
fn whatever_makes_another_endpoint_makes_another_fingerprint() {
    let [(_a, one), (_b, two)] = ["one", "two"].map(holding);
    let print = |server: &str, headers: &Sent| plan(&catalog(server, ""), &[], headers).unwrap().1;
    let bearer = |source: &str| format!("{{ scheme = \"bearer\", passthrough = \"X-Own\", {source} }}");
    let first = format!("auth = {}", bearer(&one));
    assert_eq!(print(&first, &[]), print(&format!("{first}\nsessions = 3"), &[("x-other", "1")]));
    let mut prints = vec![
        print("", &[]),
        print(&first, &[]),
        print(&first, &[("x-own", "1")]),
        print(&format!("auth = {}", bearer(&two)), &[]),
        print(&format!("auth = {{ scheme = \"apiKey\", header = \"A\", {one} }}"), &[]),
        print(&format!("auth = {{ scheme = \"apiKey\", header = \"B\", {one} }}"), &[]),
        print(&format!("auth = {{ scheme = \"apiKey\", query = \"a\", {one} }}"), &[]),
        print("headers = { A = \"one\" }", &[]),
        print("headers = { A = \"two\" }", &[]),
        print("headers = { B = \"one\" }", &[]),
        print("query = { a = \"one\" }", &[]),
        print("query = { a = \"two\" }", &[]),
        print("transport = \"sse\"", &[]),
        print("allow_private = true", &[]),
        print(&format!("tool_auth = {{ t = {} }}", bearer(&one)), &[]),
        print(&format!("tool_auth = {{ u = {} }}", bearer(&one)), &[]),
        print(&format!("tool_auth = {{ t = {} }}", bearer(&two)), &[]),
        print("tool_auth = { t = { scheme = \"bearer\", passthrough = \"X-Own\" } }", &[]),
        print("tool_auth = { t = { scheme = \"bearer\", passthrough = \"X-Mine\" } }", &[]),
    ];
    for (id, scope, source) in [("c", "s", &one), ("d", "s", &one), ("c", "t", &one), ("c", "s", &two)] {
        let oauth = format!(
            "scheme = \"oauth\", token_url = \"https://b.example\", client_id = \"{id}\", scope = \"{scope}\", {source}"
        );
        prints.push(print(&format!("auth = {{ {oauth} }}"), &[]));
    }
    let other = load("[servers.d]\nurl = \"https://a.example/other\"").unwrap();
    prints.push(plan(&other, &[], &[]).unwrap().1);
    for (index, print) in prints.iter().enumerate() {
        assert!(!prints[..index].contains(print), "number {index} is like one before");
    }
}

#[test]
fn the_operator_reaches_a_server_as_nobody_in_particular_or_hears_what_is_lacking() {
    let trial =
        |server: &str| catalog(server, "").trials(&Operator::at_the_command_line()).pop().unwrap().means;
    assert!(matches!(trial("headers = { A = \"1\" }"), Ok(Means::Endpoint(_))));
    let missing = trial("headers = { A = \"${KEY}\" }").map(drop);
    assert_eq!(missing, Err(BadVariable::Missing("KEY".into()).into()));
    let lacking = trial("auth = { scheme = \"bearer\", passthrough = \"X-Own\" }").map(drop);
    assert_eq!(lacking, Err(NoCredential(HeaderName::from_static("x-own")).into()));
}

#[test]
fn secrets_in_the_clear_are_known() {
    let (_file, secret) = holding("s");
    let auth = format!("auth = {{ scheme = \"bearer\", {secret} }}");
    let oauth = format!(
        "auth = {{ scheme = \"oauth\", client_id = \"c\", token_url = \"http://b.example\", {secret} }}"
    );
    let passed = "auth = { scheme = \"bearer\", passthrough = \"X-Own\" }";
    for (url, server, clear) in [
        ("http://a.example", "", false),
        ("http://a.example", &*auth, true),
        ("http://a.example", passed, true),
        ("http://a.example", "headers = { A = \"1\" }", true),
        ("http://a.example", "query = { a = \"1\" }", true),
        ("https://a.example", &*auth, false),
        ("https://a.example", &*oauth, true),
        ("http://10.0.0.1", &*auth, true),
        ("http://127.0.0.2:80", &*auth, false),
        ("http://[::1]", &*auth, false),
        ("http://localhost", &*auth, false),
        ("http://x.localhost", &*auth, false),
        ("http://localhost.example", &*auth, true),
    ] {
        let catalog = load(&format!("[servers.d]\nurl = {url:?}\n{server}")).unwrap();
        assert_eq!(!catalog.in_the_clear().is_empty(), clear, "{url} {server}");
    }
    let tenant = format!(
        "[tenants.t]\nsecrets = []\nservers = [\"d\"]\nauth = {{ d = {{ scheme = \"bearer\", {secret} }} }}"
    );
    let catalog = load(&format!("[servers.d]\nurl = \"http://a.example\"\n{tenant}")).unwrap();
    assert_eq!(catalog.in_the_clear()[0].as_str(), "d");
}
