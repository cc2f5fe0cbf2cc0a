//! One conversation that plays itself: the customer's phone, the agent's desktop, and a link that breaks in the middle.

use crate::{Tenant, World, progress::Progress, transcript::side_by_side};
use anyhow::{Context, Result, bail, ensure};
use ccm_aacc_sim::{Agent, Break, ChatState, ChatView, Link, Severity, Target};
use ccm_carrier_sim::SentState;
use std::{process::ExitCode, time::Duration};
use tokio::time::sleep;

/// The customer of the application notes.
pub const CUSTOMER: &str = "+14697206211";
const AGENT: &str = "7000";
/// Each single wait. Generous: a debug build on a busy machine is slow, and a limit that is hit is reported as broken.
const LIMIT: Duration = Duration::from_secs(60);
/// So that a person can follow.
const BREATH: Duration = Duration::from_millis(600);

/// How a played conversation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Every promise was kept.
    Clean,
    /// The checker, or the simulated AACC, found something.
    Broken,
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Clean => ExitCode::SUCCESS,
            Verdict::Broken => ExitCode::FAILURE,
        }
    }
}

/// Plays the conversation, prints both transcripts and the checker's report.
///
/// Fails where something does not happen at all: then the transcripts and the report are printed as well, as far as it
/// came.
pub async fn play(world: &World, progress: Progress) -> Result<Verdict> {
    let tenant = world.tenants.first().context("the demo has no tenant")?;
    let play = Play {
        world,
        tenant,
        progress,
    };
    let played = play.conversation().await;
    println!();
    print!(
        "{}",
        side_by_side(&world.carrier.phone(CUSTOMER), &tenant.aacc.chats())
    );
    println!();
    let report = world.check().await;
    if let Ok(report) = &report {
        println!("{report}");
    }
    let rude = tenant.aacc.violations();
    let malformed = rude.iter().filter(|v| v.severity == Severity::Malformed).count();
    println!("aacc-sim: {malformed} frames against the protocol");
    println!();
    played.context("the conversation did not come to its end")?;
    let report = report.context("the checker could not read back the conversation")?;
    let clean = report.is_clean() && report.dead.is_empty() && malformed == 0;
    Ok(if clean { Verdict::Clean } else { Verdict::Broken })
}

struct Play<'w> {
    world: &'w World,
    tenant: &'w Tenant,
    progress: Progress,
}

impl Play<'_> {
    async fn conversation(&self) -> Result<()> {
        let first = self.opening().await?;
        self.break_in_the_middle(first).await?;
        self.ending_and_again(first).await
    }

    /// Texts that wait for an agent, an agent who types and answers. Returns the chat's guid.
    async fn opening(&self) -> Result<u64> {
        self.text("Hi, my contract says a < b. Is that right? #c-1-1")
            .await?;
        self.text("My number is 4711 #c-1-2").await?;
        let chat = self
            .tenant
            .aacc
            .wait_for_chat(|c| c.customer == CUSTOMER && c.state == ChatState::Waiting, LIMIT)
            .await
            .context("no chat came up on the agent's desktop; connector.log says why")?;
        self.agent(&format!("sees a chat of {CUSTOMER} in {}", chat.skillset));
        sleep(BREATH).await;
        self.join(chat.guid)?;
        let chat = self.received(chat.guid, "#c-1-2").await?;
        let shown = chat.transcript.iter().find(|line| line.text.contains("#c-1-1"));
        let shown = shown.context("the first text is not in the agent's window")?;
        ensure!(
            shown.displayed.contains("a < b") || shown.displayed.contains("a ‹ b"),
            "the agent cannot read `a < b`: {:?}",
            shown.displayed
        );
        self.agent(&format!("reads: {}", shown.displayed));
        self.phone_gets("Welcome to the Avaya Contact Center").await?;

        self.agent("types …");
        self.tenant.aacc.typing(chat.guid, AGENT, true)?;
        sleep(BREATH).await;
        self.tenant.aacc.typing(chat.guid, AGENT, false)?;
        self.say_raw(chat.guid, "1 &lt; 2 &amp; 3 #a-1-1")?;
        let got = self.phone_gets("#a-1-1").await?;
        ensure!(
            got == "1 < 2 & 3 #a-1-1",
            "the phone shows {got:?} instead of \"1 < 2 & 3 #a-1-1\""
        );
        Ok(chat.guid)
    }

    /// The socket is reset; both sides go on texting as if nothing were.
    async fn break_in_the_middle(&self, guid: u64) -> Result<()> {
        let aacc = &self.tenant.aacc;
        let before = aacc.chat(guid).context("the chat is gone")?.resumes;
        let cut = aacc.break_sockets(Target::Chat(guid), Break::Reset);
        ensure!(cut == 1, "the chat has {cut} sockets to cut instead of 1");
        self.progress
            .say("link      ✂ reset in the middle; both sides go on");
        self.say_raw(guid, "While we were cut off: it is &lt;urgent&gt; #a-1-2")?;
        self.text("Are you still there? #c-1-3").await?;
        let healed = aacc
            .wait_for(
                guid,
                |c| c.resumes > before && matches!(c.link, Link::Open(_)),
                LIMIT,
            )
            .await;
        let healed = healed.context("the link did not heal; connector.log says why")?;
        self.progress.say(&format!(
            "link      ✓ healed by itself, the same chat ({})",
            healed.guid
        ));
        self.received(guid, "#c-1-3").await?;
        self.phone_gets("#a-1-2").await?;
        self.text("Good, thanks & bye #c-1-4").await?;
        self.received(guid, "#c-1-4").await?;
        Ok(())
    }

    /// The agent ends the chat, and the same number texts again at once.
    async fn ending_and_again(&self, first: u64) -> Result<()> {
        let aacc = &self.tenant.aacc;
        aacc.leave(first, AGENT, true)?;
        self.agent("leaves and ends the chat");
        self.text("One more thing #c-1-5").await?;
        let second = aacc
            .wait_for_chat(
                |c| c.guid != first && c.customer == CUSTOMER && c.state == ChatState::Waiting,
                LIMIT,
            )
            .await
            .context("the text after the end opened no new chat; connector.log says why")?;
        self.agent(&format!("sees a new chat ({} after {first})", second.guid));
        self.join(second.guid)?;
        self.received(second.guid, "#c-1-5").await?;
        self.say_raw(second.guid, "Of course &amp; with pleasure #a-1-3")?;
        self.phone_gets("#a-1-3").await?;
        aacc.leave(second.guid, AGENT, true)?;
        self.agent("leaves and ends the chat");
        let ended = |c: &ChatView| c.state == ChatState::Ended;
        aacc.wait_for(second.guid, ended, LIMIT).await?;
        Ok(())
    }

    /// The customer texts, and the provider's webhook is accepted.
    async fn text(&self, text: &str) -> Result<()> {
        let carrier = &self.world.carrier;
        let sent = carrier.text(CUSTOMER, &self.tenant.number, text)?;
        let sent = carrier.wait_accepted(sent.seq, LIMIT).await;
        let sent = sent.context("ingest does not take the provider's text; ingest.log says why")?;
        if sent.state != SentState::Accepted {
            let why = sent.last_failure.unwrap_or_default();
            bail!("ingest did not take the provider's text ({why}); ingest.log says why");
        }
        self.progress.say(&format!("customer  ▸ {text}"));
        Ok(())
    }

    fn join(&self, guid: u64) -> Result<()> {
        self.tenant.aacc.join(guid, Agent::new(AGENT, "Russell"))?;
        self.agent("accepts");
        Ok(())
    }

    fn say_raw(&self, guid: u64, text: &str) -> Result<()> {
        self.tenant.aacc.say_raw(guid, AGENT, text)?;
        self.agent(&format!("▸ {text}"));
        Ok(())
    }

    fn agent(&self, does: &str) {
        self.progress.say(&format!("agent     {does}"));
    }

    async fn received(&self, guid: u64, tag: &str) -> Result<ChatView> {
        let has = |c: &ChatView| c.transcript.iter().any(|line| line.text.contains(tag));
        let chat = self.tenant.aacc.wait_for(guid, has, LIMIT).await;
        chat.with_context(|| format!("{tag} did not reach the agent's desktop; connector.log says why"))
    }

    /// Waits for a text with `part` in it, and returns it whole.
    async fn phone_gets(&self, part: &str) -> Result<String> {
        let carrier = &self.world.carrier;
        let mut n = 1;
        loop {
            let texts = carrier.wait_received(CUSTOMER, n, LIMIT).await;
            let texts =
                texts.with_context(|| format!("{part:?} did not reach the phone; dispatch.log says why"))?;
            if let Some(found) = texts.iter().find(|text| text.text.contains(part)) {
                self.progress.say(&format!("phone     ◂ {}", found.text));
                return Ok(found.text.clone());
            }
            n = texts.len() + 1;
        }
    }
}
