//! Tenants' links, ready to dial: each is set up once, and all of its chats share its connect rate and circuit breaker.

use ccm_db::{Db, DbError, LinkRow, LinkSecrets, Scheme};
use ccm_ewc_client::{Chat, ClientIdentity, ConnectRate, Guard, Link, LinkConfig, LinkStatus, Proxy, Target};
use ccm_ewc_proto::session::Session;
use ccm_model::{IdSource, LinkId, TenantId};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};
use tokio_util::sync::CancellationToken;

/// One link of a tenant.
pub(crate) struct Reach {
    /// As it was configured when this was made.
    pub row: LinkRow,
    link: Link,
    held: AtomicBool,
    outdated: CancellationToken,
}

impl Reach {
    /// A chat over this link.
    pub fn chat(&self, session: Session) -> Chat {
        Chat::new(session, self.link.clone())
    }

    pub fn status(&self) -> LinkStatus {
        self.link.status()
    }

    /// Begins or ends a planned absence: nobody dials meanwhile, and open sockets stay.
    pub fn hold(&self, held: bool) {
        if self.held.swap(held, Relaxed) != held {
            self.link.hold(held);
        }
    }

    pub fn is_held(&self) -> bool {
        self.held.load(Relaxed)
    }

    /// The settings have changed: chats that are not in yet should begin anew with those of now.
    pub fn is_outdated(&self) {
        self.outdated.cancel();
    }

    /// Returns when they have.
    pub async fn outdated(&self) {
        self.outdated.cancelled().await;
    }
}

/// All links that this pod has dialled.
pub(crate) struct Links {
    config: LinkConfig,
    guard: Option<Guard>,
    ids: IdSource,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    usable: HashMap<LinkId, (TenantId, Arc<Reach>)>,
    unusable: HashMap<LinkId, (LinkRow, Unusable)>,
}

/// A link that cannot be dialled as it is configured.
#[derive(Debug, Clone)]
pub(crate) struct Unusable {
    pub tenant: TenantId,
    pub link: LinkId,
    pub error: String,
    pub remedy: &'static str,
}

impl Links {
    pub fn new(config: LinkConfig, guard: Option<Guard>, ids: IdSource) -> Self {
        Self {
            config,
            guard,
            ids,
            known: Mutex::default(),
        }
    }

    /// The link as it is configured now. Set up anew when its settings have changed; chats that are up stay as they are.
    /// `None` when the settings cannot be used, which is said on the log.
    pub async fn reach(
        &self,
        db: &Db,
        tenant: TenantId,
        row: LinkRow,
    ) -> Result<Option<Arc<Reach>>, DbError> {
        if let Some(reach) = self.known().current(&row) {
            return Ok(Some(reach));
        }
        let secrets = match row.client_cert_pem.is_some() || row.proxy_has_auth {
            true => db.tenant(tenant).link_secrets(row.id).await?,
            false => LinkSecrets::default(),
        };
        let (primary, secondary) = targets(&row, &secrets, self.guard.as_ref());
        let mut known = self.known();
        // Another of the tenant's chats may have been faster.
        if let Some(reach) = known.current(&row) {
            return Ok(Some(reach));
        }
        let before = known.usable.get(&row.id).map(|(_, reach)| reach.clone());
        // Chats over the old settings and the new ones together keep to one rate.
        let rate = match &before {
            Some(old) if old.row.connects_per_second == row.connects_per_second => old.link.rate().clone(),
            _ => ConnectRate::per_second(row.connects_per_second.into()),
        };
        let link = Link::new(
            &primary,
            secondary.as_ref(),
            rate,
            self.config.clone(),
            self.ids.next_u64(),
        );
        if let Some(old) = before {
            old.is_outdated();
        }
        match link {
            Ok(link) => Ok(Some(known.usable(tenant, row, link))),
            Err(error) => {
                known.unusable(tenant, row, error.to_string(), error.remedy());
                Ok(None)
            }
        }
    }

    /// Every link that chats have asked for: those that can be dialled, and those that cannot.
    pub fn all(&self) -> (Vec<(TenantId, Arc<Reach>)>, Vec<Unusable>) {
        let known = self.known();
        let unusable = known.unusable.values().map(|(_, u)| u.clone());
        (known.usable.values().cloned().collect(), unusable.collect())
    }

    /// Forgets that a link cannot be used whose settings are others now: whoever needs it finds out anew.
    pub fn forget_unusable(&self, now: &[LinkRow]) {
        let mut known = self.known();
        for row in now {
            if known.unusable.get(&row.id).is_some_and(|(of, _)| of != row) {
                known.unusable.remove(&row.id);
            }
        }
    }

    /// Forgets links of tenants that are another pod's now.
    pub fn keep_only(&self, owned: &HashMap<TenantId, i64>) {
        let mut known = self.known();
        known.usable.retain(|_, (tenant, _)| owned.contains_key(tenant));
        known.unusable.retain(|_, (_, u)| owned.contains_key(&u.tenant));
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn current(&self, row: &LinkRow) -> Option<Arc<Reach>> {
        let (_, reach) = self.usable.get(&row.id)?;
        (reach.row == *row).then(|| reach.clone())
    }

    fn usable(&mut self, tenant: TenantId, row: LinkRow, link: Link) -> Arc<Reach> {
        self.unusable.remove(&row.id);
        let reach = Arc::new(Reach {
            link,
            held: AtomicBool::new(false),
            outdated: CancellationToken::new(),
            row,
        });
        self.usable.insert(reach.row.id, (tenant, reach.clone()));
        reach
    }

    fn unusable(&mut self, tenant: TenantId, row: LinkRow, error: String, remedy: &'static str) {
        self.usable.remove(&row.id);
        if self.unusable.get(&row.id).is_some_and(|(known, _)| *known == row) {
            return;
        }
        metrics::counter!("ccm_connector_links_unusable_total").increment(1);
        tracing::error!(link.id = %row.id, error, remedy, "the link's settings cannot be used; texts are held");
        let link = row.id;
        let unusable = Unusable {
            tenant,
            link,
            error,
            remedy,
        };
        self.unusable.insert(link, (row, unusable));
    }
}

/// Where a link's AACC is: the primary, and the other half of a high-availability pair where there is one.
pub fn targets(row: &LinkRow, secrets: &LinkSecrets, guard: Option<&Guard>) -> (Target, Option<Target>) {
    let at = |host: &str, port: u16| match row.scheme {
        Scheme::Wss => Target::wss(bare(host), port),
        Scheme::Ws => Target::ws(bare(host), port),
    };
    let proxy = row.proxy.as_ref().map(|p| {
        let proxy = Proxy::new(bare(&p.host), p.port);
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
        guard: guard.cloned(),
        ..at(&row.host, row.port)
    };
    let secondary = row.secondary.as_ref().map(|other| Target {
        host: bare(&other.host).to_owned(),
        port: other.port,
        // Pinned addresses are the primary's.
        addresses: Vec::new(),
        ..primary.clone()
    });
    (primary, secondary)
}

/// An IPv6 address is stored as addresses have it, in brackets, and dialled without.
fn bare(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ccm_db::HostPort;
    use ccm_model::Id;
    use uuid::Uuid;
    use zeroize::Zeroizing;

    #[test]
    fn all_of_a_links_reach_goes_into_its_targets() {
        let at = |host: &str, port| HostPort {
            host: host.into(),
            port,
        };
        let row = LinkRow {
            id: LinkId::from_uuid(Uuid::nil()),
            name: "aacc".into(),
            scheme: Scheme::Wss,
            host: "[2001:db8::1]".into(),
            port: 8445,
            path: "/x/chat".into(),
            ca_pem: Some("CA".into()),
            swap_angle_brackets: true,
            connects_per_second: 1.0,
            server_name: Some("aacc.internal".into()),
            addresses: vec!["192.0.2.1".parse().unwrap()],
            secondary: Some(at("[::2]", 443)),
            client_cert_pem: Some("CERT".into()),
            proxy: Some(at("[::3]", 3128)),
            proxy_has_auth: true,
            created_at: time::OffsetDateTime::UNIX_EPOCH,
            updated_at: time::OffsetDateTime::UNIX_EPOCH,
        };
        let secrets = LinkSecrets {
            client_key_pem: Some(Zeroizing::new("KEY".into())),
            proxy_auth: Some(Zeroizing::new("ccm:a:b".into())),
        };
        let (primary, secondary) = targets(&row, &secrets, None);
        assert_eq!((primary.host.as_str(), primary.port), ("2001:db8::1", 8445));
        assert_eq!(primary.client_identity, Some(ClientIdentity::new("CERT", "KEY")));
        assert_eq!(
            primary.proxy,
            Some(Proxy::new("::3", 3128).with_credentials("ccm", "a:b"))
        );
        assert_eq!(primary.addresses, row.addresses);
        let secondary = secondary.unwrap();
        assert_eq!((secondary.host.as_str(), secondary.port), ("::2", 443));
        assert!(
            secondary.addresses.is_empty(),
            "pinned addresses are the primary's"
        );
        assert_eq!(secondary.server_name, primary.server_name);
        assert_eq!((secondary.path, secondary.proxy), (primary.path, primary.proxy));
    }
}
