//! Certificates that end: those that links trust, those that they show, and those that servers have shown. Each is told of
//! 30, 14 and 3 days before, and when it is over; once each.

use ccm_db::{LinkRow, LinkStateRow, Once};
use ccm_ewc_client::{Ending, PeerCertificate};
use ccm_model::{LinkId, TenantId};
use serde_json::{Value, json};
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};
use time::OffsetDateTime;
use tokio::time::Instant;

/// How often the settings of all links are looked through. Their ends are days away.
const LOOK: Duration = Duration::from_secs(3600);
/// Tenants that are looked through at a time: a pod that takes over many has other things to do first.
const AT_ONCE: usize = 20;

/// Whose certificate it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Whose {
    Server,
    TrustedCa,
    Client,
}

impl Whose {
    const ALL: [Self; 3] = [Self::Server, Self::TrustedCa, Self::Client];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::TrustedCa => "trusted_ca",
            Self::Client => "client",
        }
    }
}

/// A certificate that ends soon, or has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Warning {
    pub whose: Whose,
    pub subject: String,
    pub days_left: i64,
    sha256: String,
    until: OffsetDateTime,
    ending: Ending,
}

impl Warning {
    pub fn kind(&self) -> &'static str {
        match self.ending {
            Ending::Past => "certificate_expired",
            _ => "certificate_expires",
        }
    }

    /// What an event tells. Subjects are as long as somebody has made them.
    pub fn detail(&self) -> Value {
        json!({
            "whose": self.whose.as_str(),
            "subject": self.subject.chars().take(300).collect::<String>(),
            "sha256": self.sha256,
            "within_days": self.ending.days(),
            "days_left": self.days_left,
            "until": self.until.unix_timestamp(),
        })
    }

    pub fn once(&self) -> Once {
        Once::About(json!({
            "whose": self.whose.as_str(), "sha256": self.sha256, "within_days": self.ending.days(),
        }))
    }
}

/// What is known of the certificates of this pod's tenants.
#[derive(Default)]
pub(crate) struct Certificates {
    looked_at: HashMap<TenantId, Instant>,
    told: HashSet<(LinkId, Whose, String, Ending)>,
    ends: HashMap<(TenantId, Whose), OffsetDateTime>,
}

impl Certificates {
    /// Tenants whose settings are to be looked through now. What is known of others than `owned` is forgotten.
    pub fn due<'a>(&mut self, owned: impl Iterator<Item = &'a TenantId>) -> Vec<TenantId> {
        let owned: HashSet<_> = owned.copied().collect();
        self.looked_at.retain(|tenant, _| owned.contains(tenant));
        self.ends.retain(|(tenant, _), _| owned.contains(tenant));
        let due = owned.into_iter().filter(|tenant| {
            let looked = self.looked_at.get(tenant);
            looked.is_none_or(|at| at.elapsed() >= LOOK)
        });
        due.take(AT_ONCE).collect()
    }

    /// Looks through a tenant's links and says what is to be told.
    pub fn look(
        &mut self,
        tenant: TenantId,
        links: &[LinkRow],
        states: &[LinkStateRow],
        now: OffsetDateTime,
    ) -> Vec<(LinkId, Warning)> {
        self.looked_at.insert(tenant, Instant::now());
        self.ends.retain(|(of, _), _| *of != tenant);
        let mut warnings = Vec::new();
        for link in links {
            let state = states.iter().find(|state| state.link == link.id);
            for (whose, certificate) in of_link(link, state) {
                warnings.extend(self.see(tenant, link.id, whose, &certificate, now));
            }
        }
        warnings
    }

    /// A certificate was seen: says what is to be told of it.
    pub fn see(
        &mut self,
        tenant: TenantId,
        link: LinkId,
        whose: Whose,
        certificate: &PeerCertificate,
        now: OffsetDateTime,
    ) -> Option<(LinkId, Warning)> {
        let until = certificate.not_after;
        let first = self.ends.entry((tenant, whose)).or_insert(until);
        *first = until.min(*first);
        let ending = certificate.ending(now)?;
        let sha256 = certificate.sha256.clone();
        if self.told.contains(&(link, whose, sha256.clone(), ending)) {
            return None;
        }
        let warning = Warning {
            whose,
            subject: certificate.subject.clone(),
            days_left: (until - now).whole_days(),
            sha256,
            until,
            ending,
        };
        Some((link, warning))
    }

    /// It was written down.
    pub fn told(&mut self, link: LinkId, warning: &Warning) {
        // Not for ever: a pod may live long, and the database knows it too.
        if self.told.len() > 10_000 {
            self.told.clear();
        }
        self.told
            .insert((link, warning.whose, warning.sha256.clone(), warning.ending));
    }

    /// The first end of each kind, for the metric.
    pub fn first_ends(&self) -> impl Iterator<Item = (Whose, Option<OffsetDateTime>)> + '_ {
        Whose::ALL.into_iter().map(|whose| {
            let ends = self.ends.iter().filter(|((_, of), _)| *of == whose);
            (whose, ends.map(|(_, until)| *until).min())
        })
    }
}

fn of_link(link: &LinkRow, state: Option<&LinkStateRow>) -> Vec<(Whose, PeerCertificate)> {
    let read = |pem: &Option<String>, whose| {
        let all = pem
            .as_deref()
            .map(PeerCertificate::all_of_pem)
            .unwrap_or_default();
        all.into_iter().map(move |certificate| (whose, certificate))
    };
    let server = state
        .and_then(|state| state.certificate.as_ref())
        .and_then(|stored| serde_json::from_value(stored.clone()).ok())
        .map(|certificate| (Whose::Server, certificate));
    read(&link.ca_pem, Whose::TrustedCa)
        .chain(read(&link.client_cert_pem, Whose::Client))
        .chain(server)
        .collect()
}
