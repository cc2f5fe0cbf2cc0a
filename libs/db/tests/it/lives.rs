//! After a restore: it is noticed once, and what may have been sent does not leave as if it were new (ADR 27).

use crate::{
    customer_texts::text as text_customer,
    outbox::{HOLD, begin_as, claim, expire, finish, sender, sent},
    outbox_rules::texts,
    rig::{IDS, Rig, Tenant, agent_text, now},
};
use ccm_db::{
    AgentText, Beginning, DbError, DeadLetterFilter, Doubt, Fence, Head, Knows, LifeRow, Notice, Outcome,
    RESTORED, Said, Sender, ToldLife,
};
use ccm_model::{Body, ChatId, ConversationId, MessageId};
use sqlx::Row;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::time::sleep;

const MILLION: i64 = 1_000_000;

/// As if the server had come back from a backup: what it says of itself is not what stands in the table.
async fn restore(rig: &Rig) {
    rig.run("UPDATE database_life SET timeline = timeline + 1000")
        .await;
}

async fn notice(rig: &Rig) -> Option<LifeRow> {
    rig.db.operator().notice_life(false).await.unwrap()
}

/// Restored, and noticed.
async fn begin_life(rig: &Rig) -> LifeRow {
    restore(rig).await;
    let life = notice(rig).await.expect("a life has begun");
    // What comes next is of this life, on clocks that differ by less.
    sleep(Duration::from_millis(20)).await;
    life
}

async fn epoch(rig: &Rig) -> i64 {
    rig.count("SELECT max(epoch) FROM lease").await
}

fn asks() -> Sender<'static> {
    Sender {
        knows: |_| Knows::WhenAsked,
        ..sender()
    }
}

#[tokio::test]
async fn a_restore_is_noticed_by_one_and_nothing_leaves_before() {
    let rig = Rig::new().await;
    let (tenant, fence, _) = texts(&rig, 1).await;
    let first = rig.db.operator().lives(None, 5).await.unwrap();
    assert_eq!(first.len(), 1);
    assert_eq!((first[0].how, first[0].is_open()), (Beginning::First, false));
    assert_eq!(notice(&rig).await, None, "nothing has happened");
    rig.db
        .operator()
        .process_is_there(IDS.next(), "ingest", "pod", "1", false)
        .await
        .unwrap();
    restore(&rig).await;
    let mine = claim(&rig).await;
    let head = begin_as(&rig, &mine, &sender()).await;
    assert!(matches!(head, Head::Later), "nobody has noticed it: {head:?}");
    let before = epoch(&rig).await;
    let (one, other) = tokio::join!(notice(&rig), notice(&rig));
    let life = match (one, other) {
        (Some(life), None) | (None, Some(life)) => life,
        both => panic!("{both:?}"),
    };
    assert_eq!((life.how, life.is_open()), (Beginning::Noticed, true));
    let known = life.known_until.expect("a process was seen");
    assert!(known < life.began_at && life.began_at - known < Duration::from_secs(60));
    assert_eq!(epoch(&rig).await, before + MILLION);
    assert_eq!(notice(&rig).await, None);
    let late = rig
        .db
        .tenant(tenant.id)
        .text_held(&fence, IDS.next(), now())
        .await;
    assert!(
        late.is_err(),
        "whoever has owned it finds that it is another ownership"
    );
    let lives = rig.db.operator().lives(None, 5).await.unwrap();
    assert_eq!(
        lives.iter().map(|life| life.how).collect::<Vec<_>>(),
        [Beginning::Noticed, Beginning::First]
    );
    let older = rig.db.operator().lives(Some(life.id), 5).await.unwrap();
    assert_eq!(older.len(), 1);
    let left = rig.db.operator().left_of(&life).await.unwrap();
    assert_eq!((left.waiting, left.in_doubt, left.server_tells), (1, 0, true));
}

#[tokio::test]
async fn a_promotion_that_lost_nothing_opens_no_chat_anew() {
    let rig = Rig::new().await;
    texts(&rig, 1).await;
    let before = epoch(&rig).await;
    restore(&rig).await;
    let life = rig.db.operator().notice_life(true).await.unwrap().unwrap();
    assert!(!life.is_open());
    assert_eq!(epoch(&rig).await, before);
    let head = begin_as(&rig, &claim(&rig).await, &asks()).await;
    let Head::Send(sending) = head else {
        panic!("{head:?}")
    };
    assert!(
        matches!(sending.doubt, Doubt::Ask(_)),
        "it is asked about all the same"
    );
}

#[tokio::test]
async fn somebody_may_say_that_it_was_restored_and_that_all_is_there() {
    let rig = Rig::new().await;
    texts(&rig, 1).await;
    let before = epoch(&rig).await;
    let told = ToldLife {
        id: IDS.next(),
        by: "mary",
        reason: "a snapshot was started",
        known_until: Some(OffsetDateTime::UNIX_EPOCH),
    };
    let operator = rig.db.operator();
    let life = operator.tell_life(&told).await.unwrap();
    assert_eq!(
        (life.how, life.is_open(), life.known_until),
        (Beginning::Told, true, told.known_until)
    );
    assert_eq!(epoch(&rig).await, before + MILLION);
    assert_eq!(notice(&rig).await, None, "it is known");
    let head = begin_as(&rig, &claim(&rig).await, &sender()).await;
    assert!(matches!(head, Head::InDoubt { .. }), "{head:?}");
    let settled = operator
        .settle_life(life.id, "tom", "nothing was forgotten")
        .await
        .unwrap()
        .unwrap();
    assert!(!settled.is_open());
    assert_eq!(settled.said_by.as_deref(), Some("tom"));
    assert_eq!(operator.settle_life(life.id, "tom", "again").await.unwrap(), None);
    let unknown = operator.settle_life(IDS.next(), "tom", "what").await;
    assert!(matches!(unknown, Err(DbError::NotFound("life"))), "{unknown:?}");
    let audited = rig
        .count("SELECT count(*) FROM audit_entry WHERE kind = 'database_life'")
        .await;
    assert_eq!(audited, 2, "that it was told, and settled");
}

/// A chat with an agent, opened before or after a life began.
#[derive(Clone, Copy)]
struct Chat {
    fence: Fence,
    conversation: ConversationId,
    chat: ChatId,
}

impl Chat {
    async fn new(rig: &Rig, tenant: Tenant, customer: u32) -> Self {
        let fence = rig.own(tenant.id).await;
        Self::with(rig, tenant, fence, customer).await
    }

    async fn with(rig: &Rig, tenant: Tenant, fence: Fence, customer: u32) -> Self {
        let (conversation, chat) = rig.chat(tenant, &fence, customer).await;
        Self {
            fence,
            conversation,
            chat,
        }
    }

    /// The ownership that it has now.
    async fn owned(mut self, rig: &Rig) -> Self {
        self.fence.owned.epoch = epoch(rig).await;
        self
    }

    async fn say(&self, rig: &Rig, written_at: Option<OffsetDateTime>, replayed: bool) -> MessageId {
        let text = AgentText {
            written_at,
            replayed,
            heard: None,
            ..agent_text()
        };
        let db = rig.db.tenant(self.fence.owned.tenant);
        db.agent_said(&self.fence, self.conversation, self.chat, &text, now())
            .await
            .unwrap();
        text.message
    }
}

/// What is known of the text that waits, at a provider that can be asked.
async fn doubt(rig: &Rig) -> Option<Doubt> {
    expire(rig).await;
    let mine = claim(rig).await;
    match begin_as(rig, &mine, &asks()).await {
        Head::Send(sending) => {
            finish(rig, &mine, sending.message, &sent(&sending.message.to_string())).await;
            Some(sending.doubt)
        }
        Head::Later => None,
        other => panic!("{other:?}"),
    }
}

fn is_asked_since(doubt: Option<Doubt>, since: OffsetDateTime) -> bool {
    matches!(doubt, Some(Doubt::Ask(question)) if question.or_nobody_knows
        && (question.since - since).abs() < Duration::from_secs(5))
}

#[tokio::test]
async fn what_an_agent_said_before_is_known_by_its_times() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let old = Chat::new(&rig, tenant, 1).await;
    let waited = old.say(&rig, None, false).await;
    let life = begin_life(&rig).await;
    let (old, minute, quarter) = (
        old.owned(&rig).await,
        Duration::from_secs(60),
        Duration::from_secs(900),
    );

    assert!(
        is_asked_since(doubt(&rig).await, life.began_at - 2 * minute),
        "{waited} waited"
    );
    let said_at = life.began_at - 30 * minute;
    old.say(&rig, Some(said_at), false).await;
    assert!(
        is_asked_since(doubt(&rig).await, said_at - quarter),
        "AACC says that it was said before"
    );
    old.say(&rig, None, true).await;
    assert!(
        is_asked_since(doubt(&rig).await, life.began_at - quarter),
        "a transcript that has no times"
    );
    let ahead = life.began_at + 5 * minute;
    old.say(&rig, Some(ahead), true).await;
    assert!(
        is_asked_since(doubt(&rig).await, ahead - quarter),
        "AACC's clock may be ahead"
    );
    old.say(&rig, Some(life.began_at + 20 * minute), true).await;
    assert_eq!(doubt(&rig).await, Some(Doubt::No), "so far ahead it is not");
    old.say(&rig, None, false).await;
    assert_eq!(doubt(&rig).await, Some(Doubt::No), "it was heard as it was said");
    let young = Chat::with(&rig, tenant, old.fence, 2).await;
    young.say(&rig, None, true).await;
    assert_eq!(
        doubt(&rig).await,
        Some(Doubt::No),
        "a chat of this life has forgotten nothing"
    );
}

#[tokio::test]
async fn who_says_nothing_is_not_texted_until_opt_outs_are_there_again() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let life = begin_life(&rig).await;
    // From an agent's page: nothing of it is from before.
    text_customer(&rig, tenant, 1, None).await;
    assert_eq!(doubt(&rig).await, None, "it waits");
    let due = rig.db.operator().next_line_due().await.unwrap().unwrap();
    assert!(due > HOLD / 2, "and does not spin: {due:?}");
    // The customer texts, and has not said STOP.
    rig.text(tenant, 1).await;
    assert_eq!(doubt(&rig).await, Some(Doubt::No));
    text_customer(&rig, tenant, 2, None).await;
    assert_eq!(doubt(&rig).await, None);
    rig.db
        .operator()
        .settle_life(life.id, "mary", "they are there")
        .await
        .unwrap();
    assert_eq!(doubt(&rig).await, Some(Doubt::No));
}

#[tokio::test]
async fn a_notice_about_what_was_before_is_not_sent_as_new() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let old = Chat::new(&rig, tenant, 1).await;
    let life = begin_life(&rig).await;
    let old = old.owned(&rig).await;
    let db = rig.db.tenant(tenant.id);
    let notice = |kind, body: &str| Notice {
        message: IDS.next(),
        kind,
        body: Body::new(body).unwrap(),
        chat: None,
        told: None,
        bound: None,
    };
    let said = db
        .say(
            &old.fence,
            old.conversation,
            &notice("queue_position", "you are next"),
            now(),
        )
        .await;
    assert_eq!(said.unwrap(), Said::Stored);
    assert!(
        is_asked_since(doubt(&rig).await, life.began_at - Duration::from_secs(120)),
        "since the customer's last text"
    );
    // The customer texts again: what is said now answers that.
    rig.text(tenant, 1).await;
    let said = db
        .say(
            &old.fence,
            old.conversation,
            &notice("queue_position", "you are second"),
            now(),
        )
        .await;
    assert_eq!(said.unwrap(), Said::Stored);
    assert_eq!(doubt(&rig).await, Some(Doubt::No));
}

#[tokio::test]
async fn what_nobody_knows_is_a_dead_letter_until_somebody_says() {
    let rig = Rig::new().await;
    let (tenant, _, said) = texts(&rig, 1).await;
    let life = begin_life(&rig).await;
    let mine = claim(&rig).await;
    let head = begin_as(&rig, &mine, &sender()).await;
    let Head::InDoubt { message, .. } = head else {
        panic!("{head:?}")
    };
    assert_eq!(message, said[0]);
    assert!(
        !finish(&rig, &mine, message, &Outcome::InDoubt).await,
        "the line is empty"
    );
    let row = &rig
        .rows(&format!(
            "SELECT state, error_code, attempts FROM message WHERE id = '{message}'"
        ))
        .await[0];
    assert_eq!(
        (row.get::<&str, _>(0), row.get::<&str, _>(1), row.get::<i32, _>(2)),
        ("unknown", RESTORED, 0)
    );
    let db = rig.db.tenant(tenant.id);
    let theirs = DeadLetterFilter {
        code: Some(RESTORED),
        ..Default::default()
    };
    let letters = db.dead_letters(theirs, None, 5).await.unwrap();
    assert_eq!(letters.len(), 1);
    let operator = rig.db.operator();
    assert_eq!(operator.left_of(&life).await.unwrap().in_doubt, 1);
    // The agent reads that it is not known.
    let notes = rig
        .rows("SELECT m.body FROM inbox i JOIN message m ON m.id = i.message_id WHERE i.kind = 'note'")
        .await;
    let notes: Vec<&str> = notes.iter().map(|row| row.get(0)).collect();
    let [note] = notes[..] else { panic!("{notes:?}") };
    assert!(
        note.contains("It is not known") && !note.contains("did not reach"),
        "{note}"
    );
    assert!(
        db.discard_dead_letter(letters[0].id, "mary", now())
            .await
            .unwrap()
    );
    let left = operator.left_of(&life).await.unwrap();
    assert_eq!((left.waiting, left.in_doubt), (0, 0));
}

#[tokio::test]
async fn what_an_agent_may_have_seen_is_shown_once_more_and_marked_once() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let chat = Chat::new(&rig, tenant, 1).await;
    let (conversation, before) = rig.text(tenant, 1).await;
    assert_eq!(conversation, chat.conversation);
    begin_life(&rig).await;
    let chat = chat.owned(&rig).await;
    let (_, after) = rig.text(tenant, 1).await;
    let db = rig.db.tenant(tenant.id);
    let waiting = db.pending_texts(conversation, 0, 10).await.unwrap();
    let doubts: Vec<_> = waiting.iter().map(|text| (text.message, text.doubts)).collect();
    assert_eq!(doubts, [(before, 1), (after, 0)]);
    assert!(
        db.text_sending(&chat.fence, before, chat.chat, now())
            .await
            .unwrap()
    );
    db.text_held(&chat.fence, before, now()).await.unwrap();
    assert!(
        !db.text_sending(&chat.fence, before, chat.chat, now())
            .await
            .unwrap(),
        "one mark is enough"
    );
    assert!(
        !db.text_sending(&chat.fence, after, chat.chat, now())
            .await
            .unwrap()
    );
}
