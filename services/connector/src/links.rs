//! Tenants' links, ready to dial: TLS is set up once per link, and all of its chats share its connect rate.

use ccm_db::{LinkRow, Scheme};
use ccm_ewc_client::{ConnectRate, DialError, Dialer, Target};
use ccm_model::LinkId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

/// One link of a tenant.
pub(crate) struct Reach {
    pub dialer: Dialer,
    pub rate: ConnectRate,
    pub swap_angle_brackets: bool,
    connects_per_second: f32,
}

/// All links that this pod has dialled.
#[derive(Default)]
pub(crate) struct Links(Mutex<HashMap<LinkId, Arc<Reach>>>);

impl Links {
    /// The link as it is configured now. Set up anew when its settings have changed; chats that are up stay as they are.
    pub fn reach(&self, row: &LinkRow) -> Result<Arc<Reach>, DialError> {
        let target = target(row);
        let mut links = self.0.lock().expect("nothing panics under this lock");
        if let Some(reach) = links.get(&row.id)
            && *reach.dialer.target() == target
            && reach.swap_angle_brackets == row.swap_angle_brackets
            && reach.connects_per_second == row.connects_per_second
        {
            return Ok(reach.clone());
        }
        let reach = Arc::new(Reach {
            dialer: Dialer::new(&target)?,
            rate: ConnectRate::per_second(row.connects_per_second.into()),
            swap_angle_brackets: row.swap_angle_brackets,
            connects_per_second: row.connects_per_second,
        });
        links.insert(row.id, reach.clone());
        Ok(reach)
    }
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
