//! Who may use the admin API, and what they did.

use crate::rig::{IDS, Rig, Tenant, now};
use ccm_db::{
    AccessDb, AuditFilter, AuditRow, Begun, DbError, Names, NewApiKey, NewSession, NewUser, OnceRequest,
    SignedIn, UserChange,
};
use ccm_model::{Actor, ApiKeyId, Id, TenantId};
use serde_json::{Value, json};
use sqlx::Row;
use time::Duration;

const ONCE: OnceRequest<'static> = OnceRequest {
    actor: "mary",
    key: "k1",
    fingerprint: &[1; 32],
};

pub fn actor(sub: &str) -> Actor {
    Actor {
        sub: sub.to_owned(),
        role: "engineer",
        via: "token",
        key: None,
        user: None,
        from: Some("203.0.113.7".parse().unwrap()),
        request: IDS.next::<ApiKeyId>().uuid(),
    }
}

pub fn key(hash: &[u8; 32]) -> NewApiKey<'_> {
    NewApiKey {
        id: IDS.next(),
        name: "CRM",
        prefix: "ccm_kV3xT0",
        lookup_hash: hash,
        role: "tenant-viewer",
        scopes: None,
        created_by: "mary",
        expires_at: None,
    }
}

fn user<'a>(email: &'a str, subject: Option<&'a str>) -> NewUser<'a> {
    NewUser {
        id: IDS.next(),
        name: "Mary",
        issuer: "https://login.example.com",
        subject,
        email: Some(email),
        role: "tenant-admin",
    }
}

/// A row in each of this room's tables.
pub async fn fill(rig: &Rig, tenant: Tenant, n: u32) {
    let db = rig.db.access(tenant.id);
    db.create_api_key(key(&[n as u8; 32])).await.unwrap();
    db.create_user(user(&format!("mary{n}@example.com"), None))
        .await
        .unwrap();
    db.begin_once(ONCE, now(), Duration::MINUTE).await.unwrap();
    db.create_session(session(&[n as u8; 32], SignedIn::Token))
        .await
        .unwrap();
}

fn session(hash: &[u8; 32], by: SignedIn) -> NewSession<'_> {
    NewSession {
        id: IDS.next(),
        lookup_hash: hash,
        by,
        subject: "mary",
        role: "tenant-viewer",
        scopes: None,
        now: now(),
        expires_at: now() + Duration::HOUR,
    }
}

pub async fn chain(db: AccessDb<'_>) -> Vec<AuditRow> {
    db.audit_chain(0, 1000).await.unwrap()
}

pub async fn last(rig: &Rig, tenant: TenantId) -> Value {
    let rows = rig
        .db
        .access(tenant)
        .audit(AuditFilter::default(), None, 1)
        .await
        .unwrap();
    rows[0].read().unwrap()
}

#[tokio::test]
async fn each_change_is_told_with_its_actor_and_what_was_before() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let made = &chain(rig.db.access(tenant.id)).await[0].read().unwrap();
    assert_eq!(
        (&made["kind"], &made["action"]),
        (&json!("tenant"), &json!("created"))
    );
    assert_eq!(
        made["actor"],
        json!({"sub": "ccm_system_login", "via": "database"})
    );
    assert_eq!(
        (&made["before"], &made["after"]["slug"]),
        (&Value::Null, &json!("tenant-1"))
    );

    let mary = actor("mary's \u{1f600} \" \\ '; DROP TABLE tenant; --");
    let db = rig.db.tenant(tenant.id).by(&mary);
    let settings = ccm_model::ChatSettings::default();
    db.put_settings::<ccm_model::ChatSettings>(&settings, None)
        .await
        .unwrap();
    let entry = last(&rig, tenant.id).await;
    assert_eq!(entry["actor"]["sub"], mary.sub);
    assert_eq!(entry["actor"]["from"], "203.0.113.7");
    assert_eq!(entry["actor"]["request"], mary.request.to_string());
    let before = chain(rig.db.access(tenant.id)).await.len();
    db.put_settings::<ccm_model::ChatSettings>(&settings, None)
        .await
        .unwrap();
    assert_eq!(
        chain(rig.db.access(tenant.id)).await.len(),
        before,
        "nothing was changed"
    );

    let to = ccm_db::StateChange {
        active: false,
        reason: "moves",
        by: "mary",
        at: now(),
    };
    rig.db
        .operator()
        .by(&mary)
        .set_tenant_state(tenant.id, to)
        .await
        .unwrap();
    let entry = last(&rig, tenant.id).await;
    assert_eq!(
        (&entry["kind"], &entry["action"]),
        (&json!("tenant"), &json!("changed"))
    );
    assert_eq!(
        (&entry["before"]["state"], &entry["after"]["state"]),
        (&json!("active"), &json!("suspended"))
    );
    assert!(
        entry["before"].get("slug").is_none(),
        "what was not changed is not told: {entry}"
    );
}

#[tokio::test]
async fn secrets_and_customers_numbers_are_not_kept() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let db = rig.db.tenant(tenant.id);
    db.put_routing(
        &json!({"lists": {"vip": {"numbers": ["+353861234567"]}}, "rules": []}),
        &Names::default(),
        None,
    )
    .await
    .unwrap();
    let first = last(&rig, tenant.id).await;
    assert_eq!(first["after"]["settings"]["lists"], "(secret)");
    db.put_routing(
        &json!({"lists": {"vip": {"numbers": ["+353867654321"]}}, "rules": []}),
        &Names::default(),
        None,
    )
    .await
    .unwrap();
    let second = last(&rig, tenant.id).await;
    assert_eq!(second["after"]["settings"]["lists"], "(secret, another)");
    rig.db
        .access(tenant.id)
        .create_api_key(key(&[0xab; 32]))
        .await
        .unwrap();
    let text: String = chain(rig.db.access(tenant.id))
        .await
        .iter()
        .map(|row| row.record.as_str())
        .collect();
    assert!(text.contains("\"kind\": \"account\""), "{text}");
    for secret in ["353861234567", "353867654321", "abababab"] {
        assert!(!text.contains(secret), "{secret}");
    }
    let account = chain(rig.db.access(tenant.id)).await;
    let account = account
        .iter()
        .map(|row| row.read().unwrap())
        .find(|row| row["kind"] == "account");
    assert_eq!(account.unwrap()["after"]["secret_sealed"], "(secret)");
}

#[tokio::test]
async fn keys_are_found_until_they_are_over_and_overlap_when_they_are_rotated() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let (db, operator, at) = (rig.db.access(tenant.id), rig.db.operator(), now());
    let found = async |hash: &[u8; 32], after: Duration| {
        let row = operator.find_api_key(hash, at + after).await.unwrap();
        row.map(|row| (row.owner, row.id))
    };
    let old = db.create_api_key(key(&[1; 32])).await.unwrap();
    assert_eq!(found(&[1; 32], Duration::ZERO).await, Some((tenant.id, old.id)));
    assert_eq!(found(&[2; 32], Duration::ZERO).await, None);
    let taken = db.create_api_key(key(&[2; 32])).await;
    assert!(
        matches!(taken, Err(DbError::Conflict { .. })),
        "the name is in use"
    );

    let until = at + Duration::HOUR;
    let new = db.rotate_api_key(old.id, until, at, key(&[2; 32])).await.unwrap();
    assert_eq!(
        found(&[1; 32], Duration::minutes(59)).await,
        Some((tenant.id, old.id))
    );
    assert_eq!(found(&[1; 32], Duration::minutes(61)).await, None);
    assert_eq!(
        found(&[2; 32], Duration::days(999)).await,
        Some((tenant.id, new.id))
    );
    let twice = db.rotate_api_key(old.id, until, at, key(&[3; 32])).await;
    assert!(matches!(twice, Err(DbError::NotFound(_))));
    assert_eq!(db.api_key(old.id).await.unwrap().replaced_by, Some(new.id));

    db.revoke_api_key(new.id, at).await.unwrap();
    assert_eq!(found(&[2; 32], Duration::ZERO).await, None);
    let again = db.revoke_api_key(new.id, at + Duration::HOUR).await.unwrap();
    assert!(
        again.revoked_at.unwrap() - at < Duration::SECOND,
        "since the first time"
    );

    db.api_key_used(old.id, at).await.unwrap();
    assert!(db.api_key(old.id).await.unwrap().last_used_at.is_some());
    let other = rig.tenant(2).await;
    assert!(rig.db.access(other.id).api_key(old.id).await.is_err());
    assert!(rig.db.access(TenantId::PLATFORM).api_key(old.id).await.is_err());
    let platform = rig
        .db
        .access(TenantId::PLATFORM)
        .create_api_key(key(&[4; 32]))
        .await
        .unwrap();
    assert_eq!(platform.owner, TenantId::PLATFORM);
    assert!(db.api_key(platform.id).await.is_err());
}

#[tokio::test]
async fn a_session_lasts_as_long_as_it_is_used_and_as_what_began_it() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let (db, operator, at) = (rig.db.access(tenant.id), rig.db.operator(), now());
    let found = async |hash: u8, after: Duration| {
        let (then, idle) = (at + after, Duration::minutes(30));
        operator
            .find_session(&[hash; 32], then, then - idle)
            .await
            .unwrap()
    };
    let soon = Duration::minutes(5);
    db.create_session(session(&[1; 32], SignedIn::Token))
        .await
        .unwrap();
    let row = found(1, soon).await.unwrap();
    assert_eq!(
        (row.owner, row.by, row.role.as_str()),
        (tenant.id, SignedIn::Token, "tenant-viewer")
    );
    assert!(found(2, soon).await.is_none());
    assert!(found(1, Duration::minutes(31)).await.is_none(), "idle");
    db.session_used(row.id, at + Duration::minutes(29)).await.unwrap();
    assert!(found(1, Duration::minutes(58)).await.is_some());
    db.session_used(row.id, at + Duration::minutes(59)).await.unwrap();
    assert!(found(1, Duration::minutes(61)).await.is_none(), "over");
    db.end_session(row.id, at).await.unwrap();
    assert!(found(1, soon).await.is_none(), "signed out");
    let told = last(&rig, tenant.id).await;
    assert_eq!(
        (&told["kind"], &told["action"]),
        (&json!("session"), &json!("changed"))
    );

    let program = db.create_api_key(key(&[1; 32])).await.unwrap();
    db.create_session(session(&[2; 32], SignedIn::ApiKey(program.id)))
        .await
        .unwrap();
    assert_eq!(found(2, soon).await.unwrap().subject, "CRM");
    db.revoke_api_key(program.id, at).await.unwrap();
    assert!(found(2, soon).await.is_none(), "its key is revoked");

    let mary = db
        .create_user(user("mary@example.com", Some("4711")))
        .await
        .unwrap();
    db.create_session(session(&[3; 32], SignedIn::User(mary.id)))
        .await
        .unwrap();
    assert_eq!(
        found(3, soon).await.unwrap().role,
        "tenant-admin",
        "the user's, not the session's"
    );
    let out = |disabled| UserChange {
        name: "Mary".to_owned(),
        role: "tenant-viewer".to_owned(),
        disabled,
    };
    let change = async |disabled| {
        db.change_user(mary.id, at, |_| Ok::<_, DbError>(out(disabled)))
            .await
            .unwrap();
    };
    change(true).await;
    assert!(found(3, soon).await.is_none(), "the user is disabled");
    change(false).await;
    assert_eq!(found(3, soon).await.unwrap().role, "tenant-viewer");

    let other = rig.tenant(2).await;
    let stranger = found(3, soon).await.unwrap().id;
    rig.db.access(other.id).end_session(stranger, at).await.unwrap();
    assert!(found(3, soon).await.is_some(), "another tenant ends nothing here");
    let late = NewSession {
        now: at + Duration::days(3),
        expires_at: at + Duration::days(4),
        ..session(&[4; 32], SignedIn::Token)
    };
    db.create_session(late).await.unwrap();
    assert_eq!(
        rig.count("SELECT count(*) FROM session").await,
        1,
        "what has long been over is cleared away"
    );
}

#[tokio::test]
async fn people_are_known_by_their_address_once_and_by_their_subject_ever_after() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    let (db, operator) = (rig.db.access(tenant.id), rig.db.operator());
    let mary = db.create_user(user("mary@example.com", None)).await.unwrap();
    let find = async |subject: &str, email: Option<&str>| {
        let found = operator
            .find_user("https://login.example.com", subject, email)
            .await;
        found.unwrap().map(|user| user.id)
    };
    assert_eq!(find("1", None).await, None);
    assert_eq!(find("1", Some("mary@example.com")).await, Some(mary.id));
    db.user_seen(mary.id, "1", now()).await.unwrap();
    assert_eq!(find("1", None).await, Some(mary.id));
    assert_eq!(
        find("2", Some("mary@example.com")).await,
        None,
        "the address has gone to somebody else"
    );
    let elsewhere = operator
        .find_user("https://other.example.com", "1", Some("mary@example.com"))
        .await;
    assert!(elsewhere.unwrap().is_none());
    let other = rig.tenant(2).await;
    let twice = rig
        .db
        .access(other.id)
        .create_user(user("mary@example.com", None))
        .await;
    assert!(matches!(twice, Err(DbError::Conflict { .. })));

    let disabled = db.change_user(mary.id, now(), |user| {
        Ok::<_, DbError>(UserChange {
            name: user.name.clone(),
            role: "tenant-viewer".to_owned(),
            disabled: true,
        })
    });
    let disabled = disabled.await.unwrap();
    assert!(disabled.disabled_at.is_some() && disabled.role == "tenant-viewer");
    db.delete_user(mary.id).await.unwrap();
    assert!(matches!(db.delete_user(mary.id).await, Err(DbError::NotFound(_))));
}

#[tokio::test]
async fn a_request_is_done_once_and_again_only_when_it_was_cut_off() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1).await;
    for owner in [tenant.id, TenantId::PLATFORM] {
        let (db, at) = (rig.db.access(owner), now());
        let begin = async |once: OnceRequest<'_>, after: Duration| {
            db.begin_once(once, at + after, Duration::MINUTE).await.unwrap()
        };
        assert!(matches!(begin(ONCE, Duration::ZERO).await, Begun::New));
        assert!(matches!(begin(ONCE, Duration::seconds(59)).await, Begun::Running));
        let other = OnceRequest {
            fingerprint: &[2; 32],
            ..ONCE
        };
        assert!(matches!(begin(other, Duration::ZERO).await, Begun::Other));
        let johns = OnceRequest {
            actor: "john",
            ..ONCE
        };
        assert!(matches!(begin(johns, Duration::ZERO).await, Begun::New));
        assert!(
            matches!(begin(ONCE, Duration::seconds(61)).await, Begun::New),
            "it was cut off"
        );
        db.end_once(ONCE, b"an answer").await.unwrap();
        match begin(ONCE, Duration::hours(2)).await {
            Begun::Done(answer) => assert_eq!(&**answer, b"an answer"),
            begun => panic!("{begun:?}"),
        }
        db.forget_once(johns).await.unwrap();
        assert!(matches!(begin(johns, Duration::ZERO).await, Begun::New));
    }
    let stored = rig
        .rows("SELECT answer_sealed FROM idempotent_request WHERE answer_sealed IS NOT NULL")
        .await;
    assert!(
        stored
            .iter()
            .all(|row| !row.get::<Vec<u8>, _>(0).windows(6).any(|six| six == b"answer"))
    );
    assert_eq!(
        rig.db
            .operator()
            .forget_requests(now() + Duration::HOUR)
            .await
            .unwrap(),
        4
    );
}
