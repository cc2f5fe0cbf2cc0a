//! The audit's chains: whole, and written by changes alone.

use crate::{
    access::{actor, chain, key, last},
    rig::{IDS, Rig, connect, now},
};
use ccm_db::{AUDIT_BEGINS, AuditHead, DoctorReportRow, Names, NewApiKey, Replay, Replayed, Unrouted};
use ccm_testkit::canary;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor, Row};
use time::Duration;

#[tokio::test]
async fn a_change_of_the_chain_is_found_and_the_services_cannot_make_one() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let rows = chain(rig.db.access(tenant.id)).await;
    assert!(rows.len() >= 5);
    let mut before = AUDIT_BEGINS;
    for (n, row) in rows.iter().enumerate() {
        assert_eq!(row.seq, n as i64 + 1);
        assert_eq!(row.expected_hash(&before), row.hash);
        before = row.hash;
    }
    for url in [rig.test.app_url(), rig.test.system_url()] {
        let mut login = connect(url).await;
        for sql in [
            "UPDATE audit_entry SET actor = 'nobody'".to_owned(),
            "DELETE FROM audit_entry".to_owned(),
            "TRUNCATE audit_entry".to_owned(),
            "UPDATE audit_head SET seq = 1".to_owned(),
            "DELETE FROM audit_head".to_owned(),
            format!(
                "INSERT INTO audit_entry SELECT tenant_id, 1000, record, hash, at, actor, kind, object_id FROM audit_entry
                 WHERE tenant_id = '{}' LIMIT 1",
                tenant.id
            ),
        ] {
            let set = format!("BEGIN; SELECT set_config('app.tenant_ids', '{}', true)", tenant.id);
            login.execute(AssertSqlSafe(set)).await.unwrap();
            let refused = login.execute(AssertSqlSafe(sql.as_str())).await.unwrap_err();
            assert_eq!(refused.as_database_error().unwrap().code().as_deref(), Some("42501"), "{sql}");
            login.execute("ROLLBACK").await.unwrap();
        }
    }
    // Somebody who owns the database can; the chain tells.
    rig.run("ALTER TABLE audit_entry DISABLE TRIGGER USER").await;
    rig.run(&format!(
        "UPDATE audit_entry SET record = replace(record, 'ccm_', 'xxx_') WHERE tenant_id = '{}' AND seq = 2",
        tenant.id
    ))
    .await;
    let forged = chain(rig.db.access(tenant.id)).await;
    assert_ne!(forged[1].expected_hash(&forged[0].hash), forged[1].hash);
}

#[tokio::test]
async fn changes_at_once_make_one_chain() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let before = chain(rig.db.access(tenant.id)).await.len();
    let made = (0..16u8).map(|n| {
        let db = rig.db.clone();
        tokio::spawn(async move {
            let name = format!("key {n}");
            let hash = [n + 1; 32];
            let new = NewApiKey {
                name: &name,
                ..key(&hash)
            };
            db.access(tenant.id).create_api_key(new).await.unwrap();
        })
    });
    for made in made.collect::<Vec<_>>() {
        made.await.unwrap();
    }
    let rows = chain(rig.db.access(tenant.id)).await;
    assert_eq!(rows.len(), before + 16);
    for pair in rows.windows(2) {
        assert_eq!(pair[1].expected_hash(&pair[0].hash), pair[1].hash);
    }
}

/// A column that is added later is audited too, or passed over by name.
#[tokio::test]
async fn every_column_of_an_audited_table_is_watched_or_named() {
    let rig = Rig::new().await;
    let rows = rig
        .rows(
            "SELECT t.tgrelid::regclass::text, a.attname::text FROM pg_trigger t
               JOIN pg_attribute a ON a.attrelid = t.tgrelid AND a.attnum > 0 AND NOT a.attisdropped
             WHERE t.tgname = 'audit' AND a.attnum <> ALL (t.tgattr::int2[])
             ORDER BY 1, 2",
        )
        .await;
    let unwatched: Vec<String> = rows
        .iter()
        .map(|row| format!("{}.{}", row.get::<&str, _>(0), row.get::<&str, _>(1)))
        .collect();
    assert_eq!(
        unwatched,
        [
            "api_key.last_used_at",
            "app_user.last_seen_at",
            "app_user.updated_at",
            "auth_key.last_used_at",
            "chat_settings.updated_at",
            "dead_letter.account_id",
            "dead_letter.body",
            "dead_letter.code",
            "dead_letter.conversation_id",
            "dead_letter.created_at",
            "dead_letter.customer_address",
            "dead_letter.detail",
            "dead_letter.id",
            "dead_letter.kind",
            "dead_letter.message_id",
            "dead_letter.our_address",
            "dead_letter.provider_message_id",
            "dead_letter.tenant_id",
            "deflection_settings.updated_at",
            "doctor_report.id",
            "doctor_report.link_id",
            "doctor_report.made_at",
            "doctor_report.made_by",
            "doctor_report.outcome",
            "doctor_report.report",
            "doctor_report.tenant_id",
            "ewc_link.updated_at",
            "number.next_at",
            "provider_account.next_at",
            "provider_account.signature_mismatch_at",
            "provider_account.signature_mismatches",
            "provider_account.updated_at",
            "retention_settings.updated_at",
            "routing_settings.updated_at",
            "screenpop_settings.updated_at",
            "session.last_used_at",
            "sms_cap.day",
            "sms_cap.day_segments",
            "sms_cap.day_told",
            "sms_cap.month",
            "sms_cap.month_segments",
            "sms_cap.month_told",
            "sms_cap.updated_at",
            "sms_settings.next_at",
            "sms_settings.updated_at",
            "template.updated_at",
            "tenant.updated_at",
            "webhook.failing_since",
            "webhook.paused_until",
            "webhook.updated_at",
        ],
        "have a migration call audit_table again for a table that has got another column"
    );
}

/// Neither by a statement, nor by a trigger of their own, nor by a table of their own under the audit's trigger.
#[tokio::test]
async fn the_services_cannot_have_an_entry_written() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let before = chain(rig.db.access(tenant.id)).await.len();
    for url in [rig.test.app_url(), rig.test.system_url()] {
        for (sql, last) in [
            (
                "CREATE TEMP TABLE mine (a int);
                 CREATE FUNCTION pg_temp.forge() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                   INSERT INTO audit_entry SELECT tenant_id, 1000 + seq, record, hash, at, actor, kind, object_id FROM audit_entry;
                   RETURN NULL;
                 END $$;
                 CREATE TRIGGER forge AFTER INSERT ON mine EXECUTE FUNCTION pg_temp.forge()",
                "INSERT INTO mine VALUES (1)",
            ),
            (
                "CREATE TEMP TABLE tenant (id uuid, name text)",
                "CREATE TRIGGER forge AFTER INSERT ON pg_temp.tenant
                 FOR EACH ROW EXECUTE FUNCTION audit_change('tenant', '{}', '{}')",
            ),
            ("SELECT 1", "SELECT audit_table('conversation', 'conversation', '{}', '{}')"),
        ] {
            let mut login = connect(url).await;
            let set = format!("BEGIN; SELECT set_config('app.tenant_ids', '{}', true); {sql}", tenant.id);
            login.execute(AssertSqlSafe(set)).await.unwrap();
            let refused = login.execute(last).await.unwrap_err();
            assert_eq!(refused.as_database_error().unwrap().code().as_deref(), Some("42501"), "{last}: {refused}");
        }
    }
    assert_eq!(chain(rig.db.access(tenant.id)).await.len(), before);
    // Nor does the owner see or write anything by himself.
    let mut owner = connect(rig.test.owner_url()).await;
    let seen: i64 =
        sqlx::query_scalar("SELECT (SELECT count(*) FROM audit_entry) + (SELECT count(*) FROM audit_head)")
            .fetch_one(&mut owner)
            .await
            .unwrap();
    assert_eq!(seen, 0);
}

/// What somebody can do who owns the server, without the triggers.
async fn superuser(rig: &Rig, sql: &str) {
    let mut login = connect(rig.test.superuser_url()).await;
    let sql = format!("BEGIN; SET LOCAL session_replication_role = replica; {sql}; COMMIT");
    login.execute(AssertSqlSafe(sql)).await.unwrap();
}

#[tokio::test]
async fn an_entry_is_found_by_what_it_says() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let mary = actor("mary");
    rig.db
        .tenant(tenant.id)
        .by(&mary)
        .put_routing(&json!({}), &Names::default(), None)
        .await
        .unwrap();
    let rows = chain(rig.db.access(tenant.id)).await;
    assert!(rows.iter().all(ccm_db::AuditRow::is_found_by_its_record));
    let seq = rows.last().unwrap().seq;
    for column in [
        "actor = 'nobody'",
        "kind = 'link'",
        "at = at + interval '1 microsecond'",
        "object_id = gen_random_uuid()",
    ] {
        superuser(
            &rig,
            &format!(
                "CREATE TABLE kept AS SELECT * FROM audit_entry;
                 UPDATE audit_entry SET {column} WHERE tenant_id = '{}' AND seq = {seq}",
                tenant.id
            ),
        )
        .await;
        let rows = chain(rig.db.access(tenant.id)).await;
        assert!(!rows.last().unwrap().is_found_by_its_record(), "{column}");
        superuser(
            &rig,
            "DELETE FROM audit_entry; INSERT INTO audit_entry SELECT * FROM kept; DROP TABLE kept",
        )
        .await;
    }
}

#[tokio::test]
async fn an_end_that_was_cut_off_leaves_a_gap() {
    let rig = Rig::new().await;
    let (tenant, other) = (rig.tenant(1).await, rig.tenant(2).await);
    let db = rig.db.access(tenant.id);
    let rows = chain(db).await;
    let end = rows.last().unwrap().head();
    assert_eq!(db.audit_head().await.unwrap(), Some(end));
    let cut = format!(
        "DELETE FROM audit_entry WHERE tenant_id = '{}' AND seq > {}",
        tenant.id,
        end.seq - 2
    );
    superuser(&rig, &cut).await;
    assert_eq!(db.audit_head().await.unwrap(), Some(end), "the mark stays");
    db.create_api_key(key(&[1; 32])).await.unwrap();
    let rows = chain(db).await;
    let [.., before, after] = &rows[..] else {
        panic!("two")
    };
    assert_eq!((before.seq, after.seq), (end.seq - 2, end.seq + 1));
    assert_eq!(after.expected_hash(&end.hash), after.hash);

    // How far all of them have come, over pages.
    let operator = rig.db.operator();
    let heads = operator
        .audit_heads(now() - Duration::HOUR, None, 1)
        .await
        .unwrap();
    assert_eq!(heads[0].0, tenant.id);
    let AuditHead { seq, hash } = heads[0].1;
    assert_eq!((seq, hash), (after.seq, after.hash));
    let rest = operator
        .audit_heads(now() - Duration::HOUR, Some(tenant.id), 9)
        .await
        .unwrap();
    assert_eq!(rest.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [other.id]);
    let none = operator
        .audit_heads(now() + Duration::HOUR, None, 9)
        .await
        .unwrap();
    assert_eq!(none, []);
}

/// As `ccm migrate` does it where there are chains already; what began before and commits later does no harm.
#[tokio::test]
async fn chains_of_before_get_their_marks() {
    let rig = Rig::new().await;
    let (a, b) = (rig.tenant(1).await, rig.tenant(2).await);
    let ends = [
        chain(rig.db.access(a.id)).await.last().unwrap().head(),
        chain(rig.db.access(b.id)).await.last().unwrap().head(),
    ];
    rig.run("DELETE FROM audit_head").await;
    let fill = include_str!("../../../../migrations/0171_audit_written_by_owner.sql");
    let (begin, end) = (
        fill.find("ALTER TABLE").unwrap(),
        fill.find("CREATE POLICY").unwrap(),
    );
    let mut owner = connect(rig.test.owner_url()).await;
    let fill = format!("BEGIN; {} COMMIT", &fill[begin..end]);
    owner.execute(AssertSqlSafe(fill)).await.unwrap();
    for (tenant, end) in [a.id, b.id].into_iter().zip(ends) {
        assert_eq!(rig.db.access(tenant).audit_head().await.unwrap(), Some(end));
    }
    // An entry that the trigger of before has written without the mark.
    rig.run(&format!(
        "UPDATE audit_head SET seq = 1, hash = sha256('') WHERE tenant_id = '{}'",
        a.id
    ))
    .await;
    rig.db.access(a.id).create_api_key(key(&[1; 32])).await.unwrap();
    let rows = chain(rig.db.access(a.id)).await;
    assert_eq!(
        rows.last().unwrap().expected_hash(&ends[0].hash),
        rows.last().unwrap().hash
    );
    assert_eq!(
        rig.db.access(a.id).audit_head().await.unwrap(),
        Some(rows.last().unwrap().head())
    );
}

#[tokio::test]
async fn sharing_a_report_is_told_without_what_opens_it() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let mary = actor("mary");
    let db = rig.db.tenant(tenant.id).by(&mary);
    let report = DoctorReportRow {
        id: IDS.next(),
        link: Some(tenant.link),
        outcome: "failed".to_owned(),
        report: json!({"steps": []}),
        made_by: "mary".to_owned(),
        made_at: now(),
        shared_until: None,
    };
    let before = chain(rig.db.access(tenant.id)).await.len();
    db.put_doctor_report(&report).await.unwrap();
    assert_eq!(
        chain(rig.db.access(tenant.id)).await.len(),
        before,
        "a report is no setting"
    );
    let until = now() + Duration::HOUR;
    db.share_doctor_report(report.id, b"first", until, "mary")
        .await
        .unwrap();
    let entry = last(&rig, tenant.id).await;
    assert_eq!(
        (&entry["kind"], &entry["id"], &entry["actor"]["sub"]),
        (&json!("doctor_report"), &json!(report.id), &json!("mary"))
    );
    assert_eq!(
        (&entry["before"]["share_hash"], &entry["after"]["share_hash"]),
        (&Value::Null, &json!("(secret)"))
    );
    assert!(
        entry["after"]["share_until"].is_string() && entry["after"].get("report").is_none(),
        "{entry}"
    );
    db.share_doctor_report(report.id, b"second", until, "mary")
        .await
        .unwrap();
    assert_eq!(
        last(&rig, tenant.id).await["after"]["share_hash"],
        "(secret, another)"
    );
    db.unshare_doctor_report(report.id).await.unwrap();
    assert_eq!(last(&rig, tenant.id).await["after"]["share_until"], Value::Null);
}

#[tokio::test]
async fn what_becomes_of_dead_letters_is_told_without_the_texts() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let mary = actor("mary");
    let db = rig.db.tenant(tenant.id).by(&mary);
    let (to, from) = (crate::rig::address(tenant.ours), crate::rig::address(900));
    let body = ccm_model::Body::new(canary::body(900)).unwrap();
    let mut letters = Vec::new();
    for _ in 0..2 {
        let id: uuid::Uuid = IDS.next();
        let text = Unrouted {
            id,
            account: tenant.account,
            provider_id: &id.to_string(),
            to: &to,
            from: &from,
            body: &body,
            code: "no_number",
            detail: "none of the account's numbers",
            at: now(),
        };
        assert!(db.keep_unrouted(&text).await.unwrap());
        letters.push(id);
    }
    let replay = Replay {
        message: IDS.next(),
        conversation: IDS.next(),
        by: "mary",
        at: now(),
        mend: ccm_db::Mend::default(),
    };
    let done = db.replay_dead_letter(letters[0], replay).await.unwrap();
    assert!(matches!(done, Replayed::Yes { .. }), "{done:?}");
    let entry = last(&rig, tenant.id).await;
    assert_eq!(
        (
            &entry["kind"],
            &entry["id"],
            &entry["after"]["resolution"],
            &entry["actor"]["sub"]
        ),
        (
            &json!("dead_letter"),
            &json!(letters[0]),
            &json!("replayed"),
            &json!("mary")
        )
    );
    assert!(db.discard_dead_letter(letters[1], "mary", now()).await.unwrap());
    assert_eq!(last(&rig, tenant.id).await["after"]["resolution"], "discarded");
    for row in chain(rig.db.access(tenant.id))
        .await
        .iter()
        .filter(|row| row.record.contains("dead_letter"))
    {
        for hidden in [body.as_str(), from.as_str(), to.as_str(), "no_number"] {
            assert!(!row.record.contains(hidden), "{}", row.record);
        }
    }
}
