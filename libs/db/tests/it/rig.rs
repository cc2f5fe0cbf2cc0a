//! A migrated database with the product's own handle, raw connections of each role, and short ways to common rows.

use ccm_db::{
    AgentText, Claim, Db, DbConfig, Fence, IncomingText, KeyRing, LeaseTimes, NewAccount, NewLink, NewNumber,
    NewSkillset, Route, Scheme,
};
use ccm_model::{
    AccountId, Address, Body, ChatId, ConversationId, IdSource, LinkId, MessageId, NumberId, PodId,
    ProviderKind, SkillsetId, TenantId,
};
use ccm_testkit::{TestDb, Urls, canary};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, Row, postgres::PgRow};
use std::{sync::LazyLock, time::Duration};
use time::OffsetDateTime;

pub static IDS: LazyLock<IdSource> = LazyLock::new(IdSource::system);

pub const TIMES: LeaseTimes = LeaseTimes {
    lease: Duration::from_secs(50),
    margin: Duration::from_secs(10),
};
pub const MASTER: [u8; 32] = [7; 32];

pub struct Rig {
    pub db: Db,
    /// Sees everything.
    pub root: PgPool,
    pub test: TestDb,
}

/// A tenant with one of each that a text needs.
#[derive(Clone, Copy)]
pub struct Tenant {
    pub id: TenantId,
    pub account: AccountId,
    pub link: LinkId,
    pub skillset: SkillsetId,
    pub number: NumberId,
    /// The number's address is `canary::number(ours)`.
    pub ours: u32,
}

pub fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

pub fn address(n: u32) -> Address {
    canary::number(n).parse().unwrap()
}

pub fn open(urls: &Urls, connections: u32, master: [u8; 32]) -> Db {
    let config = DbConfig {
        app_url: urls.app.clone().into(),
        system_url: urls.system.clone().into(),
        app_pool: connections,
        system_pool: connections,
    };
    Db::open(&config, KeyRing::new([master]).unwrap()).unwrap()
}

impl Rig {
    pub async fn new() -> Self {
        Self::with_connections(10).await
    }

    pub async fn with_connections(connections: u32) -> Self {
        let test = TestDb::create(async |url: String| ccm_db::migrate(&url.into()).await)
            .await
            .unwrap();
        let root = PgPool::connect(test.superuser_url()).await.unwrap();
        let db = open(test.urls(), connections, MASTER);
        Self { db, root, test }
    }

    pub async fn tenant(&self, n: u32) -> Tenant {
        self.tenant_at_rate(n, 1000.0).await
    }

    /// `n` names it and its number; `per_second` is the number's rate.
    pub async fn tenant_at_rate(&self, n: u32, per_second: f32) -> Tenant {
        let id = IDS.next();
        self.db
            .operator()
            .create_tenant(id, &format!("tenant-{n}"), "A tenant")
            .await
            .unwrap();
        let tenant = Tenant {
            id,
            account: IDS.next(),
            link: IDS.next(),
            skillset: IDS.next(),
            number: IDS.next(),
            ours: 90_000 + n,
        };
        let db = self.db.tenant(id);
        db.create_account(NewAccount {
            id: tenant.account,
            name: "account",
            kind: ProviderKind::Http,
            settings: &serde_json::json!({}),
            secret: b"{}",
            rules: &Default::default(),
        })
        .await
        .unwrap();
        db.create_link(NewLink {
            id: tenant.link,
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
            id: tenant.skillset,
            link: tenant.link,
            name: "WC_Default_Skillset",
        })
        .await
        .unwrap();
        db.create_number(NewNumber {
            id: tenant.number,
            address: &address(tenant.ours),
            account: tenant.account,
            skillset: tenant.skillset,
            per_second,
            second_account: None,
            kind: ccm_model::NumberKind::LongCode,
        })
        .await
        .unwrap();
        tenant
    }

    /// Announces a pod and gives it the tenant.
    pub async fn own(&self, tenant: TenantId) -> Fence {
        let pod: PodId = IDS.next();
        let operator = self.db.operator();
        operator.heartbeat(pod, "pod", false).await.unwrap();
        let owned = operator.take_leases(pod, &[tenant], TIMES).await.unwrap();
        Fence { pod, owned: owned[0] }
    }

    /// Stores one text of a customer and returns its conversation.
    pub async fn text(&self, tenant: Tenant, customer: u32) -> (ConversationId, MessageId) {
        let text = incoming(tenant, customer);
        let accepted = self.db.batch().accept(&[text]).await.unwrap();
        match accepted[0] {
            ccm_db::Accepted::New {
                conversation,
                message,
                ..
            } => (conversation, message),
            ccm_db::Accepted::Repeated => panic!("a text with an id of its own is new"),
        }
    }

    /// A conversation whose text the agent has, in an open chat.
    pub async fn chat(&self, tenant: Tenant, fence: &Fence, customer: u32) -> (ConversationId, ChatId) {
        let (conversation, message) = self.text(tenant, customer).await;
        let (db, chat) = (self.db.tenant(tenant.id), IDS.next());
        db.chat_opened(
            fence,
            conversation,
            &ccm_db::NewChat {
                id: chat,
                link: tenant.link,
                guid: "4711",
                key: "key",
                skillset: "WC_Default_Skillset",
                lost_counts_until: None,
            },
            now(),
        )
        .await
        .unwrap();
        db.text_delivered(fence, message, now()).await.unwrap();
        (conversation, chat)
    }

    /// Stores what an agent says.
    pub async fn say(&self, fence: &Fence, conversation: ConversationId, chat: ChatId) -> MessageId {
        let text = agent_text();
        let db = self.db.tenant(fence.owned.tenant);
        db.agent_said(fence, conversation, chat, &text, now())
            .await
            .unwrap();
        text.message
    }

    /// Claims whatever is due.
    pub async fn claim(&self, hold: Duration, limit: i64) -> Vec<Claim> {
        self.db
            .operator()
            .claim_lines(uuid::Uuid::now_v7(), hold, limit, &[])
            .await
            .unwrap()
    }

    /// As the superuser.
    pub async fn run(&self, sql: &str) -> u64 {
        sqlx::query(AssertSqlSafe(sql))
            .execute(&self.root)
            .await
            .unwrap()
            .rows_affected()
    }

    /// As the superuser: every row.
    pub async fn rows(&self, sql: &str) -> Vec<PgRow> {
        sqlx::query(AssertSqlSafe(sql))
            .fetch_all(&self.root)
            .await
            .unwrap()
    }

    /// As the superuser: one number.
    pub async fn count(&self, sql: &str) -> i64 {
        self.rows(sql).await[0].get(0)
    }

    /// Every row of every table, to see that nothing changed.
    pub async fn everything(&self) -> String {
        let tables = self.tables().await;
        let rows = tables
            .iter()
            .map(|t| format!("SELECT '{t} ' || to_jsonb(t)::text FROM {t} t"));
        let rows = rows.collect::<Vec<_>>().join(" UNION ALL ");
        let sql = format!("SELECT string_agg(line, E'\\n' ORDER BY line) FROM ({rows}) AS rows (line)");
        self.rows(&sql).await[0].get(0)
    }

    /// All tables but partitions.
    pub async fn tables(&self) -> Vec<String> {
        let sql = "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace
                   AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY 1";
        self.rows(sql).await.iter().map(|r| r.get(0)).collect()
    }
}

/// A login of its own, for SQL that the product would never send.
pub async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}

/// A new text from a customer to the tenant's number.
pub fn incoming(tenant: Tenant, customer: u32) -> IncomingText {
    let message: MessageId = IDS.next();
    IncomingText {
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
    }
}

pub fn agent_text() -> AgentText {
    AgentText {
        message: IDS.next(),
        author: "Agent Smith".into(),
        body: Body::new(canary::body(1)).unwrap(),
        heard: Some([1; 32]),
        written_at: None,
        replayed: false,
        trace: None,
    }
}
