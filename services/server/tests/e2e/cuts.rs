//! The link to AACC breaks.

use crate::play::{CUSTOMER, SOON, Talk, all_is_well, world};
use ccm_aacc_sim::{Break, ChatView, Target};

/// The link is cut ten times in the middle of a conversation, with texts of both sides around each cut.
async fn ten_cuts(how: Break) {
    // A black hole is noticed by unanswered pings: 15 s in production, which ten cuts would take too long for.
    let world = world()
        .stack(|stack| {
            stack
                .env("CCM__CONNECTOR__PING_MS", "500")
                .env("CCM__CONNECTOR__PONG_TIMEOUT_MS", "1500")
        })
        .start()
        .await
        .unwrap();
    let mut talk = Talk::new(&world, 0, CUSTOMER);
    talk.text_accepted("hello").await;
    let guid = talk.accept().await;
    talk.agent_has_all().await;
    for n in 1..=10 {
        talk.text("just before the cut");
        assert!(talk.tenant.aacc.break_sockets(Target::Chat(guid), how) <= 1);
        talk.answer(guid, "said while the link is down");
        // The same number can text again at once: the provider gets its 2xx whatever the link does.
        talk.text_accepted("just after the cut").await;
        talk.agent_has_all().await;
        talk.phone_has_all().await;
        let chat = talk.chat().await;
        assert_eq!(chat.guid, guid, "cut {n}: the chat goes on, no new one is opened");
    }
    assert!(
        talk.tenant.aacc.chat(guid).unwrap().resumes > 0,
        "the cuts were felt"
    );
    all_is_well(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_closes_with_1001_lose_nothing() {
    ten_cuts(Break::Close).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_resets_lose_nothing() {
    ten_cuts(Break::Reset).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_black_holes_lose_nothing() {
    ten_cuts(Break::BlackHole).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_session_becomes_a_new_chat_with_the_held_texts() {
    let world = world().start().await.unwrap();
    let mut talk = Talk::new(&world, 0, CUSTOMER);
    talk.text_accepted("hello").await;
    let first = talk.accept().await;
    talk.agent_has_all().await;
    talk.tenant.aacc.expire(Target::Chat(first));
    talk.tenant.aacc.break_sockets(Target::Chat(first), Break::Reset);
    talk.text_accepted("held over the end of the session").await;
    talk.text_accepted("and this one too").await;
    let second = talk.accept().await;
    assert_ne!(first, second, "a new chat opened by itself");
    talk.agent_has_all().await;
    talk.answer(second, "here I am");
    talk.phone_has_all().await;
    all_is_well(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_that_died_under_an_open_socket_is_replaced() {
    let world = world().start().await.unwrap();
    let mut talk = Talk::new(&world, 0, CUSTOMER);
    talk.text_accepted("hello").await;
    let first = talk.accept().await;
    talk.agent_has_all().await;
    // The socket stays open; the next text is answered with "Chat not started".
    talk.tenant.aacc.expire(Target::Chat(first));
    talk.text_accepted("into a dead chat").await;
    let opened = |c: &ChatView| c.guid != first && c.customer == CUSTOMER;
    let second = talk
        .tenant
        .aacc
        .wait_for_chat(opened, SOON)
        .await
        .expect("a new chat")
        .guid;
    assert_eq!(talk.accept().await, second);
    talk.agent_has_all().await;
    all_is_well(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_and_negative_acknowledgements_are_survived() {
    let world = world()
        .stack(|stack| stack.env("CCM__CONNECTOR__ACK_TIMEOUT_MS", "1000"))
        .start()
        .await
        .unwrap();
    let mut talk = Talk::new(&world, 0, CUSTOMER);
    talk.text_accepted("hello").await;
    talk.accept().await;
    talk.agent_has_all().await;
    talk.tenant.aacc.set_faults(|f| f.refuse_texts = 2);
    talk.text_accepted("refused twice").await;
    talk.agent_has_all().await;
    talk.tenant.aacc.set_faults(|f| f.withhold_acks = 1);
    talk.text_accepted("never acknowledged").await;
    talk.text_accepted("after it").await;
    talk.agent_has_all().await;
    let report = world.check().await.unwrap();
    assert!(report.is_clean() && report.dead.is_empty(), "{report}");
    assert_eq!(
        report.doubled_with_mark, 1,
        "the one in doubt was sent again, and is marked: {report}"
    );
}
