use crate::shape::{self, Look, Shape};
use secrecy::SecretString;
use serde_json::{Map, Value};
use std::{borrow::Cow, time::Duration};
use url::Url;

/// What is wrong with an account. It never repeats a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}.{field} {problem}; {remedy}")]
pub struct AccountError {
    /// `settings` or `secret`.
    pub place: &'static str,
    /// Empty: the whole of it.
    pub field: String,
    /// Follows the field's name in a sentence.
    pub problem: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

/// One half of a stored account, checked against its kind's [`Shape`].
pub(crate) struct Fields<'a> {
    place: &'static str,
    map: Cow<'a, Map<String, Value>>,
}

impl<'a> Fields<'a> {
    pub fn settings(value: &'a Value, shape: &Shape) -> Result<Self, AccountError> {
        let map = value.as_object().ok_or_else(|| no_object("settings"))?;
        shape::check("settings", map, shape.settings, Look::Stored)?;
        Ok(Self {
            place: "settings",
            map: Cow::Borrowed(map),
        })
    }

    pub fn secret(json: &[u8], shape: &Shape) -> Result<Fields<'static>, AccountError> {
        let map = serde_json::from_slice(json).map_err(|_| no_object("secret"))?;
        shape::check("secret", &map, shape.secret, Look::Stored)?;
        Ok(Fields {
            place: "secret",
            map: Cow::Owned(map),
        })
    }

    pub fn error(&self, field: &str, problem: &'static str, remedy: &'static str) -> AccountError {
        AccountError {
            place: self.place,
            field: field.to_owned(),
            problem,
            remedy,
        }
    }

    pub fn text(&self, field: &str) -> Option<&str> {
        self.map.get(field)?.as_str()
    }

    /// One that the shape asks for, or that another field asks for.
    pub fn required(&self, field: &str) -> Result<&str, AccountError> {
        self.text(field)
            .ok_or_else(|| self.error(field, "is missing", "docs/providers.md says what it is"))
    }

    pub fn hidden(&self, field: &str) -> Option<SecretString> {
        self.text(field).map(Into::into)
    }

    pub fn required_hidden(&self, field: &str) -> Result<SecretString, AccountError> {
        self.required(field).map(Into::into)
    }

    pub fn address(&self, field: &str) -> Option<Url> {
        Url::parse(self.text(field)?).ok()
    }

    pub fn required_address(&self, field: &str) -> Result<Url, AccountError> {
        self.required(field)?;
        self.address(field).ok_or_else(|| {
            self.error(
                field,
                "is not an address",
                "write it like https://api.example.com",
            )
        })
    }

    /// Where a provider's API is: its own place, or the one that is named. Paths are put behind it.
    pub fn api_base(&self, usual: &str) -> Result<String, AccountError> {
        let base = self.address("api_base");
        if base.as_ref().is_some_and(|url| url.query().is_some()) {
            return Err(self.error(
                "api_base",
                "must be an address without ? in it",
                "cut it off there",
            ));
        }
        let base = base.map_or_else(|| usual.to_owned(), String::from);
        Ok(base.trim_end_matches('/').to_owned())
    }

    pub fn json(&self, field: &str) -> Option<&Value> {
        self.map.get(field).filter(|value| !value.is_null())
    }

    /// `timeout_ms`; 15 s if there is none.
    pub fn timeout(&self) -> Duration {
        let ms = self.map.get("timeout_ms").and_then(Value::as_u64);
        Duration::from_millis(ms.unwrap_or(15_000))
    }
}

fn no_object(place: &'static str) -> AccountError {
    AccountError {
        place,
        field: String::new(),
        problem: "is not a JSON object",
        remedy: "docs/providers.md describes it",
    }
}
