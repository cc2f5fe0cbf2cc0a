//! What callers do with an offer, and how far a deflection is then.

use crate::rig::{Rig, mobile};
use ccm_bus::{Topic, Wake};
use ccm_model::{DeflectionState, Id, MessageState};
use serde_json::json;

#[tokio::test]
async fn an_answer_is_any_text_but_a_keyword() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let id = rig
        .ask(&tenant, json!({"caller": mobile(1), "name": "Mary"}))
        .await
        .accepted();
    rig.message_is(&tenant, id, "sent").await;
    rig.work(2).await;
    assert_eq!(rig.row(&tenant, id).await.state, DeflectionState::Sent);
    rig.message_is(&tenant, id, "delivered").await;
    rig.text(&tenant, &mobile(1), "HELP").await;
    rig.work(2).await;
    let row = rig.row(&tenant, id).await;
    assert_eq!(row.state, DeflectionState::Delivered);
    assert!(row.sent_at.is_some() && row.delivered_at.is_some());
    rig.text(&tenant, &mobile(1), "yes").await;
    rig.work(2).await;
    let row = rig.row(&tenant, id).await;
    assert_eq!(
        (row.state, row.answered_by.as_deref()),
        (DeflectionState::Answered, Some("text"))
    );
    let events = rig.sql("SELECT kind FROM tenant_event ORDER BY at, id");
    assert_eq!(
        events.lines().collect::<Vec<_>>(),
        [
            "deflection_offered",
            "deflection_sent",
            "deflection_delivered",
            "deflection_answered"
        ]
    );
    let details = rig.sql("SELECT detail::text FROM tenant_event");
    assert!(
        !details.contains("861234") && !details.contains("Mary"),
        "{details}"
    );
}

#[tokio::test]
async fn who_wants_no_texts_has_answered_that() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let id = rig.ask(&tenant, json!({"caller": mobile(1)})).await.accepted();
    rig.text(&tenant, &mobile(1), "Stop!").await;
    rig.work(2).await;
    let row = rig.row(&tenant, id).await;
    assert_eq!(
        (row.state, row.reason.as_deref()),
        (DeflectionState::Withdrawn, Some("opted_out"))
    );
}

#[tokio::test]
async fn no_answer_in_time_is_told_and_written_down() {
    let rig = Rig::new().await;
    let settings = json!({"expired": {"en": "Your call keeps its place, {name}."}, "answer_within_s": 60});
    let tenant = rig.tenant_with(1, settings).await;
    let mut wakes = rig.deps.bus.subscribe(&[Topic::Outbound]);
    let id = rig
        .ask(&tenant, json!({"caller": mobile(1), "name": "Mary"}))
        .await
        .accepted();
    let conversation = rig.row(&tenant, id).await.conversation.unwrap();
    let wake = Wake::Outbound {
        tenant: tenant.id,
        conversation,
    };
    while wakes.next().await != wake {}
    rig.message_is(&tenant, id, "sent").await;
    rig.work(59).await;
    assert!(rig.row(&tenant, id).await.state.is_open());
    rig.work(2).await;
    let row = rig.row(&tenant, id).await;
    assert_eq!(
        (row.state, row.reason.as_deref()),
        (DeflectionState::Expired, Some("no_answer"))
    );
    assert!(row.ended_at.is_some());
    assert_eq!(rig.texts()[1], "Your call keeps its place, Mary.");
    while wakes.next().await != wake {}
    // Late is late: the text is one like any other, without what the script knew.
    rig.text(&tenant, &mobile(1), "yes").await;
    rig.work(60).await;
    assert_eq!(rig.row(&tenant, id).await.state, DeflectionState::Expired);
    let db = rig.deps.db.tenant(tenant.id);
    let about = db.actor_context(conversation).await.unwrap().about;
    assert_eq!(about.get("said"), None, "{about}");
    assert_eq!(rig.texts().len(), 2, "told once");
}

#[tokio::test]
async fn an_offer_that_does_not_arrive_has_failed() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    for (n, state, reason) in [
        (1, MessageState::Failed, "not_sent"),
        (2, MessageState::Undeliverable, "not_delivered"),
        (3, MessageState::Expired, "not_delivered"),
    ] {
        let id = rig.ask(&tenant, json!({"caller": mobile(n)})).await.accepted();
        rig.message_is(&tenant, id, state.as_str()).await;
        rig.work(2).await;
        let row = rig.row(&tenant, id).await;
        assert_eq!(
            (row.state, row.reason.as_deref()),
            (DeflectionState::Failed, Some(reason))
        );
    }
}

#[tokio::test]
async fn an_offer_that_is_over_before_it_left_is_not_texted() {
    let rig = Rig::new().await;
    let settings = json!({"expired": {"en": "Your call keeps its place."}, "answer_within_s": 60});
    let tenant = rig.tenant_with(1, settings).await;
    for (n, state, text) in [
        (1, None, "not_sent"),
        (2, Some("sending"), "leaving"),
        (3, Some("sent"), "left"),
    ] {
        let id = rig.ask(&tenant, json!({"caller": mobile(n)})).await.accepted();
        let path = format!("/v1/deflections/{id}?auth={}", tenant.key);
        assert_eq!(rig.get(&path).await.ok()["text"], "waiting");
        if let Some(state) = state {
            rig.message_is(&tenant, id, state).await;
        }
        let path = format!("/v1/deflections/{id}/end?auth={}", tenant.key);
        for _ in 0..2 {
            let told = rig.post(&path).await.ok();
            assert_eq!(
                (&told["state"], &told["reason"]),
                (&json!("withdrawn"), &json!("call_ended"))
            );
            assert_eq!(told["text"], text);
        }
    }
    // Nobody has had this one, so nobody is told that it is over.
    let id = rig.ask(&tenant, json!({"caller": mobile(4)})).await.accepted();
    rig.work(61).await;
    assert_eq!(rig.row(&tenant, id).await.state, DeflectionState::Expired);
    let waits = rig.sql("SELECT m.state, o.state FROM outbox o JOIN message m ON m.id = o.message_id");
    assert_eq!(
        waits, "sending|sending",
        "but for the one under way nothing leaves"
    );
    let why = rig.sql("SELECT DISTINCT error_code FROM message WHERE state = 'failed'");
    assert_eq!(why, "ccm:withdrawn");
    assert_eq!(rig.texts().len(), 4);
}

#[tokio::test]
async fn a_call_that_is_over_takes_its_offer_back_unless_it_was_taken() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let end = async |id: ccm_model::DeflectionId| {
        let answer = rig
            .post(&format!("/v1/deflections/{id}/end?auth={}", tenant.key))
            .await;
        answer.ok()["state"].as_str().unwrap().to_owned()
    };
    let left = rig.ask(&tenant, json!({"caller": mobile(1)})).await.accepted();
    assert_eq!(end(left).await, "withdrawn");
    assert_eq!(end(left).await, "withdrawn", "twice is once");
    let taken = rig.ask(&tenant, json!({"caller": mobile(2)})).await.accepted();
    rig.text(&tenant, &mobile(2), "yes").await;
    assert_eq!(end(taken).await, "answered", "it was answered a moment ago");
    rig.text(&tenant, &mobile(1), "yes").await;
    rig.work(5).await;
    assert_eq!(rig.row(&tenant, left).await.state, DeflectionState::Withdrawn);
    let unknown = ccm_model::DeflectionId::from_uuid(uuid::Uuid::max());
    rig.post(&format!("/v1/deflections/{unknown}/end?auth={}", tenant.key))
        .await
        .problem(404);
}

#[tokio::test]
async fn a_worker_that_dies_is_followed_by_another() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let id = rig.ask(&tenant, json!({"caller": mobile(1)})).await.accepted();
    rig.text(&tenant, &mobile(1), "yes").await;
    // One claims it and is heard of no more.
    let hold = std::time::Duration::from_secs(15);
    let claimed = rig
        .deps
        .db
        .operator()
        .claim_deflections(10, hold, rig.now())
        .await
        .unwrap();
    assert_eq!(claimed.len(), 1);
    let other = rig.pod();
    other.move_on().await.unwrap();
    assert!(
        rig.row(&tenant, id).await.state.is_open(),
        "it is the other one's"
    );
    rig.pass(16);
    other.move_on().await.unwrap();
    assert_eq!(rig.row(&tenant, id).await.state, DeflectionState::Answered);
}

#[tokio::test]
async fn what_the_script_knew_is_what_the_chat_is_opened_with() {
    let rig = Rig::new().await;
    let settings = json!({
        "skillsets": {"Voice_Sales": "WC_Sales"},
        "priorities": [{"over_s": 300, "priority": "high"}],
    });
    let tenant = rig.tenant_with(1, settings).await;
    let call = json!({
        "caller": mobile(1), "skillset": "Voice_Sales", "language": "de", "contact_id": "call-1", "waited_s": 361,
        "name": "Mary", "context": {"order": "A1"},
    });
    let id = rig.ask(&tenant, call).await.accepted();
    let row = rig.row(&tenant, id).await;
    assert_eq!(
        (row.skillset.as_str(), row.voice_skillset.as_str()),
        ("WC_Sales", "Voice_Sales")
    );
    let db = rig.deps.db.tenant(tenant.id);
    let about = db.actor_context(row.conversation.unwrap()).await.unwrap().about;
    assert_eq!(
        about,
        json!({
            "deflection": id, "skillset": "WC_Sales", "language": "de", "waited_s": 361, "contact_id": "call-1", "name": "Mary",
            "priority": "high", "context": {"order": "A1"},
            "said": "The customer called Voice_Sales, waited for 6 min and was offered this chat. order: A1",
        })
    );
}
