//! Things are named as people name them, and asked for by their ids.

use crate::{
    api::{Api, Ask},
    failure::{Failure, Problem},
    spec::{Method, Operation, Segment, Spec, TENANT},
};
use serde_json::Value;
use uuid::Uuid;

/// What people know a thing by.
pub const NAMES: [&str; 4] = ["name", "address", "slug", "prefix"];

/// The ids of what the path names.
pub async fn things(
    spec: &Spec,
    of: &Operation,
    named: &[String],
    api: &Api,
) -> Result<Vec<String>, Failure> {
    let mut ids: Vec<String> = Vec::new();
    for (thing, named) in of.things.iter().zip(named) {
        let list = of
            .list_of(&thing.name)
            .and_then(|path| spec.beside(Method::Get, path));
        let id = match list {
            Some(list) if thing.schema.is_id() => id_of(named, list, &ids, api).await?,
            _ => named.clone(),
        };
        ids.push(id);
    }
    Ok(ids)
}

/// Members such as `link_id` take a link's name.
pub async fn references(spec: &Spec, of: &Operation, body: &mut Value, api: &Api) -> Result<(), Failure> {
    let Some(schema) = of.body.as_ref().map(|body| body.schema) else {
        return Ok(());
    };
    for (name, member) in schema.properties() {
        if let Some(named) = body[name].as_str().filter(|_| member.is_id()) {
            body[name] = reference(spec, name, named, api).await?.into();
        }
    }
    Ok(())
}

/// The id of what a member or a parameter refers to, where it is a list of the tenant's.
pub async fn reference(spec: &Spec, member: &str, named: &str, api: &Api) -> Result<String, Failure> {
    match (member, list_of_member(spec, member)) {
        (TENANT | "tenant_id" | "to_tenant", _) => api.tenant_named(named).await,
        (_, Some(list)) => id_of(named, list, &[], api).await,
        _ => Ok(named.to_owned()),
    }
}

/// The list that `second_account_id` is of: the accounts.
pub fn list_of_member<'s>(spec: &'s Spec, member: &str) -> Option<&'s Operation> {
    let noun = member.strip_suffix("_id").unwrap_or(member).rsplit('_').next()?;
    let path = ["v1", "tenants"].map(|part| Segment::Literal(part.to_owned()));
    let tail = [
        Segment::Param(TENANT.to_owned()),
        Segment::Literal(format!("{noun}s")),
    ];
    spec.beside(Method::Get, &[path, tail].concat())
}

async fn id_of(named: &str, list: &Operation, things: &[String], api: &Api) -> Result<String, Failure> {
    if Uuid::parse_str(named).is_ok() {
        return Ok(named.to_owned());
    }
    let path = api.path(&list.path, things).await?;
    let items = everything(list, path, api).await?;
    let is_named = |item: &&Value| NAMES.iter().any(|name| item[*name] == named);
    let found: Vec<_> = items.iter().filter(is_named).collect();
    let noun = list.words.iter().rev().nth(1).map_or("thing", String::as_str);
    match found[..] {
        [one] => Ok(one["id"].as_str().unwrap_or(named).to_owned()),
        [] => {
            let known = items
                .iter()
                .filter_map(|item| NAMES.iter().find_map(|name| item[*name].as_str()));
            let known: Vec<_> = known.take(20).collect();
            let remedy = match known.is_empty() {
                true => "make it first: there is none".to_owned(),
                false => format!("name one by its id, or as it is called: {}", known.join(", ")),
            };
            Err(Failure::Refused(Problem::not_found(
                format!("Among {noun}, none is {named:?}"),
                remedy,
            )))
        }
        _ => Err(Failure::usage(
            format!("{} of the {noun} are called {named:?}", found.len()),
            "name it by its id",
        )),
    }
}

/// All of a list, over its pages.
pub async fn everything(list: &Operation, path: Vec<String>, api: &Api) -> Result<Vec<Value>, Failure> {
    let (mut items, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let mut ask = Ask::new(reqwest::Method::GET, &[]);
        ask.path.clone_from(&path);
        if list.parameter("limit").is_some() {
            ask.query.push(("limit", "200".to_owned()));
        }
        let next = list.answer.next();
        if let (Some((_, parameter)), Some(cursor)) = (next, cursor.take()) {
            ask.query.push((parameter, cursor));
        }
        let mut page = api.ask(&ask).await?.value;
        if let Value::Array(more) = page["items"].take() {
            items.extend(more);
        }
        match next.and_then(|(member, _)| super::show::plain(&page[member])) {
            Some(more) => cursor = Some(more),
            None => return Ok(items),
        }
    }
}
