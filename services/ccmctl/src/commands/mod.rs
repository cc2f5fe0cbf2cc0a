//! A file per subject.

pub mod dead_letters;
pub mod opt_outs;
pub mod tenant;

/// Whose things are meant.
#[derive(clap::Args)]
pub struct OfTenant {
    /// The tenant's slug or id.
    #[arg(long, env = "CCM_TENANT")]
    pub tenant: String,
}
