//! Certificates that end are told of once: the server's, those that are trusted, and our own.

use crate::rig::{IDS, Rig, sim_with, until};
use ccm_aacc_sim::{Config, TlsSetup};
use ccm_db::{LinkEventRow, NewLink, NewReach, Scheme};
use ccm_model::{LinkId, TenantId};
use ccm_testkit::certs::Ca;
use serde_json::{Value, json};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::time::sleep;

impl Rig {
    async fn ends_told(&self, tenant: TenantId, link: LinkId) -> Vec<LinkEventRow> {
        let mut events = self.db.tenant(tenant).link_events(link, None, 100).await.unwrap();
        events.retain(|event| event.kind.starts_with("certificate_"));
        events.sort_by_key(|event| event.detail["whose"].to_string());
        events
    }
}

fn told(events: &[LinkEventRow]) -> Vec<(&str, &Value, &Value)> {
    let told = events.iter();
    told.map(|e| (e.kind.as_str(), &e.detail["whose"], &e.detail["within_days"]))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ends_are_told_once_by_whichever_pod() {
    let sim = sim_with(Config {
        tls_setup: TlsSetup {
            expires_in_s: Some(10 * 86_400),
            ..TlsSetup::default()
        },
        ..Config::default()
    })
    .await;
    let rig = Rig::new().await;
    let tenant = rig.tenant(1, &sim, sim.ca_pem()).await;
    // Nobody uses this link, and its certificates end all the same.
    let idle: LinkId = IDS.next();
    let ca = Ca::new("Test CA").unwrap();
    let day = |at: OffsetDateTime| (at.year(), u8::from(at.month()), at.day());
    let now = OffsetDateTime::now_utc();
    let ended = ca
        .issue_valid(&["old"], ((2020, 1, 1), day(now - Duration::from_secs(86_400))))
        .unwrap();
    let ours = ca
        .issue_valid(
            &["ccm"],
            ((2020, 1, 1), day(now + Duration::from_secs(3 * 86_400))),
        )
        .unwrap();
    let trusted = format!("{}{}", ca.pem(), ended.cert_pem);
    rig.db
        .tenant(tenant.id)
        .create_link(NewLink {
            id: idle,
            name: "idle",
            scheme: Scheme::Wss,
            host: "127.0.0.1",
            port: 1,
            path: "/chat",
            ca_pem: Some(&trusted),
            swap_angle_brackets: true,
            connects_per_second: 1.0,
            reach: NewReach {
                client: Some((&ours.cert_pem, &ours.key_pem)),
                ..NewReach::default()
            },
        })
        .await
        .unwrap();
    let expected_of_idle = [
        ("certificate_expires", &json!("client"), &json!(3)),
        ("certificate_expired", &json!("trusted_ca"), &json!(0)),
    ];
    rig.text(tenant, 1, "hello").await;
    for _ in 0..2 {
        let pod = rig.pod();
        until("all ends are told", async || {
            let of_idle = rig.ends_told(tenant.id, idle).await;
            let of_used = rig.ends_told(tenant.id, tenant.link).await;
            (of_idle.len() == 2 && of_used.len() == 1).then_some(())
        })
        .await;
        // Looked at again, by this pod and then by the next one.
        sleep(Duration::from_secs(3)).await;
        let (of_idle, of_used) = (
            rig.ends_told(tenant.id, idle).await,
            rig.ends_told(tenant.id, tenant.link).await,
        );
        assert_eq!(told(&of_idle), expected_of_idle);
        assert_eq!(
            told(&of_used),
            [("certificate_expires", &json!("server"), &json!(14))]
        );
        pod.drain().await.1.unwrap();
    }
    let state = rig.db.tenant(tenant.id).link_states().await.unwrap();
    let seen = state.iter().find(|s| s.link == tenant.link).unwrap();
    assert!(seen.certificate.as_ref().unwrap()["sha256"].is_string());
}
