//! A breaker per provider account, so that a provider that is down is asked by one text now and then and not by all. Pure:
//! time and randomness are arguments.

use crate::backoff;
use ccm_model::AccountId;
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};
use tokio::time::Instant;

/// Retryable failures in a row, over all conversations of an account, after which it is paused.
const TRIPS_AT: u32 = 5;
/// How soon the other texts look again whether the one that tries has found the provider back.
const RECHECK: Duration = Duration::from_secs(2);

/// What is known of the accounts.
#[derive(Debug)]
pub(crate) struct Circuits {
    failing: HashMap<AccountId, Circuit>,
    /// Those that have worked since this process began.
    working: HashSet<AccountId>,
    /// How long the one text that tries may take before another one does.
    patience: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Circuit {
    /// Failures in a row, too few to mean anything.
    Failing { failures: u32 },
    /// Nothing goes out until then; the first text after it tries.
    Paused { until: Instant, pauses: u32 },
    /// One text tries. Should nothing be heard of it until then, another one does.
    Trying { until: Instant, pauses: u32 },
}

/// What an attempt has shown of the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The provider answers, be it that it refuses this text.
    Works,
    /// It failed in a way that passes; it may have asked for patience.
    Fails { asked: Option<Duration> },
}

/// What changed for the account, to be told to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Paused {
        pause: Duration,
    },
    Recovered,
    /// It works, and nothing was known of it here: it may have failed until another process ended.
    Works,
}

impl Circuits {
    pub fn new(patience: Duration) -> Self {
        Self {
            failing: HashMap::new(),
            working: HashSet::new(),
            patience,
        }
    }

    /// For how long a text of the account is to be put back; `None`: it may go out now.
    pub fn paused(&mut self, account: AccountId, now: Instant, random: u64) -> Option<Duration> {
        let circuit = self.failing.get_mut(&account)?;
        match *circuit {
            Circuit::Failing { .. } => None,
            Circuit::Paused { until, .. } if now < until => {
                Some(until - now + backoff::share(RECHECK, random))
            }
            Circuit::Trying { until, .. } if now < until => {
                Some(RECHECK / 2 + backoff::share(RECHECK, random))
            }
            Circuit::Paused { pauses, .. } | Circuit::Trying { pauses, .. } => {
                *circuit = Circuit::Trying {
                    until: now + self.patience,
                    pauses,
                };
                None
            }
        }
    }

    /// Whether nothing goes to the account at the moment. Unlike [`Circuits::paused`] it picks no text to try.
    pub fn is_paused(&self, account: AccountId) -> bool {
        matches!(self.failing.get(&account), Some(Circuit::Paused { .. }))
    }

    /// Takes note of an attempt's end.
    pub fn seen(&mut self, account: AccountId, seen: Seen, now: Instant, random: u64) -> Option<Change> {
        let asked = match seen {
            Seen::Works => {
                let first = self.working.insert(account);
                return match self.failing.remove(&account) {
                    Some(Circuit::Paused { .. } | Circuit::Trying { .. }) => Some(Change::Recovered),
                    Some(Circuit::Failing { .. }) | None => first.then_some(Change::Works),
                };
            }
            Seen::Fails { asked } => asked,
        };
        let circuit = self
            .failing
            .entry(account)
            .or_insert(Circuit::Failing { failures: 0 });
        let pauses = match circuit {
            Circuit::Failing { failures } if *failures + 1 < TRIPS_AT => {
                *failures += 1;
                return None;
            }
            Circuit::Failing { .. } => 1,
            // A straggler from before the pause.
            Circuit::Paused { .. } => return None,
            Circuit::Trying { pauses, .. } => pauses.saturating_add(1),
        };
        let pause = backoff::pause(pauses, asked, random);
        *circuit = Circuit::Paused {
            until: now + pause,
            pauses,
        };
        (pauses == 1).then_some(Change::Paused { pause })
    }

    /// How many accounts nothing goes to.
    pub fn paused_accounts(&self) -> usize {
        self.failing
            .values()
            .filter(|c| !matches!(c, Circuit::Failing { .. }))
            .count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILS: Seen = Seen::Fails { asked: None };
    const PATIENCE: Duration = Duration::from_secs(15);

    fn account(n: u128) -> AccountId {
        AccountId(uuid::Uuid::from_u128(n))
    }

    fn tripped(now: Instant) -> Circuits {
        let mut circuits = Circuits::new(PATIENCE);
        for n in 1..TRIPS_AT {
            assert_eq!(circuits.seen(account(1), FAILS, now, 0), None, "failure {n}");
            assert_eq!(circuits.paused(account(1), now, 0), None, "failure {n}");
        }
        let change = circuits.seen(account(1), FAILS, now, 0);
        assert_eq!(
            change,
            Some(Change::Paused {
                pause: Duration::from_millis(500)
            })
        );
        circuits
    }

    #[tokio::test(start_paused = true)]
    async fn a_failing_account_is_paused_and_others_are_not() {
        let now = Instant::now();
        let mut circuits = tripped(now);
        assert_eq!(
            circuits.paused(account(1), now, 0),
            Some(Duration::from_millis(500))
        );
        assert_eq!(circuits.paused(account(2), now, 0), None);
        assert_eq!(circuits.paused_accounts(), 1);
        assert!(circuits.is_paused(account(1)) && !circuits.is_paused(account(2)));
    }

    #[tokio::test(start_paused = true)]
    async fn after_the_pause_one_text_tries_and_its_success_lets_all_through() {
        let now = Instant::now();
        let mut circuits = tripped(now);
        let later = now + Duration::from_millis(500);
        assert_eq!(circuits.paused(account(1), later, 0), None, "this one tries");
        assert_eq!(
            circuits.paused(account(1), later, 0),
            Some(RECHECK / 2),
            "the others wait"
        );
        assert_eq!(
            circuits.seen(account(1), Seen::Works, later, 0),
            Some(Change::Recovered)
        );
        assert_eq!(circuits.paused(account(1), later, 0), None);
        assert_eq!(circuits.seen(account(1), Seen::Works, later, 0), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_try_makes_the_pause_longer_and_is_not_told_again() {
        let mut now = Instant::now();
        let mut circuits = tripped(now);
        for expected_ms in [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
            now += circuits.paused(account(1), now, 0).expect("is paused");
            assert_eq!(circuits.paused(account(1), now, 0), None);
            assert_eq!(circuits.seen(account(1), FAILS, now, 0), None);
            let pause = Duration::from_millis(expected_ms);
            assert_eq!(circuits.paused(account(1), now, 0), Some(pause));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn stragglers_do_not_lengthen_a_pause_and_a_try_that_vanished_is_replaced() {
        let mut now = Instant::now();
        let mut circuits = tripped(now);
        assert_eq!(circuits.seen(account(1), FAILS, now, u64::MAX), None);
        assert_eq!(
            circuits.paused(account(1), now, 0),
            Some(Duration::from_millis(500))
        );
        now += Duration::from_millis(500);
        assert_eq!(circuits.paused(account(1), now, 0), None);
        now += PATIENCE;
        assert_eq!(
            circuits.paused(account(1), now, 0),
            None,
            "the first try was never heard of again"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_provider_is_left_alone_for_as_long_as_it_asked() {
        let now = Instant::now();
        let mut circuits = Circuits::new(PATIENCE);
        let asked = Duration::from_secs(30);
        for _ in 0..TRIPS_AT {
            circuits.seen(account(1), Seen::Fails { asked: Some(asked) }, now, 0);
        }
        assert_eq!(circuits.paused(account(1), now, 0), Some(asked));
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_success_is_told_once() {
        let now = Instant::now();
        let mut circuits = Circuits::new(PATIENCE);
        circuits.seen(account(1), FAILS, now, 0);
        assert_eq!(
            circuits.seen(account(1), Seen::Works, now, 0),
            Some(Change::Works)
        );
        assert_eq!(circuits.seen(account(1), Seen::Works, now, 0), None);
        assert_eq!(
            circuits.seen(account(2), Seen::Works, now, 0),
            Some(Change::Works)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_in_between_starts_the_count_again() {
        let now = Instant::now();
        let mut circuits = Circuits::new(PATIENCE);
        for _ in 0..3 {
            for _ in 1..TRIPS_AT {
                circuits.seen(account(1), FAILS, now, 0);
            }
            circuits.seen(account(1), Seen::Works, now, 0);
        }
        assert_eq!(circuits.paused(account(1), now, 0), None);
    }
}
