//! What tenants use, by day.

#![allow(
    unused_qualifications,
    reason = "utoipa's macro qualifies the types of queries"
)]

use crate::{
    Deps,
    answer::{Always, Failure, InTenant},
    consent::wants_csv,
    path::TenantPath,
    query,
};
use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, header},
    response::{IntoResponse, Response},
};
use ccm_db::{TenantUsageRow, UsageRow};
use ccm_model::TenantId;
use ccm_web::{Cursor, Json, Page, Platform, Problem, Query, TenantScope, may};
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use time::{Date, OffsetDateTime, UtcOffset, macros::format_description};
use utoipa::{IntoParams, ToSchema};

/// Days that one answer has at most.
const MOST_DAYS: i64 = 400;
/// Tenants that are read at once for a file.
const AT_ONCE: i64 = 1000;

/// Which days.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct UsageQuery {
    /// The first day, UTC; left out: the first of the month of `to`.
    #[param(value_type = Option<String>, format = Date, example = "2026-11-01")]
    from: Option<String>,
    /// The last day, UTC; left out: today.
    #[param(value_type = Option<String>, format = Date, example = "2026-11-30")]
    to: Option<String>,
}

/// Which day, and which page of it.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct AllUsageQuery {
    /// The day, UTC; left out: today.
    #[param(value_type = Option<String>, format = Date, example = "2026-11-30")]
    day: Option<String>,
    /// How many items at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
}

/// Figures that several answers have, after what each has of its own.
macro_rules! figures {
    ($(#[$doc:meta])* $name:ident { $($(#[$attr:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Serialize, ToSchema)]
        pub struct $name {
            $($(#[$attr])* $field: $type,)*
            /// Texts of customers.
            mo_texts: i64,
            /// The SMS that they came in, as providers say; a text of which none says it counts as one.
            mo_segments: i64,
            /// Texts to phones that a provider took.
            mt_texts: i64,
            /// The SMS that those took.
            mt_segments: i64,
            /// Texts to phones that no provider took.
            mt_failed: i64,
            /// Chats with agents that were opened.
            chats_opened: i64,
            /// How many chats were open at the same time, at most.
            peak_chats: i64,
            /// Callers who took a chat instead of waiting.
            deflections: i64,
        }

        impl $name {
            fn of($($field: $type,)* row: &UsageRow) -> Self {
                Self {
                    $($field,)*
                    mo_texts: row.mo_texts,
                    mo_segments: row.mo_segments,
                    mt_texts: row.mt_texts,
                    mt_segments: row.mt_segments,
                    mt_failed: row.mt_failed,
                    chats_opened: row.chats_opened,
                    peak_chats: row.peak_chats,
                    deflections: row.deflections,
                }
            }
        }
    };
}

figures! {
    /// What a tenant used on a day (UTC).
    UsageDay {
        #[schema(value_type = String, format = Date, example = "2026-11-30")]
        day: String,
    }
}

figures! {
    /// What a tenant used on all days together; `peak_chats` is the highest of them.
    UsageTotal {}
}

figures! {
    /// What one of the tenants used on the day.
    TenantUsage {
        #[schema(value_type = Uuid)]
        tenant_id: TenantId,
        #[schema(example = "acme-bank")]
        slug: String,
        #[schema(example = "Acme Bank")]
        name: String,
    }
}

/// What a tenant used, each day and together.
#[derive(Debug, Serialize, ToSchema)]
pub struct UsageReport {
    /// Each day from the first to the last.
    items: Vec<UsageDay>,
    total: UsageTotal,
    /// When the last day was counted: while it is today's, texts of the last 5 minutes may be missing. `null`: it was not yet.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    as_of: Option<OffsetDateTime>,
}

impl From<TenantUsageRow> for TenantUsage {
    fn from(row: TenantUsageRow) -> Self {
        Self::of(row.usage.tenant, row.slug, row.name, &row.usage)
    }
}

/// Names and values of a file's columns.
const COLUMNS: &str =
    "mo_texts,mo_segments,mt_texts,mt_segments,mt_failed,chats_opened,peak_chats,deflections";

fn cells(row: &UsageRow) -> String {
    format!(
        "{},{},{},{},{},{},{},{}",
        row.mo_texts,
        row.mo_segments,
        row.mt_texts,
        row.mt_segments,
        row.mt_failed,
        row.chats_opened,
        row.peak_chats,
        row.deflections
    )
}

/// The usage of each day, of those without any too.
fn each_day(tenant: TenantId, from: Date, to: Date, rows: Vec<UsageRow>) -> Vec<UsageRow> {
    let mut rows = rows.into_iter().peekable();
    let days = std::iter::successors(Some(from), |day| day.next_day()).take_while(|day| *day <= to);
    days.map(|day| {
        rows.next_if(|row| row.day == day)
            .unwrap_or_else(|| UsageRow::nothing(tenant, day))
    })
    .collect()
}

fn day(field: &'static str, asked: Option<&str>) -> Result<Option<Date>, Problem> {
    let format = format_description!("[year]-[month]-[day]");
    asked
        .map(|raw| {
            let day = Date::parse(raw, format).ok();
            day.filter(|day| (1970..=9998).contains(&day.year()))
                .ok_or_else(|| {
                    Problem::invalid_field(field, format!("{field} is not a day"))
                        .remedy("write it like 2026-11-30")
                })
        })
        .transpose()
}

impl UsageQuery {
    fn days(&self, today: Date) -> Result<(Date, Date), Problem> {
        let to = day("to", self.to.as_deref())?.unwrap_or(today);
        let from = match day("from", self.from.as_deref())? {
            Some(from) => from,
            None => to.replace_day(1).unwrap_or(to),
        };
        let days = (to - from).whole_days() + 1;
        match days {
            1..=MOST_DAYS => Ok((from, to)),
            _ => Err(Problem::invalid_field(
                "from",
                format!("from the first day to the last are {days} days"),
            )
            .remedy("ask for 1 to 400 days, the earlier one as from")),
        }
    }
}

fn today(deps: &Deps) -> Date {
    deps.ids.clock().now().to_offset(UtcOffset::UTC).date()
}

type Csv = ([(HeaderName, String); 2], String);

fn csv(name: &str, text: String) -> Csv {
    let headers = [
        (
            header::CONTENT_TYPE,
            "text/csv; charset=utf-8; header=present".to_owned(),
        ),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}.csv\""),
        ),
    ];
    (headers, text)
}

/// Read what a tenant uses
///
/// Each day, in UTC, 400 at most; counted every 5 minutes from the texts and chats themselves, and again for 3 days, as receipts come
/// (docs/usage.md). With `Accept: text/csv` as a file. For the roles platform-admin, engineer and support; tenant-admin and tenant-viewer
/// in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/usage", tag = "usage",
    params(TenantPath, UsageQuery),
    responses((status = 200, description = "Each day.",
        content((UsageReport = "application/json"), (String = "text/csv"))), Always, InTenant))]
pub async fn get_usage(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
    Query(asked): Query<UsageQuery>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let (from, to) = asked.days(today(&deps))?;
    let (rows, as_of) = deps.tenant(&scope).await?.usage(from, to).await?;
    let days = each_day(scope.tenant, from, to, rows);
    if wants_csv(&headers) {
        let mut text = format!("day,{COLUMNS}\r\n");
        for row in &days {
            let _ = write!(text, "{},{}\r\n", row.day, cells(row));
        }
        return Ok(csv(&format!("usage-{from}-{to}"), text).into_response());
    }
    let mut total = UsageRow::nothing(scope.tenant, from);
    for row in &days {
        total.add(row);
    }
    let items = days.iter().map(|row| UsageDay::of(row.day.to_string(), row));
    Ok(Json(UsageReport {
        items: items.collect(),
        total: UsageTotal::of(&total),
        as_of,
    })
    .into_response())
}

/// Read what all tenants used on a day
///
/// Those that used something, in the order of their ids. With `Accept: text/csv` all of them, as a file. For the roles platform-admin,
/// engineer and support.
#[utoipa::path(get, path = "/v1/usage", tag = "usage", params(AllUsageQuery),
    responses((status = 200, description = "One page.",
        content((Page<TenantUsage> = "application/json"), (String = "text/csv"))), Always))]
pub async fn list_usage(
    State(deps): State<Deps>,
    _: Platform<may::ListTenants>,
    Query(asked): Query<AllUsageQuery>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let day = day("day", asked.day.as_deref())?.unwrap_or_else(|| today(&deps));
    let limit = query::limit(asked.limit)?;
    let mut after = asked.cursor.as_ref().map(Cursor::position).transpose()?;
    let operator = deps.db.operator();
    if !wants_csv(&headers) {
        let rows = operator.usage_of_all(day, after, limit as i64 + 1).await?.0;
        let items = rows.into_iter().map(TenantUsage::from).collect();
        return Ok(Json(Page::cut(items, limit, |item: &TenantUsage| item.tenant_id)).into_response());
    }
    let mut text = format!("day,tenant_id,slug,{COLUMNS}\r\n");
    loop {
        let rows = operator.usage_of_all(day, after, AT_ONCE).await?.0;
        for row in &rows {
            // A slug has nothing in it that a cell would have to quote.
            let cells = cells(&row.usage);
            let _ = write!(text, "{day},{},{},{cells}\r\n", row.usage.tenant, row.slug);
        }
        match rows.last() {
            Some(last) if rows.len() as i64 == AT_ONCE => after = Some(last.usage.tenant),
            _ => return Ok(csv(&format!("usage-{day}"), text).into_response()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::date;

    #[test]
    fn days_are_those_of_the_month_or_those_that_are_named() {
        let days = |from: Option<&str>, to: Option<&str>| {
            let query = UsageQuery {
                from: from.map(str::to_owned),
                to: to.map(str::to_owned),
            };
            query
                .days(date!(2026 - 11 - 30))
                .map_err(|problem| problem.status().as_u16())
        };
        assert_eq!(
            days(None, None),
            Ok((date!(2026 - 11 - 01), date!(2026 - 11 - 30)))
        );
        assert_eq!(
            days(None, Some("2026-02-03")),
            Ok((date!(2026 - 02 - 01), date!(2026 - 02 - 03)))
        );
        assert_eq!(
            days(Some("2025-10-27"), None),
            Ok((date!(2025 - 10 - 27), date!(2026 - 11 - 30)))
        );
        for (from, to) in [
            (Some("2025-10-26"), None),
            (Some("2026-12-01"), None),
            (Some("2026-13-01"), None),
            (Some("1 May"), None),
            (None, Some("")),
        ] {
            assert_eq!(days(from, to), Err(400), "{from:?} {to:?}");
        }
    }
}
