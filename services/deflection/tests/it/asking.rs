//! How scripts ask: JSON, forms, GET; with a key in one of three places.

use crate::rig::{Rig, mobile, send};
use axum::{
    body::Body,
    http::{Request, header},
};
use ccm_model::DeflectionState;
use serde_json::json;

fn encoded(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

#[tokio::test]
async fn json_a_form_and_get_say_the_same() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let (one, two, three) = (mobile(1), mobile(2), mobile(3));
    let body = json!({
        "caller": one, "skillset": "WC_Sales", "language": "en", "contact_id": 4711, "waited_s": 125, "name": "Mary",
        "context": {"order": "A1", "amount": 12},
    });
    let mut ids = vec![rig.ask(&tenant, body).await.accepted()];
    let form = |caller: &str, contact: &str| {
        encoded(&[
            ("caller", caller),
            ("skillset", "WC_Sales"),
            ("language", "en"),
            ("contact_id", contact),
            ("waited_s", "125"),
            ("name", "Mary"),
            ("context.order", "A1"),
            ("context.amount", "12"),
            ("auth", &tenant.key),
        ])
    };
    let request = Request::post("/v1/deflections")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(form(&two, "4712")));
    ids.push(send(rig.router(), request.unwrap()).await.accepted());
    let get = format!("/v1/deflections?{}", form(&three, "4713"));
    let first = rig.get(&get).await;
    ids.push(first.accepted());
    for (id, caller) in ids.iter().zip([one, two, three]) {
        let row = rig.row(&tenant, *id).await;
        assert_eq!(row.customer_address.unwrap().as_str(), caller);
        assert_eq!((row.skillset.as_str(), row.waited_s), ("WC_Sales", 125));
        assert_eq!(row.context["order"], "A1");
        assert_eq!(row.context["amount"].to_string().replace('"', ""), "12");
    }
    // To get again is to ask again.
    let again = rig.get(&get).await;
    assert_eq!(again.accepted(), first.accepted());
    assert_eq!(again.json()["repeated"], true);
    assert_eq!(rig.texts().len(), 3);
    assert_eq!(
        rig.texts()[0],
        "Hello Mary, text back within 10 min to chat with WC_Sales."
    );
}

#[tokio::test]
async fn one_word_is_enough_for_who_asks_for_it() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let key = format!("auth={}", tenant.key);
    let ask = |more: String| format!("/v1/deflections?{key}&caller=%2B353861234001&contact_id=c1{more}");
    let said = rig.get(&ask("&format=text".into())).await;
    assert_eq!((said.status.as_u16(), said.text.as_str()), (200, "accepted"));
    let request = Request::get(ask(String::new()))
        .header(header::ACCEPT, "text/plain")
        .body(Body::empty());
    assert_eq!(send(rig.router(), request.unwrap()).await.text, "accepted");
    let refused = rig
        .get(&format!("/v1/deflections?{key}&caller=anonymous&format=text"))
        .await;
    assert_eq!((refused.status.as_u16(), refused.text.as_str()), (200, "no_sms"));
    let id = rig.get(&ask(String::new())).await.accepted();
    let state = rig.get(&format!("/v1/deflections/{id}?{key}&format=text")).await;
    assert_eq!(state.text, "offered");
    let ended = rig
        .get(&format!("/v1/deflections/{id}/end?{key}&format=text"))
        .await;
    assert_eq!(ended.text, "withdrawn");
    rig.get(&ask("&format=xml".into())).await.problem(400);
}

#[tokio::test]
async fn a_good_key_is_needed_and_it_is_the_tenants() {
    let rig = Rig::new().await;
    let (tenant, other) = (rig.tenant(1).await, rig.tenant(2).await);
    let ask = |auth: &str| format!("/v1/deflections?caller=%2B353861234001{auth}");
    for auth in ["", "&auth=", "&auth=short", "&auth=0123456789abcdef"] {
        let refused = rig.get(&ask(auth)).await;
        refused.problem(401);
        assert_eq!(refused.headers[header::WWW_AUTHENTICATE], "Bearer realm=\"ccm\"");
    }
    let body = json!({"caller": mobile(1), "auth": tenant.key});
    let request = Request::post("/v1/deflections")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_string()));
    let id = send(rig.router(), request.unwrap()).await.accepted();
    assert_eq!(rig.row(&tenant, id).await.state, DeflectionState::Offered);
    for path in [
        format!("/v1/deflections/{id}"),
        format!("/v1/deflections/{id}/end"),
    ] {
        rig.get(&format!("{path}?auth={}", other.key)).await.problem(404);
        rig.get(&format!("{path}?auth={}", tenant.key)).await.ok();
    }
    let db = rig.deps.db.tenant(tenant.id);
    let key = db.auth_keys().await.unwrap().remove(0);
    assert!(key.last_used_at.is_some());
    db.revoke_auth_key(key.id, rig.now(), |_| Ok::<_, ccm_db::DbError>(()))
        .await
        .unwrap();
    rig.get(&ask(&format!("&auth={}", tenant.key))).await.problem(401);
}

#[tokio::test]
async fn what_cannot_be_understood_is_told_with_its_field() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    for (body, field) in [
        (json!({"calller": mobile(1)}), "calller"),
        (json!({"caller": mobile(1), "waited_s": "soon"}), "waited_s"),
        (json!({"caller": mobile(1), "waited_s": -1}), "waited_s"),
        (json!({"caller": mobile(1), "language": "English!"}), "language"),
        (json!({"caller": mobile(1), "name": "x".repeat(101)}), "name"),
        (json!({"caller": [mobile(1)]}), "caller"),
        (json!({"caller": mobile(1), "context": {"a b": 1}}), "context"),
        (
            json!({"caller": mobile(1), "context": {"a": "x".repeat(2001)}}),
            "context",
        ),
        (json!({"caller": mobile(1), "format": "xml"}), "format"),
    ] {
        assert_eq!(rig.ask(&tenant, body.clone()).await.problem(400), field, "{body}");
    }
    let request = Request::post("/v1/deflections")
        .header(header::AUTHORIZATION, format!("Bearer {}", tenant.key))
        .header(header::CONTENT_TYPE, "text/xml")
        .body(Body::from("<caller/>"));
    send(rig.router(), request.unwrap()).await.problem(415);
    assert_eq!(rig.texts().len(), 0);
}

#[tokio::test]
async fn offers_leave_from_the_number_that_the_tenant_says() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let db = rig.deps.db.tenant(tenant.id);
    let first = db.numbers().await.unwrap().remove(0);
    let second = "+19995559999";
    db.create_number(ccm_db::NewNumber {
        id: rig.deps.ids.next(),
        address: &second.parse().unwrap(),
        account: first.account,
        second_account: None,
        skillset: first.skillset,
        kind: first.kind,
        per_second: 1.0,
    })
    .await
    .unwrap();
    let from = async |n: u32, dialed: &str| {
        let id = rig
            .ask(&tenant, json!({"caller": mobile(n), "dialed": dialed}))
            .await
            .accepted();
        rig.row(&tenant, id)
            .await
            .our_address
            .unwrap()
            .as_str()
            .to_owned()
    };
    assert_eq!(from(1, second).await, second);
    assert_eq!(from(2, "19995559999").await, second);
    assert_eq!(from(3, &tenant.ours).await, tenant.ours);
    let unknown = rig
        .ask(&tenant, json!({"caller": mobile(4), "dialed": "+35315550000"}))
        .await;
    assert_eq!(unknown.problem(422), "dialed");
    rig.set(
        &tenant,
        json!({"senders": {"+353 1 555 0000": second}, "sender": tenant.ours}),
    )
    .await;
    assert_eq!(from(5, "+35315550000").await, second);
    assert_eq!(from(6, "").await, tenant.ours);
}

#[tokio::test]
async fn a_key_asks_so_often_a_minute() {
    let rig =
        Rig::with(|settings| settings.requests_per_minute = std::num::NonZeroU32::new(3).unwrap()).await;
    let (tenant, other) = (rig.tenant(1).await, rig.tenant(2).await);
    for n in 0..3 {
        rig.ask(&tenant, json!({"caller": mobile(n)})).await.accepted();
    }
    rig.ask(&tenant, json!({"caller": mobile(4)})).await.problem(429);
    rig.ask(&other, json!({"caller": mobile(4)})).await.accepted();
}

#[tokio::test]
async fn who_asks_for_headers_alone_texts_nobody() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let path = format!("/v1/deflections?auth={}&caller=%2B353861234567", tenant.key);
    let head = Request::head(&path).body(Body::empty()).unwrap();
    let answer = send(rig.router(), head).await;
    assert_eq!(answer.status, 405);
    assert_eq!(answer.headers[header::ALLOW], "GET, POST");
    let path = format!("/v1/deflections/{}/end?auth={}", tenant.id, tenant.key);
    let head = Request::head(&path).body(Body::empty()).unwrap();
    assert_eq!(send(rig.router(), head).await.status, 405);
    assert!(rig.texts().is_empty());
}

#[tokio::test]
async fn a_key_of_the_agents_page_does_not_deflect_and_wrong_keys_are_bounded() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    rig.sql("UPDATE auth_key SET uses = '{screenpop}'");
    let refused = rig.ask(&tenant, json!({"caller": mobile(1)})).await;
    refused.problem(403);
    assert!(refused.json()["remedy"].as_str().unwrap().contains("deflection"));
    let router = rig.router();
    let mut last = 0;
    for _ in 0..21 {
        let request = Request::get("/v1/deflections?auth=0123456789abcdef&caller=1").body(Body::empty());
        last = send(router.clone(), request.unwrap()).await.status.as_u16();
    }
    assert_eq!(last, 429);
}
