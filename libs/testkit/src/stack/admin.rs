//! A tenant made through the admin API, as an engineer would with curl.

use super::Stack;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::{process::Command, time::Duration};
use tokio::time::sleep;

/// What a tenant is to be made of.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Unique; also the tenant's name.
    pub slug: String,
    /// The EWC address, like `wss://localhost:8445/CustomerControllerWeb/chat`.
    pub ewc_url: String,
    /// The private CA of the EWC server, PEM.
    pub ca_pem: Option<String>,
    /// As AACC spells it.
    pub skillset: String,
    /// Accounts with their numbers.
    pub accounts: Vec<PlannedAccount>,
    /// Sockets a second.
    pub connects_per_second: f64,
}

/// A provider account.
#[derive(Debug, Clone)]
pub struct PlannedAccount {
    /// `twilio` or `http`.
    pub kind: String,
    /// As the admin API takes them.
    pub settings: Value,
    /// As the admin API takes it.
    pub secret: Value,
    /// E.164 or short codes.
    pub numbers: Vec<String>,
    /// Texts a second that each number may send.
    pub per_second: f64,
}

/// A tenant that was made.
#[derive(Debug, Clone)]
pub struct MadeTenant {
    pub id: String,
    pub slug: String,
    /// In the plan's order.
    pub accounts: Vec<MadeAccount>,
    /// The screen-pop key.
    pub auth_key: String,
}

/// A provider account that was made.
#[derive(Debug, Clone)]
pub struct MadeAccount {
    pub id: String,
    pub kind: String,
    /// Where the provider has to post texts to.
    pub webhook_url: String,
}

/// The admin API with a platform-admin's token.
#[derive(Clone)]
pub struct AdminClient {
    base: String,
    token: String,
    http: reqwest::Client,
}

impl Stack {
    /// The admin API of this stack, with a token from `ccm token`.
    pub fn admin(&self) -> Result<AdminClient> {
        let process = if self.roles.contains_key("all") {
            "all"
        } else {
            "admin"
        };
        self.admin_of(process)
    }

    /// The admin API of this process.
    pub fn admin_of(&self, process: &str) -> Result<AdminClient> {
        let mut command = Command::new(&self.launch.ccm);
        command
            .args(["token", "--role", "platform-admin", "--config"])
            .arg(self.config_file(process)?);
        self.launch.environment(&mut command);
        let token = super::process::run("ccm token", &mut command)?;
        let base = self.address_in(process, "admin")?;
        Ok(AdminClient {
            base,
            token: token.trim().to_owned(),
            http: reqwest::Client::builder().build()?,
        })
    }
}

impl AdminClient {
    /// The token, for other clients.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The address, like `http://127.0.0.1:20123`.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// GETs a path below `/v1`; anything but 2xx is an error with the answer in it. Asks again, a few times, where the answer
    /// says so (503): after a restart of Postgres the first request may meet a connection that is gone.
    pub async fn get(&self, path: &str) -> Result<Value> {
        let mut tries = 0;
        loop {
            let asked = self.send(self.http.get(format!("{}/v1{path}", self.base)), path);
            match asked.await {
                Err(e) if tries < 10 && e.to_string().contains(": 503 ") => {
                    tries += 1;
                    sleep(Duration::from_millis(300)).await;
                }
                answered => return answered,
            }
        }
    }

    /// POSTs to a path below `/v1`.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.send(self.http.post(format!("{}/v1{path}", self.base)).json(body), path)
            .await
    }

    /// PUTs to a path below `/v1`.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Value> {
        self.send(self.http.put(format!("{}/v1{path}", self.base)).json(body), path)
            .await
    }

    /// PATCHes a path below `/v1`.
    pub async fn patch(&self, path: &str, body: &Value) -> Result<Value> {
        self.send(
            self.http.patch(format!("{}/v1{path}", self.base)).json(body),
            path,
        )
        .await
    }

    async fn send(&self, request: reqwest::RequestBuilder, path: &str) -> Result<Value> {
        let answer = request
            .bearer_auth(&self.token)
            .send()
            .await
            .with_context(|| format!("admin API {path}"))?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            bail!("admin API {path}: {status}: {text}");
        }
        serde_json::from_str(&text).with_context(|| format!("admin API {path}: not JSON"))
    }

    /// Makes a tenant with everything in the plan.
    pub async fn make_tenant(&self, plan: &Plan) -> Result<MadeTenant> {
        let tenant = self
            .post("/tenants", &json!({ "slug": plan.slug, "name": plan.slug }))
            .await?;
        let id = text(&tenant, "id")?;
        let at = |what: &str| format!("/tenants/{id}/{what}");
        let link = json!({
            "name": "AACC",
            "url": plan.ewc_url,
            "ca_pem": plan.ca_pem,
            "connects_per_second": plan.connects_per_second,
        });
        let link = text(&self.post(&at("links"), &link).await?, "id")?;
        let skillset = json!({ "name": plan.skillset, "link_id": link });
        let skillset = text(&self.post(&at("skillsets"), &skillset).await?, "id")?;
        let mut accounts = Vec::new();
        for (n, planned) in plan.accounts.iter().enumerate() {
            let account = json!({
                "name": format!("{} {n}", planned.kind),
                "kind": planned.kind,
                "settings": planned.settings,
                "secret": planned.secret,
            });
            let made = self.post(&at("accounts"), &account).await?;
            let account = text(&made, "id")?;
            for address in &planned.numbers {
                let number = json!({
                    "address": address,
                    "account_id": account,
                    "skillset_id": skillset,
                    "per_second": planned.per_second,
                });
                self.post(&at("numbers"), &number).await?;
            }
            let webhook_url = text(&made, "webhook_url")?;
            accounts.push(MadeAccount {
                id: account,
                kind: planned.kind.clone(),
                webhook_url,
            });
        }
        let key = self
            .post(&at("auth-keys"), &json!({ "name": "screen pop" }))
            .await?;
        Ok(MadeTenant {
            slug: plan.slug.clone(),
            accounts,
            auth_key: text(&key, "key")?,
            id,
        })
    }

    /// All conversations of a tenant, each with all its `messages`.
    pub async fn transcripts(&self, tenant: &str) -> Result<Vec<Value>> {
        let mut found = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self
                .get(&format!("/tenants/{tenant}/conversations?limit=100{cursor}"))
                .await?;
            for conversation in page["items"].as_array().context("no items")? {
                let mut conversation = conversation.clone();
                let id = text(&conversation, "id")?;
                let (mut messages, mut after) = (Vec::new(), 0);
                loop {
                    let path =
                        format!("/tenants/{tenant}/conversations/{id}/messages?after={after}&limit=100");
                    let page = self.get(&path).await?;
                    let items = page["items"].as_array().context("no items")?;
                    let Some(last) = items.last() else { break };
                    after = last["seq"].as_i64().context("no seq")?;
                    messages.extend(items.iter().cloned());
                }
                conversation["messages"] = Value::Array(messages);
                found.push(conversation);
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(found),
            }
        }
    }
}

fn text(from: &Value, field: &str) -> Result<String> {
    from[field]
        .as_str()
        .map(ToOwned::to_owned)
        .with_context(|| format!("the answer has no {field}: {from}"))
}
