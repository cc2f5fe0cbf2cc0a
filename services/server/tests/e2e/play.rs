//! What all tests do: start a world, let customers and agents talk, ask the checker.

use ccm_aacc_sim::{Agent, ChatState, ChatView};
use ccm_carrier_sim::SentState;
use ccm_demo::{Tenant, World, WorldBuilder};
use ccm_testkit::canary;
use std::{path::PathBuf, time::Duration};

/// For whatever must happen by itself; debug builds on a busy machine included.
pub const SOON: Duration = Duration::from_secs(60);
/// A number that carries a canary: see [`all_is_well`].
pub const CUSTOMER: &str = "+19995550000";

pub fn world() -> WorldBuilder {
    world_of(env!("CARGO_BIN_EXE_ccm"))
}

/// A world that begins with another program than the one that is tested.
pub fn world_of(ccm: impl Into<PathBuf>) -> WorldBuilder {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    World::builder(ccm).stack(|stack| stack.env("RUST_LOG", "trace"))
}

/// A conversation between one customer and one agent, each numbering what it sends.
pub struct Talk<'w> {
    pub world: &'w World,
    pub tenant: &'w Tenant,
    pub customer: String,
    said: u32,
    answered: u32,
}

impl<'w> Talk<'w> {
    pub fn new(world: &'w World, tenant: usize, customer: &str) -> Self {
        Self {
            world,
            tenant: &world.tenants[tenant],
            customer: customer.to_owned(),
            said: 0,
            answered: 0,
        }
    }

    fn tag(&self, side: char, n: u32) -> String {
        let digits = |number: &str| number.trim_start_matches('+').to_owned();
        format!(
            "#{side}-{}-{}-{n}",
            digits(&self.tenant.number),
            digits(&self.customer)
        )
    }

    /// The customer sends a text; returns its number at the provider.
    pub fn text(&mut self, words: &str) -> u64 {
        self.said += 1;
        let text = format!("{} {} {words}", self.tag('c', self.said), canary::body(self.said));
        self.world
            .carrier
            .text(&self.customer, &self.tenant.number, &text)
            .expect("the phone sends")
            .seq
    }

    /// The customer sends a text, and the provider gets its 2xx.
    pub async fn text_accepted(&mut self, words: &str) {
        let seq = self.text(words);
        let sent = self
            .world
            .carrier
            .wait_accepted(seq, SOON)
            .await
            .expect("accepted in time");
        assert_eq!(sent.state, SentState::Accepted, "{sent:?}");
    }

    /// The agent of the open chat answers, exactly as given.
    pub fn answer(&mut self, guid: u64, words: &str) {
        self.answered += 1;
        let text = format!(
            "{} {} {words}",
            self.tag('a', self.answered),
            canary::body(self.answered)
        );
        self.tenant
            .aacc
            .say_raw(guid, None, &text)
            .expect("the agent speaks");
    }

    /// The customer's chat that is open now.
    pub async fn chat(&self) -> ChatView {
        let mine = |c: &ChatView| c.customer == self.customer && c.state != ChatState::Ended;
        self.tenant
            .aacc
            .wait_for_chat(mine, SOON)
            .await
            .expect("a chat is opened")
    }

    /// An agent accepts the customer's chat; returns its guid.
    pub async fn accept(&self) -> u64 {
        let guid = self.chat().await.guid;
        self.tenant
            .aacc
            .join(guid, Agent::new("7000", "Russell"))
            .expect("the agent joins");
        guid
    }

    /// Waits until the agent has everything that the customer has sent so far, over all of the customer's chats.
    pub async fn agent_has_all(&self) {
        let last = self.tag('c', self.said);
        let has = |c: &ChatView| {
            c.customer == self.customer
                && c.transcript
                    .iter()
                    .any(|l| l.text.split(' ').next() == Some(&last))
        };
        self.tenant
            .aacc
            .wait_for_chat(has, SOON)
            .await
            .unwrap_or_else(|e| {
                panic!(
                    "the agent does not have {last}: {e}; chats: {:?}",
                    self.tenant.aacc.chats()
                )
            });
    }

    /// Waits until the phone has everything that the agents have said so far; returns the last text.
    pub async fn phone_has_all(&self) -> String {
        let texts = self
            .world
            .carrier
            .wait_received(&self.customer, self.answered as usize, SOON)
            .await
            .unwrap_or_else(|e| panic!("the phone does not have {} texts: {e}", self.answered));
        texts.last().map(|t| t.text.clone()).unwrap_or_default()
    }
}

/// A conversation of [`CUSTOMER`] with the first tenant's agent that is under way; returns the chat's guid.
pub async fn live_chat(world: &World) -> u64 {
    let mut talk = Talk::new(world, 0, CUSTOMER);
    talk.text_accepted("hello").await;
    let guid = talk.accept().await;
    talk.agent_has_all().await;
    guid
}

/// Whether the agent's window has a text that begins so.
pub fn has_text(start: &str) -> impl Fn(&ChatView) -> bool {
    move |chat| chat.transcript.iter().any(|line| line.text.starts_with(start))
}

/// Every promise was kept, nothing ended as a dead letter, we spoke EWC as it is spoken, and neither bodies nor numbers (both
/// carry canaries) stand in a log, written at trace level, or in a metric.
pub async fn all_is_well(world: &World) {
    nothing_leaked(world).await;
    let report = world.check().await.expect("everybody can be asked");
    assert!(report.is_clean() && report.dead.is_empty(), "{report}");
    assert!(report.sent > 0, "the test sends something");
    we_spoke_as_it_is_spoken(world);
}

/// AACC's side has nothing to say against ours. Tests may ask for faster pings than customers' AACCs get.
pub fn we_spoke_as_it_is_spoken(world: &World) {
    for tenant in &world.tenants {
        let mut violations = tenant.aacc.violations();
        violations.retain(|v| v.rule != "ping_rate");
        assert!(violations.is_empty(), "{violations:?}");
    }
}

/// Searches the logs (over all restarts) and the metrics of all roles for canaries.
pub async fn nothing_leaked(world: &World) {
    for role in world.stack.roles() {
        let logs = world.stack.logs(role).expect("every role has a log");
        assert!(logs.contains("\"level\""), "{role} logs");
        assert_eq!(canary::find_in(&logs), [], "logs of {role}");
        if world.stack.pid(role).expect("a role").is_some() {
            let metrics = world.stack.metrics(role).await.expect("every role has metrics");
            assert_eq!(canary::find_in(&metrics), [], "metrics of {role}");
        }
    }
}
