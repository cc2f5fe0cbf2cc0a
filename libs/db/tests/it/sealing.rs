//! Secrets at rest: they open in their row and under their tenant's key only.

use crate::rig::{IDS, MASTER, Rig, open};
use ccm_db::{Db, DbConfig, DbError, KeyRing, NewAccount, SealError};
use ccm_model::{ConversationId, ProviderKind};
use secrecy::ExposeSecret;
use std::sync::Arc;

const SECRET: &[u8] = br#"{"token":"CANARY-SECRET"}"#;

static RULES: ccm_db::AccountRules = ccm_db::AccountRules {
    per_second: None,
    report_signatures: false,
    webhook_base: None,
    repeat_window_s: 0,
};

fn account<'a>(id: ccm_model::AccountId, name: &'a str, settings: &'a serde_json::Value) -> NewAccount<'a> {
    NewAccount {
        id,
        name,
        kind: ProviderKind::Twilio,
        settings,
        secret: SECRET,
        rules: &RULES,
    }
}

fn is_damaged<T>(result: Result<T, DbError>) -> bool {
    matches!(result, Err(DbError::Seal(SealError::Damaged)))
}

async fn chat_key(db: &Db, tenant: ccm_model::TenantId, of: ConversationId) -> Result<String, DbError> {
    let chat = db.tenant(tenant).actor_context(of).await?.chat;
    Ok(chat.map(|c| c.key.to_string()).unwrap_or_default())
}

#[tokio::test]
async fn a_chats_key_comes_back_and_opens_in_its_row_only() {
    let rig = Rig::new().await;
    let (a, b) = (rig.tenant(1).await, rig.tenant(2).await);
    let (own_a, own_b) = (rig.own(a.id).await, rig.own(b.id).await);
    let (one, chat) = rig.chat(a, &own_a, 1).await;
    let (two, _) = rig.chat(a, &own_a, 2).await;
    let (foreign, _) = rig.chat(b, &own_b, 1).await;
    let db = rig.db.tenant(a.id);
    db.chat_rekeyed(&own_a, chat, "CANARY-SECRET").await.unwrap();
    let context = db.actor_context(one).await.unwrap();
    assert_eq!(
        (context.skillset.as_str(), context.link.host.as_str()),
        ("WC_Default_Skillset", "aacc.example")
    );
    assert_eq!(context.customer_address, crate::rig::address(1));
    let resume = context.chat.unwrap();
    assert_eq!(
        (resume.id, resume.guid.as_str(), resume.key.as_str()),
        (chat, "4711", "CANARY-SECRET")
    );
    assert!(
        !rig.everything().await.contains("CANARY-SECRET"),
        "sealed at rest"
    );
    let hex = "SELECT count(*) FROM chat WHERE position('CANARY'::bytea IN key_sealed) > 0";
    assert_eq!(rig.count(hex).await, 0);

    for target in [two, foreign] {
        rig.run(&format!(
            "UPDATE chat SET key_sealed = (SELECT key_sealed FROM chat WHERE id = '{chat}')
             WHERE conversation_id = '{target}'"
        ))
        .await;
    }
    assert!(
        is_damaged(chat_key(&rig.db, a.id, two).await),
        "another row of the tenant"
    );
    assert!(
        is_damaged(chat_key(&rig.db, b.id, foreign).await),
        "another tenant"
    );
    assert_eq!(chat_key(&rig.db, a.id, one).await.unwrap(), "CANARY-SECRET");

    // A value cut short is told from one that cannot be read at all.
    rig.run(&format!(
        "UPDATE chat SET key_sealed = substr(key_sealed, 1, 9) WHERE id = '{chat}'"
    ))
    .await;
    assert!(is_damaged(chat_key(&rig.db, a.id, one).await));
}

#[tokio::test]
async fn an_accounts_secret_comes_back_and_opens_in_its_row_only() {
    let rig = Rig::new().await;
    let (a, b) = (rig.tenant(1).await, rig.tenant(2).await);
    let settings = serde_json::json!({"account_sid": "AC1"});
    let id = IDS.next();
    let db = rig.db.tenant(a.id);
    let made = db.create_account(account(id, "twilio", &settings)).await.unwrap();
    assert_eq!(
        (made.kind, &made.settings, made.tenant),
        (ProviderKind::Twilio, &settings, a.id)
    );
    let opened = db.account_secret(id).await.unwrap();
    assert_eq!(
        (&opened.secret[..], opened.account.name.as_str()),
        (SECRET, "twilio")
    );
    assert_eq!(rig.db.operator().account_owner(id).await.unwrap(), Some(a.id));
    assert!(matches!(
        rig.db.tenant(b.id).account_secret(id).await,
        Err(DbError::NotFound(_))
    ));
    for other in [a.account, b.account] {
        rig.run(&format!(
            "UPDATE provider_account SET secret_sealed = (SELECT secret_sealed FROM provider_account WHERE id = '{id}')
             WHERE id = '{other}'"
        ))
        .await;
    }
    assert!(is_damaged(db.account_secret(a.account).await));
    assert!(is_damaged(rig.db.tenant(b.id).account_secret(b.account).await));
}

#[tokio::test]
async fn a_tenants_key_opens_under_its_master_key_and_for_its_tenant_only() {
    let rig = Rig::new().await;
    let (a, b) = (rig.tenant(1).await, rig.tenant(2).await);
    let urls = rig.test.urls();
    let forgot = open(urls, 1, [8; 32]);
    assert!(matches!(
        forgot.tenant(a.id).account_secret(a.account).await,
        Err(DbError::Seal(SealError::UnknownKey(_)))
    ));
    let config = DbConfig {
        app_url: urls.app.clone().into(),
        system_url: urls.system.clone().into(),
        app_pool: 1,
        system_pool: 1,
    };
    let rotated = Db::open(&config, KeyRing::new([[8; 32], MASTER]).unwrap()).unwrap();
    assert_eq!(
        &rotated
            .tenant(a.id)
            .account_secret(a.account)
            .await
            .unwrap()
            .secret[..],
        b"{}"
    );

    rig.run(&format!(
        "UPDATE tenant_key SET sealed = (SELECT sealed FROM tenant_key WHERE tenant_id = '{}') WHERE tenant_id = '{}'",
        a.id, b.id
    ))
    .await;
    assert!(is_damaged(
        open(urls, 1, MASTER).tenant(b.id).account_secret(b.account).await
    ));

    // Without its data key, a tenant's secrets are lost for good: that is how a tenant is erased from backups.
    rig.run(&format!("DELETE FROM tenant_key WHERE tenant_id = '{}'", a.id))
        .await;
    assert!(is_damaged(
        open(urls, 1, MASTER).tenant(a.id).account_secret(a.account).await
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_data_key_made_by_several_at_once_is_one() {
    let rig = Arc::new(Rig::new().await);
    for n in 0..10 {
        let tenant = IDS.next();
        rig.db
            .operator()
            .create_tenant(tenant, &format!("new-{n}"), "New")
            .await
            .unwrap();
        let pods = [open(rig.test.urls(), 2, MASTER), open(rig.test.urls(), 2, MASTER)];
        let tasks = [0, 1, 2, 3].map(|n: usize| {
            let db = pods[n % 2].clone();
            tokio::spawn(async move {
                let id = IDS.next();
                let (name, settings) = (n.to_string(), serde_json::json!({}));
                db.tenant(tenant)
                    .create_account(account(id, &name, &settings))
                    .await
                    .unwrap();
                id
            })
        });
        for task in tasks {
            let id = task.await.unwrap();
            for db in &pods {
                assert_eq!(
                    &db.tenant(tenant).account_secret(id).await.unwrap().secret[..],
                    SECRET
                );
            }
        }
    }
}

#[tokio::test]
async fn a_tenant_has_two_webhook_secrets_at_most_which_open_in_their_rows_only() {
    let rig = Rig::new().await;
    let (a, b) = (rig.tenant(1).await, rig.tenant(2).await);
    let (db, others) = (rig.db.tenant(a.id), rig.db.tenant(b.id));
    let opened = async |db: &ccm_db::TenantDb<'_>| {
        let secrets = db.webhook_secrets().await?;
        Ok::<_, DbError>(
            secrets
                .iter()
                .map(|s| s.expose_secret().to_owned())
                .collect::<Vec<_>>(),
        )
    };
    let one = db
        .create_webhook_secret(IDS.next(), "one", "CANARY-ONE")
        .await
        .unwrap()
        .unwrap();
    let taken = db.create_webhook_secret(IDS.next(), "one", "CANARY-TWO").await;
    assert!(matches!(taken, Err(DbError::Conflict { .. })));
    let two = db
        .create_webhook_secret(IDS.next(), "two", "CANARY-TWO")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        db.create_webhook_secret(IDS.next(), "three", "x").await.unwrap(),
        None
    );
    others
        .create_webhook_secret(IDS.next(), "one", "CANARY-B")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(opened(&db).await.unwrap(), ["CANARY-ONE", "CANARY-TWO"]);
    assert_eq!(
        db.list_webhook_secrets().await.unwrap(),
        [one.clone(), two.clone()]
    );
    let clear = "SELECT count(*) FROM webhook_secret WHERE position('CANARY'::bytea IN secret_sealed) > 0";
    assert_eq!(rig.count(clear).await, 0);
    // The place of one that is gone is free again.
    assert!(matches!(
        others.delete_webhook_secret(one.id).await,
        Err(DbError::NotFound(_))
    ));
    db.delete_webhook_secret(one.id).await.unwrap();
    db.create_webhook_secret(IDS.next(), "one", "CANARY-NEW")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(opened(&db).await.unwrap(), ["CANARY-NEW", "CANARY-TWO"]);
    rig.run(&format!(
        "UPDATE webhook_secret SET secret_sealed = (SELECT secret_sealed FROM webhook_secret WHERE id = '{}')
         WHERE tenant_id = '{}'",
        two.id, b.id
    ))
    .await;
    assert!(matches!(
        opened(&others).await,
        Err(DbError::Seal(SealError::Damaged))
    ));
}

#[tokio::test]
async fn two_webhook_secrets_can_be_made_at_the_same_time() {
    let rig = Rig::new().await;
    for n in 1..=10 {
        let tenant = rig.tenant(n).await.id;
        let first = IDS.next();
        // So that neither waits for the other's data key.
        let db = rig.db.tenant(tenant);
        db.create_webhook_secret(first, "first", "CANARY").await.unwrap();
        db.webhook_secrets().await.unwrap();
        db.delete_webhook_secret(first).await.unwrap();
        let tasks = ["one", "two"].map(|name| {
            let db = rig.db.clone();
            tokio::spawn(async move {
                let db = db.tenant(tenant);
                db.create_webhook_secret(IDS.next(), name, "CANARY")
                    .await
                    .unwrap()
            })
        });
        for task in tasks {
            assert!(task.await.unwrap().is_some(), "there is room for two");
        }
        assert_eq!(
            db.create_webhook_secret(IDS.next(), "three", "x").await.unwrap(),
            None
        );
    }
}
