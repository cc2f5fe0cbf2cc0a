//! One claimed line: its texts, one after the other.

use crate::{
    Settings,
    ask::{self, Window},
    circuit::{Change, Circuits, Seen},
    outcome::{self, Attempt},
};
use ccm_db::{AccountEventRow, Claim, Db, DbError, Head, Outcome, Sender, Sending};
use ccm_model::{AccountId, IdSource, MessageId, ProviderKind, TenantId};
use ccm_runtime::{Fresh, Lifecycle, trace};
use ccm_sms::{Account, Client};
use serde_json::json;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use time::OffsetDateTime;
use tokio::time::{Instant, sleep};
use tracing::{Instrument, Span, field::Empty};
use uuid::Uuid;

/// A line that cannot be read (a bug, a damaged row) is looked at again after this, so that it does not spin.
const UNREADABLE: Duration = Duration::from_secs(60);
/// What a try of a paused account may take besides the provider's answer: the wait for the number's moment, the database.
const TRY_MARGIN: Duration = Duration::from_secs(5);
/// How long a call that the database did not answer waits for the next attempt.
const DATABASE_AGAIN: Duration = Duration::from_millis(200);

/// How long a change of an account's secret may take to be heeded.
const ACCOUNTS_LAST: Duration = Duration::from_secs(1);
const MOST_ACCOUNTS: usize = 20_000;

/// What works lines; shared by all of a pod's tasks.
pub(crate) struct Worker {
    pub db: Db,
    ids: IdSource,
    pub http: Client,
    circuits: Mutex<Circuits>,
    accounts: Fresh<AccountId, Result<Arc<Account>, String>>,
    pub provider_timeout: Duration,
    hold: Duration,
    give_up_after: Duration,
    pub receipts_base: String,
}

enum Next {
    /// The line is still ours and has another text.
    More,
    Done,
}

impl Worker {
    pub fn new(db: Db, ids: IdSource, http: Client, settings: &Settings) -> Self {
        Self {
            db,
            ids,
            http,
            circuits: Mutex::new(Circuits::new(settings.provider_timeout + TRY_MARGIN)),
            accounts: Fresh::new(ACCOUNTS_LAST, MOST_ACCOUNTS),
            provider_timeout: settings.provider_timeout,
            hold: settings.claim,
            give_up_after: settings.give_up_after,
            receipts_base: settings.receipts_base.clone(),
        }
    }

    pub fn random(&self) -> u64 {
        self.ids.next_u64()
    }

    pub async fn claim(&self, limit: usize, except: &[TenantId]) -> Result<Vec<Claim>, DbError> {
        let token = Uuid::from_u64_pair(self.random(), self.random());
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.db
            .operator()
            .claim_lines(token, self.hold, limit, except)
            .await
    }

    pub async fn next_due(&self) -> Result<Option<Duration>, DbError> {
        self.db.operator().next_line_due().await
    }

    /// Sends the line's texts until none is left, one has to wait, or the process drains.
    pub async fn work(self: Arc<Self>, claim: Claim, life: Lifecycle) {
        while !life.is_draining() {
            if let Next::Done = self.next_text(&claim).await {
                return;
            }
        }
        // Should it fail, the claim expires.
        let _ = self
            .db
            .tenant(claim.tenant)
            .release_line(&claim, Duration::ZERO)
            .await;
    }

    async fn next_text(&self, claim: &Claim) -> Next {
        let (began, head) = self.begin(claim).await;
        let sending = match head {
            Ok(Head::Send(sending)) => sending,
            Ok(Head::OptedOut {
                message,
                account,
                kind,
            }) => return self.opted_out(claim, message, account, kind).await,
            Ok(Head::Capped {
                message,
                account,
                kind,
            }) => return self.capped(claim, message, account, kind).await,
            Ok(Head::InDoubt {
                message,
                account,
                kind,
            }) => {
                outcome::in_doubt(claim, message, kind);
                return self.finish(claim, message, account, &Outcome::InDoubt).await;
            }
            Ok(Head::Later | Head::Empty | Head::Lost) => return Next::Done,
            // The claim expires.
            Err(e) if e.is_retryable() => return Next::Done,
            Err(error) => {
                metrics::counter!("ccm_dispatch_unreadable_total").increment(1);
                tracing::error!(
                    tenant.id = %claim.tenant,
                    conversation.id = %claim.conversation,
                    %error,
                    "the head of a conversation's outgoing texts cannot be read, and holds up those behind it"
                );
                let _ = self.db.tenant(claim.tenant).release_line(claim, UNREADABLE).await;
                return Next::Done;
            }
        };
        let span = tracing::info_span!(
            "dispatch.send",
            tenant.id = %claim.tenant,
            conversation.id = %claim.conversation,
            message.id = %sending.message,
            account.id = %sending.account,
            provider.kind = %sending.kind,
            attempt = sending.attempt,
            segments = sending.segments,
            resend = Empty,
            outcome = Empty,
        );
        if let Some(parent) = &sending.trace {
            trace::follow(&span, parent);
        }
        let window = Window {
            leaves: Instant::now() + sending.wait,
            closes: began + sending.held,
        };
        self.send(claim, &sending, window).instrument(span).await
    }

    /// A text that nobody is to get any more.
    async fn opted_out(
        &self,
        claim: &Claim,
        message: MessageId,
        account: AccountId,
        kind: ProviderKind,
    ) -> Next {
        outcome::failed(claim, kind.as_str(), "opted_out");
        tracing::info!(
            tenant.id = %claim.tenant,
            conversation.id = %claim.conversation,
            message.id = %message,
            "a text is not sent: its customer has opted out"
        );
        self.finish(claim, message, account, &Outcome::OptedOut).await
    }

    /// A text that is more than its tenant may send.
    async fn capped(
        &self,
        claim: &Claim,
        message: MessageId,
        account: AccountId,
        kind: ProviderKind,
    ) -> Next {
        outcome::failed(claim, kind.as_str(), "capped");
        tracing::warn!(
            tenant.id = %claim.tenant,
            conversation.id = %claim.conversation,
            message.id = %message,
            "a text is not sent: its tenant has sent as much as it may"
        );
        self.finish(claim, message, account, &outcome::capped()).await
    }

    /// Takes the line's head, and says when it began to. While the database is away it is tried again for as long as a
    /// claim lasts: the text need not wait for that to expire.
    async fn begin(&self, claim: &Claim) -> (Instant, Result<Head, DbError>) {
        let tenant = self.db.tenant(claim.tenant);
        let paused = |account: AccountId| {
            let mut circuits = self.circuits.lock().expect("no panic while locked");
            circuits.paused(account, Instant::now(), self.random())
        };
        let sender = Sender {
            hold: self.hold,
            knows: ask::knows,
            paused: &paused,
            as_sent: &ask::as_sent,
        };
        let claimed = Instant::now();
        loop {
            let began = Instant::now();
            let head = tenant.begin_send(claim, &sender, self.now()).await;
            match head {
                Err(e) if e.is_retryable() && claimed.elapsed() < self.hold => sleep(DATABASE_AGAIN).await,
                head => return (began, head),
            }
        }
    }

    async fn send(&self, claim: &Claim, sending: &Sending, window: Window) -> Next {
        let attempt = if self.is_too_old(sending) {
            Attempt::TooOld
        } else {
            match self.account(claim.tenant, sending.account).await {
                Ok(account) => self.ask(claim, &account, sending, window).await,
                Err(attempt) => attempt,
            }
        };
        let change = attempt
            .seen()
            .and_then(|seen| self.note(claim.tenant, sending.account, seen));
        let elsewhere = sending.has_second && self.is_paused(sending.account);
        let now = self.now();
        let outcome = outcome::decide(
            &attempt,
            sending,
            elsewhere,
            now,
            self.give_up_after,
            self.random(),
        );
        Span::current().record("outcome", outcome::name(&outcome));
        let account = match &attempt {
            Attempt::Found { account, .. } => *account,
            _ => sending.account,
        };
        let more = self.finish(claim, sending.message, account, &outcome).await;
        outcome::tell(&attempt, &outcome, claim, sending, self.now());
        if let Some(change) = change {
            self.write_down(claim.tenant, sending.account, change, &attempt)
                .await;
        }
        more
    }

    fn is_too_old(&self, sending: &Sending) -> bool {
        self.now() - sending.created_at > self.give_up_after
    }

    /// A moment old at most.
    pub async fn account(&self, tenant: TenantId, id: AccountId) -> Result<Arc<Account>, Attempt> {
        let load = async {
            let stored = self.db.tenant(tenant).account_secret(id).await?;
            let account = Account::parse(stored.account.kind, &stored.account.settings, &stored.secret);
            Ok(account.map(Arc::new).map_err(|e| e.to_string()))
        };
        match self.accounts.get(id, load).await {
            Ok(account) => account.map_err(Attempt::NoAccount),
            Err(e) if DbError::is_retryable(&e) => Err(Attempt::NotTried),
            Err(e) => Err(Attempt::NoAccount(e.to_string())),
        }
    }

    fn note(&self, tenant: TenantId, account: AccountId, seen: Seen) -> Option<Change> {
        let mut circuits = self.circuits.lock().expect("no panic while locked");
        let change = circuits.seen(account, seen, Instant::now(), self.random());
        metrics::gauge!("ccm_dispatch_accounts_paused").set(circuits.paused_accounts() as f64);
        drop(circuits);
        match change {
            Some(Change::Paused { pause }) => tracing::warn!(
                tenant.id = %tenant,
                account.id = %account,
                pause_ms = pause.as_millis() as u64,
                "a provider account fails again and again: its texts wait, one of them tries now and then"
            ),
            Some(Change::Recovered) => {
                tracing::info!(tenant.id = %tenant, account.id = %account, "a provider account works again");
            }
            Some(Change::Works) | None => {}
        }
        change
    }

    fn is_paused(&self, account: AccountId) -> bool {
        self.circuits
            .lock()
            .expect("no panic while locked")
            .is_paused(account)
    }

    /// Leaves word of it for whoever looks at the account. A word that the database does not take is not said again: the
    /// next change is.
    async fn write_down(&self, tenant: TenantId, account: AccountId, change: Change, attempt: &Attempt) {
        let (kind, detail) = match change {
            Change::Paused { .. } => {
                let (code, operator) = attempt.failure();
                ("failing", json!({ "code": code, "detail": operator }))
            }
            Change::Recovered | Change::Works => ("recovered", json!({})),
        };
        let event = AccountEventRow {
            id: self.ids.next(),
            account,
            kind: kind.to_owned(),
            at: self.now(),
            detail,
        };
        if let Err(error) = self.db.tenant(tenant).account_turned(&event).await {
            tracing::warn!(tenant.id = %tenant, account.id = %account, %error, "an account's event is not written down");
        }
    }

    /// Records the outcome. While the database is away it is tried again and again: what is forgotten here is sent twice.
    async fn finish(&self, claim: &Claim, message: MessageId, account: AccountId, outcome: &Outcome) -> Next {
        let tenant = self.db.tenant(claim.tenant);
        loop {
            let at = self.now();
            let recorded = tenant.finish_send(claim, message, account, outcome, &self.ids, at);
            match recorded.await {
                Ok(true) => return Next::More,
                Ok(false) => return Next::Done,
                Err(e) if e.is_retryable() => sleep(DATABASE_AGAIN).await,
                Err(error) => {
                    tracing::error!(
                        %error,
                        "what the provider answered cannot be recorded; the text is sent again when the claim expires"
                    );
                    return Next::Done;
                }
            }
        }
    }

    pub fn now(&self) -> OffsetDateTime {
        self.ids.clock().now()
    }
}
