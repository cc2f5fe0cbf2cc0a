//! What a link trusts and shows, changed one by one.

use crate::rig::{Rig, Tenant, now};
use ccm_db::{ClientKeyRow, Db, DbError};

fn request() -> ClientKeyRow {
    ClientKeyRow {
        csr_pem: "CSR".into(),
        created_at: now(),
    }
}

/// A key of the tenant's link that waits.
pub async fn fill(db: &Db, tenant: Tenant) {
    let rows = db.tenant(tenant.id);
    rows.create_client_key(tenant.link, "PRIVATE-CANARY", &request())
        .await
        .unwrap();
}

#[tokio::test]
async fn what_a_link_trusts_is_changed_only_by_who_has_seen_it() {
    let rig = Rig::new().await;
    let (tenant, other) = (rig.tenant(1).await, rig.tenant(2).await);
    let db = rig.db.tenant(tenant.id);
    let before = db.links().await.unwrap().remove(0);
    let row = db
        .set_link_ca(tenant.link, before.ca_pem.as_deref(), Some("ONE"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.ca_pem.as_deref(), Some("ONE"));
    assert!(row.updated_at > before.updated_at);
    assert_eq!(
        db.set_link_ca(tenant.link, Some("TWO"), Some("THREE"))
            .await
            .unwrap(),
        None,
        "somebody was faster"
    );
    let stranger = rig.db.tenant(other.id);
    assert_eq!(
        stranger
            .set_link_ca(tenant.link, Some("ONE"), None)
            .await
            .unwrap(),
        None
    );
    assert_eq!(db.links().await.unwrap(), [row]);
}

#[tokio::test]
async fn a_key_waits_sealed_until_it_is_used_or_thrown_away() {
    let rig = Rig::new().await;
    let (tenant, other) = (rig.tenant(1).await, rig.tenant(2).await);
    let db = rig.db.tenant(tenant.id);
    assert_eq!(db.client_key(tenant.link).await.unwrap(), None);
    fill(&rig.db, tenant).await;
    let twice = db.create_client_key(tenant.link, "X", &request()).await;
    assert!(matches!(twice, Err(DbError::Conflict { missing: false, .. })));
    assert_eq!(db.client_key(tenant.link).await.unwrap().unwrap().csr_pem, "CSR");
    let key = db.client_key_secret(tenant.link).await.unwrap().unwrap();
    assert_eq!(key.as_str(), "PRIVATE-CANARY");
    let stored = rig
        .rows("SELECT link_client_key::text FROM link_client_key")
        .await;
    let stored: String = sqlx::Row::get(&stored[0], 0);
    let hex: String = "PRIVATE-CANARY".bytes().map(|b| format!("{b:02x}")).collect();
    assert!(!stored.contains("PRIVATE-CANARY") && !stored.contains(&hex));

    let stranger = rig.db.tenant(other.id);
    assert_eq!(stranger.client_key(tenant.link).await.unwrap(), None);
    assert!(stranger.client_key_secret(tenant.link).await.unwrap().is_none());
    assert!(!stranger.delete_client_key(tenant.link).await.unwrap());
    let theirs = stranger.create_client_key(tenant.link, "X", &request()).await;
    assert!(theirs.is_err(), "a link of another tenant");

    let client = Some(("CERT", key.as_str()));
    let row = db.set_link_client(tenant.link, client, false).await.unwrap();
    assert_eq!(row.client_cert_pem.as_deref(), Some("CERT"));
    assert!(
        db.client_key(tenant.link).await.unwrap().is_some(),
        "it still waits"
    );
    db.set_link_client(tenant.link, client, true).await.unwrap();
    assert_eq!(
        db.client_key(tenant.link).await.unwrap(),
        None,
        "it is in use now"
    );
    let secrets = db.link_secrets(tenant.link).await.unwrap();
    assert_eq!(secrets.client_key_pem.unwrap().as_str(), "PRIVATE-CANARY");
    db.set_link_client(tenant.link, None, false).await.unwrap();
    let secrets = db.link_secrets(tenant.link).await.unwrap();
    assert!(secrets.client_key_pem.is_none());
    assert!(matches!(
        stranger.set_link_client(tenant.link, client, false).await,
        Err(DbError::NotFound(_))
    ));
    fill(&rig.db, tenant).await;
    assert!(db.delete_client_key(tenant.link).await.unwrap());
    assert!(!db.delete_client_key(tenant.link).await.unwrap());
}
