//! The one text in flight, its acknowledgement, and what happens to it otherwise.

use std::time::{Duration, Instant};

use super::config::Config;

/// One text at a time. There is no message id on the wire: the n-th answer on a socket is for the n-th text sent on it.
#[derive(Debug, Default)]
pub(super) struct Line {
    in_flight: Option<InFlight>,
    /// Texts sent and answered on this socket.
    sent: u32,
    answered: u32,
    /// The text that the two counts below are about.
    head: Option<u64>,
    refusals: u32,
    doubts: u32,
    /// Times in a row that a text found nobody in.
    probes: u32,
    held_until: Option<Instant>,
}

#[derive(Debug)]
struct InFlight {
    token: u64,
    nth: u32,
    deadline: Option<Instant>,
}

/// What is to be done about a refused text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Send it again after the pause.
    Hold,
    /// The same, over a new socket.
    Resume,
    /// The same, in a new chat.
    OpenNew,
    DeadLetter,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    InDoubt { token: u64 },
    DeadLetter { token: u64 },
}

impl Line {
    pub fn is_free(&self) -> bool {
        self.in_flight.is_none() && self.held_until.is_none()
    }

    pub fn in_flight(&self) -> bool {
        self.in_flight.is_some()
    }

    /// A text was answered on this socket.
    pub fn was_answered(&self) -> bool {
        self.answered > 0
    }

    pub fn new_socket(&mut self) {
        self.sent = 0;
        self.answered = 0;
    }

    pub fn send(&mut self, token: u64, deadline: Option<Instant>) {
        if self.head != Some(token) {
            self.start_anew(Some(token));
        }
        self.sent += 1;
        self.in_flight = Some(InFlight {
            token,
            nth: self.sent,
            deadline,
        });
    }

    /// One answer more on this socket: the token it is for, unless it is surplus.
    pub fn answer(&mut self) -> Option<u64> {
        if self.answered >= self.sent {
            return None;
        }
        self.answered += 1;
        let answered = self.answered;
        self.in_flight.take_if(|f| f.nth == answered).map(|f| f.token)
    }

    pub fn delivered(&mut self) {
        self.probes = 0;
        self.start_anew(None);
    }

    /// Judges a text that [`Line::answer`] gave and AACC refused; says how often it did.
    pub fn refuse(&mut self, invalid: bool, config: &Config, now: Instant) -> (Verdict, u32) {
        self.refusals += 1;
        let refusals = self.refusals;
        let patience = if invalid {
            config.invalid_before_dead_letter
        } else {
            config.refusals_before_dead_letter
        };
        if refusals >= patience.min(config.refusals_before_dead_letter) {
            self.start_anew(None);
            return (Verdict::DeadLetter, refusals);
        }
        let pause = config
            .refusal_pause
            .saturating_mul(1 << (refusals - 1).min(16))
            .min(config.refusal_pause_cap);
        self.held_until = Some(now + pause);
        let verdict = match refusals {
            _ if invalid => Verdict::Hold,
            n if n == config.refusals_before_new_chat => Verdict::OpenNew,
            n if n == config.refusals_before_resume => Verdict::Resume,
            _ => Verdict::Hold,
        };
        (verdict, refusals)
    }

    /// The socket is gone, or the chat is: what is in flight will not be answered.
    pub fn doubt(&mut self, config: &Config) -> Option<Doubt> {
        let token = self.in_flight.take()?.token;
        self.doubts += 1;
        if self.doubts >= config.doubts_before_dead_letter {
            self.start_anew(None);
            return Some(Doubt::DeadLetter { token });
        }
        Some(Doubt::InDoubt { token })
    }

    /// A text found nobody in. The next try comes after `pause`, doubled each time up to eightfold; says how many failed.
    pub fn probe_failed(&mut self, pause: Duration, now: Instant) -> u32 {
        self.held_until = Some(now + pause.saturating_mul(1 << self.probes.min(3)));
        self.probes += 1;
        self.probes
    }

    /// An agent came in: no reason to hold on.
    pub fn release(&mut self) {
        self.probes = 0;
        self.held_until = None;
    }

    pub fn release_if_due(&mut self, now: Instant) {
        self.held_until.take_if(|until| *until <= now);
    }

    pub fn ack_overdue(&self, now: Instant) -> bool {
        self.in_flight
            .as_ref()
            .and_then(|f| f.deadline)
            .is_some_and(|deadline| deadline <= now)
    }

    pub fn next_timeout(&self) -> Option<Instant> {
        let ack = self.in_flight.as_ref().and_then(|f| f.deadline);
        ack.into_iter().chain(self.held_until).min()
    }

    fn start_anew(&mut self, head: Option<u64>) {
        self.head = head;
        self.refusals = 0;
        self.doubts = 0;
    }
}

/// The pauses between reconnects: random, so that a thousand sockets do not come back in one instant.
#[derive(Debug)]
pub(super) struct Jitter(u64);

impl Jitter {
    pub fn new(seed: u64) -> Self {
        Jitter(seed)
    }

    /// Between zero and `base × 2^attempt`, at most `cap`.
    pub fn full(&mut self, attempt: u32, base: Duration, cap: Duration) -> Duration {
        base.saturating_mul(1 << attempt.min(20))
            .min(cap)
            .mul_f64(self.unit())
    }

    /// Half to one and a half of a mean: `2 × base × 2^attempt`, at most `cap`. Never at once.
    pub fn slow(&mut self, attempt: u32, base: Duration, cap: Duration) -> Duration {
        base.saturating_mul(2 << attempt.min(20))
            .min(cap)
            .mul_f64(0.5 + self.unit())
    }

    /// SplitMix64, scaled to [0, 1).
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        (z >> 11) as f64 / (1u64 << 53) as f64
    }
}
