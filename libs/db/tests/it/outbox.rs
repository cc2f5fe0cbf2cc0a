//! Lines of outgoing texts, step by step: order, claims that expire, answers that come late, the rate of a number.

use crate::rig::{IDS, Rig, Tenant, agent_text, now};
use ccm_db::{AsSent, Claim, Doubt, Fence, Head, Knows, Outcome, Sender, Sending};
use ccm_model::{
    AccountId, Address, Body, ConversationId, Id, MessageId, MessageState, ProviderKind,
    sms_settings::Transliterate,
};
use sqlx::Row;
use std::time::Duration;

pub const HOLD: Duration = Duration::from_secs(30);

pub fn sent(id: &str) -> Outcome {
    Outcome::Sent {
        provider_id: Some(id.into()),
    }
}

pub fn retry(after: Duration, in_doubt: bool) -> Outcome {
    Outcome::Retry {
        after,
        in_doubt,
        code: Some("429".into()),
        detail: "later".into(),
    }
}

pub fn failed() -> Outcome {
    Outcome::Failed {
        code: Some("30006".into()),
        detail: "landline".into(),
        reason: "no".into(),
        opted_out: false,
    }
}

/// As it is written, one segment.
pub fn plain(body: Body, _: Transliterate) -> AsSent {
    AsSent { body, segments: 1 }
}

/// A dispatcher whose providers know nothing, with nothing paused.
pub fn sender() -> Sender<'static> {
    Sender {
        hold: HOLD,
        knows: |_| Knows::Nothing,
        paused: &|_| None,
        as_sent: &plain,
    }
}

pub async fn begin(rig: &Rig, claim: &Claim) -> Head {
    begin_as(rig, claim, &sender()).await
}

pub async fn begin_as(rig: &Rig, claim: &Claim, sender: &Sender<'_>) -> Head {
    let db = rig.db.tenant(claim.tenant);
    db.begin_send(claim, sender, now()).await.unwrap()
}

pub async fn head(rig: &Rig, claim: &Claim) -> Box<Sending> {
    match begin(rig, claim).await {
        Head::Send(sending) => sending,
        other => panic!("{other:?}"),
    }
}

pub async fn finish(rig: &Rig, claim: &Claim, message: MessageId, outcome: &Outcome) -> bool {
    finish_at(rig, claim, message, AccountId(uuid::Uuid::nil()), outcome).await
}

/// Through this account.
pub async fn finish_at(
    rig: &Rig,
    claim: &Claim,
    message: MessageId,
    account: AccountId,
    outcome: &Outcome,
) -> bool {
    let db = rig.db.tenant(claim.tenant);
    db.finish_send(claim, message, account, outcome, &IDS, now())
        .await
        .unwrap()
}

/// Claims one line that must be due.
pub async fn claim(rig: &Rig) -> Claim {
    let claims = rig.claim(HOLD, 1).await;
    *claims.first().expect("a line is due")
}

/// As if the claim's holder had said nothing for as long as it holds.
pub async fn expire(rig: &Rig) {
    rig.run("UPDATE outbox_line SET due_at = now() - interval '1 ms'")
        .await;
}

/// State, attempts, re-sends and provider's id of a text.
pub async fn stored(rig: &Rig, message: MessageId) -> (MessageState, i32, i32, Option<String>) {
    let row = &rig
        .rows(&format!(
            "SELECT state, attempts, resends, provider_message_id FROM message WHERE id = '{message}'"
        ))
        .await[0];
    (
        row.get::<&str, _>(0).parse().unwrap(),
        row.get(1),
        row.get(2),
        row.get(3),
    )
}

pub async fn lines(rig: &Rig) -> i64 {
    rig.count("SELECT count(*) FROM outbox_line").await
}

/// A tenant with a chat in which an agent has said `texts` texts.
async fn line(rig: &Rig, texts: usize) -> (Tenant, Fence, ConversationId, Vec<MessageId>) {
    let tenant = rig.tenant(1).await;
    let fence = rig.own(tenant.id).await;
    let (conversation, chat) = rig.chat(tenant, &fence, 1).await;
    let mut said = Vec::new();
    for _ in 0..texts {
        said.push(rig.say(&fence, conversation, chat).await);
    }
    (tenant, fence, conversation, said)
}

#[tokio::test]
async fn a_line_is_sent_in_order_under_one_claim_and_then_gone() {
    let rig = Rig::new().await;
    let (tenant, _, conversation, said) = line(&rig, 3).await;
    let claim = claim(&rig).await;
    assert_eq!((claim.tenant, claim.conversation), (tenant.id, conversation));
    assert!(
        rig.claim(HOLD, 10).await.is_empty(),
        "a line has one claim at a time"
    );
    for (n, message) in said.iter().enumerate() {
        let sending = head(&rig, &claim).await;
        assert_eq!(sending.message, *message);
        assert_eq!((sending.attempt, sending.doubt), (1, Doubt::No));
        assert_eq!(
            (sending.kind, sending.account),
            (ProviderKind::Http, tenant.account)
        );
        assert_eq!(sending.from, crate::rig::address(tenant.ours));
        assert_eq!(sending.to, crate::rig::address(1));
        assert_eq!(stored(&rig, *message).await.0, MessageState::Sending);
        let more = finish(&rig, &claim, *message, &sent("SM1")).await;
        assert_eq!(more, n < 2);
        assert_eq!(
            stored(&rig, *message).await,
            (MessageState::Sent, 1, 0, Some("SM1".into()))
        );
    }
    assert_eq!(lines(&rig).await, 0);
    assert_eq!(rig.db.operator().next_line_due().await.unwrap(), None);
    assert!(matches!(begin(&rig, &claim).await, Head::Lost));
}

#[tokio::test]
async fn a_claim_that_expires_is_taken_again_and_marks_the_re_send() {
    let rig = Rig::new().await;
    let (_, _, _, said) = line(&rig, 1).await;
    let first = rig.claim(Duration::from_millis(100), 1).await[0];
    let short = Duration::from_millis(300);
    let hurried = Sender {
        hold: short,
        ..sender()
    };
    assert!(matches!(begin_as(&rig, &first, &hurried).await, Head::Send(_)));
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert!(
        rig.claim(HOLD, 1).await.is_empty(),
        "begin_send extends the claim"
    );
    let due = rig.db.operator().next_line_due().await.unwrap().unwrap();
    assert!(due < short, "{due:?}");
    tokio::time::sleep(short).await;
    assert_eq!(
        rig.db.operator().next_line_due().await.unwrap(),
        Some(Duration::ZERO)
    );

    let second = claim(&rig).await;
    assert!(matches!(begin(&rig, &first).await, Head::Lost));
    let sending = head(&rig, &second).await;
    assert_eq!((sending.attempt, sending.doubt), (2, Doubt::Resend));
    assert_eq!(stored(&rig, said[0]).await, (MessageState::Sending, 2, 1, None));

    // A provider that recognises a text by our id makes no second SMS of it.
    expire(&rig).await;
    let third = claim(&rig).await;
    let recognised = Sender {
        knows: |kind| match kind {
            ProviderKind::Http => Knows::Again,
            _ => Knows::Nothing,
        },
        ..sender()
    };
    let began = begin_as(&rig, &third, &recognised).await;
    let Head::Send(sending) = began else {
        panic!("{began:?}")
    };
    assert_eq!((sending.attempt, sending.doubt), (3, Doubt::Recognised));
    assert_eq!(stored(&rig, said[0]).await, (MessageState::Sending, 3, 1, None));
}

#[tokio::test]
async fn a_claim_that_expired_unnoticed_still_holds() {
    let rig = Rig::new().await;
    let (_, _, _, said) = line(&rig, 2).await;
    let claim = claim(&rig).await;
    head(&rig, &claim).await;
    expire(&rig).await;
    assert!(
        finish(&rig, &claim, said[0], &sent("SM1")).await,
        "nobody took it, and there is more"
    );
    assert_eq!(head(&rig, &claim).await.message, said[1]);
}

/// The first dispatcher's answer is slow; the second one has the claim by then.
#[tokio::test]
async fn a_late_answer_counts_when_it_says_sent() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let fence = rig.own(tenant.id).await;
    let (conversation, chat) = rig.chat(tenant, &fence, 1).await;
    for then in [
        None,
        Some(sent("second")),
        Some(retry(Duration::ZERO, true)),
        Some(failed()),
    ] {
        let message = rig.say(&fence, conversation, chat).await;
        let first = claim(&rig).await;
        head(&rig, &first).await;
        expire(&rig).await;
        let second = claim(&rig).await;
        if then.is_some() {
            head(&rig, &second).await;
        }
        assert!(
            !finish(&rig, &first, message, &sent("late")).await,
            "its claim is lost"
        );
        assert_eq!(stored(&rig, message).await.0, MessageState::Sent);
        match &then {
            Some(outcome) => assert!(!finish(&rig, &second, message, outcome).await),
            None => assert!(matches!(begin(&rig, &second).await, Head::Empty)),
        }
        let (state, _, resends, id) = stored(&rig, message).await;
        let expected = (MessageState::Sent, i32::from(then.is_some()), Some("late"));
        assert_eq!((state, resends, id.as_deref()), expected, "then {then:?}");
        assert_eq!(rig.count("SELECT count(*) FROM outbox").await, 0);
        for claim in rig.claim(HOLD, 1).await {
            assert!(matches!(begin(&rig, &claim).await, Head::Empty));
        }
        assert_eq!(lines(&rig).await, 0);
    }
}

#[tokio::test]
async fn a_late_answer_that_says_anything_else_changes_nothing() {
    let rig = Rig::new().await;
    let (_, _, _, said) = line(&rig, 1).await;
    let first = claim(&rig).await;
    head(&rig, &first).await;
    expire(&rig).await;
    let second = claim(&rig).await;
    head(&rig, &second).await;
    let before = rig.everything().await;
    for late in [failed(), retry(Duration::from_secs(60), false)] {
        assert!(!finish(&rig, &first, said[0], &late).await);
        rig.db
            .tenant(first.tenant)
            .release_line(&first, HOLD)
            .await
            .unwrap();
        assert_eq!(rig.everything().await, before, "{late:?}");
    }
    assert!(!finish(&rig, &second, said[0], &sent("SM2")).await);
    assert_eq!(
        stored(&rig, said[0]).await,
        (MessageState::Sent, 2, 1, Some("SM2".into()))
    );
    assert_eq!(lines(&rig).await, 0);
}

#[tokio::test]
async fn a_retry_waits_and_is_a_re_send_only_in_doubt() {
    let rig = Rig::new().await;
    let (_, _, _, said) = line(&rig, 2).await;
    for (attempt, in_doubt) in [(1, false), (2, true), (3, false)] {
        let claim = claim(&rig).await;
        let sending = head(&rig, &claim).await;
        assert_eq!(sending.message, said[0], "the next one does not overtake");
        let doubt = if attempt == 3 { Doubt::Resend } else { Doubt::No };
        assert_eq!((sending.attempt, sending.doubt), (attempt, doubt));
        assert!(!finish(&rig, &claim, said[0], &retry(Duration::from_secs(60), in_doubt)).await);
        assert!(rig.claim(HOLD, 10).await.is_empty(), "not before its time");
        let due = rig.db.operator().next_line_due().await.unwrap().unwrap();
        assert!(
            due > Duration::from_secs(59) && due <= Duration::from_secs(60),
            "{due:?}"
        );
        assert_eq!(stored(&rig, said[0]).await.0, MessageState::Queued);
        let row = &rig
            .rows("SELECT error_code, error_detail FROM message WHERE error_code IS NOT NULL")
            .await[0];
        assert_eq!((row.get::<&str, _>(0), row.get::<&str, _>(1)), ("429", "later"));
        assert!(
            !finish(&rig, &claim, said[0], &retry(Duration::ZERO, true)).await,
            "said twice"
        );
        assert!(rig.claim(HOLD, 10).await.is_empty());
        expire(&rig).await;
    }
    let claim = claim(&rig).await;
    head(&rig, &claim).await;
    assert!(
        finish(&rig, &claim, said[0], &failed()).await,
        "a dead letter does not block the line"
    );
    assert_eq!(stored(&rig, said[0]).await, (MessageState::Failed, 4, 1, None));
    assert_eq!(head(&rig, &claim).await.message, said[1]);
}

#[tokio::test]
async fn finishing_twice_is_finishing_once() {
    let rig = Rig::new().await;
    let (_, _, _, said) = line(&rig, 2).await;
    let claim = claim(&rig).await;
    head(&rig, &claim).await;
    assert!(finish(&rig, &claim, said[0], &sent("SM1")).await);
    assert!(finish(&rig, &claim, said[0], &sent("SM1")).await);
    assert!(finish(&rig, &claim, said[0], &failed()).await, "settled already");
    assert_eq!(
        stored(&rig, said[0]).await,
        (MessageState::Sent, 1, 0, Some("SM1".into()))
    );
}

#[tokio::test]
async fn a_line_is_given_back_untouched() {
    let rig = Rig::new().await;
    let (tenant, _, _, said) = line(&rig, 1).await;
    let db = rig.db.tenant(tenant.id);
    let claim_1 = claim(&rig).await;
    db.release_line(&claim_1, Duration::ZERO).await.unwrap();
    let claim_2 = claim(&rig).await;
    let pause = Duration::from_secs(20);
    let paused = |account| (account == tenant.account).then_some(pause);
    let began = begin_as(
        &rig,
        &claim_2,
        &Sender {
            paused: &paused,
            ..sender()
        },
    )
    .await;
    assert!(matches!(began, Head::Later));
    let due = rig.db.operator().next_line_due().await.unwrap().unwrap();
    assert!(due > pause - Duration::from_secs(1) && due <= pause, "{due:?}");
    assert!(matches!(begin(&rig, &claim_2).await, Head::Lost));
    assert_eq!(stored(&rig, said[0]).await, (MessageState::Queued, 0, 0, None));
    let untouched = "SELECT count(*) FROM number WHERE next_at <= created_at";
    assert_eq!(
        rig.count(untouched).await,
        1,
        "no moment of the number was used up"
    );
    expire(&rig).await;
    let sending = head(&rig, &claim(&rig).await).await;
    assert_eq!((sending.attempt, sending.doubt), (1, Doubt::No));
}

#[tokio::test]
async fn claims_are_limited_longest_waiting_first_and_leave_tenants_out() {
    let rig = Rig::new().await;
    let (a, b) = (rig.tenant(1).await, rig.tenant(2).await);
    let mut order = Vec::new();
    for (n, tenant) in [a, b, a, a, b, a].into_iter().enumerate() {
        let fence = rig.own(tenant.id).await;
        let (conversation, chat) = rig.chat(tenant, &fence, n as u32).await;
        rig.say(&fence, conversation, chat).await;
        order.push(conversation);
        rig.db
            .operator()
            .release_lease(fence.pod, fence.owned)
            .await
            .unwrap();
    }
    let claimed = |claims: Vec<Claim>| {
        let mut conversations: Vec<_> = claims.iter().map(|c| c.conversation).collect();
        conversations.sort_by_key(|c| order.iter().position(|o| o == c));
        conversations
    };
    let operator = rig.db.operator();
    let without_a = operator
        .claim_lines(uuid::Uuid::now_v7(), HOLD, 10, &[a.id])
        .await
        .unwrap();
    assert_eq!(claimed(without_a), [order[1], order[4]]);
    assert_eq!(claimed(rig.claim(HOLD, 2).await), [order[0], order[2]]);
    assert_eq!(claimed(rig.claim(HOLD, 10).await), [order[3], order[5]]);
}

#[tokio::test]
async fn a_full_number_puts_its_line_back() {
    let rig = Rig::new().await;
    let tenant = rig.tenant_at_rate(1, 1.0).await;
    let fence = rig.own(tenant.id).await;
    for customer in 0..4 {
        let (conversation, chat) = rig.chat(tenant, &fence, customer).await;
        rig.say(&fence, conversation, chat).await;
    }
    let claims = rig.claim(HOLD, 10).await;
    let mut waits = Vec::new();
    for claim in &claims[..3] {
        waits.push(head(&rig, claim).await.wait.as_secs_f64());
    }
    // The tests' machine may be slow between the calls; never early, though.
    for (n, wait) in waits.iter().enumerate() {
        assert!(*wait <= n as f64 && *wait > n as f64 - 1.0, "{waits:?}");
    }
    let used = "SELECT (extract(epoch FROM next_at) * 1000000)::bigint FROM number";
    let before = rig.count(used).await;
    assert!(matches!(begin(&rig, &claims[3]).await, Head::Later));
    assert_eq!(rig.count(used).await, before, "no moment is reserved");
    let late = &rig
        .rows(&format!(
            "SELECT claim, o.state, o.attempts, extract(epoch FROM n.next_at - l.due_at)::float8
             FROM outbox_line l JOIN outbox o USING (conversation_id) CROSS JOIN number n
             WHERE conversation_id = '{}'",
            claims[3].conversation
        ))
        .await[0];
    assert_eq!(late.get::<Option<uuid::Uuid>, _>(0), None);
    assert_eq!((late.get::<&str, _>(1), late.get::<i32, _>(2)), ("queued", 0));
    let ahead: f64 = late.get(3);
    assert!(
        (0.9..1.1).contains(&ahead),
        "due a second before the number is free: {ahead}"
    );
}

#[tokio::test]
async fn what_cannot_be_answered_is_stored_as_failed() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let fence = rig.own(tenant.id).await;
    let mut text = crate::rig::incoming(tenant, 1);
    text.from = "WEBTEXT".parse::<Address>().unwrap();
    rig.db.batch().accept(&[text]).await.unwrap();
    let db = rig.db.tenant(tenant.id);
    let row = &db.conversations(None, None, 1).await.unwrap()[0];
    let chat = IDS.next();
    db.chat_opened(
        &fence,
        row.id,
        &ccm_db::NewChat {
            id: chat,
            link: tenant.link,
            guid: "1",
            key: "key",
            skillset: "WC_Default_Skillset",
            lost_counts_until: None,
        },
        now(),
    )
    .await
    .unwrap();
    let message = rig.say(&fence, row.id, chat).await;
    assert_eq!(stored(&rig, message).await.0, MessageState::Failed);
    assert_eq!(lines(&rig).await, 0);
    assert_eq!(rig.count("SELECT count(*) FROM outbox").await, 0);
}

#[tokio::test]
async fn an_agents_text_told_twice_is_stored_once() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let fence = rig.own(tenant.id).await;
    let (conversation, chat) = rig.chat(tenant, &fence, 1).await;
    let db = rig.db.tenant(tenant.id);
    let text = agent_text();
    for _ in 0..3 {
        db.agent_said(&fence, conversation, chat, &text, now())
            .await
            .unwrap();
    }
    let next = rig.say(&fence, conversation, chat).await;
    let seqs = rig
        .rows(&format!(
            "SELECT id, seq FROM message WHERE conversation_id = '{conversation}' AND direction = 'mt' ORDER BY seq"
        ))
        .await;
    let seqs: Vec<(uuid::Uuid, i64)> = seqs.iter().map(|r| (r.get(0), r.get(1))).collect();
    assert_eq!(
        seqs,
        [(text.message.uuid(), 2), (next.uuid(), 3)],
        "no sequence is lost"
    );
    assert_eq!(rig.count("SELECT count(*) FROM outbox").await, 2);
    assert_eq!(db.heard(conversation, chat).await.unwrap(), [([1; 32], 2)]);

    // Told again after it was sent and its line is gone.
    let claim = claim(&rig).await;
    for message in [text.message, next] {
        head(&rig, &claim).await;
        finish(&rig, &claim, message, &sent("SM")).await;
    }
    db.agent_said(&fence, conversation, chat, &text, now())
        .await
        .unwrap();
    assert_eq!(lines(&rig).await, 0);
    assert_eq!(rig.count("SELECT count(*) FROM outbox").await, 0);
}
