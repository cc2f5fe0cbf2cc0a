//! Baselines: the least that the work takes, with the same crates, in processes of their own.

pub mod api;
pub mod connector;

use anyhow::Result;
use std::future::Future;

/// Runs a baseline on as many threads as the machine has cores, as `ccm` does.
pub fn block_on(work: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(work)
}
