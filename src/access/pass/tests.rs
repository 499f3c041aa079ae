use std::collections::BTreeMap;

use super::*;
use crate::access::tests::now;
use crate::access::{AdminGate, Denied, Lost, Machine, Presented, Secrets, Standing, Visit};
use crate::ids::ServerName;
use crate::settings::{Flags, Platform, Settings};

fn load(text: &str) -> Settings {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, text).unwrap();
    let flags = Flags { file: Some(file.path().to_owned()), ..Flags::default() };
    Settings::load(&flags, &Platform { variables: BTreeMap::new() }).unwrap()
}

/// The servers `x` and `y`; `a` may use the first, `b` both.
fn settings(tenants: &[&str]) -> Settings {
    let mut text = "[servers.x]\nrun = \"true\"\n[servers.y]\nrun = \"false\"\n".to_owned();
    for tenant in tenants {
        let hash = Secret::new(format!("{tenant}-own")).unwrap().hash();
        let servers = if *tenant == "a" { "\"x\"" } else { "\"*\"" };
        text += &format!(
            "[tenants.{tenant}]\nsecrets = [\"{hash}\"]\nservers = [{servers}]\nsessions = 7\n\
             rate = {{ per_minute = 1, burst = 3 }}\n[tenants.{tenant}.env]\nWHOSE = \"{tenant}\"\n"
        );
    }
    load(&text)
}

fn gate() -> Gate {
    let bound = "127.0.0.1:8000".parse().unwrap();
    let operator = Secret::new("operator".into()).unwrap();
    let secrets = Secrets { admin: Some(&operator), ..Secrets::default() };
    Gate::new(&settings(&["a", "b"]), secrets, bound, &Machine::default()).unwrap()
}

/// What the operator is given who asks for it with the secret.
fn pass(gate: &Gate, tenant: &str) -> Result<Secret, NoPass> {
    let door = AdminGate::new(&settings(&[]), gate, "127.0.0.1:8001".parse().unwrap()).unwrap();
    let visit = Visit { presented: presented(b"Bearer operator"), cookies: vec![], fetch_site: None };
    gate.pass(&door.intend(&visit, b"").unwrap(), &TenantId::new(tenant))
}

fn presented(authorization: &[u8]) -> Presented<'_> {
    Presented {
        authorization: vec![authorization],
        origin: vec![],
        host: Some(b"localhost"),
        peer: "127.0.0.1".parse().unwrap(),
        fly_client_ip: vec![],
        forwarded_for: vec![],
        vouched: None,
    }
}

fn admit(gate: &Gate, secret: &Secret) -> Result<crate::access::Permit, Denied> {
    let header = format!("Bearer {}", secret.reveal());
    now(gate.admit(&presented(header.as_bytes())))
}

fn follow(gate: &Gate, secret: &Secret) -> Standing {
    admit(gate, secret).unwrap().follow(&ServerName::new("x"))
}

#[tokio::test(start_paused = true)]
async fn a_pass_has_its_tenants_rights_rates_quota_and_environment_and_nobody_elses() {
    let gate = gate();
    let secret = pass(&gate, "a").unwrap();
    let permit = admit(&gate, &secret).unwrap();
    assert_eq!(permit.tenant(), &TenantId::new("a"));
    assert_eq!((permit.environment()["WHOSE"].as_str(), permit.max_sessions()), ("a", Some(7)));
    assert!(permit.may_use(&ServerName::new("x")) && !permit.may_use(&ServerName::new("y")));
    assert_eq!(permit.still_opens(&ServerName::new("y")), Err(Lost::Server));
    let own = Secret::new("a-own".into()).unwrap();
    assert!(admit(&gate, &own).is_ok() && admit(&gate, &secret).is_ok());
    assert!(matches!(admit(&gate, &own), Err(Denied::Rate(..))), "one rate for both");
    assert!(matches!(admit(&gate, &secret), Err(Denied::Rate(..))));
    assert!(admit(&gate, &pass(&gate, "b").unwrap()).is_ok(), "the other tenant's rate is not used");
}

#[tokio::test(start_paused = true)]
async fn a_pass_ends_and_who_follows_it_is_told() {
    let gate = gate();
    let mut changes = gate.changes();
    let secret = pass(&gate, "b").unwrap();
    changes.next().await;
    let mut standing = follow(&gate, &secret);
    let (permit, own) =
        (admit(&gate, &secret).unwrap(), follow(&gate, &Secret::new("b-own".into()).unwrap()));
    assert!(standing.take_change() && standing.holds(permit.key()));
    assert_eq!(permit.still_opens(&ServerName::new("x")), Ok(()));
    let given = Instant::now();
    tokio::time::advance(PASS_LASTS - Duration::from_secs(1)).await;
    assert_eq!((standing.check(), standing.take_change()), (Ok(()), false));
    changes.next().await;
    assert_eq!(given.elapsed().as_secs(), PASS_LASTS.as_secs(), "it is told when it ends, not later");
    assert!(standing.take_change());
    assert_eq!((standing.check(), standing.check_tenant()), (Err(Lost::Secret), Ok(())));
    assert!(!standing.holds(permit.key()));
    assert_eq!(permit.still_opens(&ServerName::new("x")), Err(Lost::Secret));
    assert_eq!(admit(&gate, &secret).unwrap_err(), Denied::Secret);
    assert_eq!(own.check(), Ok(()), "the tenant's own secret stays");
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_has_ended_opens_nothing_even_if_nobody_has_tidied() {
    let gate = gate();
    let secret = pass(&gate, "b").unwrap();
    let standing = follow(&gate, &secret);
    tokio::time::advance(PASS_LASTS).await;
    assert_eq!(admit(&gate, &secret).unwrap_err(), Denied::Secret);
    assert_eq!(standing.check(), Err(Lost::Secret));
}

#[tokio::test(start_paused = true)]
async fn one_too_many_ends_the_oldest() {
    let gate = gate();
    let passes: Vec<Secret> =
        (0..=MAX_PASSES).map(|number| pass(&gate, if number == 0 { "b" } else { "a" }).unwrap()).collect();
    assert_eq!(admit(&gate, &passes[0]).unwrap_err(), Denied::Secret);
    let (second, last) = (follow(&gate, &passes[1]), follow(&gate, &passes[MAX_PASSES]));
    pass(&gate, "b").unwrap();
    assert_eq!((second.check(), last.check()), (Err(Lost::Secret), Ok(())));
}

#[tokio::test(start_paused = true)]
async fn a_pass_outlives_a_reload_but_not_its_tenant() {
    let before = gate();
    let (a, b) = (pass(&before, "a").unwrap(), pass(&before, "b").unwrap());
    let (of_a, of_b) = (follow(&before, &a), follow(&before, &b));
    let same = before.renewed(&settings(&["a", "b"])).unwrap();
    same.take_effect();
    assert!(admit(&same, &a).is_ok() && of_a.check().is_ok());
    let without = same.renewed(&settings(&["a"])).unwrap();
    assert_eq!(of_b.check(), Ok(()), "nothing happens before it takes effect");
    without.take_effect();
    assert_eq!((of_a.check(), of_b.check()), (Ok(()), Err(Lost::Secret)));
    assert_eq!(admit(&without, &b).unwrap_err(), Denied::Secret);
    assert_eq!(admit(&same, &b).unwrap_err(), Denied::Secret, "nor by the settings of before");
    // One that comes back under the same name is another.
    let back = without.renewed(&settings(&["a", "b"])).unwrap();
    back.take_effect();
    assert_eq!(admit(&back, &b).unwrap_err(), Denied::Secret);
    assert!(admit(&back, &a).is_ok());
}

#[tokio::test]
async fn who_is_no_tenant_has_no_pass() {
    let gate = gate();
    assert_eq!(pass(&gate, "c").unwrap_err(), NoPass::Tenant);
    assert_eq!(gate.rights.pass(b""), None);
}
