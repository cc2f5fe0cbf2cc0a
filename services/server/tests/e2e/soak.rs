//! The long form: everything above at once, for minutes, from a seed.

use crate::play::{SOON, nothing_leaked, world};
use ccm_aacc_sim::{AutoAgent, Break, Target};
use ccm_carrier_sim::Kind;
use ccm_demo::World;
use ccm_model::{Clock, IdSource};
use ccm_testkit::{StopMode, canary};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const CUSTOMERS: u64 = 20;

/// Customers of two tenants text, agents answer by themselves, and every few seconds something breaks. What breaks comes from
/// `CCM_SOAK_SEED` (1), for `CCM_SOAK_MINUTES` (10).
#[tokio::test(flavor = "multi_thread")]
#[ignore = "long"]
async fn long_soak_with_faults_from_a_seed() {
    let setting = |name: &str, default| {
        std::env::var(name)
            .ok()
            .and_then(|v| v.parse().ok())
            .unwrap_or(default)
    };
    let (seed, minutes) = (setting("CCM_SOAK_SEED", 1), setting("CCM_SOAK_MINUTES", 10));
    let dice = IdSource::new(Clock::system(), seed);
    let agent = AutoAgent {
        replies: vec!["{tag} noted".into()],
        ..AutoAgent::default()
    };
    let mut world = world()
        .tenants([Kind::Twilio, Kind::Http])
        .agents([agent])
        // Nobody texts for minutes here and there.
        .aacc(ccm_aacc_sim::Settings {
            force_idle_after: Duration::ZERO,
            ..ccm_aacc_sim::Settings::default()
        })
        .stack(|stack| {
            stack
                .env("RUST_LOG", "info")
                .env("CCM__CONNECTOR__PING_MS", "500")
                .env("CCM__CONNECTOR__PONG_TIMEOUT_MS", "1500")
        })
        .start()
        .await
        .unwrap();
    let end = Instant::now() + Duration::from_secs(60 * minutes);
    let (mut texts, mut faults) = (0, 0);
    while Instant::now() < end {
        for _ in 0..=dice.next_u64() % 5 {
            texts += 1;
            let (tenant, customer) = (dice.next_u64() % 2, dice.next_u64() % CUSTOMERS);
            // A customer's number tells its tenant too: tags of automatic agents are numbered by customer.
            let phone = canary::number((tenant * CUSTOMERS + customer) as u32);
            let text = format!("#c-soak-{texts} {}", canary::body(texts));
            world
                .carrier
                .text(&phone, &world.tenants[tenant as usize].number, &text)
                .unwrap();
        }
        if dice.next_u64().is_multiple_of(12) {
            faults += 1;
            let what = break_something(&mut world, dice.next_u64()).await;
            println!("seed {seed}, fault {faults}, after {texts} texts: {what}");
        }
        sleep(Duration::from_millis(dice.next_u64() % 500)).await;
    }
    let settled = Instant::now() + 2 * SOON;
    let report = loop {
        let report = world.check().await.expect("everybody can be asked");
        if report.is_clean() || Instant::now() > settled {
            break report;
        }
        sleep(Duration::from_secs(1)).await;
    };
    println!("seed {seed}, {minutes} min, {faults} faults\n{report}");
    assert!(
        report.is_clean() && report.dead.is_empty(),
        "seed {seed}: {report}"
    );
    nothing_leaked(&world).await;
}

async fn break_something(world: &mut World, dice: u64) -> &'static str {
    let links = [Break::Close, Break::Reset, Break::BlackHole];
    match dice % 8 {
        n @ 0..=2 => {
            for tenant in &world.tenants {
                tenant.aacc.break_sockets(Target::All, links[n as usize]);
            }
            [
                "links closed with 1001",
                "links reset",
                "links turned into black holes",
            ][n as usize]
        }
        3 => again(world, "connector", "connector killed").await,
        4 => again(world, "ingest", "ingest killed").await,
        5 => again(world, "dispatch", "dispatch killed").await,
        6 => {
            world.stack.redis().kill().unwrap();
            sleep(Duration::from_secs(3)).await;
            world.stack.redis().start_again().unwrap();
            "Redis away for 3 s, back empty"
        }
        _ => {
            world.stack.pg().restart(StopMode::Immediate).unwrap();
            "Postgres crashed"
        }
    }
}

async fn again(world: &mut World, role: &str, what: &'static str) -> &'static str {
    world.stack.kill9(role).unwrap();
    world.stack.start(role).await.unwrap();
    what
}
