//! The lives of the database: one begins when it comes back from a backup, or a replica is promoted (ADR 27).

use crate::{DbError, MOST_WAITING, Operator, storable::storable};
use sqlx::{Row, postgres::PgRow};
use time::OffsetDateTime;
use uuid::Uuid;

/// The code of a text of which nobody knows, since a restore, whether it was sent.
pub const RESTORED: &str = "ccm:restored";

/// How it is known that a life began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// The database was made.
    First,
    /// The server's timeline or identifier was another one.
    Noticed,
    /// Somebody said so.
    Told,
}

impl Beginning {
    pub const ALL: [Self; 3] = [Self::First, Self::Noticed, Self::Told];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Noticed => "noticed",
            Self::Told => "told",
        }
    }

    fn parse(name: &str) -> Result<Self, DbError> {
        let of_name = |how: &Self| how.as_str() == name;
        Self::ALL
            .into_iter()
            .find(of_name)
            .ok_or_else(|| DbError::Corrupt(format!("database_life.how: {name}")))
    }
}

/// A life of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LifeRow {
    pub id: Uuid,
    pub how: Beginning,
    pub timeline: i32,
    /// What is older is from before.
    pub began_at: OffsetDateTime,
    /// The last that is known of the life before.
    pub known_until: Option<OffsetDateTime>,
    /// `None`: it is open, and who says nothing is not texted first.
    pub settled_at: Option<OffsetDateTime>,
    pub said_by: Option<String>,
    pub reason: Option<String>,
}

impl LifeRow {
    pub fn is_open(&self) -> bool {
        self.settled_at.is_none()
    }
}

/// What is left to be seen to of a life's beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LifeLeft {
    /// Texts from before that wait for a provider, [`MOST_WAITING`] at most.
    pub waiting: i64,
    /// Texts of which nobody knows whether they were sent, until somebody replays or discards them; [`MOST_WAITING`] at most.
    pub in_doubt: i64,
    /// Whether this server says by itself that it has been restored.
    pub server_tells: bool,
}

/// What somebody says of a restore.
#[derive(Debug, Clone)]
pub struct ToldLife<'a> {
    pub id: Uuid,
    pub by: &'a str,
    pub reason: &'a str,
    pub known_until: Option<OffsetDateTime>,
}

macro_rules! life {
    ($rest:literal) => {
        concat!(
            "SELECT id, how, timeline, began_at, known_until, settled_at, said_by, reason FROM database_life ",
            $rest
        )
    };
}

/// `known_until` is the last sign of life of any process: to be asked before this life's processes write themselves down.
const NOTICE: &str = "
WITH server AS MATERIALIZED (SELECT server_identifier() AS identifier, server_timeline() AS timeline),
current AS (SELECT system_identifier, timeline FROM database_life ORDER BY began_at DESC LIMIT 1)
INSERT INTO database_life (id, how, system_identifier, timeline, began_at, known_until, state, settled_at)
SELECT uuid_v7(clock_timestamp()), 'noticed', server.identifier, server.timeline, clock_timestamp(), (SELECT max(seen_at) FROM process),
       CASE WHEN $1 THEN 'settled' ELSE 'open' END, CASE WHEN $1 THEN clock_timestamp() END
FROM server, current WHERE (server.identifier, server.timeline) IS DISTINCT FROM (current.system_identifier, current.timeline)
ON CONFLICT (system_identifier, timeline) WHERE how <> 'told' DO NOTHING
RETURNING id, how, timeline, began_at, known_until, settled_at, said_by, reason";

/// More than any process of the life before can have got to.
const EPOCHS: &str = "UPDATE lease SET epoch = epoch + 1000000";

fn life(row: &PgRow) -> Result<LifeRow, DbError> {
    Ok(LifeRow {
        id: row.try_get("id")?,
        how: Beginning::parse(row.try_get("how")?)?,
        timeline: row.try_get("timeline")?,
        began_at: row.try_get("began_at")?,
        known_until: row.try_get("known_until")?,
        settled_at: row.try_get("settled_at")?,
        said_by: row.try_get("said_by")?,
        reason: row.try_get("reason")?,
    })
}

impl Operator<'_> {
    /// Writes down that a life has begun, if one has; who owns tenants then finds that the ownership is another one. One of those
    /// who ask at once gets the new life. `nothing_lost`: the standby that was promoted had every commit.
    pub async fn notice_life(&self, nothing_lost: bool) -> Result<Option<LifeRow>, DbError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(NOTICE)
            .bind(nothing_lost)
            .fetch_optional(&mut *tx)
            .await?;
        let Some(row) = row else { return Ok(None) };
        if !nothing_lost {
            sqlx::query(EPOCHS).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        life(&row).map(Some)
    }

    /// Writes down that the database was restored, on somebody's word. Can be called again with the same id: then it is there already.
    pub async fn tell_life(&self, told: &ToldLife<'_>) -> Result<LifeRow, DbError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(
            "INSERT INTO database_life (id, how, system_identifier, timeline, began_at, known_until, state, said_by, reason)
             SELECT $1, 'told', server_identifier(), server_timeline(), clock_timestamp(),
                    coalesce($4, (SELECT max(seen_at) FROM process WHERE seen_at < now() - interval '1 minute')), 'open', $2, $3
             RETURNING id, how, timeline, began_at, known_until, settled_at, said_by, reason",
        )
        .bind(told.id)
        .bind(storable(told.by))
        .bind(storable(told.reason))
        .bind(told.known_until)
        .fetch_one(&mut *tx)
        .await?;
        sqlx::query(EPOCHS).execute(&mut *tx).await?;
        tx.commit().await?;
        life(&row)
    }

    /// Says that opt-outs are there again: texts go to everybody. `None`: somebody has said so already.
    pub async fn settle_life(&self, id: Uuid, by: &str, reason: &str) -> Result<Option<LifeRow>, DbError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(
            "UPDATE database_life SET state = 'settled', settled_at = clock_timestamp(), said_by = $2, reason = $3
             WHERE id = $1 AND state = 'open'
             RETURNING id, how, timeline, began_at, known_until, settled_at, said_by, reason",
        )
        .bind(id)
        .bind(storable(by))
        .bind(storable(reason))
        .fetch_optional(&mut *tx)
        .await?;
        if row.is_none() {
            sqlx::query(life!("WHERE id = $1"))
                .bind(id)
                .fetch_optional(&mut *tx)
                .await?
                .ok_or(DbError::NotFound("life"))?;
        }
        tx.commit().await?;
        row.as_ref().map(life).transpose()
    }

    /// The lives that began before one, the newest first, `limit` at most.
    pub async fn lives(&self, before: Option<Uuid>, limit: i64) -> Result<Vec<LifeRow>, DbError> {
        let rows = sqlx::query(life!(
            "WHERE $1::uuid IS NULL OR (began_at, id) < (SELECT began_at, id FROM database_life WHERE id = $1)
             ORDER BY began_at DESC, id DESC LIMIT $2"
        ))
        .bind(before)
        .bind(limit)
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(life).collect()
    }

    /// What is left to be seen to of the life's beginning.
    pub async fn left_of(&self, current: &LifeRow) -> Result<LifeLeft, DbError> {
        let row = sqlx::query(
            "SELECT (SELECT count(*) FROM (SELECT FROM outbox WHERE message_id < uuid_v7_floor($1) LIMIT $2) AS theirs) AS waiting,
                    (SELECT count(*) FROM (SELECT FROM dead_letter WHERE resolution IS NULL AND code = 'ccm:restored' LIMIT $2) AS theirs)
                      AS in_doubt,
                    server_identifier() <> 0 AS tells",
        )
        .bind(current.began_at.max(OffsetDateTime::UNIX_EPOCH))
        .bind(MOST_WAITING)
        .fetch_one(self.pool())
        .await?;
        Ok(LifeLeft {
            waiting: row.try_get("waiting")?,
            in_doubt: row.try_get("in_doubt")?,
            server_tells: row.try_get("tells")?,
        })
    }
}
