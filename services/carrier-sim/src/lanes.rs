//! Texts on their way to a webhook, by phone and number: one after the other.

use std::collections::{HashMap, VecDeque, hash_map::Entry};

/// Texts of one phone to one number.
pub(crate) type Lane = (String, String);

/// Something to post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub seq: u64,
    /// The how many-th text of its lane it is, from 0.
    pub nth: u64,
    /// How long it is held back when it is its turn.
    pub pause_ms: u32,
    /// It was accepted before and is posted again, once.
    pub copy: bool,
}

#[derive(Default)]
pub(crate) struct Lanes(HashMap<Lane, VecDeque<Item>>);

impl Lanes {
    /// Whether the lane was idle: then somebody has to start on it.
    pub fn add(&mut self, lane: &Lane, item: Item) -> bool {
        let entry = self.0.entry(lane.clone());
        let idle = matches!(entry, Entry::Vacant(_));
        entry.or_default().push_back(item);
        idle
    }

    /// The lane's next; a lane without one is idle again.
    pub fn next(&mut self, lane: &Lane) -> Option<Item> {
        let item = self.0.get_mut(lane)?.pop_front();
        if item.is_none() {
            self.0.remove(lane);
        }
        item
    }

    /// What overtakes the one whose turn it is.
    pub fn overtaker(&mut self, lane: &Lane) -> Option<Item> {
        self.0.get_mut(lane)?.pop_front()
    }

    pub fn clear(&mut self) {
        self.0.values_mut().for_each(VecDeque::clear);
    }

    pub fn busy(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_is_started_once_and_kept_in_order() {
        let item = |seq| Item {
            seq,
            nth: 0,
            pause_ms: 0,
            copy: false,
        };
        let lane = ("+9".to_owned(), "+1".to_owned());
        let mut lanes = Lanes::default();
        assert!(lanes.add(&lane, item(1)));
        assert!(!lanes.add(&lane, item(2)));
        assert!(!lanes.add(&lane, item(3)));
        let other = ("+9".to_owned(), "+2".to_owned());
        assert!(lanes.add(&other, item(4)), "another number, another lane");
        assert_eq!(lanes.next(&lane), Some(item(1)));
        assert_eq!(lanes.overtaker(&lane), Some(item(2)));
        assert_eq!([lanes.next(&lane), lanes.next(&lane)], [Some(item(3)), None]);
        assert_eq!((lanes.overtaker(&lane), lanes.busy()), (None, 1));
        assert!(lanes.add(&lane, item(5)), "idle again");
        lanes.clear();
        assert_eq!((lanes.next(&lane), lanes.busy()), (None, 1));
    }
}
