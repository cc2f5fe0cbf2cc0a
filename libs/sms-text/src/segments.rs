//! How many segments a text takes, and the parts that it is sent in.
//!
//! [`count`] is made for every keystroke on the agent's page; it agrees with what Twilio bills. [`split`] makes the parts
//! that an SMPP bind sends; it cuts where [`count_with`] counts.

use crate::clusters::clusters;
use crate::gsm::{self, Alphabet, Language};
use crate::ucs2;
use crate::udh::{Concatenation, Header, Reference};
use std::fmt;

/// Octets of user data in one SMS.
const OCTETS: usize = 140;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// A unit is a septet.
    Gsm7,
    /// A unit is 16 bits of UTF-16.
    Ucs2,
}

/// What a text costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segments {
    pub encoding: Encoding,
    /// At least 1: an empty text is sent too.
    pub segments: usize,
    /// Units of the whole text, without headers.
    pub units: usize,
    /// Units that the last segment still has room for.
    pub units_left: usize,
    /// The first character that the 7-bit alphabet lacks, and how many characters stand before it: why this is UCS-2.
    pub forced_by: Option<(usize, char)>,
}

/// How parts will be marked and written: both take room in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Layout {
    pub reference: ReferenceWidth,
    pub alphabet: Alphabet,
}

/// How wide the number is that a message's parts have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReferenceWidth {
    /// 153 septets or 67 units a part.
    #[default]
    Eight,
    /// 152 septets or 66 units a part.
    Sixteen,
}

/// One SMS of a message. `Debug` shows lengths only: bodies never reach a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Part {
    pub encoding: Encoding,
    /// The header, its length octet first; empty if there is none.
    pub udh: Vec<u8>,
    /// Septets, one in an octet, or UTF-16 with the higher octet first.
    pub payload: Vec<u8>,
    /// What stands in this part.
    pub text: String,
}

impl Part {
    /// The user data as it goes over the air: the header, then the payload, septets packed.
    pub fn packed(&self) -> Vec<u8> {
        let payload = match self.encoding {
            Encoding::Gsm7 => gsm::pack(&self.payload, self.udh.len()),
            Encoding::Ucs2 => self.payload.clone(),
        };
        [self.udh.as_slice(), &payload].concat()
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Part({:?}, header {:?}, {} octets)",
            self.encoding,
            self.udh,
            self.payload.len()
        )
    }
}

/// The text needs more than the 255 parts that a header can number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text takes {segments} segments, and 255 are the most; send it as several messages")]
pub struct TooLong {
    pub segments: usize,
}

/// What a text costs in the default alphabet with 8-bit references, as providers send and bill it.
pub fn count(text: &str) -> Segments {
    count_with(text, Layout::default())
}

/// What a text costs if it is sent like this.
pub fn count_with(text: &str, layout: Layout) -> Segments {
    let plan = Plan::of(text, layout);
    let (segments, units_left) = match plan.single() {
        Some(left) => (1, left),
        None => plan.cut(|_| {}),
    };
    Segments {
        encoding: plan.encoding,
        segments,
        units: plan.units,
        units_left,
        forced_by: plan.forced_by,
    }
}

/// All characters that the 7-bit alphabet lacks, each with the number of characters before it.
pub fn forcing_ucs2(text: &str) -> impl Iterator<Item = (usize, char)> {
    text.chars()
        .enumerate()
        .filter(|(_, c)| Alphabet::default().units(*c).is_none())
}

/// The parts of a text, one if it fits; nothing of it is lost or changed. Messages that are under way to one phone at the same
/// time need different references.
pub fn split(text: &str, reference: Reference, alphabet: Alphabet) -> Result<Vec<Part>, TooLong> {
    let width = match reference {
        Reference::Eight(_) => ReferenceWidth::Eight,
        Reference::Sixteen(_) => ReferenceWidth::Sixteen,
    };
    let plan = Plan::of(
        text,
        Layout {
            reference: width,
            alphabet,
        },
    );
    if plan.single().is_some() {
        return Ok(vec![plan.part(text, None)]);
    }
    let mut ends = Vec::new();
    let (segments, _) = plan.cut(|end| ends.push(end));
    ends.push(text.len());
    let total = u8::try_from(segments).map_err(|_| TooLong { segments })?;
    let mut begin = 0;
    let parts = (1..=total).zip(ends).map(|(number, end)| {
        let part = plan.part(
            &text[begin..end],
            Some(Concatenation {
                reference,
                total,
                number,
            }),
        );
        begin = end;
        part
    });
    Ok(parts.collect())
}

struct Plan<'a> {
    text: &'a str,
    encoding: Encoding,
    units: usize,
    forced_by: Option<(usize, char)>,
    layout: Layout,
}

impl<'a> Plan<'a> {
    fn of(text: &'a str, layout: Layout) -> Self {
        let mut units = 0;
        for (index, c) in text.chars().enumerate() {
            match layout.alphabet.units(c) {
                Some(more) => units += more,
                None => {
                    let forced_by = Some((index, c));
                    let units = ucs2::units(text);
                    return Self {
                        text,
                        encoding: Encoding::Ucs2,
                        units,
                        forced_by,
                        layout,
                    };
                }
            }
        }
        Self {
            text,
            encoding: Encoding::Gsm7,
            units,
            forced_by: None,
            layout,
        }
    }

    /// The tables that a header has to name: none for UCS-2.
    fn alphabet(&self) -> Alphabet {
        match self.encoding {
            Encoding::Gsm7 => self.layout.alphabet,
            Encoding::Ucs2 => Alphabet::default(),
        }
    }

    /// Units in one SMS.
    fn room(&self, of_several: bool) -> usize {
        let Alphabet { locking, single } = self.alphabet();
        let tables = [locking, single]
            .into_iter()
            .filter(|language| *language != Language::Default);
        let place = match self.layout.reference {
            _ if !of_several => 0,
            ReferenceWidth::Eight => 5,
            ReferenceWidth::Sixteen => 6,
        };
        let header = match 3 * tables.count() + place {
            0 => 0,
            elements => 1 + elements,
        };
        match self.encoding {
            Encoding::Gsm7 => (OCTETS - header) * 8 / 7,
            Encoding::Ucs2 => (OCTETS - header) / 2,
        }
    }

    /// The units left if the text fits into one SMS.
    fn single(&self) -> Option<usize> {
        self.room(false).checked_sub(self.units)
    }

    /// Fills part after part; tells the offset of every cut, and returns the number of parts and the room left in the last.
    fn cut(&self, mut at: impl FnMut(usize)) -> (usize, usize) {
        let room = self.room(true);
        let (mut parts, mut left, mut offset) = (1, room, 0);
        let mut take = |units: usize, octets: usize| {
            if units > left {
                at(offset);
                parts += 1;
                left = room;
            }
            left -= units;
            offset += octets;
        };
        match self.encoding {
            Encoding::Gsm7 => {
                for c in self.text.chars() {
                    take(self.layout.alphabet.units(c).unwrap_or(1), c.len_utf8());
                }
            }
            Encoding::Ucs2 => {
                for cluster in clusters(self.text) {
                    match ucs2::units(cluster) {
                        units if units <= room => take(units, cluster.len()),
                        // Longer than a part: it has to be broken, but never within a surrogate pair.
                        _ => cluster.chars().for_each(|c| take(c.len_utf16(), c.len_utf8())),
                    }
                }
            }
        }
        (parts, left)
    }

    fn part(&self, text: &str, place: Option<Concatenation>) -> Part {
        let payload = match self.encoding {
            // The plan is 7-bit only if every character is.
            Encoding::Gsm7 => gsm::encode(text, self.layout.alphabet).unwrap_or_default(),
            Encoding::Ucs2 => ucs2::encode(text),
        };
        let udh = Header {
            part: place,
            alphabet: self.alphabet(),
        }
        .build();
        Part {
            encoding: self.encoding,
            udh,
            payload,
            text: text.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counted(text: &str) -> (Encoding, usize, usize, usize) {
        let Segments {
            encoding,
            segments,
            units,
            units_left,
            ..
        } = count(text);
        (encoding, segments, units, units_left)
    }

    #[test]
    fn the_lengths_of_the_specification() {
        use Encoding::{Gsm7, Ucs2};
        assert_eq!(counted(""), (Gsm7, 1, 0, 160));
        assert_eq!(counted(&"a".repeat(160)), (Gsm7, 1, 160, 0));
        assert_eq!(counted(&"a".repeat(161)), (Gsm7, 2, 161, 145));
        assert_eq!(counted(&"a".repeat(306)), (Gsm7, 2, 306, 0));
        assert_eq!(counted(&"a".repeat(307)), (Gsm7, 3, 307, 152));
        assert_eq!(counted(&"ж".repeat(70)), (Ucs2, 1, 70, 0));
        assert_eq!(counted(&"ж".repeat(71)), (Ucs2, 2, 71, 63));
        assert_eq!(counted(&"😀".repeat(35)), (Ucs2, 1, 70, 0));
        // 33 pairs a segment: the 67th unit stays empty.
        assert_eq!(counted(&"😀".repeat(36)), (Ucs2, 2, 72, 61));
        let sixteen = Layout {
            reference: ReferenceWidth::Sixteen,
            ..Layout::default()
        };
        assert_eq!(count_with(&"a".repeat(304), sixteen).segments, 2);
        assert_eq!(count_with(&"a".repeat(305), sixteen).segments, 3);
        assert_eq!(count_with(&"ж".repeat(132), sixteen).segments, 2);
        assert_eq!(count_with(&"ж".repeat(133), sixteen).segments, 3);
    }

    #[test]
    fn an_escape_is_never_parted_from_its_character() {
        let text = format!("{}€{}", "a".repeat(152), "a".repeat(10));
        let parts = split(&text, Reference::Eight(7), Alphabet::default()).unwrap();
        assert_eq!(parts[0].text, "a".repeat(152));
        assert_eq!(parts[1].payload[..2], [0x1b, 0x65]);
        assert_eq!(parts[1].udh, [5, 0, 3, 7, 2, 2]);
        assert!(!format!("{parts:?}").contains("aaa"));
    }

    #[test]
    fn what_forces_ucs2_is_named() {
        assert_eq!(count("ça va €").forced_by, Some((0, 'ç')));
        assert_eq!(count("Ça va à l’école").forced_by, Some((9, '’')));
        assert_eq!(forcing_ucs2("„a“").collect::<Vec<_>>(), [(0, '„'), (2, '“')]);
        assert_eq!(count("Ça va {€}").forced_by, None);
    }

    #[test]
    fn national_tables_take_their_room_in_the_header() {
        let turkish = Alphabet {
            single: Language::Turkish,
            ..Alphabet::default()
        };
        let layout = Layout {
            alphabet: turkish,
            ..Layout::default()
        };
        let text = "ş".repeat(77);
        assert_eq!(count_with(&text, layout).segments, 1, "155 septets");
        assert_eq!(count_with(&"ş".repeat(78), layout).segments, 2);
        let parts = split(&text, Reference::Eight(0), turkish).unwrap();
        assert_eq!(parts[0].udh, [3, 0x24, 1, 1]);
        assert!(parts[0].packed().len() <= 140);
        // Both tables and a place: 12 octets, 146 septets.
        let both = Alphabet {
            locking: Language::Turkish,
            ..turkish
        };
        let parts = split(&"ş".repeat(200), Reference::Eight(0), both).unwrap();
        assert_eq!((parts[0].udh.len(), parts[0].payload.len()), (12, 146));
    }

    #[test]
    fn a_text_that_no_header_can_number_is_refused() {
        let most = "a".repeat(255 * 153);
        assert_eq!(
            split(&most, Reference::Eight(0), Alphabet::default())
                .unwrap()
                .len(),
            255
        );
        let error = split(&(most + "a"), Reference::Eight(0), Alphabet::default()).unwrap_err();
        assert_eq!(error, TooLong { segments: 256 });
    }

    /// Twilio's calculator makes one segment of 120 units here, which no SMS can hold.
    #[test]
    fn what_people_see_as_one_may_be_longer_than_an_sms() {
        let long = format!("a{}", "\u{301}".repeat(59));
        let parts = split(
            &format!("{}{long}{long}", "x".repeat(9)),
            Reference::Eight(0),
            Alphabet::default(),
        )
        .unwrap();
        let units: Vec<_> = parts.iter().map(|part| part.payload.len() / 2).collect();
        assert_eq!(units, [9, 60, 60]);
        let endless = format!("a{}", "\u{301}".repeat(99));
        assert_eq!(counted(&endless), (Encoding::Ucs2, 2, 100, 34));
    }

    /// A mixture in which a cut may fall on anything.
    fn texts() -> impl Strategy<Value = String> {
        let gsm = "[a-z €{\\[@\r\n]{0,400}";
        let ucs2 =
            "[a-zж\r\n\u{301}\u{200d}👍\u{1f3fb}-\u{1f3ff}👩\u{1f1e6}-\u{1f1e9}\u{ac00}\u{903}]{0,300}";
        prop_oneof![gsm.boxed(), ucs2.boxed(), any::<String>().boxed()]
    }

    fn references() -> impl Strategy<Value = Reference> {
        prop_oneof![
            any::<u8>().prop_map(Reference::Eight),
            any::<u16>().prop_map(Reference::Sixteen)
        ]
    }

    proptest! {
        #[test]
        fn parts_are_the_text_and_as_many_as_counted(text in texts(), reference in references(), language in 0..14_u8) {
            let language = Language::from_id(language).unwrap();
            let alphabet = Alphabet { locking: language, single: language };
            let width = match reference {
                Reference::Eight(_) => ReferenceWidth::Eight,
                Reference::Sixteen(_) => ReferenceWidth::Sixteen,
            };
            let counted = count_with(&text, Layout { reference: width, alphabet });
            let parts = split(&text, reference, alphabet).unwrap();
            prop_assert_eq!(parts.len(), counted.segments);
            let mut all = String::new();
            for (n, part) in parts.iter().enumerate() {
                let air = part.packed();
                prop_assert!(air.len() <= 140);
                prop_assert_eq!(part.encoding, counted.encoding);
                let (header, length) = match part.udh.as_slice() {
                    [] => (Header::default(), 0),
                    _ => Header::parse(&air).unwrap(),
                };
                if parts.len() > 1 {
                    let place = Concatenation { reference, total: parts.len() as u8, number: n as u8 + 1 };
                    prop_assert_eq!(header.part, Some(place));
                }
                let read = match part.encoding {
                    Encoding::Gsm7 => {
                        let septets = gsm::unpack(&air[length..], length, part.payload.len());
                        gsm::decode(&septets, header.alphabet)
                    }
                    Encoding::Ucs2 => ucs2::decode(&air[length..]),
                };
                prop_assert_eq!(&read, &part.text);
                all.push_str(&read);
            }
            prop_assert_eq!(all, text);
        }

        #[test]
        fn what_is_left_fits_and_one_more_does_not(text in "[a-z]{0,500}") {
            let before = count(&text);
            let full = text.clone() + &"x".repeat(before.units_left);
            // A single SMS has room for 160; once there are two, the first has given up 7.
            prop_assert_eq!(count(&full).segments, before.segments);
            prop_assert_eq!(count(&full).units_left, 0);
            prop_assert_eq!(count(&(full + "x")).segments, before.segments + 1);
        }
    }
}
