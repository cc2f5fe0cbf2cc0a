//! Which octets a text is, by `data_coding` (SMPP 3.4 section 5.2.19).

use ccm_sms_text::{
    gsm::{self, Alphabet},
    parts::Piece,
    ucs2,
};

/// What a message centre means by `data_coding` 0, its default alphabet: the specification leaves it to each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DefaultAlphabet {
    /// GSM's, a septet in each octet.
    #[default]
    Gsm7,
    Latin1,
    Ascii,
}

/// What a message centre means by `data_coding` 1, which the specification calls IA5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ia5 {
    /// ASCII; where an octet stands in it that no text in ASCII has, it is GSM's alphabet after all.
    #[default]
    Ascii,
    /// GSM's alphabet, as with node-smpp and whatever is built on it.
    Gsm7,
}

/// How a text is sent. What a coding lacks goes as UCS-2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// In the default alphabet.
    #[default]
    Default,
    /// As ISO 8859-1, named so.
    Latin1,
    /// Always as UCS-2.
    Ucs2,
}

/// A text's octets, and what `data_coding` says of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Coding {
    Gsm7,
    /// One octet a character, with this `data_coding`.
    Octets(u8),
    Ucs2,
}

const DEFAULT: u8 = 0x00;
const ASCII: u8 = 0x01;
const LATIN1: u8 = 0x03;
const CYRILLIC: u8 = 0x06;
const UCS2: u8 = 0x08;

impl Coding {
    /// The one that a text is sent in.
    pub fn of(text: &str, encoding: Encoding, default: DefaultAlphabet) -> Self {
        let (coding, fits): (Self, fn(char) -> bool) = match (encoding, default) {
            (Encoding::Ucs2, _) => return Self::Ucs2,
            (Encoding::Latin1, _) => (Self::Octets(LATIN1), is_latin1),
            (Encoding::Default, DefaultAlphabet::Gsm7) => (Self::Gsm7, is_gsm7),
            (Encoding::Default, DefaultAlphabet::Latin1) => (Self::Octets(DEFAULT), is_latin1),
            (Encoding::Default, DefaultAlphabet::Ascii) => (Self::Octets(DEFAULT), |c| c.is_ascii()),
        };
        if text.chars().all(fits) {
            coding
        } else {
            Self::Ucs2
        }
    }

    /// The parameter's value.
    pub fn data_coding(self) -> u8 {
        match self {
            Self::Gsm7 => DEFAULT,
            Self::Octets(data_coding) => data_coding,
            Self::Ucs2 => UCS2,
        }
    }

    /// The text's octets. It is of this coding: [`Self::of`].
    pub fn encode(self, text: &str) -> Vec<u8> {
        match self {
            Self::Gsm7 => gsm::encode(text, Alphabet::default()).unwrap_or_else(|_| text.as_bytes().to_vec()),
            Self::Octets(_) => text.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect(),
            Self::Ucs2 => ucs2::encode(text),
        }
    }
}

fn is_gsm7(c: char) -> bool {
    Alphabet::default().units(c).is_some()
}

fn is_latin1(c: char) -> bool {
    u32::from(c) < 0x100
}

/// What octets of this `data_coding` are. `alphabet` is what a header named.
///
/// Each octet becomes something: what has no meaning is read as Latin-1, so that an agent sees at least that there was a text.
pub fn decode(
    data_coding: u8,
    octets: &[u8],
    alphabet: Alphabet,
    default: DefaultAlphabet,
    ia5: Ia5,
) -> Piece {
    let sort = match (data_coding, ia5) {
        (ASCII, Ia5::Gsm7) => Sort::Gsm7,
        (ASCII, Ia5::Ascii) if octets.iter().any(is_gsm7_alone) => Sort::Gsm7,
        _ => sort(data_coding, default),
    };
    match sort {
        Sort::Gsm7 => Piece::Septets(octets.iter().map(|octet| octet & 0x7f).collect(), alphabet),
        Sort::Latin1 => Piece::Text(octets.iter().map(|octet| char::from(*octet)).collect()),
        Sort::Cyrillic => Piece::Text(octets.iter().map(|octet| cyrillic(*octet)).collect()),
        Sort::Ucs2 => Piece::Ucs2(octets.to_vec()),
    }
}

/// A control character in ASCII, a letter or an escape in GSM's alphabet.
fn is_gsm7_alone(octet: &u8) -> bool {
    octet.is_ascii_control() && !matches!(octet, b'\t' | b'\n' | b'\r' | 0x7f)
}

enum Sort {
    Gsm7,
    Latin1,
    Cyrillic,
    Ucs2,
}

fn sort(data_coding: u8, default: DefaultAlphabet) -> Sort {
    let in_default = match default {
        DefaultAlphabet::Gsm7 => Sort::Gsm7,
        DefaultAlphabet::Latin1 | DefaultAlphabet::Ascii => Sort::Latin1,
    };
    match data_coding {
        DEFAULT => in_default,
        ASCII | LATIN1 => Sort::Latin1,
        CYRILLIC => Sort::Cyrillic,
        UCS2 => Sort::Ucs2,
        // Those of GSM (TS 23.038 section 4) stand where SMPP has none: a message class, then the alphabet.
        0x10..=0x3f => match data_coding & 0x0c {
            0x00 => in_default,
            0x08 => Sort::Ucs2,
            _ => Sort::Latin1,
        },
        0xc0..=0xdf => in_default,
        0xe0..=0xef => Sort::Ucs2,
        0xf0..=0xff if data_coding & 0x04 == 0 => in_default,
        _ => Sort::Latin1,
    }
}

/// ISO 8859-5.
fn cyrillic(octet: u8) -> char {
    match octet {
        0x00..=0xa0 | 0xad => char::from(octet),
        0xf0 => '\u{2116}',
        0xfd => '\u{a7}',
        _ => char::from_u32(u32::from(octet) + 0x360).unwrap_or(char::REPLACEMENT_CHARACTER),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_text_goes_in_the_smallest_that_has_it() {
        use DefaultAlphabet::{Ascii, Gsm7, Latin1};
        for (text, encoding, default, coding, octets) in [
            ("a@€", Encoding::Default, Gsm7, 0, "61 00 1b 65"),
            ("ç", Encoding::Default, Gsm7, 8, "00 e7"),
            ("Ça", Encoding::Default, Latin1, 0, "c7 61"),
            ("Ça", Encoding::Default, Ascii, 8, "00 c7 00 61"),
            ("Ca@", Encoding::Default, Ascii, 0, "43 61 40"),
            ("Ça", Encoding::Latin1, Gsm7, 3, "c7 61"),
            ("€", Encoding::Latin1, Gsm7, 8, "20 ac"),
            ("a", Encoding::Ucs2, Gsm7, 8, "00 61"),
            ("😀", Encoding::Default, Gsm7, 8, "d8 3d de 00"),
        ] {
            let chosen = Coding::of(text, encoding, default);
            assert_eq!(chosen.data_coding(), coding, "{text}");
            let hex: Vec<String> = chosen.encode(text).iter().map(|o| format!("{o:02x}")).collect();
            assert_eq!(hex.join(" "), octets, "{text}");
        }
    }

    #[test]
    fn every_data_coding_is_read() {
        let read = |coding, octets: &[u8], default| {
            decode(coding, octets, Alphabet::default(), default, Ia5::Ascii).text()
        };
        use DefaultAlphabet::{Gsm7, Latin1};
        for (coding, octets, default, text) in [
            (0x00, &b"\x00\x1b\x65a"[..], Gsm7, "@€a"),
            (0x00, b"\xc7a", Latin1, "Ça"),
            (0x01, b"a@", Gsm7, "a@"),
            (0x01, b"a[\n\t", Gsm7, "a[\n\t"),
            (0x01, b"a\x00\x1b\x65", Latin1, "a@€"),
            (0x02, b"\xe9", Gsm7, "é"),
            (0x03, b"\xe9", Gsm7, "é"),
            (0x06, b"\xbf\xe0\xf0", Gsm7, "Пр№"),
            (0x08, b"\x04\x1f\xd8\x3d\xde\x00", Gsm7, "П😀"),
            (0x11, b"\x00", Gsm7, "@"),
            (0x18, b"\x04\x1f", Gsm7, "П"),
            (0x19, b"\x04\x1f", Gsm7, "П"),
            (0xc0, b"\x00", Gsm7, "@"),
            (0xe8, b"\x04\x1f", Gsm7, "П"),
            (0xf1, b"\x00", Gsm7, "@"),
            (0xf5, b"\xe9", Gsm7, "é"),
            (0x05, b"ab", Gsm7, "ab"),
        ] {
            assert_eq!(read(coding, octets, default), text, "{coding:#04x}");
        }
        let told = decode(0x01, b"a[", Alphabet::default(), Latin1, Ia5::Gsm7);
        assert_eq!(told.text(), "aÄ");
        for coding in 0..=u8::MAX {
            assert!(!read(coding, b"\xffab", Gsm7).is_empty());
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes(text in "[ -~]{0,20}|[a-zà-ÿ€]{0,20}|\\PC{0,20}") {
            for default in [DefaultAlphabet::Gsm7, DefaultAlphabet::Latin1, DefaultAlphabet::Ascii] {
                for encoding in [Encoding::Default, Encoding::Latin1, Encoding::Ucs2] {
                    let coding = Coding::of(&text, encoding, default);
                    let piece = decode(coding.data_coding(), &coding.encode(&text), Alphabet::default(), default, Ia5::Ascii);
                    prop_assert_eq!(piece.text(), text.clone());
                }
            }
        }
    }
}
