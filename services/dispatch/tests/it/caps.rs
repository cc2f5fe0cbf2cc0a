//! A tenant that may send so much and no more.

use crate::{
    provider::Provider,
    rig::{FAST, Rig, now, settings},
};
use ccm_db::Caps;
use ccm_model::{MessageState, ProviderKind};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_beyond_a_cap_is_not_sent_and_everybody_knows() {
    let (rig, provider) = (Rig::new().await, Provider::start().await);
    let capped = rig.tenant(1, ProviderKind::Twilio, &provider, FAST).await;
    let free = rig.tenant(2, ProviderKind::Twilio, &provider, FAST).await;
    let db = rig.db.tenant(capped.id);
    let caps = |daily| Caps {
        daily_segments: Some(daily),
        monthly_segments: None,
    };
    db.put_caps(caps(3), None, now()).await.unwrap();
    let (chat, other) = (rig.chat(capped, 1).await, rig.chat(free, 2).await);
    let _dispatcher = rig.dispatcher(settings());
    let first = rig.say(chat, "one").await;
    rig.until(chat, first, MessageState::Sent).await;
    // Three segments, of which two would fit.
    let long = rig.say(chat, &"x".repeat(400)).await;
    let row = rig.until(chat, long, MessageState::Failed).await;
    assert_eq!(row.error_code.as_deref(), Some("ccm:cap"));
    // A shorter one does.
    let short = rig.say(chat, "two").await;
    rig.until(chat, short, MessageState::Sent).await;
    for n in 0..5 {
        let text = rig.say(other, &format!("text {n}")).await;
        rig.until(other, text, MessageState::Sent).await;
    }
    let note = db.pending_texts(chat.conversation, 0, 10).await.unwrap();
    assert!(
        note[0].body.as_str().contains("limit of texts"),
        "the agent is told: {note:?}"
    );
    let letters = db.dead_letters(Default::default(), None, 10).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].code, "ccm:cap");
    db.put_caps(caps(100), None, now()).await.unwrap();
    let again = rig.say(chat, &"x".repeat(400)).await;
    rig.until(chat, again, MessageState::Sent).await;
    let row = db.caps(now()).await.unwrap().unwrap();
    assert_eq!(row.day_segments, 5);
}
