//! What an examination found. Can be shown and given away: the peer's facts and our settings, no key, no password, no text
//! or name of anybody.

use std::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::cause::{Cause, Place};

/// One examination.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Of this format; grows when a reader of the old one would go wrong.
    pub version: u32,
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    pub duration_ms: u64,
    /// `wss://aacc.example.com:8445/CustomerControllerWeb/chat`
    pub primary: String,
    pub secondary: Option<String>,
    /// The worst of all steps: passed, warned or failed.
    pub outcome: Outcome,
    /// In the order in which they were taken.
    pub steps: Vec<Step>,
}

impl Report {
    pub(crate) const VERSION: u32 = 1;

    /// What is wrong, the first failure first, then what was warned of.
    pub fn causes(&self) -> Vec<Cause> {
        let of = |outcome| self.steps.iter().filter(move |step| step.outcome == outcome);
        let found = of(Outcome::Failed).chain(of(Outcome::Warned));
        found
            .filter_map(|step| Some(step.finding.as_ref()?.cause))
            .collect()
    }

    pub fn count(&self, outcome: Outcome) -> usize {
        self.steps.iter().filter(|step| step.outcome == outcome).count()
    }
}

/// Which of the link's two addresses a step was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    Primary,
    Secondary,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// Address, authorities and client certificate as they are set up.
    Settings,
    Dns,
    /// Through the proxy if there is one.
    Tcp,
    Tls,
    Upgrade,
    Ping,
    /// A frame as large as the largest that a text can make.
    LargeFrame,
    /// Queue metrics of one skillset, or of all.
    Queue,
    /// How long a silent socket lives.
    Idle,
    ChatOpen,
    ChatPing,
    /// Waiting for an agent, and the text that says that it is a test.
    ChatAgent,
    /// Its own socket cut, and the chat taken up on another.
    ChatResume,
    ChatTranscript,
    ChatClose,
    /// The examination took too long and was cut short.
    TimeLimit,
    /// What cannot be measured from outside.
    Advice,
}

impl StepKind {
    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            StepKind::Settings => "Settings",
            StepKind::Dns => "DNS",
            StepKind::Tcp => "TCP connection",
            StepKind::Tls => "TLS",
            StepKind::Upgrade => "WebSocket upgrade",
            StepKind::Ping => "EWC ping",
            StepKind::LargeFrame => "Large frame",
            StepKind::Queue => "Queue metrics",
            StepKind::Idle => "Idle socket",
            StepKind::ChatOpen => "Test chat: open",
            StepKind::ChatPing => "Test chat: ping",
            StepKind::ChatAgent => "Test chat: agent",
            StepKind::ChatResume => "Test chat: socket cut, resume",
            StepKind::ChatTranscript => "Test chat: transcript",
            StepKind::ChatClose => "Test chat: close",
            StepKind::TimeLimit => "Time limit",
            StepKind::Advice => "Advice",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Passed,
    /// Nothing was measured: something to look at. Never makes a report anything but passed.
    Advice,
    /// It works, and something should be looked at.
    Warned,
    Failed,
    /// Not taken; [`Step::because`] says why.
    Skipped,
}

/// One step, done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    pub endpoint: Endpoint,
    pub kind: StepKind,
    /// For people; names the skillset of a queue step.
    pub title: String,
    pub outcome: Outcome,
    /// Why it was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    pub duration_ms: u64,
    pub evidence: Vec<Fact>,
    /// There when it was warned, failed, or is advice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<Finding>,
}

/// Something that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    pub name: String,
    pub value: String,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub cause: Cause,
    pub place: Place,
    /// What happened and what it means, in a sentence or two.
    pub explanation: String,
    pub remedy: String,
}

impl Finding {
    pub(crate) fn new(cause: Cause, explanation: impl Into<String>) -> Self {
        Finding {
            cause,
            place: cause.place(),
            explanation: tame(&explanation.into()),
            remedy: cause.remedy().into(),
        }
    }

    pub(crate) fn at(self, place: Place) -> Self {
        Finding { place, ..self }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({}): {}",
            self.cause.code(),
            self.place.name(),
            self.explanation
        )
    }
}

/// The longest text that is shown, in characters.
const LONGEST: usize = 1_000;

/// A peer's words can be long and full of tricks on terminals.
pub(crate) fn tame(text: &str) -> String {
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    clean.take(LONGEST).collect()
}

/// How an examination goes on.
#[derive(Debug, Clone, Copy)]
pub enum Progress<'a> {
    Began {
        endpoint: Endpoint,
        kind: StepKind,
        title: &'a str,
    },
    Finished(&'a Step),
}
