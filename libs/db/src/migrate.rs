use crate::DbError;
use secrecy::{ExposeSecret, SecretString};
use sqlx::{Connection, PgConnection};

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations");

/// Months of message partitions that a run makes ahead, counted from the month before this one.
const MONTHS: i32 = 14;

/// Brings the schema up to date as its owner, and makes the message partitions of the next year. Can be run again and
/// by several at once. Returns how many partitions were made.
pub async fn migrate(owner_url: &SecretString) -> Result<i32, DbError> {
    let mut connection = PgConnection::connect(owner_url.expose_secret()).await?;
    MIGRATIONS
        .run(&mut connection)
        .await
        .map_err(|e| DbError::Other(sqlx::Error::Migrate(Box::new(e))))?;
    // Services read which version stands, to wait for a migration that is under way.
    sqlx::query("GRANT SELECT ON _sqlx_migrations TO ccm_app")
        .execute(&mut connection)
        .await?;
    let made = sqlx::query_scalar("SELECT ensure_message_partitions((now() - interval '1 month')::date, $1)")
        .bind(MONTHS)
        .fetch_one(&mut connection)
        .await?;
    connection.close().await?;
    Ok(made)
}

/// Whether the schema has every migration that this program knows. A role that starts earlier is not ready.
pub async fn check_migrated(db: &crate::Db) -> Result<bool, DbError> {
    let known = MIGRATIONS.iter().map(|m| m.version).max().unwrap_or_default();
    let there: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
        .fetch_one(db.app_pool())
        .await?;
    if !there {
        return Ok(false);
    }
    let applied: Option<i64> = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations WHERE success")
        .fetch_one(db.app_pool())
        .await?;
    Ok(applied >= Some(known))
}
