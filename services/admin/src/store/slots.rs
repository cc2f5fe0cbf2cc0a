use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use ccm_web::Problem;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many searches, transcripts and exports one pod makes at a time: however many are asked for, the database and the pod have time for
/// everything else.
#[derive(Debug, Clone)]
pub struct StoreSlots(Arc<Semaphore>);

impl StoreSlots {
    /// So many at a time.
    pub fn new(at_a_time: usize) -> Self {
        Self(Arc::new(Semaphore::new(at_a_time)))
    }

    /// A slot until it is dropped, unless all are taken.
    pub(crate) fn take(&self) -> Option<OwnedSemaphorePermit> {
        self.0.clone().try_acquire_owned().ok()
    }
}

impl Default for StoreSlots {
    fn default() -> Self {
        Self::new(4)
    }
}

/// What to answer when all slots are taken.
pub(super) fn busy() -> Response {
    metrics::counter!("ccm_admin_store_busy_total").increment(1);
    let problem = Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        "store-busy",
        "The message store is busy",
    )
    .detail("this pod is making as many searches, transcripts and exports as it may at a time")
    .remedy("send it again after 1 s");
    let mut response = problem.into_response();
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}
