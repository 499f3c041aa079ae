//! Gateways with fewer rights than the tests have: those of a plain user, and what Docker leaves of root.

use std::process::Command;

use crate::gateway::{Gateway, SECRET, lockgate, with_peers};

/// Before a command: runs it as a user without any rights.
pub(crate) const AS_NOBODY: &[&str] =
    &["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--"];

/// Before a command: runs it with what Docker leaves of root, which is some capabilities, and control groups
/// that can only be read. Its seccomp filter is not imitated.
pub(crate) const AS_IN_DOCKER: &[&str] = &[
    "unshare",
    "--mount",
    "/bin/sh",
    "-ec",
    "awk '$3 ~ /^cgroup/ { print $2 }' /proc/mounts |
     while read -r point; do mount -o remount,bind,ro \"$point\"; done
     exec \"$@\"",
    "sh",
    "setpriv",
    "--bounding-set",
    // `docker run` without `--cap-add` and `--cap-drop` (moby's `oci/caps/defaults.go`).
    "-all,+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,\
     +net_bind_service,+net_raw,+sys_chroot,+mknod,+audit_write,+setfcap",
    "--",
];

/// A gateway's command, run by these words, of which nothing but the arguments is missing.
pub(crate) fn lockgate_by(words: &[&str]) -> Command {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).arg(lockgate().get_program());
    command.env_clear().env("PATH", std::env::var("PATH").unwrap());
    command
}

impl Gateway {
    /// As [`Gateway::start`], but as nobody, where the tests run as root.
    pub(crate) fn start_as_nobody(settings: &str) -> Self {
        Self::start_as_nobody_in(tempfile::tempdir().unwrap(), &[], settings)
    }

    /// The same with further options of `setpriv`.
    pub(crate) fn start_as_nobody_in(place: tempfile::TempDir, options: &[&str], settings: &str) -> Self {
        const NOBODY: u32 = 65534;
        std::os::unix::fs::chown(place.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        let variables = [("LOCKGATE_SECRET", SECRET)];
        let words = [&AS_NOBODY[..1], options, &AS_NOBODY[1..]].concat();
        Self::start_by(lockgate_by(&words), place, &with_peers(settings), &variables)
    }
}
