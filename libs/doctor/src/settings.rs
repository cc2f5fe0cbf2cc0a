//! The link's own settings, before anything is dialled; and what cannot be measured.

use std::time::Duration;

use ccm_ewc_client::{Dialer, Scheme, Target};
use time::OffsetDateTime;

use crate::cause::Cause;
use crate::chain;
use crate::explain::Patient;
use crate::log::{Seen, fact, shown};
use crate::plan::Plan;
use crate::report::{Fact, Finding};

pub(crate) fn check(target: &Target, now: OffsetDateTime, warn_days: u32) -> (Seen, Option<Dialer>) {
    let facts = evidence(target, now);
    match Dialer::new(target) {
        Ok(dialer) => {
            let finding = chain::client_certificate_ends_soon(target, now, warn_days);
            (Seen::passed_unless(finding).facts(facts), Some(dialer))
        }
        Err(error) => (Seen::failed(Patient::settings(&error)).facts(facts), None),
    }
}

fn evidence(target: &Target, now: OffsetDateTime) -> Vec<Fact> {
    let mut facts = vec![fact("address", target.url())];
    facts.extend(target.server_name.as_ref().map(|name| fact("server name", name)));
    facts.extend(target.addresses.iter().map(|ip| fact("pinned address", ip)));
    if let Some(proxy) = &target.proxy {
        let with = match proxy.credentials {
            Some(_) => " with credentials",
            None => "",
        };
        facts.push(fact(
            "HTTP proxy",
            format!("{} port {}{with}", proxy.host, proxy.port),
        ));
    }
    if target.scheme == Scheme::Wss {
        facts.extend(chain::own_evidence(target, now));
    }
    facts
}

/// What to look at that no examination shows.
pub(crate) fn advice(plan: &Plan) -> Vec<Seen> {
    let mut advice = vec![Finding::new(
        Cause::ForceIdleCheck,
        "AACC ends chats whose customer is silent for longer than its force idle customer check (180 s as installed). People \
         answer texts later than that; CCM opens a new chat then, and the agent sees two.",
    )];
    if plan.idle_watch.is_none() {
        advice.push(Finding::new(
            Cause::ReadTimeoutUnmeasured,
            format!(
                "A reverse proxy closes sockets that are silent for its read timeout. CCM pings every {}.",
                shown(plan.ping_every)
            ),
        ));
    }
    let plain = |target: &Target| target.scheme == Scheme::Ws;
    if plain(&plan.primary) || plan.secondary.as_ref().is_some_and(plain) {
        advice.push(Finding::new(
            Cause::NotEncrypted,
            "This link is not encrypted: everybody on the way can read and change what customers and agents write.",
        ));
    }
    advice.into_iter().map(Seen::advice).collect()
}

/// Whether a socket that is cut after so much silence can carry chats.
pub(crate) fn judge_read_timeout(cut_after: Duration, ping_every: Duration) -> Option<(bool, Finding)> {
    // AACC's own keep alive time.
    const SAFE: Duration = Duration::from_secs(30);
    let finding = |meaning: &str| {
        Finding::new(
            Cause::ReadTimeoutTooShort,
            format!(
                "A silent socket was cut after {}. CCM pings every {}: {meaning}",
                shown(cut_after),
                shown(ping_every)
            ),
        )
    };
    if cut_after <= 2 * ping_every {
        return Some((true, finding("one late ping and every chat breaks.")));
    }
    (cut_after < SAFE.max(3 * ping_every))
        .then(|| (false, finding("a short stall of the network breaks chats.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_timeout_is_judged_by_the_ping_interval() {
        let judge = |cut, ping| {
            let judged = judge_read_timeout(Duration::from_secs(cut), Duration::from_secs(ping));
            judged.map(|(failed, _)| failed)
        };
        assert_eq!(judge(8, 5), Some(true));
        assert_eq!(judge(10, 5), Some(true));
        assert_eq!(judge(29, 5), Some(false));
        assert_eq!(judge(60, 5), None);
        assert_eq!(judge(60, 30), Some(true));
        assert_eq!(judge(80, 30), Some(false));
    }
}
