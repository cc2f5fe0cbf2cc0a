//! When a waiting customer's place in the queue is worth a text.
//!
//! AACC tells it only when asked (`queueStatus`), and the answers repeat themselves. The reference client asks once, 3.5 s
//! after login, and not at all if an agent joined before.

use std::time::{Duration, Instant};

use crate::frame::QueueStatus;

/// A wait longer than this is a figure nobody should be told.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// What a tenant lets its customers know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// From login to the first question. Default 3.5 s (Avaya's reference client).
    pub ask_first: Duration,
    /// Between two questions. Default 30 s (ours; the reference client asks once).
    pub ask_every: Duration,
    /// Between two texts. Default 120 s (ours).
    pub min_gap: Duration,
    /// A text is worth this many places, or minutes where AACC gives no place. Default 1; 0 counts as 1.
    pub min_change: u32,
    /// Tell too when it has become worse. Default false.
    pub worse_too: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            ask_first: Duration::from_millis(3_500),
            ask_every: Duration::from_secs(30),
            min_gap: Duration::from_secs(120),
            min_change: 1,
            worse_too: false,
        }
    }
}

/// What to tell the customer. One of the two at least is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tell {
    /// Counts from 1.
    pub position: Option<u32>,
    /// Rounded up, from 1.
    pub wait_minutes: Option<u32>,
}

impl Tell {
    /// `None` if the status says nothing: no place and no wait, or figures that cannot be.
    fn of(status: &QueueStatus) -> Option<Self> {
        let position = status.position_in_queue.and_then(|p| u32::try_from(p).ok());
        let seconds = status.estimated_wait_time_s.and_then(|s| u64::try_from(s).ok());
        let tell = Tell {
            position: position.filter(|p| *p > 0),
            wait_minutes: seconds
                .filter(|s| (1..=LONGEST_WAIT.as_secs()).contains(s))
                .and_then(|s| u32::try_from(s.div_ceil(60)).ok()),
        };
        (tell.position.is_some() || tell.wait_minutes.is_some()).then_some(tell)
    }

    /// Whether this is worth a text after `told`: the place decides, the wait only where no place is known.
    fn is_news_after(&self, told: &Tell, policy: &Policy) -> bool {
        let (new, old) = match (self.position, told.position) {
            (Some(new), Some(old)) => (new, old),
            // The first place after mere waits.
            (Some(_), None) => return true,
            (None, Some(_)) => return false,
            (None, None) => match (self.wait_minutes, told.wait_minutes) {
                (Some(new), Some(old)) => (new, old),
                _ => return false,
            },
        };
        let enough = new.abs_diff(old) >= policy.min_change.max(1);
        enough && (policy.worse_too || new < old)
    }
}

/// Asks and tells for one chat.
#[derive(Debug)]
pub struct QueueTeller {
    policy: Policy,
    asking: Asking,
    told: Option<Tell>,
    last: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asking {
    NotLoggedIn,
    At(Instant),
    /// An agent joined.
    Over,
}

impl QueueTeller {
    pub fn new(policy: Policy) -> Self {
        QueueTeller {
            policy,
            asking: Asking::NotLoggedIn,
            told: None,
            last: None,
        }
    }

    /// Goes on where another teller of this chat stopped; the gap counts from now.
    pub fn resume(told: Option<Tell>, policy: Policy, now: Instant) -> Self {
        QueueTeller {
            told,
            last: told.map(|_| now),
            ..QueueTeller::new(policy)
        }
    }

    /// The chat is open, or open again after a broken link.
    pub fn logged_in(&mut self, now: Instant) {
        if self.asking != Asking::Over {
            self.asking = Asking::At(now + self.policy.ask_first);
        }
    }

    /// An agent joined: nothing is asked or told any more in this chat.
    pub fn agent_joined(&mut self) {
        self.asking = Asking::Over;
    }

    /// When to ask for the place in the queue (`Session::ask_queue_status`).
    pub fn ask_at(&self) -> Option<Instant> {
        match self.asking {
            Asking::At(at) => Some(at),
            Asking::NotLoggedIn | Asking::Over => None,
        }
    }

    /// Whether to ask now; the next time is set.
    pub fn ask(&mut self, now: Instant) -> bool {
        let due = self.ask_at().is_some_and(|at| at <= now);
        if due {
            self.asking = Asking::At(now + self.policy.ask_every.max(Duration::from_secs(1)));
        }
        due
    }

    /// Takes AACC's answer; `Some` if it is worth a text, which counts as told. What comes inside the gap is left out: the
    /// next answer tells it.
    pub fn on_status(&mut self, status: &QueueStatus, now: Instant) -> Option<Tell> {
        if self.asking == Asking::Over {
            return None;
        }
        let tell = Tell::of(status)?;
        let early = self
            .last
            .is_some_and(|last| now.saturating_duration_since(last) < self.policy.min_gap);
        let news = self
            .told
            .is_none_or(|told| tell.is_news_after(&told, &self.policy));
        if early || !news {
            return None;
        }
        self.told = Some(tell);
        self.last = Some(now);
        Some(tell)
    }

    /// What was told last, to be stored for [`QueueTeller::resume`].
    pub fn told(&self) -> Option<Tell> {
        self.told
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: Duration = Duration::from_secs(1);

    fn epoch() -> Instant {
        #[allow(clippy::disallowed_methods)]
        Instant::now()
    }

    fn status(position: i64, wait_s: i64) -> QueueStatus {
        QueueStatus {
            position_in_queue: Some(position),
            estimated_wait_time_s: Some(wait_s),
        }
    }

    fn tell(position: u32, minutes: u32) -> Option<Tell> {
        Some(Tell {
            position: Some(position),
            wait_minutes: Some(minutes),
        })
    }

    #[test]
    fn asked_after_login_then_at_a_pace_and_not_once_an_agent_joined() {
        let start = epoch();
        let mut teller = QueueTeller::new(Policy::default());
        assert_eq!(teller.ask_at(), None, "not logged in");
        assert!(!teller.ask(start));
        teller.logged_in(start);
        let first = start + Duration::from_millis(3_500);
        assert_eq!(teller.ask_at(), Some(first));
        assert!(!teller.ask(start));
        assert!(teller.ask(first));
        assert_eq!(teller.ask_at(), Some(first + 30 * S));
        teller.logged_in(start + 10 * S);
        assert_eq!(
            teller.ask_at(),
            Some(start + 10 * S + Duration::from_millis(3_500))
        );
        teller.agent_joined();
        teller.logged_in(start + 50 * S);
        assert_eq!(teller.ask_at(), None);
        assert_eq!(teller.on_status(&status(1, 60), start + 60 * S), None);
    }

    #[test]
    fn only_news_is_told() {
        let start = epoch();
        let mut teller = QueueTeller::new(Policy::default());
        let mut at = |s: u32, position, wait| teller.on_status(&status(position, wait), start + s * S);
        assert_eq!(at(0, 5, 301), tell(5, 6), "minutes are rounded up");
        assert_eq!(at(60, 4, 200), None, "too early");
        assert_eq!(at(120, 4, 200), tell(4, 4));
        assert_eq!(at(300, 4, 100), None, "the same place");
        assert_eq!(at(400, 6, 500), None, "worse");
        assert_eq!(at(500, 4, 100), None, "told before");
        assert_eq!(at(600, 3, 60), tell(3, 1));
        assert_eq!(at(800, 0, 0), None, "says nothing");
        assert_eq!(at(800, -1, -1), None);
        assert_eq!(
            at(900, 2, i64::MAX),
            Some(Tell {
                position: Some(2),
                wait_minutes: None
            })
        );
    }

    #[test]
    fn a_tenant_can_ask_for_more_or_less() {
        let start = epoch();
        let policy = Policy {
            min_gap: Duration::ZERO,
            min_change: 3,
            worse_too: true,
            ..Policy::default()
        };
        let mut teller = QueueTeller::new(policy);
        let mut at = |position| {
            teller
                .on_status(&status(position, 0), start)
                .and_then(|t| t.position)
        };
        assert_eq!(
            [9, 7, 6, 8, 9, 9].map(&mut at),
            [Some(9), None, Some(6), None, Some(9), None]
        );
    }

    #[test]
    fn a_wait_alone_is_told_and_a_place_after_it_too() {
        let start = epoch();
        let policy = Policy {
            min_gap: Duration::ZERO,
            ..Policy::default()
        };
        let mut teller = QueueTeller::new(policy);
        let mut at = |position_in_queue, wait| {
            let status = QueueStatus {
                position_in_queue,
                estimated_wait_time_s: wait,
            };
            teller.on_status(&status, start).is_some()
        };
        assert!(!at(None, None));
        assert!(at(None, Some(130)));
        assert!(!at(None, Some(125)));
        assert!(at(None, Some(120)));
        assert!(at(Some(2), Some(120)));
        assert!(!at(None, Some(60)), "a place was told");
    }

    #[test]
    fn another_pod_does_not_tell_it_again() {
        let start = epoch();
        let told = tell(4, 4);
        let mut teller = QueueTeller::resume(told, Policy::default(), start);
        assert_eq!(teller.told(), told);
        assert_eq!(
            teller.on_status(&status(3, 60), start + 60 * S),
            None,
            "too early"
        );
        assert_eq!(teller.on_status(&status(4, 60), start + 120 * S), None);
        assert_eq!(teller.on_status(&status(3, 60), start + 120 * S), tell(3, 1));
        let mut fresh = QueueTeller::resume(None, Policy::default(), start);
        assert_eq!(fresh.on_status(&status(3, 60), start), tell(3, 1));
    }

    proptest! {
        #[test]
        fn never_too_often_never_twice_never_worse(
            gap in 0..300u32,
            min_change in 0..4u32,
            worse_too in any::<bool>(),
            answers in prop::collection::vec((0..200u32, -2..12i64, -60..900i64), 0..60),
        ) {
            let policy = Policy { min_gap: gap * S, min_change, worse_too, ..Policy::default() };
            let mut now = epoch();
            let mut teller = QueueTeller::new(policy);
            let mut last: Option<(Instant, Tell)> = None;
            for (pause, position, wait) in answers {
                now += pause * S;
                let Some(tell) = teller.on_status(&status(position, wait), now) else { continue };
                if let Some((at, before)) = last {
                    prop_assert!(now - at >= policy.min_gap);
                    prop_assert_ne!(tell, before);
                    if !worse_too && let (Some(new), Some(old)) = (tell.position, before.position) {
                        prop_assert!(new + min_change.max(1) <= old);
                    }
                }
                last = Some((now, tell));
            }
        }
    }
}
