//! Webhooks in JSON, read by JSON pointer (RFC 6901). What is missing is named by its pointer; what nobody asks for is passed
//! over.

use crate::ReceiveError;
use serde_json::Value;
use std::borrow::Cow;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

pub(crate) struct Doc(pub Value);

impl Doc {
    pub fn parse(body: &[u8]) -> Result<Self, ReceiveError> {
        serde_json::from_slice(body)
            .map(Self)
            .map_err(|_| ReceiveError::malformed("body", "must be JSON in UTF-8"))
    }

    pub fn text(&self, pointer: &'static str) -> Result<&str, ReceiveError> {
        text(&self.0, pointer)
    }

    pub fn any(&self, pointer: &str) -> Option<Cow<'_, str>> {
        any(&self.0, pointer)
    }

    pub fn count(&self, pointer: &str) -> u16 {
        count(&self.0, pointer)
    }

    pub fn time(&self, pointer: &str) -> Option<OffsetDateTime> {
        time(&self.0, pointer)
    }
}

/// A string that must be there.
pub(crate) fn text<'a>(value: &'a Value, pointer: &'static str) -> Result<&'a str, ReceiveError> {
    match value.pointer(pointer) {
        Some(Value::String(text)) => Ok(text),
        None | Some(Value::Null) => Err(ReceiveError::malformed(pointer, "is missing")),
        Some(_) => Err(ReceiveError::malformed(pointer, "must be a string")),
    }
}

/// A string or a number, if it is there: providers write codes both ways.
pub(crate) fn any<'a>(value: &'a Value, pointer: &str) -> Option<Cow<'a, str>> {
    match value.pointer(pointer)? {
        Value::String(text) => Some(text.into()),
        Value::Number(number) => Some(number.to_string().into()),
        _ => None,
    }
}

/// How many things are in a list.
pub(crate) fn count(value: &Value, pointer: &str) -> u16 {
    let list = value.pointer(pointer).and_then(Value::as_array);
    list.map_or(0, |list| u16::try_from(list.len()).unwrap_or(u16::MAX))
}

/// A moment that can be read; one that cannot is no reason to lose a text.
pub(crate) fn time(value: &Value, pointer: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(value.pointer(pointer)?.as_str()?, &Rfc3339).ok()
}
