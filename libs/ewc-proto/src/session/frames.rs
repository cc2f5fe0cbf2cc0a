//! What AACC's frames do to the session.

use std::time::Instant;

use super::event::{CloseReason, Event, LeaveReason, Loss, Moment, Refusal, Sender};
use super::line::Verdict;
use super::room::Arrival;
use super::{CLOSE_NORMAL, Identity, Session, State};
use crate::frame::{
    AaccError, AgentMessage, AuthKey, ChatAccepted, ErrorKind, NewParticipant, ParticipantLeave, SenderType,
    ServerFrame,
};

impl Session {
    /// A text frame came in.
    pub fn on_frame(&mut self, text: &str, now: Instant) {
        if !self.has_socket() {
            return;
        }
        self.on_heard();
        match ServerFrame::parse(text) {
            Ok(frame) => self.take(frame, now),
            Err(error) => self.tell(Event::Unreadable(error)),
        }
        self.settle();
    }

    fn take(&mut self, frame: ServerFrame, now: Instant) {
        let after_resume = self.socket_resumed();
        match frame {
            ServerFrame::RequestChat(chat) => self.chat_accepted(chat, now),
            ServerFrame::NewParticipant(joined) => self.joined(joined),
            ServerFrame::ParticipantLeave(left) => self.left(left),
            ServerFrame::NewMessage(message) => self.agent_text(message),
            ServerFrame::IsTyping(t) => self.tell(Event::AgentTyping {
                name: t.display_name,
                typing: t.is_typing,
            }),
            ServerFrame::PushPage(p) => self.tell(Event::PagePush {
                name: p.display_name,
                url: p.url,
                message: p.message,
                timestamp_ms: p.timestamp_ms,
                after_resume,
            }),
            ServerFrame::QueueStatus(status) => self.tell(Event::QueueStatus(status)),
            ServerFrame::Acknowledgement { method, result } => self.acknowledged(&method, result, now),
            ServerFrame::CloseConversation { result } => self.conversation_closed(result),
            ServerFrame::RouteCancel => self.tell(Event::RouteCancelled),
            ServerFrame::Error(error) => self.error(error, now),
            ServerFrame::Ping | ServerFrame::Pong | ServerFrame::NewChatAcknowledgement { .. } => {}
            ServerFrame::AgentFileTransfer(t) => self.tell(Event::FileTransfer {
                name: t.agent_name,
                file: t.name,
                uuid: t.uuid,
            }),
            ServerFrame::Unknown { kind, method } => self.tell(Event::UnknownMethod { kind, method }),
        }
    }

    fn chat_accepted(&mut self, chat: ChatAccepted, now: Instant) {
        let logging_in = matches!(self.state, State::LoggingIn { .. });
        if !logging_in && !matches!(self.state, State::Open { .. }) {
            return;
        }
        let key = chat.authentication_key;
        let resumed = match (&mut self.identity, chat.guid) {
            // Nothing that a later resume could name. If it was meant as the answer, the login times out.
            (None, None) => {
                return self.tell(Event::UnknownMethod {
                    kind: "notification".into(),
                    method: "requestChat without guid".into(),
                });
            }
            (Some(ours), None) => Some(rekey(ours, key)),
            (Some(ours), Some(guid)) if guid == ours.guid => Some(rekey(ours, key)),
            (ours, Some(guid)) => {
                if ours.is_some() {
                    // Asked for the old chat, given another: the old one is gone.
                    self.forget_chat();
                }
                let key = key.unwrap_or_else(|| AuthKey::new(""));
                self.identity = Some(Identity {
                    guid: guid.clone(),
                    key: key.clone(),
                });
                self.tell(Event::ChatOpened { guid, key });
                None
            }
        };
        let same_chat = resumed.is_some();
        if let Some(rekeyed) = resumed
            && (logging_in || rekeyed.is_some())
        {
            self.tell(Event::Resumed { rekeyed });
        }
        if logging_in {
            self.logged_in(same_chat, now);
        }
        if !chat.comfort_groups.is_empty() || !chat.on_hold_urls.is_empty() {
            self.tell(Event::OnHold {
                comfort_groups: chat.comfort_groups,
                urls: chat.on_hold_urls,
            });
        }
    }

    fn joined(&mut self, joined: NewParticipant) {
        let was_open = self.room.is_open();
        let arrivals = self.room.enter(joined, &self.config);
        self.room_changed(was_open);
        self.arrived(arrivals);
    }

    fn arrived(&mut self, arrivals: Vec<Arrival>) {
        for one in arrivals {
            self.line.release();
            self.tell(Event::Joined {
                agent: one.agent,
                display_name: one.display_name,
                role: one.role,
                shown: one.shown,
            });
        }
    }

    fn left(&mut self, mut left: ParticipantLeave) {
        let was_open = self.room.is_open();
        let departure = self.room.leave(&mut left, &self.config);
        self.room_changed(was_open);
        self.tell(Event::Left {
            agent: left.agent_id,
            display_name: departure.display_name,
            shown: departure.shown,
            reason: left.leave_reason.as_deref().map(LeaveReason::read),
            remaining: self.room.openers(&self.config),
            end: left.end_chat_flag,
        });
        self.arrived(departure.arrivals);
        if left.end_chat_flag {
            let reason = match self.state {
                State::Leaving { .. } => CloseReason::ClosedByCustomer,
                _ => CloseReason::AgentsEnded,
            };
            self.close(reason, CLOSE_NORMAL);
        }
    }

    fn room_changed(&mut self, was_open: bool) {
        if self.room.is_open() != was_open {
            self.tell(Event::AgentPresent(!was_open));
        }
    }

    fn agent_text(&mut self, m: AgentMessage) {
        let after_resume = self.socket_resumed();
        let customer = &self.profile.intrinsics.name;
        let sender = match m.sender_type {
            Some(SenderType::Customer) => Sender::Customer,
            Some(SenderType::LiveAgent | SenderType::Agent | SenderType::Bot) => Sender::Agent,
            Some(SenderType::Other(_)) => Sender::Unknown,
            // Only a transcript holds the customer's words; 7.x sends it without a sender type.
            None if after_resume && !customer.is_empty() && m.display_name == *customer => Sender::Customer,
            None if after_resume => Sender::Unknown,
            None => Sender::Agent,
        };
        let first = self.room.take_first_words();
        let moment = match self.room.is_open() {
            false => Moment::NobodyIn,
            true if first => Moment::FirstWords,
            true => Moment::Later,
        };
        self.tell(Event::AgentText {
            name: m.display_name,
            text: m.message,
            timestamp_ms: m.timestamp_ms,
            sender,
            moment,
            after_resume,
        });
    }

    fn acknowledged(&mut self, method: &str, result: bool, now: Instant) {
        if !method.eq_ignore_ascii_case("newMessage") || self.config.ack_timeout.is_none() {
            return;
        }
        let Some(token) = self.line.answer() else { return };
        if result {
            self.line.delivered();
            if self.room.is_unsure() {
                self.room.found_open();
                self.tell(Event::AgentPresent(true));
            }
            self.tell(Event::TextDelivered { token });
        } else {
            self.refused(token, Refusal::NotAccepted, false, now);
        }
    }

    fn refused(&mut self, token: u64, reason: Refusal, invalid: bool, now: Instant) {
        if let Some(pause) = self.config.probe_after_resume
            && self.room.is_unsure()
            && !invalid
        {
            // Nobody is in, it seems: no refusal of this text, it waits for an agent.
            let probes = self.line.probe_failed(pause, now);
            self.tell(Event::TextHeld { token, refusals: 0 });
            if probes.is_multiple_of(self.config.refusals_before_resume) {
                // A resume tells whether AACC still knows the chat.
                self.drop_socket(Loss::TextRefusals, now);
            }
            return;
        }
        match self.judge(token, reason, invalid, now) {
            // A chat that is being left is not resumed or replaced: the text stays with its owner.
            _ if matches!(self.state, State::Leaving { .. }) => {}
            Verdict::Resume => self.drop_socket(Loss::TextRefusals, now),
            Verdict::OpenNew => self.replace_chat(Loss::TextRefusals, now),
            Verdict::Hold | Verdict::DeadLetter => {}
        }
    }

    /// Counts a refusal of the text and tells the owner.
    fn judge(&mut self, token: u64, reason: Refusal, invalid: bool, now: Instant) -> Verdict {
        let (verdict, refusals) = self.line.refuse(invalid, &self.config, now);
        self.tell(match verdict {
            Verdict::DeadLetter => Event::TextRefused { token, reason },
            _ => Event::TextHeld { token, refusals },
        });
        verdict
    }

    fn conversation_closed(&mut self, result: bool) {
        match self.state {
            State::Leaving { .. } => self.close(CloseReason::ClosedByCustomer, CLOSE_NORMAL),
            _ if result => self.close(CloseReason::FarSideEnded, CLOSE_NORMAL),
            _ => {}
        }
    }

    fn error(&mut self, error: AaccError, now: Instant) {
        let kind = error.kind();
        match (&self.state, kind) {
            (State::Leaving { .. }, ErrorKind::NotStarted | ErrorKind::SessionExpired) => {
                // Nothing is left to leave.
                self.close(CloseReason::ClosedByCustomer, CLOSE_NORMAL)
            }
            (State::Leaving { .. }, _) => self.tell(Event::FarSideError(error)),
            (_, ErrorKind::Maintenance) => {
                self.give_back(&error, now);
                if !self.maintenance {
                    self.maintenance = true;
                    self.tell(Event::Maintenance);
                }
                self.drop_socket(Loss::Maintenance, now);
            }
            (_, ErrorKind::Internal) => self.drop_socket(Loss::InternalError, now),
            (State::LoggingIn { resume: true, .. }, ErrorKind::SessionExpired | ErrorKind::NotStarted)
            | (State::Open { .. }, ErrorKind::SessionExpired) => {
                self.give_back(&error, now);
                self.doubt();
                self.forget_chat();
                match self.idle {
                    true => self.close(CloseReason::Forgotten, CLOSE_NORMAL),
                    false => self.log_in(now),
                }
            }
            // An answer to the login before this one, on the same socket: the answer to this one is on its way.
            (State::LoggingIn { resume: false, .. }, ErrorKind::SessionExpired) => {
                self.tell(Event::FarSideError(error))
            }
            (State::LoggingIn { resume, .. }, _) => {
                let resume = *resume;
                let code = error.code;
                self.tell(Event::FarSideError(error));
                self.drop_socket(Loss::LoginRefused { code }, now);
                self.count_failed_resume(resume);
            }
            (_, ErrorKind::NotStarted | ErrorKind::InvalidMessage) if answers_text(&error) => {
                self.refusal_by_error(error, now)
            }
            (_, ErrorKind::Unknown) if error.method.eq_ignore_ascii_case("newMessage") => {
                self.refusal_by_error(error, now)
            }
            _ => self.tell(Event::FarSideError(error)),
        }
    }

    fn refusal_by_error(&mut self, error: AaccError, now: Instant) {
        match self.line.answer() {
            Some(token) => {
                let invalid = error.kind() == ErrorKind::InvalidMessage;
                self.refused(token, Refusal::Error(error), invalid, now);
            }
            None => self.tell(Event::FarSideError(error)),
        }
    }

    /// The chat or the socket goes, and the error says that the text in flight was not taken: no doubt about it.
    fn give_back(&mut self, error: &AaccError, now: Instant) {
        if !error.method.eq_ignore_ascii_case("newMessage") {
            return;
        }
        if let Some(token) = self.line.answer() {
            self.judge(token, Refusal::Error(error.clone()), false, now);
        }
    }
}

/// The chat goes on; its new key, if AACC changed it.
fn rekey(ours: &mut Identity, key: Option<AuthKey>) -> Option<AuthKey> {
    let rekeyed = key.filter(|key| *key != ours.key);
    if let Some(key) = &rekeyed {
        ours.key = key.clone();
    }
    rekeyed
}

/// Whether an error can be the answer to a text: servers put the failed request's method there, or just `error`.
fn answers_text(error: &AaccError) -> bool {
    ["newMessage", "error", ""]
        .iter()
        .any(|m| error.method.eq_ignore_ascii_case(m))
}
