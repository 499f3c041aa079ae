//! What the launcher is told to do to itself before it becomes the command. Which parts are asked for was
//! found out when the gateway started, so each that fails stops the launch.

use std::fs;
use std::io;
use std::path::PathBuf;

use rustix::process::{Gid, Resource, Rlimit, Uid};
use rustix::thread::{CapabilitySet, CapabilitySets};
use serde::{Deserialize, Serialize};

use super::calls::Denied;
use super::files::Files;

/// The parts of the sandbox, for one session. The default is none of it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(in crate::backend) struct Confinement {
    /// The user and group to become.
    pub(super) uid: Option<u32>,
    /// Files that a process joins its control groups by.
    pub(super) doors: Vec<PathBuf>,
    /// Processes and threads of this user id.
    pub(super) max_processes: Option<u32>,
    /// Bytes of data of each process, where no control group limits them together.
    pub(super) max_data: Option<u64>,
    /// Whether the gateway goes first when memory or the processor is short.
    pub(super) modest: bool,
    /// Whether all capabilities go, those too that a change of user leaves or that a service was given.
    pub(super) powerless: bool,
    /// Files that may be touched; `None` for whatever the user may.
    pub(in crate::backend) files: Option<Files>,
    /// System calls that may not be made.
    pub(in crate::backend) denied: Option<Denied>,
    /// A view of the system of its own.
    pub(in crate::backend) namespaces: bool,
    /// No network but a loopback of its own.
    pub(in crate::backend) no_network: bool,
}

/// Descriptors that the command may have at once.
const MAX_DESCRIPTORS: u64 = 4096;
/// Bytes of one file.
const MAX_FILE: u64 = 4 << 30;
/// How much sooner than others a session is picked when memory runs out, of 1000.
const OOM_SCORE: &str = "500";
const NICENESS: i32 = 5;

impl Confinement {
    /// Joins the control groups, to which all that comes of this process will belong.
    pub(in crate::backend) fn join_groups(&self) -> io::Result<()> {
        self.doors.iter().try_for_each(|door| fs::write(door, "0"))
    }

    /// Limits what single processes may use.
    pub(in crate::backend) fn limit(&self) -> io::Result<()> {
        let most =
            |resource, n| rustix::process::setrlimit(resource, Rlimit { current: Some(n), maximum: Some(n) });
        most(Resource::Core, 0)?;
        let hard = rustix::process::getrlimit(Resource::Nofile).maximum.unwrap_or(MAX_DESCRIPTORS);
        most(Resource::Nofile, hard.min(MAX_DESCRIPTORS))?;
        if let Some(processes) = self.max_processes {
            most(Resource::Nproc, processes.into())?;
        }
        if let Some(bytes) = self.max_data {
            most(Resource::Data, bytes)?;
        }
        if self.modest {
            most(Resource::Fsize, MAX_FILE)?;
            fs::write("/proc/self/oom_score_adj", OOM_SCORE)?;
            rustix::process::nice(NICENESS)?;
        }
        Ok(())
    }

    /// Becomes the session's user and group, and nobody else.
    pub(in crate::backend) fn become_user(&self) -> io::Result<()> {
        let Some(id) = self.uid else { return Ok(()) };
        let (uid, gid) = (Uid::from_raw(id), Gid::from_raw(id));
        rustix::thread::set_thread_groups(&[])?;
        rustix::thread::set_thread_res_gid(gid, gid, gid)?;
        rustix::thread::set_thread_res_uid(uid, uid, uid)?;
        Ok(())
    }

    /// Gives up what root can do, for good: nothing is gained by `exec` any more at this point.
    pub(in crate::backend) fn give_up_power(&self) -> io::Result<()> {
        if !self.powerless {
            return Ok(());
        }
        rustix::thread::clear_ambient_capability_set()?;
        let none = CapabilitySet::empty();
        rustix::thread::set_capabilities(
            None,
            CapabilitySets { effective: none, permitted: none, inheritable: none },
        )?;
        Ok(())
    }

    /// What may be read.
    pub(in crate::backend) fn readable(&self) -> &[PathBuf] {
        self.files.as_ref().map_or(&[], |files| &files.readable)
    }

    /// What may be written to beside the private directory.
    pub(in crate::backend) fn writable(&self) -> &[PathBuf] {
        self.files.as_ref().map_or(&[], |files| &files.writable)
    }
}
