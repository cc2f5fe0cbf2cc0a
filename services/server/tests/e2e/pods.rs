//! Several connector pods share tenants, and are killed and drained in turn while everybody talks.

use crate::play::{SOON, nothing_leaked, we_spoke_as_it_is_spoken, world};
use ccm_aacc_sim::AutoAgent;
use ccm_carrier_sim::Kind;
use ccm_demo::World;
use ccm_model::{Clock, IdSource};
use ccm_testkit::canary;
use std::time::Duration;
use tokio::time::{Instant, sleep};

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
    let dice = IdSource::new(Clock::system(), seed);
    let agent = AutoAgent {
        replies: vec!["{tag} noted".into()],
        ..AutoAgent::default()
    };
    let roles = ["ingest", "dispatch", "admin"].into_iter().chain(PODS);
    let roles: Vec<&str> = roles.collect();
    let mut world = world()
        .tenants(vec![Kind::Http; form.tenants])
        .agents([agent])
        .stack(move |stack| stack.roles(roles).env("RUST_LOG", "info"))
        .start()
        .await
        .unwrap();
    let mut said = 0;
    for customer in 0..form.chats {
        said += 1;
        text(&world, customer, said);
    }
    until_live(&world, form.chats as usize).await;
    let guids = all_guids(&world);
    let (end, mut next, mut gone) = (Instant::now() + form.length, Instant::now() + form.every, 0usize);
    while Instant::now() < end {
        said += 1;
        text(&world, (dice.next_u64() % u64::from(form.chats)) as u32, said);
        if next <= Instant::now() {
            let pod = PODS[gone % PODS.len()];
            // Killed and drained in turn; a killed one comes back while its lease still stands.
            if gone % 2 == 0 {
                world.stack.kill9(pod).unwrap();
                world.stack.start(pod).await.unwrap();
            } else {
                world.stack.restart(pod).await.unwrap();
            }
            gone += 1;
            next = Instant::now() + form.every;
        }
        sleep(form.pace).await;
    }
    let settled = Instant::now() + 2 * SOON;
    let report = loop {
        let report = world.check().await.expect("everybody can be asked");
        if (report.is_clean() && report.dead.is_empty()) || Instant::now() > settled {
            break report;
        }
        sleep(Duration::from_secs(1)).await;
    };
    println!("{} texts in, {gone} pods gone, seed {seed}\n{report}", said);
    assert!(gone > 0, "pods went");
    assert!(
        report.is_clean() && report.dead.is_empty(),
        "seed {seed}: {report}"
    );
    assert_eq!(all_guids(&world), guids, "every chat went on under its guid");
    we_spoke_as_it_is_spoken(&world);
    nothing_leaked(&world).await;
}

/// A customer's number tells its tenant too: tags of automatic agents are numbered by customer.
fn text(world: &World, customer: u32, n: u32) {
    let tenant = &world.tenants[customer as usize % world.tenants.len()];
    let body = format!("#c-pods-{n} {}", canary::body(n));
    world
        .carrier
        .text(&canary::number(customer), &tenant.number, &body)
        .unwrap();
}

async fn until_live(world: &World, chats: usize) {
    let began = Instant::now();
    loop {
        let live = world
            .tenants
            .iter()
            .flat_map(|t| t.aacc.chats())
            .filter(|c| c.said > 0)
            .count();
        if live == chats {
            return;
        }
        assert!(began.elapsed() < 2 * SOON, "{live} of {chats} chats are live");
        sleep(Duration::from_millis(200)).await;
    }
}

fn all_guids(world: &World) -> Vec<Vec<u64>> {
    let of = |tenant: &ccm_demo::Tenant| tenant.aacc.chats().iter().map(|c| c.guid).collect();
    world.tenants.iter().map(of).collect()
}
