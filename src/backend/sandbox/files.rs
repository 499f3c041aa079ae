//! Which files a session may touch (Landlock): programs, libraries and settings to read, its private
//! directory to write, and what the operator has named. Everything else is out of reach, whoever owns it.

use std::io;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetStatus, Scope,
};
use serde::{Deserialize, Serialize};

/// The newest version that we know the rights of; older kernels do what they can of it.
const NEWEST: ABI = ABI::V6;

/// Files and directories, each with everything below it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(in crate::backend) struct Files {
    /// To be read and executed.
    pub(super) readable: Vec<PathBuf>,
    /// To be changed as well.
    pub(super) writable: Vec<PathBuf>,
}

/// What programs are made of on the systems that we know.
const PROGRAMS: [&str; 13] = [
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/nix", "/snap", "/proc",
    "/sys",
];
/// Devices: what may be opened there is a matter of their modes. Nothing can be made there.
const DEVICES: &str = "/dev";
/// What `/etc/resolv.conf` is a link to where systemd-resolved or resolvconf is used.
const RESOLVERS: [&str; 2] = ["/run/systemd/resolve", "/run/resolvconf"];

/// Rules that are ready: the paths have been opened, so whoever has less rights may put them in force.
pub(in crate::backend) struct Rules(RulesetCreated);

impl Files {
    /// What every program needs, and this to be read as well.
    pub(super) fn with(needed: impl IntoIterator<Item = PathBuf>) -> Self {
        let programs = PROGRAMS.iter().chain(&RESOLVERS).map(PathBuf::from);
        Self { readable: programs.chain(needed).collect(), writable: Vec::new() }
    }

    /// Opens every path that there is.
    pub(in crate::backend) fn prepare(&self) -> io::Result<Rules> {
        let read = AccessFs::from_read(NEWEST);
        let device = AccessFs::ReadFile | AccessFs::ReadDir | AccessFs::WriteFile | AccessFs::IoctlDev;
        let rules = Ruleset::default()
            .handle_access(AccessFs::from_all(NEWEST))
            .and_then(|rules| rules.scope(Scope::from_all(NEWEST)))
            .and_then(Ruleset::create)
            .map_err(io::Error::other)?;
        let readable = self.readable.iter().map(|path| (&**path, read));
        let writable = self.writable.iter().map(|path| (&**path, AccessFs::from_all(NEWEST)));
        readable.chain([(Path::new(DEVICES), device)]).chain(writable).try_fold(rules, allow).map(Rules)
    }
}

impl Rules {
    /// Puts the rules in force for this process and all that come of it.
    pub(in crate::backend) fn enforce(self) -> io::Result<()> {
        let status = self.0.restrict_self().map_err(io::Error::other)?;
        match status.ruleset {
            RulesetStatus::NotEnforced => Err(io::ErrorKind::Unsupported.into()),
            _ => Ok(()),
        }
    }
}

/// The newest version of Landlock that the kernel and we know; `None` if it has none.
pub(super) fn version() -> Option<u8> {
    let versions = [ABI::V1, ABI::V2, ABI::V3, ABI::V4, ABI::V5, NEWEST];
    let known = |abi: &ABI| {
        let strict = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
        let rules = strict.handle_access(AccessFs::from_all(*abi));
        rules.and_then(|rules| rules.scope(Scope::from_all(*abi))).is_ok()
    };
    versions.into_iter().rposition(|abi| known(&abi)).and_then(|at| u8::try_from(at + 1).ok())
}

fn allow(rules: RulesetCreated, (path, access): (&Path, BitFlags<AccessFs>)) -> io::Result<RulesetCreated> {
    // What is not there need not be allowed.
    let Ok(place) = PathFd::new(path) else { return Ok(rules) };
    let access = if path.is_dir() { access } else { access & AccessFs::from_file(NEWEST) };
    rules.add_rule(PathBeneath::new(place, access)).map_err(io::Error::other)
}
