//! The steps from what is there to what is wanted, in an order in which each can be done.

use super::{
    Member, Section, Settings, Shape, There, Thing, Wanted,
    canonical::{
        Difference, as_answered, differences, empty, hides_password, may_be_empty, patch, whole,
        with_withheld, withheld,
    },
    read::meant,
    secret::{can_be_had, is_reference, resolved},
};
use crate::failure::Failure;
use serde_json::{Map, Value};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

pub struct Plan<'p> {
    pub slug: String,
    pub steps: Vec<Step<'p>>,
    /// What is there and not in the document, and stays.
    pub stays: Vec<String>,
}

pub struct Step<'p> {
    pub act: Act,
    pub noun: &'p str,
    pub key: String,
    pub differences: Vec<Difference>,
    pub does: Does<'p>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Create,
    Change,
    Remove,
}

/// What a step asks for. Members have their names of the document, and names in place of ids.
pub enum Does<'p> {
    CreateTenant {
        name: String,
    },
    RenameTenant {
        from: String,
        name: String,
    },
    Create {
        section: &'p Section<'p>,
        of: Option<String>,
        members: Map<String, Value>,
    },
    Change {
        section: &'p Section<'p>,
        id: String,
        before: Value,
        patch: Value,
        whole: Value,
    },
    Remove {
        section: &'p Section<'p>,
        of: Option<String>,
        id: String,
        before: Value,
    },
    Replace {
        settings: &'p Settings<'p>,
        value: Value,
        etag: Option<String>,
    },
}

/// How far a plan goes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reach {
    /// Remove what the document does not have, in the lists that it has.
    pub prune: bool,
    /// Send secrets again that are there already: nobody can see whether they are the same.
    pub secrets: bool,
}

pub fn plan<'p>(
    shape: &'p Shape<'p>,
    wanted: &Wanted,
    there: Option<&There>,
    reach: Reach,
    now: OffsetDateTime,
) -> Result<Plan<'p>, Failure> {
    let mut planner = Planner {
        wanted,
        there,
        reach,
        now,
        steps: Vec::new(),
        removals: Vec::new(),
        stays: Vec::new(),
    };
    planner.references(shape)?;
    planner.tenant(shape)?;
    for section in &shape.sections {
        if let Some(things) = wanted.things.get(section.name) {
            let found = there.and_then(|there| there.things.get(section.name));
            planner.section(section, None, things, found.map_or(&[], Vec::as_slice))?;
        }
    }
    for settings in &shape.settings {
        planner.settings(settings)?;
    }
    // Others refer to what was made first: it goes last.
    planner.removals.reverse();
    planner.steps.append(&mut planner.removals);
    Ok(Plan {
        slug: wanted.slug.clone(),
        steps: planner.steps,
        stays: planner.stays,
    })
}

struct Planner<'p, 'w> {
    wanted: &'w Wanted,
    there: Option<&'w There>,
    reach: Reach,
    now: OffsetDateTime,
    steps: Vec<Step<'p>>,
    removals: Vec<Step<'p>>,
    stays: Vec<String>,
}

impl<'p> Planner<'p, '_> {
    /// What names a thing of a list that the document does not have names one that is there.
    fn references(&self, shape: &Shape<'_>) -> Result<(), Failure> {
        for section in &shape.sections {
            for thing in self.wanted.things.get(section.name).into_iter().flatten() {
                for member in &section.members {
                    let name = thing.members.get(&member.name).and_then(Value::as_str);
                    let (Some(to), Some(name)) = (member.refers_to, name) else {
                        continue;
                    };
                    let there = self.there.and_then(|there| there.things.get(to));
                    let there = there.map_or(&[][..], Vec::as_slice);
                    let is_there = there.iter().any(|other| other.key == name);
                    if !is_there && !self.wanted.things.contains_key(to) {
                        let what = match self.there {
                            Some(_) => format!("among the tenant's {to}, none is {name:?}"),
                            None => format!(
                                "there is no {name:?}: the tenant is to be made, and the document has no {to}"
                            ),
                        };
                        return Err(self
                            .wanted
                            .wrong(thing, &member.name, what, meant(name, to, there)));
                    }
                }
            }
        }
        Ok(())
    }

    fn tenant(&mut self, shape: &Shape<'p>) -> Result<(), Failure> {
        let (slug, name) = (self.wanted.slug.clone(), self.wanted.name.clone());
        let to = name.clone().unwrap_or_else(|| slug.clone());
        let difference = |from: Value| {
            vec![Difference {
                at: "name".to_owned(),
                from,
                to: to.clone().into(),
            }]
        };
        let (act, differences, does) = match self.there {
            None => (
                Act::Create,
                difference(Value::Null),
                Does::CreateTenant { name: to.clone() },
            ),
            Some(there) if name.is_some_and(|name| name != there.name) => {
                if shape
                    .spec
                    .at(crate::spec::Method::Patch, "v1/tenants/{tenant}")
                    .is_none()
                {
                    return Err(fixed(
                        "tenant",
                        &slug,
                        "name",
                        "this API has no way to rename a tenant",
                    ));
                }
                let from = there.name.clone();
                (
                    Act::Change,
                    difference(from.clone().into()),
                    Does::RenameTenant {
                        from,
                        name: to.clone(),
                    },
                )
            }
            Some(_) => return Ok(()),
        };
        self.steps.push(Step {
            act,
            noun: "tenant",
            key: slug,
            differences,
            does,
        });
        Ok(())
    }

    /// `of` is the key of the thing that has them.
    fn section(
        &mut self,
        section: &'p Section<'p>,
        of: Option<&str>,
        wanted: &[Thing],
        found: &[Thing],
    ) -> Result<(), Failure> {
        for thing in wanted {
            let before = found.iter().find(|before| before.key == thing.key);
            match before {
                Some(before) => self.change(section, before, thing)?,
                None => self.create(section, of, thing)?,
            }
            if let (Some(below), Some(inner)) = (&section.below, &thing.below) {
                let found = before.and_then(|before| before.below.as_deref());
                self.section(below, Some(&thing.key), inner, found.unwrap_or_default())?;
            }
        }
        for before in found
            .iter()
            .filter(|before| !wanted.iter().any(|thing| thing.key == before.key))
        {
            self.left_out(section, of, before);
        }
        Ok(())
    }

    fn create(&mut self, section: &'p Section<'p>, of: Option<&str>, thing: &Thing) -> Result<(), Failure> {
        if is_over(thing, self.now) {
            return Ok(());
        }
        let mut members = Map::new();
        for member in &section.members {
            match thing.members.get(&member.name) {
                Some(value) if hides_password(value) => {
                    return Err(self.wanted.wrong(
                        thing,
                        &member.name,
                        format!(
                            "the {} {:?} is to be made, and its {} has *** in place of a password",
                            section.noun, thing.key, member.name
                        ),
                        format!(
                            "write {}: {{env: NAME}} or {{file: PATH}}, where the whole of it is kept",
                            member.name
                        ),
                    ));
                }
                Some(value) => {
                    let value = resolved(value, &member.schema, &self.wanted.folder)?;
                    members.insert(member.name.clone(), value);
                }
                None if member.required => {
                    return Err(Failure::usage(
                        format!(
                            "the {} {:?} is to be made, and has no {}",
                            section.noun, thing.key, member.name
                        ),
                        format!(
                            "write {}: with {{env: NAME}} or {{file: PATH}} where it is kept",
                            member.name
                        ),
                    ));
                }
                None => {}
            }
        }
        // As the document has it: what is kept elsewhere for a reason is not shown.
        let shown = section.members.iter().filter_map(|member| {
            let to = thing.members.get(&member.name)?.clone();
            Some(Difference {
                at: member.name.clone(),
                from: Value::Null,
                to,
            })
        });
        self.steps.push(Step {
            act: Act::Create,
            noun: section.noun,
            key: thing.key.clone(),
            differences: shown.collect(),
            does: Does::Create {
                section,
                of: of.map(str::to_owned),
                members,
            },
        });
        Ok(())
    }

    fn change(&mut self, section: &'p Section<'p>, before: &Thing, thing: &Thing) -> Result<(), Failure> {
        let Some(id) = before.id.clone() else {
            return Ok(());
        };
        let from = comparable(section, before);
        let (to, given) = self.aim(section, before, thing)?;
        let mut differences = differences(&from, &to);
        let (mut patch, mut whole) = (patch(&from, &to), to);
        // An answer's form is for comparing; a proxy's password is in what is written only.
        for (name, given) in given {
            if patch.get(&name).is_some_and(Value::is_string) {
                patch[&name] = given.clone();
                whole[&name] = given;
            }
        }
        for member in &section.members {
            let Some(reference) = thing.members.get(&member.name) else {
                continue;
            };
            let hides = is_reference(reference) && hides_password(&found(before, member));
            if !member.is_secret() && (!hides || differences.iter().any(|d| d.at == member.name)) {
                continue;
            }
            // A certificate and its key change together.
            let with = differences.iter().any(|d| d.at == "client_certificate_pem")
                && member.name == "client_key_pem";
            let is_missing =
                !hides && before.members.get(&member.name) == Some(&Value::Null) && !reference.is_null();
            if with || is_missing || self.reach.secrets {
                let value = resolved(reference, &member.schema, &self.wanted.folder)?;
                patch[&member.name] = value.clone();
                whole[&member.name] = value;
                differences.push(Difference {
                    at: member.name.clone(),
                    from: Value::Null,
                    to: reference.clone(),
                });
            }
        }
        if differences.is_empty() {
            return Ok(());
        }
        let body = section.change.and_then(|change| change.body.as_ref());
        for name in patch.as_object().into_iter().flatten().map(|(name, _)| name) {
            let sent = section.member(name).map_or(name.as_str(), |member| member.sent);
            if body.is_none_or(|body| body.schema.property(sent).is_none()) {
                return Err(fixed(section.noun, &thing.key, name, "it stays as it was made"));
            }
        }
        self.steps.push(Step {
            act: Act::Change,
            noun: section.noun,
            key: thing.key.clone(),
            differences,
            does: Does::Change {
                section,
                id,
                before: from,
                patch,
                whole,
            },
        });
        Ok(())
    }

    /// A thing as it is to become, in the form of answers, and what the document gives for it. What is left out takes its default; what
    /// has none stays.
    fn aim(
        &self,
        section: &Section<'_>,
        before: &Thing,
        thing: &Thing,
    ) -> Result<(Value, Map<String, Value>), Failure> {
        let (mut to, mut all_given) = (Map::new(), Map::new());
        for member in section.members.iter().filter(|m| !m.is_secret()) {
            let is_nullable = member.shown.as_ref().is_some_and(|shown| shown.is_nullable());
            let given = thing.members.get(&member.name);
            let there = found(before, member);
            if let Some(reference) = given.filter(|given| is_reference(given))
                && hides_password(&there)
                && !can_be_had(reference, &self.wanted.folder)
            {
                // As other secrets that are there: needed when it is to become another one.
                to.insert(member.name.clone(), canonical(section, member, &there));
                continue;
            }
            let given = given
                .map(|value| resolved(value, &member.schema, &self.wanted.folder))
                .transpose()?;
            // The API decides on what it never answers `null` for.
            let given = given.filter(|value| !value.is_null() || is_nullable);
            let value = match (&given, left_out(member, is_nullable)) {
                (Some(value), _) => canonical(section, member, value),
                (None, Some(default)) => default,
                (None, None) => canonical(section, member, &there),
            };
            all_given.extend(given.map(|given| (member.name.clone(), given)));
            to.insert(member.name.clone(), value);
        }
        Ok((Value::Object(to), all_given))
    }

    fn left_out(&mut self, section: &'p Section<'p>, of: Option<&str>, before: &Thing) {
        if is_over(before, self.now) {
            return;
        }
        match (&before.id, section.delete, self.reach.prune) {
            (Some(id), Some(_), true) => self.removals.push(Step {
                act: Act::Remove,
                noun: section.noun,
                key: before.key.clone(),
                differences: Vec::new(),
                does: Does::Remove {
                    section,
                    of: of.map(str::to_owned),
                    id: id.clone(),
                    before: comparable(section, before),
                },
            }),
            (_, None, true) => self.stays.push(format!(
                "{} {} (this API cannot remove it)",
                section.noun, before.key
            )),
            _ => self.stays.push(format!("{} {}", section.noun, before.key)),
        }
    }

    fn settings(&mut self, settings: &'p Settings<'p>) -> Result<(), Failure> {
        let Some(to) = self.wanted.settings.get(&settings.name) else {
            return Ok(());
        };
        let found = self.there.and_then(|there| there.settings.get(&settings.name));
        let schema = settings.put.body.as_ref().map(|body| body.schema);
        let defaults = || schema.as_ref().map_or(Value::Null, empty);
        let from = found.map_or_else(defaults, |found| found.value.clone());
        let is_shown = withheld(&from).is_empty();
        let to = with_withheld(to, &from);
        if let Some(at) = withheld(&to).first().filter(|_| is_shown) {
            return Err(Failure::usage(
                format!(
                    "{} has no {at}, and the document says that it is withheld: whoever exported it was not shown it",
                    settings.name
                ),
                "write what is to be there, or export again with the token of an engineer",
            ));
        }
        let differences = differences(&from, &to);
        if !differences.is_empty() {
            self.steps.push(Step {
                act: Act::Change,
                noun: "settings",
                key: settings.name.clone(),
                differences,
                does: Does::Replace {
                    settings,
                    value: to,
                    etag: found.and_then(|found| found.etag.clone()),
                },
            });
        }
        Ok(())
    }
}

/// A thing that is there, to be held against what is wanted.
pub fn comparable(section: &Section<'_>, thing: &Thing) -> Value {
    let members = section.members.iter().filter(|m| !m.is_secret());
    let value = |member: &Member| canonical(section, member, &found(thing, member));
    Value::Object(
        members
            .map(|member| (member.name.clone(), value(member)))
            .collect(),
    )
}

fn found(thing: &Thing, member: &Member) -> Value {
    thing.members.get(&member.name).cloned().unwrap_or_default()
}

fn canonical(section: &Section<'_>, member: &Member, value: &Value) -> Value {
    as_answered(section.name, &member.name, whole(value, &member.schema))
}

fn left_out(member: &Member, is_nullable: bool) -> Option<Value> {
    let default = member
        .schema
        .default()
        .map(|default| whole(default, &member.schema));
    match default.filter(|default| !default.is_null() || is_nullable) {
        Some(default) => Some(default),
        None if is_nullable => Some(Value::Null),
        None if !member.required && may_be_empty(&member.schema) => Some(empty(&member.schema)),
        None => None,
    }
}

/// A window that has ended is neither made nor removed.
fn is_over(thing: &Thing, now: OffsetDateTime) -> bool {
    let end = thing.members.get("ends_at").and_then(Value::as_str);
    end.and_then(|end| OffsetDateTime::parse(end, &Rfc3339).ok())
        .is_some_and(|end| end <= now)
}

fn fixed(noun: &str, key: &str, member: &str, why: &str) -> Failure {
    Failure::usage(
        format!(
            "{member} of the {noun} {key:?} is another one in the document, and cannot be changed: {why}"
        ),
        "write it as it is (ccmctl tenant export shows it), or make the thing anew under another name",
    )
}
