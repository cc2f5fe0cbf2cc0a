//! What an agent is told about the last thing done.

use super::{
    stop::Stop,
    words::{Words, with},
};
use ccm_web::Problem;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What has come of it. Kept with the page, so that a reload says it again.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "told")]
pub enum Told {
    Sent {
        number: String,
    },
    Already,
    Stale,
    /// Another text was sent from the same form.
    Other,
    Empty,
    TooLong {
        over: usize,
    },
    BadText,
    NoNumber,
    Unreadable,
    WhichCountry,
    /// It is one of the tenant's.
    OwnNumber,
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
    /// Until something else is done, it can be undone.
    Replaced {
        #[serde(default)]
        before: Option<String>,
        #[serde(default)]
        left_out: String,
    },
    Undone,
    /// A text of the history cannot be sent again: it has been, or it did not fail.
    NotAgain,
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
    /// As it is kept with the page.
    pub fn notice(told: Option<&Self>) -> Result<Value, Stop> {
        let notice = told.map_or(Ok(Value::Null), serde_json::to_value);
        notice.map_err(|error| Stop::Problem(Problem::internal(error)))
    }

    /// What is kept with the page. What another version wrote and this one cannot read says nothing.
    pub fn kept(notice: Option<&Value>) -> Option<Self> {
        serde_json::from_value(notice?.clone()).ok()
    }

    pub fn tone(&self) -> Tone {
        match self {
            Self::Sent { .. } => Tone::Good,
            Self::Already | Self::Template | Self::Replaced { .. } | Self::Undone => Tone::Plain,
            _ => Tone::Bad,
        }
    }

    /// The text that stood in the message before it was changed.
    pub fn before(&self) -> Option<&str> {
        match self {
            Self::Replaced { before, .. } => before.as_deref(),
            _ => None,
        }
    }

    pub fn words(&self, w: &Words) -> String {
        let about = |words: &str, name: &str, value: &str| with(words, &[(name, value)]);
        let seconds = |words: &str, seconds: u64| about(words, "seconds", &seconds.to_string());
        match self {
            Self::Sent { number } => about(&w.told_sent, "number", number),
            Self::Already => w.told_already.clone(),
            Self::Stale => w.told_stale.clone(),
            Self::Other => w.told_other.clone(),
            Self::Empty => w.told_empty.clone(),
            Self::TooLong { over } => about(&w.told_too_long, "over", &over.to_string()),
            Self::BadText => w.told_bad_text.clone(),
            Self::NoNumber => w.told_no_number.clone(),
            Self::Unreadable => w.unreadable_why.clone(),
            Self::WhichCountry => w.hint_which_country.clone(),
            Self::OwnNumber => w.own_number_why.clone(),
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
            Self::Replaced { left_out, .. } if left_out.is_empty() => w.told_replaced.clone(),
            Self::Replaced { left_out, .. } => about(&w.told_left_out, "pictures", left_out),
            Self::Undone => w.told_undone.clone(),
            Self::NotAgain => w.told_not_again.clone(),
            Self::CheckFailed => w.check_failed.clone(),
            Self::CheckTooOften { seconds: n } => seconds(&w.check_too_often, *n),
        }
    }
}

fn field<'a>(name: &'a str, w: &'a Words) -> &'a str {
    match name {
        "agent" => &w.field_agent,
        "name" => &w.field_name,
        "caller" => &w.field_caller,
        "number" => &w.field_number,
        "skillset" => &w.field_skillset,
        "order" => &w.field_order,
        other => other,
    }
}
