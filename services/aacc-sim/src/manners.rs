//! What the customer's side does wrong over time, where each frame for itself is right.

use std::time::Duration;

use tokio::time::Instant;

use crate::book::Book;
use crate::chat::Told;
use crate::links::Farewell;

pub(crate) const LIMIT: &str = "a chat was asked for above a limit of the contact center";
/// Frames cross each other on the wire: what comes within this time may have been sent before.
const CROSSING: Duration = Duration::from_secs(2);
/// A frame on a superseded socket that comes later was not under way already.
const UNDER_WAY: Duration = Duration::from_millis(250);
const PING_GAP: Duration = Duration::from_secs(1);

impl Book {
    /// A text came while nobody was in who takes it.
    pub fn spoke_into_empty_room(&mut self, guid: u64, socket: u64, now: Instant) {
        let Some(chat) = self.chats.get(&guid) else {
            return;
        };
        let detail = match chat.told {
            Told::NobodyYet => "a text before any participant was in",
            Told::NobodyLeft(since) if now.duration_since(since) >= CROSSING => {
                "a text after all participants had left"
            }
            Told::NobodyLeft(_) | Told::SomebodyIn | Told::Unknown => return,
        };
        // Clients may be set up to take an observer for somebody.
        match chat.room.is_empty() {
            true => self.malformed(Some(socket), "empty_room", detail),
            false => self.tolerated(Some(socket), "empty_room", detail),
        }
    }

    /// Something else than a ping came after there was nothing more to say.
    pub fn said_after(&mut self, socket: u64, farewell: Farewell, now: Instant) {
        match farewell {
            Farewell::CustomerClosed => {
                self.malformed(Some(socket), "after_close", "a frame after closeConversation");
            }
            Farewell::Superseded(since) => {
                let was_frozen = self.sockets.get(&socket).is_some_and(|s| s.was_frozen);
                let detail = "a frame on a socket whose chat was resumed on another one";
                match now.duration_since(since) >= UNDER_WAY && !was_frozen {
                    true => self.malformed(Some(socket), "superseded_socket", detail),
                    false => self.tolerated(Some(socket), "superseded_socket", detail),
                }
            }
        }
    }

    /// A ping came. Each socket is listed once.
    pub fn pinged(&mut self, socket: u64, now: Instant) {
        let Some(s) = self.sockets.get_mut(&socket) else {
            return;
        };
        let last = s.last_ping.replace(now);
        let hasty = last.is_some_and(|last| now.duration_since(last) < PING_GAP);
        if hasty && !s.was_frozen && !std::mem::replace(&mut s.hasty, true) {
            self.tolerated(Some(socket), "ping_rate", "pings less than a second apart");
        }
    }
}
