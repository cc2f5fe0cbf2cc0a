//! What callers are told.

use crate::{
    outbox::{begin, finish},
    rig::{Rig, agent_text, incoming, now},
};
use ccm_db::{DbError, Outcome};
use ccm_model::Body;
use ccm_testkit::canary;
use std::time::Duration;

/// Postgres quotes a refused row in full, unless the table is under row-level security. Errors are logged, rows never.
#[tokio::test]
async fn an_error_never_shows_a_row() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let fence = rig.own(tenant.id).await;
    let (conversation, chat) = rig.chat(tenant, &fence, 1).await;
    rig.run("ALTER TABLE message ADD COLUMN needed int DEFAULT 1 NOT NULL")
        .await;
    rig.run("ALTER TABLE message ALTER COLUMN needed DROP DEFAULT")
        .await;
    let db = rig.db.tenant(tenant.id);
    let (text, texts) = (agent_text(), [incoming(tenant, 1)]);
    for error in [
        db.agent_said(&fence, conversation, chat, &text, now())
            .await
            .unwrap_err(),
        rig.db.batch().accept(&texts).await.unwrap_err(),
    ] {
        assert!(matches!(error, DbError::Other(_)), "{error}");
        for shown in [format!("{error:?}"), format!("{error:#?}"), error.to_string()] {
            assert_eq!(canary::find_in(&shown), [], "{shown}");
        }
        assert!(
            format!("{error:?}").contains("23502"),
            "the operator still sees the kind: {error:?}"
        );
    }
    rig.run("ALTER TABLE message DISABLE ROW LEVEL SECURITY").await;
    let error = rig.db.batch().accept(&texts).await.unwrap_err();
    assert_ne!(
        canary::find_in(&format!("{error:?}")),
        [],
        "what is looked for would be found: {error:?}"
    );
}

/// The far side's words are recorded as well as they can be: an answer that cannot be stored would be asked for again.
#[tokio::test]
async fn nul_in_what_the_far_side_says_does_not_stop_a_text() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let fence = rig.own(tenant.id).await;
    let (conversation, chat) = rig.chat(tenant, &fence, 1).await;
    let db = rig.db.tenant(tenant.id);
    let mut text = agent_text();
    text.author = "Agent\0Smith".into();
    text.body = Body::new("hello").unwrap();
    db.agent_said(&fence, conversation, chat, &text, now())
        .await
        .unwrap();
    let claim = rig.claim(Duration::from_secs(30), 1).await[0];
    begin(&rig, &claim).await;
    let said = Outcome::Failed {
        code: Some("3\0".into()),
        detail: "<html>\0".into(),
        reason: "no\0".into(),
        opted_out: true,
    };
    finish(&rig, &claim, text.message, &said).await;
    assert_eq!(rig.count("SELECT count(*) FROM outbox").await, 0);
    let row = db.conversation(conversation).await.unwrap();
    let stored = &db.messages(&row, 1, 1).await.unwrap()[0];
    assert_eq!(stored.author.as_deref(), Some("Agent\u{fffd}Smith"));
    assert_eq!(stored.error_detail.as_deref(), Some("<html>\u{fffd}"));
    db.chat_ended(&fence, conversation, Some(chat), "left\0", None, now())
        .await
        .unwrap();
}
