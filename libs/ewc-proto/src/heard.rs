//! What agents said already, to tell a replayed transcript from new words.
//!
//! After a resume AACC may send the transcript again, and no message carries an id. A text is recognised by when, by whom
//! and what: a multiset, for an agent can say the same thing twice in one millisecond.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

/// A stable hash of one text in a chat: the same over processes and versions, so it can be stored.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of a text exactly as it came in the frame (entities not decoded).
    pub fn of(timestamp_ms: Option<i64>, name: &str, text: &str) -> Self {
        let mut hash = Sha256::new();
        match timestamp_ms {
            Some(ms) => {
                hash.update([1]);
                hash.update(ms.to_be_bytes());
            }
            None => hash.update([0]),
        }
        // The length before each part keeps ("ab", "c") and ("a", "bc") apart.
        for part in [name, text] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Fingerprint(hash.finalize().into())
    }

    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Fingerprint(bytes)
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "Fingerprint({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}

/// What was heard in a chat before a resume, and may be heard again after it: one per resumed socket.
#[derive(Debug, Clone, Default)]
pub struct Replay(HashMap<Fingerprint, u32>);

impl Replay {
    /// From how often each text was heard so far; a fingerprint that comes twice counts together.
    pub fn new(counts: impl IntoIterator<Item = (Fingerprint, u32)>) -> Self {
        let mut heard = HashMap::new();
        for (fingerprint, count) in counts {
            *heard.entry(fingerprint).or_insert(0) += count;
        }
        heard.retain(|_, count| *count > 0);
        Replay(heard)
    }

    /// Whether this text is a repeat of one heard before. Each earlier one excuses one repeat.
    pub fn is_repeat(&mut self, fingerprint: Fingerprint) -> bool {
        let Some(count) = self.0.get_mut(&fingerprint) else {
            return false;
        };
        *count -= 1;
        if *count == 0 {
            self.0.remove(&fingerprint);
        }
        true
    }

    /// Nothing is left that could be a repeat.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_fingerprint_never_changes() {
        let expected = "711956ed43bcf9b1";
        let hex: String = Fingerprint::of(Some(1_458_053_235_000), "Russell", "Hello").as_bytes()[..8]
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        assert_eq!(hex, expected, "stored fingerprints would no longer match");
    }

    #[test]
    fn parts_do_not_run_together() {
        let base = Fingerprint::of(Some(1), "ab", "c");
        for other in [
            Fingerprint::of(Some(1), "a", "bc"),
            Fingerprint::of(Some(2), "ab", "c"),
            Fingerprint::of(None, "ab", "c"),
            Fingerprint::of(Some(0), "ab", "c"),
        ] {
            assert_ne!(base, other);
        }
        assert_ne!(Fingerprint::of(None, "", ""), Fingerprint::of(Some(0), "", ""));
    }

    proptest! {
        /// Whatever part of the past is replayed, in whatever order, only new words come through.
        #[test]
        fn each_earlier_text_excuses_one_repeat(
            past in prop::collection::vec((0i64..3, "[ab]", "[xy]"), 0..12),
            replayed in prop::sample::subsequence((0..12).collect::<Vec<usize>>(), 0..12),
            new in prop::collection::vec((10i64..13, "[ab]", "[xy]"), 0..6),
        ) {
            let of = |(ms, name, text): &(i64, String, String)| Fingerprint::of(Some(*ms), name, text);
            let mut replay = Replay::new(past.iter().map(|p| (of(p), 1)));
            for p in replayed.iter().rev().filter_map(|i| past.get(*i)) {
                prop_assert!(replay.is_repeat(of(p)));
            }
            for n in &new {
                prop_assert!(!replay.is_repeat(of(n)));
            }
            for (i, p) in past.iter().enumerate() {
                if !replayed.contains(&i) {
                    prop_assert!(replay.is_repeat(of(p)));
                }
            }
            prop_assert!(replay.is_empty());
        }
    }
}
