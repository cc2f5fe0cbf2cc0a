//! Numbers that go to another account, or to another tenant, from a moment on.

#![allow(
    unused_qualifications,
    reason = "utoipa's macro qualifies the types of paths and queries"
)]

use crate::{
    Deps,
    answer::{Always, Failure, Gone, InTenant, Making, Taking},
    path::{NumberMovePath, NumberPath},
    valid::Refused,
};
use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use ccm_auth::{Bearer, Permission};
use ccm_bus::Wake;
use ccm_db::{DbError, Destination, DueMove, Moved, NumberMoveRow, NumberRow, TenantDb};
use ccm_model::{AccountId, Actor, NumberId, SkillsetId, TenantId};
use ccm_web::{Json, Page, PageQuery, Path, Problem, Query, TenantScope, may};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::time::MissedTickBehavior;
use utoipa::ToSchema;
use uuid::Uuid;

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Of so many looks one is for numbers that were released.
const FINISH_EVERY: u64 = 30;
const AT_ONCE: i64 = 50;
const LATEST: time::Duration = time::Duration::days(366);
/// A clock may be a little slow.
const EARLIEST: time::Duration = time::Duration::minutes(-5);

/// Where a number is to go, and when.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "to_account_id": "019331f0-7a00-7000-8000-000000000003",
    "at": "2027-03-01T00:00:00Z",
    "dry_run": true
}))]
pub struct NewNumberMove {
    /// The account that has it from then on; of the other tenant where there is one.
    #[schema(value_type = Uuid)]
    to_account_id: AccountId,
    /// The tenant that has it from then on. Left out: its own. For platform-admin and engineer only.
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    to_tenant_id: Option<TenantId>,
    /// With `to_tenant_id`: the other tenant's skillset that answers it.
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    to_skillset_id: Option<SkillsetId>,
    /// From when on: a year ahead at most. Left out: now. In force within a second.
    #[serde(default, with = "crate::moment::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    at: Option<OffsetDateTime>,
    /// `true`: check it and say what would happen, and plan nothing.
    #[serde(default)]
    #[schema(required = false, default = false)]
    dry_run: bool,
}

/// A number's move, before or after its moment.
#[derive(Debug, Serialize, ToSchema)]
pub struct NumberMove {
    id: Uuid,
    #[schema(value_type = Uuid)]
    number_id: NumberId,
    /// Whether it goes to another tenant. Which one, and what is that tenant's, is `null` then for tenants' own roles.
    leaves: bool,
    #[schema(value_type = Option<Uuid>, required)]
    to_account_id: Option<AccountId>,
    /// `null`: it stays with its tenant.
    #[schema(value_type = Option<Uuid>, required)]
    to_tenant_id: Option<TenantId>,
    #[schema(value_type = Option<Uuid>, required)]
    to_skillset_id: Option<SkillsetId>,
    /// Its id in the other tenant, when it is there.
    #[schema(value_type = Option<Uuid>, required)]
    to_number_id: Option<NumberId>,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    at: OffsetDateTime,
    /// `pending`, `done`, `failed` (the number stays where it was) or `cancelled`.
    #[schema(example = "pending")]
    state: String,
    /// Why it failed.
    #[schema(required, example = "the account is gone")]
    problem: Option<String>,
    /// Whose token planned it.
    #[schema(example = "mary")]
    created_by: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
    /// When it was made, failed or was taken back; `null`: it is still to come.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    ended_at: Option<OffsetDateTime>,
}

/// What a move would do now.
#[derive(Debug, Serialize, ToSchema)]
pub struct NumberMovePlan {
    /// `move`.
    #[schema(example = "move")]
    would: &'static str,
    /// Conversations that would end, behind what waits for their agents. 0 for a move between accounts: they go on.
    #[schema(minimum = 0)]
    conversations_ended: i64,
}

impl NumberMove {
    fn read(row: NumberMoveRow, reader: &Bearer) -> Self {
        let leaves = row.to.tenant.is_some();
        let shown = !(leaves && reader.role.is_of_tenant());
        Self {
            id: row.id,
            number_id: row.number,
            leaves,
            to_account_id: shown.then_some(row.to.account),
            to_tenant_id: row.to.tenant.map(|(tenant, _)| tenant).filter(|_| shown),
            to_skillset_id: row.to.tenant.map(|(_, skillset)| skillset).filter(|_| shown),
            to_number_id: row.to_number.filter(|_| shown),
            at: row.at,
            state: row.state,
            problem: row.problem,
            created_by: row.created_by,
            created_at: row.created_at,
            ended_at: row.ended_at,
        }
    }
}

impl NewNumberMove {
    fn moment(&self, now: OffsetDateTime) -> Result<OffsetDateTime, Refused> {
        let at = self.at.unwrap_or(now);
        if (EARLIEST..=LATEST).contains(&(at - now)) {
            return Ok(at);
        }
        Err(Refused::new(
            "at",
            "has passed, or is more than a year ahead",
            "give a time to come, or leave it out for now",
        ))
    }

    /// Where it goes, if all that is there.
    async fn destination(
        &self,
        deps: &Deps,
        own: &TenantDb<'_>,
        number: &NumberRow,
    ) -> Result<Destination, Failure> {
        let tenant = match (self.to_tenant_id, self.to_skillset_id) {
            (None, None) => None,
            (None, Some(_)) => {
                let remedy = "leave it out: PATCH …/numbers/{number} changes the skillset";
                return Err(Refused::new("to_skillset_id", "is for another tenant only", remedy).into());
            }
            (Some(tenant), _) if tenant == own.id() => {
                let refused = Refused::new("to_tenant_id", "is the number's own tenant", "leave it out");
                return Err(refused.into());
            }
            (Some(_), None) => {
                let remedy = "name the skillset of the other tenant that answers it";
                return Err(Refused::new("to_skillset_id", "is missing", remedy).into());
            }
            (Some(tenant), Some(skillset)) => Some((tenant, skillset)),
        };
        let there = deps.db.tenant(tenant.map_or(own.id(), |(tenant, _)| tenant));
        let of = |found: Result<(), DbError>, field, what: &str, remedy| match found {
            Err(DbError::NotFound(_)) => Err(Failure::from(Refused::new(
                field,
                format!("is not the id of a {what} that the number could go to"),
                remedy,
            ))),
            found => found.map_err(Failure::from),
        };
        if let Some((_, skillset)) = tenant {
            let found = there.tenant().await.map(drop);
            of(found, "to_tenant_id", "tenant", "GET /v1/tenants lists them")?;
            let found = there.skillset(skillset).await.map(drop);
            of(
                found,
                "to_skillset_id",
                "skillset",
                "GET …/skillsets of that tenant lists them",
            )?;
        }
        let found = there.account(self.to_account_id).await.map(drop);
        of(
            found,
            "to_account_id",
            "provider account",
            "GET …/accounts lists them",
        )?;
        let mut taken = there.numbers().await?.into_iter();
        if taken.any(|one| one.account == self.to_account_id && one.address == number.address) {
            return Err(Problem::conflict("the account has this number already")
                .field("to_account_id")
                .remedy("name another account")
                .into());
        }
        Ok(Destination {
            tenant,
            account: self.to_account_id,
        })
    }
}

/// Move a number to another account or tenant, from a moment on
///
/// Before `at` all goes as before. Then: between accounts of a tenant, texts come and go through the new account, and conversations
/// go on. To another tenant, new texts are that tenant's; open conversations end as soon as their agents have read what waits for them,
/// and they and all before them stay with the tenant that had them. Tell the provider at the same time: a text that comes through the
/// old account is kept as a dead letter. One move of a number at a time. For the roles platform-admin and engineer; tenant-admin in
/// their own tenant, between its accounts.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/numbers/{number}/moves", tag = "numbers",
    params(NumberPath),
    responses((status = 201, description = "Planned.", body = NumberMove),
        (status = 200, description = "With `dry_run`: what would happen.", body = NumberMovePlan),
        Always, InTenant, Making, Taking))]
pub async fn create_number_move(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Path(path): Path<NumberPath>,
    Json(new): Json<NewNumberMove>,
) -> Result<Response, Failure> {
    if new.to_tenant_id.is_some() {
        let platform = scope.bearer.permit(Permission::CreateTenants);
        platform.map_err(|denied| Problem::forbidden(&denied))?;
    }
    let now = deps.ids.clock().now();
    let at = new.moment(now)?;
    let db = deps.tenant(&scope).await?;
    let number = db.number(path.number).await?;
    let to = new.destination(&deps, &db, &number).await?;
    if new.dry_run {
        let conversations_ended = match to.tenant {
            Some(_) => db.open_conversations(path.number).await?,
            None => 0,
        };
        let plan = NumberMovePlan {
            would: "move",
            conversations_ended,
        };
        return Ok(Json(plan).into_response());
    }
    let planned = ccm_db::NewNumberMove {
        id: deps.ids.next(),
        number: path.number,
        to,
        at,
        by: &scope.bearer.sub,
        now,
    };
    let row = match db.plan_number_move(planned).await {
        Err(DbError::Conflict { missing: false, .. }) => return Err(planned_already(&db, path.number).await?),
        planned => planned?,
    };
    deps.made(scope.tenant, "number move", row.id, &scope.bearer.sub);
    Ok((StatusCode::CREATED, Json(NumberMove::read(row, &scope.bearer))).into_response())
}

async fn planned_already(db: &TenantDb<'_>, number: NumberId) -> Result<Failure, DbError> {
    let moves = db.number_moves(number, None, 1).await?;
    let which = moves
        .first()
        .map(|one| format!(": {}", one.id))
        .unwrap_or_default();
    let problem = Problem::conflict(format!("a move of the number is planned already{which}"));
    Ok(problem.remedy("take that one back first").into())
}

/// List the moves of a number, the newest first
///
/// Those to come and those that were; also of a number that has left. For the roles platform-admin, engineer and support; tenant-admin
/// and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/numbers/{number}/moves", tag = "numbers",
    params(NumberPath, PageQuery),
    responses((status = 200, description = "One page.", body = Page<NumberMove>), Always, InTenant))]
pub async fn list_number_moves(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
    Path(path): Path<NumberPath>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<NumberMove>>, Failure> {
    let (limit, before) = (page.limit()?, page.position()?);
    let db = deps.tenant(&scope).await?;
    let rows = db.number_moves(path.number, before, limit as i64 + 1).await?;
    if rows.is_empty() {
        db.number(path.number).await?;
    }
    let read = |row| NumberMove::read(row, &scope.bearer);
    let items = rows.into_iter().map(read).collect();
    Ok(Json(Page::cut(items, limit, |one: &NumberMove| one.id)))
}

/// Take a planned move back
///
/// Only before its moment. For the roles platform-admin and engineer; tenant-admin in their own tenant.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/numbers/{number}/moves/{number_move}", tag = "numbers",
    params(NumberMovePath),
    responses((status = 204, description = "Taken back."), Always, InTenant,
        (status = 409, description = "It is made already, or has failed. Nothing was changed.",
            body = Problem, content_type = "application/problem+json")))]
pub async fn cancel_number_move(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Path(path): Path<NumberMovePath>,
) -> Result<Gone, Failure> {
    let db = deps.tenant(&scope).await?;
    let state = db
        .cancel_number_move(path.number, path.number_move, deps.ids.clock().now())
        .await?;
    if state != "cancelled" {
        return Err(Problem::conflict(format!("the move is {state} already"))
            .remedy("plan another move that takes the number back")
            .into());
    }
    deps.removed(scope.tenant, "number move", path.number_move, &scope.bearer.sub);
    Ok(Gone)
}

/// Makes moves when their moment has come, for ever. Several pods do: each move is made once.
pub(crate) async fn keep_moving(deps: Deps) {
    let mut times = tokio::time::interval(LOOK_EVERY);
    times.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looks = 0u64;
    loop {
        times.tick().await;
        if let Err(error) = make_due(&deps).await {
            tracing::warn!(%error, "numbers could not be moved; it is tried again");
        }
        if looks.is_multiple_of(FINISH_EVERY)
            && let Err(error) = finish(&deps).await
        {
            tracing::warn!(%error, "released numbers could not be finished; it is tried again");
        }
        looks += 1;
    }
}

async fn make_due(deps: &Deps) -> Result<(), DbError> {
    let now = deps.ids.clock().now();
    for due in deps.db.operator().due_number_moves(now, AT_ONCE).await? {
        match deps.db.make_number_move(due, &mover(due), now).await? {
            Moved::Done => tracing::info!(tenant.id = %due.tenant, move.id = %due.id, "a number was moved"),
            Moved::Failed(problem) => {
                tracing::error!(tenant.id = %due.tenant, move.id = %due.id, problem, "a number could not be moved; it stays where it is");
            }
            Moved::NotDue => continue,
        }
        for tenant in [Some(due.tenant), due.to_tenant].into_iter().flatten() {
            deps.bus.publish(Wake::TenantChanged { tenant });
        }
    }
    Ok(())
}

/// For the audit: whoever planned it stands with the move.
fn mover(due: DueMove) -> Actor {
    Actor {
        sub: format!("number move {}", due.id),
        role: "system",
        via: "timer",
        key: None,
        user: None,
        from: None,
        request: due.id,
    }
}

async fn finish(deps: &Deps) -> Result<(), DbError> {
    for (tenant, number) in deps.db.operator().released_numbers(AT_ONCE).await? {
        deps.db.tenant(tenant).finish_release(number).await?;
    }
    Ok(())
}
