//! One SMPP session (SMPP 3.4 chapter 2) without its socket: octets in, octets out, time as an argument.
//!
//! Both ends are the same but for who binds: [`Session::esme`] is ours, [`Session::smsc`] the simulator's. Its user
//! forwards what the socket brings ([`Session::received`], [`Session::lost`]), writes what [`Session::poll_transmit`] has, heeds
//! [`Session::poll_event`], and calls [`Session::timeout`] at [`Session::next_timeout`].
//!
//! **Every request that [`Session::submit`] takes ends in exactly one [`Outcome`]**, whatever the peer, the socket and the
//! clock do.

mod bind;
mod incoming;
mod outstanding;

pub use bind::{Bind, BindKind, BindRequest, Version};
pub use outstanding::{Answer, Outcome};

use crate::{
    pace::Pace,
    wire::{self, BadLength, Frame, Reader},
};
use bytes::Bytes;
use outstanding::Outstanding;
use rusmpp::{Command, CommandId, CommandStatus, Pdu, types::COctetString};
use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    time::{Duration, Instant},
};

/// What a session is held to.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Requests that the peer may leave unanswered, 1 or more.
    pub window: usize,
    /// Requests a second, 1 or more.
    pub rate: u32,
    /// Requests of the peer that we may leave unanswered; more are put off (`ESME_RTHROTTLED`).
    pub incoming: usize,
    /// How long an answer may take.
    pub response: Duration,
    /// How long the peer may be silent before it is asked whether it is there.
    pub silence: Duration,
    /// How long it may take until the session is bound.
    pub bind: Duration,
    /// Octets of the longest PDU that is read.
    pub octets: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            window: 10,
            rate: 10,
            incoming: 100,
            response: Duration::from_secs(10),
            silence: Duration::from_secs(30),
            bind: Duration::from_secs(10),
            // A message_payload of 64 KiB with all that can stand beside it.
            octets: 80 * 1024,
        }
    }
}

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Connected or about to be; nobody has asked for a bind.
    Opening,
    /// A bind was asked for and is not answered.
    Binding,
    Bound,
    /// No more requests; what is under way is waited for.
    Unbinding,
    Closed,
}

impl State {
    pub const ALL: [Self; 5] = [
        Self::Opening,
        Self::Binding,
        Self::Bound,
        Self::Unbinding,
        Self::Closed,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Binding => "binding",
            Self::Bound => "bound",
            Self::Unbinding => "unbinding",
            Self::Closed => "closed",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    #[error("it was unbound from here")]
    Unbound,
    #[error("the peer unbound it")]
    PeerUnbound,
    #[error("the bind was refused ({})", crate::status::name(*.0))]
    Refused(CommandStatus),
    #[error("it was not bound in time")]
    NotBound,
    #[error("the peer did not answer an enquire_link")]
    Silent,
    #[error("the connection broke")]
    Lost,
    #[error(transparent)]
    BadLength(#[from] BadLength),
}

/// Which request an [`Outcome`] is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(u64);

/// Why a request is not taken now. Nothing was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotNow {
    #[error("the session is not bound")]
    NotBound,
    #[error("a bind of this kind does not carry it")]
    WrongBind,
    #[error("the window is full")]
    WindowFull,
    #[error("it is too early")]
    Until(Instant),
}

/// What the session has to say.
pub enum Event {
    /// Requests may go.
    Bound { peer: Version },
    /// An ESME asks to be bound: [`Session::accept_bind`] or [`Session::refuse_bind`].
    BindRequested(BindRequest),
    /// The peer's request, to be answered with [`Session::answer`].
    Request { sequence: u32, pdu: Box<Pdu> },
    /// What became of a request of ours.
    Done { ticket: Ticket, outcome: Outcome },
    /// The last event. What is still to be transmitted should be.
    Closed(Closed),
}

/// PDUs hold texts, numbers and passwords: they are not shown.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bound { peer } => write!(f, "Bound({peer:?})"),
            Self::BindRequested(request) => write!(f, "BindRequested({request:?})"),
            Self::Request { sequence, pdu } => write!(f, "Request({sequence}, {:?})", pdu.command_id()),
            Self::Done { ticket, outcome } => write!(f, "Done({ticket:?}, {outcome:?})"),
            Self::Closed(closed) => write!(f, "Closed({closed:?})"),
        }
    }
}

enum Role {
    Esme(Bind),
    Smsc,
}

/// [`State`] with what belongs to each.
enum Phase {
    Opening { until: Instant },
    Binding { until: Instant, sequence: u32 },
    Bound,
    Unbinding(Unbinding),
    Closed,
}

enum Unbinding {
    Draining,
    /// `unbind` was sent.
    Asked {
        sequence: u32,
        until: Instant,
    },
}

struct Probe {
    sequence: u32,
    sent: Instant,
}

/// Sequence numbers are 1 to this (section 3.2).
const LAST_SEQUENCE: u32 = 0x7fff_ffff;
/// A TLV `congestion_state` (5.0 section 4.8.4.18) from here on is a complaint.
const CONGESTED: u8 = 90;

pub struct Session {
    role: Role,
    limits: Limits,
    phase: Phase,
    /// What kind of bind it is, once that is known.
    kind: BindKind,
    version: Version,
    reader: Reader,
    pace: Pace,
    sequence: u32,
    tickets: u64,
    outstanding: Outstanding,
    /// The peer's requests that are not answered.
    incoming: BTreeMap<u32, CommandId>,
    /// PDUs to be written; with its number, where it is one of [`Self::outstanding`].
    transmit: VecDeque<(Bytes, Option<u32>)>,
    events: VecDeque<Event>,
    heard: Instant,
    probe: Option<Probe>,
}

impl Session {
    /// Ours, about to be connected.
    pub fn esme(bind: Bind, limits: Limits, now: Instant) -> Self {
        let (kind, version) = (bind.kind, bind.version);
        Self::new(Role::Esme(bind), kind, version, limits, now)
    }

    /// A message centre's, connected; `version` is the newest that it speaks.
    pub fn smsc(version: Version, limits: Limits, now: Instant) -> Self {
        Self::new(Role::Smsc, BindKind::Transceiver, version, limits, now)
    }

    fn new(role: Role, kind: BindKind, version: Version, limits: Limits, now: Instant) -> Self {
        Self {
            role,
            phase: Phase::Opening {
                until: now + limits.bind,
            },
            kind,
            version,
            reader: Reader::new(limits.octets),
            pace: Pace::new(limits.rate, now),
            sequence: 0,
            tickets: 0,
            outstanding: Outstanding::default(),
            incoming: BTreeMap::new(),
            transmit: VecDeque::new(),
            events: VecDeque::new(),
            heard: now,
            probe: None,
            limits,
        }
    }

    pub fn state(&self) -> State {
        match self.phase {
            Phase::Opening { .. } => State::Opening,
            Phase::Binding { .. } => State::Binding,
            Phase::Bound => State::Bound,
            Phase::Unbinding(_) => State::Unbinding,
            Phase::Closed => State::Closed,
        }
    }

    /// Requests that are not answered.
    pub fn in_flight(&self) -> usize {
        self.outstanding.len()
    }

    /// Requests a second, as the peer's complaints have left it.
    pub fn rate(&self) -> f64 {
        self.pace.rate()
    }

    /// The connection stands: an ESME binds.
    pub fn connected(&mut self, now: Instant) {
        if let (Phase::Opening { .. }, Role::Esme(bind)) = (&self.phase, &self.role) {
            let pdu = bind.pdu();
            self.heard = now;
            let sequence = self.request(pdu);
            self.phase = Phase::Binding {
                until: now + self.limits.bind,
                sequence,
            };
        }
    }

    /// Whether a request may go now.
    pub fn ready(&self, now: Instant) -> Result<(), NotNow> {
        if !matches!(self.phase, Phase::Bound) {
            return Err(NotNow::NotBound);
        }
        let carries = match self.role {
            Role::Esme(_) => self.kind.transmits(),
            Role::Smsc => self.kind.receives(),
        };
        if !carries {
            return Err(NotNow::WrongBind);
        }
        if self.outstanding.len() >= self.limits.window.max(1) {
            return Err(NotNow::WindowFull);
        }
        self.pace.wait(now).map_or(Ok(()), |at| Err(NotNow::Until(at)))
    }

    /// Sends a request, if that may be done now.
    pub fn submit(&mut self, pdu: Pdu, now: Instant) -> Result<Ticket, NotNow> {
        self.ready(now)?;
        self.pace.left(now);
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let sequence = self.next_sequence();
        let octets = wire::encode(&Command::new(CommandStatus::EsmeRok, sequence, pdu));
        self.transmit.push_back((octets, Some(sequence)));
        self.outstanding.add(sequence, ticket, now + self.limits.response);
        Ok(ticket)
    }

    /// Answers the peer's request. Whether it still waits for that.
    pub fn answer(&mut self, sequence: u32, status: CommandStatus, message_id: &str) -> bool {
        let Some(id) = self.incoming.remove(&sequence) else {
            return false;
        };
        let response = response_to(id, message_id).expect("only such are kept");
        self.respond(sequence, status, response);
        true
    }

    /// No more requests; unbinds once those under way are answered or their time is up.
    pub fn unbind(&mut self, now: Instant) {
        match self.phase {
            Phase::Opening { .. } | Phase::Binding { .. } => self.close(Closed::Unbound),
            Phase::Bound => {
                self.phase = Phase::Unbinding(Unbinding::Draining);
                self.unbind_if_drained(now);
            }
            Phase::Unbinding(_) | Phase::Closed => {}
        }
    }

    /// The connection is gone.
    pub fn lost(&mut self) {
        // What is not written will not be.
        self.close(Closed::Lost);
        self.transmit.clear();
    }

    /// Octets that the socket brought.
    pub fn received(&mut self, octets: &[u8], now: Instant) {
        self.reader.push(octets);
        while self.state() != State::Closed {
            match self.reader.read() {
                Ok(None) => return,
                Ok(Some(frame)) => {
                    self.heard = now;
                    match frame {
                        Frame::Pdu(command) => self.take(*command, now),
                        Frame::Broken(broken) => self.broken(broken, now),
                    }
                }
                Err(bad) => {
                    self.nack(0, CommandStatus::EsmeRinvcmdlen);
                    self.close(bad.into());
                }
            }
        }
    }

    /// The next octets to write. Once they are handed out, the peer may have them.
    pub fn poll_transmit(&mut self) -> Option<Bytes> {
        let (octets, request) = self.transmit.pop_front()?;
        if let Some(sequence) = request {
            self.outstanding.left(sequence);
        }
        Some(octets)
    }

    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Self::timeout`] is to be called.
    pub fn next_timeout(&self) -> Option<Instant> {
        let answers = self.outstanding.next_timeout();
        let silence = match &self.probe {
            Some(probe) => probe.sent + self.limits.response,
            None => self.heard + self.limits.silence,
        };
        match self.phase {
            Phase::Opening { until } | Phase::Binding { until, .. } => Some(until),
            Phase::Bound | Phase::Unbinding(Unbinding::Draining) => {
                Some(answers.map_or(silence, |at| at.min(silence)))
            }
            Phase::Unbinding(Unbinding::Asked { until, .. }) => Some(until),
            Phase::Closed => None,
        }
    }

    /// Time has passed.
    pub fn timeout(&mut self, now: Instant) {
        match self.phase {
            Phase::Opening { until } | Phase::Binding { until, .. } if now >= until => {
                self.close(Closed::NotBound);
            }
            Phase::Unbinding(Unbinding::Asked { until, .. }) if now >= until => self.close(Closed::Unbound),
            Phase::Bound | Phase::Unbinding(Unbinding::Draining) => {
                let expired = self.outstanding.expire(now);
                let unanswered = !expired.is_empty();
                for (sequence, ticket, outcome) in expired {
                    self.transmit.retain(|(_, of)| *of != Some(sequence));
                    self.events.push_back(Event::Done { ticket, outcome });
                }
                self.ask_whether_there(unanswered, now);
                self.unbind_if_drained(now);
            }
            Phase::Opening { .. } | Phase::Binding { .. } | Phase::Unbinding(_) | Phase::Closed => {}
        }
    }

    /// A peer that is silent, or that left a request without an answer, is asked.
    fn ask_whether_there(&mut self, unanswered: bool, now: Instant) {
        if let Some(Probe { sent, .. }) = self.probe {
            if now < sent + self.limits.response {
                return;
            }
            // Whoever sends other things is there, busy as it is.
            if self.heard <= sent {
                return self.close(Closed::Silent);
            }
            self.probe = None;
        }
        if unanswered || now >= self.heard + self.limits.silence {
            let sequence = self.request(Pdu::EnquireLink);
            self.probe = Some(Probe { sequence, sent: now });
        }
    }

    fn unbind_if_drained(&mut self, now: Instant) {
        if self.outstanding.len() == 0 && matches!(self.phase, Phase::Unbinding(Unbinding::Draining)) {
            let sequence = self.request(Pdu::Unbind);
            let until = now + self.limits.response;
            self.phase = Phase::Unbinding(Unbinding::Asked { sequence, until });
        }
    }

    fn close(&mut self, why: Closed) {
        if matches!(self.phase, Phase::Closed) {
            return;
        }
        self.phase = Phase::Closed;
        self.transmit.retain(|(_, request)| request.is_none());
        self.incoming.clear();
        for (ticket, outcome) in self.outstanding.end() {
            self.events.push_back(Event::Done { ticket, outcome });
        }
        self.events.push_back(Event::Closed(why));
    }

    /// A request that is none of the user's: its number.
    fn request(&mut self, pdu: Pdu) -> u32 {
        let sequence = self.next_sequence();
        self.send(CommandStatus::EsmeRok, sequence, pdu);
        sequence
    }

    fn respond(&mut self, sequence: u32, status: CommandStatus, pdu: Pdu) {
        self.send(status, sequence, pdu);
    }

    fn nack(&mut self, sequence: u32, status: CommandStatus) {
        self.send(status, sequence, Pdu::GenericNack);
    }

    fn send(&mut self, status: CommandStatus, sequence: u32, pdu: Pdu) {
        let octets = wire::encode(&Command::new(status, sequence, pdu));
        self.transmit.push_back((octets, None));
    }

    fn next_sequence(&mut self) -> u32 {
        loop {
            self.sequence = if self.sequence >= LAST_SEQUENCE {
                1
            } else {
                self.sequence + 1
            };
            if !self.outstanding.has(self.sequence) {
                return self.sequence;
            }
        }
    }
}

/// The response to a request that carries a text; `None` for others.
fn response_to(id: CommandId, message_id: &str) -> Option<Pdu> {
    let message_id = message_id.parse::<COctetString<1, 65>>().unwrap_or_default();
    Some(match id {
        CommandId::SubmitSm => Pdu::SubmitSmResp(rusmpp::pdus::SubmitSmResp::new(message_id, Vec::new())),
        CommandId::DeliverSm => Pdu::DeliverSmResp(rusmpp::pdus::DeliverSmResp::new(message_id, Vec::new())),
        CommandId::DataSm => Pdu::DataSmResp(rusmpp::pdus::DataSmResp::new(message_id, Vec::new())),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
