//! Whose webhook it is, and whose number was texted.
//!
//! A look-up that the database does not answer is asked again until its caller drops it: a restart of the database is not
//! the provider's trouble.

use ccm_db::{AccountRules, Db, DbError};
use ccm_model::{AccountId, Address, NumberId, ProviderKind, SmsSettings, TenantId};
use ccm_runtime::Fresh;
use ccm_sms::{Account, AccountError};
use ccm_sms_text::keyword::Keywords;
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

/// How long a change of settings may take to be seen here.
const LASTS: Duration = Duration::from_secs(1);
/// Far more accounts and numbers than text within a second; unknown ones count too, so that guessing costs us little.
const CAPACITY: usize = 20_000;
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// A provider account, ready to check signatures with, and what its tenant wants done with texts.
pub(crate) struct Owned {
    pub tenant: TenantId,
    pub rules: AccountRules,
    pub settings: SmsSettings,
    pub keywords: Keywords,
    /// As it can be used; or what is wrong with it.
    pub account: Result<Account, AccountError>,
    pub kind: ProviderKind,
}

pub(crate) struct Lookups {
    db: Db,
    accounts: Fresh<AccountId, Option<Arc<Owned>>>,
    numbers: Fresh<(AccountId, Address), Option<(TenantId, NumberId)>>,
}

impl Lookups {
    pub fn new(db: Db) -> Self {
        Self {
            db,
            accounts: Fresh::new(LASTS, CAPACITY),
            numbers: Fresh::new(LASTS, CAPACITY),
        }
    }

    /// The account, if there is one.
    pub async fn account(&self, id: AccountId) -> Result<Option<Arc<Owned>>, DbError> {
        again(|| self.accounts.get(id, self.load(id))).await
    }

    async fn load(&self, id: AccountId) -> Result<Option<Arc<Owned>>, DbError> {
        let Some(tenant) = self.db.operator().account_owner(id).await? else {
            return Ok(None);
        };
        let stored = match self.db.tenant(tenant).account_secret(id).await {
            Ok(stored) => stored,
            Err(DbError::NotFound(_)) => return Ok(None),
            Err(e) => return Err(e),
        };
        let (settings, _) = self.db.tenant(tenant).settings::<SmsSettings>().await?;
        let kind = stored.account.kind;
        let account = Account::parse(kind, &stored.account.settings, &stored.secret);
        Ok(Some(Arc::new(Owned {
            tenant,
            account,
            kind,
            keywords: settings.consent.keywords(),
            settings,
            rules: stored.account.rules,
        })))
    }

    /// The number that the account knows under this address.
    pub async fn number(
        &self,
        account: AccountId,
        address: &Address,
    ) -> Result<Option<(TenantId, NumberId)>, DbError> {
        again(|| {
            let ask = async { self.db.operator().find_number(account, address).await };
            self.numbers.get((account, address.clone()), ask)
        })
        .await
    }
}

/// A call that the database does not answer is made again until its caller drops it.
pub(crate) async fn again<T, F: Future<Output = Result<T, DbError>>>(
    mut call: impl FnMut() -> F,
) -> Result<T, DbError> {
    loop {
        match call().await {
            Err(e) if e.is_retryable() => sleep(LOOK_AGAIN).await,
            other => return other,
        }
    }
}
