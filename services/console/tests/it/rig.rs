use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use ccm_admin::{
    Deps, DoctorDeps, Oidc, OidcSettings, RequestRate, SessionTimes, StoreSlots, TrustedProxies,
};
use ccm_auth::{JwtConfig, JwtKey, LookupKey, Role, TokenIssuer, TokenVerifier};
use ccm_bus::Bus;
use ccm_connector::Guard;
use ccm_console::{Console, Issuers, IssuersSettings, Parts};
use ccm_db::{Db, DbConfig, KeyRing};
use ccm_egress::{Allowed, Egress};
use ccm_model::{Clock, IdSource, TenantId};
use ccm_testkit::{
    TestDb,
    issuer::{AUDIENCE, Issuer},
};
use secrecy::{SecretBox, SecretString};
use serde_json::Value;
use std::{num::NonZeroU32, time::Duration};
use tower::ServiceExt;
use url::Url;

/// How browsers reach it.
pub const URL: &str = "https://console.example.com";

pub struct Rig {
    site: Router,
    tokens: TokenIssuer,
    pub issuer: Issuer,
    _database: TestDb,
}

pub struct Page {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub html: String,
}

impl Page {
    pub fn header(&self, name: impl header::AsHeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Where it sends the browser.
    pub fn goes_to(&self) -> &str {
        assert_eq!(self.status, 303, "{}", self.html);
        self.header(header::LOCATION)
    }

    /// The cookies that it sets, as the browser sends them back.
    pub fn cookies(&self) -> String {
        let set = self.headers.get_all(header::SET_COOKIE).iter();
        let pairs = set.map(|line| line.to_str().unwrap().split(';').next().unwrap());
        pairs.collect::<Vec<_>>().join("; ")
    }

    /// `part` as it stands in a page's text or value.
    pub fn has(&self, part: &str) -> &Self {
        assert!(self.html.contains(part), "no {part:?} in {}", self.html);
        self
    }
}

impl Rig {
    pub async fn new() -> Self {
        Self::at(URL).await
    }

    pub async fn at(url: &str) -> Self {
        // There may be one already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let issuer = Issuer::start().await;
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
        let cas = Some(issuer.ca_pem().to_owned());
        let oidc = OidcSettings {
            issuers: vec![issuer.name.clone()],
            audience: AUDIENCE.to_owned(),
            cas: cas.clone(),
            leeway: Duration::from_secs(5),
        };
        let ids = IdSource::system();
        let api = ccm_admin::router(Deps {
            db: Db::open(&config, KeyRing::new([[7u8; 32]]).unwrap()).unwrap(),
            bus: Bus::in_process(),
            ids: ids.clone(),
            tokens: TokenVerifier::new(&jwt, Clock::system()).unwrap(),
            oidc: Oidc::new(oidc).unwrap(),
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
            lease_times: ccm_db::LeaseTimes {
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
        });
        let issuers = IssuersSettings {
            issuers: vec![issuer.name.clone()],
            client_id: AUDIENCE.to_owned(),
            client_secret: None,
            cas,
        };
        let console = Console::new(Parts {
            api,
            ids,
            url: Some(Url::parse(url).unwrap()),
            issuers: Issuers::new(issuers).unwrap(),
            trace_url: None,
        });
        Self {
            site: console.site(),
            tokens: TokenIssuer::new(&jwt, Clock::system()).unwrap(),
            issuer,
            _database: database,
        }
    }

    pub fn token(&self, role: Role, tenant: Option<TenantId>) -> String {
        self.tokens
            .issue("somebody", role, tenant, Duration::from_secs(600))
            .unwrap()
    }

    pub async fn ask(&self, request: Request<Body>) -> Page {
        let answer = self.site.clone().oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let read = to_bytes(body, 1 << 24).await.unwrap();
        Page {
            status: parts.status,
            headers: parts.headers,
            html: String::from_utf8(read.to_vec()).unwrap(),
        }
    }

    pub async fn get(&self, path: &str, cookies: &str) -> Page {
        let request = Request::get(path).header(header::COOKIE, cookies);
        self.ask(request.body(Body::empty()).unwrap()).await
    }

    /// As a browser sends a form of a page of ours.
    pub async fn post(&self, path: &str, cookies: &str, fields: &[(&str, &str)]) -> Page {
        let request = self
            .form(path, cookies, fields)
            .header("sec-fetch-site", "same-origin");
        self.ask(request.body(body(fields)).unwrap()).await
    }

    pub fn form(&self, path: &str, cookies: &str, _: &[(&str, &str)]) -> axum::http::request::Builder {
        Request::post(path)
            .header(header::HOST, "console.example.com")
            .header(header::COOKIE, cookies)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
    }

    /// Signs in; returns the cookies.
    pub async fn sign_in(&self, token: &str) -> String {
        let page = self.post("/console/sign-in", "", &[("token", token)]).await;
        assert_eq!(page.goes_to(), "/console", "{}", page.html);
        page.cookies()
    }

    /// Asks the API, beside the console.
    pub async fn api(&self, method: Method, path: &str, token: &str, body: Option<Value>) -> Value {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/json");
        let body = body.map_or(Body::empty(), |json| Body::from(json.to_string()));
        let page = self.ask(request.body(body).unwrap()).await;
        assert!(page.status.is_success(), "{path}: {}", page.html);
        serde_json::from_str(&page.html).unwrap_or_default()
    }
}

pub fn body(fields: &[(&str, &str)]) -> Body {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(fields);
    Body::from(form.finish())
}
