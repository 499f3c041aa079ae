//! A supervised child process that speaks newline-delimited JSON-RPC on stdin and stdout.
//!
//! `spawner` starts our own binary again as the `launcher`, which prepares a fresh single-threaded process
//! and becomes the command; `standby` is one that is started ahead, and `init` what stays of those that have
//! another become it. `process` owns the result until it is reaped, `pipe` and `framer` carry its messages,
//! `leader` is its first process, `stderr` keeps its last words, `home` is its private directory and `homes`
//! where those lie, `orphans` are what it leaves to us, `failed` is why there is none of it. Where the command
//! starts a container, `containers` has it removed, `engine` asks its daemon, and `marks` remembers that there
//! may be one.

mod containers;
mod engine;
mod failed;
mod framer;
mod home;
mod homes;
mod init;
mod launcher;
mod leader;
mod marks;
mod orphans;
mod pipe;
mod process;
mod spawner;
mod standby;
mod stderr;

pub use self::failed::StartFailed;
pub use self::framer::{Framer, Line};
pub use self::launcher::{is_launcher, launch};
pub use self::process::Exit;
pub use self::spawner::Unrehearsed;

pub(super) use self::containers::Containers;
pub(super) use self::home::{own_dir, random_name};
pub(super) use self::homes::{Abandoned, Homes};
pub(super) use self::launcher::Step;
pub(super) use self::orphans::reap_orphans;
pub(super) use self::pipe::{Stdin, Stdout};
pub(super) use self::process::{Equipment, Process, Remains, Standard, search_path};
pub(super) use self::spawner::Spawner;
