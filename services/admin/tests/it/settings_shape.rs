//! A document of settings as the API's document describes it, held against the model that reads, writes and checks it.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub struct Shape {
    document: Value,
    name: &'static str,
    defaults: Value,
    /// What the model says of a whole document: taken or not; or the words of serde.
    judge: Box<dyn Fn(Value) -> Result<bool, String>>,
}

/// The schema of a part, with references followed.
fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => document.pointer(reference.strip_prefix('#').unwrap()).unwrap(),
        None => schema,
    }
}

/// Each field of the document that holds no others, by its dotted path.
fn leaves<'a>(document: &'a Value, schema: &'a Value, path: &str, found: &mut BTreeMap<String, &'a Value>) {
    for (name, part) in schema["properties"].as_object().unwrap() {
        let path = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        let part = resolved(document, part);
        if part["properties"].is_object() {
            leaves(document, part, &path, found);
        } else {
            found.insert(path, part);
        }
    }
}

fn keys(object: &Value) -> Vec<&String> {
    object.as_object().unwrap().keys().collect()
}

impl Shape {
    pub fn of<T>(name: &'static str, check: fn(&T) -> bool) -> Self
    where
        T: Default + Serialize + DeserializeOwned + 'static,
    {
        Self {
            document: serde_json::to_value(ccm_admin::openapi()).unwrap(),
            name,
            defaults: serde_json::to_value(T::default()).unwrap(),
            judge: Box::new(move |document| {
                let read = serde_json::from_value::<T>(document);
                read.map(|settings| check(&settings)).map_err(|e| e.to_string())
            }),
        }
    }

    fn whole(&self) -> &Value {
        &self.document["components"]["schemas"][self.name]
    }

    fn fields(&self) -> BTreeMap<String, &Value> {
        let mut found = BTreeMap::new();
        leaves(&self.document, self.whole(), "", &mut found);
        found
    }

    /// The default document with one value changed, as the model takes it.
    fn judged(&self, path: &str, value: Value) -> Result<bool, String> {
        let mut document = self.defaults.clone();
        let pointer = format!("/{}", path.replace('.', "/"));
        *document
            .pointer_mut(&pointer)
            .unwrap_or_else(|| panic!("{path} is there")) = value;
        (self.judge)(document)
    }

    fn taken(&self, path: &str, value: Value) -> bool {
        self.judged(path, value).is_ok_and(|taken| taken)
    }

    pub fn has_the_models_fields_and_defaults(&self) {
        self.same(self.whole(), &self.defaults, "");
        for (path, schema) in self.fields() {
            assert!(schema.get("default").is_some(), "{path} has no default");
            assert!(schema["description"].is_string(), "{path} has no description");
            assert!(
                schema["type"].is_string() || schema["type"].is_array(),
                "{path}: {schema}"
            );
        }
        assert!(
            self.whole().get("required").is_none(),
            "everything can be left out"
        );
    }

    fn same(&self, schema: &Value, model: &Value, path: &str) {
        if !schema["properties"].is_object() {
            assert_eq!(&schema["default"], model, "{path}");
            return;
        }
        assert_eq!(keys(&schema["properties"]), keys(model), "{path}");
        for (name, part) in schema["properties"].as_object().unwrap() {
            let part = resolved(&self.document, part);
            self.same(part, &model[name], &format!("{path}.{name}"));
        }
    }

    /// The fields of a list's items.
    pub fn has_the_models_items(&self, list: &str) {
        let item = resolved(&self.document, &self.fields()[list]["items"]);
        let pointer = format!("/{}/0", list.replace('.', "/"));
        let modelled = self.defaults.pointer(&pointer).unwrap();
        assert_eq!(keys(&item["properties"]), keys(modelled), "{list}");
    }

    /// `numbers` of its fields are numbers, and each has a range; texts in `free` have rules of their own.
    pub fn has_the_models_ranges(&self, numbers: usize, free: &[&str]) {
        let fields = self.fields();
        let ranges = fields.values().filter(|schema| schema["maximum"].is_number());
        assert_eq!(ranges.count(), numbers, "each number has a range");
        for (path, schema) in &fields {
            let kinds = schema["type"].to_string();
            let is_number = kinds.contains("integer") || kinds.contains("number");
            assert_eq!(is_number, schema["maximum"].is_number(), "{path}");
            self.holds(path, schema, free);
            // What stands in a list that is empty by default is for the model's own tests.
            if schema["items"].is_object() && schema["default"][0].is_object() {
                let item = resolved(&self.document, &schema["items"]);
                for (name, part) in item["properties"].as_object().into_iter().flatten() {
                    self.holds(&format!("{path}.0.{name}"), part, free);
                }
            }
        }
    }

    /// What the schema says of a value, held against the model on both sides of each edge.
    fn holds(&self, path: &str, schema: &Value, free: &[&str]) {
        let (least, most) = (&schema["minimum"], &schema["maximum"]);
        if let (Some(whole_least), Some(whole_most)) = (least.as_i64(), most.as_i64()) {
            assert!(
                self.taken(path, json!(whole_least)) && self.taken(path, json!(whole_most)),
                "{path}"
            );
            assert!(
                !self.taken(path, json!(whole_least - 1)) && !self.taken(path, json!(whole_most + 1)),
                "{path}"
            );
        } else if let (Some(l), Some(m)) = (least.as_f64(), most.as_f64()) {
            assert!(self.taken(path, json!(l)) && self.taken(path, json!(m)), "{path}");
            assert!(
                !self.taken(path, json!(l * 0.99)) && !self.taken(path, json!(m * 1.01)),
                "{path}"
            );
        }
        if let (Some(most), false) = (schema["maxLength"].as_u64(), free.contains(&path)) {
            let text = |length: u64| json!("x".repeat(length as usize));
            assert!(
                self.taken(path, text(1)) && self.taken(path, text(most)),
                "{path}"
            );
            assert!(
                !self.taken(path, text(0)) && !self.taken(path, text(most + 1)),
                "{path}"
            );
        }
        if let Some(most) = schema["maxItems"].as_u64() {
            let items = |n: u64| Value::from(vec![schema["default"][0].clone(); n as usize]);
            assert!(
                self.taken(path, items(most)) && !self.taken(path, items(most + 1)),
                "{path}"
            );
        }
        if let Some(names) = schema["enum"].as_array() {
            let said = self.judged(path, json!("nothing")).unwrap_err();
            let (_, known) = said.split_once("expected one of ").expect(&said);
            let documented: Vec<_> = names
                .iter()
                .map(|name| format!("`{}`", name.as_str().unwrap()))
                .collect();
            assert_eq!(known, documented.join(", "), "{path}");
        }
    }

    /// A line of a table of docs/api.md for each field.
    pub fn is_on_the_page(&self) {
        let page = include_str!("../../../../docs/api.md");
        for (path, schema) in self.fields() {
            let line = format!(
                "| `{path}` | {} | {} | ",
                default_cell(schema),
                range_cell(schema)
            );
            assert!(page.contains(&line), "docs/api.md has not: {line}");
        }
    }
}

fn default_cell(schema: &Value) -> String {
    match schema["default"].to_string() {
        short if short.len() <= 30 => format!("`{short}`"),
        _ => "see `GET`".to_owned(),
    }
}

fn range_cell(schema: &Value) -> String {
    let number = |name: &str| Some(&schema[name]).filter(|value| value.is_number());
    if let (Some(least), Some(most)) = (number("minimum"), number("maximum")) {
        format!("{least} to {most}")
    } else if let (Some(least), Some(most)) = (number("minLength"), number("maxLength")) {
        format!("{least} to {most} characters")
    } else if let Some(most) = number("maxItems") {
        format!("at most {most}")
    } else if let Some(names) = schema["enum"].as_array() {
        let names: Vec<_> = names
            .iter()
            .map(|name| format!("`{}`", name.as_str().unwrap()))
            .collect();
        names.join(", ")
    } else {
        match schema["type"].to_string() {
            kind if kind.contains("object") => "words".to_owned(),
            kind if kind.contains("array") => "a list".to_owned(),
            _ => "`true`, `false`".to_owned(),
        }
    }
}

/// The example of a section of docs/api.md.
pub fn example_on_the_page(section: &str) -> Value {
    let page = include_str!("../../../../docs/api.md");
    let (_, section) = page.split_once(section).unwrap();
    let (_, rest) = section.split_once("```json\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    serde_json::from_str(example).unwrap()
}
