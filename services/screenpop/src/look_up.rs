//! What the tenant's provider says about a number.

use crate::{Deps, failure::Failure};
use axum::http::StatusCode;
use ccm_db::{AccountSecret, NumberLookupRow, NumberRow, TenantDb};
use ccm_model::{AccountId, Address, TenantId};
use ccm_sms::{Account, Class, NumberFacts, NumberLookUpError, can_look_up_numbers, look_up_number};
use ccm_web::Problem;
use metrics::{counter, histogram};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::time::{Instant, timeout};
use tracing::Instrument;

/// What came of it.
#[derive(Debug)]
pub enum LookedUp {
    /// Now, or not long ago.
    Done(NumberLookupRow),
    /// There is nobody to ask; why, in words.
    Unavailable(&'static str),
    /// What the user reads, and whether and from when on it is worth trying again.
    Failed {
        user: &'static str,
        retryable: bool,
        after: Option<Duration>,
    },
}

impl Deps {
    /// Asks the provider behind `from`, one of the tenant's numbers, or behind all of them where that is one account.
    pub(crate) async fn look_up(
        &self,
        db: &TenantDb<'_>,
        number: &Address,
        from: Option<&Address>,
    ) -> Result<LookedUp, Failure> {
        if !matches!(number, Address::E164(_)) {
            return Ok(LookedUp::Unavailable("only full numbers can be looked up"));
        }
        let Some(id) = account(&db.numbers().await?, from)? else {
            return Ok(LookedUp::Unavailable(
                "the tenant has no number yet, so there is no provider to ask",
            ));
        };
        let stored = db.account_secret(id).await?;
        let kind = stored.account.kind;
        if !can_look_up_numbers(kind) {
            count(&stored, "unavailable");
            return Ok(LookedUp::Unavailable(
                "the provider of the tenant's number tells nothing about other numbers",
            ));
        }
        let now = self.ids.clock().now();
        if let Some(row) = db
            .number_lookup(number, now - self.settings.look_ups_kept)
            .await?
        {
            count(&stored, "kept");
            return Ok(LookedUp::Done(row));
        }
        let wait = db
            .take_number_lookup(self.settings.look_ups_per_minute, now)
            .await?;
        if let Some(wait) = wait {
            count(&stored, "limited");
            return Err(Failure::TooOften(wait));
        }
        // In a task of its own: the page may be gone before the provider answers, and what is paid for is kept.
        let (deps, tenant, number) = (self.clone(), db.id(), number.clone());
        let asking = async move { deps.ask_and_keep(tenant, &stored, &number, now).await };
        tokio::spawn(asking.in_current_span())
            .await
            .map_err(|error| Problem::internal(error).into())
    }

    async fn ask_and_keep(
        &self,
        tenant: TenantId,
        stored: &AccountSecret,
        number: &Address,
        now: OffsetDateTime,
    ) -> LookedUp {
        let db = self.db.tenant(tenant);
        match self.ask(stored, number, now).await {
            Ok(facts) => {
                count(stored, "asked");
                let row = row(facts, now);
                self.keep(&db, number, &row).await;
                LookedUp::Done(row)
            }
            Err(error) => {
                count(stored, "failed");
                failed(&db, stored.account.id, error)
            }
        }
    }

    async fn ask(
        &self,
        stored: &AccountSecret,
        number: &Address,
        now: OffsetDateTime,
    ) -> Result<NumberFacts, NumberLookUpError> {
        let kind = stored.account.kind;
        let account = Account::parse(kind, &stored.account.settings, &stored.secret)
            .map_err(|error| NumberLookUpError::unusable(&error))?;
        let limit = self.settings.look_up_timeout;
        let started = Instant::now();
        let answer = timeout(limit, look_up_number(&self.http, &account, number, now)).await;
        histogram!("ccm_screenpop_look_up_seconds", "kind" => kind.as_str())
            .record(started.elapsed().as_secs_f64());
        answer.unwrap_or_else(|_| Err(NumberLookUpError::too_slow(limit)))
    }

    /// The answer is paid for: it is given even if it cannot be kept.
    async fn keep(&self, db: &TenantDb<'_>, number: &Address, row: &NumberLookupRow) {
        let forget_before = row.at - self.settings.look_ups_kept;
        if let Err(error) = db.keep_number_lookup(number, row, forget_before).await {
            tracing::warn!(tenant.id = %db.id(), %error, "a look-up's answer was not kept; the next one is paid for again");
        }
    }
}

fn count(stored: &AccountSecret, result: &'static str) {
    counter!("ccm_screenpop_look_ups_total", "kind" => stored.account.kind.as_str(), "result" => result)
        .increment(1);
}

fn failed(db: &TenantDb<'_>, account: AccountId, error: NumberLookUpError) -> LookedUp {
    let (retryable, after) = match error.class {
        Class::Retryable { after } => (true, after),
        Class::Terminal => (false, None),
    };
    tracing::warn!(
        tenant.id = %db.id(), account.id = %account, provider.code = error.provider_code.as_deref(),
        error.retryable = retryable, %error, "a number was not looked up"
    );
    LookedUp::Failed {
        user: error.user,
        retryable,
        after,
    }
}

fn row(facts: NumberFacts, at: OffsetDateTime) -> NumberLookupRow {
    NumberLookupRow {
        valid: facts.valid,
        country: facts.country,
        line: facts.line,
        carrier: facts.carrier,
        mobile_country_code: facts.mobile_country_code,
        mobile_network_code: facts.mobile_network_code,
        at,
    }
}

/// The account that sends from `from`, or from all of the numbers. `None`: there are no numbers.
fn account(numbers: &[NumberRow], from: Option<&Address>) -> Result<Option<AccountId>, Failure> {
    let of = |number: &&NumberRow| from.is_none_or(|from| number.address == *from);
    let mut accounts = numbers.iter().filter(of).map(|number| number.account);
    match (accounts.next(), from) {
        (None, Some(_)) => Err(not_ours().into()),
        // A short code may be two accounts' number: either can be asked.
        (first, Some(_)) => Ok(first),
        (first, None) if accounts.all(|other| Some(other) == first) => Ok(first),
        (_, None) => Err(which().into()),
    }
}

fn not_ours() -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "refused-value",
        "A value is not taken",
    )
    .detail("from is none of the tenant's numbers")
    .field("from")
    .remedy("give the number that the customer is to be texted from")
}

fn which() -> Problem {
    Problem::invalid_field(
        "from",
        "from is missing, and the tenant's numbers are of several accounts",
    )
    .remedy("give the number that the customer is to be texted from, like from=%2B353861234567: its account is asked")
}
