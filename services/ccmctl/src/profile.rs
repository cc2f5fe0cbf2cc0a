//! Profiles: names for an API's address with a token and a tenant, in a file of the user's own.

use crate::failure::Failure;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs,
    io::{ErrorKind, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::PathBuf,
};

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profiles {
    /// The one that is taken where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    #[serde(default)]
    pub profiles: BTreeMap<String, Profile>,
}

/// Deliberately without `Debug` of its token.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    pub url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// A file with the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// A shell command that prints it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_command: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Authorities beside the system's that may sign the API's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_http: bool,
}

impl std::fmt::Debug for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Profile")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Profiles {
    pub fn load() -> Result<Self, Failure> {
        let Some(file) = file() else {
            return Ok(Self::default());
        };
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => {
                let what = format!("{} cannot be read: {e}", file.display());
                return Err(Failure::usage(
                    what,
                    "make it readable for you, or name another one in CCMCTL_CONFIG",
                ));
            }
        };
        let read: Self = toml::from_str(&text).map_err(|e| {
            let what = format!("{}: {}", file.display(), e.to_string().trim_end());
            Failure::usage(what, "mend the file, or delete it and add the profiles again")
        })?;
        if read.profiles.values().any(|p| p.token.is_some()) {
            private(&file)?;
        }
        Ok(read)
    }

    /// The one of this name, else the one in use.
    pub fn find(mut self, named: Option<&str>) -> Result<Option<Profile>, Failure> {
        match named {
            Some(name) => match self.profiles.remove(name) {
                Some(profile) => Ok(Some(profile)),
                None => Err(unknown(name, &self)),
            },
            None => Ok(self.current.take().and_then(|name| self.profiles.remove(&name))),
        }
    }

    /// Nobody else may read it.
    pub fn save(&self) -> Result<PathBuf, Failure> {
        let remedy = "set HOME, or name a file to write to in CCMCTL_CONFIG";
        let file = file().ok_or_else(|| Failure::usage("there is nowhere to keep profiles", remedy))?;
        let text = toml::to_string(self)
            .map_err(|e| Failure::usage(format!("it cannot be written: {e}"), remedy))?;
        let folder = file.parent().map(PathBuf::from).unwrap_or_default();
        // A file beside it that takes its place: half a file is never read.
        let fresh = file.with_extension("toml.new");
        let written = fs::create_dir_all(&folder)
            .and_then(|()| match fs::remove_file(&fresh) {
                Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
                _ => Ok(()),
            })
            .and_then(|()| {
                fs::OpenOptions::new()
                    .create_new(true)
                    .write(true)
                    .mode(0o600)
                    .open(&fresh)
            })
            .and_then(|mut to| to.write_all(text.as_bytes()))
            .and_then(|()| fs::rename(&fresh, &file));
        written.map_err(|e| Failure::usage(format!("{} cannot be written: {e}", file.display()), remedy))?;
        Ok(file)
    }
}

pub fn unknown(name: &str, among: &Profiles) -> Failure {
    let known: Vec<_> = among.profiles.keys().map(String::as_str).collect();
    let remedy = match known.is_empty() {
        true => "ccmctl profile add NAME --url URL --token-file FILE".to_owned(),
        false => format!("one of: {}", known.join(", ")),
    };
    Failure::usage(format!("there is no profile {name:?}"), remedy)
}

/// A token stands in it.
fn private(file: &PathBuf) -> Result<(), Failure> {
    let others = fs::metadata(file)
        .map(|m| m.permissions().mode() & 0o077)
        .unwrap_or_default();
    match others {
        0 => Ok(()),
        _ => Err(Failure::usage(
            format!("{} holds a token and others may read it", file.display()),
            format!("chmod 600 {}", file.display()),
        )),
    }
}

fn file() -> Option<PathBuf> {
    let path = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let folder = || path("XDG_CONFIG_HOME").or_else(|| Some(path("HOME")?.join(".config")));
    path("CCMCTL_CONFIG").or_else(|| Some(folder()?.join("ccmctl/config.toml")))
}
