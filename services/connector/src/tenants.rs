//! What this pod knows of the tenants that it serves: shared by all of a tenant's chats, so that ten thousand chats do not
//! hold ten thousand copies.

use crate::{
    admission::Admission,
    links::{Links, Reach},
};
use ccm_db::{Db, DbError, LinkRow, OwnedTenant};
use ccm_ewc_proto::session;
use ccm_model::{ChatSettings, SmsSettings, TenantId};
use ccm_routing::{Router, RoutingSettings};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use time::OffsetDateTime;
use tokio::{sync::OnceCell, time::Instant};

/// One copy of each tenant's document, which all of its chats hold.
struct Shared<T>(Mutex<HashMap<TenantId, Arc<T>>>);

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: PartialEq> Shared<T> {
    fn share(&self, tenant: TenantId, read: T) -> Arc<T> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get(&tenant) {
            Some(same) if **same == read => same.clone(),
            _ => {
                let shared = Arc::new(read);
                known.insert(tenant, shared.clone());
                shared
            }
        }
    }

    fn keep_only(&self, owned: &HashMap<TenantId, i64>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|t, _| owned.contains_key(t));
    }
}

/// A tenant's rules, ready to decide.
#[derive(Clone, Default)]
struct Rules {
    router: Arc<Router>,
    /// 0: it has set none.
    revision: i64,
    looked_at: Option<Instant>,
}

/// How long a change of the rules may take to be heeded.
const RULES_LAST: Duration = Duration::from_secs(1);

/// What cannot be read sends every text to its number's own agents: better than to none.
fn made_ready(tenant: TenantId, document: serde_json::Value) -> Router {
    let read = serde_json::from_value::<RoutingSettings>(document).map_err(|e| e.to_string());
    let made = read.and_then(|settings| Router::new(&settings).map_err(|e| e.to_string()));
    made.unwrap_or_else(|error| {
        tracing::error!(tenant.id = %tenant, %error, "a tenant's routing cannot be used as it is stored: its numbers' own skillsets get all texts");
        Router::default()
    })
}

/// The tenants of a pod.
pub(crate) struct Tenants {
    pub links: Links,
    settings: Shared<ChatSettings>,
    sms_settings: Shared<SmsSettings>,
    routers: Mutex<HashMap<TenantId, Rules>>,
    admissions: Mutex<HashMap<TenantId, Counted>>,
    /// By whether an observing supervisor opens a chat, and whether one who barges in does.
    sessions: [[Arc<session::Config>; 2]; 2],
}

/// The count of one ownership, by its epoch; begun by the first who asks.
type Counted = (i64, Arc<OnceCell<Arc<Admission>>>);

impl Tenants {
    pub fn new(session: &session::Config, links: Links) -> Self {
        let config = |observer_opens_chat, barge_in_opens_chat| {
            Arc::new(session::Config {
                observer_opens_chat,
                barge_in_opens_chat,
                ..session.clone()
            })
        };
        let by_barging = |observer| [config(observer, false), config(observer, true)];
        Self {
            links,
            settings: Shared::default(),
            sms_settings: Shared::default(),
            routers: Mutex::default(),
            admissions: Mutex::default(),
            sessions: [by_barging(false), by_barging(true)],
        }
    }

    /// One copy of a tenant's settings.
    pub fn settings(&self, tenant: TenantId, read: ChatSettings) -> Arc<ChatSettings> {
        self.settings.share(tenant, read)
    }

    /// As [`Self::settings`].
    pub fn sms_settings(&self, tenant: TenantId, read: SmsSettings) -> Arc<SmsSettings> {
        self.sms_settings.share(tenant, read)
    }

    /// The tenant's rules, a moment old at most.
    pub async fn router(&self, db: &Db, tenant: TenantId) -> Result<Arc<Router>, DbError> {
        let known = {
            let routers = self.routers.lock().unwrap_or_else(PoisonError::into_inner);
            routers.get(&tenant).cloned().unwrap_or_default()
        };
        if known.looked_at.is_some_and(|at| at.elapsed() < RULES_LAST) {
            return Ok(known.router);
        }
        let (router, revision) = match db.tenant(tenant).routing_other_than(known.revision).await? {
            Some(row) => (Arc::new(made_ready(tenant, row.settings)), row.revision),
            None => (known.router, known.revision),
        };
        let rules = Rules {
            router: router.clone(),
            revision,
            looked_at: Some(Instant::now()),
        };
        let mut routers = self.routers.lock().unwrap_or_else(PoisonError::into_inner);
        routers.insert(tenant, rules);
        Ok(router)
    }

    /// The pace and patience of a tenant's sessions.
    pub fn session(&self, settings: &ChatSettings) -> Arc<session::Config> {
        let supervisors = &settings.supervisors;
        self.sessions[usize::from(supervisors.observer_opens_chat)]
            [usize::from(supervisors.barge_in_opens_chat)]
        .clone()
    }

    /// The tenant's count of chats, begun anew with each ownership.
    pub async fn admission(
        &self,
        db: &Db,
        owned: OwnedTenant,
        now: OffsetDateTime,
    ) -> Result<Arc<Admission>, DbError> {
        let cell = {
            let mut known = self.admissions.lock().unwrap_or_else(PoisonError::into_inner);
            let entry = known.entry(owned.tenant).or_default();
            if entry.0 != owned.epoch {
                *entry = (owned.epoch, Arc::default());
            }
            entry.1.clone()
        };
        cell.get_or_try_init(|| async {
            let counted = db.tenant(owned.tenant).counted_chats(now).await?;
            Ok(Arc::new(Admission::new(counted)))
        })
        .await
        .cloned()
    }

    /// Lets in who waits for what AACC has given up meanwhile.
    pub fn look_again(&self, now: OffsetDateTime) {
        let known = self.admissions.lock().unwrap_or_else(PoisonError::into_inner);
        for admission in known.values().filter_map(|(_, cell)| cell.get()) {
            admission.look_again(now);
        }
    }

    /// The link as it is configured now; `None` when its settings cannot be used.
    pub async fn reach(
        &self,
        db: &Db,
        tenant: TenantId,
        row: LinkRow,
    ) -> Result<Option<Arc<Reach>>, DbError> {
        self.links.reach(db, tenant, row).await
    }

    /// Forgets tenants that are another pod's now.
    pub fn keep_only(&self, owned: &HashMap<TenantId, i64>) {
        self.settings.keep_only(owned);
        self.sms_settings.keep_only(owned);
        let mut routers = self.routers.lock().unwrap_or_else(PoisonError::into_inner);
        routers.retain(|t, _| owned.contains_key(t));
        let mut admissions = self.admissions.lock().unwrap_or_else(PoisonError::into_inner);
        admissions.retain(|t, _| owned.contains_key(t));
        self.links.keep_only(owned);
    }
}
