//! Texts that agents send again and again.

use crate::app::App;
use axum::http::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_template_is_made_changed_and_deleted() {
    let app = App::start().await;
    let (tenant, other) = (app.tenant("acme").await, app.tenant("other").await);
    let path = format!("/v1/tenants/{}/templates", tenant.id);
    let body = json!({"name": "Order", "text": "Hello, {agent} here: {order}. Yours, {agent} {}", "scope": "tenant",
                      "language": "en"});
    let made = app.post(&path, body.clone()).await.ok();
    assert_eq!(
        (
            &made["fields"],
            &made["cost"]["segments"],
            &made["cost"]["encoding"]
        ),
        (&json!(["agent", "order"]), &json!(1), &json!("gsm7"))
    );
    let again = app.post(&path, body.clone()).await;
    assert_eq!(again.problem(409), "name");
    assert!(
        again.json["detail"]
            .as_str()
            .unwrap()
            .contains(made["id"].as_str().unwrap())
    );
    let mut german = body;
    german["language"] = json!("de-AT");
    let german = app.post(&path, german).await.ok();

    let one = format!("{path}/{}", made["id"].as_str().unwrap());
    let read = app.get(&one).await;
    assert_eq!(read.json, made);
    let patch = json!({"text": "“Long” ".repeat(30)});
    let changed = app
        .send_if(Method::PATCH, &one, &read.etag, Some(&patch))
        .await
        .ok();
    assert_eq!(
        (
            &changed["name"],
            &changed["fields"],
            &changed["cost"]["encoding"],
            &changed["cost"]["segments"]
        ),
        (&json!("Order"), &json!([]), &json!("ucs2"), &json!(4))
    );
    let late = app.send_if(Method::PATCH, &one, &read.etag, Some(&patch)).await;
    assert_eq!(late.problem(412), "If-Match");
    let late = app.send_if(Method::DELETE, &one, &read.etag, None).await;
    assert_eq!(late.problem(412), "If-Match");
    let clash = app.patch(&one, json!({"language": "de-AT"})).await;
    assert_eq!(clash.problem(409), "name");
    assert!(
        clash.json["detail"]
            .as_str()
            .unwrap()
            .contains(german["id"].as_str().unwrap())
    );
    assert_eq!(app.get(&one).await.ok(), changed);

    let foreign = format!(
        "/v1/tenants/{}/templates/{}",
        other.id,
        made["id"].as_str().unwrap()
    );
    app.get(&foreign).await.problem(404);
    app.patch(&foreign, json!({"name": "x"})).await.problem(404);
    app.delete(&foreign).await.problem(404);
    assert_eq!(app.delete(&one).await.status, 204);
    app.get(&one).await.problem(404);
}

#[tokio::test]
async fn a_scope_has_what_belongs_to_it() {
    let app = App::start().await;
    let (tenant, other) = (app.tenant("acme").await, app.tenant("other").await);
    let path = format!("/v1/tenants/{}/templates", tenant.id);
    let body = |more: Value| {
        let mut body = json!({"name": "Hello", "text": "Hello", "scope": "tenant"});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        body
    };
    for (more, status, field) in [
        (json!({"name": ""}), 422, "name"),
        (json!({"text": " "}), 422, "text"),
        (json!({"text": "x".repeat(1601)}), 422, "text"),
        (json!({"text": "nul \0"}), 422, "text"),
        (json!({"text": "Hello {nam}"}), 422, "text"),
        (json!({"text": null}), 400, "text"),
        (json!({"scope": "team"}), 400, "scope"),
        (json!({"scope": "skillset"}), 422, "skillset_id"),
        (
            json!({"scope": "skillset", "skillset_id": other.skillset}),
            422,
            "skillset_id",
        ),
        (
            json!({"scope": "skillset", "skillset_id": tenant.skillset, "agent": "Ann"}),
            422,
            "agent",
        ),
        (json!({"skillset_id": tenant.skillset}), 422, "skillset_id"),
        (json!({"agent": "Ann"}), 422, "agent"),
        (json!({"scope": "personal"}), 422, "agent"),
        (json!({"scope": "personal", "agent": "Ann\n"}), 422, "agent"),
        (json!({"language": "English!"}), 422, "language"),
    ] {
        let answer = app.post(&path, body(more.clone())).await;
        assert_eq!(answer.problem(status), field, "{more}");
    }
    let refused = app.post(&path, body(json!({"text": "Hello {nam}"}))).await;
    assert!(refused.json["detail"].as_str().unwrap().contains("{nam}"));
    assert!(refused.json["remedy"].as_str().unwrap().contains("{agent}"));

    // The same name in each scope.
    let of_skillset = json!({"scope": "skillset", "skillset_id": tenant.skillset});
    let of_skillset = app.post(&path, body(of_skillset)).await.ok();
    app.post(&path, body(json!({}))).await.ok();
    for agent in ["Ann", "Bob"] {
        app.post(&path, body(json!({"scope": "personal", "agent": agent})))
            .await
            .ok();
    }
    for (query, count) in [
        (String::new(), 4),
        ("?scope=personal".to_owned(), 2),
        ("?agent=Bob".to_owned(), 1),
        (format!("?skillset={}", tenant.skillset), 1),
        ("?name=Hello&scope=tenant".to_owned(), 1),
        ("?language=en".to_owned(), 0),
    ] {
        let found = app.get(&format!("{path}{query}")).await.ok();
        assert_eq!(found["items"].as_array().unwrap().len(), count, "{query}");
    }
    let one = format!("{path}/{}", of_skillset["id"].as_str().unwrap());
    let taken = app.patch(&one, json!({"scope": "tenant"})).await;
    assert_eq!(taken.problem(409), "name");
    let personal = app
        .patch(&one, json!({"scope": "personal", "agent": "Cleo"}))
        .await
        .ok();
    assert_eq!(
        (&personal["skillset_id"], &personal["agent"]),
        (&Value::Null, &json!("Cleo"))
    );
    assert_eq!(
        app.patch(&one, json!({"scope": "skillset"})).await.problem(422),
        "skillset_id"
    );
    app.patch(&one, json!({"scope": "skillset", "skillset_id": tenant.skillset}))
        .await
        .ok();

    let skillset = format!("/v1/tenants/{}/skillsets/{}", tenant.id, tenant.skillset);
    let plan = app.delete(&format!("{skillset}?dry_run=true")).await.ok();
    assert_eq!(plan["in_the_way"][1]["what"], "templates");
}
