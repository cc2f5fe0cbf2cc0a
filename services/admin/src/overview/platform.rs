//! How the platform does, for whoever runs it: what is there, what waits, what fails, and what to do about each.

use super::health::{Reason, failures};
use crate::{
    Deps,
    answer::{Always, Failure},
    lives::CurrentLife,
    schema::one_of,
};
use axum::extract::State;
use ccm_db::{
    DbError, Edges, LeaseRow, LeaseState, Leases, LifeLeft, LifeRow, MOST_WAITING, ProcessRow, QueueRow,
    TenantRow, UnsentRow,
};
use ccm_model::{MessageId, TenantId};
use ccm_web::{Json, Platform, may};
use serde::Serialize;
use time::{Duration, OffsetDateTime};
use utoipa::{ToSchema, openapi::schema::Object};
use uuid::Uuid;

/// Of each list so many at most.
const MOST: usize = 200;
/// A process writes itself down every 15 s: this is three times without.
const SILENT_S: i64 = 45;

/// How the platform does.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlatformOverview {
    /// When this was read.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    at: OffsetDateTime,
    /// What should be seen to here. What fails of tenants stands in `failures`.
    problems: Vec<PlatformProblem>,
    /// Processes that were seen within an hour: 200 at most.
    processes: Vec<Process>,
    leases: LeaseOverview,
    /// What waits over all tenants.
    queues: Vec<Queue>,
    /// The life that the database is in.
    database: CurrentLife,
    /// The text to a phone that waits longest; `null`: none waits.
    #[schema(required)]
    oldest_unsent: Option<UnsentText>,
    /// Links and provider accounts that fail, those of all tenants that are carried: the 200 that have done so longest.
    failures: Vec<TenantFailure>,
    /// Whether there are more.
    more_failures: bool,
}

/// Something that should be seen to.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PlatformProblem {
    #[schema(example = "3 tenants have no owner: their chats are not served")]
    what: String,
    #[schema(example = "see that a connector runs and reaches the database")]
    remedy: String,
}

/// A process of the platform.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlatformProcess)]
pub struct Process {
    id: Uuid,
    /// What it does; `all`: everything.
    #[schema(example = "connector")]
    role: String,
    /// The pod's name.
    #[schema(example = "ccm-connector-0")]
    name: String,
    #[schema(example = "0.1.0")]
    version: String,
    #[schema(schema_with = process_state)]
    state: ProcessState,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    started_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    seen_at: OffsetDateTime,
    /// Tenants that it owns. 0 of a process of before this figure went by processes.
    #[schema(minimum = 0, example = 12)]
    leases: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcessState {
    Running,
    Draining,
    Ended,
    Replaced,
    Silent,
}

fn process_state() -> Object {
    one_of(
        "`ended`: it drained, and is not there any more. `silent`: it is not seen for 45 s, and had not said that it goes; `replaced`: nor \
         that, but another one of its role has started since.",
        ["running", "draining", "ended", "replaced", "silent"].into_iter(),
    )
}

/// Who owns active tenants.
#[derive(Debug, Serialize, ToSchema)]
pub struct LeaseOverview {
    #[schema(minimum = 0, example = 40)]
    owned: i64,
    #[schema(minimum = 0, example = 0)]
    overdue: i64,
    #[schema(minimum = 0, example = 0)]
    nobodys: i64,
    /// 200 at most, those that nobody owns first.
    items: Vec<Lease>,
}

/// Who owns a tenant.
#[derive(Debug, Serialize, ToSchema)]
pub struct Lease {
    #[schema(value_type = Uuid)]
    tenant_id: TenantId,
    #[schema(example = "acme-bank")]
    slug: String,
    #[schema(schema_with = lease_state)]
    state: &'static str,
    /// The owner's pod; `null`: nobody.
    #[schema(required, example = "ccm-connector-0")]
    owner: Option<String>,
    /// Until when nobody else takes it, if its owner is not seen before.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    until: Option<OffsetDateTime>,
    /// Changes with each owner.
    #[schema(minimum = 0, example = 7)]
    epoch: i64,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    taken_at: Option<OffsetDateTime>,
}

/// What waits.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlatformQueue)]
pub struct Queue {
    #[schema(example = "lines_to_providers")]
    name: String,
    /// What waits in it, and for whom.
    #[schema(example = "conversations with texts for a provider that no dispatch has taken up")]
    what: &'static str,
    /// 10,000 at most are counted; `null`: they are not counted.
    #[schema(required, minimum = 0, example = 3)]
    pub waiting: Option<i64>,
    /// Since when the first of them waits, or has been due.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub oldest_at: Option<OffsetDateTime>,
    /// Whether that is longer than it should be.
    overdue: bool,
}

/// The text that waits longest.
#[derive(Debug, Serialize, ToSchema)]
pub struct UnsentText {
    #[schema(value_type = Uuid)]
    tenant_id: TenantId,
    #[schema(value_type = Uuid)]
    message_id: MessageId,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    since: OffsetDateTime,
}

/// A link or a provider account that fails.
#[derive(Debug, Serialize, ToSchema)]
pub struct TenantFailure {
    #[schema(value_type = Uuid)]
    tenant_id: TenantId,
    #[schema(example = "acme-bank")]
    slug: String,
    #[schema(example = "Acme Bank")]
    name: String,
    reason: Reason,
}

fn lease_state() -> Object {
    one_of(
        "`overdue`: its owner was not seen for longer than a lease lasts. `nobodys`: the tenant is active and nobody serves its chats.",
        LeaseState::ALL.into_iter().map(LeaseState::as_str),
    )
}

/// A queue as people know it.
pub(crate) struct Known {
    pub name: &'static str,
    what: &'static str,
    /// How long something may wait in it; `None`: that depends on people.
    patience: Option<Duration>,
    remedy: &'static str,
}

const DELIVERIES: &str = "webhook_deliveries";

pub(crate) const QUEUES: [Known; 10] = [
    Known {
        name: "texts_for_agents",
        what: "customers' texts that no agent has yet, those among them that are kept until a tenant opens",
        patience: None,
        remedy: "",
    },
    Known {
        name: "texts_for_providers",
        what: "texts to phones that no provider has taken, of tenants that are carried",
        patience: Some(Duration::minutes(10)),
        remedy: "see `failures` for accounts that fail, and whether the numbers' rates are enough: GET /v1/tenants/{tenant}/overview",
    },
    Known {
        name: "lines_to_providers",
        what: "conversations with texts for a provider that no dispatch has taken up",
        patience: Some(Duration::seconds(30)),
        remedy: "see that a dispatch runs and reaches the database; more of them take up more",
    },
    Known {
        name: "parts_of_texts",
        what: "long texts of which parts have not come in time",
        patience: Some(Duration::MINUTE),
        remedy: "see that an ingest runs and reaches the database",
    },
    Known {
        name: "timers",
        what: "conversations that nobody has answered in their time",
        patience: Some(Duration::MINUTE),
        remedy: "see that an ingest runs and reaches the database",
    },
    Known {
        name: "deflections",
        what: "callers of whom it is to be seen how far they are",
        patience: Some(Duration::MINUTE),
        remedy: "see that a deflection runs and reaches the database",
    },
    Known {
        name: DELIVERIES,
        what: "what tenants' webhooks are to be told",
        patience: Some(Duration::MINUTE),
        remedy: "see that an events runs and reaches the internet; more of them call more",
    },
    Known {
        name: "retention",
        what: "tenants whose old texts are to go",
        patience: Some(Duration::HOUR),
        remedy: "see that an admin runs; GET /v1/tenants/{tenant}/retention says what a step failed of",
    },
    Known {
        name: "erasures",
        what: "people who are to be forgotten",
        patience: Some(Duration::minutes(10)),
        remedy: "see that an admin runs; GET /v1/tenants/{tenant}/erasures says what a step failed of",
    },
    Known {
        name: "number_moves",
        what: "numbers that are to move",
        patience: Some(Duration::MINUTE),
        remedy: "see that an admin runs and reaches the database",
    },
];

impl Known {
    /// This queue of those that were counted; of deliveries it is known alone since when the oldest is due.
    pub fn read(&self, counted: &[QueueRow], delivery: Option<OffsetDateTime>, now: OffsetDateTime) -> Queue {
        let row = counted.iter().find(|row| row.name == self.name);
        let oldest_at = row.map_or(delivery.filter(|_| self.name == DELIVERIES), |row| row.oldest);
        let over = |patience| oldest_at.is_some_and(|oldest| now - oldest > patience);
        Queue {
            name: self.name.to_owned(),
            what: self.what,
            waiting: row.map(|row| row.waiting),
            oldest_at,
            overdue: self.patience.is_some_and(over),
        }
    }

    fn problem(&self, queue: &Queue, now: OffsetDateTime) -> Option<PlatformProblem> {
        let age = (now - queue.oldest_at.filter(|_| queue.overdue)?).whole_seconds();
        let many = match queue.waiting {
            Some(MOST_WAITING) => format!("{MOST_WAITING} or more"),
            Some(waiting) => waiting.to_string(),
            None => "some".to_owned(),
        };
        Some(PlatformProblem {
            what: format!("{}: {many} wait, the first for {age} s", self.what),
            remedy: self.remedy.to_owned(),
        })
    }
}

impl Process {
    fn read(row: ProcessRow) -> Self {
        let state = match (row.draining, row.silent_s > SILENT_S) {
            (false, false) => ProcessState::Running,
            (true, false) => ProcessState::Draining,
            (true, true) => ProcessState::Ended,
            (false, true) if row.replaced => ProcessState::Replaced,
            (false, true) => ProcessState::Silent,
        };
        Self {
            id: row.id,
            role: row.role,
            name: row.name,
            version: row.version,
            state,
            started_at: row.started_at,
            seen_at: row.seen_at,
            leases: row.leases,
        }
    }

    fn problem(&self) -> Option<PlatformProblem> {
        (self.state == ProcessState::Silent).then(|| PlatformProblem {
            what: format!("the process {} of the role {} has not been seen for a while", self.name, self.role),
            remedy: "see whether it was killed or cannot reach the database: its log says; if it was replaced, nothing is to be done"
                .to_owned(),
        })
    }
}

impl From<LeaseRow> for Lease {
    fn from(row: LeaseRow) -> Self {
        Self {
            tenant_id: row.tenant,
            slug: row.slug,
            state: row.state.as_str(),
            owner: row.owner,
            until: row.until,
            epoch: row.epoch,
            taken_at: row.taken_at,
        }
    }
}

impl From<UnsentRow> for UnsentText {
    fn from(row: UnsentRow) -> Self {
        Self {
            tenant_id: row.tenant,
            message_id: row.message,
            since: row.since,
        }
    }
}

/// What a restore has left to be seen to.
fn of_life(life: &LifeRow, left: &LifeLeft) -> Vec<PlatformProblem> {
    let mut problems = Vec::new();
    if life.is_open() {
        problems.push(PlatformProblem {
            what: "the database was restored: opt-outs of the time that it has forgotten may be missing, and who says nothing is not texted"
                .to_owned(),
            remedy: "bring them back as docs/backup.md says, then POST /v1/platform/lives/{life}/settle".to_owned(),
        });
    }
    if left.in_doubt > 0 {
        problems.push(PlatformProblem {
            what: match left.in_doubt {
                1 => "of a text nobody knows whether it was sent before the database was restored".to_owned(),
                many => format!("of {many} texts nobody knows whether they were sent before the database was restored"),
            },
            remedy: "see the tenants' dead letters with the code ccm:restored: replay those that were not sent, discard the others".to_owned(),
        });
    }
    problems
}

fn of_leases(leases: &Leases) -> Option<PlatformProblem> {
    let unserved = leases.overdue + leases.nobodys;
    (unserved > 0).then(|| PlatformProblem {
        what: match unserved {
            1 => "a tenant has no owner: its chats are not served".to_owned(),
            many => format!("{many} tenants have no owner: their chats are not served"),
        },
        remedy: "see that a connector runs and reaches the database: it takes them within seconds".to_owned(),
    })
}

/// What of a tenant's fails, as its own overview says it.
fn of_tenant(tenant: &TenantRow, edges: &Edges, now: OffsetDateTime) -> Vec<TenantFailure> {
    let failure = |reason| TenantFailure {
        tenant_id: tenant.id,
        slug: tenant.slug.clone(),
        name: tenant.name.clone(),
        reason,
    };
    failures(edges, now).into_iter().map(failure).collect()
}

/// See how the platform does
///
/// Its processes, who owns which tenant, what waits, and whose links and accounts fail; with what to do about each. No texts, and no
/// customers' numbers. For the roles platform-admin, engineer and support.
#[utoipa::path(get, path = "/v1/platform", tag = "overview",
    responses((status = 200, description = "At this moment.", body = PlatformOverview), Always))]
pub async fn get_platform(
    State(deps): State<Deps>,
    _: Platform<may::ListTenants>,
) -> Result<Json<PlatformOverview>, Failure> {
    let operator = deps.db.operator();
    let now = deps.ids.clock().now();
    let most = MOST as i64;
    let processes: Vec<_> = operator
        .processes(most)
        .await?
        .into_iter()
        .map(Process::read)
        .collect();
    let leases = operator.lease_states(deps.lease_times, most).await?;
    let counted = operator.queues(now).await?;
    let delivery = operator.oldest_due_delivery(now).await?;
    let queues = QUEUES.iter().map(|known| known.read(&counted, delivery, now));
    let queues: Vec<_> = queues.collect();
    let failing = operator.failing_tenants(most + 1, now).await?;
    let mut more_failures = failing.len() > MOST;
    let tenants = operator
        .tenants_named(&failing[..failing.len().min(MOST)])
        .await?;
    let ids: Vec<_> = tenants.iter().map(|tenant| tenant.id).collect();
    let edges = deps.db.batch().edges(&ids, now).await?;
    let both = tenants.iter().zip(&edges);
    let mut failures: Vec<_> = both
        .flat_map(|(tenant, edges)| of_tenant(tenant, edges, now))
        .collect();
    failures.sort_by_key(|failure| failure.reason.since);
    more_failures |= failures.len() > MOST;
    failures.truncate(MOST);

    let lives = operator.lives(None, 1).await?;
    let none = || DbError::Corrupt("the database has no life; run ccm migrate".to_owned());
    let life = lives.into_iter().next().ok_or_else(none)?;
    let left = operator.left_of(&life).await?;

    let problems = of_life(&life, &left)
        .into_iter()
        .chain(processes.iter().filter_map(Process::problem))
        .chain(of_leases(&leases))
        .chain(
            QUEUES
                .iter()
                .zip(&queues)
                .filter_map(|(known, queue)| known.problem(queue, now)),
        );
    Ok(Json(PlatformOverview {
        at: now,
        problems: problems.collect(),
        processes,
        leases: LeaseOverview {
            owned: leases.owned,
            overdue: leases.overdue,
            nobodys: leases.nobodys,
            items: leases.first.into_iter().map(Lease::from).collect(),
        },
        queues,
        database: CurrentLife::new(life, left),
        oldest_unsent: operator.oldest_unsent().await?.map(UnsentText::from),
        failures,
        more_failures,
    }))
}
