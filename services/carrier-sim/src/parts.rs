//! A long text that comes as parts.

use crate::{Concat, OpError, SentText, book::Book, lanes::Item};
use serde::{Deserialize, Serialize};

/// How a provider that does not join the parts of a long text passes them on. Generic accounts only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewParts {
    /// The same in each part; counted if left out.
    #[serde(default)]
    pub reference: Option<u16>,
    /// 2 to 255 parts.
    pub texts: Vec<String>,
    /// Which part is posted when, counted from 1; what comes again is posted again with the same id, what is not named is
    /// never posted. If left out: one after the other.
    #[serde(default)]
    pub order: Option<Vec<usize>>,
    /// Parts that are never posted.
    #[serde(default)]
    pub leave_out: Vec<usize>,
    /// Parts that are posted twice.
    #[serde(default)]
    pub duplicate: Vec<usize>,
    /// From one part to the next.
    #[serde(default)]
    pub delay_ms: u32,
}

impl NewParts {
    /// Which part comes when, and whether it is a copy.
    pub(crate) fn posts(&self) -> Result<Vec<(usize, bool)>, OpError> {
        let invalid = |field, remedy| Err(OpError::Invalid { field, remedy });
        let parts = self.texts.len();
        if !(2..=255).contains(&parts) {
            return invalid("parts.texts", "must be 2 to 255 texts");
        }
        let order = self.order.clone().unwrap_or_else(|| (1..=parts).collect());
        let named = order.iter().chain(&self.leave_out).chain(&self.duplicate);
        if named.clone().any(|part| !(1..=parts).contains(part)) {
            return invalid("parts", "are counted from 1 to the number of texts");
        }
        let mut posts: Vec<(usize, bool)> = Vec::new();
        for part in order {
            if self.leave_out.contains(&part) {
                continue;
            }
            let copy = posts.iter().any(|(posted, _)| *posted == part);
            posts.push((part, copy));
            if !copy && self.duplicate.contains(&part) {
                posts.push((part, true));
            }
        }
        Ok(posts)
    }
}

impl NewParts {
    /// Whether a part is posted at all.
    pub(crate) fn comes(&self, text: &SentText) -> bool {
        let part = text.concat.map_or(0, |concat| usize::from(concat.part));
        let posts = self.posts().unwrap_or_default();
        posts.iter().any(|(posted, _)| *posted == part)
    }
}

impl Book {
    /// A phone sends a text in parts, as a provider that does not join them passes it on.
    pub fn send_parts(
        &mut self,
        from: &str,
        to: &str,
        new: &NewParts,
        at_ms: u64,
    ) -> Result<(Vec<SentText>, bool), OpError> {
        if !self.owner_of(from, to)?.kind.posts_parts() {
            return Err(OpError::Invalid {
                field: "parts",
                remedy: "are for generic and Vonage accounts: the others join them themselves",
            });
        }
        let order = new.posts()?;
        let lane = (from.to_owned(), to.to_owned());
        let reference = new.reference.unwrap_or_else(|| {
            let sent = self.pairs.get(&lane).map_or(0, |pair| pair.sent);
            (sent % 0x1_0000) as u16
        });
        let parts = new.texts.len() as u8;
        let texts = (1..=parts).zip(&new.texts).map(|(part, text)| {
            let concat = Concat {
                reference,
                parts,
                part,
            };
            self.write(from, to, text, None, at_ms, Some(concat))
        });
        let texts: Vec<SentText> = texts.collect();
        let mut idle = false;
        for (at, (part, copy)) in order.iter().enumerate() {
            let item = Item {
                seq: texts[*part - 1].seq,
                nth: self.count_sent(from, to),
                pause_ms: if at == 0 { 0 } else { new.delay_ms },
                copy: *copy,
            };
            idle |= self.lanes.add(&lane, item);
        }
        Ok((texts, idle))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_in_any_order_twice_or_never() {
        let parts = |order: &[usize], leave_out: &[usize], duplicate: &[usize]| NewParts {
            texts: vec!["x".into(); 3],
            order: (!order.is_empty()).then(|| order.to_vec()),
            leave_out: leave_out.to_vec(),
            duplicate: duplicate.to_vec(),
            ..NewParts::default()
        };
        let (first, copy) = (false, true);
        for (new, expected) in [
            (parts(&[], &[], &[]), vec![(1, first), (2, first), (3, first)]),
            (
                parts(&[2, 1, 3], &[3], &[1]),
                vec![(2, first), (1, first), (1, copy)],
            ),
            (
                parts(&[3, 1, 3], &[], &[]),
                vec![(3, first), (1, first), (3, copy)],
            ),
        ] {
            assert_eq!(new.posts().unwrap(), expected);
        }
        for new in [
            parts(&[4], &[], &[]),
            parts(&[], &[0], &[]),
            NewParts {
                texts: vec!["x".into()],
                ..NewParts::default()
            },
        ] {
            assert!(new.posts().is_err());
        }
    }
}
