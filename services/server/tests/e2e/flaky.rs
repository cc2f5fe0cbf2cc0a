//! A provider that is slow, throttles, fails, loses answers and receipts, and posts twice, under new ids and out of turn, all at
//! once: what the two sides have still fits.

use crate::play::{SOON, nothing_leaked, world};
use ccm_aacc_sim::AutoAgent;
use ccm_carrier_sim::{Kind, Manners};
use ccm_testkit::canary;
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, sleep};

struct Form {
    texts: u32,
    phones: u32,
    /// Between two texts.
    pace: Duration,
    patience: Duration,
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_goes_wrong_at_the_provider() {
    everything_goes_wrong(Form {
        texts: 300,
        phones: 30,
        pace: Duration::from_millis(20),
        patience: 3 * SOON,
    })
    .await;
}

/// 20,000 texts: 10,000 from phones, and an agent's answer to each (`CCM_FLAKY_SEED`).
#[tokio::test(flavor = "multi_thread")]
#[ignore = "long"]
async fn long_everything_goes_wrong_at_the_provider() {
    everything_goes_wrong(Form {
        texts: 10_000,
        phones: 100,
        pace: Duration::from_millis(30),
        patience: 30 * SOON,
    })
    .await;
}

fn manners(seed: u64) -> Manners {
    let manners = json!({
        "seed": seed,
        "send": {
            "slow": {"chance": 0.05, "ms": [50, 500]},
            "throttle": {"chance": 0.03, "retry_after_s": 1},
            "error": {"chance": 0.03, "statuses": [500, 503]},
            "lose_answer": {"chance": 0.02, "hang": 0.05},
            "drop": {"chance": 0.02},
        },
        "receipts": {"lose": 0.1, "duplicate": 0.1, "delay_ms": [0, 500], "reorder": 0.1, "early": 0.1},
        "posts": {"duplicate": 0.1, "delay_ms": [0, 100], "reorder": 0.1, "wrong_signature": 0.03, "new_id": 0.05},
    });
    serde_json::from_value(manners).expect("manners")
}

async fn everything_goes_wrong(form: Form) {
    let seed = std::env::var("CCM_FLAKY_SEED")
        .ok()
        .and_then(|v| v.parse().ok())
        .unwrap_or(1);
    println!("seed {seed} (CCM_FLAKY_SEED)");
    let agent = AutoAgent {
        replies: vec!["{tag} noted".into()],
        ..AutoAgent::default()
    };
    let kinds = [Kind::Twilio, Kind::Http];
    let world = world()
        .tenants(kinds)
        .agents([agent])
        .per_second(200.0)
        .stack(|stack| stack.env("RUST_LOG", "info"))
        .start()
        .await
        .unwrap();
    for tenant in &world.tenants {
        // A provider that posts again under new ids is an account's own trouble, and its operator says so.
        let rules = json!({"rules": {"repeat_window_s": 3600}});
        let path = format!(
            "/tenants/{}/accounts/{}",
            tenant.made.id, tenant.made.accounts[0].id
        );
        world.admin.patch(&path, &rules).await.unwrap();
    }
    // Accounts are looked up anew within a second.
    sleep(Duration::from_secs(2)).await;
    world.carrier.set_manners(manners(seed)).unwrap();
    for n in 0..form.texts {
        // Each phone texts one tenant: tags of automatic agents are numbered by customer.
        let customer = n % form.phones;
        let tenant = &world.tenants[customer as usize % world.tenants.len()];
        let body = format!("#c-flaky-{n} {}", canary::body(n));
        world
            .carrier
            .text(&canary::number(customer), &tenant.number, &body)
            .unwrap();
        sleep(form.pace).await;
    }
    let settled = Instant::now() + form.patience;
    let report = loop {
        let report = world.check().await.expect("everybody can be asked");
        let all = report.sent == 2 * form.texts as usize;
        if (report.is_clean() && report.dead.is_empty() && all) || Instant::now() > settled {
            break report;
        }
        sleep(Duration::from_secs(2)).await;
    };
    let stats = world.carrier.stats();
    println!(
        "seed {seed}\n{report}\n{}",
        serde_json::to_string_pretty(&stats).unwrap()
    );
    assert!(
        report.is_clean() && report.dead.is_empty(),
        "seed {seed}: {report}"
    );
    assert_eq!(
        report.sent,
        2 * form.texts as usize,
        "seed {seed}: nobody fell silent"
    );
    assert!(stats.rate_violations.is_empty(), "{:?}", stats.rate_violations);
    nothing_leaked(&world).await;
}
