//! How fast a tenant's chats may dial.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// How late a timer may be without slowing the rate down: what the runtime's clock ticks in, about.
const TICK: Duration = Duration::from_millis(2);

/// Between two dials at the slowest rate there is.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// A connect rate that clones share. In any second at most `dials + 1` begin, however many wait.
#[derive(Debug, Clone, Default)]
pub struct ConnectRate(Option<Arc<Pace>>);

#[derive(Debug)]
struct Pace {
    interval: Duration,
    next: Mutex<Option<Instant>>,
}

impl ConnectRate {
    pub fn unlimited() -> Self {
        ConnectRate(None)
    }

    /// At most `dials` a second, evenly; zero or less is unlimited.
    pub fn per_second(dials: f64) -> Self {
        if dials.is_nan() || dials <= 0.0 {
            return ConnectRate::unlimited();
        }
        let interval = Duration::try_from_secs_f64(1.0 / dials).map_or(LONGEST, |d| d.min(LONGEST));
        ConnectRate(Some(Arc::new(Pace {
            interval,
            next: Mutex::new(None),
        })))
    }

    /// Returns when this dial may begin: begin at once. Dropped before, it takes nobody's place.
    pub(crate) async fn admitted(&self) {
        while let Err(at) = self.try_admit() {
            sleep_until(at).await;
        }
    }

    /// Takes the next free instant if that is now; else says when it is.
    pub(crate) fn try_admit(&self) -> Result<(), Instant> {
        let Some(pace) = &self.0 else { return Ok(()) };
        let mut next = pace.next.lock().expect("nothing panics under this lock");
        let now = Instant::now();
        // Counted from when the timer should have fired, or each tick would slow the rate down; but not from so far back
        // that one more would fit into a second.
        let lateness = TICK.min(pace.interval / 2);
        let mine = match *next {
            Some(next) if next > now => return Err(next),
            Some(next) if next + lateness >= now => next,
            _ => now,
        };
        *next = Some(mine + pace.interval);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn clones_share_one_rate() {
        let rate = ConnectRate::per_second(10.0);
        let start = Instant::now();
        let dials: Vec<_> = (0..21)
            .map(|_| {
                let rate = rate.clone();
                tokio::spawn(async move {
                    rate.admitted().await;
                    start.elapsed()
                })
            })
            .collect();
        let mut at = Vec::new();
        for dial in dials {
            at.push(dial.await.unwrap());
        }
        at.sort();
        assert!(at[0] < Duration::from_millis(5), "the first goes at once: {at:?}");
        assert!((at[20].as_secs_f64() - 2.0).abs() < 0.05, "{at:?}");
        tokio::time::sleep(Duration::from_secs(60)).await;
        let later = Instant::now();
        rate.admitted().await;
        assert!(
            later.elapsed() < Duration::from_millis(5),
            "idle time does not count against"
        );
        rate.admitted().await;
        assert!(
            later.elapsed() >= Duration::from_millis(99),
            "and is not saved up"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn no_rate_is_no_wait() {
        let start = Instant::now();
        for rate in [
            ConnectRate::unlimited(),
            ConnectRate::per_second(0.0),
            ConnectRate::per_second(f64::NAN),
        ] {
            for _ in 0..100 {
                rate.admitted().await;
            }
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
