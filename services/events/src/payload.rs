//! What a receiver is told: the API's own nouns, as they were when it happened. What is left out for a reader who may not read
//! texts is left out for a webhook that does not ask for it.

use ccm_db::{
    ConsentEventRow, ConversationRow, DbError, DeflectionRow, DeliveryRow, MessageRow, TEST_EVENT, TenantDb,
    Webhook,
};
use ccm_model::{DeflectionId, Id, MessageId};
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// The document for a delivery. `None`: what it is about is not kept any more (retention, or its person was erased).
pub async fn of(
    db: &TenantDb<'_>,
    webhook: &Webhook,
    delivery: &DeliveryRow,
) -> Result<Option<String>, DbError> {
    let data = match data(db, webhook, delivery).await {
        Err(DbError::NotFound(_)) => return Ok(None),
        read => read?,
    };
    let document =
        json!({"type": delivery.kind, "timestamp": moment(delivery.at), "tenant_id": db.id(), "data": data});
    Ok(Some(document.to_string()))
}

async fn data(db: &TenantDb<'_>, webhook: &Webhook, delivery: &DeliveryRow) -> Result<Value, DbError> {
    if delivery.kind == TEST_EVENT {
        return Ok(json!({ "webhook_id": delivery.webhook, "name": webhook.name }));
    }
    let state = &delivery.detail["state"];
    let group = delivery.kind.split('.').next().unwrap_or_default();
    let subject = || delivery.subject.ok_or(DbError::NotFound("subject"));
    let whose = || delivery.conversation.ok_or(DbError::NotFound("conversation"));
    match group {
        "message" => {
            let mut text = message(&db.message(MessageId(subject()?)).await?, webhook);
            text["state"].clone_from(state);
            let talk = conversation(&db.conversation(whose()?).await?, webhook);
            Ok(json!({ "message": text, "conversation": talk }))
        }
        "conversation" => {
            let row = db.conversation(whose()?).await?;
            let mut talk = conversation(&row, webhook);
            talk["state"].clone_from(state);
            if state == "open" {
                talk["closed_at"] = Value::Null;
            }
            Ok(match delivery.detail.get("chat_id") {
                None => json!({ "conversation": talk }),
                Some(chat) => json!({ "conversation": talk, "chat_id": chat }),
            })
        }
        "consent" => Ok(json!({ "consent_event": consent(&db.consent_event(subject()?).await?, webhook) })),
        "deflection" => {
            let row = db.deflection(DeflectionId::from_uuid(subject()?)).await?;
            let mut caller = deflection(&row, webhook);
            caller["state"].clone_from(state);
            Ok(json!({ "deflection": caller }))
        }
        _ => {
            let mut event = delivery.detail.clone();
            event["at"] = json!(moment(delivery.at));
            Ok(json!({ "event": event }))
        }
    }
}

fn moment(at: OffsetDateTime) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}

fn moments(at: Option<OffsetDateTime>) -> Option<String> {
    at.map(moment)
}

fn message(row: &MessageRow, webhook: &Webhook) -> Value {
    // Providers repeat numbers and texts in their words.
    let words = webhook.include_bodies && webhook.include_numbers;
    json!({
        "id": row.id,
        "seq": row.seq,
        "direction": row.direction,
        "origin": row.origin,
        "author": row.author,
        "body": Some(&row.body).filter(|_| webhook.include_bodies),
        "withheld": !words,
        "state": row.state,
        "attempts": row.attempts,
        "resends": row.resends,
        "provider_message_id": row.provider_message_id,
        "error_code": row.error_code,
        "error_detail": row.error_detail.as_ref().filter(|_| words),
        "trace_parent": row.trace_parent,
        "steps": row.steps.iter().map(|step| json!({
            "at": moment(step.at), "state": step.state, "attempts": step.attempts, "error_code": step.error_code,
        })).collect::<Vec<_>>(),
        "chat_id": row.chat,
        "created_at": moment(row.created_at),
        "updated_at": moment(row.updated_at),
    })
}

fn conversation(row: &ConversationRow, webhook: &Webhook) -> Value {
    json!({
        "id": row.id,
        "number_id": row.number,
        "our_address": row.our_address,
        "customer_address": Some(&row.customer_address).filter(|_| webhook.include_numbers),
        "withheld": !webhook.include_numbers,
        "state": row.state,
        "opened_at": moment(row.opened_at),
        "last_activity_at": moment(row.last_activity_at),
        "closed_at": moments(row.closed_at),
        "waits_for": row.waits_for,
        "waits_since": moments(row.waits_since),
        "bodies_erased_at": moments(row.bodies_erased_at),
    })
}

fn consent(row: &ConsentEventRow, webhook: &Webhook) -> Value {
    json!({
        "id": row.id,
        "at": moment(row.at),
        "kind": row.kind,
        "our_address": row.our_address,
        "customer_address": Some(&row.customer_address).filter(|_| webhook.include_numbers),
        "source": row.source,
        "message_id": row.message,
        // The customer's own words, if by keyword.
        "evidence": row.evidence.as_ref().filter(|_| webhook.include_bodies),
    })
}

fn deflection(row: &DeflectionRow, webhook: &Webhook) -> Value {
    json!({
        "id": row.id,
        "state": row.state,
        "reason": row.reason,
        "our_address": row.our_address,
        "customer_address": row.customer_address.as_ref().filter(|_| webhook.include_numbers),
        "withheld": !(webhook.include_numbers && webhook.include_bodies),
        "skillset": row.skillset,
        "voice_skillset": row.voice_skillset,
        "language": row.language,
        "contact_id": row.contact,
        "waited_s": row.waited_s,
        "priority": row.priority,
        "name": row.name.as_ref().filter(|_| webhook.include_numbers),
        "context": Some(&row.context).filter(|_| webhook.include_bodies),
        "conversation_id": row.conversation,
        "answered_by": row.answered_by,
        "asked_at": moment(row.asked_at),
        "sent_at": moments(row.sent_at),
        "delivered_at": moments(row.delivered_at),
        "answered_at": moments(row.answered_at),
        "chat_at": moments(row.chat_at),
        "agent_at": moments(row.agent_at),
        "ended_at": moments(row.ended_at),
        "expires_at": moments(row.expires_at),
    })
}
