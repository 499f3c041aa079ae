//! The operator's page in a real browser. `tests/run` installs one where it can.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::admin::{ADMIN_SECRET, ANY_PORT, Admin};
use crate::clients::{passes, tests};
use crate::gateway::{SECRET, with_peers};

/// The browser that is installed; without one, says that something is left out.
pub(crate) fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let mut found = std::env::split_paths(&path).flat_map(|place| names.map(|name| place.join(name)));
    let browser = found.find(|program| program.exists());
    if browser.is_none() {
        eprintln!("NO BROWSER: what the page is like in one is left out; install chromium");
    }
    browser
}

/// Where pictures of the pages are left.
pub(crate) fn shots() -> PathBuf {
    let shots = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/screenshots");
    std::env::var_os("LOCKGATE_SCREENSHOTS").map_or(shots, Into::into)
}

/// Sees a session come and go, ends one, drains; in two widths, light and dark.
#[test]
fn a_browser_shows_and_steers() {
    let Some(browser) = browser() else { return };
    let broken = "[servers.broken]\nrun = \"sh -c 'echo cannot find the database >&2; exit 3'\"\n";
    let admin = Admin::start_with(&with_peers(&format!("{ANY_PORT}{broken}")));
    let mut command = Command::new("node");
    command.current_dir(tests().join("clients")).arg("page.mjs");
    command.args([&admin.gateway.url(""), SECRET, &format!("http://{}", admin.address), ADMIN_SECRET]);
    passes({
        command.args([browser, shots()]);
        command
    });
}
