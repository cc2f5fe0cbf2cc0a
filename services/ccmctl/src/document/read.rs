//! A file as it is wanted. Whatever is wrong with it is said with its line, before anything is asked of the API.

use super::{
    API_VERSION, Section, Shape, Thing,
    canonical::whole,
    fits::{fits, is_known, may_refer, nearest},
    secret,
};
use crate::{
    commands::generated::body::text_of,
    failure::Failure,
    spec::schema::Schema,
    yaml::{Key, Kind, Node, Wrong, parse},
};
use serde_json::{Map, Value};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// What a tenant is to be. A part that the file does not have stays as it is.
pub struct Wanted {
    /// The file, to be named when something in it is wrong.
    pub file: String,
    pub slug: String,
    pub name: Option<String>,
    pub things: BTreeMap<&'static str, Vec<Thing>>,
    pub settings: BTreeMap<String, Value>,
    /// Where files are looked for that it names.
    pub folder: PathBuf,
}

pub fn read(shape: &Shape<'_>, file: &str) -> Result<Wanted, Failure> {
    let text = text_of(file)?;
    let folder = Path::new(file).parent().map(Path::to_owned).unwrap_or_default();
    let at = |wrong: Wrong| in_file(file, wrong);
    let node = parse(&text).map_err(at)?;
    let mut wanted = wanted(shape, &node).map_err(at)?;
    for settings in &shape.settings {
        let body = settings.put.body.as_ref().map(|body| body.schema);
        if let (Some(value), Some(schema)) = (wanted.settings.get_mut(&settings.name), body) {
            *value = whole(&secret::resolved(value, &schema, &folder)?, &schema);
        }
    }
    Ok(Wanted {
        folder,
        file: file.to_owned(),
        ..wanted
    })
}

fn in_file(file: &str, wrong: Wrong) -> Failure {
    Failure::usage(format!("{file} {wrong}"), wrong.remedy)
}

impl Wanted {
    /// What is found to be wrong with a member of a thing only when it is held against what is there.
    pub fn wrong(
        &self,
        thing: &Thing,
        member: &str,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Failure {
        let line = thing.lines.get(member).copied().unwrap_or_default();
        in_file(&self.file, Wrong::at(line, what, remedy))
    }
}

fn wanted(shape: &Shape<'_>, node: &Node) -> Result<Wanted, Wrong> {
    let members = members(node, "the document")?;
    let mut known = vec!["apiVersion", "slug", "name"];
    known.extend(shape.sections.iter().map(|s| s.name));
    known.extend(shape.settings.iter().map(|s| s.name.as_str()));
    for (key, _) in members {
        is_known(key, &known)?;
    }
    let find = |name: &str| {
        members
            .iter()
            .find(|(key, _)| key.name == name)
            .map(|(_, node)| node)
    };
    let version = find("apiVersion").map(text).transpose()?;
    if version.as_deref() != Some(API_VERSION) {
        let line = find("apiVersion").map_or(node.line, |node| node.line);
        return Err(Wrong::at(
            line,
            "this is no tenant's document of a known version",
            format!("begin it with apiVersion: {API_VERSION}"),
        ));
    }
    let slug = find("slug")
        .map(text)
        .transpose()?
        .filter(|slug| !slug.is_empty());
    let slug = slug.ok_or_else(|| {
        Wrong::at(
            node.line,
            "slug is missing",
            "say whose document it is: slug: acme-bank",
        )
    })?;
    if let Some(schema) = shape.spec.schema("NewTenant") {
        for (node, member) in [(find("slug"), "slug"), (find("name"), "name")] {
            if let (Some(node), Some(member)) = (node, schema.property(member)) {
                fits(node, &member)?;
            }
        }
    }
    let mut wanted = Wanted {
        file: String::new(),
        slug,
        name: find("name").map(text).transpose()?,
        things: BTreeMap::new(),
        settings: BTreeMap::new(),
        folder: PathBuf::new(),
    };
    for section in &shape.sections {
        if let Some(node) = find(section.name) {
            wanted.things.insert(section.name, things(section, node)?);
        }
    }
    for settings in &shape.settings {
        let body = settings.put.body.as_ref().map(|body| body.schema);
        if let (Some(node), Some(schema)) = (find(&settings.name), body) {
            fits(node, &schema)?;
            let value = if node.is_null() {
                Value::Object(Map::new())
            } else {
                with_references(node, &schema)?
            };
            wanted
                .settings
                .insert(settings.name.clone(), whole(&value, &schema));
        }
    }
    refer(shape, &wanted)?;
    Ok(wanted)
}

fn things(section: &Section<'_>, node: &Node) -> Result<Vec<Thing>, Wrong> {
    let items = match &node.kind {
        Kind::List(items) => items,
        _ if node.is_null() => return Ok(Vec::new()),
        _ => {
            return Err(Wrong::at(
                node.line,
                format!("{} is a list", section.name),
                "begin each of them with `- `",
            ));
        }
    };
    let mut all: Vec<Thing> = Vec::new();
    for item in items {
        let thing = thing(section, item)?;
        if all.iter().any(|other| other.key == thing.key) {
            let what = format!("a second {} {:?}", section.noun, thing.key);
            return Err(Wrong::at(
                item.line,
                what,
                "keep one of them, or give it another name",
            ));
        }
        all.push(thing);
    }
    Ok(all)
}

fn thing(section: &Section<'_>, node: &Node) -> Result<Thing, Wrong> {
    let given = members(node, section.noun)?;
    let mut known: Vec<&str> = section.members.iter().map(|m| m.name.as_str()).collect();
    known.extend(section.below.as_ref().map(|below| below.name));
    let (mut found, mut below) = (Map::new(), section.below.as_ref().map(|_| Vec::new()));
    let mut says_below = false;
    for (key, node) in given {
        is_known(key, &known)?;
        if let Some(inner) = section.below.as_ref().filter(|inner| inner.name == key.name) {
            below = Some(things(inner, node)?);
            says_below = true;
            continue;
        }
        let Some(member) = section.member(&key.name) else {
            continue;
        };
        fits(node, &member.schema)?;
        let value = with_references(node, &member.schema)?;
        if member.is_secret() && !secret::is_elsewhere(&value, &member.schema) {
            return Err(Wrong::at(
                key.line,
                format!("{} stands in the document", key.name),
                "keep secrets elsewhere: {env: NAME} or {file: PATH} in their place",
            ));
        }
        found.insert(key.name.clone(), value);
    }
    for member in section.members.iter().filter(|m| m.required && !m.is_secret()) {
        if found.get(&member.name).is_none_or(Value::is_null) {
            return Err(Wrong::at(
                node.line,
                format!("this {} has no {}", section.noun, member.name),
                "say it",
            ));
        }
    }
    Ok(Thing {
        id: None,
        key: section.key_of(&found),
        members: found,
        below: below.filter(|_| says_below),
        lines: given
            .iter()
            .map(|(key, _)| (key.name.clone(), key.line))
            .collect(),
    })
}

/// What names another thing names one that the document has, where it has a list of them. The others are looked for in what is there.
fn refer(shape: &Shape<'_>, wanted: &Wanted) -> Result<(), Wrong> {
    for section in &shape.sections {
        for thing in wanted.things.get(section.name).into_iter().flatten() {
            for member in &section.members {
                let (Some(to), Some(name)) = (
                    member.refers_to,
                    thing.members.get(&member.name).and_then(Value::as_str),
                ) else {
                    continue;
                };
                let Some(others) = wanted.things.get(to) else {
                    continue;
                };
                if !others.iter().any(|other| other.key == name) {
                    let line = thing.lines.get(&member.name).copied().unwrap_or_default();
                    let remedy = meant(name, to, others);
                    return Err(Wrong::at(line, format!("among {to}, none is {name:?}"), remedy));
                }
            }
        }
    }
    Ok(())
}

/// What may be done about a name that none of `others` has.
pub fn meant(name: &str, to: &str, others: &[Thing]) -> String {
    match nearest(name, others.iter().map(|other| other.key.as_str())) {
        Some(near) => format!("is {near:?} meant? else add it to {to}"),
        None => format!("add it to {to}"),
    }
}

/// A value with what it refers to as it is written: it is looked for when it is needed.
fn with_references(node: &Node, schema: &Schema) -> Result<Value, Wrong> {
    if let Some(reference) = secret::of_node(node).filter(|_| may_refer(schema)) {
        return Ok(reference);
    }
    let Kind::Map(members) = &node.kind else {
        return node.value(Some(schema));
    };
    let mut map = Map::new();
    for (key, node) in members {
        let inner = schema.property(&key.name).or_else(|| schema.values());
        let value = match inner {
            Some(inner) => with_references(node, &inner)?,
            None => node.value(None)?,
        };
        map.insert(key.name.clone(), value);
    }
    Ok(Value::Object(map))
}

fn members<'n>(node: &'n Node, what: &str) -> Result<&'n [(Key, Node)], Wrong> {
    match &node.kind {
        Kind::Map(members) => Ok(members),
        _ => Err(Wrong::at(
            node.line,
            format!("{what} has no members here"),
            "write `name: value`, one a line",
        )),
    }
}

fn text(node: &Node) -> Result<String, Wrong> {
    match &node.kind {
        Kind::Scalar { text, .. } => Ok(text.clone()),
        _ => Err(Wrong::at(
            node.line,
            "one value is expected here",
            "write `name: value`",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Spec;

    const GOOD: &str = "\
apiVersion: ccm/v1
slug: acme-bank
name: Acme Bank
accounts:
  - name: Twilio main
    kind: twilio
    settings: {account_sid: AC0123456789abcdef0123456789abcdef}
    secret: {auth_token: {env: ACME_TOKEN}}
links:
  - name: AACC Dublin
    url: wss://aacc.example.com:8445
    ca_pem: {file: ca.pem}
    maintenance_windows:
      - {begins_at: 2099-03-01T22:00:00+01:00, ends_at: 2099-03-02T02:00:00+01:00, reason: AACC patch}
skillsets:
  - {name: WC_Default_Skillset, link: AACC Dublin}
numbers:
  - {address: +14155550123, account: Twilio main, skillset: WC_Default_Skillset}
chat_settings:
  language: de
  notices: {waiting: {de: Gleich!}}
";

    fn of(text: &str) -> Result<Wanted, Wrong> {
        wanted(&Shape::of(&Spec::embedded()), &parse(text)?)
    }

    #[test]
    fn a_document_is_read() {
        let read = of(GOOD).unwrap();
        let number = &read.things["numbers"][0];
        assert_eq!(
            (number.key.as_str(), &number.members["account"]),
            ("+14155550123", &"Twilio main".into())
        );
        let windows = read.things["links"][0].below.as_ref().unwrap();
        assert_eq!(
            windows[0].key,
            "2099-03-01T21:00:00Z (2099-03-02T01:00:00Z, AACC patch)"
        );
        assert_eq!(read.settings["chat_settings"]["welcome"], true, "a default");
        assert!(!read.settings.contains_key("routing"), "what is not named stays");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (good, bad, line, words, remedy) in [
            (
                "language: de",
                "langauge: de",
                20,
                "langauge is not known here",
                "is language meant?",
            ),
            (
                "    url: wss",
                "    uri: wss",
                11,
                "uri is not known here",
                "is url meant?",
            ),
            (
                "numbers:",
                "number:",
                17,
                "number is not known",
                "is numbers meant?",
            ),
            (
                "account: Twilio main",
                "account: Twilio min",
                18,
                "none is \"Twilio min\"",
                "is \"Twilio main\" meant?",
            ),
            (
                "secret: {auth_token: {env: ACME_TOKEN}}",
                "secret: {auth_token: 0123456789abcdef}",
                8,
                "secret stands in",
                "{env: NAME}",
            ),
            (
                "apiVersion: ccm/v1",
                "apiVersion: ccm/v2",
                1,
                "known version",
                "ccm/v1",
            ),
            ("slug: acme-bank\n", "", 1, "slug is missing", "acme-bank"),
            ("    kind: twilio\n", "", 5, "this account has no kind", "say it"),
            (
                "  notices: {waiting: {de: Gleich!}}",
                "  notices: [x]",
                21,
                "no list is expected",
                "docs",
            ),
            (
                "  - name: AACC Dublin",
                "  - name: [AACC Dublin]",
                10,
                "no list is expected",
                "docs",
            ),
            (
                "  language: de",
                "  welcome: perhaps",
                20,
                "neither true nor false",
                "value",
            ),
        ] {
            let text = GOOD.replacen(good, bad, 1);
            assert_ne!(text, GOOD, "{good}");
            let wrong = of(&text).err().unwrap_or_else(|| panic!("{bad} is taken"));
            assert!(
                wrong.line == line && wrong.what.contains(words) && wrong.remedy.contains(remedy),
                "{bad}: {wrong} – {}",
                wrong.remedy
            );
        }
    }
}
