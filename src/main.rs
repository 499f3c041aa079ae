//! The `lockgate` program; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    // First of all, and before any thread: these have no use for the rest.
    if lockgate::backend::is_launcher() {
        return lockgate::backend::launch();
    }
    if lockgate::backend::is_sweeper() {
        return lockgate::backend::sweep();
    }
    lockgate::cli::run()
}
