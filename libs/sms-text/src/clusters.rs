//! Where a long UCS-2 text may be broken: between what people see as characters (grapheme clusters).
//!
//! Segments are billed, so these are the clusters of Twilio's calculator, not today's Unicode's. It has the rules of Unicode
//! 10 from the npm package grapheme-splitter 1.0.4, with three oddities, which are kept: what follows a mark behind a flag
//! begins a cluster even if it is a mark itself; a prepended character takes one half of a flag only; a skin colour joins
//! its emoji over one mark at most.

#[rustfmt::skip]
mod table;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Other,
    Control,
    Extend,
    SpacingMark,
    Prepend,
    Joiner,
    /// An emoji that a joiner joins to what stands before it.
    AfterJoiner,
    EmojiBase,
    EmojiBaseAfterJoiner,
    /// A skin colour.
    EmojiModifier,
    /// Half a flag.
    RegionalIndicator,
    HangulL,
    HangulV,
    HangulT,
    HangulLV,
    HangulLVT,
}

impl Class {
    fn of(c: char) -> Self {
        let c = u32::from(c);
        match c {
            0x20..=0x7e => Self::Other,
            0..=0x7f => Self::Control,
            0xac00..=0xd7a3 if (c - 0xac00).is_multiple_of(28) => Self::HangulLV,
            0xac00..=0xd7a3 => Self::HangulLVT,
            _ => {
                let after = table::RANGES.partition_point(|(first, ..)| *first <= c);
                match after.checked_sub(1).map(|at| table::RANGES[at]) {
                    Some((_, last, class)) if c <= last => class,
                    _ => Self::Other,
                }
            }
        }
    }

    fn is_emoji_base(self) -> bool {
        matches!(self, Self::EmojiBase | Self::EmojiBaseAfterJoiner)
    }
}

/// A cluster that is being read, character by character.
struct Cluster {
    /// How many characters it has.
    length: usize,
    last: Class,
    before_last: Class,
    second_is_half_a_flag: bool,
    has_mark: bool,
}

impl Cluster {
    fn begins_with(class: Class) -> Self {
        Self {
            length: 1,
            last: class,
            before_last: Class::Other,
            second_is_half_a_flag: false,
            has_mark: class == Class::Extend,
        }
    }

    fn goes_on_with(&self, next: Class) -> bool {
        use Class::*;
        if self.second_is_half_a_flag && !matches!(self.last, Prepend | RegionalIndicator) {
            return false;
        }
        match (self.last, next) {
            (Control, _) | (_, Control) => false,
            (HangulL, HangulL | HangulV | HangulLV | HangulLVT) => true,
            (HangulLV | HangulV, HangulV | HangulT) => true,
            (HangulLVT | HangulT, HangulT) => true,
            (_, Extend | Joiner | SpacingMark) => true,
            (Prepend, _) => true,
            (last, EmojiModifier) if self.has_mark => last == Extend && self.before_last.is_emoji_base(),
            (last, EmojiModifier) => last.is_emoji_base(),
            (Joiner, AfterJoiner | EmojiBaseAfterJoiner) => true,
            (RegionalIndicator, RegionalIndicator) => self.length == 1,
            _ => false,
        }
    }

    fn push(&mut self, class: Class) {
        self.second_is_half_a_flag |= self.length == 1 && class == Class::RegionalIndicator;
        self.has_mark |= class == Class::Extend;
        self.before_last = std::mem::replace(&mut self.last, class);
        self.length += 1;
    }
}

/// The text's clusters, in order; together they are the text. A line feed is never joined to a carriage return.
pub(crate) fn clusters(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let mut chars = rest.char_indices();
        let mut cluster = Cluster::begins_with(Class::of(chars.next()?.1));
        let mut end = rest.len();
        for (at, c) in chars {
            let class = Class::of(c);
            if !cluster.goes_on_with(class) {
                end = at;
                break;
            }
            cluster.push(class);
        }
        let (this, after) = rest.split_at(end);
        rest = after;
        Some(this)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(text: &str) -> Vec<&str> {
        clusters(text).collect()
    }

    #[test]
    fn what_people_see_as_one_is_one() {
        for one in [
            "e\u{301}",
            "👍🏽",
            "👨‍👩‍👧‍👦",
            "🏳️‍🌈",
            "🇮🇪",
            "한",
            "\u{1112}\u{1161}\u{11ab}",
            "நி",
        ] {
            assert_eq!(split(one), [one]);
        }
        assert_eq!(split("🇮🇪🇫🇷"), ["🇮🇪", "🇫🇷"]);
        assert_eq!(split("\r\n"), ["\r", "\n"]);
        assert_eq!(split(""), [""; 0]);
        // Unicode 15 takes this as one; Twilio's calculator does not.
        assert_eq!(split("क्ष"), ["क्", "ष"]);
    }

    /// Every code point of the planes that hold anything, next to one of every class that joins; then every sequence of five
    /// classes. `tests/twilio/clusters.txt` is what grapheme-splitter says (made by `generate.js` beside it): after a line about
    /// the 7-bit alphabet, a digest for each 4,096 code points and for the sequences that begin with each class.
    #[test]
    fn every_character_joins_as_in_twilios_calculator() {
        let before = [
            'a',
            '\u{200d}',
            '\u{1100}',
            '\u{ac00}',
            '\u{1f1e6}',
            '\u{600}',
            '\u{1f466}',
        ];
        let behind = ['\u{301}', '\u{1f3fb}', '\u{1161}', '\u{11a8}', '\u{1f1e6}'];
        let fnv = |hash: u32, number: u32| (hash ^ number).wrapping_mul(16_777_619);
        let begin = 2_166_136_261_u32;
        let (mut digests, mut hash) = (Vec::new(), begin);
        for c in (0..0x3_0000).chain(0xe_0000..0xe_2000) {
            if let Some(this) = char::from_u32(c) {
                let pairs = before
                    .iter()
                    .map(|other| [*other, this])
                    .chain(behind.iter().map(|other| [this, *other]));
                let bits = pairs.fold(0, |bits, [first, second]| {
                    let joined = Cluster::begins_with(Class::of(first)).goes_on_with(Class::of(second));
                    bits * 2 + u32::from(!joined)
                });
                hash = fnv(hash, bits);
            }
            if c % 4096 == 4095 {
                digests.push(format!("{hash:08x}"));
                hash = begin;
            }
        }
        let classes: Vec<char> =
            "a\r\u{301}\u{903}\u{600}\u{200d}\u{2764}\u{261d}\u{1100}\u{1161}\u{11a8}\u{ac00}\u{ac01}\u{1f466}\u{1f3fb}\u{1f1e6}"
                .chars()
                .collect();
        for first in &classes {
            let mut hash = begin;
            for n in 0..65_536_usize {
                let mut text = String::from(*first);
                text.extend([n >> 12, n >> 8, n >> 4, n].map(|at| classes[at & 15]));
                hash = clusters(&text).fold(hash, |hash, c| fnv(hash, c.encode_utf16().count() as u32));
            }
            digests.push(format!("{hash:08x}"));
        }
        let expected = include_str!("../tests/twilio/clusters.txt");
        assert_eq!(digests, expected.lines().skip(1).collect::<Vec<_>>());
    }

    #[test]
    fn ranges_are_in_order() {
        assert!(table::RANGES.iter().all(|(first, last, _)| first <= last));
        assert!(table::RANGES.windows(2).all(|pair| pair[0].1 < pair[1].0));
    }

    proptest! {
        #[test]
        fn clusters_are_the_text(text in "[a\r\n\u{301}\u{200d}\u{1f3fb}-\u{1f3ff}\u{1f466}-\u{1f469}\u{1f1e6}-\u{1f1e9}\u{600}\u{1100}\u{ac00}\u{ac01}\u{903}]{0,30}") {
            prop_assert!(clusters(&text).all(|c| !c.is_empty()));
            prop_assert_eq!(clusters(&text).collect::<String>(), text);
        }
    }
}
