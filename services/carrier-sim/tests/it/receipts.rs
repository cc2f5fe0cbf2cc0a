use crate::{
    LONG, NAME, PHONE, SECRET, SHORT, SID, SOON, TOKEN, sim,
    to_phone::{generic, signed, twilio},
    webhook::{Post, Webhook},
};
use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_STANDARD};
use ccm_carrier_sim::{AccountOptions, Fault, OrderedReceipt, ReceiptStatus};
use serde_json::{Value, json};
use tokio::time::Instant;

fn is_signed(post: &Post, url: &str) {
    let signed = post
        .form()
        .iter()
        .fold(url.to_owned(), |all, (name, value)| all + name + value);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, TOKEN.as_bytes());
    let tag = BASE64_STANDARD
        .decode(&post.headers["x-twilio-signature"])
        .unwrap();
    hmac::verify(&key, signed.as_bytes(), &tag).unwrap();
}

fn failed(status: ReceiptStatus, code: &str) -> OrderedReceipt {
    OrderedReceipt {
        code: Some(code.into()),
        ..status.into()
    }
}

#[tokio::test]
async fn twilio_posts_a_texts_statuses_to_its_callback() {
    let callback = Webhook::answering(&[]).await;
    let sim = sim(None, None).await;
    let form = [
        ("From", LONG),
        ("To", PHONE),
        ("Body", "x"),
        ("StatusCallback", &callback.url),
        ("MessagingServiceSid", "MG0123456789abcdef0123456789abcdef"),
    ];
    let message: Value = twilio(&sim, &form).await.unwrap().json().await.unwrap();
    assert_eq!(message["status"], "accepted", "with a messaging service");
    sim.wait_quiet(SOON).await.unwrap();
    let posts = callback.posts();
    for (post, status) in posts.iter().zip(["sent", "delivered"]) {
        let form = post.form();
        for (name, value) in [
            ("MessageSid", message["sid"].as_str().unwrap()),
            ("SmsSid", message["sid"].as_str().unwrap()),
            ("MessageStatus", status),
            ("SmsStatus", status),
            ("AccountSid", SID),
            ("ApiVersion", "2010-04-01"),
            ("From", LONG),
            ("To", PHONE),
            ("MessagingServiceSid", "MG0123456789abcdef0123456789abcdef"),
        ] {
            assert_eq!(form[name], value, "{name}");
        }
        assert!(!form.contains_key("ErrorCode"));
        is_signed(post, &callback.url);
    }
    assert_eq!(posts.len(), 2);

    let text = &sim.record().received[0];
    assert_eq!(text.status, ReceiptStatus::Delivered);
    let receipts: Vec<_> = text
        .receipts
        .iter()
        .map(|r| (r.status, r.posts, r.accepted, r.answer.as_deref()))
        .collect();
    let once = |status| (status, 1, true, Some("HTTP 200"));
    assert_eq!(
        receipts,
        [once(ReceiptStatus::Sent), once(ReceiptStatus::Delivered)]
    );
    // Who gives no address is told nothing.
    twilio(&sim, &form[..3]).await.unwrap();
    sim.wait_quiet(SOON).await.unwrap();
    assert_eq!(callback.posts().len(), 2);
    assert_eq!(sim.record().received[1].status, ReceiptStatus::Delivered);
    let wrong = [form[0], form[1], form[2], ("StatusCallback", "/callback")];
    let error: Value = twilio(&sim, &wrong).await.unwrap().json().await.unwrap();
    assert_eq!(error["code"], 21609);
}

#[tokio::test]
async fn a_generic_account_posts_receipts_to_its_webhook() {
    let webhook = Webhook::answering(&[]).await;
    let sim = sim(None, Some(webhook.url.clone())).await;
    let (_, taken) = generic(&sim, "k", "x", 1).await.unwrap();
    sim.wait_quiet(SOON).await.unwrap();
    generic(&sim, "k", "x", 2).await.unwrap();
    sim.wait_quiet(SOON).await.unwrap();
    let posts = webhook.posts();
    let receipt = |status| json!({ "type": "receipt", "id": taken["id"], "status": status, "at": "2026-11-23T08:00:00.5Z" });
    assert_eq!(
        posts.iter().map(Post::json).collect::<Vec<_>>(),
        [receipt("sent"), receipt("delivered")],
        "none for the same key again"
    );
    for post in &posts {
        let at = post.headers["x-ccm-timestamp"].to_str().unwrap().parse().unwrap();
        assert_eq!(
            post.headers["x-ccm-signature"],
            signed(SECRET, at, &post.body)[1].1.as_str()
        );
    }

    for (status, word) in [
        (ReceiptStatus::Undelivered, "undeliverable"),
        (ReceiptStatus::Failed, "failed"),
        (ReceiptStatus::Expired, "expired"),
        (ReceiptStatus::Unknown, "unknown"),
    ] {
        sim.fault(Fault::Receipts {
            receipts: vec![failed(status, "e7")],
            early: false,
        });
        generic(&sim, word, "x", 1).await.unwrap();
        sim.wait_quiet(SOON).await.unwrap();
        let last = webhook.posts().last().unwrap().json();
        assert_eq!((&last["status"], &last["code"]), (&json!(word), &json!("e7")));
    }

    let silent = AccountOptions {
        receipts: false,
        ..AccountOptions::default()
    };
    sim.set_options(NAME, silent).unwrap();
    let before = webhook.posts().len();
    generic(&sim, "silent", "x", 1).await.unwrap();
    sim.wait_quiet(SOON).await.unwrap();
    assert_eq!(webhook.posts().len(), before);
}

#[tokio::test]
async fn receipts_come_as_ordered() {
    let callback = Webhook::answering(&[]).await;
    let sim = sim(None, None).await;
    let form = [
        ("From", LONG),
        ("To", PHONE),
        ("Body", "x"),
        ("StatusCallback", &callback.url),
    ];
    let late = OrderedReceipt {
        after_ms: 100,
        ..ReceiptStatus::Sent.into()
    };
    let lost = vec![];
    let reordered = vec![ReceiptStatus::Delivered.into(), late];
    let refused = vec![
        ReceiptStatus::Queued.into(),
        ReceiptStatus::Sending.into(),
        failed(ReceiptStatus::Undelivered, "30003"),
    ];
    for receipts in [lost, reordered, refused] {
        sim.fault(Fault::Receipts {
            receipts,
            early: false,
        });
        twilio(&sim, &form).await.unwrap();
        sim.wait_quiet(SOON).await.unwrap();
    }
    let told: Vec<_> = callback
        .posts()
        .iter()
        .map(|post| {
            (
                post.form()["MessageStatus"].clone(),
                post.form().get("ErrorCode").cloned(),
            )
        })
        .collect();
    let code = Some("30003".to_owned());
    let expected = [
        ("delivered", None),
        ("sent", None),
        ("queued", None),
        ("sending", None),
        ("undelivered", code),
    ];
    assert_eq!(told, expected.map(|(status, code)| (status.to_owned(), code)));
    let received = sim.record().received;
    assert_eq!(
        received.iter().map(|text| text.status).collect::<Vec<_>>(),
        [
            ReceiptStatus::Queued,
            ReceiptStatus::Delivered,
            ReceiptStatus::Undelivered
        ]
    );
    assert_eq!(received[2].error_code.as_deref(), Some("30003"));
}

#[tokio::test]
async fn a_receipt_can_come_before_the_answer() {
    // The webhook never answers, and the send is answered all the same.
    let callback = Webhook::answering(&[0]).await;
    let sim = sim(None, None).await;
    sim.fault(Fault::Receipts {
        receipts: vec![ReceiptStatus::Sent.into()],
        early: true,
    });
    let form = [
        ("From", LONG),
        ("To", PHONE),
        ("Body", "x"),
        ("StatusCallback", &callback.url),
    ];
    let started = Instant::now();
    assert_eq!(twilio(&sim, &form).await.unwrap().status().as_u16(), 201);
    assert!(
        started.elapsed().as_millis() >= 500,
        "the receipt's time is over first"
    );
    assert_eq!(callback.posts().len(), 1);
    sim.wait_quiet(SOON).await.unwrap();
    assert_eq!(callback.posts().len(), 2, "and it comes again");
}

#[tokio::test]
async fn a_receipt_that_is_not_accepted_is_posted_a_few_times() {
    let webhook = Webhook::answering(&[500; 7]).await;
    let sim = sim(None, Some(webhook.url.clone())).await;
    generic(&sim, "k", "x", 1).await.unwrap();
    sim.wait_quiet(SOON).await.unwrap();
    let receipts = &sim.record().received[0].receipts;
    let seen: Vec<_> = receipts
        .iter()
        .map(|r| (r.posts, r.accepted, r.answer.as_deref()))
        .collect();
    assert_eq!(seen, [(5, false, Some("HTTP 500")), (3, true, Some("HTTP 200"))]);
    let traffic = sim.stats().traffic;
    assert_eq!(
        (
            traffic.receipts,
            traffic.receipts_accepted,
            traffic.receipts_given_up
        ),
        (8, 1, 1)
    );
    // A reset ends it.
    let webhook = Webhook::answering(&[500; 100]).await;
    sim.set_webhook(NAME, &webhook.url).unwrap();
    generic(&sim, "l", "x", 1).await.unwrap();
    sim.reset();
    sim.wait_quiet(SOON).await.unwrap();
    assert_eq!(sim.text(PHONE, SHORT, "x").unwrap().account, NAME);
}
