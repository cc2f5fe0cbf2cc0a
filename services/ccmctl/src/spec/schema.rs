//! A part of the API's document that says what a value looks like.

use regex::Regex;
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Where it stands in the document, references followed.
#[derive(Clone, Copy)]
pub struct Schema {
    document: &'static Value,
    /// What stands there itself: the description and the default are its own, whatever it refers to.
    here: &'static Value,
    target: &'static Value,
}

impl Schema {
    pub fn of(document: &'static Value, here: &'static Value) -> Self {
        let mut target = here;
        while let Some(name) = target["$ref"].as_str() {
            let name = name.rsplit('/').next().unwrap_or_default();
            target = &document["components"]["schemas"][name];
        }
        let schema = Self {
            document,
            here,
            target,
        };
        // `oneOf: [X, null]` is an X that may be null.
        match schema
            .alternatives("oneOf")
            .filter(|s| !s.is_null())
            .collect::<Vec<_>>()[..]
        {
            [only] => Self {
                target: only.target,
                ..schema
            },
            _ => schema,
        }
    }

    fn alternatives(&self, keyword: &str) -> impl Iterator<Item = Self> + use<> {
        let document = self.document;
        let listed = self.target[keyword].as_array().into_iter().flatten();
        listed.map(move |node| Self::of(document, node))
    }

    fn is_null(&self) -> bool {
        self.target["type"] == "null"
    }

    /// That one of several that has this title.
    pub fn titled(&self, title: &str) -> Option<Self> {
        self.alternatives("oneOf")
            .find(|one| one.target["title"] == title)
    }

    /// Itself, and all that it is put together from or may be one of.
    fn parts(&self) -> Vec<Self> {
        let below = ["allOf", "oneOf", "anyOf"];
        let inner = below.into_iter().flat_map(|keyword| self.alternatives(keyword));
        std::iter::once(*self)
            .chain(inner.flat_map(|part| part.parts()))
            .collect()
    }

    /// Members of an object: those that must be there in the order of the document, then the others.
    pub fn properties(&self) -> Vec<(&'static str, Self)> {
        let mut all: Vec<(&'static str, Self)> = Vec::new();
        for part in self.parts() {
            let node = part.target;
            let members = node["properties"].as_object();
            let required = node["required"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str);
            let names = required.chain(members.into_iter().flat_map(|m| m.keys().map(String::as_str)));
            for name in names {
                let (known, member) = (all.iter().any(|(n, _)| *n == name), node["properties"].get(name));
                if let (false, Some(member)) = (known, member) {
                    all.push((name, Self::of(self.document, member)));
                }
            }
        }
        all
    }

    pub fn property(&self, name: &str) -> Option<Self> {
        self.properties()
            .into_iter()
            .find(|(n, _)| *n == name)
            .map(|(_, s)| s)
    }

    /// A member further down.
    pub fn at(&self, path: &[&str]) -> Option<Self> {
        let Some((first, rest)) = path.split_first() else {
            return Some(*self);
        };
        self.property(first).or_else(|| self.values())?.at(rest)
    }

    /// What every value of it must have.
    pub fn required(&self) -> Vec<&'static str> {
        let own = |schema: &Self| -> Vec<&'static str> {
            let listed = schema.target["required"].as_array();
            listed.into_iter().flatten().filter_map(Value::as_str).collect()
        };
        let mut all = own(self);
        all.extend(self.alternatives("allOf").flat_map(|part| part.required()));
        all
    }

    pub fn items(&self) -> Option<Self> {
        let items = self.target.get("items")?;
        Some(Self::of(self.document, items))
    }

    /// What the members of a map look like, which has names of somebody's own choice.
    pub fn values(&self) -> Option<Self> {
        let values = self
            .target
            .get("additionalProperties")
            .filter(|v| v.is_object())?;
        Some(Self::of(self.document, values))
    }

    /// Takes away what an answer has and a request does not: ids, times, counts.
    pub fn keep_known(&self, value: &mut Value) {
        if let (Value::Object(members), false) = (value, self.is_open()) {
            members.retain(|name, _| self.property(name).is_some());
        }
    }

    /// Whether a member that the document does not know may be there.
    pub fn is_open(&self) -> bool {
        self.properties().is_empty()
    }

    pub fn is(&self, kind: &str) -> bool {
        self.parts().iter().any(|part| match &part.target["type"] {
            Value::String(one) => one == kind,
            Value::Array(several) => several.iter().any(|one| one == kind),
            _ => false,
        })
    }

    pub fn is_nullable(&self) -> bool {
        let or_null = |node: &Value| {
            node["oneOf"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|one| one["type"] == "null")
        };
        self.is("null") || or_null(self.here) || or_null(self.target)
    }

    /// One value, that a flag can say.
    pub fn is_scalar(&self) -> bool {
        !self.is("object")
            && !self.is("array")
            && ["string", "integer", "number", "boolean"]
                .iter()
                .any(|k| self.is(k))
    }

    pub fn is_id(&self) -> bool {
        self.target["format"] == "uuid"
    }

    pub fn is_time(&self) -> bool {
        self.target["format"] == "date-time"
    }

    /// Never shown, and nothing for a command line that others can read.
    pub fn is_secret(&self) -> bool {
        self.target["format"] == "password" || self.target["writeOnly"] == true
    }

    pub fn default(&self) -> Option<&'static Value> {
        self.here.get("default").or_else(|| self.target.get("default"))
    }

    pub fn one_of(&self) -> Vec<&'static str> {
        let listed = self.target["enum"].as_array();
        listed.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    pub fn description(&self) -> &'static str {
        let own = self.here["description"].as_str();
        own.or_else(|| self.target["description"].as_str())
            .unwrap_or_default()
    }

    /// What somebody meant who wrote `raw` for a single value.
    pub fn read(&self, raw: &str) -> Result<Value, String> {
        if raw == "null" && self.is_nullable() {
            return Ok(Value::Null);
        }
        let (integer, number) = (self.is("integer"), self.is("number"));
        if integer && let Ok(n) = raw.parse::<i64>() {
            return Ok(n.into());
        }
        if number && let Some(n) = raw.parse().ok().and_then(serde_json::Number::from_f64) {
            return Ok(n.into());
        }
        if self.is("boolean")
            && let Ok(b) = raw.parse::<bool>()
        {
            return Ok(b.into());
        }
        let allowed = self.one_of();
        if self.is("string") && (allowed.is_empty() || allowed.contains(&raw)) {
            return Ok(raw.into());
        }
        Err(match (integer, number, self.is("boolean")) {
            (true, ..) => "is no whole number".to_owned(),
            (_, true, _) => "is no number".to_owned(),
            (.., true) => "is neither true nor false".to_owned(),
            _ => format!("is none of {}", allowed.join(", ")),
        })
    }

    /// Why the API would not take a value of the right kind. The value itself is in it where it is a number: a text may be a secret.
    pub fn refuses(&self, value: &Value) -> Option<String> {
        let limit = |name: &str| self.target[name].as_u64();
        match value {
            Value::Number(n) => {
                let (least, most) = self.range();
                let value = n.as_f64()?;
                if least.as_f64().is_some_and(|least| value < least) {
                    return Some(format!("{n} is less than {least}"));
                }
                let is_more = most.as_f64().is_some_and(|most| value > most);
                is_more.then(|| format!("{n} is more than {most}"))
            }
            Value::String(text) => {
                let length = text.chars().count() as u64;
                if limit("minLength").is_some_and(|least| length < least) {
                    return Some(match length {
                        0 => "there is nothing in it".to_owned(),
                        _ => format!(
                            "it has {length} characters, and {} are needed",
                            limit("minLength")?
                        ),
                    });
                }
                if limit("maxLength").is_some_and(|most| length > most) {
                    return Some(format!(
                        "it has {length} characters, and may have {}",
                        limit("maxLength")?
                    ));
                }
                if self.is_time() && OffsetDateTime::parse(text, &Rfc3339).is_err() {
                    return Some("it is no time such as 2026-04-03T09:00:00Z".to_owned());
                }
                let pattern = self.target["pattern"].as_str()?;
                let fits = Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text));
                (!fits).then(|| format!("it is not written as {pattern}"))
            }
            Value::Array(items) => {
                let count = items.len() as u64;
                if limit("minItems").is_some_and(|least| count < least) {
                    return Some(format!(
                        "it has {count} items, and {} are needed",
                        limit("minItems")?
                    ));
                }
                (count > limit("maxItems")?)
                    .then(|| format!("it has {count} items, and may have {}", self.target["maxItems"]))
            }
            _ => None,
        }
    }

    /// The least and the most that a number may be; `null`: whatever it wants.
    fn range(&self) -> (Value, Value) {
        let or = |limit: &str, kind: i32| match &self.target[limit] {
            Value::Null if self.target["format"] == "int32" => kind.into(),
            limit => limit.clone(),
        };
        (or("minimum", i32::MIN), or("maximum", i32::MAX))
    }
}
