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
pub use places::Places;
pub use reports::{get_doctor_report, list_doctor_reports};
pub use share::{share_doctor_report, unshare_doctor_report};

// The macro that makes routes of handlers looks for these beside them.
pub use examine::{__path_examine_link, __path_examine_new_link, __path_examine_new_link_of_tenant};
pub use reports::{__path_get_doctor_report, __path_list_doctor_reports};
pub use share::{__path_share_doctor_report, __path_unshare_doctor_report};

use ccm_db::{LinkRow, LinkSecrets};
use ccm_doctor::{Guard, Target};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How a link's settings become what is dialled: primary and secondary.
pub type Targets = fn(&LinkRow, &LinkSecrets, Option<&Guard>) -> (Target, Option<Target>);

/// What the doctor works with.
#[derive(Clone)]
pub struct DoctorDeps {
    /// The connector's own way, so that what the doctor sees is what a chat meets.
    pub targets: Targets,
    /// Which addresses may be dialled. `None`: any.
    pub guard: Option<Guard>,
    /// How often the connector pings its sockets.
    pub ping_every: Duration,
    /// Who may be examined now.
    pub places: Places,
    /// Examinations that are under way end when it is cancelled.
    pub stop: CancellationToken,
}
