//! Forms as the API's JSON.
//!
//! A field's name says where its value goes and what it is: `settings.account_sid`, `connects_per_second:number`,
//! `include_bodies:bool`, `networks:lines`, `scopes:many`, `settings:json`, `expires_at:utc` (a day or a minute as browsers' fields have them).
//! `:json` alone is the whole body. What is left empty is left out, but with `:null` (as in `second_account_id:null`) it is `null`, and with
//! `:text` (as in `name:text`) the empty text. `evidence:query` stands in the address's query. Names that begin with `_` are the console's own.

use serde_json::{Map, Value, json};

/// Fields as a browser sends them, in their order.
pub type Fields = Vec<(String, String)>;

/// A value that is not what its field's name says.
#[derive(Debug, PartialEq, Eq)]
pub struct Unreadable {
    pub field: String,
    pub reason: String,
}

/// A name makes an object in an object for each dot: those who make forms up must not make the deepest of all.
const DEEPEST: usize = 8;

impl Unreadable {
    /// As the API would say it.
    pub fn problem(&self) -> Value {
        json!({
            "status": 400, "title": "A field cannot be read", "field": self.field,
            "detail": format!("{} {}", self.field, self.reason).trim_start(),
            "remedy": "correct it and send the form again",
        })
    }
}

/// The console's own field of this name.
pub fn own<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    let found = fields.iter().find(|(found, _)| found == name);
    found
        .map(|(_, value)| value.as_str())
        .filter(|value| !value.is_empty())
}

/// Whether a field holds what nobody is to see again, not even whoever has typed it.
pub fn is_secret(name: &str) -> bool {
    let plain = name.split(':').next().unwrap_or_default();
    plain.starts_with("secret.") || ["key", "token"].contains(&plain)
}

/// What the form says, for the API.
pub fn json(fields: &Fields) -> Result<Value, Unreadable> {
    let mut body = Value::Object(Map::new());
    for (name, value) in fields.iter().filter(|(name, _)| !name.starts_with('_')) {
        if name.matches('.').count() > DEEPEST {
            return Err(Unreadable {
                field: String::new(),
                reason: "a field's name has more dots than any of the console's".to_owned(),
            });
        }
        let (path, kind) = name.split_once(':').unwrap_or((name, ""));
        let wrong = |reason: &str| Unreadable {
            field: path.to_owned(),
            reason: reason.to_owned(),
        };
        // Browsers end a text field's lines with CR LF.
        let value = value.replace("\r\n", "\n");
        let read = match kind {
            "query" => None,
            "text" => Some(json!(value)),
            "many" => {
                let place = at(&mut body, path);
                if !place.is_array() {
                    *place = json!([]);
                }
                if let (Some(list), false) = (place.as_array_mut(), value.is_empty()) {
                    list.push(json!(value));
                }
                continue;
            }
            "lines" => {
                let lines = value.lines().map(str::trim).filter(|line| !line.is_empty());
                Some(json!(lines.collect::<Vec<_>>()))
            }
            "bool" => Some(json!(["on", "true"].contains(&value.as_str()))),
            "null" if value.trim().is_empty() => Some(Value::Null),
            _ if value.trim().is_empty() => None,
            "number" => Some(number(value.trim()).ok_or_else(|| wrong("is not a number"))?),
            "json" => {
                let read = serde_json::from_str(&value);
                Some(read.map_err(|error| wrong(&format!("is not JSON: {error}")))?)
            }
            "utc" => Some(json!(utc(value.trim()))),
            _ => Some(json!(value)),
        };
        if let Some(read) = read {
            *at(&mut body, path) = read;
        }
    }
    Ok(body)
}

/// A path with what the form puts into its query.
pub fn address(path: &str, fields: &Fields) -> String {
    let given = fields.iter().filter(|(_, value)| !value.is_empty());
    with_query(
        path,
        given.filter_map(|(name, value)| Some((name.strip_suffix(":query")?, value))),
    )
}

/// An address with more in its query.
pub fn with_query(
    address: &str,
    more: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<str>)>,
) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(more);
    let query = query.finish();
    let mark = if address.contains('?') { '&' } else { '?' };
    match query.is_empty() {
        true => address.to_owned(),
        false => format!("{address}{mark}{query}"),
    }
}

/// A day or a minute of UTC, as browsers' fields have them, as RFC 3339 has it. What is neither is left to the API to refuse.
pub fn utc(text: &str) -> String {
    match text.len() {
        10 => format!("{text}T00:00:00Z"),
        16 => format!("{text}:00Z"),
        19 => format!("{text}Z"),
        _ => text.to_owned(),
    }
}

fn number(text: &str) -> Option<Value> {
    match text.parse::<i64>() {
        Ok(whole) => Some(json!(whole)),
        Err(_) => text
            .parse::<f64>()
            .ok()
            .filter(|n| n.is_finite())
            .map(|n| json!(n)),
    }
}

/// The place in an object that a path with dots names; it is made. The empty path is the object itself.
fn at<'a>(body: &'a mut Value, path: &str) -> &'a mut Value {
    let names = path.split('.').filter(|name| !name.is_empty());
    names.fold(body, |place, name| {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        &mut place[name]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assets::Templates;

    fn read(fields: &[(&str, &str)]) -> Result<Value, Unreadable> {
        let fields = fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        json(&fields.collect())
    }

    #[test]
    fn a_name_makes_nothing_that_nobody_can_read() {
        assert!(read(&[("a.b.c.d.e.f.g.h.i", "x")]).is_ok());
        let deep = "a.".repeat(500_000);
        assert!(read(&[(deep.as_str(), "x")]).is_err());
    }

    #[test]
    fn what_is_typed_unseen_is_secret() {
        let mut unseen = 0;
        for file in Templates::iter() {
            let text = Templates::get(&file).unwrap();
            let text = String::from_utf8_lossy(&text.data).into_owned();
            for field in text.split("{{ field(\"").skip(1) {
                let field = field.split("}}").next().unwrap();
                let name = field.split('"').nth(2).unwrap();
                let typed_unseen = field.contains("type=\"password\"");
                unseen += i32::from(typed_unseen);
                assert_eq!(is_secret(name), typed_unseen, "{file}: {name}");
            }
        }
        assert!(unseen > 3, "{unseen}");
    }

    #[test]
    fn names_say_what_values_are() {
        let fields = [
            ("_do", "POST /v1/tenants"),
            ("name", "Main"),
            ("settings.account_sid", "AC1"),
            ("settings.api_base", ""),
            ("settings.timeout_ms:number", "1500"),
            ("per_second:number", "0.5"),
            ("include_bodies:bool", "on"),
            ("include_numbers:bool", "off"),
            ("networks:lines", "10.0.0.0/8\r\n\r\n 192.0.2.0/24 "),
            ("scopes:many", ""),
            ("scopes:many", "read-settings"),
            ("scopes:many", "read-texts"),
            ("second:null", " "),
            ("note:text", ""),
            ("words:json", "{\"en\": \"Hello <you>\"}"),
            ("ca_pem", "a\r\nb"),
        ];
        let expected = json!({
            "name": "Main", "settings": {"account_sid": "AC1", "timeout_ms": 1500}, "per_second": 0.5, "include_bodies": true,
            "include_numbers": false, "networks": ["10.0.0.0/8", "192.0.2.0/24"], "scopes": ["read-settings", "read-texts"],
            "second": null, "note": "", "words": {"en": "Hello <you>"}, "ca_pem": "a\nb",
        });
        assert_eq!(read(&fields), Ok(expected));
        assert_eq!(read(&[]), Ok(json!({})));
        let document = [
            (":json", "{\"rules\": []}\r\n"),
            ("note", "more"),
            ("ticket:query", "4711"),
        ];
        assert_eq!(read(&document), Ok(json!({"rules": [], "note": "more"})));
    }

    #[test]
    fn days_and_minutes_are_of_utc() {
        for (given, said) in [
            ("2026-11-30", "2026-11-30T00:00:00Z"),
            ("2026-11-30T09:14", "2026-11-30T09:14:00Z"),
            ("2026-11-30T09:14:05", "2026-11-30T09:14:05Z"),
            ("2026-11-30T09:14:05+01:00", "2026-11-30T09:14:05+01:00"),
            ("soon", "soon"),
        ] {
            assert_eq!(
                read(&[("at:utc", given), ("until:utc", "")]),
                Ok(json!({ "at": said }))
            );
        }
    }

    #[test]
    fn what_belongs_into_the_query_is_written_there() {
        let fields = |pairs: &[(&str, &str)]| -> Fields {
            pairs
                .iter()
                .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
                .collect()
        };
        let given = fields(&[
            ("evidence:query", "asked & told"),
            ("why:query", ""),
            ("other", "x"),
        ]);
        assert_eq!(address("/v1/x", &given), "/v1/x?evidence=asked+%26+told");
        assert_eq!(address("/v1/x?a=1", &given), "/v1/x?a=1&evidence=asked+%26+told");
        assert_eq!(address("/v1/x", &fields(&[("other", "x")])), "/v1/x");
    }

    #[test]
    fn what_a_value_is_not_is_said_with_its_field() {
        let wrong = |field: &str, reason: &str| {
            Err(Unreadable {
                field: field.to_owned(),
                reason: reason.to_owned(),
            })
        };
        assert_eq!(read(&[("a.b:number", "many")]), wrong("a.b", "is not a number"));
        assert_eq!(read(&[("a:number", "1e999")]), wrong("a", "is not a number"));
        assert_eq!(
            read(&[("a:json", "{")]),
            wrong("a", "is not JSON: EOF while parsing an object at line 1 column 1")
        );
    }
}
