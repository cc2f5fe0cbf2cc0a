use crate::app::{Answer, App, Tenant};
use axum::http::Method;
use ccm_auth::Role;
use ccm_model::ConversationId;
use serde_json::{Value, json};

const CUSTOMER: &str = "+353861234567";

fn of(tenant: &Tenant, rest: &str) -> String {
    format!("/v1/tenants/{}/conversations{rest}", tenant.id)
}

fn ids(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().unwrap();
    items
        .iter()
        .map(|c| c["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_conversation_reads_back() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let id = app.text(&tenant, CUSTOMER, "a < b & c").await;
    assert_eq!(app.text(&tenant, CUSTOMER, "second").await, id);
    app.text(&tenant, "+353867654321", "somebody else").await;

    let conversation = app.get(&of(&tenant, &format!("/{id}"))).await.ok();
    assert_eq!(conversation["customer_address"], CUSTOMER);
    assert_eq!(conversation["our_address"], "+14155550123");
    assert_eq!(conversation["number_id"], json!(tenant.number));
    assert_eq!(
        (&conversation["state"], &conversation["closed_at"]),
        (&json!("open"), &Value::Null)
    );
    let listed = app.get(&of(&tenant, "?customer=%2B353861234567")).await.ok();
    assert_eq!(listed, json!({"items": [conversation]}));
    assert_eq!(
        app.get(&of(&tenant, "?customer=+353861234567")).await.ok(),
        listed,
        "a bare + is understood"
    );
    assert_eq!(
        app.get(&of(&tenant, "")).await.ok()["items"]
            .as_array()
            .unwrap()
            .len(),
        2
    );

    let messages = app.get(&of(&tenant, &format!("/{id}/messages"))).await.ok();
    assert_eq!(messages.get("next_after"), None);
    let [first, second] = messages["items"].as_array().unwrap().as_slice() else {
        panic!("two texts")
    };
    assert_eq!((&first["seq"], &first["body"]), (&json!(1), &json!("a < b & c")));
    assert_eq!((&second["seq"], &second["body"]), (&json!(2), &json!("second")));
    assert_eq!(
        first["provider_message_id"], first["id"],
        "as the provider called it"
    );
    for (member, value) in [
        ("direction", json!("mo")),
        ("origin", json!("customer")),
        ("author", Value::Null),
        ("withheld", json!(false)),
        ("state", json!("accepted")),
        ("attempts", json!(0)),
        ("resends", json!(0)),
        ("error_code", Value::Null),
        ("error_detail", Value::Null),
        ("trace_parent", Value::Null),
        ("chat_id", Value::Null),
    ] {
        assert_eq!(first[member], value, "{member}");
    }
}

/// As the connector writes it (`ccm_connector::waits`).
#[tokio::test]
async fn what_waits_waits_visibly() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let id = app.text(&tenant, CUSTOMER, "hello").await;
    let read = async || {
        let one = app.get(&of(&tenant, &format!("/{id}"))).await.ok();
        assert_eq!(app.get(&of(&tenant, "")).await.ok()["items"][0], one);
        (one["waits_for"].clone(), one["waits_since"].clone())
    };
    assert_eq!(read().await, (Value::Null, Value::Null));
    for reason in [
        "agent",
        "link",
        "maintenance",
        "settings",
        "customer_limit",
        "skillset_limit",
    ] {
        app.database
            .superuser_sql(&format!(
                "update conversation set waits_for = '{reason}', waits_since = '2026-03-01 12:00Z'"
            ))
            .unwrap();
        assert_eq!(read().await, (json!(reason), json!("2026-03-01T12:00:00Z")));
    }
}

/// Numbers are what people text with, so they are withheld with the texts; so are the provider's words, which repeat both.
#[tokio::test]
async fn support_sees_that_there_were_texts_and_not_what_they_said() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let id = app.text(&tenant, CUSTOMER, "BODY-CANARY").await;
    app.database
        .superuser_sql("update message set error_code = '21211', error_detail = 'not a number: BODY-CANARY'")
        .unwrap();
    let token = app.token(Role::Support, None);
    let get = async |rest: &str| {
        app.send(Method::GET, &of(&tenant, rest), Some(&token), None)
            .await
            .ok()
    };

    let message = get(&format!("/{id}/messages")).await["items"][0].clone();
    assert_eq!(message["withheld"], true);
    assert_eq!(
        (&message["body"], &message["error_detail"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(
        (&message["error_code"], &message["seq"]),
        (&json!("21211"), &json!(1))
    );
    let found = get("?customer=%2B353861234567").await;
    assert_eq!(
        ids(&found),
        [id.to_string()],
        "support may look for a number that it was told"
    );
    for conversation in [&found["items"][0], &get(&format!("/{id}")).await] {
        assert_eq!(conversation["withheld"], true);
        assert_eq!(conversation["customer_address"], Value::Null);
    }
    assert!(!app.ever_said("BODY-CANARY") && !app.ever_said("353861234567"));

    let viewer = app.token(Role::TenantViewer, Some(tenant.id));
    let path = of(&tenant, &format!("/{id}/messages"));
    let read = app.send(Method::GET, &path, Some(&viewer), None).await.ok();
    assert_eq!(read["items"][0]["body"], "BODY-CANARY");
}

#[tokio::test]
async fn conversations_come_in_pages_the_newest_first() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let mut made: Vec<String> = Vec::new();
    for n in 0..5 {
        let id: ConversationId = app.text(&tenant, &format!("+35386123450{n}"), "hello").await;
        made.push(id.to_string());
    }
    made.sort_by(|a, b| b.cmp(a));
    let first = app.get(&of(&tenant, "?limit=2")).await.ok();
    let cursor = first["next_cursor"].as_str().unwrap();
    // One that opens between two pages shifts nothing.
    let newest = app.text(&tenant, CUSTOMER, "hello").await;
    let second = app
        .get(&of(&tenant, &format!("?limit=2&cursor={cursor}")))
        .await
        .ok();
    let cursor = second["next_cursor"].as_str().unwrap();
    let third = app
        .get(&of(&tenant, &format!("?limit=2&cursor={cursor}")))
        .await
        .ok();
    assert_eq!([ids(&first), ids(&second), ids(&third)].concat(), made);
    assert_eq!(third.get("next_cursor"), None);
    assert_eq!(
        ids(&app.get(&of(&tenant, "?limit=1")).await.ok()),
        [newest.to_string()]
    );
}

#[tokio::test]
async fn texts_come_in_pages_by_sequence() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let mut id = app.text(&tenant, CUSTOMER, "text 1").await;
    for n in 2..=5 {
        id = app.text(&tenant, CUSTOMER, &format!("text {n}")).await;
    }
    let (mut seen, mut after) = (Vec::new(), 0);
    loop {
        let page = app
            .get(&of(&tenant, &format!("/{id}/messages?limit=2&after={after}")))
            .await
            .ok();
        seen.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|m| m["body"].as_str().unwrap().to_owned()),
        );
        match page["next_after"].as_i64() {
            Some(next) => after = next,
            None => break,
        }
    }
    assert_eq!(seen, ["text 1", "text 2", "text 3", "text 4", "text 5"]);
    let (mut seen, mut query) = (Vec::new(), "latest=true".to_owned());
    loop {
        let page = app
            .get(&of(&tenant, &format!("/{id}/messages?limit=2&{query}")))
            .await
            .ok();
        assert_eq!(page.get("next_after"), None);
        let items = page["items"].as_array().unwrap().iter();
        seen.push(items.map(|m| m["seq"].as_i64().unwrap()).collect::<Vec<_>>());
        match page["next_before"].as_i64() {
            Some(next) => query = format!("before={next}"),
            None => break,
        }
    }
    assert_eq!(
        seen,
        [vec![4, 5], vec![2, 3], vec![1]],
        "from the end, each page in order"
    );
}

#[tokio::test]
async fn a_query_that_cannot_be_read_names_its_field() {
    let app = App::start().await;
    let tenant = app.tenant("acme").await;
    let id = app.text(&tenant, CUSTOMER, "hello").await;
    let get = async |rest: &str| -> Answer { app.get(&of(&tenant, rest)).await };
    for (query, field) in [
        ("customer=353861234567", "customer"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=many", "limit"),
        ("cursor=bm9uc2Vuc2U", "cursor"),
    ] {
        assert_eq!(get(&format!("?{query}")).await.problem(400), field, "{query}");
    }
    for (query, field) in [
        ("limit=0", "limit"),
        ("after=x", "after"),
        ("after=1&latest=true", "after"),
        ("after=1&before=3", "after"),
        ("before=0", "before"),
    ] {
        assert_eq!(
            get(&format!("/{id}/messages?{query}")).await.problem(400),
            field,
            "{query}"
        );
    }
    assert_eq!(get("?custmer=72345").await.status, 400);
    assert_eq!(get("/not-an-id").await.problem(400), "conversation");
    let nobody: ConversationId = app.deps.ids.next();
    get(&format!("/{nobody}")).await.problem(404);
    get(&format!("/{nobody}/messages")).await.problem(404);
}
