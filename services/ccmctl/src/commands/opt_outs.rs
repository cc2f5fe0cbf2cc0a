use crate::{
    api::Api,
    commands::OfTenant,
    failure::Failure,
    output::{Said, cell, table, written},
};
use clap::Subcommand;
use serde_json::{Value, json};
use std::{
    fs::File,
    io::{self, Write},
    path::PathBuf,
};

#[derive(Subcommand)]
pub enum Command {
    /// Who gets no texts from which number.
    List {
        #[command(flatten)]
        of: OfTenant,
        /// How many at most.
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Everything that was ever said about consent, as CSV: the proof.
    Export {
        #[command(flatten)]
        of: OfTenant,
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
            Self::List { of, limit } => {
                let tenant = api.tenant(&of.tenant).await?.to_string();
                let path = ["v1", "tenants", &tenant, "opt-outs"];
                let (items, more) = api.pages(&path, &[], limit).await?;
                let rows: Vec<_> = items.iter().map(row).collect();
                let mut text = table(["NUMBER", "CUSTOMER", "SOURCE", "SINCE"], &rows);
                if more {
                    text += "there are more; ask with a larger --limit\n";
                }
                Ok(Said::new(json!({"items": items}), text))
            }
            Self::Export { of, customer, output } => {
                let tenant = api.tenant(&of.tenant).await?.to_string();
                let query: Vec<_> = customer
                    .map(|customer| ("customer", customer))
                    .into_iter()
                    .collect();
                export(api, &tenant, &query, output).await
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
    query: &[(&str, String)],
    output: Option<PathBuf>,
) -> Result<Said, Failure> {
    let path = ["v1", "tenants", tenant, "consent-events"];
    let mut pieces = api.stream(&path, query, "text/csv").await?;
    let mut to: Box<dyn Write> = match &output {
        Some(file) => Box::new(File::create_new(file).map_err(|e| {
            Failure::usage(
                format!("{} cannot be made: {e}", file.display()),
                "name a file that is not there yet",
            )
        })?),
        None => Box::new(io::stdout()),
    };
    let mut bytes = 0;
    while let Some(piece) = pieces.next().await? {
        bytes += piece.as_ref().len();
        written(to.write_all(piece.as_ref()))?;
    }
    written(to.flush())?;
    Ok(match output {
        Some(file) => Said::new(
            json!({"file": file, "bytes": bytes}),
            format!("{bytes} bytes in {}\n", file.display()),
        ),
        None => Said::nothing(),
    })
}
