//! The leave to dial once.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use ccm_ewc_proto::session::Loss;
use tokio::time::Instant;

use super::breaker::ProbeId;
use super::gate::Failure;
use super::{Shared, Which};
use crate::dial::Dialer;
use crate::error::DialError;
use crate::tickets::Counted;

/// Held by a chat from the beginning of a dial to the end of its socket; says how it went. Dropped without a word it
/// gives the role of the probe back, if it had that.
pub(crate) struct Pass {
    link: Arc<Shared>,
    which: Which,
    probe: Option<ProbeId>,
    _counted: Counted,
    /// The socket is open.
    open: bool,
    /// What became of the dial was said.
    settled: bool,
}

impl Pass {
    pub(super) fn new(link: Arc<Shared>, which: Which, probe: Option<ProbeId>) -> Self {
        Pass {
            _counted: link.dialer(which).count_socket(),
            link,
            which,
            probe,
            open: false,
            settled: false,
        }
    }

    pub fn dialer(&self) -> &Dialer {
        self.link.dialer(self.which)
    }

    #[cfg(test)]
    pub fn endpoint(&self) -> Which {
        self.which
    }

    /// The probe's first question was answered.
    pub(super) fn goes_on(&self) {
        if let Some(probe) = self.probe {
            let now = Instant::now().into_std();
            self.link.gate().goes_on(self.which, probe, now);
        }
    }

    /// The socket is open; that a chat gets in over it is still to be seen.
    pub fn dialled(&mut self) {
        self.open = true;
        self.link.sockets.fetch_add(1, Relaxed);
    }

    pub fn dial_failed(mut self, error: &DialError) {
        self.fail(Failure {
            why: error.to_string(),
            remedy: error.remedy(),
        });
    }

    /// The chat is in.
    pub fn got_in(&mut self) {
        if !self.settled {
            self.settled = true;
            self.link.change(|gate| gate.succeeded(self.which));
        }
    }

    /// The socket is lost.
    pub fn lost(mut self, why: &Loss) {
        // A chat that was in shows by its next dial whether the link is down.
        if !self.settled {
            self.fail(no_chat(why));
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.settled = true;
        let (which, probe) = (self.which, self.probe);
        self.link
            .change(|gate| gate.failed(which, probe, failure, Instant::now()));
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.open {
            self.link.sockets.fetch_sub(1, Relaxed);
        }
        if let Some(probe) = self.probe
            && !self.settled
        {
            self.link.change(|gate| gate.dropped(self.which, probe));
        }
    }
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pass({})", self.which)
    }
}

/// Why a socket gave no chat.
fn no_chat(why: &Loss) -> Failure {
    let said = match why {
        Loss::Disconnected { code: Some(code) } => format!("closed with code {code}"),
        Loss::Disconnected { code: None } => "the connection broke".into(),
        Loss::LoginTimeout => "no answer to the login".into(),
        Loss::LoginRefused { code: Some(code) } => format!("the login was refused with error {code}"),
        Loss::LoginRefused { code: None } => "the login was refused".into(),
        Loss::Maintenance => "AACC is shut down for maintenance (503)".into(),
        other => format!("{other:?}"),
    };
    Failure {
        why: format!("the socket opens and AACC gives no chat: {said}"),
        remedy: match why {
            Loss::Maintenance => "Nothing, if AACC's maintenance is planned: chats are tried again.",
            _ => "Check that AACC's Web Communications service and the skillset's web chat are running.",
        },
    }
}
