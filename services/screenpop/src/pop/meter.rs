//! How much of an SMS a text takes, and what makes it longer. Pure.

use super::words::{Words, with};
use ccm_model::sms_settings::Transliterate;
use ccm_sms_text::{
    segments::{Encoding, Segments, count},
    transliterate::{Policy, SevenBit, seven_bit, transliterate},
};

/// The longest message, in characters.
pub const LONGEST: usize = 1600;

/// What stands below the message.
pub struct Meter {
    pub line: String,
    /// Which character makes the text longer than it need be.
    pub forced: Option<String>,
    /// What the button says that replaces it, where that can be done without losing a letter.
    pub replace: Option<String>,
}

impl Meter {
    /// Of a text that leaves as the tenant lets texts leave.
    pub fn of(text: &str, setting: Transliterate, words: &Words) -> Self {
        let over = text.chars().count().saturating_sub(LONGEST);
        let leaves = transliterate(text, policy(setting));
        let cost = count(&leaves);
        let line = match over {
            0 => with(
                &words.left,
                &[
                    ("left", &cost.units_left.to_string()),
                    ("segments", &cost.segments.to_string()),
                ],
            ),
            over => with(&words.too_long, &[("over", &over.to_string())]),
        };
        let fits = Some(&cost)
            .filter(|cost| cost.encoding == Encoding::Ucs2)
            .and_then(|_| seven_bit(&leaves));
        Self {
            line,
            forced: forced(&cost, fits.as_ref(), words),
            replace: fits.map(|fits| match fits.left_out.as_str() {
                "" => words.replace.clone(),
                pictures => with(&words.replace_without, &[("pictures", pictures)]),
            }),
        }
    }
}

fn policy(setting: Transliterate) -> Policy {
    match setting {
        Transliterate::Off => Policy::Off,
        Transliterate::Punctuation => Policy::Punctuation,
        Transliterate::Latin => Policy::Latin,
    }
}

fn forced(cost: &Segments, fits: Option<&SevenBit>, words: &Words) -> Option<String> {
    let (_, character) = cost.forced_by.filter(|_| cost.encoding == Encoding::Ucs2)?;
    let without = fits.map_or(cost.segments, |fits| count(&fits.text).segments);
    let said = if without < cost.segments {
        &words.forced
    } else {
        &words.forced_short
    };
    Some(with(
        said,
        &[
            ("character", &character.to_string()),
            ("segments", &cost.segments.to_string()),
            ("without", &without.to_string()),
        ],
    ))
}

/// The text without what makes it longer, where that can be had without losing a letter.
pub fn replaced(text: &str) -> Option<SevenBit> {
    seven_bit(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(text: &str, setting: Transliterate) -> (String, Option<String>) {
        let meter = Meter::of(text, setting, Words::accepted("en"));
        (meter.line, meter.forced)
    }

    #[test]
    fn the_meter_says_what_is_left() {
        let off = Transliterate::Off;
        assert_eq!(meter("", off).0, "160 characters left in SMS 1");
        assert_eq!(
            meter("Your reference number is 1234", off).0,
            "131 characters left in SMS 1"
        );
        assert_eq!(meter(&"x".repeat(161), off).0, "145 characters left in SMS 2");
        assert_eq!(meter(&"x".repeat(1603), off).0, "3 characters too many");
    }

    #[test]
    fn the_character_that_makes_it_longer_is_named() {
        let text = format!("Łódź {}", "x".repeat(100));
        let (line, forced) = meter(&text, Transliterate::Punctuation);
        assert_eq!(line, "29 characters left in SMS 2");
        assert_eq!(
            forced.unwrap(),
            "“Ł” makes this 2 SMS instead of 1: with it one SMS holds 70 characters, without it 160."
        );
        assert_eq!(replaced(&text).unwrap().text, format!("Lodz {}", "x".repeat(100)));
        assert_eq!(
            meter(&text, Transliterate::Latin).1,
            None,
            "it leaves as it should"
        );
        let (line, forced) = meter("Hi 😀", Transliterate::Latin);
        assert_eq!(line, "65 characters left in SMS 1");
        assert_eq!(
            forced.unwrap(),
            "“😀” leaves 70 characters in this SMS instead of 160."
        );
        let button = |text: &str| Meter::of(text, Transliterate::Latin, Words::accepted("en")).replace;
        assert_eq!(button("Hi 😀").as_deref(), Some("Replace it, leave out 😀"));
        assert_eq!(replaced("Hi 😀").unwrap().text, "Hi ");
        // Nothing is offered that would take letters away.
        let letters = "你好 Ann, your order is ready. Привет";
        assert_eq!(button(letters), None);
        assert!(meter(letters, Transliterate::Latin).1.unwrap().contains("“你”"));
        assert_eq!(replaced(letters), None);
        assert_eq!(button("Hi"), None);
    }
}
