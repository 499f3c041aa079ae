use super::*;

#[test]
fn each_scheme_sends_its_bytes_and_a_line_break_at_the_end_of_a_file_is_none() {
    let (_file, secret) = holding("s3cr et=\r\n");
    let (_pair, pair) = holding("user:pass:word\n");
    for (auth, expected) in [
        (format!("scheme = \"bearer\", {secret}"), "authorization: Bearer s3cr et="),
        (format!("scheme = \"basic\", {pair}"), "authorization: Basic dXNlcjpwYXNzOndvcmQ="),
        (format!("scheme = \"basic\", user = \"u\", {secret}"), "authorization: Basic dTpzM2NyIGV0PQ=="),
        (format!("scheme = \"apiKey\", header = \"X-Key\", {secret}"), "x-key: s3cr et="),
        (format!("scheme = \"apiKey\", query = \"api key\", {secret}"), "api key=s3cr et="),
        (
            format!(
                "scheme = \"oauth\", token_url = \"https://b.example/t\", client_id = \"c\", scope = \"s\", {secret}"
            ),
            "https://b.example/t c s3cr et= Some(\"s\") https://a.example/mcp",
        ),
    ] {
        let endpoint = endpoint(&catalog(&format!("auth = {{ {auth} }}"), ""), &[]);
        assert_eq!(own(&endpoint), expected);
        // A credential in the query is added when something is sent, so that nothing shows it before.
        assert_eq!(endpoint.url().as_str(), "https://a.example/mcp");
    }
    assert_eq!(own(&endpoint(&catalog("", ""), &[])), "nothing");
}

#[test]
fn a_credential_that_is_missing_empty_or_cannot_be_sent_stops_the_start() {
    let (_empty, empty) = holding("\n");
    let (_blank, blank) = holding(" \t\n");
    let (_broken, broken) = holding("hunter2\nhunter2");
    let (_bare, bare) = holding("hunter2");
    for (auth, expected) in [
        (
            "scheme = \"bearer\", env = \"LOCKGATE_NOBODY_SETS_THIS\"".into(),
            "names the variable LOCKGATE_NOBODY_SETS_THIS, which the gateway's environment does not hold",
        ),
        (
            "scheme = \"bearer\", file = \"/no/such/file\"".into(),
            "names the file /no/such/file, which cannot be read",
        ),
        (format!("scheme = \"bearer\", {empty}"), "names an empty credential"),
        (format!("scheme = \"bearer\", {blank}"), "names an empty credential"),
        (format!("scheme = \"bearer\", passthrough = \"X-Own\", {blank}"), "names an empty credential"),
        (format!("scheme = \"apiKey\", query = \"k\", {blank}"), "names an empty credential"),
        (format!("scheme = \"bearer\", {broken}"), "names a credential that no header can hold"),
        // Without a user it must be a pair.
        (format!("scheme = \"basic\", {bare}"), "names a credential that no header can hold"),
    ] {
        let url = "[servers.d]\nurl = \"https://a.example/mcp\"";
        let tenant = "[tenants.acme]\nsecrets = []\nservers = [\"d\"]";
        for (key, file) in [
            ("servers.d.auth", format!("{url}\nauth = {{ {auth} }}")),
            ("servers.d.tool_auth` for \"t*\"", format!("{url}\ntool_auth = {{ \"t*\" = {{ {auth} }} }}")),
            ("servers.d.auth` of tenants.acme", format!("{url}\n{tenant}\nauth = {{ d = {{ {auth} }} }}")),
        ] {
            let error = load(&file).unwrap_err();
            assert!(error.contains(expected) && error.contains(key), "{file} gave {error:?}");
            assert!(!error.contains("hunter2"), "{file} shows a value: {error}");
        }
    }
}

#[test]
fn a_clients_own_comes_before_the_tools_and_that_before_the_tenants_and_the_servers() {
    let [(_a, server), (_b, tool), (_c, tenant)] = ["server", "tool", "tenant"].map(holding);
    let of_server = format!("auth = {{ scheme = \"bearer\", passthrough = \"X-Own\", {server} }}");
    let of_tool = format!(
        "tool_auth = {{ t = {{ scheme = \"apiKey\", header = \"X-Tool\", passthrough = \"X-Own-Tool\", {tool} }} }}"
    );
    let of_tenant = format!(
        "[tenants.{}]\nsecrets = []\nservers = [\"d\"]\nauth = {{ d = {{ scheme = \"bearer\", passthrough = \"X-Mine\", {tenant} }} }}",
        Permit::for_test(&[], &[]).tenant()
    );
    let without = catalog(&format!("{of_server}\n{of_tool}"), "");
    let with = catalog(&format!("{of_server}\n{of_tool}"), &of_tenant);
    let asked = |catalog: &Catalog, headers: &Sent| {
        let endpoint = endpoint(catalog, headers);
        let of = |tool: &str| sent(endpoint.credential_for(tool).unwrap());
        assert_eq!(of("other"), own(&endpoint), "another tool is called with the server's");
        (own(&endpoint), of("t"))
    };
    let pair = |own: &str, tool: &str| (format!("authorization: Bearer {own}"), format!("x-tool: {tool}"));
    assert_eq!(asked(&without, &[]), pair("server", "tool"));
    assert_eq!(asked(&with, &[]), pair("tenant", "tool"));
    assert_eq!(asked(&without, &[("x-own", "mine")]), pair("mine", "tool"));
    assert_eq!(asked(&without, &[("x-own-tool", "mine")]), pair("server", "mine"));
    assert_eq!(asked(&with, &[("x-mine", "mine")]), pair("mine", "tool"));
    // Where a client may send its own is said by whoever's credential it replaces.
    assert_eq!(asked(&with, &[("x-own", "mine")]), pair("tenant", "tool"));
    // What cannot be used is not made up for by another's.
    let doubled = plan_with(&without, |name| (name == "x-own").then_some(None));
    assert_eq!(doubled.unwrap_err(), NoCredential(HeaderName::from_static("x-own")).into());
    // Empty is not sent.
    assert_eq!(asked(&without, &[("x-own", "  ")]), pair("server", "tool"));
}

#[test]
fn a_clients_own_may_come_bare_or_whole() {
    let passed = |scheme: &str, value: &'static str| {
        let auth = format!("auth = {{ scheme = {scheme}, passthrough = \"X-Own\" }}");
        plan(&catalog(&auth, ""), &[], &[("x-own", value)]).map(|(endpoint, _)| own(&endpoint))
    };
    for (scheme, value, expected) in [
        ("\"bearer\"", " abc ", "authorization: Bearer abc"),
        ("\"bearer\"", "bearer  abc", "authorization: Bearer abc"),
        ("\"basic\"", "u:p", "authorization: Basic dTpw"),
        ("\"basic\"", "Basic dTpw", "authorization: Basic dTpw"),
        ("\"apiKey\", header = \"X-Key\"", "Bearer abc", "x-key: Bearer abc"),
        ("\"apiKey\", query = \"key\"", "a&b", "key=a&b"),
    ] {
        assert_eq!(passed(scheme, value).unwrap(), expected);
    }
    // What is none is not sent as nobody's.
    for (scheme, value) in [("\"basic\"", "no-pair"), ("\"bearer\"", "a\u{7f}b"), ("\"bearer\"", "")] {
        let refused = passed(scheme, value).unwrap_err();
        assert_eq!(refused, NoCredential(HeaderName::from_static("x-own")).into(), "{value:?}");
    }
}

#[test]
fn without_a_credential_that_it_needs_nothing_is_asked_for() {
    let refused = plan(&catalog("auth = { scheme = \"bearer\", passthrough = \"X-Own\" }", ""), &[], &[]);
    let told = refused.unwrap_err().to_string();
    assert!(told.contains("needs a credential of yours") && told.contains("in the header x-own"), "{told}");
    // No other's goes in its place.
    let (_file, secret) = holding("server");
    let both = format!(
        "auth = {{ scheme = \"bearer\", {secret} }}\ntool_auth = {{ t = {{ scheme = \"bearer\", passthrough = \"X-Tool\" }} }}"
    );
    assert_eq!(endpoint(&catalog(&both, ""), &[]).credential_for("t").unwrap_err().0, "x-tool");
    // A tool that needs one of its own does not keep the others from being called.
    let tool = "tool_auth = { t = { scheme = \"bearer\", passthrough = \"X-Tool\" } }";
    let endpoint = endpoint(&catalog(tool, ""), &[]);
    assert_eq!(own(&endpoint), "nothing");
    assert_eq!(endpoint.credential_for("t").unwrap_err().0, "x-tool");
}

#[test]
fn of_patterns_that_fit_a_tool_the_most_precise_counts() {
    let [(_a, all), (_b, some), (_c, one)] = ["all", "some", "one"].map(holding);
    let auth = |source: &str| format!("{{ scheme = \"bearer\", {source} }}");
    let tools = format!(
        "tool_auth = {{ \"*\" = {}, \"get_*\" = {}, get_x = {} }}",
        auth(&all),
        auth(&some),
        auth(&one)
    );
    let endpoint = endpoint(&catalog(&tools, ""), &[]);
    for (tool, expected) in [("get_x", "one"), ("get_y", "some"), ("put", "all")] {
        let credential = endpoint.credential_for(tool).unwrap();
        assert_eq!(sent(credential), format!("authorization: Bearer {expected}"), "{tool}");
    }
}
