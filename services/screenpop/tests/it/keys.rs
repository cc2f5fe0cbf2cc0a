//! Who may ask.

use crate::rig::{BEGIN, MOBILE, Rig};
use axum::http::header::WWW_AUTHENTICATE;
use ccm_auth::AuthKey;
use ccm_db::StateChange;
use ccm_model::ProviderKind;
use std::time::Duration;

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
