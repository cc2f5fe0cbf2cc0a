use ccm_admin::{
    Deps, DoctorDeps, Oidc, OidcSettings, RequestRate, SessionTimes, StoreSlots, TrustedProxies,
};
use ccm_auth::{JwtConfig, JwtKey, LookupKey, Role, TokenIssuer, TokenVerifier};
use ccm_bus::Bus;
use ccm_db::{
    Accepted, Db, DbConfig, IncomingText, KeyRing, LeaseTimes, NewAccount, NewLink, NewNumber, NewSkillset,
    Route, Scheme, TextKind,
};
use ccm_egress::{Allowed, Egress};
use ccm_model::{Body, Clock, ConversationId, IdSource, MessageId, NumberKind, ProviderKind, TenantId};
use ccm_testkit::TestDb;
use secrecy::{SecretBox, SecretString};
use serde_json::Value;
use std::{num::NonZeroU32, path::PathBuf, process::Stdio, time::Duration};
use tokio::{io::AsyncWriteExt, net::TcpListener, process::Command};

pub const OURS: &str = "+14155550123";
pub const CUSTOMER: &str = "+353861234567";

/// The admin API on a port of its own, and a token for it.
pub struct Rig {
    pub db: Db,
    pub database: TestDb,
    pub ids: IdSource,
    pub url: String,
    pub tenant: TenantId,
    pub folder: tempfile::TempDir,
    issuer: TokenIssuer,
    route: Route,
}

pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ended {
    pub fn ok(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{}", self.out);
        self.out
    }

    pub fn json(self) -> Value {
        serde_json::from_str(&self.ok()).unwrap()
    }
}

impl Rig {
    pub async fn start() -> Self {
        let database = TestDb::create(async |owner: String| ccm_db::migrate(&owner.into()).await)
            .await
            .unwrap();
        let config = DbConfig {
            app_url: SecretString::from(database.app_url()),
            system_url: SecretString::from(database.system_url()),
            app_pool: 4,
            system_pool: 2,
        };
        let jwt = JwtConfig {
            issuer: "ccm".to_owned(),
            audience: "ccm-admin".to_owned(),
            leeway: Duration::from_secs(5),
            key: JwtKey::Hs256(b"0123456789abcdef0123456789abcdef".to_vec().into()),
        };
        let (db, ids) = (
            Db::open(&config, KeyRing::new([[7u8; 32]]).unwrap()).unwrap(),
            IdSource::system(),
        );
        // There may be one already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let deps = Deps {
            db: db.clone(),
            bus: Bus::in_process(),
            ids: ids.clone(),
            tokens: TokenVerifier::new(&jwt, Clock::system()).unwrap(),
            oidc: Oidc::new(OidcSettings::default()).unwrap(),
            proxies: TrustedProxies::default(),
            rate: RequestRate {
                per_minute: NonZeroU32::MAX,
                at_once: NonZeroU32::MAX,
            },
            sessions: SessionTimes {
                at_most: Duration::from_secs(12 * 3600),
                idle: Duration::from_secs(3600),
            },
            lookup_key: LookupKey::derive(&SecretBox::new(Box::new([7; 32]))),
            webhook_base: "https://sms.example.com".to_owned(),
            store: StoreSlots::default(),
            lease_times: LeaseTimes {
                lease: Duration::from_secs(5),
                margin: Duration::from_secs(1),
            },
            doctor: DoctorDeps::new(ccm_connector::targets, None, Duration::from_secs(5), 4),
            egress: Egress::new(Allowed::default()).unwrap(),
            webhook_test_wait: Duration::ZERO,
            max_body_bytes: 1 << 20,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, ccm_admin::router(deps)).await });
        let route = tenant(&db, &ids).await;
        Self {
            db,
            database,
            ids,
            url,
            tenant: route.tenant,
            folder: tempfile::tempdir().unwrap(),
            issuer: TokenIssuer::new(&jwt, Clock::system()).unwrap(),
            route,
        }
    }

    pub fn token(&self, role: Role) -> String {
        self.token_of(role, None)
    }

    /// For a role of a tenant's.
    pub fn token_of(&self, role: Role, tenant: Option<TenantId>) -> String {
        self.issuer
            .issue("mary", role, tenant, Duration::from_secs(60))
            .unwrap()
    }

    pub fn file(&self, name: &str, content: &str) -> PathBuf {
        let file = self.folder.path().join(name);
        std::fs::write(&file, content).unwrap();
        file
    }

    /// As an engineer whose token is in the environment.
    pub async fn run(&self, line: &[&str]) -> Ended {
        self.run_with(line, &self.token(Role::Engineer), "").await
    }

    pub async fn run_with(&self, line: &[&str], token: &str, input: &str) -> Ended {
        let env = [("CCM_URL", self.url.as_str()), ("CCM_TOKEN", token)];
        self.run_in(line, &env, input).await
    }

    /// With no more of an environment than this, and a home of its own.
    pub async fn run_in(&self, line: &[&str], env: &[(&str, &str)], input: &str) -> Ended {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ccmctl"))
            .args(line)
            .env_clear()
            .env("HOME", self.folder.path())
            .env("PATH", "/usr/bin:/bin")
            .envs(env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .await
            .unwrap();
        let ended = child.wait_with_output().await.unwrap();
        Ended {
            code: ended.status.code().unwrap(),
            out: String::from_utf8(ended.stdout).unwrap(),
            err: String::from_utf8(ended.stderr).unwrap(),
        }
    }

    /// A customer's text that no agent got, as the connector gives one up. Its id is the dead letter's too.
    pub async fn refused(&self, body: &str) -> (String, ConversationId) {
        let message: MessageId = self.ids.next();
        let text = IncomingText {
            message,
            conversation: self.ids.next(),
            route: self.route,
            provider_id: message.to_string(),
            to: OURS.parse().unwrap(),
            from: CUSTOMER.parse().unwrap(),
            body: Body::new(body).unwrap(),
            repeat_window: None,
            kind: TextKind::Text,
            refused: None,
            segments: None,
            received_at: self.ids.clock().now(),
            written_at: None,
            trace: None,
        };
        let [Accepted::New { conversation, .. }] = self.db.batch().accept(&[text]).await.unwrap()[..] else {
            panic!("stored before")
        };
        let sql = format!(
            "INSERT INTO dead_letter (id, tenant_id, kind, message_id, conversation_id, code, detail, created_at)
             SELECT id, tenant_id, 'mo', id, conversation_id, 'refused', 'AACC refused it', now() FROM message
             WHERE id = '{message}'; UPDATE message SET state = 'refused' WHERE id = '{message}'"
        );
        self.database.superuser_sql(&sql).unwrap();
        (message.to_string(), conversation)
    }
}

async fn tenant(db: &Db, ids: &IdSource) -> Route {
    let route = Route {
        tenant: ids.next(),
        number: ids.next(),
        account: ids.next(),
    };
    db.operator()
        .create_tenant(route.tenant, "acme-bank", "Acme Bank")
        .await
        .unwrap();
    let (rows, link, skillset) = (db.tenant(route.tenant), ids.next(), ids.next());
    rows.create_account(NewAccount {
        id: route.account,
        name: "account",
        kind: ProviderKind::Http,
        settings: &serde_json::json!({}),
        secret: b"{}",
        rules: &Default::default(),
    })
    .await
    .unwrap();
    rows.create_link(NewLink {
        id: link,
        name: "aacc",
        scheme: Scheme::Wss,
        host: "aacc.example",
        port: 443,
        path: "/CustomerControllerWeb/chat",
        ca_pem: None,
        swap_angle_brackets: true,
        connects_per_second: 10.0,
        reach: Default::default(),
    })
    .await
    .unwrap();
    rows.create_skillset(NewSkillset {
        id: skillset,
        link,
        name: "WC_Default_Skillset",
    })
    .await
    .unwrap();
    rows.create_number(NewNumber {
        id: route.number,
        address: &OURS.parse().unwrap(),
        account: route.account,
        skillset,
        second_account: None,
        kind: NumberKind::LongCode,
        per_second: 1.0,
    })
    .await
    .unwrap();
    route
}
