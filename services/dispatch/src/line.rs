//! One claimed line: its texts, one after the other.

use crate::{
    Error, Settings,
    circuit::{Change, Circuits, Seen},
    outcome::{self, Attempt},
};
use ccm_db::{Claim, Db, DbError, Head, Outcome, Sending};
use ccm_model::{AccountId, IdSource, TenantId};
use ccm_runtime::{Lifecycle, trace};
use ccm_sms::{Account, Outbound};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use time::OffsetDateTime;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{Instrument, Span, field::Empty};
use uuid::Uuid;

/// A line that cannot be read (a bug, a damaged row) is looked at again after this, so that it does not spin.
const UNREADABLE: Duration = Duration::from_secs(60);
/// What a try of a paused account may take besides the provider's answer: the wait for the number's moment, the database.
const TRY_MARGIN: Duration = Duration::from_secs(5);
/// How long a call that the database did not answer waits for the next attempt.
const DATABASE_AGAIN: Duration = Duration::from_millis(200);

/// What works lines; shared by all of a pod's tasks.
pub(crate) struct Worker {
    db: Db,
    ids: IdSource,
    http: reqwest::Client,
    circuits: Mutex<Circuits>,
    provider_timeout: Duration,
    hold: Duration,
    give_up_after: Duration,
}

enum Next {
    /// The line is still ours and has another text.
    More,
    Done,
}

impl Worker {
    pub fn new(db: Db, ids: IdSource, settings: &Settings) -> Result<Self, Error> {
        Ok(Self {
            db,
            ids,
            http: ccm_sms::client().map_err(Error::Client)?,
            circuits: Mutex::new(Circuits::new(settings.provider_timeout + TRY_MARGIN)),
            provider_timeout: settings.provider_timeout,
            hold: settings.claim,
            give_up_after: settings.give_up_after,
        })
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
            resend = sending.resend,
            outcome = Empty,
        );
        if let Some(parent) = &sending.trace {
            trace::follow(&span, parent);
        }
        let deadline = began + sending.wait + self.hold;
        self.send(claim, &sending, deadline).instrument(span).await
    }

    /// Takes the line's head, and says when it began to. While the database is away it is tried again for as long as a
    /// claim lasts: the text need not wait for that to expire.
    async fn begin(&self, claim: &Claim) -> (Instant, Result<Head, DbError>) {
        let tenant = self.db.tenant(claim.tenant);
        let paused = |account: AccountId| {
            let mut circuits = self.circuits.lock().expect("no panic while locked");
            circuits.paused(account, Instant::now(), self.random())
        };
        let claimed = Instant::now();
        loop {
            let began = Instant::now();
            let head = tenant
                .begin_send(claim, self.hold, ccm_sms::recognises_retries, &paused, self.now())
                .await;
            match head {
                Err(e) if e.is_retryable() && claimed.elapsed() < self.hold => sleep(DATABASE_AGAIN).await,
                head => return (began, head),
            }
        }
    }

    /// `deadline`: when the claim expires.
    async fn send(&self, claim: &Claim, sending: &Sending, deadline: Instant) -> Next {
        let leaves = Instant::now() + sending.wait;
        let attempt = if self.is_too_old(sending) {
            Attempt::TooOld
        } else {
            match self.account(claim.tenant, sending.account).await {
                Ok(account) => {
                    sleep_until(leaves).await;
                    self.ask(&account, sending, deadline).await
                }
                Err(attempt) => attempt,
            }
        };
        if let Some(seen) = attempt.seen() {
            self.note(claim.tenant, sending.account, seen);
        }
        let outcome = outcome::decide(&attempt, sending, self.now(), self.give_up_after, self.random());
        Span::current().record("outcome", outcome::name(&outcome));
        let more = self.finish(claim, sending, &outcome).await;
        outcome::tell(&attempt, &outcome, claim, sending, self.now());
        more
    }

    fn is_too_old(&self, sending: &Sending) -> bool {
        self.now() - sending.created_at > self.give_up_after
    }

    async fn account(&self, tenant: TenantId, id: AccountId) -> Result<Account, Attempt> {
        let stored = match self.db.tenant(tenant).account_secret(id).await {
            Ok(stored) => stored,
            Err(e) if e.is_retryable() => return Err(Attempt::NotTried),
            Err(e) => return Err(Attempt::NoAccount(e.to_string())),
        };
        Account::parse(stored.account.kind, &stored.account.settings, &stored.secret)
            .map_err(|e| Attempt::NoAccount(e.to_string()))
    }

    async fn ask(&self, account: &Account, sending: &Sending, deadline: Instant) -> Attempt {
        let limit = self.provider_timeout.min(account.timeout());
        // With the claim another pod gets the text: it must not be on its way from here then.
        if Instant::now() + limit > deadline {
            return Attempt::NotTried;
        }
        if sending.resend {
            metrics::counter!("ccm_dispatch_resends_total", "kind" => sending.kind.as_str()).increment(1);
        }
        let out = Outbound {
            message_id: sending.message,
            from: &sending.from,
            to: &sending.to,
            body: &sending.body,
            attempt: u32::try_from(sending.attempt).unwrap_or(u32::MAX),
            receipts_to: None,
            now: self.now(),
        };
        let asked = Instant::now();
        let answer = timeout(limit, ccm_sms::send(&self.http, account, &out)).await;
        metrics::histogram!("ccm_dispatch_provider_seconds", "kind" => sending.kind.as_str())
            .record(asked.elapsed().as_secs_f64());
        match answer {
            Ok(Ok(sent)) => Attempt::Sent(sent),
            Ok(Err(e)) => Attempt::Refused(e),
            Err(_) => Attempt::NoAnswer(limit),
        }
    }

    fn note(&self, tenant: TenantId, account: AccountId, seen: Seen) {
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
            None => {}
        }
    }

    /// Records the outcome. While the database is away it is tried again and again: what is forgotten here is sent twice.
    async fn finish(&self, claim: &Claim, sending: &Sending, outcome: &Outcome) -> Next {
        let tenant = self.db.tenant(claim.tenant);
        loop {
            let at = self.now();
            match tenant.finish_send(claim, sending.message, outcome, at).await {
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

    fn now(&self) -> OffsetDateTime {
        self.ids.clock().now()
    }
}
