//! The version before and this one on one database, there and back. `deploy/dev/check-upgrade` builds the old program and runs this.

use crate::{
    crowd::{Crowd, all_guids, drain, every_post_was_answered, nobody_logged_an_error, peopled, settled},
    play::{SOON, nothing_leaked, we_spoke_as_it_is_spoken, world_of},
};
use ccm_carrier_sim::Kind;
use ccm_demo::World;
use ccm_testkit::canary;
use std::{collections::BTreeMap, env, path::PathBuf, process::Output, time::Duration};
use tokio::time::{Instant, sleep};

const ROLES: [&str; 7] = [
    "ingest",
    "dispatch",
    "connector",
    "admin",
    "screenpop",
    "deflection",
    "events",
];
/// By which of its counters a pod shows that texts go through it.
const WORKS: [(&str, &str); 3] = [
    ("ingest", "ccm_http_requests_total"),
    ("dispatch", "ccm_dispatch_sent_total"),
    ("connector", "ccm_connector_texts_delivered_total"),
];
/// So many that one of two connectors owns none once in some thousand runs.
const TENANTS: usize = 12;
/// `ccm migrate --dry-run`: something is to be done.
const PENDING: i32 = 3;
/// A customer of the tenant that is made on the way.
const LATE: u32 = 9_000;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the program of the version before: deploy/dev/check-upgrade builds it and runs this"]
async fn two_versions_serve_side_by_side_and_the_way_back() {
    let old = env::var_os("CCM_OLD_PROGRAM").map(PathBuf::from);
    let old = old.expect("CCM_OLD_PROGRAM names the old program; deploy/dev/check-upgrade sets it");
    let setting = |name: &str, default: u32| env::var(name).map_or(default, |v| v.parse().expect(name));
    let phase = Duration::from_secs(setting("CCM_UPGRADE_SECONDS", 1).into());

    let mut world = peopled(world_of(old.clone()))
        .tenants((0..TENANTS).map(|n| [Kind::Twilio, Kind::Http][n % 2]))
        .stack(|stack| stack.roles(ROLES).ingest_service())
        .start()
        .await
        .unwrap();
    let crowd = Crowd::gather(&world, setting("CCM_UPGRADE_CHATS", 24)).await;
    let guids = all_guids(&world);
    let texting = crowd.go_on(Duration::from_millis(50), 1);
    texts_flow(&world, phase, "the old version alone").await;

    world.stack.program(env!("CARGO_BIN_EXE_ccm"));
    migrate(&world).await;
    for role in ROLES {
        assert!(
            world.stack.is_ready(role).await.unwrap(),
            "{role} of the old version is ready on the new schema"
        );
    }
    texts_flow(&world, phase, "the old version on the new schema").await;

    for role in ROLES {
        world.stack.add(&next(role)).await.unwrap();
    }
    both_serve(&world, "new pods beside old ones").await;
    texts_flow(&world, phase, "both versions").await;
    for role in ROLES {
        drain(&mut world, role).await;
    }
    world.admin = world.stack.admin_of(&next("admin")).unwrap();
    texts_flow(&world, phase, "the new version alone").await;
    // Settings, a chat and texts that the new version has written are read by the old one on the way back.
    world.add_tenant(Kind::Http).await.unwrap();
    late_text(&world, 1).await;

    for role in ROLES {
        world.stack.start(role).await.unwrap();
    }
    both_serve(&world, "old pods beside new ones").await;
    texts_flow(&world, phase, "both versions, on the way back").await;
    for role in ROLES {
        drain(&mut world, &next(role)).await;
    }
    world.stack.program(old);
    world.admin = world.stack.admin().unwrap();
    late_text(&world, 2).await;
    texts_flow(&world, phase, "the old version again").await;
    drop(texting);

    let report = settled(&world).await;
    println!("{} texts in\n{report}", crowd.said() + 2);
    assert!(report.is_clean() && report.dead.is_empty(), "{report}");
    assert_eq!(report.doubled_with_mark, 0, "nothing was in doubt: {report}");
    assert_eq!(
        all_guids(&world)[..TENANTS],
        guids,
        "every chat lived through it all, under its guid"
    );
    every_post_was_answered(&world).await;
    we_spoke_as_it_is_spoken(&world);
    nobody_logged_an_error(&world);
    nothing_leaked(&world).await;
}

/// The new version's pod of a role.
fn next(role: &str) -> String {
    format!("{role}-2")
}

/// Says what is to come, then has it done by two at once, while the old version serves.
async fn migrate(world: &World) {
    let plan = world.stack.migrate(&["--dry-run"]).await.unwrap();
    let listed = String::from_utf8_lossy(&plan.stdout).into_owned();
    match plan.status.code() {
        Some(0) => println!("the new version brings no new migrations"),
        Some(PENDING) => println!("the new version brings migrations:\n{listed}"),
        _ => panic!("{plan:?}"),
    }
    let began = Instant::now();
    let (one, other) = tokio::join!(world.stack.migrate(&[]), world.stack.migrate(&[]));
    println!("migrated, by two at once, in {:?}", began.elapsed());
    let went = |run: &Output| assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    went(&one.unwrap());
    went(&other.unwrap());
    let plan = world.stack.migrate(&["--dry-run"]).await.unwrap();
    went(&plan);
}

/// Both ways: agents answer what they are sent.
async fn texts_flow(world: &World, phase: Duration, who: &str) {
    let before = world.carrier.stats();
    let (texts, answers) = (before.traffic.posts_accepted, before.count);
    let began = Instant::now();
    sleep(phase).await;
    loop {
        let now = world.carrier.stats();
        let (texts, answers) = (now.traffic.posts_accepted - texts, now.count - answers);
        if texts > 0 && answers > 0 {
            println!(
                "{who}: {texts} texts in, {answers} answers out, in {:?}",
                began.elapsed()
            );
            return;
        }
        assert!(
            began.elapsed() < SOON,
            "{who}: {texts} texts in, {answers} answers out"
        );
        sleep(Duration::from_millis(100)).await;
    }
}

/// Waits until texts have gone through each pod, of either version, from now on.
async fn both_serve(world: &World, who: &str) {
    let pods: Vec<(String, &str)> = WORKS
        .iter()
        .flat_map(|(role, counter)| [((*role).to_owned(), *counter), (next(role), *counter)])
        .collect();
    let mut before = BTreeMap::new();
    for (pod, counter) in &pods {
        before.insert(pod.as_str(), counted(world, pod, counter).await);
    }
    let began = Instant::now();
    for (pod, counter) in &pods {
        while counted(world, pod, counter).await <= before[pod.as_str()] {
            assert!(began.elapsed() < SOON, "{who}: nothing goes through {pod}");
            sleep(Duration::from_millis(100)).await;
        }
    }
    println!("{who}: all serve after {:?}", began.elapsed());
}

/// The sum over all labels.
async fn counted(world: &World, pod: &str, counter: &str) -> f64 {
    let metrics = world.stack.metrics(pod).await.unwrap();
    let lines = metrics.lines().filter(|line| line.starts_with(counter));
    let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    values.sum()
}

/// A text to the tenant that the new version has made; returns when an agent has answered.
async fn late_text(world: &World, n: u32) {
    let tenant = world.tenants.last().expect("one was made");
    let body = format!("#c-late-{n} {}", canary::body(n));
    world
        .carrier
        .text(&canary::number(LATE), &tenant.number, &body)
        .unwrap();
    world
        .carrier
        .wait_received(&canary::number(LATE), n as usize, SOON)
        .await
        .expect("the tenant that the new version has made is served");
}
