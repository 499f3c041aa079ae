//! `[sandbox]`: what a session's processes are kept from.

use std::fmt;
use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

use super::choice::Choice;

/// What a session's processes are kept from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Sandbox {
    /// How much of the sandbox is wanted.
    pub profile: Profile,
    /// User and group ids, one of each for each session, where the gateway is root.
    pub uids: UidRange,
    /// Memory of a session's processes together, in bytes.
    pub memory: ByteSize,
    /// Processes and threads of a session.
    pub processes: u32,
    /// What of the network they reach.
    pub network: NetworkAccess,
    /// Where packages that were fetched ahead are kept. Empty for a place that a restart of the machine may
    /// clear.
    pub templates: PathBuf,
}

/// How much of the sandbox is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", rename_all = "lowercase")]
pub enum Profile {
    /// Nothing: for debugging on a laptop.
    Off,
    /// Whatever the host can do; what it cannot is reported.
    Default,
    /// Everything, namespaces too; refuses to start if something is missing.
    Strict,
}

/// What of the network a session reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", rename_all = "lowercase")]
pub enum NetworkAccess {
    /// What the gateway reaches.
    Full,
    /// Its own loopback only.
    None,
}

/// User ids, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct UidRange {
    /// The lowest.
    pub first: u32,
    /// The highest.
    pub last: u32,
}

/// Ids below belong to the system.
const LOWEST_UID: u32 = 1000;
/// What a process of any use needs.
const LEAST_MEMORY: ByteSize = ByteSize::mib(16);
const LEAST_PROCESSES: u32 = 4;

impl Sandbox {
    /// `warm` children wait beside the sessions.
    pub(super) fn check(&self, sessions: usize, warm: usize) -> Result<(), (&'static str, String)> {
        let room = self.uids.sessions() as usize;
        if room < sessions.saturating_add(warm) {
            let beside =
                if warm == 0 { String::new() } else { format!(" and {warm} children that are kept warm") };
            let reason =
                format!("has room for {room} sessions, fewer than the {sessions} of limits.sessions{beside}");
            return Err(("sandbox.uids", reason));
        }
        if self.memory < LEAST_MEMORY {
            return Err(("sandbox.memory", format!("{} is too little to run anything in", self.memory)));
        }
        if self.processes < LEAST_PROCESSES {
            return Err(("sandbox.processes", format!("must be at least {LEAST_PROCESSES}")));
        }
        if self.templates.is_relative() && self.templates != Path::new("") {
            let reason = format!("is {:?}; give an absolute path, or \"\"", self.templates);
            return Err(("sandbox.templates", reason));
        }
        Ok(())
    }
}

impl UidRange {
    /// Ids that a gateway takes together. The default range is forty times as many.
    const BLOCK: u32 = 250;

    /// How many sessions there can be at once: the first id of each block is the gateway's own.
    pub fn sessions(&self) -> u32 {
        self.blocks().map(|block| block.last - block.first).sum()
    }

    /// The range, cut at multiples of a block's size. Whatever their ranges, two gateways that share ids share
    /// the numbers of blocks.
    pub fn blocks(self) -> impl Iterator<Item = Self> {
        (self.first / Self::BLOCK..=self.last / Self::BLOCK).map(move |number| {
            let first = number * Self::BLOCK;
            let last = first.saturating_add(Self::BLOCK - 1);
            Self { first: first.max(self.first), last: last.min(self.last) }
        })
    }

    /// The number of the block that begins the range.
    pub fn block(&self) -> u32 {
        self.first / Self::BLOCK
    }

    /// Whether an id is one of them.
    pub fn contains(&self, uid: u32) -> bool {
        (self.first..=self.last).contains(&uid)
    }
}

impl TryFrom<String> for UidRange {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let range = text.split_once('-').and_then(|(first, last)| {
            Some(Self { first: first.trim().parse().ok()?, last: last.trim().parse().ok()? })
        });
        match range {
            Some(range) if range.first < LOWEST_UID => {
                Err(format!("{text:?} begins below {LOWEST_UID}, where the system's own users are"))
            }
            // The last id means "none" to the kernel.
            Some(range) if range.first <= range.last && range.last < u32::MAX => Ok(range),
            _ => Err(format!("{text:?} is no range of user ids, such as \"20000-29999\"")),
        }
    }
}

impl From<UidRange> for String {
    fn from(range: UidRange) -> Self {
        range.to_string()
    }
}

impl fmt::Display for UidRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl Choice for Profile {
    const WORDS: &'static [(&'static str, Self)] =
        &[("off", Self::Off), ("default", Self::Default), ("strict", Self::Strict)];
}

impl TryFrom<String> for Profile {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::of(&text)
    }
}

impl Choice for NetworkAccess {
    const WORDS: &'static [(&'static str, Self)] = &[("full", Self::Full), ("none", Self::None)];
}

impl TryFrom<String> for NetworkAccess {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::of(&text)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl fmt::Display for NetworkAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_overlap_share_the_numbers_of_their_blocks() {
        let range = |text: &str| UidRange::try_from(text.to_owned()).unwrap();
        let wide: Vec<UidRange> = range("20000-29999").blocks().collect();
        assert_eq!(wide.len(), 40);
        assert_eq!([wide[0].first, wide[0].last, wide[39].last], [20000, 20249, 29999]);
        for narrow in ["20100-20120", "20249-20250", "29000-31000"] {
            for block in range(narrow).blocks() {
                let other =
                    wide.iter().find(|other| other.contains(block.first) || other.contains(block.last));
                assert!(other.is_none_or(|other| other.block() == block.block()), "{narrow}: {block}");
            }
        }
        assert_eq!(range("20000-20019").sessions(), 19, "one is the gateway's");
        assert_eq!(range("20249-20250").sessions(), 0);
    }
}
