use crate::{
    api::Api,
    failure::Failure,
    output::{Said, cell, list},
};
use clap::{Args, Subcommand};
use serde_json::json;

#[derive(Subcommand)]
pub enum Command {
    /// Take texts and store them, but answer nobody.
    Suspend(Change),
    /// Carry texts again, those too that were stored meanwhile.
    Resume(Change),
}

#[derive(Args)]
pub struct Change {
    /// Its slug or id.
    tenant: String,
    /// Why, for those who read it later.
    #[arg(long)]
    reason: String,
}

impl Command {
    pub async fn run(self, api: &Api) -> Result<Said, Failure> {
        let (state, change) = match self {
            Self::Suspend(change) => ("suspended", change),
            Self::Resume(change) => ("active", change),
        };
        let tenant = api.tenant_named(&change.tenant).await?;
        let body = json!({"state": state, "reason": change.reason});
        let now = api.put(&["v1", "tenants", &tenant, "state"], &body).await?;
        let text = list(&[
            ("tenant", cell(&now, "slug")),
            ("state", cell(&now, "state")),
            ("since", cell(&now, "state_since")),
            ("by", cell(&now, "state_by")),
            ("reason", cell(&now, "state_reason")),
        ]);
        Ok(Said::new(now, text))
    }
}
