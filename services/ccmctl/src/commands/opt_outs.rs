use crate::{
    api::{Api, Ask},
    failure::Failure,
    output::{Said, cell, saved, table},
};
use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Subcommand)]
pub enum Command {
    /// Who gets no texts from which number.
    List {
        /// How many at most.
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Everything that was ever said about consent, as CSV: the proof.
    Export {
        /// Only of this customer.
        #[arg(long)]
        customer: Option<String>,
        /// A new file to write to. Left out: standard output.
        #[arg(long, short)]
        output: Option<PathBuf>,
    },
}

impl Command {
    pub async fn run(self, api: &Api) -> Result<Said, Failure> {
        match self {
            Self::List { limit } => {
                let path = ["v1", "tenants", api.tenant().await?, "opt-outs"];
                let (items, more) = api.pages(&path, &[], limit).await?;
                let rows: Vec<_> = items.iter().map(row).collect();
                let mut text = table(&["NUMBER", "CUSTOMER", "SOURCE", "SINCE"], &rows);
                if more {
                    text += "there are more; ask with a larger --limit\n";
                }
                Ok(Said::new(json!({"items": items}), text))
            }
            Self::Export { customer, output } => {
                let tenant = api.tenant().await?;
                let query: Vec<_> = customer
                    .map(|customer| ("customer", customer))
                    .into_iter()
                    .collect();
                export(api, tenant, query, output).await
            }
        }
    }
}

fn row(of: &Value) -> [String; 4] {
    ["our_address", "customer_address", "source", "since"].map(|member| cell(of, member))
}

async fn export(
    api: &Api,
    tenant: &str,
    query: Vec<(&str, String)>,
    output: Option<PathBuf>,
) -> Result<Said, Failure> {
    let mut ask = Ask::new(Method::GET, &["v1", "tenants", tenant, "consent-events"]);
    ask.query = query;
    saved(api.stream(&ask, "text/csv").await?, output).await
}
