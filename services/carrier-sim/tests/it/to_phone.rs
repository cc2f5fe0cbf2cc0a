use crate::{LONG, NAME, NOW_NS, PHONE, SECRET, SHORT, SID, SOON, TOKEN, http, sim};
use aws_lc_rs::hmac;
use ccm_carrier_sim::Sim;
use serde_json::{Value, json};

pub async fn twilio(sim: &Sim, form: &[(&str, &str)]) -> reqwest::Result<reqwest::Response> {
    let url = format!("{}/2010-04-01/Accounts/{SID}/Messages.json", sim.api_base());
    http()
        .post(url)
        .basic_auth(SID, Some(TOKEN))
        .form(form)
        .send()
        .await
}

pub fn signed(secret: &str, at: u64, body: &str) -> [(&'static str, String); 2] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("{at}.{body}").as_bytes());
    let hex: String = tag.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    [
        ("x-ccm-timestamp", at.to_string()),
        ("x-ccm-signature", format!("v1={hex}")),
    ]
}

pub async fn generic(sim: &Sim, id: &str, text: &str, attempt: u32) -> reqwest::Result<(u16, Value)> {
    let body = json!({ "id": id, "from": SHORT, "to": PHONE, "text": text, "attempt": attempt }).to_string();
    let headers = signed(SECRET, NOW_NS / 1_000_000_000, &body);
    generic_raw(sim, &headers, id, body).await
}

async fn generic_raw(
    sim: &Sim,
    headers: &[(&'static str, String)],
    key: &str,
    body: String,
) -> reqwest::Result<(u16, Value)> {
    let mut request = http()
        .post(sim.send_url(NAME))
        .header("idempotency-key", key)
        .body(body);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let response = request.send().await?;
    Ok((response.status().as_u16(), response.json().await?))
}

#[tokio::test]
async fn twilio_creates_a_message_and_the_phone_has_it() {
    let sim = sim(None, None).await;
    let response = twilio(&sim, &[("From", LONG), ("To", PHONE), ("Body", "Grüße 😀 + &")])
        .await
        .unwrap();
    assert_eq!(response.status().as_u16(), 201);
    let message: Value = response.json().await.unwrap();
    let received = &sim.wait_received(PHONE, 1, SOON).await.unwrap()[0];
    for (name, value) in [
        ("sid", json!(received.id)),
        ("account_sid", json!(SID)),
        ("status", json!("queued")),
        ("error_code", Value::Null),
        ("body", json!("Grüße 😀 + &")),
        ("direction", json!("outbound-api")),
        ("date_created", json!("Mon, 23 Nov 2026 08:00:00 +0000")),
    ] {
        assert_eq!(message[name], value, "{name}");
    }
    assert_eq!(
        (received.text.as_str(), received.from.as_str()),
        ("Grüße 😀 + &", LONG)
    );
    assert_eq!(
        (received.at_ms, &received.idempotency_key),
        (NOW_NS / 1_000_000, &None)
    );
    // No idempotency: the same again is another text.
    twilio(&sim, &[("From", LONG), ("To", PHONE), ("Body", "Grüße 😀 + &")])
        .await
        .unwrap();
    assert_eq!(sim.wait_received(PHONE, 2, SOON).await.unwrap().len(), 2);
}

#[tokio::test]
async fn twilio_refuses_with_its_codes() {
    let sim = sim(None, None).await;
    let long = "x".repeat(1601);
    for (form, status, code) in [
        (vec![("From", LONG), ("Body", "x")], 400, 21604),
        (vec![("From", LONG), ("To", "123"), ("Body", "x")], 400, 21265),
        (vec![("From", LONG), ("To", "abc"), ("Body", "x")], 400, 21211),
        (vec![("From", LONG), ("To", "+123"), ("Body", "x")], 400, 21211),
        (vec![("To", PHONE), ("Body", "x")], 400, 21603),
        (vec![("From", LONG), ("To", PHONE)], 400, 21602),
        (vec![("From", LONG), ("To", PHONE), ("Body", &long)], 400, 21617),
        (vec![("From", LONG), ("To", LONG), ("Body", "x")], 400, 21266),
        (vec![("From", SHORT), ("To", PHONE), ("Body", "x")], 400, 21660),
        (
            vec![("From", "+19995550177"), ("To", PHONE), ("Body", "x")],
            400,
            21659,
        ),
    ] {
        let response = twilio(&sim, &form).await.unwrap();
        let at = format!("{form:?}");
        assert_eq!(response.status().as_u16(), status, "{at}");
        let error: Value = response.json().await.unwrap();
        assert_eq!(
            (&error["code"], &error["status"]),
            (&json!(code), &json!(status)),
            "{at}"
        );
        assert!(
            error["message"].is_string() && error["more_info"].as_str().unwrap().contains("errors"),
            "{at}"
        );
    }
    let url = |sid: &str| format!("{}/2010-04-01/Accounts/{sid}/Messages.json", sim.api_base());
    let form = [("From", LONG), ("To", PHONE), ("Body", "x")];
    let wrong = http()
        .post(url(SID))
        .basic_auth(SID, Some("wrong"))
        .form(&form)
        .send()
        .await
        .unwrap();
    assert_eq!(wrong.status().as_u16(), 401);
    let nobody = http()
        .post(url("AC1"))
        .basic_auth("AC1", Some(TOKEN))
        .form(&form)
        .send()
        .await
        .unwrap();
    assert_eq!(nobody.status().as_u16(), 404);
    let as_json = json!({ "From": LONG, "To": PHONE, "Body": "x" });
    let as_json = http()
        .post(url(SID))
        .basic_auth(SID, Some(TOKEN))
        .json(&as_json)
        .send()
        .await
        .unwrap();
    assert_eq!(as_json.json::<Value>().await.unwrap()["code"], 21604);
    assert!(sim.record().received.is_empty());
}

#[tokio::test]
async fn a_generic_key_reaches_the_phone_once() {
    let sim = sim(None, None).await;
    let (status, first) = generic(&sim, "k1", "hello", 1).await.unwrap();
    assert_eq!(status, 202);
    let (status, again) = generic(&sim, "k1", "hello", 2).await.unwrap();
    assert_eq!((status, &again["id"]), (409, &first["id"]));
    assert_eq!(generic(&sim, "k1", "other", 3).await.unwrap().0, 422);
    assert_eq!(generic(&sim, "k2", "hello", 1).await.unwrap().0, 202);
    let received = sim.wait_received(PHONE, 2, SOON).await.unwrap();
    assert_eq!(received.len(), 2);
    assert_eq!(
        (
            received[0].duplicates,
            received[0].attempt,
            received[1].duplicates
        ),
        (1, Some(1), 0)
    );
    assert_eq!(received[0].idempotency_key.as_deref(), Some("k1"));
}

#[tokio::test]
async fn a_generic_account_refuses_what_is_not_as_documented() {
    let sim = sim(None, None).await;
    let now = NOW_NS / 1_000_000_000;
    let good = json!({ "id": "k", "from": SHORT, "to": PHONE, "text": "x", "attempt": 1 });
    let with = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body.to_string()
    };
    for (name, secret, at, key, body, code) in [
        (
            "secret",
            "another-secret",
            now,
            "k",
            good.to_string(),
            "bad_signature",
        ),
        ("old", SECRET, now - 301, "k", good.to_string(), "stale"),
        ("new", SECRET, now + 301, "k", good.to_string(), "stale"),
        ("other key", SECRET, now, "l", good.to_string(), "bad_key"),
        (
            "attempt",
            SECRET,
            now,
            "k",
            with("attempt", json!(0)),
            "malformed",
        ),
        ("no text", SECRET, now, "k", with("text", json!("")), "empty_text"),
        ("to", SECRET, now, "k", with("to", json!("123")), "invalid_to"),
        (
            "from",
            SECRET,
            now,
            "k",
            with("from", json!(LONG)),
            "invalid_from",
        ),
        ("json", SECRET, now, "k", "[]".into(), "malformed"),
    ] {
        let (status, error) = generic_raw(&sim, &signed(secret, at, &body), key, body)
            .await
            .unwrap();
        assert!((400..=401).contains(&status), "{name}: {status}");
        assert_eq!(error["code"], code, "{name}");
    }
    // One of several signatures is enough.
    let mut headers = signed(SECRET, now - 300, &good.to_string());
    headers[1].1 = format!("v1=00, {}", headers[1].1);
    assert_eq!(
        generic_raw(&sim, &headers, "k", good.to_string())
            .await
            .unwrap()
            .0,
        202
    );
    assert_eq!(sim.record().received.len(), 1);
}
