//! Several connector pods share tenants, and are killed and drained in turn while everybody talks.

use crate::{
    crowd::{Crowd, all_guids, settled, world},
    play::{nothing_leaked, we_spoke_as_it_is_spoken},
};
use ccm_carrier_sim::Kind;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

const PODS: [&str; 3] = ["connector", "connector-2", "connector-3"];

struct Form {
    tenants: usize,
    chats: u32,
    length: Duration,
    /// Between two pods that go.
    every: Duration,
    /// Between two texts of anybody.
    pace: Duration,
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_go_in_turn_and_chats_go_on() {
    pods_go_in_turn(Form {
        tenants: 4,
        chats: 12,
        length: Duration::from_secs(24),
        every: Duration::from_secs(6),
        pace: Duration::from_millis(150),
    })
    .await;
}

/// 300 live chats of 30 tenants over three pods, for five minutes (`CCM_PODS_SECONDS`).
#[tokio::test(flavor = "multi_thread")]
#[ignore = "long"]
async fn long_three_pods_go_in_turn_under_three_hundred_chats() {
    let seconds = std::env::var("CCM_PODS_SECONDS")
        .ok()
        .and_then(|v| v.parse().ok());
    pods_go_in_turn(Form {
        tenants: 30,
        chats: 300,
        length: Duration::from_secs(seconds.unwrap_or(300)),
        every: Duration::from_secs(12),
        pace: Duration::from_millis(50),
    })
    .await;
}

async fn pods_go_in_turn(form: Form) {
    let seed = std::env::var("CCM_PODS_SEED")
        .ok()
        .and_then(|v| v.parse().ok())
        .unwrap_or(1);
    println!("seed {seed} (CCM_PODS_SEED)");
    let roles = ["ingest", "dispatch", "admin"].into_iter().chain(PODS);
    let roles: Vec<&str> = roles.collect();
    let mut world = world()
        .tenants(vec![Kind::Http; form.tenants])
        .stack(move |stack| stack.roles(roles))
        .start()
        .await
        .unwrap();
    let crowd = Crowd::gather(&world, form.chats).await;
    let guids = all_guids(&world);
    let texting = crowd.go_on(form.pace, seed);
    let (end, mut gone) = (Instant::now() + form.length, 0usize);
    loop {
        let next = Instant::now() + form.every;
        if end <= next {
            break;
        }
        sleep_until(next).await;
        let pod = PODS[gone % PODS.len()];
        // Killed and drained in turn; a killed one comes back while its lease still stands.
        if gone.is_multiple_of(2) {
            world.stack.kill9(pod).unwrap();
            world.stack.start(pod).await.unwrap();
        } else {
            world.stack.restart(pod).await.unwrap();
        }
        gone += 1;
    }
    drop(texting);
    let report = settled(&world).await;
    println!(
        "{} texts in, {gone} pods gone, seed {seed}\n{report}",
        crowd.said()
    );
    assert!(gone > 0, "pods went");
    assert!(
        report.is_clean() && report.dead.is_empty(),
        "seed {seed}: {report}"
    );
    assert_eq!(all_guids(&world), guids, "every chat went on under its guid");
    we_spoke_as_it_is_spoken(&world);
    nothing_leaked(&world).await;
}
