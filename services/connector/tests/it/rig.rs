//! A database, tenants whose AACC is a simulator, customers who text, and connector pods to start, drain and kill.

use ccm_aacc_sim::{Agent, ChatState, ChatView, Config, Sim, Tls};
use ccm_bus::Bus;
use ccm_connector::{Connector, LinkConfig, SessionConfig, Settings};
use ccm_db::{
    Accepted, Db, DbConfig, IncomingText, KeyRing, LeaseTimes, MessageRow, NewAccount, NewLink, NewNumber,
    NewSkillset, Route, Scheme, TextKind,
};
use ccm_egress::{Allowed, Egress};
use ccm_model::{Body, ConversationId, Direction, IdSource, LinkId, MessageState, ProviderKind, TenantId};
use ccm_runtime::{Health, Lifecycle, config::ShutdownConfig};
use ccm_testkit::{TestDb, Urls, canary};
use std::{sync::LazyLock, time::Duration};
use time::OffsetDateTime;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

pub static IDS: LazyLock<IdSource> = LazyLock::new(IdSource::system);

/// For what must happen; never reached when it does.
pub const PATIENCE: Duration = Duration::from_secs(30);

const TIMES: LeaseTimes = LeaseTimes {
    lease: Duration::from_millis(2500),
    margin: Duration::from_millis(500),
};

pub fn agent() -> Agent {
    Agent::new("1001", "Agent Smith")
}

pub async fn sim(tls: Tls) -> Sim {
    sim_with(Config {
        tls,
        ..Config::default()
    })
    .await
}

pub async fn sim_with(config: Config) -> Sim {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Sim::start(config).await.unwrap()
}

/// Waits for `found` to give something.
pub async fn until<T>(what: &str, mut found: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = found().await {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "in vain: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

pub struct Rig {
    pub db: Db,
    test: Option<TestDb>,
}

#[derive(Clone, Copy)]
pub struct Tenant {
    pub id: TenantId,
    pub link: LinkId,
    pub route: Route,
    /// The number's address is `canary::number(ours)`.
    pub ours: u32,
}

impl Rig {
    pub async fn new() -> Self {
        let test = TestDb::create(async |url: String| ccm_db::migrate(&url.into()).await)
            .await
            .unwrap();
        Self {
            db: open(test.urls()),
            test: Some(test),
        }
    }

    /// On a server of the test's own.
    pub async fn on(urls: &Urls) -> Self {
        ccm_db::migrate(&urls.owner.clone().into()).await.unwrap();
        Self {
            db: open(urls),
            test: None,
        }
    }

    pub fn sql(&self, sql: &str) -> String {
        self.test.as_ref().unwrap().superuser_sql(sql).unwrap()
    }

    /// A tenant whose AACC is `sim`, trusted by `ca_pem`; `n` names it and its number.
    pub async fn tenant(&self, n: u32, sim: &Sim, ca_pem: Option<&str>) -> Tenant {
        let id: TenantId = IDS.next();
        let name = format!("tenant-{n}");
        self.db.operator().create_tenant(id, &name, &name).await.unwrap();
        let (account, link, skillset, number) = (IDS.next(), IDS.next(), IDS.next(), IDS.next());
        let db = self.db.tenant(id);
        db.create_account(NewAccount {
            id: account,
            name: "account",
            kind: ProviderKind::Http,
            settings: &serde_json::json!({}),
            secret: b"{}",
            rules: &Default::default(),
        })
        .await
        .unwrap();
        db.create_link(NewLink {
            id: link,
            name: "aacc",
            scheme: if ca_pem.is_some() { Scheme::Wss } else { Scheme::Ws },
            host: "127.0.0.1",
            port: sim.ewc_addr().port(),
            path: "/CustomerControllerWeb/chat",
            ca_pem,
            swap_angle_brackets: true,
            connects_per_second: 100.0,
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
            address: &canary::number(ours).parse().unwrap(),
            account,
            skillset,
            per_second: 100.0,
            second_account: None,
            kind: ccm_model::NumberKind::LongCode,
        })
        .await
        .unwrap();
        Tenant {
            id,
            link,
            route: Route {
                tenant: id,
                number,
                account,
            },
            ours,
        }
    }

    /// Another number of a tenant, to the same skillset.
    pub async fn number_of(&self, tenant: Tenant, n: u32) -> Tenant {
        let (number, ours) = (IDS.next(), 91_000 + n);
        let db = self.db.tenant(tenant.id);
        let skillset = db.skillsets().await.unwrap()[0].id;
        db.create_number(NewNumber {
            id: number,
            address: &canary::number(ours).parse().unwrap(),
            account: tenant.route.account,
            skillset,
            per_second: 100.0,
            second_account: None,
            kind: ccm_model::NumberKind::LongCode,
        })
        .await
        .unwrap();
        let route = Route {
            number,
            ..tenant.route
        };
        Tenant {
            route,
            ours,
            ..tenant
        }
    }

    /// A customer texts.
    pub async fn text(&self, to: Tenant, customer: u32, body: &str) -> ConversationId {
        self.text_of_kind(to, customer, body, TextKind::Text).await
    }

    pub async fn text_of_kind(
        &self,
        to: Tenant,
        customer: u32,
        body: &str,
        kind: TextKind,
    ) -> ConversationId {
        let message = IDS.next();
        let text = IncomingText {
            message,
            conversation: IDS.next(),
            route: to.route,
            provider_id: format!("SM{message}"),
            repeat_window: None,
            kind,
            refused: None,
            segments: None,
            to: canary::number(to.ours).parse().unwrap(),
            from: canary::number(customer).parse().unwrap(),
            body: Body::new(body).unwrap(),
            received_at: OffsetDateTime::now_utc(),
            written_at: None,
            trace: None,
        };
        until("the text is accepted", async || {
            match self.db.batch().accept(std::slice::from_ref(&text)).await.ok()?[0] {
                Accepted::New { conversation, .. } => Some(conversation),
                _ => panic!("a text with an id of its own is new"),
            }
        })
        .await
    }

    pub async fn texts(&self, to: Tenant, customer: u32, bodies: &[String]) -> ConversationId {
        let mut conversation = None;
        for body in bodies {
            conversation = Some(self.text(to, customer, body).await);
        }
        conversation.expect("a text")
    }

    pub async fn messages(&self, of: Tenant, conversation: ConversationId) -> Vec<MessageRow> {
        let db = self.db.tenant(of.id);
        let row = db.conversation(conversation).await.unwrap();
        db.messages(&row, 0, 1000).await.unwrap()
    }

    /// Waits until `n` of the customer's texts are in this state; all texts of the conversation are returned.
    pub async fn until_state(
        &self,
        of: Tenant,
        conversation: ConversationId,
        state: MessageState,
        n: usize,
    ) -> Vec<MessageRow> {
        until(&format!("{n} texts are {state:?}"), async || {
            let all = self.messages(of, conversation).await;
            (all.iter().filter(|m| m.state == state).count() >= n).then_some(all)
        })
        .await
    }

    pub fn pod(&self) -> Pod {
        self.pod_with(SessionConfig::default())
    }

    pub fn pod_with(&self, session: SessionConfig) -> Pod {
        Pod::start(self.db.clone(), session)
    }
}

pub fn open(urls: &Urls) -> Db {
    let _ = tracing_subscriber::fmt()
        .with_env_filter("info,ccm=debug")
        .with_ansi(false)
        .try_init();
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let config = DbConfig {
        app_url: urls.app.clone().into(),
        system_url: urls.system.clone().into(),
        app_pool: 10,
        system_pool: 4,
    };
    Db::open(&config, KeyRing::new([[7; 32]]).unwrap()).unwrap()
}

/// A connector pod. Wake-ups do not come: what works, works by polling. Dropped, it dies on the spot, as by kill -9.
pub struct Pod {
    life: Lifecycle,
    task: JoinHandle<Result<(), ccm_db::DbError>>,
}

impl Pod {
    pub fn start(db: Db, session: SessionConfig) -> Self {
        let config = ShutdownConfig {
            notice: Duration::ZERO,
            grace: Duration::from_secs(20),
        };
        let life = Lifecycle::new(config, Health::new("connector"));
        let pod = Connector {
            egress: Egress::new(Allowed::also(vec!["127.0.0.0/8".parse().unwrap()])).unwrap(),
            db,
            bus: Bus::in_process(),
            ids: IDS.clone(),
            settings: Settings {
                pod: IDS.next(),
                pod_name: "pod".into(),
                poll: Duration::from_millis(100),
                times: TIMES,
                session: SessionConfig {
                    backoff_base: Duration::from_millis(50),
                    backoff_cap: Duration::from_millis(500),
                    ..session
                },
                link: LinkConfig {
                    open_base: Duration::from_millis(100),
                    open_cap: Duration::from_millis(1000),
                    ..LinkConfig::default()
                },
                guard: None,
            },
        };
        let task = tokio::spawn(pod.run(life.clone()));
        Self { life, task }
    }

    /// Ends it as a deploy does; how long that took.
    pub async fn drain(mut self) -> (Duration, Result<(), ccm_db::DbError>) {
        let began = Instant::now();
        self.life.drain();
        let result = timeout(Duration::from_secs(20), &mut self.task)
            .await
            .expect("a drain ends within the grace")
            .unwrap();
        (began.elapsed(), result)
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the agents' side has of customers' texts, over all chats, in order.
pub fn received(sim: &Sim) -> Vec<String> {
    let chats = sim.record().chats;
    chats
        .into_iter()
        .flat_map(|c| c.received)
        .map(|r| r.text)
        .collect()
}

/// The first chat that is open; of any customer.
pub async fn open_chat(sim: &Sim) -> ChatView {
    sim.wait_for_chat(|c| c.state != ChatState::Ended, PATIENCE)
        .await
        .expect("a chat opens")
}

/// Agents' texts that were stored.
pub fn from_agent(all: &[MessageRow]) -> Vec<&str> {
    all.iter()
        .filter(|m| m.direction == Direction::Mt)
        .map(|m| m.body.as_str())
        .collect()
}
