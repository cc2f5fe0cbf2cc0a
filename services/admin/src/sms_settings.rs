//! Words of a tenant's by which customers refuse texts, want them again, or ask for help.

use crate::valid::Refused;
use ccm_model::sms_settings::ConsentSettings;
use ccm_sms_text::keyword::{Keyword, KeywordRefused, Keywords, MAX_CHARS};

/// Beside each other and beside the built-in ones, each word means one thing.
pub fn consent_words(consent: &ConsentSettings) -> Result<(), Refused> {
    let mut keywords = Keywords::default();
    for (language, words) in &consent.words {
        for (list, keyword, words) in [
            ("stop", Keyword::Stop, &words.stop),
            ("start", Keyword::Start, &words.start),
            ("help", Keyword::Help, &words.help),
        ] {
            for word in words {
                keywords
                    .add(language, keyword, word)
                    .map_err(|error| refused(format!("consent.words.{language}.{list}"), &error))?;
            }
        }
    }
    Ok(())
}

fn refused(field: String, error: &KeywordRefused) -> Refused {
    match error {
        KeywordRefused::Empty { word } => Refused::new(
            field,
            format!("has {word:?}, which has no letter or digit"),
            "write a word, or leave it out",
        ),
        KeywordRefused::TooLong { word } => Refused::new(
            field,
            format!("has {word:?}, which is longer than {MAX_CHARS} characters"),
            "take a shorter word: customers text it as a whole",
        ),
        KeywordRefused::Collision { word, already, .. } => Refused::new(
            field,
            format!("has {word:?}, which means {} already", meaning(*already)),
            "leave it out here, or in the other list; the English words that every tenant has cannot be given another meaning",
        ),
    }
}

fn meaning(keyword: Keyword) -> &'static str {
    match keyword {
        Keyword::Stop => "stop",
        Keyword::Start => "start",
        Keyword::Help => "help",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn words(words: Value) -> Result<(), Refused> {
        consent_words(&serde_json::from_value(json!({"words": words})).unwrap())
    }

    #[test]
    fn consent_words_mean_one_thing() {
        words(
            json!({"de": {"stop": ["Abmelden", "stop"], "start": ["Anmelden"]}, "fr": {"stop": ["ARRÊT"]}}),
        )
        .unwrap();
        for (given, field, says) in [
            (
                json!({"de": {"start": ["Stop!"]}}),
                "consent.words.de.start",
                "means stop already",
            ),
            (
                json!({"tr": {"help": ["ıptal"]}, "az": {"stop": ["İPTAL"]}}),
                "consent.words.tr.help",
                "means stop already",
            ),
            (
                json!({"de": {"stop": ["..."]}}),
                "consent.words.de.stop",
                "no letter",
            ),
            (
                json!({"de": {"help": ["x".repeat(31)]}}),
                "consent.words.de.help",
                "longer than 30",
            ),
        ] {
            let refused = words(given).unwrap_err();
            assert_eq!(refused.field, field);
            assert!(refused.problem.contains(says), "{refused}");
        }
    }
}
