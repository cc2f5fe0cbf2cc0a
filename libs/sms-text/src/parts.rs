//! A long message that arrives in parts: in any order, some twice, some never.
//!
//! Pure: the caller stores parts by sender, our address, reference and total, fills [`Parts`] from what is stored, and sets
//! its own timer for what does not come.

use crate::gsm::{self, Alphabet};
use crate::ucs2;
use std::collections::BTreeMap;
use std::fmt;

/// What stands in the place of a missing part. Knows `{part}` and `{total}`.
pub const MARK: &str = "[… {part}/{total} …]";

/// What one part holds.
///
/// Undecoded where that can be had: some phones cut within a surrogate pair or behind an escape, and only the joined
/// octets give the character back. `Debug` shows lengths only: bodies never reach a log.
#[derive(Clone, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    /// Septets, one in an octet.
    Septets(Vec<u8>, Alphabet),
    /// UTF-16, the higher octet first.
    Ucs2(Vec<u8>),
}

/// The parts of one message, as far as they are here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    total: u8,
    pieces: BTreeMap<u8, Piece>,
}

/// What a part was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Added {
    /// It was missing.
    New,
    /// It is here already, with the same content; the first stays.
    Duplicate,
    /// Another content has this number: a later message with the same reference. Nothing was taken; begin a new group with it.
    OtherMessage,
    /// Its number is 0 or above the total. Nothing was taken; it is a text of its own.
    NoSuchPart,
}

impl Parts {
    /// No part yet of `total`. `None` if that is below 2: such a message is whole by itself.
    pub fn new(total: u8) -> Option<Self> {
        (total >= 2).then(|| Self {
            total,
            pieces: BTreeMap::new(),
        })
    }

    /// Takes a part. Numbers begin with 1.
    pub fn add(&mut self, number: u8, piece: Piece) -> Added {
        if !(1..=self.total).contains(&number) {
            return Added::NoSuchPart;
        }
        match self.pieces.get(&number) {
            None => {
                self.pieces.insert(number, piece);
                Added::New
            }
            Some(first) if *first == piece => Added::Duplicate,
            Some(_) => Added::OtherMessage,
        }
    }

    /// The numbers that are not here, in order.
    pub fn missing(&self) -> Vec<u8> {
        (1..=self.total)
            .filter(|number| !self.pieces.contains_key(number))
            .collect()
    }

    /// The whole text, once every part is here.
    pub fn complete(&self) -> Option<String> {
        (self.pieces.len() == usize::from(self.total)).then(|| self.incomplete(""))
    }

    /// What is here, with a mark ([`MARK`], or the tenant's own) in the place of each missing part.
    pub fn incomplete(&self, mark: &str) -> String {
        let mut text = String::new();
        let mut waiting: Option<Piece> = None;
        for number in 1..=self.total {
            let piece = match self.pieces.get(&number) {
                Some(piece) => piece.clone(),
                None => Piece::Text(
                    mark.replace("{part}", &number.to_string())
                        .replace("{total}", &self.total.to_string()),
                ),
            };
            waiting = Some(match waiting.take() {
                None => piece,
                Some(before) => match before.joined(piece) {
                    Ok(joined) => joined,
                    Err((before, piece)) => {
                        text.push_str(&before.text());
                        piece
                    }
                },
            });
        }
        waiting.iter().for_each(|last| text.push_str(&last.text()));
        text
    }
}

impl Piece {
    /// What it says if it stands alone.
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Septets(septets, alphabet) => gsm::decode(septets, *alphabet),
            Self::Ucs2(octets) => ucs2::decode(octets),
        }
    }

    /// Two neighbours of one kind as one; else both back.
    fn joined(self, next: Self) -> Result<Self, (Self, Self)> {
        match (self, next) {
            (Self::Septets(mut septets, alphabet), Self::Septets(more, same)) if alphabet == same => {
                septets.extend(more);
                Ok(Self::Septets(septets, alphabet))
            }
            (Self::Ucs2(mut octets), Self::Ucs2(more)) if octets.len().is_multiple_of(2) => {
                octets.extend(more);
                Ok(Self::Ucs2(octets))
            }
            both => Err(both),
        }
    }
}

impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Septets(septets, _) => write!(f, "Septets({})", septets.len()),
            Self::Ucs2(octets) => write!(f, "Ucs2({} octets)", octets.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segments::{Encoding, split};
    use crate::udh::{Header, Reference};
    use proptest::prelude::*;

    fn text(text: &str) -> Piece {
        Piece::Text(text.into())
    }

    #[test]
    fn what_is_missing_is_marked_in_its_place() {
        let mut parts = Parts::new(4).unwrap();
        assert_eq!(parts.add(4, text("four")), Added::New);
        assert_eq!(parts.add(2, text("two ")), Added::New);
        assert_eq!(parts.missing(), [1, 3]);
        assert_eq!(parts.complete(), None);
        assert_eq!(parts.incomplete(MARK), "[… 1/4 …]two [… 3/4 …]four");
        assert_eq!(parts.incomplete("(?)"), "(?)two (?)four");
        assert_eq!(parts.add(1, text("one ")), Added::New);
        assert_eq!(parts.add(3, text("three ")), Added::New);
        assert_eq!(parts.complete().as_deref(), Some("one two three four"));
        assert_eq!(parts.incomplete(MARK), "one two three four");
    }

    #[test]
    fn the_first_of_two_stays_and_another_content_is_another_message() {
        let mut parts = Parts::new(2).unwrap();
        assert_eq!(parts.add(1, text("one")), Added::New);
        assert_eq!(parts.add(1, text("one")), Added::Duplicate);
        assert_eq!(parts.add(1, text("uno")), Added::OtherMessage);
        assert_eq!(parts.add(0, text("x")), Added::NoSuchPart);
        assert_eq!(parts.add(3, text("x")), Added::NoSuchPart);
        assert_eq!(parts.incomplete(""), "one");
        assert!(!format!("{parts:?}").contains("one"));
        assert_eq!(Parts::new(1), None);
        assert_eq!(Parts::new(0), None);
    }

    #[test]
    fn characters_that_a_phone_cut_in_two_come_back() {
        let mut parts = Parts::new(2).unwrap();
        let octets = ucs2::encode("a😀b");
        let _ = parts.add(2, Piece::Ucs2(octets[4..].to_vec()));
        assert_eq!(
            parts.incomplete("?"),
            "?\u{fffd}b",
            "alone it is half a character"
        );
        let _ = parts.add(1, Piece::Ucs2(octets[..4].to_vec()));
        assert_eq!(parts.complete().as_deref(), Some("a😀b"));

        let mut parts = Parts::new(2).unwrap();
        let _ = parts.add(1, Piece::Septets(vec![0x61, 0x1b], Alphabet::default()));
        let _ = parts.add(2, Piece::Septets(vec![0x65], Alphabet::default()));
        assert_eq!(parts.complete().as_deref(), Some("a€"));
    }

    proptest! {
        /// Any order, any duplicates, a restart (all is read from the store again) after any part.
        #[test]
        fn what_was_split_comes_together(
            body in "[a-z €ж😀]{161,600}",
            order in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        ) {
            let sent = split(&body, Reference::Eight(9), Alphabet::default()).unwrap();
            let arrived: Vec<_> = order.iter().map(|at| at.get(&sent).clone()).chain(sent.clone()).collect();
            let mut stored: Vec<(u8, Piece)> = Vec::new();
            for part in arrived {
                let place = Header::parse(&part.udh).unwrap().0.part.unwrap();
                let mut parts = Parts::new(place.total).unwrap();
                for (number, piece) in stored.clone() {
                    prop_assert_eq!(parts.add(number, piece), Added::New);
                }
                let piece = match part.encoding {
                    Encoding::Gsm7 => Piece::Septets(part.payload, Alphabet::default()),
                    Encoding::Ucs2 => Piece::Ucs2(part.payload),
                };
                match parts.add(place.number, piece.clone()) {
                    Added::New => stored.push((place.number, piece)),
                    added => prop_assert_eq!(added, Added::Duplicate),
                }
                prop_assert_eq!(parts.complete().is_some(), parts.missing().is_empty());
                prop_assert_eq!(parts.incomplete(MARK).matches('…').count(), 2 * parts.missing().len());
                if let Some(text) = parts.complete() {
                    prop_assert_eq!(&text, &body);
                }
            }
            prop_assert_eq!(stored.len(), sent.len());
        }
    }
}
