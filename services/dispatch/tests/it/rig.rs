//! A migrated database, tenants with everything that a text needs, and dispatchers to start and stop.

use crate::provider::Provider;
use ccm_bus::Bus;
use ccm_db::{
    Accepted, AgentText, Db, DbConfig, Fence, IncomingText, KeyRing, LeaseTimes, MessageRow, NewAccount,
    NewLink, NewNumber, NewSkillset, Route, Scheme,
};
use ccm_dispatch::{Allowed, Dispatch, Settings, client};
use ccm_model::{
    AccountId, Address, Body, ChatId, ConversationId, IdSource, LinkId, MessageId, MessageState, NumberId,
    PodId, ProviderKind, TenantId, TraceParent,
};
use ccm_runtime::{Health, Lifecycle, config::ShutdownConfig};
use ccm_testkit::{TestDb, canary};
use serde_json::{Value, json};
use std::{sync::LazyLock, time::Duration};
use time::OffsetDateTime;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

pub static IDS: LazyLock<IdSource> = LazyLock::new(IdSource::system);
pub const SID: &str = "AC0123456789abcdef0123456789abcdef";
/// A number's rate that does not matter.
pub const FAST: f32 = 1000.0;

const TIMES: LeaseTimes = LeaseTimes {
    lease: Duration::from_secs(300),
    margin: Duration::from_secs(1),
};

pub struct Rig {
    pub db: Db,
    pub bus: Bus,
    pub test: TestDb,
}

#[derive(Clone, Copy)]
pub struct Tenant {
    pub id: TenantId,
    pub account: AccountId,
    link: LinkId,
    pub number: NumberId,
    /// The number's address is `canary::number(ours)`.
    ours: u32,
    fence: Fence,
}

/// A conversation with an agent in it.
#[derive(Clone, Copy)]
pub struct Chat {
    pub tenant: Tenant,
    pub conversation: ConversationId,
    pub customer: u32,
    chat: ChatId,
}

pub fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

fn address(n: u32) -> Address {
    canary::number(n).parse().unwrap()
}

/// Settings that make tests short. Wake-ups do not come: what works, works by polling.
pub fn settings() -> Settings {
    Settings {
        poll: Duration::from_millis(100),
        concurrency: 16,
        provider_timeout: Duration::from_millis(400),
        claim: Duration::from_millis(1500),
        give_up_after: ccm_dispatch::GIVE_UP_AFTER,
        receipts_base: "https://sms.example.com".into(),
    }
}

pub fn open(app_url: &str, system_url: &str) -> Db {
    let config = DbConfig {
        app_url: app_url.to_owned().into(),
        system_url: system_url.to_owned().into(),
        app_pool: 10,
        system_pool: 4,
    };
    Db::open(&config, KeyRing::new([[7; 32]]).unwrap()).unwrap()
}

/// Settings and secrets of an account with this provider.
fn with(kind: ProviderKind, provider: &Provider) -> (Value, Value) {
    match kind {
        ProviderKind::Twilio => (
            json!({ "account_sid": SID, "api_base": provider.url }),
            json!({ "auth_token": "a token" }),
        ),
        ProviderKind::Http => (
            json!({ "send_url": format!("{}/send", provider.url) }),
            json!({ "signing_secret": "a secret that is long enough" }),
        ),
        other => panic!("{other} is sent to in the tests of ccm-sms and of the server"),
    }
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
    pub async fn tenant(&self, n: u32, kind: ProviderKind, provider: &Provider, per_second: f32) -> Tenant {
        let id = IDS.next();
        let operator = self.db.operator();
        operator
            .create_tenant(id, &format!("tenant-{n}"), "A tenant")
            .await
            .unwrap();
        let (account, link, skillset, number) = (IDS.next(), IDS.next(), IDS.next(), IDS.next());
        let db = self.db.tenant(id);
        let (settings, secret) = with(kind, provider);
        db.create_account(NewAccount {
            id: account,
            name: "account",
            kind,
            settings: &settings,
            secret: secret.to_string().as_bytes(),
            rules: &Default::default(),
        })
        .await
        .unwrap();
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
        db.create_number(NewNumber {
            id: number,
            address: &address(ours),
            account,
            skillset,
            per_second,
            second_account: None,
            kind: ccm_model::NumberKind::LongCode,
        })
        .await
        .unwrap();
        let pod: PodId = IDS.next();
        operator.heartbeat(pod, "pod", false).await.unwrap();
        let owned = operator.take_leases(pod, &[id], TIMES).await.unwrap()[0];
        Tenant {
            id,
            account,
            link,
            number,
            ours,
            fence: Fence { pod, owned },
        }
    }

    /// Gives the tenant's number a second account, with this provider.
    pub async fn second_account(&self, tenant: Tenant, kind: ProviderKind, provider: &Provider) -> AccountId {
        let id = IDS.next();
        let (settings, secret) = with(kind, provider);
        let secret = secret.to_string();
        let account = NewAccount {
            id,
            name: "second",
            kind,
            settings: &settings,
            secret: secret.as_bytes(),
            rules: &Default::default(),
        };
        self.db.tenant(tenant.id).create_account(account).await.unwrap();
        self.run(&format!(
            "update number set second_account_id = '{id}' where id = '{}'",
            tenant.number
        ));
        id
    }

    /// As the superuser.
    pub fn run(&self, sql: &str) {
        self.test.superuser_sql(sql).unwrap();
    }

    /// A customer has texted, and an agent has the text.
    pub async fn chat(&self, tenant: Tenant, customer: u32) -> Chat {
        let message: MessageId = IDS.next();
        let text = IncomingText {
            message,
            conversation: IDS.next(),
            route: Route {
                tenant: tenant.id,
                number: tenant.number,
                account: tenant.account,
            },
            provider_id: format!("SM{message}"),
            to: address(tenant.ours),
            from: address(customer),
            body: Body::new(canary::body(customer)).unwrap(),
            repeat_window: None,
            kind: ccm_db::TextKind::Text,
            refused: None,
            segments: None,
            received_at: now(),
            written_at: None,
            trace: None,
        };
        let Accepted::New { conversation, .. } = self.db.batch().accept(&[text]).await.unwrap()[0] else {
            panic!("a text with an id of its own is new");
        };
        let (db, chat) = (self.db.tenant(tenant.id), IDS.next());
        let new = ccm_db::NewChat {
            id: chat,
            link: tenant.link,
            guid: "4711",
            key: "key",
            skillset: "WC_Default_Skillset",
            lost_counts_until: None,
        };
        db.chat_opened(&tenant.fence, conversation, &new, now())
            .await
            .unwrap();
        db.text_delivered(&tenant.fence, message, now()).await.unwrap();
        Chat {
            tenant,
            conversation,
            customer,
            chat,
        }
    }

    /// The agent writes a text.
    pub async fn say(&self, chat: Chat, body: &str) -> MessageId {
        self.say_in(chat, body, None).await
    }

    /// The agent writes a text in this trace.
    pub async fn say_in(&self, chat: Chat, body: &str, trace: Option<TraceParent>) -> MessageId {
        let text = AgentText {
            message: IDS.next(),
            author: "Agent Smith".into(),
            body: Body::new(body).unwrap(),
            heard: None,
            written_at: None,
            replayed: false,
            trace,
        };
        let fence = &chat.tenant.fence;
        let db = self.db.tenant(chat.tenant.id);
        db.agent_said(fence, chat.conversation, chat.chat, &text, now())
            .await
            .unwrap();
        text.message
    }

    pub async fn message(&self, chat: Chat, id: MessageId) -> MessageRow {
        let db = self.db.tenant(chat.tenant.id);
        let conversation = db.conversation(chat.conversation).await.unwrap();
        let all = db.messages(&conversation, 0, 1000).await.unwrap();
        all.into_iter().find(|m| m.id == id).expect("the text is stored")
    }

    /// Waits until the text has come to this state.
    pub async fn until(&self, chat: Chat, id: MessageId, state: MessageState) -> MessageRow {
        let begin = Instant::now();
        loop {
            let row = self.message(chat, id).await;
            if row.state == state {
                return row;
            }
            assert!(begin.elapsed() < Duration::from_secs(60), "still {row:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn dispatcher(&self, settings: Settings) -> Dispatcher {
        Dispatcher::start(self.db.clone(), self.bus.clone(), settings)
    }
}

/// A dispatch pod. Dropped, it dies on the spot, as by kill -9.
pub struct Dispatcher {
    life: Lifecycle,
    task: JoinHandle<()>,
}

impl Dispatcher {
    pub fn start(db: Db, bus: Bus, settings: Settings) -> Self {
        let config = ShutdownConfig {
            notice: Duration::ZERO,
            grace: Duration::from_secs(20),
        };
        let life = Lifecycle::new(config, Health::new("dispatch"));
        let pod = Dispatch {
            db,
            bus,
            ids: IDS.clone(),
            http: client(Allowed::also(vec!["127.0.0.0/8".parse().unwrap()])).unwrap(),
            settings,
        };
        let running = life.clone();
        let task = tokio::spawn(async move { pod.run(running).await });
        Self { life, task }
    }

    pub fn begin_draining(&self) {
        self.life.drain();
    }

    /// Ends it as a deploy does.
    pub async fn drain(mut self) {
        self.life.drain();
        timeout(Duration::from_secs(20), &mut self.task)
            .await
            .expect("draining takes no longer than a send")
            .unwrap();
    }
}

impl Drop for Dispatcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}
