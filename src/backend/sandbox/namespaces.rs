//! A view of the system of a session's own: its processes, mounts, host name and IPC objects, and if wanted
//! a network of which there is only a loopback.

use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, unshare};
use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind, mount_change, mount_remount};

use super::netlink::{self, NEW_LINK};

/// Where anybody may write; each session gets one of its own, in memory.
pub(super) const SHARED_PLACES: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];
/// What a session may put there; it counts as its memory, too.
const SHARED_PLACE_OPTIONS: &std::ffi::CStr = c"mode=1777,size=25%";
const HOST_NAME: &[u8] = b"session";

/// Leaves the host's network.
pub(in crate::backend) fn leave_network() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    raise_loopback()
}

/// Leaves the host's other namespaces. The process ids are new for children only.
pub(in crate::backend) fn leave_host() -> io::Result<()> {
    let all = CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS;
    Ok(unshare(all)?)
}

/// Arranges the new namespaces, from inside: everything is read-only but the private directory, what is
/// named as writable, and shared places that nobody shares. What is named below one of these is still there.
pub(in crate::backend) fn furnish(home: &Path, readable: &[PathBuf], writable: &[PathBuf]) -> io::Result<()> {
    rustix::system::sethostname(HOST_NAME)?;
    // The session's user passes through what is made here, whatever the gateway's own mask is.
    rustix::process::umask(Mode::from_raw_mode(0o022));
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    // A shared place may be named, but the one that is there is the session's own.
    let is_own = |path: &&Path| SHARED_PLACES.iter().any(|place| *path == Path::new(place));
    let is_below = |path: &&Path| SHARED_PLACES.iter().any(|place| path.starts_with(place));
    let readable = readable.iter().map(PathBuf::as_path).filter(|path| is_below(path) && path.is_dir());
    let writable = writable.iter().map(PathBuf::as_path).chain([home]);
    let mut kept = Vec::new();
    for path in readable.chain(writable.clone()).filter(|path| !is_own(path)) {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(place) => kept.push((path, place)),
            Err(_) if path != home => {}
            Err(error) => return Err(error.into()),
        }
    }
    for place in SHARED_PLACES.iter().filter(|place| Path::new(place).is_dir()) {
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        mount("tmpfs", *place, "tmpfs", flags, Some(SHARED_PLACE_OPTIONS))?;
    }
    let proc_flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    for (path, place) in &kept {
        // Through the descriptor, because a new tmpfs may be in the way by now. The old `/proc` still is
        // where it was.
        let target = make_place(path)?;
        mount_bind(format!("/proc/self/fd/{}", place.as_raw_fd()), target)?;
    }
    mount("proc", "/proc", "proc", proc_flags, Some(c"hidepid=2"))?;
    close_the_rest(&writable.collect::<Vec<_>>())
}

/// A place to mount on, made if need be, reachable for everybody as the original is.
fn make_place(path: &Path) -> io::Result<&Path> {
    if path.exists() {
        return Ok(path);
    }
    fs::create_dir_all(path)?;
    Ok(path)
}

/// Makes every mount read-only that is not to be written to.
fn close_the_rest(writable: &[&Path]) -> io::Result<()> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    for line in mounts.lines() {
        let mut fields = line.split(' ').skip(4);
        let (Some(point), Some(options)) = (fields.next(), fields.next()) else { continue };
        let point = PathBuf::from(unescape(point));
        let open = writable.contains(&&*point)
            || point == Path::new("/proc")
            || SHARED_PLACES.iter().any(|place| point == Path::new(place));
        if open || options.split(',').any(|option| option == "ro") {
            continue;
        }
        let flags = MountFlags::BIND | MountFlags::RDONLY | flags_of(options);
        match mount_remount(&point, flags, c"") {
            // Hidden below another mount: nobody gets there.
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::INVAL | rustix::io::Errno::NOTDIR) => {}
            other => other?,
        }
    }
    Ok(())
}

/// A remount sets all flags anew.
fn flags_of(options: &str) -> MountFlags {
    options.split(',').fold(MountFlags::empty(), |flags, option| {
        flags
            | match option {
                "nosuid" => MountFlags::NOSUID,
                "nodev" => MountFlags::NODEV,
                "noexec" => MountFlags::NOEXEC,
                "noatime" => MountFlags::NOATIME,
                "nodiratime" => MountFlags::NODIRATIME,
                "relatime" => MountFlags::RELATIME,
                _ => MountFlags::empty(),
            }
    })
}

/// Spaces and the like stand as octal numbers in `mountinfo`.
fn unescape(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (code, plain)| text.replace(code, plain))
}

/// `ip link set lo up`: family and type, which interface, and which of its flags to change to what.
fn raise_loopback() -> io::Result<()> {
    const LOOPBACK: u32 = 1;
    const UP: u32 = 1;
    let body = [0, LOOPBACK, UP, UP].map(u32::to_ne_bytes).concat();
    netlink::request(NEW_LINK, 0, &body)
}
