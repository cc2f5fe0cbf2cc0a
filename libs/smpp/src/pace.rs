//! How fast requests leave: at a steady rate, half as fast after each time that the peer has had enough, and then faster
//! again bit by bit.

use std::time::{Duration, Instant};

/// A peer that has had enough is left alone for so long before the next request.
const REST: Duration = Duration::from_secs(1);
/// Complaints about requests that were under way together are one.
const ONE_COMPLAINT: Duration = Duration::from_secs(1);
/// How often the rate grows, by a tenth of the full one, while nobody complains.
const GROW_EVERY: Duration = Duration::from_secs(5);
const STEPS: f64 = 10.0;
/// It never gets slower than this, in requests a second.
const SLOWEST: f64 = 0.1;

#[derive(Debug, Clone)]
pub struct Pace {
    full: f64,
    rate: f64,
    next_at: Option<Instant>,
    slowed_at: Option<Instant>,
    grows_at: Instant,
}

impl Pace {
    /// `rate`: requests a second at most, 1 or more.
    pub fn new(rate: u32, now: Instant) -> Self {
        let rate = f64::from(rate.max(1));
        Self {
            full: rate,
            rate,
            next_at: None,
            slowed_at: None,
            grows_at: now,
        }
    }

    /// When the next request may leave; `None`: now.
    pub fn wait(&self, now: Instant) -> Option<Instant> {
        self.next_at.filter(|at| *at > now)
    }

    /// One leaves.
    pub fn left(&mut self, now: Instant) {
        while self.rate < self.full && now >= self.grows_at {
            self.rate = (self.rate + self.full / STEPS).min(self.full);
            self.grows_at += GROW_EVERY;
        }
        let begin = self.next_at.map_or(now, |at| at.max(now));
        self.next_at = Some(begin + Duration::from_secs_f64(1.0 / self.rate));
    }

    /// The peer has had enough.
    pub fn slow(&mut self, now: Instant) {
        if self.slowed_at.is_none_or(|at| now >= at + ONE_COMPLAINT) {
            self.rate = (self.rate / 2.0).max(SLOWEST);
            self.slowed_at = Some(now);
        }
        self.grows_at = now + GROW_EVERY;
        let rested = now + REST;
        self.next_at = Some(self.next_at.map_or(rested, |at| at.max(rested)));
    }

    /// Requests a second, as it stands.
    pub fn rate(&self) -> f64 {
        self.rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(
        clippy::disallowed_methods,
        reason = "an Instant cannot be made of anything else"
    )]
    fn start() -> Instant {
        Instant::now()
    }

    /// How many leave within so many seconds, each as soon as it may.
    fn leave(pace: &mut Pace, mut now: Instant, seconds: u64) -> u32 {
        let end = now + Duration::from_secs(seconds);
        let mut count = 0;
        loop {
            now = pace.wait(now).unwrap_or(now);
            if now >= end {
                return count;
            }
            pace.left(now);
            count += 1;
        }
    }

    #[test]
    fn requests_leave_at_the_rate() {
        let now = start();
        assert_eq!(leave(&mut Pace::new(20, now), now, 5), 100);
        assert_eq!(leave(&mut Pace::new(0, now), now, 5), 5);
    }

    #[test]
    fn it_halves_rests_and_recovers() {
        let now = start();
        let mut pace = Pace::new(20, now);
        pace.slow(now);
        pace.slow(now + Duration::from_millis(500));
        assert_eq!(pace.rate(), 10.0, "two complaints at once are one");
        assert_eq!(pace.wait(now), Some(now + Duration::from_millis(1500)));
        pace.slow(now + Duration::from_secs(2));
        assert_eq!(pace.rate(), 5.0);
        let calm = now + Duration::from_secs(3);
        let count = leave(&mut pace, calm, 4);
        assert!((19..=21).contains(&count), "{count}");
        leave(&mut pace, calm + Duration::from_secs(4), 60);
        assert_eq!(pace.rate(), 20.0);
    }

    #[test]
    fn it_never_stops() {
        let now = start();
        let mut pace = Pace::new(1, now);
        for s in 0..100 {
            pace.slow(now + Duration::from_secs(2 * s));
        }
        assert_eq!(pace.rate(), SLOWEST);
    }
}
