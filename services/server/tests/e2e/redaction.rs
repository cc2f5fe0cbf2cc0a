//! Bodies and numbers are marked; nothing that the product writes down for operators may hold a mark.

use crate::{
    collector::Collector,
    play::{SOON, Talk, world},
};
use ccm_aacc_sim::{Break, Target};
use ccm_carrier_sim::{Fault, Kind};
use ccm_testkit::canary;
use serde_json::json;
use std::{collections::BTreeSet, time::Duration};
use tokio::time::sleep;

/// A conversation with everything that can go wrong in it, at trace level: logs, spans and metrics of all roles are searched.
#[tokio::test(flavor = "multi_thread")]
async fn bodies_and_numbers_are_in_no_log_span_or_metric() {
    let collector = Collector::start().await;
    let endpoint = collector.endpoint.clone();
    let mut world = world()
        .tenants([Kind::Twilio, Kind::Http])
        .stack(|s| s.env("CCM__TELEMETRY__OTLP_ENDPOINT", endpoint))
        .start()
        .await
        .unwrap();
    for tenant in 0..2 {
        let mut talk = Talk::new(&world, tenant, &canary::number(tenant as u32));
        let words = canary::body(tenant as u32);
        talk.text_accepted(&words).await;
        let guid = talk.accept().await;
        talk.agent_has_all().await;
        talk.answer(guid, &words);
        talk.phone_has_all().await;
        // Refusals, retries and breaks write most of the logs.
        world.carrier.fault(Fault::WrongSignature);
        talk.text_accepted(&words).await;
        world.carrier.fault(Fault::Answer {
            status: 500,
            code: None,
            retry_after_s: None,
            taken: false,
        });
        talk.answer(guid, &words);
        talk.tenant.aacc.break_sockets(Target::All, Break::Reset);
        talk.tenant.aacc.set_faults(|f| f.refuse_texts = 1);
        talk.text_accepted(&words).await;
        talk.agent_has_all().await;
        talk.phone_has_all().await;
        // A provider's refusal for good repeats the number.
        world.carrier.fault(Fault::Answer {
            status: 400,
            code: Some("21211".into()),
            retry_after_s: None,
            taken: false,
        });
        let customer = talk.customer.clone();
        world.tenants[tenant].aacc.say_raw(guid, None, &words).unwrap();
        wait_for_failure(&world, tenant, &customer).await;
        check_number(&world, tenant, &customer).await;
        ask_for_a_chat(&world, tenant, &customer).await;
    }
    world
        .stack
        .pg()
        .restart(ccm_testkit::StopMode::Immediate)
        .unwrap();
    for role in [
        "ingest",
        "dispatch",
        "connector",
        "admin",
        "screenpop",
        "deflection",
        "events",
    ] {
        let metrics = world.stack.metrics(role).await.unwrap();
        assert!(metrics.contains("ccm_"), "{role} has metrics");
        assert_eq!(canary::find_in(&metrics), [], "metrics of {role}");
    }
    for role in [
        "ingest",
        "dispatch",
        "connector",
        "admin",
        "screenpop",
        "deflection",
        "events",
    ] {
        world.stack.sigterm(role).unwrap();
        world.stack.wait(role, Duration::from_secs(30)).await.unwrap();
        let logs = world.stack.logs(role).unwrap();
        assert!(logs.contains("\"level\""), "{role} has logs");
        assert_eq!(canary::find_in(&logs), [], "logs of {role}");
        for tenant in &world.tenants {
            assert!(
                !logs.contains(&tenant.made.auth_key),
                "a key in the logs of {role}"
            );
        }
        world.stack.start(role).await.unwrap();
    }
    let spans = collector.raw();
    let services: BTreeSet<String> = collector.spans().into_iter().map(|s| s.service).collect();
    for role in [
        "ccm-ingest",
        "ccm-dispatch",
        "ccm-connector",
        "ccm-admin",
        "ccm-screenpop",
        "ccm-deflection",
    ] {
        let logs = world.stack.logs(role.trim_start_matches("ccm-")).unwrap();
        assert!(
            services.contains(role),
            "{role} has sent no spans, only {services:?}\n{logs}"
        );
    }
    assert_eq!(canary::find_in(&spans), [], "spans");
    for tenant in &world.tenants {
        assert!(!spans.contains(&tenant.made.auth_key), "a key in a span");
    }
    // The search would find them: they are in what customers and agents have.
    let kept = serde_json::to_string(&world.carrier.record()).unwrap();
    assert!(canary::find_in(&kept).len() > 2, "the canaries were sent");
    let report = world.check().await.unwrap();
    assert!(report.is_clean(), "{report}");
}

async fn wait_for_failure(world: &ccm_demo::World, tenant: usize, customer: &str) {
    let id = &world.tenants[tenant].made.id;
    for _ in 0..SOON.as_millis() / 200 {
        let found = world.admin.transcripts(id).await.unwrap();
        let failed = found.iter().any(|c| {
            c["customer_address"] == customer
                && c["messages"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .any(|m| m["state"] == "failed")
        });
        if failed {
            return;
        }
        sleep(Duration::from_millis(200)).await;
    }
    panic!("the refused text does not show as failed");
}

/// As the simplest of voice scripts does it: everything in the address.
async fn ask_for_a_chat(world: &ccm_demo::World, tenant: usize, customer: &str) {
    let base = world.stack.address("deflection").unwrap();
    let answer = reqwest::Client::new()
        .get(format!("{base}/v1/deflections"))
        .query(&[
            ("auth", world.tenants[tenant].made.auth_key.as_str()),
            ("caller", customer),
            ("contact_id", "4711"),
            ("name", &canary::body(tenant as u32)),
            ("context.order", &canary::body(tenant as u32)),
        ])
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
}

/// As an agent's page does it; a provider that tells about numbers is asked.
async fn check_number(world: &ccm_demo::World, tenant: usize, customer: &str) {
    let keys = format!("/tenants/{}/auth-keys", world.tenants[tenant].made.id);
    let made = world
        .admin
        .post(&keys, &json!({ "name": "agents" }))
        .await
        .unwrap();
    let base = world.stack.address("screenpop").unwrap();
    let answer = reqwest::Client::new()
        .get(format!("{base}/v1/number-check"))
        .query(&[("number", customer), ("lookup", "true")])
        .bearer_auth(made["key"].as_str().unwrap())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let known = answer.text().await.unwrap();
    let status = ["done", "unavailable"][tenant];
    assert!(
        known.contains(&format!("\"lookup_status\":\"{status}\"")),
        "{known}"
    );
}
