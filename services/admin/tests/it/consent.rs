//! Who wants no texts, and the ledger that proves it.

use crate::app::{Answer, App, Tenant};
use axum::{
    body::Body,
    http::{Request, header},
};
use serde_json::{Value, json};

const OURS: &str = "+14155550123";
const CUSTOMER: &str = "+353861234567";

fn of(tenant: &Tenant, rest: &str) -> String {
    format!("/v1/tenants/{}/{rest}", tenant.id)
}

async fn out(app: &App, tenant: &Tenant, customer: &str, evidence: &str) -> Value {
    let body = json!({"our_address": OURS, "customer_address": customer, "evidence": evidence});
    app.put(&of(tenant, "opt-outs"), body).await.ok()
}

async fn csv(app: &App, tenant: &Tenant, query: &str) -> Answer {
    let request = Request::get(of(tenant, &format!("consent-events{query}")))
        .header(header::AUTHORIZATION, format!("Bearer {}", app.engineer()))
        .header(header::ACCEPT, "text/csv, application/json;q=0.5")
        .body(Body::empty());
    app.raw(request.unwrap()).await
}

#[tokio::test]
async fn an_opt_out_is_recorded_taken_back_and_proven() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let other = app.tenant("other").await;
    let first = out(&app, &tenant, "+353 86 123 4567", "asked on the phone").await;
    assert_eq!(
        (
            &first["our_address"],
            &first["customer_address"],
            &first["source"]
        ),
        (&json!(OURS), &json!(CUSTOMER), &json!("api"))
    );
    assert_eq!(
        out(&app, &tenant, CUSTOMER, "and by mail").await,
        first,
        "it stays of its moment"
    );
    assert_eq!(
        app.get(&of(&tenant, "opt-outs")).await.ok(),
        json!({"items": [first]})
    );
    assert_eq!(app.get(&of(&other, "opt-outs")).await.ok(), json!({"items": []}));

    let pair = "our_address=%2B14155550123&customer_address=+353861234567";
    let delete = format!("opt-outs?{pair}&evidence=wrote%20START%20by%20mail");
    assert_eq!(app.delete(&of(&tenant, &delete)).await.status, 204);
    app.delete(&of(&tenant, &delete)).await.problem(404);
    app.delete(&of(&other, &delete)).await.problem(404);
    assert_eq!(app.get(&of(&tenant, "opt-outs")).await.ok(), json!({"items": []}));

    let ledger = app.get(&of(&tenant, "consent-events")).await.ok();
    let said: Vec<_> = ledger["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            (
                event["kind"].as_str().unwrap(),
                event["evidence"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        said,
        [
            ("opt_out", "somebody: asked on the phone"),
            ("opt_out", "somebody: and by mail"),
            ("opt_in", "somebody: wrote START by mail"),
        ]
    );
    let numbers = app
        .get(&of(&tenant, "consent-events?customer=%2B353867654321"))
        .await
        .ok();
    assert_eq!(numbers, json!({"items": []}));
}

#[tokio::test]
async fn refusals_name_their_field() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let good = json!({"our_address": OURS, "customer_address": CUSTOMER, "evidence": "by phone"});
    for (field, value, status) in [
        ("our_address", json!("14155550123"), 422),
        ("our_address", json!("+14155550199"), 422),
        ("customer_address", json!("WEBTEXT"), 422),
        ("customer_address", json!(353), 400),
        ("evidence", json!(""), 422),
        ("evidence", json!("x".repeat(301)), 422),
        ("evidence", json!("two\nlines"), 422),
        ("reason", json!("x"), 400),
    ] {
        let mut body = good.clone();
        body[field] = value.clone();
        assert_eq!(
            app.put(&of(&tenant, "opt-outs"), body).await.problem(status),
            field,
            "{value}"
        );
    }
    for (query, status, field) in [
        (
            "our_address=x%7C&customer_address=%2B353861234567&evidence=x",
            400,
            "our_address",
        ),
        (
            "our_address=%2B14155550123&customer_address=353861234567&evidence=x",
            400,
            "customer_address",
        ),
        (
            "our_address=%2B14155550123&customer_address=%2B353861234567&evidence=",
            422,
            "evidence",
        ),
    ] {
        assert_eq!(
            app.delete(&of(&tenant, &format!("opt-outs?{query}")))
                .await
                .problem(status),
            field
        );
    }
    let missing = app
        .delete(&of(&tenant, "opt-outs?our_address=%2B14155550123"))
        .await;
    assert_eq!(missing.status, 400);
    assert_eq!(
        app.get(&of(&tenant, "consent-events")).await.ok(),
        json!({"items": []})
    );
}

#[tokio::test]
async fn both_lists_come_in_pages() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let customers: Vec<String> = (0..5).map(|n| format!("+35386123450{n}")).collect();
    for customer in customers.iter().rev() {
        out(&app, &tenant, customer, "by phone").await;
    }
    for (list, ordered) in [
        ("opt-outs", customers.clone()),
        ("consent-events", customers.iter().rev().cloned().collect()),
    ] {
        let (mut seen, mut query) = (Vec::new(), "?limit=2".to_owned());
        loop {
            let page = app.get(&of(&tenant, &format!("{list}{query}"))).await.ok();
            let items = page["items"].as_array().unwrap();
            seen.extend(
                items
                    .iter()
                    .map(|i| i["customer_address"].as_str().unwrap().to_owned()),
            );
            match page["next_cursor"].as_str() {
                Some(cursor) => query = format!("?limit=2&cursor={cursor}"),
                None => break,
            }
        }
        assert_eq!(seen, ordered, "{list}");
    }
}

/// More than the export reads at a time.
#[tokio::test]
async fn the_export_is_whole_and_harmless() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    out(&app, &tenant, CUSTOMER, "=HYPERLINK(\"https://evil.example\")").await;
    app.database
        .superuser_sql(&format!(
            "INSERT INTO consent_event (id, tenant_id, our_address, customer_address, kind, source, evidence, at)
             SELECT uuidv7_like.id, '{}', '{OURS}', '+35386' || (1000000 + n), 'opt_out', 'keyword',
                    CASE n WHEN 1 THEN '=1+1' WHEN 2 THEN E'Stop, \"now\"\\r\\n' ELSE 'Stop' END, now()
             FROM generate_series(1, 1200) AS n,
                  LATERAL (SELECT ('ffffffff-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid AS id) AS uuidv7_like",
            tenant.id
        ))
        .unwrap();
    let export = csv(&app, &tenant, "").await;
    assert_eq!(export.status, 200);
    assert!(
        export.content_type.starts_with("text/csv"),
        "{}",
        export.content_type
    );
    assert_eq!(export.cache_control, "no-store");
    let mut lines = export.text.split_terminator("\r\n");
    assert_eq!(
        lines.next(),
        Some("id,at,kind,our_address,customer_address,source,message_id,evidence")
    );
    let first = lines.next().unwrap();
    assert!(
        first.contains(",opt_out,+14155550123,+353861234567,api,,"),
        "{first}"
    );
    assert!(
        first.ends_with("\"somebody: =HYPERLINK(\"\"https://evil.example\"\")\""),
        "{first}"
    );
    assert!(lines.next().unwrap().ends_with(",'=1+1"), "no formula");
    assert!(export.text.contains(",\"Stop, \"\"now\"\"\r\n\"\r\n"), "quoted");
    let last = export.text.trim_end().lines().last().unwrap();
    assert!(
        last.starts_with("ffffffff-0000-7000-8000-000000001200,"),
        "{last}"
    );
    assert_eq!(
        export.text.matches("ffffffff-0000-7000-8000-").count(),
        1200,
        "each once"
    );

    let one = csv(&app, &tenant, "?customer=%2B353861000007").await;
    assert_eq!(one.text.lines().count(), 2);
    assert_eq!(
        csv(&app, &tenant, "?customer=353861234567").await.problem(400),
        "customer"
    );
}
