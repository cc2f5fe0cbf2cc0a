//! Processes are killed, Postgres restarts, Redis is away.

use crate::play::{CUSTOMER, SOON, Talk, all_is_well, has_text, live_chat, world};
use ccm_carrier_sim::{Fault, Kind};
use ccm_testkit::{PgOptions, StopMode};
use std::time::Duration;
use tokio::time::sleep;

#[tokio::test(flavor = "multi_thread")]
async fn the_connector_is_killed_in_the_middle_of_a_conversation() {
    let mut world = world().start().await.unwrap();
    let guid = live_chat(&world).await;
    let mut said = 1;
    for _ in 0..3 {
        for n in 0..3 {
            said += 1;
            let text = format!("#c-kill-{said} text {n} around the kill");
            world
                .carrier
                .text(CUSTOMER, &world.tenants[0].number, &text)
                .unwrap();
        }
        world.stack.kill9("connector").unwrap();
        let answer = format!("#a-kill-{said} said while nobody listened");
        world.tenants[0].aacc.say_raw(guid, None, &answer).unwrap();
        world.stack.start("connector").await.unwrap();
        let last = format!("#c-kill-{said} ");
        let has = has_text(&last);
        world.tenants[0]
            .aacc
            .wait_for(guid, has, SOON)
            .await
            .expect("the same chat goes on, with all texts");
    }
    world
        .carrier
        .wait_received(CUSTOMER, 3, SOON)
        .await
        .expect("the answers come from the transcript");
    all_is_well(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ingest_is_killed_right_after_its_2xx() {
    let mut world = world().start().await.unwrap();
    for n in 0..3 {
        let text = format!("#c-ingest-{n} accepted, then killed");
        let sent = world
            .carrier
            .text(CUSTOMER, &world.tenants[0].number, &text)
            .unwrap();
        world.carrier.wait_accepted(sent.seq, SOON).await.unwrap();
        world.stack.kill9("ingest").unwrap();
        world.stack.start("ingest").await.unwrap();
    }
    let talk = Talk::new(&world, 0, CUSTOMER);
    let guid = talk.accept().await;
    let all = |c: &ccm_aacc_sim::ChatView| c.received == 3;
    talk.tenant
        .aacc
        .wait_for(guid, all, SOON)
        .await
        .expect("all three texts");
    all_is_well(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dispatch_is_killed_in_the_middle_of_a_send() {
    for kind in [Kind::Twilio, Kind::Http] {
        // A claim that a killed process took along is free again after this time.
        let mut world = world()
            .tenants([kind])
            .stack(|s| {
                s.env("CCM__DISPATCH__CLAIM_MS", "4000")
                    .env("CCM__DISPATCH__PROVIDER_TIMEOUT_MS", "3000")
            })
            .start()
            .await
            .unwrap();
        {
            let mut talk = Talk::new(&world, 0, CUSTOMER);
            talk.text_accepted("hello").await;
            let guid = talk.accept().await;
            talk.agent_has_all().await;
            // The provider takes the text and never answers; dispatch dies waiting.
            world.carrier.fault(Fault::Hang { taken: true });
            talk.answer(guid, "taken, and nobody knows");
            talk.answer(guid, "the one after it");
        }
        world.carrier.wait_received(CUSTOMER, 1, SOON).await.unwrap();
        world.stack.kill9("dispatch").unwrap();
        world.stack.start("dispatch").await.unwrap();
        // The generic provider recognises the text when it comes again; Twilio is asked, and has it.
        world.carrier.wait_received(CUSTOMER, 2, SOON).await.unwrap();
        let report = world.check().await.unwrap();
        assert!(report.is_clean() && report.dead.is_empty(), "{report}");
        assert_eq!(report.doubled_with_mark, 0, "{report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_away_for_a_whole_conversation() {
    let mut world = world().start().await.unwrap();
    world.stack.redis().kill().unwrap();
    let mut talk = Talk::new(&world, 0, CUSTOMER);
    for _ in 0..3 {
        talk.text_accepted("without Redis").await;
    }
    let guid = talk.accept().await;
    talk.agent_has_all().await;
    for _ in 0..3 {
        talk.answer(guid, "nor here");
        talk.text_accepted("still without").await;
    }
    talk.agent_has_all().await;
    talk.phone_has_all().await;
    for role in [
        "ingest",
        "dispatch",
        "connector",
        "admin",
        "screenpop",
        "deflection",
        "events",
    ] {
        assert!(
            world.stack.is_ready(role).await.unwrap(),
            "{role} is ready without Redis"
        );
    }
    all_is_well(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_restarts() {
    for mode in [StopMode::Fast, StopMode::Immediate] {
        let mut world = world()
            .stack(|s| s.pg_options(PgOptions::durable()))
            .start()
            .await
            .unwrap();
        let guid = live_chat(&world).await;
        for n in 0..5 {
            let text = format!("#c-restart-{n} around the restart");
            world
                .carrier
                .text(CUSTOMER, &world.tenants[0].number, &text)
                .unwrap();
            let text = format!("#a-restart-{n} around the restart");
            world.tenants[0].aacc.say_raw(guid, None, &text).unwrap();
            if n == 2 {
                world.stack.pg().restart(mode).unwrap();
            }
            sleep(Duration::from_millis(100)).await;
        }
        let all = has_text("#c-restart-4 ");
        world.tenants[0]
            .aacc
            .wait_for(guid, all, SOON)
            .await
            .expect("all texts, in the same chat");
        world
            .carrier
            .wait_received(CUSTOMER, 5, SOON)
            .await
            .expect("all answers");
        all_is_well(&world).await;
    }
}

/// Two pods; the one that owns the tenant is killed. The other takes over when the lease has run out, with the same chat.
#[tokio::test(flavor = "multi_thread")]
async fn another_pod_takes_over_from_a_killed_one() {
    let mut world = world().start().await.unwrap();
    let guid = live_chat(&world).await;
    world.stack.add("connector-2").await.unwrap();
    world.stack.kill9("connector").unwrap();
    world
        .carrier
        .text(CUSTOMER, &world.tenants[0].number, "#c-takeover-1 who is there?")
        .unwrap();
    world.tenants[0]
        .aacc
        .say_raw(guid, None, "#a-takeover-1 said while nobody listened")
        .unwrap();
    let has = has_text("#c-takeover-1 ");
    let chat = world.tenants[0]
        .aacc
        .wait_for(guid, has, SOON)
        .await
        .expect("the same guid");
    assert_eq!(chat.resumes, 1);
    world.carrier.wait_received(CUSTOMER, 1, SOON).await.unwrap();
    all_is_well(&world).await;
}
