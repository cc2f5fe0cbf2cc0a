//! What a tenant decides about its texts: encoding, consent, what agents are told, bounds.
//!
//! One JSON document per tenant, as [`crate::chat_settings`]. CCM's own words to a customer do not exist before the
//! tenant wrote them; the words to *agents* have an English default, since an agent who is not told believes that the
//! customer has read him.

use crate::settings::{Check, SettingRefused, Words};
use ccm_sms_text::keyword::{Keyword, Keywords};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A tenant's decisions about its texts. Times are in seconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SmsSettings {
    /// What is written in GSM-7 letters instead of its own before it is sent.
    pub transliterate: Transliterate,
    /// Segments a second that all of the tenant's numbers may send together, 0.1 to 10,000; `None`: what its numbers and
    /// accounts allow.
    pub segments_per_second: Option<f32>,
    pub consent: ConsentSettings,
    pub agent_notes: AgentNotes,
    pub flood: Flood,
    pub auto_replies: AutoReplies,
    pub parts: Parts,
}

/// What is written in GSM-7 letters instead of its own, so that a text takes fewer segments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transliterate {
    Off,
    /// Quotes, dashes, spaces and the like that word processors put in.
    #[default]
    Punctuation,
    /// Accented Latin letters that GSM-7 lacks as well.
    Latin,
}

/// By which words customers refuse and ask for texts, and what they are answered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConsentSettings {
    /// Words by language tag, beside the English ones that every tenant has.
    pub words: BTreeMap<String, ConsentWords>,
    /// Said once after a word of refusal, the last text that this customer gets. `None`: nothing is said (a carrier that
    /// handles opt-outs says it itself).
    pub stop_reply: Option<Words>,
    /// Said after a customer asked for texts again.
    pub start_reply: Option<Words>,
    /// Said after HELP or INFO.
    pub help_reply: Option<Words>,
}

/// Whole texts, compared without case, outer punctuation and spaces.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConsentWords {
    pub stop: Vec<String>,
    pub start: Vec<String>,
    pub help: Vec<String>,
}

/// What agents read in the chat about texts. AACC takes such a note for the customer's words, and it restarts AACC's idle
/// timers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentNotes {
    /// In front of each, so that nobody takes it for the customer's words. 1 to 40 characters.
    pub prefix: String,
    /// Whether agents are told that a text of theirs did not reach the phone.
    pub failures: bool,
    /// Between two such notes in one chat, 0 to 3600.
    pub min_gap_s: u32,
    /// A text failed; knows `{reason}`.
    pub failed: Words,
    /// The customer opted out.
    pub opted_out: Words,
    /// Somebody else texted the customer from the chat's number; knows `{author}` and `{text}`.
    pub texted: Words,
}

/// How much one phone may text one number. What is beyond is stored and shown, and no agent gets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Flood {
    /// 1 to 10,000.
    pub texts: u32,
    /// 1 to 3600.
    pub per_s: u32,
}

/// How many texts that nobody wrote (replies by rule, after hours, to keywords) one customer gets from one number: two
/// robots that answer each other stop there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AutoReplies {
    /// 1 to 100.
    pub most: u32,
    /// 60 to 86,400.
    pub per_s: u32,
}

/// Long texts that arrive in parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Parts {
    /// How long the first part waits for the rest; then the text is taken with a mark where parts are missing. 1 to 86,400.
    pub wait_s: u32,
}

fn english(words: &str) -> Words {
    Words([("en".to_owned(), words.to_owned())].into())
}

impl Default for AgentNotes {
    fn default() -> Self {
        Self {
            prefix: "[CCM]".to_owned(),
            failures: true,
            min_gap_s: 30,
            failed: english("Your text did not reach the customer's phone. {reason}"),
            opted_out: english("The customer has opted out. No more texts can be sent; the chat ends."),
            texted: english("{author} texted the customer: {text}"),
        }
    }
}

impl AgentNotes {
    /// What agents read about a text that somebody else has sent to their customer.
    pub fn of_text(&self, language: &str, author: &str, text: &str) -> Option<String> {
        let words = self.texted.in_language(language);
        let words = words.or_else(|| self.texted.in_language("en"))?;
        // The text last: what looks like a word in it stays as it is.
        let words = words.replace("{author}", author).replace("{text}", text);
        Some(format!("{} {words}", self.prefix))
    }
}

impl Default for Flood {
    fn default() -> Self {
        Self {
            texts: 300,
            per_s: 60,
        }
    }
}

impl Default for AutoReplies {
    fn default() -> Self {
        Self { most: 6, per_s: 3600 }
    }
}

impl Default for Parts {
    fn default() -> Self {
        Self { wait_s: 120 }
    }
}

impl SmsSettings {
    /// Checks every field against its range.
    pub fn check(&self) -> Result<(), SettingRefused> {
        let mut check = Check::default();
        if self
            .segments_per_second
            .is_some_and(|r| !(0.1..=10_000.0).contains(&r))
        {
            check.refuse(
                "segments_per_second",
                "is not 0.1 to 10000",
                "give a number in that range",
            );
        }
        self.consent.check(&mut check);
        check.text("agent_notes.prefix", &self.agent_notes.prefix, 40);
        check.range("agent_notes.min_gap_s", self.agent_notes.min_gap_s, 0, 3600);
        check.words("agent_notes.failed", Some(&self.agent_notes.failed));
        check.words("agent_notes.opted_out", Some(&self.agent_notes.opted_out));
        check.words("agent_notes.texted", Some(&self.agent_notes.texted));
        check.range("flood.texts", self.flood.texts, 1, 10_000);
        check.range("flood.per_s", self.flood.per_s, 1, 3600);
        check.range("auto_replies.most", self.auto_replies.most, 1, 100);
        check.range("auto_replies.per_s", self.auto_replies.per_s, 60, 86_400);
        check.range("parts.wait_s", self.parts.wait_s, 1, 86_400);
        check.done()
    }
}

impl ConsentSettings {
    /// What a customer's text is held against. What cannot be a keyword was refused when it was set; here it is passed over.
    pub fn keywords(&self) -> Keywords {
        let mut keywords = Keywords::default();
        for (language, words) in &self.words {
            let lists = [
                (Keyword::Stop, &words.stop),
                (Keyword::Start, &words.start),
                (Keyword::Help, &words.help),
            ];
            for (keyword, list) in lists {
                for word in list {
                    let _ = keywords.add(language, keyword, word);
                }
            }
        }
        keywords
    }

    fn check(&self, check: &mut Check) {
        check.words("consent.stop_reply", self.stop_reply.as_ref());
        check.words("consent.start_reply", self.start_reply.as_ref());
        check.words("consent.help_reply", self.help_reply.as_ref());
        if self.words.len() > 50 {
            check.refuse("consent.words", "has more than 50 languages", "leave some out");
        }
        let mut meanings: BTreeMap<String, &str> = BTreeMap::new();
        for (language, words) in &self.words {
            let field = format!("consent.words.{language}");
            check.language(&field, language);
            for (kind, list) in [
                ("stop", &words.stop),
                ("start", &words.start),
                ("help", &words.help),
            ] {
                let field = format!("{field}.{kind}");
                check.list(&field, list);
                for word in list {
                    let other = meanings.insert(word.trim().to_lowercase(), kind);
                    if other.is_some_and(|other| other != kind) {
                        check.refuse(
                            &field,
                            "has a word that means something else in another list",
                            "let each word mean one thing",
                        );
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_empty_document_is_the_default_and_says_nothing_to_customers() {
        let settings: SmsSettings = serde_json::from_value(json!({})).unwrap();
        assert_eq!(settings, SmsSettings::default());
        settings.check().unwrap();
        let consent = &settings.consent;
        assert!(
            consent.stop_reply.is_none() && consent.start_reply.is_none() && consent.help_reply.is_none()
        );
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_field() {
        for (document, field) in [
            (json!({"segments_per_second": 0}), "segments_per_second"),
            (json!({"agent_notes": {"prefix": " "}}), "agent_notes.prefix"),
            (json!({"agent_notes": {"failed": {}}}), "agent_notes.failed"),
            (json!({"flood": {"texts": 0}}), "flood.texts"),
            (json!({"parts": {"wait_s": 0}}), "parts.wait_s"),
            (
                json!({"consent": {"stop_reply": {"de": ""}}}),
                "consent.stop_reply.de",
            ),
            (
                json!({"consent": {"words": {"de": {"stop": ["Halt"]}, "nl": {"start": [" halt "]}}}}),
                "consent.words.nl.start",
            ),
        ] {
            let settings: SmsSettings = serde_json::from_value(document).unwrap();
            assert_eq!(settings.check().unwrap_err().field, field);
        }
    }
}
