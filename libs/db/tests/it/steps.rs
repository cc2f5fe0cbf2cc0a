//! What became of a text.

use crate::rig::{Rig, now};
use time::Duration;

#[tokio::test]
async fn what_becomes_of_a_text_is_kept_step_by_step() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let (conversation, message) = rig.text(tenant, 1).await;
    let db = rig.db.tenant(tenant.id);
    let row = db.conversation(conversation).await.unwrap();
    let steps = async || {
        let texts = db.messages(&row, 0, 10).await.unwrap();
        let steps = texts[0].steps.iter();
        let shown =
            steps.map(|step| format!("{} {} {:?}", step.state.as_str(), step.attempts, step.error_code));
        shown.collect::<Vec<_>>()
    };
    assert_eq!(steps().await, [""; 0]);
    let update = async |set: &str| {
        let sql = format!("UPDATE message SET {set}, updated_at = now() WHERE id = '{message}'");
        rig.run(&sql).await;
    };
    update("state = 'sending', attempts = attempts + 1").await;
    update("resends = 1").await;
    update("state = 'accepted', error_code = 'timeout'").await;
    update("state = 'sending', attempts = attempts + 1").await;
    update("state = 'delivered', error_code = NULL").await;
    assert_eq!(
        steps().await,
        [
            "sending 1 None",
            "accepted 1 Some(\"timeout\")",
            "sending 2 Some(\"timeout\")",
            "delivered 2 None"
        ]
    );
    let texts = db.messages(&row, 0, 10).await.unwrap();
    let age = now() - texts[0].steps[3].at;
    assert!(age < Duration::MINUTE && age > -Duration::MINUTE, "{age}");
    for _ in 0..60 {
        update("state = 'sending', attempts = attempts + 1").await;
        update("state = 'accepted'").await;
    }
    let kept = steps().await;
    assert_eq!((kept.len(), kept[99].as_str()), (100, "accepted 62 None"));
}
