//! A migrated database, tenants with accounts, numbers and a key, and the role's router.

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode, header},
};
use ccm_auth::{AuthKey, LookupKey};
use ccm_bus::Bus;
use ccm_carrier_sim::{Account, Config, Kind, Setup, Sim};
use ccm_db::{Db, DbConfig, KeyRing, NewAccount, NewAuthKey, NewLink, NewNumber, NewSkillset, Scheme};
use ccm_model::{AccountId, Clock, IdSource, NumberKind, ProviderKind, TenantId};
use ccm_screenpop::{Allowed, Deps, Doors, Settings};
use ccm_testkit::{TestDb, canary};
use ccm_web::TrustedProxies;
use secrecy::SecretBox;
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use time::{OffsetDateTime, macros::datetime};
use tower::ServiceExt;

pub const SID: &str = "AC0123456789abcdef0123456789abcdef";
const TOKEN: &str = "a token to hide";
/// When tests begin.
pub const BEGIN: OffsetDateTime = datetime!(2026-11-23 08:00 UTC);
/// Somebody's mobile number, as its country's plan says.
pub const MOBILE: &str = "+353861234567";

pub struct Rig {
    pub deps: Deps,
    pub sim: Sim,
    test: TestDb,
    later_s: Arc<AtomicU64>,
}

pub struct Tenant {
    pub id: TenantId,
    pub key: String,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub json: Value,
}

pub struct Html {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Html {
    /// The value of the form's field.
    pub fn value(&self, name: &str) -> &str {
        let (_, rest) = self.text.split_once(&format!("name=\"{name}\"")).expect(name);
        let (_, rest) = rest.split_once("value=\"").expect(name);
        rest.split_once('"').expect(name).0
    }

    /// What stands in the message's field.
    pub fn body(&self) -> &str {
        let (_, rest) = self.text.split_once("<textarea").unwrap();
        let (_, rest) = rest.split_once(">\n").unwrap();
        rest.split_once("</textarea>").unwrap().0
    }

    /// What the agent is told.
    pub fn told(&self) -> &str {
        let Some((_, rest)) = self.text.split_once("id=\"told\"") else {
            return "";
        };
        let (_, rest) = rest.split_once('>').unwrap();
        rest.split_once("</p>").unwrap().0
    }

    /// What is said of the number.
    pub fn verdict(&self) -> &str {
        let (_, rest) = self
            .text
            .split_once("<strong class=\"verdict")
            .unwrap_or_default();
        let (_, rest) = rest.split_once('>').unwrap_or_default();
        rest.split_once("</strong>").unwrap_or_default().0
    }
}

impl Answer {
    pub fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.json);
        assert_eq!(self.headers[header::CACHE_CONTROL], "no-store");
        self.json
    }

    /// Checks a problem's form, and returns its field.
    pub fn problem(&self, status: u16) -> &str {
        assert_eq!(self.status, status, "{}", self.json);
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json");
        for member in ["type", "title", "detail", "remedy", "request_id"] {
            assert!(self.json[member].is_string(), "no {member} in {}", self.json);
        }
        self.json["field"].as_str().unwrap_or_default()
    }
}

/// A number of ours.
pub fn ours(n: u32) -> String {
    canary::number(90_000 + n)
}

impl Rig {
    pub async fn new() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let test = TestDb::create(async |url: String| ccm_db::migrate(&url.into()).await)
            .await
            .unwrap();
        let config = DbConfig {
            app_url: test.app_url().to_owned().into(),
            system_url: test.system_url().to_owned().into(),
            app_pool: 5,
            system_pool: 2,
        };
        let later_s = Arc::new(AtomicU64::new(0));
        let passed = later_s.clone();
        let clock = Clock::from_fn(move || BEGIN + Duration::from_secs(passed.load(Ordering::Relaxed)));
        let account = Account {
            kind: Kind::Twilio,
            name: SID.into(),
            secret: TOKEN.into(),
            webhook_url: None,
        };
        let setup = Setup {
            accounts: vec![account],
            ..Setup::default()
        };
        let sim = Sim::start(Config {
            setup,
            ..Config::default()
        });
        Self {
            deps: Deps {
                db: Db::open(&config, KeyRing::new([[7; 32]]).unwrap()).unwrap(),
                bus: Bus::in_process(),
                doors: Doors::default(),
                ids: IdSource::new(clock, 7),
                lookup_key: LookupKey::derive(&SecretBox::new(Box::new([7; 32]))),
                proxies: TrustedProxies::new(["10.0.0.0/8".parse().unwrap()]),
                http: ccm_screenpop::client(Allowed::also(vec!["127.0.0.0/8".parse().unwrap()])).unwrap(),
                settings: Settings {
                    max_body_bytes: 65_536,
                    look_up_timeout: Duration::from_secs(5),
                    look_ups_per_minute: 100,
                    look_ups_kept: Duration::from_secs(30 * 86_400),
                },
            },
            sim: sim.await.unwrap(),
            test,
            later_s,
        }
    }

    /// As the superuser.
    pub fn sql(&self, sql: &str) -> String {
        self.test.superuser_sql(sql).unwrap()
    }

    /// From now on it is so much later.
    pub fn pass(&self, time: Duration) {
        self.later_s.fetch_add(time.as_secs(), Ordering::Relaxed);
    }

    /// One with a key and without numbers.
    pub async fn bare_tenant(&self, slug: &str) -> Tenant {
        let (id, ids) = (self.deps.ids.next(), &self.deps.ids);
        let operator = self.deps.db.operator();
        operator.create_tenant(id, slug, slug).await.unwrap();
        let key = AuthKey::generate(ccm_auth::secure_random);
        self.add_key(id, &key, None).await;
        let db = self.deps.db.tenant(id);
        db.create_link(NewLink {
            id: ids.next(),
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
        db.create_skillset(NewSkillset {
            id: ids.next(),
            link: db.links().await.unwrap()[0].id,
            name: "WC_Default_Skillset",
        })
        .await
        .unwrap();
        Tenant {
            id,
            key: key.expose().to_owned(),
        }
    }

    /// One whose number `ours(n)` is of an account of this kind.
    pub async fn tenant(&self, n: u32, kind: ProviderKind) -> Tenant {
        let tenant = self.bare_tenant(&format!("tenant-{n}")).await;
        let account = self.add_account(&tenant, "first", kind).await;
        self.add_number(&tenant, n, account).await;
        tenant
    }

    pub async fn add_key(&self, tenant: TenantId, key: &AuthKey, expires_at: Option<OffsetDateTime>) {
        let new = NewAuthKey {
            id: self.deps.ids.next(),
            name: key.expose(),
            prefix: key.prefix(),
            lookup_hash: &key.lookup_hash(&self.deps.lookup_key),
            expires_at,
            networks: &[],
            uses: ccm_model::KeyUse::ALL,
        };
        self.deps.db.tenant(tenant).create_auth_key(new).await.unwrap();
    }

    pub async fn add_account(&self, tenant: &Tenant, name: &str, kind: ProviderKind) -> AccountId {
        let (settings, secret) = match kind {
            ProviderKind::Twilio => (
                json!({ "account_sid": SID, "api_base": self.sim.api_base(), "timeout_ms": 2000 }),
                json!({ "auth_token": TOKEN }),
            ),
            ProviderKind::Http => (
                json!({ "send_url": "https://provider.example/send" }),
                json!({ "signing_secret": "a signing secret to hide" }),
            ),
            other => panic!("no test asks for {other}"),
        };
        let secret = secret.to_string();
        let new = NewAccount {
            id: self.deps.ids.next(),
            name,
            kind,
            settings: &settings,
            secret: secret.as_bytes(),
            rules: &Default::default(),
        };
        let db = self.deps.db.tenant(tenant.id);
        db.create_account(new).await.unwrap().id
    }

    pub async fn add_number(&self, tenant: &Tenant, n: u32, account: AccountId) {
        let db = self.deps.db.tenant(tenant.id);
        db.create_number(NewNumber {
            id: self.deps.ids.next(),
            address: &ours(n).parse().unwrap(),
            account,
            second_account: None,
            skillset: db.skillsets().await.unwrap()[0].id,
            kind: NumberKind::LongCode,
            per_second: 1.0,
        })
        .await
        .unwrap();
    }

    pub fn router(&self) -> Router {
        ccm_screenpop::router(self.deps.clone())
    }

    /// Checks a number; `more` is the rest of the query.
    pub async fn check(&self, tenant: &Tenant, number: &str, more: &str) -> Answer {
        let number = number.replace('+', "%2B");
        let path = format!("/v1/number-check?number={number}{more}");
        self.get(&path, Some(&format!("Bearer {}", tenant.key))).await
    }

    /// Checks a number with its provider.
    pub async fn look_up(&self, tenant: &Tenant, number: &str) -> Value {
        self.check(tenant, number, "&lookup=true").await.ok()
    }

    pub async fn get(&self, path: &str, authorization: Option<&str>) -> Answer {
        let mut request = Request::get(path);
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// A page as a browser gets it.
    pub async fn html(&self, request: Request<Body>) -> Html {
        let (parts, body) = self.router().oneshot(request).await.unwrap().into_parts();
        let body = to_bytes(body, 1 << 20).await.unwrap();
        Html {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    pub async fn browse(&self, path: &str) -> Html {
        self.html(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub async fn submit(&self, path: &str, fields: &[(&str, &str)]) -> Html {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(body));
        self.html(request.unwrap()).await
    }

    /// Opens a page with the tenant's key; returns its path.
    pub async fn pop(&self, tenant: &Tenant, query: &str) -> String {
        let opened = self.browse(&format!("/?auth={}&{query}", tenant.key)).await;
        assert_eq!(opened.status, 303, "{}", opened.text);
        opened.headers[header::LOCATION].to_str().unwrap().to_owned()
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self.router().oneshot(request).await.unwrap().into_parts();
        let body = to_bytes(body, 1 << 20).await.unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            json: serde_json::from_slice(&body).unwrap_or(Value::Null),
        }
    }
}
