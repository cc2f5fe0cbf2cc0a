//! Reports of the link doctor: kept, shared, taken back.

use crate::rig::{IDS, Rig, Tenant, now};
use ccm_db::{Db, DbError, DoctorReportRow};
use ccm_model::LinkId;
use time::Duration;
use uuid::Uuid;

fn report(link: Option<LinkId>) -> DoctorReportRow {
    DoctorReportRow {
        id: IDS.next(),
        link,
        outcome: "failed".into(),
        report: serde_json::json!({"outcome": "failed", "primary": "wss://aacc"}),
        made_by: "engineer".into(),
        made_at: now(),
        shared_until: None,
    }
}

/// One report of the tenant's, shared.
pub async fn fill(db: &Db, tenant: Tenant) -> Uuid {
    let (rows, new) = (db.tenant(tenant.id), report(Some(tenant.link)));
    rows.put_doctor_report(&new).await.unwrap();
    let token = tenant.id.to_string();
    rows.share_doctor_report(new.id, token.as_bytes(), now() + Duration::hours(1), "engineer")
        .await
        .unwrap();
    new.id
}

#[tokio::test]
async fn reports_come_newest_first_of_one_link_or_of_all() {
    let rig = Rig::new().await;
    let (tenant, other) = (rig.tenant(1).await, rig.tenant(2).await);
    let db = rig.db.tenant(tenant.id);
    let (mut first, mut second) = (report(Some(tenant.link)), report(None));
    // Ids of the same millisecond come in any order.
    if first.id > second.id {
        (first.id, second.id) = (second.id, first.id);
    }
    for new in [&first, &second] {
        db.put_doctor_report(new).await.unwrap();
    }
    let ids = |rows: Vec<DoctorReportRow>| rows.into_iter().map(|row| row.id).collect::<Vec<_>>();
    assert_eq!(
        ids(db.doctor_reports(None, None, 10).await.unwrap()),
        [second.id, first.id]
    );
    assert_eq!(
        ids(db.doctor_reports(None, Some(second.id), 10).await.unwrap()),
        [first.id]
    );
    assert_eq!(
        ids(db.doctor_reports(Some(tenant.link), None, 10).await.unwrap()),
        [first.id]
    );
    let read = db.doctor_report(first.id).await.unwrap();
    assert_eq!((read.report, read.link), (first.report, Some(tenant.link)));
    let stranger = rig.db.tenant(other.id);
    assert_eq!(stranger.doctor_reports(None, None, 10).await.unwrap(), []);
    assert!(matches!(
        stranger.doctor_report(first.id).await,
        Err(DbError::NotFound(_))
    ));
    let theirs = stranger.put_doctor_report(&report(Some(tenant.link))).await;
    assert!(matches!(theirs, Err(DbError::Conflict { missing: true, .. })));
}

#[tokio::test]
async fn a_shared_address_leads_to_its_report_until_it_ends_or_is_taken_back() {
    let rig = Rig::new().await;
    let (tenant, other) = (rig.tenant(1).await, rig.tenant(2).await);
    let db = rig.db.tenant(tenant.id);
    let new = report(None);
    db.put_doctor_report(&new).await.unwrap();
    let found = async |token: &[u8], at| rig.db.operator().shared_doctor_report(token, at).await.unwrap();
    let until = now() + Duration::hours(1);
    db.share_doctor_report(new.id, b"first", until, "engineer")
        .await
        .unwrap();
    assert_eq!(found(b"first", now()).await, Some((tenant.id, new.id)));
    assert_eq!(found(b"first", until).await, None, "it has ended");
    assert_eq!(found(b"guess", now()).await, None);
    let stored = rig.rows("SELECT doctor_report::text FROM doctor_report").await;
    let stored: String = sqlx::Row::get(&stored[0], 0);
    let hex: String = b"first".iter().map(|b| format!("{b:02x}")).collect();
    assert!(
        !stored.contains("first") && !stored.contains(&hex),
        "only its hash is stored"
    );

    db.share_doctor_report(new.id, b"second", until, "engineer")
        .await
        .unwrap();
    assert_eq!(found(b"first", now()).await, None, "one address at a time");
    let stranger = rig.db.tenant(other.id);
    for refused in [
        stranger.unshare_doctor_report(new.id).await,
        stranger
            .share_doctor_report(new.id, b"third", until, "engineer")
            .await,
    ] {
        assert!(matches!(refused, Err(DbError::NotFound(_))));
    }
    db.unshare_doctor_report(new.id).await.unwrap();
    assert_eq!(found(b"second", now()).await, None);
    assert!(matches!(
        db.unshare_doctor_report(new.id).await,
        Err(DbError::NotFound(_))
    ));
}
