//! A gateway with servers of every bad habit, and what it had before anything happened to it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use crate::client::{Client, Session};
use crate::gateway::{Gateway, SECRET, lockgate, peer, until};
use crate::traces::{control_groups, is_root, marked, processes_of_any, session_groups, uid, uids};

use super::all;
use super::dice::Dice;

pub(super) struct Field {
    pub(super) gateway: Gateway,
    /// Stands in the arguments of every process of every session.
    pub(super) mark: String,
    before: Counts,
    /// User ids that sessions have had.
    users: BTreeSet<u32>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) descriptors: usize,
    /// KiB
    pub(super) resident: usize,
}

/// Sessions that make what stays: threads, event queues, the allocator's arenas.
const WARM_UP: usize = 8;

impl Field {
    pub(super) async fn start(dice: &mut Dice, variables: &[(&str, &str)]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), dice, variables).await
    }

    pub(super) async fn start_in(
        place: tempfile::TempDir,
        dice: &mut Dice,
        variables: &[(&str, &str)],
    ) -> Self {
        Self::start_by(lockgate(), place, dice, variables).await
    }

    pub(super) async fn start_by(
        command: Command,
        place: tempfile::TempDir,
        dice: &mut Dice,
        variables: &[(&str, &str)],
    ) -> Self {
        let mut field = Self::start_cold(command, place, dice, variables);
        for _ in 0..WARM_UP {
            field.client().connect("plain").await;
        }
        field.until_gone().await;
        field.before = field.counts();
        field
    }

    /// Without any session to warm up.
    pub(super) fn start_cold(
        command: Command,
        place: tempfile::TempDir,
        dice: &mut Dice,
        variables: &[(&str, &str)],
    ) -> Self {
        // A number, so that `sleep` takes it.
        let mark = format!("7{:09}", dice.below(1_000_000_000));
        let mut given = vec![("LOCKGATE_SECRET", SECRET)];
        given.extend(variables);
        let gateway = Gateway::start_by(command, place, &settings(&mark), &given);
        Self { gateway, mark, before: Counts::default(), users: BTreeSet::new() }
    }

    pub(super) fn client(&self) -> Client {
        self.gateway.client()
    }

    /// So many sessions at once.
    pub(super) async fn connect(&mut self, server: &'static str, count: usize) -> Vec<Session> {
        let clients: Vec<Client> = (0..count).map(|_| self.client()).collect();
        let sessions =
            all(clients.into_iter().map(|client| async move { client.connect(server).await })).await;
        self.note_users();
        sessions
    }

    /// Remembers who the sessions are now.
    pub(super) fn note_users(&mut self) {
        let ours = uid(self.gateway.pid());
        let theirs = self.gateway.descendants().into_iter().flat_map(uids);
        self.users.extend(theirs.filter(|uid| *uid != ours));
    }

    pub(super) fn users(&self) -> usize {
        self.users.len()
    }

    pub(super) fn before(&self) -> Counts {
        self.before
    }

    pub(super) fn counts(&self) -> Counts {
        Counts { descriptors: self.gateway.descriptors_but_locks(), resident: self.gateway.resident() }
    }

    /// Waits until there is no trace of any session: processes and zombies, user ids, directories, control
    /// groups, descriptors, seats (I2, I3).
    pub(super) async fn until_quiet(&self) {
        self.until_gone().await;
        let before = self.before.descriptors;
        until("descriptors are back", || self.counts().descriptors <= before).await;
    }

    async fn until_gone(&self) {
        until("no process and no zombie is left", || self.gateway.descendants().is_empty()).await;
        until("none has escaped", || marked(&self.mark).is_empty()).await;
        until("no session's user has a process", || processes_of_any(&self.users).is_empty()).await;
        until("no private directory is left", || self.gateway.homes().is_empty()).await;
        until("no session's control group is left", || session_groups(self.gateway.pid()).is_empty()).await;
        self.gateway.until_active(0).await;
    }

    /// Waits until nothing is left of the sessions of a gateway that has ended, by itself or by force.
    pub(super) async fn until_ended(&self) {
        until("none has escaped", || marked(&self.mark).is_empty()).await;
        until("no session's user has a process", || processes_of_any(&self.users).is_empty()).await;
    }

    pub(super) fn groups(&self) -> Vec<PathBuf> {
        control_groups(self.gateway.pid())
    }
}

/// Servers of every habit; no limit on how many, and no patience with those that do not go.
fn settings(mark: &str) -> String {
    let peer = peer();
    // Whoever clears its environment is found by its user id only.
    let clear = if is_root() { "env -i " } else { "" };
    let path = std::env::var("PATH").unwrap();
    let escape = format!("({clear}PATH={path:?} setsid sh -c \"sleep {mark} & sleep {mark}\" &);");
    let shell = |script: &str| format!("/bin/sh -c '{script} exec \"$0\" \"$@\"' {peer} {mark}");
    let servers = [
        ("plain", format!("{peer} {mark}")),
        ("lingering", format!("{peer} --linger {mark}")),
        ("stubborn", format!("{peer} --ignore-term {mark}")),
        ("deaf", format!("{peer} --deaf {mark}")),
        ("slow", shell("sleep 0.1;")),
        ("escaping", shell(&escape)),
        ("busy", shell("while :; do :; done &")),
        ("flooding", shell("yes >&2 &")),
        ("filling", shell("while echo > $HOME/$((n = n + 1)); do :; done 2> /dev/null;")),
    ];
    let servers = servers.iter().map(|(name, run)| format!("[servers.{name}]\nrun = {run:?}\n"));
    let limits = "[limits]\nsessions = 5000\nsessions_per_tenant = 5000\nsessions_per_server = 5000\n";
    let rate = "[rate]\nper_minute = 0\nopens_per_minute = 0\n";
    let timeouts = "[timeouts]\neof = \"300ms\"\nterm = \"300ms\"\n";
    [rate, limits, timeouts].into_iter().map(str::to_owned).chain(servers).collect()
}
