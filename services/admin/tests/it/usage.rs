//! What tenants use, and what they may send.

use crate::app::App;
use axum::{
    body::Body,
    http::{Method, Request, header},
};
use ccm_auth::Role;
use serde_json::{Value, json};

async fn count(app: &App) {
    let now = app.deps.ids.clock().now();
    assert!(app.deps.db.operator().count_usage(now.date(), now).await.unwrap());
}

async fn csv(app: &App, path: &str) -> (String, String) {
    let request = Request::builder()
        .uri(path)
        .header(header::AUTHORIZATION, format!("Bearer {}", app.engineer()))
        .header(header::ACCEPT, "text/csv");
    let answer = app.raw(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    (answer.content_type, answer.text)
}

#[tokio::test]
async fn usage_is_read_by_day_by_tenant_and_as_a_file() {
    let app = App::start().await;
    let (tenant, other) = (app.tenant("acme").await, app.tenant("other").await);
    for n in 0..3 {
        app.text(&tenant, &format!("+35386123456{n}"), "hello").await;
    }
    app.text(&other, "+353861234560", "hello").await;
    let path = format!("/v1/tenants/{}/usage", tenant.id);
    assert_eq!(app.get(&path).await.ok()["as_of"], Value::Null);
    count(&app).await;
    let today = app.deps.ids.clock().now().date();
    let yesterday = today.previous_day().unwrap();

    let report = app.get(&format!("{path}?from={yesterday}&to={today}")).await.ok();
    let days: Vec<_> = report["items"].as_array().unwrap().iter().collect();
    assert_eq!(days.len(), 2);
    assert_eq!(
        (&days[0]["day"], &days[0]["mo_texts"]),
        (&json!(yesterday.to_string()), &json!(0))
    );
    assert_eq!(
        (&days[1]["day"], &days[1]["mo_texts"]),
        (&json!(today.to_string()), &json!(3))
    );
    assert_eq!(report["total"]["mo_segments"], 3);
    assert!(report["as_of"].is_string());
    let (kind, text) = csv(&app, &format!("{path}?from={yesterday}&to={today}")).await;
    assert!(kind.starts_with("text/csv"), "{kind}");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines,
        [
            "day,mo_texts,mo_segments,mt_texts,mt_segments,mt_failed,chats_opened,peak_chats,deflections"
                .to_owned(),
            format!("{yesterday},0,0,0,0,0,0,0,0"),
            format!("{today},3,3,0,0,0,0,0,0"),
        ]
    );

    let first = app.get(&format!("/v1/usage?day={today}&limit=1")).await.ok();
    assert_eq!(first["items"][0]["slug"], "acme");
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = app
        .get(&format!("/v1/usage?day={today}&limit=1&cursor={cursor}"))
        .await
        .ok();
    assert_eq!(
        (
            &second["items"][0]["slug"],
            &second["items"][0]["mo_texts"],
            second.get("next_cursor")
        ),
        (&json!("other"), &json!(1), None)
    );
    let (_, text) = csv(&app, "/v1/usage").await;
    assert_eq!(text.lines().count(), 3);
    assert!(
        text.contains(&format!("{today},{},acme,3,3,", tenant.id)),
        "{text}"
    );

    for (query, field) in [
        ("from=2026-02-30", "from"),
        ("from=2025-01-01&to=2026-12-31", "from"),
        ("to=tomorrow", "to"),
        ("day=2026-01-01", "day"),
    ] {
        assert_eq!(
            app.get(&format!("{path}?{query}")).await.problem(400),
            field,
            "{query}"
        );
    }
    assert_eq!(app.get("/v1/usage?day=1").await.problem(400), "day");
}

#[tokio::test]
async fn caps_are_set_by_the_platform_and_read_by_the_tenant() {
    let app = App::start().await;
    let tenant = app.bare_tenant("acme").await;
    let path = format!("/v1/tenants/{tenant}/caps");
    let none = app.get(&path).await;
    assert_eq!(none.etag, "\"none\"");
    let nothing = json!({"daily_mt_segments": null, "monthly_mt_segments": null, "segments_today": null, "segments_this_month": null});
    assert_eq!(none.ok(), nothing);
    let set = app.put(&path, json!({"monthly_mt_segments": 1000})).await;
    let tag = set.etag.clone();
    let caps = json!({"daily_mt_segments": null, "monthly_mt_segments": 1000, "segments_today": 0, "segments_this_month": 0});
    assert_eq!(set.ok(), caps);
    let read = app.get(&path).await;
    assert_eq!((read.etag.clone(), read.ok()), (tag.clone(), caps));

    let replace = async |tag: &str| {
        let request = Request::builder()
            .method(Method::PUT)
            .uri(&path)
            .header(header::AUTHORIZATION, format!("Bearer {}", app.engineer()))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::IF_MATCH, tag);
        app.raw(request.body(Body::from("{}")).unwrap()).await
    };
    assert_eq!(replace("\"none\"").await.problem(412), "If-Match");
    assert_eq!(replace(&tag).await.ok(), nothing);
    assert_eq!(replace(&tag).await.problem(412), "If-Match");

    for (body, status, field) in [
        (json!({"daily_mt_segments": -1}), 422, "daily_mt_segments"),
        (
            json!({"monthly_mt_segments": 1_000_000_001}),
            422,
            "monthly_mt_segments",
        ),
        (json!({"daily_mt_segments": "many"}), 400, "daily_mt_segments"),
        (json!({"segments_today": 1}), 400, "segments_today"),
    ] {
        assert_eq!(
            app.put(&path, body.clone()).await.problem(status),
            field,
            "{body}"
        );
    }
    let own = app.token(Role::TenantAdmin, Some(tenant));
    let answer = app.send(Method::PUT, &path, Some(&own), Some(&json!({}))).await;
    answer.problem_without_field(403);
    assert_eq!(app.send(Method::GET, &path, Some(&own), None).await.status, 200);
}
