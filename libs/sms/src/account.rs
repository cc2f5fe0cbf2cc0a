use secrecy::SecretString;
use serde_json::{Map, Value};
use std::time::Duration;
use url::Url;

/// What is wrong with a stored account. It never repeats a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{place}.{field} {remedy}")]
pub struct AccountError {
    /// `settings` or `secret`.
    pub place: &'static str,
    pub field: &'static str,
    pub remedy: &'static str,
}

/// Reads one JSON object field by field and notices what nobody read.
pub(crate) struct Fields<'a> {
    place: &'static str,
    known: &'static [&'static str],
    map: std::borrow::Cow<'a, Map<String, Value>>,
}

impl<'a> Fields<'a> {
    pub fn settings(value: &'a Value, known: &'static [&'static str]) -> Result<Self, AccountError> {
        let map = value.as_object().ok_or(AccountError {
            place: "settings",
            field: "",
            remedy: "must be a JSON object",
        })?;
        Self {
            place: "settings",
            known,
            map: std::borrow::Cow::Borrowed(map),
        }
        .only_known()
    }

    pub fn secret(json: &[u8], known: &'static [&'static str]) -> Result<Fields<'static>, AccountError> {
        let map = serde_json::from_slice(json).map_err(|_| AccountError {
            place: "secret",
            field: "",
            remedy: "must be a JSON object",
        })?;
        Fields {
            place: "secret",
            known,
            map: std::borrow::Cow::Owned(map),
        }
        .only_known()
    }

    fn only_known(self) -> Result<Self, AccountError> {
        if self.map.keys().all(|key| self.known.contains(&key.as_str())) {
            Ok(self)
        } else {
            Err(self.error(
                "",
                "has a field that this provider does not know; docs/providers.md lists them",
            ))
        }
    }

    pub fn error(&self, field: &'static str, remedy: &'static str) -> AccountError {
        AccountError {
            place: self.place,
            field,
            remedy,
        }
    }

    /// A string that is not empty, or nothing.
    pub fn text(&self, field: &'static str) -> Result<Option<&str>, AccountError> {
        match self.map.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
            Some(_) => Err(self.error(field, "must be a string that is not empty")),
        }
    }

    pub fn required(&self, field: &'static str) -> Result<&str, AccountError> {
        self.text(field)?.ok_or_else(|| self.error(field, "is missing"))
    }

    /// A secret of at least `least` characters, or nothing.
    pub fn hidden(&self, field: &'static str, least: usize) -> Result<Option<SecretString>, AccountError> {
        match self.text(field)? {
            None => Ok(None),
            Some(text) if text.len() >= least => Ok(Some(text.into())),
            Some(_) => Err(self.error(
                field,
                "is too short to be a secret; docs/providers.md says how long it is",
            )),
        }
    }

    /// An address to send to: https, or http on this machine. Secrets and texts do not cross a network in the clear.
    pub fn address(&self, field: &'static str) -> Result<Option<Url>, AccountError> {
        let Some(raw) = self.text(field)? else {
            return Ok(None);
        };
        let url = Url::parse(raw)
            .map_err(|_| self.error(field, "must be an address like https://api.example.com"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(self.error(
                field,
                "must not hold a user or a password; they belong into the secret",
            ));
        }
        let here = match url.host() {
            Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
            Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
            Some(url::Host::Domain(name)) => name == "localhost",
            None => false,
        };
        if url.scheme() == "https" || (url.scheme() == "http" && here) {
            Ok(Some(url))
        } else {
            Err(self.error(field, "must be https; http is taken on this machine only"))
        }
    }

    /// `timeout_ms`, 100 to 60,000; 15 s if there is none.
    pub fn timeout(&self) -> Result<Duration, AccountError> {
        match self.map.get("timeout_ms") {
            None | Some(Value::Null) => Ok(Duration::from_secs(15)),
            Some(value) => value
                .as_u64()
                .filter(|ms| (100..=60_000).contains(ms))
                .map(Duration::from_millis)
                .ok_or_else(|| self.error("timeout_ms", "must be a whole number from 100 to 60000")),
        }
    }
}
