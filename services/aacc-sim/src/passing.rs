//! Faults that end by themselves.

use std::time::Duration;

use tokio::time::Instant;

use crate::book::Book;

/// Until when what goes wrong.
#[derive(Default)]
pub(crate) struct Passing {
    maintenance: Option<Instant>,
    ignore_pings: Option<Instant>,
    ack_delay: Option<(Instant, Duration)>,
}

impl Passing {
    pub fn start_maintenance(&mut self, until: Instant) {
        self.maintenance = self.maintenance.max(Some(until));
    }

    pub fn ignore_pings(&mut self, until: Instant) {
        self.ignore_pings = self.ignore_pings.max(Some(until));
    }

    pub fn delay_acks(&mut self, until: Instant, delay: Duration) {
        self.ack_delay = Some((until, delay));
    }
}

impl Book {
    /// New chats are refused at the moment.
    pub fn in_maintenance(&self, now: Instant) -> bool {
        self.faults.maintenance || self.passing.maintenance.is_some_and(|until| now < until)
    }

    pub fn ignores_pings(&self, now: Instant) -> bool {
        self.faults.ignore_pings || self.passing.ignore_pings.is_some_and(|until| now < until)
    }

    /// How long an acknowledgement waits at the moment.
    pub fn ack_delay(&self, now: Instant) -> Duration {
        let passing = self.passing.ack_delay.filter(|(until, _)| now < *until);
        let passing = passing.map_or(Duration::ZERO, |(_, delay)| delay);
        passing.max(Duration::from_millis(self.faults.ack_delay_ms))
    }
}
