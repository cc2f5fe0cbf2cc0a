//! How links are reached, how they do, and what happens to them; a tenant's decisions about its chats.

use crate::rig::{IDS, Rig, Tenant, now};
use ccm_db::{
    Db, DbError, Fence, HostPort, LinkEventRow, LinkStateRow, MaintenanceWindow, Names, NewLink, NewReach,
    Notice, Once, Said, Scheme,
};
use ccm_model::{Body, ChatSettings, Direction, LinkId};
use time::Duration;

/// Puts a row into every table that watches links.
pub async fn watched(db: &Db, tenant: Tenant, fence: &Fence) -> LinkId {
    let rows = db.tenant(tenant.id);
    rows.put_link_state(fence, &state(tenant.link, "up"))
        .await
        .unwrap();
    rows.link_event(fence, &event(tenant.link, "link_up"), Once::EachTime)
        .await
        .unwrap();
    rows.create_maintenance_window(&window(tenant, 0, 60))
        .await
        .unwrap();
    tenant.link
}

fn state(link: LinkId, state: &str) -> LinkStateRow {
    LinkStateRow {
        link,
        state: state.into(),
        since: now(),
        endpoint: "primary".into(),
        error: None,
        remedy: None,
        chats: 1,
        waiting: 0,
        certificate_until: None,
        certificate: None,
        updated_at: now(),
    }
}

fn event(link: LinkId, kind: &str) -> LinkEventRow {
    LinkEventRow {
        id: uuid::Uuid::now_v7(),
        link,
        kind: kind.into(),
        at: now(),
        muted: false,
        detail: serde_json::json!({"why": "test"}),
    }
}

fn window(tenant: Tenant, from_s: i64, to_s: i64) -> MaintenanceWindow {
    MaintenanceWindow {
        id: uuid::Uuid::now_v7(),
        tenant: tenant.id,
        link: tenant.link,
        begins_at: now() + Duration::seconds(from_s),
        ends_at: now() + Duration::seconds(to_s),
        reason: "patch day".into(),
    }
}

#[tokio::test]
async fn all_of_a_links_reach_is_kept_and_its_secrets_are_sealed() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let db = rig.db.tenant(tenant.id);
    let (secondary, proxy) = (
        HostPort {
            host: "b.aacc.example".into(),
            port: 8445,
        },
        HostPort {
            host: "proxy.example".into(),
            port: 3128,
        },
    );
    let addresses = ["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
    let new = |reach| NewLink {
        id: tenant.link,
        name: "aacc",
        scheme: Scheme::Wss,
        host: "a.aacc.example",
        port: 8445,
        path: "/CustomerControllerWeb/chat",
        ca_pem: None,
        swap_angle_brackets: true,
        connects_per_second: 10.0,
        reach,
    };
    let before = db.links().await.unwrap().remove(0);
    let row = db
        .replace_link(
            new(NewReach {
                server_name: Some("aacc.internal"),
                addresses: &addresses,
                secondary: Some(&secondary),
                client: Some(("CERT", "PRIVATE-CANARY")),
                proxy: Some(&proxy),
                proxy_auth: Some("ccm:PROXY-CANARY"),
            }),
            Some(before.updated_at),
        )
        .await
        .unwrap()
        .unwrap();
    let late = db
        .replace_link(new(NewReach::default()), Some(before.updated_at))
        .await
        .unwrap();
    assert_eq!(late, None, "somebody else was faster");
    assert!(
        row.updated_at > before.updated_at,
        "whoever caches it sees the change"
    );
    assert_eq!(row.server_name.as_deref(), Some("aacc.internal"));
    assert_eq!(row.addresses, addresses);
    assert_eq!(
        (row.secondary.as_ref(), row.proxy.as_ref()),
        (Some(&secondary), Some(&proxy))
    );
    assert_eq!(
        (row.client_cert_pem.as_deref(), row.proxy_has_auth),
        (Some("CERT"), true)
    );
    assert_eq!(db.links().await.unwrap(), [row]);
    let secrets = db.link_secrets(tenant.link).await.unwrap();
    assert_eq!(secrets.client_key_pem.unwrap().as_str(), "PRIVATE-CANARY");
    assert_eq!(secrets.proxy_auth.unwrap().as_str(), "ccm:PROXY-CANARY");
    let stored = rig.rows("SELECT ewc_link::text FROM ewc_link").await;
    let stored: String = sqlx::Row::get(&stored[0], 0);
    for canary in ["PRIVATE-CANARY", "PROXY-CANARY"] {
        let hex: String = canary.bytes().map(|b| format!("{b:02x}")).collect();
        assert!(
            !stored.contains(canary) && !stored.contains(&hex),
            "{canary} is sealed"
        );
    }
    let plain = db
        .replace_link(new(NewReach::default()), None)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (plain.addresses.len(), plain.proxy_has_auth, plain.secondary),
        (0, false, None)
    );
    assert!(
        db.link_secrets(tenant.link)
            .await
            .unwrap()
            .client_key_pem
            .is_none()
    );
    let other = rig.tenant(2).await;
    let stranger = rig.db.tenant(other.id).link_secrets(tenant.link).await;
    assert!(
        matches!(stranger, Err(DbError::NotFound(_))),
        "another tenant's link is none"
    );
}

#[tokio::test]
async fn only_the_owner_says_how_a_link_does() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let fence = rig.own(tenant.id).await;
    let db = rig.db.tenant(tenant.id);
    let until = now() + Duration::days(10);
    let known = LinkStateRow {
        certificate_until: Some(until),
        certificate: Some(serde_json::json!({"subject": "CN=aacc"})),
        ..state(tenant.link, "up")
    };
    db.put_link_state(&fence, &known).await.unwrap();
    let down = LinkStateRow {
        error: Some(format!("no connection\0 {}", "x".repeat(900))),
        remedy: Some("Check the firewall.".into()),
        ..state(tenant.link, "down")
    };
    db.put_link_state(&fence, &down).await.unwrap();
    let seen = db.link_states().await.unwrap().remove(0);
    assert_eq!(seen.state, "down");
    assert_eq!(seen.error.map(|e| e.chars().count()), Some(500));
    assert!(
        seen.certificate_until.is_some() && seen.certificate == known.certificate,
        "what is not known now was known before"
    );
    let mut old = fence;
    old.owned.epoch -= 1;
    let refused = db.put_link_state(&old, &known).await;
    assert!(matches!(refused, Err(DbError::Fenced)));
    let refused = db
        .link_event(&old, &event(tenant.link, "link_up"), Once::EachTime)
        .await;
    assert!(matches!(refused, Err(DbError::Fenced)));
}

#[tokio::test]
async fn events_come_newest_first_and_some_only_once() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let fence = rig.own(tenant.id).await;
    let db = rig.db.tenant(tenant.id);
    let hour = now() - Duration::hours(1);
    let about = |why: &str| Once::About(serde_json::json!({"why": why}));
    for (kind, once, written) in [
        ("link_down", Once::EachTime, true),
        ("link_down", Once::EachTime, true),
        ("certificate_expires", Once::Since(hour), true),
        ("certificate_expires", Once::Since(hour), false),
        (
            "certificate_expires",
            Once::Since(now() + Duration::hours(1)),
            true,
        ),
        ("certificate_expires", about("test"), false),
        ("link_up", about("test"), true),
        ("link_up", about("test"), false),
        ("link_up", about("something else"), true),
    ] {
        let was = db
            .link_event(&fence, &event(tenant.link, kind), once)
            .await
            .unwrap();
        assert_eq!(was, written, "{kind}");
    }
    let all = db.link_events(tenant.link, None, 10).await.unwrap();
    let kinds: Vec<_> = all.iter().map(|e| e.kind.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "link_up",
            "link_up",
            "certificate_expires",
            "certificate_expires",
            "link_down",
            "link_down"
        ]
    );
    let rest = db.link_events(tenant.link, Some(all[3].id), 10).await.unwrap();
    assert_eq!(rest, all[4..]);
}

#[tokio::test]
async fn windows_are_found_while_they_last() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let db = rig.db.tenant(tenant.id);
    let (past, open, soon, later) = (
        window(tenant, -100, -10),
        window(tenant, -10, 100),
        window(tenant, 30, 100),
        window(tenant, 3600, 7200),
    );
    for w in [&past, &open, &soon, &later] {
        db.create_maintenance_window(w).await.unwrap();
    }
    let ids = |found: Vec<MaintenanceWindow>| found.into_iter().map(|w| w.id).collect::<Vec<_>>();
    let mut near = ids(rig
        .db
        .batch()
        .maintenance_windows(&[tenant.id], now())
        .await
        .unwrap());
    near.sort();
    let mut expected = vec![open.id, soon.id];
    expected.sort();
    assert_eq!(near, expected);
    assert_eq!(
        ids(db.windows_of_link(tenant.link, now()).await.unwrap()),
        [open.id, soon.id, later.id]
    );
    assert!(db.delete_maintenance_window(tenant.link, open.id).await.unwrap());
    assert!(!db.delete_maintenance_window(tenant.link, open.id).await.unwrap());
    let wrong = MaintenanceWindow {
        link: IDS.next(),
        ..window(tenant, 0, 10)
    };
    let refused = db.create_maintenance_window(&wrong).await;
    assert!(matches!(refused, Err(DbError::Conflict { missing: true, .. })));
}

#[tokio::test]
async fn settings_are_replaced_only_by_who_has_seen_them() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let db = rig.db.tenant(tenant.id);
    assert_eq!(
        db.settings::<ChatSettings>().await.unwrap(),
        (ChatSettings::default(), None)
    );
    let german = ChatSettings {
        language: "de".into(),
        ..ChatSettings::default()
    };
    let first = db
        .put_settings::<ChatSettings>(&german, Some(None))
        .await
        .unwrap();
    assert!(first.is_some());
    assert_eq!(
        db.put_settings::<ChatSettings>(&german, Some(None))
            .await
            .unwrap(),
        None,
        "somebody was faster"
    );
    let second = db
        .put_settings::<ChatSettings>(&ChatSettings::default(), Some(first))
        .await
        .unwrap();
    assert!(second > first);
    assert_eq!(
        db.put_settings::<ChatSettings>(&german, Some(first))
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        db.settings::<ChatSettings>().await.unwrap(),
        (ChatSettings::default(), second)
    );
    assert!(
        db.put_settings::<ChatSettings>(&german, None)
            .await
            .unwrap()
            .is_some()
    );
    let context = rig.chat(tenant, &rig.own(tenant.id).await, 1).await;
    let context = db.actor_context(context.0).await.unwrap();
    assert_eq!(context.settings.language, "de");
}

#[tokio::test]
async fn routing_is_replaced_only_by_who_has_seen_it() {
    let rig = Rig::new().await;
    let (tenant, other) = (rig.tenant(1).await, rig.tenant(2).await);
    let db = rig.db.tenant(tenant.id);
    assert_eq!(db.routing().await.unwrap(), None);
    let document = |n: u32| serde_json::json!({ "rules": [{ "priority": n }] });
    assert_eq!(
        db.put_routing(&document(0), &Names::default(), Some(&[7]))
            .await
            .unwrap(),
        None,
        "none is set"
    );
    assert_eq!(
        db.put_routing(&document(1), &Names::default(), Some(&[]))
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        db.put_routing(&document(1), &Names::default(), Some(&[0]))
            .await
            .unwrap(),
        Some(1)
    );
    assert_eq!(
        db.put_routing(&document(2), &Names::default(), Some(&[0]))
            .await
            .unwrap(),
        None,
        "somebody was faster"
    );
    assert_eq!(
        db.put_routing(&document(2), &Names::default(), Some(&[0, 1]))
            .await
            .unwrap(),
        Some(2)
    );
    assert_eq!(
        db.put_routing(&document(3), &Names::default(), None)
            .await
            .unwrap(),
        Some(3)
    );
    let stored = db.routing().await.unwrap().unwrap();
    assert_eq!((&stored.settings, stored.revision), (&document(3), 3));
    assert_eq!(db.routing_other_than(2).await.unwrap(), Some(stored.clone()));
    assert_eq!(
        db.routing_other_than(3).await.unwrap(),
        None,
        "it is known already"
    );
    assert!(!format!("{stored:?}").contains("rules"));

    // Both tenants have a skillset of this name, each on its own link.
    let link = async |of: &ccm_db::TenantDb<'_>, name| Some(of.link_of_skillset(name).await.unwrap()?.id);
    let name = db.skillsets().await.unwrap()[0].name.clone();
    assert_eq!(link(&db, &name).await, Some(tenant.link));
    assert_eq!(link(&db, "nobody").await, None);

    let theirs = other.link;
    let other = rig.db.tenant(other.id);
    assert_eq!(link(&other, &name).await, Some(theirs));
    assert_eq!(other.routing().await.unwrap(), None);
    assert_eq!(
        other
            .put_routing(&document(9), &Names::default(), Some(&[0]))
            .await
            .unwrap(),
        Some(1)
    );
    assert_eq!(db.routing().await.unwrap().unwrap().revision, 3);

    // Of two who have read the same, one is told.
    let (four, five) = (document(4), document(5));
    let none = Names::default();
    let (a, b) = tokio::join!(
        db.put_routing(&four, &none, Some(&[3])),
        db.put_routing(&five, &none, Some(&[3]))
    );
    let mut told = [a.unwrap(), b.unwrap()];
    told.sort();
    assert_eq!(told, [None, Some(4)]);
}

#[tokio::test]
async fn a_notice_is_not_said_twice_in_a_row() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let fence = rig.own(tenant.id).await;
    let (conversation, chat) = rig.chat(tenant, &fence, 1).await;
    let db = rig.db.tenant(tenant.id);
    let notice = |kind, body: &str| Notice {
        message: IDS.next(),
        kind,
        body: Body::new(body).unwrap(),
        chat: Some(chat),
        told: Some(serde_json::json!({"comfort": 1})),
        bound: None,
    };
    let once = notice("waiting", "please wait");
    for (said, outcome) in [
        (&once, Said::Stored),
        (&notice("waiting", "please wait"), Said::Repeated),
        (&notice("waiting", "please wait still"), Said::Stored),
        (&notice("no_agents", "please wait still"), Said::Stored),
        (&notice("waiting", "please wait"), Said::Stored),
    ] {
        assert_eq!(db.say(&fence, conversation, said, now()).await.unwrap(), outcome);
    }
    rig.say(&fence, conversation, chat).await;
    let again = notice("waiting", "please wait");
    assert_eq!(
        db.say(&fence, conversation, &again, now()).await.unwrap(),
        Said::Stored,
        "an agent spoke in between"
    );
    assert_eq!(
        db.say(&fence, conversation, &again, now()).await.unwrap(),
        Said::Repeated,
        "called again: it was committed before"
    );
    let row = db.conversation(conversation).await.unwrap();
    let all = db.messages(&row, 0, 100).await.unwrap();
    let notices = all
        .iter()
        .filter(|m| m.direction == Direction::Mt && m.author.as_deref() != Some("Agent Smith"));
    assert_eq!(notices.count(), 5);
    assert_eq!(
        db.actor_context(conversation).await.unwrap().chat.unwrap().told["comfort"],
        1
    );
}

#[tokio::test]
async fn what_aacc_counts_and_what_came_before_is_known() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let fence = rig.own(tenant.id).await;
    let db = rig.db.tenant(tenant.id);
    let (conversation, chat) = rig.chat(tenant, &fence, 1).await;
    assert_eq!(db.previous_chat(conversation).await.unwrap(), None);
    rig.say(&fence, conversation, chat).await;
    let last = db.last_words(conversation, chat).await.unwrap();
    assert!(last.customer_at.is_some() || last.agent_at.is_some());
    assert_eq!(last.agent.as_deref(), Some("Agent Smith"));
    let counted = db.counted_chats(now()).await.unwrap();
    assert_eq!(counted.len(), 1);
    assert_eq!(
        (counted[0].conversation, counted[0].counts_until),
        (conversation, None)
    );
    let until = now() + Duration::seconds(60);
    db.chat_ended(&fence, conversation, Some(chat), "lost", Some(until), now())
        .await
        .unwrap();
    assert!(db.counted_chats(now()).await.unwrap()[0].counts_until.is_some());
    assert_eq!(db.counted_chats(until + Duration::seconds(1)).await.unwrap(), []);
    let (next, _) = rig.text(tenant, 1).await;
    assert_ne!(next, conversation);
    let previous = db.previous_chat(next).await.unwrap().expect("the chat before");
    assert_eq!(previous.agent.as_deref(), Some("Agent Smith"));
    let (other, _) = rig.text(tenant, 2).await;
    assert_eq!(db.previous_chat(other).await.unwrap(), None, "another customer's");
    db.set_waits(&fence, next, Some("agent"), now()).await.unwrap();
    db.set_waits(&fence, next, None, now()).await.unwrap();
}
