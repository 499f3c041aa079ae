//! The pages of `docs/` and README.md: what they show is true. Links lead somewhere, commands and settings are those of
//! this version, clients' snippets connect, errors are those that the gateway gives. Each fault is told with its page
//! and line, and all of them at once. A new page is covered by being there.

mod clients;
mod commands;
mod errors;
mod links;
mod markdown;
mod names;
mod programs;
mod settings;
mod upgrading;

use std::fmt::Display;

use self::markdown::Page;

/// What is wrong on the pages.
#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn add(&mut self, page: &Page, line: usize, reason: impl Display) {
        self.0.push(format!("{}:{line}: {reason}", page.name));
    }

    /// Ends the test, and fails it if anything was found.
    fn tell(self) {
        assert!(self.0.is_empty(), "{} faults:\n{}", self.0.len(), self.0.join("\n"));
    }
}

/// Where the documentation lies.
fn root() -> &'static std::path::Path {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
}
