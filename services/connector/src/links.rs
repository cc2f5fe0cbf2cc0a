//! Tenants' links, ready to dial: TLS is set up once per link, and all of its chats share its connect rate.

use ccm_db::{LinkRow, Scheme};
use ccm_ewc_client::{ConnectRate, DialError, Link, LinkConfig, Target};
use ccm_ewc_proto::session::Event;
use ccm_model::LinkId;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

/// One link of a tenant.
pub(crate) struct Reach {
    pub link: Link,
    pub swap_angle_brackets: bool,
    id: LinkId,
    connects_per_second: f32,
    /// No chat could be had since one was had last: said once, not by each of a thousand chats at each of their tries.
    failing: AtomicBool,
}

impl Reach {
    /// Follows how the link does. Whether this event says that a chat's try to get in, or to stay in, has failed.
    pub fn note(&self, event: &Event, logged_in: bool, dial_error: Option<&DialError>) -> bool {
        match event {
            Event::ChatOpened { .. } | Event::Resumed { .. } => {
                if self.failing.swap(false, Relaxed) {
                    tracing::info!(link.id = %self.id, "the link works again");
                }
                false
            }
            Event::ConnectFailed { .. } => {
                if !self.failing.swap(true, Relaxed) {
                    let (error, remedy) = dial_error
                        .map(|e| (tracing::field::display(e), e.remedy()))
                        .unzip();
                    tracing::warn!(link.id = %self.id, error, remedy, "the link cannot be dialled; texts are held");
                }
                true
            }
            Event::LinkLost { why } => {
                if !logged_in && !self.failing.swap(true, Relaxed) {
                    tracing::warn!(link.id = %self.id, why = ?why, "AACC gives no chat; texts are held");
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
    usable: HashMap<LinkId, Arc<Reach>>,
    /// Settings that no dialer can be made of, as they were when that was said on the log.
    unusable: HashMap<LinkId, Target>,
}

impl Links {
    /// The link as it is configured now. Set up anew when its settings have changed; chats that are up stay as they are.
    /// `None` when the settings cannot be used, which is said on the log.
    pub fn reach(&self, row: &LinkRow) -> Option<Arc<Reach>> {
        let target = target(row);
        let mut known = self.0.lock().expect("nothing panics under this lock");
        if let Some(reach) = known.usable.get(&row.id)
            && *reach.link.primary().target() == target
            && reach.swap_angle_brackets == row.swap_angle_brackets
            && reach.connects_per_second == row.connects_per_second
        {
            return Some(reach.clone());
        }
        // The same rate as before, or old and new dials together would exceed it.
        let rate = match known.usable.get(&row.id) {
            Some(old) if old.connects_per_second == row.connects_per_second => old.link.rate().clone(),
            _ => ConnectRate::per_second(row.connects_per_second.into()),
        };
        let seed = row.id.0.as_u64_pair().1;
        let link = match Link::new(&target, None, rate, LinkConfig::default(), seed) {
            Ok(link) => link,
            Err(e) => {
                if known.unusable.get(&row.id) != Some(&target) {
                    metrics::counter!("ccm_connector_links_unusable_total").increment(1);
                    tracing::error!(
                        link.id = %row.id,
                        error = %e,
                        remedy = e.remedy(),
                        "the link's settings cannot be used; texts are held"
                    );
                    known.unusable.insert(row.id, target);
                }
                return None;
            }
        };
        known.unusable.remove(&row.id);
        let reach = Arc::new(Reach {
            link,
            swap_angle_brackets: row.swap_angle_brackets,
            id: row.id,
            connects_per_second: row.connects_per_second,
            failing: AtomicBool::new(false),
        });
        known.usable.insert(row.id, reach.clone());
        Some(reach)
    }
}

/// Whether a chat that cannot be had over `old` may be had over `new`.
pub(crate) fn differ(new: &LinkRow, old: &LinkRow) -> bool {
    new.id != old.id || target(new) != target(old)
}

fn target(row: &LinkRow) -> Target {
    let target = match row.scheme {
        Scheme::Wss => Target::wss(&row.host, row.port),
        Scheme::Ws => Target::ws(&row.host, row.port),
    };
    Target {
        path: row.path.clone(),
        ca_pem: row.ca_pem.clone(),
        ..target
    }
}
