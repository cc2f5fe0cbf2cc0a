use crate::{LONG, NAME, PHONE, SECRET, SHORT, SID, SOON, TOKEN, sim, webhook::Webhook};
use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_STANDARD};
use ccm_carrier_sim::{OpError, SentState};
use serde_json::json;
use std::time::Duration;

const TEXT: &str = "Grüße 😀 & 1+1=2 100% <b>";

#[tokio::test]
async fn twilio_posts_a_signed_form() {
    let webhook = Webhook::answering(&[]).await;
    let sim = sim(Some(webhook.url.clone()), None).await;
    let sent = sim.text(PHONE, LONG, TEXT).unwrap();
    let sent = sim.wait_accepted(sent.seq, SOON).await.unwrap();
    assert_eq!(
        (sent.state, sent.posts, sent.last_failure),
        (SentState::Accepted, 1, None)
    );
    assert_eq!(sent.accepted_at_ms, Some(sent.at_ms));

    let posts = webhook.posts();
    let (post, form) = (&posts[0], posts[0].form());
    assert!(
        post.headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("application/x-www-form-urlencoded")
    );
    for (name, value) in [
        ("MessageSid", sent.id.as_str()),
        ("SmsSid", &sent.id),
        ("SmsMessageSid", &sent.id),
        ("AccountSid", SID),
        ("From", PHONE),
        ("To", LONG),
        ("Body", TEXT),
        ("NumMedia", "0"),
        ("NumSegments", "1"),
        ("SmsStatus", "received"),
        ("ApiVersion", "2010-04-01"),
    ] {
        assert_eq!(form[name], value, "{name}");
    }
    assert!(form.contains_key("FromCity") && form.contains_key("ToZip"));
    assert!(sent.id.len() == 34 && sent.id.starts_with("SM"));
    let signed = form
        .iter()
        .fold(webhook.url.clone(), |all, (name, value)| all + name + value);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, TOKEN.as_bytes());
    let tag = BASE64_STANDARD
        .decode(&post.headers["x-twilio-signature"])
        .unwrap();
    hmac::verify(&key, signed.as_bytes(), &tag).unwrap();
    sim.shutdown().await;
}

#[tokio::test]
async fn a_generic_account_posts_signed_json() {
    let webhook = Webhook::answering(&[202]).await;
    let sim = sim(None, Some(webhook.url.clone())).await;
    let sent = sim
        .text_with_id(PHONE, SHORT, TEXT, Some("my-own-id".into()))
        .unwrap();
    let sent = sim.wait_accepted(sent.seq, SOON).await.unwrap();
    assert_eq!(sent.account, NAME);
    let posts = webhook.posts();
    assert_eq!(
        posts[0].json(),
        json!({
            "id": "my-own-id", "from": PHONE, "to": SHORT, "text": TEXT, "sent_at": "2026-11-23T08:00:00.5Z",
        })
    );
    assert_eq!(posts[0].headers["x-ccm-timestamp"], "1795420800");
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let tag = hmac::sign(&key, format!("1795420800.{}", posts[0].body).as_bytes());
    let hex: String = tag.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(posts[0].headers["x-ccm-signature"], format!("v1={hex}"));
}

#[tokio::test]
async fn what_is_not_accepted_is_posted_again_with_the_same_id_and_in_order() {
    // 0: no answer in time.
    let webhook = Webhook::answering(&[500, 0, 302, 403]).await;
    let sim = sim(Some(webhook.url.clone()), None).await;
    let texts: Vec<_> = (0..3)
        .map(|n| sim.text(PHONE, LONG, &format!("{n}")).unwrap())
        .collect();
    let first = sim.wait_accepted(texts[0].seq, SOON).await.unwrap();
    assert_eq!((first.state, first.posts), (SentState::Accepted, 5));
    assert_eq!(first.last_failure.as_deref(), Some("HTTP 403"));
    sim.wait_accepted(texts[2].seq, SOON).await.unwrap();
    let bodies: Vec<_> = webhook
        .posts()
        .iter()
        .map(|post| post.form()["Body"].clone())
        .collect();
    assert_eq!(bodies, ["0", "0", "0", "0", "0", "1", "2"]);
    let ids: Vec<_> = webhook
        .posts()
        .iter()
        .map(|post| post.form()["MessageSid"].clone())
        .collect();
    assert!(ids[..5].iter().all(|id| *id == first.id) && ids[5] != ids[6]);
    assert_eq!(
        sim.record()
            .sent
            .iter()
            .map(|text| text.posts)
            .collect::<Vec<_>>(),
        [5, 1, 1]
    );
}

#[tokio::test]
async fn a_webhook_that_is_away_gets_the_texts_when_it_is_back() {
    let sim = sim(None, None).await;
    let waiting = sim.text(PHONE, LONG, "no webhook yet").unwrap();
    let webhook = Webhook::answering(&[]).await;
    sim.set_webhook(SID, &webhook.url).unwrap();
    let accepted = sim.wait_accepted(waiting.seq, SOON).await.unwrap();
    assert_eq!(accepted.state, SentState::Accepted);
    assert_eq!(accepted.posts, 1, "nothing is posted to nowhere");

    // Nobody listens, then somebody does.
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    sim.set_webhook(SID, &format!("http://{free}/hooks/sms?a=1"))
        .unwrap();
    let waiting = sim.text(PHONE, LONG, "refused").unwrap();
    let no = sim
        .wait_accepted(waiting.seq, Duration::from_millis(200))
        .await
        .unwrap_err();
    assert!(no.so_far.contains("cannot connect"), "{no}");
    let back = Webhook::at(free, &[]).await;
    let accepted = sim.wait_accepted(waiting.seq, SOON).await.unwrap();
    assert!(accepted.posts > 1);
    assert_eq!(back.posts().len(), 1);
}

#[tokio::test]
async fn a_text_that_is_never_accepted_is_given_up() {
    let webhook = Webhook::answering(&[500; 1000]).await;
    let sim = sim(Some(webhook.url.clone()), None).await;
    let sent = sim.text(PHONE, LONG, "x").unwrap();
    let sent = sim.wait_accepted(sent.seq, SOON).await.unwrap();
    assert_eq!((sent.state, sent.accepted_at_ms), (SentState::GivenUp, None));
    assert!(sent.posts > 1);
    assert_eq!(webhook.posts().len(), sent.posts as usize);
    assert_eq!(
        sim.text(PHONE, "+19995550111", "x"),
        Err(OpError::NumberWithoutAccount)
    );
}
