//! Keywords in texts, as customers write them: any case, any spelling of the same letters, with or without a final dot.

use crate::KeywordMatch;
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// In one case, one spelling of each letter, one space between words.
pub(crate) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    if text.is_ascii() {
        words(text.chars().map(|c| c.to_ascii_lowercase()), &mut folded);
    } else {
        // By way of the upper case `ß` is `ss`, and both small sigmas are one.
        let one_case = text
            .nfkc()
            .flat_map(char::to_uppercase)
            .flat_map(char::to_lowercase);
        let one_case: String = one_case.collect();
        words(one_case.replace("i\u{307}", "i").nfkc(), &mut folded);
    }
    folded
}

fn words(chars: impl Iterator<Item = char>, folded: &mut String) {
    let mut space = false;
    for c in chars {
        if c.is_whitespace() {
            space = !folded.is_empty();
        } else {
            if space {
                folded.push(' ');
                space = false;
            }
            folded.push(c);
        }
    }
}

/// Without signs at its ends, if anything else is there.
pub(crate) fn bare(folded: &str) -> &str {
    match folded.trim_matches(|c| !is_letter(c)) {
        "" => folded,
        bare => bare,
    }
}

/// Whether a text has the keyword; both folded, the keyword bare too.
pub(crate) fn has(text: &str, keyword: &str, matching: KeywordMatch) -> bool {
    match matching {
        KeywordMatch::Whole => bare(text) == keyword,
        KeywordMatch::FirstWord => {
            let begins = |text: &str| text.starts_with(keyword) && ends_word(text, keyword.len());
            begins(text) || begins(text.trim_start_matches(|c| !is_letter(c)))
        }
        KeywordMatch::Contains => text
            .match_indices(keyword)
            .any(|(at, found)| ends_word(text, at) && ends_word(text, at + found.len())),
    }
}

/// Whether the place is not in the middle of a word.
fn ends_word(text: &str, at: usize) -> bool {
    let (before, after) = text.split_at(at);
    match (before.chars().next_back(), after.chars().next()) {
        (Some(a), Some(b)) => {
            !(is_letter(a) && is_letter(b)) || !is_combining_mark(b) && (is_unspaced(a) || is_unspaced(b))
        }
        _ => true,
    }
}

fn is_letter(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c)
}

/// Of a script that writes no spaces between words, or hangs particles to them.
fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use KeywordMatch::{Contains, FirstWord, Whole};
    use proptest::prelude::*;

    fn found(keyword: &str, matching: KeywordMatch, text: &str) -> bool {
        let keyword = fold(keyword);
        has(&fold(text), bare(&keyword), matching)
    }

    #[test]
    fn keywords_are_found_as_customers_write_them() {
        for (keyword, matching, yes, no) in [
            (
                "SALES",
                Whole,
                &["sales", " Sales. ", "“SALES!”", "ＳＡＬＥＳ"][..],
                &["sales please", "saless", ""][..],
            ),
            (
                "book now",
                Whole,
                &["Book   NOW", "book\nnow!"],
                &["booknow", "book"],
            ),
            ("?", Whole, &["?", " ? "], &["", "??", "a?"]),
            ("👍", Whole, &["👍"], &["👎"]),
            ("STRASSE", Whole, &["straße", "Strasse"], &["strase"]),
            ("ΟΔΟΣ", Whole, &["οδος", "οδοσ"], &["οδο"]),
            (
                "Öffnungszeiten",
                Whole,
                &["ÖFFNUNGSZEITEN", "O\u{308}ffnungszeiten"],
                &["Offnungszeiten"],
            ),
            ("iptal", Whole, &["İPTAL", "IPTAL", "İptal"], &["ptal"]),
            (
                "sales",
                FirstWord,
                &["Sales, please", "SALES", "...sales?", "sales-team"],
                &["salesman", "to sales", ""],
            ),
            (
                "book now",
                FirstWord,
                &["BOOK NOW for two"],
                &["book", "book nowhere"],
            ),
            ("1", FirstWord, &["1", "1) yes"], &["12", "a 1"]),
            ("помощь", FirstWord, &["ПОМОЩЬ мне"], &["помощью"]),
            (
                "help",
                Contains,
                &["I need HELP!", "help", "(help)"],
                &["helpful", "whelp", "he lp"],
            ),
            (
                "caf\u{e9}",
                Contains,
                &["Le CAFÉ?", "cafe\u{301} noir"],
                &["cafe noir", "cafés"],
            ),
            ("cafe", Contains, &["a cafe"], &["café"]),
            ("予約", Contains, &["明日の予約をしたい", "予約"], &["予", "約予"]),
            ("예약", Contains, &["예약하고 싶어요"], &["예"]),
            ("จอง", Contains, &["อยากจองโต๊ะ"], &["อยาก"]),
        ] {
            for text in yes {
                assert!(
                    found(keyword, matching, text),
                    "{keyword} {matching:?} in {text:?}"
                );
            }
            for text in no {
                assert!(
                    !found(keyword, matching, text),
                    "{keyword} {matching:?} not in {text:?}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn a_text_has_itself_in_every_way_and_case(text in "\\PC{1,30}") {
            let keyword = fold(&text);
            prop_assume!(!keyword.is_empty());
            for other in [text.clone(), text.to_uppercase(), format!(" {text} ")] {
                for matching in [Whole, FirstWord, Contains] {
                    if fold(&other) == keyword {
                        prop_assert!(found(&text, matching, &other));
                    }
                }
            }
            prop_assert_eq!(fold(&keyword), keyword, "folding is done once");
        }

        #[test]
        fn whole_is_first_word_and_first_word_is_contained(keyword in "[a-zß]{1,3}", text in "[a-zß .!]{0,12}") {
            prop_assert!(!found(&keyword, Whole, &text) || found(&keyword, FirstWord, &text));
            prop_assert!(!found(&keyword, FirstWord, &text) || found(&keyword, Contains, &text));
        }
    }
}
