use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Method, Request, Response, StatusCode, header},
};
use ccm_admin::{
    Deps, DoctorDeps, Oidc, OidcSettings, RequestRate, SessionTimes, StoreSlots, TrustedProxies,
};
use ccm_auth::{JwtConfig, JwtKey, LookupKey, Role, TokenIssuer, TokenVerifier};
use ccm_bus::Bus;
use ccm_connector::Guard;
use ccm_db::{Accepted, Db, DbConfig, DbError, IncomingText, KeyRing, LeaseTimes, Route};
use ccm_egress::{Allowed, Egress};
use ccm_model::{AccountId, Clock, ConversationId, IdSource, NumberId, TenantId};
use ccm_testkit::{
    TestDb,
    issuer::{AUDIENCE, Issuer},
};
use secrecy::{SecretBox, SecretString};
use serde_json::{Value, json};
use std::{num::NonZeroU32, sync::Mutex, time::Duration};
use tower::ServiceExt;

pub const AUTH_TOKEN: &str = "SECRET-auth-token-of-twilio";
pub const SIGNING_SECRET: &str = "SECRET-signing-of-the-gateway";
pub const ACCOUNT_SID: &str = "AC0123456789abcdef0123456789abcdef";

/// The API with a database of its own.
pub struct App {
    pub deps: Deps,
    pub database: TestDb,
    router: Router,
    issuer: TokenIssuer,
    pub issuer_of_people: Issuer,
    /// Everything that was ever answered, headers and bodies.
    said: Mutex<String>,
}

pub struct Answer {
    pub status: StatusCode,
    pub content_type: String,
    pub cache_control: String,
    pub etag: String,
    pub json: Value,
    pub text: String,
}

impl Answer {
    /// What was made or read; anything but 2xx fails the test.
    pub fn ok(self) -> Value {
        assert!(self.status.is_success(), "{} {}", self.status, self.json);
        self.json
    }

    /// Checks a problem's form, and returns its field.
    pub fn problem(&self, status: u16) -> &str {
        assert_eq!(self.status, status, "{}", self.json);
        assert_eq!(self.content_type, "application/problem+json");
        assert_eq!(self.json["status"], status);
        for member in ["type", "title", "remedy", "request_id"] {
            assert!(self.json[member].is_string(), "no {member} in {}", self.json);
        }
        self.json["field"].as_str().unwrap_or_default()
    }
}

impl Answer {
    /// As [`Answer::problem`], for what is not about one part of the request.
    pub fn problem_without_field(&self, status: u16) {
        assert_eq!(self.status, status, "{}", self.json);
        assert_eq!(self.content_type, "application/problem+json");
        assert_eq!(
            (&self.json["status"], self.json.get("field")),
            (&status.into(), None)
        );
        assert!(self.json["detail"].is_string() && self.json["request_id"].is_string());
    }
}

/// A tenant that can carry texts.
#[derive(Debug, Clone)]
pub struct Tenant {
    pub id: TenantId,
    pub link: String,
    pub skillset: String,
    pub account: String,
    pub number: String,
}

/// What the API takes of people's issuer.
pub fn settings(issuer: &Issuer) -> OidcSettings {
    OidcSettings {
        issuers: vec!["https://login.example.com".to_owned(), issuer.name.clone()],
        audience: AUDIENCE.to_owned(),
        cas: Some(issuer.ca_pem().to_owned()),
        leeway: Duration::from_secs(5),
    }
}

impl App {
    pub async fn start() -> Self {
        let issuer = Issuer::start().await;
        let settings = settings(&issuer);
        Self::with_issuer(issuer, settings).await
    }

    pub async fn start_with(settings: OidcSettings) -> Self {
        Self::with_issuer(Issuer::start().await, settings).await
    }

    async fn with_issuer(issuer_of_people: Issuer, settings: OidcSettings) -> Self {
        // There may be one already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
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
        let deps = Deps {
            db: Db::open(&config, KeyRing::new([[7u8; 32]]).unwrap()).unwrap(),
            bus: Bus::in_process(),
            ids: IdSource::system(),
            tokens: TokenVerifier::new(&jwt, Clock::system()).unwrap(),
            oidc: Oidc::new(settings).unwrap(),
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
            doctor: DoctorDeps::new(
                ccm_connector::targets,
                Some(Guard::new(|ip| ip.is_loopback())),
                Duration::from_secs(5),
                2,
            ),
            egress: Egress::new(Allowed::default()).unwrap(),
            webhook_test_wait: Duration::ZERO,
            max_body_bytes: 1 << 20,
        };
        Self {
            router: ccm_admin::router(deps.clone()),
            issuer: TokenIssuer::new(&jwt, Clock::system()).unwrap(),
            issuer_of_people,
            deps,
            database,
            said: Mutex::default(),
        }
    }

    /// The same API, where callers may ask less.
    pub fn with_rate(&mut self, rate: RequestRate) {
        self.deps.rate = rate;
        self.router = ccm_admin::router(self.deps.clone());
    }

    /// The same API, which searches and reads so much at a time.
    pub fn with_slots(&mut self, slots: StoreSlots) {
        self.deps.store = slots;
        self.router = ccm_admin::router(self.deps.clone());
    }

    pub fn token(&self, role: Role, tenant: Option<TenantId>) -> String {
        self.token_for(role, tenant, 60)
    }

    pub fn token_for(&self, role: Role, tenant: Option<TenantId>, seconds: u64) -> String {
        self.issuer
            .issue("somebody", role, tenant, Duration::from_secs(seconds))
            .unwrap()
    }

    pub fn engineer(&self) -> String {
        self.token(Role::Engineer, None)
    }

    /// With all its headers.
    pub async fn whole(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub async fn raw(&self, request: Request<Body>) -> Answer {
        let response = self.whole(request).await;
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(to_bytes(body, 1 << 24).await.unwrap().to_vec()).unwrap();
        self.said
            .lock()
            .unwrap()
            .push_str(&format!("{:?}\n{text}\n", parts.headers));
        let header = |name| {
            parts
                .headers
                .get(name)
                .map(|v| v.to_str().unwrap().to_owned())
                .unwrap_or_default()
        };
        Answer {
            status: parts.status,
            content_type: header(header::CONTENT_TYPE),
            cache_control: header(header::CACHE_CONTROL),
            etag: header(header::ETAG),
            json: serde_json::from_str(&text).unwrap_or(Value::Null),
            text,
        }
    }

    pub async fn send(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = match body {
            None => request.body(Body::empty()),
            Some(json) => request
                .header(header::CONTENT_TYPE, "application/json")
                .body(Body::from(json.to_string())),
        };
        self.raw(request.unwrap()).await
    }

    /// As an engineer.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, Some(&self.engineer()), None).await
    }

    /// As an engineer.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(&self.engineer()), Some(&body))
            .await
    }

    /// As an engineer.
    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PUT, path, Some(&self.engineer()), Some(&body))
            .await
    }

    /// As an engineer.
    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PATCH, path, Some(&self.engineer()), Some(&body))
            .await
    }

    /// As an engineer, if it is still as it was when this tag was read.
    pub async fn send_if(&self, method: Method, path: &str, etag: &str, body: Option<&Value>) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.engineer()))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::IF_MATCH, etag);
        let body = body.map_or(Body::empty(), |json| Body::from(json.to_string()));
        self.raw(request.body(body).unwrap()).await
    }

    /// As an engineer, without a body.
    pub async fn post_nothing(&self, path: &str) -> Answer {
        self.send(Method::POST, path, Some(&self.engineer()), None).await
    }

    /// As an engineer.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, Some(&self.engineer()), None)
            .await
    }

    /// Whether any answer so far held this.
    pub fn ever_said(&self, text: &str) -> bool {
        self.said.lock().unwrap().contains(text)
    }

    pub async fn bare_tenant(&self, slug: &str) -> TenantId {
        let tenant = self
            .post("/v1/tenants", json!({"slug": slug, "name": slug}))
            .await
            .ok();
        tenant["id"].as_str().unwrap().parse().unwrap()
    }

    pub async fn tenant(&self, slug: &str) -> Tenant {
        let id = self.bare_tenant(slug).await;
        let make = async |what: &str, body: Value| {
            let made = self.post(&format!("/v1/tenants/{id}/{what}"), body).await.ok();
            made["id"].as_str().unwrap().to_owned()
        };
        let link = make(
            "links",
            json!({"name": "main", "url": "wss://aacc.example.com:8445"}),
        )
        .await;
        let skillset = make(
            "skillsets",
            json!({"name": "WC_Default_Skillset", "link_id": link}),
        )
        .await;
        let account = make(
            "accounts",
            json!({"name": "main", "kind": "twilio", "settings": {"account_sid": ACCOUNT_SID},
                   "secret": {"auth_token": AUTH_TOKEN}}),
        )
        .await;
        let number = json!({"address": "+14155550123", "account_id": account, "skillset_id": skillset});
        let number = make("numbers", number).await;
        Tenant {
            id,
            link,
            skillset,
            account,
            number,
        }
    }

    /// A customer texts the tenant; returns the conversation.
    pub async fn text(&self, to: &Tenant, from: &str, body: &str) -> ConversationId {
        self.try_text(to, from, body).await.unwrap()
    }

    /// As [`App::text`], where it may be refused.
    pub async fn try_text(&self, to: &Tenant, from: &str, body: &str) -> Result<ConversationId, DbError> {
        let ids = &self.deps.ids;
        let message = ids.next();
        let text = IncomingText {
            message,
            conversation: ids.next(),
            route: Route {
                tenant: to.id,
                number: NumberId(to.number.parse().unwrap()),
                account: AccountId(to.account.parse().unwrap()),
            },
            provider_id: message.to_string(),
            to: "+14155550123".parse().unwrap(),
            from: from.parse().unwrap(),
            body: ccm_model::Body::new(body).unwrap(),
            repeat_window: None,
            kind: ccm_db::TextKind::Text,
            refused: None,
            segments: None,
            received_at: ids.clock().now(),
            written_at: None,
            trace: None,
        };
        match self.deps.db.batch().accept(&[text]).await?[..] {
            [Accepted::New { conversation, .. }] => Ok(conversation),
            _ => panic!("stored before"),
        }
    }
}
