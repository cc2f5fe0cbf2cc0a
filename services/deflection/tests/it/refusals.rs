//! Why no offer is made: each reason, and that nobody is texted.

use crate::rig::{Rig, ask, mobile};
use axum::http::StatusCode;
use ccm_db::{ConsentChange, ConsentSource, Names, NumberLookupRow, StateChange};
use ccm_model::{DeflectionState, LineType};
use futures::future::join_all;
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, sleep};

#[tokio::test]
async fn who_cannot_be_texted_stays_in_the_queue() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    for caller in [
        "",
        "anonymous",
        "[0]",
        "7001",
        "+35312345678",
        "+999123456789",
        "sip:7001@pbx.example.com",
    ] {
        let answer = rig.ask(&tenant, json!({"caller": caller})).await;
        assert_eq!(answer.refused(), "no_sms", "{caller}");
    }
    assert_eq!(rig.ask(&tenant, json!({})).await.refused(), "no_sms");
    // What the provider said not long ago counts, without asking it.
    let said = |line| NumberLookupRow {
        valid: true,
        country: None,
        line: Some(line),
        carrier: None,
        mobile_country_code: None,
        mobile_network_code: None,
        at: rig.now(),
    };
    let db = rig.deps.db.tenant(tenant.id);
    let before = rig.now() - Duration::from_secs(86_400);
    let (fixed, ported) = (mobile(1), "+35312345678");
    db.keep_number_lookup(&fixed.parse().unwrap(), &said(LineType::FixedLine), before)
        .await
        .unwrap();
    db.keep_number_lookup(&ported.parse().unwrap(), &said(LineType::Mobile), before)
        .await
        .unwrap();
    assert_eq!(
        rig.ask(&tenant, json!({"caller": fixed})).await.refused(),
        "no_sms"
    );
    assert_eq!(rig.texts().len(), 0);
    rig.ask(&tenant, json!({"caller": ported})).await.accepted();
}

#[tokio::test]
async fn a_number_that_can_be_two_reaches_no_stranger() {
    let rig = Rig::new().await;
    // Its number is in the US: area 479 is Arkansas, 47 is Norway.
    let tenant = rig.tenant_with(1, json!({"region": null})).await;
    let answer = rig.ask(&tenant, json!({"caller": "4794567890"})).await;
    assert_eq!(answer.refused(), "ambiguous");
    assert!(
        answer.json()["detail"]
            .as_str()
            .unwrap()
            .contains("send it with +")
    );
    let ours = json!({"caller": tenant.ours});
    assert_eq!(
        rig.ask(&tenant, ours).await.refused(),
        "no_sms",
        "our own number is nobody's phone"
    );
    assert!(rig.texts().is_empty());
    rig.ask(&tenant, json!({"caller": "14794567890"}))
        .await
        .accepted();
    rig.set(&tenant, json!({"region": "US"})).await;
    rig.ask(&tenant, json!({"caller": "4797654321"})).await.accepted();
    let to = rig.sql("SELECT customer_address FROM conversation ORDER BY 1");
    assert_eq!(to, "+14794567890\n+14797654321");
}

#[tokio::test]
async fn who_opted_out_is_not_texted() {
    let rig = Rig::new().await;
    let (tenant, other) = (rig.tenant(1).await, rig.tenant(2).await);
    let caller = mobile(1);
    let change = ConsentChange {
        event: rig.deps.ids.next(),
        our_address: &tenant.ours.parse().unwrap(),
        customer_address: &caller.parse().unwrap(),
        opted_out: true,
        source: ConsentSource::Api,
        message: None,
        evidence: None,
        at: rig.now(),
    };
    rig.deps
        .db
        .tenant(tenant.id)
        .change_consent(&change)
        .await
        .unwrap();
    assert_eq!(
        rig.ask(&tenant, json!({"caller": caller})).await.refused(),
        "opted_out"
    );
    assert_eq!(rig.texts().len(), 0);
    rig.ask(&other, json!({"caller": caller})).await.accepted();
}

#[tokio::test]
async fn agents_must_be_there_as_the_tenant_wants_it() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    rig.agents(0);
    assert_eq!(
        rig.ask(&tenant, json!({"caller": mobile(1)})).await.refused(),
        "no_agents"
    );
    rig.agents(1);
    sleep(Duration::from_millis(350)).await;
    rig.ask(&tenant, json!({"caller": mobile(1)})).await.accepted();
    rig.agents(0);
    rig.set(&tenant, json!({"agents": "off"})).await;
    rig.ask(&tenant, json!({"caller": mobile(2)})).await.accepted();
    rig.set(&tenant, json!({"agents": "free"})).await;
    sleep(Duration::from_millis(350)).await;
    assert_eq!(
        rig.ask(&tenant, json!({"caller": mobile(3)})).await.refused(),
        "no_agents"
    );
}

#[tokio::test]
async fn an_aacc_that_says_nothing_keeps_nobody_waiting() {
    let rig = Rig::with(|settings| settings.queue.stale = Duration::from_secs(8)).await;
    let tenant = rig.tenant(1).await;
    rig.sim
        .change_edge(|edge| edge.queue = Some(ccm_aacc_sim::HttpAnswer::status(503)));
    assert_eq!(
        rig.ask(&tenant, json!({"caller": mobile(1)})).await.refused(),
        "unavailable"
    );
    rig.sim.change_edge(|edge| edge.queue = None);
    sleep(Duration::from_millis(350)).await;
    rig.ask(&tenant, json!({"caller": mobile(1)})).await.accepted();
    // It dies: the last answer will do for a moment, then callers stay in the queue.
    rig.sim.shutdown().await;
    sleep(Duration::from_millis(310)).await;
    rig.ask(&tenant, json!({"caller": mobile(2)})).await.accepted();
    sleep(Duration::from_secs(8)).await;
    assert_eq!(
        rig.ask(&tenant, json!({"caller": mobile(3)})).await.refused(),
        "unavailable"
    );
}

#[tokio::test]
async fn outside_of_hours_nothing_is_offered() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let closed = json!({
        "calendars": {"never": {"time_zone": "Europe/Dublin", "weekly": {}}},
        "after_hours": [{"calendar": "never", "skillsets": ["WC_Sales"], "reply": {"en": "Closed."}, "hold": false}],
    });
    rig.deps
        .db
        .tenant(tenant.id)
        .put_routing(&closed, &Names::default(), None)
        .await
        .unwrap();
    let sales = json!({"caller": mobile(1), "skillset": "WC_Sales"});
    assert_eq!(rig.ask(&tenant, sales.clone()).await.refused(), "closed");
    rig.ask(&tenant, json!({"caller": mobile(2)})).await.accepted();
    let open = json!({"calendars": {}, "after_hours": []});
    rig.deps
        .db
        .tenant(tenant.id)
        .put_routing(&open, &Names::default(), None)
        .await
        .unwrap();
    rig.ask(&tenant, sales).await.accepted();
}

#[tokio::test]
async fn what_is_not_set_up_is_not_offered() {
    let rig = Rig::with(|settings| settings.public_base_url = None).await;
    let tenant = rig.tenant(1).await;
    rig.set(&tenant, json!({"offer": null})).await;
    let answer = rig.ask(&tenant, json!({"caller": mobile(1)})).await;
    assert_eq!(answer.refused(), "unavailable");
    assert!(
        answer.json()["detail"]
            .as_str()
            .unwrap()
            .contains("words of offer")
    );
    rig.set(&tenant, json!({"offer": {"en": "Click {link}"}, "link": true}))
        .await;
    let answer = rig.ask(&tenant, json!({"caller": mobile(1)})).await;
    assert_eq!(answer.refused(), "unavailable");
    assert!(
        answer.json()["detail"]
            .as_str()
            .unwrap()
            .contains("public_base_url")
    );
    let change = StateChange {
        active: false,
        reason: "a test",
        by: "somebody",
        at: rig.now(),
    };
    let operator = rig.deps.db.operator();
    operator.set_tenant_state(tenant.id, change).await.unwrap();
    rig.ask(&tenant, json!({"caller": mobile(1)})).await.problem(403);
}

#[tokio::test]
async fn the_same_call_is_answered_the_same() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let call = json!({"caller": mobile(1), "contact_id": "call-1"});
    rig.agents(0);
    assert_eq!(rig.ask(&tenant, call.clone()).await.refused(), "no_agents");
    rig.agents(1);
    sleep(Duration::from_millis(350)).await;
    let again = rig.ask(&tenant, call.clone()).await;
    assert_eq!(
        (again.refused().as_str(), &again.json()["repeated"]),
        ("no_agents", &json!(true))
    );
    // A caller who still waits may be asked about again.
    rig.pass(31);
    let id = rig.ask(&tenant, call.clone()).await.accepted();
    rig.pass(3500);
    assert_eq!(rig.ask(&tenant, call.clone()).await.accepted(), id);
    let other_call = json!({"caller": mobile(1), "contact_id": "call-2"});
    assert_eq!(rig.ask(&tenant, other_call).await.refused(), "offered_recently");
    assert_eq!(rig.texts().len(), 1);
}

#[tokio::test]
async fn a_flood_over_two_pods_keeps_to_the_limits_and_asks_aacc_once() {
    let rig = Rig::with(|settings| settings.queue.fresh = Duration::from_secs(60)).await;
    let tenant = rig.tenant_with(1, json!({"limits": {"per_minute": 10}})).await;
    let pods = [rig.deps.clone(), rig.pod()];
    // Connections are opened before: a debug build takes seconds to prove a password.
    for pod in &pods {
        join_all((0..8).map(|_| pod.db.ping())).await;
        join_all((0..8).map(|_| pod.db.ping())).await;
    }
    // Each pod asks AACC for itself, once.
    let began = Instant::now();
    let asked = (0..60u32).map(|n| {
        let router = ccm_deflection::router(pods[n as usize % 2].clone());
        ask(
            router,
            &tenant,
            json!({"caller": mobile(n % 20), "contact_id": format!("call-{}", n % 40)}),
        )
    });
    let answers = join_all(asked).await;
    let took = began.elapsed();
    for answer in &answers {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    }
    let new = answers.iter().filter(|answer| {
        let json = answer.json();
        json["result"] == "accepted" && json["repeated"] == false
    });
    assert_eq!(new.count(), 10);
    let refused = answers
        .iter()
        .filter(|answer| answer.json()["result"] == "refused");
    let reasons: std::collections::BTreeSet<_> = refused.map(|answer| answer.refused()).collect();
    assert!(reasons.contains("limit"), "{reasons:?}");
    assert_eq!(rig.texts().len(), 10);
    assert!(
        rig.sim.stats().peak_connects_per_s <= 2,
        "one question of each pod"
    );
    println!("60 requests at once over two pods took {} ms", took.as_millis());
    let rows = rig.deps.db.tenant(tenant.id);
    let rows = rows.deflections(&Default::default(), None, 200).await.unwrap();
    let made = rows.iter().filter(|row| row.state != DeflectionState::Refused);
    assert_eq!(made.count(), 10);
}

#[tokio::test]
async fn answers_come_at_once() {
    let rig = Rig::with(|settings| settings.queue.fresh = Duration::from_secs(60)).await;
    let tenant = rig.tenant(1).await;
    rig.ask(&tenant, json!({"caller": mobile(0)})).await.accepted();
    let mut took = Vec::new();
    for n in 1..60 {
        let began = Instant::now();
        rig.ask(
            &tenant,
            json!({"caller": mobile(n), "contact_id": format!("call-{n}")}),
        )
        .await
        .accepted();
        took.push(began.elapsed());
    }
    took.sort();
    println!(
        "an offer takes {} ms, one in twenty {} ms",
        took[30].as_millis(),
        took[56].as_millis()
    );
}
