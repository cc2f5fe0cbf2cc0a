//! What a number is and what a text costs.

use crate::app::App;
use serde_json::{Value, json};

#[tokio::test]
async fn a_number_is_told_with_its_opt_outs() {
    let app = App::start().await;
    let (tenant, other) = (app.tenant("acme").await, app.tenant("other").await);
    for tenant in [&tenant, &other] {
        let body = json!({"our_address": "+14155550123", "customer_address": "+353861234567", "evidence": "by phone"});
        app.put(&format!("/v1/tenants/{}/opt-outs", tenant.id), body)
            .await
            .ok();
    }
    let check = async |query: &str| {
        app.get(&format!("/v1/tenants/{}/number-check?{query}", tenant.id))
            .await
    };
    let known = check("number=086%20123%204567&region=IE").await.ok();
    let since = known["opted_out_of"][0]["since"].clone();
    assert_eq!(
        known,
        json!({"form": "full", "address": "+353861234567", "valid": true, "national": "086 123 4567",
               "international": "+353 86 123 4567", "region": "IE", "kind": "mobile", "textable": true,
               "not_textable_because": null,
               "opted_out_of": [{"our_address": "+14155550123", "customer_address": "+353861234567", "source": "api",
                                 "since": since}]})
    );
    assert_eq!(
        check("number=+353861234567").await.ok(),
        known,
        "a bare + is understood"
    );
    let short = check("number=72345").await.ok();
    assert_eq!(
        (&short["form"], &short["valid"], &short["textable"]),
        (&json!("short_code"), &Value::Null, &json!(true))
    );
    let name = check("number=WEBTEXT").await.ok();
    assert_eq!(
        (&name["form"], &name["textable"]),
        (&json!("sender_name"), &json!(false))
    );
    assert!(name["not_textable_because"].is_string());
    for (query, field) in [
        ("number=0861234567", "number"),
        ("number=", "number"),
        ("number=call%20me%20on%20monday", "number"),
        ("number=0861234567&region=Ireland", "region"),
        ("region=IE", ""),
    ] {
        let answer = check(query).await;
        assert_eq!(answer.status, 400, "{query}");
        assert_eq!(
            answer.json["field"].as_str().unwrap_or_default(),
            field,
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_text_is_counted_by_the_tenants_setting() {
    let app = App::start().await;
    let tenant = app.bare_tenant("acme").await;
    let path = format!("/v1/tenants/{tenant}/text-check");
    let text = "It\u{2019}s gar\u{e7}on";
    let check = app.post(&path, json!({"text": text})).await.ok();
    assert_eq!(check["written"]["encoding"], "ucs2");
    assert_eq!(
        check["written"]["forced_by"],
        json!({"index": 2, "character": "\u{2019}"})
    );
    assert_eq!(
        (&check["sent"]["transliterate"], &check["sent"]["changed"]),
        (&json!("punctuation"), &json!(false)),
        "the letter would stay"
    );
    app.put(
        &format!("/v1/tenants/{tenant}/sms-settings"),
        json!({"transliterate": "latin"}),
    )
    .await
    .ok();
    let check = app.post(&path, json!({"text": text})).await.ok();
    assert_eq!(check["sent"]["text"], "It's garcon");
    assert_eq!(check["sent"]["cost"]["encoding"], "gsm7");
    let check = app
        .post(&path, json!({"text": text, "transliterate": "off"}))
        .await
        .ok();
    assert_eq!(
        (&check["sent"]["cost"], &check["sent"]["text"]),
        (&check["written"], &json!(text))
    );
    assert_eq!(
        app.post(&path, json!({"text": "nul \0"})).await.problem(422),
        "text"
    );
    assert_eq!(
        app.post(&path, json!({"text": "x".repeat(20_001)}))
            .await
            .problem(422),
        "text"
    );
    assert_eq!(
        app.post(&path, json!({"text": "x", "transliterate": "all"}))
            .await
            .problem(400),
        "transliterate"
    );
}
