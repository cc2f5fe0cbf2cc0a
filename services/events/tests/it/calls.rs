//! What receivers get, and what their answers come to.

use crate::{
    receiver::{Receiver, liar},
    rig::{Rig, SECRET, quick},
};
use ccm_db::{DeliveryRow, Webhook};
use ccm_model::{DeliveryState, WebhookState};
use ccm_testkit::canary;
use std::time::Duration;

fn last(row: &DeliveryRow) -> &serde_json::Value {
    row.tries.last().unwrap()
}

#[tokio::test]
async fn a_receiver_is_told_once_and_can_tell_who_speaks() {
    let (rig, receiver) = (Rig::new().await, Receiver::start().await);
    let webhook = rig.webhook(&receiver.url("ok"), &["message.received"]).await;
    let conversation = rig.text(1).await;
    let worker = rig.work();
    let row = rig.tried(webhook, 1).await;
    assert_eq!(row.state, DeliveryState::Delivered);
    assert_eq!(
        (
            &last(&row)["outcome"],
            &last(&row)["status"],
            &last(&row)["answer"]
        ),
        (&"delivered".into(), &200.into(), &"thank you".into())
    );
    tokio::time::sleep(Duration::from_millis(300)).await;
    let heard = receiver.heard("ok");
    assert_eq!(heard.len(), 1, "once");
    assert_eq!(heard[0].id(), row.id.to_string());
    assert_eq!(heard[0].header("content-type"), "application/json");
    assert!(heard[0].is_signed_by(SECRET));
    assert!(!heard[0].is_signed_by("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
    let json = heard[0].json();
    assert_eq!(json["type"], "message.received");
    assert_eq!(json["tenant_id"], rig.tenant.to_string());
    assert_eq!(json["data"]["message"]["body"], canary::body(1));
    assert_eq!(json["data"]["message"]["state"], "accepted");
    assert_eq!(json["data"]["conversation"]["id"], conversation.to_string());
    assert_eq!(
        json["data"]["conversation"]["customer_address"],
        canary::number(1)
    );
    // With a second secret, both sign.
    let db = rig.db.tenant(rig.tenant);
    let new = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let until = rig.now() + Duration::from_secs(3600);
    db.rotate_webhook_secret(webhook, &new.into(), until)
        .await
        .unwrap();
    db.replay_delivery(webhook, row.id, rig.now()).await.unwrap();
    let again = &receiver.wait("ok", 2).await[1];
    assert_eq!(again.id(), row.id.to_string(), "the same id");
    assert!(again.is_signed_by(SECRET) && again.is_signed_by(new));
    worker.life.drain();
    worker.task.await.unwrap();
}

#[tokio::test]
async fn what_a_webhook_did_not_ask_for_it_is_not_told() {
    let (rig, receiver) = (Rig::new().await, Receiver::start().await);
    let webhook = Webhook {
        name: "blind".to_owned(),
        url: receiver.url("ok"),
        events: None,
        include_numbers: false,
        include_bodies: false,
    };
    rig.webhook_of(&webhook).await;
    rig.text(1).await;
    let _worker = rig.work();
    for heard in receiver.wait("ok", 2).await {
        assert_eq!(canary::find_in(&heard.body), [], "{}", heard.body);
    }
    let message = receiver.heard("ok").into_iter().map(|one| one.json());
    let message = message
        .into_iter()
        .find(|json| json["type"] == "message.received")
        .unwrap();
    assert_eq!(message["data"]["message"]["withheld"], true);
    assert_eq!(message["data"]["message"]["body"], serde_json::Value::Null);
    assert_eq!(message["data"]["conversation"]["our_address"], "+14155550123");
}

#[tokio::test]
async fn whatever_else_a_receiver_does_it_is_told_again_later() {
    let (rig, receiver) = (Rig::new().await, Receiver::start().await);
    let silent = liar("").await;
    let port = receiver.at.port();
    let mut expected = Vec::new();
    for (url, outcome, status, why) in [
        (receiver.url("fails"), "status", Some(500), "status 500"),
        (receiver.url("redirects"), "redirect", None, "redirect"),
        (receiver.url("hangs"), "timed_out", None, "within 2s"),
        (silent, "broken", None, "broke"),
        (
            "http://127.0.0.1:1/".to_owned(),
            "connect",
            None,
            "cannot be connected to",
        ),
        // TLS is asked of who speaks none.
        (
            format!("https://127.0.0.1:{port}/ok"),
            "connect",
            None,
            "cannot be connected to",
        ),
        ("http://10.0.0.1/".to_owned(), "private", None, "private"),
        (
            "http://169.254.169.254/latest/meta-data/".to_owned(),
            "private",
            None,
            "private",
        ),
    ] {
        let webhook = rig.webhook(&url, &["conversation.opened"]).await;
        expected.push((webhook, url, outcome, status, why));
    }
    rig.text(1).await;
    let _worker = rig.work();
    for (webhook, url, outcome, status, why) in expected {
        let row = rig.tried(webhook, 1).await;
        assert_eq!(row.state, DeliveryState::Pending, "{url}");
        assert_eq!(last(&row)["outcome"], outcome, "{url}: {:?}", row.tries);
        assert_eq!(last(&row)["status"].as_u64(), status, "{url}");
        assert!(
            last(&row)["why"].as_str().unwrap().contains(why),
            "{url}: {:?}",
            row.tries
        );
    }
    assert_eq!(receiver.heard("latest").len(), 0);
}

/// A name is looked up for each call: what it led to when the webhook was made says nothing (DNS rebinding).
#[tokio::test]
async fn a_name_that_leads_to_a_private_address_by_now_is_not_called() {
    let (rig, receiver) = (Rig::new().await, Receiver::start().await);
    let url = format!("http://localhost:{}/ok", receiver.at.port());
    let webhook = rig.webhook(&url, &["conversation.opened"]).await;
    rig.text(1).await;
    let mut events = rig.events(quick());
    events.egress = ccm_egress::Egress::new(ccm_egress::Allowed::default()).unwrap();
    let worker = rig.run(events);
    let row = rig.tried(webhook, 1).await;
    assert_eq!(last(&row)["outcome"], "private", "{:?}", row.tries);
    worker.life.drain();
    worker.task.await.unwrap();
    // Another worker, which may call this machine.
    rig.later(Duration::from_secs(10));
    let _worker = rig.work();
    receiver.wait("ok", 1).await;
}

/// Who says 200 has taken it, whatever comes after: an endless body, a slow one, one that breaks off.
#[tokio::test]
async fn who_says_that_it_is_taken_is_believed() {
    let (rig, receiver) = (Rig::new().await, Receiver::start().await);
    let cut = liar("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nonly this").await;
    let mut expected = Vec::new();
    for (url, answer) in [
        (receiver.url("floods"), Some("x".repeat(1024))),
        (receiver.url("drips"), None),
        (cut, Some("only this".to_owned())),
    ] {
        expected.push((rig.webhook(&url, &["conversation.opened"]).await, url, answer));
    }
    rig.text(1).await;
    let _worker = rig.work();
    for (webhook, url, answer) in expected {
        let row = rig.tried(webhook, 1).await;
        assert_eq!(row.state, DeliveryState::Delivered, "{url}: {:?}", row.tries);
        assert!(last(&row)["ms"].as_u64() < Some(3500), "{url}: {:?}", row.tries);
        if let Some(answer) = answer {
            assert_eq!(last(&row)["answer"], answer, "{url}");
        }
    }
}

#[tokio::test]
async fn it_is_tried_ten_times_then_given_up_and_can_be_replayed() {
    let (rig, receiver) = (Rig::new().await, Receiver::start().await);
    let webhook = rig
        .webhook(&receiver.url("scripted"), &["conversation.opened"])
        .await;
    receiver.script(&[500]);
    rig.text(1).await;
    let _worker = rig.work();
    for made in 1..=10 {
        let row = rig.tried(webhook, made).await;
        if made < 10 {
            assert_eq!((row.state, row.attempts), (DeliveryState::Pending, made));
            // It stays well below five days: the webhook is not disabled.
            let wait = row.next_at.unwrap() - rig.now();
            rig.later(Duration::from_secs(wait.whole_seconds().max(0) as u64 + 1));
        } else {
            assert_eq!(row.state, DeliveryState::Failed);
        }
    }
    let heard = receiver.heard("scripted");
    assert_eq!(heard.len(), 10);
    assert!(heard.iter().all(|one| one.id() == heard[0].id()));
    receiver.script(&[200]);
    let db = rig.db.tenant(rig.tenant);
    let id = rig.deliveries(webhook).await[0].id;
    db.replay_delivery(webhook, id, rig.now()).await.unwrap();
    receiver.wait("scripted", 11).await;
    let row = rig.tried(webhook, 1).await;
    assert_eq!((row.state, row.tries.len()), (DeliveryState::Delivered, 11));
}

#[tokio::test]
async fn who_is_gone_is_left_alone_and_who_is_busy_for_a_while() {
    let (rig, receiver) = (Rig::new().await, Receiver::start().await);
    let gone = rig.webhook(&receiver.url("gone"), &["conversation.opened"]).await;
    let busy = rig.webhook(&receiver.url("busy"), &["conversation.opened"]).await;
    rig.text(1).await;
    let _worker = rig.work();
    assert_eq!(rig.tried(gone, 1).await.state, DeliveryState::Failed);
    let row = rig.tried(busy, 1).await;
    assert!(row.next_at.unwrap() - rig.now() > time::Duration::seconds(550));
    let db = rig.db.tenant(rig.tenant);
    assert_eq!(db.webhook(gone).await.unwrap().state, WebhookState::Gone);
    assert!(db.webhook(busy).await.unwrap().paused_until.is_some());
    rig.text(2).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(
        (receiver.heard("gone").len(), receiver.heard("busy").len()),
        (1, 1)
    );
    // What happened meanwhile comes when the pause is over.
    rig.later(Duration::from_secs(700));
    assert!(receiver.wait("busy", 3).await.len() >= 3);
    assert_eq!(receiver.heard("gone").len(), 1);
}

#[tokio::test]
async fn a_test_is_called_once_and_first() {
    let (rig, receiver) = (Rig::new().await, Receiver::start().await);
    let webhook = rig.webhook(&receiver.url("gone"), &["link.down"]).await;
    let db = rig.db.tenant(rig.tenant);
    db.create_test_delivery(webhook, rig.ids.next(), rig.now())
        .await
        .unwrap();
    let _worker = rig.work();
    let row = rig.tried(webhook, 1).await;
    assert_eq!((row.state, row.attempts), (DeliveryState::Failed, 1));
    let json = receiver.heard("gone")[0].json();
    assert_eq!(
        (&json["type"], &json["data"]["webhook_id"]),
        (&"ccm.test".into(), &webhook.to_string().into())
    );
    assert_eq!(
        db.webhook(webhook).await.unwrap().state,
        WebhookState::Enabled,
        "a test judges nobody"
    );
}

/// The person was erased, or the text's time was over, between the event and the call.
#[tokio::test]
async fn what_is_not_kept_any_more_is_not_told() {
    let (rig, receiver) = (Rig::new().await, Receiver::start().await);
    let webhook = rig.webhook(&receiver.url("ok"), &["message.received"]).await;
    rig.text(1).await;
    rig.test.superuser_sql("DELETE FROM message").unwrap();
    let _worker = rig.work_with(quick());
    let row = rig.tried(webhook, 1).await;
    assert_eq!(
        (row.state, &last(&row)["outcome"]),
        (DeliveryState::Failed, &"forgotten".into())
    );
    assert_eq!(receiver.heard("ok").len(), 0);
}
