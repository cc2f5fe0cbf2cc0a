//! Texts and numbers that can be recognised wherever they leak.
//!
//! Builders take bodies and numbers from here; a redaction test then searches logs, spans and metrics with [`find_in`].

use base64::{Engine, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE};
use std::sync::OnceLock;

const BODY_MARK: &str = "CANARY-BODY-";
/// 999 is no area code of the North American plan: nobody's number begins so.
const NUMBER_MARK: &str = "1999555";

/// A text with a mark in it; another one for every `n`.
pub fn body(n: u32) -> String {
    format!("{BODY_MARK}{n:05} says hello")
}

/// An E.164 number out of the marked block `+1999555…`; another one for every `n`.
///
/// # Panics
/// Beyond 99,999,999: E.164 has 15 digits.
pub fn number(n: u32) -> String {
    assert!(n <= 99_999_999, "the block of marked numbers ends at 99999999");
    format!("+{NUMBER_MARK}{n:04}")
}

/// What leaked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text from [`body`].
    Body,
    /// A number from [`number`].
    Number,
}

/// How it is written where it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As it is. JSON and URLs leave most of it as it is.
    Plain,
    /// With `%XX` codes.
    UrlEncoded,
    /// With `\uXXXX` codes.
    JsonEscaped,
    /// Base64 in either alphabet, at any offset in what was encoded.
    Base64,
    /// Two hexadecimal digits a byte; UTF-16 too, as SMS' UCS-2 is dumped.
    Hex,
    /// A list of decimal bytes, as Rust prints `[u8]`.
    ByteList,
}

/// A leak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// What leaked.
    pub kind: Kind,
    /// How it is written.
    pub form: Form,
    /// Byte offset in the searched text; with codes in it, in the text after decoding them.
    pub at: usize,
    /// The leak with what stands around it, to find the place by.
    pub around: String,
}

/// Every marked text and number in `text`, in any of the forms of [`Form`].
pub fn find_in(text: &str) -> Vec<Hit> {
    let mut hits = Vec::new();
    search(text, None, &mut hits);
    if text.contains('%') {
        search(&decode(text, "%", 2), Some(Form::UrlEncoded), &mut hits);
    }
    if text.contains("\\u") {
        search(&decode(text, "\\u", 4), Some(Form::JsonEscaped), &mut hits);
    }
    hits
}

struct Pattern {
    kind: Kind,
    form: Form,
    text: String,
}

/// `decoded_from`: look for plain marks only, and only for those that decoding has brought out.
fn search(text: &str, decoded_from: Option<Form>, hits: &mut Vec<Hit>) {
    let plain_before = hits.iter().filter(|hit| hit.form == Form::Plain).count();
    let mut found = Vec::new();
    for pattern in patterns()
        .iter()
        .filter(|p| decoded_from.is_none() || p.form == Form::Plain)
    {
        for (at, _) in text.match_indices(&pattern.text) {
            if pattern.form != Form::Plain || pattern.kind == Kind::Body || is_number(text, at) {
                found.push(Hit {
                    kind: pattern.kind,
                    form: decoded_from.unwrap_or(pattern.form),
                    at,
                    around: around(text, at),
                });
            }
        }
    }
    if decoded_from.is_none() || found.len() > plain_before {
        hits.append(&mut found);
    }
}

/// Whether the digits around the mark make one of our numbers, and not a longer figure that happens to hold it.
fn is_number(text: &str, at: usize) -> bool {
    let bytes = text.as_bytes();
    let after = bytes[at + NUMBER_MARK.len()..]
        .iter()
        .take_while(|b| b.is_ascii_digit())
        .count();
    (4..=8).contains(&after) && (at == 0 || !bytes[at - 1].is_ascii_digit())
}

fn around(text: &str, at: usize) -> String {
    const SIDE: usize = 80;
    text[text.floor_char_boundary(at.saturating_sub(SIDE))
        ..text.ceil_char_boundary((at + SIDE).min(text.len()))]
        .to_owned()
}

/// Replaces `prefix` + `digits` hexadecimal digits by the character of that code, where it is ASCII.
fn decode(text: &str, prefix: &str, digits: usize) -> String {
    let mut pieces = text.split(prefix);
    let mut decoded = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let code = piece
            .get(..digits)
            .and_then(|hex| u32::from_str_radix(hex, 16).ok());
        match code.and_then(char::from_u32).filter(char::is_ascii) {
            Some(character) => {
                decoded.push(character);
                decoded.push_str(&piece[digits..]);
            }
            None => {
                decoded.push_str(prefix);
                decoded.push_str(piece);
            }
        }
    }
    decoded
}

fn patterns() -> &'static [Pattern] {
    static PATTERNS: OnceLock<Vec<Pattern>> = OnceLock::new();
    PATTERNS.get_or_init(|| {
        [(Kind::Body, BODY_MARK), (Kind::Number, NUMBER_MARK)]
            .into_iter()
            .flat_map(forms)
            .collect()
    })
}

fn forms((kind, mark): (Kind, &'static str)) -> Vec<Pattern> {
    let bytes = mark.as_bytes();
    let mut texts = vec![(Form::Plain, mark.to_owned())];
    // Both byte orders of UTF-16: without the zero byte that the one begins and the other ends with.
    let utf16: Vec<u8> = mark.encode_utf16().flat_map(u16::to_be_bytes).skip(1).collect();
    for hex in [crate::pg::hex(bytes), crate::pg::hex(&utf16)] {
        texts.push((Form::Hex, hex.to_uppercase()));
        texts.push((Form::Hex, hex));
    }
    let list: Vec<String> = bytes.iter().map(u8::to_string).collect();
    texts.push((Form::ByteList, list.join(", ")));
    texts.push((Form::ByteList, list.join(",")));
    texts.extend(
        (0..3)
            .flat_map(|offset| base64_at(bytes, offset))
            .map(|text| (Form::Base64, text)),
    );
    texts.sort_by(|a, b| a.1.cmp(&b.1));
    texts.dedup_by(|a, b| a.1 == b.1);
    texts
        .into_iter()
        .map(|(form, text)| Pattern { kind, form, text })
        .collect()
}

/// The digits of Base64 that depend on `mark` alone when `offset` other bytes of a group of three stand before it.
fn base64_at(mark: &[u8], offset: usize) -> [String; 2] {
    let mut bytes = vec![0; offset];
    bytes.extend(mark);
    let (from, to) = ((8 * offset).div_ceil(6), 8 * bytes.len() / 6);
    [BASE64_STANDARD.encode(&bytes), BASE64_URL_SAFE.encode(&bytes)].map(|text| text[from..to].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forms_found(text: &str) -> Vec<(Kind, Form)> {
        find_in(text)
            .into_iter()
            .map(|hit| (hit.kind, hit.form))
            .collect()
    }

    #[test]
    fn plain_marks_are_found_with_their_surroundings() {
        let line = format!("level=INFO from={} body=\"{}\"", number(7), body(3));
        let hits = find_in(&line);
        assert_eq!(hits.len(), 2, "{hits:?}");
        assert!(
            hits.iter()
                .all(|hit| hit.around.contains("level=INFO") && hit.form == Form::Plain)
        );
    }

    #[test]
    fn every_encoding_is_found() {
        for (kind, text) in [(Kind::Body, body(42)), (Kind::Number, number(42))] {
            for before in ["", "a", "ab", "abc"] {
                let inner = format!("{before}{text} and more");
                let encoded = BASE64_STANDARD.encode(&inner);
                assert_eq!(forms_found(&encoded), [(kind, Form::Base64)], "{inner}");
                let encoded = BASE64_URL_SAFE.encode(&inner);
                assert_eq!(forms_found(&encoded), [(kind, Form::Base64)], "{inner}");
            }
            let hex = crate::pg::hex(text.as_bytes());
            assert_eq!(forms_found(&hex), [(kind, Form::Hex)]);
            assert_eq!(forms_found(&hex.to_uppercase()), [(kind, Form::Hex)]);
            for order in [u16::to_be_bytes, u16::to_le_bytes] {
                let utf16: Vec<u8> = text.encode_utf16().flat_map(order).collect();
                assert_eq!(forms_found(&crate::pg::hex(&utf16)), [(kind, Form::Hex)]);
            }
            assert_eq!(
                forms_found(&format!("{:?}", text.as_bytes())),
                [(kind, Form::ByteList)]
            );
            let percent: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            assert_eq!(forms_found(&percent), [(kind, Form::UrlEncoded)]);
            let json: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            assert_eq!(forms_found(&json), [(kind, Form::JsonEscaped)]);
        }
    }

    #[test]
    fn a_number_in_a_form_body_is_one_plain_hit() {
        assert_eq!(
            forms_found("From=%2B19995550007&To=72345"),
            [(Kind::Number, Form::Plain)]
        );
    }

    #[test]
    fn other_texts_and_longer_figures_are_not_hits() {
        let clean = "2026-11-23T08:00:00.199955512Z id=01999555-aaaa-7bbb n=5199955500070 number=+19295550100 100% \\u00e9";
        assert_eq!(find_in(clean), []);
    }

    #[test]
    fn numbers_are_e164() {
        for n in [0, 9_999, 10_000, 99_999_999] {
            ccm_model::Address::parse(&number(n)).unwrap();
            assert_eq!(find_in(&number(n)).len(), 1);
        }
    }
}
