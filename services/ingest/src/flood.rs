//! How often one phone may text one number. Each pod counts for itself: a bound on floods, not a rate that anybody is billed
//! by.

use ccm_model::{Address, TenantId, sms_settings::Flood};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Arc, Mutex},
    time::Duration,
};

type Limiter = DefaultKeyedRateLimiter<(Address, Address)>;

/// Pairs that a tenant's count may hold before those that have long been silent are let go.
const PAIRS: usize = 10_000;

#[derive(Default)]
pub(crate) struct Floods(Mutex<HashMap<TenantId, (Flood, Arc<Limiter>)>>);

impl Floods {
    /// Counts a text. Whether agents are to get it.
    pub fn allow(&self, tenant: TenantId, bound: &Flood, ours: &Address, customer: &Address) -> bool {
        let Some(limiter) = self.limiter(tenant, bound) else {
            return true;
        };
        if limiter.len() > PAIRS {
            limiter.retain_recent();
        }
        limiter.check_key(&(ours.clone(), customer.clone())).is_ok()
    }

    /// `None`: a bound that cannot be, which the API does not take.
    fn limiter(&self, tenant: TenantId, bound: &Flood) -> Option<Arc<Limiter>> {
        let mut limiters = self.0.lock().expect("no panic while locked");
        if let Some((known, limiter)) = limiters.get(&tenant)
            && known == bound
        {
            return Some(limiter.clone());
        }
        let texts = NonZeroU32::new(bound.texts)?;
        let quota =
            Quota::with_period(Duration::from_secs(bound.per_s.into()) / bound.texts)?.allow_burst(texts);
        let limiter = Arc::new(RateLimiter::keyed(quota));
        limiters.insert(tenant, (bound.clone(), limiter.clone()));
        Some(limiter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn one_phone_is_bounded_and_nobody_else_is() {
        let floods = Floods::default();
        let (tenant, other) = (TenantId(Uuid::from_u128(1)), TenantId(Uuid::from_u128(2)));
        let ours = Address::parse("72345").unwrap();
        let [loud, quiet] = ["+14155550101", "+14155550102"].map(|n| Address::parse(n).unwrap());
        let bound = Flood {
            texts: 3,
            per_s: 3600,
        };
        let allowed = (0..10)
            .filter(|_| floods.allow(tenant, &bound, &ours, &loud))
            .count();
        assert_eq!(allowed, 3);
        assert!(floods.allow(tenant, &bound, &ours, &quiet));
        assert!(floods.allow(other, &bound, &ours, &loud));
        let wider = Flood {
            texts: 5,
            per_s: 3600,
        };
        assert!(
            floods.allow(tenant, &wider, &ours, &loud),
            "new settings count at once"
        );
    }
}
