//! What AACC does with the frames of the customer's side.

use std::time::Duration;

use ccm_ewc_proto::frame::{
    AaccError, AuthKey, ClientFrame, Guid, PushPage, QueueStatus, RequestChat, ServerFrame,
};

use crate::book::{Book, SocketState};
use crate::chat::Chat;
use crate::player::Heard;
use crate::settings::{ErrorMethod, Transcript};
use crate::socket::{Mark, Out};
use crate::strict;
use crate::views::{ChatState, EndReason, Event, Line, LineKind, Link, Sender};

const NOT_STARTED: &str = "Invalid message: Chat not started";
const EXPIRED: &str = "Unable to reconnect, session key is invalid or expired";
const MAINTENANCE: &str = "Contact center is shutting down";
/// What AACC says to a frame that it cannot read is not documented; the code is [D].
const INVALID: &str = "Invalid message";

impl Book {
    /// Handles one text frame. Returns true if a text reached the agent's side.
    pub fn receive(&mut self, socket: u64, text: &str) -> bool {
        if self.state_of(socket) == SocketState::Closing || self.is_silent(socket) {
            return false;
        }
        for finding in strict::check(text) {
            self.violation(Some(socket), finding);
        }
        match ClientFrame::parse(text) {
            Ok(ClientFrame::RequestChat(request)) => self.request_chat(socket, request),
            Ok(ClientFrame::NewMessage { message }) => return self.new_message(socket, &message),
            Ok(ClientFrame::IsTyping { is_typing }) => self.customer_typing(socket, is_typing),
            Ok(ClientFrame::QueueStatus) => self.queue_status(socket),
            Ok(ClientFrame::PushPage(page)) => self.customer_pushes(socket, page),
            Ok(ClientFrame::CloseConversation) => self.customer_closes(socket),
            Ok(ClientFrame::Ping) if self.faults.ignore_pings => {}
            Ok(ClientFrame::Ping) => self.put(socket, &ServerFrame::Ping),
            Ok(ClientFrame::RenewChat(_)) => self.refuse(socket, "renewChat", 1, INVALID),
            Ok(ClientFrame::Unknown { method, .. }) => self.refuse(socket, &method, 1, INVALID),
            Err(_) => self.refuse(socket, "error", 1, INVALID),
        }
        false
    }

    fn state_of(&self, socket: u64) -> SocketState {
        self.sockets
            .get(&socket)
            .map_or(SocketState::Closing, |s| s.state)
    }

    fn refuse(&self, socket: u64, method: &str, code: i64, text: &str) {
        let method = match self.settings.error_method {
            ErrorMethod::Request => method,
            ErrorMethod::Error => "error",
        };
        let error = AaccError {
            method: method.into(),
            code: Some(code),
            text: text.into(),
        };
        self.put(socket, &ServerFrame::Error(error));
    }

    /// The live or waiting chat of a socket. Without one the frame is refused, as on a dead chat.
    fn chat_of(&mut self, socket: u64, method: &str) -> Option<u64> {
        match self.state_of(socket) {
            SocketState::Chat(guid) if self.chats.get(&guid).is_some_and(|c| !c.ended()) => {
                return Some(guid);
            }
            SocketState::Chat(_) | SocketState::Closing => {}
            SocketState::NoChat => {
                self.malformed(
                    Some(socket),
                    "no_chat",
                    "a frame before any chat was requested on the socket",
                );
            }
        }
        self.refuse(socket, method, 1, NOT_STARTED);
        None
    }

    fn request_chat(&mut self, socket: u64, request: RequestChat) {
        if self.faults.maintenance {
            return self.refuse(socket, "requestChat", 503, MAINTENANCE);
        }
        if request.guid.is_some() || request.authentication_key.is_some() {
            return self.resume(socket, request);
        }
        if let SocketState::Chat(guid) = self.state_of(socket)
            && self.chats.get(&guid).is_some_and(|c| !c.ended())
        {
            return self.refuse_second_chat(socket);
        }
        let intrinsics = request.intrinsics.unwrap_or_default();
        let named = intrinsics.skillset.as_str();
        let any = self.settings.any_skillset.name.as_str();
        let skillset = if named.is_empty() { any } else { named }.to_owned();
        let (guid, key) = self.fresh_session();
        let chat = Chat::new(guid, AuthKey::new(key), intrinsics, skillset, socket, self.now_ms);
        if !self.within_limits(&chat.customer, &chat.skillset) {
            let answer = self.settings.limit_error.clone();
            return self.refuse(socket, "requestChat", answer.code, &answer.text);
        }
        self.put(socket, &chat.accepted(self.settings.skillset(&chat.skillset)));
        if let Some(s) = self.sockets.get_mut(&socket) {
            s.state = SocketState::Chat(guid);
        }
        self.enter(chat);
    }

    /// One socket is one customer's one chat [A]; what AACC answers to a second one is not documented [D].
    fn refuse_second_chat(&mut self, socket: u64) {
        self.malformed(
            Some(socket),
            "second_chat",
            "another chat on a socket whose chat is open",
        );
        self.refuse(socket, "requestChat", 1, INVALID);
    }

    /// The chat of a guid and key that AACC still takes.
    fn session(&self, guid: Option<&Guid>, key: Option<&AuthKey>) -> Option<u64> {
        let guid: u64 = guid?.as_str().parse().ok()?;
        let chat = self.chats.get(&guid)?;
        (!chat.ended() && Some(&chat.key) == key).then_some(guid)
    }

    fn resume(&mut self, socket: u64, request: RequestChat) {
        let session = self.session(request.guid.as_ref(), request.authentication_key.as_ref());
        let Some(guid) = session.filter(|_| !self.faults.refuse_resumes) else {
            return self.refuse(socket, "requestChat", 2, EXPIRED);
        };
        if let SocketState::Chat(current) = self.state_of(socket)
            && current != guid
            && self.chats.get(&current).is_some_and(|c| !c.ended())
        {
            return self.refuse_second_chat(socket);
        }
        let settings = self.settings.clone();
        if let Some(Link::Open(old)) = self.chats.get(&guid).map(|c| c.link)
            && old != socket
            && let Some(s) = self.sockets.get_mut(&old)
        {
            s.state = SocketState::Closing;
            let _ = s.out.send(Out::Close(settings.superseded_close_code));
        }
        if let Some(s) = self.sockets.get_mut(&socket) {
            s.state = SocketState::Chat(guid);
        }
        let Some(chat) = self.chats.get_mut(&guid) else {
            return;
        };
        chat.link = Link::Open(socket);
        chat.resumes += 1;
        let missed = std::mem::take(&mut chat.missed);
        let accepted = chat.accepted(settings.skillset(&chat.skillset));
        let transcript = match settings.transcript {
            Transcript::Never => Vec::new(),
            _ if !request.request_transcript => Vec::new(),
            how => chat.transcript(how),
        };
        self.put(socket, &accepted);
        for (line, frame) in transcript {
            self.put_text(
                socket,
                frame.encode(),
                Some(Mark {
                    guid,
                    line,
                    replay: true,
                }),
            );
        }
        for event in missed {
            self.put_text(socket, event, None);
        }
        self.emit(|| Event::Resumed { guid, socket });
    }

    fn new_message(&mut self, socket: u64, text: &str) -> bool {
        let in_flight = self.sockets.get(&socket).is_some_and(|s| s.acks_due > 0);
        if in_flight {
            let detail = "a text before the last one was acknowledged".into();
            let severity = strict::Severity::Tolerated;
            self.violation(
                Some(socket),
                strict::Finding {
                    rule: "in_flight",
                    detail,
                    severity,
                },
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
            self.refuse(socket, "newMessage", 1, NOT_STARTED);
            return false;
        }
        if text.is_empty() {
            self.refuse(socket, "newMessage", 1, INVALID);
            return false;
        }
        if take(&mut self.faults.refuse_texts) {
            self.acknowledge(socket, false);
            return false;
        }
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
        if !take(&mut self.faults.withhold_acks) {
            self.acknowledge(socket, true);
        }
        true
    }

    fn acknowledge(&mut self, socket: u64, result: bool) {
        let text = ServerFrame::Acknowledgement {
            method: "newMessage".into(),
            result,
        }
        .encode();
        if self.faults.ack_delay_ms == 0 {
            return self.put_text(socket, text, None);
        }
        let delay = Duration::from_millis(self.faults.ack_delay_ms);
        if let Some(s) = self.sockets.get_mut(&socket) {
            s.acks_due += 1;
            let _ = s.out.send(Out::Later {
                text: text.into(),
                delay,
            });
        }
    }

    fn customer_typing(&mut self, socket: u64, typing: bool) {
        let Some(guid) = self.chat_of(socket, "isTyping") else {
            return;
        };
        if let Some(chat) = self.chats.get_mut(&guid) {
            chat.customer_typing = typing;
        }
        self.emit(|| Event::CustomerTyping { guid, typing });
    }

    fn queue_status(&mut self, socket: u64) {
        let Some(guid) = self.chat_of(socket, "queueStatus") else {
            return;
        };
        let place = i64::from(self.place_in_queue(guid));
        let skillset = self
            .chats
            .get(&guid)
            .map(|c| c.skillset.as_str())
            .unwrap_or_default();
        let wait = i64::from(self.settings.skillset(skillset).wait_per_place_s);
        let status = QueueStatus {
            position_in_queue: Some(place),
            estimated_wait_time_s: Some(place * wait),
        };
        self.put(socket, &ServerFrame::QueueStatus(status));
    }

    fn customer_pushes(&mut self, socket: u64, page: PushPage) {
        let Some(guid) = self.chat_of(socket, "newPushPageMessage") else {
            return;
        };
        let Some(chat) = self.chats.get_mut(&guid) else {
            return;
        };
        let line = Line {
            at_ms: self.now_ms,
            kind: LineKind::Page,
            from: Sender::Customer,
            agent_id: None,
            name: chat.intrinsics.name.to_string(),
            text: page.url.to_string(),
            displayed: escaped(&page.url),
            socket: Some(socket),
            delivered_to_socket: false,
            replayed: 0,
        };
        chat.unread += 1;
        chat.keep(&self.settings, &line);
        self.emit(|| Event::Text { guid, line });
    }

    fn customer_closes(&mut self, socket: u64) {
        let Some(guid) = self.chat_of(socket, "closeConversation") else {
            return;
        };
        self.put(socket, &ServerFrame::CloseConversation { result: true });
        self.end(guid, EndReason::Customer);
        self.cut(socket, Out::Close(1000));
    }
}

/// Uses up one of the next n.
fn take(count: &mut u32) -> bool {
    let any = *count > 0;
    *count = count.saturating_sub(1);
    any
}

/// A customer's text as it reaches the agent (application notes 2.2, observation 2).
fn escaped(text: &str) -> String {
    text.replace('<', "&lt;").replace('>', "&gt;")
}
