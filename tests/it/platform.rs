//! What a hosting platform offers to the machine is not for sessions (security.md T18). In a network of its
//! own, made to look like that of a machine of Fly.io or of another cloud.

use std::process::Command;

use crate::gateway::{Gateway, SECRET, lockgate};

/// Arguments: the gateway's program, then what is tried, as `uid:address:port`. Prints what becomes of the
/// connections, once the gateway listens; a second gateway finds the rules of the first.
const SCRIPT: &str = r#"
set -e
ip link set lo up
ip link add v0 type veth peer name v1
ip link set v0 up && ip link set v1 up
ip addr add 10.9.9.1/24 dev v0 && ip route add default via 10.9.9.2 dev v0
ip -6 addr add fdaa:1::5/64 dev v0 nodad && ip -6 route add default dev v0
mount --bind "$TMPDIR/resolv.conf" /etc/resolv.conf
program=$1 && shift
for start in 1 2; do
  "$program" --port 0 2> "$TMPDIR/log" &
  until grep -q listening "$TMPDIR/log"; do kill -0 $! || { cat "$TMPDIR/log"; exit 1; }; sleep 0.05; done
  ip rule > "$TMPDIR/rules.$start"
  [ $start = 2 ] || { kill $! && wait $! || true; }
done
cmp "$TMPDIR/rules.1" "$TMPDIR/rules.2"
for what in "$@"; do
  uid=${what%%=*} && to=${what#*=} && address=${to%,*} && port=${to#*,}
  said=$(setpriv --reuid "$uid" --regid "$uid" --clear-groups \
    timeout 0.5 bash -c "exec 3<>/dev/tcp/$address/$port" 2>&1) || true
  case $said in *"Permission denied"*) echo "$what refused" ;; *) echo "$what let through" ;; esac
done
kill $! && wait $! || true
"#;

/// What becomes of what is tried, where these variables are set.
fn tried(variables: &[(&str, &str)], attempts: &[&str]) -> Vec<String> {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("resolv.conf"), "nameserver 169.254.169.253\n").unwrap();
    let output = Command::new("unshare")
        .args(["--net", "--mount", "bash", "-c", SCRIPT, "script"])
        .arg(lockgate().get_program())
        .args(attempts)
        .env("TMPDIR", place.path())
        .env("LOCKGATE_SECRET", SECRET)
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let (said, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{error}");
    said.lines().map(str::to_owned).collect()
}

#[test]
fn sessions_do_not_reach_the_private_network_of_fly() {
    let attempts = ["20005=fdaa:1::6,9", "20005=fdaa::3,9", "20005=169.254.169.254,9", "10005=fdaa:1::6,9"];
    let expected = [
        "20005=fdaa:1::6,9 refused",
        // Where names are looked up.
        "20005=fdaa::3,9 let through",
        "20005=169.254.169.254,9 refused",
        "10005=fdaa:1::6,9 let through",
    ];
    assert_eq!(tried(&[("FLY_APP_NAME", "test")], &attempts), expected);
}

#[test]
fn sessions_do_not_reach_metadata_on_any_machine_but_look_up_names() {
    let attempts = [
        "20005=169.254.169.254,80",
        "20005=169.254.170.2,80",
        "20005=fd00:ec2::254,80",
        "20005=169.254.169.253,80",
        "20005=169.254.169.253,53",
        "20005=10.9.9.3,9",
        "20005=fdaa:1::6,9",
        "10005=169.254.169.254,80",
    ];
    let expected = [
        "20005=169.254.169.254,80 refused",
        "20005=169.254.170.2,80 refused",
        "20005=fd00:ec2::254,80 refused",
        // The resolver of this machine, which is one for names only.
        "20005=169.254.169.253,80 refused",
        "20005=169.254.169.253,53 let through",
        "20005=10.9.9.3,9 let through",
        "20005=fdaa:1::6,9 let through",
        "10005=169.254.169.254,80 let through",
    ];
    assert_eq!(tried(&[], &attempts), expected);
}

#[tokio::test]
async fn a_gateway_that_may_not_close_metadata_says_so_and_serves() {
    let mut weak = Command::new("setpriv");
    weak.args(["--bounding-set", "-net_admin", "--inh-caps", "-net_admin", "--"]);
    weak.arg(lockgate().get_program()).env_clear().env("PATH", std::env::var("PATH").unwrap());
    let settings = crate::gateway::with_peers("");
    let gateway =
        Gateway::start_by(weak, tempfile::tempdir().unwrap(), &settings, &[("LOCKGATE_SECRET", SECRET)]);
    let log = gateway.log();
    let lacks = log.lines().filter(|line| line.contains("the sandbox lacks a part")).collect::<Vec<_>>();
    assert!(
        lacks.iter().any(|line| line.contains("\"metadata\"") && line.contains("--cap-add NET_ADMIN")),
        "{log}"
    );
    gateway.client().connect("peer").await;
}

#[tokio::test]
async fn that_sessions_are_root_is_told_where_they_are() {
    let told = |gateway: &Gateway| gateway.log().matches("every session is root on this machine").count();
    let off = "[sandbox]\nprofile = \"off\"";
    let is_root = rustix::process::geteuid().is_root();
    assert_eq!(told(&Gateway::start(off)), usize::from(is_root));
    assert_eq!(told(&Gateway::start("")), 0);
    if is_root {
        assert_eq!(told(&Gateway::start_as_nobody(off)), 0);
    }
}
