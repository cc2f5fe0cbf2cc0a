use crate::doctor::DoctorRequest;
use ccm_auth::Role;
use ccm_model::TenantId;
use clap::{Args, Parser, Subcommand};
use std::{path::PathBuf, time::Duration};

/// Contact Center Messaging: SMS conversations with the agents of Avaya Aura Contact Center.
#[derive(Parser)]
#[command(version, about)]
pub struct Cli {
    /// The configuration file (TOML); `ccm config` prints one with every setting explained. CCM__SECTION__KEY in the
    /// environment wins over it.
    #[arg(long, global = true, env = "CCM_CONFIG")]
    pub config: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Take texts from SMS providers.
    Ingest,
    /// Send agents' texts to SMS providers.
    Dispatch,
    /// Hold the chats with tenants' AACCs.
    Connector,
    /// Serve the admin API.
    Admin,
    /// Answer what agents' pages ask.
    Screenpop,
    /// Answer voice scripts: offer waiting callers a text chat.
    Deflection,
    /// Tell tenants' programs what happens: webhooks out.
    Events,
    /// All seven roles in one process, for one machine.
    All,
    /// Bring the database schema up to date.
    Migrate,
    /// Print a bearer token for the admin API.
    Token(TokenRequest),
    /// Examine a link to an AACC step by step and say what is wrong, where, and what to do.
    Doctor(Box<DoctorRequest>),
    /// Print every setting with its default and explanation.
    Config,
}

#[derive(Args)]
pub struct TokenRequest {
    /// platform-admin, engineer, support, tenant-admin or tenant-viewer.
    #[arg(long)]
    pub role: Role,
    /// The tenant of a tenant-admin or tenant-viewer.
    #[arg(long)]
    pub tenant: Option<TenantId>,
    /// Whom the audit shall name.
    #[arg(long, default_value = "ccm token")]
    pub subject: String,
    /// How long it is valid, such as 15m, 8h or 30d.
    #[arg(long, default_value = "8h", value_parser = duration)]
    pub valid_for: Duration,
}

impl Command {
    /// As in logs and on health pages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Dispatch => "dispatch",
            Self::Connector => "connector",
            Self::Admin => "admin",
            Self::Screenpop => "screenpop",
            Self::Deflection => "deflection",
            Self::Events => "events",
            Self::All => "all",
            Self::Migrate => "migrate",
            Self::Token(_) => "token",
            Self::Doctor(_) => "doctor",
            Self::Config => "config",
        }
    }
}

/// Reads a number with its unit.
pub fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86400,
        _ => return Err("give a number and s, m, h or d, such as 8h".into()),
    };
    let number: u64 = number
        .parse()
        .map_err(|_| "give a number and s, m, h or d, such as 8h".to_owned())?;
    number
        .checked_mul(seconds)
        .map(Duration::from_secs)
        .ok_or_else(|| "is too long".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations() {
        assert_eq!(duration("8h"), Ok(Duration::from_secs(28_800)));
        assert_eq!(duration("30d"), Ok(Duration::from_secs(2_592_000)));
        assert!(
            duration("8").is_err() && duration("h").is_err() && duration("99999999999999999999d").is_err()
        );
    }
}
