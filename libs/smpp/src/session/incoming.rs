//! What the peer sends.

use super::{
    Answer, CONGESTED, Closed, Event, Phase, Role, Session, Unbinding, Version,
    bind::{self, BindKind, BindRequest},
    response_to,
};
use crate::{status, wire::Broken};
use rusmpp::{Command, CommandId, CommandStatus, Pdu, tlvs::TlvValue};
use std::time::Instant;

/// `command_id` of responses (section 5.1.2.1).
const RESPONSE: u32 = 0x8000_0000;

impl Session {
    pub(super) fn take(&mut self, command: Command, now: Instant) {
        let (id, sequence) = (command.id(), command.sequence_number());
        match id {
            CommandId::EnquireLink => self.respond(sequence, CommandStatus::EsmeRok, Pdu::EnquireLinkResp),
            CommandId::Unbind => {
                self.respond(sequence, CommandStatus::EsmeRok, Pdu::UnbindResp);
                self.close(Closed::PeerUnbound);
            }
            // Neither has a response. An outbind asks for a connection: there is one.
            CommandId::AlertNotification | CommandId::Outbind => {}
            _ if u32::from(id) & RESPONSE != 0 => self.response(&command, now),
            CommandId::BindTransmitter | CommandId::BindReceiver | CommandId::BindTransceiver => {
                self.bind_requested(&command, now);
            }
            CommandId::SubmitSm | CommandId::DeliverSm | CommandId::DataSm => self.requested(command),
            _ => self.nack(sequence, CommandStatus::EsmeRinvcmdid),
        }
    }

    /// A response that says nothing still is one; any other PDU is refused.
    pub(super) fn broken(&mut self, broken: Broken, now: Instant) {
        if u32::from(broken.id) & RESPONSE != 0 {
            self.answered(broken.sequence, broken.status, None);
            return self.unbind_if_drained(now);
        }
        let status = CommandStatus::EsmeRinvcmdlen;
        match response_to(broken.id, "") {
            Some(pdu) => self.respond(broken.sequence, status, pdu),
            None => self.nack(broken.sequence, status),
        }
    }

    fn requested(&mut self, command: Command) {
        let (id, sequence) = (command.id(), command.sequence_number());
        let refuse = |session: &mut Self, status| {
            let response = response_to(id, "").expect("such are asked here only");
            session.respond(sequence, status, response);
        };
        let carries = match self.role {
            Role::Esme(_) => self.kind.receives() && id != CommandId::SubmitSm,
            Role::Smsc => self.kind.transmits() && id != CommandId::DeliverSm,
        };
        if !matches!(self.phase, Phase::Bound | Phase::Unbinding(_)) || !carries {
            return refuse(self, CommandStatus::EsmeRinvbndsts);
        }
        if self.incoming.len() >= self.limits.incoming {
            return refuse(self, CommandStatus::EsmeRthrottled);
        }
        // Sent twice under one number: one answer is all that the peer can tell apart.
        if self.incoming.insert(sequence, id).is_some() {
            return;
        }
        match command.pdu() {
            Some(pdu) => self.events.push_back(Event::Request {
                sequence,
                pdu: Box::new(pdu.clone()),
            }),
            None => {
                self.incoming.remove(&sequence);
                refuse(self, CommandStatus::EsmeRinvcmdlen);
            }
        }
    }

    fn bind_requested(&mut self, command: &Command, now: Instant) {
        let sequence = command.sequence_number();
        let kind = bind::kind_of(command.id()).expect("binds only come here");
        let refuse = |session: &mut Self, status| {
            session.respond(sequence, status, bind::response(kind, "", session.version));
        };
        match (&self.role, &self.phase, command.pdu().and_then(BindRequest::read)) {
            (Role::Esme(_), ..) => self.nack(sequence, CommandStatus::EsmeRinvcmdid),
            (Role::Smsc, Phase::Opening { .. }, Some(request)) => {
                self.kind = kind;
                self.version = self.version.min(request.version);
                self.phase = Phase::Binding {
                    until: now + self.limits.bind,
                    sequence,
                };
                self.events.push_back(Event::BindRequested(request));
            }
            (Role::Smsc, Phase::Opening { .. }, None) => refuse(self, CommandStatus::EsmeRbindfail),
            (Role::Smsc, ..) => refuse(self, CommandStatus::EsmeRalybnd),
        }
    }

    /// Grants what [`Event::BindRequested`] asked for.
    pub fn accept_bind(&mut self, system_id: &str) {
        if let (Role::Smsc, Phase::Binding { sequence, .. }) = (&self.role, &self.phase) {
            let response = bind::response(self.kind, system_id, self.version);
            self.respond(*sequence, CommandStatus::EsmeRok, response);
            self.bound();
        }
    }

    /// Refuses it, and ends the session.
    pub fn refuse_bind(&mut self, status: CommandStatus) {
        if let (Role::Smsc, Phase::Binding { sequence, .. }) = (&self.role, &self.phase) {
            let response = bind::response(self.kind, "", self.version);
            self.respond(*sequence, status, response);
            self.close(Closed::Refused(status));
        }
    }

    fn bound(&mut self) {
        self.phase = Phase::Bound;
        self.events.push_back(Event::Bound { peer: self.version });
    }

    fn response(&mut self, command: &Command, now: Instant) {
        let (status, sequence) = (command.status(), command.sequence_number());
        match (&self.role, &self.phase) {
            (Role::Esme(_), Phase::Binding { sequence: asked, .. }) if sequence == *asked => {
                if status == CommandStatus::EsmeRok && command.id() != CommandId::GenericNack {
                    self.version = self.version.agreed(bind::version_in(command.pdu()));
                    self.bound();
                } else {
                    self.close(Closed::Refused(status));
                }
                return;
            }
            (_, Phase::Unbinding(Unbinding::Asked { sequence: asked, .. })) if sequence == *asked => {
                return self.close(Closed::Unbound);
            }
            _ => {}
        }
        if self
            .probe
            .as_ref()
            .is_some_and(|probe| probe.sequence == sequence)
        {
            self.probe = None;
            return;
        }
        if status::is_complaint(status) || (self.version >= Version::V50 && congested(command)) {
            self.pace.slow(now);
        }
        // A nack with status 0 says no all the same.
        let status = match (command.id(), status) {
            (CommandId::GenericNack, CommandStatus::EsmeRok) => CommandStatus::EsmeRunknownerr,
            _ => status,
        };
        self.answered(sequence, status, message_id(command));
        self.unbind_if_drained(now);
    }

    /// Answers that nothing waits for, late ones among them, are passed over.
    fn answered(&mut self, sequence: u32, status: CommandStatus, message_id: Option<String>) {
        if let Some(ticket) = self.outstanding.answered(sequence) {
            let outcome = super::Outcome::Answered(Answer { status, message_id });
            self.events.push_back(Event::Done { ticket, outcome });
        }
    }

    /// What kind of session it is; a message centre knows it once a bind was requested.
    pub fn kind(&self) -> BindKind {
        self.kind
    }
}

fn message_id(command: &Command) -> Option<String> {
    let id = match command.pdu()? {
        Pdu::SubmitSmResp(resp) => resp.message_id(),
        Pdu::DeliverSmResp(resp) => resp.message_id(),
        Pdu::DataSmResp(resp) => resp.message_id(),
        _ => return None,
    };
    (!id.is_empty()).then(|| id.as_str().to_owned())
}

fn congested(command: &Command) -> bool {
    let tlvs = match command.pdu() {
        Some(Pdu::SubmitSmResp(resp)) => resp.tlvs(),
        Some(Pdu::DataSmResp(resp)) => resp.tlvs(),
        _ => return false,
    };
    tlvs.iter().any(
        |tlv| matches!(tlv.value(), Some(TlvValue::CongestionState(state)) if u8::from(*state) >= CONGESTED),
    )
}
