//! What stands in a tenant's way, from what is known of it. Pure: the same for a page of tenants and for one.

use crate::schema::one_of;
use ccm_db::{Edges, LINK_STATE_LASTS, OverviewAccount, OverviewLink, OverviewRow, TenantRow, Waiting};
use ccm_doctor::{Ending, PeerCertificate};
use ccm_model::{AccountId, LinkId};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use utoipa::{ToSchema, openapi::schema::Object};

/// Whether anybody should look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    Ok,
    /// Somebody should, some time today.
    Attention,
    /// Texts do not get through, or soon will not.
    Failing,
}

impl Health {
    pub const ALL: [Self; 3] = [Self::Ok, Self::Attention, Self::Failing];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Attention => "attention",
            Self::Failing => "failing",
        }
    }
}

pub fn health_schema() -> Object {
    one_of(
        "`attention`: somebody should look today. `failing`: texts do not get through, or soon will not. The worst of `reasons`.",
        Health::ALL.into_iter().map(Health::as_str),
    )
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    InDeletion,
    Suspended,
    NoLink,
    NoNumber,
    LinkDown,
    LinkTried,
    LinkUnusable,
    LinkAway,
    LinkUnexamined,
    LinkUntried,
    CertificateEnded,
    CertificateEnds,
    AccountFailing,
    TextsWaitForAgent,
    TextsWaitForProvider,
    DeadLetters,
    CapReached,
}

impl Code {
    const ALL: [Self; 17] = [
        Self::InDeletion,
        Self::Suspended,
        Self::NoLink,
        Self::NoNumber,
        Self::LinkDown,
        Self::LinkTried,
        Self::LinkUnusable,
        Self::LinkAway,
        Self::LinkUnexamined,
        Self::LinkUntried,
        Self::CertificateEnded,
        Self::CertificateEnds,
        Self::AccountFailing,
        Self::TextsWaitForAgent,
        Self::TextsWaitForProvider,
        Self::DeadLetters,
        Self::CapReached,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::InDeletion => "in_deletion",
            Self::Suspended => "suspended",
            Self::NoLink => "no_link",
            Self::NoNumber => "no_number",
            Self::LinkDown => "link_down",
            Self::LinkTried => "link_tried",
            Self::LinkUnusable => "link_unusable",
            Self::LinkAway => "link_away",
            Self::LinkUnexamined => "link_unexamined",
            Self::LinkUntried => "link_untried",
            Self::CertificateEnded => "certificate_ended",
            Self::CertificateEnds => "certificate_ends",
            Self::AccountFailing => "account_failing",
            Self::TextsWaitForAgent => "texts_wait_for_agent",
            Self::TextsWaitForProvider => "texts_wait_for_provider",
            Self::DeadLetters => "dead_letters",
            Self::CapReached => "cap_reached",
        }
    }
}

fn codes() -> Object {
    one_of(
        "`link_down`: its breaker is open, nobody dials. `link_tried`: the breaker lets one chat try. `link_away`: a maintenance window. \
         `link_unexamined`: no chat has used it, and the link doctor has never looked at it. `link_untried`: it \
         did not work when it was last used, and nobody has used it since. `certificate_ends`: within 30 days.",
        Code::ALL.into_iter().map(Code::as_str),
    )
}

/// Something that stands in a tenant's way.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = HealthReason)]
pub struct Reason {
    #[schema(schema_with = codes)]
    pub code: Code,
    /// How bad it is.
    #[schema(schema_with = health_schema)]
    pub health: Health,
    /// What is wrong, in words.
    #[schema(example = "the link AACC Dublin is down: connection refused")]
    pub what: String,
    /// What to do.
    #[schema(example = "ask the customer whether AACC's web communications manager runs")]
    pub remedy: String,
    /// `null`: not known, or for ever.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub since: Option<OffsetDateTime>,
    /// The link that it is about.
    #[schema(value_type = Option<Uuid>, required)]
    pub link_id: Option<LinkId>,
    /// The provider account that it is about.
    #[schema(value_type = Option<Uuid>, required)]
    pub account_id: Option<AccountId>,
}

impl Reason {
    fn of(code: Code, health: Health, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            code,
            health,
            what: what.into(),
            remedy: remedy.into(),
            since: None,
            link_id: None,
            account_id: None,
        }
    }

    fn since(self, since: impl Into<Option<OffsetDateTime>>) -> Self {
        Self {
            since: since.into(),
            ..self
        }
    }

    fn link(self, link: LinkId) -> Self {
        Self {
            link_id: Some(link),
            ..self
        }
    }
}

/// How long a text may wait before somebody should look, and before it counts as not getting through.
struct Patience {
    attention: Duration,
    failing: Duration,
}

/// Agents are people. What waits for opening hours or for the end of a maintenance window is not counted.
const FOR_AGENT: Patience = Patience {
    attention: Duration::minutes(2),
    failing: Duration::minutes(15),
};
const FOR_PROVIDER: Patience = Patience {
    attention: Duration::minutes(1),
    failing: Duration::minutes(10),
};

impl Patience {
    fn of(&self, waiting: Waiting, now: OffsetDateTime) -> Option<Health> {
        let age = now - waiting.since.filter(|_| waiting.count > 0)?;
        match age {
            age if age >= self.failing => Some(Health::Failing),
            age if age >= self.attention => Some(Health::Attention),
            _ => None,
        }
    }
}

/// Everything that should be seen to, the worst first.
pub fn reasons(tenant: &TenantRow, seen: &OverviewRow, now: OffsetDateTime) -> Vec<Reason> {
    let mut all = Vec::new();
    // Nothing is carried, and that is meant: what stands still is no wonder.
    if let Some(since) = tenant.closing_since {
        let what = "the tenant is being deleted";
        let remedy = "nothing, or take it back while that can be done: GET …/deletion says until when";
        all.push(Reason::of(Code::InDeletion, Health::Attention, what, remedy).since(since));
        return all;
    }
    if tenant.state == "suspended" {
        let what = match &tenant.state_reason {
            Some(reason) => format!("the tenant is suspended: {reason}"),
            None => "the tenant is suspended".to_owned(),
        };
        let remedy = "when its reason is gone, make it active again: PUT …/state";
        all.push(Reason::of(Code::Suspended, Health::Attention, what, remedy).since(tenant.state_since));
        return all;
    }
    let Edges { links, accounts } = &seen.edges;
    if links.is_empty() {
        let remedy = "make one and have the link doctor examine it: POST …/links, POST …/links/{link}/doctor";
        all.push(Reason::of(
            Code::NoLink,
            Health::Attention,
            "the tenant has no link to an AACC",
            remedy,
        ));
    }
    if !seen.has_number {
        let remedy = "give it one: POST …/numbers";
        all.push(Reason::of(
            Code::NoNumber,
            Health::Attention,
            "the tenant has no number that could be texted",
            remedy,
        ));
    }
    for link in links {
        all.extend(of_link(link, now));
        all.extend(of_certificates(link, now));
    }
    all.extend(accounts.iter().filter_map(of_account));
    all.extend(of_texts(seen, now));
    all.sort_by(|a, b| (b.health, a.since).cmp(&(a.health, b.since)));
    all
}

/// What of a tenant's links and accounts fails now.
pub fn failures(edges: &Edges, now: OffsetDateTime) -> Vec<Reason> {
    let links = edges.links.iter().filter_map(|link| of_link(link, now));
    links
        .filter(|reason| reason.health == Health::Failing)
        .chain(edges.accounts.iter().filter_map(of_account))
        .collect()
}

/// How a link does now: what failed when it was last used, long ago, is not known to fail still.
pub fn state_of(link: &OverviewLink, now: OffsetDateTime) -> &str {
    let fails = matches!(link.state.as_str(), "down" | "half_open" | "unusable");
    let lasts = link.said_at.is_some_and(|at| now - at < LINK_STATE_LASTS);
    if fails && !lasts { "unknown" } else { &link.state }
}

fn of_link(link: &OverviewLink, now: OffsetDateTime) -> Option<Reason> {
    let name = &link.name;
    let because = |what: &str| match &link.error {
        Some(error) => format!("the link {name} {what}: {error}"),
        None => format!("the link {name} {what}"),
    };
    let remedy = |otherwise: &str| link.remedy.clone().unwrap_or_else(|| otherwise.to_owned());
    let examined_since = link.examined_as.as_deref() != Some("failed") && link.examined_at > link.said_at;
    let reason = match state_of(link, now) {
        _ if link.away_until.is_some() => Reason::of(
            Code::LinkAway,
            Health::Attention,
            match &link.away_because {
                Some(reason) => format!("the AACC of the link {name} is meant to be away: {reason}"),
                None => format!("the AACC of the link {name} is meant to be away"),
            },
            "nothing: its texts wait, and go on when the window ends; end it earlier with DELETE …/maintenance-windows/{window}",
        ),
        "down" => Reason::of(
            Code::LinkDown,
            Health::Failing,
            because("is down"),
            remedy("have the link doctor look: POST …/links/{link}/doctor"),
        ),
        "half_open" => Reason::of(
            Code::LinkTried,
            Health::Failing,
            because("was down and is being tried"),
            remedy(
                "wait for the outcome; if it goes on, have the link doctor look: POST …/links/{link}/doctor",
            ),
        ),
        "unusable" => Reason::of(
            Code::LinkUnusable,
            Health::Failing,
            because("has settings that cannot be used"),
            remedy("mend them: PATCH …/links/{link}"),
        ),
        "unknown" if link.said_at.is_some() && !examined_since => {
            let how = match link.state.as_str() {
                "unusable" => "could not be used",
                _ => "was down",
            };
            Reason::of(
                Code::LinkUntried,
                Health::Attention,
                because(&format!(
                    "{how} when it was last used, and nobody has used it since"
                )),
                remedy("have the link doctor look: POST …/links/{link}/doctor"),
            )
        }
        "unknown" if link.examined_at.is_none() => Reason::of(
            Code::LinkUnexamined,
            Health::Attention,
            format!(
                "nobody knows whether the link {name} works: no chat has used it, and it was never examined"
            ),
            "have the link doctor examine it: POST …/links/{link}/doctor",
        ),
        _ => return None,
    };
    Some(reason.since(link.since).link(link.id))
}

/// The nearest end of each kind of certificate. Of authorities the link needs one: the end of the last one counts, and one that has ended
/// beside it is only to be tidied away.
fn of_certificates(link: &OverviewLink, now: OffsetDateTime) -> Vec<Reason> {
    let all = |pem: &Option<String>| {
        pem.as_deref()
            .map(PeerCertificate::all_of_pem)
            .unwrap_or_default()
    };
    let first = |of: Vec<PeerCertificate>| of.into_iter().min_by_key(|certificate| certificate.not_after);
    let shown = link.certificate.as_ref();
    let shown = shown.and_then(|facts| serde_json::from_value(facts.clone()).ok());
    let mut authorities = all(&link.ca_pem);
    authorities.sort_by_key(|authority| authority.not_after);
    let last_authority = authorities.pop();
    let kinds = [
        (
            "certificate of the server at the link",
            "have it renewed by whoever runs the AACC or its reverse proxy",
            shown,
        ),
        (
            "client certificate of the link",
            "have a new one signed: POST …/client-key, PUT …/client-certificate",
            first(all(&link.client_cert_pem)),
        ),
        (
            "trusted authority of the link",
            "add its successor, then remove it: POST …/trusted-cas",
            last_authority,
        ),
    ];
    let name = &link.name;
    let ends = kinds.into_iter().filter_map(|(what, remedy, certificate)| {
        let certificate = certificate?;
        let reason = match certificate.ending(now)? {
            Ending::Past => Reason::of(
                Code::CertificateEnded,
                Health::Failing,
                format!("a {what} {name} has ended"),
                remedy,
            )
            .since(certificate.not_after),
            ending => Reason::of(
                Code::CertificateEnds,
                if ending == Ending::Within3Days {
                    Health::Failing
                } else {
                    Health::Attention
                },
                format!("a {what} {name} ends within {} days", ending.days()),
                remedy,
            ),
        };
        Some(reason.link(link.id))
    });
    let left = authorities
        .into_iter()
        .filter(|authority| authority.not_after <= now)
        .map(|authority| {
            Reason::of(
                Code::CertificateEnded,
                Health::Attention,
                format!("a trusted authority of the link {name} has ended, another is trusted beside it"),
                "if the server's certificate is not of it any more, remove it: DELETE …/trusted-cas/{ca}",
            )
            .since(authority.not_after)
            .link(link.id)
        });
    ends.chain(left).collect()
}

fn of_account(account: &OverviewAccount) -> Option<Reason> {
    let since = account.failing_since?;
    let detail = account.detail.as_ref();
    let said = |member: &str| {
        detail
            .and_then(|detail| detail[member].as_str())
            .filter(|said| !said.is_empty())
    };
    let code = said("code").map(|code| format!(" ({code})")).unwrap_or_default();
    let because = said("detail")
        .map(|detail| format!(": {detail}"))
        .unwrap_or_default();
    let reason = Reason::of(
        Code::AccountFailing,
        Health::Failing,
        format!(
            "the provider account {} takes no texts{because}{code}",
            account.name
        ),
        "look at its settings (GET …/accounts/{account}) and at the provider's own pages; it is tried again by itself",
    );
    Some(Reason {
        account_id: Some(account.id),
        ..reason.since(since)
    })
}

fn of_texts(seen: &OverviewRow, now: OffsetDateTime) -> Vec<Reason> {
    let mut all = Vec::new();
    let texts = |waiting: Waiting| match waiting.count {
        1 => "a text waits".to_owned(),
        count if count >= ccm_db::MOST_COUNTED => format!("{count} texts or more wait"),
        count => format!("{count} texts wait"),
    };
    if let Some(health) = FOR_AGENT.of(seen.for_agents, now) {
        let what = format!("{} for an agent", texts(seen.for_agents));
        let remedy = "see what they wait for (`waits_for` of GET …/conversations): agents who are signed in, or a link";
        all.push(Reason::of(Code::TextsWaitForAgent, health, what, remedy).since(seen.for_agents.since));
    }
    if let Some(health) = FOR_PROVIDER.of(seen.for_providers, now) {
        let what = format!("{} for a provider", texts(seen.for_providers));
        let remedy = "see whether an account fails (GET …/accounts/{account}/events), and whether the rates of the numbers are enough";
        all.push(
            Reason::of(Code::TextsWaitForProvider, health, what, remedy).since(seen.for_providers.since),
        );
    }
    if seen.is_capped {
        let remedy = "raise the cap (PUT …/caps) or wait for the next day or month, then replay the dead letters with the code ccm:cap";
        let what = "the tenant has sent as much as it may: what agents write from now on is not sent, and their texts become dead letters";
        all.push(Reason::of(Code::CapReached, Health::Failing, what, remedy));
    }
    if seen.dead_letters.count > 0 {
        let what = match seen.dead_letters.count {
            1 => "a text did not get through, and nobody has dealt with it".to_owned(),
            count => format!("{count} texts did not get through, and nobody has dealt with them"),
        };
        let remedy = "mend what they failed of, then replay or discard them: GET …/dead-letters";
        all.push(
            Reason::of(Code::DeadLetters, Health::Attention, what, remedy).since(seen.dead_letters.since),
        );
    }
    all
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
