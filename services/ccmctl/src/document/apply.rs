//! The steps, one after the other. The first that fails ends it.

use super::{
    Plan, Section, Shape, There, Thing,
    plan::{Does, Step, comparable},
};
use crate::{
    api::{Answered, Api, Ask},
    failure::{Failure, Problem},
    spec::Method,
    terminal::Progress,
};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// How far it came.
pub struct Outcome {
    pub done: usize,
    pub failure: Option<Failure>,
}

pub async fn apply(shape: &Shape<'_>, plan: &Plan<'_>, there: Option<There>, api: &Api) -> Outcome {
    let mut doer = Doer { shape, there, api };
    let progress = Progress::new();
    for (n, step) in plan.steps.iter().enumerate() {
        progress.say(&format!(
            "[{}/{}] {} {}",
            n + 1,
            plan.steps.len(),
            step.noun,
            step.key
        ));
        if let Err(failure) = doer.step(step).await {
            return Outcome {
                done: n,
                failure: Some(failure),
            };
        }
    }
    Outcome {
        done: plan.steps.len(),
        failure: None,
    }
}

struct Doer<'d> {
    shape: &'d Shape<'d>,
    /// Filled up with what is made.
    there: Option<There>,
    api: &'d Api,
}

impl Doer<'_> {
    async fn step(&mut self, step: &Step<'_>) -> Result<(), Failure> {
        match &step.does {
            Does::CreateTenant { name } => {
                let made = self
                    .api
                    .post(&["v1", "tenants"], Some(&json!({"slug": step.key, "name": name})))
                    .await?;
                let id = made["id"].as_str().unwrap_or_default().to_owned();
                self.api.is_about(&id);
                self.there = Some(There {
                    id,
                    slug: step.key.clone(),
                    name: name.clone(),
                    things: BTreeMap::new(),
                    settings: BTreeMap::new(),
                });
            }
            Does::RenameTenant { from, name } => {
                let path = ["v1", "tenants", self.there()?.id.as_str()].map(str::to_owned);
                let now = self.read(&path).await?;
                if now.value["name"] != from.as_str() {
                    return Err(changed("tenant"));
                }
                self.send(
                    Method::Patch,
                    path.to_vec(),
                    Some(&json!({"name": name})),
                    now.etag,
                )
                .await?;
            }
            Does::Create { section, of, members } => {
                let body = self.sent(section, members)?;
                let path = self
                    .api
                    .path(&section.create.path, &self.parents(of.as_deref())?)
                    .await?;
                let made = self.send(Method::Post, path, Some(&body), None).await?;
                let thing = self.there()?.thing(section, &made);
                let thing = Thing {
                    key: step.key.clone(),
                    ..thing
                };
                if let Some(there) = self.there.as_mut().filter(|_| of.is_none()) {
                    there.things.entry(section.name).or_default().push(thing);
                }
            }
            Does::Change {
                section,
                id,
                before,
                patch,
                whole,
            } => {
                self.change(section, id, before, patch, whole).await?;
            }
            Does::Remove {
                section,
                of,
                id,
                before,
            } => {
                let Some(delete) = section.delete else {
                    return Ok(());
                };
                let mut things = self.parents(of.as_deref())?;
                things.push(id.clone());
                let path = self.api.path(&delete.path, &things).await?;
                let etag = match self.unchanged(section, &path, before).await {
                    // What is to be removed may be gone.
                    Err(failure) if failure.is_not_found() => return Ok(()),
                    unchanged => unchanged?.filter(|_| delete.if_match),
                };
                self.send(Method::Delete, path, None, etag).await?;
            }
            Does::Replace {
                settings,
                value,
                etag,
            } => {
                let path = self.api.path(&settings.put.path, &[]).await?;
                self.send(Method::Put, path, Some(value), etag.clone()).await?;
            }
        }
        Ok(())
    }

    /// Nothing is changed that somebody else has changed since the plan was made.
    async fn change(
        &self,
        section: &Section<'_>,
        id: &str,
        before: &Value,
        patch: &Value,
        whole: &Value,
    ) -> Result<(), Failure> {
        let Some(change) = section.change else {
            return Ok(());
        };
        let things = [id.to_owned()];
        let path = self.api.path(&change.path, &things).await?;
        let etag = self.unchanged(section, &path, before).await?;
        let members = if change.method == Method::Patch {
            patch
        } else {
            whole
        };
        let body = self.sent(section, members.as_object().unwrap_or(&Map::new()))?;
        let etag = etag.filter(|_| change.if_match);
        self.send(change.method, path, Some(&body), etag).await?;
        Ok(())
    }

    /// The `ETag` of a thing that is as it was. What cannot be read by itself (a maintenance window) is never changed.
    async fn unchanged(
        &self,
        section: &Section<'_>,
        path: &[String],
        before: &Value,
    ) -> Result<Option<String>, Failure> {
        if section.get.is_none() {
            return Ok(None);
        }
        let now = self.read(path).await?;
        match comparable(section, &self.there()?.thing(section, &now.value)) == *before {
            true => Ok(now.etag),
            false => Err(changed(section.noun)),
        }
    }

    async fn read(&self, path: &[String]) -> Result<Answered, Failure> {
        let mut ask = Ask::new(reqwest::Method::GET, &[]);
        ask.path = path.to_vec();
        self.api.ask(&ask).await
    }

    async fn send(
        &self,
        method: Method,
        path: Vec<String>,
        body: Option<&Value>,
        etag: Option<String>,
    ) -> Result<Value, Failure> {
        let mut ask = Ask::new(method.http(), &[]);
        (ask.path, ask.body, ask.if_match) = (path, body, etag);
        Ok(self.api.ask(&ask).await?.value)
    }

    fn there(&self) -> Result<&There, Failure> {
        self.there
            .as_ref()
            .ok_or_else(|| Failure::Refused(Problem::foreign(200)))
    }

    /// The id of the link that a maintenance window is of.
    fn parents(&self, of: Option<&str>) -> Result<Vec<String>, Failure> {
        let Some(key) = of else { return Ok(Vec::new()) };
        let parent = self.shape.sections.iter().find(|section| section.below.is_some());
        let id = parent.and_then(|parent| self.there.as_ref()?.id_of(parent.name, key));
        id.map(|id| vec![id]).ok_or_else(|| gone(key))
    }

    /// As the API takes it: ids in place of names.
    fn sent(&self, section: &Section<'_>, members: &Map<String, Value>) -> Result<Value, Failure> {
        let mut body = Map::new();
        for (name, value) in members {
            let Some(member) = section.member(name) else {
                continue;
            };
            let value = match (member.refers_to, value.as_str()) {
                (Some(to), Some(key)) => self.there()?.id_of(to, key).ok_or_else(|| gone(key))?.into(),
                _ => value.clone(),
            };
            body.insert(member.sent.to_owned(), value);
        }
        Ok(Value::Object(body))
    }
}

fn changed(noun: &str) -> Failure {
    Failure::Refused(Problem::changed(format!(
        "Somebody has changed this {noun} since"
    )))
}

fn gone(key: &str) -> Failure {
    Failure::Refused(Problem::not_found(
        format!("There is no {key:?} to refer to"),
        "add it to the document, or see whether it is spelled as it is there",
    ))
}
