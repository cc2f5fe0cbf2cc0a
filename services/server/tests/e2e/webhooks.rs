//! A tenant's program is told of a conversation, whatever dies meanwhile.

use crate::play::{CUSTOMER, SOON, Talk, all_is_well, world};
use axum::{Router, extract::State, http::HeaderMap, routing::post};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// What was told, by `webhook-id`, and how often.
type Told = Arc<Mutex<BTreeMap<String, (Value, u32)>>>;

/// A receiver that takes its time.
async fn receiver(takes: Duration) -> (String, Told) {
    let told = Told::default();
    let hear = move |State(told): State<Told>, headers: HeaderMap, body: String| async move {
        sleep(takes).await;
        let id = headers["webhook-id"].to_str().unwrap().to_owned();
        let mut told = told.lock().unwrap();
        told.entry(id)
            .or_insert_with(|| (serde_json::from_str(&body).unwrap(), 0))
            .1 += 1;
    };
    let router = Router::new().route("/", post(hear)).with_state(told.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, told)
}

fn types(told: &Told) -> Vec<String> {
    let told = told.lock().unwrap();
    let mut types: Vec<_> = told
        .values()
        .map(|(json, _)| json["type"].as_str().unwrap().to_owned())
        .collect();
    types.sort();
    types
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_is_told_of_everything_though_the_role_is_killed_in_the_middle() {
    let mut world = world()
        .stack(|stack| {
            stack
                .env("CCM__EVENTS__TIMEOUT_MS", "2000")
                .env("CCM__EVENTS__CLAIM_MS", "7000")
        })
        .start()
        .await
        .unwrap();
    let (url, told) = receiver(Duration::from_millis(700)).await;
    let path = format!("/tenants/{}/webhooks", world.tenants[0].made.id);
    let new = json!({"name": "CRM", "url": url, "include_numbers": true, "include_bodies": true,
                     "events": ["message.*", "conversation.*"]});
    let made = world.admin.post(&path, &new).await.unwrap();
    let test = format!("{path}/{}/test", made["id"].as_str().unwrap());
    let tested = world.admin.post(&test, &json!({})).await.unwrap();
    assert_eq!(
        (&tested["state"], &tested["attempt"]["status"]),
        (&json!("delivered"), &json!(200)),
        "{tested}"
    );
    assert_eq!(types(&told), ["ccm.test"]);

    let mut talk = Talk::new(&world, 0, CUSTOMER);
    for _ in 0..4 {
        talk.text_accepted("while its program is told").await;
    }
    let guid = talk.accept().await;
    talk.agent_has_all().await;
    for _ in 0..4 {
        talk.answer(guid, "and answered");
    }
    talk.phone_has_all().await;
    // Some are under way now: with 4 calls at a time of 0.7 s each there always are.
    world.stack.kill9("events").unwrap();
    let so_far = types(&told).len();
    world.stack.start("events").await.unwrap();
    world.stack.add("events-2").await.unwrap();

    let began = Instant::now();
    let wanted = [
        ("message.received", 4),
        ("message.queued", 4),
        ("message.sent", 4),
        ("conversation.opened", 1),
        ("conversation.agent_joined", 1),
    ];
    loop {
        let types = types(&told);
        let many = |kind| types.iter().filter(|one| *one == kind).count();
        // Agents' texts and customers': each that was delivered.
        if wanted.iter().all(|(kind, n)| many(*kind) >= *n) && many("message.delivered") >= 8 {
            break;
        }
        assert!(began.elapsed() < SOON, "{so_far} before the kill, now {types:?}");
        sleep(Duration::from_millis(200)).await;
    }
    let told: Vec<(Value, u32)> = told.lock().unwrap().values().cloned().collect();
    // What was under way when it was killed came twice; nothing came more often, nor anything else.
    assert!(told.iter().all(|(_, times)| *times <= 2));
    assert!(
        told.iter().filter(|(_, times)| *times == 2).count() <= 4,
        "{told:?}"
    );
    all_is_well(&world).await;
}
