//! What providers said about numbers, how often they are asked, and whose key it is that asks.

use crate::rig::{IDS, Rig, Tenant, address, now};
use ccm_db::{AuthKeyOwner, NewAuthKey, NumberLookupRow};
use ccm_model::LineType;
use std::time::Duration;
use time::OffsetDateTime;

const DAY: Duration = Duration::from_secs(86_400);

fn said(at: OffsetDateTime, line: Option<LineType>) -> NumberLookupRow {
    NumberLookupRow {
        valid: true,
        country: Some("US".into()),
        line,
        carrier: Some("T-Mobile USA, Inc.".into()),
        mobile_country_code: Some("310".into()),
        mobile_network_code: None,
        at,
    }
}

/// At least one row in each of the tables.
pub async fn fill(rig: &Rig, tenant: Tenant, customer: u32) {
    let (db, at) = (rig.db.tenant(tenant.id), now());
    db.take_number_lookup(60, at).await.unwrap();
    // Postgres keeps microseconds.
    let at = at.replace_nanosecond(0).unwrap() + Duration::from_secs(60);
    db.keep_number_lookup(&address(customer), &said(at, None), at - DAY)
        .await
        .unwrap();
}

#[tokio::test]
async fn an_answer_is_kept_for_its_tenant_and_without_the_number() {
    let rig = Rig::new().await;
    let (a, b) = (rig.tenant(1).await, rig.tenant(2).await);
    let at = now().replace_nanosecond(0).unwrap();
    let (number, other) = (address(1), address(2));
    let [of_a, of_b] = [a, b].map(|tenant| rig.db.tenant(tenant.id));
    assert_eq!(of_a.number_lookup(&number, at - DAY).await.unwrap(), None);
    let old = said(at - 3 * DAY, None);
    of_a.keep_number_lookup(&other, &old, at - 30 * DAY)
        .await
        .unwrap();
    of_a.keep_number_lookup(&number, &old, at - 30 * DAY)
        .await
        .unwrap();
    let new = said(at, Some(LineType::NonFixedVoip));
    of_a.keep_number_lookup(&number, &new, at - 30 * DAY)
        .await
        .unwrap();
    assert_eq!(of_a.number_lookup(&number, at - DAY).await.unwrap(), Some(new));
    assert_eq!(
        of_a.number_lookup(&other, at - DAY).await.unwrap(),
        None,
        "too old"
    );
    assert_eq!(of_a.number_lookup(&other, at - 4 * DAY).await.unwrap(), Some(old));
    assert_eq!(of_b.number_lookup(&number, at - DAY).await.unwrap(), None);

    let stored: String = rig
        .rows("SELECT string_agg(to_jsonb(t)::text, '') FROM number_lookup t")
        .await
        .iter()
        .map(|row| sqlx::Row::get::<String, _>(row, 0))
        .collect();
    assert_eq!(ccm_testkit::canary::find_in(&stored), []);

    // A new answer sweeps the old ones out.
    of_a.keep_number_lookup(&number, &said(at, None), at - DAY)
        .await
        .unwrap();
    assert_eq!(rig.count("SELECT count(*) FROM number_lookup").await, 1);
    for line in LineType::ALL {
        of_b.keep_number_lookup(&number, &said(at, Some(*line)), at - DAY)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_tenant_asks_at_its_rate_however_many_pods_ask() {
    let rig = Rig::new().await;
    let (a, b) = (rig.tenant(1).await, rig.tenant(2).await);
    let (db, at) = (rig.db.tenant(a.id), now());
    let mut waits = Vec::new();
    for _ in 0..8 {
        waits.push(db.take_number_lookup(6, at).await.unwrap());
    }
    assert_eq!(waits.iter().filter(|wait| wait.is_none()).count(), 6, "{waits:?}");
    let wait = waits[7].unwrap();
    assert!(
        (Duration::from_millis(9_900)..=Duration::from_secs(10)).contains(&wait),
        "{wait:?}"
    );
    let later = at + Duration::from_secs(11);
    assert_eq!(db.take_number_lookup(6, later).await.unwrap(), None);
    assert!(db.take_number_lookup(6, later).await.unwrap().is_some());
    let other = rig.db.tenant(b.id);
    assert_eq!(
        other.take_number_lookup(1, at).await.unwrap(),
        None,
        "its own rate"
    );
    assert!(other.take_number_lookup(1, at).await.unwrap().is_some());
    let together = at + Duration::from_secs(3600);
    let all = asked_at_once(&rig, a, together).await;
    assert_eq!(all, 6, "pods that ask at once share the rate");
}

async fn asked_at_once(rig: &Rig, tenant: Tenant, at: OffsetDateTime) -> usize {
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let db = rig.db.clone();
        asking.spawn(async move { db.tenant(tenant.id).take_number_lookup(6, at).await.unwrap() });
    }
    let waits = asking.join_all().await;
    waits.into_iter().filter(Option::is_none).count()
}

#[tokio::test]
async fn a_key_is_found_while_it_is_good() {
    let rig = Rig::new().await;
    let (a, b, at) = (rig.tenant(1).await, rig.tenant(2).await, now());
    let make = async |tenant: Tenant, n: u8, expires_at: Option<OffsetDateTime>| {
        let new = NewAuthKey {
            id: IDS.next(),
            name: &n.to_string(),
            prefix: "abcd",
            lookup_hash: &[n; 32],
            expires_at,
            networks: &[],
            uses: ccm_model::KeyUse::ALL,
        };
        let db = rig.db.tenant(tenant.id);
        db.create_auth_key(new).await.unwrap().id
    };
    let (of_a, of_b) = (make(a, 1, None).await, make(b, 2, Some(at + DAY)).await);
    let owner = async |n: u8, at| rig.db.operator().auth_key_owner(&[n; 32], at).await.unwrap();
    let owned = |tenant: Tenant, key| {
        Some(AuthKeyOwner {
            tenant: tenant.id,
            key,
            networks: Vec::new(),
            uses: ccm_model::KeyUse::ALL.to_vec(),
        })
    };
    assert_eq!(owner(1, at).await, owned(a, of_a));
    assert_eq!(owner(2, at).await, owned(b, of_b));
    assert_eq!(owner(2, at + 2 * DAY).await, None, "expired");
    assert_eq!(owner(3, at).await, None);
    rig.run("UPDATE auth_key SET revoked_at = now() WHERE name = '1'")
        .await;
    assert_eq!(owner(1, at).await, None, "revoked");
}
