//! How fast a number may send.

use serde::{Deserialize, Serialize};

/// A number's limit. Twilio counts segments per second and sender, too
/// (<https://www.twilio.com/docs/api/errors/21611>), but queues for hours what comes faster; here it is refused and counted, so
/// that a test can tell.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    pub segments_per_second: f64,
    /// How many segments may come at once; if left out, those of a tenth of a second, two at least.
    #[serde(default)]
    pub burst: Option<f64>,
}

impl Rate {
    pub(crate) fn is_sound(&self) -> bool {
        let sound = |n: f64| n.is_finite() && n > 0.0;
        sound(self.segments_per_second) && self.burst.is_none_or(sound)
    }
}

/// What may be sent now.
#[derive(Debug)]
pub(crate) struct Bucket {
    pub rate: Rate,
    burst: f64,
    segments: f64,
    at_ns: u64,
}

impl Bucket {
    pub fn new(rate: Rate, now_ns: u64) -> Self {
        let burst = rate
            .burst
            .unwrap_or_else(|| (rate.segments_per_second / 10.0).ceil().max(2.0));
        Self {
            rate,
            burst,
            segments: burst,
            at_ns: now_ns,
        }
    }

    /// Takes the segments of a text, or says for how many seconds to wait. A text with more segments than are there is
    /// paid for afterwards: it goes out in one piece.
    pub fn take(&mut self, segments: usize, now_ns: u64) -> Result<(), u32> {
        let passed_s = now_ns.saturating_sub(self.at_ns) as f64 / 1e9;
        self.at_ns = self.at_ns.max(now_ns);
        self.segments = (self.segments + passed_s * self.rate.segments_per_second).min(self.burst);
        let needed = self.burst.min(1.0);
        // What rounding takes away is no violation.
        if self.segments + 1e-6 < needed {
            let wait_s = (needed - self.segments) / self.rate.segments_per_second;
            return Err((wait_s.ceil() as u32).max(1));
        }
        self.segments -= segments as f64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn rate(segments_per_second: f64, burst: Option<f64>) -> Rate {
        Rate {
            segments_per_second,
            burst,
        }
    }

    #[test]
    fn a_steady_sender_is_let_through_and_a_hasty_one_is_not() {
        let mut bucket = Bucket::new(rate(10.0, None), 0);
        for n in 0..1000 {
            assert_eq!(bucket.take(1, n * SECOND / 10), Ok(()), "{n}");
        }
        let now = 100 * SECOND;
        let taken = (0..10).filter(|_| bucket.take(1, now).is_ok()).count();
        assert_eq!(taken, 2, "the burst");
        assert_eq!(bucket.take(1, now), Err(1));
        assert_eq!(bucket.take(1, now + SECOND / 10), Ok(()));
    }

    #[test]
    fn a_long_text_goes_in_one_piece_and_is_paid_for_afterwards() {
        let mut bucket = Bucket::new(rate(1.0, Some(2.0)), 0);
        assert_eq!(bucket.take(10, 0), Ok(()));
        assert_eq!(bucket.take(1, 0), Err(9));
        assert_eq!(bucket.take(1, 8 * SECOND), Err(1));
        assert_eq!(bucket.take(1, 9 * SECOND), Ok(()));
        assert!(!rate(0.0, None).is_sound() && !rate(1.0, Some(f64::NAN)).is_sound());
    }
}
