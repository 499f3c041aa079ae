use std::task::{Context, Poll, Waker};

use super::*;
use crate::settings::{Flags, Platform};

/// Without a store, nothing is waited for.
pub(super) fn now<T>(decision: impl Future<Output = T>) -> T {
    let decision = std::pin::pin!(decision);
    match decision.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(decided) => decided,
        Poll::Pending => panic!("it waits"),
    }
}

const LOOPBACK: &str = "127.0.0.1:8000";
const PUBLIC: &str = "0.0.0.0:8000";

fn of_default(secret: &Secret) -> Secrets<'_> {
    Secrets { tenant: Some(secret), ..Secrets::default() }
}

fn gate_with(variables: &[(&str, &str)], bound: &str) -> Gate {
    let variables = variables.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
    let settings = Settings::load(&Flags::default(), &Platform { variables }).unwrap();
    let secret = Secret::new("right-secret".into()).unwrap();
    Gate::new(&settings, of_default(&secret), bound.parse().unwrap(), &Machine::default()).unwrap()
}

fn presented<'a>(authorization: &[&'a str]) -> Presented<'a> {
    Presented {
        authorization: authorization.iter().map(|v| v.as_bytes()).collect(),
        origin: vec![],
        host: Some(b"localhost:8000"),
        peer: "192.0.2.1".parse().unwrap(),
        fly_client_ip: vec![],
        forwarded_for: vec![],
        vouched: None,
    }
}

#[test]
fn exactly_one_well_formed_bearer_header_is_taken() {
    let gate = gate_with(&[], LOOPBACK);
    for good in ["Bearer right-secret", "bearer right-secret", "BEARER right-secret"] {
        assert!(now(gate.admit(&presented(&[good]))).is_ok(), "{good}");
    }
    for bad in ["right-secret", "Bearer  right-secret", "Basic right-secret", "Bearer ", "Bearer a,b", "Bear"]
    {
        let denied = now(gate.admit(&presented(&[bad]))).unwrap_err();
        assert!(matches!(denied, Denied::Credentials(_)), "{bad}: {denied:?}");
    }
    let twice = presented(&["Bearer right-secret", "Bearer right-secret"]);
    assert!(matches!(now(gate.admit(&twice)), Err(Denied::Credentials(_))));
    assert!(matches!(now(gate.admit(&presented(&[]))), Err(Denied::Credentials(_))));
    for wrong in ["Bearer right-secre", "Bearer right-secrets", "Bearer Right-secret"] {
        assert_eq!(now(gate.admit(&presented(&[wrong]))).unwrap_err(), Denied::Secret, "{wrong}");
    }
}

#[test]
fn origins_and_hosts_are_checked_before_the_secret() {
    let local = gate_with(&[("LOCKGATE__ACCESS__ORIGINS", "https://app.example")], LOOPBACK);
    let check = |gate: &Gate, host: &'static str, origin: Option<&'static str>| {
        let mut request = presented(&[]);
        request.host = Some(host.as_bytes());
        request.origin = origin.iter().map(|o| o.as_bytes()).collect();
        gate.check_origin(&request)
    };
    for (host, origin) in [
        ("localhost:8000", None),
        ("127.0.0.1:8000", Some("http://127.0.0.1:8000")),
        ("[::1]:8000", Some("http://[::1]:8000")),
        ("LOCALHOST", Some("http://localhost:80")),
        ("localhost:8000", Some("https://app.example")),
    ] {
        assert_eq!(check(&local, host, origin), Ok(()), "{host} {origin:?}");
    }
    assert_eq!(check(&local, "evil.example:8000", None), Err(Denied::Host));
    assert_eq!(check(&local, "127.0.0.1.evil.example", None), Err(Denied::Host));
    for origin in ["http://evil.example", "null", "http://localhost:9000", "https://app.example.evil"] {
        assert_eq!(check(&local, "localhost:8000", Some(origin)), Err(Denied::Origin), "{origin}");
    }
    let public = gate_with(&[], PUBLIC);
    assert_eq!(check(&public, "gate.example", Some("https://gate.example")), Ok(()));
    assert_eq!(check(&public, "gate.example", Some("https://evil.example")), Err(Denied::Origin));
    let listed = gate_with(&[("LOCKGATE__ACCESS__HOSTS", "gate.example")], PUBLIC);
    assert_eq!(check(&listed, "gate.example:443", None), Ok(()));
    assert_eq!(check(&listed, "other.example", None), Err(Denied::Host));
}

#[test]
fn a_tenant_has_its_burst_and_no_more() {
    let gate = gate_with(&[], LOOPBACK);
    let request = presented(&["Bearer right-secret"]);
    for left in (0..10).rev() {
        let permit = now(gate.admit(&request)).unwrap();
        assert_eq!(permit.allowance().unwrap().remaining, left);
    }
    let Err(Denied::Rate(_, allowance)) = now(gate.admit(&request)) else { panic!("no limit") };
    assert!(!allowance.wait.is_zero());
}

#[test]
fn opening_sessions_has_a_rate_of_its_own() {
    let gate = gate_with(
        &[("LOCKGATE__RATE__PER_MINUTE", "0"), ("LOCKGATE__RATE__OPENS_PER_MINUTE", "2")],
        LOOPBACK,
    );
    let request = presented(&["Bearer right-secret"]);
    let permit = now(gate.admit(&request)).unwrap();
    assert!(now(gate.opening(&permit)).is_ok() && now(gate.opening(&permit)).is_ok());
    assert!(matches!(now(gate.opening(&permit)), Err(Denied::Rate(Limit::Openings, _))));
    assert!(now(gate.admit(&request)).is_ok());
}

#[test]
fn wrong_secrets_are_limited_by_address_and_the_right_one_still_passes() {
    let gate = gate_with(&[("LOCKGATE__RATE__FAILURES_PER_MINUTE", "3")], LOOPBACK);
    let wrong = presented(&["Bearer wrong"]);
    for _ in 0..3 {
        assert_eq!(now(gate.admit(&wrong)).unwrap_err(), Denied::Secret);
    }
    assert!(matches!(now(gate.admit(&wrong)), Err(Denied::Failures(_))));
    let mut forged = wrong.clone();
    forged.forwarded_for = vec![b"203.0.113.9"];
    forged.fly_client_ip = vec![b"203.0.113.9"];
    assert!(matches!(now(gate.admit(&forged)), Err(Denied::Failures(_))), "a header moved the bucket");
    let mut elsewhere = wrong.clone();
    elsewhere.peer = "192.0.2.2".parse().unwrap();
    assert_eq!(now(gate.admit(&elsewhere)).unwrap_err(), Denied::Secret);
    assert!(now(gate.admit(&presented(&["Bearer right-secret"]))).is_ok());
}

#[test]
fn client_addresses_come_only_from_who_may_say_so() {
    let client = |variables: &[(&str, &str)], peer: &str, fly: &'static str, forwarded: &'static str| {
        let gate = gate_with(variables, LOOPBACK);
        let mut request = presented(&[]);
        request.peer = peer.parse().unwrap();
        request.fly_client_ip = vec![fly.as_bytes()];
        request.forwarded_for = vec![forwarded.as_bytes()];
        gate.addresses.client(&request).to_string()
    };
    let fly = [("LOCKGATE__ACCESS__CLIENT_ADDRESS", "fly")];
    let forwarded = [
        ("LOCKGATE__ACCESS__CLIENT_ADDRESS", "forwarded"),
        ("LOCKGATE__ACCESS__TRUSTED_PROXIES", "10.0.0.0/8"),
    ];
    assert_eq!(client(&[], "192.0.2.1", "203.0.113.9", "203.0.113.9"), "192.0.2.1");
    assert_eq!(client(&[], "::ffff:192.0.2.1", "", ""), "192.0.2.1");
    assert_eq!(client(&fly, "172.16.0.2", "203.0.113.9", ""), "203.0.113.9");
    assert_eq!(client(&fly, "172.16.0.2", "2001:db8:1:2:3:4:5:6", ""), "2001:db8:1:2::");
    assert_eq!(client(&fly, "fdaa::5", "203.0.113.9", ""), "fdaa::");
    assert_eq!(client(&forwarded, "10.1.1.1", "", "6.6.6.6, 203.0.113.9, 10.2.2.2"), "203.0.113.9");
    assert_eq!(client(&forwarded, "192.0.2.1", "", "203.0.113.9"), "192.0.2.1");
}

/// Tenants `a` with the secrets `a1` and `a2`, and `b` with `b1`; for each its further settings.
fn tenants(a: &str, b: &str, rate: &str) -> Settings {
    let hash = |secret: &str| Secret::new(secret.into()).unwrap().hash();
    let (a1, a2, b1) = (hash("a1"), hash("a2"), hash("b1"));
    let text = format!(
        "{rate}\n[servers.x]\nrun = \"true\"\n[servers.y]\nrun = \"false\"
         [tenants.a]\nsecrets = [\"{a1}\", \"{a2}\"]\n{a}\n[tenants.b]\nsecrets = [\"{b1}\"]\n{b}"
    );
    load(&text)
}

fn load(text: &str) -> Settings {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, text).unwrap();
    let flags = Flags { file: Some(file.path().to_owned()), ..Flags::default() };
    Settings::load(&flags, &Platform::default()).unwrap()
}

const ALL: &str = "servers = [\"*\"]";

fn gate_of(settings: &Settings) -> Gate {
    Gate::new(settings, Secrets::default(), LOOPBACK.parse().unwrap(), &Machine::default()).unwrap()
}

/// How often a secret passes before its tenant is limited.
fn passes(gate: &Gate, secret: &str) -> usize {
    let header = format!("Bearer {secret}");
    (0..20).take_while(|_| now(gate.admit(&presented(&[&header]))).is_ok()).count()
}

#[test]
fn each_tenant_has_rates_of_its_own() {
    let rate = "[rate]\nper_minute = 1\nburst = 5\nopens_per_minute = 3";
    let own = format!("{ALL}\nrate = {{ burst = 2, opens_per_minute = 1 }}");
    let gate = gate_of(&tenants(&own, ALL, rate));
    let permit = now(gate.admit(&presented(&["Bearer a1"]))).unwrap();
    assert_eq!(permit.allowance().unwrap().per_minute, 1, "what is left out is as for everybody");
    assert!(now(gate.opening(&permit)).is_ok() && now(gate.opening(&permit)).is_err());
    assert_eq!((passes(&gate, "a2"), passes(&gate, "a1")), (1, 0), "one bucket for both secrets");
    assert_eq!(passes(&gate, "b1"), 5, "one tenant's used-up rate is nobody else's");
    let unlimited = format!("{ALL}\nrate = {{ per_minute = 0 }}");
    assert_eq!(passes(&gate_of(&tenants(&unlimited, ALL, rate)), "a1"), 20);
}

#[test]
fn a_reload_gives_nobody_a_fresh_burst() {
    let rate = "[rate]\nper_minute = 1\nburst = 5\nfailures_per_minute = 2";
    let gate = gate_of(&tenants(ALL, ALL, rate));
    assert_eq!((passes(&gate, "a1"), passes(&gate, "b1")), (5, 5));
    assert_eq!((passes(&gate, "wrong"), passes(&gate, "wrong")), (0, 0));
    let other = format!("{ALL}\nrate = {{ burst = 3 }}");
    let gate = gate.renewed(&tenants(ALL, &other, rate)).unwrap();
    assert_eq!((passes(&gate, "a1"), passes(&gate, "b1")), (0, 3), "only what has changed begins anew");
    let wrong = now(gate.admit(&presented(&["Bearer wrong"]))).unwrap_err();
    assert!(matches!(wrong, Denied::Failures(_)), "{wrong:?}");
}

#[test]
fn the_secret_of_the_environment_stays_and_is_the_default_tenants() {
    let secret = Secret::new("right".into()).unwrap();
    let before = load("[servers.x]\nrun = \"true\"");
    let gate =
        Gate::new(&before, of_default(&secret), LOOPBACK.parse().unwrap(), &Machine::default()).unwrap();
    let after =
        load("[servers.x]\nrun = \"true\"\n[tenants.default]\nsecrets = []\nservers = []\nsessions = 3");
    let gate = gate.renewed(&after).unwrap();
    let permit = now(gate.admit(&presented(&["Bearer right"]))).unwrap();
    assert_eq!((permit.tenant().to_string(), permit.max_sessions()), ("default".into(), Some(3)));
    assert!(!permit.may_use(&ServerName::new("x")), "what the settings say of it holds");
}

#[test]
fn what_a_session_rests_on_is_lost_with_the_secret_the_tenant_and_the_server() {
    let (x, y) = (ServerName::new("x"), ServerName::new("y"));
    let gate = gate_of(&tenants(ALL, ALL, ""));
    let admit =
        |gate: &Gate, secret: &str| now(gate.admit(&presented(&[&format!("Bearer {secret}")]))).unwrap();
    let (mut one, two) = (admit(&gate, "a1").follow(&x), admit(&gate, "a2").follow(&y));
    let others = admit(&gate, "b1").follow(&y);
    assert!(one.take_change() && !one.take_change(), "it is looked at once in any case");
    let same = gate.renewed(&tenants(ALL, ALL, "")).unwrap();
    same.take_effect();
    assert!(one.take_change());
    assert_eq!((one.check(), two.check(), others.check()), (Ok(()), Ok(()), Ok(())));

    let narrowed = same.renewed(&tenants("servers = [\"x\"]", ALL, "")).unwrap();
    assert_eq!(two.check(), Ok(()), "nothing happens before it takes effect");
    narrowed.take_effect();
    assert_eq!((one.check(), two.check(), others.check()), (Ok(()), Err(Lost::Server), Ok(())));

    // The first secret is now the other tenant's: that is not the same right.
    let mut moved = tenants(ALL, ALL, "");
    let secret = moved.tenants.get_mut("a").unwrap().secrets.remove(0);
    moved.tenants.get_mut("b").unwrap().secrets.push(secret);
    let moved = narrowed.renewed(&moved).unwrap();
    moved.take_effect();
    assert_eq!((one.check(), one.check_tenant(), two.check()), (Err(Lost::Secret), Ok(()), Ok(())));
    assert!(!two.holds(admit(&moved, "a1").key()) && two.holds(admit(&moved, "a2").key()));

    let mut gone = tenants(ALL, ALL, "");
    gone.tenants.remove("a");
    gone.servers.remove("y");
    moved.renewed(&gone).unwrap().take_effect();
    assert_eq!((two.check_tenant(), others.check()), (Err(Lost::Secret), Err(Lost::Server)));
}
