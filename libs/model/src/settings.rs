//! What the documents of a tenant's settings have in common: words in languages, and the checking of fields.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One text in several languages: a language tag to the words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Words(pub BTreeMap<String, String>);

impl Words {
    /// The words in this language, else in its first subtag's (`de` for `de-AT`).
    pub fn in_language(&self, language: &str) -> Option<&str> {
        let find = |tag: &str| {
            let mut words = self.0.iter();
            words.find_map(|(l, words)| l.eq_ignore_ascii_case(tag).then_some(words.as_str()))
        };
        find(language).or_else(|| find(language.split('-').next().unwrap_or_default()))
    }
}

/// A setting that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}; {remedy}")]
pub struct SettingRefused {
    /// Dotted, as in the document.
    pub field: String,
    pub problem: String,
    pub remedy: &'static str,
}

/// Keeps the first refusal.
#[derive(Default)]
pub(crate) struct Check(Option<SettingRefused>);

impl Check {
    pub fn done(self) -> Result<(), SettingRefused> {
        self.0.map_or(Ok(()), Err)
    }

    pub fn refuse(&mut self, field: &str, problem: impl Into<String>, remedy: &'static str) {
        self.0.get_or_insert_with(|| SettingRefused {
            field: field.into(),
            problem: problem.into(),
            remedy,
        });
    }

    pub fn range(&mut self, field: &str, value: u32, least: u32, most: u32) {
        if !(least..=most).contains(&value) {
            self.refuse(
                field,
                format!("is {value}, not {least} to {most}"),
                "give a number in that range",
            );
        }
    }

    pub fn text(&mut self, field: &str, text: &str, most: usize) {
        if text.trim().is_empty() {
            self.refuse(field, "is empty", "write something, or leave the field out");
        } else if text.chars().count() > most {
            self.refuse(field, format!("is longer than {most} characters"), "shorten it");
        } else if text.contains('\0') {
            self.refuse(field, "holds a NUL character", "take it out");
        }
    }

    pub fn list(&mut self, field: &str, texts: &[String]) {
        if texts.len() > 20 {
            self.refuse(field, "holds more than 20", "leave some out");
        }
        for text in texts {
            self.text(field, text, 100);
        }
    }

    pub fn language(&mut self, field: &str, tag: &str) {
        let part = |p: &str| (1..=8).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphanumeric());
        if !(2..=35).contains(&tag.len()) || !tag.split('-').all(part) {
            self.refuse(field, "is no language tag", "write one such as en or de-AT");
        }
    }

    pub fn words(&mut self, field: &str, words: Option<&Words>) {
        let Some(Words(words)) = words else { return };
        if words.is_empty() {
            self.refuse(
                field,
                "has no words in any language",
                "write some, or set it to null",
            );
        }
        if words.len() > 50 {
            self.refuse(field, "has more than 50 languages", "leave some out");
        }
        for (language, text) in words {
            self.language(&format!("{field}.{language}"), language);
            self.text(&format!("{field}.{language}"), text, 1000);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_by_language() {
        let words = Words([("de".to_owned(), "Hallo".to_owned())].into());
        assert_eq!(words.in_language("de-AT"), Some("Hallo"));
        assert_eq!(words.in_language("DE"), Some("Hallo"));
        assert_eq!(
            words.in_language("en"),
            None,
            "never another language by accident"
        );
    }
}
