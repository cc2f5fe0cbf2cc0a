use crate::DbError;
use secrecy::{ExposeSecret, SecretString};
use sqlx::{
    AssertSqlSafe, Connection, Executor, PgConnection, Row,
    migrate::{MigrateError, Migrator},
};
use std::time::Duration;

const MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");

/// Months of message partitions that a run makes ahead, counted from the month before this one.
const MONTHS: i32 = 14;

/// Held by the one that migrates, in a session of the database that it migrates. Any number will do; it must stay.
const LOCK: i64 = 0x63636d_6d696772;
/// How often those who wait for it look again.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Brings the schema up to date as its owner, and makes the message partitions of the next year. Can be run again and
/// by several at once: the others wait. Returns how many partitions were made.
pub async fn migrate(owner_url: &SecretString) -> Result<i32, DbError> {
    let mut connection = PgConnection::connect(owner_url.expose_secret()).await?;
    lock(&mut connection).await?;
    let mut migrations = MIGRATIONS;
    migrations
        .set_locking(false)
        // A newer program has been here. Its schema carries this one too, so that a deploy can be rolled back.
        .set_ignore_missing(true);
    // Not `run`: its future cannot be spawned (the compiler finds `Acquire` not general enough).
    migrations
        .run_direct(None, &mut connection, false)
        .await
        .map_err(classify)?;
    // Services read which version stands, to wait for a migration that is under way.
    sqlx::query("GRANT SELECT ON _sqlx_migrations TO ccm_app")
        .execute(&mut connection)
        .await?;
    let made = sqlx::query_scalar("SELECT ensure_message_partitions((now() - interval '1 month')::date, $1)")
        .bind(MONTHS)
        .fetch_one(&mut connection)
        .await?;
    index_months(&mut connection).await?;
    // Ends the session, and with it the lock.
    connection.close().await?;
    Ok(made)
}

/// Months that have no part of the index `message_words` yet, and whether theirs was made and is whole: whoever made it may have been
/// killed in between.
const WITHOUT_WORDS: &str = "
SELECT c.relname::text, (SELECT x.indisvalid FROM pg_index x WHERE x.indexrelid = to_regclass(c.relname || '_words'))
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'message'::regclass AND NOT EXISTS (
  SELECT FROM pg_index x JOIN pg_inherits a ON a.inhrelid = x.indexrelid
  WHERE x.indrelid = i.inhrelid AND a.inhparent = 'message_words'::regclass)
ORDER BY 1";

/// Makes the index of words for months from before it, one after the other, while texts go on. New months bring theirs.
async fn index_months(connection: &mut PgConnection) -> Result<(), DbError> {
    for row in connection.fetch_all(WITHOUT_WORDS).await? {
        let (month, whole): (String, Option<bool>) = (row.try_get(0)?, row.try_get(1)?);
        let mut statements = Vec::new();
        if whole == Some(false) {
            statements.push(format!("DROP INDEX CONCURRENTLY {month}_words"));
        }
        if whole != Some(true) {
            statements.push(format!(
                "CREATE INDEX CONCURRENTLY {month}_words ON {month} USING gin (message_words(tenant_id, body))"
            ));
        }
        // Nobody waits longer behind this one.
        statements.push("SET lock_timeout = '2s'".to_owned());
        statements.push(format!(
            "ALTER INDEX message_words ATTACH PARTITION {month}_words"
        ));
        statements.push("RESET lock_timeout".to_owned());
        for statement in statements {
            connection.execute(AssertSqlSafe(statement)).await?;
        }
    }
    Ok(())
}

/// Waits for [`LOCK`] by asking again: a statement that waits keeps a snapshot open all the time, and the
/// `CREATE INDEX CONCURRENTLY` of whoever holds the lock would wait for that in turn.
pub(crate) async fn lock(connection: &mut PgConnection) -> Result<(), DbError> {
    loop {
        let ours: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
            .bind(LOCK)
            .fetch_one(&mut *connection)
            .await?;
        if ours {
            return Ok(());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// A migration that is to be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingMigration {
    pub version: i64,
    pub description: String,
}

/// What [`migrate`] would apply, in its order. Nothing is changed, and nobody is waited for.
pub async fn pending_migrations(owner_url: &SecretString) -> Result<Vec<PendingMigration>, DbError> {
    let mut connection = PgConnection::connect(owner_url.expose_secret()).await?;
    let there: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
        .fetch_one(&mut connection)
        .await?;
    let applied: Vec<i64> = match there {
        true => {
            sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success")
                .fetch_all(&mut connection)
                .await?
        }
        false => Vec::new(),
    };
    connection.close().await?;
    let pending = MIGRATIONS.iter().filter(|m| !applied.contains(&m.version));
    Ok(pending
        .map(|m| PendingMigration {
            version: m.version,
            description: m.description.to_string(),
        })
        .collect())
}

fn classify(error: MigrateError) -> DbError {
    match error {
        MigrateError::Execute(e) | MigrateError::ExecuteMigration(e, _) if crate::error::is_transient(&e) => {
            DbError::Unavailable(e)
        }
        e => DbError::Other(sqlx::Error::Migrate(Box::new(e))),
    }
}

/// Whether the schema has every migration that this program knows. A role that starts earlier is not ready.
pub async fn check_migrated(db: &crate::Db) -> Result<bool, DbError> {
    let known = MIGRATIONS.iter().map(|m| m.version).max();
    // The first migration's run may have made the table and not granted it yet.
    let readable: Option<bool> =
        sqlx::query_scalar("SELECT has_table_privilege(to_regclass('_sqlx_migrations'), 'SELECT')")
            .fetch_one(db.app_pool())
            .await?;
    if readable != Some(true) {
        return Ok(false);
    }
    let applied: Option<i64> = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations WHERE success")
        .fetch_one(db.app_pool())
        .await?;
    Ok(applied >= known)
}
