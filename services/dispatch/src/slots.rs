//! Room for texts under way, shared out so that no tenant takes all of it. Pure.

use ccm_model::TenantId;
use std::collections::HashMap;

#[derive(Debug)]
pub(crate) struct Slots {
    total: usize,
    per_tenant: usize,
    taken: usize,
    by_tenant: HashMap<TenantId, usize>,
}

impl Slots {
    /// `total` (1 or more), of which one tenant gets half at most.
    pub fn new(total: usize) -> Self {
        Self {
            total,
            per_tenant: total.div_ceil(2),
            taken: 0,
            by_tenant: HashMap::new(),
        }
    }

    /// How many lines may be claimed of all tenants but [`Slots::full`], such that none of them gets more than its share,
    /// whoever's lines they turn out to be.
    pub fn room(&self) -> usize {
        let least = self
            .by_tenant
            .values()
            .map(|n| self.per_tenant.saturating_sub(*n))
            .filter(|room| *room > 0)
            .min();
        (self.total - self.taken).min(least.unwrap_or(self.per_tenant))
    }

    /// The tenants that have their share.
    pub fn full(&self) -> Vec<TenantId> {
        self.by_tenant
            .iter()
            .filter(|(_, n)| **n >= self.per_tenant)
            .map(|(t, _)| *t)
            .collect()
    }

    pub fn take(&mut self, tenant: TenantId) {
        self.taken += 1;
        *self.by_tenant.entry(tenant).or_default() += 1;
    }

    pub fn give_back(&mut self, tenant: TenantId) {
        if let Some(n) = self.by_tenant.get_mut(&tenant) {
            self.taken -= 1;
            *n -= 1;
            if *n == 0 {
                self.by_tenant.remove(&tenant);
            }
        }
    }

    pub fn taken(&self) -> usize {
        self.taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(n: u128) -> TenantId {
        TenantId(uuid::Uuid::from_u128(n))
    }

    #[test]
    fn a_tenant_gets_half_and_leaves_the_rest_to_others() {
        let mut slots = Slots::new(8);
        assert_eq!(slots.room(), 4);
        for left in [3, 2, 1] {
            slots.take(tenant(1));
            assert_eq!(slots.room(), left);
            assert!(slots.full().is_empty());
        }
        slots.take(tenant(1));
        assert_eq!(slots.full(), [tenant(1)]);
        assert_eq!(slots.room(), 4, "for all but tenant 1");
        for _ in 0..4 {
            slots.take(tenant(2));
        }
        assert_eq!((slots.room(), slots.taken()), (0, 8));
        slots.give_back(tenant(2));
        assert_eq!(slots.room(), 1);
        assert_eq!(slots.full(), [tenant(1)]);
        for _ in 0..3 {
            slots.give_back(tenant(2));
        }
        for _ in 0..4 {
            slots.give_back(tenant(1));
        }
        slots.give_back(tenant(3));
        assert_eq!((slots.room(), slots.taken()), (4, 0));
    }

    #[test]
    fn one_slot_is_enough_to_work() {
        let mut slots = Slots::new(1);
        assert_eq!(slots.room(), 1);
        slots.take(tenant(1));
        assert_eq!(slots.room(), 0);
    }
}
