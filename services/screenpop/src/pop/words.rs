//! What the page says, in the languages that it speaks. A language that lacks a word does not come into the program.

use ccm_model::screenpop_settings::PageLanguage;
use serde::Deserialize;
use std::sync::LazyLock;

macro_rules! words {
    ($($key:ident),* $(,)?) => {
        /// The page's words in one language.
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct Words {
            $(pub $key: String,)*
            /// A tag such as `en`.
            #[serde(skip)]
            pub language: &'static str,
        }

        #[cfg(test)]
        impl Words {
            fn all(&self) -> Vec<(&'static str, &str)> {
                vec![$((stringify!($key), self.$key.as_str())),*]
            }
        }
    };
}

words! {
    title, sending_to, number, check, sender, message, order, template, choose_template, use_template, send,
    left, too_long, forced, forced_short, replace, replace_without, undo, history, history_of, no_history, time, direction, who,
    text, state, inbound, outbound, customer, system, send_again, utc, queued, sending, sent, delivered,
    failed, expired, unknown, received, failed_opted_out, sent_again, text_failed, available, landline, landline_why, calls_only,
    calls_only_why, invalid, invalid_why, unreadable, unreadable_why, which_country, which_country_why, own_number, own_number_why, opted_out, opted_out_why, check_failed,
    check_too_often, hint_missing, hint_placeholder, hint_anonymous, hint_extension, hint_unreadable,
    hint_which_country, hint_sender, told_sent, told_already, told_stale, told_other, told_empty, told_too_long, told_bad_text,
    told_no_number, told_fields, told_too_fast, told_tenant_too_fast, told_no_sender, told_stopped,
    told_cannot, told_template, told_template_gone, told_replaced, told_left_out, told_undone, told_not_again, no_sender, updates_off, error_title,
    error_key, error_network, error_use, error_suspended, error_too_often, error_busy, error_link, error_link_used, link_malformed, link_extension,
    link_algorithm, link_signature, link_expired, link_early, link_too_long, link_audience,
    error_ended, error_later, error_broken, error_form, field_agent, field_name, field_caller, field_number,
    field_skillset, field_order,
}

static ALL: LazyLock<Vec<Words>> = LazyLock::new(|| {
    let read = |language: PageLanguage| {
        let table = match language {
            PageLanguage::En => include_str!("../../words/en.toml"),
            PageLanguage::De => include_str!("../../words/de.toml"),
            PageLanguage::Fr => include_str!("../../words/fr.toml"),
            PageLanguage::Es => include_str!("../../words/es.toml"),
        };
        let words: Words = toml::from_str(table).expect("a table that tests have read");
        Words {
            language: language.as_str(),
            ..words
        }
    };
    PageLanguage::ALL.into_iter().map(read).collect()
});

impl Words {
    pub fn of(language: PageLanguage) -> &'static Self {
        Self::tagged(language.as_str()).unwrap_or(&ALL[0])
    }

    /// Those of a language tag, where the page speaks it.
    fn tagged(tag: &str) -> Option<&'static Self> {
        let main = tag.split('-').next().unwrap_or_default();
        ALL.iter().find(|words| words.language.eq_ignore_ascii_case(main))
    }

    /// Those that a browser asks for: the first of its languages that the page speaks, in its order.
    pub fn accepted(header: &str) -> &'static Self {
        let mut tags = header
            .split(',')
            .map(|tag| tag.split(';').next().unwrap_or_default().trim());
        tags.find_map(Self::tagged).unwrap_or(&ALL[0])
    }
}

/// Words with what they are about, each once and in one pass: what is put in stays as it is.
pub fn with(words: &str, about: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(words.len());
    let mut rest = words;
    while let Some((before, from)) = rest.split_once('{') {
        filled.push_str(before);
        let known = from.split_once('}').and_then(|(name, after)| {
            let value = about.iter().find(|(key, _)| *key == name)?.1;
            Some((value, after))
        });
        match known {
            Some((value, after)) => {
                filled.push_str(value);
                rest = after;
            }
            None => {
                filled.push('{');
                rest = from;
            }
        }
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holes(words: &str) -> Vec<&str> {
        let mut names: Vec<&str> = words
            .split('{')
            .skip(1)
            .filter_map(|rest| Some(rest.split_once('}')?.0))
            .collect();
        names.sort_unstable();
        names
    }

    /// That each key is there, and no other, is what reading the table says.
    #[test]
    fn each_language_says_everything_about_the_same_things() {
        assert_eq!(ALL.len(), PageLanguage::ALL.len());
        for words in ALL.iter() {
            for ((key, english), (_, said)) in ALL[0].all().into_iter().zip(words.all()) {
                assert!(!said.trim().is_empty(), "{} {key}", words.language);
                assert_eq!(holes(said), holes(english), "{} {key}", words.language);
            }
        }
        let differ = |a: &Words, b: &Words| a.all().iter().zip(b.all()).filter(|(a, b)| a.1 != b.1).count();
        assert!(differ(Words::of(PageLanguage::En), Words::of(PageLanguage::De)) > 80);
    }

    #[test]
    fn languages_are_found() {
        assert_eq!(Words::of(PageLanguage::Es).language, "es");
        assert_eq!(Words::accepted("de-AT").language, "de");
        assert_eq!(Words::accepted("it, fr-CH;q=0.9, en;q=0.8").language, "fr");
        assert_eq!(Words::accepted("").language, "en");
    }

    #[test]
    fn what_is_put_in_stays_as_it_is() {
        assert_eq!(with("{a} {b} {c} {", &[("a", "{b}"), ("b", "2")]), "{b} 2 {c} {");
    }
}
