//! The user data header of 3GPP TS 23.040 (9.2.3.24): which part of which message this is, and which national tables it is
//! written in.

use crate::gsm::{Alphabet, Language};

/// What a header says that matters for the text. Other elements (ports among them) are passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Header {
    /// Which part of a longer message this is; `None`: a message of its own.
    pub part: Option<Concatenation>,
    /// The tables of a 7-bit text. A language that is not known here counts as the default one.
    pub alphabet: Alphabet,
}

/// One part's place in its message: 1 ≤ `number` ≤ `total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Concatenation {
    pub reference: Reference,
    pub total: u8,
    pub number: u8,
}

/// What the parts of one message have in common. The same number in the other width is another reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reference {
    Eight(u8),
    Sixteen(u16),
}

/// A header whose lengths do not fit. Its message is still a text: take what follows the header's length, or all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    #[error("there is no header: the user data is empty")]
    Empty,
    #[error("the header names {named} octets, and {there} are there")]
    Short { named: usize, there: usize },
    #[error("element {element:#04x} ends behind the header's end")]
    Overrun { element: u8 },
    #[error("element {element:#04x} has {length} octets, not {expected}")]
    Length {
        element: u8,
        length: usize,
        expected: usize,
    },
}

const CONCATENATED_8: u8 = 0x00;
const CONCATENATED_16: u8 = 0x08;
const SINGLE_SHIFT: u8 = 0x24;
const LOCKING_SHIFT: u8 = 0x25;

impl Header {
    /// Reads the header that user data begins with (its length octet first), and how many octets it takes with that octet.
    ///
    /// As the specification has it: of an element that comes twice the last counts; parts that cannot be (number 0, total 0,
    /// number above total) are as if they were not named.
    pub fn parse(user_data: &[u8]) -> Result<(Self, usize), HeaderError> {
        let (&named, rest) = user_data.split_first().ok_or(HeaderError::Empty)?;
        let named = usize::from(named);
        let mut elements = rest.get(..named).ok_or(HeaderError::Short {
            named,
            there: rest.len(),
        })?;
        let mut header = Self::default();
        while let [element, after @ ..] = elements {
            let element = *element;
            let (&length, after) = after.split_first().ok_or(HeaderError::Overrun { element })?;
            let (data, after) = after
                .split_at_checked(usize::from(length))
                .ok_or(HeaderError::Overrun { element })?;
            header.take(element, data)?;
            elements = after;
        }
        Ok((header, named + 1))
    }

    fn take(&mut self, element: u8, data: &[u8]) -> Result<(), HeaderError> {
        let wrong = |expected| HeaderError::Length {
            element,
            length: data.len(),
            expected,
        };
        match element {
            CONCATENATED_8 => {
                let [reference, total, number] = *data else {
                    return Err(wrong(3));
                };
                self.set_part(Reference::Eight(reference), total, number);
            }
            CONCATENATED_16 => {
                let [high, low, total, number] = *data else {
                    return Err(wrong(4));
                };
                self.set_part(Reference::Sixteen(u16::from_be_bytes([high, low])), total, number);
            }
            SINGLE_SHIFT | LOCKING_SHIFT => {
                let [id] = *data else { return Err(wrong(1)) };
                let language = Language::from_id(id).unwrap_or_default();
                match element {
                    SINGLE_SHIFT => self.alphabet.single = language,
                    _ => self.alphabet.locking = language,
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn set_part(&mut self, reference: Reference, total: u8, number: u8) {
        if (1..=total).contains(&number) {
            self.part = Some(Concatenation {
                reference,
                total,
                number,
            });
        }
    }

    /// The header's octets, its length first; empty if there is nothing to say.
    pub fn build(&self) -> Vec<u8> {
        let mut octets = vec![0];
        for (element, language) in [
            (SINGLE_SHIFT, self.alphabet.single),
            (LOCKING_SHIFT, self.alphabet.locking),
        ] {
            if language != Language::Default {
                octets.extend([element, 1, language.id()]);
            }
        }
        if let Some(Concatenation {
            reference,
            total,
            number,
        }) = self.part
        {
            match reference {
                Reference::Eight(reference) => octets.extend([CONCATENATED_8, 3, reference]),
                Reference::Sixteen(reference) => {
                    octets.extend([CONCATENATED_16, 4]);
                    octets.extend(reference.to_be_bytes());
                }
            }
            octets.extend([total, number]);
        }
        match octets.len() {
            1 => Vec::new(),
            length => {
                octets[0] = (length - 1) as u8;
                octets
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn part(reference: Reference, total: u8, number: u8) -> Option<Concatenation> {
        Some(Concatenation {
            reference,
            total,
            number,
        })
    }

    #[test]
    fn both_widths_are_read_and_ports_are_passed_over() {
        let (header, length) = Header::parse(&[5, 0, 3, 0xcc, 2, 1, b'x']).unwrap();
        assert_eq!((header.part, length), (part(Reference::Eight(0xcc), 2, 1), 6));
        // Application ports first (0x05), then 16 bits.
        let (header, length) =
            Header::parse(&[12, 5, 4, 0x0b, 0x84, 0x23, 0xf0, 8, 4, 0x12, 0x34, 3, 3]).unwrap();
        assert_eq!(
            (header.part, length),
            (part(Reference::Sixteen(0x1234), 3, 3), 13)
        );
        let (header, _) = Header::parse(&[6, 0x24, 1, 1, 0x25, 1, 13]).unwrap();
        assert_eq!(
            header.alphabet,
            Alphabet {
                single: Language::Turkish,
                locking: Language::Urdu
            }
        );
        assert_eq!(Header::parse(&[0, b'x']), Ok((Header::default(), 1)));
    }

    #[test]
    fn parts_that_cannot_be_are_as_if_they_were_not_named() {
        for (total, number) in [(0, 0), (0, 1), (2, 0), (2, 3)] {
            assert_eq!(Header::parse(&[5, 0, 3, 1, total, number]).unwrap().0.part, None);
        }
        let twice = Header::parse(&[10, 0, 3, 1, 2, 1, 0, 3, 9, 2, 2]).unwrap().0;
        assert_eq!(twice.part, part(Reference::Eight(9), 2, 2), "the last one counts");
        let unknown = Header::parse(&[3, 0x25, 1, 99]).unwrap().0;
        assert_eq!(unknown.alphabet, Alphabet::default());
    }

    #[test]
    fn lengths_that_do_not_fit_are_an_error() {
        assert_eq!(Header::parse(&[]), Err(HeaderError::Empty));
        assert_eq!(
            Header::parse(&[5, 0, 3, 1]),
            Err(HeaderError::Short { named: 5, there: 3 })
        );
        assert_eq!(Header::parse(&[1, 0]), Err(HeaderError::Overrun { element: 0 }));
        assert_eq!(
            Header::parse(&[4, 0, 3, 1, 2]),
            Err(HeaderError::Overrun { element: 0 })
        );
        assert_eq!(
            Header::parse(&[4, 0, 2, 1, 2]),
            Err(HeaderError::Length {
                element: 0,
                length: 2,
                expected: 3
            })
        );
    }

    fn headers() -> impl Strategy<Value = Header> {
        let reference = prop_oneof![
            any::<u8>().prop_map(Reference::Eight),
            any::<u16>().prop_map(Reference::Sixteen)
        ];
        let part = (reference, 1..=255_u8, any::<u8>()).prop_map(|(reference, total, n)| Concatenation {
            reference,
            total,
            number: n % total + 1,
        });
        (prop::option::of(part), 0..14_u8, 0..14_u8).prop_map(|(part, locking, single)| Header {
            part,
            alphabet: Alphabet {
                locking: Language::from_id(locking).unwrap(),
                single: Language::from_id(single).unwrap(),
            },
        })
    }

    proptest! {
        #[test]
        fn what_is_built_is_read(header in headers(), rest in prop::collection::vec(any::<u8>(), 0..10)) {
            let built = header.build();
            if built.is_empty() {
                prop_assert_eq!(header, Header::default());
            } else {
                let user_data: Vec<u8> = built.iter().copied().chain(rest).collect();
                prop_assert_eq!(Header::parse(&user_data), Ok((header, built.len())));
            }
        }

        #[test]
        fn octets_of_any_kind_are_read_or_refused(octets in prop::collection::vec(any::<u8>(), 0..160)) {
            if let Ok((header, length)) = Header::parse(&octets) {
                prop_assert!(length <= octets.len());
                prop_assert!(header.part.is_none_or(|p| (1..=p.total).contains(&p.number)));
            }
        }

        /// Elements that are well formed but of any kind and order, cut anywhere.
        #[test]
        fn elements_of_any_kind_are_read_or_refused(
            elements in prop::collection::vec((prop::sample::select(vec![0_u8, 8, 4, 5, 0x24, 0x25, 0x70]), prop::collection::vec(any::<u8>(), 0..6)), 0..8),
            cut in 0..80_usize,
        ) {
            let mut octets = vec![0];
            for (element, data) in elements {
                octets.extend([element, data.len() as u8]);
                octets.extend(data);
            }
            octets[0] = (octets.len() - 1) as u8;
            let whole = Header::parse(&octets);
            let misfit = matches!(whole, Err(HeaderError::Short { .. } | HeaderError::Overrun { .. }));
            prop_assert!(!misfit);
            octets.truncate(cut);
            let _ = Header::parse(&octets);
        }
    }
}
