//! Customers' texts on their way to the agent, and what goes wrong with them.

use std::time::Duration;

use ccm_ewc_proto::frame::ServerFrame;
use tokio::time::Instant;

use crate::book::Book;
use crate::customer::{INVALID, MAINTENANCE, NOT_STARTED};
use crate::fault::TextFault;
use crate::links::SocketState;
use crate::player::Heard;
use crate::socket::Out;
use crate::views::{ChatState, Event, Line, LineKind, Sender};

/// An error that no client knows: code and text.
const UNKNOWN_ERROR: (i64, &str) = (4711, "Unexpected condition");
const INTERNAL: &str = "Internal error";

impl Book {
    /// A customer's text. Returns true if it reached the agent's side.
    pub fn new_message(&mut self, socket: u64, text: &str, now: Instant) -> bool {
        if self.sockets.get(&socket).is_some_and(|s| s.unacknowledged > 0) {
            self.tolerated(
                Some(socket),
                "in_flight",
                "a text before the last one was acknowledged",
            );
        }
        let Some(guid) = self.chat_of(socket, "newMessage") else {
            if let SocketState::Chat(guid) = self.state_of(socket)
                && let Some(chat) = self.chats.get_mut(&guid)
            {
                chat.not_started += 1;
            }
            return false;
        };
        let Some(chat) = self.chats.get_mut(&guid) else {
            return false;
        };
        if chat.state != ChatState::Live {
            chat.not_started += 1;
            self.spoke_into_empty_room(guid, socket, now);
            self.refuse(socket, "newMessage", 1, NOT_STARTED);
            return false;
        }
        chat.heard_at = now;
        if text.is_empty() {
            self.refuse(socket, "newMessage", 1, INVALID);
            return false;
        }
        if self.faults.maintenance_texts && self.in_maintenance(now) {
            self.refuse(socket, "newMessage", 503, MAINTENANCE);
            return false;
        }
        let own = self.sockets.get_mut(&socket).and_then(|s| s.next_text.take());
        let fault = own.or_else(|| self.faults.next_text());
        match fault {
            Some(TextFault::Refuse) => self.acknowledge(socket, false, now),
            Some(TextFault::InternalError) => self.refuse(socket, "newMessage", 500, INTERNAL),
            Some(TextFault::UnknownError) => {
                let (code, text) = UNKNOWN_ERROR;
                self.refuse(socket, "newMessage", code, text);
            }
            taken => {
                self.take_text(guid, socket, text);
                self.answer_text(socket, taken, now);
                return true;
            }
        }
        false
    }

    fn take_text(&mut self, guid: u64, socket: u64, text: &str) {
        let Some(chat) = self.chats.get_mut(&guid) else {
            return;
        };
        chat.received += 1;
        chat.unread += 1;
        chat.customer_typing = false;
        if let Some(player) = &chat.player {
            let _ = player.send(Heard::new(text));
        }
        let line = Line {
            at_ms: self.now_ms,
            kind: LineKind::Text,
            from: Sender::Customer,
            agent_id: None,
            name: chat.intrinsics.name.to_string(),
            text: text.to_owned(),
            displayed: escaped(text),
            socket: Some(socket),
            delivered_to_socket: false,
            replayed: 0,
        };
        chat.keep(&self.settings, &line);
        self.emit(|| Event::Text { guid, line });
    }

    fn answer_text(&mut self, socket: u64, fault: Option<TextFault>, now: Instant) {
        match fault {
            Some(TextFault::WithholdAck) => {
                if let Some(s) = self.sockets.get_mut(&socket) {
                    s.unacknowledged += 1;
                }
            }
            Some(TextFault::CloseBeforeAck) => self.cut(socket, Out::Close(1001)),
            Some(TextFault::CloseAfterAck) => {
                self.acknowledge(socket, true, now);
                self.cut(socket, Out::Close(1001));
            }
            Some(TextFault::SurplusAck) => {
                self.acknowledge(socket, true, now);
                self.acknowledge(socket, true, now);
            }
            _ => self.acknowledge(socket, true, now),
        }
    }

    fn acknowledge(&mut self, socket: u64, result: bool, now: Instant) {
        let text = self.encode(&ServerFrame::Acknowledgement {
            method: "newMessage".into(),
            result,
        });
        let delay = self.ack_delay(now);
        if delay == Duration::ZERO {
            return self.write(socket, text, None);
        }
        let shape = self.faults.shape();
        if let Some(s) = self.sockets.get_mut(&socket) {
            s.unacknowledged += 1;
            let _ = s.out.send(Out::Later {
                text: text.into(),
                delay,
                shape,
            });
        }
    }
}

/// A customer's text as it reaches the agent (application notes 2.2, observation 2).
pub(crate) fn escaped(text: &str) -> String {
    text.replace('<', "&lt;").replace('>', "&gt;")
}
