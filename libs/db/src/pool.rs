use crate::{DbError, KeyRing};
use ccm_model::{Actor, TenantId};
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Postgres, Transaction};
use std::{str::FromStr, sync::Arc, time::Duration};

/// How to reach Postgres.
#[derive(Debug, Clone)]
pub struct DbConfig {
    /// As a member of `ccm_app`.
    pub app_url: SecretString,
    /// As a member of `ccm_system`.
    pub system_url: SecretString,
    /// Connections of the app role, 1 or more.
    pub app_pool: u32,
    /// Connections of the system role, 1 or more.
    pub system_pool: u32,
}

/// The database, as services see it. Cheap to clone.
#[derive(Clone)]
pub struct Db {
    app: PgPool,
    system: PgPool,
    pub(crate) keys: Arc<KeyRing>,
}

/// One tenant's rows.
#[derive(Clone, Copy)]
pub struct TenantDb<'a> {
    pub(crate) db: &'a Db,
    pub(crate) tenant: TenantId,
    actor: Option<&'a Actor>,
}

/// What is not one tenant's: see the crate's documentation.
#[derive(Clone, Copy)]
pub struct Operator<'a> {
    pub(crate) db: &'a Db,
    actor: Option<&'a Actor>,
}

/// Tells a transaction who works in it. Hex, so that nothing in it can end the literal.
pub(crate) fn acting(actor: Option<&Actor>) -> String {
    let Some(actor) = actor else {
        return String::new();
    };
    let json = serde_json::to_vec(actor).unwrap_or_default();
    let hex: String = json.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("; SET LOCAL app.actor = '{hex}'")
}

fn options(url: &SecretString, what: &str) -> Result<PgConnectOptions, DbError> {
    Ok(PgConnectOptions::from_str(url.expose_secret())?
        .application_name(what)
        .options([
            // A pod that is paused in the middle of a transaction must not hold a row for ever.
            ("idle_in_transaction_session_timeout", "10s"),
            ("statement_timeout", "30s"),
            ("lock_timeout", "5s"),
        ]))
}

fn pool(size: u32) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(Duration::from_secs(5))
        .test_before_acquire(false)
}

impl Db {
    /// Prepares both pools without connecting: a service starts, and says that it is not ready, while Postgres is away.
    pub fn open(config: &DbConfig, keys: KeyRing) -> Result<Self, DbError> {
        let app = pool(config.app_pool).connect_lazy_with(options(&config.app_url, "ccm")?);
        let system = pool(config.system_pool).connect_lazy_with(options(&config.system_url, "ccm-system")?);
        Ok(Self {
            app,
            system,
            keys: Arc::new(keys),
        })
    }

    /// A tenant's rows.
    pub fn tenant(&self, tenant: TenantId) -> TenantDb<'_> {
        TenantDb {
            db: self,
            tenant,
            actor: None,
        }
    }

    /// The loud exception: rows of no tenant or of all. Every use is named in the crate's documentation.
    pub fn operator(&self) -> Operator<'_> {
        Operator {
            db: self,
            actor: None,
        }
    }

    /// Whether both roles can be served now.
    pub async fn ping(&self) -> Result<(), DbError> {
        sqlx::query("SELECT 1").execute(&self.app).await?;
        sqlx::query("SELECT 1").execute(&self.system).await?;
        Ok(())
    }

    pub(crate) fn app_pool(&self) -> &PgPool {
        &self.app
    }

    /// A transaction under several tenants at once.
    pub(crate) async fn begin(
        &self,
        tenants: impl IntoIterator<Item = TenantId>,
    ) -> Result<Transaction<'static, Postgres>, DbError> {
        self.begin_with(tenants, "").await
    }

    /// The same with further settings, each after a semicolon.
    pub(crate) async fn begin_with(
        &self,
        tenants: impl IntoIterator<Item = TenantId>,
        settings: &str,
    ) -> Result<Transaction<'static, Postgres>, DbError> {
        let tenants: Vec<String> = tenants.into_iter().map(|t| t.to_string()).collect();
        // Local to the transaction: a session-level setting would leak to the pool's next user. One round trip with BEGIN.
        let begin = format!(
            "BEGIN; SET LOCAL app.tenant_ids = '{}'{settings}",
            tenants.join(",")
        );
        Ok(self.app.begin_with(AssertSqlSafe(begin)).await?)
    }

    /// A transaction of the system role with settings, each after a semicolon.
    pub(crate) async fn begin_system(
        &self,
        settings: &str,
    ) -> Result<Transaction<'static, Postgres>, DbError> {
        let begin = format!("BEGIN{settings}");
        Ok(self.system.begin_with(AssertSqlSafe(begin)).await?)
    }
}

impl<'a> TenantDb<'a> {
    /// The same rows, to be changed by somebody: the audit names them.
    pub fn by(self, actor: &'a Actor) -> Self {
        Self {
            actor: Some(actor),
            ..self
        }
    }
}

impl TenantDb<'_> {
    /// The tenant whose rows these are.
    pub fn id(&self) -> TenantId {
        self.tenant
    }

    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Postgres>, DbError> {
        let settings = acting(self.actor);
        self.db.begin_with([self.tenant], &settings).await
    }

    /// As [`Self::begin`], for statements that every text comes by. Those that touch `message` would be planned anew each time,
    /// for longer than they run: a plan for all months looks dearer than one for the month in question. Those that a text comes by
    /// when nothing goes wrong stand in `tests/plans.rs`, where their generic plans are looked at.
    pub(crate) async fn begin_hot(&self) -> Result<Transaction<'static, Postgres>, DbError> {
        let settings = "; SET LOCAL plan_cache_mode = force_generic_plan";
        self.db.begin_with([self.tenant], settings).await
    }
}

impl<'a> Operator<'a> {
    /// As [`TenantDb::by`].
    pub fn by(self, actor: &'a Actor) -> Self {
        Self {
            actor: Some(actor),
            ..self
        }
    }
}

impl Operator<'_> {
    pub(crate) fn pool(&self) -> &PgPool {
        &self.db.system
    }

    /// A transaction that changes what is audited.
    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Postgres>, DbError> {
        let setting = acting(self.actor);
        self.db.begin_system(&setting).await
    }
}
