//! The message store: search, transcripts, retention, legal holds, erasure.

use crate::app::{App, Tenant};
use axum::{
    body::{Body, to_bytes},
    http::{Request, header},
};
use ccm_admin::{Keeping, StoreSlots};
use serde_json::{Value, json};

const CUSTOMER: &str = "+353861234567";

fn of(tenant: &Tenant, rest: &str) -> String {
    format!("/v1/tenants/{}{rest}", tenant.id)
}

#[tokio::test]
async fn texts_are_found_with_the_places_of_what_was_asked_for() {
    let app = App::start().await;
    let (tenant, other) = (app.tenant("acme").await, app.tenant("other").await);
    let id = app.text(&tenant, CUSTOMER, "Where is my Order 12345?").await;
    app.text(&tenant, "+353867654321", "ordinary").await;
    app.text(&other, CUSTOMER, "order of another tenant").await;

    let page = app.get(&of(&tenant, "/messages/search?q=ord")).await.ok();
    let items = page["items"].as_array().unwrap();
    assert_eq!(items.len(), 2, "{page}");
    let found = &items[1];
    assert_eq!(found["conversation_id"], json!(id));
    assert_eq!(found["customer_address"], CUSTOMER);
    assert_eq!(found["message"]["body"], "Where is my Order 12345?");
    assert_eq!(
        found["snippet"],
        json!({"text": "Where is my Order 12345?", "matches": [{"start": 12, "end": 15}]})
    );
    let one = app.get(&of(&tenant, "/messages/search?q=ord&limit=1")).await.ok();
    let cursor = one["next_cursor"].as_str().unwrap();
    let rest = app
        .get(&of(
            &tenant,
            &format!("/messages/search?q=ord&limit=1&cursor={cursor}"),
        ))
        .await
        .ok();
    assert_eq!((&one["items"][0], &rest["items"][0]), (&items[0], &items[1]));
    assert_eq!(rest.get("next_cursor"), None);

    let count = async |query: &str| {
        let page = app
            .get(&of(&tenant, &format!("/messages/search?{query}")))
            .await
            .ok();
        page["items"].as_array().unwrap().len()
    };
    assert_eq!(count("customer=%2B353861234567").await, 1);
    assert_eq!(count("q=%22my%20order%22").await, 1);
    assert_eq!(count("q=ord&direction=mt").await, 0);
    assert_eq!(
        count("q=ord&state=accepted&origin=customer&number=%2B14155550123").await,
        2
    );
    for (query, field) in [
        ("", "q"),
        ("q=%21%21", "q"),
        ("customer=%2B1", "customer"),
        ("q=a&number=%2B1", "number"),
        ("q=a&from=2020-01-01T00:00:00Z", "from"),
        ("q=a&limit=0", "limit"),
        ("q=a&direction=up", "direction"),
        ("q=a&cursor=x", "cursor"),
        ("q=a&words=b", "words"),
    ] {
        let refused = app.get(&of(&tenant, &format!("/messages/search?{query}"))).await;
        assert_eq!(refused.problem(400), field, "{query}");
    }
}

#[tokio::test]
async fn a_pod_makes_so_many_at_a_time_and_then_says_when_to_come_back() {
    let mut app = App::start().await;
    let tenant = app.tenant("acme").await;
    let id = app.text(&tenant, CUSTOMER, "hello").await;
    app.with_slots(StoreSlots::new(0));
    for path in [
        "/messages/search?q=hello".to_owned(),
        format!("/conversations/{id}/transcript"),
    ] {
        let request = Request::builder()
            .uri(of(&tenant, &path))
            .header(header::AUTHORIZATION, format!("Bearer {}", app.engineer()));
        let answer = app.whole(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status(), 429, "{path}");
        assert_eq!(answer.headers()[header::RETRY_AFTER], "1");
    }
}

#[tokio::test]
async fn a_conversation_is_read_as_a_document_in_a_time_zone() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let id = app.text(&tenant, CUSTOMER, "Grüße 🙂 你好").await;
    app.text(&tenant, CUSTOMER, "second").await;
    app.database
        .superuser_sql(
            "update message set created_at = '2026-07-01 12:00Z', state = 'delivered' where seq = 1",
        )
        .unwrap();
    let path = of(&tenant, &format!("/conversations/{id}/transcript"));
    let read = async |query: &str, accept: &str| {
        let request = Request::builder()
            .uri(format!("{path}{query}"))
            .header(header::AUTHORIZATION, format!("Bearer {}", app.engineer()))
            .header(header::ACCEPT, accept);
        let answer = app.whole(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status(), 200, "{query}");
        let kind = answer.headers()[header::CONTENT_TYPE]
            .to_str()
            .unwrap()
            .to_owned();
        (
            kind,
            to_bytes(answer.into_body(), 1 << 24).await.unwrap().to_vec(),
        )
    };
    let (kind, json) = read("?tz=europe/berlin", "*/*").await;
    assert_eq!(kind, "application/json");
    let json: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["time_zone"], "Europe/Berlin");
    assert_eq!(json["texts"][0]["local"], "2026-07-01 14:00:00 +02:00");
    assert_eq!(json["texts"][0]["body"], "Grüße 🙂 你好");
    assert_eq!(json["conversation"]["id"], json!(id));
    let after: Value = serde_json::from_slice(&read("?after=1", "*/*").await.1).unwrap();
    assert_eq!(after["texts"].as_array().unwrap().len(), 1);

    let (kind, text) = read("?tz=America/New_York&lang=de", "text/plain").await;
    assert_eq!(kind, "text/plain; charset=utf-8");
    let text = String::from_utf8(text).unwrap();
    assert!(
        text.contains("2026-07-01 08:00:00 -04:00 Kunde:\n    Grüße 🙂 你好\n"),
        "{text}"
    );
    assert!(text.contains("Kunde (wartet):\n    second\n"), "{text}");
    for (query, accept) in [("?format=pdf", "*/*"), ("", "application/pdf;q=0.9, text/html")] {
        let (kind, pdf) = read(query, accept).await;
        assert_eq!(kind, "application/pdf");
        assert!(pdf.starts_with(b"%PDF-"));
    }
    for (query, field) in [
        ("?tz=Mars/Base", "tz"),
        ("?lang=xx", "lang"),
        ("?format=doc", "format"),
    ] {
        assert_eq!(app.get(&format!("{path}{query}")).await.problem(400), field);
    }
    app.get(&of(
        &tenant,
        "/conversations/00000000-0000-7000-8000-000000000000/transcript",
    ))
    .await
    .problem(404);
}

fn keeping(app: &App) -> Keeping {
    Keeping {
        db: app.deps.db.clone(),
        ids: app.deps.ids.clone(),
    }
}

/// A legal hold that stands, on a customer who has no texts.
pub async fn held(app: &App, tenant: &Tenant) -> String {
    let body = json!({"customer": "+353861111111", "reason": "case 2026-117"});
    let made = app.post(&of(tenant, "/legal-holds"), body).await.ok();
    made["id"].as_str().unwrap().to_owned()
}

/// An erasure that is done.
pub async fn erased(app: &App, tenant: &Tenant, number: &str) -> String {
    let body = json!({"number": number, "reason": "asked for it"});
    let made = app.post(&of(tenant, "/erasures"), body).await.ok();
    while keeping(app).next_erasure().await.unwrap() {}
    made["id"].as_str().unwrap().to_owned()
}

/// Ends all conversations as if nothing were under way, some days ago.
fn ended(app: &App, days: u32) {
    for sql in [
        "delete from inbox".to_owned(),
        "delete from outbox".to_owned(),
        format!(
            "update conversation set state = 'closed', closed_at = now(), opened_at = opened_at - {days} * interval '1 day',
                    last_activity_at = now() - {days} * interval '1 day' where state = 'open'"
        ),
    ] {
        app.database.superuser_sql(&sql).unwrap();
    }
}

#[tokio::test]
async fn a_tenant_says_for_how_long_texts_are_kept() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let (settings, state) = (of(&tenant, "/retention-settings"), of(&tenant, "/retention"));
    let read = app.get(&settings).await;
    let etag = read.etag.clone();
    assert_eq!(read.ok(), json!({"bodies_days": null, "metadata_days": null}));
    for (bad, field) in [
        (json!({"bodies_days": 0}), "bodies_days"),
        (json!({"bodies_days": 31, "metadata_days": 30}), "bodies_days"),
        (json!({"metadata_days": 4000}), "metadata_days"),
    ] {
        assert_eq!(app.put(&settings, bad.clone()).await.problem(422), field);
        let tried = app.post(&format!("{settings}/dry-run"), bad).await;
        assert_eq!(tried.problem(422), field);
    }
    let id = app.text(&tenant, CUSTOMER, "BODY-CANARY").await;
    ended(&app, 40);
    // Ids tell when a conversation was opened: this one cannot be older than today, so it is given an id of then.
    let old = "0199f0b2-0000-7000-8000-000000000001";
    app.database
        .superuser_sql(&format!(
            "update conversation set id = '{old}'; update message set conversation_id = '{old}' where conversation_id = '{id}'"
        ))
        .unwrap();
    let body = json!({"bodies_days": 30});
    let would = app.post(&format!("{settings}/dry-run"), body.clone()).await.ok();
    assert_eq!(would, json!({"bodies": 1, "conversations": 0, "held": 0}));
    let hold = app
        .post(
            &of(&tenant, "/legal-holds"),
            json!({"conversation_id": old, "reason": "case 7"}),
        )
        .await
        .ok();
    let would = app.post(&format!("{settings}/dry-run"), body.clone()).await.ok();
    assert_eq!(would, json!({"bodies": 0, "conversations": 0, "held": 1}));

    let put = app
        .send_if(axum::http::Method::PUT, &settings, &etag, Some(&body))
        .await;
    assert_eq!(put.ok(), json!({"bodies_days": 30, "metadata_days": null}));
    let late = app
        .send_if(axum::http::Method::PUT, &settings, &etag, Some(&body))
        .await;
    late.problem(412);
    assert!(keeping(&app).next_retention().await.unwrap());
    assert!(!keeping(&app).next_retention().await.unwrap(), "it rests");
    let transcript = of(&tenant, &format!("/conversations/{old}/transcript"));
    assert_eq!(
        app.get(&transcript).await.ok()["texts"][0]["body"],
        "BODY-CANARY",
        "it is held"
    );

    let hold = hold["id"].as_str().unwrap();
    assert_eq!(
        app.delete(&of(&tenant, &format!("/legal-holds/{hold}")))
            .await
            .status,
        204
    );
    app.put(&settings, body).await.ok();
    assert!(keeping(&app).next_retention().await.unwrap());
    let gone = app.get(&transcript).await.ok();
    assert_eq!(gone["texts"][0]["body"], Value::Null);
    let text = app.get(&format!("{transcript}?format=text")).await.text;
    assert!(text.contains("[text erased]"), "{text}");
    let progress = app.get(&state).await.ok();
    assert_eq!(
        (&progress["texts_erased"], &progress["last_error"]),
        (&json!(1), &Value::Null)
    );
    assert!(progress["caught_up_at"].is_string());
    let found = app
        .get(&of(&tenant, "/messages/search?q=body&from=2026-01-01T00:00:00Z"))
        .await
        .ok();
    assert_eq!(found["items"], json!([]), "what is gone is not found");

    app.put(&settings, json!({"bodies_days": 30, "metadata_days": 30}))
        .await
        .ok();
    assert!(keeping(&app).next_retention().await.unwrap());
    app.get(&transcript).await.problem(404);
}

#[tokio::test]
async fn a_legal_hold_stands_until_it_is_released() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let holds = of(&tenant, "/legal-holds");
    let id = app.text(&tenant, CUSTOMER, "hello").await;
    for (bad, status, field) in [
        (json!({"reason": ""}), 422, "reason"),
        (json!({"reason": "x", "customer": "+1"}), 422, "customer"),
        (
            json!({"reason": "x", "customer": CUSTOMER, "conversation_id": id}),
            422,
            "conversation_id",
        ),
        (json!({"reason": "x", "conversation_id": tenant.link}), 404, ""),
    ] {
        assert_eq!(app.post(&holds, bad).await.problem(status), field);
    }
    let hold = app
        .post(&holds, json!({"customer": CUSTOMER, "reason": "case 2026-117"}))
        .await
        .ok();
    let hold_id = hold["id"].as_str().unwrap();
    assert_eq!(
        (&hold["scope"], &hold["customer"]),
        (&json!("customer"), &json!(CUSTOMER))
    );
    ended(&app, 0);
    let refused = app
        .post(
            &of(&tenant, "/erasures"),
            json!({"number": CUSTOMER, "reason": "asked for it"}),
        )
        .await;
    refused.problem_without_field(409);
    assert!(refused.text.contains(hold_id), "{}", refused.text);
    let admin = app.token(ccm_auth::Role::PlatformAdmin, None);
    let deletion = app
        .send(
            axum::http::Method::POST,
            &of(&tenant, "/deletion"),
            Some(&admin),
            Some(&json!({"reason": "contract has ended"})),
        )
        .await;
    deletion.problem_without_field(409);
    assert!(deletion.text.contains(hold_id), "{}", deletion.text);

    assert_eq!(app.delete(&format!("{holds}/{hold_id}")).await.status, 204);
    assert_eq!(app.get(&holds).await.ok()["items"], json!([]));
    let all = app.get(&format!("{holds}?all=true")).await.ok();
    assert_eq!(all["items"][0]["released_by"], "somebody");
    app.delete(&format!("{holds}/{}", tenant.link))
        .await
        .problem_without_field(404);
    // Who did it is in the audit, and on whom is not.
    let audit = app.get(&of(&tenant, "/audit?kind=legal_hold")).await;
    assert!(
        audit.text.contains("case 2026-117") && !audit.text.contains("353861234567"),
        "{}",
        audit.text
    );
}

#[tokio::test]
async fn a_person_is_forgotten_with_proof() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let erasures = of(&tenant, "/erasures");
    let wish = json!({"number": CUSTOMER, "reason": "asked for it, ticket 4712"});
    app.text(&tenant, CUSTOMER, "BODY-CANARY").await;
    app.text(&tenant, "+353867654321", "somebody else").await;
    let refused = app.post(&erasures, wish.clone()).await;
    refused.problem_without_field(409);
    assert!(refused.text.contains("has ended or give"), "{}", refused.text);
    let dry_run = format!("{erasures}?dry_run=true");
    let would = app.post(&dry_run, wish.clone()).await.ok();
    assert_eq!(would["in_the_way"][0]["what"], "open conversations");
    let mut closing = wish.clone();
    closing["close"] = json!(true);
    let would = app.post(&dry_run, closing).await.ok();
    assert_eq!((&would["in_the_way"], &would["closes"]), (&json!([]), &json!(1)));
    ended(&app, 0);
    let opt_out =
        json!({"our_address": "+14155550123", "customer_address": CUSTOMER, "evidence": "by phone"});
    app.put(&of(&tenant, "/opt-outs"), opt_out).await.ok();
    let would = app
        .post(&format!("{erasures}?dry_run=true"), wish.clone())
        .await
        .ok();
    assert_eq!(would["in_the_way"], json!([]));
    assert!(
        would["tables"]
            .as_array()
            .unwrap()
            .contains(&json!({"table": "message", "rows": 1})),
        "{would}"
    );
    for (bad, field) in [
        (json!({"number": "+1", "reason": "x"}), "number"),
        (
            json!({"number": CUSTOMER, "reason": "forget +353 86 123 4567"}),
            "reason",
        ),
        (
            json!({"number": CUSTOMER, "reason": "asked by 086 1234567"}),
            "reason",
        ),
        (json!({"number": CUSTOMER, "reason": "two\nlines"}), "reason"),
    ] {
        assert_eq!(app.post(&erasures, bad).await.problem(422), field);
    }
    let begun = app.post(&erasures, wish.clone()).await.ok();
    assert_eq!(begun["state"], "erasing");
    app.post(&erasures, wish.clone()).await.problem_without_field(409);
    let one = format!("{erasures}/{}", begun["id"].as_str().unwrap());
    app.get(&format!("{one}/certificate"))
        .await
        .problem_without_field(404);
    assert!(keeping(&app).next_erasure().await.unwrap());
    let done = app.get(&one).await.ok();
    assert_eq!(
        (&done["state"], &done["opt_outs_kept"]),
        (&json!("erased"), &json!(1))
    );
    let certificate = app.get(&format!("{one}/certificate")).await.text;
    assert!(!certificate.contains("353861234567"), "{certificate}");
    let found = app
        .get(&of(&tenant, "/messages/search?customer=%2B353861234567"))
        .await
        .ok();
    assert_eq!(found["items"], json!([]));
    let left = app.get(&of(&tenant, "/conversations")).await.ok();
    assert_eq!(left["items"].as_array().unwrap().len(), 1);
    // Whom nobody knows can be forgotten as well: the proof says that there was nothing.
    app.post(&erasures, wish).await.ok();
}

#[tokio::test]
async fn open_conversations_are_closed_for_a_person_who_is_forgotten() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let erasures = of(&tenant, "/erasures");
    app.text(&tenant, CUSTOMER, "BODY-CANARY").await;
    app.text(&tenant, "+353867654321", "somebody else").await;
    let wish = json!({"number": CUSTOMER, "reason": "asked for it, ticket 4712", "close": true});
    let begun = app.post(&erasures, wish).await.ok();
    assert_eq!(
        (&begun["state"], &begun["closes"]),
        (&json!("erasing"), &json!(true))
    );
    let one = format!("{erasures}/{}", begun["id"].as_str().unwrap());
    // Nobody serves chats here, so it goes on when two minutes are over.
    assert!(keeping(&app).next_erasure().await.unwrap());
    let waits = app.get(&one).await.ok();
    assert!(waits["last_error"].as_str().unwrap().contains("open"), "{waits}");
    let later = "UPDATE erasure SET requested_at = requested_at - interval '121 seconds', due_at = now()";
    app.database.superuser_sql(later).unwrap();
    assert!(keeping(&app).next_erasure().await.unwrap());
    assert_eq!(app.get(&one).await.ok()["state"], "erased");
    let left = app.get(&of(&tenant, "/conversations")).await.ok();
    let left = left["items"].as_array().unwrap().clone();
    assert_eq!((left.len(), &left[0]["state"]), (1, &json!("open")));
}

#[tokio::test]
async fn what_is_known_of_a_person_is_handed_out_and_the_audit_tells_it() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let path = of(&tenant, "/person-exports");
    app.text(&tenant, CUSTOMER, "first").await;
    ended(&app, 0);
    app.text(&tenant, CUSTOMER, "second").await;
    app.text(&tenant, "+353867654321", "somebody else").await;
    for (bad, field) in [
        (json!({"number": "+1", "reason": "x"}), "number"),
        (json!({"number": CUSTOMER, "reason": " "}), "reason"),
        // The audit keeps reasons for ever.
        (
            json!({"number": CUSTOMER, "reason": "of +353 86 123-4567"}),
            "reason",
        ),
        (
            json!({"number": CUSTOMER, "reason": "asked by 086 1234567"}),
            "reason",
        ),
    ] {
        assert_eq!(app.post(&path, bad).await.problem(422), field);
    }
    let hold = json!({"customer": CUSTOMER, "reason": "asked by 086 1234567"});
    assert_eq!(
        app.post(&of(&tenant, "/legal-holds"), hold).await.problem(422),
        "reason"
    );
    let told = app
        .post(&path, json!({"number": CUSTOMER, "reason": "ticket 4713"}))
        .await;
    assert_eq!(
        (told.status.as_u16(), told.content_type.as_str()),
        (200, "application/x-ndjson")
    );
    let lines: Vec<Value> = told
        .text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of_table = |table: &str| lines.iter().filter(|line| line["table"] == table).count();
    assert_eq!(
        (of_table("conversation"), of_table("message")),
        (2, 2),
        "{}",
        told.text
    );
    assert_eq!(lines.last().unwrap(), &json!({"end": true}));
    assert!(!told.text.contains("somebody else"));
    let audit = app.get(&of(&tenant, "/audit?kind=person_export")).await;
    assert!(
        audit.text.contains("ticket 4713") && !audit.text.contains("353861234567"),
        "{}",
        audit.text
    );
}
