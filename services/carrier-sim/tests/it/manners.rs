use crate::{
    LONG, NAME, NOW_NS, SECRET, SHORT, SID, SOON, TOKEN, control::Control, sim, sim_that_retries,
    to_phone::signed, webhook::Webhook,
};
use ccm_carrier_sim::{Manners, Retry, SentState, SentText, Sim, StatsView};
use futures::future::join_all;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// How many phones, and how many texts each way each.
type Size = (usize, usize);
const FEW: Size = (24, 8);

/// `hang`: how many of the lost answers keep the client waiting.
fn manners(seed: u64, hang: f64) -> Value {
    json!({
        "seed": seed,
        "send": {
            "slow": { "chance": 0.1, "ms": [5, 40] },
            "throttle": { "chance": 0.05, "retry_after_s": 1 },
            "error": { "chance": 0.1, "statuses": [500, 503], "taken": 0.5 },
            "lose_answer": { "chance": 0.05, "hang": hang },
            "drop": { "chance": 0.05 },
        },
        "receipts": {
            "lose": 0.1, "duplicate": 0.1, "delay_ms": [0, 60], "reorder": 0.1, "early": 0.1,
            "fail": { "chance": 0.05, "codes": [30003, 30005] },
        },
        "posts": { "duplicate": 0.2, "delay_ms": [0, 30], "reorder": 0.1, "wrong_signature": 0.1, "new_id": 0.1 },
    })
}

fn phone(n: usize) -> String {
    format!("+1999555{n:04}")
}

/// A plain client that sends each text again until it is answered.
struct Client {
    http: reqwest::Client,
}

impl Client {
    fn new(timeout: Duration) -> Self {
        crate::http();
        let http = reqwest::Client::builder().timeout(timeout).build().unwrap();
        Self { http }
    }

    /// What the attempts ended with.
    async fn generic(&self, sim: &Sim, to: &str, n: usize) -> Vec<u16> {
        let key = format!("{to}-{n}");
        let mut seen = Vec::new();
        loop {
            let attempt = seen.len() + 1;
            let body =
                json!({ "id": key, "from": SHORT, "to": to, "text": format!("{n}"), "attempt": attempt });
            let body = body.to_string();
            let mut request = self.http.post(sim.send_url(NAME)).header("idempotency-key", &key);
            for (name, value) in signed(SECRET, NOW_NS / 1_000_000_000, &body) {
                request = request.header(name, value);
            }
            seen.push(match request.body(body).send().await {
                Ok(response) => response.status().as_u16(),
                Err(_) => 0,
            });
            if [202, 409].contains(seen.last().unwrap()) {
                return seen;
            }
        }
    }

    /// Looks at the list before it sends again, as there is no key.
    async fn twilio(&self, sim: &Sim, to: &str, n: usize, callback: &str) -> Vec<u16> {
        let url = format!("{}/2010-04-01/Accounts/{SID}/Messages.json", sim.api_base());
        let body = n.to_string();
        let form = [
            ("From", LONG),
            ("To", to),
            ("Body", &body),
            ("StatusCallback", callback),
        ];
        let mut seen = Vec::new();
        loop {
            let request = self.http.post(&url).basic_auth(SID, Some(TOKEN)).form(&form);
            seen.push(match request.send().await {
                Ok(response) => response.status().as_u16(),
                Err(_) => 0,
            });
            if *seen.last().unwrap() == 201 {
                return seen;
            }
            let listed: Value = self
                .http
                .get(&url)
                .query(&[("To", to), ("From", LONG), ("DateSent>", "2026-11-23")])
                .basic_auth(SID, Some(TOKEN))
                .send()
                .await
                .unwrap()
                .json()
                .await
                .unwrap();
            let messages = listed["messages"].as_array().unwrap();
            if messages.iter().any(|message| message["body"] == *body) {
                return seen;
            }
        }
    }
}

/// What every phone's sends ended with, how often each manner hit, and the webhook.
async fn play(
    seed: u64,
    (phones, texts): Size,
    hang: f64,
    hurry: bool,
) -> (Vec<Vec<u16>>, StatsView, Webhook, Sim) {
    let webhook = Webhook::answering(&[]).await;
    // A machine that is busy is no fault.
    let patient = Retry::default();
    let sim = sim_that_retries(Some(webhook.url.clone()), Some(webhook.url.clone()), patient).await;
    let control = Control::of(&sim);
    assert_eq!(control.put("/manners", manners(seed, hang)).await, 204);
    let client = Client::new(if hang > 0.0 { SOON / 4 } else { SOON * 3 });
    let of = async |n: usize| {
        let phone = phone(n);
        let mut seen = Vec::new();
        for text in 0..texts {
            let number = if n.is_multiple_of(2) { SHORT } else { LONG };
            sim.text(&phone, number, &text.to_string()).unwrap();
            seen.extend(match n.is_multiple_of(2) {
                true => client.generic(&sim, &phone, text).await,
                false => client.twilio(&sim, &phone, text, &webhook.url).await,
            });
            if !hurry {
                sleep(Duration::from_millis(3)).await;
            }
        }
        seen
    };
    let seen = join_all((0..phones).map(of)).await;
    sim.wait_quiet(SOON * 6).await.unwrap();
    let stats = sim.stats();
    (seen, stats, webhook, sim)
}

#[tokio::test]
async fn everything_goes_wrong_at_once_and_nothing_is_lost_doubled_or_out_of_order() {
    check(FEW).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long"]
async fn long_everything_goes_wrong_with_twenty_thousand_texts_each_way() {
    let started = Instant::now();
    check((1000, 20)).await;
    println!("took {:?}", started.elapsed());
}

async fn check(size: Size) {
    let (phones, texts) = size;
    let (seen, stats, webhook, sim) = play(7, size, 0.25, true).await;
    let all: BTreeSet<u16> = seen.iter().flatten().copied().collect();
    assert_eq!(all, [0, 201, 202, 409, 429, 500, 503].into());

    // To phones: once each, in order.
    let expected: Vec<String> = (0..texts).map(|n| n.to_string()).collect();
    for n in 0..phones {
        let got: Vec<String> = sim
            .wait_received(&phone(n), texts, SOON)
            .await
            .unwrap()
            .into_iter()
            .map(|text| text.text)
            .collect();
        assert_eq!(got, expected, "{n}");
    }
    // From phones: all accepted, a phone's in order; copies are known by their id, or are on record.
    let record = sim.record();
    let waits = |text: &&SentText| text.state != SentState::Accepted;
    let waiting: Vec<&SentText> = record.sent.iter().filter(waits).collect();
    assert!(waiting.is_empty(), "{waiting:?}");
    let copies: BTreeSet<&String> = record.sent.iter().flat_map(|text| &text.new_ids).collect();
    assert_eq!(copies.len() as u64, stats.manners["posts.new_id"]);
    let mut arrived: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    let mut receipts = 0;
    for post in webhook.posts() {
        let (id, from, text) = match post.headers.contains_key("x-twilio-signature") {
            true => {
                let mut form = post.form();
                let mut field = |name| form.remove(name);
                (field("MessageSid"), field("From"), field("Body"))
            }
            false => {
                let json = post.json();
                let field = |name| json[name].as_str().map(str::to_owned);
                (field("id"), field("from"), field("text"))
            }
        };
        let Some(text) = text else {
            receipts += 1;
            continue;
        };
        if ids.insert(id.clone().unwrap()) && !copies.contains(&id.unwrap()) {
            arrived.entry(from.unwrap()).or_default().push(text);
        }
    }
    assert_eq!(arrived.len(), phones);
    assert!(arrived.values().all(|texts| *texts == expected));
    let posts: u32 = record.sent.iter().map(|text| text.posts).sum();
    assert_eq!(u64::from(posts), stats.traffic.posts);
    let noted: u32 = record
        .received
        .iter()
        .flat_map(|text| &text.receipts)
        .map(|receipt| receipt.posts)
        .sum();
    assert_eq!((u64::from(noted), receipts), (stats.traffic.receipts, noted));
    let lost = record.received.iter().flat_map(|text| &text.receipts);
    assert_eq!(
        lost.filter(|receipt| receipt.posts == 0).count() as u64,
        stats.manners["receipts.lose"]
    );
    for name in [
        "send.slow",
        "send.throttle",
        "send.error",
        "send.lose_answer",
        "send.drop",
        "receipts.duplicate",
        "receipts.delay",
        "receipts.reorder",
        "receipts.early",
        "receipts.fail",
        "posts.duplicate",
        "posts.delay",
        "posts.reorder",
        "posts.wrong_signature",
    ] {
        assert!(stats.manners.contains_key(name), "{name}: {:?}", stats.manners);
    }
}

#[tokio::test]
async fn the_same_seed_does_the_same_however_fast_it_goes() {
    let (seen, stats, ..) = play(11, FEW, 0.0, true).await;
    let (again, stats_again, ..) = play(11, FEW, 0.0, false).await;
    assert_eq!(seen, again);
    assert_eq!(stats.manners, stats_again.manners);
    let (other, ..) = play(12, FEW, 0.0, true).await;
    assert_ne!(seen, other);
}

#[tokio::test]
async fn texts_of_one_phone_overtake_each_other_only_if_told_to() {
    let webhook = Webhook::answering(&[]).await;
    let sim = sim(Some(webhook.url.clone()), None).await;
    let mut manners: Manners =
        serde_json::from_value(json!({ "posts": { "reorder": 1, "reorder_same_phone": true } })).unwrap();
    sim.set_manners(manners.clone()).unwrap();
    for n in 0..4 {
        sim.text(&phone(0), LONG, &n.to_string()).unwrap();
    }
    sim.wait_quiet(SOON).await.unwrap();
    let bodies = |webhook: &Webhook| -> Vec<String> {
        let posts = webhook.posts();
        posts.iter().map(|post| post.form()["Body"].clone()).collect()
    };
    assert_eq!(bodies(&webhook), ["1", "0", "3", "2"]);

    // Another phone's text overtakes one that is held back.
    manners.posts.reorder_same_phone = false;
    manners.posts.reorder = 0.5;
    sim.set_manners(manners).unwrap();
    for n in 10..30 {
        sim.text(&phone(n), LONG, &n.to_string()).unwrap();
    }
    sim.wait_quiet(SOON).await.unwrap();
    let arrived = bodies(&webhook).split_off(4);
    let mut sorted = arrived.clone();
    sorted.sort();
    assert_ne!(arrived, sorted);
    assert_eq!(sorted.len(), 20);
}

#[tokio::test]
async fn manners_are_shown_refused_and_cleared() {
    let sim = sim(None, None).await;
    let control = Control::of(&sim);
    assert_eq!(control.get::<Value>("/manners").await, Value::Null);
    assert_eq!(control.put("/manners", manners(3, 0.5)).await, 204);
    let shown: Value = control.get("/manners").await;
    assert_eq!(
        (&shown["seed"], &shown["posts"]["new_id"]),
        (&json!(3), &json!(0.1))
    );
    for wrong in [
        json!({ "send": { "drop": { "chance": 2 } } }),
        json!({ "receipts": { "delay_ms": [9, 1] } }),
        json!({ "post": {} }),
    ] {
        assert_eq!(control.put("/manners", wrong).await, 422);
    }
    assert_eq!(sim.manners().unwrap().seed, 3);
    let url = format!("{}/manners", control.base);
    assert_eq!(
        control.http.delete(url).send().await.unwrap().status().as_u16(),
        204
    );
    assert_eq!(sim.manners(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_texts_in_flight_are_posted_few_at_once() {
    let webhook = Webhook::answering(&[]).await;
    let sim = sim(Some(webhook.url.clone()), None).await;
    let started = Instant::now();
    for n in 0..3000 {
        sim.text(&phone(n % 1000), LONG, &n.to_string()).unwrap();
    }
    sim.wait_quiet(SOON * 6).await.unwrap();
    let most = webhook.most_at_once();
    assert!((2..=128).contains(&most), "{most}");
    let mut since = 0;
    let mut read = 0;
    loop {
        let page = sim.record_since(since, 700);
        read += page.sent.len();
        assert!(page.sent.iter().all(|text| text.state == SentState::Accepted));
        match page.next {
            Some(next) => since = next,
            None => break,
        }
    }
    assert_eq!(read, 3000, "after {:?}", started.elapsed());
}
