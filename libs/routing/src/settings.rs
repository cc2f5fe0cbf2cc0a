//! The document. Stored as JSON; fields of a newer version are passed over (who takes a document from outside refuses them).

use crate::times::{HolidayDate, TimeOfDay};
use ccm_model::{Address, settings::Words};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// What a tenant decides about where texts go. A tenant that has set nothing has each number's own skillset, day and night.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RoutingSettings {
    /// Business hours by name.
    pub calendars: BTreeMap<String, Calendar>,
    /// Customers by name of the list, such as `vip`.
    pub lists: BTreeMap<String, CustomerList>,
    /// The first that matches decides: those of the smallest `priority` first, then in this order.
    pub rules: Vec<Rule>,
    /// What happens to texts for agents while they are away. The first that fits the number and the skillset.
    pub after_hours: Vec<AfterHours>,
}

/// Business hours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calendar {
    /// An IANA name such as `Europe/Berlin`.
    pub time_zone: String,
    #[serde(default)]
    pub weekly: Weekly,
    /// Days that are not like the others. A day that is named here with its year goes before a yearly one.
    #[serde(default)]
    pub holidays: Vec<Holiday>,
}

/// The hours of each day, by the wall's clock. A day without any is closed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Weekly {
    pub monday: Vec<Interval>,
    pub tuesday: Vec<Interval>,
    pub wednesday: Vec<Interval>,
    pub thursday: Vec<Interval>,
    pub friday: Vec<Interval>,
    pub saturday: Vec<Interval>,
    pub sunday: Vec<Interval>,
}

/// From one time until just before another. When `to` is not after `from` it is of the next day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    pub from: TimeOfDay,
    pub to: TimeOfDay,
}

/// A day with hours of its own, from midnight to midnight: a shift of the day before ends at its beginning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holiday {
    pub name: String,
    pub date: HolidayDate,
    /// None: closed all day.
    #[serde(default)]
    pub hours: Vec<Interval>,
}

/// Some customers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CustomerList {
    pub numbers: Vec<Address>,
    /// Everybody whose number begins so.
    pub prefixes: Vec<Prefix>,
}

/// The beginning of a number: `+` and 1 to 15 digits. `Debug` shows its length only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Prefix(String);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Unique in the document.
    pub name: String,
    /// 0 to 1000; the smaller goes first.
    #[serde(default = "middle")]
    pub priority: u32,
    #[serde(default = "yes")]
    pub enabled: bool,
    #[serde(default)]
    pub when: Conditions,
    pub action: RuleAction,
}

fn middle() -> u32 {
    100
}

fn yes() -> bool {
    true
}

/// All that are set must hold. None: every text matches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Conditions {
    /// The number that was texted is one of these. Empty: any.
    pub numbers: Vec<Address>,
    pub keyword: Option<KeywordCondition>,
    pub time: Option<TimeCondition>,
    /// The customer's language is one of these or begins so: `de` is `de-AT` too. Empty: any.
    pub languages: Vec<String>,
    pub list: Option<ListCondition>,
}

/// The text has one of these words, in upper or lower case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeywordCondition {
    pub any_of: Vec<String>,
    #[serde(rename = "match", default)]
    pub matching: KeywordMatch,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeywordMatch {
    /// The text is the keyword and nothing else.
    Whole,
    /// The text begins with it.
    #[default]
    FirstWord,
    /// It stands somewhere in the text, as a word of its own where the script has spaces.
    Contains,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeCondition {
    pub calendar: String,
    pub is: TimeIs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeIs {
    Open,
    Closed,
    /// The day is one of the holidays, open or not.
    Holiday,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListCondition {
    pub name: String,
    #[serde(default)]
    pub is: ListIs,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListIs {
    #[default]
    In,
    NotIn,
}

/// Exactly one of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RuleAction {
    /// The text goes to the agents of this skillset.
    pub skillset: Option<String>,
    pub reply: Option<AutoReply>,
    pub webhook: Option<Webhook>,
}

/// The customer is answered without an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AutoReply {
    /// Knows `{opens_date}` and `{opens_time}`.
    pub words: Words,
    #[serde(default)]
    pub then: ReplyThen,
    /// With `hold`: the agents who get the text. `None`: the number's own skillset.
    #[serde(default)]
    pub skillset: Option<String>,
    /// With `hold`: whose opening it is kept for. `None`: the calendar of the rule's own condition of time, else that of
    /// `after_hours`.
    #[serde(default)]
    pub calendar: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplyThen {
    /// The text is kept for agents until the calendar opens; while it is open, or without one, they get it at once.
    #[default]
    Hold,
    /// No agent sees it.
    Done,
}

/// Somebody else's program decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// `https://…`
    pub url: String,
    /// 100 to 10000.
    #[serde(default = "three_seconds")]
    pub timeout_ms: u32,
    /// When it fails. `None`: the number's own skillset.
    #[serde(default)]
    pub fallback: Option<Fallback>,
}

fn three_seconds() -> u32 {
    3000
}

/// Exactly one of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Fallback {
    pub skillset: Option<String>,
    pub reply: Option<AutoReply>,
}

/// What happens to a text that would go to agents while they are away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AfterHours {
    pub calendar: String,
    /// Texts to these numbers. Empty: to any.
    #[serde(default)]
    pub numbers: Vec<Address>,
    /// Texts that come to these skillsets. Empty: to any.
    #[serde(default)]
    pub skillsets: Vec<String>,
    /// What the customer is told. Knows `{opens_date}` and `{opens_time}`.
    pub reply: Words,
    /// Whether the text is kept until the calendar opens; else agents are offered it at once all the same.
    #[serde(default = "yes")]
    pub hold: bool,
}

impl RoutingSettings {
    /// Each skillset that is named, with where.
    pub fn skillsets(&self) -> impl Iterator<Item = (String, &str)> {
        let rules = self.rules.iter().enumerate().flat_map(|(n, rule)| {
            let action = &rule.action;
            let fallback = action
                .webhook
                .as_ref()
                .and_then(|webhook| webhook.fallback.as_ref());
            [
                ("skillset", action.skillset.as_deref()),
                ("reply.skillset", of_reply(&action.reply)),
                (
                    "webhook.fallback.skillset",
                    fallback.and_then(|f| f.skillset.as_deref()),
                ),
                (
                    "webhook.fallback.reply.skillset",
                    fallback.and_then(|f| of_reply(&f.reply)),
                ),
            ]
            .into_iter()
            .filter_map(move |(field, name)| Some((format!("rules[{n}].action.{field}"), name?)))
        });
        let after = self.after_hours.iter().enumerate().flat_map(|(n, entry)| {
            let names = entry.skillsets.iter().enumerate();
            names.map(move |(m, name)| (format!("after_hours[{n}].skillsets[{m}]"), name.as_str()))
        });
        rules.chain(after)
    }

    /// Each number of the tenant's own that is named, with where.
    pub fn numbers(&self) -> impl Iterator<Item = (String, &Address)> {
        let rules = self.rules.iter().enumerate().flat_map(|(n, rule)| {
            let numbers = rule.when.numbers.iter().enumerate();
            numbers.map(move |(m, number)| (format!("rules[{n}].when.numbers[{m}]"), number))
        });
        let after = self.after_hours.iter().enumerate().flat_map(|(n, entry)| {
            let numbers = entry.numbers.iter().enumerate();
            numbers.map(move |(m, number)| (format!("after_hours[{n}].numbers[{m}]"), number))
        });
        rules.chain(after)
    }
}

fn of_reply(reply: &Option<AutoReply>) -> Option<&str> {
    reply.as_ref()?.skillset.as_deref()
}

impl Weekly {
    /// Monday first.
    pub fn days(&self) -> [(&'static str, &[Interval]); 7] {
        [
            ("monday", &self.monday),
            ("tuesday", &self.tuesday),
            ("wednesday", &self.wednesday),
            ("thursday", &self.thursday),
            ("friday", &self.friday),
            ("saturday", &self.saturday),
            ("sunday", &self.sunday),
        ]
    }
}

impl Prefix {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Prefix {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let plain: String = text
            .chars()
            .filter(|c| !matches!(c, ' ' | '.' | '-' | '(' | ')'))
            .collect();
        match plain.strip_prefix('+') {
            Some(digits)
                if (1..=15).contains(&digits.len())
                    && !digits.starts_with('0')
                    && digits.bytes().all(|b| b.is_ascii_digit()) =>
            {
                Ok(Self(plain))
            }
            _ => Err("not the beginning of a number; write it like +4930"),
        }
    }
}

impl From<Prefix> for String {
    fn from(prefix: Prefix) -> Self {
        prefix.0
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prefix({} chars)", self.0.len())
    }
}
