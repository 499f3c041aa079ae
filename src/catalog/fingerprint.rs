//! What tells a backend that a plan stands for from others, so that it is given to nobody who would get another.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::{Launch, LaunchPlan, Means, Recipe};

/// Stands for everything that decides what backend it is, and for whom if it is for somebody, and reveals
/// nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// A reload can change all that goes in but the tenant's name and the server's.
    pub(super) fn of(plan: &LaunchPlan) -> Self {
        let mut digest = Sha256::new();
        add(&mut digest, [plan.tenant().to_string().as_bytes()]);
        match plan.means() {
            Means::Launch(launch) => Self::of_process(digest, launch),
            Means::Endpoint(endpoint) => {
                add(&mut digest, [endpoint.server().as_str().as_bytes()]);
                add(&mut digest, endpoint.parts().iter().map(Vec::as_slice));
                Self(digest.finalize().into())
            }
        }
    }

    /// What it is to other nodes, too.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Of a process that is nobody's yet.
    pub(super) fn of_nobodys(launch: &Launch) -> Self {
        Self::of_process(Sha256::new(), launch)
    }

    fn of_process(mut digest: Sha256, launch: &Launch) -> Self {
        let variables = launch.environment().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
        add(&mut digest, [launch.server().as_str().as_bytes()]);
        add(&mut digest, [launch.program().as_os_str().as_bytes()]);
        add(&mut digest, launch.argv().iter().map(String::as_bytes));
        add(&mut digest, variables);
        add(&mut digest, bytes(launch.readable()));
        add(&mut digest, bytes(launch.writable()));
        add(&mut digest, launch.recipe().map(Recipe::key).map(str::as_bytes));
        Self(digest.finalize().into())
    }
}

fn bytes(paths: &[PathBuf]) -> impl Iterator<Item = &[u8]> {
    paths.iter().map(|path| path.as_os_str().as_bytes())
}

/// Adds a list so that no other list, nor the next, can be taken for it.
fn add<'b>(digest: &mut Sha256, list: impl IntoIterator<Item = &'b [u8]>) {
    for bytes in list {
        digest.update([1]);
        digest.update((bytes.len() as u64).to_le_bytes());
        digest.update(bytes);
    }
    digest.update([0]);
}
