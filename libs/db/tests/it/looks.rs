//! Who read texts: told once in a while, whoever it is, in the chain of the tenant.

use crate::{
    access::{actor, chain},
    rig::{IDS, Rig, Tenant, now},
};
use ccm_db::{AuditFilter, Db, LOOK, Look};
use ccm_model::{Actor, ConversationId, Id, TenantId};
use serde_json::{Value, json};
use time::Duration;

/// A row of a tenant.
pub async fn fill(db: &Db, tenant: Tenant) {
    let by = actor("mary");
    db.tenant(tenant.id)
        .looked(Look::Search, &by, now())
        .await
        .unwrap();
}

async fn told(rig: &Rig, tenant: TenantId) -> Vec<Value> {
    let looks = AuditFilter {
        kind: Some("texts"),
        ..AuditFilter::default()
    };
    let rows = rig.db.access(tenant).audit(looks, None, 100).await.unwrap();
    rows.iter().rev().map(|row| row.read().unwrap()).collect()
}

#[tokio::test]
async fn a_look_is_told_once_in_ten_minutes() {
    let rig = Rig::new().await;
    let (tenant, other) = (rig.tenant(1).await, rig.tenant(2).await);
    let db = rig.db.tenant(tenant.id);
    let conversation: ConversationId = IDS.next();
    let (mary, begin) = (actor("mary"), now());
    let look = async |at: Look, by: &Actor, after: Duration| db.looked(at, by, begin + after).await.unwrap();
    let whole = Duration::try_from(LOOK).unwrap();
    let messages = Look::Messages(conversation);

    assert!(look(messages, &mary, Duration::ZERO).await);
    assert!(!look(messages, &mary, Duration::ZERO).await, "at the same moment");
    assert!(!look(messages, &mary, whole - Duration::SECOND).await);
    // Not from the last look on, but from the last that was told.
    assert!(look(messages, &mary, whole).await);

    assert!(
        look(Look::Messages(IDS.next()), &mary, whole).await,
        "another conversation"
    );
    assert!(
        look(Look::Transcript(conversation), &mary, whole).await,
        "a document"
    );
    assert!(look(messages, &actor("john"), whole).await, "another one");
    assert!(
        rig.db
            .tenant(other.id)
            .looked(messages, &mary, begin)
            .await
            .unwrap()
    );
    // A user has names and addresses that change; a key that is called like somebody is not they.
    let user = Actor {
        via: "oidc",
        user: Some(IDS.next::<ConversationId>().uuid()),
        ..actor("mary")
    };
    assert!(look(messages, &user, whole).await);
    let renamed = Actor {
        sub: "mary.jane".to_owned(),
        ..user
    };
    assert!(!look(messages, &renamed, whole).await);

    let entries = told(&rig, tenant.id).await;
    assert_eq!(entries.len(), 6);
    for entry in [&entries[0], &entries[1]] {
        assert_eq!(
            (&entry["action"], &entry["kind"]),
            (&json!("read"), &json!("texts"))
        );
        assert_eq!(entry["id"], json!(conversation));
        assert_eq!(
            (&entry["actor"]["sub"], &entry["name"]),
            (&json!("mary"), &Value::Null)
        );
        assert_eq!(entry["before"], Value::Null);
        assert_eq!(
            entry["after"],
            json!({"tenant_id": tenant.id, "what": "messages", "id": conversation})
        );
    }
    assert_eq!(told(&rig, other.id).await.len(), 1);
    let rows = chain(rig.db.access(tenant.id)).await;
    for pair in rows.windows(2) {
        assert_eq!(pair[1].expected_hash(&pair[0].hash), pair[1].hash);
    }
}

/// Two windows of one and the same person that open at once.
#[tokio::test]
async fn looks_at_once_are_told_once() {
    let rig = Rig::new().await;
    let (tenant, at) = (rig.tenant(1).await, now());
    let looks = (0..8).map(|_| {
        let db = rig.db.clone();
        tokio::spawn(async move {
            db.tenant(tenant.id)
                .looked(Look::Search, &actor("mary"), at)
                .await
        })
    });
    let mut first = 0;
    for look in looks.collect::<Vec<_>>() {
        first += usize::from(look.await.unwrap().unwrap());
    }
    assert_eq!((first, told(&rig, tenant.id).await.len()), (1, 1));
}
