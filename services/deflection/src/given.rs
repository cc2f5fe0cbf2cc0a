//! What a script sends: the same parameters as JSON, as a form or in the query, and the key in either or in `Authorization`.

use crate::Deps;
use axum::{
    extract::{FromRequest, Request},
    http::{HeaderMap, Method, StatusCode, header},
};
use ccm_model::{AuthKeyId, KeyUse};
use ccm_web::{Bytes, KeyHolder, Problem, Rate, bearer};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, num::NonZeroU32};

/// A script with a good key: what a handler asks for. Deliberately without `Debug`.
pub struct Script {
    pub holder: KeyHolder,
    pub format: Format,
    pub given: Given,
}

/// How the script wants its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Json,
    /// One word.
    Text,
}

/// Parameters that nobody has taken yet, by name. A member of the context is called `context.NAME`.
#[derive(Default)]
pub struct Given(BTreeMap<String, Value>);

/// How often one key may ask one pod.
pub struct Pace(Rate<AuthKeyId>);

impl Pace {
    pub fn new(per_minute: NonZeroU32) -> Self {
        Self(Rate::new(per_minute, per_minute))
    }

    fn count(&self, key: AuthKeyId) -> Result<(), Problem> {
        self.0.take(&key).map(drop).map_err(|_| {
            Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too-many-requests",
                "Too many requests",
            )
            .detail("this key has sent more requests in a minute than it may")
            .remedy("keep the call in the queue and ask later")
        })
    }
}

impl FromRequest<Deps> for Script {
    type Rejection = Problem;

    async fn from_request(request: Request, deps: &Deps) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let Bytes(body) = Bytes::from_request(Request::from_parts(parts.clone(), body), deps).await?;
        let mut given = Given::default();
        given.pairs(parts.uri.query().unwrap_or_default().as_bytes())?;
        if parts.method == Method::POST {
            given.body(&parts.headers, &body)?;
        }
        let in_parameter = given.text("auth")?;
        let key = bearer(&parts.headers).or(in_parameter.as_deref());
        let holder = KeyHolder::admit(key, &parts, KeyUse::Deflection, deps)
            .await
            .map_err(|refused| deps.wrong_keys.bound(refused, &parts, deps))?;
        deps.pace.count(holder.key)?;
        let format = match given.text("format")?.as_deref() {
            None if accepts_text(&parts.headers) => Format::Text,
            None | Some("json") => Format::Json,
            Some("text") => Format::Text,
            Some(_) => {
                return Err(
                    Problem::invalid_field("format", "format is neither json nor text")
                        .remedy("leave it out, or write format=text"),
                );
            }
        };
        Ok(Self {
            holder,
            format,
            given,
        })
    }
}

/// Whether plain text is asked for by name.
fn accepts_text(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let kinds = accept.unwrap_or_default().split(',');
    let mut kinds = kinds.map(|kind| kind.split(';').next().unwrap_or_default().trim());
    kinds
        .next()
        .is_some_and(|kind| kind.eq_ignore_ascii_case("text/plain"))
}

impl Given {
    fn body(&mut self, headers: &HeaderMap, body: &[u8]) -> Result<(), Problem> {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
        let kind = kind
            .unwrap_or_default()
            .split(';')
            .next()
            .unwrap_or_default()
            .trim();
        if body.is_empty() {
            return Ok(());
        }
        match kind.to_ascii_lowercase().as_str() {
            "application/json" => self.json(body),
            "application/x-www-form-urlencoded" => self.pairs(body),
            _ => Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "The body is neither JSON nor a form",
            )
            .detail("the body's content type is not one of the two that are read")
            .remedy("send `Content-Type: application/json` or `application/x-www-form-urlencoded`")),
        }
    }

    fn pairs(&mut self, encoded: &[u8]) -> Result<(), Problem> {
        for (name, value) in url::form_urlencoded::parse(encoded) {
            self.put(name.into_owned(), Value::String(value.into_owned()))?;
        }
        Ok(())
    }

    fn json(&mut self, body: &[u8]) -> Result<(), Problem> {
        let object: Map<String, Value> = serde_json::from_slice(body).map_err(|error| {
            Problem::invalid(format!("the body is no JSON object: line {}", error.line()))
                .remedy("send one JSON object, such as {\"caller\": \"+353861234567\"}")
        })?;
        for (name, value) in object {
            match value {
                Value::Object(members) if name == "context" => {
                    for (member, value) in members {
                        self.put(format!("context.{member}"), value)?;
                    }
                }
                value => self.put(name, value)?,
            }
        }
        Ok(())
    }

    fn put(&mut self, name: String, value: Value) -> Result<(), Problem> {
        if matches!(value, Value::Array(_) | Value::Object(_)) {
            return Err(
                Problem::invalid_field(shown(&name), "it is neither a text nor a number")
                    .remedy("give a text, a number, true or false"),
            );
        }
        if matches!(&value, Value::String(text) if text.contains('\0')) {
            return Err(
                Problem::invalid_field(shown(&name), "it holds a NUL character").remedy("take it out")
            );
        }
        if self.0.contains_key(&name) {
            return Err(Problem::invalid_field(shown(&name), "it is given twice").remedy("give it once"));
        }
        self.0.insert(name, value);
        Ok(())
    }

    /// Takes a parameter; an empty one was not given.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, Problem> {
        let text = match self.0.remove(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => text.trim().to_owned(),
            Some(other) => other.to_string(),
        };
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    /// Takes a parameter of so many characters at most.
    pub fn short_text(&mut self, name: &str, most: usize) -> Result<Option<String>, Problem> {
        let text = self.text(name)?;
        match &text {
            Some(text) if text.chars().count() > most => Err(Problem::invalid_field(
                name,
                format!("{name} is longer than {most} characters"),
            )
            .remedy("shorten it")),
            _ => Ok(text),
        }
    }

    /// Takes all members of the context, a name of which stands behind `context.`.
    pub fn context(&mut self) -> Map<String, Value> {
        let names: Vec<String> = self
            .0
            .keys()
            .filter(|name| name.starts_with("context."))
            .cloned()
            .collect();
        names
            .into_iter()
            .filter_map(|name| {
                let value = self.0.remove(&name)?;
                let member = name["context.".len()..].to_owned();
                let empty =
                    matches!(&value, Value::Null) || value.as_str().is_some_and(|t| t.trim().is_empty());
                (!empty).then_some((member, value))
            })
            .collect()
    }

    /// Nothing may be left: a typing error is not silently passed over.
    pub fn nothing_else(self) -> Result<(), Problem> {
        match self.0.into_keys().next() {
            None => Ok(()),
            Some(name) => Err(
                Problem::invalid_field(shown(&name), "there is no such parameter").remedy(
                    "docs/deflection.md lists those that there are; what only you know goes into context.NAME",
                ),
            ),
        }
    }
}

/// A parameter's name as it is repeated: whoever wrote a number there shall not read it in a log of theirs.
fn shown(name: &str) -> String {
    let is_name = |b: u8| b.is_ascii_alphabetic() || b"_.-".contains(&b);
    match name.len() <= 60 && !name.is_empty() && name.bytes().all(is_name) {
        true => name.to_owned(),
        false => "(a parameter)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use serde_json::json;

    #[test]
    fn a_form_and_json_say_the_same() {
        let mut form = Given::default();
        form.pairs(b"caller=%2B353861234567&waited_s=12&context.order=A+1&name=")
            .unwrap();
        let mut body = Given::default();
        let document =
            json!({"caller": "+353861234567", "waited_s": 12, "context": {"order": "A 1"}, "name": null});
        body.json(document.to_string().as_bytes()).unwrap();
        for mut given in [form, body] {
            assert_eq!(given.text("caller").unwrap().as_deref(), Some("+353861234567"));
            assert_eq!(given.text("waited_s").unwrap().as_deref(), Some("12"));
            assert_eq!(given.text("name").unwrap(), None);
            assert_eq!(Value::Object(given.context()), json!({"order": "A 1"}));
            given.nothing_else().unwrap();
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        let twice = Given::default().pairs(b"caller=1&caller=2");
        let nested = Given::default().json(br#"{"context": {"a": {"b": 1}}}"#);
        let list = Given::default().json(br#"{"caller": [1]}"#);
        let garbage = Given::default().json(b"caller");
        let nul = Given::default().pairs(b"name=%00");
        for refused in [twice, nested, list, garbage, nul] {
            assert_eq!(refused.unwrap_err().status(), 400);
        }
        let mut left = Given::default();
        left.pairs(b"calller=1").unwrap();
        assert_eq!(left.nothing_else().unwrap_err().status(), 400);
        assert_eq!(shown("+353861234567"), "(a parameter)");
    }

    #[test]
    fn text_is_for_those_who_ask_for_it() {
        for (accept, text) in [
            ("text/plain", true),
            ("Text/Plain;q=1, application/json", true),
            ("application/json, text/plain", false),
            ("*/*", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(accepts_text(&headers), text, "{accept}");
        }
        assert!(!accepts_text(&HeaderMap::new()));
    }
}
