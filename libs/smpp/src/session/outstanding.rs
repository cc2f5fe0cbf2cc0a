//! Our requests that the peer has not answered.

use super::Ticket;
use rusmpp::CommandStatus;
use std::{collections::BTreeMap, time::Instant};

/// What a peer answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: CommandStatus,
    /// The peer's id of the message, where it gave one.
    pub message_id: Option<String>,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Answered(Answer),
    /// It never left.
    NotSent,
    /// It left, and no answer came in time or will come: the peer may have it.
    InDoubt,
}

struct Request {
    ticket: Ticket,
    until: Instant,
    left: bool,
}

impl Request {
    fn unanswered(&self) -> Outcome {
        if self.left {
            Outcome::InDoubt
        } else {
            Outcome::NotSent
        }
    }
}

/// By sequence number.
#[derive(Default)]
pub(super) struct Outstanding(BTreeMap<u32, Request>);

impl Outstanding {
    pub fn add(&mut self, sequence: u32, ticket: Ticket, until: Instant) {
        let request = Request {
            ticket,
            until,
            left: false,
        };
        self.0.insert(sequence, request);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn has(&self, sequence: u32) -> bool {
        self.0.contains_key(&sequence)
    }

    pub fn left(&mut self, sequence: u32) {
        if let Some(request) = self.0.get_mut(&sequence) {
            request.left = true;
        }
    }

    /// `None` if nothing waits for it: an answer that comes late, or twice. What did not leave cannot be answered either.
    pub fn answered(&mut self, sequence: u32) -> Option<Ticket> {
        self.0.get(&sequence).filter(|request| request.left)?;
        self.0.remove(&sequence).map(|request| request.ticket)
    }

    pub fn next_timeout(&self) -> Option<Instant> {
        self.0.values().map(|request| request.until).min()
    }

    pub fn expire(&mut self, now: Instant) -> Vec<(u32, Ticket, Outcome)> {
        self.0
            .extract_if(.., |_, request| request.until <= now)
            .map(|(sequence, request)| (sequence, request.ticket, request.unanswered()))
            .collect()
    }

    /// No more answers come.
    pub fn end(&mut self) -> impl Iterator<Item = (Ticket, Outcome)> {
        std::mem::take(&mut self.0)
            .into_values()
            .map(|request| (request.ticket, request.unanswered()))
    }
}
