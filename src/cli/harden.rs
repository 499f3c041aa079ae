//! Before anything is started: what this process does to itself.

use rustix::process::{DumpableBehavior, Resource, Rlimit};

/// What every gateway does to itself: no core file that would hold secrets, nobody who traces it, none of
/// its descriptors in a child, as many descriptors as the host allows.
pub(super) fn harden() {
    close_fds::set_fds_cloexec(3, &[]);
    if let Err(error) = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "core files cannot be switched off");
    }
    let hard = rustix::process::getrlimit(Resource::Nofile).maximum;
    if let Err(error) = rustix::process::setrlimit(Resource::Nofile, Rlimit { current: hard, maximum: hard })
    {
        tracing::warn!(%error, "the limit of open descriptors cannot be raised");
    }
}
