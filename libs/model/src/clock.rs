use crate::ids::Id;
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::sync::{Arc, Mutex};
use time::OffsetDateTime;
use uuid::Builder;

/// Where wall-clock time comes from. The only reader of the machine's clock in production code.
///
/// Monotonic time (`tokio::time::Instant`) is not here: the driver that needs it takes it from tokio, which tests can
/// pause.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> OffsetDateTime + Send + Sync>);

impl Clock {
    /// The machine's clock.
    #[allow(
        clippy::disallowed_methods,
        reason = "the one place that reads the ambient clock"
    )]
    pub fn system() -> Self {
        Self(Arc::new(OffsetDateTime::now_utc))
    }

    /// A clock that a test moves.
    pub fn from_fn(read: impl Fn() -> OffsetDateTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// A clock that stands still.
    pub fn fixed(at: OffsetDateTime) -> Self {
        Self::from_fn(move || at)
    }

    /// Now, in UTC.
    pub fn now(&self) -> OffsetDateTime {
        (self.0)()
    }
}

/// Where ids and other random numbers come from: a clock and a seeded generator.
#[derive(Clone)]
pub struct IdSource {
    clock: Clock,
    rng: Arc<Mutex<StdRng>>,
}

impl IdSource {
    /// Ids from the machine's clock and entropy.
    #[allow(
        clippy::disallowed_methods,
        reason = "the one place that reads ambient randomness"
    )]
    pub fn system() -> Self {
        Self::new(Clock::system(), rand::random())
    }

    /// Ids that repeat for the same clock and seed.
    pub fn new(clock: Clock, seed: u64) -> Self {
        Self {
            clock,
            rng: Arc::new(Mutex::new(StdRng::seed_from_u64(seed))),
        }
    }

    /// The clock that ids are made with.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// A new UUIDv7 id.
    pub fn next<T: Id>(&self) -> T {
        let millis = (self.clock.now().unix_timestamp_nanos() / 1_000_000).max(0) as u64;
        let mut random = [0u8; 10];
        self.fill(&mut random);
        T::from_uuid(Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// A random number, for jitter and seeds. Not for secrets: those come from `aws-lc-rs`.
    pub fn next_u64(&self) -> u64 {
        self.rng
            .lock()
            .expect("no panic while the generator is locked")
            .next_u64()
    }

    fn fill(&self, bytes: &mut [u8]) {
        self.rng
            .lock()
            .expect("no panic while the generator is locked")
            .fill_bytes(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MessageId;

    #[test]
    fn ids_carry_the_clock_and_differ() {
        let at = OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap();
        let ids = IdSource::new(Clock::fixed(at), 7);
        let (a, b): (MessageId, MessageId) = (ids.next(), ids.next());
        assert_ne!(a, b);
        let (seconds, _) = a.0.get_timestamp().unwrap().to_unix();
        assert_eq!(seconds, 1_700_000_000);
        let again = IdSource::new(Clock::fixed(at), 7);
        assert_eq!(a, again.next(), "the same clock and seed give the same ids");
    }
}
