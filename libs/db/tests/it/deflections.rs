//! Callers who are offered a chat: limits over all pods, answers, what is forgotten, what is counted.

use crate::rig::{IDS, Rig, Tenant, address, connect, now};
use ccm_db::{
    Clicked, DeflectionChange, DeflectionFilter, DeflectionMoved, DeflectionSeen, Head, IncomingText,
    NewDeflection, NewOffer, NewText, Notice, OfferBounds, Offered, Outcome, Refusal,
};
use ccm_model::{Body, DeflectionId, DeflectionSettings, DeflectionState, MessageState, Origin};
use serde_json::json;
use sqlx::Row;
use std::time::Duration as StdDuration;
use time::{Duration, OffsetDateTime};

const BOUNDS: OfferBounds = OfferBounds {
    per_caller: 1,
    within: Duration::HOUR,
    per_minute: 100,
};

pub fn new(tenant: Tenant, customer: u32, contact: Option<&str>) -> NewDeflection {
    NewDeflection {
        id: IDS.next(),
        our_address: Some(address(tenant.ours)),
        customer_address: Some(address(customer)),
        skillset: "WC_Default_Skillset".to_owned(),
        voice_skillset: "Voice_Sales".to_owned(),
        language: "en".to_owned(),
        contact: contact.map(str::to_owned),
        waited_s: 300,
        priority: None,
        name: Some("Mary".to_owned()),
        context: json!({"order": "A1"}),
    }
}

async fn offer_within(
    rig: &Rig,
    tenant: Tenant,
    new: &NewDeflection,
    bounds: OfferBounds,
    at: OffsetDateTime,
) -> Offered {
    let (from, to) = (
        new.our_address.clone().unwrap(),
        new.customer_address.clone().unwrap(),
    );
    let about =
        json!({"deflection": new.id, "skillset": new.skillset, "name": "Mary", "said": "was on the phone"});
    let mut hash = [0; 32];
    hash[..16].copy_from_slice(new.id.0.as_bytes());
    let offer = NewOffer {
        message: IDS.next(),
        conversation: IDS.next(),
        from: &from,
        to: &to,
        body: &Body::new("Text back for a chat").unwrap(),
        about: &about,
        token_hash: Some(&hash),
        answer_within: Duration::minutes(10),
    };
    let db = rig.db.tenant(tenant.id);
    db.offer(new, &offer, bounds, at - Duration::HOUR, at)
        .await
        .unwrap()
}

async fn offer(rig: &Rig, tenant: Tenant, new: &NewDeflection) -> Offered {
    offer_within(rig, tenant, new, BOUNDS, now()).await
}

/// An offer of the tenant's, and its settings.
pub async fn fill(rig: &Rig, tenant: Tenant, customer: u32) -> DeflectionId {
    let new = new(tenant, customer, Some(&format!("call-{customer}")));
    assert!(matches!(offer(rig, tenant, &new).await, Offered::Made(_)));
    let db = rig.db.tenant(tenant.id);
    db.put_settings::<DeflectionSettings>(&DeflectionSettings::default(), None)
        .await
        .unwrap();
    new.id
}

fn refused(offered: &Offered) -> Option<Refusal> {
    match offered {
        Offered::Refused(refusal) => Some(*refusal),
        _ => None,
    }
}

/// As it is, to be looked at again.
fn same(seen: &DeflectionSeen) -> DeflectionChange {
    DeflectionChange {
        state: seen.state,
        reason: None,
        sent_at: seen.sent_at,
        delivered_at: seen.delivered_at,
        answered_at: seen.answered_at,
        chat_at: seen.chat_at,
        agent_at: seen.agent_at,
        take_back: false,
        say: None,
        due_at: Some(now()),
    }
}

async fn look(rig: &Rig, tenant: Tenant, id: DeflectionId) -> DeflectionSeen {
    let mut found = None;
    let db = rig.db.tenant(tenant.id);
    db.advance_deflection(id, now(), |seen| {
        found = Some(seen.clone());
        same(seen)
    })
    .await
    .unwrap();
    found.unwrap()
}

#[tokio::test]
async fn an_offer_is_a_text_and_what_its_chat_is_opened_with() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let new = new(tenant, 1, Some("call-1"));
    let Offered::Made(texted) = offer(&rig, tenant, &new).await else {
        panic!("an offer is made");
    };
    let conversation = texted.conversation;
    assert!(!texted.noted, "nobody chats yet");
    let context = rig
        .db
        .tenant(tenant.id)
        .actor_context(conversation)
        .await
        .unwrap();
    assert_eq!(context.about["said"], "was on the phone");
    let row = rig.db.tenant(tenant.id).deflection(new.id).await.unwrap();
    assert_eq!(
        (row.state, row.conversation, row.waited_s),
        (DeflectionState::Offered, Some(conversation), 300)
    );
    let sent = rig
        .count(&format!(
            "SELECT count(*) FROM outbox WHERE message_id = '{}'",
            row.message.unwrap()
        ))
        .await;
    assert_eq!(sent, 1);
    let event = rig.rows("SELECT kind, detail::text FROM tenant_event").await;
    assert_eq!(event[0].get::<String, _>(0), "deflection_offered");
    let detail: String = event[0].get(1);
    assert!(
        detail.contains(&new.id.to_string()) && !detail.contains("1999555"),
        "{detail}"
    );
}

#[tokio::test]
async fn the_same_call_is_offered_one_chat() {
    let rig = Rig::new().await;
    let (tenant, other) = (rig.tenant(1).await, rig.tenant(2).await);
    let first = new(tenant, 1, Some("call-1"));
    offer(&rig, tenant, &first).await;
    match offer(&rig, tenant, &new(tenant, 1, Some("call-1"))).await {
        Offered::Before(row) => assert_eq!(row.id, first.id),
        other => panic!("{other:?}"),
    }
    let other_call = offer(&rig, tenant, &new(tenant, 1, Some("call-2"))).await;
    assert_eq!(refused(&other_call), Some(Refusal::OfferedRecently));
    let db = rig.db.tenant(tenant.id);
    let caller = first.customer_address.as_ref();
    let kept = db.deflection_of_contact("call-2", caller, now() - Duration::HOUR);
    assert_eq!(
        kept.await.unwrap().unwrap().reason.as_deref(),
        Some("offered_recently")
    );
    let last = new(tenant, 1, Some("call-1"));
    let later = offer_within(&rig, tenant, &last, BOUNDS, now() + Duration::hours(2));
    assert!(matches!(later.await, Offered::Made(_)), "an hour has passed");
    let theirs = offer(&rig, other, &new(other, 1, Some("call-1"))).await;
    assert!(
        matches!(theirs, Offered::Made(_)),
        "each tenant has calls of its own"
    );
    let stranger = new(tenant, 2, Some("call-1"));
    assert!(
        matches!(offer(&rig, tenant, &stranger).await, Offered::Made(_)),
        "a script that names two callers' calls alike takes no offer from either"
    );
}

#[tokio::test]
async fn a_later_offer_takes_the_place_of_the_one_before() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let db = rig.db.tenant(tenant.id);
    let bounds = OfferBounds {
        per_caller: 5,
        ..BOUNDS
    };
    let first = new(tenant, 1, Some("call-1"));
    offer_within(&rig, tenant, &first, bounds, now()).await;
    let second = new(tenant, 1, Some("call-2"));
    let Offered::Made(texted) = offer_within(&rig, tenant, &second, bounds, now()).await else {
        panic!("a second offer is made");
    };
    let row = db.deflection(first.id).await.unwrap();
    assert_eq!(
        (row.state, row.reason.as_deref()),
        (DeflectionState::Expired, Some("offered_again"))
    );
    let waiting = "SELECT count(*) FROM outbox WHERE state = 'queued'";
    assert_eq!(
        rig.count(waiting).await,
        1,
        "the text of the first is not sent any more"
    );
    let told = "SELECT count(*) FROM tenant_event WHERE kind = 'deflection_expired'";
    assert_eq!(rig.count(told).await, 1);
    assert_eq!(
        db.deflection_clicked(first.id, "late", now()).await.unwrap(),
        Clicked::Over
    );
    let clicked = db.deflection_clicked(second.id, "a click", now()).await.unwrap();
    assert_eq!(clicked, Clicked::Now(texted.conversation));
}

#[tokio::test]
async fn agents_who_chat_with_the_caller_read_what_the_call_was_about() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let fence = rig.own(tenant.id).await;
    let (conversation, _) = rig.chat(tenant, &fence, 1).await;
    let Offered::Made(texted) = offer(&rig, tenant, &new(tenant, 1, None)).await else {
        panic!("an offer is made");
    };
    assert_eq!((texted.conversation, texted.noted), (conversation, true));
    let notes = rig
        .rows("SELECT body FROM inbox i JOIN message m ON m.id = i.message_id WHERE i.kind = 'note'")
        .await;
    let notes: Vec<String> = notes.iter().map(|row| row.get(0)).collect();
    assert_eq!(notes, ["was on the phone"]);
}

#[tokio::test]
async fn what_one_call_has_not_is_not_left_by_another() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let db = rig.db.tenant(tenant.id);
    let (from, to) = (address(tenant.ours), address(1));
    let body = Body::new("x").unwrap();
    let text = async |about: serde_json::Value| {
        let text = NewText {
            message: IDS.next(),
            conversation: IDS.next(),
            from: &from,
            to: &to,
            origin: Origin::System,
            author: "deflection",
            body: &body,
            about: Some(&about),
            answer_within: Duration::HOUR,
            event: None,
            trace: None,
        };
        let texted = db.text_customer(&text, None, now()).await.unwrap();
        db.actor_context(texted.conversation).await.unwrap().about
    };
    text(json!({"deflection": "a", "waited_s": 301, "priority": "top", "context": {"order": "1", "vip": "yes"}})).await;
    let second = json!({"deflection": "b", "waited_s": 5, "priority": null, "context": {"order": "2"}});
    assert_eq!(
        text(second).await,
        json!({"deflection": "b", "waited_s": 5, "context": {"order": "2"}})
    );
    // A page's text adds to it.
    assert_eq!(
        text(json!({"context": {"agent": "Mary"}})).await,
        json!({"deflection": "b", "waited_s": 5, "context": {"order": "2", "agent": "Mary"}})
    );
}

#[tokio::test]
async fn limits_hold_however_many_ask_at_once() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let bounds = OfferBounds {
        per_minute: 5,
        ..BOUNDS
    };
    let all: Vec<_> = (0..40u32).map(|n| new(tenant, n % 20, None)).collect();
    let at = now();
    let asked =
        futures::future::join_all(all.iter().map(|new| offer_within(&rig, tenant, new, bounds, at))).await;
    let made = asked.iter().filter(|o| matches!(o, Offered::Made(_))).count();
    assert_eq!(made, 5);
    let limited = asked
        .iter()
        .filter(|o| refused(o) == Some(Refusal::Limit))
        .count();
    let again = asked
        .iter()
        .filter(|o| refused(o) == Some(Refusal::OfferedRecently))
        .count();
    assert_eq!(made + limited + again, 40);
    let texts = rig
        .count("SELECT count(*) FROM message WHERE author = 'deflection'")
        .await;
    assert_eq!(texts, 5, "a refusal texts nobody");
    let last = new(tenant, 30, None);
    let next_minute = offer_within(&rig, tenant, &last, bounds, at + Duration::seconds(61));
    assert!(matches!(next_minute.await, Offered::Made(_)));
}

#[tokio::test]
async fn a_text_after_the_offer_is_heard() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    rig.text(tenant, 1).await;
    let id = fill(&rig, tenant, 1).await;
    let seen = look(&rig, tenant, id).await;
    assert_eq!(seen.heard.len(), 0, "what was said before is no answer");
    assert_eq!(seen.message.map(|(state, _)| state), Some(MessageState::Queued));
    let text = IncomingText {
        body: Body::new("yes please").unwrap(),
        ..crate::rig::incoming(tenant, 1)
    };
    rig.db.batch().accept(&[text]).await.unwrap();
    let seen = look(&rig, tenant, id).await;
    assert_eq!(seen.heard.len(), 1);
    assert_eq!(seen.heard[0].body, "yes please");
}

#[tokio::test]
async fn each_is_claimed_by_one_and_comes_back() {
    let rig = Rig::new().await;
    let (a, b) = (rig.tenant(1).await, rig.tenant(2).await);
    let ids = [fill(&rig, a, 1).await, fill(&rig, b, 1).await];
    let operator = rig.db.operator();
    let hold = StdDuration::from_secs(15);
    let (one, other) = tokio::join!(
        operator.claim_deflections(10, hold, now()),
        operator.claim_deflections(10, hold, now())
    );
    let mut claimed: Vec<_> = one.unwrap().into_iter().chain(other.unwrap()).collect();
    claimed.sort_by_key(|due| due.id);
    assert_eq!(claimed.iter().map(|due| due.id).collect::<Vec<_>>(), ids);
    assert_eq!(operator.claim_deflections(10, hold, now()).await.unwrap(), []);
    let later = now() + Duration::seconds(16);
    let again = operator.claim_deflections(10, hold, later).await.unwrap();
    assert_eq!(again.len(), 2, "who claimed them has died");
}

#[tokio::test]
async fn an_offer_that_is_over_leaves_nothing_for_the_next_chat() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let id = fill(&rig, tenant, 1).await;
    let db = rig.db.tenant(tenant.id);
    let moved = db
        .advance_deflection(id, now(), |seen| DeflectionChange {
            state: DeflectionState::Expired,
            reason: Some("no_answer"),
            say: Body::new("Your call keeps its place").ok(),
            due_at: None,
            ..same(seen)
        })
        .await
        .unwrap()
        .unwrap();
    let row = db.deflection(id).await.unwrap();
    assert_eq!(
        moved,
        DeflectionMoved {
            from: DeflectionState::Offered,
            to: DeflectionState::Expired,
            texted: row.conversation,
        }
    );
    assert_eq!(
        (row.reason.as_deref(), row.ended_at.is_some()),
        (Some("no_answer"), true)
    );
    let context = db.actor_context(row.conversation.unwrap()).await.unwrap();
    assert_eq!(context.about, json!({"name": "Mary"}));
    let said = rig
        .count("SELECT count(*) FROM message WHERE author = 'deflection_expired' AND state = 'queued'")
        .await;
    assert_eq!(said, 1);
    assert_eq!(
        db.advance_deflection(id, now(), same).await.unwrap(),
        None,
        "it has ended"
    );
    assert_eq!(
        db.deflection_clicked(id, "a click", now()).await.unwrap(),
        Clicked::Over
    );
}

/// The call is over, and the offer with it.
async fn end(rig: &Rig, tenant: Tenant, id: DeflectionId) {
    let db = rig.db.tenant(tenant.id);
    db.advance_deflection(id, now(), |seen| DeflectionChange {
        state: DeflectionState::Withdrawn,
        reason: Some("call_ended"),
        take_back: true,
        due_at: None,
        ..same(seen)
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn an_offer_leaves_or_is_taken_back_and_never_both() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let (db, fence) = (rig.db.tenant(tenant.id), rig.own(tenant.id).await);
    let mut left = 0;
    for customer in 0..20 {
        let id = fill(&rig, tenant, customer).await;
        // Every other time beside a text that is nobody's offer: it goes in any case.
        let beside = customer % 2 == 0;
        if beside {
            let conversation = db.deflection(id).await.unwrap().conversation.unwrap();
            let notice = Notice {
                message: IDS.next(),
                kind: "notice",
                body: Body::new("Hello").unwrap(),
                chat: None,
                told: None,
                bound: None,
            };
            db.say(&fence, conversation, &notice, now()).await.unwrap();
        }
        let claims = rig.claim(StdDuration::from_secs(60), 1).await;
        let ends = async {
            // Each in turn has a little more of a start.
            tokio::time::sleep(StdDuration::from_micros(u64::from(customer) * 150)).await;
            end(&rig, tenant, id).await;
        };
        let (sending, ()) = tokio::join!(crate::outbox::begin(&rig, &claims[0]), ends);
        let row = db.deflection_and_text(id).await.unwrap();
        let offer = row.0.message.unwrap();
        let waits = rig
            .count(&format!(
                "SELECT count(*) FROM outbox WHERE message_id = '{offer}' AND state = 'sending'"
            ))
            .await;
        match sending {
            Head::Send(sending) if sending.message == offer => {
                left += 1;
                assert_eq!((row.1, waits), (Some(MessageState::Sending), 1), "it goes");
            }
            other => {
                assert_eq!((row.1, waits), (Some(MessageState::Failed), 0), "it does not go");
                match other {
                    Head::Send(_) => assert!(beside),
                    Head::Lost => assert!(!beside, "its line is gone with it"),
                    other => panic!("{other:?}"),
                }
            }
        }
        rig.run("DELETE FROM outbox").await;
        rig.run("DELETE FROM outbox_line").await;
    }
    eprintln!("{left} of 20 offers had a dispatcher that was faster");
}

#[tokio::test]
async fn an_offer_that_a_provider_may_have_is_not_taken_back() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let id = fill(&rig, tenant, 1).await;
    let claims = rig.claim(StdDuration::from_secs(60), 1).await;
    let Head::Send(sending) = crate::outbox::begin(&rig, &claims[0]).await else {
        panic!("it is due");
    };
    let retry = |in_doubt| Outcome::Retry {
        after: StdDuration::ZERO,
        in_doubt,
        code: None,
        detail: "no answer".to_owned(),
    };
    let db = rig.db.tenant(tenant.id);
    let record = async |outcome| {
        db.finish_send(&claims[0], sending.message, tenant.account, &outcome, &IDS, now())
            .await
            .unwrap()
    };
    record(retry(true)).await;
    end(&rig, tenant, id).await;
    let waits = "SELECT count(*) FROM outbox WHERE state = 'sending'";
    assert_eq!(rig.count(waits).await, 1, "it is asked about, or sent again");
    let (_, text) = db.deflection_and_text(id).await.unwrap();
    assert_eq!(text, Some(MessageState::Queued));
}

#[tokio::test]
async fn a_click_answers_once() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let id = fill(&rig, tenant, 1).await;
    let mut hash = [0; 32];
    hash[..16].copy_from_slice(id.0.as_bytes());
    let operator = rig.db.operator();
    let found = operator.deflection_by_token(&hash).await.unwrap();
    assert_eq!(found, Some((tenant.id, id)));
    hash[0] ^= 1;
    assert_eq!(operator.deflection_by_token(&hash).await.unwrap(), None);
    let db = rig.db.tenant(tenant.id);
    let click = async || db.deflection_clicked(id, "[CCM] a click", now()).await.unwrap();
    let (one, other) = tokio::join!(click(), click());
    let row = db.deflection(id).await.unwrap();
    let now_and_before = [Clicked::Now(row.conversation.unwrap()), Clicked::Before];
    assert!(now_and_before.contains(&one) && now_and_before.contains(&other) && one != other);
    assert_eq!(
        (row.state, row.answered_by.as_deref()),
        (DeflectionState::Answered, Some("link"))
    );
    let waits = rig.count("SELECT count(*) FROM inbox WHERE kind = 'text'").await;
    assert_eq!(waits, 1, "agents get one text");
    let late = fill(&rig, tenant, 2).await;
    let clicked = db.deflection_clicked(late, "late", now() + Duration::minutes(11));
    assert_eq!(clicked.await.unwrap(), Clicked::Over);
    let other = rig.tenant(2).await;
    let db = rig.db.tenant(other.id);
    let theirs = db.deflection_clicked(id, "not ours", now());
    assert_eq!(theirs.await.unwrap(), Clicked::Over);
}

#[tokio::test]
async fn no_chat_is_promised_to_whom_nobody_may_text() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let id = fill(&rig, tenant, 1).await;
    let db = rig.db.tenant(tenant.id);
    rig.run("UPDATE tenant SET state = 'suspended'").await;
    let click = async || db.deflection_clicked(id, "a click", now()).await.unwrap();
    assert_eq!(click().await, Clicked::NotTextable);
    rig.run("UPDATE tenant SET state = 'active'").await;
    rig.run(
        "INSERT INTO opt_out (tenant_id, our_address, customer_address, since, source)
         SELECT tenant_id, our_address, customer_address, now(), 'api' FROM conversation",
    )
    .await;
    assert_eq!(click().await, Clicked::NotTextable);
    rig.run("DELETE FROM opt_out").await;
    assert!(matches!(click().await, Clicked::Now(_)));
}

#[tokio::test]
async fn callers_are_counted_by_how_far_they_came() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let answered = fill(&rig, tenant, 1).await;
    fill(&rig, tenant, 2).await;
    let db = rig.db.tenant(tenant.id);
    db.deflection_clicked(answered, "a click", now()).await.unwrap();
    for refusal in [Refusal::Closed, Refusal::Closed, Refusal::NoSms] {
        db.keep_refusal(&new(tenant, 3, None), refusal, now())
            .await
            .unwrap();
    }
    let (funnel, refusals) = db
        .deflection_funnel(now() - Duration::HOUR, now() + Duration::HOUR)
        .await
        .unwrap();
    assert_eq!(funnel.len(), 1);
    assert_eq!((funnel[0].offered, funnel[0].answered, funnel[0].chat), (2, 1, 0));
    let refusals: Vec<_> = refusals.iter().map(|r| (r.reason.as_str(), r.count)).collect();
    assert_eq!(refusals, [("closed", 2), ("no_sms", 1)]);
    let of = async |filter| db.deflections(&filter, None, 10).await.unwrap().len();
    assert_eq!(of(DeflectionFilter::default()).await, 5);
    let refused = DeflectionFilter {
        state: Some(DeflectionState::Refused),
        ..DeflectionFilter::default()
    };
    assert_eq!(of(refused).await, 3);
    let customer = DeflectionFilter {
        customer: Some(address(1)),
        ..DeflectionFilter::default()
    };
    assert_eq!(of(customer).await, 1);
    assert!(rig.db.operator().count_usage(now().date(), now()).await.unwrap());
    let (usage, _) = db.usage(now().date(), now().date()).await.unwrap();
    assert_eq!(usage[0].deflections, 1, "those who took a chat");
}

#[tokio::test]
async fn the_system_sees_neither_numbers_nor_what_scripts_say() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    fill(&rig, tenant, 1).await;
    let mut system = connect(rig.test.system_url()).await;
    for column in ["customer_address", "our_address", "name", "context", "contact_id"] {
        let sql = sqlx::AssertSqlSafe(format!("SELECT {column} FROM deflection"));
        assert!(sqlx::query(sql).fetch_all(&mut system).await.is_err(), "{column}");
    }
    let changed = sqlx::query("UPDATE deflection SET due_at = NULL")
        .execute(&mut system)
        .await;
    assert!(changed.is_err(), "it ends nothing");
}

#[tokio::test]
async fn one_whose_conversation_is_deleted_is_let_go() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let id = fill(&rig, tenant, 1).await;
    for table in ["outbox", "outbox_line", "timer", "conversation"] {
        rig.run(&format!("DELETE FROM {table} WHERE tenant_id = '{}'", tenant.id))
            .await;
    }
    let db = rig.db.tenant(tenant.id);
    assert_eq!(db.advance_deflection(id, now(), same).await.unwrap(), None);
    let row = db.deflection(id).await.unwrap();
    assert!(row.conversation.is_none() && row.ended_at.is_some());
    let hold = StdDuration::from_secs(15);
    let due = rig
        .db
        .operator()
        .claim_deflections(10, hold, now() + Duration::DAY)
        .await
        .unwrap();
    assert_eq!(due, []);
}
