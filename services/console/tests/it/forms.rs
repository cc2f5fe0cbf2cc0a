//! What forms do.

use crate::rig::{Rig, with};
use axum::http::Method;
use ccm_auth::Role::{Engineer, Support};
use serde_json::json;

const NEW: &str = "/console/tenants/new";

#[tokio::test]
async fn what_is_refused_stands_at_its_field_and_is_not_typed_again() {
    let rig = Rig::new().await;
    let token = rig.token(Engineer, None);
    let cookies = rig.sign_in(&token).await;
    let fields = [
        ("_do", "POST /v1/tenants"),
        ("_from", NEW),
        ("_next", "/console/tenants/{id}/setup"),
        ("_done", "made"),
        ("_once", "0193"),
        ("name", "<b>Acme</b>"),
        ("slug", "not a slug"),
    ];
    let refused = rig.post("/console/act", &cookies, &fields).await;
    assert_eq!(refused.status, 422);
    refused
        .has("value=\"&lt;b&gt;Acme&lt;&#x2f;b&gt;\"")
        .has("aria-invalid=\"true\"")
        .has("role=\"alert\"");
    let mut good = fields;
    good[6].1 = "acme";
    let made = rig.post("/console/act", &cookies, &good).await;
    let next = made.goes_to().to_owned();
    assert!(
        next.starts_with("/console/tenants/0") && next.ends_with("/setup?done=made"),
        "{next}"
    );
    let twice = rig.post("/console/act", &cookies, &good).await;
    assert_eq!(twice.goes_to(), next, "a form that is sent twice is done once");
    rig.get(&next, &cookies)
        .await
        .has("Made.")
        .has("&lt;b&gt;Acme&lt;&#x2f;b&gt;");
    let listed = rig.api(Method::GET, "/v1/tenants", &token, None).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    let audit = format!("/v1/tenants/{}/audit", listed["items"][0]["id"].as_str().unwrap());
    let told = rig.api(Method::GET, &audit, &token, None).await;
    assert_eq!(
        told["items"][0]["actor"]["sub"], "somebody",
        "the audit tells who it was"
    );
}

#[tokio::test]
async fn a_role_that_may_not_is_refused_by_the_api() {
    let rig = Rig::new().await;
    let cookies = rig.sign_in(&rig.token(Support, None)).await;
    let page = rig.get("/console/tenants", &cookies).await;
    assert!(!page.html.contains("New tenant"));
    let fields = [
        ("_do", "POST /v1/tenants"),
        ("_from", NEW),
        ("name", "Acme"),
        ("slug", "acme"),
    ];
    let refused = rig.post("/console/act", &cookies, &fields).await;
    assert_eq!(refused.status, 403);
    refused.has("the role support does not allow this");
    for (do_, from) in [
        ("GET /v1/tenants", NEW),
        ("DELETE /v1/me/session", NEW),
        ("POST /console/act", NEW),
        ("POST https://example.com/v1/", NEW),
        ("POST /v1/tenants", "https://example.com"),
        ("POST /v1/tenants", "/console/nowhere"),
    ] {
        let page = rig
            .post(
                "/console/act",
                &cookies,
                &[("_do", do_), ("_from", from), ("name", "x")],
            )
            .await;
        assert!(
            [403, 404].contains(&page.status.as_u16()),
            "{do_}, {from}: {}",
            page.status
        );
    }
    let without = rig.post("/console/act", "", &fields).await;
    assert_eq!(
        without.goes_to(),
        "/console/sign-in",
        "what was about to be done is not done by signing in"
    );
}

/// Rates, ranges and tags of the API hold for forms as well.
#[tokio::test]
async fn what_somebody_else_has_changed_is_not_overwritten() {
    let rig = Rig::new().await;
    let token = rig.token(Engineer, None);
    let cookies = rig.sign_in(&token).await;
    let made = rig
        .api(
            Method::POST,
            "/v1/tenants",
            &token,
            Some(json!({"slug": "acme", "name": "Acme"})),
        )
        .await;
    let path = format!("/v1/tenants/{}", made["id"].as_str().unwrap());
    let (do_, from) = (
        format!("PATCH {path}"),
        format!("/console/tenants/{}", made["id"].as_str().unwrap()),
    );
    let change = async |name: &str, tag: &str| {
        let fields = [
            ("_do", do_.as_str()),
            ("_from", &from),
            ("_next", &from),
            ("_tag", tag),
            ("name", name),
        ];
        rig.post("/console/act", &cookies, &fields).await
    };
    let stale = change("Other", "\"stale\"").await;
    assert_eq!(stale.status, 412);
    stale.has("somebody has made a change since");
    assert_eq!(change("Other", "").await.goes_to(), from);
    assert_eq!(rig.api(Method::GET, &path, &token, None).await["name"], "Other");
}

/// However often it is sent: what the page is drawn with again is not what somebody else has made of it meanwhile.
#[tokio::test]
async fn a_document_that_was_refused_once_is_still_of_its_time() {
    let rig = Rig::new().await;
    let token = rig.token(Engineer, None);
    let cookies = rig.sign_in(&token).await;
    let made = rig
        .api(
            Method::POST,
            "/v1/tenants",
            &token,
            Some(json!({"slug": "acme", "name": "Acme"})),
        )
        .await;
    let tenant = made["id"].as_str().unwrap();
    let (page, api) = (
        format!("/console/tenants/{tenant}/routing"),
        format!("/v1/tenants/{tenant}/routing"),
    );
    let tag_in = |html: &str| {
        let after = html.split("name=\"_tag\" value=\"").nth(1).expect("a tag");
        after.split("\">").next().unwrap().replace("&quot;", "\"")
    };
    let read = rig.get(&page, &cookies).await;
    let mine = tag_in(&read.html);
    let theirs = json!({"lists": {"vip": {"numbers": ["+353861234567"]}}});
    rig.api(Method::PUT, &api, &token, Some(theirs.clone())).await;
    let do_ = format!("PUT {api}");
    let send = async |document: &str, tag: &str| {
        let fields = [
            ("_do", do_.as_str()),
            ("_from", &page),
            ("_next", &page),
            ("_form", "change"),
            ("_tag", tag),
            (":json", document),
        ];
        rig.post("/console/act", &cookies, &fields).await
    };
    for document in ["{", "{\"lists\": 7}", "{}"] {
        let refused = send(document, &mine).await;
        assert!(refused.status.is_client_error(), "{document}: {}", refused.status);
        assert_eq!(tag_in(&refused.html), mine, "{document}");
    }
    let last = send("{}", &mine).await;
    assert_eq!(last.status, 412);
    last.has("read the page anew");
    let stands = rig.api(Method::GET, &api, &token, None).await;
    assert_eq!(
        stands["lists"]["vip"]["numbers"],
        theirs["lists"]["vip"]["numbers"]
    );
    let anew = tag_in(&rig.get(&page, &cookies).await.html);
    assert_eq!(send("{}", &anew).await.goes_to(), format!("{page}"));
}

/// What a form has the API make is saved; what it refuses stands in the form again.
#[tokio::test]
async fn what_is_known_of_a_person_is_saved() {
    let rig = Rig::new().await;
    let cookies = rig.sign_in(&rig.token(Engineer, None)).await;
    let tenant = rig.tenant().await;
    rig.text(&tenant, "my own words").await;
    let page = format!("/console/tenants/{}/persons", tenant.id);
    let form = rig.get(&page, &cookies).await.form("person-exports");
    let path = format!("/console/download/v1/tenants/{}/person-exports", tenant.id);
    let mut fields = with(&form, "reason", "ticket 4713");
    let number = fields.iter().position(|(name, _)| *name == "number").unwrap();
    fields[number].1 = "+1";
    let refused = rig.post(&path, &cookies, &fields).await;
    assert!(refused.status.is_client_error(), "{}", refused.status);
    refused
        .has("value=\"+1\"")
        .has("value=\"ticket 4713\"")
        .has("aria-invalid=\"true\"");
    fields[number].1 = "+353861234567";
    let saved = rig.post(&path, &cookies, &fields).await;
    assert_eq!(saved.status, 200, "{}", saved.html);
    let how = saved.header("content-disposition");
    assert!(how.starts_with("attachment; filename="), "{how}");
    saved.has("my own words").has("{\"end\": true}");
}

#[tokio::test]
async fn what_is_made_up_is_refused_with_a_page() {
    let rig = Rig::new().await;
    let cookies = rig.sign_in(&rig.token(Engineer, None)).await;
    let deep = "a.".repeat(400_000);
    let fields = [("_do", "POST /v1/tenants"), ("_from", NEW), (deep.as_str(), "x")];
    let refused = rig.post("/console/act", &cookies, &fields).await;
    assert_eq!(refused.status, 400);
    refused.has("more dots than any");
    let much = "a".repeat(5 << 20);
    let fields = [
        ("_do", "POST /v1/tenants"),
        ("_from", NEW),
        ("name", much.as_str()),
    ];
    let refused = rig.post("/console/act", &cookies, &fields).await;
    assert_eq!(refused.status, 413);
    refused.has("<!DOCTYPE html>");
    assert!(!refused.header("content-security-policy").is_empty());
    let odd = [
        ("_do", "POST /v1/tenants"),
        ("_from", NEW),
        ("_next", NEW),
        ("_done", "a\r\nb: c"),
        ("name", "A"),
        ("slug", "a"),
    ];
    assert_eq!(rig.post("/console/act", &cookies, &odd).await.goes_to(), NEW);
    for path in ["/console/", "/console/act"] {
        assert_eq!(
            rig.get(path, &cookies).await.goes_to(),
            "/console/tenants",
            "{path}"
        );
    }
}
