//! That this process is there, for whoever runs the platform (`GET /v1/platform`).

use crate::health::Lives;
use ccm_db::Db;
use ccm_model::PodId;
use ccm_runtime::Lifecycle;
use std::{convert::Infallible, time::Duration};
use tokio::time::sleep;

const EVERY: Duration = Duration::from_secs(15);
const AGAIN: Duration = Duration::from_secs(1);

/// Writes it down again and again, and at once that it drains. Never returns. What the database does not take now is told the next
/// time: that it is away, the health page says.
pub async fn tell(
    db: Db,
    id: PodId,
    role: &'static str,
    name: String,
    life: Lifecycle,
    lives: Lives,
) -> Result<(), Infallible> {
    // What the database last knew of others' lives is read before this one writes itself down.
    while lives.notice().await.is_err() {
        sleep(AGAIN).await;
    }
    loop {
        let draining = life.is_draining();
        let _ = db
            .operator()
            .process_is_there(id, role, &name, env!("CARGO_PKG_VERSION"), draining)
            .await;
        tokio::select! {
            () = sleep(EVERY) => {}
            () = life.draining(), if !draining => {}
        }
    }
}
