//! What an agent is told about the last thing done.

use super::words::{Words, with};
use serde::{Deserialize, Serialize};

/// What has come of it. Kept with the page, so that a reload says it again.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "told")]
pub enum Told {
    Sent {
        number: String,
    },
    Already,
    Stale,
    Empty,
    TooLong {
        over: usize,
    },
    BadText,
    NoNumber,
    Unreadable,
    /// Fields of a template that nothing is known for.
    Fields {
        names: Vec<String>,
    },
    TooFast {
        seconds: u64,
    },
    TenantTooFast {
        seconds: u64,
    },
    NoSender,
    Stopped,
    Cannot,
    OptedOut {
        sender: String,
        since: String,
    },
    Template,
    TemplateGone,
    Replaced,
    CheckFailed,
    CheckTooOften {
        seconds: u64,
    },
}

/// How it is meant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Good,
    Plain,
    Bad,
}

impl Tone {
    /// A class of the style.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Plain => "plain",
            Self::Bad => "bad",
        }
    }
}

impl Told {
    pub fn tone(&self) -> Tone {
        match self {
            Self::Sent { .. } => Tone::Good,
            Self::Already | Self::Template | Self::Replaced => Tone::Plain,
            _ => Tone::Bad,
        }
    }

    pub fn words(&self, w: &Words) -> String {
        let about = |words: &str, name: &str, value: &str| with(words, &[(name, value)]);
        let seconds = |words: &str, seconds: u64| about(words, "seconds", &seconds.to_string());
        match self {
            Self::Sent { number } => about(&w.told_sent, "number", number),
            Self::Already => w.told_already.clone(),
            Self::Stale => w.told_stale.clone(),
            Self::Empty => w.told_empty.clone(),
            Self::TooLong { over } => about(&w.told_too_long, "over", &over.to_string()),
            Self::BadText => w.told_bad_text.clone(),
            Self::NoNumber => w.told_no_number.clone(),
            Self::Unreadable => w.unreadable_why.clone(),
            Self::Fields { names } => {
                let names: Vec<&str> = names.iter().map(|name| field(name, w)).collect();
                about(&w.told_fields, "fields", &names.join(", "))
            }
            Self::TooFast { seconds: n } => seconds(&w.told_too_fast, *n),
            Self::TenantTooFast { seconds: n } => seconds(&w.told_tenant_too_fast, *n),
            Self::NoSender => w.told_no_sender.clone(),
            Self::Stopped => w.told_stopped.clone(),
            Self::Cannot => w.told_cannot.clone(),
            Self::OptedOut { sender, since } => {
                with(&w.opted_out_why, &[("sender", sender), ("since", since)])
            }
            Self::Template => w.told_template.clone(),
            Self::TemplateGone => w.told_template_gone.clone(),
            Self::Replaced => w.told_replaced.clone(),
            Self::CheckFailed => w.check_failed.clone(),
            Self::CheckTooOften { seconds: n } => seconds(&w.check_too_often, *n),
        }
    }
}

fn field<'a>(name: &'a str, w: &'a Words) -> &'a str {
    match name {
        "agent" => &w.field_agent,
        "caller" => &w.field_caller,
        "number" => &w.field_number,
        "skillset" => &w.field_skillset,
        "order" => &w.field_order,
        other => other,
    }
}
