//! The running simulator and its handle.

use crate::{
    Account, Config, Event, FaultOrder, Kind, OpError, PhoneText, ReceivedText, Record, Retry, SentState,
    SentText, Setup, SimError, StatsView, WaitError, WallClock,
    agenda::{self, Agenda},
    book::{Book, Submission, Taken},
    control,
    edge::{Edge, Line},
    lanes::Lane,
    post,
    receipts::{self, Later},
    wire,
};
use axum::Router;
use futures::FutureExt;
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::{
    net::TcpListener,
    sync::{Notify, broadcast},
    time::{Instant, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Events that a slow reader may lag behind before it is told to read everything anew.
const EVENTS_KEPT: usize = 1024;

pub(crate) struct Shared {
    book: Mutex<Book>,
    changed: Notify,
    pub events: broadcast::Sender<Event>,
    pub http: reqwest::Client,
    pub retry: Retry,
    pub receipt_posts: u32,
    pub receipts: Agenda<receipts::Job>,
    lanes: Agenda<post::Job>,
    pub stop: CancellationToken,
    tasks: TaskTracker,
    now_ns: WallClock,
}

impl Shared {
    /// Never held across an await.
    pub fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().expect("no panic while the book is locked")
    }

    pub fn now_ns(&self) -> u64 {
        (self.now_ns)()
    }

    pub fn now_ms(&self) -> u64 {
        self.now_ns() / 1_000_000
    }

    /// Gives a text to the phone. What is returned beside starts its receipts when it is dropped.
    pub fn take(self: &Arc<Self>, new: Submission) -> (Taken, Later) {
        let (taken, job) = {
            let mut book = self.book();
            let taken = book.take(new, self.now_ns());
            let job = match &taken {
                Taken::New(text) => book.plan_receipts(text),
                Taken::Again(_) | Taken::KeyReused => None,
            };
            (taken, job)
        };
        if let Taken::New(text) | Taken::Again(text) = &taken {
            tracing::info!(message.id = %text.id, account = %text.account, duplicates = text.duplicates, "took a text for a phone");
            self.tell(Event::Received(text.clone()));
        }
        let shared = Arc::clone(self);
        (taken, Later { shared, job })
    }

    /// Texts wait in a lane that was idle.
    pub fn start_lane(&self, lane: Lane) {
        self.lanes.add(Instant::now(), post::Job::new(lane));
    }

    pub fn sent(&self, seq: u64) -> Option<SentText> {
        self.book().sent(seq).cloned()
    }

    pub fn change_sent(&self, seq: u64, change: impl FnOnce(&mut SentText)) {
        let event = self.book().change_sent(seq, change);
        if let Some(event) = event {
            self.tell(event);
        }
    }

    /// Somebody may be listening.
    pub fn tell(&self, event: Event) {
        let _ = self.events.send(event);
        self.nudge();
    }

    /// Something that nobody is told of has changed.
    pub fn nudge(&self) {
        self.changed.notify_waiters();
    }

    pub async fn until<T>(
        &self,
        limit: Duration,
        mut look: impl FnMut(&Book) -> Result<T, String>,
    ) -> Result<T, WaitError> {
        let mut so_far = String::new();
        let found = timeout(limit, async {
            loop {
                // Asked for before looking: a change in between is not missed.
                let mut changed = std::pin::pin!(self.changed.notified());
                changed.as_mut().enable();
                match look(&self.book()) {
                    Ok(found) => return found,
                    Err(now) => so_far = now,
                }
                changed.await;
            }
        })
        .await;
        found.map_err(|_| WaitError {
            waited: limit,
            so_far,
        })
    }
}

/// How long a connection to a webhook is kept that nothing goes over.
const IDLE: Duration = Duration::from_secs(2);

/// A handle to a running simulator; clones are handles to the same one.
#[derive(Clone)]
pub struct Sim {
    pub(crate) shared: Arc<Shared>,
    addr: SocketAddr,
    control_addr: SocketAddr,
}

impl Sim {
    /// Starts a simulator. It runs until [`Sim::shutdown`], or until its runtime ends.
    ///
    /// The process has installed rustls' default provider before: the HTTP client needs one.
    pub async fn start(config: Config) -> Result<Self, SimError> {
        if !config.control.ip().is_loopback() {
            return Err(SimError::ControlNotLoopback(config.control));
        }
        let mut book = Book::new(config.seed);
        for account in config.setup.accounts {
            book.set_account(account)?;
        }
        for (number, account) in config.setup.numbers {
            book.set_number(number, &account)?;
        }
        let (provider, addr) = bind(config.listen).await?;
        let (control, control_addr) = bind(config.control).await?;
        let (lanes, due_lanes) = agenda::agenda();
        let (receipts, due_receipts) = agenda::agenda();
        let shared = Arc::new(Shared {
            book: Mutex::new(book),
            changed: Notify::new(),
            events: broadcast::Sender::new(EVENTS_KEPT),
            http: reqwest::Client::builder()
                .timeout(config.retry.timeout)
                // So that what comes in a burst finds pods that have come since.
                .pool_idle_timeout(IDLE)
                .no_proxy()
                .build()?,
            retry: config.retry,
            receipt_posts: config.receipt_posts,
            receipts,
            lanes,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            now_ns: config.now_ns,
        });
        let sim = Self {
            shared: Arc::clone(&shared),
            addr,
            control_addr,
        };
        let provider = Edge {
            listener: provider,
            stop: shared.stop.clone(),
        };
        let app = wire::router(Arc::clone(&shared)).into_make_service_with_connect_info::<Line>();
        sim.spawn("the provider's API", axum::serve(provider, app).into_future());
        let app = control::router(sim.clone()).fallback(control::unknown);
        sim.spawn("the control API", axum::serve(control, app).into_future());
        let at_once = config.posts_at_once.max(1);
        let of = Arc::clone(&shared);
        let texts = agenda::run(due_lanes, at_once, move |job| post::step(Arc::clone(&of), job));
        sim.spawn("posting texts", texts.map(Ok));
        let told = agenda::run(due_receipts, at_once, move |job| {
            receipts::step(Arc::clone(&shared), job)
        });
        sim.spawn("posting receipts", told.map(Ok));
        Ok(sim)
    }

    /// Serves until the end. Not gracefully: an answer that hangs on purpose would hold that up for ever.
    fn spawn(&self, name: &'static str, server: impl Future<Output = std::io::Result<()>> + Send + 'static) {
        let stop = self.shared.stop.clone();
        self.shared.tasks.spawn(async move {
            tokio::select! {
                ended = server => if let Err(error) = ended {
                    tracing::error!(%error, "{name} ended");
                },
                () = stop.cancelled() => {}
            }
        });
    }

    /// Stops listening, answering and posting, as if the provider were gone.
    pub async fn shutdown(&self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }

    /// Where the provider's API is served.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn control_addr(&self) -> SocketAddr {
        self.control_addr
    }

    /// A Twilio account's `api_base`.
    pub fn api_base(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The `send_url` of a generic account, or of one whose provider has no name.
    pub fn send_url(&self, account: &str) -> String {
        match self.shared.book().kind_of(account) {
            Some(Kind::Custom) => format!("http://{}/custom/{account}/messages", self.addr),
            _ => format!("http://{}/http/{account}/send", self.addr),
        }
    }

    /// What CCM's account with one of these is made of: settings and secret.
    pub fn ccm_account(&self, account: &Account) -> (Value, Value) {
        let (base, secret) = (self.api_base(), account.secret.as_str());
        match account.kind {
            Kind::Twilio => (
                json!({"account_sid": account.name, "api_base": base}),
                json!({"auth_token": secret}),
            ),
            Kind::Http => (
                json!({"send_url": format!("{base}/http/{}/send", account.name)}),
                json!({"signing_secret": secret}),
            ),
            Kind::Vonage => (
                json!({"api_key": account.name, "api_base": base}),
                json!({"api_secret": secret, "signature_secret": secret}),
            ),
            Kind::Telnyx => (
                json!({"public_key": wire::telnyx::public_key(secret), "api_base": base}),
                json!({"api_key": secret}),
            ),
            Kind::Bandwidth => (
                json!({
                    "account_id": account.name, "application_id": wire::bandwidth::APPLICATION,
                    "callback_user": wire::bandwidth::USER, "api_base": base,
                }),
                json!({"api_user": wire::bandwidth::USER, "api_password": secret, "callback_password": secret}),
            ),
            Kind::Plivo => (
                json!({"auth_id": account.name, "api_base": base}),
                json!({"auth_token": secret}),
            ),
            Kind::Infobip => (
                json!({"api_base": base, "webhook_user": wire::infobip::USER}),
                json!({"api_key": secret, "webhook_password": secret}),
            ),
            Kind::Custom => (
                wire::custom::settings(&format!("{base}/custom/{}/messages", account.name)),
                json!({"webhook_secret": secret, "key": secret}),
            ),
        }
    }

    /// The control API, all under `/control`, for mounting elsewhere.
    pub fn control_router(&self) -> Router {
        control::router(self.clone())
    }

    /// Adds an account, or changes it.
    pub fn set_account(&self, account: Account) -> Result<(), OpError> {
        self.shared.book().set_account(account)
    }

    /// Tells where an account's texts are posted from now on; those that wait go there as well.
    pub fn set_webhook(&self, account: &str, url: &str) -> Result<(), OpError> {
        let mut book = self.shared.book();
        let known = book
            .accounts
            .get(account)
            .ok_or_else(|| OpError::NoSuchAccount(account.to_owned()))?;
        let changed = Account {
            webhook_url: Some(url.to_owned()),
            ..known.clone()
        };
        book.set_account(changed)
    }

    /// Accounts, by name, and the account of each sending number.
    pub fn setup(&self) -> Setup {
        let book = self.shared.book();
        Setup {
            accounts: book.accounts.values().cloned().collect(),
            numbers: book.numbers.clone(),
        }
    }

    /// Gives a sending number to an account.
    pub fn set_number(&self, number: &str, account: &str) -> Result<(), OpError> {
        self.shared.book().set_number(number.to_owned(), account)
    }

    /// A phone sends a text, which is on its way when this returns; see [`Sim::wait_accepted`].
    pub fn text(&self, from: &str, to: &str, text: &str) -> Result<SentText, OpError> {
        self.text_with_id(from, to, text, None)
    }

    /// The same with a provider's id of one's own, which may have been used before.
    pub fn text_with_id(
        &self,
        from: &str,
        to: &str,
        text: &str,
        id: Option<String>,
    ) -> Result<SentText, OpError> {
        let (sent, idle) = self
            .shared
            .book()
            .send(from, to, text, id, self.shared.now_ms())?;
        self.shared.tell(Event::Sent(sent.clone()));
        if idle {
            self.shared.start_lane((from.to_owned(), to.to_owned()));
        }
        Ok(sent)
    }

    /// A text that a phone sent, as it is now.
    pub fn sent(&self, seq: u64) -> Result<SentText, OpError> {
        self.shared.sent(seq).ok_or(OpError::NoSuchText(seq))
    }

    /// Waits until the webhook has accepted a text, or it was given up: `state` says which.
    pub async fn wait_accepted(&self, seq: u64, limit: Duration) -> Result<SentText, WaitError> {
        let settled = |book: &Book| match book.sent(seq) {
            Some(text) if text.state != SentState::Waiting => Ok(text.clone()),
            Some(text) => Err(format!(
                "posted {} times, last: {}",
                text.posts,
                text.last_failure.as_deref().unwrap_or("no answer yet")
            )),
            None => Err("there is no such text".to_owned()),
        };
        self.shared.until(limit, settled).await
    }

    /// Waits until a phone has received at least `n` texts, and returns all it has.
    pub async fn wait_received(
        &self,
        phone: &str,
        n: usize,
        limit: Duration,
    ) -> Result<Vec<ReceivedText>, WaitError> {
        let enough = |book: &Book| {
            let received = book.received_by(phone);
            if received.len() >= n {
                Ok(received)
            } else {
                Err(format!("{} of {n} texts", received.len()))
            }
        };
        self.shared.until(limit, enough).await
    }

    /// What a phone shows, both ways in order.
    pub fn phone(&self, number: &str) -> Vec<PhoneText> {
        self.shared.book().phone(number)
    }

    /// Everything since the start or the last reset.
    pub fn record(&self) -> Record {
        self.shared.book().record(0, usize::MAX)
    }

    /// What happens from now on. A reader that falls 1,024 events behind misses the oldest.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.shared.events.subscribe()
    }

    /// Orders something to go wrong.
    pub fn fault(&self, order: impl Into<FaultOrder>) {
        self.shared.book().faults.add(order.into());
    }

    /// What has been ordered and has not happened yet.
    pub fn faults(&self) -> Vec<FaultOrder> {
        self.shared.book().faults.list()
    }

    pub fn clear_faults(&self) {
        self.shared.book().faults.clear();
    }

    pub fn stats(&self) -> StatsView {
        self.shared.book().stats.view()
    }

    pub fn reset_stats(&self) {
        self.shared.book().stats = crate::stats::Stats::default();
    }

    /// Forgets texts, faults, manners, opt-outs and figures; accounts and numbers stay, with what is set for them.
    pub fn reset(&self) {
        self.shared.book().reset();
    }
}

async fn bind(addr: SocketAddr) -> Result<(TcpListener, SocketAddr), SimError> {
    let failed = |source| SimError::Bind { addr, source };
    let listener = TcpListener::bind(addr).await.map_err(failed)?;
    let addr = listener.local_addr().map_err(failed)?;
    Ok((listener, addr))
}
