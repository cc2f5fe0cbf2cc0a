use crate::play::{CUSTOMER, SOON, all_is_well, has_text, live_chat, world};
use std::time::Duration;

/// A deploy: each role is asked to end in the middle of a conversation, ends by itself with exit code 0, and comes back.
#[tokio::test(flavor = "multi_thread")]
async fn each_role_ends_orderly_on_sigterm_and_drops_nothing() {
    let mut world = world().start().await.unwrap();
    let guid = live_chat(&world).await;
    for role in [
        "ingest",
        "dispatch",
        "connector",
        "admin",
        "screenpop",
        "deflection",
        "events",
    ] {
        for n in 0..3 {
            let text = format!("#c-{role}-{n} while {role} ends");
            world
                .carrier
                .text(CUSTOMER, &world.tenants[0].number, &text)
                .unwrap();
            let text = format!("#a-{role}-{n} while {role} ends");
            world.tenants[0].aacc.say_raw(guid, None, &text).unwrap();
        }
        world.stack.sigterm(role).unwrap();
        let status = world.stack.wait(role, Duration::from_secs(20)).await.unwrap();
        assert!(
            status.success(),
            "{role} ended with {status}\n{}",
            world.stack.logs(role).unwrap()
        );
        world.stack.start(role).await.unwrap();
        let last = format!("#c-{role}-2 ");
        let has = has_text(&last);
        world.tenants[0]
            .aacc
            .wait_for(guid, has, SOON)
            .await
            .expect("the same chat has all texts");
    }
    world
        .carrier
        .wait_received(CUSTOMER, 21, SOON)
        .await
        .expect("all answers");
    all_is_well(&world).await;
}

/// The chat goes from pod to pod with its guid; the agent sees nothing of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_draining_connector_hands_its_chats_to_another_pod() {
    let mut world = world().start().await.unwrap();
    let guid = live_chat(&world).await;
    world.stack.add("connector-2").await.unwrap();
    world.stack.sigterm("connector").unwrap();
    assert!(
        world
            .stack
            .wait("connector", Duration::from_secs(20))
            .await
            .unwrap()
            .success()
    );
    let text = "#c-hand-1 to the other pod";
    world
        .carrier
        .text(CUSTOMER, &world.tenants[0].number, text)
        .unwrap();
    let has = has_text("#c-hand-1 ");
    let chat = world.tenants[0]
        .aacc
        .wait_for(guid, has, SOON)
        .await
        .expect("the same guid");
    assert_eq!(chat.resumes, 1);
    world.tenants[0]
        .aacc
        .say_raw(guid, None, "#a-hand-1 from the same agent")
        .unwrap();
    world.carrier.wait_received(CUSTOMER, 1, SOON).await.unwrap();
    all_is_well(&world).await;
}
