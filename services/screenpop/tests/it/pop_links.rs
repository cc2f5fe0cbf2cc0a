//! Links that a tenant signs itself.

use crate::rig::{BEGIN, MOBILE, Rig, ours};
use axum::http::header;
use ccm_model::{ProviderKind, SigningKeyId};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use std::time::Duration;

const SECRET: &str = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAAAAAAAAAAA";

fn link(key: SigningKeyId, secret: &str, claims: &Value) -> String {
    let header = Header {
        kid: Some(key.to_string()),
        ..Header::new(Algorithm::HS256)
    };
    let token = encode(&header, claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap();
    format!("/?link={token}")
}

fn claims(jti: &str, seconds: i64) -> Value {
    json!({"aud": "ccm-screenpop", "exp": BEGIN.unix_timestamp() + seconds, "jti": jti, "dest": MOBILE,
           "dialed": ours(1), "agent": "Mary"})
}

#[tokio::test]
async fn a_signed_link_opens_one_page() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1, ProviderKind::Http).await;
    let db = rig.deps.db.tenant(tenant.id);
    let key: SigningKeyId = rig.deps.ids.next();
    db.create_signing_key(key, "crm", SECRET).await.unwrap();
    let good = link(key, SECRET, &claims("1", 60));
    let opened = rig.browse(&good).await;
    assert_eq!(opened.status, 303, "{}", opened.text);
    let path = opened.headers[header::LOCATION].to_str().unwrap().to_owned();
    assert!(path.len() < 60, "the link is not in it");
    assert_eq!(rig.browse(&path).await.value("number"), MOBILE);
    let again = rig.browse(&good).await;
    assert_eq!(again.status, 410);
    assert!(again.text.contains("has been used"));
    for (bad, why) in [
        (link(key, "another", &claims("2", 60)), "signature is wrong"),
        (link(key, SECRET, &claims("3", -60)), "has expired"),
        (link(key, SECRET, &claims("4", 3600)), "more than ten minutes"),
        (
            link(rig.deps.ids.next(), SECRET, &claims("5", 60)),
            "signature is wrong",
        ),
        ("/?link=nonsense".to_owned(), "malformed"),
    ] {
        let refused = rig.browse(&bad).await;
        assert_eq!(refused.status, 401, "{why}");
        assert!(refused.text.contains(why), "{why}: {}", refused.text);
    }
    db.delete_signing_key(key).await.unwrap();
    assert_eq!(
        rig.browse(&path).await.status,
        410,
        "a page ends with the key that opened it"
    );
    assert_eq!(rig.browse(&link(key, SECRET, &claims("6", 60))).await.status, 401);
}

#[tokio::test]
async fn a_link_is_remembered_as_long_as_it_could_be_used() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1, ProviderKind::Http).await;
    let key: SigningKeyId = rig.deps.ids.next();
    let db = rig.deps.db.tenant(tenant.id);
    db.create_signing_key(key, "crm", SECRET).await.unwrap();
    let longest = link(key, SECRET, &claims("1", 600));
    assert_eq!(rig.browse(&longest).await.status, 303);
    rig.pass(Duration::from_secs(599));
    assert_eq!(rig.browse(&longest).await.status, 410);
    rig.pass(Duration::from_secs(60));
    assert_eq!(rig.browse(&longest).await.status, 401, "it has expired");
}
