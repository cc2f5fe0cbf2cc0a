//! Who may dial where: two endpoints, their breakers, fail-over and fail-back. No IO, no clock: time is an argument.

use std::time::Instant;

use super::breaker::{Ask, Breaker, Limits, ProbeId};
use super::status::{Counts, LinkState, Which};

/// The rules of one link.
#[derive(Debug)]
pub(super) struct Gate {
    primary: Breaker,
    secondary: Option<Breaker>,
    active: Which,
    held: bool,
    /// A chat has got in, and nothing has stopped the link since.
    up: bool,
    /// Since when no endpoint can be dialled freely.
    down_since: Option<tokio::time::Instant>,
    last: Failure,
    pub counts: Counts,
}

/// Why a chat did not get in, for an operator.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Failure {
    pub why: String,
    pub remedy: &'static str,
}

/// The answer to who wants to dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Permit {
    Go(Which),
    /// Alone, and first by asking less than a chat.
    Probe(Which, ProbeId),
    /// Ask again then (`None`: no time is known), or when something has changed.
    Wait(Option<Instant>),
}

impl Gate {
    pub fn new(limits: Limits, has_secondary: bool, seed: u64) -> Self {
        Gate {
            primary: Breaker::new(limits, seed),
            // Not the same waits for both.
            secondary: has_secondary.then(|| Breaker::new(limits, !seed)),
            active: Which::Primary,
            held: false,
            up: false,
            down_since: None,
            last: Failure::default(),
            counts: Counts::default(),
        }
    }

    pub fn active(&self) -> Which {
        self.active
    }

    pub fn is_held(&self) -> bool {
        self.held
    }

    pub fn hold(&mut self, held: bool) {
        self.held = held;
    }

    pub fn state(&self) -> LinkState {
        match self.down_since {
            _ if self.held => LinkState::Held,
            Some(since) if self.is_probing() => LinkState::HalfOpen { since },
            Some(since) => LinkState::Down {
                since,
                why: self.last.why.clone(),
                remedy: self.last.remedy,
            },
            None if self.up => LinkState::Up,
            None => LinkState::Unknown,
        }
    }

    /// Whether dials may be waiting for an endpoint to come back.
    pub fn is_blocked(&self) -> bool {
        self.down_since.is_some()
    }

    /// Somebody wants to dial.
    pub fn ask(&mut self, now: Instant) -> Permit {
        if self.held {
            return Permit::Wait(None);
        }
        self.expire(now);
        if self.breaker(self.active).is_closed() {
            return Permit::Go(self.active);
        }
        // One probe at a time, whichever endpoint it is for.
        let probing = Which::BOTH.into_iter().find(|which| self.is_probing_at(*which));
        let order = probing.map_or(Which::BOTH.to_vec(), |which| vec![which]);
        let mut wait: Option<Instant> = None;
        for which in order {
            match self.breaker_mut(which).map(|breaker| breaker.ask(now)) {
                Some(Ask::Go) => return Permit::Go(which),
                Some(Ask::Probe(id)) => return Permit::Probe(which, id),
                Some(Ask::Wait(until)) => wait = Some(wait.map_or(until, |wait| wait.min(until))),
                None => {}
            }
        }
        Permit::Wait(wait)
    }

    /// The probe's first question was answered: now its chat decides.
    pub fn goes_on(&mut self, which: Which, id: ProbeId, now: Instant) {
        if let Some(breaker) = self.breaker_mut(which) {
            breaker.goes_on(id, now);
        }
    }

    /// A chat got in.
    pub fn succeeded(&mut self, which: Which) {
        let Some(breaker) = self.breaker_mut(which) else {
            return;
        };
        breaker.succeeded();
        self.up = true;
        self.down_since = None;
        if !self.breaker(self.active).is_closed() {
            self.switch_to(which);
        }
    }

    /// A chat did not get in.
    pub fn failed(
        &mut self,
        which: Which,
        probe: Option<ProbeId>,
        failure: Failure,
        now: tokio::time::Instant,
    ) {
        self.counts.failures += 1;
        self.last = failure;
        if let Some(breaker) = self.breaker_mut(which) {
            breaker.failed(probe, now.into_std());
        }
        if self.breaker(self.active).is_closed() {
            return;
        }
        let other = self.active.other();
        if self.has(other) && self.breaker(other).is_closed() {
            self.switch_to(other);
        } else {
            self.up = false;
            self.down_since.get_or_insert(now);
        }
    }

    /// A probe's owner has gone without an outcome.
    pub fn dropped(&mut self, which: Which, probe: ProbeId) {
        if let Some(breaker) = self.breaker_mut(which) {
            breaker.dropped(probe);
        }
    }

    /// The primary has answered often enough: new dials go there again.
    pub fn fail_back(&mut self) {
        self.primary.succeeded();
        self.down_since = None;
        self.switch_to(Which::Primary);
    }

    fn switch_to(&mut self, which: Which) {
        if self.active == which {
            return;
        }
        self.active = which;
        match which {
            Which::Primary => self.counts.failbacks += 1,
            Which::Secondary => self.counts.failovers += 1,
        }
    }

    fn expire(&mut self, now: Instant) {
        for which in Which::BOTH {
            if let Some(breaker) = self.breaker_mut(which) {
                breaker.expire(now);
            }
        }
    }

    fn is_probing(&self) -> bool {
        Which::BOTH.into_iter().any(|which| self.is_probing_at(which))
    }

    fn is_probing_at(&self, which: Which) -> bool {
        self.has(which) && self.breaker(which).is_probing()
    }

    fn has(&self, which: Which) -> bool {
        which == Which::Primary || self.secondary.is_some()
    }

    /// Of an endpoint that there is; else the primary's.
    fn breaker(&self, which: Which) -> &Breaker {
        match (which, &self.secondary) {
            (Which::Secondary, Some(breaker)) => breaker,
            _ => &self.primary,
        }
    }

    fn breaker_mut(&mut self, which: Which) -> Option<&mut Breaker> {
        match which {
            Which::Primary => Some(&mut self.primary),
            Which::Secondary => self.secondary.as_mut(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const LIMITS: Limits = Limits {
        threshold: 2,
        open_base: Duration::from_secs(1),
        open_cap: Duration::from_secs(30),
        probe_patience: Duration::from_secs(60),
    };

    fn fail(gate: &mut Gate, which: Which, probe: Option<ProbeId>, now: tokio::time::Instant) {
        let failure = Failure {
            why: "refused".into(),
            remedy: "let us in",
        };
        gate.failed(which, probe, failure, now);
    }

    fn start() -> tokio::time::Instant {
        tokio::time::Instant::now()
    }

    #[test]
    fn the_other_endpoint_is_taken_at_the_threshold_and_the_link_stays_up() {
        let now = start();
        let mut gate = Gate::new(LIMITS, true, 1);
        assert_eq!(gate.state(), LinkState::Unknown);
        gate.succeeded(Which::Primary);
        fail(&mut gate, Which::Primary, None, now);
        assert_eq!(gate.ask(now.into_std()), Permit::Go(Which::Primary));
        fail(&mut gate, Which::Primary, None, now);
        assert_eq!(gate.ask(now.into_std()), Permit::Go(Which::Secondary));
        assert_eq!((gate.state(), gate.counts.failovers), (LinkState::Up, 1));
        // What was dialled before does not count against the other.
        for _ in 0..100 {
            fail(&mut gate, Which::Primary, None, now);
        }
        assert_eq!(gate.ask(now.into_std()), Permit::Go(Which::Secondary));
        gate.fail_back();
        assert_eq!(gate.ask(now.into_std()), Permit::Go(Which::Primary));
        assert_eq!(gate.counts.failbacks, 1);
    }

    #[test]
    fn with_both_down_one_probe_finds_the_one_that_works() {
        let mut now = start();
        let mut gate = Gate::new(LIMITS, true, 1);
        for which in [Which::Primary, Which::Secondary] {
            for _ in 0..2 {
                fail(&mut gate, which, None, now);
            }
        }
        assert!(
            matches!(&gate.state(), LinkState::Down { since, why, .. } if *since == now && why == "refused")
        );
        let down_since = now;
        let mut probed = Vec::new();
        let (which, id) = loop {
            match gate.ask(now.into_std()) {
                Permit::Probe(Which::Primary, id) => {
                    probed.push(Which::Primary);
                    assert_eq!(gate.state(), LinkState::HalfOpen { since: down_since });
                    assert!(
                        matches!(gate.ask(now.into_std()), Permit::Wait(Some(_))),
                        "one probe"
                    );
                    fail(&mut gate, Which::Primary, Some(id), now);
                }
                Permit::Probe(Which::Secondary, id) => break (Which::Secondary, id),
                Permit::Wait(until) => now = until.expect("a time").into(),
                Permit::Go(_) => panic!("both are down"),
            }
        };
        gate.goes_on(which, id, now.into_std());
        gate.succeeded(which);
        assert_eq!(gate.state(), LinkState::Up);
        assert_eq!(gate.ask(now.into_std()), Permit::Go(Which::Secondary));
    }

    #[test]
    fn a_held_link_lets_nobody_dial_and_forgets_nothing() {
        let now = start();
        let mut gate = Gate::new(LIMITS, false, 1);
        gate.succeeded(Which::Primary);
        gate.hold(true);
        assert_eq!(
            (gate.ask(now.into_std()), gate.state()),
            (Permit::Wait(None), LinkState::Held)
        );
        gate.hold(false);
        assert_eq!(
            (gate.ask(now.into_std()), gate.state()),
            (Permit::Go(Which::Primary), LinkState::Up)
        );
    }

    #[test]
    fn without_a_secondary_there_is_no_fail_over() {
        let now = start();
        let mut gate = Gate::new(LIMITS, false, 1);
        for _ in 0..5 {
            fail(&mut gate, Which::Primary, None, now);
        }
        assert_eq!((gate.active(), gate.counts.failovers), (Which::Primary, 0));
        assert!(gate.is_blocked());
        // A chat that was on its way already got in after all.
        gate.succeeded(Which::Primary);
        assert_eq!(gate.ask(now.into_std()), Permit::Go(Which::Primary));
    }
}
