//! What happened to a tenant, in one list.

use crate::{accounts, app::App, link_watch};
use serde_json::{Value, json};

fn kinds(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().unwrap().iter();
    items.map(|event| event["kind"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn one_list_has_what_happened_to_links_accounts_and_the_tenant() {
    let app = App::start().await;
    let (tenant, other) = (app.tenant("acme").await, app.tenant("other").await);
    let base = format!("/v1/tenants/{}", tenant.id);
    link_watch::happened(&app, &tenant, "link_down");
    link_watch::happened(&app, &other, "link_down");
    accounts::happened(&app, &tenant, "failing").await;
    for (state, reason) in [
        ("suspended", "ticket 4711"),
        ("suspended", "still"),
        ("active", "done"),
    ] {
        app.put(
            &format!("{base}/state"),
            json!({"state": state, "reason": reason}),
        )
        .await
        .ok();
    }
    // The database gives ids of its own, by a clock of milliseconds.
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    link_watch::happened(&app, &tenant, "link_up");
    let all = [
        "link_up",
        "state_changed",
        "state_changed",
        "failing",
        "link_down",
    ];
    let page = app.get(&format!("{base}/events")).await.ok();
    assert_eq!(kinds(&page), all);
    let suspended = &page["items"][2];
    assert_eq!(
        (
            &suspended["detail"],
            &suspended["link_id"],
            &suspended["account_id"]
        ),
        (
            &json!({"from": "active", "to": "suspended", "reason": "ticket 4711", "by": "somebody"}),
            &Value::Null,
            &Value::Null
        )
    );
    assert_eq!(
        (&page["items"][0]["link_id"], &page["items"][0]["muted"]),
        (&json!(tenant.link), &json!(true))
    );
    assert_eq!(page["items"][3]["account_id"], json!(tenant.account));

    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = app.get(&format!("{base}/events?limit=2{cursor}")).await.ok();
        found.extend(kinds(&page).into_iter().map(str::to_owned));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(found, all);

    for (query, expected) in [
        (format!("link={}", tenant.link), vec!["link_up", "link_down"]),
        (format!("account={}", tenant.account), vec!["failing"]),
        (format!("link={}", other.link), vec![]),
        (format!("link={}&account={}", tenant.link, tenant.account), vec![]),
        ("kind=state_changed&limit=1".to_owned(), vec!["state_changed"]),
        // Links' events of the tests are of this moment.
        (
            "until=2026-03-01T12:00:01Z&link=".to_owned() + &tenant.link,
            vec!["link_up", "link_down"],
        ),
        (
            "until=2026-03-01T12:00:00Z&link=".to_owned() + &tenant.link,
            vec![],
        ),
        (
            "since=2026-03-01T13:00:00%2B01:00&kind=link_up".to_owned(),
            vec!["link_up"],
        ),
        ("since=2026-03-01T12:00:01Z&kind=link_up".to_owned(), vec![]),
    ] {
        let page = app.get(&format!("{base}/events?{query}")).await.ok();
        assert_eq!(kinds(&page), expected, "{query}");
    }
    assert_eq!(
        app.get(&format!("{base}/events?since=yesterday"))
            .await
            .problem(400),
        "since"
    );
    app.get(&format!("{base}/events?link=main")).await.problem(400);

    // What is gone is still told of.
    for path in [
        format!("{base}/numbers/{}", tenant.number),
        format!("{base}/skillsets/{}", tenant.skillset),
        format!("{base}/links/{}", tenant.link),
        format!("{base}/accounts/{}", tenant.account),
    ] {
        assert_eq!(app.delete(&path).await.status, 204);
    }
    let page = app.get(&format!("{base}/events")).await.ok();
    assert_eq!(kinds(&page), all);
}
