//! Labels in front of texts, and the notices that AACC itself writes into a chat.
//!
//! Both are the customer of Avaya's settings (CCMM, Web Comms): nothing here knows one by heart but the texts that today's
//! product is known to show.

use std::iter::Peekable;
use std::str::CharIndices;

/// Written into the chat when the last agent leaves (application notes).
pub const ALL_AGENTS_LEFT: &str = "All Agents have left the conversation";
/// Written into the chat where no agent is logged in (application notes).
pub const NO_AGENTS: &str = "No agents";

/// Splits the label off that `text` begins with: the label as it stands in `labels`, and the rest without the blanks between.
///
/// `text` is readable already ([`super::from_agent`]). Case does not matter, nor do blanks around brackets and other signs;
/// a word matches whole words only. Where several labels match, the longest is meant. Without a label the text comes back
/// as it is.
pub fn split_label<'t, 'l>(text: &'t str, labels: &[&'l str]) -> (Option<&'l str>, &'t str) {
    let matching = labels
        .iter()
        .filter_map(|label| Some((*label, after_label(text, label)?)));
    match matching.min_by_key(|(_, rest)| rest.len()) {
        Some((label, rest)) => (Some(label), rest.trim_start()),
        None => (None, text),
    }
}

/// Whether a display name is one of the labels, with or without its brackets: then no person wrote the text.
pub fn is_label(name: &str, labels: &[&str]) -> bool {
    let words = |text| tokens(text).map(|t| t.text).filter(|t| is_word(t));
    labels
        .iter()
        .any(|label| words(label).next().is_some() && same(words(name), words(label)))
}

/// Which of the `known` notices this text is, if it is nothing else: the label in front, case, blanks and dots at the end
/// do not matter.
pub fn system_notice<K: Copy>(text: &str, labels: &[&str], known: &[(&str, K)]) -> Option<K> {
    let words = |text| tokens(undotted(text)).map(|t| t.text);
    let (_, rest) = split_label(text, labels);
    known
        .iter()
        .find(|(notice, _)| words(notice).next().is_some() && same(words(rest), words(notice)))
        .map(|(_, kind)| *kind)
}

/// What follows the label in `text`.
fn after_label<'t>(text: &'t str, label: &str) -> Option<&'t str> {
    let mut found = tokens(text);
    let mut end = None;
    for wanted in tokens(label) {
        let token = found.next()?;
        if !same_word(token.text, wanted.text) {
            return None;
        }
        end = Some(token.end);
    }
    text.get(end?..)
}

fn undotted(text: &str) -> &str {
    text.trim_end_matches(|c: char| c == '.' || c == '…' || c.is_whitespace())
}

fn same<'a, 'b>(a: impl Iterator<Item = &'a str>, mut b: impl Iterator<Item = &'b str>) -> bool {
    let mut all = true;
    for word in a {
        all = all && b.next().is_some_and(|other| same_word(word, other));
    }
    all && b.next().is_none()
}

fn same_word(a: &str, b: &str) -> bool {
    a.chars()
        .flat_map(char::to_lowercase)
        .eq(b.chars().flat_map(char::to_lowercase))
}

fn is_word(token: &str) -> bool {
    token.chars().all(char::is_alphanumeric)
}

/// A word, or one character that is neither of a word nor blank.
struct Token<'a> {
    text: &'a str,
    /// Where it ends in the whole.
    end: usize,
}

struct Tokens<'a> {
    whole: &'a str,
    chars: Peekable<CharIndices<'a>>,
}

fn tokens(text: &str) -> Tokens<'_> {
    Tokens {
        whole: text,
        chars: text.char_indices().peekable(),
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        while self.chars.next_if(|(_, c)| c.is_whitespace()).is_some() {}
        let (start, first) = self.chars.next()?;
        let mut end = start + first.len_utf8();
        if first.is_alphanumeric() {
            while let Some((at, c)) = self.chars.next_if(|(_, c)| c.is_alphanumeric()) {
                end = at + c.len_utf8();
            }
        }
        Some(Token {
            text: &self.whole[start..end],
            end,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LABELS: [&str; 3] = ["[Agent]", "[Customer]", "Dein Berater:"];

    #[test]
    fn a_label_is_split_off_only_in_front() {
        for (text, label, rest) in [
            ("[Agent] Welcome", Some("[Agent]"), "Welcome"),
            ("[agent]Welcome", Some("[Agent]"), "Welcome"),
            ("  [ AGENT ]   Welcome ", Some("[Agent]"), "Welcome "),
            ("[Customer] hi", Some("[Customer]"), "hi"),
            ("[Agent]", Some("[Agent]"), ""),
            ("[Agent] [Agent] twice", Some("[Agent]"), "[Agent] twice"),
            ("dein  BERATER : hallo", Some("Dein Berater:"), "hallo"),
            ("DeinBerater: hallo", None, "DeinBerater: hallo"),
            ("Welcome [Agent]", None, "Welcome [Agent]"),
            ("[Agents] are busy", None, "[Agents] are busy"),
            ("[Agent", None, "[Agent"),
            (" as it is", None, " as it is"),
            ("", None, ""),
        ] {
            assert_eq!(split_label(text, &LABELS), (label, rest), "{text:?}");
        }
        assert_eq!(
            split_label("Agent Smith: no", &["Agent", "Agent Smith:"]),
            (Some("Agent Smith:"), "no"),
            "the longest"
        );
        assert_eq!(split_label("Agents wait", &["Agent"]), (None, "Agents wait"));
        assert_eq!(split_label("text", &["", " "]), (None, "text"), "no label at all");
    }

    #[test]
    fn a_name_that_is_a_label_is_nobodys() {
        for (name, expected) in [
            ("Agent", true),
            ("[agent]", true),
            (" Dein Berater", true),
            ("Agent Smith", false),
            ("Agents", false),
            ("Russell", false),
            ("", false),
        ] {
            assert_eq!(is_label(name, &LABELS), expected, "{name:?}");
        }
        assert!(!is_label("", &["[]"]), "a label without words names nobody");
    }

    #[test]
    fn notices_are_known_only_when_they_are_the_whole_text() {
        let known = [(ALL_AGENTS_LEFT, 'l'), (NO_AGENTS, 'n'), ("", 'x')];
        for (text, expected) in [
            ("[Agent] All Agents have left the conversation", Some('l')),
            ("all agents have left the  conversation.", Some('l')),
            ("[Agent] No agents", Some('n')),
            ("NO AGENTS . ", Some('n')),
            ("No agents left today, sorry", None),
            ("There are No agents", None),
            ("No agents?", None),
            ("[Agent]", None),
            ("", None),
        ] {
            assert_eq!(system_notice(text, &LABELS, &known), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn the_rest_is_the_end_of_the_text(text in ".*", label in ".{0,9}") {
            let (found, rest) = split_label(&text, &[&label]);
            prop_assert!(text.ends_with(rest));
            prop_assert_eq!(found.is_none() && !text.is_empty(), !text.is_empty() && rest.len() == text.len());
        }

        #[test]
        fn what_was_put_in_front_is_found(text in "\\S.*", blanks in " {0,3}") {
            let labelled = format!("{blanks}[Agent]{blanks}{text}");
            prop_assert_eq!(split_label(&labelled, &["[Agent]"]), (Some("[Agent]"), text.as_str()));
        }
    }
}
