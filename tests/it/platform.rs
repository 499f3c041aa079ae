//! What a hosting platform offers to the machine is not for sessions (security.md T18). In a network of its
//! own, made to look like that of a machine of Fly.io.

use std::process::Command;

use crate::gateway::{SECRET, lockgate};

/// Arguments: the gateway's program. Prints what becomes of connections that a session's user and another
/// one try, once the gateway listens.
const SCRIPT: &str = r#"
set -e
ip link set lo up
ip link add v0 type veth peer name v1
ip link set v0 up && ip link set v1 up
ip addr add 10.9.9.1/24 dev v0 && ip route add default via 10.9.9.2 dev v0
ip -6 addr add fdaa:1::5/64 dev v0 nodad && ip -6 route add default dev v0
"$1" --port 0 2> "$TMPDIR/log" &
until grep -q listening "$TMPDIR/log"; do kill -0 $! || { cat "$TMPDIR/log"; exit 1; }; sleep 0.05; done
try() { # uid, address
  said=$(setpriv --reuid "$1" --regid "$1" --clear-groups timeout 0.5 bash -c "exec 3<>/dev/tcp/$2/9" 2>&1) || true
  case $said in *"Permission denied"*) echo "$1 $2 refused" ;; *) echo "$1 $2 let through" ;; esac
}
for address in fdaa:1::6 169.254.169.254 fdaa::3 10.9.9.3; do try 20005 $address; done
for address in fdaa:1::6 169.254.169.254; do try 10005 $address; done
kill $! && wait $! || true
"#;

#[test]
fn sessions_do_not_reach_the_private_network_nor_metadata() {
    let place = tempfile::tempdir().unwrap();
    let output = Command::new("unshare")
        .args(["--net", "bash", "-c", SCRIPT, "script"])
        .arg(lockgate().get_program())
        .env("TMPDIR", place.path())
        .env("FLY_APP_NAME", "test")
        .env("LOCKGATE_SECRET", SECRET)
        .output()
        .unwrap();
    let (said, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let expected = [
        "20005 fdaa:1::6 refused",
        "20005 169.254.169.254 refused",
        // Where names are looked up.
        "20005 fdaa::3 let through",
        "20005 10.9.9.3 let through",
        "10005 fdaa:1::6 let through",
        "10005 169.254.169.254 let through",
    ];
    assert_eq!(said.lines().collect::<Vec<_>>(), expected, "{error}");
}
