use ccm_model::IdSource;
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);
const MOST: Duration = Duration::from_secs(2);

/// Waits between attempts: doubled each time, each shortened by a random part, so that pods do not come back in step.
pub(crate) struct Backoff {
    ids: IdSource,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(ids: IdSource) -> Self {
        Self { ids, failures: 0 }
    }

    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// How long to wait now: between half and the whole of 50 ms · 2ⁿ, at most 2 s.
    pub(crate) fn next(&mut self) -> Duration {
        let whole = FIRST.saturating_mul(1 << self.failures.min(10)).min(MOST);
        self.failures = self.failures.saturating_add(1);
        let part = self.ids.next_u64() as f64 / u64::MAX as f64;
        whole.mul_f64(0.5 + part / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ccm_model::Clock;

    #[test]
    fn waits_grow_to_the_limit_and_differ() {
        let ids = IdSource::new(Clock::system(), 7);
        let (mut a, mut b) = (Backoff::new(ids.clone()), Backoff::new(ids));
        let first = a.next();
        assert!(first >= FIRST / 2 && first <= FIRST, "{first:?}");
        assert_ne!(first, b.next(), "jittered");
        let later: Vec<Duration> = (0..20).map(|_| a.next()).collect();
        assert!(later.iter().all(|w| *w <= MOST), "{later:?}");
        assert!(later[19] >= MOST / 2, "{later:?}");
        a.reset();
        assert!(a.next() <= FIRST);
    }
}
