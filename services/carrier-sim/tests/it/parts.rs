use crate::{LONG, PHONE, SHORT, SOON, control::Control, sim, webhook::Webhook};
use ccm_carrier_sim::{NewParts, SentState};
use serde_json::{Value, json};

fn texts(n: usize) -> Vec<String> {
    (1..=n).map(|part| format!("part {part} ")).collect()
}

#[tokio::test]
async fn a_long_text_comes_as_parts_in_any_order() {
    let webhook = Webhook::answering(&[]).await;
    let sim = sim(None, Some(webhook.url.clone())).await;
    let parts = NewParts {
        reference: Some(65_535),
        texts: texts(3),
        order: Some(vec![2, 1, 3]),
        leave_out: vec![3],
        duplicate: vec![1],
        delay_ms: 20,
    };
    let sent = sim.text_in_parts(PHONE, SHORT, &parts).unwrap();
    let whole = sim.text(PHONE, SHORT, "whole").unwrap();
    sim.wait_quiet(SOON).await.unwrap();
    let posts = webhook.posts();
    let seen: Vec<_> = posts
        .iter()
        .map(|post| {
            let json = post.json();
            (json["id"].clone(), json["text"].clone(), json["concat"].clone())
        })
        .collect();
    let part = |n: usize| {
        let concat = json!({ "reference": 65_535, "parts": 3, "part": n });
        (json!(sent[n - 1].id), json!(format!("part {n} ")), concat)
    };
    let whole = (json!(whole.id), json!("whole"), Value::Null);
    assert_eq!(seen, [part(2), part(1), part(1), whole]);
    assert!(!posts[3].body.contains("concat"));
    let states: Vec<_> = sent
        .iter()
        .map(|text| {
            let now = sim.sent(text.seq).unwrap();
            (now.state, now.posts, now.copies)
        })
        .collect();
    assert_eq!(
        states,
        [
            (SentState::Accepted, 2, 1),
            (SentState::Accepted, 1, 0),
            (SentState::Waiting, 0, 0)
        ]
    );
}

#[tokio::test]
async fn parts_are_ordered_over_http() {
    let webhook = Webhook::answering(&[500]).await;
    let sim = sim(None, Some(webhook.url.clone())).await;
    let control = Control::of(&sim);
    let send = format!("/phones/{PHONE}/send");
    let new = json!({ "to": SHORT, "parts": { "texts": texts(2), "order": [2, 1] }, "wait": true });
    let (status, sent) = control.post(&send, new).await;
    assert_eq!(status, 200);
    let parts = sent["parts"].as_array().unwrap();
    assert!(parts.iter().all(|part| part["state"] == "accepted"));
    assert_eq!(parts[0]["concat"]["reference"], parts[1]["concat"]["reference"]);
    let arrived: Vec<Value> = webhook
        .posts()
        .iter()
        .map(|post| post.json()["concat"]["part"].clone())
        .collect();
    assert_eq!(arrived, [2, 2, 1], "what is refused comes again first");
    for (new, words) in [
        (json!({ "to": LONG, "parts": { "texts": texts(2) } }), "generic"),
        (json!({ "to": SHORT, "parts": { "texts": texts(1) } }), "2 to 255"),
        (
            json!({ "to": SHORT, "parts": { "texts": texts(2), "order": [3] } }),
            "counted from 1",
        ),
        (json!({ "to": SHORT }), "text or parts"),
        (
            json!({ "to": SHORT, "text": "x", "parts": { "texts": texts(2) } }),
            "not both",
        ),
    ] {
        let (status, problem) = control.post(&send, new).await;
        assert_eq!(status, 422, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(words), "{problem}");
    }
}
