use crate::{
    api::Api,
    failure::Failure,
    output::{Said, cell, list, table},
    terminal::Progress,
};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};
use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

/// So many the API replays with one request.
const MOST: usize = 500;

#[derive(Subcommand)]
pub enum Command {
    /// Those that nobody has dealt with, the newest first.
    List {
        #[command(flatten)]
        filter: Filter,
        /// Those that somebody has replayed or discarded as well.
        #[arg(long)]
        all: bool,
        /// How many at most.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// One, with its text.
    Show { id: Uuid },
    /// Send texts on their way again: those named, or all open ones of a code or a kind, the oldest first.
    Replay(Replay),
    /// Do nothing more about them.
    Discard {
        #[arg(required = true)]
        ids: Vec<Uuid>,
    },
}

#[derive(Args)]
pub struct Filter {
    #[arg(long)]
    kind: Option<Kind>,
    /// Only those with exactly this code.
    #[arg(long)]
    code: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// No agent got it.
    Mo,
    /// No phone did.
    Mt,
    /// It came for a number that is none of the account's.
    Unrouted,
}

#[derive(Args)]
pub struct Replay {
    #[arg(conflicts_with_all = ["kind", "code", "before", "limit"], required_unless_present_any = ["kind", "code"])]
    ids: Vec<Uuid>,
    #[command(flatten)]
    filter: Filter,
    /// Only those that became one before this time, such as 2026-11-27T10:00:00Z.
    #[arg(long, value_parser = moment)]
    before: Option<OffsetDateTime>,
    /// How many at most. Left out: all.
    #[arg(long)]
    limit: Option<usize>,
    /// The number of the tenant's that the text is for (its id); for one text.
    #[arg(long, requires = "ids")]
    number: Option<Uuid>,
    /// A file with what is sent in place of what was written, `-` for standard input; for one text.
    #[arg(long, requires = "ids")]
    text_file: Option<PathBuf>,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Mo => "mo",
            Self::Mt => "mt",
            Self::Unrouted => "unrouted",
        }
    }
}

impl Filter {
    fn query(&self) -> Vec<(&'static str, String)> {
        let kind = self.kind.map(|kind| ("kind", kind.as_str().to_owned()));
        let code = self.code.clone().map(|code| ("code", code));
        kind.into_iter().chain(code).collect()
    }
}

fn moment(raw: &str) -> Result<OffsetDateTime, String> {
    OffsetDateTime::parse(raw, &Rfc3339).map_err(|_| "write it like 2026-11-27T10:00:00Z".to_owned())
}

impl Command {
    pub async fn run(self, api: &Api) -> Result<Said, Failure> {
        match self {
            Self::List { filter, all, limit } => {
                let letters = Letters::of(api).await?;
                let mut query = filter.query();
                query.extend(all.then(|| ("all", "true".to_owned())));
                letters.list(&query, limit).await
            }
            Self::Show { id } => Letters::of(api).await?.show(id).await,
            Self::Replay(replay) => {
                let letters = Letters::of(api).await?;
                if replay.number.is_some() || replay.text_file.is_some() {
                    return letters.replay_mended(&replay).await;
                }
                match replay.ids.is_empty() {
                    true => letters.replay_all_of(&replay).await,
                    false => letters.replay_these(&replay.ids).await,
                }
            }
            Self::Discard { ids } => Letters::of(api).await?.discard(&ids).await,
        }
    }
}

/// A tenant's dead letters.
struct Letters<'a> {
    api: &'a Api,
    tenant: &'a str,
}

impl<'a> Letters<'a> {
    async fn of(api: &'a Api) -> Result<Self, Failure> {
        let tenant = api.tenant().await?;
        Ok(Self { api, tenant })
    }

    fn path<'p>(&'p self, rest: &[&'p str]) -> Vec<&'p str> {
        [&["v1", "tenants", self.tenant, "dead-letters"], rest].concat()
    }

    async fn list(&self, query: &[(&str, String)], limit: usize) -> Result<Said, Failure> {
        let (items, more) = self.api.pages(&self.path(&[]), query, limit).await?;
        let row = |letter: &Value| {
            [
                "id",
                "kind",
                "code",
                "our_address",
                "customer_address",
                "created_at",
                "resolution",
            ]
            .map(|member| cell(letter, member))
        };
        let rows: Vec<_> = items.iter().map(row).collect();
        let mut text = table(
            &["ID", "KIND", "CODE", "NUMBER", "CUSTOMER", "SINCE", "RESOLUTION"],
            &rows,
        );
        if more {
            text += "there are more; ask with a larger --limit\n";
        }
        Ok(Said::new(json!({"items": items}), text))
    }

    async fn show(&self, id: Uuid) -> Result<Said, Failure> {
        let letter = self.api.get(&self.path(&[&id.to_string()]), &[]).await?;
        Ok(Said::new(letter.clone(), described(&letter)))
    }

    async fn replay_mended(&self, replay: &Replay) -> Result<Said, Failure> {
        let [id] = replay.ids[..] else {
            return Err(Failure::usage(
                "--number and --text-file mend one text",
                "name one id with them",
            ));
        };
        let mut body = Map::new();
        body.extend(
            replay
                .number
                .map(|number| ("number_id".to_owned(), json!(number))),
        );
        if let Some(file) = &replay.text_file {
            body.insert("text".to_owned(), json!(text(file)?));
        }
        let answer = self
            .api
            .post(&self.path(&[&id.to_string(), "replay"]), Some(&body.into()))
            .await?;
        let text = list(&[
            ("message", cell(&answer, "message_id")),
            ("conversation", cell(&answer, "conversation_id")),
        ]);
        Ok(Said::new(answer, text))
    }

    async fn replay_these(&self, ids: &[Uuid]) -> Result<Said, Failure> {
        let mut sum = Sum::default();
        for some in ids.chunks(MOST) {
            sum.add(self.replay_many(&json!({"ids": some})).await?);
        }
        Ok(sum.said())
    }

    async fn replay_all_of(&self, replay: &Replay) -> Result<Said, Failure> {
        let (mut sum, mut left, mut after) =
            (Sum::default(), replay.limit.unwrap_or(usize::MAX), Value::Null);
        let progress = Progress::new();
        while left > 0 {
            let mut body = json!({"limit": left.min(MOST)});
            for (name, value) in replay.filter.query() {
                body[name] = value.into();
            }
            if let Some(before) = replay.before.and_then(|before| before.format(&Rfc3339).ok()) {
                body["before"] = before.into();
            }
            if !after.is_null() {
                body["after"] = after;
            }
            let answer = self.replay_many(&body).await?;
            after = answer["next_after"].clone();
            left -= sum.add(answer).min(left);
            progress.say(&format!("{} replayed, {} not", sum.replayed, sum.failed.len()));
            if after.is_null() {
                break;
            }
        }
        Ok(sum.said())
    }

    async fn replay_many(&self, body: &Value) -> Result<Value, Failure> {
        self.api.post(&self.path(&["replay"]), Some(body)).await
    }

    async fn discard(&self, ids: &[Uuid]) -> Result<Said, Failure> {
        let (mut done, mut failed) = (Vec::new(), Vec::new());
        for id in ids {
            match self
                .api
                .post(&self.path(&[&id.to_string(), "discard"]), None)
                .await
            {
                Ok(_) => done.push(id),
                Err(Failure::Refused(problem)) if ids.len() > 1 => {
                    failed.push(json!({"id": id, "reason": problem.to_string()}));
                }
                Err(failure) => return Err(failure),
            }
        }
        let text = format!("{} discarded\n{}", done.len(), not_done(&failed));
        Ok(Said::new(json!({"discarded": done, "failed": failed}), text).partly(failed.len()))
    }
}

fn described(letter: &Value) -> String {
    let member = |name: &'static str| (name, cell(letter, name));
    list(&[
        member("id"),
        member("kind"),
        member("code"),
        member("detail"),
        ("number", cell(letter, "our_address")),
        ("customer", cell(letter, "customer_address")),
        ("conversation", cell(letter, "conversation_id")),
        ("since", cell(letter, "created_at")),
        member("resolution"),
        ("resolved", cell(letter, "resolved_at")),
        ("by", cell(letter, "resolved_by")),
        ("became", cell(letter, "replay_message_id")),
        member("text"),
    ])
}

fn text(file: &Path) -> Result<String, Failure> {
    let mut read = String::new();
    let done = match file.as_os_str() == "-" {
        true => std::io::stdin().read_to_string(&mut read).map(|_| ()),
        false => fs::read_to_string(file).map(|text| read = text),
    };
    done.map_err(|e| {
        Failure::usage(
            format!("{} cannot be read: {e}", file.display()),
            "name a file of UTF-8 text, or - for standard input",
        )
    })?;
    // An editor's last line end is not meant.
    Ok(read.strip_suffix('\n').unwrap_or(&read).to_owned())
}

/// What several requests came to.
#[derive(Default)]
struct Sum {
    replayed: u64,
    failed: Vec<Value>,
}

impl Sum {
    /// How many the request has tried.
    fn add(&mut self, mut answer: Value) -> usize {
        let replayed = answer["replayed"].as_u64().unwrap_or_default();
        self.replayed += replayed;
        let failed = match answer["failed"].take() {
            Value::Array(failed) => failed,
            _ => Vec::new(),
        };
        let tried = replayed as usize + failed.len();
        self.failed.extend(failed);
        tried
    }

    fn said(self) -> Said {
        let text = format!("{} replayed\n{}", self.replayed, not_done(&self.failed));
        let json = json!({"replayed": self.replayed, "failed": self.failed});
        Said::new(json, text).partly(self.failed.len())
    }
}

fn not_done(failed: &[Value]) -> String {
    if failed.is_empty() {
        return String::new();
    }
    let rows: Vec<_> = failed
        .iter()
        .map(|f| [cell(f, "id"), cell(f, "reason")])
        .collect();
    format!("not done:\n{}", table(&["ID", "WHY"], &rows))
}
