//! An examination, from the request to the last line of its answer.

use super::{
    places::{Busy, Place},
    plan::Examination,
    schema::DoctorEvent,
};
use crate::{
    Deps,
    answer::{Always, Failure, InTenant, Taking},
    links::NewLink,
    path::{LinkPath, TenantPath},
    query::OptionalJson,
    valid::Refused,
};
use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use ccm_db::DoctorReportRow;
use ccm_doctor::{Doctor, Endpoint, Plan, Progress, Report, Step, StepKind};
use ccm_model::{LinkId, TenantId};
use ccm_web::{Json, Path, Platform, Problem, TenantScope, may};
use futures::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};
use std::{convert::Infallible, time::Duration};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::timeout,
};
use utoipa::{IntoResponses, ToSchema};
use uuid::Uuid;

/// When somebody who found no place should ask again: most examinations are through by then.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("10");

/// How long a test chat may take to be closed when its examination was given up.
const TIDY: Duration = Duration::from_secs(15);

/// A link that is not saved, and how far to go.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "link": {"name": "AACC Dublin", "url": "wss://aacc.example.com:8445"},
    "examination": {"skillsets": ["WC_Default_Skillset"]}
}))]
pub struct NewLinkExamination {
    /// As it would be made.
    link: NewLink,
    #[serde(default = "Examination::usual")]
    examination: Examination,
}

/// How an examination can be refused, besides [`Always`].
#[derive(IntoResponses)]
#[allow(dead_code, reason = "the document is made of it")]
pub enum Full {
    /// The link is being examined, or as many as this server examines at a time are. `Retry-After` says when to ask again.
    #[response(status = 429, content_type = "application/problem+json")]
    Busy(Problem),
}

/// A line of the answer.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Line<'a> {
    Began {
        endpoint: Endpoint,
        kind: StepKind,
        title: &'a str,
    },
    Step {
        step: &'a Step,
    },
    Report {
        report_id: Option<Uuid>,
        report: &'a Report,
    },
    Stopped,
}

/// What is sent of a line: its kind, for SSE, and its JSON.
type Sent = (&'static str, String);

impl Line<'_> {
    fn write(&self) -> Sent {
        let kind = match self {
            Line::Began { .. } => "began",
            Line::Step { .. } => "step",
            Line::Report { .. } => "report",
            Line::Stopped => "stopped",
        };
        (
            kind,
            serde_json::to_string(self).expect("texts and numbers can be written as JSON"),
        )
    }
}

/// Examine a link
///
/// Goes the way of a chat step by step: settings, DNS, TCP, TLS, upgrade, pings, queue metrics. The answer is a stream: one
/// JSON object a line (`application/x-ndjson`), or server-sent events with `Accept: text/event-stream`; its last line is the report,
/// which is kept for 90 days. It takes two minutes at the most, and what it is told to wait for. For the roles platform-admin and
/// engineer; tenant-admin in their own tenant.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/links/{link}/doctor", tag = "doctor",
    params(LinkPath), request_body = Option<Examination>,
    responses(
        (status = 200, description = "Line by line, while it goes on.", content(
            (DoctorEvent = "application/x-ndjson"), (DoctorEvent = "text/event-stream"))),
        Always, InTenant, Taking, Full))]
pub async fn examine_link(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Path(path): Path<LinkPath>,
    headers: HeaderMap,
    OptionalJson(asked): OptionalJson<Examination>,
) -> Result<Response, Failure> {
    let asked = asked.unwrap_or_else(Examination::usual);
    asked.check()?;
    let db = deps.tenant(&scope).await?;
    let row = db.link(path.link).await?;
    let secrets = db.link_secrets(path.link).await?;
    let skillsets = db.skillsets().await?.into_iter().filter(|s| s.link == path.link);
    let plan = asked.plan(&deps.doctor, &row, &secrets, skillsets.map(|s| s.name).collect());
    let keep = Keep {
        tenant: scope.tenant,
        link: Some(path.link),
        by: scope.bearer.sub.clone(),
    };
    Ok(begin(&deps, plan, Some(keep), &headers))
}

/// Examine a link before it is saved
///
/// As a link is examined; nothing is saved but the report. For the roles platform-admin and engineer; tenant-admin in their own
/// tenant.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/doctor", tag = "doctor",
    params(TenantPath),
    responses(
        (status = 200, description = "Line by line, while it goes on.", content(
            (DoctorEvent = "application/x-ndjson"), (DoctorEvent = "text/event-stream"))),
        Always, InTenant, Taking, Full))]
pub async fn examine_new_link_of_tenant(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    headers: HeaderMap,
    Json(asked): Json<NewLinkExamination>,
) -> Result<Response, Failure> {
    let plan = asked.plan(&deps)?;
    deps.tenant(&scope).await?;
    let keep = Keep {
        tenant: scope.tenant,
        link: None,
        by: scope.bearer.sub.clone(),
    };
    Ok(begin(&deps, plan, Some(keep), &headers))
}

/// Examine a link before there is a tenant
///
/// As a link is examined; nothing is saved, the report neither. For the roles platform-admin and engineer.
#[utoipa::path(post, path = "/v1/doctor", tag = "doctor",
    responses(
        (status = 200, description = "Line by line, while it goes on.", content(
            (DoctorEvent = "application/x-ndjson"), (DoctorEvent = "text/event-stream"))),
        Always, Taking, Full))]
pub async fn examine_new_link(
    State(deps): State<Deps>,
    _: Platform<may::WriteSettings>,
    headers: HeaderMap,
    Json(asked): Json<NewLinkExamination>,
) -> Result<Response, Failure> {
    let plan = asked.plan(&deps)?;
    Ok(begin(&deps, plan, None, &headers))
}

impl NewLinkExamination {
    fn plan(&self, deps: &Deps) -> Result<Plan, Refused> {
        let within = |part: &str, refused: Refused| Refused {
            field: format!("{part}.{}", refused.field).into(),
            ..refused
        };
        let (row, secrets) = self
            .link
            .unsaved(deps.ids.clock().now())
            .map_err(|r| within("link", r))?;
        self.examination.check().map_err(|r| within("examination", r))?;
        Ok(self.examination.plan(&deps.doctor, &row, &secrets, Vec::new()))
    }
}

/// Whose report it will be.
struct Keep {
    tenant: TenantId,
    link: Option<LinkId>,
    by: String,
}

fn begin(deps: &Deps, plan: Plan, keep: Option<Keep>, headers: &HeaderMap) -> Response {
    let link = keep.as_ref().and_then(|keep| keep.link);
    let place = match deps.doctor.places.take(link) {
        Ok(place) => place,
        Err(busy) => return refuse(busy),
    };
    let (lines, sent) = unbounded_channel();
    tokio::spawn(run(deps.clone(), plan, keep, place, lines));
    let sent = stream::unfold(sent, async |mut sent: UnboundedReceiver<Sent>| {
        Some((sent.recv().await?, sent))
    });
    answer(sent, headers)
}

fn refuse(busy: Busy) -> Response {
    let (detail, remedy) = match busy {
        Busy::ThisLink => (
            "this link is being examined already",
            "wait for that examination; GET …/doctor-reports has its report",
        ),
        Busy::All => (
            "as many links as this server examines at a time are being examined",
            "ask again in 10 s",
        ),
    };
    let mut response = Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        "busy",
        "Too many examinations at a time",
    )
    .detail(detail)
    .remedy(remedy)
    .into_response();
    response.headers_mut().insert(header::RETRY_AFTER, ASK_AGAIN);
    response
}

fn answer(sent: impl Stream<Item = Sent> + Send + 'static, headers: &HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    if accept.is_some_and(|accept| accept.contains("text/event-stream")) {
        let events = sent.map(|(kind, json)| Ok::<_, Infallible>(Event::default().event(kind).data(json)));
        return Sse::new(events).keep_alive(KeepAlive::default()).into_response();
    }
    let lines = sent.map(|(_, json)| Ok::<_, Infallible>(json + "\n"));
    let kind = [
        (header::CONTENT_TYPE, "application/x-ndjson"),
        // Proxies that gather an answer before they pass it on would make it one at the end.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (kind, Body::from_stream(lines)).into_response()
}

/// Goes on when nobody listens any more: the report is kept.
async fn run(deps: Deps, plan: Plan, keep: Option<Keep>, place: Place, lines: UnboundedSender<Sent>) {
    let doctor = Doctor::new(plan, deps.ids.clock().clone());
    let tell = |progress: Progress<'_>| {
        let line = match progress {
            Progress::Began {
                endpoint,
                kind,
                title,
            } => Line::Began {
                endpoint,
                kind,
                title,
            },
            Progress::Finished(step) => Line::Step { step },
        };
        let _ = lines.send(line.write());
    };
    let report = tokio::select! {
        report = doctor.run(tell) => Some(report),
        () = deps.doctor.stop.cancelled() => None,
    };
    let last = match &report {
        Some(report) => {
            let report_id = match keep {
                Some(keep) => store(&deps, keep, report).await,
                None => None,
            };
            Line::Report { report_id, report }.write()
        }
        None => Line::Stopped.write(),
    };
    let _ = lines.send(last);
    // A test chat of an examination that was cut short is closed in the background; nobody may examine the link meanwhile.
    let _ = timeout(TIDY, doctor.tidied()).await;
    // Whoever has seen the answer's end finds a place.
    drop(place);
    drop(lines);
}

async fn store(deps: &Deps, keep: Keep, report: &Report) -> Option<Uuid> {
    let written = serde_json::to_value(report).expect("texts and numbers can be written as JSON");
    let row = DoctorReportRow {
        id: deps.ids.next(),
        link: keep.link,
        outcome: super::schema::outcome(&written).to_owned(),
        report: written,
        made_by: keep.by,
        made_at: deps.ids.clock().now(),
        shared_until: None,
    };
    match deps.db.tenant(keep.tenant).put_doctor_report(&row).await {
        Ok(()) => {
            deps.dealt_with(keep.tenant, "doctor report", row.id, "made", &row.made_by);
            Some(row.id)
        }
        Err(error) => {
            tracing::warn!(%error, tenant.id = %keep.tenant, "a link doctor's report could not be kept");
            None
        }
    }
}
