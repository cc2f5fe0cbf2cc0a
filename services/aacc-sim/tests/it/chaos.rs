//! Faults from a seed, and faults by the clock.

use std::time::Duration;

use ccm_aacc_sim::{AutoAgent, Break, Chaos, ChaosKind, ChaosView, Config, Injected, Link, Script, Settings};
use serde_json::{Value, json};

use crate::customer::{Customer, End, PATIENCE, http, plain, start};

/// Chats that come back after each fault; returns what was injected.
async fn run(seed: u64) -> Vec<Injected> {
    let sim = start(Config {
        first_guid: Some(1),
        settings: Settings {
            chats_per_customer: None,
            ..Settings::default()
        },
        ..Config::default()
    })
    .await;
    let mut customers = Vec::new();
    for _ in 0..4 {
        customers.push(Customer::chat(&sim).await);
    }
    // Kinds that leave the set of chats as it is: else the clock would decide who is there to be hit.
    let kinds = [
        ChaosKind::WithholdAck,
        ChaosKind::Freeze,
        ChaosKind::Maintenance,
        ChaosKind::RefuseText,
    ];
    sim.start_chaos(Chaos {
        seed,
        every_ms: 10,
        lasting_ms: 20,
        weights: kinds.map(|k| (k, 1)).into(),
        ..Chaos::default()
    });
    loop {
        let view = sim.chaos().unwrap();
        if view.injected.len() >= 20 {
            sim.stop_chaos();
            assert!(!sim.chaos().unwrap().running);
            return view.injected.into_iter().take(20).collect();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn the_same_seed_hits_the_same_chats() {
    let what = |injected: Vec<Injected>| -> Vec<_> {
        injected.iter().map(|i| (i.kind, i.guid, i.lasts_ms)).collect()
    };
    let (first, second, other) = tokio::join!(run(7), run(7), run(8));
    assert!(first.windows(2).all(|w| w[0].at_ms <= w[1].at_ms));
    assert!(
        first
            .iter()
            .all(|i| i.guid.is_none() == (i.kind == ChaosKind::Maintenance))
    );
    let first = what(first);
    assert_eq!(first, what(second));
    assert_ne!(first, what(other));
}

#[tokio::test]
async fn chaos_is_had_over_the_control_api() {
    let sim = start(Config {
        agents: vec![AutoAgent::default()],
        ..Config::default()
    })
    .await;
    let (_customer, guid, _) = Customer::chat(&sim).await;
    let url = format!("http://{}/control/chaos", sim.control_addr());
    assert_eq!(
        http()
            .get(&url)
            .send()
            .await
            .unwrap()
            .json::<Value>()
            .await
            .unwrap(),
        Value::Null
    );
    let plan = json!({"seed": 3, "every_ms": 5, "for_ms": 100, "weights": {"reset": 1}});
    http()
        .post(&url)
        .json(&plan)
        .send()
        .await
        .unwrap()
        .error_for_status()
        .unwrap();
    sim.wait_for(guid, |c| c.link == Link::Lost, PATIENCE)
        .await
        .unwrap();
    let mut view: ChaosView = http().get(&url).send().await.unwrap().json().await.unwrap();
    while view.running {
        tokio::time::sleep(Duration::from_millis(20)).await;
        view = sim.chaos().unwrap();
    }
    let hits: Vec<_> = view.injected.iter().map(|i| (i.kind, i.guid)).collect();
    assert_eq!(
        hits,
        [(ChaosKind::Reset, Some(guid))],
        "a chat without a socket is not hit again"
    );
    let stopped = http().post(format!("{url}/stop")).send().await.unwrap();
    assert_eq!(stopped.json::<ChaosView>().await.unwrap(), view, "the log stays");
    let wrong = http()
        .post(&url)
        .json(&json!({"kinds": []}))
        .send()
        .await
        .unwrap();
    assert_eq!(wrong.status(), 422);
}

#[tokio::test]
async fn faults_that_last_end_with_chaos() {
    let sim = plain(Settings::default()).await;
    let (mut customer, ..) = Customer::live(&sim).await;
    sim.start_chaos(Chaos {
        every_ms: 5,
        lasting_ms: 60_000,
        weights: [(ChaosKind::IgnorePings, 1)].into(),
        ..Chaos::default()
    });
    while sim.chaos().unwrap().injected.is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    customer.send(json!({"method": "ping"})).await;
    customer.expect_quiet().await;
    sim.stop_chaos();
    customer.send(json!({"method": "ping"})).await;
    customer.expect("ping").await;
}

#[tokio::test]
async fn a_script_makes_things_fail_by_the_clock() {
    let script = r#"
        [chaos]
        seed = 9
        weights = { close = 0 }
        [[steps]]
        at_ms = 1500
        break = "close"
        faults = { refuse_resumes = true }
        settings = { any_skillset = { available_agents = 0 } }
    "#;
    let script = Script::from_toml(script).unwrap();
    let sim = start(Config {
        settings: script.aacc,
        chaos: script.chaos,
        steps: script.steps,
        ..Config::default()
    })
    .await;
    let (mut customer, guid, key) = Customer::chat(&sim).await;
    assert_eq!(customer.end().await, End::Closed(1001));
    let mut back = Customer::dial(&sim).await;
    back.send(crate::customer::resume_body(guid, &key, false)).await;
    back.expect_expired().await;
    assert_eq!(sim.settings().any_skillset.available_agents, 0);
    assert!(sim.chaos().unwrap().injected.is_empty(), "no weight, no fault");
    sim.break_sockets(ccm_aacc_sim::Target::All, Break::Close);
    for wrong in ["[[steps]]\nat = 1", "[chaos]\nweights = { nonsense = 1 }"] {
        assert!(Script::from_toml(wrong).is_err(), "{wrong}");
    }
}
