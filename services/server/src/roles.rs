//! From configuration to running roles.

use crate::{
    cli::Command,
    health::{self, Lives},
    presence, token,
};
use anyhow::{Context, Result};
use ccm_admin::{DoctorDeps, Oidc, OidcSettings, RequestRate, SessionTimes, StoreSlots, TrustedProxies};
use ccm_auth::{LookupKey, TokenVerifier};
use ccm_bus::Bus;
use ccm_connector::{Connector, Guard, LinkConfig, SessionConfig};
use ccm_console::{Console, Issuers, IssuersSettings};
use ccm_db::{Db, DbConfig, KeyRing, LeaseTimes};
use ccm_dispatch::{Dispatch, GIVE_UP_AFTER};
use ccm_egress::{Allowed, Egress};
use ccm_ingest::{Batching, Ingest};
use ccm_model::{Clock, IdSource, PodId};
use ccm_runtime::{Config, Health, Lifecycle, Metrics, ops, serve_to_the_end};
use secrecy::ExposeSecret;
use std::{net::SocketAddr, num::NonZeroU32, time::Duration};
use tokio::net::TcpListener;

/// Links that the admin API examines at a time.
const EXAMINATIONS: usize = 4;

/// How long the admin API waits for what a webhook's receiver says: longer than one may take, less than a request may.
const WEBHOOK_TEST: Duration = Duration::from_secs(20);

/// What all roles of a process share.
struct Process<'a> {
    config: Config,
    db: Db,
    bus: Bus,
    /// What it is in the database.
    id: PodId,
    ids: IdSource,
    health: Health,
    metrics: Metrics,
    life: &'a Lifecycle,
}

/// Starts the command's role, or all of them. They run until the process drains.
pub async fn start(
    command: &Command,
    config: Config,
    metrics: Metrics,
    health: Health,
    life: &Lifecycle,
) -> Result<()> {
    let ids = IdSource::system();
    let bus = match (&config.redis.url, command) {
        (None, Command::All) => Bus::in_process(),
        _ => Bus::redis(config.redis.url()?, &config.redis.prefix, ids.clone())?,
    };
    let process = Process {
        db: database(&config)?,
        bus,
        id: ids.next(),
        ids,
        health,
        metrics,
        life,
        config,
    };
    let lives = Lives {
        db: process.db.clone(),
        synchronous_standby: process.config.database.synchronous_standby,
    };
    process.life.spawn_companion(
        "health",
        health::watch(lives.clone(), process.bus.clone(), process.health.clone()),
    );
    process.life.spawn_companion(
        "presence",
        presence::tell(
            process.db.clone(),
            process.id,
            command.name(),
            process.config.connector.pod_name().to_owned(),
            process.life.clone(),
            lives,
        ),
    );
    match command {
        Command::Ingest => process.ingest().await,
        Command::Dispatch => process.dispatch().await,
        Command::Connector => process.connector().await,
        Command::Admin => process.admin().await,
        Command::Screenpop => process.screenpop().await,
        Command::Deflection => process.deflection().await,
        Command::Events => process.events().await,
        Command::All => {
            process.ingest().await?;
            process.dispatch().await?;
            process.connector().await?;
            process.admin().await?;
            process.screenpop().await?;
            process.deflection().await?;
            process.events().await
        }
        Command::Migrate(_)
        | Command::Restored(_)
        | Command::Token(_)
        | Command::Doctor(_)
        | Command::Config(_) => {
            unreachable!("not a role")
        }
    }
}

/// The database as configured; connects when it is first asked.
pub fn database(config: &Config) -> Result<Db> {
    let masters = config.keys.master_keys()?;
    let keys = KeyRing::new(masters.iter().map(|key| *key.expose_secret()))?;
    let settings = DbConfig {
        app_url: config.database.app_url()?.clone(),
        system_url: config.database.system_url()?.clone(),
        app_pool: config.database.app_pool,
        system_pool: config.database.system_pool,
    };
    Ok(Db::open(&settings, keys)?)
}

async fn bind(key: &str, address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("{key}: {address} cannot be used; give an address of this machine that is free")
    })
}

impl Process<'_> {
    /// Which of the addresses that tenants name may be dialled.
    fn allowed(&self) -> Allowed {
        Allowed::also(self.config.egress.private_networks.clone())
    }

    /// The same for links to AACCs.
    fn guard(&self) -> Guard {
        let allowed = self.allowed();
        Guard::new(move |ip| allowed.allows(ip))
    }

    fn lease_times(&self) -> LeaseTimes {
        LeaseTimes {
            lease: self.config.connector.lease,
            margin: self.config.connector.lease_margin,
        }
    }

    /// Health pages and metrics, to the very end of the process.
    async fn pages(&self, key: &str, address: SocketAddr) -> Result<()> {
        let pages = ops::router(self.health.clone(), self.metrics.clone());
        self.life
            .spawn_companion("pages", serve_to_the_end(bind(key, address).await?, pages));
        Ok(())
    }

    async fn ingest(&self) -> Result<()> {
        let config = &self.config.ingest;
        let listener = bind("ingest.listen", config.listen).await?;
        let ingest = Ingest {
            db: self.db.clone(),
            bus: self.bus.clone(),
            ids: self.ids.clone(),
            settings: ccm_ingest::Settings {
                public_base_url: config.public_base_url()?.to_owned(),
                max_body_bytes: config.max_body_bytes,
                request_timeout: config.request_timeout,
                batching: Batching::default(),
            },
        };
        self.life.spawn("ingest", ingest.run(listener, self.life.clone()));
        self.pages("ingest.ops_listen", config.ops_listen).await
    }

    async fn dispatch(&self) -> Result<()> {
        let config = &self.config.dispatch;
        let receipts_base = self.config.ingest.public_base_url();
        if let Err(error) = &receipts_base {
            tracing::warn!(%error, "providers are not told where to post receipts: what became of texts stays unknown");
        }
        let dispatch = Dispatch {
            db: self.db.clone(),
            bus: self.bus.clone(),
            ids: self.ids.clone(),
            http: ccm_dispatch::client(self.allowed()).context("no HTTP client for providers")?,
            settings: ccm_dispatch::Settings {
                poll: config.poll,
                concurrency: config.concurrency,
                provider_timeout: config.provider_timeout,
                claim: config.claim,
                give_up_after: GIVE_UP_AFTER,
                receipts_base: receipts_base.unwrap_or_default().to_owned(),
            },
        };
        let life = self.life.clone();
        self.life.spawn("dispatch", async move {
            dispatch.run(life).await;
            Ok::<_, std::convert::Infallible>(())
        });
        self.pages("dispatch.listen", config.listen).await
    }

    async fn connector(&self) -> Result<()> {
        let config = &self.config.connector;
        let connector = Connector {
            egress: Egress::new(self.allowed()).context("no HTTP client for webhooks")?,
            db: self.db.clone(),
            bus: self.bus.clone(),
            ids: self.ids.clone(),
            settings: ccm_connector::Settings {
                pod: self.id,
                pod_name: config.pod_name().to_owned(),
                poll: config.poll,
                times: self.lease_times(),
                session: SessionConfig {
                    ping_every: config.ping,
                    pong_timeout: config.pong_timeout,
                    ack_timeout: Some(config.ack_timeout).filter(|timeout| !timeout.is_zero()),
                    ..SessionConfig::default()
                },
                link: LinkConfig {
                    threshold: config.breaker_failures,
                    open_cap: config.breaker_cap,
                    failback_probe: config.failback_probe,
                    ..LinkConfig::default()
                },
                guard: Some(self.guard()),
            },
        };
        self.life.spawn("connector", connector.run(self.life.clone()));
        self.pages("connector.listen", config.listen).await
    }

    async fn admin(&self) -> Result<()> {
        let config = &self.config.admin;
        let listener = bind("admin.listen", config.listen).await?;
        let master = &self.config.keys.master_keys()?[0];
        let deps = ccm_admin::Deps {
            db: self.db.clone(),
            bus: self.bus.clone(),
            ids: self.ids.clone(),
            tokens: TokenVerifier::new(&token::jwt(&self.config)?, Clock::system())?,
            oidc: self.oidc()?,
            proxies: TrustedProxies::new(config.trusted_proxies.iter().copied()),
            rate: RequestRate {
                per_minute: NonZeroU32::new(config.requests_per_minute).unwrap_or(NonZeroU32::MIN),
                at_once: NonZeroU32::new(config.requests_at_once).unwrap_or(NonZeroU32::MIN),
            },
            sessions: SessionTimes {
                at_most: config.session,
                idle: config.session_idle,
            },
            lookup_key: LookupKey::derive(master),
            webhook_base: self.config.ingest.public_base_url()?.to_owned(),
            store: StoreSlots::default(),
            lease_times: self.lease_times(),
            doctor: DoctorDeps::new(
                ccm_connector::targets,
                Some(self.guard()),
                self.config.connector.ping,
                EXAMINATIONS,
            ),
            egress: Egress::new(self.allowed()).context("no HTTP client for webhooks")?,
            webhook_test_wait: WEBHOOK_TEST,
            max_body_bytes: config.max_body_bytes,
        };
        let site = self.console(ccm_admin::router(deps.clone()))?.site();
        self.life
            .spawn("admin", ccm_admin::run(listener, site, deps, self.life.clone()));
        self.pages("admin.ops_listen", config.ops_listen).await
    }

    fn console(&self, api: axum::Router) -> Result<Console> {
        let (config, oidc) = (&self.config.console, &self.config.oidc);
        let issuers = IssuersSettings {
            issuers: oidc.issuers.clone(),
            client_id: oidc.audience.clone(),
            client_secret: config.client_secret()?,
            cas: oidc.cas()?,
        };
        Ok(Console::new(ccm_console::Parts {
            api,
            ids: self.ids.clone(),
            url: config.url()?,
            issuers: Issuers::new(issuers)?,
            trace_url: config.trace_url.clone(),
        }))
    }

    fn oidc(&self) -> Result<Oidc> {
        let config = &self.config.oidc;
        let settings = OidcSettings {
            issuers: config.issuers.clone(),
            audience: config.audience.clone(),
            cas: config.cas()?,
            leeway: self.config.jwt.leeway,
        };
        Oidc::new(settings).context("oidc.ca_file holds no certificates that can be read")
    }

    async fn screenpop(&self) -> Result<()> {
        let config = &self.config.screenpop;
        let listener = bind("screenpop.listen", config.listen).await?;
        let deps = ccm_screenpop::Deps {
            db: self.db.clone(),
            bus: self.bus.clone(),
            ids: self.ids.clone(),
            lookup_key: LookupKey::derive(&self.config.keys.master_keys()?[0]),
            proxies: TrustedProxies::new(config.trusted_proxies.iter().copied()),
            http: ccm_screenpop::client(self.allowed())?,
            settings: ccm_screenpop::Settings {
                max_body_bytes: config.max_body_bytes,
                look_up_timeout: config.lookup_timeout,
                look_ups_per_minute: config.lookups_per_minute,
                look_ups_kept: config.lookups_kept,
            },
            doors: ccm_screenpop::Doors::default(),
        };
        self.life
            .spawn("screenpop", ccm_screenpop::run(listener, deps, self.life.clone()));
        self.pages("screenpop.ops_listen", config.ops_listen).await
    }

    async fn deflection(&self) -> Result<()> {
        let config = &self.config.deflection;
        let listener = bind("deflection.listen", config.listen).await?;
        let deps = ccm_deflection::Deps::new(ccm_deflection::Parts {
            db: self.db.clone(),
            bus: self.bus.clone(),
            ids: self.ids.clone(),
            lookup_key: LookupKey::derive(&self.config.keys.master_keys()?[0]),
            proxies: TrustedProxies::new(config.trusted_proxies.iter().copied()),
            targets: ccm_connector::targets,
            guard: Some(self.guard()),
            settings: ccm_deflection::Settings {
                max_body_bytes: config.max_body_bytes,
                public_base_url: config.public_base_url().map(str::to_owned),
                requests_per_minute: NonZeroU32::new(config.requests_per_minute).unwrap_or(NonZeroU32::MIN),
                poll: config.poll,
                look_ups_kept: self.config.screenpop.lookups_kept,
                queue: ccm_deflection::QueueTimes {
                    fresh: config.queue_fresh,
                    stale: config.queue_stale,
                    wait: config.queue_wait,
                },
            },
        });
        self.life.spawn(
            "deflection",
            ccm_deflection::run(listener, deps, self.life.clone()),
        );
        self.pages("deflection.ops_listen", config.ops_listen).await
    }

    async fn events(&self) -> Result<()> {
        let config = &self.config.events;
        let events = ccm_events::Events {
            db: self.db.clone(),
            ids: self.ids.clone(),
            egress: Egress::new(self.allowed()).context("no HTTP client for webhooks")?,
            settings: ccm_events::Settings {
                poll: config.poll,
                concurrency: config.concurrency,
                per_webhook: config.per_webhook,
                timeout: config.timeout,
                claim: config.claim,
            },
        };
        let life = self.life.clone();
        self.life.spawn("events", async move {
            events.run(life).await;
            Ok::<_, std::convert::Infallible>(())
        });
        self.pages("events.listen", config.listen).await
    }
}
