//! Texts to a customer without a chat.

use crate::rig::{IDS, Rig, Tenant, address, now};
use ccm_db::{ConsentChange, ConsentSource, NewText, NotTexted, StateChange, TextKind, TextOutcome, Texted};
use ccm_model::{Address, Body, ConversationState, Origin};
use ccm_testkit::canary;
use serde_json::{Value, json};
use time::Duration;

const WINDOW: Duration = Duration::hours(72);

fn new_text<'a>(from: &'a Address, to: &'a Address, body: &'a Body, about: Option<&'a Value>) -> NewText<'a> {
    NewText {
        message: IDS.next(),
        conversation: IDS.next(),
        from,
        to,
        origin: Origin::Agent,
        author: "Mary",
        body,
        about,
        answer_within: WINDOW,
        event: None,
        trace: None,
    }
}

/// Texts customer `n` from the tenant's number.
pub async fn text(rig: &Rig, tenant: Tenant, n: u32, about: Option<&Value>) -> Texted {
    let (ours, customer, body) = (
        address(tenant.ours),
        address(n),
        Body::new(canary::body(n)).unwrap(),
    );
    let text = new_text(&ours, &customer, &body, about);
    rig.db
        .tenant(tenant.id)
        .text_customer(&text, None, now())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_text_opens_the_conversation_that_the_answer_comes_into() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let db = rig.db.tenant(tenant.id);
    let first = text(
        &rig,
        tenant,
        1,
        Some(&json!({"skillset": "Sales", "context": "order 1"})),
    )
    .await;
    assert_eq!(
        (first.outcome, first.repeated, first.noted),
        (TextOutcome::Queued, false, false)
    );
    let second = text(&rig, tenant, 1, Some(&json!({"context": "order 2"}))).await;
    assert_eq!(second.conversation, first.conversation);
    let (answered, _) = rig.text(tenant, 1).await;
    assert_eq!(answered, first.conversation);
    let context = db.actor_context(answered).await.unwrap();
    assert_eq!(context.about, json!({"skillset": "Sales", "context": "order 2"}));
    let written = db.written_before(answered).await.unwrap();
    assert_eq!(written, vec![(Some("Mary".to_owned()), canary::body(1)); 2]);
    let claims = rig.claim(std::time::Duration::from_secs(30), 10).await;
    assert_eq!(claims.len(), 1, "both are in the line to the phone");
}

#[tokio::test]
async fn the_same_text_again_is_one_text() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let (ours, customer, body) = (address(tenant.ours), address(1), Body::new("hello").unwrap());
    let detail = json!({"skillset": "Sales"});
    let text = NewText {
        event: Some(("screenpop_sent", &detail)),
        ..new_text(&ours, &customer, &body, None)
    };
    let once = rig.db.tenant(tenant.id);
    let (a, b) = tokio::join!(
        once.text_customer(&text, None, now()),
        once.text_customer(&text, None, now())
    );
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_eq!(a.conversation, b.conversation);
    assert_eq!(u8::from(a.repeated) + u8::from(b.repeated), 1);
    assert!(once.text_customer(&text, None, now()).await.unwrap().repeated);
    for (table, rows) in [
        ("message", 1),
        ("outbox", 1),
        ("tenant_event", 1),
        ("timer", 1),
        ("conversation", 1),
    ] {
        assert_eq!(
            rig.count(&format!("SELECT count(*) FROM {table}")).await,
            rows,
            "{table}"
        );
    }
}

#[tokio::test]
async fn nobody_is_texted_who_must_not_be() {
    let rig = Rig::new().await;
    let (tenant, other) = (rig.tenant(1).await, rig.tenant(2).await);
    let db = rig.db.tenant(tenant.id);
    let (ours, theirs, customer) = (address(tenant.ours), address(other.ours), address(1));
    let body = Body::new("hello").unwrap();
    let refused = db
        .text_customer(&new_text(&theirs, &customer, &body, None), None, now())
        .await;
    assert!(
        matches!(refused, Err(NotTexted::NotOurs)),
        "another tenant's number"
    );
    let change = ConsentChange {
        event: IDS.next(),
        our_address: &ours,
        customer_address: &customer,
        opted_out: true,
        source: ConsentSource::Api,
        message: None,
        evidence: Some("mary"),
        at: now(),
    };
    db.change_consent(&change).await.unwrap();
    let event = json!({});
    let opted_out = NewText {
        event: Some(("screenpop_sent", &event)),
        ..new_text(&ours, &customer, &body, None)
    };
    let texted = db.text_customer(&opted_out, None, now()).await.unwrap();
    assert_eq!(texted.outcome, TextOutcome::OptedOut);
    let name = Address::parse("WEBTEXT").unwrap();
    let unanswerable = db
        .text_customer(&new_text(&ours, &name, &body, None), None, now())
        .await
        .unwrap();
    assert_eq!(unanswerable.outcome, TextOutcome::Unanswerable);
    for table in ["outbox", "message", "conversation", "tenant_event", "timer"] {
        let rows = rig.count(&format!("SELECT count(*) FROM {table}")).await;
        assert_eq!(rows, 0, "{table}: nothing is kept of a text that does not go out");
    }
    let state = StateChange {
        active: false,
        reason: "unpaid",
        by: "mary",
        at: now(),
    };
    rig.db
        .operator()
        .set_tenant_state(tenant.id, state)
        .await
        .unwrap();
    let refused = db
        .text_customer(&new_text(&ours, &customer, &body, None), None, now())
        .await;
    assert!(matches!(refused, Err(NotTexted::Stopped)));
    rig.run("UPDATE number SET released_at = now()").await;
    let released = rig.db.tenant(other.id);
    let refused = released
        .text_customer(&new_text(&theirs, &customer, &body, None), None, now())
        .await;
    assert!(
        matches!(refused, Err(NotTexted::NotOurs)),
        "a number that was released"
    );
}

#[tokio::test]
async fn agents_of_an_open_chat_read_what_somebody_else_wrote() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let fence = rig.own(tenant.id).await;
    let (conversation, _) = rig.chat(tenant, &fence, 1).await;
    let sent = text(&rig, tenant, 1, None).await;
    assert_eq!((sent.conversation, sent.noted), (conversation, true));
    let waiting = rig
        .db
        .tenant(tenant.id)
        .pending_texts(conversation, 0, 10)
        .await
        .unwrap();
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].kind, TextKind::Note);
    assert_eq!(
        waiting[0].body.as_str(),
        format!("[CCM] Mary texted the customer: {}", canary::body(1))
    );
}

#[tokio::test]
async fn a_conversation_in_which_nobody_answers_ends() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let db = rig.db.tenant(tenant.id);
    let silent = text(&rig, tenant, 1, Some(&json!({"name": "Ann"})))
        .await
        .conversation;
    let answered = text(&rig, tenant, 2, None).await.conversation;
    rig.text(tenant, 2).await;
    let later = now() + WINDOW + Duration::MINUTE;
    assert!(
        db.close_unanswered(later, 10).await.unwrap().is_empty(),
        "they are still on their way to the phone"
    );
    rig.run("DELETE FROM outbox").await;
    rig.run("UPDATE timer SET due_at = now() + interval '1 hour'")
        .await;
    assert!(
        db.close_unanswered(now(), 10).await.unwrap().is_empty(),
        "not yet"
    );
    assert_eq!(db.close_unanswered(later, 10).await.unwrap(), [silent]);
    let row = db.conversation(silent).await.unwrap();
    assert_eq!(row.state, ConversationState::Closed);
    assert_eq!(
        rig.count("SELECT count(*) FROM conversation WHERE about <> '{}'")
            .await,
        0
    );
    assert_eq!(
        db.conversation(answered).await.unwrap().state,
        ConversationState::Open
    );
    assert_eq!(
        rig.count("SELECT count(*) FROM timer").await,
        1,
        "the answered one is looked at again"
    );
    // What comes now is somebody who begins.
    assert_ne!(rig.text(tenant, 1).await.0, silent);
    rig.run("UPDATE timer SET due_at = now()").await;
    assert_eq!(
        rig.db.operator().tenants_with_unanswered(10).await.unwrap(),
        [tenant.id]
    );
}
