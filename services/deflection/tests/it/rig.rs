//! A migrated database, tenants with a number, a key and a simulated AACC, and the role's router.

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::ConnectInfo,
    http::{HeaderMap, Request, StatusCode, header},
};
use ccm_aacc_sim::{Config, Sim, Tls};
use ccm_auth::{AuthKey, LookupKey};
use ccm_bus::Bus;
use ccm_db::{
    Db, DbConfig, DeflectionRow, IncomingText, KeyRing, NewAccount, NewAuthKey, NewLink, NewNumber,
    NewSkillset, Route, Scheme, TextKind,
};
use ccm_deflection::{Deps, Parts, QueueTimes, Settings};
use ccm_ewc_client::Target;
use ccm_model::{
    AccountId, Body as Text, Clock, DeflectionId, IdSource, NumberId, NumberKind, ProviderKind, TenantId,
};
use ccm_testkit::{TestDb, canary};
use ccm_web::TrustedProxies;
use secrecy::SecretBox;
use serde_json::{Value, json};
use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};
use time::OffsetDateTime;
use tower::ServiceExt;

/// Somebody's mobile number, as its country's plan says; another one for each `n` below 1000.
pub fn mobile(n: u32) -> String {
    format!("+353861234{n:03}")
}

pub const SKILLSET: &str = "WC_Default_Skillset";
pub const OFFER: &str = "Hello {name}, text back within {minutes} min to chat with {skillset}.";

pub struct Rig {
    pub deps: Deps,
    pub sim: Sim,
    pub test: TestDb,
    later_s: Arc<AtomicI64>,
    begin: OffsetDateTime,
}

pub struct Tenant {
    pub id: TenantId,
    pub key: String,
    /// Its number.
    pub ours: String,
    route: Route,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        assert_eq!(self.headers[header::CACHE_CONTROL], "no-store");
        self.json()
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    /// The reason of a refusal.
    pub fn refused(&self) -> String {
        let json = self.ok();
        assert_eq!(json["result"], "refused", "{json}");
        json["reason"].as_str().unwrap().to_owned()
    }

    /// The id of an offer.
    pub fn accepted(&self) -> DeflectionId {
        let json = self.ok();
        assert_eq!(json["result"], "accepted", "{json}");
        json["deflection"].as_str().unwrap().parse().unwrap()
    }

    /// Checks a problem's form, and returns its field.
    pub fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json");
        let json = self.json();
        for member in ["type", "title", "detail", "remedy", "request_id"] {
            assert!(json[member].is_string(), "no {member} in {json}");
        }
        json["field"].as_str().unwrap_or_default().to_owned()
    }
}

fn targets(
    row: &ccm_db::LinkRow,
    _: &ccm_db::LinkSecrets,
    _: Option<&ccm_deflection::Guard>,
) -> (Target, Option<Target>) {
    let target = Target {
        path: row.path.clone(),
        ..Target::ws(&row.host, row.port)
    };
    (target, None)
}

impl Rig {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let test = TestDb::create(async |url: String| ccm_db::migrate(&url.into()).await)
            .await
            .unwrap();
        let sim = Sim::start(Config {
            tls: Tls::Plain,
            ..Config::default()
        });
        let (later_s, begin) = (Arc::new(AtomicI64::new(0)), OffsetDateTime::now_utc());
        let mut settings = Settings {
            max_body_bytes: 65_536,
            public_base_url: Some("https://chat.example".to_owned()),
            requests_per_minute: NonZeroU32::new(10_000).unwrap(),
            poll: Duration::from_millis(100),
            look_ups_kept: Duration::from_secs(30 * 86_400),
            queue: QueueTimes {
                fresh: Duration::from_millis(300),
                stale: Duration::from_millis(600),
                wait: Duration::from_secs(10),
            },
        };
        change(&mut settings);
        Self {
            deps: pod(&test, begin, &later_s, settings),
            sim: sim.await.unwrap(),
            test,
            later_s,
            begin,
        }
    }

    /// Another pod of the same installation.
    pub fn pod(&self) -> Deps {
        pod(
            &self.test,
            self.begin,
            &self.later_s,
            (*self.deps.settings).clone(),
        )
    }

    /// From now on it is so much later.
    pub fn pass(&self, seconds: i64) {
        self.later_s.fetch_add(seconds, Ordering::Relaxed);
    }

    pub fn now(&self) -> OffsetDateTime {
        self.deps.ids.clock().now()
    }

    /// Whether agents are there.
    pub fn agents(&self, available: u32) {
        self.sim
            .change_settings(|settings| settings.any_skillset.available_agents = available);
    }

    pub fn sql(&self, sql: &str) -> String {
        self.test.superuser_sql(sql).unwrap().trim().to_owned()
    }

    /// One that offers chats; `n` names it and its number.
    pub async fn tenant(&self, n: u32) -> Tenant {
        self.tenant_with(n, json!({})).await
    }

    /// With other settings than the usual ones.
    pub async fn tenant_with(&self, n: u32, settings: Value) -> Tenant {
        let ids = &self.deps.ids;
        let id: TenantId = ids.next();
        let name = format!("tenant-{n}");
        let operator = self.deps.db.operator();
        operator.create_tenant(id, &name, &name).await.unwrap();
        let db = self.deps.db.tenant(id);
        let (account, number): (AccountId, NumberId) = (ids.next(), ids.next());
        db.create_account(NewAccount {
            id: account,
            name: "account",
            kind: ProviderKind::Http,
            settings: &json!({}),
            secret: b"{}",
            rules: &Default::default(),
        })
        .await
        .unwrap();
        let link = ids.next();
        db.create_link(NewLink {
            id: link,
            name: "aacc",
            scheme: Scheme::Ws,
            host: "127.0.0.1",
            port: self.sim.ewc_addr().port(),
            path: "/CustomerControllerWeb/chat",
            ca_pem: None,
            swap_angle_brackets: true,
            connects_per_second: 10.0,
            reach: Default::default(),
        })
        .await
        .unwrap();
        for name in [SKILLSET, "WC_Sales"] {
            let id = ids.next();
            db.create_skillset(NewSkillset { id, link, name }).await.unwrap();
        }
        let ours = canary::number(90_000 + n);
        let skillsets = db.skillsets().await.unwrap();
        let own = skillsets.iter().find(|s| s.name == SKILLSET).unwrap();
        db.create_number(NewNumber {
            id: number,
            address: &ours.parse().unwrap(),
            account,
            second_account: None,
            skillset: own.id,
            kind: NumberKind::LongCode,
            per_second: 1.0,
        })
        .await
        .unwrap();
        let key = AuthKey::generate(ccm_auth::secure_random);
        db.create_auth_key(NewAuthKey {
            id: ids.next(),
            name: "script",
            prefix: key.prefix(),
            lookup_hash: &key.lookup_hash(&self.deps.lookup_key),
            expires_at: None,
            networks: &[],
            uses: ccm_model::KeyUse::ALL,
        })
        .await
        .unwrap();
        let tenant = Tenant {
            id,
            key: key.expose().to_owned(),
            ours,
            route: Route {
                tenant: id,
                number,
                account,
            },
        };
        self.set(&tenant, settings).await;
        tenant
    }

    /// Settings beside the usual ones.
    pub async fn set(&self, tenant: &Tenant, settings: Value) {
        let mut document = json!({"offer": {"en": OFFER}, "region": "IE"});
        let object = document.as_object_mut().unwrap();
        object.extend(settings.as_object().unwrap().clone());
        let settings: ccm_model::DeflectionSettings = serde_json::from_value(document).unwrap();
        settings.check().unwrap();
        let db = self.deps.db.tenant(tenant.id);
        db.put_settings::<ccm_model::DeflectionSettings>(&settings, None)
            .await
            .unwrap();
    }

    pub fn router(&self) -> Router {
        ccm_deflection::router(self.deps.clone())
    }

    /// Asks with JSON.
    pub async fn ask(&self, tenant: &Tenant, body: Value) -> Answer {
        ask(self.router(), tenant, body).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        send(self.router(), Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub async fn post(&self, path: &str) -> Answer {
        send(self.router(), Request::post(path).body(Body::empty()).unwrap()).await
    }

    pub async fn row(&self, tenant: &Tenant, id: DeflectionId) -> DeflectionRow {
        self.deps.db.tenant(tenant.id).deflection(id).await.unwrap()
    }

    /// What callers were texted, in order.
    pub fn texts(&self) -> Vec<String> {
        let texts = self.sql("SELECT body FROM message WHERE direction = 'mt' ORDER BY created_at, seq");
        texts.lines().map(str::to_owned).collect()
    }

    /// The caller texts.
    pub async fn text(&self, tenant: &Tenant, caller: &str, body: &str) {
        let text = IncomingText {
            message: self.deps.ids.next(),
            conversation: self.deps.ids.next(),
            route: tenant.route,
            provider_id: self.deps.ids.next_u64().to_string(),
            repeat_window: None,
            kind: TextKind::Text,
            refused: None,
            segments: Some(1),
            to: tenant.ours.parse().unwrap(),
            from: caller.parse().unwrap(),
            body: Text::new(body).unwrap(),
            received_at: self.now(),
            written_at: None,
            trace: None,
        };
        self.deps.db.batch().accept(&[text]).await.unwrap();
    }

    /// What is due some seconds from now is looked at.
    pub async fn work(&self, seconds: i64) {
        self.pass(seconds);
        self.deps.move_on().await.unwrap();
    }

    /// The offer's text is in this state from now on.
    pub async fn message_is(&self, tenant: &Tenant, id: DeflectionId, state: &str) {
        let message = self.row(tenant, id).await.message.unwrap();
        self.sql(&format!(
            "UPDATE message SET state = '{state}' WHERE id = '{message}'"
        ));
        self.sql(&match state {
            "sending" => format!("UPDATE outbox SET state = 'sending' WHERE message_id = '{message}'"),
            _ => format!("DELETE FROM outbox WHERE message_id = '{message}'"),
        });
    }
}

fn pod(test: &TestDb, begin: OffsetDateTime, later_s: &Arc<AtomicI64>, settings: Settings) -> Deps {
    let config = DbConfig {
        app_url: test.app_url().to_owned().into(),
        system_url: test.system_url().to_owned().into(),
        app_pool: 8,
        system_pool: 2,
    };
    let passed = later_s.clone();
    // It stands still but for what tests let pass.
    let clock = Clock::from_fn(move || begin + time::Duration::seconds(passed.load(Ordering::Relaxed)));
    let seed = IdSource::system().next_u64();
    Deps::new(Parts {
        db: Db::open(&config, KeyRing::new([[7; 32]]).unwrap()).unwrap(),
        bus: Bus::in_process(),
        ids: IdSource::new(clock, seed),
        lookup_key: LookupKey::derive(&SecretBox::new(Box::new([7; 32]))),
        proxies: TrustedProxies::new(["10.0.0.0/8".parse().unwrap()]),
        targets,
        guard: None,
        settings,
    })
}

/// Asks a pod with JSON.
pub async fn ask(router: Router, tenant: &Tenant, body: Value) -> Answer {
    let request = Request::post("/v1/deflections")
        .header(header::AUTHORIZATION, format!("Bearer {}", tenant.key))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_string()));
    send(router, request.unwrap()).await
}

pub async fn send(router: Router, mut request: Request<Body>) -> Answer {
    let peer: std::net::SocketAddr = "203.0.113.7:4711".parse().unwrap();
    request.extensions_mut().insert(ConnectInfo(peer));
    let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    Answer {
        status: parts.status,
        headers: parts.headers,
        text: String::from_utf8(body.to_vec()).unwrap(),
    }
}
