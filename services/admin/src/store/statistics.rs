//! A tenant's figures by time, for charts.

#![allow(
    unused_qualifications,
    reason = "utoipa's macro qualifies the types of queries"
)]

use super::slots::busy;
use crate::{
    Deps,
    answer::{Always, Failure, InTenant},
    path::TenantPath,
    schema::one_of,
};
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use ccm_db::{BucketRow, DbError, FailureRow, Span, Statistics};
use ccm_web::{Json, Problem, Query, TenantScope, may};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use time::{Duration, OffsetDateTime};
use utoipa::{IntoParams, ToSchema, openapi::schema::Object};

/// A month by the hour.
const MOST_BUCKETS: i64 = 744;
/// Reasons that are told apart in one answer.
const MOST_REASONS: usize = 12;
const OTHER: &str = "other";

/// How long a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Step {
    #[serde(rename = "1m")]
    Minute,
    #[serde(rename = "5m")]
    FiveMinutes,
    #[serde(rename = "15m")]
    Quarter,
    #[serde(rename = "1h")]
    Hour,
    #[serde(rename = "1d")]
    Day,
}

impl Step {
    const ALL: [Self; 5] = [
        Self::Minute,
        Self::FiveMinutes,
        Self::Quarter,
        Self::Hour,
        Self::Day,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "1m",
            Self::FiveMinutes => "5m",
            Self::Quarter => "15m",
            Self::Hour => "1h",
            Self::Day => "1d",
        }
    }

    fn seconds(self) -> i64 {
        match self {
            Self::Minute => 60,
            Self::FiveMinutes => 300,
            Self::Quarter => 900,
            Self::Hour => 3600,
            Self::Day => 86_400,
        }
    }
}

fn step_schema() -> Object {
    one_of("How long a step is.", Step::ALL.into_iter().map(Step::as_str))
}

/// From when to when, and in which steps.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct StatisticsQuery {
    /// From this moment on, rounded down to a step (in UTC). Left out: 24 hours before `to`.
    #[serde(default, with = "crate::moment::option")]
    #[param(value_type = Option<String>, format = DateTime, example = "2026-11-29T12:00:00Z")]
    from: Option<OffsetDateTime>,
    /// Until this moment, rounded up to a step. Left out: now.
    #[serde(default, with = "crate::moment::option")]
    #[param(value_type = Option<String>, format = DateTime, example = "2026-11-30T12:00:00Z")]
    to: Option<OffsetDateTime>,
    /// `1m`, `5m`, `15m`, `1h` or `1d`: 744 of them at most.
    #[param(value_type = Option<String>, default = "15m", example = "15m")]
    step: Option<Step>,
}

/// A tenant's figures, step by step.
#[derive(Debug, Serialize, ToSchema)]
pub struct TenantStatistics {
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    from: OffsetDateTime,
    /// Not included.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    to: OffsetDateTime,
    #[schema(schema_with = step_schema)]
    step: Step,
    /// All steps, also those in which nothing happened.
    buckets: Vec<Bucket>,
}

/// What happened in one step. A text belongs to the step in which it was stored.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StatisticsBucket)]
pub struct Bucket {
    /// When the step begins.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    at: OffsetDateTime,
    /// Texts of customers.
    #[schema(minimum = 0, example = 14)]
    texts_in: i64,
    #[schema(minimum = 0, example = 15)]
    segments_in: i64,
    /// Texts to customers, whatever became of them.
    #[schema(minimum = 0, example = 21)]
    texts_out: i64,
    #[schema(minimum = 0, example = 24)]
    segments_out: i64,
    /// Texts of the step, both ways, that did not get through, as far as that is known now.
    #[schema(minimum = 0, example = 1)]
    failed: i64,
    /// The same by CCM's or the provider's code, or by the text's state where there is none. The 12 most frequent of the whole answer;
    /// all else is `other`.
    failed_by_reason: BTreeMap<String, i64>,
    /// Half of the step's texts had reached their agent's AACC after so many milliseconds. Of those that have reached it; `null`: none has.
    #[schema(required, example = 1800)]
    to_agent_p50_ms: Option<i64>,
    /// The same of 95 in a hundred.
    #[schema(required, example = 42000)]
    to_agent_p95_ms: Option<i64>,
    /// How many chats were open at the same time, at most.
    #[schema(minimum = 0, example = 9)]
    peak_chats: i64,
    /// Callers who were offered a chat.
    #[schema(minimum = 0, example = 4)]
    deflections_offered: i64,
    /// Those of them who have answered.
    #[schema(minimum = 0, example = 2)]
    deflections_accepted: i64,
}

impl StatisticsQuery {
    fn span(&self, now: OffsetDateTime) -> Result<(Span, Step), Problem> {
        let step = self.step.unwrap_or(Step::Quarter);
        // Rounded up: of the second that is under way nothing is left out.
        let ceiling = |at: OffsetDateTime| at.unix_timestamp() + i64::from(at.nanosecond() > 0);
        let to = ceiling(self.to.unwrap_or(now));
        let from = self.from.map_or(to - 86_400, OffsetDateTime::unix_timestamp);
        if from >= to {
            return Err(Problem::invalid_field("from", "from is not before to")
                .remedy("give the earlier moment as from"));
        }
        let count = |step: Step| {
            let seconds = step.seconds();
            (to + seconds - 1).div_euclid(seconds) - from.div_euclid(seconds)
        };
        if count(step) > MOST_BUCKETS {
            let fits = Step::ALL.into_iter().find(|step| count(*step) <= MOST_BUCKETS);
            let remedy = match fits {
                Some(step) => format!("ask for a shorter time, or with step={}", step.as_str()),
                None => format!("ask for {MOST_BUCKETS} days at most"),
            };
            let detail = format!(
                "that is {} steps, and {MOST_BUCKETS} are answered at most",
                count(step)
            );
            return Err(Problem::invalid_field("step", detail).remedy(remedy));
        }
        let from = from.div_euclid(step.seconds()) * step.seconds();
        let at = |seconds| {
            OffsetDateTime::from_unix_timestamp(seconds)
                .map_err(|_| Problem::invalid_field("from", "is no moment that there is"))
        };
        let span = Span {
            from: at(from)?,
            to: at(from + count(step) * step.seconds())?,
            step: std::time::Duration::from_secs(step.seconds().unsigned_abs()),
        };
        Ok((span, step))
    }
}

/// By bucket and reason; what is not among the most frequent is `other`.
fn by_reason(failures: Vec<FailureRow>, buckets: usize) -> Vec<BTreeMap<String, i64>> {
    let mut all: BTreeMap<&str, i64> = BTreeMap::new();
    for failure in &failures {
        *all.entry(&failure.reason).or_default() += failure.count;
    }
    let mut frequent: Vec<_> = all.into_iter().collect();
    frequent.sort_by_key(|(_, count)| -count);
    let named: Vec<String> = frequent
        .into_iter()
        .take(MOST_REASONS)
        .map(|(reason, _)| reason.to_owned())
        .collect();
    let mut by = vec![BTreeMap::new(); buckets];
    for failure in failures {
        let reason = match named.contains(&failure.reason) {
            true => failure.reason,
            false => OTHER.to_owned(),
        };
        *by[failure.bucket].entry(reason).or_default() += failure.count;
    }
    by
}

impl TenantStatistics {
    fn of(span: Span, step: Step, found: Statistics) -> Self {
        let reasons = by_reason(found.failures, found.buckets.len());
        let starts = (0..).map(|n| span.from + Duration::seconds(n * step.seconds()));
        let buckets = found.buckets.into_iter().zip(reasons).zip(starts);
        Self {
            from: span.from,
            to: span.to,
            step,
            buckets: buckets
                .map(|((row, reasons), at)| Bucket::of(at, row, reasons))
                .collect(),
        }
    }
}

impl Bucket {
    fn of(at: OffsetDateTime, row: BucketRow, failed_by_reason: BTreeMap<String, i64>) -> Self {
        Self {
            at,
            texts_in: row.texts_in,
            segments_in: row.segments_in,
            texts_out: row.texts_out,
            segments_out: row.segments_out,
            failed: failed_by_reason.values().sum(),
            failed_by_reason,
            to_agent_p50_ms: row.to_agent_p50_ms,
            to_agent_p95_ms: row.to_agent_p95_ms,
            peak_chats: row.peak_chats,
            deflections_offered: row.deflections_offered,
            deflections_accepted: row.deflections_accepted,
        }
    }
}

/// Read a tenant's figures by time
///
/// For charts: texts, failures, how long texts took to agents, chats and deflections. Conversations that began more than 31 days before
/// `from` are counted as long as they are open. For the roles platform-admin, engineer and support; tenant-admin and tenant-viewer in
/// their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/statistics", tag = "overview", params(TenantPath, StatisticsQuery),
    responses((status = 200, description = "All steps.", body = TenantStatistics), Always, InTenant))]
pub async fn get_statistics(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
    Query(query): Query<StatisticsQuery>,
) -> Result<Response, Failure> {
    let (span, step) = query.span(deps.ids.clock().now())?;
    let Some(_slot) = deps.store.take() else {
        return Ok(busy());
    };
    let found = match deps.tenant(&scope).await?.statistics(span).await {
        Err(DbError::TooBroad) => {
            return Err(
                Problem::invalid_field("from", "counting so much takes longer than it may")
                    .remedy("ask for a shorter time; days stand in GET …/usage")
                    .into(),
            );
        }
        found => found?,
    };
    Ok(Json(TenantStatistics::of(span, step, found)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-11-30 12:07:30 UTC);

    fn asked(
        from: Option<OffsetDateTime>,
        to: Option<OffsetDateTime>,
        step: Option<Step>,
    ) -> Result<Span, String> {
        let query = StatisticsQuery { from, to, step };
        let problem = |problem: Problem| {
            let body = serde_json::to_value(&problem).unwrap();
            body["remedy"].as_str().unwrap_or_default().to_owned()
        };
        query.span(NOW).map(|(span, _)| span).map_err(problem)
    }

    #[test]
    fn steps_are_whole_and_no_more_than_are_answered() {
        let usual = asked(None, None, None).unwrap();
        assert_eq!(
            (usual.from, usual.to, usual.buckets()),
            (
                datetime!(2026-11-29 12:00 UTC),
                datetime!(2026-11-30 12:15 UTC),
                97
            )
        );
        let at = |days, step| asked(Some(NOW - Duration::days(days)), None, Some(step));
        assert_eq!(at(1, Step::Day).unwrap().buckets(), 2, "each day in part");
        let month = asked(
            Some(datetime!(2026-10-31 00:00 UTC)),
            Some(datetime!(2026-12-01 00:00 UTC)),
            Some(Step::Hour),
        );
        assert_eq!(month.unwrap().buckets(), 744);
        assert_eq!(
            at(1, Step::Minute).unwrap_err(),
            "ask for a shorter time, or with step=5m"
        );
        assert_eq!(
            at(40, Step::Minute).unwrap_err(),
            "ask for a shorter time, or with step=1d"
        );
        assert_eq!(at(800, Step::Day).unwrap_err(), "ask for 744 days at most");
        assert!(asked(Some(NOW), Some(NOW), None).is_err());
        assert!(asked(Some(NOW), Some(NOW - Duration::HOUR), None).is_err());
    }

    #[test]
    fn rare_reasons_are_told_together() {
        let failure = |bucket, reason: &str, count| FailureRow {
            bucket,
            reason: reason.to_owned(),
            count,
        };
        let mut failures: Vec<_> = (0..12)
            .map(|n| failure(0, &format!("{}", 30_000 + n), 5))
            .collect();
        failures.extend([
            failure(1, "rare", 1),
            failure(1, "seldom", 2),
            failure(1, "30003", 1),
        ]);
        let by = by_reason(failures, 3);
        assert_eq!(by[0].len(), 12);
        assert_eq!(
            by[1],
            BTreeMap::from([("30003".to_owned(), 1), (OTHER.to_owned(), 3)])
        );
        assert!(by[2].is_empty());
    }
}
