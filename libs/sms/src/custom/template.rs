//! Texts with names in braces: `{to}` stands for the recipient, `{{` for a brace.

use crate::{Outbound, inbound::bare};
use base64::{Engine, prelude::BASE64_STANDARD};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Template(pub String);

/// What a template may show of the account's secret.
#[derive(Clone)]
pub struct Secrets {
    pub key: Option<SecretString>,
    pub user: Option<SecretString>,
    pub password: Option<SecretString>,
}

impl Secrets {
    fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        let open = |secret: &'_ Option<SecretString>| secret.as_ref().map(|s| s.expose_secret().to_owned());
        match name {
            "key" => open(&self.key).map(Cow::Owned),
            "user" => open(&self.user).map(Cow::Owned),
            "password" => open(&self.password).map(Cow::Owned),
            "basic" => {
                let pair = format!("{}:{}", open(&self.user)?, open(&self.password)?);
                Some(BASE64_STANDARD.encode(pair).into())
            }
            _ => None,
        }
    }
}

/// A piece of a template.
enum Piece<'a> {
    Plain(&'a str),
    Name(&'a str),
}

impl Template {
    /// `None`: a brace has no other one.
    fn pieces(&self) -> Option<Vec<Piece<'_>>> {
        let mut pieces = Vec::new();
        let mut rest = self.0.as_str();
        while let Some(at) = rest.find('{') {
            pieces.push(Piece::Plain(&rest[..at]));
            let after = &rest[at + 1..];
            if let Some(after) = after.strip_prefix('{') {
                pieces.push(Piece::Plain("{"));
                rest = after;
            } else {
                let (name, after) = after.split_once('}')?;
                pieces.push(Piece::Name(name));
                rest = after;
            }
        }
        pieces.push(Piece::Plain(rest));
        Some(pieces)
    }

    /// The names that stand in it.
    pub fn names(&self) -> Option<Vec<String>> {
        let names = self.pieces()?.into_iter().filter_map(|piece| match piece {
            Piece::Name(name) => Some(name.to_owned()),
            Piece::Plain(_) => None,
        });
        Some(names.collect())
    }

    /// Why it cannot be filled, if it cannot.
    pub fn problem(&self, secrets: &Secrets) -> Option<&'static str> {
        let Some(names) = self.names() else {
            return Some("has a brace without its other one");
        };
        names.iter().find_map(|name| match name.as_str() {
            "from" | "to" | "from_digits" | "to_digits" | "text" | "id" | "attempt" | "receipts_to" => None,
            "key" | "user" | "password" | "basic" if secrets.get(name).is_none() => {
                Some("uses a secret that the account does not have")
            }
            "key" | "user" | "password" | "basic" => None,
            _ => Some("uses a name in braces that there is none of"),
        })
    }

    /// With what each name stands for. `None`: it is nothing but a name that stands for nothing now.
    pub fn fill(&self, secrets: &Secrets, out: &Outbound<'_>) -> Option<String> {
        let value = |name: &str| -> Option<Cow<'_, str>> {
            Some(match name {
                "from" => out.from.as_str().into(),
                "to" => out.to.as_str().into(),
                "from_digits" => bare(out.from).into(),
                "to_digits" => bare(out.to).into(),
                "text" => out.body.as_str().into(),
                "id" => out.message_id.to_string().into(),
                "attempt" => out.attempt.to_string().into(),
                "receipts_to" => out.receipts_to?.into(),
                secret => return secrets.get(secret),
            })
        };
        if self.0 == "{receipts_to}" && out.receipts_to.is_none() {
            return None;
        }
        Some(self.render(|name| value(name).unwrap_or_default().into_owned().into_bytes()))
            .map(|bytes| String::from_utf8(bytes).expect("texts stay texts"))
    }

    /// With what each name stands for, as bytes: what is signed need not be a text.
    pub fn render(&self, value: impl Fn(&str) -> Vec<u8>) -> Vec<u8> {
        let mut filled = Vec::new();
        for piece in self.pieces().unwrap_or_default() {
            match piece {
                Piece::Plain(text) => filled.extend_from_slice(text.as_bytes()),
                Piece::Name(name) => filled.extend_from_slice(&value(name)),
            }
        }
        filled
    }
}

/// Fills every text of a JSON value. A member whose text stands for nothing is left out.
pub fn fill_json(json: &Value, secrets: &Secrets, out: &Outbound<'_>) -> Option<Value> {
    Some(match json {
        Value::String(text) => Value::String(Template(text.clone()).fill(secrets, out)?),
        Value::Array(items) => items
            .iter()
            .filter_map(|item| fill_json(item, secrets, out))
            .collect(),
        Value::Object(map) => map
            .iter()
            .filter_map(|(name, item)| Some((name.clone(), fill_json(item, secrets, out)?)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other.clone(),
    })
}
