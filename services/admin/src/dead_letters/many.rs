//! Many dead letters at once.

use super::{Kind, replay};
use crate::{
    Deps,
    answer::{Always, Failure, InTenant, Taking},
    path::TenantPath,
    schema,
    valid::Refused,
};
use axum::extract::State;
use ccm_db::{DbError, DeadLetterFilter, Mend, TenantDb};
use ccm_web::{Json, TenantScope, may};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::time::Instant;
use utoipa::ToSchema;
use uuid::Uuid;

/// So many are dealt with by one request at the most.
const MOST: usize = 500;

/// A request about many stops here, well before it would be dropped, and says where to go on.
const LONGEST: Duration = Duration::from_secs(20);

/// Which dead letters are meant: either `ids`, or all open ones of a `code` or a `kind`, the oldest first.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"kind": "mt", "code": "30001", "before": "2026-11-27T10:00:00Z", "limit": 500}))]
pub struct ManyLetters {
    /// At most 500.
    #[serde(default)]
    #[schema(max_items = 500)]
    ids: Option<Vec<Uuid>>,
    #[serde(default)]
    #[schema(schema_with = schema::dead_letter_kind, required = false)]
    kind: Option<Kind>,
    /// Only those with exactly this code.
    #[serde(default)]
    code: Option<String>,
    /// Only those that became one before this time.
    #[serde(default, with = "crate::moment::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    before: Option<OffsetDateTime>,
    /// The `next_after` of the answer before.
    #[serde(default)]
    after: Option<Uuid>,
    /// How many at most.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 500, default = 500)]
    limit: Option<usize>,
}

impl ManyLetters {
    /// How many at most.
    fn check(&self) -> Result<usize, Refused> {
        if self.ids.as_ref().is_some_and(|ids| ids.len() > MOST) {
            return Err(Refused::new(
                "ids",
                "are more than 500",
                "send them in several requests",
            ));
        }
        if self.code.as_ref().is_some_and(|code| code.contains('\0')) {
            return Err(Refused::new(
                "code",
                "holds the character U+0000, which no code has",
                "leave the character out",
            ));
        }
        let filtered = self.kind.is_some() || self.code.is_some();
        if self.ids.is_some()
            && (filtered || self.before.is_some() || self.after.is_some() || self.limit.is_some())
        {
            return Err(Refused::new(
                "ids",
                "stand beside other conditions",
                "give either ids, or a code or kind with the rest",
            ));
        }
        if self.ids.is_none() && !filtered {
            return Err(Refused::new(
                "code",
                "is missing, and so are kind and ids",
                "say which: everything at once is seldom meant",
            ));
        }
        match self.limit.unwrap_or(MOST) {
            limit @ 1..=MOST => Ok(limit),
            _ => Err(Refused::new(
                "limit",
                "is not from 1 to 500",
                "leave it out for 500",
            )),
        }
    }

    /// Those that are meant, and whether there are more.
    async fn choose(self, db: &TenantDb<'_>, limit: usize) -> Result<(Vec<Uuid>, bool), DbError> {
        // Ids are in the order of the texts.
        if let Some(mut ids) = self.ids {
            ids.sort_unstable();
            ids.dedup();
            return Ok((ids, false));
        }
        let filter = DeadLetterFilter {
            resolved_too: false,
            kind: self.kind.map(Kind::as_str),
            code: self.code.as_deref(),
            before: self.before,
        };
        let mut ids = db.open_dead_letters(filter, self.after, limit as i64 + 1).await?;
        let rest = ids.len() > limit;
        ids.truncate(limit);
        Ok((ids, rest))
    }
}

/// What became of many that were discarded.
#[derive(Debug, Serialize, ToSchema)]
pub struct DiscardedLetters {
    /// So many were discarded; those that somebody else has dealt with are not among them.
    #[schema(minimum = 0)]
    discarded: usize,
    /// To be given back as `after` for the rest; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_after: Option<Uuid>,
}

/// What became of many.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReplayedLetters {
    /// So many go their way again.
    #[schema(minimum = 0)]
    replayed: usize,
    /// Those that do not.
    failed: Vec<FailedLetter>,
    /// To be given back as `after` for the rest; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_after: Option<Uuid>,
}

/// A dead letter that was not replayed.
#[derive(Debug, Serialize, ToSchema)]
pub struct FailedLetter {
    id: Uuid,
    #[schema(schema_with = schema::replay_failure)]
    reason: &'static str,
}

/// Replay many dead letters
///
/// In the order in which they were written, each by itself: what cannot go is told with its reason, and does not keep the others
/// from going. For the roles platform-admin and engineer; tenant-admin in their own tenant.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/dead-letters/replay", tag = "dead-letters",
    params(TenantPath),
    responses((status = 200, description = "How many went, and which did not.", body = ReplayedLetters),
        Always, InTenant, Taking))]
pub async fn replay_dead_letters(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Json(many): Json<ManyLetters>,
) -> Result<Json<ReplayedLetters>, Failure> {
    let limit = many.check()?;
    let db = deps.tenant(&scope).await?;
    let (ids, mut rest) = many.choose(&db, limit).await?;
    let (began, mut last) = (Instant::now(), None);
    let mut answer = ReplayedLetters {
        replayed: 0,
        failed: Vec::new(),
        next_after: None,
    };
    for id in ids {
        if began.elapsed() > LONGEST {
            rest = true;
            break;
        }
        match replay(&deps, &db, scope.tenant, id, Mend::default(), &scope.bearer.sub).await? {
            Ok(_) => answer.replayed += 1,
            Err(not) => answer.failed.push(FailedLetter {
                id,
                reason: not.reason(),
            }),
        }
        last = Some(id);
    }
    answer.next_after = last.filter(|_| rest);
    Ok(Json(answer))
}

/// Discard many dead letters
///
/// Nothing more is to be done about them: after a restore of the database, that these texts had been sent. For the roles platform-admin
/// and engineer; tenant-admin in their own tenant.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/dead-letters/discard", tag = "dead-letters",
    params(TenantPath),
    responses((status = 200, description = "How many were discarded.", body = DiscardedLetters), Always, InTenant, Taking))]
pub async fn discard_dead_letters(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Json(many): Json<ManyLetters>,
) -> Result<Json<DiscardedLetters>, Failure> {
    let limit = many.check()?;
    let (db, by) = (deps.tenant(&scope).await?, &scope.bearer.sub);
    let (ids, mut rest) = many.choose(&db, limit).await?;
    let (began, mut last, mut discarded) = (Instant::now(), None, 0);
    for id in ids {
        if began.elapsed() > LONGEST {
            rest = true;
            break;
        }
        match db.discard_dead_letter(id, by, deps.ids.clock().now()).await {
            Ok(true) => {
                deps.dealt_with(scope.tenant, "dead letter", id, "discarded", by);
                discarded += 1;
            }
            Ok(false) | Err(DbError::NotFound(_)) => {}
            Err(error) => return Err(error.into()),
        }
        last = Some(id);
    }
    Ok(Json(DiscardedLetters {
        discarded,
        next_after: last.filter(|_| rest),
    }))
}
