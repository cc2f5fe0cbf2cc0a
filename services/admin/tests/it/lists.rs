//! Lists come in pages, with filters.

use crate::app::{ACCOUNT_SID, AUTH_TOKEN, App, Tenant};
use serde_json::{Value, json};

/// All of a list, two at a time.
async fn all(app: &App, path: &str, query: &str) -> Vec<Value> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = app.get(&format!("{path}?limit=2{query}{cursor}")).await.ok();
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 2);
        found.extend(items.iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
        assert_eq!(items.len(), 2, "only the last page is short");
    }
}

fn member(items: &[Value], name: &str) -> Vec<String> {
    let read = |item: &Value| item[name].as_str().unwrap().to_owned();
    items.iter().map(read).collect()
}

async fn five_of_each(app: &App, tenant: &Tenant) {
    let base = format!("/v1/tenants/{}", tenant.id);
    for name in ["Delta", "Alpha", "Charlie", "Bravo"] {
        for (what, body) in [
            ("links", json!({"name": name, "url": "wss://aacc"})),
            ("skillsets", json!({"name": name, "link_id": tenant.link})),
            (
                "accounts",
                json!({"name": name, "kind": "http", "settings": {"send_url": "https://x/"},
                       "secret": {"signing_secret": AUTH_TOKEN}}),
            ),
            ("auth-keys", json!({"name": name})),
        ] {
            app.post(&format!("{base}/{what}"), body).await.ok();
        }
    }
}

#[tokio::test]
async fn pages_are_sorted_by_name_and_leave_nothing_out() {
    let app = App::start().await;
    let (tenant, other) = (app.tenant("acme").await, app.tenant("other").await);
    five_of_each(&app, &tenant).await;
    five_of_each(&app, &other).await;
    let base = format!("/v1/tenants/{}", tenant.id);
    for (what, last) in [
        ("links", Some("main")),
        ("skillsets", Some("WC_Default_Skillset")),
        ("accounts", Some("main")),
        ("auth-keys", None),
    ] {
        let path = format!("{base}/{what}");
        let expected: Vec<&str> = ["Alpha", "Bravo", "Charlie", "Delta"]
            .into_iter()
            .chain(last)
            .collect();
        let found = all(&app, &path, "").await;
        assert_eq!(member(&found, "name"), expected, "{what}");
        let one = all(&app, &path, "&name=Charlie").await;
        assert_eq!(member(&one, "name"), ["Charlie"], "{what}");
        assert_eq!(all(&app, &path, "&name=nobody").await, [Value::Null; 0]);
        app.get(&format!("{path}?limit=0")).await.problem(400);
        app.get(&format!("{path}?limit=201")).await.problem(400);
        assert_eq!(
            app.get(&format!("{path}?cursor=xyz")).await.problem(400),
            "cursor"
        );
        assert_eq!(app.get(&format!("{path}?nmae=x")).await.problem(400), "nmae");
    }
}

#[tokio::test]
async fn filters_find_what_belongs_together() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let base = format!("/v1/tenants/{}", tenant.id);
    let make = async |what: &str, body: Value| {
        let made = app.post(&format!("{base}/{what}"), body).await.ok();
        made["id"].as_str().unwrap().to_owned()
    };
    let link = make("links", json!({"name": "other", "url": "wss://aacc"})).await;
    let skillset = make("skillsets", json!({"name": "WC_Other", "link_id": link})).await;
    let account = make(
        "accounts",
        json!({"name": "other", "kind": "http", "settings": {"send_url": "https://x/"},
               "secret": {"signing_secret": AUTH_TOKEN}}),
    )
    .await;
    make(
        "accounts",
        json!({"name": "third", "kind": "twilio", "settings": {"account_sid": ACCOUNT_SID},
               "secret": {"auth_token": AUTH_TOKEN}}),
    )
    .await;
    for (address, second) in [("72345", None), ("+14155550199", Some(&account))] {
        let account_id = if second.is_some() {
            &tenant.account
        } else {
            &account
        };
        let body = json!({"address": address, "account_id": account_id, "second_account_id": second,
                          "skillset_id": skillset});
        make("numbers", body).await;
    }
    // A short code means something within an account only.
    let body = json!({"address": "72345", "account_id": tenant.account, "skillset_id": tenant.skillset});
    make("numbers", body).await;
    for (path, query, name, expected) in [
        ("skillsets", format!("&link={link}"), "name", vec!["WC_Other"]),
        (
            "accounts",
            "&kind=twilio".to_owned(),
            "name",
            vec!["main", "third"],
        ),
        ("accounts", "&kind=http".to_owned(), "name", vec!["other"]),
        (
            "numbers",
            String::new(),
            "address",
            vec!["+14155550123", "+14155550199", "72345", "72345"],
        ),
        (
            "numbers",
            "&address=72345".to_owned(),
            "address",
            vec!["72345", "72345"],
        ),
        (
            "numbers",
            "&address=%2B14155550199".to_owned(),
            "address",
            vec!["+14155550199"],
        ),
        (
            "numbers",
            format!("&account={account}"),
            "address",
            vec!["+14155550199", "72345"],
        ),
        (
            "numbers",
            format!("&skillset={skillset}&account={}", tenant.account),
            "address",
            vec!["+14155550199"],
        ),
    ] {
        let found = all(&app, &format!("{base}/{path}"), &query).await;
        assert_eq!(member(&found, name), expected, "{path} {query}");
    }
    app.get(&format!("{base}/numbers?address=%2B1"))
        .await
        .problem(400);
    app.get(&format!("{base}/accounts?kind=telex")).await.problem(400);
    app.get(&format!("{base}/skillsets?link=main")).await.problem(400);
}
