//! A tenant as it is, read over the API.

use super::{Section, Shape, Thing, canonical::whole};
use crate::{
    api::{Api, Ask},
    commands::generated::names::everything,
    failure::Failure,
    terminal::Progress,
};
use reqwest::Method;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

pub struct There {
    pub id: String,
    pub slug: String,
    pub name: String,
    pub things: BTreeMap<&'static str, Vec<Thing>>,
    pub settings: BTreeMap<String, Found>,
}

/// Settings, and the `ETag` that they were read with.
pub struct Found {
    pub value: Value,
    pub etag: Option<String>,
}

impl There {
    /// All of the tenant of this id.
    pub async fn read(shape: &Shape<'_>, id: &str, api: &Api) -> Result<Self, Failure> {
        api.is_about(id);
        let progress = Progress::new();
        let tenant = api.get(&["v1", "tenants", id], &[]).await?;
        let said = |name: &str| tenant[name].as_str().unwrap_or_default().to_owned();
        let mut there = Self {
            id: id.to_owned(),
            slug: said("slug"),
            name: said("name"),
            things: BTreeMap::new(),
            settings: BTreeMap::new(),
        };
        for section in &shape.sections {
            progress.say(&format!("reading {}", section.name));
            let found = there.section(section, &[], api).await?;
            there.things.insert(section.name, found);
        }
        for settings in &shape.settings {
            progress.say(&format!("reading {}", settings.name));
            let mut ask = Ask::new(Method::GET, &[]);
            ask.path = api.path(&settings.get.path, &[]).await?;
            let mut answer = api.ask(&ask).await?;
            if let Some(body) = &settings.put.body {
                body.schema.keep_known(&mut answer.value);
                answer.value = whole(&answer.value, &body.schema);
            }
            there.settings.insert(
                settings.name.clone(),
                Found {
                    value: answer.value,
                    etag: answer.etag,
                },
            );
        }
        Ok(there)
    }

    async fn section(&self, section: &Section<'_>, of: &[String], api: &Api) -> Result<Vec<Thing>, Failure> {
        let path = api.path(&section.list.path, of).await?;
        let items = everything(section.list, path, api).await?;
        let mut things: Vec<Thing> = items.iter().map(|item| self.thing(section, item)).collect();
        if let Some(below) = &section.below {
            for thing in &mut things {
                let of = thing.id.iter().cloned().collect::<Vec<_>>();
                thing.below = Some(Box::pin(self.section(below, &of, api)).await?);
            }
        }
        Ok(things)
    }

    /// An answer, with names in place of ids.
    pub fn thing(&self, section: &Section<'_>, item: &Value) -> Thing {
        let mut members = Map::new();
        for member in section.members.iter().filter(|m| !m.is_secret()) {
            let value = match (member.refers_to, item[member.sent].as_str()) {
                (Some(to), Some(id)) => self.name_of(to, id).into(),
                _ => item[member.sent].clone(),
            };
            members.insert(member.name.clone(), value);
        }
        // Whether there is a secret is all that is told of it.
        for member in section.members.iter().filter(|m| m.is_secret()) {
            let has = format!("has_{}", member.sent.trim_end_matches("_pem"));
            if item[has.as_str()] == false {
                members.insert(member.name.clone(), Value::Null);
            }
        }
        Thing {
            id: item["id"].as_str().map(str::to_owned),
            key: section.key_of(&members),
            members,
            below: None,
            lines: BTreeMap::new(),
        }
    }

    fn name_of(&self, section: &str, id: &str) -> String {
        let mut things = self.things.get(section).into_iter().flatten();
        let found = things.find(|thing| thing.id.as_deref() == Some(id));
        found.map_or_else(|| id.to_owned(), |thing| thing.key.clone())
    }

    /// The id of what a name refers to.
    pub fn id_of(&self, section: &str, name: &str) -> Option<String> {
        let mut things = self.things.get(section)?.iter();
        things.find(|thing| thing.key == name)?.id.clone()
    }
}
