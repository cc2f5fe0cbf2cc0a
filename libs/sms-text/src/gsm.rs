//! The 7-bit alphabet of 3GPP TS 23.038 with all its national tables.
//!
//! A *septet* is a byte below 128. [`encode`] and [`decode`] have one septet in a byte, as SMPP usually carries them;
//! [`pack`] and [`unpack`] are the form on the air.

#[rustfmt::skip]
mod tables;

use tables::{ESCAPE, locking, single};

/// A national language of TS 23.038, by the number that a header names it with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Language {
    #[default]
    Default = 0,
    Turkish = 1,
    /// Has a single-shift table only.
    Spanish = 2,
    Portuguese = 3,
    Bengali = 4,
    Gujarati = 5,
    Hindi = 6,
    Kannada = 7,
    Malayalam = 8,
    Oriya = 9,
    Punjabi = 10,
    Tamil = 11,
    Telugu = 12,
    Urdu = 13,
}

impl Language {
    /// Every language, in the order of its number.
    pub const ALL: [Self; 14] = [
        Self::Default,
        Self::Turkish,
        Self::Spanish,
        Self::Portuguese,
        Self::Bengali,
        Self::Gujarati,
        Self::Hindi,
        Self::Kannada,
        Self::Malayalam,
        Self::Oriya,
        Self::Punjabi,
        Self::Tamil,
        Self::Telugu,
        Self::Urdu,
    ];

    /// The language of this number; `None` for numbers that the specification keeps for later.
    pub fn from_id(id: u8) -> Option<Self> {
        Self::ALL.get(usize::from(id)).copied()
    }

    /// Its number in a header.
    pub fn id(self) -> u8 {
        self as u8
    }
}

/// The two tables that a text is written in. The default is the one that needs no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Alphabet {
    /// What a septet means.
    pub locking: Language,
    /// What a septet after an escape means.
    pub single: Language,
}

impl Alphabet {
    /// The septets that this character takes, 1 or 2; `None` if the alphabet lacks it.
    pub fn units(self, c: char) -> Option<usize> {
        self.code(c).map(|code| if code & ESCAPED == 0 { 1 } else { 2 })
    }

    /// The character's septet, with [`ESCAPED`] where an escape stands before it.
    fn code(self, c: char) -> Option<u8> {
        if self == Self::default() {
            let code = match c {
                '€' => ESCAPED | 0x65,
                _ => *CODES.get(c as usize)?,
            };
            return (code != NONE).then_some(code);
        }
        let wanted = u16::try_from(u32::from(c)).ok().filter(|c| *c != 0)?;
        let find = |table: &[u16; 128]| table.iter().position(|c| *c == wanted).map(|at| at as u8);
        find(locking(self.locking)).or_else(|| find(single(self.single)).map(|at| at | ESCAPED))
    }
}

const ESCAPED: u8 = 0x80;
const NONE: u8 = 0xff;

/// The default alphabet by character, for all of it but the euro sign.
static CODES: [u8; 0x400] = {
    let mut codes = [NONE; 0x400];
    let (first, after_escape) = (locking(Language::Default), single(Language::Default));
    let mut septet = 0;
    while septet < 128 {
        if first[septet] != 0 {
            codes[first[septet] as usize] = septet as u8;
        }
        if after_escape[septet] != 0 && after_escape[septet] < 0x400 {
            codes[after_escape[septet] as usize] = septet as u8 | ESCAPED;
        }
        septet += 1;
    }
    codes
};

/// A character that the alphabet lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("character {index} (U+{:04X}) is not in the 7-bit alphabet; send the text as UCS-2", u32::from(*.character))]
pub struct NotInAlphabet {
    /// How many characters stand before it.
    pub index: usize,
    pub character: char,
}

/// The septets of a text, one in a byte, unpacked.
pub fn encode(text: &str, alphabet: Alphabet) -> Result<Vec<u8>, NotInAlphabet> {
    let mut septets = Vec::with_capacity(text.len());
    for (index, character) in text.chars().enumerate() {
        let code = alphabet
            .code(character)
            .ok_or(NotInAlphabet { index, character })?;
        if code & ESCAPED != 0 {
            septets.push(ESCAPE);
        }
        septets.push(code & !ESCAPED);
    }
    Ok(septets)
}

/// The text of septets, one in a byte; a byte's upper bit is passed over.
///
/// As the specification has it: what the single-shift table lacks is read from the locking one; an escape before an escape is
/// a space. A code that both tables lack, and an escape with nothing behind it, are a space too.
pub fn decode(septets: &[u8], alphabet: Alphabet) -> String {
    let (locking, single) = (locking(alphabet.locking), single(alphabet.single));
    let mut text = String::with_capacity(septets.len());
    let mut septets = septets.iter().map(|septet| septet & 0x7f);
    while let Some(septet) = septets.next() {
        let code = match septet {
            ESCAPE => match septets.next() {
                None | Some(ESCAPE) => 0,
                Some(escaped) => match single[usize::from(escaped)] {
                    0 => locking[usize::from(escaped)],
                    code => code,
                },
            },
            septet => locking[usize::from(septet)],
        };
        text.push(match code {
            0 => ' ',
            code => char::from_u32(u32::from(code)).unwrap_or(' '),
        });
    }
    text
}

/// The bits between a header and the first septet, which begins at a multiple of seven.
fn fill_bits(header_octets: usize) -> usize {
    (7 - header_octets * 8 % 7) % 7
}

/// Eight septets in seven octets, as they stand behind a header of this many octets (its length octet counted), or behind
/// none (0).
pub fn pack(septets: &[u8], header_octets: usize) -> Vec<u8> {
    let mut at = fill_bits(header_octets);
    let mut octets = vec![0; (at + septets.len() * 7).div_ceil(8)];
    for septet in septets {
        let bits = u16::from(septet & 0x7f) << (at % 8);
        octets[at / 8] |= bits as u8;
        if bits > 0xff {
            octets[at / 8 + 1] |= (bits >> 8) as u8;
        }
        at += 7;
    }
    octets
}

/// The first `count` septets of packed octets behind a header of this many octets; fewer if the octets hold fewer.
///
/// `count` comes from the length that the SMS names: from octets alone, seven spare bits cannot be told from an `@`.
pub fn unpack(octets: &[u8], header_octets: usize, count: usize) -> Vec<u8> {
    let fill = fill_bits(header_octets);
    let there = (octets.len() * 8).saturating_sub(fill) / 7;
    (0..count.min(there))
        .map(|n| {
            let at = fill + n * 7;
            let next = octets.get(at / 8 + 1).copied().unwrap_or(0);
            let bits = u16::from(octets[at / 8]) | u16::from(next) << 8;
            (bits >> (at % 8)) as u8 & 0x7f
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn alphabet() -> impl Strategy<Value = Alphabet> {
        (0..14_u8, 0..14_u8).prop_map(|(locking, single)| Alphabet {
            locking: Language::from_id(locking).unwrap(),
            single: Language::from_id(single).unwrap(),
        })
    }

    #[test]
    fn escapes_are_read_as_the_specification_says() {
        let default = Alphabet::default();
        assert_eq!(decode(&[0x1b, 0x65], default), "€");
        assert_eq!(decode(&[0x1b, 0x1b, 0x41], default), " A", "escape, escape");
        assert_eq!(decode(&[0x1b, 0x41], default), "A", "not in the extension table");
        assert_eq!(
            decode(&[0x41, 0x1b], default),
            "A ",
            "an escape with nothing behind it"
        );
        let turkish = Alphabet {
            locking: Language::Turkish,
            single: Language::Turkish,
        };
        assert_eq!(
            decode(&[0x1b, 0x04], turkish),
            "€",
            "read from the locking table, not the default one"
        );
        let hindi = Alphabet {
            single: Language::Hindi,
            ..default
        };
        assert_eq!(decode(&[0x1b, 0x1c, 0x1b, 0x41, 0x41], hindi), "०AA");
    }

    #[test]
    fn eight_septets_are_seven_octets() {
        // TS 23.038, 6.1.2.1.1, and the best-known vector of all.
        let septets = encode("hellohello", Alphabet::default()).unwrap();
        let octets = [0xe8, 0x32, 0x9b, 0xfd, 0x46, 0x97, 0xd9, 0xec, 0x37];
        assert_eq!(pack(&septets, 0), octets);
        assert_eq!(unpack(&octets, 0, 10), septets);
        // Behind a header of 6 octets one bit is filled.
        assert_eq!(pack(&[0x7f], 6), [0xfe]);
        assert_eq!(pack(&[0x7f], 7), [0x7f], "56 bits end with a septet");
        assert_eq!(unpack(&[], 6, 3), [0_u8; 0]);
    }

    #[test]
    fn what_the_alphabet_lacks_is_named() {
        assert_eq!(
            encode("a`", Alphabet::default()),
            Err(NotInAlphabet {
                index: 1,
                character: '`'
            })
        );
        for c in ['\0', '\u{1b}', '\u{10000}', '\u{100400}', '\u{ffff}'] {
            for language in Language::ALL {
                let alphabet = Alphabet {
                    locking: language,
                    single: language,
                };
                assert_eq!(alphabet.units(c), None);
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes(septets in prop::collection::vec(0..128_u8, 0..200), alphabet in alphabet()) {
            let text = decode(&septets, alphabet);
            if let Ok(again) = encode(&text, alphabet) {
                prop_assert_eq!(decode(&again, alphabet), text.clone());
                let units: usize = text.chars().map(|c| alphabet.units(c).unwrap()).sum();
                prop_assert_eq!(units, again.len());
                prop_assert!(again.len() <= septets.len() || text.contains([' ', '\r']));
            } else {
                // A code that stands for nothing is read as a space, which every locking table has.
                prop_assert!(false, "decoded to a character that cannot be encoded");
            }
        }

        #[test]
        fn what_is_packed_unpacks(septets in prop::collection::vec(0..128_u8, 0..200), header in 0..20_usize) {
            let octets = pack(&septets, header);
            prop_assert_eq!(unpack(&octets, header, septets.len()), septets.clone());
            prop_assert_eq!(octets.len(), (fill_bits(header) + septets.len() * 7).div_ceil(8));
            prop_assert_eq!((header * 8 + fill_bits(header)) % 7, 0);
        }

        #[test]
        fn octets_of_any_kind_unpack(octets in prop::collection::vec(any::<u8>(), 0..200), header in 0..20_usize, count in 0..300_usize) {
            let septets = unpack(&octets, header, count);
            prop_assert!(septets.len() <= count);
            decode(&septets, Alphabet::default());
        }
    }
}
