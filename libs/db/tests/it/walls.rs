//! Tenants do not see each other, whatever a query forgets.

use crate::rig::{Rig, Tenant, connect, incoming};
use ccm_db::{DbError, Names, NewNumber, NewSkillset};
use sqlx::{AssertSqlSafe, Executor, PgConnection, Row};
use std::collections::BTreeSet;

/// Tables that hold nothing of a tenant.
const NOT_OF_A_TENANT: [&str; 5] = [
    "_sqlx_migrations",
    "database_life",
    "pod",
    "process",
    "usage_count",
];

/// Functions that run with the owner's rights, each attacked by tests of its own.
const OWNED: [&str; 4] = [
    "audit_change",
    "drop_empty_month",
    "keep_months",
    "search_messages",
];

const ROLES: [&str; 4] = ["ccm_app", "ccm_system", "ccm_app_login", "ccm_system_login"];

/// The column that names the tenant.
fn tenant_column(table: &str) -> &'static str {
    if table == "tenant" { "id" } else { "tenant_id" }
}

pub async fn tenant_tables(rig: &Rig) -> Vec<String> {
    let tables = rig.tables().await;
    tables
        .into_iter()
        .filter(|t| !NOT_OF_A_TENANT.contains(&t.as_str()))
        .collect()
}

/// At least one row in every table.
pub async fn fill(rig: &Rig, tenant: Tenant, customer: u32) {
    let fence = rig.own(tenant.id).await;
    let (conversation, chat) = rig.chat(tenant, &fence, customer).await;
    rig.text(tenant, customer).await;
    rig.say(&fence, conversation, chat).await;
    let db = rig.db.tenant(tenant.id);
    db.create_auth_key(ccm_db::NewAuthKey {
        id: crate::rig::IDS.next(),
        name: "key",
        prefix: "abcd",
        lookup_hash: &[customer as u8; 32],
        expires_at: None,
        networks: &[],
        uses: ccm_model::KeyUse::ALL,
    })
    .await
    .unwrap();
    db.put_settings::<ccm_model::ChatSettings>(&ccm_model::ChatSettings::default(), None)
        .await
        .unwrap();
    crate::access::fill(rig, tenant, customer).await;
    crate::texts::fill(rig, tenant, customer).await;
    db.create_webhook_secret(crate::rig::IDS.next(), "secret", "whsec_")
        .await
        .unwrap();
    crate::webhooks::fill(&rig.db, tenant).await;
    crate::looks::fill(&rig.db, tenant).await;
    crate::number_lookups::fill(rig, tenant, customer).await;
    crate::doctor_reports::fill(&rig.db, tenant).await;
    crate::deflections::fill(rig, tenant, customer).await;
    crate::link_certificates::fill(&rig.db, tenant).await;
    crate::keeping::fill(rig, tenant, customer).await;
    let template = ccm_db::Template {
        name: "hello".to_owned(),
        body: "Hello from {agent}".to_owned(),
        scope: ccm_db::TemplateScope::Skillset(tenant.skillset),
        language: None,
    };
    let new_move = ccm_db::NewNumberMove {
        id: crate::rig::IDS.next(),
        number: tenant.number,
        to: ccm_db::Destination {
            tenant: None,
            account: tenant.account,
        },
        at: crate::rig::now() + time::Duration::DAY,
        by: "somebody",
        now: crate::rig::now(),
    };
    db.plan_number_move(new_move).await.unwrap();
    db.create_template(crate::rig::IDS.next(), &template)
        .await
        .unwrap();
    crate::pops::fill(&rig.db, tenant).await;
    db.put_routing(&serde_json::json!({}), &Names::default(), None)
        .await
        .unwrap();
    let link = crate::links::watched(&rig.db, tenant, &fence).await;
    assert_eq!(link, tenant.link);
    let operator = rig.db.operator();
    let now = crate::rig::now();
    assert!(operator.count_usage(now.date(), now).await.unwrap());
    db.put_caps(ccm_db::Caps::default(), None, now).await.unwrap();
    let deletion = ccm_db::NewDeletion {
        id: crate::rig::IDS.next(),
        reason: "contract has ended",
        by: "mary",
        grace_days: 30,
        at: crate::rig::now(),
    };
    operator.begin_deletion(tenant.id, deletion).await.unwrap();
    operator
        .restore_tenant(tenant.id, "mary", crate::rig::now())
        .await
        .unwrap();
    rig.run(&format!(
        "INSERT INTO tenant_event (id, tenant_id, kind, at) VALUES (gen_random_uuid(), '{}', 'test', now())",
        tenant.id
    ))
    .await;
    rig.run(&format!(
        "INSERT INTO timer (id, tenant_id, kind, due_at) VALUES (gen_random_uuid(), '{}', 'test', now())",
        tenant.id
    ))
    .await;
}

/// What may be deleted: rows of tenants that are purged, of conversations and of numbers that are taken away.
async fn purge_only(rig: &Rig, table: &str, own: &str) -> String {
    let mut allowed = vec![own.replace("app_tenants", "app_purged_tenants")];
    let columns = [
        ("conversation_id", "app_removed_conversations", "uuid"),
        ("customer_address", "app_removed_addresses", "text"),
    ];
    for (column, function, kind) in columns {
        let here = match (table, column) {
            ("conversation", "conversation_id") => "id",
            _ => column,
        };
        let there = format!(
            "SELECT count(*) FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attname = '{column}' AND NOT attisdropped"
        );
        if here != column || rig.count(&there).await == 1 {
            allowed.push(format!(
                "({here} = ANY (( SELECT {function}() AS {function})::{kind}[]))"
            ));
        }
    }
    if table == "deflection" {
        let by_id = "(id = ANY (( SELECT app_removed_deflections() AS app_removed_deflections)::uuid[]))";
        allowed.push(by_id.to_owned());
    }
    match &allowed[..] {
        [one] => one.clone(),
        several => format!("({})", several.join(" OR ")),
    }
}

async fn as_tenants(connection: &mut PgConnection, tenants: &str) {
    let set = format!("BEGIN; SELECT set_config('app.tenant_ids', '{tenants}', true)");
    connection.execute(AssertSqlSafe(set)).await.unwrap();
}

fn sqlstate(error: &sqlx::Error) -> String {
    let database = error
        .as_database_error()
        .unwrap_or_else(|| panic!("from the database: {error}"));
    database.code().unwrap_or_default().into_owned()
}

#[tokio::test]
async fn every_table_of_a_tenant_has_its_policy_forced() {
    let rig = Rig::new().await;
    for table in tenant_tables(&rig).await {
        let row = &rig
            .rows(&format!(
                "SELECT relrowsecurity, relforcerowsecurity,
                        EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attname = '{}' AND attnotnull)
                 FROM pg_class c WHERE oid = '{table}'::regclass",
                tenant_column(&table)
            ))
            .await[0];
        assert!(
            row.get::<bool, _>(2),
            "{table}: names no tenant; or add it to NOT_OF_A_TENANT"
        );
        assert!(row.get::<bool, _>(0), "{table}: row-level security is off");
        assert!(row.get::<bool, _>(1), "{table}: row-level security is not forced");

        let policies = rig
            .rows(&format!(
                "SELECT polname::text, polcmd::text, pg_get_expr(polqual, polrelid),
                        pg_get_expr(polwithcheck, polrelid), polpermissive,
                        ARRAY(SELECT rolname::text FROM pg_roles r WHERE r.oid = ANY (polroles))
                 FROM pg_policy WHERE polrelid = '{table}'::regclass"
            ))
            .await;
        let expected = format!(
            "({} = ANY (( SELECT app_tenants() AS app_tenants)::uuid[]))",
            tenant_column(&table)
        );
        let mut of_app = 0;
        for policy in &policies {
            let name: &str = policy.get(0);
            let roles: Vec<String> = policy.get(5);
            if name == "writer" && ["audit_entry", "audit_head"].contains(&table.as_str()) {
                // The owner's trigger writes the audit; the owner by himself sees none of it.
                let in_a_trigger = "(pg_trigger_depth() > 0)";
                assert_eq!(policy.get::<Option<&str>, _>(2), Some(in_a_trigger), "{table}");
                assert_eq!(roles, ["ccm_owner"], "{table}");
                continue;
            }
            if roles == ["ccm_system"] {
                continue; // what it can see is held by `the_system_role_reads_these_columns_only`
            }
            if name == "purge_only" {
                let purged = purge_only(&rig, &table, &expected).await;
                assert_eq!(policy.get::<Option<&str>, _>(2), Some(purged.as_str()), "{table}");
                assert_eq!(policy.get::<&str, _>(1), "d", "{table}");
                assert!(!policy.get::<bool, _>(4), "{table}: it must restrict");
                assert_eq!(roles, ["ccm_app"], "{table}");
                continue;
            }
            assert_eq!(roles, ["ccm_app"], "{table}.{name}");
            assert_eq!(
                policy.get::<&str, _>(1),
                "*",
                "{table}.{name} is for all commands"
            );
            assert!(policy.get::<bool, _>(4), "{table}.{name}");
            assert_eq!(
                policy.get::<Option<&str>, _>(2),
                Some(expected.as_str()),
                "{table}.{name}"
            );
            assert_eq!(
                policy.get::<Option<&str>, _>(3),
                None,
                "{table}.{name}: USING checks writes too"
            );
            of_app += 1;
        }
        assert_eq!(of_app, 1, "{table}: one policy for ccm_app");
        if !ccm_db::KEPT.contains(&table.as_str()) {
            let purged = format!("SELECT has_table_privilege('ccm_app', '{table}', 'DELETE')::int::bigint");
            assert_eq!(
                rig.count(&purged).await,
                1,
                "{table}: a tenant that is deleted cannot be taken out of it; call purge_table in the migration"
            );
        }
    }
}

#[tokio::test]
async fn nothing_leads_around_the_policies() {
    let rig = Rig::new().await;
    for role in ROLES {
        let row = &rig
            .rows(&format!(
                "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication,
                        has_schema_privilege(oid, 'public', 'CREATE'),
                        ARRAY(SELECT m.roleid::regrole::text FROM pg_auth_members m WHERE m.member = r.oid)
                 FROM pg_roles r WHERE rolname = '{role}'"
            ))
            .await[0];
        for (n, what) in [
            "superuser",
            "BYPASSRLS",
            "CREATEROLE",
            "CREATEDB",
            "REPLICATION",
            "CREATE on public",
        ]
        .iter()
        .enumerate()
        {
            assert!(!row.get::<bool, _>(n), "{role} has {what}");
        }
        let groups: Vec<String> = row.get(6);
        let expected: Vec<&str> = role.strip_suffix("_login").into_iter().collect();
        assert_eq!(groups, expected, "{role} is a member of");
    }
    let around = rig
        .rows(
            "SELECT proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef
             UNION ALL SELECT relname::text FROM pg_class
             WHERE relnamespace = 'public'::regnamespace AND relkind IN ('v', 'm', 'f') ORDER BY 1",
        )
        .await;
    let around: Vec<&str> = around.iter().map(|r| r.get(0)).collect();
    // The audit's trigger, which nobody but the owner can put on a table.
    assert_eq!(
        around, OWNED,
        "views and SECURITY DEFINER functions run with their owner's rights"
    );
    for role in ROLES {
        let may =
            format!("SELECT has_function_privilege('{role}', 'audit_change()', 'EXECUTE')::int::bigint");
        assert_eq!(rig.count(&may).await, 0, "{role}");
    }
    let mut app = connect(rig.test.app_url()).await;
    let denied = app
        .execute("SELECT ensure_message_partitions(now()::date, 1)")
        .await
        .unwrap_err();
    assert_eq!(sqlstate(&denied), "42501");
}

#[tokio::test]
async fn a_tenant_sees_and_changes_its_own_rows_only() {
    let rig = Rig::new().await;
    let (a, b) = (rig.tenant(1).await, rig.tenant(2).await);
    fill(&rig, a, 1).await;
    fill(&rig, b, 2).await;
    let mut app = connect(rig.test.app_url()).await;
    for table in tenant_tables(&rig).await {
        let column = tenant_column(&table);
        let counts = |tenants: &str| format!("SELECT count(*) FROM {table} WHERE {column} IN ({tenants})");
        let of_b = rig.count(&counts(&format!("'{}'", b.id))).await;
        assert!(of_b > 0, "{table}: nothing of B to be seen; extend `fill`");

        as_tenants(&mut app, "").await;
        let seen: i64 = sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {table}")))
            .fetch_one(&mut app)
            .await
            .unwrap();
        assert_eq!(seen, 0, "{table}: without a tenant");
        app.execute("ROLLBACK").await.unwrap();

        as_tenants(&mut app, &a.id.to_string()).await;
        let seen = sqlx::query(AssertSqlSafe(format!("SELECT {column} FROM {table}")))
            .fetch_all(&mut app)
            .await;
        let seen: BTreeSet<uuid::Uuid> = seen.unwrap().iter().map(|r| r.get(0)).collect();
        assert_eq!(seen, BTreeSet::from([a.id.0]), "{table}: under A");
        app.execute("ROLLBACK").await.unwrap();

        as_tenants(&mut app, &format!("{},{}", a.id, b.id)).await;
        let seen: i64 = sqlx::query_scalar(AssertSqlSafe(format!(
            "SELECT count(DISTINCT {column}) FROM {table}"
        )))
        .fetch_one(&mut app)
        .await
        .unwrap();
        assert_eq!(seen, 2, "{table}: under both");
        app.execute("ROLLBACK").await.unwrap();

        cannot_write(&rig, &mut app, &table, a, b).await;
    }
}

/// As A: a row of B is neither changed, taken away, brought in, nor is one of A's handed over.
async fn cannot_write(rig: &Rig, app: &mut PgConnection, table: &str, a: Tenant, b: Tenant) {
    let column = tenant_column(table);
    let before = rig.everything().await;
    let may =
        |what: &str| format!("SELECT has_any_column_privilege('ccm_app', '{table}', '{what}')::int::bigint");
    let (inserts, updates) = (
        rig.count(&may("INSERT")).await == 1,
        rig.count(&may("UPDATE")).await == 1,
    );
    let row: String = rig
        .rows(&format!(
            "SELECT to_jsonb(t)::text FROM {table} t WHERE {column} = '{}'",
            b.id
        ))
        .await[0]
        .get(0);
    let attempts = [
        format!("INSERT INTO {table} SELECT * FROM jsonb_populate_record(NULL::{table}, $${row}$$)"),
        format!(
            "UPDATE {table} SET {column} = '{}' WHERE {column} = '{}'",
            b.id, a.id
        ),
        format!(
            "UPDATE {table} SET {column} = {column} WHERE {column} = '{}'",
            b.id
        ),
        format!("DELETE FROM {table} WHERE {column} = '{}'", b.id),
    ];
    for (n, sql) in attempts.into_iter().enumerate() {
        as_tenants(app, &a.id.to_string()).await;
        match app.execute(AssertSqlSafe(sql.as_str())).await {
            Ok(done) => assert!(n >= 2 && done.rows_affected() == 0, "went through: {sql}"),
            Err(e) => {
                assert_eq!(sqlstate(&e), "42501", "{sql}: {e}");
                let by_policy = e.to_string().contains("row-level security");
                assert!(by_policy || !(n == 0 && inserts), "{sql}: {e}");
                // `lease` lets one column be updated, for its lock.
                assert!(
                    by_policy || !(n == 1 && updates && table != "lease"),
                    "{sql}: {e}"
                );
            }
        }
        app.execute("ROLLBACK").await.unwrap();
    }
    assert_eq!(rig.everything().await, before, "{table}");
}

#[tokio::test]
async fn references_stay_inside_a_tenant() {
    let rig = Rig::new().await;
    let (a, b) = (rig.tenant(1).await, rig.tenant(2).await);
    let db = rig.db.tenant(a.id);
    let skillset = db.create_skillset(NewSkillset {
        id: crate::rig::IDS.next(),
        link: b.link,
        name: "other",
    });
    assert!(matches!(
        skillset.await,
        Err(DbError::Conflict { missing: true, .. })
    ));
    let address = crate::rig::address(77);
    for (account, skillset) in [(b.account, a.skillset), (a.account, b.skillset)] {
        let number = db.create_number(NewNumber {
            id: crate::rig::IDS.next(),
            address: &address,
            account,
            skillset,
            per_second: 1.0,
            second_account: None,
            kind: ccm_model::NumberKind::LongCode,
        });
        assert!(matches!(
            number.await,
            Err(DbError::Conflict { missing: true, .. })
        ));
    }
    let mut text = incoming(a, 1);
    text.route.number = b.number;
    let accepted = rig.db.batch().accept(&[text]).await;
    assert!(
        matches!(accepted, Err(DbError::Conflict { missing: true, .. })),
        "{accepted:?}"
    );
    assert!(matches!(
        rig.db.tenant(b.id).account_secret(a.account).await,
        Err(DbError::NotFound(_))
    ));
}

#[tokio::test]
async fn partitions_cannot_be_read_directly() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    rig.text(tenant, 1).await;
    let partitions = rig
        .rows("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'message'::regclass ORDER BY 1")
        .await;
    let partitions: Vec<&str> = partitions.iter().map(|r| r.get(0)).collect();
    assert!(
        partitions.contains(&"message_other") && partitions.len() > 12,
        "{partitions:?}"
    );
    let rights = rig
        .rows(
            "SELECT r.rolname || ' on ' || i.inhrelid::regclass FROM pg_inherits i CROSS JOIN pg_roles r
             WHERE i.inhparent = 'message'::regclass AND r.rolname LIKE ANY (ARRAY['ccm_app%', 'ccm_system%'])
               AND (has_table_privilege(r.oid, i.inhrelid,
                      'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
                 OR has_any_column_privilege(r.oid, i.inhrelid, 'SELECT, INSERT, UPDATE, REFERENCES'))",
        )
        .await;
    let rights: Vec<&str> = rights.iter().map(|r| r.get(0)).collect();
    assert_eq!(rights, [""; 0]);
    for url in [rig.test.app_url(), rig.test.system_url()] {
        let mut login = connect(url).await;
        for partition in &partitions {
            as_tenants(&mut login, &tenant.id.to_string()).await;
            let read = login
                .execute(AssertSqlSafe(format!("SELECT id FROM {partition}")))
                .await;
            assert_eq!(sqlstate(&read.unwrap_err()), "42501", "{partition}");
            login.execute("ROLLBACK").await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_system_role_reads_these_columns_only() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    fill(&rig, tenant, 1).await;
    let readable = rig
        .rows(
            "SELECT c.relname::text || '.' || a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
             WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0
               AND NOT a.attisdropped AND has_column_privilege('ccm_system_login', c.oid, a.attnum, 'SELECT')
               AND c.relname NOT IN ('tenant', 'tenant_deletion', 'usage_day', 'usage_count', 'pod', 'process', 'database_life', 'lease',
                                     'outbox_line')
               -- Who may come in is looked up before a tenant is known.
               AND c.relname NOT IN ('api_key', 'app_user', 'audit_entry', 'audit_head', 'idempotent_request', 'session')
             ORDER BY 1",
        )
        .await;
    let readable: Vec<&str> = readable.iter().map(|r| r.get(0)).collect();
    assert_eq!(
        readable,
        [
            "account_event.account_id",
            "account_event.at",
            "account_event.id",
            "account_event.kind",
            "account_event.tenant_id",
            "auth_key.expires_at",
            "auth_key.id",
            "auth_key.lookup_hash",
            "auth_key.networks",
            "auth_key.revoked_at",
            "auth_key.tenant_id",
            "auth_key.uses",
            "chat.closed_at",
            "chat.id",
            "chat.opened_at",
            "chat.state",
            "chat.tenant_id",
            "dead_letter.code",
            "dead_letter.id",
            "dead_letter.resolution",
            "deflection.answered_at",
            "deflection.asked_at",
            "deflection.due_at",
            "deflection.id",
            "deflection.tenant_id",
            "deflection.token_hash",
            "doctor_report.id",
            "doctor_report.made_at",
            "doctor_report.share_hash",
            "doctor_report.share_until",
            "doctor_report.tenant_id",
            "erasure.due_at",
            "erasure.id",
            "erasure.state",
            "erasure.tenant_id",
            "inbound_content.account_id",
            "inbound_content.hash",
            "inbound_content.seen_at",
            "inbound_dedup.account_id",
            "inbound_dedup.provider_message_id",
            "inbound_dedup.seen_at",
            "inbound_part.due_at",
            "inbound_part.tenant_id",
            "inbox.message_id",
            "inbox.tenant_id",
            "legal_hold.id",
            "legal_hold.released_at",
            "legal_hold.tenant_id",
            "link_state.link_id",
            "link_state.since",
            "link_state.state",
            "link_state.tenant_id",
            "link_state.updated_at",
            "message.direction",
            "message.id",
            "message.origin",
            "message.segments",
            "message.state",
            "message.tenant_id",
            "number.account_id",
            "number.address",
            "number.id",
            "number.released_at",
            "number.second_account_id",
            "number.tenant_id",
            "number_move.at",
            "number_move.id",
            "number_move.state",
            "number_move.tenant_id",
            "number_move.to_tenant_id",
            "outbox.created_at",
            "outbox.message_id",
            "outbox.tenant_id",
            "provider_account.id",
            "provider_account.kind",
            "provider_account.tenant_id",
            "provider_message.account_id",
            "provider_message.created_at",
            "provider_message.provider_message_id",
            "retention_run.due_at",
            "retention_run.tenant_id",
            "screenpop_session.auth_key_id",
            "screenpop_session.expires_at",
            "screenpop_session.id",
            "screenpop_session.tenant_id",
            "screenpop_session.token_hash",
            "screenpop_signing_key.id",
            "screenpop_signing_key.tenant_id",
            "text_look.actor",
            "text_look.at",
            "text_look.id",
            "text_look.tenant_id",
            "text_look.what",
            "timer.due_at",
            "timer.id",
            "timer.kind",
            "timer.tenant_id",
            "webhook.events",
            "webhook.id",
            "webhook.paused_until",
            "webhook.state",
            "webhook.tenant_id",
            "webhook_delivery.at",
            "webhook_delivery.id",
            "webhook_delivery.next_at",
            "webhook_delivery.tenant_id",
            "webhook_delivery.webhook_id",
        ]
    );
    let mut system = connect(rig.test.system_url()).await;
    for sql in [
        "SELECT body FROM message",
        "SELECT * FROM inbox",
        "SELECT * FROM outbox",
        "SELECT * FROM conversation",
        "SELECT key_sealed FROM chat",
        "SELECT secret_sealed FROM provider_account",
        "SELECT * FROM provider_account",
        "SELECT sealed FROM tenant_key",
        "SELECT payload FROM timer",
        "SELECT host FROM ewc_link",
        "SELECT report FROM doctor_report",
        "SELECT number_sealed FROM erasure",
        "SELECT customer_address FROM legal_hold",
        "SELECT key_sealed FROM link_client_key",
        "SELECT number FROM screenpop_session",
        "SELECT secret_sealed FROM screenpop_signing_key",
        "SELECT secret_sealed FROM webhook",
        "SELECT url FROM webhook",
        "SELECT customer_address FROM webhook_delivery",
        "SELECT tries FROM webhook_delivery",
        "UPDATE outbox_line SET tenant_id = tenant_id",
        "DELETE FROM outbox_line",
        "DELETE FROM tenant",
        "UPDATE number SET address = address",
    ] {
        as_tenants(&mut system, &tenant.id.to_string()).await;
        assert_eq!(
            sqlstate(&system.execute(sql).await.unwrap_err()),
            "42501",
            "{sql}"
        );
        system.execute("ROLLBACK").await.unwrap();
    }
    let seen: i64 = sqlx::query_scalar("SELECT count(tenant_id) FROM provider_account")
        .fetch_one(&mut system)
        .await
        .unwrap();
    assert_eq!(seen, 1, "what it may read, it sees of every tenant");
}
