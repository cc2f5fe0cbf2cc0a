use crate::doctor::DoctorRequest;
use ccm_auth::Role;
use ccm_model::TenantId;
use clap::{Args, Parser, Subcommand};
use std::{path::PathBuf, time::Duration};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Contact Center Messaging: SMS conversations with the agents of Avaya Aura Contact Center.
#[derive(Parser)]
#[command(name = "ccm", version, about)]
pub struct Cli {
    /// The configuration file (TOML); `ccm config` prints one with every setting explained. CCM__SECTION__KEY in the
    /// environment wins over it, and --set over that.
    #[arg(long, global = true, env = "CCM_CONFIG")]
    pub config: Option<PathBuf>,
    /// One setting, such as `--set dispatch.concurrency=64`. Can be given again. Not for secrets: who may list processes can read it.
    #[arg(long, global = true, value_name = "SECTION.KEY=VALUE", value_parser = setting)]
    pub set: Vec<(String, String)>,
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
    Migrate(MigrateRequest),
    /// Say that the database was restored from a backup, where it cannot be noticed: what may have been sent is asked about before it
    /// is sent again.
    Restored(RestoredRequest),
    /// Print a bearer token for the admin API.
    Token(TokenRequest),
    /// Examine a link to an AACC step by step and say what is wrong, where, and what to do.
    Doctor(Box<DoctorRequest>),
    /// Print every setting with its default and explanation, or check what is set.
    Config(ConfigRequest),
}

#[derive(Args)]
pub struct MigrateRequest {
    /// Only say what would be done; exits with 3 if something is to be done.
    #[arg(long)]
    pub dry_run: bool,
    /// How long all of it may take, another one's run that is waited for included, such as 15m. What is done by then stays done; the rest
    /// is done by the next run.
    #[arg(long, default_value = "1h", value_parser = duration)]
    pub timeout: Duration,
}

#[derive(Args)]
pub struct RestoredRequest {
    /// Why, for the audit: 1 to 500 characters.
    #[arg(long)]
    pub reason: String,
    /// Whom the audit shall name.
    #[arg(long, default_value = "ccm restored")]
    pub by: String,
    /// The last moment that the backup knows, such as 2026-11-30T11:55:00Z. Left out: the last sign of life of a process, as the database
    /// has it.
    #[arg(long, value_parser = moment)]
    pub known_until: Option<OffsetDateTime>,
}

#[derive(Args)]
pub struct ConfigRequest {
    #[command(subcommand)]
    pub command: Option<ConfigCommand>,
}

#[derive(Subcommand)]
pub enum ConfigCommand {
    /// Read the configuration as a role would, and say everything that keeps it from starting.
    Check(CheckRequest),
}

#[derive(Args)]
pub struct CheckRequest {
    /// The role that is to be started: ingest, dispatch, connector, admin, screenpop, deflection, events, migrate or all.
    #[arg(default_value = "all")]
    pub role: CheckedRole,
    /// Also ask the database and Redis whether they let us in.
    #[arg(long)]
    pub connect: bool,
}

/// What can be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum CheckedRole {
    Ingest,
    Dispatch,
    Connector,
    Admin,
    Screenpop,
    Deflection,
    Events,
    All,
    Migrate,
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
            Self::Migrate(_) => "migrate",
            Self::Restored(_) => "restored",
            Self::Token(_) => "token",
            Self::Doctor(_) => "doctor",
            Self::Config(_) => "config",
        }
    }
}

/// Reads `section.key=value`.
fn setting(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| "write it as section.key=value".to_owned())
}

fn moment(text: &str) -> Result<OffsetDateTime, String> {
    OffsetDateTime::parse(text, &Rfc3339).map_err(|_| "write it as 2026-11-30T11:55:00Z".to_owned())
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
    fn settings_have_a_key_and_a_value() {
        assert_eq!(setting("a.b=c=d"), Ok(("a.b".to_owned(), "c=d".to_owned())));
        assert!(setting("a.b").is_err());
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
