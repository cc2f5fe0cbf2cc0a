use super::{
    Generated,
    arguments::{ALL, CSV, IF_MATCH, LIMIT, OUTPUT, WHICH, is_paging, path_id, query_id},
    body::{merged, read},
    names, show,
};
use crate::{
    api::{Answered, Api, Ask, Stream},
    failure::Failure,
    output::{Said, saved, written},
    spec::{Method, Spec},
    terminal::Progress,
};
use clap::ArgMatches;
use serde_json::Value;
use std::{
    io::{self, Write},
    path::PathBuf,
};

/// So many the API gives with one answer.
const PAGE: usize = 200;

pub async fn run(
    spec: &Spec,
    command: &Generated<'_>,
    matches: &ArgMatches,
    api: &Api,
    json: bool,
) -> Result<Said, Failure> {
    let operation = command.operation;
    // Before anything is asked: what is wrong with the command line is said at once.
    let mut body = read(command, matches)?;
    if let Ok(Some(named)) = matches.try_get_one::<String>(WHICH) {
        api.is_about(named);
    }
    let named = operation
        .things
        .iter()
        .filter_map(|thing| matches.get_one::<String>(&path_id(&thing.name)));
    let named: Vec<String> = named.cloned().collect();
    let things = names::things(spec, operation, &named, api).await?;
    let mut ask = Ask::new(operation.method.http(), &[]);
    ask.path = api.path(&operation.path, &things).await?;
    for parameter in operation.query.iter().filter(|p| !is_paging(operation, &p.name)) {
        if let Some(raw) = matches.get_one::<String>(&query_id(&parameter.name)) {
            let value = match parameter.schema.is_id() {
                true => names::reference(spec, &parameter.name, raw, api).await?,
                false => raw.clone(),
            };
            ask.query.push((&parameter.name, value));
        }
    }
    if let Some(body) = &mut body {
        names::references(spec, operation, body, api).await?;
    }
    ask.if_match = matches.try_get_one::<String>(IF_MATCH).ok().flatten().cloned();
    let mut before = None;
    if let (Some(_), Some(change)) = (command.reads, &mut body) {
        let there = put_into_what_is_there(command, change, &ask.path, api).await?;
        ask.if_match = there.etag.filter(|_| operation.if_match);
        before = Some(there.value);
    } else if operation.if_match && ask.if_match.is_none() && operation.method != Method::Get {
        ask.if_match = etag(spec, command, &ask.path, api).await?;
    }
    ask.body = body.as_ref();
    let is_set = |id: &str| matches.try_get_one::<bool>(id).ok().flatten() == Some(&true);
    let output = || matches.try_get_one::<PathBuf>(OUTPUT).ok().flatten().cloned();
    let answer = &operation.answer;
    if answer.csv && is_set(CSV) {
        return saved(api.stream(&ask, "text/csv").await?, output()).await;
    }
    if let Some(kind) = answer.stream {
        return live(api.stream(&ask, kind).await?, json).await;
    }
    // As it came: a file, or JSON whose hash somebody is to check.
    let is_file =
        answer.other && (answer.json.is_none() || ask.query.iter().any(|(name, _)| *name == "format"));
    if is_file || output().is_some() {
        return saved(api.stream(&ask, "*/*").await?, output()).await;
    }
    if answer.next().is_some() {
        let most = matches.get_one::<u64>(LIMIT).copied().unwrap_or(50) as usize;
        let most = if is_set(ALL) { usize::MAX } else { most };
        return pages(command, ask, api, most, json).await;
    }
    let value = api.ask(&ask).await?.value;
    let text = match (answer.items(), before) {
        (Some(schema), _) => show::items(value["items"].as_array().map_or(&[], Vec::as_slice), &schema),
        (None, Some(before)) => show::changed(&before, &value),
        (None, None) => show::one(&value),
    };
    // What was checked, and is not as it should be.
    let is_broken = value["intact"] == false;
    let said = Said::new(value, text);
    Ok(match is_broken {
        true => said.not_as_it_should_be("the chain is broken"),
        false => said,
    })
}

/// Turns the change into the whole, and returns what was there.
async fn put_into_what_is_there(
    command: &Generated<'_>,
    change: &mut Value,
    path: &[String],
    api: &Api,
) -> Result<Answered, Failure> {
    let mut ask = Ask::new(reqwest::Method::GET, &[]);
    ask.path = path.to_vec();
    let there = api.ask(&ask).await?;
    let mut whole = merged(there.value.clone(), change.take());
    if let Some(body) = &command.operation.body {
        body.schema.keep_known(&mut whole);
    }
    *change = whole;
    Ok(there)
}

/// Of what is to be changed, where it can be read.
async fn etag(
    spec: &Spec,
    command: &Generated<'_>,
    path: &[String],
    api: &Api,
) -> Result<Option<String>, Failure> {
    let read = spec.beside(Method::Get, &command.operation.path);
    if !read.is_some_and(|read| read.answer.etag) {
        return Ok(None);
    }
    let mut ask = Ask::new(reqwest::Method::GET, &[]);
    ask.path = path.to_vec();
    Ok(api.ask(&ask).await?.etag)
}

async fn pages(
    command: &Generated<'_>,
    mut ask: Ask<'_>,
    api: &Api,
    most: usize,
    json: bool,
) -> Result<Said, Failure> {
    let answer = &command.operation.answer;
    let (Some((member, parameter)), Some(schema)) = (answer.next(), answer.items()) else {
        return Ok(Said::nothing());
    };
    let (filter, at_once) = (ask.query.len(), json && most == usize::MAX);
    let (mut items, mut seen, mut cursor) = (Vec::new(), 0, None::<String>);
    let progress = Progress::new();
    loop {
        ask.query.truncate(filter);
        if command.operation.parameter("limit").is_some() {
            ask.query.push(("limit", (most - seen).min(PAGE).to_string()));
        }
        ask.query.extend(cursor.take().map(|cursor| (parameter, cursor)));
        let mut page = api.ask(&ask).await?.value;
        if let Value::Array(more) = page["items"].take() {
            seen += more.len();
            match at_once {
                true => {
                    let lines: String = more.iter().map(|item| format!("{item}\n")).collect();
                    written(io::stdout().write_all(lines.as_bytes()))?;
                }
                false => items.extend(more),
            }
        }
        progress.say(&format!("{seen} so far"));
        cursor = show::plain(&page[member]);
        if cursor.is_some() && seen < most {
            continue;
        }
        drop(progress);
        if at_once {
            return Ok(Said::nothing());
        }
        let mut text = show::items(&items, &schema);
        if cursor.is_some() {
            text += "there are more; ask with a larger --limit\n";
        }
        page["items"] = items.into();
        return Ok(Said::new(page, text));
    }
}

/// Lines as they come: of NDJSON, or the data of server-sent events.
async fn live(mut pieces: Stream, json: bool) -> Result<Said, Failure> {
    let (mut waiting, mut done) = (Vec::new(), Said::nothing());
    while let Some(piece) = pieces.next().await? {
        waiting.extend_from_slice(piece.as_ref());
        while let Some(end) = waiting.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = waiting.drain(..=end).collect();
            done = tell(&line, json)?.unwrap_or(done);
        }
    }
    Ok(tell(&waiting, json)?.unwrap_or(done))
}

/// Prints one line, and returns what it comes to if it says that.
fn tell(line: &[u8], json: bool) -> Result<Option<Said>, Failure> {
    let line = String::from_utf8_lossy(line);
    let line = line.trim();
    let line = line.strip_prefix("data:").map_or(line, str::trim);
    let Ok(value) = serde_json::from_str::<Value>(line) else {
        return Ok(None);
    };
    let text = if json {
        format!("{value}\n")
    } else {
        show::line(&value)
    };
    written(io::stdout().write_all(text.as_bytes()))?;
    Ok(match value["event"].as_str() {
        Some("report") if value["report"]["outcome"] == "failed" => {
            Some(Said::nothing().not_as_it_should_be("something is wrong"))
        }
        Some("stopped") => Some(Said::nothing().not_as_it_should_be("it was given up; try again")),
        _ => None,
    })
}
