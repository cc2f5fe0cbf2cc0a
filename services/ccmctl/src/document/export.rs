use super::{
    API_VERSION, Section, Shape, There, Thing,
    canonical::{hides_password, short},
};
use crate::spec::schema::Schema;
use serde_json::{Map, Value, json};

/// The document of what is there, without what is the default and without secrets: where those are to be found it names. So it does
/// with addresses that a password is in.
pub fn export(shape: &Shape<'_>, there: &There) -> Value {
    let mut document = Map::new();
    document.insert("apiVersion".to_owned(), API_VERSION.into());
    document.insert("slug".to_owned(), there.slug.clone().into());
    document.insert("name".to_owned(), there.name.clone().into());
    for section in &shape.sections {
        let things = there.things.get(section.name).into_iter().flatten();
        let things: Vec<Value> = things.map(|one| thing(section, there, one)).collect();
        document.insert(section.name.to_owned(), things.into());
    }
    for settings in &shape.settings {
        let schema = settings.put.body.as_ref().map(|body| body.schema);
        if let (Some(found), Some(schema)) = (there.settings.get(&settings.name), schema) {
            document.insert(settings.name.clone(), short(&found.value, &schema));
        }
    }
    Value::Object(document)
}

fn thing(section: &Section<'_>, there: &There, thing: &Thing) -> Value {
    let mut members = Map::new();
    for member in &section.members {
        let value = thing.members.get(&member.name);
        if member.is_secret() {
            // `null` is what is known not to be there.
            if value.is_none() && (member.required || value_is_there(thing, &member.name)) {
                members.insert(
                    member.name.clone(),
                    elsewhere(there, thing, &member.name, &member.schema),
                );
            }
            continue;
        }
        let Some(value) = value.filter(|value| !value.is_null()) else {
            continue;
        };
        if hides_password(value) {
            members.insert(
                member.name.clone(),
                elsewhere(there, thing, &member.name, &member.schema),
            );
            continue;
        }
        let shown = match member.schema.default() {
            Some(default) if same(default, value) && !member.required => continue,
            _ => short(value, &member.schema),
        };
        if member.required || shown != json!({}) {
            members.insert(member.name.clone(), shown);
        }
    }
    if let (Some(below), Some(inner)) = (
        &section.below,
        thing.below.as_ref().filter(|inner| !inner.is_empty()),
    ) {
        let inner: Vec<Value> = inner.iter().map(|one| self::thing(below, there, one)).collect();
        members.insert(below.name.to_owned(), inner.into());
    }
    Value::Object(members)
}

/// What belongs to something that is there (`client_key_pem` to `client_certificate_pem`).
fn value_is_there(thing: &Thing, secret: &str) -> bool {
    let beside = secret.replace("_key_", "_certificate_");
    thing.members.get(&beside).is_some_and(|value| !value.is_null())
}

fn same(default: &Value, value: &Value) -> bool {
    match (default.as_f64(), value.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => default == value,
    }
}

/// A variable for each part of a secret that there must be.
fn elsewhere(there: &There, thing: &Thing, member: &str, schema: &Schema) -> Value {
    let variable = |part: &str| {
        let name = format!("{}_{}_{part}", there.slug, thing.key).to_uppercase();
        let name: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .collect();
        json!({"env": name})
    };
    if schema.is_scalar() {
        return variable(member);
    }
    let kind = thing
        .members
        .get("kind")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let parts = schema.titled(kind).map(|of| of.required()).unwrap_or_default();
    match parts.is_empty() {
        true => variable(member),
        false => Value::Object(
            parts
                .into_iter()
                .map(|part| (part.to_owned(), variable(part)))
                .collect(),
        ),
    }
}
