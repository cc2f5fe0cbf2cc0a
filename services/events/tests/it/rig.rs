//! A migrated database, a tenant that carries texts, webhooks of its own, and workers on a clock that can be put forward.

use ccm_db::{
    Accepted, Db, DbConfig, DeliveryFilter, DeliveryRow, IncomingText, KeyRing, NewAccount, NewLink,
    NewNumber, NewSkillset, Route, Scheme, TextKind, Webhook,
};
use ccm_egress::{Allowed, Egress};
use ccm_events::{Events, Settings};
use ccm_model::{
    AccountId, Body, Clock, ConversationId, DeliveryState, IdSource, NumberId, NumberKind, ProviderKind,
    TenantId, WebhookId,
};
use ccm_runtime::{Health, Lifecycle};
use ccm_testkit::{TestDb, canary};
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};
use time::OffsetDateTime;
use tokio::{task::JoinHandle, time::sleep};
use uuid::Uuid;

pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
pub const OURS: &str = "+14155550123";

pub struct Rig {
    pub db: Db,
    pub tenant: TenantId,
    pub ids: IdSource,
    pub test: TestDb,
    route: Route,
    later_s: Arc<AtomicI64>,
}

fn open(test: &TestDb) -> Db {
    let config = DbConfig {
        app_url: test.app_url().to_owned().into(),
        system_url: test.system_url().to_owned().into(),
        app_pool: 8,
        system_pool: 3,
    };
    Db::open(&config, KeyRing::new([[7; 32]]).unwrap()).unwrap()
}

/// A worker that runs until it is stopped.
pub struct Worker {
    pub life: Lifecycle,
    pub task: JoinHandle<()>,
}

impl Rig {
    pub async fn new() -> Self {
        // There may be one already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let test = TestDb::create(async |owner: String| ccm_db::migrate(&owner.into()).await)
            .await
            .unwrap();
        let later_s = Arc::new(AtomicI64::new(0));
        let later = later_s.clone();
        let clock = Clock::from_fn(move || {
            Clock::system().now() + Duration::from_secs(later.load(Ordering::SeqCst).unsigned_abs())
        });
        let ids = IdSource::new(clock, Clock::system().now().unix_timestamp_nanos() as u64);
        let db = open(&test);
        let (tenant, route) = carrying(&db, &ids).await;
        Self {
            db,
            tenant,
            ids,
            test,
            route,
            later_s,
        }
    }

    /// Puts the workers' clock forward.
    pub fn later(&self, by: Duration) {
        self.later_s.fetch_add(by.as_secs() as i64, Ordering::SeqCst);
    }

    pub fn now(&self) -> OffsetDateTime {
        self.ids.clock().now()
    }

    pub async fn webhook(&self, url: &str, events: &[&str]) -> WebhookId {
        let new = Webhook {
            name: self.ids.next::<Uuid>().to_string(),
            url: url.to_owned(),
            events: Some(events.iter().map(ToString::to_string).collect()),
            include_numbers: true,
            include_bodies: true,
        };
        self.webhook_of(&new).await
    }

    pub async fn webhook_of(&self, new: &Webhook) -> WebhookId {
        let id = self.ids.next();
        let db = self.db.tenant(self.tenant);
        db.create_webhook(id, new, &SECRET.into(), 20, self.now())
            .await
            .unwrap()
            .unwrap();
        id
    }

    /// A customer texts.
    pub async fn text(&self, customer: u32) -> ConversationId {
        let at = Clock::system().now();
        let text = IncomingText {
            message: self.ids.next(),
            conversation: self.ids.next(),
            route: self.route,
            provider_id: self.ids.next::<Uuid>().to_string(),
            to: OURS.parse().unwrap(),
            from: canary::number(customer).parse().unwrap(),
            body: Body::new(canary::body(customer)).unwrap(),
            repeat_window: None,
            kind: TextKind::Text,
            refused: None,
            segments: None,
            received_at: at,
            written_at: None,
            trace: None,
        };
        match self.db.batch().accept(&[text]).await.unwrap()[0] {
            Accepted::New { conversation, .. } => conversation,
            Accepted::Repeated => panic!("a new text"),
        }
    }

    pub fn events(&self, settings: Settings) -> Events {
        let here = Allowed::also(vec!["127.0.0.1/32".parse().unwrap()]);
        Events {
            db: self.db.clone(),
            ids: self.ids.clone(),
            egress: Egress::new(here).unwrap(),
            settings,
        }
    }

    /// With connections of its own, which end with whoever opens them.
    pub fn events_apart(&self, settings: Settings) -> Events {
        Events {
            db: open(&self.test),
            ..self.events(settings)
        }
    }

    pub fn work(&self) -> Worker {
        self.work_with(quick())
    }

    pub fn work_with(&self, settings: Settings) -> Worker {
        self.run(self.events(settings))
    }

    pub fn run(&self, events: Events) -> Worker {
        let life = Self::life();
        let task = tokio::spawn(events.run(life.clone()));
        Worker { life, task }
    }

    pub fn life() -> Lifecycle {
        let shutdown = ccm_runtime::config::ShutdownConfig {
            notice: Duration::ZERO,
            grace: Duration::from_secs(25),
        };
        Lifecycle::new(shutdown, Health::new("events"))
    }

    /// The webhook's deliveries, the oldest first.
    pub async fn deliveries(&self, webhook: WebhookId) -> Vec<DeliveryRow> {
        let db = self.db.tenant(self.tenant);
        let mut rows = db
            .deliveries(webhook, &DeliveryFilter::default(), None, 1000)
            .await
            .unwrap();
        rows.sort_by_key(|row| row.at);
        rows
    }

    /// The one delivery of a webhook, once it has been tried so often and its attempt is recorded.
    pub async fn tried(&self, webhook: WebhookId, times: i32) -> DeliveryRow {
        for _ in 0..600 {
            let rows = self.deliveries(webhook).await;
            if let [row] = &rows[..]
                && (row.attempts >= times || row.state != DeliveryState::Pending)
            {
                return row.clone();
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("not tried: {:?}", self.deliveries(webhook).await);
    }
}

pub fn quick() -> Settings {
    Settings {
        poll: Duration::from_millis(50),
        concurrency: 64,
        per_webhook: 4,
        timeout: Duration::from_secs(2),
        claim: Duration::from_secs(5),
    }
}

async fn carrying(db: &Db, ids: &IdSource) -> (TenantId, Route) {
    let tenant: TenantId = ids.next();
    db.operator()
        .create_tenant(tenant, &format!("t-{tenant}"), "A tenant")
        .await
        .unwrap();
    let (account, number): (AccountId, NumberId) = (ids.next(), ids.next());
    let rows = db.tenant(tenant);
    rows.create_account(NewAccount {
        id: account,
        name: "account",
        kind: ProviderKind::Http,
        settings: &serde_json::json!({}),
        secret: b"{}",
        rules: &Default::default(),
    })
    .await
    .unwrap();
    let link = ids.next();
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
    let skillset = ids.next();
    rows.create_skillset(NewSkillset {
        id: skillset,
        link,
        name: "WC_Default_Skillset",
    })
    .await
    .unwrap();
    rows.create_number(NewNumber {
        id: number,
        address: &OURS.parse().unwrap(),
        account,
        skillset,
        per_second: 1.0,
        second_account: None,
        kind: NumberKind::LongCode,
    })
    .await
    .unwrap();
    (
        tenant,
        Route {
            tenant,
            account,
            number,
        },
    )
}
