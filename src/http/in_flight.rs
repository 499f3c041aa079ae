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
#[derive(Debug, Default)]
pub(super) struct Held(Option<Holding>);

#[derive(Debug)]
struct Holding {
    taken: Arc<Mutex<Taken>>,
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
    pub(super) fn new(all: usize, message: usize) -> Self {
        Self::bound(all, message, Arc::default())
    }

    /// Other bounds for the same bytes.
    pub(super) fn renewed(&self, all: usize, message: usize) -> Self {
        Self::bound(all, message, self.taken.clone())
    }

    /// Bytes that are on their way.
    pub(super) fn taken(&self) -> usize {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).all
    }

    fn bound(all: usize, message: usize, taken: Arc<Mutex<Taken>>) -> Self {
        Self { all, of_tenant: (all / SHARE).max(message), taken }
    }

    /// Makes it at least so many bytes that are held for the tenant.
    pub(super) fn grow(&self, held: &mut Held, tenant: &TenantId, bytes: usize) -> Result<(), Crowded> {
        let before = held.0.as_ref().map_or(0, |holding| holding.bytes);
        let Some(more) = bytes.checked_sub(before).filter(|&more| more > 0) else { return Ok(()) };
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.by_tenant.get(tenant).copied().unwrap_or(0);
        if own + more > self.of_tenant {
            return Err(Crowded::Tenant);
        }
        if taken.all + more > self.all {
            return Err(Crowded::All);
        }
        taken.all += more;
        taken.by_tenant.insert(tenant.clone(), own + more);
        let holding = || Holding { taken: self.taken.clone(), tenant: tenant.clone(), bytes: 0 };
        held.0.get_or_insert_with(holding).bytes = bytes;
        Ok(())
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
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
        let grow = |held: &mut Held, tenant: &TenantId, bytes| in_flight.grow(held, tenant, bytes);
        let mut first = Held::default();
        let results = [20, 5, 25].map(|bytes| grow(&mut first, &acme, bytes));
        assert_eq!(results, [Ok(()), Ok(()), Ok(())]);
        let mut second = Held::default();
        assert_eq!(grow(&mut second, &acme, 1), Err(Crowded::Tenant));
        assert_eq!(grow(&mut Held::default(), &other, 25), Ok(()));
        drop(first);
        assert_eq!(grow(&mut second, &acme, 25), Ok(()));
        let held = ["a", "b", "c"].map(|name| {
            let mut held = Held::default();
            grow(&mut held, &TenantId::new(name), 25).unwrap();
            held
        });
        assert_eq!(grow(&mut Held::default(), &other, 1), Err(Crowded::All));
        drop((second, held));
        let taken = in_flight.taken.lock().unwrap();
        assert_eq!((taken.all, taken.by_tenant.len()), (0, 0));
    }

    #[test]
    fn what_is_on_its_way_counts_under_later_bounds_too() {
        let before = InFlight::new(100, 10);
        let acme = TenantId::new("acme");
        let (mut held, mut more) = (Held::default(), Held::default());
        before.grow(&mut held, &acme, 20).unwrap();
        let after = before.renewed(80, 10);
        assert_eq!(after.grow(&mut more, &acme, 1), Err(Crowded::Tenant));
        assert_eq!(before.grow(&mut held, &acme, 21), Ok(()));
        drop(held);
        assert_eq!(after.grow(&mut more, &acme, 20), Ok(()));
    }

    #[test]
    fn a_part_holds_the_largest_message() {
        let in_flight = InFlight::new(100, 60);
        assert_eq!(in_flight.grow(&mut Held::default(), &TenantId::new("acme"), 60), Ok(()));
    }
}
