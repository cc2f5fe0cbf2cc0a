use crate::{
    failure::Failure,
    output::{Said, table},
    profile::{Profile, Profiles, unknown},
};
use clap::{Args, Subcommand};
use serde_json::json;
use std::{io::Read, path::PathBuf};

#[derive(Subcommand)]
pub enum Command {
    /// Add one, or change all of it. The first one is in use from then on.
    Add(Add),
    /// Take one wherever none is named.
    Use { name: String },
    /// All of them.
    List,
    /// Forget one.
    Remove { name: String },
}

#[derive(Args)]
pub struct Add {
    name: String,
    /// Where the admin API is.
    #[arg(long)]
    url: String,
    /// The tenant's slug or id.
    #[arg(long)]
    tenant: Option<String>,
    /// A file with a bearer token.
    #[arg(long, value_name = "FILE", group = "token")]
    token_file: Option<PathBuf>,
    /// A shell command that prints the token, such as that of a password manager.
    #[arg(long, value_name = "COMMAND", group = "token")]
    token_command: Option<String>,
    /// Read the token from standard input and keep it in the profiles' file, which only you can read.
    #[arg(long, group = "token")]
    token_stdin: bool,
    /// PEM certificates of authorities, beside the system's, that may sign the API's certificate.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Send the token in the clear to another machine (http://). Only within a network that nobody else reads.
    #[arg(long)]
    allow_http: bool,
}

impl Command {
    pub fn run(self) -> Result<Said, Failure> {
        let mut all = Profiles::load()?;
        match self {
            Self::Add(add) => {
                let name = add.name.clone();
                let profile = add.profile()?;
                all.current.get_or_insert_with(|| name.clone());
                all.profiles.insert(name.clone(), profile);
                said(&all, format!("{name} is in {}\n", all.save()?.display()))
            }
            Self::Use { name } => {
                if !all.profiles.contains_key(&name) {
                    return Err(unknown(&name, &all));
                }
                all.current = Some(name.clone());
                all.save()?;
                said(&all, format!("{name} is in use\n"))
            }
            Self::List => {
                let row = |(name, profile): (&String, &Profile)| {
                    let in_use = if all.current.as_ref() == Some(name) {
                        "*"
                    } else {
                        ""
                    };
                    let tenant = profile.tenant.clone().unwrap_or_else(|| "-".to_owned());
                    [
                        in_use.to_owned(),
                        name.clone(),
                        profile.url.clone(),
                        tenant,
                        source(profile).to_owned(),
                    ]
                };
                let rows: Vec<_> = all.profiles.iter().map(row).collect();
                let text = table(&["", "NAME", "URL", "TENANT", "TOKEN"], &rows);
                said(&all, text)
            }
            Self::Remove { name } => {
                if all.profiles.remove(&name).is_none() {
                    return Err(unknown(&name, &all));
                }
                if all.current.as_ref() == Some(&name) {
                    all.current = None;
                }
                all.save()?;
                said(&all, format!("{name} is forgotten\n"))
            }
        }
    }
}

impl Add {
    fn profile(self) -> Result<Profile, Failure> {
        let mut token = None;
        if self.token_stdin {
            let mut read = String::new();
            std::io::stdin().read_to_string(&mut read).map_err(|e| {
                Failure::usage(
                    format!("standard input cannot be read: {e}"),
                    "ccm token … | ccmctl profile add …",
                )
            })?;
            token = Some(read.trim().to_owned());
        }
        // A path that is meant from here is not meant from everywhere.
        let absolute = |file: PathBuf| std::path::absolute(&file).unwrap_or(file);
        Ok(Profile {
            url: self.url,
            tenant: self.tenant,
            token_file: self.token_file.map(absolute),
            token_command: self.token_command,
            token,
            ca_file: self.ca_file.map(absolute),
            allow_http: self.allow_http,
        })
    }
}

fn source(profile: &Profile) -> &'static str {
    match (&profile.token_command, &profile.token_file, &profile.token) {
        (Some(_), ..) => "by command",
        (_, Some(_), _) => "in a file",
        (.., Some(_)) => "here",
        _ => "-",
    }
}

fn said(all: &Profiles, text: String) -> Result<Said, Failure> {
    let one = |(name, p): (&String, &Profile)| {
        let in_use = all.current.as_ref() == Some(name);
        json!({"name": name, "in_use": in_use, "url": p.url, "tenant": p.tenant, "token": source(p)})
    };
    let items: Vec<_> = all.profiles.iter().map(one).collect();
    Ok(Said::new(json!({"items": items}), text))
}
