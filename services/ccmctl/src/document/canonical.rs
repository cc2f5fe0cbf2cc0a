//! One form for what means the same, so that only a difference is one.

use crate::spec::schema::Schema;
use serde_json::{Map, Value};
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};
use url::Url;

/// The path that a link's address has where none is said.
const CHAT_PATH: &str = "/CustomerControllerWeb/chat";

/// In place of what somebody's role does not let them read: `{withheld: true}`.
pub const WITHHELD: &str = "withheld";

pub fn is_withheld(value: &Value) -> bool {
    value.as_object().is_some_and(|members| members.len() == 1) && value[WITHHELD] == true
}

/// Where something in a value is withheld.
pub fn withheld(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    look_for_withheld(value, &mut Vec::new(), &mut found);
    found
}

fn look_for_withheld<'v>(value: &'v Value, at: &mut Vec<&'v str>, into: &mut Vec<String>) {
    if is_withheld(value) {
        into.push(at.join("."));
        return;
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        at.push(name);
        look_for_withheld(member, at, into);
        at.pop();
    }
}

/// With what is there in place of what is withheld, where there is such a thing.
pub fn with_withheld(value: &Value, there: &Value) -> Value {
    match value {
        _ if is_withheld(value) => match there {
            Value::Null => value.clone(),
            there => there.clone(),
        },
        Value::Object(members) => {
            let member =
                |(name, member): (&String, &Value)| (name.clone(), with_withheld(member, &there[name]));
            Value::Object(members.iter().map(member).collect())
        }
        other => other.clone(),
    }
}

/// A value with its defaults, in the form that the API answers.
pub fn whole(value: &Value, schema: &Schema) -> Value {
    match value {
        _ if is_withheld(value) => value.clone(),
        Value::Object(members) => {
            let mut whole = Map::new();
            for (name, member) in schema.properties() {
                let given = members.get(name).or_else(|| member.default());
                let value = match given {
                    Some(value) => whole_member(value, &member),
                    None if member.is_nullable() => Value::Null,
                    None if may_be_empty(&member) => empty(&member),
                    None => continue,
                };
                whole.insert(name.to_owned(), value);
            }
            for (name, value) in members {
                if !whole.contains_key(name) {
                    let inner = schema.property(name).or_else(|| schema.values());
                    let value = inner.map_or_else(|| value.clone(), |inner| whole_member(value, &inner));
                    whole.insert(name.clone(), value);
                }
            }
            Value::Object(whole)
        }
        other => whole_member(other, schema),
    }
}

fn whole_member(value: &Value, schema: &Schema) -> Value {
    match value {
        Value::Object(_) => whole(value, schema),
        Value::Array(items) => match schema.items() {
            Some(of) => items.iter().map(|item| whole(item, &of)).collect(),
            None => value.clone(),
        },
        Value::Number(n) if schema.is("number") => n.as_f64().map_or_else(|| value.clone(), Value::from),
        Value::String(text) if schema.is_time() => instant(text).into(),
        other => other.clone(),
    }
}

/// What an object is that nothing is said of.
pub fn empty(schema: &Schema) -> Value {
    whole(&Value::Object(Map::new()), schema)
}

/// Whether an object need not be there: its members have defaults, or it is a map.
pub fn may_be_empty(schema: &Schema) -> bool {
    let has_defaults = |(_, member): &(&str, Schema)| member.default().is_some() || may_be_empty(member);
    schema.required().is_empty()
        && !schema.is_scalar()
        && (schema.values().is_some() || schema.properties().iter().any(has_defaults))
}

/// The same without what is the default anyway.
pub fn short(value: &Value, schema: &Schema) -> Value {
    let members = match value {
        Value::Object(members) if !is_withheld(value) => members,
        _ => {
            return match (value, schema.items()) {
                (Value::Array(items), Some(of)) => items.iter().map(|item| short(item, &of)).collect(),
                _ => value.clone(),
            };
        }
    };
    let mut kept = Map::new();
    for (name, value) in members {
        let Some(inner) = schema.property(name).or_else(|| schema.values()) else {
            kept.insert(name.clone(), value.clone());
            continue;
        };
        let is_member = schema.property(name).is_some();
        let is_default = is_member && {
            let filled = whole_member(value, &inner);
            inner.default().map(|default| whole_member(default, &inner)) == Some(filled.clone())
                || (value.is_null() && inner.default().is_none())
                || (may_be_empty(&inner) && filled == empty(&inner))
        };
        if !is_default {
            kept.insert(name.clone(), short(value, &inner));
        }
    }
    Value::Object(kept)
}

/// As the API would answer what people write.
pub fn as_answered(section: &str, member: &str, value: Value) -> Value {
    let Value::String(text) = &value else { return value };
    match (section, member) {
        ("links", "url" | "secondary_url") => link_address(text),
        ("links", "proxy_url") => without_password(text),
        ("numbers", "address") => text.replace([' ', '.', '-', '(', ')', '/'], ""),
        (_, member) if member.ends_with("_pem") => format!("{}\n", text.replace("\r\n", "\n").trim()),
        _ => return value,
    }
    .into()
}

fn link_address(text: &str) -> String {
    match Url::parse(text) {
        Ok(mut url) if url.path().is_empty() || url.path() == "/" => {
            url.set_path(CHAT_PATH);
            url.into()
        }
        Ok(url) => url.into(),
        Err(_) => text.to_owned(),
    }
}

/// Whether the API shows `***` in place of a user and a password.
pub fn hides_password(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    text.contains(&format!("://{HIDDEN}@"))
}

const HIDDEN: &str = "***";

/// The API shows no more of them.
fn without_password(text: &str) -> String {
    match text
        .split_once("://")
        .and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?.1)))
    {
        Some((scheme, host)) => format!("{scheme}://{HIDDEN}@{host}"),
        None => text.to_owned(),
    }
}

fn instant(text: &str) -> String {
    let utc = OffsetDateTime::parse(text, &Rfc3339).map(|at| at.to_offset(UtcOffset::UTC));
    utc.ok()
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_else(|| text.to_owned())
}

/// What differs, by the way to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    pub at: String,
    pub from: Value,
    pub to: Value,
}

pub fn differences(from: &Value, to: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(from, to, "", &mut found);
    found
}

fn compare(from: &Value, to: &Value, at: &str, into: &mut Vec<Difference>) {
    if from == to {
        return;
    }
    let inner = |name: &str| {
        if at.is_empty() {
            name.to_owned()
        } else {
            format!("{at}.{name}")
        }
    };
    match (from, to) {
        (Value::Object(a), Value::Object(b)) => {
            let names = a.keys().chain(b.keys().filter(|name| !a.contains_key(*name)));
            for name in names {
                compare(
                    &a.get(name).cloned().unwrap_or_default(),
                    &b.get(name).cloned().unwrap_or_default(),
                    &inner(name),
                    into,
                );
            }
        }
        (Value::Array(a), Value::Array(b))
            if a.len() == b.len() && a.iter().chain(b).all(Value::is_object) =>
        {
            for (n, (a, b)) in a.iter().zip(b).enumerate() {
                compare(a, b, &format!("{at}[{n}]"), into);
            }
        }
        _ => into.push(Difference {
            at: at.to_owned(),
            from: from.clone(),
            to: to.clone(),
        }),
    }
}

/// The merge patch (RFC 7396) that makes `to` of `from`.
pub fn patch(from: &Value, to: &Value) -> Value {
    match (from, to) {
        (Value::Object(a), Value::Object(b)) => {
            let mut patch = Map::new();
            for (name, to) in b {
                let from = a.get(name).cloned().unwrap_or_default();
                if from != *to {
                    patch.insert(name.clone(), self::patch(&from, to));
                }
            }
            let gone = a
                .iter()
                .filter(|(name, value)| !value.is_null() && !b.contains_key(*name));
            patch.extend(gone.map(|(name, _)| (name.clone(), Value::Null)));
            Value::Object(patch)
        }
        _ => to.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Spec;
    use serde_json::json;

    #[test]
    fn what_means_the_same_is_the_same() {
        let spec = Spec::embedded();
        for name in ["ChatSettings", "SmsSettings", "Routing"] {
            let schema = spec.schema(name).unwrap();
            let empty = whole(&json!({}), &schema);
            assert_eq!(short(&empty, &schema), json!({}), "{name}");
            assert_eq!(whole(&empty, &schema), empty, "{name}");
        }
        let schema = spec.schema("ChatSettings").unwrap();
        let some =
            json!({"language": "de", "queue": {"enabled": true}, "notices": {"waiting": {"de": "Gleich!"}}});
        assert_eq!(short(&whole(&some, &schema), &schema), some);
        let window = spec.schema("NewMaintenanceWindow").unwrap();
        let at = |text: &str| whole(&json!({"begins_at": text}), &window);
        assert_eq!(at("2099-03-01T22:00:00+01:00"), at("2099-03-01T21:00:00Z"));
    }

    #[test]
    fn addresses_are_those_of_answers() {
        let of = |member, text: &str| as_answered("links", member, text.into());
        assert_eq!(
            of("url", "wss://aacc.example.com:8445"),
            "wss://aacc.example.com:8445/CustomerControllerWeb/chat"
        );
        assert_eq!(of("proxy_url", "http://u:p@proxy:3128"), "http://***@proxy:3128");
        assert_eq!(
            as_answered("numbers", "address", "+1 (415) 555-0123".into()),
            "+14155550123"
        );
    }

    #[test]
    fn a_patch_says_what_is_to_change() {
        let (from, to) = (
            json!({"a": 1, "b": {"c": 1, "d": 2}, "e": 3}),
            json!({"a": 1, "b": {"c": 2, "d": 2}}),
        );
        assert_eq!(patch(&from, &to), json!({"b": {"c": 2}, "e": null}));
        let at: Vec<_> = differences(&from, &to).into_iter().map(|d| d.at).collect();
        assert_eq!(at, ["b.c", "e"]);
    }
}
