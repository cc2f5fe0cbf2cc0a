//! Who may ask.

use crate::rig::{BEGIN, MOBILE, Rig};
use axum::{
    body::Body,
    extract::ConnectInfo,
    http::{
        Request,
        header::{self, WWW_AUTHENTICATE},
    },
};
use ccm_auth::AuthKey;
use ccm_db::{AuthKeyChange, DbError, StateChange};
use ccm_model::ProviderKind;
use std::{net::SocketAddr, time::Duration};

const PATH: &str = "/v1/number-check?number=%2B353861234567&lookup=true";

#[tokio::test]
async fn a_good_key_is_needed() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1, ProviderKind::Twilio).await;
    let expiring = AuthKey::parse("expires-in-1-hr!").unwrap();
    rig.add_key(tenant.id, &expiring, Some(BEGIN + Duration::from_secs(3600)))
        .await;
    let good = format!("bearer {}", tenant.key);
    let soon_bad = format!("Bearer {}", expiring.expose());
    for authorization in [&good, &soon_bad] {
        rig.get(PATH, Some(authorization)).await.ok();
    }
    rig.pass(Duration::from_secs(3600));
    let basic = format!("Basic {}", tenant.key);
    let almost = format!("Bearer {}", tenant.key.to_uppercase());
    for authorization in [
        None,
        Some(""),
        Some("Bearer "),
        Some("Bearer short"),
        Some("Bearer 0123456789abcdef"),
        Some(basic.as_str()),
        Some(almost.as_str()),
        Some(soon_bad.as_str()),
    ] {
        let refused = rig.get(PATH, authorization).await;
        refused.problem(401);
        assert_eq!(refused.headers[WWW_AUTHENTICATE], "Bearer realm=\"ccm\"");
        let said = refused.json.to_string();
        assert!(
            !said.contains(&tenant.key) && !said.contains("861234567"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_suspended_tenant_asks_nobody() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1, ProviderKind::Twilio).await;
    let be = async |active: bool| {
        let change = StateChange {
            active,
            reason: "a test",
            by: "somebody",
            at: BEGIN,
        };
        let operator = rig.deps.db.operator();
        operator.set_tenant_state(tenant.id, change).await.unwrap();
    };
    be(false).await;
    rig.check(&tenant, MOBILE, "").await.problem(403);
    be(true).await;
    rig.check(&tenant, MOBILE, "").await.ok();
}

#[tokio::test]
async fn a_key_is_good_in_its_networks() {
    let rig = Rig::new().await;
    let tenant = rig.tenant(1, ProviderKind::Http).await;
    let db = rig.deps.db.tenant(tenant.id);
    let key = db.auth_keys().await.unwrap().remove(0);
    let ask = async |peer: &str, forwarded: Option<&str>| {
        let mut request = Request::get("/v1/number-check?number=%2B353861234567")
            .header(header::AUTHORIZATION, format!("Bearer {}", tenant.key))
            .extension(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 4711)));
        if let Some(forwarded) = forwarded {
            request = request.header("x-forwarded-for", forwarded);
        }
        rig.send(request.body(Body::empty()).unwrap()).await
    };
    ask("203.0.113.7", None).await.ok();
    let bound = AuthKeyChange {
        name: key.name.clone(),
        expires_at: None,
        networks: vec!["192.0.2.0/24".to_owned(), "2001:db8::/32".to_owned()],
        uses: ccm_model::KeyUse::ALL.to_vec(),
    };
    db.change_auth_key(key.id, |_| Ok::<_, DbError>(bound))
        .await
        .unwrap();
    for (peer, forwarded) in [
        ("192.0.2.7", None),
        ("::ffff:192.0.2.7", None),
        ("2001:db8::1", None),
        ("10.0.0.1", Some("192.0.2.7")),
    ] {
        ask(peer, forwarded).await.ok();
    }
    for (peer, forwarded) in [
        ("203.0.113.7", None),
        ("203.0.113.7", Some("192.0.2.7")),
        ("10.0.0.1", Some("203.0.113.7")),
    ] {
        ask(peer, forwarded).await.problem(403);
    }
    let unknown = rig.check(&tenant, MOBILE, "").await;
    unknown.problem(403);
    let used = db.auth_key(key.id).await.unwrap();
    assert!(used.last_used_at.is_some());
}
