//! Reading JSON with tolerance, and the envelope.

use serde_json::{Map, Value, json};

use super::FrameError;

/// An envelope whose inside is still JSON.
pub(super) struct Envelope {
    pub kind: String,
    pub method: String,
    pub body: Fields,
}

impl Envelope {
    pub fn parse(text: &str) -> Result<Self, FrameError> {
        let value: Value = serde_json::from_str(text).map_err(|e| FrameError::NotJson {
            line: e.line(),
            column: e.column(),
        })?;
        let Value::Object(mut outer) = value else {
            return Err(FrameError::NotAnObject);
        };
        let body = match outer.remove("body") {
            Some(Value::Object(body)) => body,
            _ => Map::new(),
        };
        let body = Fields(body);
        Ok(Envelope {
            kind: Fields(outer).text("type"),
            method: body.text("method"),
            body,
        })
    }
}

/// Writes an envelope. `fields` is a JSON object without the method.
pub(super) fn envelope(api_version: Value, kind: &str, method: &str, mut fields: Value) -> String {
    fields["method"] = method.into();
    json!({"apiVersion": api_version, "type": kind, "body": fields}).to_string()
}

/// A JSON object whose fields are read as whatever type is asked for.
pub(super) struct Fields(pub Map<String, Value>);

impl Fields {
    pub fn from_value(value: &Value) -> Self {
        Fields(value.as_object().cloned().unwrap_or_default())
    }

    pub fn value(&self, key: &str) -> &Value {
        self.0.get(key).unwrap_or(&Value::Null)
    }

    pub fn opt_text(&self, key: &str) -> Option<String> {
        match self.value(key) {
            Value::String(s) => Some(s.clone()),
            Value::Number(n) => Some(n.to_string()),
            Value::Bool(b) => Some(b.to_string()),
            _ => None,
        }
    }

    pub fn text(&self, key: &str) -> String {
        self.opt_text(key).unwrap_or_default()
    }

    pub fn opt_int(&self, key: &str) -> Option<i64> {
        match self.value(key) {
            Value::Number(n) => n.as_i64().or_else(|| n.as_f64().map(|f| f as i64)),
            Value::String(s) => {
                let s = s.trim();
                s.parse().ok().or_else(|| s.parse::<f64>().ok().map(|f| f as i64))
            }
            _ => None,
        }
    }

    /// A count: what is missing, negative or absurd reads as 0 or the largest.
    pub fn count(&self, key: &str) -> u32 {
        self.opt_int(key)
            .unwrap_or_default()
            .clamp(0, i64::from(u32::MAX)) as u32
    }

    pub fn opt_bool(&self, key: &str) -> Option<bool> {
        match self.value(key) {
            Value::Bool(b) => Some(*b),
            Value::Number(n) => n.as_f64().map(|f| f != 0.0),
            Value::String(s) => match s.trim().to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" => Some(true),
                "false" | "0" | "no" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    pub fn flag(&self, key: &str) -> bool {
        self.opt_bool(key).unwrap_or_default()
    }

    pub fn object(&self, key: &str) -> Option<Fields> {
        self.value(key).as_object().cloned().map(Fields)
    }

    /// The objects of a list; what is no object in it is left out.
    pub fn list(&self, key: &str) -> impl Iterator<Item = Fields> + '_ {
        let items = self.value(key).as_array().map(Vec::as_slice).unwrap_or_default();
        items.iter().filter(|v| v.is_object()).map(Fields::from_value)
    }
}

/// Adds a field that may be left out.
pub(super) fn put_opt(object: &mut Value, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        object[key] = value.into();
    }
}
