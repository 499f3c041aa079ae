//! Durations by size, of many sessions together.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::histogram::{BOUNDS, Histogram};

/// How many durations of each size there were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    counts: [u64; BOUNDS.len() + 1],
    /// All together, in microseconds.
    sum: u64,
}

const MICROS: f64 = 1e6;

impl Distribution {
    /// With what was counted there.
    pub fn add(&mut self, histogram: &Histogram) {
        for (count, more) in self.counts.iter_mut().zip(&histogram.counts) {
            *count += more.load(Relaxed);
        }
        self.sum = self.sum.saturating_add(histogram.sum.load(Relaxed));
    }

    /// With these as well.
    pub fn join(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// One more.
    pub fn observe(&mut self, duration: Duration) {
        let one = Histogram::default();
        one.observe(duration);
        self.add(&one);
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All of them together, in seconds.
    #[expect(clippy::cast_precision_loss, reason = "a sum of durations is told to seven digits anyway")]
    pub fn sum_seconds(&self) -> f64 {
        self.sum as f64 / MICROS
    }

    /// The sizes: an upper bound in seconds, infinite for the last, and how many were of that size.
    #[expect(clippy::cast_precision_loss, reason = "the bounds are small")]
    pub fn sizes(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let bounds = BOUNDS.iter().map(|micros| *micros as f64 / MICROS).chain([f64::INFINITY]);
        bounds.zip(self.counts.iter().copied())
    }

    /// So long at most takes this share of them, in seconds: the bound of its size. `None` if there were none, and
    /// infinite if it was longer than any bound.
    #[expect(clippy::cast_precision_loss, reason = "a share of a count is no exact thing")]
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let wanted = (self.count() as f64 * share).max(1.0);
        let mut seen = 0;
        self.sizes().find_map(|(bound, count)| {
            seen += count;
            (count > 0 && seen as f64 >= wanted).then_some(bound)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_found_again_by_their_size() {
        let mut times = Distribution::default();
        assert_eq!(times.quantile(0.5), None);
        for millis in [1, 1, 2, 300] {
            times.observe(Duration::from_millis(millis));
        }
        assert_eq!(times.count(), 4);
        assert_eq!(times.quantile(0.5), Some(0.001));
        assert_eq!(times.quantile(0.75), Some(0.0025));
        assert_eq!(times.quantile(0.99), Some(0.5));
        assert!((times.sum_seconds() - 0.304).abs() < 1e-9);
        times.observe(Duration::from_secs(60));
        assert_eq!(times.quantile(1.0), Some(f64::INFINITY));
    }

    #[test]
    fn a_bound_belongs_to_what_is_below_it() {
        let mut times = Distribution::default();
        times.observe(Duration::from_micros(10));
        times.observe(Duration::from_micros(11));
        let counts: Vec<u64> = times.sizes().map(|(_, count)| count).take(2).collect();
        assert_eq!(counts, [1, 1]);
    }
}
