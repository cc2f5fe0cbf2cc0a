use crate::{
    LONG, NAME, PHONE, SECRET, SHORT, SID, SOON, TOKEN, http, sim,
    to_phone::{generic, twilio},
    webhook::Webhook,
};
use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_STANDARD};
use ccm_carrier_sim::{Fault, FaultOrder, SentState};
use serde_json::Value;
use std::time::Duration;
use tokio::time::{Instant, timeout};

const FORM: [(&str, &str); 3] = [("From", LONG), ("To", PHONE), ("Body", "x")];
const MOMENT: Duration = Duration::from_millis(300);

fn answer(status: u16, code: Option<&str>, taken: bool) -> Fault {
    Fault::Answer {
        status,
        code: code.map(Into::into),
        retry_after_s: (status == 429).then_some(2),
        taken,
    }
}

#[tokio::test]
async fn the_next_sends_are_answered_as_ordered() {
    let sim = sim(None, None).await;
    sim.fault(FaultOrder {
        fault: answer(429, None, false),
        times: 2,
        account: Some(SID.into()),
    });
    assert_eq!(
        generic(&sim, "k0", "x", 1).await.unwrap().0,
        202,
        "not this account's fault"
    );
    for _ in 0..2 {
        let response = twilio(&sim, &FORM).await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["retry-after"]),
            (429, &"2".parse().unwrap())
        );
        assert_eq!(response.json::<Value>().await.unwrap()["code"], 20429);
    }
    assert!(sim.faults().is_empty());
    assert_eq!(sim.wait_received(PHONE, 1, SOON).await.unwrap().len(), 1);

    sim.fault(answer(400, Some("21610"), false));
    let error: Value = twilio(&sim, &FORM).await.unwrap().json().await.unwrap();
    assert_eq!(error["code"], 21610);
    assert!(
        error["message"].as_str().unwrap().contains(PHONE),
        "Twilio repeats the number"
    );

    sim.fault(answer(500, None, true));
    let (status, error) = generic(&sim, "k1", "x", 1).await.unwrap();
    assert_eq!((status, &error["code"]), (500, &"ordered".into()));
    assert_eq!(
        generic(&sim, "k1", "x", 2).await.unwrap().0,
        409,
        "it was taken all the same"
    );
    assert_eq!(sim.record().received.len(), 2);
}

#[tokio::test]
async fn an_answer_can_stay_away() {
    let sim = sim(None, None).await;
    for taken in [false, true] {
        sim.fault(Fault::Hang { taken });
        assert!(timeout(MOMENT, generic(&sim, "h", "x", 1)).await.is_err());
        assert_eq!(sim.record().received.len(), usize::from(taken));
    }
}

#[tokio::test]
async fn a_connection_can_be_reset() {
    let sim = sim(None, None).await;
    for taken in [false, true] {
        sim.fault(Fault::Reset { taken });
        let e = twilio(&sim, &FORM).await.unwrap_err();
        assert!(e.is_request() && !e.is_timeout() && !e.is_connect(), "{e:?}");
        assert!(format!("{e:?}").contains("ConnectionReset"), "{e:?}");
        assert_eq!(sim.record().received.len(), usize::from(taken));
    }
    assert_eq!(twilio(&sim, &FORM).await.unwrap().status().as_u16(), 201);
}

#[tokio::test]
async fn an_answer_can_be_slow() {
    let sim = sim(None, None).await;
    sim.fault(Fault::Slow { ms: 300 });
    let started = Instant::now();
    assert_eq!(twilio(&sim, &FORM).await.unwrap().status().as_u16(), 201);
    assert!(started.elapsed() >= MOMENT);
}

#[tokio::test]
async fn an_accepted_webhook_can_be_posted_again() {
    let webhook = Webhook::answering(&[500]).await;
    let sim = sim(Some(webhook.url.clone()), None).await;
    sim.fault(Fault::DuplicatePost {
        copies: 2,
        new_id: false,
    });
    let first = sim.text(PHONE, LONG, "a").unwrap();
    let second = sim.text(PHONE, LONG, "b").unwrap();
    sim.wait_accepted(second.seq, SOON).await.unwrap();
    let ids: Vec<_> = webhook
        .posts()
        .iter()
        .map(|post| post.form()["MessageSid"].clone())
        .collect();
    assert_eq!(
        ids.iter().filter(|id| **id == first.id).count(),
        4,
        "once refused, once accepted, two copies"
    );
    assert_eq!(sim.sent(first.seq).unwrap().posts, 4);
    assert_eq!(ids[4], second.id);
}

#[tokio::test]
async fn an_accepted_webhook_can_be_posted_again_with_new_ids() {
    let webhook = Webhook::answering(&[]).await;
    let sim = sim(None, Some(webhook.url.clone())).await;
    sim.fault(Fault::DuplicatePost {
        copies: 2,
        new_id: true,
    });
    let sent = sim.text(PHONE, SHORT, "a").unwrap();
    sim.wait_quiet(SOON).await.unwrap();
    let posts: Vec<Value> = webhook.posts().iter().map(|post| post.json()).collect();
    assert!(posts.iter().all(|post| post["text"] == "a"));
    let ids: Vec<&str> = posts.iter().map(|post| post["id"].as_str().unwrap()).collect();
    let sent = sim.sent(sent.seq).unwrap();
    assert_eq!(ids[0], sent.id);
    assert_eq!(ids[1..], sent.new_ids);
    assert_eq!((sent.posts, sent.copies), (3, 2));
    assert!(ids[1] != ids[0] && ids[2] != ids[1] && ids[2] != ids[0]);
}

#[tokio::test]
async fn a_webhook_can_be_signed_wrongly() {
    let webhook = Webhook::answering(&[403, 200, 403, 200]).await;
    let sim = sim(Some(webhook.url.clone()), Some(webhook.url.clone())).await;
    let fits = |n: usize| {
        let post = &webhook.posts()[n];
        if let Some(tag) = post.headers.get("x-twilio-signature") {
            let signed = post
                .form()
                .iter()
                .fold(webhook.url.clone(), |all, (name, value)| all + name + value);
            let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, TOKEN.as_bytes());
            hmac::verify(&key, signed.as_bytes(), &BASE64_STANDARD.decode(tag).unwrap()).is_ok()
        } else {
            let at = post.headers["x-ccm-timestamp"].to_str().unwrap().parse().unwrap();
            post.headers["x-ccm-signature"] == crate::to_phone::signed(SECRET, at, &post.body)[1].1.as_str()
        }
    };
    for (order, number) in [(SID, LONG), (NAME, SHORT)] {
        sim.fault(FaultOrder {
            fault: Fault::WrongSignature,
            times: 1,
            account: Some(order.into()),
        });
        let sent = sim.text(PHONE, number, "x").unwrap();
        let sent = sim.wait_accepted(sent.seq, SOON).await.unwrap();
        assert_eq!(
            (sent.state, sent.posts),
            (SentState::Accepted, 2),
            "refused, and right the second time"
        );
    }
    assert_eq!([0, 1, 2, 3].map(fits), [false, true, false, true]);
}

#[tokio::test]
async fn a_provider_that_stops_is_gone() {
    let sim = sim(None, None).await;
    let client = http();
    let send = || client.post(sim.send_url(NAME)).body("{}").send();
    assert!(send().await.is_ok(), "the connection is kept");
    sim.shutdown().await;
    assert!(send().await.is_err());
}
