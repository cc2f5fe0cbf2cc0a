use super::*;
use ccm_db::MOST_COUNTED;
use ccm_model::TenantId;
use serde_json::json;
use time::macros::datetime;
use uuid::Uuid;

const NOW: OffsetDateTime = datetime!(2026-11-30 12:00 UTC);

fn tenant() -> TenantRow {
    TenantRow {
        id: TenantId(Uuid::nil()),
        slug: "acme".to_owned(),
        name: "Acme".to_owned(),
        state: "active".to_owned(),
        state_reason: None,
        state_since: None,
        state_by: None,
        closing_since: None,
        created_at: NOW,
    }
}

fn link() -> OverviewLink {
    OverviewLink {
        id: LinkId(Uuid::from_u128(1)),
        name: "Dublin".to_owned(),
        state: "up".to_owned(),
        since: Some(NOW - Duration::HOUR),
        said_at: Some(NOW - Duration::seconds(20)),
        error: None,
        remedy: None,
        certificate: None,
        ca_pem: None,
        client_cert_pem: None,
        away_until: None,
        away_because: None,
        examined_at: None,
        examined_as: None,
    }
}

/// A tenant whose texts are carried.
fn well() -> OverviewRow {
    OverviewRow {
        tenant: TenantId(Uuid::nil()),
        open_conversations: 3,
        chats_with_agent: 2,
        chats_without_agent: 1,
        for_agents: Waiting::default(),
        for_providers: Waiting::default(),
        dead_letters: Waiting::default(),
        has_number: true,
        is_capped: false,
        edges: Edges {
            links: vec![link()],
            accounts: vec![OverviewAccount {
                id: AccountId(Uuid::from_u128(2)),
                name: "Twilio".to_owned(),
                failing_since: None,
                detail: None,
            }],
        },
    }
}

fn waiting(count: i64, age: Duration) -> Waiting {
    Waiting {
        count,
        since: Some(NOW - age),
    }
}

/// Facts as the connector stores them.
fn certificate(ends_in: Duration) -> serde_json::Value {
    let facts = PeerCertificate {
        subject: "CN=aacc".to_owned(),
        issuer: "CN=ca".to_owned(),
        serial: "01".to_owned(),
        names: Vec::new(),
        not_before: NOW - Duration::days(365),
        not_after: NOW + ends_in,
        sha256: "00".to_owned(),
        key: "RSA 2048".to_owned(),
        is_ca: false,
        for_clients: true,
    };
    json!(facts)
}

fn of_one_link(change: impl FnOnce(&mut OverviewLink)) -> OverviewRow {
    let mut seen = well();
    change(&mut seen.edges.links[0]);
    seen
}

fn never_used(link: &mut OverviewLink) {
    link.state = "unknown".into();
    link.since = None;
    link.said_at = None;
}

fn told(seen: &OverviewRow) -> Vec<(Code, Health)> {
    reasons(&tenant(), seen, NOW)
        .into_iter()
        .map(|reason| (reason.code, reason.health))
        .collect()
}

#[test]
fn what_should_be_seen_to_is_named_and_weighed() {
    use Health::{Attention, Failing};
    let day = Duration::DAY;
    type Case = (&'static str, OverviewRow, Option<(Code, Health)>);
    let cases: Vec<Case> = vec![
        ("all is well", well(), None),
        (
            "no link",
            {
                let mut seen = well();
                seen.edges.links.clear();
                seen
            },
            Some((Code::NoLink, Attention)),
        ),
        (
            "no number",
            OverviewRow {
                has_number: false,
                ..well()
            },
            Some((Code::NoNumber, Attention)),
        ),
        (
            "down",
            of_one_link(|l| l.state = "down".into()),
            Some((Code::LinkDown, Failing)),
        ),
        (
            "tried",
            of_one_link(|l| l.state = "half_open".into()),
            Some((Code::LinkTried, Failing)),
        ),
        (
            "unusable",
            of_one_link(|l| l.state = "unusable".into()),
            Some((Code::LinkUnusable, Failing)),
        ),
        (
            "never examined",
            of_one_link(never_used),
            Some((Code::LinkUnexamined, Attention)),
        ),
        (
            "examined, and not used yet",
            of_one_link(|l| {
                never_used(l);
                l.examined_at = Some(NOW - day);
                l.examined_as = Some("passed".into());
            }),
            None,
        ),
        (
            "down when it was last used",
            of_one_link(|l| {
                l.state = "down".into();
                l.said_at = Some(NOW - LINK_STATE_LASTS);
            }),
            Some((Code::LinkUntried, Attention)),
        ),
        (
            "down when it was last used, and well when it was examined since",
            of_one_link(|l| {
                l.state = "down".into();
                l.said_at = Some(NOW - LINK_STATE_LASTS);
                l.examined_at = Some(NOW - Duration::MINUTE);
                l.examined_as = Some("warned".into());
            }),
            None,
        ),
        (
            "down when it was last used, and when it was examined",
            of_one_link(|l| {
                l.state = "unusable".into();
                l.said_at = Some(NOW - day);
                l.examined_at = Some(NOW - Duration::MINUTE);
                l.examined_as = Some("failed".into());
            }),
            Some((Code::LinkUntried, Attention)),
        ),
        (
            "up when it was last used",
            of_one_link(|l| l.said_at = Some(NOW - 30 * day)),
            None,
        ),
        (
            "a planned absence, whatever the link says",
            of_one_link(|l| {
                l.state = "down".into();
                l.away_until = Some(NOW + day);
            }),
            Some((Code::LinkAway, Attention)),
        ),
        (
            "a window that has just ended",
            of_one_link(|l| l.state = "held".into()),
            None,
        ),
        (
            "31 days",
            of_one_link(|l| l.certificate = Some(certificate(31 * day))),
            None,
        ),
        (
            "30 days",
            of_one_link(|l| l.certificate = Some(certificate(30 * day))),
            Some((Code::CertificateEnds, Attention)),
        ),
        (
            "14 days",
            of_one_link(|l| l.certificate = Some(certificate(14 * day))),
            Some((Code::CertificateEnds, Attention)),
        ),
        (
            "3 days",
            of_one_link(|l| l.certificate = Some(certificate(3 * day))),
            Some((Code::CertificateEnds, Failing)),
        ),
        (
            "over",
            of_one_link(|l| l.certificate = Some(certificate(Duration::ZERO))),
            Some((Code::CertificateEnded, Failing)),
        ),
        (
            "what is no certificate",
            of_one_link(|l| l.certificate = Some(json!({"subject": 1}))),
            None,
        ),
        (
            "for an agent, 119 s",
            OverviewRow {
                for_agents: waiting(1, Duration::seconds(119)),
                ..well()
            },
            None,
        ),
        (
            "for an agent, 120 s",
            OverviewRow {
                for_agents: waiting(1, Duration::seconds(120)),
                ..well()
            },
            Some((Code::TextsWaitForAgent, Attention)),
        ),
        (
            "for an agent, 15 min",
            OverviewRow {
                for_agents: waiting(7, Duration::minutes(15)),
                ..well()
            },
            Some((Code::TextsWaitForAgent, Failing)),
        ),
        (
            "for a provider, 59 s",
            OverviewRow {
                for_providers: waiting(1, Duration::seconds(59)),
                ..well()
            },
            None,
        ),
        (
            "for a provider, 1 min",
            OverviewRow {
                for_providers: waiting(1, Duration::minutes(1)),
                ..well()
            },
            Some((Code::TextsWaitForProvider, Attention)),
        ),
        (
            "for a provider, 10 min",
            OverviewRow {
                for_providers: waiting(1, Duration::minutes(10)),
                ..well()
            },
            Some((Code::TextsWaitForProvider, Failing)),
        ),
        (
            "a dead letter",
            OverviewRow {
                dead_letters: waiting(1, day),
                ..well()
            },
            Some((Code::DeadLetters, Attention)),
        ),
        (
            "capped",
            OverviewRow {
                is_capped: true,
                ..well()
            },
            Some((Code::CapReached, Failing)),
        ),
    ];
    for (name, seen, expected) in cases {
        assert_eq!(told(&seen), Vec::from_iter(expected), "{name}");
    }
}

#[test]
fn the_worst_comes_first_and_names_what_it_is_about() {
    let mut seen = of_one_link(|link| {
        link.state = "down".to_owned();
        link.error = Some("connection refused".to_owned());
        link.remedy = Some("start it".to_owned());
    });
    seen.edges.accounts[0].failing_since = Some(NOW - Duration::DAY);
    seen.edges.accounts[0].detail = Some(json!({"code": "20003", "detail": "the credentials are refused"}));
    seen.dead_letters = waiting(MOST_COUNTED, 2 * Duration::DAY);
    let all = reasons(&tenant(), &seen, NOW);
    let codes: Vec<_> = all.iter().map(|reason| reason.code).collect();
    assert_eq!(codes, [Code::AccountFailing, Code::LinkDown, Code::DeadLetters]);
    assert_eq!(
        (all[0].account_id, all[0].what.as_str()),
        (
            Some(seen.edges.accounts[0].id),
            "the provider account Twilio takes no texts: the credentials are refused (20003)"
        )
    );
    assert_eq!(
        (
            all[1].link_id,
            all[1].what.as_str(),
            all[1].remedy.as_str(),
            all[1].since
        ),
        (
            Some(seen.edges.links[0].id),
            "the link Dublin is down: connection refused",
            "start it",
            seen.edges.links[0].since
        )
    );
    assert!(all.iter().all(|reason| !reason.remedy.is_empty()));
}

/// Nothing is carried, and somebody wants it so: what stands still meanwhile is no news.
#[test]
fn of_a_tenant_that_is_not_carried_nothing_else_is_said() {
    let mut seen = of_one_link(|link| link.state = "down".to_owned());
    seen.for_agents = waiting(9, Duration::DAY);
    let suspended = TenantRow {
        state: "suspended".to_owned(),
        state_reason: Some("moves house".to_owned()),
        state_since: Some(NOW),
        ..tenant()
    };
    let closing = TenantRow {
        closing_since: Some(NOW),
        ..suspended.clone()
    };
    for (tenant, code) in [(suspended, Code::Suspended), (closing, Code::InDeletion)] {
        let all = reasons(&tenant, &seen, NOW);
        assert_eq!(all.len(), 1);
        assert_eq!(
            (all[0].code, all[0].health, all[0].since),
            (code, Health::Attention, Some(NOW))
        );
    }
}

#[test]
fn the_document_names_each_code_as_it_is_said() {
    for code in Code::ALL {
        assert_eq!(json!(code), code.as_str());
    }
    for health in Health::ALL {
        assert_eq!(json!(health), health.as_str());
    }
}

#[test]
fn a_link_lives_as_long_as_the_last_authority_that_it_trusts() {
    use Health::{Attention, Failing};
    let ca = ccm_testkit::certs::Ca::new("CA").unwrap();
    let until = |end| ca.issue_valid(&["aacc"], ((2020, 1, 1), end)).unwrap().cert_pem;
    let (ended, ends, lasts) = (until((2026, 11, 1)), until((2026, 12, 2)), until((2030, 1, 1)));
    let trusts = |all: &[&str]| told(&of_one_link(|link| link.ca_pem = Some(all.concat())));
    assert_eq!(trusts(&[&ended]), [(Code::CertificateEnded, Failing)]);
    assert_eq!(trusts(&[&lasts, &ended]), [(Code::CertificateEnded, Attention)]);
    assert_eq!(
        trusts(&[&ended, &ends]),
        [
            (Code::CertificateEnds, Failing),
            (Code::CertificateEnded, Attention)
        ]
    );
    assert_eq!(trusts(&[&ends, &lasts]), [], "its successor is there");
}
