//! Which tenants have series of their own.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// The tenants that were counted by name first. Every series costs Prometheus memory, so there may be only so many.
#[derive(Debug, Default)]
pub(in crate::admin) struct Names(Mutex<BTreeSet<String>>);

/// So many have a name.
const MOST: usize = 200;
/// All others together. Settings cannot call a tenant so: their names have no such letters.
const OTHERS: &str = "(others)";

impl Names {
    /// What a tenant is called.
    pub(super) fn of<'t>(&self, tenant: &'t str) -> &'t str {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains(tenant) {
            return tenant;
        }
        if known.len() >= MOST {
            return OTHERS;
        }
        known.insert(tenant.to_owned());
        tenant
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_late_is_one_of_the_others() {
        let names = Names::default();
        let all: Vec<String> = (0..MOST + 2).map(|number| format!("t{number}")).collect();
        let named = |tenant: &String| names.of(tenant) == tenant;
        assert_eq!(all.iter().filter(|tenant| named(tenant)).count(), MOST);
        assert_eq!(names.of(&all[MOST]), OTHERS);
        assert_eq!(names.of("t0"), "t0");
    }
}
