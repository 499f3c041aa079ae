//! What an operator can do about a part of the sandbox that the host does not permit.

use std::io;

/// Who is asking, and what the kernel said.
#[derive(Debug)]
pub(super) struct Obstacle {
    pub(super) is_root: bool,
    pub(super) error: io::Error,
}

const AS_ROOT: &str = "run the gateway as root, which none of its sessions then is";

impl Obstacle {
    /// What stands in the way, in words.
    pub(super) fn reason(&self) -> String {
        match self.error.kind() {
            io::ErrorKind::PermissionDenied if self.is_root => {
                format!("the gateway is root without the right to do it: {}", self.error)
            }
            io::ErrorKind::PermissionDenied => format!("the gateway does not run as root: {}", self.error),
            _ => self.error.to_string(),
        }
    }

    fn is_denied(&self) -> bool {
        self.error.kind() == io::ErrorKind::PermissionDenied
    }

    pub(super) fn platform(&self) -> String {
        "give the gateway the capability NET_ADMIN, which root has on a machine of Fly.io".into()
    }

    pub(super) fn metadata(&self) -> String {
        if self.is_denied() {
            "give the gateway the capability NET_ADMIN (in Docker: --cap-add NET_ADMIN); on a machine without such a \
             service nothing is lost"
                .into()
        } else {
            "it takes a kernel with CONFIG_IP_MULTIPLE_TABLES; on a machine without such a service nothing is lost"
                .into()
        }
    }

    /// Docker's profile permits Landlock from 23 on (moby#43199).
    pub(super) fn landlock(&self) -> String {
        if self.is_denied() {
            "the container's seccomp profile is in the way: Docker 23 and newer permit it, and so does \
             --security-opt seccomp=unconfined"
                .into()
        } else {
            "it takes Linux 5.13 or newer, with landlock among the `lsm=` of its command line".into()
        }
    }

    pub(super) fn seccomp(&self) -> String {
        "it takes a kernel with CONFIG_SECCOMP_FILTER, and a container whose profile permits seccomp(2)"
            .into()
    }

    pub(super) fn namespaces(&self) -> String {
        if self.is_root {
            "in Docker: --cap-add SYS_ADMIN --security-opt apparmor=unconfined; or ask for less, with \
             sandbox.profile = \"default\""
                .into()
        } else {
            format!("{AS_ROOT}, or ask for less, with sandbox.profile = \"default\"")
        }
    }

    pub(super) fn network(&self) -> String {
        if self.is_root {
            "in Docker: --cap-add SYS_ADMIN --cap-add NET_ADMIN; or ask for less, with sandbox.network = \"full\""
                .into()
        } else {
            format!("{AS_ROOT}, or ask for less, with sandbox.network = \"full\"")
        }
    }
}

/// Where the gateway is not root at all.
pub(super) fn own_user() -> String {
    format!("{AS_ROOT}; else serve only tenants who trust each other")
}

/// Docker mounts control groups read-only; from 28 on it can be told not to (moby#48828).
pub(super) fn groups(is_root: bool) -> String {
    const INSTEAD: &str = "until then each process is limited by itself, and all of them by the container's own --memory and --pids-limit";
    if is_root {
        format!(
            "in Docker 28 and newer: --security-opt writable-cgroups=true; before: --cgroupns=host -v \
             /sys/fs/cgroup:/sys/fs/cgroup:rw; {INSTEAD}"
        )
    } else {
        "run the gateway as root, or, with cgroup v2, as a systemd service with Delegate=yes; until then each process is limited by itself"
            .into()
    }
}
