//! A bind that is kept: dialled, bound, and again when it breaks.

use crate::{
    dial::{DialError, Target, dial},
    link::{self, Handle, Serve},
    session::{Bind, Closed, Limits, Session, State},
};
use rusmpp::CommandStatus;
use std::{fmt, net::IpAddr, sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

/// Whom to bind to, and how.
#[derive(Debug, Clone)]
pub struct Plan {
    pub target: Target,
    pub bind: Bind,
    pub limits: Limits,
    /// How long the connection may take.
    pub connect: Duration,
    pub pauses: Pauses,
}

/// How long a bind that failed is left alone.
#[derive(Debug, Clone, Copy)]
pub struct Pauses {
    /// After the first failure; each further one doubles it.
    pub first: Duration,
    pub longest: Duration,
    /// After a refusal of who we are: some message centres lock an account that tries too often.
    pub refused: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(60),
            refused: Duration::from_secs(60),
        }
    }
}

impl Pauses {
    /// `failures` in a row, 1 or more. `spread`, from 0 to 1, keeps those apart that failed together.
    fn after(&self, failed: &Failed, failures: u32, spread: f64) -> Duration {
        let pause = match failed {
            Failed::Closed(Closed::Refused(status)) if is_about_us(*status) => self.refused,
            _ => {
                let doubled = self.first.saturating_mul(1 << (failures - 1).min(16));
                doubled.min(self.longest)
            }
        };
        pause.mul_f64(1.0 - spread.clamp(0.0, 1.0) / 2.0)
    }
}

fn is_about_us(status: CommandStatus) -> bool {
    use CommandStatus::{EsmeRbindfail, EsmeRinvpaswd, EsmeRinvsysid, EsmeRinvsystyp};
    matches!(
        status,
        EsmeRbindfail | EsmeRinvpaswd | EsmeRinvsysid | EsmeRinvsystyp
    )
}

/// Why a bind is not there.
#[derive(Debug)]
pub enum Failed {
    Dial(DialError),
    Closed(Closed),
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dial(error) => error.fmt(f),
            Self::Closed(closed) => closed.fmt(f),
        }
    }
}

/// Where a kept bind stands.
#[derive(Clone)]
pub enum Kept {
    Dialling,
    /// The session as it goes: [`Handle::state`].
    Session(Handle),
    /// It is dialled again at that time.
    Failed {
        why: Arc<Failed>,
        again: Instant,
    },
}

impl Kept {
    /// For an operator's eyes and a metric's label.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Dialling => "dialling",
            Self::Session(link) => link.state().as_str(),
            Self::Failed { .. } => "failed",
        }
    }

    /// The link, if texts can go over it.
    pub fn bound(&self) -> Option<&Handle> {
        match self {
            Self::Session(link) if link.state() == State::Bound => Some(link),
            _ => None,
        }
    }
}

/// Keeps a bind until `end` is over; then unbinds in order. `serve` makes what serves each session, `random` a number from 0 to 1,
/// `allowed` says which addresses may be dialled.
pub async fn keep<S: Serve>(
    plan: Plan,
    allowed: impl Fn(IpAddr) -> bool,
    mut serve: impl FnMut() -> S,
    mut random: impl FnMut() -> f64,
    kept: watch::Sender<Kept>,
    end: impl Future<Output = ()>,
) {
    tokio::pin!(end);
    let mut failures = 0;
    loop {
        kept.send_replace(Kept::Dialling);
        let stream = tokio::select! {
            stream = dial(&plan.target, &allowed, plan.connect) => stream,
            () = &mut end => return,
        };
        let failed = match stream {
            Err(error) => Failed::Dial(error),
            Ok(stream) => {
                let session = Session::esme(plan.bind.clone(), plan.limits, Instant::now().into_std());
                let (handle, driver) = link::link();
                kept.send_replace(Kept::Session(handle.clone()));
                let mut bound = handle.clone();
                let run = link::run(stream, session, serve(), driver);
                tokio::pin!(run);
                let (mut opened, mut ended) = (None, false);
                let closed = loop {
                    tokio::select! {
                        closed = &mut run => break closed,
                        state = bound.reached(State::Bound), if opened.is_none() => opened = Some(state),
                        () = &mut end, if !ended => {
                            ended = true;
                            handle.unbind();
                        }
                    }
                };
                if ended {
                    return;
                }
                if opened == Some(State::Bound) {
                    failures = 0;
                }
                Failed::Closed(closed)
            }
        };
        failures += 1;
        let pause = plan.pauses.after(&failed, failures, random());
        let again = Instant::now() + pause;
        kept.send_replace(Kept::Failed {
            why: failed.into(),
            again,
        });
        tokio::select! {
            () = sleep(pause) => {}
            () = &mut end => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_refusals_wait_longer() {
        let pauses = Pauses::default();
        let lost = Failed::Closed(Closed::Lost);
        let seconds =
            |failed: &Failed, failures, spread| pauses.after(failed, failures, spread).as_secs_f64();
        for (failures, expected) in [(1, 1.0), (2, 2.0), (4, 8.0), (7, 60.0), (1000, 60.0)] {
            assert_eq!(seconds(&lost, failures, 0.0), expected);
        }
        assert_eq!(seconds(&lost, 2, 1.0), 1.0);
        let refused = Failed::Closed(Closed::Refused(CommandStatus::EsmeRinvpaswd));
        assert_eq!(seconds(&refused, 1, 0.0), 60.0);
        let busy = Failed::Closed(Closed::Refused(CommandStatus::EsmeRsyserr));
        assert_eq!(seconds(&busy, 1, 0.0), 1.0);
    }
}
