//! Chance that can be had again: the seed is printed, and read from `LOCKGATE_SEED`.

use std::hash::{BuildHasher, RandomState};

pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new() -> Self {
        let given = std::env::var("LOCKGATE_SEED").ok().map(|seed| seed.parse().expect("a number"));
        let seed = given.unwrap_or_else(|| RandomState::new().hash_one(0));
        println!("LOCKGATE_SEED={seed}");
        Self(seed)
    }

    /// A number below this one (splitmix64).
    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) % limit as u64) as usize
    }

    pub(super) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}
