//! An `aacc-sim` in a process of its own, and what the bench asks of it.

use super::{Programs, SKILLSET};
use crate::{process::Child, report::Latency};
use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::path::Path;
use url::Url;

/// Requests to the control API at a time.
const AT_A_TIME: usize = 16;

pub(super) struct Aacc {
    pub chat_url: String,
    pub ca_pem: String,
    control: Url,
    http: reqwest::Client,
    _child: Child,
}

/// What its statistics are read for.
#[derive(Deserialize)]
pub(super) struct Stats {
    pub count: u64,
    #[serde(flatten)]
    pub latency: Latency,
}

/// A chat in its list.
#[derive(Deserialize)]
pub(super) struct ChatSeen {
    pub guid: u64,
    pub resumes: u64,
    link: Value,
}

impl ChatSeen {
    /// Whether AACC has a socket for it.
    pub fn is_linked(&self) -> bool {
        self.link.get("open").is_some()
    }
}

/// A chat in its record.
#[derive(Deserialize)]
pub(super) struct ChatRecord {
    pub received: Vec<Received>,
}

/// A customer's text at the agent's side.
#[derive(Deserialize)]
pub(super) struct Received {
    pub text: String,
}

impl Aacc {
    pub async fn start(
        name: &'static str,
        programs: &Programs,
        script: &Path,
        dir: &Path,
        does_record: bool,
    ) -> Result<Self> {
        let script = script.display().to_string();
        let free_port = "127.0.0.1:0";
        let mut args = vec!["--listen", free_port, "--control", free_port, "--script", &script];
        if !does_record {
            args.push("--no-record");
        }
        let mut child = Child::start(name, &programs.aacc_sim, args, &[], dir)?;
        let chat_url = child.says("chat ").await?;
        let control = Url::parse(&child.says("control ").await?)?;
        let http = reqwest::Client::new();
        let ca_pem = http.get(control.join("/control/ca.pem")?).send().await?;
        Ok(Self {
            chat_url,
            ca_pem: ca_pem.error_for_status()?.text().await?,
            control,
            http,
            _child: child,
        })
    }

    /// The EWC port, of localhost.
    pub fn port(&self) -> Result<u16> {
        let url = Url::parse(&self.chat_url)?;
        url.port().context("aacc-sim's address has no port")
    }

    pub async fn stats(&self) -> Result<Stats> {
        self.get("/control/stats").await
    }

    /// Begins new statistics.
    pub async fn reset(&self) -> Result<()> {
        self.post("/control/stats/reset", None).await
    }

    /// Every chat that has an agent. Dear with thousands.
    pub async fn live_chats(&self) -> Result<Vec<ChatSeen>> {
        self.get("/control/chats?state=live").await
    }

    /// What went both ways in every chat. Dear, too.
    pub async fn record(&self) -> Result<Vec<ChatRecord>> {
        #[derive(Deserialize)]
        struct Record {
            chats: Vec<ChatRecord>,
        }
        Ok(self.get::<Record>("/control/record").await?.chats)
    }

    /// Resets every socket's TCP connection.
    pub async fn break_all(&self) -> Result<()> {
        self.post("/control/faults/break", Some(json!({ "how": "reset" })))
            .await
    }

    /// The agent in each of these chats says something that nobody else says.
    pub async fn say(&self, chats: &[u64], tag: &str) -> Result<()> {
        let said = chats.iter().map(|guid| {
            let text = format!("#{tag}-{guid} somebody will be there on Thursday at ten");
            async move {
                let path = format!("/control/chats/{guid}/say");
                self.post(&path, Some(json!({ "text": text }))).await
            }
        });
        let said: Vec<_> = said.collect();
        stream::iter(said)
            .buffer_unordered(AT_A_TIME)
            .try_collect::<()>()
            .await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let answer = self.http.get(self.control.join(path)?).send().await?;
        let answer = answer.error_for_status()?;
        answer
            .json()
            .await
            .with_context(|| format!("aacc-sim: GET {path}"))
    }

    async fn post(&self, path: &str, body: Option<Value>) -> Result<()> {
        let mut request = self.http.post(self.control.join(path)?);
        if let Some(body) = body {
            request = request.json(&body);
        }
        request.send().await?.error_for_status()?;
        Ok(())
    }
}

/// Agents who take every chat at once and say nothing by themselves; chats that wait long for their socket.
pub(super) fn agents_who_only_read() -> String {
    let script = json!({
        "aacc": { "any_skillset": { "max_chats": null }, "survive_for_ms": 600_000, "force_idle_after_ms": 0 },
        "agents": [{ "skillset": SKILLSET, "chats_per_agent": null, "replies": [] }],
    });
    script.to_string()
}
