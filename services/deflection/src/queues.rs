//! How busy skillsets are. AACC is asked once for all callers of some seconds, and nobody waits for it longer than a moment.

use ccm_db::{Db, LinkRow, LinkSecrets};
use ccm_ewc_client::{Dialer, Guard, QueueError, QueueMetrics, Target, currentqueue};
use ccm_model::{LinkId, TenantId};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::AcqRel, Ordering::Release},
    },
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

/// Where a link's AACC is: the primary, and the other half of a pair where there is one.
pub type Targets = fn(&LinkRow, &LinkSecrets, Option<&Guard>) -> (Target, Option<Target>);

/// How long an answer of AACC's is good.
#[derive(Debug, Clone, Copy)]
pub struct QueueTimes {
    /// It is not asked again meanwhile.
    pub fresh: Duration,
    /// An older answer will do for so long while a new one does not come.
    pub stale: Duration,
    /// How long a request waits for a new one.
    pub wait: Duration,
}

/// How a skillset stood when it was asked about last.
#[derive(Debug, Clone, Default)]
struct Seen {
    asked: Option<Instant>,
    /// The last answer, which may be older than the last question.
    answer: Option<(Instant, QueueMetrics)>,
}

struct Skillset {
    seen: watch::Sender<Seen>,
    asking: AtomicBool,
}

type Key = (LinkId, String);

/// Skillsets that may be remembered before those that nobody has asked about for a while are let go.
const MOST: usize = 10_000;

pub struct Queues {
    db: Db,
    targets: Targets,
    guard: Option<Guard>,
    times: QueueTimes,
    skillsets: Mutex<HashMap<Key, Arc<Skillset>>>,
    dialers: Mutex<HashMap<LinkId, (LinkRow, Arc<[Dialer]>)>>,
}

/// Why AACC was not even asked, or did not answer.
#[derive(Debug, thiserror::Error)]
enum Unanswered {
    #[error("the link's settings cannot be used")]
    Unusable,
    #[error(transparent)]
    Db(#[from] ccm_db::DbError),
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl Queues {
    pub fn new(db: Db, targets: Targets, guard: Option<Guard>, times: QueueTimes) -> Self {
        Self {
            db,
            targets,
            guard,
            times,
            skillsets: Mutex::default(),
            dialers: Mutex::default(),
        }
    }

    /// How busy a skillset is, as AACC says it or said it not long ago; `None` when it does not say.
    pub async fn ask(self: &Arc<Self>, tenant: TenantId, link: &LinkRow, name: &str) -> Option<QueueMetrics> {
        let skillset = self.skillset((link.id, name.to_owned()));
        let mut news = skillset.seen.subscribe();
        let seen = news.borrow_and_update().clone();
        if seen.asked.is_some_and(|at| at.elapsed() < self.times.fresh) {
            let answer = self.good(&seen);
            count(if answer.is_some() { "kept" } else { "unavailable" });
            return answer;
        }
        if !skillset.asking.swap(true, AcqRel) {
            // In a task of its own: what comes too late for this caller is there for the next one.
            tokio::spawn(
                self.clone()
                    .ask_now(skillset.clone(), tenant, link.clone(), name.to_owned()),
            );
        }
        let answered = timeout(self.times.wait, news.changed()).await;
        let answer = self.good(&skillset.seen.borrow());
        count(match (&answer, answered) {
            (None, _) => "unavailable",
            (Some(_), Ok(_)) => "asked",
            (Some(_), Err(_)) => "kept",
        });
        answer
    }

    fn good(&self, seen: &Seen) -> Option<QueueMetrics> {
        let (at, metrics) = seen.answer.as_ref()?;
        (at.elapsed() < self.times.stale.max(self.times.fresh)).then(|| metrics.clone())
    }

    async fn ask_now(
        self: Arc<Self>,
        skillset: Arc<Skillset>,
        tenant: TenantId,
        link: LinkRow,
        name: String,
    ) {
        // However this ends, the next caller may ask again.
        let _asking = Asking(&skillset.asking);
        let answer = self.metrics(tenant, &link, &name).await;
        let now = Instant::now();
        if let Err(error) = &answer {
            tracing::warn!(tenant.id = %tenant, link.id = %link.id, %error, "AACC does not say how busy a skillset is: its callers stay in the voice queue");
        }
        skillset.seen.send_modify(|seen| {
            seen.asked = Some(now);
            if let Ok(metrics) = answer {
                seen.answer = Some((now, metrics));
            }
        });
    }

    async fn metrics(
        &self,
        tenant: TenantId,
        link: &LinkRow,
        name: &str,
    ) -> Result<QueueMetrics, Unanswered> {
        let mut failure = Unanswered::Unusable;
        for dialer in self.dialers(tenant, link).await?.iter() {
            match currentqueue(dialer, name).await {
                Ok(all) => return Ok(of_skillset(all, name)),
                Err(error) => failure = error.into(),
            }
        }
        Err(failure)
    }

    /// The primary's and, of a pair, the other's. Made anew when the link has changed.
    async fn dialers(&self, tenant: TenantId, link: &LinkRow) -> Result<Arc<[Dialer]>, Unanswered> {
        if let Some((row, dialers)) = locked(&self.dialers).get(&link.id)
            && row == link
        {
            return Ok(dialers.clone());
        }
        let secrets = match link.client_cert_pem.is_some() || link.proxy_has_auth {
            true => self.db.tenant(tenant).link_secrets(link.id).await?,
            false => LinkSecrets::default(),
        };
        let (primary, secondary) = (self.targets)(link, &secrets, self.guard.as_ref());
        let made = std::iter::once(primary).chain(secondary);
        let dialers: Arc<[Dialer]> = made.filter_map(|target| Dialer::new(&target).ok()).collect();
        locked(&self.dialers).insert(link.id, (link.clone(), dialers.clone()));
        Ok(dialers)
    }

    fn skillset(&self, key: Key) -> Arc<Skillset> {
        let mut skillsets = locked(&self.skillsets);
        if skillsets.len() >= MOST && !skillsets.contains_key(&key) {
            let stale = self.times.stale;
            skillsets.retain(|_, skillset| {
                let asked = skillset.seen.borrow().asked;
                asked.is_some_and(|at| at.elapsed() < stale)
            });
        }
        let new = || Skillset {
            seen: watch::Sender::default(),
            asking: AtomicBool::new(false),
        };
        skillsets.entry(key).or_insert_with(|| Arc::new(new())).clone()
    }
}

/// AACC lists what it knows: a skillset that it does not name has nobody.
fn of_skillset(all: Vec<QueueMetrics>, name: &str) -> QueueMetrics {
    let nobody = || QueueMetrics {
        queue_name: name.to_owned(),
        customers_in_queue: 0,
        available_agents: 0,
        max_concurrent_chats: 0,
    };
    all.into_iter()
        .find(|metrics| metrics.queue_name == name)
        .unwrap_or_else(nobody)
}

struct Asking<'a>(&'a AtomicBool);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.store(false, Release);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn count(result: &'static str) {
    metrics::counter!("ccm_deflection_queue_checks_total", "result" => result).increment(1);
}
