//! Words by which customers refuse texts, ask for them again, or ask who is writing. A keyword is a whole text, never a
//! word within one: "please cancel my order" is for an agent.

use std::collections::HashMap;
use unicode_normalization::UnicodeNormalization;

/// What a customer wants by a keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Keyword {
    /// No more texts.
    Stop,
    /// Texts again.
    Start,
    /// Who is this?
    Help,
}

/// English, for every tenant: what Twilio heeds by default, which carriers enforce without asking (checked in 2026: STOP,
/// STOPALL, UNSUBSCRIBE, CANCEL, END, QUIT, REVOKE, OPTOUT; START, UNSTOP; HELP, INFO), and the spellings of `opt out` and
/// `stop all` in two words (47 CFR 64.1200(a)(10) names the first). Not YES: agents ask questions that it answers.
pub const BUILT_IN: [(&str, Keyword); 15] = [
    ("STOP", Keyword::Stop),
    ("STOPALL", Keyword::Stop),
    ("STOP ALL", Keyword::Stop),
    ("UNSUBSCRIBE", Keyword::Stop),
    ("CANCEL", Keyword::Stop),
    ("END", Keyword::Stop),
    ("QUIT", Keyword::Stop),
    ("REVOKE", Keyword::Stop),
    ("OPTOUT", Keyword::Stop),
    ("OPT OUT", Keyword::Stop),
    ("OPT-OUT", Keyword::Stop),
    ("START", Keyword::Start),
    ("UNSTOP", Keyword::Start),
    ("HELP", Keyword::Help),
    ("INFO", Keyword::Help),
];

/// The language of the built-in words.
const BUILT_IN_LANGUAGE: &str = "en";

/// The longest word that is taken, in characters.
pub const MAX_CHARS: usize = 30;

/// A tenant's keywords: the built-in ones, which cannot be taken away, and its own in any language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keywords(HashMap<String, (Keyword, String)>);

/// Why a word cannot be a keyword.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeywordRefused {
    #[error("{word:?} has no letter or digit; write a word")]
    Empty { word: String },
    #[error("{word:?} is longer than {MAX_CHARS} characters; take a shorter word")]
    TooLong { word: String },
    #[error(
        "{word:?} means {already:?} already and cannot mean {wanted:?} too; take it out of one of the two"
    )]
    Collision {
        word: String,
        already: Keyword,
        wanted: Keyword,
    },
}

impl Default for Keywords {
    fn default() -> Self {
        let word = |(word, keyword): &(&str, _)| (folded(word), (*keyword, BUILT_IN_LANGUAGE.to_owned()));
        Self(BUILT_IN.iter().map(word).collect())
    }
}

impl Keywords {
    /// Adds a tenant's word in a language (a tag such as `fr` or `pt-BR`). A word that means the same already stays as it is.
    pub fn add(&mut self, language: &str, keyword: Keyword, word: &str) -> Result<(), KeywordRefused> {
        let key = folded(word);
        let word = || word.to_owned();
        if key.is_empty() {
            return Err(KeywordRefused::Empty { word: word() });
        }
        if key.chars().count() > MAX_CHARS {
            return Err(KeywordRefused::TooLong { word: word() });
        }
        let (already, _) = self
            .0
            .entry(key)
            .or_insert_with(|| (keyword, language.to_owned()));
        match *already {
            already if already == keyword => Ok(()),
            already => Err(KeywordRefused::Collision {
                word: word(),
                already,
                wanted: keyword,
            }),
        }
    }

    /// The keyword that this text is. Case does not count, nor does what surrounds the word: white space, punctuation, quotes,
    /// characters that are not seen.
    pub fn read(&self, text: &str) -> Option<Keyword> {
        self.read_in(text).map(|(keyword, _)| keyword)
    }

    /// The same with the language of the word, which the answer is best written in.
    pub fn read_in(&self, text: &str) -> Option<(Keyword, &str)> {
        // Most texts are longer than any keyword, and are not looked at closely. Four times leaves room for what folding drops.
        if text.chars().nth(4 * MAX_CHARS).is_some() {
            return None;
        }
        self.0
            .get(&folded(text))
            .map(|(keyword, language)| (*keyword, language.as_str()))
    }
}

/// The one spelling in which words are compared.
///
/// Compatible forms become one (full-width `ＳＴＯＰ`), letters small, accents joined; the four Turkish i are one; ß is ss, and
/// the Greek final sigma is a sigma, for both are written differently in capitals.
fn folded(text: &str) -> String {
    let mut seen = String::with_capacity(text.len());
    for c in text
        .nfkc()
        .filter(|c| !is_invisible(*c))
        .flat_map(char::to_lowercase)
        .nfc()
    {
        match c {
            'ı' => seen.push('i'),
            'ß' => seen.push_str("ss"),
            'ς' => seen.push('σ'),
            // The dot of İ, which becomes small as i and a dot.
            '\u{307}' if seen.ends_with('i') => {}
            c => seen.push(c),
        }
    }
    let word = seen.trim_matches(surrounds);
    word.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
        // A carriage return and the like are white space; the other controls are nothing.
        || c.is_control() && !c.is_whitespace()
}

/// White space and punctuation, not symbols: a heart before a word is meant.
fn surrounds(c: char) -> bool {
    c.is_whitespace()
        || c.is_ascii_punctuation()
        || matches!(c,
            '¡' | '¿' | '«' | '»' | '·' | '´' | '¨' | '§' | '¶' | '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}'
            | '\u{2e00}'..='\u{2e5d}' | '\u{3001}'..='\u{3003}' | '\u{3008}'..='\u{3011}' | '\u{3014}'..='\u{301f}'
            | '،' | '؛' | '؟' | '۔' | '।' | '॥' | '՞' | '՜' | '՛' | '։' | '׃' | '״' | '׳' | 'ʹ'..='ʽ')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Option<Keyword> {
        Keywords::default().read(text)
    }

    #[test]
    fn only_a_whole_text_is_a_keyword() {
        for stop in [
            "STOP",
            "stop",
            " Stop.\r\n",
            "“Stop!”",
            "'STOP'",
            "(stop)",
            "*stop*",
            "STOP\u{200b}",
            "\u{feff}stop",
            "ＳＴＯＰ",
            "¡Stop!",
            "stop  all",
            "Opt\u{a0}out",
            "OPT-OUT",
            "stopall",
            "s\u{ad}top",
            "stop\0",
            "«stop»",
            "\u{202a}STOP\u{202c}",
        ] {
            assert_eq!(read(stop), Some(Keyword::Stop), "{stop:?}");
        }
        assert_eq!(read("start"), Some(Keyword::Start));
        assert_eq!(read("Help?"), Some(Keyword::Help));
        for other in [
            "",
            " ",
            "...",
            "please cancel my order",
            "stop it",
            "s t o p",
            "STOPP",
            "yes",
            "❤ stop",
            "stop 😀",
            "sto\u{301}p",
        ] {
            assert_eq!(read(other), None, "{other:?}");
        }
        assert_eq!(read(&format!("stop{}", " ".repeat(1000))), None);
    }

    #[test]
    fn a_tenant_adds_words_in_its_languages() {
        let mut keywords = Keywords::default();
        keywords.add("tr", Keyword::Stop, "İPTAL").unwrap();
        keywords.add("de", Keyword::Stop, "Abschließen").unwrap();
        keywords.add("el", Keyword::Stop, "ΤΕΛΟΣ").unwrap();
        keywords.add("fr", Keyword::Stop, "ARRÊT").unwrap();
        keywords.add("hi", Keyword::Stop, "रोकें").unwrap();
        keywords.add("en", Keyword::Start, "YES").unwrap();
        for (text, language) in [
            ("iptal", "tr"),
            ("IPTAL", "tr"),
            ("ıptal", "tr"),
            ("İptal", "tr"),
            ("ABSCHLIESSEN", "de"),
            ("abschließen", "de"),
            ("τέλος", ""),
            ("τελος", "el"),
            ("Τελοσ", "el"),
            ("arre\u{302}t", "fr"),
            ("Arrêt!", "fr"),
            ("रोकें।", "hi"),
        ] {
            let expected = (!language.is_empty()).then_some((Keyword::Stop, language));
            assert_eq!(keywords.read_in(text), expected, "{text:?}");
        }
        assert_eq!(keywords.read_in("Yes."), Some((Keyword::Start, "en")));
        assert_eq!(read("yes"), None, "only for the tenant that added it");
    }

    #[test]
    fn a_word_has_one_meaning() {
        let mut keywords = Keywords::default();
        assert_eq!(
            keywords.add("en", Keyword::Start, "\"cancel\""),
            Err(KeywordRefused::Collision {
                word: "\"cancel\"".into(),
                already: Keyword::Stop,
                wanted: Keyword::Start
            })
        );
        keywords.add("de", Keyword::Stop, "stop").unwrap();
        assert_eq!(
            keywords.read_in("STOP"),
            Some((Keyword::Stop, "en")),
            "it was there before"
        );
        assert!(matches!(
            keywords.add("en", Keyword::Stop, " - "),
            Err(KeywordRefused::Empty { .. })
        ));
        assert!(matches!(
            keywords.add("en", Keyword::Stop, &"x".repeat(31)),
            Err(KeywordRefused::TooLong { .. })
        ));
    }

    proptest! {
        #[test]
        fn folding_again_changes_nothing(text in any::<String>()) {
            let once = folded(&text);
            prop_assert_eq!(folded(&once), once);
        }

        #[test]
        fn any_case_and_any_surroundings_are_the_word(
            (word, keyword) in prop::sample::select(BUILT_IN.to_vec()),
            capitals in any::<u64>(),
            around in ("[ \t\r\n.!?\"'“”‘’()*\u{200b}]{0,10}", "[ \t\r\n.!?\"'“”‘’()*\u{200b}]{0,10}"),
        ) {
            let word: String = word.chars().enumerate().map(|(n, c)| match capitals >> n & 1 {
                1 => c,
                _ => c.to_ascii_lowercase(),
            }).collect();
            prop_assert_eq!(read(&format!("{}{word}{}", around.0, around.1)), Some(keyword));
            prop_assert_eq!(read(&format!("a {word}")), None);
        }
    }
}
