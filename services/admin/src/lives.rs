//! The lives of the platform's database: one begins when it is restored from a backup, or a replica is promoted (ADR 27).

use crate::{
    Deps,
    answer::{Always, Failure, InTenant, Made, Taking},
    path::LifePath,
    schema::one_of,
    valid::{self, Refused},
};
use axum::extract::State;
use ccm_db::{Beginning, LifeLeft, LifeRow, ToldLife};
use ccm_web::{Json, Page, PageQuery, Path, Platform, Problem, Query, may};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{ToSchema, openapi::schema::Object};
use uuid::Uuid;

/// A life of the database.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DatabaseLife)]
pub struct Life {
    id: Uuid,
    #[schema(schema_with = how)]
    how: &'static str,
    /// Postgres' timeline: higher after each restore and promotion.
    #[schema(minimum = 1, example = 2)]
    timeline: i32,
    /// What is older is from before. 1970 of the first life.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    began_at: OffsetDateTime,
    /// The last that this life knows of the one before; `null`: not known.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    known_until: Option<OffsetDateTime>,
    /// `open`: who says nothing is not texted first, since opt-outs of before may be missing.
    #[schema(schema_with = state)]
    state: &'static str,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    settled_at: Option<OffsetDateTime>,
    /// Who said the last that was said of it.
    #[schema(required, example = "mary")]
    said_by: Option<String>,
    #[schema(required, example = "restored after the fire, ticket 4711")]
    reason: Option<String>,
}

fn how() -> Object {
    one_of(
        "`first`: the database was made. `noticed`: the server's timeline or identifier was another one. `told`: somebody said so.",
        Beginning::ALL.into_iter().map(Beginning::as_str),
    )
}

fn state() -> Object {
    one_of(
        "Whether opt-outs are there again.",
        ["open", "settled"].into_iter(),
    )
}

impl From<LifeRow> for Life {
    fn from(row: LifeRow) -> Self {
        Self {
            id: row.id,
            how: row.how.as_str(),
            timeline: row.timeline,
            began_at: row.began_at,
            known_until: row.known_until,
            state: if row.is_open() { "open" } else { "settled" },
            settled_at: row.settled_at,
            said_by: row.said_by,
            reason: row.reason,
        }
    }
}

/// The life that the database is in, and what is left to be seen to of its beginning.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CurrentDatabaseLife)]
pub struct CurrentLife {
    #[serde(flatten)]
    life: Life,
    /// Texts from before that wait for a provider: 10,000 at most are counted.
    #[schema(minimum = 0, example = 0)]
    waiting: i64,
    /// Texts of which nobody knows whether they were sent: dead letters with the code `ccm:restored`, of all tenants, that nobody has
    /// replayed or discarded. 10,000 at most are counted.
    #[schema(minimum = 0, example = 0)]
    in_doubt: i64,
    /// Whether the database's server says by itself that it has been restored; else it must be told.
    server_tells: bool,
}

impl CurrentLife {
    pub fn new(row: LifeRow, left: LifeLeft) -> Self {
        Self {
            life: row.into(),
            waiting: left.waiting,
            in_doubt: left.in_doubt,
            server_tells: left.server_tells,
        }
    }
}

/// That the database was restored.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "a disk snapshot was started, ticket 4711", "known_until": "2026-11-30T11:55:00Z"}))]
pub struct ToldRestore {
    /// Why it is said, for the audit: 1 to 500 characters on one line.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
    /// The last moment that the backup knows. Left out: the last sign of life of a process, as the database has it.
    #[serde(default, with = "crate::moment::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    known_until: Option<OffsetDateTime>,
}

/// That what was forgotten is there again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "opt-outs are brought back from Twilio's log"}))]
pub struct SettledLife {
    /// How that is known, for the audit: 1 to 500 characters on one line.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

/// List the lives of the platform's database, the newest first
///
/// One begins when it is made, and whenever it comes back from a backup or a replica is promoted. For the roles platform-admin, engineer
/// and support.
#[utoipa::path(get, path = "/v1/platform/lives", tag = "overview", params(PageQuery),
    responses((status = 200, description = "One page.", body = Page<Life>), Always))]
pub async fn list_lives(
    State(deps): State<Deps>,
    _: Platform<may::ListTenants>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Life>>, Failure> {
    let limit = page.limit()?;
    let rows = deps
        .db
        .operator()
        .lives(page.position()?, limit as i64 + 1)
        .await?;
    let items = rows.into_iter().map(Life::from).collect();
    Ok(Json(Page::cut(items, limit, |life: &Life| life.id)))
}

/// Say that the platform's database was restored
///
/// A restore with archive recovery and a promotion are noticed, and need not be told. What may have been sent before is then asked about
/// before it is sent again, all chats are opened anew, and who says nothing is not texted until the life is settled. For the role
/// platform-admin.
#[utoipa::path(post, path = "/v1/platform/lives", tag = "overview",
    responses((status = 201, description = "Written down.", body = Life), Always, Taking))]
pub async fn tell_life(
    State(deps): State<Deps>,
    by: Platform<may::DeclareRestores>,
    Json(told): Json<ToldRestore>,
) -> Result<Made<Life>, Failure> {
    valid::reason("reason", &told.reason, 500)?;
    if told.known_until.is_some_and(|at| at > deps.ids.clock().now()) {
        return Err(Refused::new(
            "known_until",
            "is in the future",
            "give the last moment that the backup knows, or leave it out",
        )
        .into());
    }
    let life = ToldLife {
        id: deps.ids.next(),
        by: &by.bearer.sub,
        reason: &told.reason,
        known_until: told.known_until,
    };
    let life = deps.db.operator().by(&by.actor).tell_life(&life).await?;
    tracing::warn!(life.id = %life.id, actor = by.bearer.sub, "told that the database was restored");
    Ok(Made(life.into()))
}

/// Say that opt-outs of before a restore are there again
///
/// From then on texts go to everybody again. For the role platform-admin.
#[utoipa::path(post, path = "/v1/platform/lives/{life}/settle", tag = "overview", params(LifePath),
    responses((status = 200, description = "It is settled.", body = Life),
        (status = 409, description = "Somebody has said so already.", body = Problem, content_type = "application/problem+json"),
        Always, InTenant, Taking))]
pub async fn settle_life(
    State(deps): State<Deps>,
    by: Platform<may::DeclareRestores>,
    Path(path): Path<LifePath>,
    Json(settled): Json<SettledLife>,
) -> Result<Json<Life>, Failure> {
    valid::reason("reason", &settled.reason, 500)?;
    let operator = deps.db.operator().by(&by.actor);
    let life = operator
        .settle_life(path.life, &by.bearer.sub, &settled.reason)
        .await?
        .ok_or_else(|| {
            Problem::conflict("somebody has said so already")
                .remedy("GET /v1/platform/lives says who, and when: nothing is to be done")
        })?;
    tracing::info!(life.id = %life.id, actor = by.bearer.sub, "opt-outs are there again, as is said");
    Ok(Json(life.into()))
}
