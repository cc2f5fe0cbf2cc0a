//! Retention, legal holds and erasure, held against the tables themselves.

use crate::rig::{IDS, Rig, Tenant, address, connect, incoming, now};
use ccm_db::{
    Begin, ConsentChange, ConsentSource, DbError, ErasureState, ExportedRow, HoldScope, NewErasure,
    NewExport, NewHold, NumberLookupRow, RoutingNames, TableRows,
};
use ccm_model::{Address, Body, ConversationId};
use ccm_testkit::canary;
use sqlx::{AssertSqlSafe, Executor};
use std::time::Duration;
use time::OffsetDateTime;

const DAY: Duration = Duration::from_secs(86_400);

/// At least one row in each of the tables.
pub async fn fill(rig: &Rig, tenant: Tenant, customer: u32) {
    let db = rig.db.tenant(tenant.id);
    db.put_retention_settings(&ccm_model::RetentionSettings::default(), None)
        .await
        .unwrap();
    db.retention_is_due().await.unwrap();
    hold(rig, tenant, &HoldScope::Customer(Some(address(customer + 300)))).await;
    begin(rig, tenant, &address(customer + 500)).await;
    export(rig, tenant, &address(customer)).await;
    rig.run(&format!(
        "INSERT INTO erased_opt_out (tenant_id, our_address, number_hash, since)
         VALUES ('{0}', '+14155550100', decode(repeat('00', 32), 'hex'), now());
         ",
        tenant.id
    ))
    .await;
    rig.run(&format!(
        "INSERT INTO removal (tenant_id, conversation_id) VALUES ('{}', gen_random_uuid())",
        tenant.id
    ))
    .await;
}

async fn hold(rig: &Rig, tenant: Tenant, scope: &HoldScope) -> uuid::Uuid {
    let new = NewHold {
        id: IDS.next(),
        scope,
        reason: "case 2026-117",
        by: "mary",
        at: now(),
    };
    rig.db.tenant(tenant.id).place_hold(new).await.unwrap().id
}

async fn export(rig: &Rig, tenant: Tenant, customer: &Address) -> Vec<ExportedRow> {
    let db = rig.db.tenant(tenant.id);
    let new = NewExport {
        id: IDS.next(),
        customer,
        reason: "asked for it",
        by: "mary",
        at: now(),
    };
    db.begin_export(new).await.unwrap();
    let mut rows = db.export_by_number(customer).await.unwrap();
    let mut after = None;
    while let Some((last, more)) = db.export_conversations(customer, after).await.unwrap() {
        rows.extend(more);
        after = Some(last);
    }
    rows
}

async fn begin(rig: &Rig, tenant: Tenant, customer: &Address) -> Begin {
    let new = NewErasure {
        id: IDS.next(),
        customer,
        reason: "asked for it",
        by: "mary",
        at: now(),
        dry_run: false,
    };
    rig.db.tenant(tenant.id).begin_erasure(new).await.unwrap()
}

/// Ends a conversation as if nothing of it were under way, so many days ago.
async fn ended(rig: &Rig, conversation: ConversationId, days: u32) {
    for sql in [
        "DELETE FROM inbox WHERE conversation_id = '$c'",
        "DELETE FROM outbox WHERE conversation_id = '$c'",
        "UPDATE chat SET state = 'closed', closed_at = now() WHERE conversation_id = '$c' AND state <> 'closed'",
        // Its id is of when it was opened.
        "UPDATE conversation SET state = 'closed', closed_at = now(), last_activity_at = now() - $d * interval '1 day'
         WHERE id = '$c'",
    ] {
        let sql = sql.replace("$c", &conversation.to_string()).replace("$d", &days.to_string());
        rig.run(&sql).await;
    }
}

/// A text of a customer in a conversation that was opened, and ended, so many days ago.
async fn old_text(rig: &Rig, tenant: Tenant, customer: u32, days: u32) -> ConversationId {
    let at = now() - days * DAY;
    let id = |at: OffsetDateTime| {
        let millis = u64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap();
        let random = IDS.next_u64().to_be_bytes();
        let mut bytes = [0; 10];
        bytes[2..].copy_from_slice(&random);
        uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
    };
    let mut text = incoming(tenant, customer);
    text.conversation = ConversationId(id(at));
    text.message = ccm_model::MessageId(id(at));
    text.received_at = at;
    let conversation = text.conversation;
    rig.db.batch().accept(&[text]).await.unwrap();
    ended(rig, conversation, days).await;
    conversation
}

async fn bodies(rig: &Rig, tenant: Tenant, conversation: ConversationId) -> Vec<String> {
    let db = rig.db.tenant(tenant.id);
    let of = db.conversation(conversation).await.unwrap();
    let texts = db.messages(&of, 0, 10).await.unwrap();
    texts.into_iter().map(|text| text.body.into()).collect()
}

#[tokio::test]
async fn words_go_and_then_conversations_but_for_what_is_open_or_held() {
    let rig = Rig::new().await;
    let (tenant, other) = (rig.tenant(1).await, rig.tenant(2).await);
    let old = old_text(&rig, tenant, 1, 20).await;
    let older = old_text(&rig, tenant, 2, 40).await;
    let held = old_text(&rig, tenant, 3, 40).await;
    let held_by_id = old_text(&rig, tenant, 4, 40).await;
    let young = old_text(&rig, tenant, 5, 5).await;
    let of_other = old_text(&rig, other, 1, 40).await;
    let (open, _) = rig.text(tenant, 6).await;
    rig.run(&format!(
        "UPDATE conversation SET last_activity_at = now() - interval '40 days' WHERE id = '{open}'"
    ))
    .await;
    hold(&rig, tenant, &HoldScope::Customer(Some(address(3)))).await;
    let by_id = hold(&rig, tenant, &HoldScope::Conversation(held_by_id)).await;

    let db = rig.db.tenant(tenant.id);
    db.retention_is_due().await.unwrap();
    let operator = rig.db.operator();
    assert_eq!(operator.claim_retention(DAY).await.unwrap(), Some(tenant.id));
    assert_eq!(
        operator.claim_retention(DAY).await.unwrap(),
        None,
        "somebody has it"
    );
    let (ten, thirty) = (now() - 10 * DAY, now() - 30 * DAY);
    let plan = db.plan_retention(Some(ten), Some(thirty)).await.unwrap();
    assert_eq!((plan.bodies, plan.conversations, plan.held), (2, 1, 2));

    let erased = db.erase_bodies(ten, None, 1, now()).await.unwrap();
    assert_eq!(
        (erased.conversations, erased.texts, erased.last),
        (1, 1, Some(older))
    );
    let erased = db.erase_bodies(ten, erased.last, 10, now()).await.unwrap();
    assert_eq!(
        (erased.conversations, erased.texts, erased.last),
        (1, 1, Some(old))
    );
    assert_eq!(db.erase_bodies(ten, None, 10, now()).await.unwrap().last, None);
    for gone in [old, older] {
        assert_eq!(bodies(&rig, tenant, gone).await, [""]);
        assert!(db.conversation(gone).await.unwrap().bodies_erased_at.is_some());
    }
    for kept in [held, held_by_id, young, open] {
        assert_ne!(bodies(&rig, tenant, kept).await, [""]);
    }
    assert_ne!(bodies(&rig, other, of_other).await, [""]);

    let gone = db.remove_conversations(thirty, None, 10).await.unwrap();
    assert_eq!((gone.conversations, gone.texts), (1, 1));
    assert!(matches!(db.conversation(older).await, Err(DbError::NotFound(_))));
    let left = format!("SELECT count(*) FROM message WHERE conversation_id = '{older}'");
    assert_eq!(rig.count(&left).await, 0);
    for kept in [old, held, held_by_id, young, open] {
        db.conversation(kept).await.unwrap();
    }
    // A hold that is released holds no more.
    db.release_hold(by_id, "mary", now()).await.unwrap();
    assert_eq!(
        db.remove_conversations(thirty, None, 10).await.unwrap().last,
        Some(held_by_id)
    );

    let progress = db.retention_progress().await.unwrap().unwrap();
    assert_eq!(
        (
            progress.texts_erased,
            progress.texts_gone,
            progress.conversations_gone
        ),
        (2, 2, 2)
    );
    db.retention_rests(DAY, Some(now()), None).await.unwrap();
    assert_eq!(operator.claim_retention(DAY).await.unwrap(), None);
    assert!(
        db.retention_progress()
            .await
            .unwrap()
            .unwrap()
            .caught_up_at
            .is_some()
    );
}

/// The wall under the queries: what is not named goes nowhere, and what is open or held cannot be named.
#[tokio::test]
async fn the_database_itself_keeps_what_is_open_or_held() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let (open, _) = rig.text(tenant, 1).await;
    let held = old_text(&rig, tenant, 2, 10).await;
    let free = old_text(&rig, tenant, 3, 10).await;
    hold(&rig, tenant, &HoldScope::Customer(Some(address(2)))).await;
    let mut app = connect(rig.test.app_url()).await;
    let begin = format!("BEGIN; SET LOCAL app.tenant_ids = '{}'", tenant.id);
    for (what, fits) in [
        (
            format!("conversation_id) VALUES ('{}', '{open}'", tenant.id),
            false,
        ),
        (
            format!("conversation_id) VALUES ('{}', '{held}'", tenant.id),
            false,
        ),
        (
            format!(
                "customer_address) VALUES ('{}', '{}'",
                tenant.id,
                canary::number(2)
            ),
            false,
        ),
        (
            format!("conversation_id) VALUES ('{}', '{free}'", tenant.id),
            true,
        ),
    ] {
        app.execute(AssertSqlSafe(begin.clone())).await.unwrap();
        let named = app
            .execute(AssertSqlSafe(format!("INSERT INTO removal (tenant_id, {what})")))
            .await;
        match fits {
            true => assert_eq!(named.unwrap().rows_affected(), 1),
            false => {
                let error = named.unwrap_err().into_database_error().unwrap();
                assert_eq!(error.code().as_deref(), Some("23001"), "{what}");
            }
        }
        app.execute("ROLLBACK").await.unwrap();
    }
    for sql in [
        "DELETE FROM message",
        "DELETE FROM chat",
        "DELETE FROM consent_event",
    ] {
        app.execute(AssertSqlSafe(begin.clone())).await.unwrap();
        assert_eq!(app.execute(sql).await.unwrap().rows_affected(), 0, "{sql}");
        app.execute("ROLLBACK").await.unwrap();
    }
    // Of what is named, those rows alone.
    app.execute(AssertSqlSafe(format!(
        "{begin}; INSERT INTO removal (tenant_id, conversation_id) VALUES ('{}', '{free}')",
        tenant.id
    )))
    .await
    .unwrap();
    assert_eq!(
        app.execute("DELETE FROM message").await.unwrap().rows_affected(),
        1
    );
    app.execute("ROLLBACK").await.unwrap();
}

fn consent<'a>(ours: &'a Address, customer: &'a Address, opted_out: bool) -> ConsentChange<'a> {
    ConsentChange {
        event: IDS.next(),
        our_address: ours,
        customer_address: customer,
        opted_out,
        source: ConsentSource::Api,
        message: None,
        evidence: Some("by phone"),
        at: now(),
    }
}

#[tokio::test]
async fn nothing_is_left_of_a_person_but_that_no_texts_are_wanted() {
    let rig = Rig::new().await;
    let (tenant, other) = (rig.tenant(1).await, rig.tenant(2).await);
    let fence = rig.own(tenant.id).await;
    let db = rig.db.tenant(tenant.id);
    let (person, ours) = (address(1), address(tenant.ours));
    // Everything that can be known of one person, and the same of another, and at another tenant.
    for customer in [1, 2] {
        let (conversation, chat) = rig.chat(tenant, &fence, customer).await;
        rig.say(&fence, conversation, chat).await;
        rig.run(&format!(
            "UPDATE conversation SET about = '{{\"note\": \"{}\"}}' WHERE id = '{conversation}'",
            canary::body(customer)
        ))
        .await;
        ended(&rig, conversation, 0).await;
        old_text(&rig, tenant, customer, 30).await;
        let number = address(customer);
        db.change_consent(&consent(&ours, &number, true)).await.unwrap();
        let said = NumberLookupRow {
            valid: true,
            country: None,
            line: None,
            carrier: None,
            mobile_country_code: None,
            mobile_network_code: None,
            at: now(),
        };
        db.keep_number_lookup(&number, &said, now() - DAY).await.unwrap();
        rig.run(&format!(
            "INSERT INTO dead_letter (id, tenant_id, kind, our_address, customer_address, body, code, detail, created_at)
             VALUES (gen_random_uuid(), '{}', 'unrouted', '+14155550199', '{}', '{}', 'x', '', now())",
            tenant.id,
            canary::number(customer),
            canary::body(customer)
        ))
        .await;
    }
    old_text(&rig, other, 1, 1).await;
    let of_others = format!(
        "SELECT count(*) FROM message m JOIN conversation c ON c.id = m.conversation_id
         WHERE c.customer_address <> '{}' OR c.tenant_id <> '{}'",
        canary::number(1),
        tenant.id
    );
    let others_before = rig.count(&of_others).await;

    // What is exported is what goes, table by table.
    let exported = export(&rig, tenant, &person).await;
    let told: Vec<_> = exported.iter().map(|row| row.row.to_string()).collect();
    let told = told.join("\n");
    assert!(told.contains(&canary::number(1)) && !told.contains(&canary::number(2)));
    assert!(!told.contains("_sealed"), "{told}");

    let Begin::Begun(erasure) = begin(&rig, tenant, &person).await else {
        panic!("nothing is in the way")
    };
    let counts: Vec<TableRows> = serde_json::from_value(erasure.counts_before.clone()).unwrap();
    for TableRows { table, rows } in counts {
        let found = exported.iter().filter(|row| row.table == table).count();
        assert!(found as i64 >= rows, "{table}: {found} of {rows}");
    }
    let again = NewErasure {
        id: IDS.next(),
        customer: &person,
        reason: "again",
        by: "mary",
        at: now(),
        dry_run: false,
    };
    let under_way = db.begin_erasure(again).await;
    assert!(
        matches!(under_way, Err(DbError::Conflict { missing: false, .. })),
        "{under_way:?}"
    );
    let claimed = rig.db.operator().claim_erasure(DAY).await.unwrap();
    assert_eq!(claimed, Some((tenant.id, erasure.id)));
    let mut steps = 0;
    while db.erase_some(erasure.id, now()).await.unwrap() != Some(ErasureState::Erased) {
        steps += 1;
        assert!(steps < 5);
    }
    assert!(matches!(
        db.erase_some(erasure.id, now()).await,
        Err(DbError::NotFound(_))
    ));

    let all_rows = of_tenant(&rig, tenant).await;
    // What the agent said has the other canary in it; numbers are of different lengths only at their ends.
    for gone in [
        canary::number(1),
        canary::number(1).trim_start_matches('+').to_owned(),
    ] {
        let at = all_rows.lines().find(|line| line.contains(&gone));
        assert_eq!(at, None, "the number is left");
    }
    let bodies = rig
        .count(&format!(
            "SELECT count(*) FROM conversation WHERE tenant_id = '{}' AND about::text LIKE '%{}%'",
            tenant.id,
            canary::body(1)
        ))
        .await;
    assert_eq!(bodies, 0);
    assert_eq!(
        rig.count(&of_others).await,
        others_before,
        "nobody else's texts went"
    );
    assert!(all_rows.contains(&canary::number(2)));

    let proof = db.erasure(erasure.id).await.unwrap();
    assert_eq!(proof.opt_outs_kept, 1);
    assert!(proof.rows_gone >= 8, "{}", proof.rows_gone);
    let text = proof.certificate.unwrap();
    let certificate: serde_json::Value = serde_json::from_str(&text).unwrap();
    let tables = certificate["tables"].as_array().unwrap();
    let before = |name: &str| tables.iter().find(|t| t["table"] == name).unwrap()["rows_before"].as_i64();
    for table in [
        "conversation",
        "message",
        "chat",
        "opt_out",
        "consent_event",
        "dead_letter",
        "number_lookup",
    ] {
        assert!(before(table) > Some(0), "{table}: {text}");
    }
    assert!(tables.iter().all(|table| table["rows_after"] == 0), "{text}");
    assert!(!text.contains(&canary::number(1)));
    let hash = sha256(&rig, &text).await;
    assert_eq!(proof.certificate_sha256, Some(hash));

    // Whoever said STOP is not texted, also by who does not know them any more; START is heard.
    assert!(db.has_opted_out(&ours, &person).await.unwrap());
    assert_eq!(db.opt_outs_of(&person).await.unwrap()[0].source, "erased");
    let (conversation, chat) = rig.chat(tenant, &fence, 1).await;
    let said = rig.say(&fence, conversation, chat).await;
    let state = format!("SELECT count(*) FROM message WHERE id = '{said}' AND error_code = 'ccm:opted_out'");
    assert_eq!(rig.count(&state).await, 1);
    let mut start = incoming(tenant, 1);
    start.body = Body::new("START").unwrap();
    start.kind = ccm_db::TextKind::Start;
    rig.db.batch().accept(&[start]).await.unwrap();
    assert!(!db.has_opted_out(&ours, &person).await.unwrap());
    let said = rig.say(&fence, conversation, chat).await;
    let state = format!("SELECT count(*) FROM message WHERE id = '{said}' AND state = 'queued'");
    assert_eq!(rig.count(&state).await, 1);
}

async fn sha256(rig: &Rig, text: &str) -> String {
    use sqlx::Row;
    let sql = "SELECT encode(sha256(convert_to($1, 'UTF8')), 'hex')";
    sqlx::query(sql)
        .bind(text)
        .fetch_one(&rig.root)
        .await
        .unwrap()
        .get(0)
}

/// Every row of the tenant, as JSON.
async fn of_tenant(rig: &Rig, tenant: Tenant) -> String {
    let all = rig.everything().await;
    let id = tenant.id.to_string();
    all.lines()
        .filter(|line| line.contains(&id))
        .collect::<Vec<_>>()
        .join("\n")
}

#[tokio::test]
async fn an_erasure_is_refused_or_waits_as_long_as_something_is_in_the_way() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let db = rig.db.tenant(tenant.id);
    let person = address(1);
    let (open, _) = rig.text(tenant, 1).await;
    let standing = hold(&rig, tenant, &HoldScope::Conversation(open)).await;
    db.put_routing(
        &serde_json::json!({"lists": {"vip": {"numbers": [canary::number(1)]}, "other": {}}}),
        &RoutingNames::default(),
        None,
    )
    .await
    .unwrap();
    let Begin::InTheWay(found) = begin(&rig, tenant, &person).await else {
        panic!("three things are in the way")
    };
    let told: Vec<_> = found.iter().map(|one| (one.what, one.which.clone())).collect();
    assert_eq!(
        told,
        [
            ("legal holds", vec![standing.to_string()]),
            ("open conversations", vec![open.to_string()]),
            ("routing lists", vec!["lists.vip".to_owned()]),
        ]
    );
    db.release_hold(standing, "mary", now()).await.unwrap();
    db.put_routing(&serde_json::json!({}), &RoutingNames::default(), None)
        .await
        .unwrap();
    ended(&rig, open, 0).await;
    let Begin::Begun(erasure) = begin(&rig, tenant, &person).await else {
        panic!("nothing is in the way")
    };
    // Somebody places a hold, and the person texts, before it is carried out.
    let placed = hold(&rig, tenant, &HoldScope::Customer(Some(person.clone()))).await;
    let waits = db.erase_some(erasure.id, now()).await;
    assert!(
        matches!(waits, Err(DbError::Held(id)) if id == placed),
        "{waits:?}"
    );
    db.release_hold(placed, "mary", now()).await.unwrap();
    let (new, _) = rig.text(tenant, 1).await;
    assert_eq!(db.erase_some(erasure.id, now()).await.unwrap(), None);
    assert!(matches!(db.conversation(open).await, Err(DbError::NotFound(_))));
    assert_eq!(
        db.erase_some(erasure.id, now()).await.unwrap(),
        Some(ErasureState::Erasing)
    );
    ended(&rig, new, 0).await;
    assert_eq!(db.erase_some(erasure.id, now()).await.unwrap(), None);
    assert_eq!(
        db.erase_some(erasure.id, now()).await.unwrap(),
        Some(ErasureState::Erased)
    );
    // Who changed what is kept for ever, and names nobody.
    let told = format!(
        "SELECT count(*) FROM audit_entry WHERE record LIKE '%{}%'",
        canary::number(1).trim_start_matches('+')
    );
    assert_eq!(rig.count(&told).await, 0);
    let entries = "SELECT count(*) FROM audit_entry WHERE kind IN ('legal_hold', 'routing')";
    assert!(rig.count(entries).await >= 5);
    // The released hold on the person's number went with it; what is left of the other names nobody.
    assert!(matches!(db.hold(placed).await, Err(DbError::NotFound(_))));
}

/// Tables that have neither a conversation nor a customer's number in a column of that name, and why nothing of a customer is in them, or what
/// becomes of it.
const NAMED: &[(&str, &str)] = &[
    ("account_event", "of accounts"),
    ("api_key", "of programs"),
    ("app_user", "of the tenant's people"),
    ("audit_entry", "settings; numbers in lists and holds are hidden"),
    ("auth_key", "of agents' pages"),
    ("chat_settings", "the tenant's words"),
    ("doctor_report", "of links; 90 days"),
    ("erased_opt_out", "hashes"),
    ("erasure", "hashes; the number is sealed until it is done"),
    ("ewc_link", "of links"),
    ("idempotent_request", "sealed answers; 24 hours"),
    ("inbound_content", "hashes; 2 days"),
    ("inbound_dedup", "providers' ids; 90 days"),
    ("lease", "of pods"),
    ("link_client_key", "of links"),
    ("link_event", "of links"),
    ("link_state", "of links"),
    ("maintenance_window", "of links"),
    ("number", "the tenant's own numbers"),
    ("number_lookup", "hashes, erased by hash"),
    ("number_lookup_pace", "a moment"),
    ("number_move", "the tenant's own numbers"),
    ("person_export", "hashes"),
    ("provider_account", "of accounts"),
    ("retention_run", "counts"),
    ("retention_settings", "the tenant's decisions"),
    (
        "routing_settings",
        "lists of numbers: an erasure is refused until the number is out of them",
    ),
    ("skillset", "of AACC"),
    ("sms_cap", "counts"),
    ("sms_settings", "the tenant's words"),
    ("template", "the tenant's words"),
    ("tenant", "the tenant"),
    ("tenant_deletion", "counts"),
    ("tenant_event", "of the tenant"),
    ("tenant_key", "a key"),
    ("usage_day", "counts"),
    ("webhook_secret", "of accounts"),
];

/// A table that is new must say by what its rows go when a person is erased, or be named above.
#[tokio::test]
async fn every_table_says_how_a_customer_goes_from_it() {
    let rig = Rig::new().await;
    let mut unnamed = Vec::new();
    for table in crate::walls::tenant_tables(&rig).await {
        let by_column = rig
            .count(&format!(
                "SELECT count(*) FROM pg_attribute WHERE attrelid = '{table}'::regclass AND NOT attisdropped
                   AND attname IN ('conversation_id', 'customer_address')"
            ))
            .await;
        let named = NAMED.iter().any(|(name, _)| *name == table);
        if (by_column == 0) != named {
            unnamed.push(table);
        }
    }
    // `conversation` has the number itself.
    assert_eq!(
        unnamed, [""; 0],
        "give it a column conversation_id or customer_address, or name it in NAMED"
    );
}

#[tokio::test]
async fn months_come_and_go_by_themselves() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let operator = rig.db.operator();
    assert_eq!(operator.keep_months(12).await.unwrap(), 0, "they are there");
    assert_eq!(operator.drop_empty_month().await.unwrap(), None);
    let months = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'message'::regclass";
    let before = rig.count(months).await;
    let mut owner = connect(rig.test.owner_url()).await;
    owner
        .execute("SELECT ensure_message_partitions('2019-03-01', 2)")
        .await
        .unwrap();
    // One of them has a text.
    let old = old_text(&rig, tenant, 1, 0).await;
    rig.run(&format!(
        "UPDATE message SET id = (left(uuid_v7_floor('2019-03-15')::text, 14) || right(id::text, 22))::uuid
         WHERE conversation_id = '{old}'"
    ))
    .await;
    assert_eq!(rig.count("SELECT count(*) FROM message_201903").await, 1);
    let dropped = operator.drop_empty_month().await.unwrap();
    assert_eq!(dropped.as_deref(), Some("message_201904"));
    assert_eq!(
        operator.drop_empty_month().await.unwrap(),
        None,
        "what has texts stays"
    );
    // Somebody reads the month all the time: nobody waits for long behind the one who wants to drop it.
    rig.run("DELETE FROM message_201903").await;
    let mut reader = connect(rig.test.owner_url()).await;
    reader
        .execute("BEGIN; LOCK TABLE message_201903 IN ACCESS SHARE MODE")
        .await
        .unwrap();
    let began = tokio::time::Instant::now();
    let busy = operator.drop_empty_month().await.unwrap_err();
    assert!(
        busy.is_retryable() && began.elapsed() < Duration::from_secs(3),
        "{busy}"
    );
    reader.execute("ROLLBACK").await.unwrap();
    let dropped = operator.drop_empty_month().await.unwrap();
    assert_eq!(dropped.as_deref(), Some("message_201903"));
    assert_eq!(rig.count(months).await, before);

    // A month that is missing is made, with all that the others have.
    owner
        .execute(
            "DO $$ DECLARE m text := 'message_' || to_char(now() + interval '5 months', 'YYYYMM');
             BEGIN EXECUTE 'DROP TABLE ' || m; END $$",
        )
        .await
        .unwrap();
    assert_eq!(operator.keep_months(12).await.unwrap(), 1);
    assert_eq!(rig.count(months).await, before);
    let unindexed =
        "SELECT count(*) FROM pg_inherits i WHERE inhparent = 'message'::regclass AND NOT EXISTS (
        SELECT FROM pg_index x JOIN pg_inherits a ON a.inhrelid = x.indexrelid
        WHERE x.indrelid = i.inhrelid AND a.inhparent = 'message_words'::regclass)";
    assert_eq!(rig.count(unindexed).await, 0);
    let mut app = connect(rig.test.app_url()).await;
    for sql in ["SELECT keep_months(1)", "SELECT drop_empty_month()"] {
        let denied = app.execute(sql).await.unwrap_err().into_database_error().unwrap();
        assert_eq!(denied.code().as_deref(), Some("42501"), "{sql}");
    }
}
