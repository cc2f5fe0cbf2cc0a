//! The socket's life: connect, log in, keep alive, lose, come back.

use std::time::Instant;

use super::event::{Action, CloseReason, Event, Loss, Refusal};
use super::line::Doubt;
use super::{CLOSE_NORMAL, Pulse, Session, State};
use crate::frame::{ClientFrame, RequestChat};

impl Session {
    /// The socket is open.
    pub fn on_connected(&mut self, now: Instant) {
        if !matches!(self.state, State::Connecting { .. }) {
            // Dialled for a session that has moved on.
            if !self.has_socket() {
                self.actions.push_back(Action::Drop);
            }
            return;
        }
        self.line.new_socket();
        self.log_in(now);
        self.settle();
    }

    /// The dial failed, or took too long: how long is the driver's to say.
    pub fn on_connect_failed(&mut self, now: Instant) {
        if !matches!(self.state, State::Connecting { .. }) {
            return;
        }
        self.failures = self.failures.saturating_add(1);
        self.tell(Event::ConnectFailed {
            attempt: self.failures,
        });
        self.recover(now);
        self.settle();
    }

    /// The socket is gone: closed by the far side with `code`, or broken (`None`).
    pub fn on_disconnected(&mut self, code: Option<u16>, now: Instant) {
        let ended = code == Some(CLOSE_NORMAL);
        match self.state {
            State::LoggingIn { resume: true, .. } | State::Open { .. } if ended => {
                self.end(CloseReason::FarSideEnded)
            }
            // A chat that was never open cannot have ended: code 1000 is a refusal of the login like any other loss.
            State::LoggingIn { .. } | State::Open { .. } => self.lost(Loss::Disconnected { code }, now),
            State::Leaving { .. } => self.end(CloseReason::ClosedByCustomer),
            State::Connecting { .. } | State::Recovering { .. } | State::Closed(_) => {}
        }
    }

    /// Something came in that is no text frame (a WebSocket ping or pong): the link is alive.
    pub fn on_heard(&mut self) {
        if let State::Open { pulse, .. } = &mut self.state {
            pulse.unanswered_since = None;
        }
    }

    /// Everything polled so far is written. Counts only without an `ack_timeout`: then a written text is delivered.
    pub fn on_flushed(&mut self) {
        if self.config.ack_timeout.is_none()
            && self.actions.is_empty()
            && let Some(token) = self.line.answer()
        {
            self.line.delivered();
            self.tell(Event::TextDelivered { token });
            self.settle();
        }
    }

    /// The time of `next_timeout` has come. Feed what the socket holds first: after a pause of the whole process an answer
    /// may be waiting in it.
    pub fn on_timeout(&mut self, now: Instant) {
        self.line.release_if_due(now);
        match &mut self.state {
            State::LoggingIn { resume, deadline } if *deadline <= now => {
                let resume = *resume;
                self.drop_socket(Loss::LoginTimeout, now);
                self.count_failed_resume(resume);
            }
            State::Open { .. } if self.line.ack_overdue(now) => self.drop_socket(Loss::AckTimeout, now),
            State::Open { pulse, .. } => {
                if pulse
                    .unanswered_since
                    .is_some_and(|since| since + self.config.pong_timeout <= now)
                {
                    self.drop_socket(Loss::Silent, now);
                } else if pulse.ping_at <= now {
                    pulse.ping_at = now + self.config.ping_every;
                    pulse.unanswered_since.get_or_insert(now);
                    self.send(ClientFrame::Ping);
                }
            }
            State::Recovering { attempt, retry_at } if *retry_at <= now => {
                self.state = State::Connecting { attempt: *attempt };
                self.actions.push_back(Action::Connect);
            }
            State::Leaving { deadline, .. } if *deadline <= now => {
                self.close(CloseReason::ClosedByCustomer, CLOSE_NORMAL)
            }
            _ => {}
        }
        self.settle();
    }

    /// Asks for the chat: the one we have, or a new one.
    pub(super) fn log_in(&mut self, now: Instant) {
        let (guid, key) = self
            .identity
            .as_ref()
            .map(|i| (i.guid.clone(), i.key.clone()))
            .unzip();
        let resume = guid.is_some();
        self.send(ClientFrame::RequestChat(RequestChat {
            guid,
            authentication_key: key,
            device_type: self.profile.device_type.clone(),
            request_transcript: resume && self.config.request_transcript_on_resume,
            intrinsics: Some(self.profile.intrinsics.clone()),
        }));
        self.state = State::LoggingIn {
            resume,
            deadline: now + self.config.login_timeout,
        };
    }

    /// AACC took the login.
    pub(super) fn logged_in(&mut self, resumed: bool, now: Instant) {
        self.failed_resumes = 0;
        self.maintenance = false;
        if resumed && self.config.probe_after_resume.is_some() && self.config.ack_timeout.is_some() {
            self.room.doubt_empty();
        }
        let pulse = Pulse {
            ping_at: now + self.config.ping_every,
            unanswered_since: None,
        };
        self.state = State::Open {
            since: now,
            resumed,
            pulse,
        };
    }

    /// The chat is gone: the customer gets a new one, with an empty room.
    pub(super) fn forget_chat(&mut self) {
        self.identity = None;
        self.failed_resumes = 0;
        if self.room.is_open() {
            self.tell(Event::AgentPresent(false));
        }
        self.room.clear();
        self.tell(Event::SessionExpired);
    }

    /// A resume was answered oddly or not at all. For ever is no option: nobody resets anything by hand.
    pub(super) fn count_failed_resume(&mut self, resume: bool) {
        if !resume || self.identity.is_none() {
            return;
        }
        self.failed_resumes += 1;
        if self.failed_resumes >= self.config.failed_resumes_before_new_chat {
            self.forget_chat();
            if self.idle {
                self.end(CloseReason::Forgotten);
            }
        }
    }

    /// Gives the socket up and comes back.
    pub(super) fn drop_socket(&mut self, why: Loss, now: Instant) {
        self.actions.clear();
        self.actions.push_back(Action::Drop);
        self.lost(why, now);
    }

    /// Ends the chat for the customer and opens another.
    pub(super) fn replace_chat(&mut self, why: Loss, now: Instant) {
        // Told to close, or AACC would keep the old chat besides the new one.
        self.send(ClientFrame::CloseConversation);
        self.actions.push_back(Action::Close { code: CLOSE_NORMAL });
        self.forget_chat();
        self.lost(why, now);
    }

    /// What is in flight will not be answered any more.
    pub(super) fn doubt(&mut self) {
        match self.line.doubt(&self.config) {
            Some(Doubt::InDoubt { token }) => self.tell(Event::TextInDoubt { token }),
            Some(Doubt::DeadLetter { token }) => self.tell(Event::TextRefused {
                token,
                reason: Refusal::NeverAcknowledged,
            }),
            None => {}
        }
    }

    fn lost(&mut self, why: Loss, now: Instant) {
        let stable = match self.state {
            State::Open { since, .. } => since + self.config.stable_after <= now || self.line.was_answered(),
            _ => false,
        };
        self.failures = if stable {
            0
        } else {
            self.failures.saturating_add(1)
        };
        self.doubt();
        self.tell(Event::LinkLost { why });
        self.recover(now);
        self.settle();
    }

    fn recover(&mut self, now: Instant) {
        let config = &self.config;
        let wait = if self.maintenance {
            self.jitter
                .slow(self.failures, config.backoff_base, config.maintenance_retry)
        } else {
            self.jitter
                .full(self.failures, config.backoff_base, config.backoff_cap)
        };
        self.state = State::Recovering {
            attempt: self.failures,
            retry_at: now + wait,
        };
    }
}
