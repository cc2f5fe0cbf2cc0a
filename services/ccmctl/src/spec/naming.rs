//! What the command of an operation is called.
//!
//! The nouns are the literal parts of its path below the tenant; what stands below no tenant begins with `platform`, and is that
//! itself once. The verb follows from the method. Where a path has one operation that reads or does something (`…/state`, `…/replay`), its
//! last noun says enough.

use super::{Method, Operation, Segment};
use serde_json::Value;
use std::collections::BTreeMap;

const PLATFORM: &str = "platform";

pub fn name(operations: &mut [Operation], document: &Value) {
    let named: Vec<Vec<String>> = operations
        .iter()
        .map(|op| words(op, operations, document))
        .collect();
    for (operation, words) in operations.iter_mut().zip(named) {
        operation.words = words;
    }
    tell_apart(operations);
}

fn words(of: &Operation, all: &[Operation], document: &Value) -> Vec<String> {
    let mut words = nouns(of, document);
    if let Some(verb) = verb(of, all) {
        words.push(verb.to_owned());
    }
    words
}

fn nouns(of: &Operation, document: &Value) -> Vec<String> {
    let tenants = Segment::Literal("tenants".to_owned());
    let below = of.below_tenant();
    let literals = below.iter().filter_map(|segment| match segment {
        Segment::Literal(name) => Some(name.clone()),
        Segment::Param(_) => None,
    });
    let first = match () {
        () if below == [tenants.clone()] => return vec!["tenant".to_owned()],
        () if of.is_of_the_platform_itself() => return vec![PLATFORM.to_owned()],
        () if below.first() == Some(&Segment::Literal(PLATFORM.to_owned())) => None,
        () if !of.of_tenant() => Some(PLATFORM),
        () if below.is_empty() || (is_of_tenants(of, document) && of.path.contains(&tenants)) => {
            Some("tenant")
        }
        () => None,
    };
    first.map(str::to_owned).into_iter().chain(literals).collect()
}

impl Operation {
    /// All other commands of the platform's begin with its name.
    fn is_of_the_platform_itself(&self) -> bool {
        self.below_tenant() == [Segment::Literal(PLATFORM.to_owned())]
    }
}

/// What a tenant as a whole is: its state, its end.
fn is_of_tenants(of: &Operation, document: &Value) -> bool {
    let methods = document["paths"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(_, methods)| methods);
    let mut found = methods.flat_map(|methods| methods.as_object().into_iter().flatten());
    found
        .any(|(_, operation)| operation["operationId"] == of.id.as_str() && operation["tags"][0] == "tenants")
}

fn verb(of: &Operation, all: &[Operation]) -> Option<&'static str> {
    let here = || all.iter().filter(|other| other.path == of.path);
    let below = || {
        all.iter()
            .any(|other| other.path.len() > of.path.len() && other.path.starts_with(&of.path))
    };
    let of_a_thing = matches!(of.path.last(), Some(Segment::Param(_)));
    let is_list = !of_a_thing && is_list(of, all);
    Some(match of.method {
        Method::Get if is_list => "list",
        Method::Get if of.is_of_the_platform_itself() => "get",
        Method::Get if !of_a_thing && here().count() == 1 && !below() => return None,
        Method::Get => "get",
        Method::Post if is_list => "create",
        Method::Post if here().count() == 1 && !below() => return None,
        Method::Post => "create",
        Method::Put => "replace",
        Method::Patch => "update",
        Method::Delete => "delete",
    })
}

/// Whether the path names things of which there are several.
fn is_list(of: &Operation, all: &[Operation]) -> bool {
    let item_of = |other: &Operation| {
        other.path.len() == of.path.len() + 1
            && other.path.starts_with(&of.path)
            && matches!(other.path.last(), Some(Segment::Param(_)))
    };
    let made = |other: &Operation| other.path == of.path && other.id.starts_with("create_");
    let listed = |other: &Operation| {
        other.path == of.path && other.method == Method::Get && other.answer.items().is_some()
    };
    all.iter()
        .any(|other| item_of(other) || made(other) || listed(other))
}

/// Where something is done to one or to many (`…/{letter}/replay`, `…/replay`), that to many says so.
fn tell_apart(operations: &mut [Operation]) {
    let mut most = BTreeMap::<Vec<String>, usize>::new();
    for operation in operations.iter() {
        let things = most.entry(operation.words.clone()).or_default();
        *things = (*things).max(operation.things.len());
    }
    for operation in operations {
        if operation.things.len() < most[&operation.words]
            && let Some(last) = operation.words.last_mut()
        {
            last.push_str("-many");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Spec;
    use std::collections::BTreeSet;

    #[test]
    fn words_follow_from_paths() {
        let spec = Spec::embedded();
        let words = |id: &str| {
            let found = spec.operations().iter().find(|op| op.id == id);
            found.unwrap_or_else(|| panic!("no {id}")).words.join(" ")
        };
        for (id, expected) in [
            ("list_tenants", "tenant list"),
            ("create_tenant", "tenant create"),
            ("get_tenant", "tenant get"),
            ("put_tenant_state", "tenant state replace"),
            ("list_links", "links list"),
            ("create_link", "links create"),
            ("replace_link", "links replace"),
            ("get_link_state", "links state"),
            ("list_link_events", "links events list"),
            ("create_maintenance_window", "links maintenance-windows create"),
            ("delete_maintenance_window", "links maintenance-windows delete"),
            ("get_chat_settings", "chat-settings get"),
            ("put_chat_settings", "chat-settings replace"),
            ("dry_run_routing", "routing dry-run"),
            ("get_platform", "platform get"),
            ("list_lives", "platform lives list"),
            ("settle_life", "platform lives settle"),
            ("list_overviews", "platform overview list"),
            ("get_overview", "overview"),
            ("get_statistics", "statistics"),
            ("check_number", "number-check"),
            ("check_text", "text-check"),
            ("replay_dead_letter", "dead-letters replay"),
            ("replay_dead_letters", "dead-letters replay-many"),
            ("delete_opt_out", "opt-outs delete"),
        ] {
            assert_eq!(words(id), expected);
        }
    }

    /// Every operation has a command of its own, and none is in the way of another's.
    #[test]
    fn no_two_operations_share_their_words() {
        let spec = Spec::embedded();
        let mut seen = BTreeSet::new();
        for operation in spec.operations() {
            assert!(!operation.words.is_empty(), "{} has no words", operation.id);
            assert!(
                seen.insert(operation.words.clone()),
                "{:?} twice",
                operation.words
            );
        }
        for words in &seen {
            for n in 1..words.len() {
                let noun = &words[..n];
                assert!(
                    !seen.contains(noun),
                    "{noun:?} is a command and the beginning of {words:?}"
                );
            }
        }
    }
}
