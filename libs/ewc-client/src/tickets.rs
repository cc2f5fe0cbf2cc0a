//! What a link keeps to resume TLS sessions: when ten thousand sockets come back, hardly one pays for a full handshake.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls_pki_types::ServerName;

/// What is kept at least: sockets of one customer come and go too.
const LEAST: usize = 8;
/// What is kept at most.
const MOST: usize = 16_384;

/// The sessions of one endpoint.
///
/// TLS 1.2: one session, which serves any number of sockets. TLS 1.3: tickets, of which each serves one socket and brings
/// new ones; one is kept for each socket, at least 8, at most 16,384, the newest. rustls' own store keeps 8 for a
/// server, so that most of a storm would shake hands in full.
///
/// Memory: a ticket is what the server made it, 100 to 300 bytes usually, and about 250 bytes around it: 5 MB for 10,000
/// sockets. The server's certificates are shared by all sessions that go back to one full handshake.
pub(crate) struct Tickets {
    kept: Mutex<Kept>,
    /// Sockets that are open or being opened.
    sockets: AtomicUsize,
}

#[derive(Default)]
struct Kept {
    group: Option<NamedGroup>,
    tls12: Option<Tls12ClientSessionValue>,
    /// The oldest first.
    tls13: VecDeque<Tls13ClientSessionValue>,
}

/// Counts a socket while it lives.
pub(crate) struct Counted(Arc<Tickets>);

impl Tickets {
    pub fn new() -> Arc<Self> {
        Arc::new(Tickets {
            kept: Mutex::default(),
            sockets: AtomicUsize::new(0),
        })
    }

    /// A socket is being opened.
    pub fn count(self: &Arc<Self>) -> Counted {
        self.sockets.fetch_add(1, Relaxed);
        Counted(self.clone())
    }

    fn room(&self) -> usize {
        self.sockets.load(Relaxed).clamp(LEAST, MOST)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().expect("nothing panics under this lock")
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.sockets.fetch_sub(1, Relaxed);
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tickets({} of {})", self.kept().tls13.len(), self.room())
    }
}

/// The store is one endpoint's, and so is the name.
impl ClientSessionStore for Tickets {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        self.kept().group = Some(group);
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.kept().group
    }

    fn set_tls12_session(&self, _: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.kept().tls12 = Some(value);
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.kept().tls12.clone()
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.kept().tls12 = None;
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, value: Tls13ClientSessionValue) {
        let room = self.room();
        let mut kept = self.kept();
        kept.tls13.push_back(value);
        // When sockets have gone the store shrinks slowly, by one with each socket that takes one and brings two: those
        // that broke together come back together, and half of them are back before half of the tickets are gone.
        if kept.tls13.len() > room {
            kept.tls13.pop_front();
        }
    }

    /// The newest: it is good for longest.
    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.kept().tls13.pop_back()
    }
}
