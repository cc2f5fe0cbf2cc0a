//! A plan, for people and for programs.

use super::{
    canonical::Difference,
    plan::{Act, Plan, Step},
};
use crate::{output::printable, terminal};
use serde_json::{Value, json};
use std::fmt;

/// Longer values are cut: a plan is read line by line.
const LONGEST: usize = 60;

pub fn as_text(plan: &Plan<'_>) -> String {
    if plan.steps.is_empty() {
        return format!("{}: nothing to change\n{}", plan.slug, stays(plan));
    }
    let colour = terminal::is_colourful();
    let mut text = String::new();
    for step in &plan.steps {
        let (sign, code) = sign(step.act);
        let head = format!("{sign} {} {}", step.noun, printable(&step.key));
        text += &match colour {
            true => format!("\u{1b}[{code}m{head}\u{1b}[0m\n"),
            false => format!("{head}\n"),
        };
        for difference in &step.differences {
            let to = value(&difference.to);
            text += &match step.act == Act::Create || difference.from.is_null() {
                true => format!("    {}: {to}\n", difference.at),
                false => format!("    {difference}\n"),
            };
        }
    }
    let count = |act| plan.steps.iter().filter(|step| step.act == act).count();
    text += &format!(
        "{}: {} to make, {} to change, {} to remove\n",
        plan.slug,
        count(Act::Create),
        count(Act::Change),
        count(Act::Remove)
    );
    text + &stays(plan)
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} → {}",
            printable(&self.at),
            value(&self.from),
            value(&self.to)
        )
    }
}

fn stays(plan: &Plan<'_>) -> String {
    let line = |what: &String| format!("  not in the document, stays: {}\n", printable(what));
    plan.stays.iter().map(line).collect()
}

fn sign(act: Act) -> (&'static str, u8) {
    match act {
        Act::Create => ("+", 32),
        Act::Change => ("~", 33),
        Act::Remove => ("-", 31),
    }
}

fn value(of: &Value) -> String {
    let text = match of {
        Value::Null => return "(none)".to_owned(),
        Value::String(text) if text.contains("-----BEGIN") => {
            return format!("{} PEM block(s)", text.matches("-----BEGIN").count());
        }
        Value::String(text) => text.clone(),
        Value::Object(members)
            if members.len() == 1 && (members.contains_key("env") || members.contains_key("file")) =>
        {
            let (from, name) = members
                .iter()
                .next()
                .map(|(a, b)| (a.as_str(), b.as_str().unwrap_or_default()))
                .unwrap_or_default();
            return format!("(from {from} {name})");
        }
        other => other.to_string(),
    };
    match text.chars().count() > LONGEST {
        true => printable(&text.chars().take(LONGEST).chain(['…']).collect::<String>()),
        false => printable(&text),
    }
}

pub fn as_json(plan: &Plan<'_>, done: Option<usize>) -> Value {
    let step = |(n, step): (usize, &Step<'_>)| {
        let differences = step
            .differences
            .iter()
            .map(|d| json!({"at": d.at, "from": d.from, "to": d.to}));
        let mut said = json!({
            "act": match step.act { Act::Create => "create", Act::Change => "change", Act::Remove => "remove" },
            "what": step.noun,
            "key": step.key,
            "differences": differences.collect::<Vec<_>>(),
        });
        if let Some(done) = done {
            said["done"] = (n < done).into();
        }
        said
    };
    json!({
        "tenant": plan.slug,
        "steps": plan.steps.iter().enumerate().map(step).collect::<Vec<_>>(),
        "stays": plan.stays,
    })
}
