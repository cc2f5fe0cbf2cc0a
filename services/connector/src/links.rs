//! Tenants' links, ready to dial: TLS is set up once per link, and all of its chats share its connect rate.

use ccm_db::{Db, DbError, LinkRow, LinkSecrets, Scheme};
use ccm_ewc_client::{Chat, ClientIdentity, ConnectRate, DialError, Dialer, Proxy, Target};
use ccm_ewc_proto::session::{Event, Session};
use ccm_model::{LinkId, TenantId};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

/// One link of a tenant.
pub(crate) struct Reach {
    /// As it was configured when this was made.
    pub row: LinkRow,
    dialer: Dialer,
    rate: ConnectRate,
    /// No chat could be had since one was had last: said once, not by each of a thousand chats at each of their tries.
    failing: AtomicBool,
}

impl Reach {
    /// A chat over this link.
    pub fn chat(&self, session: Session) -> Chat {
        Chat::new(session, self.dialer.clone(), self.rate.clone())
    }

    /// A planned absence: nobody dials.
    pub fn is_held(&self) -> bool {
        false
    }

    /// Follows how the link does. Whether this event says that a chat's try to get in, or to stay in, has failed.
    pub fn note(&self, event: &Event, logged_in: bool, dial_error: Option<&DialError>) -> bool {
        match event {
            Event::ChatOpened { .. } | Event::Resumed { .. } => {
                if self.failing.swap(false, Relaxed) {
                    tracing::info!(link.id = %self.row.id, "the link works again");
                }
                false
            }
            Event::ConnectFailed { .. } => {
                if !self.failing.swap(true, Relaxed) {
                    let (error, remedy) = dial_error
                        .map(|e| (tracing::field::display(e), e.remedy()))
                        .unzip();
                    tracing::warn!(link.id = %self.row.id, error, remedy, "the link cannot be dialled; texts are held");
                }
                true
            }
            Event::LinkLost { why } => {
                if !logged_in && !self.failing.swap(true, Relaxed) {
                    tracing::warn!(link.id = %self.row.id, why = ?why, "AACC gives no chat; texts are held");
                }
                true
            }
            _ => false,
        }
    }
}

/// All links that this pod has dialled.
#[derive(Default)]
pub(crate) struct Links(Mutex<Known>);

#[derive(Default)]
struct Known {
    usable: HashMap<LinkId, (TenantId, Arc<Reach>)>,
    /// Settings that no dialer can be made of, as they were when that was said on the log.
    unusable: HashMap<LinkId, LinkRow>,
}

impl Links {
    /// The link as it is configured now. Set up anew when its settings have changed; chats that are up stay as they are.
    /// `None` when the settings cannot be used, which is said on the log.
    pub async fn reach(
        &self,
        db: &Db,
        tenant: TenantId,
        row: LinkRow,
    ) -> Result<Option<Arc<Reach>>, DbError> {
        if let Some((_, reach)) = self.known().usable.get(&row.id)
            && reach.row == row
        {
            return Ok(Some(reach.clone()));
        }
        let secrets = match row.client_cert_pem.is_some() || row.proxy_has_auth {
            true => db.tenant(tenant).link_secrets(row.id).await?,
            false => Default::default(),
        };
        let mut known = self.known();
        // Another of the tenant's chats may have been faster.
        if let Some((_, reach)) = known.usable.get(&row.id)
            && reach.row == row
        {
            return Ok(Some(reach.clone()));
        }
        let id = row.id;
        let dialer = match Dialer::new(&targets(&row, &secrets).0) {
            Ok(dialer) => dialer,
            Err(e) => {
                if known.unusable.get(&id) != Some(&row) {
                    metrics::counter!("ccm_connector_links_unusable_total").increment(1);
                    tracing::error!(
                        link.id = %id,
                        error = %e,
                        remedy = e.remedy(),
                        "the link's settings cannot be used; texts are held"
                    );
                    known.unusable.insert(id, row);
                }
                return Ok(None);
            }
        };
        known.unusable.remove(&id);
        let reach = Arc::new(Reach {
            dialer,
            rate: ConnectRate::per_second(row.connects_per_second.into()),
            failing: AtomicBool::new(false),
            row,
        });
        known.usable.insert(id, (tenant, reach.clone()));
        Ok(Some(reach))
    }

    /// Forgets links of tenants that are another pod's now.
    pub fn keep_only(&self, owned: &HashMap<TenantId, i64>) {
        self.known()
            .usable
            .retain(|_, (tenant, _)| owned.contains_key(tenant));
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Where a link's AACC is: the primary, and the other half of a high-availability pair where there is one.
fn targets(row: &LinkRow, secrets: &LinkSecrets) -> (Target, Option<Target>) {
    let at = |host: &str, port: u16| match row.scheme {
        Scheme::Wss => Target::wss(host, port),
        Scheme::Ws => Target::ws(host, port),
    };
    let proxy = row.proxy.as_ref().map(|p| {
        let proxy = Proxy::new(&p.host, p.port);
        match secrets.proxy_auth.as_ref().and_then(|auth| auth.split_once(':')) {
            Some((user, password)) => proxy.with_credentials(user, password),
            None => proxy,
        }
    });
    let identity = row.client_cert_pem.as_ref().zip(secrets.client_key_pem.as_ref());
    let identity = identity.map(|(chain, key)| ClientIdentity::new(chain, key.as_str()));
    let primary = Target {
        path: row.path.clone(),
        ca_pem: row.ca_pem.clone(),
        server_name: row.server_name.clone(),
        addresses: row.addresses.clone(),
        client_identity: identity,
        proxy,
        ..at(&row.host, row.port)
    };
    let secondary = row.secondary.as_ref().map(|other| Target {
        host: other.host.clone(),
        port: other.port,
        // Pinned addresses are the primary's.
        addresses: Vec::new(),
        ..primary.clone()
    });
    (primary, secondary)
}
