//! Who changed what, and whether it can be believed.

use crate::app::App;
use ccm_model::TenantId;
use serde_json::{Value, json};

#[tokio::test]
async fn the_audit_tells_what_was_changed_and_proves_itself() {
    let app = App::start().await;
    let own = app.tenant("own").await;
    let here = format!("/v1/tenants/{}", own.id);
    let put = app
        .put(&format!("{here}/chat-settings"), json!({"language": "de"}))
        .await;
    assert_eq!(put.status, 200);
    app.put(&format!("{here}/chat-settings"), json!({"language": "fr"}))
        .await
        .ok();
    let listed = app.get(&format!("{here}/audit?kind=chat_settings")).await.ok();
    let newest = &listed["items"][0];
    assert_eq!(
        (&newest["action"], &newest["actor"]["role"]),
        (&json!("changed"), &json!("engineer"))
    );
    assert_eq!(newest["before"]["settings"]["language"], "de", "{newest}");
    assert_eq!(newest["after"]["settings"]["language"], "fr");
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    let page = app.get(&format!("{here}/audit?limit=1")).await.ok();
    let next = page["next_cursor"].as_str().unwrap();
    let second = app.get(&format!("{here}/audit?limit=1&cursor={next}")).await.ok();
    assert_eq!(
        second["items"][0]["seq"],
        json!(page["items"][0]["seq"].as_i64().unwrap() - 1)
    );
    let future = app
        .get(&format!("{here}/audit?from=2099-01-01T00:00:00Z"))
        .await
        .ok();
    assert_eq!(future["items"], json!([]));
    let nobody = app.get(&format!("{here}/audit?actor=nobody%00")).await;
    assert_eq!(nobody.problem(400), "actor");

    let verdict = app.get(&format!("{here}/audit/verify")).await.ok();
    assert_eq!(
        (&verdict["intact"], &verdict["broken_at"]),
        (&json!(true), &Value::Null)
    );
    let export = app.get(&format!("{here}/audit/export")).await;
    assert_eq!(export.content_type, "application/x-ndjson");
    let lines: Vec<Value> = export
        .text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    // The last line says that this is all, and where it ends.
    let (end, lines) = lines.split_last().unwrap();
    assert_eq!(
        *end,
        json!({"end": true, "seq": verdict["seq"], "hash": verdict["head"]})
    );
    assert_eq!(json!(lines.len()), verdict["entries"]);
    // Whoever has the export checks it without us.
    let mut head = vec![0u8; 32];
    for line in lines {
        let record = line["record"].as_str().unwrap();
        head = sha2::Digest::finalize(sha2::Digest::chain_update(
            <sha2::Sha256 as sha2::Digest>::new_with_prefix(&head),
            record,
        ))
        .to_vec();
        let hex: String = head.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(line["hash"], hex);
    }
    assert_eq!(lines.last().unwrap()["hash"], verdict["head"]);
    let rest = app.get(&format!("{here}/audit/export?after=2")).await;
    assert_eq!(rest.text.lines().count(), lines.len() - 2 + 1);
    let rest = app
        .get(&format!("{here}/audit/export?after={}", verdict["seq"]))
        .await;
    assert_eq!(
        serde_json::from_str::<Value>(&rest.text).unwrap(),
        *end,
        "nothing is new"
    );

    app.database
        .superuser_sql("ALTER TABLE audit_entry DISABLE TRIGGER USER")
        .unwrap();
    app.database
        .superuser_sql(&format!(
            "UPDATE audit_entry SET record = replace(record, '\"own\"', '\"mine\"') WHERE tenant_id = '{}' AND seq = 1",
            own.id
        ))
        .unwrap();
    let verdict = app.get(&format!("{here}/audit/verify")).await.ok();
    assert_eq!(
        (&verdict["intact"], &verdict["broken_at"], &verdict["because"]),
        (&json!(false), &json!(1), &json!("changed"))
    );

    crate::access::api_key(&app, None).await;
    let platform = app.get("/v1/audit").await.ok();
    assert_eq!(platform["items"][0]["kind"], "api_key");
    assert_eq!(platform["items"][0]["actor"]["role"], "platform-admin");
    assert_eq!(app.get("/v1/audit/verify").await.ok()["intact"], true);
    let nowhere = TenantId(app.deps.ids.next());
    app.get(&format!("/v1/tenants/{nowhere}/audit"))
        .await
        .problem_without_field(404);
}

/// What somebody can do who owns the server, without the triggers.
fn superuser(app: &App, sql: &str) {
    let sql = format!("BEGIN; SET LOCAL session_replication_role = replica; {sql}; COMMIT");
    app.database.superuser_sql(&sql).unwrap();
}

#[tokio::test]
async fn what_a_superuser_does_to_a_chain_is_found() {
    let app = App::start().await;
    let own = app.tenant("own").await;
    let id = own.id;
    let verify = format!("/v1/tenants/{id}/audit/verify");
    let found = async |query: &str| {
        let verdict = app.get(&format!("{verify}{query}")).await.ok();
        assert_eq!(verdict["intact"], verdict["broken_at"].is_null(), "{verdict}");
        (verdict["broken_at"].clone(), verdict["because"].clone())
    };
    let whole = (Value::Null, Value::Null);
    let head = app.get(&verify).await.ok();
    let last = head["seq"].as_i64().unwrap();
    let known = format!("?seq={last}&hash={}", head["head"].as_str().unwrap());
    assert_eq!(found("").await, whole);
    assert_eq!(found(&known).await, whole);
    superuser(
        &app,
        "CREATE TABLE kept AS SELECT * FROM audit_entry; CREATE TABLE kept_head AS SELECT * FROM audit_head",
    );

    let cut = format!(
        "DELETE FROM audit_entry WHERE tenant_id = '{id}' AND seq > {}",
        last - 1
    );
    let remarked = format!(
        "{cut}; UPDATE audit_head h SET seq = e.seq, hash = e.hash FROM audit_entry e
         WHERE h.tenant_id = '{id}' AND e.tenant_id = h.tenant_id AND e.seq = {}",
        last - 1
    );
    // Another name everywhere, each hash and the mark to fit.
    let rewritten = format!(
        "DO $$ DECLARE before bytea := decode(repeat('00', 32), 'hex'); n bigint; BEGIN
           FOR n IN 1..{last} LOOP
             UPDATE audit_entry SET record = replace(record, 'somebody', 'nobody') WHERE tenant_id = '{id}' AND seq = n;
             UPDATE audit_entry SET hash = sha256(before || convert_to(record, 'UTF8')), actor = record::jsonb #>> '{{actor,sub}}'
             WHERE tenant_id = '{id}' AND seq = n RETURNING hash INTO before;
           END LOOP;
           UPDATE audit_head SET hash = before WHERE tenant_id = '{id}';
         END $$"
    );
    let all = format!("DELETE FROM audit_entry WHERE tenant_id = '{id}'");
    for (sql, at, because, with_known) in [
        (
            format!("UPDATE audit_entry SET actor = 'nobody' WHERE tenant_id = '{id}' AND seq = 2"),
            2,
            "columns",
            "columns",
        ),
        (
            format!("UPDATE audit_entry SET kind = 'link' WHERE tenant_id = '{id}' AND seq = 1"),
            1,
            "columns",
            "columns",
        ),
        (
            format!("UPDATE audit_entry SET at = at - interval '1 day' WHERE tenant_id = '{id}' AND seq = 1"),
            1,
            "columns",
            "columns",
        ),
        (
            format!("DELETE FROM audit_entry WHERE tenant_id = '{id}' AND seq = 2"),
            2,
            "missing",
            "missing",
        ),
        (cut, last, "cut_off", "cut_off"),
        (all.clone(), 1, "cut_off", "cut_off"),
        (
            format!("{all}; DELETE FROM audit_head WHERE tenant_id = '{id}'"),
            1,
            "cut_off",
            "cut_off",
        ),
        // What no look at the database alone finds.
        (remarked, last, "", "cut_off"),
        (rewritten, last, "", "not_as_known"),
    ] {
        superuser(&app, &sql);
        let expected = |because: &str| match because {
            "" => whole.clone(),
            because => (json!(at), json!(because)),
        };
        assert_eq!(found("").await, expected(because), "{sql}");
        assert_eq!(found(&known).await, expected(with_known), "{sql}");
        superuser(
            &app,
            "DELETE FROM audit_entry; INSERT INTO audit_entry SELECT * FROM kept;
             DELETE FROM audit_head; INSERT INTO audit_head SELECT * FROM kept_head",
        );
    }
    assert_eq!(found(&known).await, whole);

    let zeros = "0".repeat(64);
    assert_eq!(found(&format!("?seq=0&hash={zeros}")).await, whole);
    assert_eq!(
        found(&format!("?seq=0&hash={}", "1".repeat(64))).await,
        (json!(0), json!("not_as_known"))
    );
    for (query, field) in [
        ("seq=1".to_owned(), "hash"),
        (format!("hash={zeros}"), "seq"),
        (format!("seq=-1&hash={zeros}"), "seq"),
        ("seq=1&hash=12".to_owned(), "hash"),
    ] {
        assert_eq!(
            app.get(&format!("{verify}?{query}")).await.problem(400),
            field,
            "{query}"
        );
    }
}
