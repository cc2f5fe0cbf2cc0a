//! How long a text waits for its next attempt. Pure: randomness is an argument.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);
/// A provider that asks for more patience than this is asked again after it all the same.
const LONGEST_ASKED: Duration = Duration::from_secs(60 * 60);

/// Exponential with full jitter: anything from nothing to 1 s after the first failure, to 2 s after the second, … to 60 s.
/// What the provider asked for comes on top, so that its texts do not all come back at the same instant.
pub(crate) fn delay(failures: u32, asked: Option<Duration>, random: u64) -> Duration {
    least(asked) + share(ceiling(failures), random)
}

/// For how long nothing goes to an account that is paused for the `pauses`-th time in a row: half to all of 1 s, 2 s, …
/// 60 s, and at least what the provider asked for.
pub(crate) fn pause(pauses: u32, asked: Option<Duration>, random: u64) -> Duration {
    let half = ceiling(pauses) / 2;
    least(asked).max(half + share(half, random))
}

fn least(asked: Option<Duration>) -> Duration {
    asked.unwrap_or_default().min(LONGEST_ASKED)
}

/// A random share of `whole`.
pub(crate) fn share(whole: Duration, random: u64) -> Duration {
    whole.mul_f64(random as f64 / u64::MAX as f64)
}

fn ceiling(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    (FIRST * (1 << doublings)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_a_minute_and_jitters_over_all_of_it() {
        let seconds = |s| Duration::from_secs(s);
        assert_eq!(delay(1, None, u64::MAX), seconds(1));
        assert_eq!(delay(2, None, u64::MAX), seconds(2));
        assert_eq!(delay(6, None, u64::MAX), seconds(32));
        assert_eq!(delay(7, None, u64::MAX), seconds(60));
        assert_eq!(delay(u32::MAX, None, u64::MAX), seconds(60));
        assert_eq!(delay(9, None, 0), seconds(0));
        assert!((delay(7, None, u64::MAX / 2).as_secs_f64() - 30.0).abs() < 0.001);
        assert_eq!(pause(1, None, 0), Duration::from_millis(500));
        assert_eq!(pause(40, None, u64::MAX), seconds(60));
    }

    #[test]
    fn what_the_provider_asked_for_is_waited_at_least() {
        let asked = Some(Duration::from_secs(17));
        assert_eq!(delay(1, asked, 0), Duration::from_secs(17));
        assert_eq!(delay(1, asked, u64::MAX), Duration::from_secs(18));
        assert_eq!(delay(1, Some(Duration::from_secs(86_400)), 0), LONGEST_ASKED);
    }
}
