//! Long lists, to their ends.

use crate::rig::{Rig, with};
use axum::http::Method;
use ccm_auth::Role::Engineer;
use ccm_db::DoctorReportRow;
use serde_json::json;

/// What is refused stands in its row again, on the page that the row is on.
#[tokio::test]
async fn a_row_that_is_refused_comes_back_where_it_was_and_as_it_was_typed() {
    let rig = Rig::new().await;
    let token = rig.token(Engineer, None);
    let cookies = rig.sign_in(&token).await;
    let tenant = rig.tenant().await;
    let api = format!("/v1/tenants/{}", tenant.id);
    for n in 0..51 {
        let new = json!({"name": format!("template {n:02}"), "text": "Hello", "scope": "tenant"});
        rig.api(Method::POST, &format!("{api}/templates"), &token, Some(new))
            .await;
    }
    let first = rig
        .get(
            &format!("/console/tenants/{}/templates?scope=tenant", tenant.id),
            &cookies,
        )
        .await;
    let next = first.link("Next page").expect("a second page");
    assert!(next.contains("scope=tenant"), "{next}");
    let second = rig.get(&next, &cookies).await;
    assert!(second.link("Next page").is_none());
    assert_eq!(second.html.matches(">Remove it<").count(), 1);
    let form = second.form("PATCH ");
    let long = format!("{}!", "Hello {nobody} ".repeat(200));
    let refused = rig
        .post("/console/act", &cookies, &with(&form, "text", &long))
        .await;
    assert_eq!(refused.status, 422, "{}", refused.html);
    assert_eq!(refused.html.matches(">Remove it<").count(), 1, "the second page");
    assert_eq!(refused.html.matches("aria-invalid=\"true\"").count(), 1);
    assert!(refused.html.contains("class=\"menu\" open"));
    let again = refused.form("PATCH ");
    assert!(again.contains(&("text".to_owned(), long)), "{again:?}");
    let saved = rig
        .post("/console/act", &cookies, &with(&again, "text", "Bye"))
        .await;
    let and_done = saved.goes_to();
    assert!(
        and_done.contains("cursor=") && and_done.ends_with("done=saved"),
        "{and_done}"
    );
    rig.get(and_done, &cookies).await.has("Saved.").has("Bye");
}

#[tokio::test]
async fn each_rows_form_says_what_is_wrong_with_it() {
    let rig = Rig::new().await;
    let token = rig.token(Engineer, None);
    let cookies = rig.sign_in(&token).await;
    let tenant = rig.tenant().await;
    let api = format!("/v1/tenants/{}", tenant.id);
    let make = async |method: Method, path: &str, body| {
        rig.api(method, &format!("{api}/{path}"), &token, Some(body))
            .await
    };
    let key = json!({"name": "agents", "uses": ["screenpop"], "networks": ["192.0.2.0/24"]});
    make(Method::POST, "auth-keys", key).await;
    let user = json!({"name": "Mary", "issuer": rig.issuer.name, "email": "mary@example.com", "role": "tenant-viewer"});
    make(Method::POST, "users", user).await;
    let out =
        json!({"our_address": "+14155550123", "customer_address": "+353861234567", "evidence": "said so"});
    make(Method::PUT, "opt-outs", out).await;
    for (page, form, field, wrong) in [
        ("numbers", "numbers&#x2f;", "per_second:number", "0"),
        ("numbers", "numbers&#x2f;", "per_second:number", "many"),
        (
            "access",
            "auth-keys&#x2f;",
            "networks:lines",
            "192.0.2.0/24\nnowhere",
        ),
        ("access", "users&#x2f;", "name", &"x".repeat(300)),
        ("opt-outs", "DELETE ", "evidence:query", &"why ".repeat(200)),
    ] {
        let path = format!("/console/tenants/{}/{page}", tenant.id);
        let drawn = rig.get(&path, &cookies).await;
        let fields = drawn.form(form);
        let refused = rig
            .post("/console/act", &cookies, &with(&fields, field, wrong))
            .await;
        assert!(
            [400, 422].contains(&refused.status.as_u16()),
            "{field}: {}",
            refused.status
        );
        assert_eq!(
            refused.html.matches("aria-invalid=\"true\"").count(),
            1,
            "{field}: {}",
            refused.html
        );
        let again = refused.form(form);
        assert!(
            again.contains(&(field.to_owned(), wrong.to_owned())),
            "{field}: {again:?}"
        );
        assert!(refused.html.contains("class=\"menu\" open"), "{field}");
    }
}

#[tokio::test]
async fn lists_are_read_to_their_end() {
    let rig = Rig::new().await;
    let token = rig.token(Engineer, None);
    let cookies = rig.sign_in(&token).await;
    let tenant = rig.tenant().await;
    let api = format!("/v1/tenants/{}", tenant.id);
    for n in 0..51 {
        let new = json!({"name": format!("program {n:02}"), "role": "tenant-viewer"});
        rig.api(Method::POST, &format!("{api}/api-keys"), &token, Some(new))
            .await;
        let user = json!({"name": format!("person {n:02}"), "issuer": rig.issuer.name, "role": "tenant-viewer",
            "email": format!("p{n}@example.com")});
        rig.api(Method::POST, &format!("{api}/users"), &token, Some(user))
            .await;
    }
    let mut path = format!("/console/tenants/{}/access", tenant.id);
    let (mut programs, mut people) = (0, 0);
    // Each list of the page has its own pages.
    for pages in 0..2 {
        let page = rig.get(&path, &cookies).await;
        programs += page.html.matches("<th scope=\"row\">program ").count();
        people += page.html.matches("<th scope=\"row\">person ").count();
        assert_eq!(page.html.matches("Next page").count(), 2 - pages);
        path = page.link("Next page").unwrap();
    }
    assert_eq!(
        (programs, people),
        (51, 100),
        "the programs' second page, the people's first one"
    );
    assert!(path.contains("api_keys=") && path.contains("users="), "{path}");
    let page = rig.get(&path, &cookies).await;
    assert_eq!(page.html.matches("<th scope=\"row\">person ").count(), 1);
    assert!(page.link("To the beginning").is_some());

    for n in 0..205 {
        let new = json!({"name": format!("WC_{n:03}"), "link_id": tenant.link});
        rig.api(Method::POST, &format!("{api}/skillsets"), &token, Some(new))
            .await;
    }
    let chosen = rig
        .get(&format!("/console/tenants/{}/setup", tenant.id), &cookies)
        .await;
    chosen.has(">WC_000</option>").has(">WC_204</option>");
    assert!(!chosen.html.contains("There are more"));
}

#[tokio::test]
async fn a_long_conversation_begins_at_its_end() {
    let rig = Rig::new().await;
    let cookies = rig.sign_in(&rig.token(Engineer, None)).await;
    let tenant = rig.tenant().await;
    let mut conversation = rig.text(&tenant, "text 1").await;
    for n in 2..=60 {
        conversation = rig.text(&tenant, &format!("text {n}")).await;
    }
    let shown = |html: &str| -> Vec<i32> {
        let ids = html.split("id=\"text-").skip(1);
        ids.map(|part| part.split('"').next().unwrap().parse().unwrap())
            .collect()
    };
    let page = rig
        .get(
            &format!("/console/tenants/{}/conversations/{conversation}", tenant.id),
            &cookies,
        )
        .await;
    assert_eq!(shown(&page.html), (11..=60).collect::<Vec<_>>());
    page.has("data-live").has("data-end");
    let earlier = page.link("Earlier texts").unwrap();
    let page = rig.get(earlier.split('#').next().unwrap(), &cookies).await;
    assert_eq!(shown(&page.html), (1..=10).collect::<Vec<_>>());
    assert!(page.link("Earlier texts").is_none() && !page.html.contains("data-live"));
    let later = page.link("Later texts").unwrap();
    let page = rig.get(&later, &cookies).await;
    assert_eq!(shown(&page.html), (11..=60).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_link_that_was_once_found_good_stays_a_step_that_is_done() {
    let rig = Rig::new().await;
    let cookies = rig.sign_in(&rig.token(Engineer, None)).await;
    let tenant = rig.tenant().await;
    let begun = rig.ids.clock().now();
    for n in 0..12 {
        let report = DoctorReportRow {
            id: rig.ids.next(),
            link: Some(tenant.link.parse().unwrap()),
            outcome: if n == 0 { "passed" } else { "failed" }.to_owned(),
            report: json!({"primary": "wss://aacc.example.com:8445", "outcome": "failed", "steps": []}),
            made_by: "somebody".to_owned(),
            made_at: begun - time::Duration::minutes(60 - n),
            shared_until: None,
        };
        rig.db.tenant(tenant.id).put_doctor_report(&report).await.unwrap();
    }
    let page = rig
        .get(&format!("/console/tenants/{}/setup", tenant.id), &cookies)
        .await;
    page.has("5 of 6 steps are done");
    let link = rig
        .get(
            &format!("/console/tenants/{}/links/{}", tenant.id, tenant.link),
            &cookies,
        )
        .await;
    let older = link.link("Next page").expect("older reports");
    assert!(older.contains("reports="), "{older}");
    rig.get(&older, &cookies).await.has(">passed<");
}
