//! From the answer to the agent's first word, or to nobody's, on the rows that the connector writes.

use crate::rig::{Rig, SKILLSET, Tenant, mobile};
use ccm_db::{AgentText, Fence, LeaseTimes, NewChat};
use ccm_model::{Body, ChatId, ConversationId, DeflectionId, DeflectionState, PodId};
use serde_json::json;
use std::time::Duration;

struct Open {
    id: DeflectionId,
    conversation: ConversationId,
    chat: ChatId,
    fence: Fence,
}

/// A caller has answered and AACC has opened the chat.
async fn open(rig: &Rig, tenant: &Tenant, n: u32) -> Open {
    let id = rig.ask(tenant, json!({"caller": mobile(n)})).await.accepted();
    rig.text(tenant, &mobile(n), "yes").await;
    rig.work(2).await;
    let conversation = rig.row(tenant, id).await.conversation.unwrap();
    let times = LeaseTimes {
        lease: Duration::from_secs(500),
        margin: Duration::from_secs(1),
    };
    let (operator, pod) = (rig.deps.db.operator(), rig.deps.ids.next::<PodId>());
    operator.heartbeat(pod, "pod", false).await.unwrap();
    let owned = operator.take_leases(pod, &[tenant.id], times).await.unwrap();
    let fence = Fence { pod, owned: owned[0] };
    let chat = rig.deps.ids.next();
    let db = rig.deps.db.tenant(tenant.id);
    let new = NewChat {
        id: chat,
        link: db.links().await.unwrap()[0].id,
        guid: "4711",
        key: "key",
        skillset: SKILLSET,
        lost_counts_until: None,
    };
    db.chat_opened(&fence, conversation, &new, rig.now())
        .await
        .unwrap();
    let waiting = db.pending_texts(conversation, 0, 10).await.unwrap();
    db.text_delivered(&fence, waiting[0].message, rig.now())
        .await
        .unwrap();
    rig.work(5).await;
    Open {
        id,
        conversation,
        chat,
        fence,
    }
}

#[tokio::test]
async fn a_chat_in_which_an_agent_wrote_is_what_was_wanted() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let Open {
        id,
        conversation,
        chat,
        fence,
    } = open(&rig, &tenant, 1).await;
    let row = rig.row(&tenant, id).await;
    assert_eq!((row.state, row.ended_at), (DeflectionState::Chat, None));
    let text = AgentText {
        message: rig.deps.ids.next(),
        author: "Agent Smith".into(),
        body: Body::new("How can I help you?").unwrap(),
        heard: None,
        written_at: None,
        replayed: false,
        trace: None,
    };
    let db = rig.deps.db.tenant(tenant.id);
    db.agent_said(&fence, conversation, chat, &text, rig.now())
        .await
        .unwrap();
    rig.work(20).await;
    let row = rig.row(&tenant, id).await;
    assert_eq!(row.state, DeflectionState::Chat);
    assert!(row.agent_at.is_some() && row.ended_at.is_some());
}

#[tokio::test]
async fn a_chat_in_which_nobody_met_is_abandoned() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let open = open(&rig, &tenant, 1).await;
    let db = rig.deps.db.tenant(tenant.id);
    db.chat_ended(
        &open.fence,
        open.conversation,
        Some(open.chat),
        "the customer left",
        None,
        rig.now(),
    )
    .await
    .unwrap();
    rig.work(20).await;
    let row = rig.row(&tenant, open.id).await;
    assert_eq!(
        (row.state, row.reason.as_deref()),
        (DeflectionState::Abandoned, Some("no_agent"))
    );
    let (funnel, _) = db
        .deflection_funnel(rig.now() - time::Duration::HOUR, rig.now() + time::Duration::HOUR)
        .await
        .unwrap();
    let of = &funnel[0];
    assert_eq!(
        (of.offered, of.answered, of.chat, of.served, of.abandoned),
        (1, 1, 1, 0, 1)
    );
}
