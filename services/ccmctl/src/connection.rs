//! Where the API is, and who asks: from flags, the environment and profiles.

use crate::{
    failure::Failure,
    profile::{Profile, Profiles},
};
use secrecy::SecretString;
use std::{fs, path::PathBuf, process::Command};

const DEFAULT_URL: &str = "http://127.0.0.1:8082";

/// What every command takes.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Everywhere")]
pub struct Flags {
    /// Where the admin API is. Left out: CCMCTL_URL, else the profile's, else http://127.0.0.1:8082.
    #[arg(long)]
    pub url: Option<String>,
    /// A file with a bearer token, as `ccm token` prints one. Left out: CCMCTL_TOKEN or CCMCTL_TOKEN_FILE, else the profile's.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// The tenant's slug or id. Left out: CCMCTL_TENANT, else the profile's.
    #[arg(long)]
    pub tenant: Option<String>,
    /// The profile to take these from. Left out: CCMCTL_PROFILE, else the one in use (`ccmctl profile`).
    #[arg(long)]
    pub profile: Option<String>,
    /// Send the token in the clear to another machine (http://). Only within a network that nobody else reads.
    #[arg(long)]
    pub allow_http: bool,
    /// Answer in JSON, as the API does, instead of tables.
    #[arg(long)]
    pub json: bool,
}

/// Where and who.
pub struct Connection {
    pub url: String,
    pub token: SecretString,
    pub tenant: Option<String>,
    pub allow_http: bool,
    /// Authorities beside the system's that may sign the API's certificate: PEM.
    pub ca_pem: Option<Vec<u8>>,
}

/// A variable by its name here (`CCMCTL_URL`), or that of the whole product (`CCM_URL`).
fn variable(name: &str) -> Option<String> {
    let read = |prefix: &str| std::env::var(format!("{prefix}{name}")).ok();
    read("CCMCTL_")
        .or_else(|| read("CCM_"))
        .filter(|value| !value.is_empty())
}

impl Flags {
    /// A flag goes before the environment, and that before the profile. A profile that the command line names goes before the
    /// environment as well. A profile's token never goes to another address than the profile's.
    pub fn connection(self) -> Result<Connection, Failure> {
        let named = self.profile.clone().or_else(|| variable("PROFILE"));
        let profile = match (&named, &self.url) {
            // Nothing of it would be used.
            (None, Some(_)) => None,
            _ => Profiles::load()?.find(named.as_deref())?,
        };
        let asked_for = self.profile.is_some();
        let from_env = |name: &str| variable(name).filter(|_| !asked_for);
        let elsewhere = self.url.or_else(|| from_env("URL"));
        let profile = profile.filter(|profile| elsewhere.as_ref().is_none_or(|url| *url == profile.url));
        let token = match self.token_file {
            Some(file) => Some(read(&file)?),
            None => match (from_env("TOKEN"), from_env("TOKEN_FILE")) {
                (_, Some(file)) => Some(read(&file.into())?),
                (Some(token), None) => Some(token),
                (None, None) => profile.as_ref().map(profile_token).transpose()?.flatten(),
            },
        };
        let profile = profile.unwrap_or_default();
        let url = elsewhere.or(Some(profile.url).filter(|url| !url.is_empty()));
        let ca_file = from_env("CA_FILE").map(PathBuf::from).or(profile.ca_file);
        Ok(Connection {
            url: url.unwrap_or_else(|| DEFAULT_URL.to_owned()),
            token: checked(token)?,
            tenant: self.tenant.or_else(|| from_env("TENANT")).or(profile.tenant),
            allow_http: self.allow_http || profile.allow_http,
            ca_pem: ca_file
                .map(|file| bytes(&file, "name a file of PEM certificates as ca_file"))
                .transpose()?,
        })
    }
}

const REMEDY: &str = "put what `ccm token --role engineer --subject YOU` prints into a file for --token-file, into CCMCTL_TOKEN, or into a profile (ccmctl profile add)";

fn profile_token(profile: &Profile) -> Result<Option<String>, Failure> {
    if let Some(command) = &profile.token_command {
        return said(command).map(Some);
    }
    let file = profile.token_file.as_ref().map(read).transpose()?;
    Ok(file.or_else(|| profile.token.clone()))
}

/// What a command says that knows the token, such as a password manager's.
fn said(command: &str) -> Result<String, Failure> {
    let ended = Command::new("sh")
        .args(["-c", command])
        .stderr(std::process::Stdio::inherit())
        .output();
    let ended = ended.map_err(|e| Failure::usage(format!("token_command cannot be run: {e}"), REMEDY))?;
    if !ended.status.success() {
        let what = format!("token_command ended with {}: {command}", ended.status);
        return Err(Failure::usage(what, "run it by hand, and mend it in the profile"));
    }
    Ok(String::from_utf8_lossy(&ended.stdout).into_owned())
}

fn read(file: &PathBuf) -> Result<String, Failure> {
    Ok(String::from_utf8_lossy(&bytes(file, REMEDY)?).into_owned())
}

fn bytes(file: &PathBuf, remedy: &str) -> Result<Vec<u8>, Failure> {
    fs::read(file).map_err(|e| Failure::usage(format!("{} cannot be read: {e}", file.display()), remedy))
}

fn checked(token: Option<String>) -> Result<SecretString, Failure> {
    let token = token.unwrap_or_default();
    let token = token.trim();
    if token.is_empty() {
        return Err(Failure::usage("there is no token", REMEDY));
    }
    if !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Failure::usage("what should be a token is none", REMEDY));
    }
    Ok(token.into())
}
