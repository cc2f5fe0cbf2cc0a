//! The sockets, as the book knows them.

use std::time::Duration;

use ccm_ewc_proto::frame::ServerFrame;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::book::{Book, Effect, take};
use crate::customer::MAINTENANCE;
use crate::fault::{Break, Target, TextFault};
use crate::socket::{Mark, Out};
use crate::views::{EndReason, Event, Link};

/// A notification that no client knows.
const UNKNOWN: &str =
    r#"{"apiVersion":"1.0","type":"notification","body":{"method":"newSimulatorGreeting","x":1}}"#;

/// What a socket stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SocketState {
    /// Open, without a chat: new, or its resume was refused.
    NoChat,
    /// It carries (or carried, until the chat ended) this chat.
    Chat(u64),
    /// Being closed: what still comes is not looked at.
    Closing,
}

/// Why nothing that is put on a socket reaches the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hole {
    None,
    /// Nothing comes in either.
    Black,
    HalfOpen,
}

/// Why the customer's side should say no more on a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Farewell {
    /// Its chat went on another socket.
    Superseded(Instant),
    /// It sent `closeConversation`.
    CustomerClosed,
}

pub(crate) struct Socket {
    pub state: SocketState,
    pub out: mpsc::UnboundedSender<Out>,
    /// Texts that were taken and not acknowledged (yet).
    pub unacknowledged: u32,
    pub hole: Hole,
    pub farewell: Option<Farewell>,
    /// What goes wrong with its next text.
    pub next_text: Option<TextFault>,
    /// It stood still for a while: what came meanwhile says nothing about when it was sent.
    pub was_frozen: bool,
    pub last_ping: Option<Instant>,
    /// It pinged too often.
    pub hasty: bool,
}

impl Book {
    pub fn add_socket(&mut self, out: mpsc::UnboundedSender<Out>) -> u64 {
        let no = self.next_socket;
        self.next_socket += 1;
        self.sockets.insert(
            no,
            Socket {
                state: SocketState::NoChat,
                out,
                unacknowledged: 0,
                hole: Hole::None,
                farewell: None,
                next_text: None,
                was_frozen: false,
                last_ping: None,
                hasty: false,
            },
        );
        no
    }

    /// Whether nothing gets out of a socket.
    pub fn in_hole(&self, no: u64) -> bool {
        self.sockets.get(&no).is_some_and(|s| s.hole != Hole::None)
    }

    /// The socket is gone, whoever ended it.
    pub fn remove_socket(&mut self, no: u64) {
        let Some(socket) = self.sockets.remove(&no) else {
            return;
        };
        if let SocketState::Chat(guid) = socket.state {
            self.lose_link(guid, no);
        }
    }

    fn lose_link(&mut self, guid: u64, no: u64) {
        let Some(chat) = self.chats.get_mut(&guid).filter(|c| c.link == Link::Open(no)) else {
            return;
        };
        chat.link = Link::Lost;
        chat.losses += 1;
        chat.customer_typing = false;
        if chat.ended() {
            return;
        }
        let (loss, within) = (chat.losses, self.settings.survive_for);
        self.emit(|| Event::LinkLost { guid });
        match within.is_zero() {
            true => self.end(guid, EndReason::Expired),
            false => self.effects.push(Effect::Survive { guid, loss, within }),
        }
    }

    /// Writes a frame as this AACC does.
    pub fn encode(&self, frame: &ServerFrame) -> String {
        self.settings.dialect.encode(frame)
    }

    /// Sends a notification.
    pub fn put(&mut self, socket: u64, frame: &ServerFrame) {
        self.put_text(socket, self.encode(frame), None);
    }

    /// Sends a notification that is written already.
    pub fn put_text(&mut self, socket: u64, text: String, mark: Option<Mark>) {
        if take(&mut self.faults.duplicate_notifications) {
            self.write(socket, text.clone(), None);
        }
        self.write(socket, text, mark);
    }

    /// Sends any frame.
    pub fn write(&mut self, socket: u64, text: String, mark: Option<Mark>) {
        let Some(s) = self.sockets.get(&socket) else {
            return;
        };
        let shape = self.faults.shape();
        let frame = |text: String, mark| Out::Frame {
            text: text.into(),
            mark,
            shape,
        };
        let every = self.faults.unknown_method_every;
        self.frames_put = self.frames_put.wrapping_add(1);
        if every > 0 && self.frames_put.is_multiple_of(every) {
            let _ = s.out.send(frame(UNKNOWN.to_owned(), None));
        }
        let _ = s.out.send(frame(text, mark));
    }

    /// Sends an event of the room; what no open socket carries is kept for the resume.
    pub fn put_room_event(&mut self, guid: u64, frame: &ServerFrame) {
        let Some(chat) = self.chats.get_mut(&guid) else {
            return;
        };
        let carried = match chat.link {
            Link::Open(no) => self.sockets.get(&no).filter(|s| s.hole == Hole::None).map(|_| no),
            Link::Lost => None,
        };
        match carried {
            Some(no) => self.put(no, frame),
            None if self.settings.missed_room_events => {
                let text = self.settings.dialect.encode(frame);
                chat.missed.push(text);
            }
            None => {}
        }
    }

    /// Breaks the sockets of chats (of all: also those without a chat). Returns how many.
    pub fn break_sockets(&mut self, target: Target, how: Break) -> usize {
        let hit = self.sockets_of(target);
        for no in &hit {
            let out = match how {
                Break::Close => Out::Close(1001),
                Break::Reset => Out::Reset,
                Break::BlackHole => Out::BlackHole,
                Break::HalfOpen => Out::HalfOpen,
            };
            self.cut(*no, out);
        }
        hit.len()
    }

    /// Tells a socket to end (or to fall silent) and takes it off its chat, which does not notice a black hole.
    pub fn cut(&mut self, no: u64, out: Out) {
        let Some(socket) = self.sockets.get_mut(&no) else {
            return;
        };
        let hole = match out {
            Out::BlackHole => Hole::Black,
            Out::HalfOpen => Hole::HalfOpen,
            _ => Hole::None,
        };
        let _ = socket.out.send(out);
        if hole != Hole::None {
            socket.hole = hole;
            return;
        }
        if let SocketState::Chat(guid) = std::mem::replace(&mut socket.state, SocketState::Closing) {
            self.lose_link(guid, no);
        }
    }

    /// Open sockets of chats (of all: also those without a chat).
    fn sockets_of(&self, target: Target) -> Vec<u64> {
        let wanted = |s: &Socket| match target {
            Target::All => s.state != SocketState::Closing,
            Target::Chat(guid) => s.state == SocketState::Chat(guid),
        };
        let sockets = self.sockets.iter().filter(|(_, s)| wanted(s));
        sockets.map(|(no, _)| *no).collect()
    }

    /// Sockets stand still for a while: nothing is read or written. Returns how many.
    pub fn freeze(&mut self, target: Target, pause: Duration) -> usize {
        let hit = self.sockets_of(target);
        for no in &hit {
            if let Some(socket) = self.sockets.get_mut(no) {
                socket.was_frozen = true;
                let _ = socket.out.send(Out::Freeze(pause));
            }
        }
        hit.len()
    }

    /// Tells open sockets that the contact center shuts down for maintenance. Returns how many.
    pub fn announce_maintenance(&mut self, target: Target) -> usize {
        let hit = self.sockets_of(target);
        for no in &hit {
            self.refuse(*no, "maintenance", 503, MAINTENANCE);
        }
        hit.len()
    }

    /// A frame was written.
    pub fn written(&mut self, mark: Mark) {
        let line = self
            .chats
            .get_mut(&mark.guid)
            .and_then(|c| c.lines.get_mut(mark.line));
        match line {
            Some(line) if mark.replay => line.replayed += 1,
            Some(line) => line.delivered_to_socket = true,
            None => {}
        }
    }

    /// A delayed acknowledgement is about to be written.
    pub fn ack_written(&mut self, socket: u64) {
        if let Some(s) = self.sockets.get_mut(&socket) {
            s.unacknowledged = s.unacknowledged.saturating_sub(1);
        }
    }
}
