//! Which system calls a session may not make (seccomp).
//!
//! Everywhere: those that leave something behind in the kernel which its user id, once it is another's,
//! would still own. In `strict` also those that a server has no use for and an attacker has. A list of what
//! is denied, because a list of what is allowed breaks runtimes with every release.

use std::collections::BTreeMap;
use std::io;

use nix::libc;
use seccompiler::{
    SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
    apply_filter, sock_filter,
};
use serde::{Deserialize, Serialize};

/// How much is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(in crate::backend) enum Denied {
    /// What outlives a session.
    Lasting,
    /// That, and what breaks out.
    Dangerous,
}

#[rustfmt::skip]
const LASTING: [libc::c_long; 7] = [
    libc::SYS_shmget, libc::SYS_semget, libc::SYS_msgget, libc::SYS_mq_open,
    libc::SYS_add_key, libc::SYS_request_key, libc::SYS_keyctl,
];

#[rustfmt::skip]
const DANGEROUS: [libc::c_long; 35] = [
    libc::SYS_ptrace, libc::SYS_process_vm_readv, libc::SYS_process_vm_writev, libc::SYS_pidfd_getfd,
    libc::SYS_kcmp, libc::SYS_bpf, libc::SYS_perf_event_open, libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register,
    libc::SYS_mount, libc::SYS_umount2, libc::SYS_pivot_root, libc::SYS_chroot, libc::SYS_move_mount,
    libc::SYS_open_tree, libc::SYS_fsopen, libc::SYS_fsconfig, libc::SYS_fsmount, libc::SYS_fspick,
    libc::SYS_mount_setattr, libc::SYS_unshare, libc::SYS_setns, libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at, libc::SYS_init_module, libc::SYS_finit_module, libc::SYS_delete_module,
    libc::SYS_kexec_load, libc::SYS_kexec_file_load, libc::SYS_reboot, libc::SYS_swapon, libc::SYS_swapoff,
    libc::SYS_quotactl,
];

/// The flag of `clone` that makes a child of our parent's parent. That is the gateway, where nobody waits for a
/// child that it has not made: a zombie that holds a process id for good.
const FOISTED: libc::c_int = libc::CLONE_PARENT;
/// Flags of `clone` that make namespaces.
const NAMESPACES: libc::c_int = libc::CLONE_NEWNS
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWCGROUP;

impl Denied {
    /// Denies the calls to this process and all that come of it, for good.
    pub(in crate::backend) fn enforce(self) -> io::Result<()> {
        let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
            LASTING.into_iter().map(|call| (call, Vec::new())).collect();
        let mut flags = FOISTED;
        if self == Self::Dangerous {
            rules.extend(DANGEROUS.into_iter().map(|call| (call, Vec::new())));
            flags |= NAMESPACES;
        }
        rules.insert(libc::SYS_clone, any_of(flags)?);
        deny_other_numbers()?;
        // Its flags are where no filter can look. Who hears that there is no such call uses `clone`.
        deny(BTreeMap::from([(libc::SYS_clone3, Vec::new())]), libc::ENOSYS)?;
        deny(rules, libc::EPERM)
    }
}

/// Some kernels for x86_64 know each call by a second number, for programs of the x32 ABI, which nobody has. A
/// list of what is denied would have to name both.
fn deny_other_numbers() -> io::Result<()> {
    const X32: u32 = 0x4000_0000;
    const LOAD_NUMBER: u16 = 0x20;
    const JUMP_IF_AT_LEAST: u16 = 0x35;
    const RETURN: u16 = 0x06;
    if !cfg!(target_arch = "x86_64") {
        return Ok(());
    }
    let step = |code, jf, k| sock_filter { code, jt: 0, jf, k };
    let denied = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let filter = [
        step(LOAD_NUMBER, 0, 0),
        step(JUMP_IF_AT_LEAST, 1, X32),
        step(RETURN, 0, denied.into()),
        step(RETURN, 0, SeccompAction::Allow.into()),
    ];
    apply_filter(&filter).map_err(other)
}

/// A call whose first argument has one of these bits.
fn any_of(flags: libc::c_int) -> io::Result<Vec<SeccompRule>> {
    let bits = (0..32).map(|bit| 1u64 << bit).filter(|bit| flags as u64 & bit != 0);
    bits.map(|bit| {
        let set = SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(bit), bit)
            .map_err(other)?;
        SeccompRule::new(vec![set]).map_err(other)
    })
    .collect()
}

fn deny(rules: BTreeMap<i64, Vec<SeccompRule>>, errno: libc::c_int) -> io::Result<()> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(other)?;
    let action = SeccompAction::Errno(errno.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, action, arch).map_err(other)?;
    let program: seccompiler::BpfProgram = filter.try_into().map_err(other)?;
    apply_filter(&program).map_err(other)
}

fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::other(error)
}
