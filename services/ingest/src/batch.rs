//! Many webhooks, few commits: each flush worker stores in one transaction whatever has come in while its last one was
//! under way. There is no timer: a text that comes alone is stored alone, at once.

use ccm_bus::{Bus, Wake};
use ccm_db::{Accepted, Db, DbError, IncomingText};
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    slice,
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Instant, sleep},
};

/// How texts are gathered.
#[derive(Debug, Clone, Copy)]
pub struct Batching {
    /// Transactions under way at once, 1 or more.
    pub workers: usize,
    /// Texts in one transaction at most, 1 or more.
    pub most: usize,
    /// Texts that may wait for each worker, 1 or more. More are refused.
    pub waiting: usize,
}

impl Default for Batching {
    fn default() -> Self {
        Self {
            workers: 3,
            most: 128,
            waiting: 2_048,
        }
    }
}

/// Why a text is not stored.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// Too many texts wait already. Nothing was tried.
    #[error("too many texts wait to be stored")]
    Full,
    /// This text, not the others of its batch.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The process ends.
    #[error("the process ends")]
    Ending,
}

/// Stores texts, in batches. Cheap to clone.
#[derive(Clone)]
pub struct Batcher {
    queues: Arc<[mpsc::Sender<Waiting>]>,
}

/// The workers of a [`Batcher`].
pub struct Workers(JoinSet<()>);

struct Waiting {
    text: IncomingText,
    answer: oneshot::Sender<Result<Accepted, AcceptError>>,
}

/// How long the database is left alone after it did not answer, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Texts that the database may leave unanswered one after the other before it counts as away.
const AWAY_AFTER: usize = 2;

impl Batcher {
    /// Starts the workers. `bus` is told of what is new.
    pub fn start(db: &Db, bus: &Bus, batching: Batching) -> (Self, Workers) {
        let mut workers = JoinSet::new();
        let queues = (0..batching.workers)
            .map(|_| {
                let (queue, waiting) = mpsc::channel(batching.waiting);
                let worker = Worker {
                    db: db.clone(),
                    bus: bus.clone(),
                    most: batching.most,
                };
                workers.spawn(worker.run(waiting));
                queue
            })
            .collect();
        (Self { queues }, Workers(workers))
    }

    /// Stores a text; returns when it is committed. While the database is away it waits: drop the call to give up. A
    /// conversation's texts are stored in the order of these calls.
    pub async fn accept(&self, text: IncomingText) -> Result<Accepted, AcceptError> {
        let (answer, answered) = oneshot::channel();
        self.queue(&text)
            .try_send(Waiting { text, answer })
            .map_err(|e| match e {
                mpsc::error::TrySendError::Full(_) => AcceptError::Full,
                mpsc::error::TrySendError::Closed(_) => AcceptError::Ending,
            })?;
        answered.await.unwrap_or(Err(AcceptError::Ending))
    }

    /// All texts of a conversation wait in one queue: two workers would race for their order.
    fn queue(&self, text: &IncomingText) -> &mpsc::Sender<Waiting> {
        let mut hasher = DefaultHasher::new();
        (text.route.tenant, &text.to, &text.from).hash(&mut hasher);
        &self.queues[hasher.finish() as usize % self.queues.len()]
    }
}

impl Workers {
    /// Returns when a worker has died, which none does as long as there are handles: what it had is not stored, and it
    /// takes no more. Cancel-safe.
    pub async fn died(&mut self) {
        self.0.join_next().await;
    }

    /// Returns when all handles are gone and what they left is stored.
    pub async fn finish(self) {
        self.0.join_all().await;
    }
}

struct Worker {
    db: Db,
    bus: Bus,
    most: usize,
}

impl Worker {
    async fn run(self, mut queue: mpsc::Receiver<Waiting>) {
        let mut batch = Vec::with_capacity(self.most);
        while queue.recv_many(&mut batch, self.most).await > 0 {
            let mut failures = 0;
            loop {
                // Nobody waits: the provider was told to come again, or has hung up and will.
                batch.retain(|waiting| !waiting.answer.is_closed());
                if batch.is_empty() {
                    break;
                }
                batch = self.store(batch, failures == 0).await;
                if !batch.is_empty() {
                    failures += 1;
                    sleep((FIRST_PAUSE * (1 << failures.min(8))).min(LONGEST_PAUSE)).await;
                }
            }
        }
    }

    /// Stores what it can and answers; returns what is to be tried again because the database does not answer. `tell`:
    /// say so on the log.
    async fn store(&self, batch: Vec<Waiting>, tell: bool) -> Vec<Waiting> {
        let (texts, answers): (Vec<_>, Vec<_>) = batch.into_iter().map(|w| (w.text, w.answer)).unzip();
        match self.commit(&texts).await {
            Ok(accepted) => {
                for (answer, accepted) in answers.into_iter().zip(accepted) {
                    // An error means that the webhook's connection is gone.
                    let _ = answer.send(Ok(accepted));
                }
                Vec::new()
            }
            Err(error) => {
                metrics::counter!("ccm_ingest_batches_failed_total").increment(1);
                if tell {
                    tracing::warn!(%error, texts = texts.len(), "a batch is not stored; its texts are tried one by one");
                }
                let batch = texts.into_iter().zip(answers);
                self.store_singly(batch.map(|(text, answer)| Waiting { text, answer }))
                    .await
            }
        }
    }

    /// One text that cannot be stored costs the others of its batch a moment, and nothing else.
    async fn store_singly(&self, batch: impl Iterator<Item = Waiting>) -> Vec<Waiting> {
        let (mut failed, mut away, mut any_stored) = (Vec::new(), 0, false);
        for waiting in batch {
            if away >= AWAY_AFTER {
                failed.push((waiting, None));
                continue;
            }
            match self.commit(slice::from_ref(&waiting.text)).await {
                Ok(accepted) => {
                    (away, any_stored) = (0, true);
                    let _ = waiting.answer.send(Ok(accepted[0]));
                }
                Err(e) if e.is_retryable() => {
                    away += 1;
                    failed.push((waiting, Some(e)));
                }
                Err(e) => {
                    (away, any_stored) = (0, true);
                    self.tell(&waiting.text, &e);
                    let _ = waiting.answer.send(Err(e.into()));
                }
            }
        }
        failed
            .into_iter()
            .filter_map(|(waiting, error)| match error {
                // The database is there, and this text it does not take now: its line must not wait for it.
                Some(e) if any_stored => {
                    self.tell(&waiting.text, &e);
                    let _ = waiting.answer.send(Err(e.into()));
                    None
                }
                _ => Some(waiting),
            })
            .collect()
    }

    fn tell(&self, text: &IncomingText, error: &DbError) {
        tracing::error!(
            tenant.id = %text.route.tenant,
            account.id = %text.route.account,
            number.id = %text.route.number,
            %error,
            "a text cannot be stored; its provider is told so"
        );
    }

    async fn commit(&self, texts: &[IncomingText]) -> Result<Vec<Accepted>, DbError> {
        let began = Instant::now();
        let accepted = self.db.batch().accept(texts).await?;
        metrics::histogram!("ccm_ingest_commit_seconds").record(began.elapsed().as_secs_f64());
        metrics::histogram!("ccm_ingest_batch_texts").record(texts.len() as f64);
        for new in &accepted {
            if let Accepted::New {
                tenant, conversation, ..
            } = *new
            {
                self.bus.publish(Wake::Inbound { tenant, conversation });
            }
        }
        Ok(accepted)
    }
}
