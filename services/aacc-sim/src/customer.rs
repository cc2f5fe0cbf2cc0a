//! What AACC does with the frames of the customer's side.

use ccm_ewc_proto::frame::{AaccError, AuthKey, ClientFrame, Guid, PushPage, RequestChat, ServerFrame};
use tokio::time::Instant;

use crate::book::{Book, Effect};
use crate::chat::{Chat, Told};
use crate::links::{Farewell, Hole, SocketState};
use crate::manners;
use crate::settings::{ErrorMethod, IdleEnd, Transcript};
use crate::socket::{Mark, Out};
use crate::strict;
use crate::texts::escaped;
use crate::views::{ChatState, EndReason, Event, Line, LineKind, Link, Sender};

pub(crate) const NOT_STARTED: &str = "Invalid message: Chat not started";
const EXPIRED: &str = "Unable to reconnect, session key is invalid or expired";
/// The text is not documented, nor what `method` says where no request failed [D].
pub(crate) const MAINTENANCE: &str = "Contact center is shutting down";
/// What AACC says to a frame that it cannot read is not documented; the code is [D].
pub(crate) const INVALID: &str = "Invalid message";

impl Book {
    /// Handles one text frame. Returns true if a text reached the agent's side.
    pub fn receive(&mut self, socket: u64, text: &str) -> bool {
        let now = Instant::now();
        let Some(s) = self.sockets.get(&socket).filter(|s| s.hole != Hole::Black) else {
            return false;
        };
        let (state, farewell) = (s.state, s.farewell);
        let frame = ClientFrame::parse(text);
        let is_ping = matches!(frame, Ok(ClientFrame::Ping));
        if let Some(farewell) = farewell.filter(|_| !is_ping) {
            self.said_after(socket, farewell, now);
            return false;
        }
        if state == SocketState::Closing {
            return false;
        }
        for finding in strict::check(text) {
            self.violation(Some(socket), finding);
        }
        match frame {
            Ok(ClientFrame::RequestChat(request)) => self.request_chat(socket, request, now),
            Ok(ClientFrame::NewMessage { message }) => return self.new_message(socket, &message, now),
            Ok(ClientFrame::IsTyping { is_typing }) => self.customer_typing(socket, is_typing, now),
            Ok(ClientFrame::QueueStatus) => self.tell_queue_status(socket),
            Ok(ClientFrame::PushPage(page)) => self.customer_pushes(socket, page),
            Ok(ClientFrame::CloseConversation) => self.customer_closes(socket),
            Ok(ClientFrame::Ping) => {
                self.pinged(socket, now);
                if !self.ignores_pings(now) {
                    self.put(socket, &ServerFrame::Ping);
                }
            }
            Ok(ClientFrame::RenewChat(_)) => self.refuse(socket, "renewChat", 1, INVALID),
            Ok(ClientFrame::Unknown { method, .. }) => self.refuse(socket, &method, 1, INVALID),
            Err(_) => self.refuse(socket, "error", 1, INVALID),
        }
        false
    }

    pub fn state_of(&self, socket: u64) -> SocketState {
        self.sockets
            .get(&socket)
            .map_or(SocketState::Closing, |s| s.state)
    }

    pub fn refuse(&mut self, socket: u64, method: &str, code: i64, text: &str) {
        let method = match self.settings.error_method {
            ErrorMethod::Request => method,
            ErrorMethod::Error => "error",
        };
        let error = AaccError {
            method: method.into(),
            code: Some(code),
            text: text.into(),
        };
        let text = self.encode(&ServerFrame::Error(error));
        self.write(socket, text, None);
    }

    /// The live or waiting chat of a socket. Without one the frame is refused, as on a dead chat.
    pub fn chat_of(&mut self, socket: u64, method: &str) -> Option<u64> {
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

    fn request_chat(&mut self, socket: u64, request: RequestChat, now: Instant) {
        if self.in_maintenance(now) {
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
            self.tolerated(Some(socket), "limit_reached", manners::LIMIT);
            return self.refuse(socket, "requestChat", answer.code, &answer.text);
        }
        self.accept(
            socket,
            &chat.accepted(self.settings.skillset(&chat.skillset)),
            guid,
        );
        if let Some(s) = self.sockets.get_mut(&socket) {
            s.state = SocketState::Chat(guid);
        }
        self.enter(chat);
        self.notice_no_agents(guid);
    }

    fn accept(&mut self, socket: u64, accepted: &ServerFrame, guid: u64) {
        if self.settings.dialect.new_chat_acknowledgement {
            let acknowledged = ServerFrame::NewChatAcknowledgement {
                guid: Some(Guid::number(guid)),
            };
            self.put(socket, &acknowledged);
        }
        self.put(socket, accepted);
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
        (!chat.ended() && !chat.closing && Some(&chat.key) == key).then_some(guid)
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
            s.farewell = Some(Farewell::Superseded(Instant::now()));
            let _ = s.out.send(Out::Close(settings.superseded_close_code));
        }
        if let Some(s) = self.sockets.get_mut(&socket) {
            s.state = SocketState::Chat(guid);
        }
        let new_key = settings.rekey_on_resume.then(|| self.fresh_key());
        let Some(chat) = self.chats.get_mut(&guid) else {
            return;
        };
        chat.link = Link::Open(socket);
        chat.resumes += 1;
        if let Some(key) = new_key {
            chat.key = AuthKey::new(key);
        }
        let missed = std::mem::take(&mut chat.missed);
        chat.told = match chat.state {
            ChatState::Live => Told::SomebodyIn,
            _ if missed.is_empty() => Told::Unknown,
            _ => Told::NobodyLeft(Instant::now()),
        };
        let accepted = chat.accepted(settings.skillset(&chat.skillset));
        let transcript = match settings.transcript {
            Transcript::Never => Vec::new(),
            _ if !request.request_transcript => Vec::new(),
            how => chat.transcript(how),
        };
        self.accept(socket, &accepted, guid);
        for (line, frame) in transcript {
            let mark = Mark {
                guid,
                line,
                replay: true,
            };
            self.put_text(socket, self.encode(&frame), Some(mark));
        }
        for event in missed {
            self.put_text(socket, event, None);
        }
        self.emit(|| Event::Resumed { guid, socket });
    }

    fn customer_typing(&mut self, socket: u64, typing: bool, now: Instant) {
        let Some(guid) = self.chat_of(socket, "isTyping") else {
            return;
        };
        if let Some(chat) = self.chats.get_mut(&guid) {
            chat.customer_typing = typing;
            chat.heard_at = now;
        }
        self.emit(|| Event::CustomerTyping { guid, typing });
    }

    fn tell_queue_status(&mut self, socket: u64) {
        if let Some(guid) = self.chat_of(socket, "queueStatus") {
            let status = self.queue_status(guid);
            self.put(socket, &status);
        }
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
        if let Some(s) = self.sockets.get_mut(&socket) {
            s.farewell = Some(Farewell::CustomerClosed);
        }
        let within = self.settings.close_delay;
        if within.is_zero() {
            return self.confirm_close(guid, socket);
        }
        if let Some(chat) = self.chats.get_mut(&guid) {
            chat.closing = true;
        }
        self.effects.push(Effect::Close { guid, socket, within });
    }

    /// Tells the customer's side that the chat which it closed is closed.
    pub fn confirm_close(&mut self, guid: u64, socket: u64) {
        self.put(socket, &ServerFrame::CloseConversation { result: true });
        self.end(guid, EndReason::Customer);
        self.cut(socket, Out::Close(1000));
    }

    /// Ends a chat whose customer is silent for too long while an agent is in.
    pub fn end_idle(&mut self, guid: u64) {
        match self.settings.idle_end {
            IdleEnd::ParticipantLeave => {
                let _ = self.leave(guid, None, true, None, EndReason::Idle);
            }
            IdleEnd::CloseConversation => {
                let link = self.chats.get(&guid).map(|c| c.link);
                self.put_room_event(guid, &ServerFrame::CloseConversation { result: true });
                self.end(guid, EndReason::Idle);
                if let Some(Link::Open(socket)) = link {
                    self.cut(socket, Out::Close(1000));
                }
            }
        }
    }
}
