//! Whoever reads texts stands in the tenant's audit before the texts are answered.

use crate::{Deps, answer::Failure};
use ccm_db::Look;
use ccm_web::{Problem, TenantScope};

impl Deps {
    /// Notes that the scope's bearer is about to see this. Where that cannot be noted, nothing is to be seen.
    pub(crate) async fn looks<P>(&self, scope: &TenantScope<P>, at: Look) -> Result<(), Failure> {
        let now = self.ids.clock().now();
        let told = self.rows(scope).looked(at, &scope.actor, now).await;
        let told = told.map_err(|error| {
            metrics::counter!("ccm_admin_looks_refused_total").increment(1);
            Problem::unavailable(error)
                .detail("that you read this could not be written into the tenant's audit, so it is not shown")
        })?;
        if told {
            metrics::counter!("ccm_admin_looks_total", "what" => at.as_str()).increment(1);
        }
        Ok(())
    }
}
