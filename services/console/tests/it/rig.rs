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
use ccm_db::{Accepted, Db, DbConfig, IncomingText, KeyRing, Route, TextKind};
use ccm_egress::{Allowed, Egress};
use ccm_model::{AccountId, Body as Words, Clock, ConversationId, IdSource, NumberId, TenantId};
use ccm_testkit::{
    TestDb,
    issuer::{AUDIENCE, Issuer},
};
use secrecy::{SecretBox, SecretString};
use serde_json::{Value, json};
use std::{num::NonZeroU32, time::Duration};
use tower::ServiceExt;
use url::Url;

/// How browsers reach it.
pub const URL: &str = "https://console.example.com";

pub struct Rig {
    site: Router,
    tokens: TokenIssuer,
    pub issuer: Issuer,
    pub db: Db,
    pub ids: IdSource,
    _database: TestDb,
}

/// A tenant that carries texts, by the ids of what it has.
pub struct Tenant {
    pub id: TenantId,
    pub link: String,
    pub account: String,
    pub number: String,
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

    /// The fields of the form that has `mark` in it, with what stands in them, as a browser would send them.
    pub fn form(&self, mark: &str) -> Vec<(String, String)> {
        let forms = self.html.split("<form ").skip(1);
        let mut inside = forms.map(|form| form.split("</form>").next().unwrap());
        let form = inside
            .find(|form| form.contains(mark))
            .unwrap_or_else(|| panic!("no form with {mark:?} in {}", self.html));
        let mut fields: Vec<(String, String)> = Vec::new();
        let mut list = None;
        for tag in form.split('<').skip(1) {
            let value = attribute(tag, "value");
            match (tag.split([' ', '>']).next().unwrap(), attribute(tag, "name")) {
                ("input", Some(name)) => {
                    let box_ = tag.contains("type=\"checkbox\"");
                    if !box_ || tag.contains(" checked") {
                        fields.push((name, value.unwrap_or_default()));
                    }
                }
                ("textarea", Some(name)) => {
                    fields.push((name, plain(tag.split_once('>').unwrap().1)));
                }
                ("select", Some(name)) => list = Some(name),
                ("option", _) => match (list.take(), tag.contains(" selected")) {
                    (Some(name), _) => fields.push((name, value.unwrap_or_default())),
                    (None, true) => fields.last_mut().unwrap().1 = value.unwrap_or_default(),
                    (None, false) => {}
                },
                _ => {}
            }
        }
        fields
    }

    /// Where a link with these words leads to.
    pub fn link(&self, words: &str) -> Option<String> {
        let (before, _) = self.html.split_once(&format!("\">{words}</a>"))?;
        Some(plain(before.rsplit_once("href=\"")?.1))
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
        let db = Db::open(&config, KeyRing::new([[7u8; 32]]).unwrap()).unwrap();
        let api = ccm_admin::router(Deps {
            db: db.clone(),
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
            ids: ids.clone(),
            url: Some(Url::parse(url).unwrap()),
            issuers: Issuers::new(issuers).unwrap(),
            trace_url: None,
        });
        Self {
            site: console.site(),
            tokens: TokenIssuer::new(&jwt, Clock::system()).unwrap(),
            issuer,
            db,
            ids,
            _database: database,
        }
    }

    pub fn token(&self, role: Role, tenant: Option<TenantId>) -> String {
        self.token_of("somebody", role, tenant)
    }

    pub fn token_of(&self, subject: &str, role: Role, tenant: Option<TenantId>) -> String {
        self.tokens
            .issue(subject, role, tenant, Duration::from_secs(600))
            .unwrap()
    }

    pub async fn tenant(&self) -> Tenant {
        let token = self.token(Role::Engineer, None);
        let make = async |path: &str, body: Value| {
            let made = self.api(Method::POST, path, &token, Some(body)).await;
            made["id"].as_str().unwrap().to_owned()
        };
        let id = make("/v1/tenants", json!({"slug": "acme", "name": "Acme"})).await;
        let of = |what: &str| format!("/v1/tenants/{id}/{what}");
        let link = make(
            &of("links"),
            json!({"name": "main", "url": "wss://aacc.example.com:8445"}),
        )
        .await;
        let skillset = make(&of("skillsets"), json!({"name": "WC_Sales", "link_id": link})).await;
        let account = json!({"kind": "twilio", "name": "Twilio", "secret": {"auth_token": "0123456789abcdef"},
            "settings": {"account_sid": "AC0123456789abcdef0123456789abcdef"}});
        let account = make(&of("accounts"), account).await;
        let number = json!({"address": "+14155550123", "account_id": account, "skillset_id": skillset, "per_second": 1});
        let number = make(&of("numbers"), number).await;
        Tenant {
            id: id.parse().unwrap(),
            link,
            account,
            number,
        }
    }

    /// A customer texts the tenant.
    pub async fn text(&self, to: &Tenant, body: &str) -> ConversationId {
        let message = self.ids.next();
        let text = IncomingText {
            message,
            conversation: self.ids.next(),
            route: Route {
                tenant: to.id,
                number: NumberId(to.number.parse().unwrap()),
                account: AccountId(to.account.parse().unwrap()),
            },
            provider_id: message.to_string(),
            to: "+14155550123".parse().unwrap(),
            from: "+353861234567".parse().unwrap(),
            body: Words::new(body).unwrap(),
            repeat_window: None,
            kind: TextKind::Text,
            refused: None,
            segments: None,
            received_at: self.ids.clock().now(),
            written_at: None,
            trace: None,
        };
        match self.db.batch().accept(&[text]).await.unwrap()[..] {
            [Accepted::New { conversation, .. }] => conversation,
            _ => panic!("stored before"),
        }
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

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    Some(plain(rest.split('"').next()?))
}

fn plain(html: &str) -> String {
    let mut text = html.to_owned();
    for (written, meant) in [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#x27;", "'"),
        ("&#x2f;", "/"),
        ("&amp;", "&"),
    ] {
        text = text.replace(written, meant);
    }
    text
}

/// A form with another value in one of its fields.
pub fn with<'a>(form: &'a [(String, String)], field: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    assert!(
        form.iter().any(|(name, _)| name == field),
        "no {field} in {form:?}"
    );
    let same = |(name, was): &'a (String, String)| match name == field {
        true => (name.as_str(), value),
        false => (name.as_str(), was.as_str()),
    };
    form.iter().map(same).collect()
}

pub fn body(fields: &[(&str, &str)]) -> Body {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(fields);
    Body::from(form.finish())
}
