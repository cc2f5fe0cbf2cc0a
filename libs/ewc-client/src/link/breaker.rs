//! When an endpoint that fails is left alone, and when it is tried again. No IO, no clock: time is an argument.

use std::time::{Duration, Instant};

/// How a breaker judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// This many failures in a row open it.
    pub threshold: u32,
    /// It stays open for a random time between zero and `open_base × 2^round` ("full jitter"), at most `open_cap`.
    pub open_base: Duration,
    pub open_cap: Duration,
    /// A probe that has no outcome by then has failed: its chat may stand still.
    pub probe_patience: Duration,
}

/// The circuit breaker of one endpoint.
#[derive(Debug, Clone)]
pub(super) struct Breaker {
    state: State,
    limits: Limits,
    random: u64,
    probes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Everybody may dial; so many failed in a row.
    Closed { failures: u32 },
    /// Nobody may, until then.
    Open { until: Instant, round: u32 },
    /// One may: the probe. `None`: the role is to be had.
    HalfOpen { round: u32, probe: Option<Probe> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Probe {
    id: ProbeId,
    until: Instant,
}

/// One probe: what a probe says that has been given up is not heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ProbeId(u64);

/// The answer to who wants to dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    Go,
    /// Alone: say how it went with `succeeded`, `failed` or `dropped`.
    Probe(ProbeId),
    /// Ask again then, or when something has changed.
    Wait(Instant),
}

impl Breaker {
    /// Closed. `seed` is for the jitter.
    pub fn new(limits: Limits, seed: u64) -> Self {
        Breaker {
            state: State::Closed { failures: 0 },
            limits,
            random: seed,
            probes: 0,
        }
    }

    #[cfg(test)]
    pub fn state(&self) -> State {
        self.state
    }

    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }

    /// Whether a probe is under way.
    pub fn is_probing(&self) -> bool {
        matches!(self.state, State::HalfOpen { probe: Some(_), .. })
    }

    /// Gives a probe up that takes too long.
    pub fn expire(&mut self, now: Instant) {
        if let State::HalfOpen {
            round,
            probe: Some(probe),
        } = self.state
            && probe.until <= now
        {
            self.open(round.saturating_add(1), now);
        }
    }

    /// Somebody wants to dial.
    pub fn ask(&mut self, now: Instant) -> Ask {
        self.expire(now);
        match self.state {
            State::Closed { .. } => Ask::Go,
            State::Open { until, .. } if until > now => Ask::Wait(until),
            State::HalfOpen {
                probe: Some(probe), ..
            } => Ask::Wait(probe.until),
            State::Open { round, .. } | State::HalfOpen { round, probe: None } => {
                self.probes += 1;
                let id = ProbeId(self.probes);
                let until = now + self.limits.probe_patience;
                self.state = State::HalfOpen {
                    round,
                    probe: Some(Probe { id, until }),
                };
                Ask::Probe(id)
            }
        }
    }

    /// The probe has come half way: its time begins anew.
    pub fn goes_on(&mut self, id: ProbeId, now: Instant) {
        let until = now + self.limits.probe_patience;
        if let Some(probe) = self.probe(id) {
            probe.until = until;
        }
    }

    /// A chat got in: by whichever way, the endpoint works.
    pub fn succeeded(&mut self) {
        self.state = State::Closed { failures: 0 };
    }

    /// A chat did not get in. While it is not closed only the probe's word counts: others were let go before.
    pub fn failed(&mut self, id: Option<ProbeId>, now: Instant) {
        match self.state {
            State::Closed { failures } if failures + 1 < self.limits.threshold => {
                self.state = State::Closed {
                    failures: failures + 1,
                };
            }
            State::Closed { .. } => self.open(0, now),
            State::HalfOpen {
                round,
                probe: Some(probe),
            } if id == Some(probe.id) => self.open(round.saturating_add(1), now),
            State::Open { .. } | State::HalfOpen { .. } => {}
        }
    }

    /// Who had the role has gone without an outcome: the next who asks has it.
    pub fn dropped(&mut self, id: ProbeId) {
        if let State::HalfOpen { probe, .. } = &mut self.state {
            probe.take_if(|probe| probe.id == id);
        }
    }

    fn probe(&mut self, id: ProbeId) -> Option<&mut Probe> {
        match &mut self.state {
            State::HalfOpen {
                probe: Some(probe), ..
            } if probe.id == id => Some(probe),
            _ => None,
        }
    }

    fn open(&mut self, round: u32, now: Instant) {
        let Limits {
            open_base, open_cap, ..
        } = self.limits;
        let ceiling = open_base.saturating_mul(2u32.saturating_pow(round)).min(open_cap);
        let until = now + ceiling.mul_f64(self.random());
        self.state = State::Open { until, round };
    }

    /// Between 0 and 1 (SplitMix64).
    fn random(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits {
        threshold: 3,
        open_base: Duration::from_secs(1),
        open_cap: Duration::from_secs(30),
        probe_patience: Duration::from_secs(60),
    };

    fn start() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn opened(now: Instant) -> Breaker {
        let mut breaker = Breaker::new(LIMITS, 1);
        for _ in 0..LIMITS.threshold {
            assert_eq!(breaker.ask(now), Ask::Go);
            breaker.failed(None, now);
        }
        breaker
    }

    /// The probe of an open breaker, after the wait.
    fn probe(breaker: &mut Breaker, now: &mut Instant) -> ProbeId {
        loop {
            match breaker.ask(*now) {
                Ask::Probe(id) => return id,
                Ask::Wait(until) => *now = (*now).max(until),
                Ask::Go => panic!("it is closed"),
            }
        }
    }

    #[test]
    fn it_opens_at_the_threshold_of_failures_in_a_row() {
        let now = start();
        let mut breaker = Breaker::new(LIMITS, 1);
        breaker.failed(None, now);
        breaker.failed(None, now);
        breaker.succeeded();
        breaker.failed(None, now);
        breaker.failed(None, now);
        assert_eq!(breaker.state(), State::Closed { failures: 2 });
        breaker.failed(None, now);
        assert!(
            matches!(breaker.state(), State::Open { round: 0, until } if until <= now + LIMITS.open_base)
        );
    }

    #[test]
    fn one_probe_alone_closes_or_opens_it_again() {
        let mut now = start();
        let mut breaker = opened(now);
        let id = probe(&mut breaker, &mut now);
        assert!(matches!(breaker.ask(now), Ask::Wait(_)), "one is enough");
        breaker.failed(None, now);
        assert!(breaker.is_probing(), "an old dial's failure says nothing");
        breaker.failed(Some(id), now);
        assert!(matches!(breaker.state(), State::Open { round: 1, .. }));
        let next = probe(&mut breaker, &mut now);
        assert_ne!(id, next);
        breaker.failed(Some(id), now);
        breaker.dropped(id);
        assert!(breaker.is_probing(), "the first probe is over");
        breaker.succeeded();
        assert_eq!(breaker.ask(now), Ask::Go);
    }

    #[test]
    fn the_role_of_a_dropped_probe_is_taken_over_at_once() {
        let mut now = start();
        let mut breaker = opened(now);
        let id = probe(&mut breaker, &mut now);
        breaker.dropped(id);
        assert!(matches!(breaker.ask(now), Ask::Probe(_)));
    }

    #[test]
    fn a_probe_without_an_outcome_has_failed_in_time() {
        let mut now = start();
        let mut breaker = opened(now);
        let id = probe(&mut breaker, &mut now);
        now += LIMITS.probe_patience - Duration::from_millis(1);
        breaker.goes_on(id, now);
        now += LIMITS.probe_patience - Duration::from_millis(1);
        breaker.expire(now);
        assert!(breaker.is_probing());
        now += Duration::from_millis(1);
        breaker.expire(now);
        assert!(matches!(breaker.state(), State::Open { round: 1, .. }));
    }

    #[test]
    fn waits_grow_to_the_cap_and_are_spread() {
        let mut now = start();
        let mut breaker = opened(now);
        let mut waits = Vec::new();
        for _ in 0..2_000 {
            let State::Open { until, .. } = breaker.state() else {
                panic!()
            };
            waits.push(until - now);
            let id = probe(&mut breaker, &mut now);
            breaker.failed(Some(id), now);
        }
        assert!(waits.iter().all(|wait| *wait <= LIMITS.open_cap));
        let late = &waits[10..];
        let mean = late.iter().sum::<Duration>() / late.len() as u32;
        assert!((14..=16).contains(&mean.as_secs()), "{mean:?}");
        assert!(late.iter().any(|wait| *wait > Duration::from_secs(29)));
        assert!(late.iter().any(|wait| *wait < Duration::from_secs(1)));
    }

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Ask,
        Pass(u64),
        Fail,
        ProbeFails,
        ProbeDrops,
        ProbeGoesOn,
        Succeed,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => Just(Step::Ask),
            3 => (0..70_000u64).prop_map(Step::Pass),
            4 => Just(Step::Fail),
            2 => Just(Step::ProbeFails),
            1 => Just(Step::ProbeDrops),
            1 => Just(Step::ProbeGoesOn),
            1 => Just(Step::Succeed),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn never_two_probes_and_never_open_for_ever(seed: u64, steps in prop::collection::vec(step(), 1..200)) {
            let mut now = start();
            let mut breaker = Breaker::new(LIMITS, seed);
            // Who has the role by our own books, and until when.
            let mut role: Option<(ProbeId, Instant)> = None;
            for step in steps {
                match step {
                    Step::Ask => match breaker.ask(now) {
                        Ask::Probe(id) => {
                            prop_assert!(role.is_none_or(|(_, until)| until <= now), "two probes");
                            role = Some((id, now + LIMITS.probe_patience));
                        }
                        Ask::Wait(until) => {
                            prop_assert!(until > now && until <= now + LIMITS.probe_patience.max(LIMITS.open_cap));
                        }
                        Ask::Go => prop_assert!(breaker.is_closed()),
                    },
                    Step::Pass(ms) => now += Duration::from_millis(ms),
                    Step::Fail => breaker.failed(None, now),
                    Step::ProbeFails => if let Some((id, _)) = role.take() { breaker.failed(Some(id), now) },
                    Step::ProbeDrops => if let Some((id, _)) = role.take() { breaker.dropped(id) },
                    Step::ProbeGoesOn => if let Some((id, until)) = &mut role && *until > now {
                        breaker.goes_on(*id, now);
                        if breaker.is_probing() {
                            *until = now + LIMITS.probe_patience;
                        }
                    },
                    Step::Succeed => { breaker.succeeded(); role = None; }
                }
            }
            // Whatever has happened: who asks on gets a turn, within a probe's patience and the longest wait.
            let latest = now + LIMITS.probe_patience + LIMITS.open_cap;
            while let Ask::Wait(until) = breaker.ask(now) {
                prop_assert!(until > now);
                now = until;
            }
            prop_assert!(now <= latest);
        }
    }
}
