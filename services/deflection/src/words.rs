//! The tenant's words, chosen and filled.

use ccm_model::{fill, settings::Words};
use serde_json::{Map, Value};

/// The words in the caller's language, else in the tenant's, else the first by their tag.
pub fn chosen<'a>(words: &'a Words, language: &str, tenants: &str) -> Option<&'a str> {
    let known = words.in_language(language).or_else(|| words.in_language(tenants));
    known.or_else(|| words.0.values().next().map(String::as_str))
}

/// Whole minutes, no fewer than there are.
pub fn minutes(seconds: u32) -> String {
    seconds.div_ceil(60).to_string()
}

/// What a caller is texted. Of one whose name is not known nothing stands in its place, and no blank before it.
pub fn fill_offer(
    words: &str,
    name: Option<&str>,
    skillset: &str,
    minutes: &str,
    link: Option<&str>,
) -> String {
    let words = match name {
        Some(_) => words.to_owned(),
        None => words.replace(" {name}", ""),
    };
    fill(&words, |word| {
        let value = match word {
            "name" => name.unwrap_or_default(),
            "skillset" => skillset,
            "minutes" => minutes,
            "link" => link?,
            _ => return None,
        };
        Some(value.to_owned())
    })
}

/// What the script knew, for people to read.
pub fn context_line(context: &Map<String, Value>) -> String {
    let members = context.iter().map(|(name, value)| match value {
        Value::String(text) => format!("{name}: {text}"),
        other => format!("{name}: {other}"),
    });
    members.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn words_are_the_callers_then_the_tenants_then_any() {
        let words = Words(
            [
                ("de".to_owned(), "Hallo".to_owned()),
                ("en".to_owned(), "Hello".to_owned()),
            ]
            .into(),
        );
        for (language, tenants, said) in [
            ("en-GB", "de", "Hello"),
            ("fr", "en", "Hello"),
            ("fr", "es", "Hallo"),
        ] {
            assert_eq!(chosen(&words, language, tenants), Some(said));
        }
        assert_eq!(chosen(&Words::default(), "en", "en"), None);
    }

    #[test]
    fn an_offer_is_filled() {
        let words = "Hello {name}, chat with {skillset} within {minutes} min: {link} {other}";
        assert_eq!(
            fill_offer(
                words,
                Some("{link}"),
                "Sales",
                &minutes(61),
                Some("https://x/d/1")
            ),
            "Hello {link}, chat with Sales within 2 min: https://x/d/1 {other}"
        );
        assert_eq!(fill_offer("Hello {name}!", None, "", "", None), "Hello!");
    }

    #[test]
    fn a_context_reads_like_a_list() {
        let Value::Object(context) = json!({"order": "A1", "amount": 3}) else {
            panic!("an object");
        };
        assert_eq!(context_line(&context), "amount: 3; order: A1");
    }
}
