//! Texts that leave the page: once, or not at all and the agent knows why.

use crate::{
    pop_open::settings,
    rig::{BEGIN, Html, MOBILE, Rig, Tenant, ours},
};
use ccm_bus::{Topic, Wake};
use ccm_db::{
    Begin, ConsentChange, ConsentSource, ErasureState, EventFilter, HistoryRow, NewErasure, StateChange,
    Template, TemplateScope,
};
use ccm_model::{Direction, Id, MessageState, Origin, ProviderKind};
use serde_json::json;
use std::time::Duration;
use uuid::Uuid;

async fn history(rig: &Rig, tenant: &Tenant) -> Vec<HistoryRow> {
    let db = rig.deps.db.tenant(tenant.id);
    db.history(&MOBILE.parse().unwrap(), 50).await.unwrap()
}

/// Submits the page's form as a browser would, and follows to the page.
async fn submit(rig: &Rig, path: &str, page: &Html, what: &str, fields: &[(&str, &str)]) -> Html {
    let mut all = vec![
        ("m", page.value("m")),
        ("sender", page.value("sender")),
        ("number", page.value("number")),
        ("order", page.value("order")),
        ("do", what),
    ];
    all.retain(|(name, _)| !fields.iter().any(|(other, _)| other == name));
    all.extend(fields);
    let answer = rig.submit(path, &all).await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    assert_eq!(answer.headers["location"], path);
    rig.browse(path).await
}

async fn opened(rig: &Rig, query: &str) -> (Tenant, String, Html) {
    let tenant = rig.tenant(1, ProviderKind::Http).await;
    let path = rig.pop(&tenant, query).await;
    let page = rig.browse(&path).await;
    (tenant, path, page)
}

#[tokio::test]
async fn a_text_is_sent_stored_told_and_in_the_events() {
    let rig = Rig::new().await;
    let mut heard = rig.deps.bus.subscribe(&[Topic::Outbound]);
    assert_eq!(heard.next().await, Wake::LookAgain);
    let query =
        format!("dest={MOBILE}&agent=Mary&contact=4711&name=Ann&skillset=WC_Default_Skillset&order=17");
    let (tenant, path, page) = opened(&rig, &query).await;
    let page = submit(&rig, &path, &page, "send", &[("body", "Your order\r\nis 17")]).await;
    assert_eq!(page.told(), format!("The text to {MOBILE} is on its way."));
    assert_eq!(page.body(), "", "and the field is empty");
    assert!(matches!(heard.next().await, Wake::Outbound { tenant: woken, .. } if woken == tenant.id));
    let sent = history(&rig, &tenant).await;
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].body.as_str(), "Your order\nis 17");
    assert_eq!(
        (sent[0].author.as_deref(), sent[0].origin),
        (Some("Mary"), Origin::Agent)
    );
    assert_eq!(
        (sent[0].direction, sent[0].state),
        (Direction::Mt, MessageState::Queued)
    );
    let db = rig.deps.db.tenant(tenant.id);
    let conversation = db.conversations(None, None, 1).await.unwrap().remove(0);
    let about = db.actor_context(conversation.id).await.unwrap().about;
    assert_eq!(
        about,
        json!({"name": "Ann", "skillset": "WC_Default_Skillset",
               "context": {"agent": "Mary", "contact": "4711", "order": "17"}})
    );
    let events = db.events(&EventFilter::default(), None, 10).await.unwrap();
    let event = events
        .iter()
        .find(|event| event.kind == "screenpop_sent")
        .unwrap();
    assert_eq!(event.detail["message_id"], json!(sent[0].id));
    assert_eq!(event.detail["agent"], "Mary");
    let said = event.detail.to_string();
    assert!(!said.contains("861234567") && !said.contains("is 17"), "{said}");
    assert!(page.text.contains("Your order\nis 17") && page.text.contains("waiting to be sent"));
}

#[tokio::test]
async fn a_double_click_a_reload_and_the_way_back_send_once() {
    let rig = Rig::new().await;
    let (tenant, path, old) = opened(&rig, &format!("dest={MOBILE}")).await;
    let fields = [("body", "only once")];
    let form = [
        ("m", old.value("m")),
        ("number", MOBILE),
        ("body", "only once"),
        ("do", "send"),
    ];
    let (one, two) = tokio::join!(rig.submit(&path, &form), rig.submit(&path, &form));
    assert_eq!((one.status.as_u16(), two.status.as_u16()), (303, 303));
    assert_eq!(history(&rig, &tenant).await.len(), 1);
    for _ in 0..2 {
        assert_eq!(rig.browse(&path).await.body(), "");
    }
    let again = submit(&rig, &path, &old, "send", &fields).await;
    assert!(again.told().contains("sent before"), "{}", again.told());
    // Gone back to, and another text written there: that one is not lost, and not sent by mistake.
    let other = submit(&rig, &path, &old, "send", &[("body", "something else")]).await;
    assert!(other.told().contains("Another text was sent"), "{}", other.told());
    assert_eq!(other.body(), "something else");
    assert_eq!(history(&rig, &tenant).await.len(), 1);
    submit(&rig, &path, &other, "send", &[("body", other.body())]).await;
    assert_eq!(history(&rig, &tenant).await.len(), 2);
    let nothing = rig
        .submit(&path, &[("body", "x"), ("do", "send"), ("number", MOBILE)])
        .await;
    assert_eq!(nothing.status, 303);
    assert_eq!(
        history(&rig, &tenant).await.len(),
        2,
        "a form that is not the page's"
    );
}

#[tokio::test]
async fn of_two_texts_from_one_form_one_is_sent_and_the_other_is_told_so() {
    let rig = Rig::new().await;
    let (tenant, path, page) = opened(&rig, &format!("dest={MOBILE}")).await;
    let m = page.value("m").to_owned();
    let form = |body: &'static str, number: &'static str| {
        let (rig, path, m) = (&rig, &path, &m);
        async move {
            let fields = [
                ("m", m.as_str()),
                ("number", number),
                ("body", body),
                ("do", "send"),
            ];
            rig.submit(path, &fields).await
        }
    };
    tokio::join!(form("one", MOBILE), form("two", MOBILE));
    let sent = history(&rig, &tenant).await;
    assert_eq!(sent.len(), 1);
    let page = rig.browse(&path).await;
    // Whichever was last said what it came to; the words that were not sent are there.
    let lost = if sent[0].body.as_str() == "one" {
        "two"
    } else {
        "one"
    };
    if page.told().contains("Another text was sent") {
        assert_eq!(page.body(), lost);
    }
    // The same words to somebody else are another text.
    form(if lost == "one" { "two" } else { "one" }, "+353867654321").await;
    let page = rig.browse(&path).await;
    assert!(page.told().contains("Another text was sent"), "{}", page.told());
    assert_eq!(page.value("number"), "+353867654321");
    let other = rig.deps.db.tenant(tenant.id);
    let other = other.history(&"+353867654321".parse().unwrap(), 5).await.unwrap();
    assert!(other.is_empty());
    let page = submit(&rig, &path, &page, "send", &[("body", page.body())]).await;
    assert_eq!(page.told(), "The text to +353867654321 is on its way.");
}

#[tokio::test]
async fn a_text_is_of_the_moment_at_which_it_is_sent() {
    let rig = Rig::new().await;
    let (tenant, path, page) = opened(&rig, &format!("dest={MOBILE}")).await;
    rig.pass(Duration::from_secs(7 * 3600));
    submit(&rig, &path, &page, "send", &[("body", "late")]).await;
    let sent = history(&rig, &tenant).await.remove(0);
    let (seconds, _) = sent.id.uuid().get_timestamp().unwrap().to_unix();
    let at = (BEGIN + Duration::from_secs(7 * 3600)).unix_timestamp();
    assert_eq!(i64::try_from(seconds).unwrap(), at);
}

#[tokio::test]
async fn a_number_without_its_country_is_confirmed_first() {
    let rig = Rig::new().await;
    // Ours is in the US: area 479 is Arkansas, 47 is Norway.
    let (tenant, path, page) = opened(&rig, "dest=4794567890").await;
    assert_eq!(page.value("number"), "4794567890");
    assert_eq!(page.verdict(), "WHICH COUNTRY?");
    for said in ["can be read in two ways", "+1 479-456-7890", "+47 94"] {
        assert!(page.text.contains(said), "{said}: {}", page.text);
    }
    let page = submit(&rig, &path, &page, "send", &[("body", "hello")]).await;
    assert!(page.told().contains("with + and the country"), "{}", page.told());
    assert_eq!(page.body(), "hello");
    let texts = "SELECT count(*) FROM message";
    assert_eq!(rig.sql(texts).trim(), "0");
    let fields = [("body", "hello"), ("number", "+14794567890")];
    let page = submit(&rig, &path, &page, "send", &fields).await;
    assert!(page.told().contains("on its way"), "{}", page.told());
    assert!(!page.text.contains("can be read in two ways"));
    settings(&rig, &tenant, json!({"region": "US"})).await;
    let path = rig.pop(&tenant, "dest=4794567890").await;
    assert_eq!(rig.browse(&path).await.value("number"), "+14794567890");
}

#[tokio::test]
async fn the_tenants_own_number_is_no_customer() {
    let rig = Rig::new().await;
    let (_, path, page) = opened(&rig, &format!("dest={}", ours(1))).await;
    assert_eq!(page.verdict(), "YOUR OWN NUMBER");
    assert!(page.text.contains("class=\"main\" disabled"));
    let page = submit(&rig, &path, &page, "send", &[("body", "hello")]).await;
    assert!(page.told().contains("own numbers"), "{}", page.told());
    assert_eq!(rig.sql("SELECT count(*) FROM message").trim(), "0");
}

async fn erase(rig: &Rig, tenant: &Tenant) {
    let db = rig.deps.db.tenant(tenant.id);
    let erasure = NewErasure {
        id: rig.deps.ids.next(),
        close: false,
        customer: &MOBILE.parse().unwrap(),
        reason: "asked for",
        by: "mary",
        at: BEGIN,
        dry_run: false,
    };
    let Begin::Begun(begun) = db.begin_erasure(erasure).await.unwrap() else {
        panic!("something is in the way");
    };
    let day = time::Duration::DAY.try_into().unwrap();
    rig.deps.db.operator().claim_erasure(day).await.unwrap();
    while db.erase_some(begun.id, BEGIN).await.unwrap() != Some(ErasureState::Erased) {}
}

#[tokio::test]
async fn who_opted_out_and_was_erased_is_still_opted_out() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1, ProviderKind::Http).await;
    let db = rig.deps.db.tenant(tenant.id);
    let (ours, customer) = (ours(1).parse().unwrap(), MOBILE.parse().unwrap());
    let change = ConsentChange {
        event: rig.deps.ids.next(),
        our_address: &ours,
        customer_address: &customer,
        opted_out: true,
        source: ConsentSource::Api,
        message: None,
        evidence: None,
        at: BEGIN,
    };
    db.change_consent(&change).await.unwrap();
    erase(&rig, &tenant).await;
    assert_eq!(
        rig.sql("SELECT count(*) FROM opt_out").trim(),
        "0",
        "the number is gone"
    );
    let path = rig.pop(&tenant, &format!("dest={MOBILE}")).await;
    let page = rig.browse(&path).await;
    assert_eq!(page.verdict(), "OPTED OUT");
    let page = submit(&rig, &path, &page, "send", &[("body", "hello")]).await;
    assert!(page.told().contains("refused texts"), "{}", page.told());
    for table in [
        "message",
        "conversation",
        "tenant_event WHERE kind = 'screenpop_sent'",
    ] {
        let rows = rig.sql(&format!("SELECT count(*) FROM {table}"));
        assert_eq!(rows.trim(), "0", "{table}: nothing is stored of who was erased");
    }
}

#[tokio::test]
async fn what_is_not_sent_is_told_and_kept() {
    let rig = Rig::new().await;
    let (tenant, path, page) = opened(&rig, "dest=[0]").await;
    let long = "x".repeat(1603);
    for (number, body, told) in [
        ("", "hello", "Type the customer"),
        ("call me", "hello", "cannot be read as a phone number"),
        ("7000", "hello", "cannot be read as a phone number"),
        (MOBILE, "  \n ", "Write a message first"),
        (MOBILE, long.as_str(), "3 characters too many"),
        (
            MOBILE,
            "Order {order} of {agent}",
            "Fill in first: order number, agent&#39;s name",
        ),
    ] {
        let page = submit(&rig, &path, &page, "send", &[("number", number), ("body", body)]).await;
        assert!(page.told().contains(told), "{body}: {}", page.told());
        assert_eq!(page.value("number"), number);
        assert_eq!(page.body().trim(), body.trim());
    }
    assert!(history(&rig, &tenant).await.is_empty());
    let filled = [("number", MOBILE), ("body", "Order {order}"), ("order", "17")];
    submit(&rig, &path, &page, "send", &filled).await;
    assert_eq!(history(&rig, &tenant).await[0].body.as_str(), "Order 17");
    assert_eq!(
        history(&rig, &tenant).await[0].author.as_deref(),
        Some("screen pop")
    );
}

#[tokio::test]
async fn who_has_opted_out_gets_nothing_and_the_agent_reads_why() {
    let rig = Rig::new().await;
    let (tenant, path, page) = opened(&rig, &format!("dest={MOBILE}")).await;
    let change = ConsentChange {
        event: rig.deps.ids.next(),
        our_address: &ours(1).parse().unwrap(),
        customer_address: &MOBILE.parse().unwrap(),
        opted_out: true,
        source: ConsentSource::Api,
        message: None,
        evidence: Some("by phone"),
        at: BEGIN,
    };
    rig.deps
        .db
        .tenant(tenant.id)
        .change_consent(&change)
        .await
        .unwrap();
    let page = submit(&rig, &path, &page, "send", &[("body", "hello")]).await;
    let why = format!("refused texts from {} since 2026-11-23", ours(1));
    assert!(page.told().contains(&why), "{}", page.told());
    assert_eq!(page.verdict(), "OPTED OUT");
    assert!(page.text.contains("class=\"main\" disabled"));
    assert_eq!(page.body(), "hello");
    assert!(history(&rig, &tenant).await.is_empty());
}

#[tokio::test]
async fn a_page_sends_a_few_texts_at_once_and_then_slowly() {
    let rig = Rig::new().await;
    let (tenant, path, mut page) = opened(&rig, &format!("dest={MOBILE}")).await;
    for n in 0..6 {
        page = submit(&rig, &path, &page, "send", &[("body", &format!("text {n}"))]).await;
    }
    assert!(
        page.told().contains("Send this one in 3 seconds"),
        "{}",
        page.told()
    );
    assert_eq!(page.body(), "text 5", "it is not lost");
    assert_eq!(history(&rig, &tenant).await.len(), 5);
    rig.pass(Duration::from_secs(3));
    submit(&rig, &path, &page, "send", &[("body", "text 5")]).await;
    assert_eq!(history(&rig, &tenant).await.len(), 6);
    settings(&rig, &tenant, json!({"texts_per_minute": 1})).await;
    rig.pass(Duration::from_secs(60));
    let another = rig.pop(&tenant, &format!("dest={MOBILE}")).await;
    for told in ["on its way", "Your contact center has sent many texts"] {
        let page = rig.browse(&another).await;
        let page = submit(&rig, &another, &page, "send", &[("body", "hello")]).await;
        assert!(page.told().contains(told), "{}", page.told());
    }
}

#[tokio::test]
async fn a_tenant_that_is_suspended_sends_nothing() {
    let rig = Rig::new().await;
    let (tenant, path, page) = opened(&rig, &format!("dest={MOBILE}")).await;
    let state = StateChange {
        active: false,
        reason: "unpaid",
        by: "mary",
        at: BEGIN,
    };
    rig.deps
        .db
        .operator()
        .set_tenant_state(tenant.id, state)
        .await
        .unwrap();
    let page = submit(&rig, &path, &page, "send", &[("body", "hello")]).await;
    assert!(page.told().contains("switched off"), "{}", page.told());
    assert!(history(&rig, &tenant).await.is_empty());
}

async fn template(rig: &Rig, tenant: &Tenant, name: &str, body: &str, scope: TemplateScope) -> Uuid {
    let template = Template {
        name: name.to_owned(),
        body: body.to_owned(),
        scope,
        language: None,
    };
    let id = rig.deps.ids.next();
    rig.deps
        .db
        .tenant(tenant.id)
        .create_template(id, &template)
        .await
        .unwrap();
    id
}

#[tokio::test]
async fn templates_of_the_call_are_offered_and_filled() {
    let rig = Rig::new().await;
    let (tenant, path, _) = opened(
        &rig,
        &format!("dest={MOBILE}&agent=Mary&name=Ann&skillset=WC_Default_Skillset"),
    )
    .await;
    let skillset = rig.deps.db.tenant(tenant.id).skillsets().await.unwrap()[0].id;
    let hello = template(
        &rig,
        &tenant,
        "Hello",
        "{name}, {agent} here about {order}: {caller}",
        TemplateScope::Tenant,
    )
    .await;
    template(&rig, &tenant, "Ours", "x", TemplateScope::Skillset(skillset)).await;
    template(
        &rig,
        &tenant,
        "Mine",
        "x",
        TemplateScope::Personal("Mary".to_owned()),
    )
    .await;
    template(
        &rig,
        &tenant,
        "Bob's",
        "x",
        TemplateScope::Personal("Bob".to_owned()),
    )
    .await;
    let page = rig.browse(&path).await;
    for (name, there) in [("Hello", true), ("Ours", true), ("Mine", true), ("Bob", false)] {
        assert_eq!(page.text.contains(&format!(">{name}")), there, "{name}");
    }
    let page = submit(
        &rig,
        &path,
        &page,
        "template",
        &[("template", &hello.to_string())],
    )
    .await;
    assert_eq!(page.body(), format!("Ann, Mary here about {{order}}: {MOBILE}"));
    let page = submit(&rig, &path, &page, "send", &[("body", page.body())]).await;
    assert!(
        page.told().contains("Fill in first: order number"),
        "{}",
        page.told()
    );
    let fields = [("body", page.body()), ("order", "17")];
    submit(&rig, &path, &page, "send", &fields).await;
    assert_eq!(
        history(&rig, &tenant).await[0].body.as_str(),
        format!("Ann, Mary here about 17: {MOBILE}")
    );
    let gone = Uuid::nil().to_string();
    let page = rig.browse(&path).await;
    let page = submit(
        &rig,
        &path,
        &page,
        "template",
        &[("template", &gone), ("body", "mine")],
    )
    .await;
    assert!(page.told().contains("not there any more"));
    assert_eq!(page.body(), "mine");
}

#[tokio::test]
async fn what_makes_a_text_longer_is_named_and_replaced() {
    let rig = Rig::new().await;
    let (_, path, page) = opened(&rig, &format!("dest={MOBILE}")).await;
    let text = format!("Łódź {}", "x".repeat(100));
    let draft = [("m", page.value("m")), ("number", MOBILE), ("body", &text)];
    let meter = rig.submit(&format!("{path}/draft"), &draft).await;
    assert_eq!(meter.status, 200);
    assert!(
        meter.text.contains("“Ł” makes this 2 SMS instead of 1"),
        "{}",
        meter.text
    );
    assert!(meter.text.contains("value=\"replace\""));
    let page = submit(&rig, &path, &page, "replace", &[("body", &text)]).await;
    assert_eq!(page.body(), format!("Lodz {}", "x".repeat(100)));
    assert!(page.text.contains("55 characters left in SMS 1"), "{}", page.text);
    assert!(page.text.contains("value=\"undo\""));
    let page = submit(&rig, &path, &page, "undo", &[("body", page.body())]).await;
    assert_eq!(page.body(), text, "as it was before");
    assert!(!page.text.contains("value=\"undo\""));
    let page = submit(&rig, &path, &page, "replace", &[("body", "Hi 😀")]).await;
    assert_eq!(page.body(), "Hi ");
    assert!(page.told().contains("Left out: 😀"), "{}", page.told());
    // Letters are never taken away, whatever is asked for.
    let letters = "你好 Ann, is ready. Привет";
    let page = submit(&rig, &path, &page, "replace", &[("body", letters)]).await;
    assert_eq!(page.body(), letters);
    assert!(!page.text.contains("value=\"replace\""), "{}", page.text);
}

#[tokio::test]
async fn a_draft_survives_and_an_old_pages_draft_changes_nothing() {
    let rig = Rig::new().await;
    let (_, path, page) = opened(&rig, &format!("dest={MOBILE}")).await;
    let m = page.value("m").to_owned();
    let draft = |body: &'static str| {
        let (rig, path, m) = (&rig, format!("{path}/draft"), m.clone());
        async move {
            rig.submit(
                &path,
                &[("m", &m), ("number", MOBILE), ("body", body), ("order", "17")],
            )
            .await
        }
    };
    assert_eq!(draft("half a te").await.status, 200);
    let page = rig.browse(&path).await;
    assert_eq!((page.body(), page.value("order")), ("half a te", "17"));
    submit(&rig, &path, &page, "send", &[("body", "whole")]).await;
    draft("half a te").await;
    assert_eq!(
        rig.browse(&path).await.body(),
        "",
        "what was on its way does not come back"
    );
}

#[tokio::test]
async fn a_number_is_checked_and_its_answer_says_why() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1, ProviderKind::Http).await;
    let path = rig.pop(&tenant, "").await;
    for (number, verdict, why) in [
        (MOBILE, "SMS AVAILABLE", ""),
        ("+35312345678", "LANDLINE", "fixed line"),
        ("+999123456789", "NO SUCH NUMBER", "No network"),
        ("hello", "NOT A NUMBER", "Begin with +"),
    ] {
        let page = rig.browse(&path).await;
        let page = submit(
            &rig,
            &path,
            &page,
            "check",
            &[("number", number), ("body", "draft")],
        )
        .await;
        assert_eq!(page.verdict(), verdict, "{number}");
        assert!(page.text.contains(why), "{number}");
        assert_eq!(page.body(), "draft");
    }
    let page = rig.browse(&path).await;
    let fields = [("m", page.value("m")), ("number", MOBILE)];
    let part = rig.submit(&format!("{path}/check"), &fields).await;
    assert!(
        part.text
            .starts_with("<strong class=\"verdict good\">SMS AVAILABLE"),
        "{}",
        part.text
    );
}
