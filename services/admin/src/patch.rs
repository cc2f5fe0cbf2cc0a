//! What a `PATCH` changes: RFC 7396, JSON Merge Patch, sent as `application/json`.

use crate::valid::Refused;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

/// A field of a patch that may be left out; `null` is something that was given.
pub fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(json: D) -> Result<Option<T>, D::Error> {
    T::deserialize(json).map(Some)
}

/// Puts a patch into what is there: `null` takes a member away, objects are merged, all else replaces.
pub fn merge(target: Value, patch: Value) -> Value {
    let Value::Object(patch) = patch else {
        return patch;
    };
    let Value::Object(mut target) = target else {
        return merge(Value::Object(Default::default()), Value::Object(patch));
    };
    for (name, value) in patch {
        let was = target.remove(&name);
        if !value.is_null() {
            target.insert(name, merge(was.unwrap_or_default(), value));
        }
    }
    Value::Object(target)
}

/// Reads what a merge came to, and names the field that is wrong.
pub fn read<T: DeserializeOwned>(at: &'static str, value: Value) -> Result<T, Refused> {
    const REMEDY: &str = "see the schema at /docs";
    if !value.is_object() {
        return Err(Refused::new(at, "is not an object", REMEDY));
    }
    serde_json::from_value(value).map_err(|error| {
        let said = error.to_string();
        match said
            .strip_prefix("unknown field `")
            .and_then(|rest| rest.split('`').next())
        {
            Some(name) => Refused::new(format!("{at}.{name}"), "is not known", REMEDY),
            None => Refused::new(at, format!("cannot be read: {said}"), REMEDY),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The examples of RFC 7396, appendix A, that differ from each other.
    #[test]
    fn patches_merge_as_the_rfc_says() {
        for (target, patch, merged) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!(["a"]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (
                json!({}),
                json!({"a": {"bb": {"ccc": null}}}),
                json!({"a": {"bb": {}}}),
            ),
            (json!({"a": "b"}), json!(null), json!(null)),
        ] {
            assert_eq!(merge(target, patch.clone()), merged, "{patch}");
        }
    }
}
