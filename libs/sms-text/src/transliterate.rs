//! Texts that miss the 7-bit alphabet by a little: smart quotes, dashes and the like make a text of 160 characters cost
//! three segments instead of one.
//!
//! A text is changed as a whole or not at all: only if the outcome is 7-bit and takes no more segments than before. Where
//! one letter forces UCS-2 anyway, nothing would be saved, so the quotes stay as they were typed. Applying a policy again
//! changes nothing.

use crate::gsm::Alphabet;
use crate::segments::{Encoding, count};
use std::borrow::Cow;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{compose, decompose_canonical, is_combining_mark};

/// What a tenant lets happen to what its agents write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Policy {
    /// Texts leave as they were written.
    Off,
    /// Quotes, dashes, spaces, ellipses and other signs take the form that the 7-bit alphabet has; invisible characters go;
    /// an accent that was typed apart from its letter joins it (`e` + U+0301 → `é`). No letter changes.
    #[default]
    Punctuation,
    /// Also Latin letters that the alphabet lacks lose their accents (`ç` → `c`, `ł` → `l`), where `Punctuation` alone does not
    /// suffice. What it has stays: `é`, `ñ`, `ü`.
    Latin,
}

/// The text as it is sent under this policy.
pub fn transliterate(text: &str, policy: Policy) -> Cow<'_, str> {
    let before = count(text);
    if policy == Policy::Off || before.encoding == Encoding::Gsm7 {
        return Cow::Borrowed(text);
    }
    let suits = |text: &String| {
        let after = count(text);
        after.encoding == Encoding::Gsm7 && after.segments <= before.segments
    };
    let composed = composed(text);
    let mut outcome = Some(mapped(&composed, sign)).filter(suits);
    if outcome.is_none() && policy == Policy::Latin {
        outcome = Some(mapped(&composed, |c, out| sign(c, out) || letter(c, out))).filter(suits);
    }
    outcome.map_or(Cow::Borrowed(text), Cow::Owned)
}

/// A text in the 7-bit alphabet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SevenBit {
    pub text: String,
    /// Pictures that it had, each once.
    pub left_out: String,
}

/// The text in the 7-bit alphabet, for somebody who asks for it: signs and letters take the likeness that they have there, pictures are
/// left out. `None`: something else has no likeness, and without it the text would say something else.
pub fn seven_bit(text: &str) -> Option<SevenBit> {
    let near = mapped(&composed(text), |c, out| sign(c, out) || letter(c, out));
    let mut fits = SevenBit {
        text: String::with_capacity(near.len()),
        left_out: String::new(),
    };
    for c in near.chars() {
        if Alphabet::default().units(c).is_some() {
            fits.text.push(c);
        } else if !is_picture(c) {
            return None;
        } else if !fits.left_out.contains(c) {
            fits.left_out.push(c);
        }
    }
    Some(fits)
}

/// Whether a character is a picture or makes part of one. Letters and digits in circles and squares say something: they are none.
fn is_picture(c: char) -> bool {
    match c {
        '\u{2776}'..='\u{2793}' | '\u{1f100}'..='\u{1f1e5}' | '\u{1f200}'..='\u{1f2ff}' => false,
        // Clocks and keys, weather and dingbats, stars, frames of keys; faces and things with their skin colours, halves of flags, and
        // the tags that make flags of parts of countries.
        '\u{231a}'..='\u{23ff}' | '\u{2600}'..='\u{27bf}' | '\u{2b00}'..='\u{2bff}' | '\u{20e3}' => true,
        '\u{1f000}'..='\u{1faff}' | '\u{e0020}'..='\u{e007f}' => true,
        _ => false,
    }
}

/// Marks joined to the letters before them where there is such a letter.
///
/// Not NFC: that would also take characters apart which stand for themselves.
fn composed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match out
            .chars()
            .next_back()
            .filter(|_| is_combining_mark(c))
            .and_then(|last| compose(last, c))
        {
            Some(both) => {
                out.pop();
                out.push(both);
            }
            None => out.push(c),
        }
    }
    out
}

/// Every character that the alphabet lacks through `map`, which says whether it knew one.
fn mapped(text: &str, map: impl Fn(char, &mut String) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if Alphabet::default().units(c).is_some() || !map(c, &mut out) {
            out.push(c);
        }
    }
    out
}

/// Signs in the form that the alphabet has.
fn sign(c: char, out: &mut String) -> bool {
    let sign = match c {
        // Single quotes, primes, and what stands in for an apostrophe.
        '‘' | '’' | '‚' | '‛' | '′' | '‵' | '‹' | '›' | '`' | '´' | 'ʹ' | 'ʻ' | 'ʼ' | 'ʽ' | 'ˈ' | 'ˊ'
        | 'ˋ' | '❛' | '❜' => "'",
        '“' | '”' | '„' | '‟' | '″' | '‶' | '«' | '»' | 'ʺ' | 'ˮ' | '❝' | '❞' | '〝' | '〞' => {
            "\""
        }
        // Hyphens, dashes, minus.
        '\u{2010}'..='\u{2015}' | '⁃' | '−' | '﹘' | '﹣' => "-",
        '•' | '‣' | '∙' | '▪' | '◦' | '●' => "-",
        '…' => "...",
        '‥' => "..",
        '·' | '․' => ".",
        '⁄' | '∕' => "/",
        '‼' => "!!",
        '⁇' => "??",
        '⁈' => "?!",
        '⁉' => "!?",
        '×' => "x",
        '∗' => "*",
        '∼' | '˜' => "~",
        'ˆ' => "^",
        '¦' => "|",
        '©' => "(c)",
        '®' => "(R)",
        '™' => "TM",
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' | '\t' => " ",
        '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{b}' => "\n",
        // Nothing to see: zero-width spaces and joiners, soft hyphens, direction marks, variation selectors, a BOM.
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' => "",
        '\u{2066}'..='\u{2069}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' => "",
        // Ligatures, full-width forms, and the signs for ohm, kelvin and angstrom: what Unicode says they stand for.
        '\u{fb00}'..='\u{fb06}' | '\u{ff01}'..='\u{ff5e}' | '\u{2126}' | '\u{212a}' | '\u{212b}' => {
            out.extend(std::iter::once(c).nfkc());
            return true;
        }
        _ => return false,
    };
    out.push_str(sign);
    true
}

/// Latin letters without what the alphabet lacks of them.
fn letter(c: char, out: &mut String) -> bool {
    let letters = match c {
        'Đ' | 'Ð' | 'Ɖ' => "D",
        'đ' | 'ð' => "d",
        'Þ' => "Th",
        'þ' => "th",
        'Ħ' => "H",
        'ħ' => "h",
        'ı' => "i",
        'ĸ' => "k",
        'Ł' => "L",
        'ł' => "l",
        'Ŋ' => "N",
        'ŋ' => "n",
        'ŉ' => "'n",
        'Œ' => "OE",
        'œ' => "oe",
        'ſ' => "s",
        'ẞ' => "SS",
        'Ŧ' => "T",
        'ŧ' => "t",
        'ƒ' => "f",
        'ª' => "a",
        'º' => "o",
        _ => {
            // Its base, if that is a Latin letter, without marks.
            let mut base = None;
            decompose_canonical(c, |part| {
                base.get_or_insert(part);
            });
            match base {
                Some(base) if base != c && base.is_ascii_alphabetic() => out.push(base),
                // A mark that found no letter to join, behind a Latin one.
                _ if ('\u{300}'..='\u{36f}').contains(&c)
                    && out.ends_with(|c: char| c.is_ascii_alphabetic()) => {}
                _ => return false,
            }
            return true;
        }
    };
    out.push_str(letters);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_left_out_when_somebody_asks_for_it_and_letters_never() {
        let fits = |text| seven_bit(text).map(|fits| (fits.text, fits.left_out));
        let some = |text: &str, left_out: &str| Some((text.to_owned(), left_out.to_owned()));
        assert_eq!(
            fits("It’s łate 😀– ok 😀🎉, é"),
            some("It's late - ok , é", "😀🎉")
        );
        assert_eq!(fits("plain"), some("plain", ""));
        assert_eq!(fits("❤\u{fe0f} 👩🏽\u{200d}🚀"), some(" ", "❤👩🏽🚀"));
        for letters in [
            "漢字",
            "你好, your order is ready. Привет",
            "😀 ж",
            "שלום",
            "₪",
            "①",
            "❶",
            "🅰",
        ] {
            assert_eq!(fits(letters), None, "{letters}");
        }
    }
    use proptest::prelude::*;

    #[test]
    fn signs_take_the_form_that_the_alphabet_has() {
        let sent = |text| transliterate(text, Policy::Punctuation).into_owned();
        assert_eq!(
            sent("“It’s 5 – 6 o’clock…”\u{a0}he said"),
            "\"It's 5 - 6 o'clock...\" he said"
        );
        assert_eq!(
            sent("zero\u{200b}width, soft\u{ad}hyphen\u{feff}"),
            "zerowidth, softhyphen"
        );
        assert_eq!(sent("cafe\u{301} ﬁne ＡＢＣ"), "café fine ABC");
        assert_eq!(sent("`ls`"), "'ls'");
        assert_eq!(sent("5 k\u{2126}, 3 \u{212b}, 4 \u{212a}"), "5 kΩ, 3 Å, 4 K");
    }

    #[test]
    fn a_text_that_stays_ucs2_is_left_alone() {
        let text = "“Привет…”";
        assert_eq!(transliterate(text, Policy::Latin), text);
        let text = "“It’s”😀";
        assert_eq!(transliterate(text, Policy::Latin), text);
        assert_eq!(transliterate("“ça”", Policy::Punctuation), "“ça”");
        assert_eq!(transliterate("“It’s”", Policy::Off), "“It’s”");
    }

    #[test]
    fn what_would_cost_more_is_left_alone() {
        let text = "…".repeat(70);
        assert_eq!(
            transliterate(&text, Policy::Punctuation),
            text,
            "210 septets are two segments"
        );
    }

    #[test]
    fn latin_letters_keep_what_the_alphabet_has() {
        let sent = |text| transliterate(text, Policy::Latin).into_owned();
        assert_eq!(
            sent("Ça va, garçon? À bientôt – é ü ñ ø"),
            "Ça va, garcon? A bientot - é ü ñ ø"
        );
        assert_eq!(
            sent("Łódź, Đorđe, İstanbul ışık, œuvre, Þór"),
            "Lodz, Dorde, Istanbul isik, oeuvre, Thor"
        );
        assert_eq!(sent("x\u{302}e\u{302}"), "xe");
        assert_eq!(sent("Việt Nam"), "Viet Nam");
        // Punctuation alone suffices: no letter changes.
        assert_eq!(sent("“é”"), "\"é\"");
    }

    proptest! {
        #[test]
        fn applying_again_changes_nothing_and_it_never_costs_more(
            text in prop_oneof!["[a-zé’“”…–\u{a0}çłœ\u{301}ж•`\u{200b}\r\n€]{0,200}".boxed(), any::<String>().boxed()],
            policy in prop::sample::select(vec![Policy::Off, Policy::Punctuation, Policy::Latin]),
        ) {
            let once = transliterate(&text, policy).into_owned();
            prop_assert_eq!(transliterate(&once, policy), once.as_str());
            prop_assert!(count(&once).segments <= count(&text).segments);
            if once != text {
                prop_assert_eq!(count(&once).encoding, Encoding::Gsm7);
            }
        }

        #[test]
        fn what_is_7_bit_is_never_touched(text in "[ -_a-z£éùÄ€\r\n]{0,300}") {
            prop_assert!(matches!(transliterate(&text, Policy::Latin), Cow::Borrowed(_)));
        }
    }
}
