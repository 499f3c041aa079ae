//! What the gateway runs as, and on.

use std::fs;
use std::path::Path;

use serde::Serialize;

/// What the gateway runs as, and on.
#[derive(Clone, Debug, Serialize)]
pub struct Host {
    /// Its user id.
    pub uid: u32,
    /// The user's name, if it has one.
    pub user: Option<String>,
    /// Its capabilities (capabilities(7)).
    pub capabilities: Vec<String>,
    /// Those that the kernel has beside.
    pub lacks: Vec<String>,
    /// The kernel's version.
    pub kernel: String,
    /// The processor's.
    pub architecture: &'static str,
    /// What it seems to be inside of, if that shows.
    pub container: Option<&'static str>,
}

/// In the order of their numbers.
#[rustfmt::skip]
const CAPABILITIES: [&str; 41] = [
    "chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap",
    "linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner",
    "sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice",
    "sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap",
    "mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf",
    "checkpoint_restore",
];

impl Host {
    /// Looks around.
    pub fn look() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let status = read("/proc/self/status");
        let field = |name| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
        let uid =
            field("Uid:").split_whitespace().nth(1).and_then(|uid| uid.parse().ok()).unwrap_or(u32::MAX);
        let bits = u64::from_str_radix(field("CapEff:"), 16).unwrap_or(0);
        let last = read("/proc/sys/kernel/cap_last_cap").trim().parse().unwrap_or(CAPABILITIES.len() - 1);
        let has = |number: usize| bits >> number & 1 == 1;
        let name =
            |number: usize| CAPABILITIES.get(number).map_or(format!("{number}"), |name| (*name).to_owned());
        Self {
            uid,
            user: user(&read("/etc/passwd"), uid),
            capabilities: (0..=last).filter(|number| has(*number)).map(name).collect(),
            lacks: (0..=last).filter(|number| !has(*number)).map(name).collect(),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            architecture: std::env::consts::ARCH,
            container: container(),
        }
    }
}

fn user(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

/// What the usual ones leave where it can be seen.
fn container() -> Option<&'static str> {
    let has = |name: &str| std::env::var_os(name).is_some();
    if has("FLY_MACHINE_ID") {
        Some("a machine of Fly.io")
    } else if has("KUBERNETES_SERVICE_HOST") {
        Some("a pod of Kubernetes")
    } else if Path::new("/.dockerenv").exists() {
        Some("a container of Docker")
    } else if Path::new("/run/.containerenv").exists() {
        Some("a container of Podman")
    } else {
        None
    }
}
