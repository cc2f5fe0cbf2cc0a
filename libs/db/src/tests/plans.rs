//! The hot statements use their indexes under row-level security, with realistic amounts: see `tests/volume.sql`.
//!
//! Both ways of planning count: with the first calls' values, and once for all values, as Postgres does for a statement
//! that is prepared for long.

use crate::{
    accept, caps, chats, conversations, customer_texts, deflections, inbox, numbers, outbox, overview,
    platform, statistics, webhook_deliveries,
};
use ccm_testkit::TestDb;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};

/// Tables that grow with traffic, and numbers.
const LARGE: [&str; 13] = [
    "opt_out",
    "provider_message",
    "message",
    "conversation",
    "chat",
    "inbox",
    "outbox",
    "outbox_line",
    "number",
    "inbound_dedup",
    "timer",
    "deflection",
    "webhook_delivery",
];

struct Case {
    name: &'static str,
    sql: &'static str,
    /// What the parameters are, as SQL.
    values: &'static str,
    /// What the plan must say.
    says: &'static [&'static str],
    system: bool,
}

const fn case(
    name: &'static str,
    sql: &'static str,
    values: &'static str,
    says: &'static [&'static str],
) -> Case {
    Case {
        name,
        sql,
        values,
        says,
        system: false,
    }
}

const fn system(case: Case) -> Case {
    Case { system: true, ..case }
}

const CASES: &[Case] = &[
    case(
        "accept",
        accept::ACCEPT,
        "ARRAY[gen_random_uuid()], ARRAY[gen_random_uuid()], ARRAY[$tenant], ARRAY[$number], ARRAY[$account],
         ARRAY['SM1'], ARRAY['+14150000101'], ARRAY['+12120000001'], ARRAY['hello'], ARRAY[now()],
         ARRAY[NULL::timestamptz], ARRAY[NULL::text], ARRAY['text'], ARRAY[NULL::text], ARRAY[NULL::text],
         ARRAY[1::smallint]",
        &[
            "Conflict Arbiter Indexes: conversation_open",
            "Conflict Resolution: UPDATE",
        ],
    ),
    case(
        "conversations_to_serve",
        chats::TO_SERVE,
        "ARRAY[$tenant, $other], ARRAY[$tenant, $other]",
        &["inbox_tenant_id_conversation_id_seq_key", "chat_open_of_tenant"],
    ),
    case(
        "pending_texts",
        inbox::PENDING,
        "$tenant, $conversation, 0, 20",
        &[
            "inbox_tenant_id_conversation_id_seq_key",
            "Index Cond: (id = i.message_id)",
        ],
    ),
    case(
        "heard",
        chats::HEARD,
        "$tenant, $conversation, $chat",
        &["conversation_id = "],
    ),
    case(
        "messages",
        conversations::MESSAGES,
        "$tenant, $conversation, 0, now() - interval '1 day', 50",
        &["conversation_id = "],
    ),
    case(
        "last messages",
        conversations::LAST_MESSAGES,
        "$tenant, $conversation, 1000, now() - interval '1 day', 50",
        &["conversation_id = "],
    ),
    case(
        "conversations",
        conversations::CONVERSATIONS,
        "$tenant, $conversation, 50",
        &["conversation_newest"],
    ),
    case(
        "conversations of a customer",
        conversations::CONVERSATIONS_OF_CUSTOMER,
        "$tenant, '+12120000001', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 50",
        &["conversation_customer"],
    ),
    case(
        "history",
        conversations::HISTORY,
        "$tenant, '+12120000001', 50",
        &["conversation_customer", "conversation_id = "],
    ),
    case(
        "text_customer",
        customer_texts::OPEN_FOR_TEXT,
        "gen_random_uuid(), $tenant, $number, '+14150000101', '+12120000001', now(), '{}'::jsonb",
        &["Conflict Arbiter Indexes: conversation_open"],
    ),
    case(
        "begin_send's head",
        outbox::HEAD,
        "$tenant, $conversation",
        &[
            "outbox_tenant_id_conversation_id_seq_key",
            "Index Cond: (id = o.message_id)",
        ],
    ),
    case(
        "begin_send's marks",
        outbox::BEGIN_TEXT,
        "$tenant, $conversation, 0, 1::smallint, now(), $conversation, 30, $account",
        &["outbox_pkey", "Index Cond: (id = "],
    ),
    case(
        "finish_send's mark",
        outbox::SETTLE,
        "$tenant, $conversation, 'sent', NULL, NULL, NULL, now()",
        &["Index Cond: (id = "],
    ),
    case(
        "begin_send's moment",
        outbox::RESERVE,
        "$tenant, $number, 2, 1",
        &["Index Cond"],
    ),
    case(
        "begin_send's moment of several rates",
        outbox::RESERVE_ALL,
        "$tenant, $number, $account, true, 2, 1",
        &["Index Scan using number_"],
    ),
    case(
        "a text counted under its tenant's cap",
        caps::TAKE,
        "$tenant, now()::date, now()::date, 1, false",
        &["sms_cap_pkey"],
    ),
    case(
        "what a call was told before",
        deflections::OF_CONTACT,
        "$tenant, 'call-1', now() - interval '1 hour', '+12120000001'",
        &["Index Scan using deflection_"],
    ),
    case(
        "an offer's limits",
        deflections::COUNTS,
        "$tenant, '+12120000001', now() - interval '1 hour', 1, now() - interval '1 minute'",
        &["Index Scan using deflection_", "deflection_asked"],
    ),
    case(
        "how a deflection stands",
        deflections::SEEN,
        "$tenant, $conversation",
        &["deflection_pkey"],
    ),
    case(
        "what a caller has texted",
        deflections::HEARD_SINCE,
        "$tenant, $conversation, 1, now(), 20",
        &["message_"],
    ),
    system(case(
        "claim_deflections",
        deflections::CLAIM,
        "200, 15, now()",
        &["deflection_due", "deflection_pkey"],
    )),
    case(
        "deliveries",
        webhook_deliveries::DELIVERIES,
        "$tenant, $tenant, $conversation, 50, NULL, NULL, NULL, NULL",
        &["webhook_delivery_newest"],
    ),
    system(case(
        "claim_deliveries",
        webhook_deliveries::CLAIM,
        "now(), now(), 100, 4, ARRAY[$tenant], ARRAY[1]::bigint[], gen_random_uuid()",
        &["webhook_delivery_due", "webhook_delivery_pkey"],
    )),
    system(case(
        "oldest_due_delivery",
        webhook_deliveries::OLDEST,
        "now()",
        &["webhook_delivery_due"],
    )),
    case(
        "how tenants do",
        overview::COUNTS,
        "ARRAY[$tenant], now(), 10000",
        &[
            "conversation_open",
            "chat_open_of_tenant",
            "inbox_tenant_id_conversation_id_seq_key",
            "outbox_tenant_id_conversation_id_seq_key",
            "dead_letter_open",
        ],
    ),
    case(
        "tenants' last texts",
        overview::LAST_TEXTS,
        "ARRAY[$tenant], 500",
        &["conversation_newest", "conversation_open", "conversation_id = "],
    ),
    case(
        "a day's texts",
        statistics::TEXTS,
        "$tenant, now() - interval '1 day', now(), 900",
        &["conversation_id = "],
    ),
    case(
        "a day's chats",
        statistics::CHATS,
        "$tenant, now() - interval '1 day', now(), 900",
        &["chat_"],
    ),
    case(
        "a day's deflections",
        statistics::DEFLECTIONS,
        "$tenant, now() - interval '1 day', now(), 900",
        &["deflection_"],
    ),
    system(case(
        "queues",
        platform::QUEUES,
        "now(), 500",
        &[
            "inbox_pkey",
            "outbox_pkey",
            "outbox_line_due",
            "timer_due",
            "deflection_due",
        ],
    )),
    system(case("oldest_unsent", platform::UNSENT, "500", &["outbox_pkey"])),
    system(case(
        "claim_lines",
        outbox::CLAIM_LINES,
        "gen_random_uuid(), 30, 20, ARRAY[$tenant]",
        &["outbox_line_turns", "outbox_line_pkey"],
    )),
    system(case(
        "find_number",
        numbers::FIND_NUMBER,
        "$account, '+14150000101'",
        &["number_account_id_address_key"],
    )),
];

/// A tenant's values of the parameters.
struct Values {
    tenant: String,
    of: Vec<(&'static str, String)>,
}

async fn values(root: &mut PgConnection, tenant: &str, other: &str) -> Values {
    let one = async |root: &mut PgConnection, sql: &str| {
        let sql = format!("SELECT ({})::text", sql.replace("$t", &format!("'{tenant}'")));
        sqlx::query_scalar::<_, String>(AssertSqlSafe(sql))
            .fetch_one(root)
            .await
            .unwrap()
    };
    let newest =
        "SELECT id FROM conversation WHERE tenant_id = $t AND state = 'open' ORDER BY id DESC LIMIT 1";
    let conversation = one(root, newest).await;
    let of = vec![
        ("$tenant", tenant.to_owned()),
        ("$other", other.to_owned()),
        (
            "$account",
            one(root, "SELECT id FROM provider_account WHERE tenant_id = $t").await,
        ),
        (
            "$number",
            one(root, "SELECT min(id::text) FROM number WHERE tenant_id = $t").await,
        ),
        (
            "$chat",
            one(
                root,
                &format!("SELECT id FROM chat WHERE conversation_id = '{conversation}'"),
            )
            .await,
        ),
        ("$conversation", conversation),
    ];
    Values {
        tenant: tenant.to_owned(),
        of,
    }
}

async fn plan(login: &mut PgConnection, case: &Case, values: &Values, mode: &str) -> String {
    let mut parameters = case.values.to_owned();
    for (name, value) in &values.of {
        parameters = parameters.replace(name, &format!("'{value}'::uuid"));
    }
    login.execute("BEGIN").await.unwrap();
    let set = format!(
        "SET LOCAL app.tenant_ids = '{}'; SET LOCAL plan_cache_mode = {mode}",
        values.tenant
    );
    login.execute(AssertSqlSafe(set)).await.unwrap();
    let prepare = format!("PREPARE hot AS {}", case.sql);
    login.execute(AssertSqlSafe(prepare)).await.unwrap();
    let explain = format!("EXPLAIN EXECUTE hot({parameters})");
    let rows = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(&mut *login).await;
    let lines: Vec<String> = rows.unwrap().iter().map(|r| r.get(0)).collect();
    login.execute("ROLLBACK; DEALLOCATE hot").await.unwrap();
    lines.join("\n")
}

pub(super) async fn hot_statements_use_their_indexes(test: &TestDb) {
    let mut root = PgConnection::connect(test.superuser_url()).await.unwrap();
    let by_size = "SELECT tenant_id::text FROM conversation GROUP BY 1 ORDER BY count(*) DESC";
    let tenants: Vec<String> = sqlx::query_scalar(by_size).fetch_all(&mut root).await.unwrap();
    let (large, small) = (&tenants[0], &tenants[49]);
    let mut app = PgConnection::connect(test.app_url()).await.unwrap();
    let mut system = PgConnection::connect(test.system_url()).await.unwrap();
    for (tenant, other) in [(large, small), (small, large)] {
        let values = values(&mut root, tenant, other).await;
        for case in CASES {
            for mode in ["force_custom_plan", "force_generic_plan"] {
                let login = if case.system { &mut system } else { &mut app };
                let plan = plan(login, case, &values, mode).await;
                let what = format!("{}, {mode}:\n{plan}", case.name);
                for table in LARGE {
                    let scan = |l: &str| {
                        l.contains(&format!("Seq Scan on {table} "))
                            || l.contains(&format!("Seq Scan on {table}_2"))
                            || l.contains(&format!("Seq Scan on {table}_other"))
                    };
                    assert!(!plan.lines().any(scan), "reads all of {table}: {what}");
                }
                for part in case.says {
                    assert!(plan.contains(part), "not {part:?}: {what}");
                }
            }
        }
    }
}

/// A conversation's texts are looked for in the months since it began only.
#[tokio::test]
async fn months_before_a_conversation_are_not_read() {
    let test = super::database().await;
    let mut app = PgConnection::connect(test.app_url()).await.unwrap();
    let partitions = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'message'::regclass";
    let partitions: i64 = sqlx::query_scalar(partitions).fetch_one(&mut app).await.unwrap();
    let case = case(
        "messages",
        conversations::MESSAGES,
        "$tenant, $tenant, 0, now() + interval '3 months', 50",
        &[],
    );
    let nobody = "00000000-0000-0000-0000-000000000001".to_owned();
    let values = Values {
        of: vec![("$tenant", nobody.clone())],
        tenant: nobody,
    };
    let custom = plan(&mut app, &case, &values, "force_custom_plan").await;
    let read = custom.matches(" on message_").count() as i64;
    // Last month, this one and the two after it have passed by then; the default partition has no bounds.
    assert_eq!(read, partitions - 4, "{custom}");
    let generic = plan(&mut app, &case, &values, "force_generic_plan").await;
    assert!(generic.contains("Subplans Removed: 4"), "{generic}");
}
