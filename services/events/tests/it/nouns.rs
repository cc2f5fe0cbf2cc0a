//! What is told has the shape that the admin API's document gives its nouns.

use crate::{receiver::Receiver, rig::Rig};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

fn noun(document: &Value, schema: &str) -> (BTreeSet<String>, Value) {
    let schema = &document["components"]["schemas"][schema];
    let names = schema["properties"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    (names, schema["properties"].clone())
}

/// As far as it says: `type` of each member.
fn fits(properties: &Value, object: &Map<String, Value>) {
    for (name, value) in object {
        let types = &properties[name]["type"];
        let allowed: Vec<&str> = match types {
            Value::String(one) => vec![one],
            Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
            _ => continue,
        };
        let is = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        assert!(allowed.contains(&is), "{name} is {is}, not {allowed:?}");
    }
}

#[tokio::test]
async fn what_is_told_are_the_apis_nouns() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    let document: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let (rig, receiver) = (Rig::new().await, Receiver::start().await);
    rig.webhook(
        &receiver.url("ok"),
        &[
            "message.*",
            "conversation.*",
            "consent.*",
            "deflection.*",
            "tenant.*",
        ],
    )
    .await;
    let conversation = rig.text(1).await;
    let tenant = rig.tenant;
    let sql = format!(
        "UPDATE conversation SET state = 'closed', closed_at = now() WHERE id = '{conversation}';
         INSERT INTO consent_event (id, tenant_id, our_address, customer_address, kind, source, at)
         VALUES (gen_random_uuid(), '{tenant}', '+14155550123', '+353861234567', 'opt_out', 'api', now());
         INSERT INTO deflection (id, tenant_id, state, reason, skillset, voice_skillset, language, waited_s, asked_at)
         VALUES (gen_random_uuid(), '{tenant}', 'refused', 'no_agents', 'WC_Sales', 'Voice', 'en', 1, now());
         INSERT INTO tenant_event (id, tenant_id, kind, at) VALUES (gen_random_uuid(), '{tenant}', 'state_changed', now());"
    );
    rig.test.superuser_sql(&sql).unwrap();
    let _worker = rig.work();
    let heard = receiver.wait("ok", 6).await;
    let told: BTreeMap<String, Value> = heard
        .iter()
        .map(|one| one.json())
        .map(|json| (json["type"].as_str().unwrap().to_owned(), json["data"].clone()))
        .collect();
    for (kind, member, schema) in [
        ("message.received", "message", "Message"),
        ("message.received", "conversation", "Conversation"),
        ("conversation.opened", "conversation", "Conversation"),
        ("conversation.closed", "conversation", "Conversation"),
        ("consent.opt_out", "consent_event", "ConsentEvent"),
        ("deflection.refused", "deflection", "Deflection"),
        ("tenant.state_changed", "event", "Event"),
    ] {
        let object = told[kind][member]
            .as_object()
            .unwrap_or_else(|| panic!("{kind}: {told:?}"));
        let (names, properties) = noun(&document, schema);
        assert_eq!(object.keys().cloned().collect::<BTreeSet<_>>(), names, "{kind}");
        if member != "consent_event" {
            fits(&properties, object);
        }
    }
    // As it was, not as it is.
    assert_eq!(told["conversation.opened"]["conversation"]["state"], "open");
    assert_eq!(told["conversation.closed"]["conversation"]["state"], "closed");
}
