//! The product as it runs in production: one process per role, on a Postgres and a Redis of its own.

mod admin;
mod config;
mod launch;

use crate::{
    folder::TempFolder,
    http,
    pg::{PgOptions, PgServer},
    ports::free_port,
    process::{self, Process},
    provision::{self, Urls},
    proxy::Proxy,
    psql::Psql,
    redis::RedisServer,
    service::Service,
};
use anyhow::{Context, Result, bail};
use config::Shared;
use launch::{Launch, Role};
use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{ExitStatus, Output, Stdio},
    sync::Arc,
    time::Duration,
};
use tokio::{task::spawn_blocking, time::sleep};

pub use admin::{AdminClient, MadeAccount, MadeTenant, Plan, PlannedAccount};

const DATABASE: &str = "ccm";
/// Debug builds on a busy machine included.
const READY_LIMIT: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Longer than the product's own `shutdown.grace_ms`.
const END_LIMIT: Duration = Duration::from_secs(40);

/// The whole product, to be started, broken and looked at. Everything ends when this is dropped, and when this process
/// dies. Dropped by a panic, it prints the end of every log.
///
/// Stopping and starting servers blocks the thread for up to seconds: simulators in the same process need a
/// multi-threaded runtime.
pub struct Stack {
    launch: Launch,
    roles: BTreeMap<String, Role>,
    redis_proxy: Option<Proxy>,
    redis: RedisServer,
    pg: PgServer,
    _temporary: Option<TempFolder>,
}

/// Collects what a [`Stack`] is started with.
pub struct Builder {
    ccm: PathBuf,
    dir: Option<PathBuf>,
    roles: Vec<String>,
    env: Vec<(String, String)>,
    pg: PgOptions,
    proxied_redis: bool,
    ingest_service: bool,
    progress: Arc<dyn Fn(&str) + Send + Sync>,
}

impl Stack {
    /// `ccm` is the program's file. Without more words: all roles, in a temporary folder.
    pub fn builder(ccm: impl Into<PathBuf>) -> Builder {
        Builder {
            ccm: ccm.into(),
            dir: None,
            roles: [
                "ingest",
                "dispatch",
                "connector",
                "admin",
                "screenpop",
                "deflection",
                "events",
            ]
            .map(String::from)
            .to_vec(),
            env: Vec::new(),
            pg: PgOptions::durable(),
            proxied_redis: false,
            ingest_service: false,
            progress: Arc::new(|_| ()),
        }
    }

    /// The database server, to stop, restart or query it.
    pub fn pg(&mut self) -> &mut PgServer {
        &mut self.pg
    }

    /// The Redis server, to stop and start it.
    pub fn redis(&mut self) -> &mut RedisServer {
        &mut self.redis
    }

    /// The proxy between the roles and Redis, where the builder was told [`Builder::proxied_redis`].
    pub fn redis_proxy(&self) -> Option<&Proxy> {
        self.redis_proxy.as_ref()
    }

    /// The addresses of the product's database.
    pub fn urls(&self) -> &Urls {
        &self.launch.shared.urls
    }

    /// As [`crate::TestDb::superuser_sql`].
    pub fn superuser_sql(&self, sql: &str) -> Result<String> {
        Psql::new(&self.urls().superuser)?.run(sql)
    }

    /// The folder with data, configuration and logs.
    pub fn dir(&self) -> &Path {
        &self.launch.dir
    }

    /// The secret that the admin API's tokens are signed with (HS256).
    pub fn jwt_secret_file(&self) -> &Path {
        &self.launch.shared.jwt_secret_file
    }

    /// The names of the roles' processes.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.roles.keys().map(String::as_str)
    }

    /// The address that `ingest` (providers' webhooks), `admin`, `screenpop` or `deflection` answers at, like `http://127.0.0.1:20123`. It stays
    /// the same over restarts. Of `all`, ingest's; [`Stack::address_in`] says the others.
    pub fn address(&self, role: &str) -> Result<String> {
        let port = self.role(role)?.ports.iter().find_map(|ports| ports.public);
        Ok(format!(
            "http://127.0.0.1:{}",
            port.with_context(|| format!("{role} has no address for others"))?
        ))
    }

    /// As [`Stack::address`], of one role (`admin`) in a process that runs several (`all`).
    pub fn address_in(&self, process: &str, role: &str) -> Result<String> {
        let ports = self.role(process)?.ports.iter().find(|ports| ports.role == role);
        let port = ports.and_then(|ports| ports.public);
        Ok(format!(
            "http://127.0.0.1:{}",
            port.with_context(|| format!("{process} has no address for {role}"))?
        ))
    }

    /// The configuration file of a role, as for `ccm token --config FILE`.
    pub fn config_file(&self, role: &str) -> Result<&Path> {
        Ok(&self.role(role)?.config)
    }

    /// All that a role has logged, over its restarts.
    pub fn logs(&self, role: &str) -> Result<String> {
        let log = &self.role(role)?.log;
        let bytes = fs::read(log).with_context(|| format!("reading {}", log.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// What a role's `/metrics` say now.
    pub async fn metrics(&self, role: &str) -> Result<String> {
        let role = self.role(role)?;
        let mut all = String::new();
        for port in role.ports.iter().map(|ports| ports.ops) {
            let (status, body) = http::get(port, "/metrics").await?;
            if status != 200 {
                bail!("GET http://127.0.0.1:{port}/metrics: status {status}");
            }
            all.push_str(&body);
        }
        Ok(all)
    }

    /// Whether a role says now that it is ready.
    pub async fn is_ready(&self, role: &str) -> Result<bool> {
        Ok(self.role(role)?.is_ready().await)
    }

    /// The operating system's id of a role's process, while it runs.
    pub fn pid(&self, role: &str) -> Result<Option<u32>> {
        Ok(self.role(role)?.process.as_ref().map(Process::pid))
    }

    /// Kills a role at once (SIGKILL).
    pub fn kill9(&mut self, role: &str) -> Result<()> {
        if let Some(mut process) = self.role_mut(role)?.process.take() {
            process.signal("KILL")?;
            process.wait(END_LIMIT)?;
        }
        Ok(())
    }

    /// Asks a role to end, as a deploy does, and does not wait: [`Stack::wait`] does.
    pub fn sigterm(&mut self, role: &str) -> Result<()> {
        match &mut self.role_mut(role)?.process {
            Some(process) => process.signal("TERM"),
            None => bail!("{role} does not run"),
        }
    }

    /// Waits until a role's process has ended, at most `limit`, and says how it ended.
    pub async fn wait(&mut self, role: &str, limit: Duration) -> Result<ExitStatus> {
        let found = self.role_mut(role)?;
        let process = found
            .process
            .as_mut()
            .with_context(|| format!("{role} does not run"))?;
        let mut waited = Duration::ZERO;
        loop {
            if let Some(status) = process.ended()? {
                found.process = None;
                return Ok(status);
            }
            if waited >= limit {
                bail!("{role} still runs after {limit:?}\n{}", process.tail());
            }
            sleep(LOOK_AGAIN).await;
            waited += LOOK_AGAIN;
        }
    }

    /// Starts a role that has ended, on the same ports, and waits until it is ready.
    pub async fn start(&mut self, role: &str) -> Result<()> {
        self.role(role)?;
        let Self { launch, roles, .. } = self;
        let found = roles.get_mut(role).expect("looked up above");
        if found.process.is_none() {
            launch.spawn(role, found)?;
        }
        found.become_ready(role).await
    }

    /// Ends a role that runs (SIGTERM, as a deploy does), starts it again and waits until it is ready.
    pub async fn restart(&mut self, role: &str) -> Result<()> {
        if self.role(role)?.process.is_some() {
            self.sigterm(role)?;
            self.wait(role, END_LIMIT).await?;
        }
        self.start(role).await
    }

    /// Adds and starts one more process, such as `connector-2` beside `connector`.
    pub async fn add(&mut self, role: &str) -> Result<()> {
        let added = self.launch.role(role)?;
        if self.roles.contains_key(role) {
            bail!("{role} is there already");
        }
        self.roles.insert(role.to_owned(), added);
        self.start(role).await
    }

    /// What is added from now on runs this program, and [`Stack::migrate`] and [`Stack::admin_of`] do; what is there already stays with its own,
    /// and is started again with it.
    pub fn program(&mut self, ccm: impl Into<PathBuf>) {
        self.launch.ccm = ccm.into();
    }

    /// Runs `ccm migrate ARGUMENTS` to its end, however that is.
    pub async fn migrate(&self, arguments: &[&str]) -> Result<Output> {
        let mut migrate = self.launch.migrate()?;
        migrate.args(arguments);
        let run = spawn_blocking(move || migrate.stdin(Stdio::null()).output());
        run.await?.context("starting ccm migrate")
    }

    fn role(&self, name: &str) -> Result<&Role> {
        self.roles.get(name).with_context(|| self.unknown(name))
    }

    fn role_mut(&mut self, name: &str) -> Result<&mut Role> {
        let unknown = self.unknown(name);
        self.roles.get_mut(name).context(unknown)
    }

    fn unknown(&self, name: &str) -> String {
        let known: Vec<_> = self.roles().collect();
        format!("this stack has no role {name}, only {}", known.join(", "))
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        for role in self.roles.values_mut() {
            if let Some(mut process) = role.process.take() {
                process.end("KILL", END_LIMIT);
            }
            if std::thread::panicking() {
                eprintln!("{}", process::tail(&role.log));
            }
        }
        if std::thread::panicking() {
            eprintln!(
                "{}\n{}",
                process::tail(self.pg.log()),
                process::tail(&self.redis.log())
            );
        }
    }
}

impl Builder {
    /// Keeps data, configuration and logs in `dir`, and takes up what an earlier stack left there.
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// Which processes to start: sub-commands of `ccm` that serve, with a number behind them where there are several of
    /// a kind (`connector`, `connector-2`).
    pub fn roles(mut self, roles: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.roles = roles.into_iter().map(Into::into).collect();
        self
    }

    /// A variable for every process, such as `CCM__CONNECTOR__LEASE_MS`. `RUST_LOG` is passed through unasked.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Other options for Postgres than [`PgOptions::durable`].
    pub fn pg_options(mut self, options: PgOptions) -> Self {
        self.pg = options;
        self
    }

    /// Puts a fault proxy between the roles and Redis.
    pub fn proxied_redis(mut self) -> Self {
        self.proxied_redis = true;
        self
    }

    /// Providers post to a [`Service`] before all pods that run `ingest`, those that are added later too; without it to the first one.
    pub fn ingest_service(mut self) -> Self {
        self.ingest_service = true;
        self
    }

    /// Is told each step before it begins.
    pub fn progress(mut self, tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.progress = Arc::new(tell);
        self
    }

    /// Starts Postgres and Redis, migrates, starts every role and waits until all are ready.
    pub async fn start(self) -> Result<Stack> {
        let tell = self.progress.clone();
        let mut stack = self.launch().await?;
        tell(&format!(
            "starting {}",
            stack.roles().collect::<Vec<_>>().join(", ")
        ));
        let Stack { launch, roles, .. } = &mut stack;
        for (name, role) in roles.iter_mut() {
            launch.spawn(name, role)?;
        }
        for (name, role) in roles.iter_mut() {
            role.become_ready(name).await?;
        }
        Ok(stack)
    }

    /// Everything but the roles' processes.
    async fn launch(self) -> Result<Stack> {
        let temporary = if self.dir.is_none() {
            Some(TempFolder::new()?)
        } else {
            None
        };
        let dir = self
            .dir
            .or_else(|| Some(temporary.as_ref()?.path().to_owned()))
            .expect("one or the other");
        if !process::is_program(&self.ccm) {
            bail!(
                "there is no program {}; build it with `cargo build --workspace --bins`",
                self.ccm.display()
            );
        }
        let (tell, folder, options) = (self.progress.clone(), dir.clone(), self.pg);
        let servers = spawn_blocking(move || {
            fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
            tell("starting a private Postgres");
            let pg = PgServer::start_private(folder.join("pg"), options)?;
            let urls = provision::provision(&pg, DATABASE)?;
            tell("starting a private Redis");
            let redis = RedisServer::start_private(folder.join("redis"))?;
            anyhow::Ok((pg, redis, urls))
        });
        let (pg, redis, urls) = servers.await??;
        let redis_addr = SocketAddr::from((Ipv4Addr::LOCALHOST, redis.port()));
        let redis_proxy = if self.proxied_redis {
            Some(Proxy::start(redis_addr).await?)
        } else {
            None
        };
        let redis_addr = redis_proxy.as_ref().map_or(redis_addr, Proxy::addr);
        let service = match self.ingest_service {
            true => Some(Service::start().await?),
            false => None,
        };
        let launch = Launch {
            ccm: self.ccm,
            shared: Shared {
                urls,
                redis_url: format!("redis://{redis_addr}"),
                master_key_file: config::key_file(dir.join("master.key"))?,
                jwt_secret_file: config::key_file(dir.join("jwt.secret"))?,
                ingest_port: service.as_ref().map_or_else(free_port, |s| s.addr().port()),
            },
            service,
            env: self.env,
            dir,
        };
        (self.progress)("migrating the database");
        let mut migrate = launch.migrate()?;
        spawn_blocking(move || process::run("ccm migrate", &mut migrate)).await??;
        let named = |name: &String| Ok((name.clone(), launch.role(name)?));
        let roles = self.roles.iter().map(named).collect::<Result<_>>()?;
        Ok(Stack {
            launch,
            roles,
            redis_proxy,
            redis,
            pg,
            _temporary: temporary,
        })
    }
}
