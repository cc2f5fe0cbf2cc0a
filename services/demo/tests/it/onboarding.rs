//! docs/onboarding.md, run as it stands: against all roles, a simulated AACC behind a private authority, and a simulated provider.

use anyhow::{Context, Result, bail, ensure};
use ccm_aacc_sim::{self as aacc, Agent, ChatState};
use ccm_carrier_sim as carrier;
use ccm_demo::World;
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::process::Command;

const PAGE: &str = include_str!("../../../../docs/onboarding.md");
const NUMBER: &str = "+19717122610";
const CUSTOMER: &str = "+14697206211";
const SID: &str = "AC0123456789abcdef0123456789abcdef";
const SECRET: &str = "simulators-share-this-secret";
const LIMIT: Duration = Duration::from_secs(60);

/// A fenced block, and the comment that stands right before it.
struct Block {
    mark: Option<String>,
    language: String,
    text: String,
}

fn blocks(page: &str) -> Vec<Block> {
    let (mut found, mut mark, mut open) = (Vec::new(), None, None::<Block>);
    for line in page.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (Some(_), Some(_)) => found.extend(open.take()),
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, Some(language)) => {
                open = Some(Block {
                    mark: mark.take(),
                    language: language.to_owned(),
                    text: String::new(),
                });
            }
            (None, None) => {
                let comment = line
                    .strip_prefix("<!-- ")
                    .and_then(|line| line.strip_suffix(" -->"));
                mark = comment.map(str::to_owned);
            }
        }
    }
    found
}

struct Scene {
    world: World,
    aacc: aacc::Sim,
    folder: tempfile::TempDir,
    shell: Vec<(String, String)>,
}

impl Scene {
    async fn set() -> Result<Self> {
        // The program does so at its start.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let built = PathBuf::from(env!("CARGO_BIN_EXE_ccm-demo"));
        let ccm = built.with_file_name("ccm");
        let world = World::builder(&ccm).tenants([]).start().await?;
        let aacc = aacc::Sim::start(aacc::Config::default()).await?;
        let folder = tempfile::tempdir()?;
        let at = |name: &str| folder.path().join(name);
        fs::write(
            at("ca.pem"),
            aacc.ca_pem().context("the simulated AACC has no TLS")?,
        )?;
        fs::write(at("auth-token"), SECRET)?;
        // The product's programs as an engineer finds them on the path.
        let bin = at("bin");
        fs::create_dir(&bin)?;
        let config = world.stack.config_file("admin")?;
        script(
            &bin.join("ccm"),
            &format!("exec {} \"$@\" --config {}", ccm.display(), config.display()),
        )?;
        script(
            &bin.join("ccmctl"),
            &format!("exec {} \"$@\"", built.with_file_name("ccmctl").display()),
        )?;
        let path = format!("{}:{}", bin.display(), std::env::var("PATH")?);
        let shell = [
            ("PATH", path.as_str()),
            ("HOME", &folder.path().display().to_string()),
            ("CCMCTL_URL", &world.stack.address("admin")?),
            ("SLUG", "acme-bank"),
            ("NAME", "Acme Bank"),
            ("AACC", &aacc.chat_url()),
            ("NUMBER", NUMBER),
            ("SKILLSET", "WC_Default_Skillset"),
            ("NETWORK", "127.0.0.0/8"),
        ];
        let shell = shell
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec();
        Ok(Self {
            world,
            aacc,
            folder,
            shell,
        })
    }

    async fn run(&self, text: &str) -> Result<String> {
        let mut command = Command::new("bash");
        command
            .args(["-euo", "pipefail", "-c", text])
            .current_dir(self.folder.path());
        command.env_clear().envs(self.shell.iter().cloned());
        let ended = command.output().await?;
        let (out, err) = (
            String::from_utf8_lossy(&ended.stdout),
            String::from_utf8_lossy(&ended.stderr),
        );
        ensure!(
            ended.status.success(),
            "{text}\nended with {}\n{out}\n{err}",
            ended.status
        );
        Ok(out.into_owned())
    }

    /// What the page has a person do: text, accept, answer.
    async fn talk(&self) -> Result<()> {
        let accounts: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(self.folder.path().join("accounts.json"))?)?;
        let carrier = &self.world.carrier;
        carrier.set_account(carrier::Account {
            kind: carrier::Kind::Twilio,
            name: SID.into(),
            secret: SECRET.into(),
            webhook_url: accounts["items"][0]["webhook_url"].as_str().map(str::to_owned),
        })?;
        carrier.set_number(NUMBER, SID)?;
        let sent = carrier.text(CUSTOMER, NUMBER, "Is 1 < 2?")?;
        carrier.wait_accepted(sent.seq, LIMIT).await?;
        let waiting = |chat: &aacc::ChatView| chat.customer == CUSTOMER && chat.state == ChatState::Waiting;
        let chat = self.aacc.wait_for_chat(waiting, LIMIT).await?;
        self.aacc.join(chat.guid, Agent::new("7000", "Russell"))?;
        self.aacc.say(chat.guid, "7000", "It is.")?;
        let mut seen = 0;
        loop {
            let texts = carrier.wait_received(CUSTOMER, seen + 1, LIMIT).await?;
            if texts.iter().any(|text| text.text.contains("It is.")) {
                return Ok(());
            }
            seen = texts.len();
        }
    }
}

fn script(file: &Path, line: &str) -> Result<()> {
    fs::write(file, format!("#!/bin/sh\n{line}\n"))?;
    fs::set_permissions(file, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_leads_from_nothing_to_a_tested_link() -> Result<()> {
    let scene = Scene::set().await?;
    let mut printed = String::new();
    for block in blocks(PAGE) {
        match (block.language.as_str(), block.mark.as_deref()) {
            ("sh", Some("values")) => {
                let names = block
                    .text
                    .split_whitespace()
                    .filter_map(|word| word.split_once('='))
                    .map(|(name, _)| name);
                let known: BTreeSet<&str> = scene.shell.iter().map(|(name, _)| name.as_str()).collect();
                for name in names {
                    ensure!(
                        known.contains(name),
                        "the page's {name} is none of the test's values"
                    );
                }
            }
            ("sh", mark) => {
                if mark.is_some_and(|mark| mark.starts_with("a customer texts")) {
                    scene.talk().await?;
                }
                printed += &scene.run(&block.text).await?;
            }
            ("yaml", Some(mark)) => {
                let name = mark
                    .strip_prefix("file ")
                    .context("a yaml block without a file's name")?;
                // The provider is a simulated one.
                let api = format!(
                    "account_sid: {SID}\n  api_base: {}",
                    scene.world.carrier.api_base()
                );
                let text = block.text.replace(&format!("account_sid: {SID}"), &api);
                fs::write(scene.folder.path().join(name), text)?;
            }
            (language, mark) => bail!("what is to be done with {language:?} {mark:?}?"),
        }
    }
    for part in [
        "✓ TLS",
        "acme-bank",
        "delivered",
        "Is 1 < 2?",
        "It is.",
        "acme-bank: nothing to change",
    ] {
        ensure!(printed.contains(part), "no {part:?} in\n{printed}");
    }
    // The state is told from time to time.
    let up =
        "until ccmctl links state 'AACC Dublin' --json | jq -e '.state == \"up\"' > state; do sleep 1; done";
    tokio::time::timeout(LIMIT, scene.run(up))
        .await
        .context("the link is never said to be up")??;
    let exported = fs::read_to_string(scene.folder.path().join("acme-bank.yaml"))?;
    ensure!(
        exported.contains("skillset: WC_Default_Skillset") && !exported.contains(SECRET),
        "{exported}"
    );
    Ok(())
}
