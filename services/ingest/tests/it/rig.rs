//! A migrated database, tenants with a number at each kind of provider, a server, and phones that text it.

use crate::sign;
use ccm_bus::Bus;
use ccm_db::{
    Db, DbConfig, IncomingText, KeyRing, MessageRow, NewAccount, NewLink, NewNumber, NewSkillset, Route,
    Scheme,
};
use ccm_ingest::{Batching, Ingest, Settings};
use ccm_model::{
    AccountId, Address, Body, IdSource, LinkId, MessageId, NumberId, ProviderKind, SkillsetId, TenantId,
};
use ccm_runtime::{Health, Lifecycle, config::ShutdownConfig};
use ccm_testkit::{TestDb, canary};
use serde_json::{Value, json};
use std::{sync::LazyLock, time::Duration};
use time::OffsetDateTime;
use tokio::{net::TcpListener, task::JoinHandle, time::timeout};

pub static IDS: LazyLock<IdSource> = LazyLock::new(IdSource::system);
pub const SID: &str = "AC0123456789abcdef0123456789abcdef";
pub const TOKEN: &str = "the account's token";
pub const SECRET: &str = "a secret that is long enough";
/// What providers are told; nobody listens there.
pub const PUBLIC: &str = "https://sms.example.com/in";

pub struct Rig {
    pub db: Db,
    pub bus: Bus,
    pub test: TestDb,
}

/// A tenant with a number at an account of each kind; both numbers have the same address.
#[derive(Clone, Copy)]
pub struct Tenant {
    pub id: TenantId,
    pub twilio: AccountId,
    pub http: AccountId,
    pub number: NumberId,
    /// The address is `canary::number(ours)`.
    pub ours: u32,
}

pub fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

pub fn address(n: u32) -> Address {
    canary::number(n).parse().unwrap()
}

pub fn settings() -> Settings {
    Settings {
        public_base_url: PUBLIC.to_owned(),
        max_body_bytes: 65_536,
        // Longer than production's: tests share the machine.
        request_timeout: Duration::from_secs(60),
        batching: Batching::default(),
    }
}

pub fn open(app_url: &str, system_url: &str) -> Db {
    let config = DbConfig {
        app_url: app_url.to_owned().into(),
        system_url: system_url.to_owned().into(),
        app_pool: 8,
        system_pool: 4,
    };
    Db::open(&config, KeyRing::new([[7; 32]]).unwrap()).unwrap()
}

impl Rig {
    pub async fn new() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let test = TestDb::create(async |url: String| ccm_db::migrate(&url.into()).await)
            .await
            .unwrap();
        let db = open(test.app_url(), test.system_url());
        Self {
            db,
            bus: Bus::in_process(),
            test,
        }
    }

    /// `n` names it and its number.
    pub async fn tenant(&self, n: u32) -> Tenant {
        let id = IDS.next();
        let operator = self.db.operator();
        operator
            .create_tenant(id, &format!("tenant-{n}"), "A tenant")
            .await
            .unwrap();
        let db = self.db.tenant(id);
        let (link, skillset): (LinkId, SkillsetId) = (IDS.next(), IDS.next());
        db.create_link(NewLink {
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
        db.create_skillset(NewSkillset {
            id: skillset,
            link,
            name: "WC_Default_Skillset",
        })
        .await
        .unwrap();
        let ours = 90_000 + n;
        let mut made = Vec::new();
        for (kind, settings, secret) in [
            (
                ProviderKind::Twilio,
                json!({ "account_sid": SID }),
                json!({ "auth_token": TOKEN }),
            ),
            (
                ProviderKind::Http,
                json!({ "send_url": "https://provider.example/send" }),
                json!({ "signing_secret": SECRET }),
            ),
        ] {
            let (account, number): (AccountId, NumberId) = (IDS.next(), IDS.next());
            db.create_account(NewAccount {
                id: account,
                name: kind.as_str(),
                kind,
                settings: &settings,
                secret: secret.to_string().as_bytes(),
                rules: &Default::default(),
            })
            .await
            .unwrap();
            db.create_number(NewNumber {
                id: number,
                address: &address(ours),
                account,
                skillset,
                per_second: 1.0,
                second_account: None,
                kind: ccm_model::NumberKind::LongCode,
            })
            .await
            .unwrap();
            made.push((account, number));
        }
        Tenant {
            id,
            twilio: made[0].0,
            http: made[1].0,
            number: made[0].1,
            ours,
        }
    }

    /// A tenant's texts, by the customer's address and in the order of their sequence.
    pub async fn texts(&self, tenant: Tenant) -> Vec<(Address, Vec<MessageRow>)> {
        let db = self.db.tenant(tenant.id);
        let mut all = Vec::new();
        for conversation in db.conversations(None, None, 1000).await.unwrap() {
            let texts = db.messages(&conversation, 0, 10_000).await.unwrap();
            all.push((conversation.customer_address, texts));
        }
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    /// All rows that a text leaves somewhere.
    pub fn rows(&self) -> u64 {
        let tables = ["message", "conversation", "inbox", "inbound_dedup"];
        let counts: Vec<String> = tables
            .iter()
            .map(|table| format!("(select count(*) from {table})"))
            .collect();
        let sql = format!("select {}", counts.join(" + "));
        self.test.superuser_sql(&sql).unwrap().parse().unwrap()
    }

    pub async fn server(&self, settings: Settings) -> Server {
        Server::start(self.db.clone(), self.bus.clone(), settings).await
    }
}

/// A text as the batcher takes it.
pub fn incoming(tenant: Tenant, customer: u32, body: &str) -> IncomingText {
    let message: MessageId = IDS.next();
    IncomingText {
        message,
        conversation: IDS.next(),
        route: Route {
            tenant: tenant.id,
            number: tenant.number,
            account: tenant.twilio,
        },
        provider_id: format!("SM{message}"),
        to: address(tenant.ours),
        from: address(customer),
        body: Body::new(body).unwrap(),
        repeat_window: None,
        kind: ccm_db::TextKind::Text,
        refused: None,
        segments: None,
        received_at: now(),
        written_at: None,
        trace: None,
    }
}

pub struct Server {
    pub url: String,
    http: reqwest::Client,
    life: Lifecycle,
    task: JoinHandle<()>,
}

impl Server {
    pub async fn start(db: Db, bus: Bus, settings: Settings) -> Self {
        let config = ShutdownConfig {
            notice: Duration::ZERO,
            grace: Duration::from_secs(20),
        };
        let life = Lifecycle::new(config, Health::new("ingest"));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let ingest = Ingest {
            db,
            bus,
            ids: IDS.clone(),
            settings,
        };
        let running = life.clone();
        let task = tokio::spawn(async move { ingest.run(listener, running).await.unwrap() });
        Self {
            url,
            http: reqwest::Client::new(),
            life,
            task,
        }
    }

    pub async fn drain(mut self) {
        self.life.drain();
        timeout(Duration::from_secs(20), &mut self.task)
            .await
            .expect("draining takes no longer than a request")
            .unwrap();
    }

    pub fn begin_draining(&self) {
        self.life.drain();
    }

    /// Posts as Twilio does, signed with `token`.
    pub async fn twilio(&self, account: AccountId, token: &str, form: &[(String, String)]) -> Answer {
        let path = format!("/v1/sms/twilio/{account}");
        let signature = sign::twilio(token, &format!("{PUBLIC}{path}"), form);
        let request = self
            .http
            .post(format!("{}{path}", self.url))
            .header("x-twilio-signature", signature)
            .form(form);
        Answer::of(request).await
    }

    /// Posts as a generic provider does.
    pub async fn generic(&self, account: AccountId, signed_at: OffsetDateTime, body: &Value) -> Answer {
        let body = body.to_string();
        let timestamp = signed_at.unix_timestamp();
        let request = self
            .http
            .post(format!("{}/v1/sms/http/{account}", self.url))
            .header("x-ccm-timestamp", timestamp.to_string())
            .header("x-ccm-signature", sign::generic(SECRET, timestamp, &body))
            .body(body);
        Answer::of(request).await
    }

    /// Whatever else.
    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub kind: String,
    pub retry_after: Option<String>,
    pub body: String,
}

impl Answer {
    pub async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let header = |name: &str| {
            response
                .headers()
                .get(name)
                .map(|v| v.to_str().unwrap().to_owned())
        };
        Self {
            status: response.status().as_u16(),
            kind: header("content-type").unwrap_or_default(),
            retry_after: header("retry-after"),
            body: response.text().await.unwrap(),
        }
    }

    /// The problem's kind and field.
    pub fn problem(&self) -> (String, Option<String>) {
        assert_eq!(self.kind, "application/problem+json");
        let problem: Value = serde_json::from_str(&self.body).unwrap();
        let kind = problem["type"].as_str().unwrap();
        let field = problem["field"].as_str().map(str::to_owned);
        (kind.trim_start_matches("urn:ccm:problem:").to_owned(), field)
    }
}

/// What Twilio posts for a text: <https://www.twilio.com/docs/messaging/guides/webhook-request>
pub fn form(sid: &str, from: &str, to: &str, body: &str) -> Vec<(String, String)> {
    [
        ("ToCountry", "US"),
        ("SmsMessageSid", sid),
        ("NumMedia", "0"),
        ("SmsSid", sid),
        ("SmsStatus", "received"),
        ("Body", body),
        ("To", to),
        ("NumSegments", "1"),
        ("MessageSid", sid),
        ("AccountSid", SID),
        ("From", from),
        ("ApiVersion", "2010-04-01"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

/// A customer's text to the tenant.
pub fn text(sid: &str, customer: u32, tenant: Tenant, body: &str) -> Vec<(String, String)> {
    form(sid, &canary::number(customer), &canary::number(tenant.ours), body)
}
