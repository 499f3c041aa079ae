//! Reaps processes whose parent, a child of ours, ended before them.
//!
//! The gateway is a subreaper, so they become children of its main thread, and only they do: our own
//! children belong to the spawning thread. `__WNOTHREAD` waits for the calling thread's children alone,
//! so no leader's exit status can be taken from the session that waits for it.

use rustix::process::{WaitOptions, wait};

/// `wait(2)`: not among the library's names.
const WNOTHREAD: u32 = 0x2000_0000;

pub(in crate::backend) fn reap_orphans() {
    let options = WaitOptions::NOHANG | WaitOptions::from_bits_retain(WNOTHREAD);
    while let Ok(Some(_)) = wait(options) {}
}
