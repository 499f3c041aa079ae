//! Bodies of requests on their way in: how many bytes of them there are, in all and of each tenant.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::ids::TenantId;

/// No tenant has more than this part of all, unless one message needs it.
const SHARE: usize = 4;

/// What all clients together may have on its way.
#[derive(Debug)]
pub(super) struct InFlight {
    all: usize,
    of_tenant: usize,
    /// Outlives these bounds: what a reload finds on its way is there still.
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// Tenants with something on its way only.
    by_tenant: HashMap<TenantId, usize>,
}

/// Bytes that are on their way. Dropping it gives them back.
#[derive(Debug)]
pub(super) struct Held {
    in_flight: Arc<InFlight>,
    tenant: TenantId,
    bytes: usize,
}

/// Whose bytes are too many just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Crowded {
    #[error("the gateway is taking as many large messages as it can; try again")]
    All,
    #[error(
        "this tenant is sending as many large messages at once as it may; try again, or send fewer at once"
    )]
    Tenant,
}

impl InFlight {
    pub(super) fn new(all: usize, message: usize) -> Arc<Self> {
        Self::bound(all, message, Arc::default())
    }

    /// Other bounds for the same bytes.
    pub(super) fn renewed(&self, all: usize, message: usize) -> Arc<Self> {
        Self::bound(all, message, self.taken.clone())
    }

    fn bound(all: usize, message: usize, taken: Arc<Mutex<Taken>>) -> Arc<Self> {
        Arc::new(Self { all, of_tenant: (all / SHARE).max(message), taken })
    }

    /// Holds nothing yet.
    pub(super) fn hold(self: &Arc<Self>, tenant: &TenantId) -> Held {
        Held { in_flight: self.clone(), tenant: tenant.clone(), bytes: 0 }
    }
}

impl Held {
    /// Makes it at least so many bytes.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), Crowded> {
        let Some(more) = bytes.checked_sub(self.bytes).filter(|&more| more > 0) else { return Ok(()) };
        let InFlight { all, of_tenant, taken } = &*self.in_flight;
        let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.by_tenant.get(&self.tenant).copied().unwrap_or(0);
        if own + more > *of_tenant {
            return Err(Crowded::Tenant);
        }
        if taken.all + more > *all {
            return Err(Crowded::All);
        }
        taken.all += more;
        taken.by_tenant.insert(self.tenant.clone(), own + more);
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let mut taken = self.in_flight.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all -= self.bytes;
        if let Some(own) = taken.by_tenant.get_mut(&self.tenant) {
            *own -= self.bytes;
            if *own == 0 {
                taken.by_tenant.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tenant_has_its_part_and_others_have_room() {
        let in_flight = InFlight::new(100, 10);
        let [acme, other] = ["acme", "other"].map(TenantId::new);
        let mut first = in_flight.hold(&acme);
        assert_eq!((first.grow(20), first.grow(5), first.grow(25)), (Ok(()), Ok(()), Ok(())));
        let mut second = in_flight.hold(&acme);
        assert_eq!(second.grow(1), Err(Crowded::Tenant));
        assert_eq!(in_flight.hold(&other).grow(25), Ok(()));
        drop(first);
        assert_eq!(second.grow(25), Ok(()));
        let held = ["a", "b", "c"].map(|name| {
            let mut held = in_flight.hold(&TenantId::new(name));
            held.grow(25).unwrap();
            held
        });
        assert_eq!(in_flight.hold(&other).grow(1), Err(Crowded::All));
        drop((second, held));
        let taken = in_flight.taken.lock().unwrap();
        assert_eq!((taken.all, taken.by_tenant.len()), (0, 0));
    }

    #[test]
    fn what_is_on_its_way_counts_under_later_bounds_too() {
        let before = InFlight::new(100, 10);
        let acme = TenantId::new("acme");
        let mut held = before.hold(&acme);
        held.grow(20).unwrap();
        let after = before.renewed(80, 10);
        let mut more = after.hold(&acme);
        assert_eq!((more.grow(1), held.grow(21)), (Err(Crowded::Tenant), Ok(())));
        drop(held);
        assert_eq!(more.grow(20), Ok(()));
    }

    #[test]
    fn a_part_holds_the_largest_message() {
        let in_flight = InFlight::new(100, 60);
        assert_eq!(in_flight.hold(&TenantId::new("acme")).grow(60), Ok(()));
    }
}
