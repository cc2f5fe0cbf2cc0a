//! What metrics may say of single tenants.

use ccm_model::{Id, TenantId};
use metrics::SharedString;
use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

/// Beyond these.
const OTHER: &str = "other";

/// Names tenants in metrics' labels: the first so many that this process has to do with, all others are `other`. However many
/// tenants there are, a process has so many series and no more.
pub struct TenantLabels(Mutex<Known>);

struct Known {
    most: usize,
    of: HashMap<TenantId, Arc<str>>,
}

/// What happened to a tenant's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextEvent {
    /// A customer's text was stored.
    Accepted,
    /// A customer's text came to AACC.
    Delivered,
    /// No agent will get a customer's text.
    Refused,
    /// A provider took a text to a customer.
    Sent,
    /// No provider will take a text to a customer.
    Failed,
}

impl TextEvent {
    fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Delivered => "delivered",
            Self::Refused => "refused",
            Self::Sent => "sent",
            Self::Failed => "failed",
        }
    }
}

/// This process' labels.
static LABELS: LazyLock<TenantLabels> = LazyLock::new(|| TenantLabels::new(100));

impl TenantLabels {
    fn new(most: usize) -> Self {
        Self(Mutex::new(Known {
            most,
            of: HashMap::new(),
        }))
    }

    /// Names so many tenants in this process' metrics; 0: none.
    pub fn name_at_most(most: usize) {
        LABELS.0.lock().unwrap_or_else(PoisonError::into_inner).most = most;
    }

    fn of(&self, tenant: TenantId) -> SharedString {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(label) = known.of.get(&tenant) {
            return label.clone().into();
        }
        if known.of.len() >= known.most {
            return OTHER.into();
        }
        let label: Arc<str> = tenant.uuid().to_string().into();
        known.of.insert(tenant, label.clone());
        label.into()
    }
}

/// Counts a tenant's text; `seconds`: how long it took since it was stored, where that is worth knowing.
pub fn count_text(tenant: TenantId, event: TextEvent, seconds: Option<f64>) {
    let tenant = LABELS.of(tenant);
    let event = event.as_str();
    metrics::counter!("ccm_tenant_texts_total", "tenant" => tenant.clone(), "event" => event).increment(1);
    if let Some(seconds) = seconds {
        metrics::histogram!("ccm_tenant_text_seconds", "tenant" => tenant, "event" => event)
            .record(seconds.max(0.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_tenants_have_names() {
        let labels = TenantLabels::new(2);
        let of = |n| {
            labels
                .of(format!("00000000-0000-0000-0000-00000000000{n}").parse().unwrap())
                .to_string()
        };
        assert_eq!(of(1), "00000000-0000-0000-0000-000000000001");
        assert_eq!(of(2), "00000000-0000-0000-0000-000000000002");
        assert_eq!((of(3), of(4)), (OTHER.to_owned(), OTHER.to_owned()));
        assert_eq!(of(1), "00000000-0000-0000-0000-000000000001", "it keeps its name");
    }
}
