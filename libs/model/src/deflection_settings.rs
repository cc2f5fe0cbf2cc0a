//! What a tenant decides about call deflection: when a caller in a voice queue is offered a text chat, and in which words.
//!
//! One JSON document per tenant, as [`crate::chat_settings`]. Without words of offer nobody is offered anything.

use crate::{
    Address,
    settings::{Check, SettingRefused, Words},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What an offer's words can name: the caller's name, the skillset that they wait for, how many minutes the offer is good for, and
/// the page that opens the chat by a click.
pub const OFFER_FIELDS: [&str; 4] = ["name", "skillset", "minutes", "link"];

/// What the note for the agent can name.
pub const NOTE_FIELDS: [&str; 6] = [
    "name",
    "skillset",
    "waited_minutes",
    "contact",
    "priority",
    "context",
];

/// A tenant's decisions about call deflection. Times are in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeflectionSettings {
    /// What the caller is texted; knows [`OFFER_FIELDS`]. `None`: nothing is offered.
    pub offer: Option<Words>,
    /// What a caller is texted who has not answered in time; knows the same, without `link`. `None`: nothing.
    pub expired: Option<Words>,
    /// Whether the offer carries an address where a click opens the chat; its words then have `{link}`.
    pub link: bool,
    /// What agents read as the first text of a caller who clicked.
    pub clicked: Words,
    /// How long an answer is waited for. 60 to 86,400.
    pub answer_within_s: u32,
    /// What the agent reads first; knows [`NOTE_FIELDS`]. `None`: nothing.
    pub note: Option<Words>,
    pub agents: AgentCheck,
    pub limits: OfferLimits,
    /// The country of numbers that the script gives without one: two letters.
    pub region: Option<String>,
    /// The tenant's number that offers leave from, by what the caller dialled. What is one of the tenant's numbers itself needs no
    /// entry.
    pub senders: BTreeMap<String, Address>,
    /// The same, where nothing else says it. `None`: the tenant's number, if it has just one.
    pub sender: Option<Address>,
    /// The skillset that answers chats, by the one that answers calls. Names that are not here stay as they are.
    pub skillsets: BTreeMap<String, String>,
    /// What those get who have waited long. The longest wait that was reached counts.
    pub priorities: Vec<Priority>,
}

/// How AACC must stand for an offer to be made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentCheck {
    /// It is not asked.
    Off,
    /// An agent of the chat's skillset is available.
    #[default]
    Available,
    /// As well, no more customers wait than the reference client of AACC lets in: two for each of those agents.
    Free,
}

/// How often offers are made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OfferLimits {
    /// To one caller, 1 to 100 …
    pub per_caller: u32,
    /// … within so long. 60 to 2,592,000.
    pub per_caller_s: u32,
    /// By the tenant in a minute, 1 to 10,000.
    pub per_minute: u32,
}

/// What somebody gets who has waited so long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Priority {
    /// 0 to 86,400.
    pub over_s: u32,
    /// What AACC is told as `{priority}`, 1 to 40 characters.
    #[serde(default)]
    pub priority: Option<String>,
    /// A skillset of their own.
    #[serde(default)]
    pub skillset: Option<String>,
}

impl Default for DeflectionSettings {
    fn default() -> Self {
        let english = |words: &str| Words([("en".to_owned(), words.to_owned())].into());
        let note = "The customer called {skillset}, waited for {waited_minutes} min and was offered this chat. {context}";
        Self {
            offer: None,
            expired: None,
            link: false,
            clicked: english("The customer opened this chat by the link in the offer."),
            answer_within_s: 600,
            note: Some(english(note)),
            agents: AgentCheck::default(),
            limits: OfferLimits::default(),
            region: None,
            senders: BTreeMap::new(),
            sender: None,
            skillsets: BTreeMap::new(),
            priorities: Vec::new(),
        }
    }
}

impl Default for OfferLimits {
    fn default() -> Self {
        Self {
            per_caller: 1,
            per_caller_s: 3600,
            per_minute: 60,
        }
    }
}

/// Entries of a map from names to names.
const MOST_NAMES: usize = 1000;
const MOST_PRIORITIES: usize = 20;

/// `{waited_minutes}`: as people say the time that has passed.
pub fn waited_minutes(seconds: u64) -> String {
    (seconds.saturating_add(30) / 60).to_string()
}

impl DeflectionSettings {
    /// What somebody gets who has waited so long.
    pub fn priority(&self, waited_s: u32) -> Option<&Priority> {
        let reached = self.priorities.iter().filter(|p| p.over_s <= waited_s);
        reached.max_by_key(|p| p.over_s)
    }

    /// The skillset whose agents answer the chat of somebody who waits for `voice`.
    pub fn chat_skillset<'a>(&'a self, voice: &'a str, waited_s: u32) -> &'a str {
        let own = self.priority(waited_s).and_then(|p| p.skillset.as_deref());
        own.or_else(|| self.skillsets.get(voice).map(String::as_str))
            .unwrap_or(voice)
    }

    /// Checks every field against its range.
    pub fn check(&self) -> Result<(), SettingRefused> {
        let mut check = Check::default();
        check.words("offer", self.offer.as_ref());
        check.words("expired", self.expired.as_ref());
        check.words("clicked", Some(&self.clicked));
        check.words("note", self.note.as_ref());
        self.check_link(&mut check);
        check.range("answer_within_s", self.answer_within_s, 60, 86_400);
        check.range("limits.per_caller", self.limits.per_caller, 1, 100);
        check.range("limits.per_caller_s", self.limits.per_caller_s, 60, 2_592_000);
        check.range("limits.per_minute", self.limits.per_minute, 1, 10_000);
        if let Some(region) = &self.region
            && !(region.len() == 2 && region.bytes().all(|b| b.is_ascii_alphabetic()))
        {
            check.refuse(
                "region",
                "is not a country of two letters",
                "write it as ISO 3166-1 does, such as IE or US",
            );
        }
        for (field, names) in [
            ("senders", self.senders.len()),
            ("skillsets", self.skillsets.len()),
        ] {
            if names > MOST_NAMES {
                check.refuse(field, format!("has more than {MOST_NAMES}"), "leave some out");
            }
        }
        for dialled in self.senders.keys() {
            check.text("senders", dialled, 50);
        }
        for (voice, chat) in &self.skillsets {
            check.text("skillsets", voice, 100);
            check.text(&format!("skillsets.{voice}"), chat, 100);
        }
        self.check_priorities(&mut check);
        check.done()
    }

    fn check_link(&self, check: &mut Check) {
        for (field, words, link) in [
            ("offer", &self.offer, self.link),
            ("expired", &self.expired, false),
        ] {
            for (language, text) in words.iter().flat_map(|words| &words.0) {
                let field = format!("{field}.{language}");
                match (link, text.contains("{link}")) {
                    (true, false) => check.refuse(
                        &field,
                        "has no {link}, which `link` promises",
                        "write {link} where the address shall stand, or set link to false",
                    ),
                    (false, true) => check.refuse(
                        &field,
                        "has {link}, and there is none",
                        "take it out; an offer has one when link is true",
                    ),
                    _ => {}
                }
            }
        }
    }

    fn check_priorities(&self, check: &mut Check) {
        if self.priorities.len() > MOST_PRIORITIES {
            check.refuse(
                "priorities",
                format!("has more than {MOST_PRIORITIES}"),
                "leave some out",
            );
        }
        for (n, entry) in self.priorities.iter().enumerate() {
            let field = |name: &str| format!("priorities[{n}].{name}");
            check.range(&field("over_s"), entry.over_s, 0, 86_400);
            if let Some(priority) = &entry.priority {
                check.text(&field("priority"), priority, 40);
            }
            if let Some(skillset) = &entry.skillset {
                check.text(&field("skillset"), skillset, 100);
            }
            if self.priorities[..n]
                .iter()
                .any(|other| other.over_s == entry.over_s)
            {
                check.refuse(
                    &field("over_s"),
                    "stands there twice",
                    "write one entry for each wait",
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(document: serde_json::Value) -> DeflectionSettings {
        serde_json::from_value(document).unwrap()
    }

    #[test]
    fn an_empty_document_is_the_default_and_offers_nothing() {
        let settings = read(json!({}));
        assert_eq!(settings, DeflectionSettings::default());
        settings.check().unwrap();
        assert!(settings.offer.is_none() && settings.expired.is_none());
    }

    #[test]
    fn the_longest_wait_that_was_reached_counts() {
        let settings = read(json!({
            "skillsets": {"Voice_Sales": "WC_Sales"},
            "priorities": [{"over_s": 300, "skillset": "WC_First"}, {"over_s": 60, "priority": "high"}],
        }));
        settings.check().unwrap();
        for (waited, priority, skillset) in [
            (59, None, "WC_Sales"),
            (60, Some("high"), "WC_Sales"),
            (300, None, "WC_First"),
        ] {
            let found = settings.priority(waited).and_then(|p| p.priority.as_deref());
            assert_eq!(found, priority, "{waited}");
            assert_eq!(
                settings.chat_skillset("Voice_Sales", waited),
                skillset,
                "{waited}"
            );
        }
        assert_eq!(settings.chat_skillset("Other", 0), "Other");
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_field() {
        for (document, field) in [
            (json!({"answer_within_s": 59}), "answer_within_s"),
            (json!({"limits": {"per_caller": 0}}), "limits.per_caller"),
            (json!({"limits": {"per_minute": 10001}}), "limits.per_minute"),
            (json!({"region": "Ireland"}), "region"),
            (json!({"offer": {}}), "offer"),
            (json!({"offer": {"en": "Text back"}, "link": true}), "offer.en"),
            (json!({"offer": {"en": "Click {link}"}}), "offer.en"),
            (
                json!({"offer": {"en": "Click {link}"}, "link": true, "expired": {"de": "{link}"}}),
                "expired.de",
            ),
            (json!({"skillsets": {"Sales": " "}}), "skillsets.Sales"),
            (
                json!({"priorities": [{"over_s": 5}, {"over_s": 5}]}),
                "priorities[1].over_s",
            ),
        ] {
            assert_eq!(read(document).check().unwrap_err().field, field);
        }
    }
}
