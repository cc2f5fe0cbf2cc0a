//! The settings, as `docs/providers.md` describes them.

use super::template::{Secrets, Template};
use crate::{AccountError, account::Fields};
use ::http::HeaderName;
use ccm_model::Report;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Send {
    #[serde(default)]
    pub method: Method,
    #[serde(default)]
    pub headers: BTreeMap<String, Template>,
    /// The body: every text in it is a template.
    pub json: Option<Value>,
    /// Or a form.
    pub form: Option<BTreeMap<String, Template>>,
    /// Where the answer has the provider's id of the text.
    pub id: Option<String>,
    #[serde(default)]
    pub taken: Taken,
    /// Where a refusal has its code, and its words.
    pub code: Option<String>,
    pub message: Option<String>,
    #[serde(default)]
    pub retry_statuses: Vec<u16>,
    #[serde(default)]
    pub retry_codes: Vec<String>,
    #[serde(default)]
    pub opted_out_codes: Vec<String>,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    #[default]
    Post,
    Put,
}

/// Which answers mean that the provider has the text: one of these statuses (none: any 2xx) and, where a place is named, one of
/// these values at it.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Taken {
    pub statuses: Vec<u16>,
    pub at: Option<String>,
    pub is: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receive {
    #[serde(default)]
    pub format: Format,
    /// Where the list is, if one request says several things.
    pub each: Option<String>,
    pub text: Text,
    pub receipt: Option<Receipt>,
    #[serde(default)]
    pub answer: WebhookAnswer,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    #[default]
    Json,
    Form,
    /// In the address, as with a `GET`.
    Query,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    pub id: String,
    pub from: String,
    pub to: String,
    pub text: String,
    pub sent_at: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    pub id: String,
    pub status: String,
    pub code: Option<String>,
    pub at: Option<String>,
    /// The provider's words and ours for them.
    #[serde(deserialize_with = "reports")]
    pub statuses: BTreeMap<String, Report>,
}

fn reports<'de, D: serde::Deserializer<'de>>(json: D) -> Result<BTreeMap<String, Report>, D::Error> {
    let words = BTreeMap::<String, String>::deserialize(json)?;
    let known = |(word, ours): (String, String)| {
        let ours = ours
            .parse()
            .map_err(|_| serde::de::Error::custom("missing field `receipt.statuses`"))?;
        Ok((word, ours))
    };
    words.into_iter().map(known).collect()
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookAnswer {
    pub status: u16,
    pub body: String,
}

impl Default for WebhookAnswer {
    fn default() -> Self {
        Self {
            status: 200,
            body: String::new(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    pub scheme: Scheme,
    /// Where a signature or a token stands; else its scheme's usual place.
    pub header: Option<String>,
    /// What stands before it there.
    #[serde(default)]
    pub prefix: String,
    #[serde(default)]
    pub encoding: Encoding,
    /// What is signed.
    pub over: Option<Template>,
    pub timestamp_header: Option<String>,
    pub window_s: Option<u32>,
    /// Whose name comes with the secret.
    pub user: Option<String>,
    /// In which parameter of the webhook's address the secret stands.
    pub parameter: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Scheme {
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
    #[serde(rename = "hmac-sha1")]
    HmacSha1,
    #[serde(rename = "token")]
    Token,
    #[serde(rename = "basic")]
    Basic,
    #[serde(rename = "query")]
    Query,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    #[default]
    Hex,
    Base64,
}

const SEE: &str = "docs/providers.md describes it, with an example";

/// Reads one of the objects, and names what is wrong in it.
pub fn read<T: DeserializeOwned>(settings: &Fields<'_>, field: &'static str) -> Result<T, AccountError> {
    let json = settings.json(field).cloned().unwrap_or_default();
    serde_json::from_value(json).map_err(|e| {
        // Names of members that are known or missing are ours; values are not repeated.
        let said = e.to_string();
        let name = said.split('`').nth(1).filter(|name| name.len() <= 40);
        let inner = |name: &str| format!("{field}.{name}");
        match name {
            Some(name) if said.starts_with("missing") => settings.error(
                &inner(name),
                "is missing, or not one of the words that there are",
                SEE,
            ),
            Some(name) if said.starts_with("unknown field") => {
                settings.error(&inner(name), "is not known", SEE)
            }
            Some(_) if said.starts_with("unknown variant") => {
                settings.error(field, "has a word that is none of those that there are", SEE)
            }
            _ => settings.error(field, "has a member of another kind than it must be", SEE),
        }
    })
}

type Checked = Result<(), AccountError>;

fn pointer(settings: &Fields<'_>, field: &str, raw: Option<&String>) -> Checked {
    match raw {
        Some(raw) if !(raw.is_empty() || raw.starts_with('/')) || raw.len() > 200 => Err(settings.error(
            field,
            "is not a JSON pointer",
            "write the way to it like /message/id or /messages/0/id",
        )),
        _ => Ok(()),
    }
}

fn header(settings: &Fields<'_>, field: &str, raw: Option<&String>) -> Checked {
    match raw.map(|raw| raw.parse::<HeaderName>()) {
        Some(Err(_)) => {
            Err(settings.error(field, "is not the name of a header", "write it like X-Signature"))
        }
        _ => Ok(()),
    }
}

fn statuses(settings: &Fields<'_>, field: &str, all: &[u16], range: std::ops::Range<u16>) -> Checked {
    match all.iter().all(|status| range.contains(status)) {
        true => Ok(()),
        false => Err(settings.error(field, "holds what is no such HTTP status", SEE)),
    }
}

impl Send {
    pub fn check(&self, settings: &Fields<'_>, secrets: &Secrets) -> Checked {
        for name in self.headers.keys() {
            header(settings, "send.headers", Some(name))?;
        }
        if self.json.is_some() == self.form.is_some() {
            return Err(settings.error(
                "send.json",
                "or send.form must be there, and not both",
                "describe the request's body with one of them",
            ));
        }
        for (field, at) in [
            ("send.id", &self.id),
            ("send.taken.at", &self.taken.at),
            ("send.code", &self.code),
            ("send.message", &self.message),
        ] {
            pointer(settings, field, at.as_ref())?;
        }
        if self.taken.at.is_some() == self.taken.is.is_empty() {
            return Err(settings.error("send.taken.at", "and send.taken.is belong together", SEE));
        }
        statuses(settings, "send.taken.statuses", &self.taken.statuses, 200..300)?;
        statuses(settings, "send.retry_statuses", &self.retry_statuses, 300..600)?;
        let mut templates: Vec<Template> = self.headers.values().cloned().collect();
        templates.extend(self.form.iter().flat_map(|form| form.values().cloned()));
        if let Some(json) = &self.json {
            collect(json, &mut templates);
        }
        for template in &templates {
            if let Some(problem) = template.problem(secrets) {
                return Err(settings.error(
                    "send",
                    problem,
                    "docs/providers.md lists the names in braces; write {{ for a brace",
                ));
            }
        }
        for needed in ["{to}", "{to_digits}"] {
            if templates.iter().any(|t| t.0.contains(needed)) {
                return match templates.iter().any(|t| t.0.contains("{text}")) {
                    true => Ok(()),
                    false => Err(settings.error("send", "has no {text} in its body", SEE)),
                };
            }
        }
        Err(settings.error("send", "has neither {to} nor {to_digits} in its body", SEE))
    }
}

fn collect(json: &Value, templates: &mut Vec<Template>) {
    match json {
        Value::String(text) => templates.push(Template(text.clone())),
        Value::Array(items) => items.iter().for_each(|item| collect(item, templates)),
        Value::Object(map) => map.values().for_each(|item| collect(item, templates)),
        _ => {}
    }
}

impl Receive {
    pub fn check(&self, settings: &Fields<'_>) -> Checked {
        if self.format == Format::Json {
            pointer(settings, "receive.each", self.each.as_ref())?;
            let text = &self.text;
            for at in [&text.id, &text.from, &text.to, &text.text] {
                pointer(settings, "receive.text", Some(at))?;
            }
            pointer(settings, "receive.text", text.sent_at.as_ref())?;
            if let Some(receipt) = &self.receipt {
                for at in [
                    Some(&receipt.id),
                    Some(&receipt.status),
                    receipt.code.as_ref(),
                    receipt.at.as_ref(),
                ] {
                    pointer(settings, "receive.receipt", at)?;
                }
            }
        } else if self.each.is_some() {
            return Err(settings.error("receive.each", "is for JSON only", "leave it out"));
        }
        if self.answer.body.len() > 500 || self.answer.body.chars().any(|c| c.is_control() && c != '\n') {
            return Err(settings.error("receive.answer.body", "is longer than 500 characters", SEE));
        }
        statuses(settings, "receive.answer.status", &[self.answer.status], 200..300)
    }
}

impl Signature {
    pub fn check(&self, settings: &Fields<'_>, format: Format) -> Checked {
        header(settings, "signature.header", self.header.as_ref())?;
        header(
            settings,
            "signature.timestamp_header",
            self.timestamp_header.as_ref(),
        )?;
        if self.window_s.is_some_and(|s| !(1..=86_400).contains(&s)) {
            return Err(settings.error("signature.window_s", "is not from 1 to 86400 seconds", SEE));
        }
        let missing = |field: &str| Err(settings.error(field, "is missing for this scheme", SEE));
        match self.scheme {
            Scheme::HmacSha256 | Scheme::HmacSha1 => {
                let over = self.over.as_ref().map_or("{body}", |over| over.0.as_str());
                let Some(names) = Template(over.to_owned()).names() else {
                    return Err(settings.error("signature.over", "has a brace without its other one", SEE));
                };
                if !names
                    .iter()
                    .all(|name| ["body", "url", "timestamp"].contains(&name.as_str()))
                    || !names.iter().any(|name| name == "body")
                {
                    return Err(settings.error(
                        "signature.over",
                        "must hold {body}, and {url} and {timestamp} at most besides",
                        SEE,
                    ));
                }
                if format == Format::Query && !names.iter().any(|name| name == "url") {
                    return Err(settings.error(
                        "signature.over",
                        "does not hold {url}, where all that is said stands with receive.format query",
                        "have the provider sign the address, or choose another scheme",
                    ));
                }
                if names.iter().any(|name| name == "timestamp") != self.timestamp_header.is_some() {
                    return Err(settings.error(
                        "signature.timestamp_header",
                        "and {timestamp} in signature.over belong together",
                        SEE,
                    ));
                }
                if self.header.is_none() {
                    return missing("signature.header");
                }
            }
            Scheme::Token if self.header.is_none() => return missing("signature.header"),
            Scheme::Basic if self.user.is_none() => return missing("signature.user"),
            Scheme::Query if self.parameter.is_none() => return missing("signature.parameter"),
            Scheme::Token | Scheme::Basic | Scheme::Query => {}
        }
        Ok(())
    }
}
