//! A tenant as one document: what is wanted, what is there, and the steps from one to the other.
//!
//! What may stand in it follows from the API's document: a thing has the members that making it takes, but that others are
//! named instead of numbered (`link: AACC Dublin` for `link_id`), and secrets are told where to be found.

mod apply;
mod canonical;
mod export;
mod fits;
mod plan;
mod read;
mod secret;
mod show;
mod there;

pub use apply::apply;
pub use canonical::{differences, withheld};
pub use export::export;
pub use plan::{Plan, Reach, plan};
pub use read::{Wanted, read};
pub use show::{as_json, as_text};
pub use there::There;

use crate::{
    commands::generated::names::list_of_member,
    spec::{Method, Operation, Spec, schema::Schema},
};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

pub const API_VERSION: &str = "ccm/v1";

/// A list of things: its name, what one is called, and the members that people know one by.
type Listed = (&'static str, &'static str, &'static [&'static str]);

/// In the order of making: each refers to those before it only.
const SECTIONS: [Listed; 5] = [
    ("accounts", "account", &["name"]),
    ("links", "link", &["name"]),
    ("skillsets", "skillset", &["name"]),
    (
        "templates",
        "template",
        &["name", "scope", "skillset", "agent", "language"],
    ),
    ("numbers", "number", &["address"]),
];

/// Of a link. They have no name: what they are is all that there is.
const WINDOWS: Listed = (
    "maintenance_windows",
    "maintenance window",
    &["begins_at", "ends_at", "reason"],
);

/// What the document can hold.
pub struct Shape<'s> {
    pub spec: &'s Spec,
    pub sections: Vec<Section<'s>>,
    pub settings: Vec<Settings<'s>>,
}

/// A list of things.
pub struct Section<'s> {
    pub name: &'static str,
    pub noun: &'static str,
    /// The members that people know one by.
    pub keys: &'static [&'static str],
    pub list: &'s Operation,
    pub get: Option<&'s Operation>,
    pub create: &'s Operation,
    pub change: Option<&'s Operation>,
    pub delete: Option<&'s Operation>,
    pub members: Vec<Member>,
    /// What each of its things has of its own.
    pub below: Option<Box<Section<'s>>>,
}

/// A member of a thing.
pub struct Member {
    /// In the tenant's document.
    pub name: String,
    /// In the API.
    pub sent: &'static str,
    pub schema: Schema,
    /// As it is answered; `None` for what no answer shows.
    pub shown: Option<Schema>,
    /// The section that it names a thing of.
    pub refers_to: Option<&'static str>,
    pub required: bool,
}

/// Settings that are one document of their own.
pub struct Settings<'s> {
    /// `chat_settings`
    pub name: String,
    pub get: &'s Operation,
    pub put: &'s Operation,
}

/// A thing as it is wanted, or as it is there.
#[derive(Clone)]
pub struct Thing {
    /// `None`: it is not there yet.
    pub id: Option<String>,
    pub key: String,
    /// By their names in the tenant's document.
    pub members: Map<String, Value>,
    pub below: Option<Vec<Thing>>,
    /// Where its members stand in the file that it is read from.
    pub lines: BTreeMap<String, usize>,
}

impl<'s> Shape<'s> {
    pub fn of(spec: &'s Spec) -> Self {
        let sections = SECTIONS.into_iter().filter_map(|listed| {
            let path = format!("v1/tenants/{{tenant}}/{}", listed.0);
            let mut section = Section::of(spec, &path, listed)?;
            if section.name == "links" {
                let windows = format!("{path}/{{link}}/maintenance-windows");
                section.below = Section::of(spec, &windows, WINDOWS).map(Box::new);
            }
            Some(section)
        });
        let settings = spec.operations().iter().filter_map(|put| {
            let is_settings =
                put.method == Method::Put && put.if_match && put.of_tenant() && put.things.is_empty();
            let get = spec
                .beside(Method::Get, &put.path)
                .filter(|_| is_settings && put.path.len() == 4)?;
            let name = put.words.first()?.replace('-', "_");
            Some(Settings { name, get, put })
        });
        Self {
            spec,
            sections: sections.collect(),
            settings: settings.collect(),
        }
    }
}

impl<'s> Section<'s> {
    fn of(spec: &'s Spec, path: &str, (name, noun, keys): Listed) -> Option<Self> {
        let (list, create) = (spec.at(Method::Get, path)?, spec.at(Method::Post, path)?);
        let one = format!("{path}/{{thing}}");
        let at = |method| spec.at(method, &one);
        let (made, shown) = (create.body.as_ref()?.schema, list.answer.items()?);
        let required = made.required();
        let member = |(sent, schema): (&'static str, Schema)| {
            let list = list_of_member(spec, sent).filter(|_| schema.is_id());
            let refers_to = list.and_then(|list| {
                let noun = list.words.first()?;
                SECTIONS.iter().map(|(name, ..)| *name).find(|name| name == noun)
            });
            Member {
                name: refers_to
                    .map_or(sent, |_| sent.trim_end_matches("_id"))
                    .to_owned(),
                sent,
                schema,
                shown: shown.property(sent),
                refers_to,
                required: required.contains(&sent),
            }
        };
        Some(Self {
            name,
            noun,
            keys,
            list,
            get: at(Method::Get),
            create,
            change: at(Method::Patch).or(at(Method::Put)),
            delete: at(Method::Delete),
            members: made.properties().into_iter().map(member).collect(),
            below: None,
        })
    }

    /// What people know a thing by: its name, and what else tells it from others of that name.
    pub fn key_of(&self, members: &Map<String, Value>) -> String {
        let said = |name: &&str| {
            let (member, value) = (self.member(name)?, members.get(*name)?);
            match canonical::as_answered(self.name, name, canonical::whole(value, &member.schema)) {
                Value::Null => None,
                Value::String(text) => Some(text),
                other => Some(other.to_string()),
            }
        };
        let mut parts = self.keys.iter().filter_map(said);
        let (first, others) = (parts.next().unwrap_or_default(), parts.collect::<Vec<_>>());
        match others.is_empty() {
            true => first,
            false => format!("{first} ({})", others.join(", ")),
        }
    }

    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }
}

impl Member {
    /// No answer shows it.
    pub fn is_secret(&self) -> bool {
        self.shown.is_none()
    }
}
