//! The `lockgate` program; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    // First of all, and before any thread: a launcher has no use for the rest.
    if lockgate::backend::is_launcher() {
        return lockgate::backend::launch();
    }
    lockgate::cli::run()
}
