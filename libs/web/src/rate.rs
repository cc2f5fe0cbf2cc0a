//! How often something may be done.

use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::DefaultKeyedStateStore,
};
use std::{hash::Hash, num::NonZeroU32, sync::Arc, time::Duration};

/// How often each of many may do something. Each pod counts for itself. Cheap to clone.
#[derive(Clone)]
pub struct Rate<K: Hash + Eq + Clone>(
    Arc<RateLimiter<K, DefaultKeyedStateStore<K>, DefaultClock, StateInformationMiddleware>>,
);

/// Those that may be remembered before such as have long been silent are let go.
const REMEMBERED: usize = 10_000;

impl<K: Hash + Eq + Clone> Rate<K> {
    /// So often over time, and so often at once after a rest.
    pub fn new(per_minute: NonZeroU32, at_once: NonZeroU32) -> Self {
        let quota = Quota::per_minute(per_minute).allow_burst(at_once);
        Self(Arc::new(RateLimiter::keyed(quota).with_middleware()))
    }

    /// Counts one more of `who`'s. Returns how many more there may be at once; `Err`: after what time there may be another one.
    pub fn take(&self, who: &K) -> Result<u32, Duration> {
        if self.0.len() > REMEMBERED {
            self.0.retain_recent();
        }
        match self.0.check_key(who) {
            Ok(state) => Ok(state.remaining_burst_capacity()),
            Err(until) => Err(until.wait_time_from(DefaultClock::default().now())),
        }
    }
}
