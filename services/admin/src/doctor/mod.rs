//! The link doctor over the API: examines a link, saved or not, and tells of each step while it is taken.

#![allow(
    unused_qualifications,
    reason = "utoipa's macro qualifies the types of paths and queries"
)]

mod examine;
pub(crate) mod page;
mod places;
mod plan;
pub(crate) mod reports;
pub(crate) mod schema;
mod share;

pub use examine::{examine_link, examine_new_link, examine_new_link_of_tenant};
pub use reports::{get_doctor_report, list_doctor_reports};
pub use share::{share_doctor_report, unshare_doctor_report};

// The macro that makes routes of handlers looks for these beside them.
pub use examine::{__path_examine_link, __path_examine_new_link, __path_examine_new_link_of_tenant};
pub use reports::{__path_get_doctor_report, __path_list_doctor_reports};
pub use share::{__path_share_doctor_report, __path_unshare_doctor_report};

use places::Places;

use ccm_db::{LinkRow, LinkSecrets};
use ccm_doctor::{Guard, Target};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How a link's settings become what is dialled: primary and secondary.
pub type Targets = fn(&LinkRow, &LinkSecrets, Option<&Guard>) -> (Target, Option<Target>);

/// What the doctor works with.
#[derive(Clone)]
pub struct DoctorDeps {
    targets: Targets,
    guard: Option<Guard>,
    ping_every: Duration,
    places: Places,
    stop: CancellationToken,
}

impl DoctorDeps {
    /// `targets` is the connector's own way, so that what the doctor sees is what a chat meets; `guard` says which addresses may be
    /// dialled (`None`: any), `ping_every` how often the connector pings its sockets, `at_once` how many links are examined at a
    /// time.
    pub fn new(targets: Targets, guard: Option<Guard>, ping_every: Duration, at_once: usize) -> Self {
        Self {
            targets,
            guard,
            ping_every,
            places: Places::new(at_once),
            stop: CancellationToken::new(),
        }
    }

    /// Ends examinations that are under way, and those that begin later.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }
}
