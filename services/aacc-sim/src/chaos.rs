//! Faults at random, from a seed: the same seed makes the same decisions where it meets the same chats.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::book::Book;
use crate::fault::{Target, TextFault};
use crate::shared::Shared;
use crate::socket::Out;
use crate::views::Link;

/// A log longer than this is no record of a test any more.
const MOST_INJECTED: usize = 100_000;

/// What is done at random, and how often. None of the faults takes a text that AACC said it had: whoever keeps the
/// protocol loses nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Chaos {
    pub seed: u64,
    /// From one fault to the next.
    pub every_ms: u64,
    /// Without end if left out.
    pub for_ms: Option<u64>,
    /// The longest time that faults last which end by themselves; each lasts between a quarter of it and all of it.
    pub lasting_ms: u64,
    /// How likely each kind is beside the others. Kinds that are left out do not come; empty: all come, broken links most.
    pub weights: BTreeMap<ChaosKind, u32>,
}

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChaosKind {
    /// A chat's socket is closed with 1001.
    Close,
    /// A chat's socket is reset.
    Reset,
    BlackHole,
    HalfOpen,
    /// A chat's session is expired; its socket stays open.
    Expire,
    /// A chat's socket stands still for a while.
    Freeze,
    /// A chat's next text is never acknowledged.
    WithholdAck,
    /// A chat's next text is answered with `result: false`.
    RefuseText,
    /// A chat's next text is answered with error 500.
    InternalError,
    /// A chat's socket is closed after its next text, before the acknowledgement.
    CloseBeforeAck,
    /// New chats are refused with 503 for a while.
    Maintenance,
    /// All acknowledgements come late for a while.
    DelayAcks,
    /// No ping is answered for a while.
    IgnorePings,
}

const KINDS: [(ChaosKind, u32); 13] = [
    (ChaosKind::Close, 4),
    (ChaosKind::Reset, 4),
    (ChaosKind::BlackHole, 2),
    (ChaosKind::HalfOpen, 2),
    (ChaosKind::Expire, 1),
    (ChaosKind::Freeze, 2),
    (ChaosKind::WithholdAck, 2),
    (ChaosKind::RefuseText, 2),
    (ChaosKind::InternalError, 2),
    (ChaosKind::CloseBeforeAck, 2),
    (ChaosKind::Maintenance, 1),
    (ChaosKind::DelayAcks, 2),
    (ChaosKind::IgnorePings, 1),
];

impl Default for Chaos {
    fn default() -> Self {
        Chaos {
            seed: 1,
            every_ms: 1000,
            for_ms: None,
            lasting_ms: 2000,
            weights: BTreeMap::new(),
        }
    }
}

/// One fault that was injected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Injected {
    /// Milliseconds since the chaos began.
    pub at_ms: u64,
    pub kind: ChaosKind,
    /// The chat that was hit; none for faults that hit all.
    pub guid: Option<u64>,
    /// For faults that end by themselves.
    pub lasts_ms: Option<u64>,
}

/// What chaos does, or did last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChaosView {
    pub chaos: Chaos,
    pub running: bool,
    pub injected: Vec<Injected>,
}

/// One decision. The same numbers are drawn for each, whatever is there to be hit.
struct Decision {
    kind: ChaosKind,
    /// Which of the chats, modulo their number.
    which: u64,
    lasts: Duration,
}

impl Chaos {
    fn decide(&self, rng: &mut StdRng) -> Option<Decision> {
        let weights: Vec<(ChaosKind, u32)> = match self.weights.is_empty() {
            true => KINDS.to_vec(),
            false => self
                .weights
                .iter()
                .map(|(kind, weight)| (*kind, *weight))
                .collect(),
        };
        let total: u64 = weights.iter().map(|(_, weight)| u64::from(*weight)).sum();
        let (draw, which, lasting) = (rng.next_u64(), rng.next_u64(), rng.random_range(0.25..=1.0));
        let mut rest = draw.checked_rem(total)?;
        let (kind, _) = weights.into_iter().find(|(_, weight)| {
            let hit = rest < u64::from(*weight);
            rest = rest.saturating_sub(u64::from(*weight));
            hit
        })?;
        Some(Decision {
            kind,
            which,
            lasts: Duration::from_millis(self.lasting_ms).mul_f64(lasting),
        })
    }
}

/// Injects faults until the time is over or chaos number `run` is not the one that runs any more.
pub(crate) async fn run(shared: std::sync::Arc<Shared>, chaos: Chaos, run: u64) {
    let mut rng = StdRng::seed_from_u64(chaos.seed);
    let start = Instant::now();
    let mut ticks = interval(Duration::from_millis(chaos.every_ms.max(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let at = start.elapsed();
        let over = chaos.for_ms.is_some_and(|most| at >= Duration::from_millis(most));
        let decision = chaos.decide(&mut rng);
        let goes_on = shared.with(|book| {
            if book.chaos.run != run {
                return false;
            }
            match decision.filter(|_| !over) {
                Some(decision) => book.inject(decision, at),
                None => book.chaos.running = false,
            }
            book.chaos.running
        });
        if !goes_on {
            return;
        }
    }
}

/// The book's part of chaos.
#[derive(Default)]
pub(crate) struct ChaosLog {
    /// Counts the beginnings and the ends, so that a task knows whether it is still wanted.
    pub run: u64,
    pub running: bool,
    pub chaos: Option<Chaos>,
    injected: Vec<Injected>,
}

impl Book {
    pub fn chaos_view(&self) -> Option<ChaosView> {
        Some(ChaosView {
            chaos: self.chaos.chaos.clone()?,
            running: self.chaos.running,
            injected: self.chaos.injected.clone(),
        })
    }

    /// Ends chaos and the faults of its that last. Its log stays until the next begins.
    pub fn stop_chaos(&mut self) {
        self.chaos.run += 1;
        self.chaos.running = false;
        self.passing = Default::default();
    }

    /// Begins anew; returns the number of the run.
    pub fn begin_chaos(&mut self, chaos: Chaos) -> u64 {
        self.stop_chaos();
        self.chaos.running = true;
        self.chaos.chaos = Some(chaos);
        self.chaos.injected.clear();
        self.chaos.run
    }

    fn inject(&mut self, decision: Decision, at: Duration) {
        let until = Instant::now() + decision.lasts;
        let (guid, lasts) = match decision.kind {
            ChaosKind::Maintenance => {
                self.passing.start_maintenance(until);
                (None, true)
            }
            ChaosKind::IgnorePings => {
                self.passing.ignore_pings(until);
                (None, true)
            }
            ChaosKind::DelayAcks => {
                self.passing.delay_acks(until, decision.lasts / 4);
                (None, true)
            }
            kind => {
                let Some((guid, socket)) = self.victim(decision.which) else {
                    return;
                };
                self.hit(kind, guid, socket, decision.lasts);
                (Some(guid), kind == ChaosKind::Freeze)
            }
        };
        if self.chaos.injected.len() < MOST_INJECTED {
            self.chaos.injected.push(Injected {
                at_ms: at.as_millis() as u64,
                kind: decision.kind,
                guid,
                lasts_ms: lasts.then_some(decision.lasts.as_millis() as u64),
            });
        }
    }

    /// A chat with an open socket, and the socket.
    fn victim(&self, which: u64) -> Option<(u64, u64)> {
        let linked = || {
            self.chats.values().filter_map(|c| match c.link {
                Link::Open(socket) if !c.ended() => Some((c.guid, socket)),
                _ => None,
            })
        };
        let which = which.checked_rem(linked().count() as u64)?;
        linked().nth(which as usize)
    }

    fn hit(&mut self, kind: ChaosKind, guid: u64, socket: u64, lasts: Duration) {
        let target = Target::Chat(guid);
        let next_text = match kind {
            ChaosKind::WithholdAck => TextFault::WithholdAck,
            ChaosKind::RefuseText => TextFault::Refuse,
            ChaosKind::InternalError => TextFault::InternalError,
            ChaosKind::CloseBeforeAck => TextFault::CloseBeforeAck,
            ChaosKind::Close => return self.cut(socket, Out::Close(1001)),
            ChaosKind::Reset => return self.cut(socket, Out::Reset),
            ChaosKind::BlackHole => return self.cut(socket, Out::BlackHole),
            ChaosKind::HalfOpen => return self.cut(socket, Out::HalfOpen),
            ChaosKind::Expire => {
                self.expire(target);
                return;
            }
            ChaosKind::Freeze => {
                self.freeze(target, lasts);
                return;
            }
            ChaosKind::Maintenance | ChaosKind::DelayAcks | ChaosKind::IgnorePings => return,
        };
        if let Some(s) = self.sockets.get_mut(&socket) {
            s.next_text = Some(next_text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(chaos: &Chaos, n: usize) -> Vec<(ChaosKind, u64, Duration)> {
        let mut rng = StdRng::seed_from_u64(chaos.seed);
        let decide = || chaos.decide(&mut rng).map(|d| (d.kind, d.which, d.lasts));
        std::iter::repeat_with(decide).take(n).flatten().collect()
    }

    #[test]
    fn a_seed_decides_and_weights_count() {
        let chaos = Chaos::default();
        assert_eq!(kinds(&chaos, 500), kinds(&chaos, 500));
        let other = Chaos {
            seed: 2,
            ..chaos.clone()
        };
        assert_ne!(kinds(&chaos, 500), kinds(&other, 500));
        let seen: std::collections::BTreeSet<_> = kinds(&chaos, 500).into_iter().map(|d| d.0).collect();
        assert_eq!(seen.len(), KINDS.len(), "every kind comes");
        let lasting = kinds(&chaos, 500).into_iter().map(|d| d.2.as_millis());
        assert!(lasting.into_iter().all(|ms| (500..=2000).contains(&ms)));
        let weights = [
            (ChaosKind::Reset, 3),
            (ChaosKind::Close, 1),
            (ChaosKind::Expire, 0),
        ];
        let some = Chaos {
            weights: weights.into(),
            ..chaos
        };
        let drawn = kinds(&some, 4000);
        let resets = drawn.iter().filter(|d| d.0 == ChaosKind::Reset).count();
        assert!((2700..=3300).contains(&resets), "{resets}");
        assert!(drawn.iter().all(|d| d.0 != ChaosKind::Expire));
        let none = Chaos {
            weights: [(ChaosKind::Reset, 0)].into(),
            ..some
        };
        assert_eq!(kinds(&none, 10), []);
    }
}
