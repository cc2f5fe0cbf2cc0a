//! Links that go down and come back, as an operator sees them; planned absences; pairs; storms.

use crate::rig::{Rig, Tenant, agent, open_chat, received, sim, until};
use ccm_aacc_sim::{Break, ChatState, NewConnections, Sim, Target, Tls};
use ccm_db::{HostPort, LinkStateRow, MaintenanceWindow, NewLink, NewReach, Scheme};
use ccm_model::{ChatSettings, MessageState, settings::Words};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::time::sleep;
use uuid::Uuid;

impl Rig {
    async fn link_state(&self, tenant: Tenant) -> Option<LinkStateRow> {
        self.db.tenant(tenant.id).link_states().await.unwrap().pop()
    }

    async fn until_link(&self, tenant: Tenant, state: &str) -> LinkStateRow {
        until(&format!("the link is {state}"), async || {
            self.link_state(tenant).await.filter(|s| s.state == state)
        })
        .await
    }

    async fn link_events(&self, tenant: Tenant) -> Vec<String> {
        let db = self.db.tenant(tenant.id);
        let mut events = db.link_events(tenant.link, None, 100).await.unwrap();
        events.reverse();
        let name = |e: &ccm_db::LinkEventRow| match e.muted {
            true => format!("({})", e.kind),
            false => e.kind.clone(),
        };
        events.iter().map(name).collect()
    }

    /// The tenant's link as it was made, but for its reach and its rate.
    async fn relink(&self, tenant: Tenant, sim: &Sim, per_second: f32, secondary: Option<&HostPort>) {
        let new = NewLink {
            id: tenant.link,
            name: "aacc",
            scheme: Scheme::Ws,
            host: "127.0.0.1",
            port: sim.ewc_addr().port(),
            path: "/CustomerControllerWeb/chat",
            ca_pem: None,
            swap_angle_brackets: true,
            connects_per_second: per_second,
            reach: NewReach {
                secondary,
                ..NewReach::default()
            },
        };
        self.db
            .tenant(tenant.id)
            .replace_link(new, None)
            .await
            .unwrap()
            .unwrap();
    }
}

/// A link that is down is seen to be, with the reason and the remedy; dozens of waiting chats do not knock at it all
/// the time; and when it is back, all of them come in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_is_down_is_seen_and_comes_back_by_itself() {
    let (rig, sim) = (Rig::new().await, sim(Tls::Plain).await);
    let tenant = rig.tenant(1, &sim, None).await;
    let _pod = rig.pod();
    let first = rig.text(tenant, 1, "1").await;
    let guid = open_chat(&sim).await.guid;
    sim.join(guid, agent()).unwrap();
    rig.until_state(tenant, first, MessageState::Delivered, 1).await;
    rig.until_link(tenant, "up").await;
    sim.set_faults(|f| f.new_connections = NewConnections::Refuse);
    sim.break_sockets(Target::All, Break::Reset);
    for customer in 2..=30 {
        rig.text(tenant, customer, "waits").await;
    }
    let down = until("the link is down", async || {
        rig.link_state(tenant).await.filter(|s| s.error.is_some())
    })
    .await;
    assert!(down.remedy.is_some(), "{down:?}");
    sim.reset_stats();
    sleep(Duration::from_secs(3)).await;
    let knocked = sim.stats().peak_connects_per_s;
    assert!(
        (1..=20).contains(&knocked),
        "{knocked} dials of 30 chats in a second: one probe at a time"
    );
    sim.set_faults(|f| f.new_connections = NewConnections::Accept);
    until("all chats are in", async || {
        let open = sim.chats().iter().filter(|c| c.state != ChatState::Ended).count();
        (open == 30).then_some(())
    })
    .await;
    let up = rig.until_link(tenant, "up").await;
    assert_eq!((up.error, up.remedy), (None, None));
    until("everything has been written down", async || {
        (rig.link_events(tenant).await == ["link_down", "link_up"]).then_some(())
    })
    .await;
    assert_eq!(sim.chat(guid).unwrap().resumes, 1, "the first chat goes on");
}

/// In a planned absence nobody dials, the customer is told once, and nobody is woken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planned_absence_holds_tells_once_and_wakes_nobody() {
    let (rig, sim) = (Rig::new().await, sim(Tls::Plain).await);
    let tenant = rig.tenant(1, &sim, None).await;
    let db = rig.db.tenant(tenant.id);
    let mut settings = ChatSettings::default();
    settings.notices.maintenance = Some(Words([("en".into(), "Back at noon".into())].into()));
    db.put_settings::<ChatSettings>(&settings, None).await.unwrap();
    let _pod = rig.pod();
    let warm = rig.text(tenant, 9, "before").await;
    let guid = open_chat(&sim).await.guid;
    sim.join(guid, agent()).unwrap();
    rig.until_state(tenant, warm, MessageState::Delivered, 1).await;
    let now = OffsetDateTime::now_utc();
    let window = MaintenanceWindow {
        id: Uuid::now_v7(),
        tenant: tenant.id,
        link: tenant.link,
        begins_at: now,
        ends_at: now + time::Duration::hours(1),
        reason: "patch day".into(),
    };
    db.create_maintenance_window(&window).await.unwrap();
    rig.until_link(tenant, "held").await;
    let conversation = rig.text(tenant, 1, "hello").await;
    rig.text(tenant, 1, "anybody?").await;
    until("it waits for the absence's end", async || {
        let reason = rig.sql(&format!(
            "SELECT waits_for FROM conversation WHERE id = '{conversation}'"
        ));
        (reason == "maintenance").then_some(())
    })
    .await;
    assert_eq!(sim.chats().len(), 1, "nobody dialled");
    rig.text(tenant, 9, "still here").await;
    rig.until_state(tenant, warm, MessageState::Delivered, 2).await;
    db.delete_maintenance_window(tenant.link, window.id)
        .await
        .unwrap();
    let chat = until("a chat opens", async || {
        sim.chats().into_iter().find(|c| c.guid != guid)
    })
    .await;
    sim.join(chat.guid, agent()).unwrap();
    let all = rig
        .until_state(tenant, conversation, MessageState::Delivered, 2)
        .await;
    let told = all.iter().filter(|m| m.body.as_str() == "Back at noon").count();
    assert_eq!(told, 1, "told once");
    until("everything has been written down", async || {
        let events = rig.link_events(tenant).await;
        (events == ["(maintenance_began)", "(maintenance_ended)"]).then_some(())
    })
    .await;
}

/// A high-availability pair: where the primary cannot be reached, chats open at the secondary, and people can see it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pair_fails_over() {
    let (rig, primary, secondary) = (Rig::new().await, sim(Tls::Plain).await, sim(Tls::Plain).await);
    let tenant = rig.tenant(1, &primary, None).await;
    let other = HostPort {
        host: "127.0.0.1".into(),
        port: secondary.ewc_addr().port(),
    };
    rig.relink(tenant, &primary, 100.0, Some(&other)).await;
    primary.set_faults(|f| f.new_connections = NewConnections::Refuse);
    let _pod = rig.pod();
    let conversation = rig.text(tenant, 1, "hello").await;
    let guid = open_chat(&secondary).await.guid;
    secondary.join(guid, agent()).unwrap();
    rig.until_state(tenant, conversation, MessageState::Delivered, 1)
        .await;
    assert_eq!(received(&secondary), ["hello"]);
    let state = until("the secondary is seen", async || {
        rig.link_state(tenant)
            .await
            .filter(|s| s.endpoint == "secondary" && s.state == "up")
    })
    .await;
    assert_eq!(state.error, None);
}

/// Three hundred chats lose their sockets in one instant, and come back no faster than the tenant's rate.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_keeps_to_the_tenants_rate() {
    const CHATS: usize = 300;
    let (rig, sim) = (Rig::new().await, sim(Tls::Plain).await);
    let tenant = rig.tenant(1, &sim, None).await;
    let mut settings = ChatSettings::default();
    settings.limits.per_skillset = 1000;
    rig.db
        .tenant(tenant.id)
        .put_settings::<ChatSettings>(&settings, None)
        .await
        .unwrap();
    sim.change_settings(|s| s.any_skillset.max_chats = None);
    rig.relink(tenant, &sim, 60.0, None).await;
    let _pod = rig.pod();
    for customer in 0..CHATS as u32 {
        rig.text(tenant, customer, "hello").await;
    }
    let all_open = async || {
        let linked = |c: &&ccm_aacc_sim::ChatView| {
            matches!(c.link, ccm_aacc_sim::Link::Open(_)) && c.state != ChatState::Ended
        };
        (sim.chats().iter().filter(linked).count() == CHATS).then_some(())
    };
    until("all chats are open", all_open).await;
    sim.reset_stats();
    sim.break_sockets(Target::All, Break::Reset);
    until("all chats are back", all_open).await;
    // What a busy machine delays comes beside what follows it; a limit that lets one second's share pass at once is 120.
    let peak = sim.stats().peak_connects_per_s;
    assert!(
        (1..=90).contains(&peak),
        "{peak} sockets in one second at 60 a second"
    );
    assert_eq!(sim.chats().len(), CHATS, "every one under its guid");
}
