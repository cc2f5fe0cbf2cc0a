use crate::Outbound;

/// The longest piece of a provider's words that is kept, in characters.
const MAX_CHARS: usize = 200;
/// Digits that make a number rather than a count or a code.
const NUMBER_DIGITS: usize = 5;
/// A word of the text that is longer than this is found inside other words too.
const SHORT_WORD: usize = 3;

/// A provider's words without what they repeat of the text and of its two addresses. Providers echo both ("The 'To'
/// number … is not valid").
///
/// Gone are: digits that could be a phone number however they are written, every word that also stands in the text
/// (whole or as a part, so a text that was cut short is gone too) or holds a longer word of it, every word that is part
/// of an address, and control characters. It rather strips too much: the provider's code and our own remedy stand beside
/// it.
pub(crate) fn redact(words: &str, out: &Outbound<'_>) -> String {
    let text = lower(out.body.as_str());
    let long_words: Vec<&str> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|w| w.chars().count() > SHORT_WORD)
        .collect();
    let addresses = [lower(out.from.as_str()), lower(out.to.as_str())];
    let private = |word: &str| {
        let word = lower(word);
        text.contains(&word)
            || long_words.iter().any(|w| word.contains(w))
            || (word.len() >= 3 && addresses.iter().any(|a| a.contains(&word)))
    };
    let words: String = words.chars().take(10 * MAX_CHARS).collect();
    let mut kept = String::new();
    for piece in pieces(&without_numbers(&words)) {
        match piece {
            Piece::Word(word) if private(word) => kept.push('…'),
            Piece::Word(word) => kept.push_str(word),
            Piece::Other(c) if c.is_ascii_control() => kept.push(' '),
            Piece::Other(c) if !c.is_ascii() && text.contains(c) => kept.push('…'),
            Piece::Other(c) => kept.push(c),
        }
    }
    let kept: String = kept.chars().take(MAX_CHARS).collect();
    kept.trim().trim_end_matches('.').to_owned()
}

/// A provider's name of a failure, if it looks like one: up to 40 letters, digits and `._-`, repeating nothing private.
pub(crate) fn code(raw: &str, out: &Outbound<'_>) -> Option<String> {
    let ok = (1..=40).contains(&raw.len())
        && raw
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        && raw.bytes().filter(u8::is_ascii_digit).count() <= 6
        && ![out.from, out.to].iter().any(|a| a.as_str().contains(raw))
        && !out.body.as_str().contains(raw);
    ok.then(|| raw.to_owned())
}

/// Letter by letter: `str::to_lowercase` looks at a letter's neighbours, and a word is seen here without them.
fn lower(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

fn without_numbers(words: &str) -> String {
    let mut kept = String::new();
    let mut rest = words;
    while let Some(start) = rest.find(|c: char| c.is_numeric() || c == '+') {
        let run = &rest[start..];
        let end = run
            .find(|c: char| {
                !(c.is_numeric() || matches!(c, '+' | ' ' | '.' | '-' | '(' | ')' | '/' | '\u{a0}'))
            })
            .unwrap_or(run.len());
        let run = &run[..end];
        let number = run.trim_end_matches(|c: char| !c.is_numeric() && c != '+');
        kept.push_str(&rest[..start]);
        if number.chars().filter(|c| c.is_numeric()).count() >= NUMBER_DIGITS {
            kept.push_str("[number]");
        } else {
            kept.push_str(number);
        }
        rest = &rest[start + number.len()..];
    }
    kept.push_str(rest);
    kept
}

enum Piece<'a> {
    Word(&'a str),
    Other(char),
}

fn pieces(words: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = words;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        if first.is_alphanumeric() {
            let end = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            rest = after;
            Some(Piece::Word(word))
        } else {
            rest = &rest[first.len_utf8()..];
            Some(Piece::Other(first))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ccm_model::{Address, Body, MessageId};
    use proptest::prelude::*;
    use time::OffsetDateTime;

    fn with<T>(from: &str, to: &str, body: &str, look: impl FnOnce(&Outbound<'_>) -> T) -> T {
        let (from, to) = (Address::parse(from).unwrap(), Address::parse(to).unwrap());
        let body = Body::new(body).unwrap();
        look(&Outbound {
            message_id: MessageId(uuid::Uuid::nil()),
            from: &from,
            to: &to,
            body: &body,
            attempt: 1,
            receipts_to: None,
            now: OffsetDateTime::UNIX_EPOCH,
        })
    }

    #[test]
    fn what_providers_echo_is_gone() {
        let clean = |words: &str| {
            with("WEBTEXT", "+19995550123", "Your code is QX7 😀", |out| {
                redact(words, out)
            })
        };
        assert_eq!(
            clean("The 'To' number +19995550123 is not a valid phone number."),
            "The 'To' number [number] … not a valid phone number"
        );
        for (words, private) in [
            ("sent to 1 (999) 555-0123 failed", "555"),
            ("999.555.0123", "555"),
            ("whatsapp:+19995550123", "999"),
            ("subscriber 5550123", "0123"),
            ("sender webtext is not registered", "webtext"),
            ("Body 'Your code is QX7 😀' rejected", "QX7"),
            ("Body 'your co' was cut", "your"),
            ("bad character 😀 in body", "😀"),
            ("lone 0123 tail", "0123"),
            ("Body=%20code%20", "code"),
        ] {
            let cleaned = clean(words);
            assert!(!cleaned.contains(private), "{words} became {cleaned}");
        }
        assert_eq!(
            clean("quota of 50 per second reached"),
            "quota of 50 per second reached"
        );
        assert_eq!(clean("a + b, +"), "a + b, +");
        assert!(clean(&"x".repeat(1000)).len() <= MAX_CHARS);
        assert!(!clean("line\r\nbreak").contains('\n'));
    }

    #[test]
    fn a_code_is_kept_only_when_it_is_one() {
        let keep = |raw: &str| with("72345", "+19995550123", "hello", |out| code(raw, out));
        assert_eq!(keep("21211"), Some("21211".into()));
        assert_eq!(keep("invalid_destination"), Some("invalid_destination".into()));
        for bad in ["", "19995550123", "72345", "hello", "two words", &"x".repeat(41)] {
            assert_eq!(keep(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_number_and_no_word_of_the_text_survives(
            before in "[a-z '\"+:(]{0,12}", after in "[a-z '\".,)]{0,12}",
            number in "[1-9][0-9]{7,13}", word in "\\PC{1,20}",
        ) {
            let to = format!("+{number}");
            let words = format!("{before}{to}{after} {number} «{word}» {after}");
            let cleaned = with("+19995550100", &to, &word, |out| redact(&words, out));
            prop_assert!(!cleaned.contains(&number), "{}", cleaned);
            for part in word.split(|c: char| !c.is_alphanumeric()).filter(|p| p.len() > 3) {
                prop_assert!(!cleaned.to_lowercase().contains(&part.to_lowercase()), "{} in {}", part, cleaned);
            }
        }
    }
}
