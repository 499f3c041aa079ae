//! How hard and how long: one round with few sessions, or in a soak as many rounds as the time allows with
//! many, and a line for the table at the end.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, Instant};

use super::dice::Dice;
use super::field::Field;

pub(super) struct Run {
    name: &'static str,
    pub(super) dice: Dice,
    /// `None` in the short form.
    soak: Option<Duration>,
    begun: Instant,
    rounds: u64,
    sessions: usize,
    /// Memory in MiB, seconds after the beginning.
    memory: Vec<(f64, f64)>,
    figures: String,
    failures: Vec<String>,
}

impl Run {
    pub(super) fn new(name: &'static str) -> Self {
        let seconds = std::env::var("LOCKGATE_SOAK_SECONDS").ok();
        let soak = seconds.map(|seconds| Duration::from_secs(seconds.parse().expect("seconds")));
        let begun = Instant::now();
        let (memory, figures, failures) = (Vec::new(), String::new(), Vec::new());
        Self { name, dice: Dice::new(), soak, begun, rounds: 0, sessions: 0, memory, figures, failures }
    }

    /// How many of something.
    pub(super) fn size(&self, short: usize, soak: usize) -> usize {
        if self.is_soak() { soak } else { short }
    }

    pub(super) fn is_soak(&self) -> bool {
        self.soak.is_some()
    }

    /// Whether another round follows.
    pub(super) fn again(&mut self) -> bool {
        let goes_on = self.rounds == 0 || self.soak.is_some_and(|soak| self.begun.elapsed() < soak);
        self.rounds += u64::from(goes_on);
        goes_on
    }

    /// Notes what a round has come to, with the gateway at rest.
    pub(super) fn sample(&mut self, field: &Field, sessions: usize) {
        self.count(sessions);
        self.memory.push((self.begun.elapsed().as_secs_f64(), field.counts().resident as f64 / 1024.0));
    }

    pub(super) fn count(&mut self, sessions: usize) {
        self.sessions += sessions;
    }

    /// A figure that a soak judges; the short form only knows what must hold however slow the machine is.
    pub(super) fn judge(&mut self, what: &str, figure: f64, limit: f64) {
        let _ = write!(self.figures, " {what}={figure:.1}");
        if figure > limit {
            self.failures.push(format!("{what} {figure:.1} > {limit:.1}"));
        }
    }

    /// Notes how long echoes took, in milliseconds.
    pub(super) fn judge_echoes(&mut self, mut took: Vec<Duration>, limit: f64) {
        took.sort_unstable();
        let at = |part: usize| took[(took.len() * part / 100).min(took.len() - 1)].as_secs_f64() * 1000.0;
        self.judge("p50_ms", at(50), limit);
        self.judge("p99_ms", at(99), limit);
    }

    /// Writes the line for the table: `field` is the last gateway, at rest, if it still runs.
    pub(super) fn finish(mut self, field: Option<&Field>) {
        let Some(path) = std::env::var_os("LOCKGATE_SOAK_REPORT").filter(|_| self.is_soak()) else { return };
        let slope = self.slope();
        // Too short a run shows only how the allocator fills its arenas.
        if self.begun.elapsed() >= Duration::from_secs(600) {
            self.judge("slope", slope, 1.0);
        }
        let mut line = format!(
            "{}\trounds={}\tsessions={}\tminutes={:.1}\trss_mib_per_10min={slope:.2}",
            self.name,
            self.rounds,
            self.sessions,
            self.begun.elapsed().as_secs_f64() / 60.0,
        );
        if let Some(field) = field {
            let (before, after) = (field.before(), field.counts());
            let processes = field.gateway.descendants().len();
            let _ = write!(
                line,
                "\trss_mib={}->{}\tfds={}->{}\tprocesses+zombies={processes}\tuids={}",
                before.resident / 1024,
                after.resident / 1024,
                before.descriptors,
                after.descriptors,
                field.users(),
            );
        }
        let verdict =
            if self.failures.is_empty() { "PASS".into() } else { format!("FAIL {:?}", self.failures) };
        let mut file = std::fs::File::options().append(true).create(true).open(path).unwrap();
        writeln!(file, "{line}\t{}\t{verdict}", self.figures.trim()).unwrap();
        assert!(self.failures.is_empty(), "{:?}", self.failures);
    }

    /// Growth of memory by least squares, in MiB in ten minutes, from the second quarter on.
    fn slope(&self) -> f64 {
        let points = &self.memory[self.memory.len() / 4..];
        let count = points.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
        let (x, y) = (mean(|p| p.0), mean(|p| p.1));
        let over: f64 = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
        let under: f64 = points.iter().map(|p| (p.0 - x).powi(2)).sum();
        if under > 0.0 { over / under * 600.0 } else { 0.0 }
    }
}
