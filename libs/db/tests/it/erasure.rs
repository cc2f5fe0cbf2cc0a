//! A person who is forgotten: what goes, what stays, and what is in the way, held against the tables themselves.

use crate::{
    keeping::{DAY, begin, ended, export, hold, old_text},
    rig::{IDS, Rig, Tenant, address, incoming, now},
};
use ccm_db::{
    Begin, ConsentChange, ConsentSource, DbError, ErasureState, HoldScope, Names, NewErasure,
    NumberLookupRow, TableRows, TextKind,
};
use ccm_model::{Address, Body, ConversationState};
use ccm_testkit::canary;

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
        crate::pops::open_for(&rig, tenant, customer).await;
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
    assert!(!told.contains("_sealed") && !told.contains("_hash"), "{told}");

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
        close: false,
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
    let pages = "SELECT count(*) FROM screenpop_session";
    assert_eq!(
        rig.count(pages).await,
        1,
        "an agent's page goes at once, and only the person's"
    );
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
        "screenpop_session",
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
    start.kind = TextKind::Start;
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
        &Names::default(),
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
    db.put_routing(&serde_json::json!({}), &Names::default(), None)
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

/// How texts of a person stand, by state and code.
async fn texts(rig: &Rig) -> Vec<String> {
    use sqlx::Row;
    let rows = rig
        .rows("SELECT state || ' ' || coalesce(error_code, '') FROM message ORDER BY 1")
        .await;
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn conversations_are_closed_for_an_erasure_that_wants_it() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let (db, fence) = (rig.db.tenant(tenant.id), rig.own(tenant.id).await);
    let person = address(1);
    // One text is in flight to the agent and one waits behind it; one is on its way to the phone, and one waits.
    let (conversation, chat) = rig.chat(tenant, &fence, 1).await;
    let (_, in_flight) = rig.text(tenant, 1).await;
    db.text_sending(&fence, in_flight, chat, now()).await.unwrap();
    rig.text(tenant, 1).await;
    rig.say(&fence, conversation, chat).await;
    let claims = rig.claim(DAY, 1).await;
    crate::outbox::head(&rig, &claims[0]).await;
    let second = ccm_db::AgentText {
        heard: Some([2; 32]),
        ..crate::rig::agent_text()
    };
    db.agent_said(&fence, conversation, chat, &second, now())
        .await
        .unwrap();
    // Somebody else's stay.
    let (others, _) = rig.text(tenant, 2).await;

    let wish = |dry_run| NewErasure {
        id: IDS.next(),
        customer: &person,
        reason: "asked for it",
        by: "mary",
        at: now(),
        close: true,
        dry_run,
    };
    let before = rig.everything().await;
    let would = db.begin_erasure(wish(true)).await.unwrap();
    assert!(matches!(would, Begin::Would { closes: 1, .. }), "{would:?}");
    let standing = hold(&rig, tenant, &HoldScope::Conversation(conversation)).await;
    let held = db.begin_erasure(wish(false)).await.unwrap();
    assert!(
        matches!(&held, Begin::InTheWay(found) if found.len() == 1 && found[0].what == "legal holds"),
        "{held:?}"
    );
    db.release_hold(standing, "mary", now()).await.unwrap();
    let texts_of = |all: &str| {
        let lines = all
            .lines()
            .filter(|line| line.starts_with("message ") || line.starts_with("inbox "));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        texts_of(&before),
        texts_of(&rig.everything().await),
        "nothing is closed yet"
    );

    let begun = db.begin_erasure(wish(false)).await.unwrap();
    let Begin::Begun(erasure) = begun else {
        panic!("{begun:?}");
    };
    assert!(erasure.closes);
    assert_eq!(
        texts(&rig).await,
        [
            "accepted ",
            "accepted ",
            "delivered ",
            "failed ccm:erased",
            "refused ccm:erased",
            "sending ",
            "sending "
        ],
        "the note and another's text wait; what is under way goes"
    );
    let waiting = db.pending_texts(conversation, 0, 10).await.unwrap();
    let kinds: Vec<_> = waiting.iter().map(|text| text.kind).collect();
    assert_eq!(kinds, [TextKind::Text, TextKind::Erased]);
    let step = async |at| db.erase_some(erasure.id, at).await.unwrap();
    assert_eq!(step(now()).await, Some(ErasureState::Erasing));
    assert_eq!(step(now()).await, Some(ErasureState::Erasing), "told once");
    assert_eq!(db.pending_texts(conversation, 0, 10).await.unwrap().len(), 2);
    // The agent reads it, and the chat is left.
    for text in waiting {
        db.text_delivered(&fence, text.message, now()).await.unwrap();
    }
    let closed = db
        .chat_ended(
            &fence,
            conversation,
            Some(chat),
            "the customer is being erased",
            None,
            now(),
        )
        .await;
    assert!(closed.unwrap());
    assert_eq!(step(now()).await, None);
    assert_eq!(step(now()).await, Some(ErasureState::Erased));
    assert_eq!(texts(&rig).await, ["accepted "]);
    assert_eq!(
        db.conversation(others).await.unwrap().state,
        ConversationState::Open
    );
}

#[tokio::test]
async fn nobody_is_waited_for_longer_than_two_minutes() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let (db, fence) = (rig.db.tenant(tenant.id), rig.own(tenant.id).await);
    let (conversation, chat) = rig.chat(tenant, &fence, 1).await;
    rig.text(tenant, 1).await;
    let wish = NewErasure {
        id: IDS.next(),
        customer: &address(1),
        reason: "asked for it",
        by: "mary",
        at: now(),
        close: true,
        dry_run: false,
    };
    db.begin_erasure(wish).await.unwrap();
    let step = async |at| db.erase_some(wish.id, at).await.unwrap();
    // A text that comes meanwhile is dropped as well.
    rig.text(tenant, 1).await;
    assert_eq!(
        step(now() + time::Duration::seconds(110)).await,
        Some(ErasureState::Erasing)
    );
    let waits = db.pending_texts(conversation, 0, 10).await.unwrap();
    assert_eq!(
        waits.iter().map(|text| text.kind).collect::<Vec<_>>(),
        [TextKind::Erased]
    );
    let late = now() + time::Duration::seconds(130);
    assert_eq!(step(late).await, None);
    assert_eq!(
        db.conversation(conversation).await.unwrap().state,
        ConversationState::Closed
    );
    assert_eq!(step(late).await, None);
    assert_eq!(step(late).await, Some(ErasureState::Erased));
    // Whoever still has the chat finds nothing of it.
    let said = db
        .agent_said(&fence, conversation, chat, &crate::rig::agent_text(), now())
        .await;
    assert!(matches!(said, Err(DbError::NotFound("conversation"))), "{said:?}");
    assert_eq!(texts(&rig).await, [""; 0]);
}

/// Tables that have neither a conversation nor a customer's number in a column of that name, and why nothing of a customer is in them, or what
/// becomes of it.
const NAMED: &[(&str, &str)] = &[
    ("account_event", "of accounts"),
    ("api_key", "of programs"),
    ("app_user", "of the tenant's people"),
    ("audit_entry", "settings; numbers in lists and holds are hidden"),
    ("audit_head", "hashes"),
    ("audit_head", "hashes"),
    ("auth_key", "of agents' pages"),
    ("chat_settings", "the tenant's words"),
    ("deflection_settings", "the tenant's words"),
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
    ("screenpop_pace", "a moment"),
    ("screenpop_settings", "the tenant's decisions"),
    ("screenpop_signing_key", "of agents' pages"),
    ("session", "of the tenant's people"),
    ("skillset", "of AACC"),
    ("sms_cap", "counts"),
    ("sms_settings", "the tenant's words"),
    ("template", "the tenant's words"),
    ("text_look", "ids of what was read; a day"),
    ("tenant", "the tenant"),
    ("tenant_deletion", "counts"),
    ("tenant_event", "of the tenant"),
    ("tenant_key", "a key"),
    ("usage_day", "counts"),
    ("webhook", "of the tenant's programs"),
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
