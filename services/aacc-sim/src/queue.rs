//! Who waits for an agent, per skillset, in the order in which they came.

use std::collections::{BTreeSet, HashMap};

/// A place in line. Whoever comes back into a queue has a new one, at its end [D].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket {
    no: u64,
    guid: u64,
}

#[derive(Default)]
pub(crate) struct Queues {
    by_skillset: HashMap<String, BTreeSet<Ticket>>,
    last_no: u64,
}

impl Queues {
    pub fn enter(&mut self, skillset: &str, guid: u64) -> Ticket {
        self.last_no += 1;
        let ticket = Ticket {
            no: self.last_no,
            guid,
        };
        match self.by_skillset.get_mut(skillset) {
            Some(queue) => queue.insert(ticket),
            None => self
                .by_skillset
                .entry(skillset.to_owned())
                .or_default()
                .insert(ticket),
        };
        ticket
    }

    /// Returns the chats behind the place, which are one place further on now.
    pub fn leave(&mut self, skillset: &str, ticket: Ticket) -> impl Iterator<Item = u64> {
        let queue = self.by_skillset.get_mut(skillset);
        let queue = queue.and_then(|queue| queue.remove(&ticket).then_some(&*queue));
        queue
            .into_iter()
            .flat_map(move |q| q.range(ticket..))
            .map(|t| t.guid)
    }

    /// The place in line, from 1.
    pub fn place(&self, skillset: &str, ticket: Ticket) -> u32 {
        let queue = self.by_skillset.get(skillset);
        queue.map_or(0, |q| q.range(..=ticket).count() as u32)
    }

    pub fn len(&self, skillset: &str) -> usize {
        self.by_skillset.get(skillset).map_or(0, BTreeSet::len)
    }

    /// Skillsets that somebody ever waited for.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.by_skillset.keys()
    }

    pub fn clear(&mut self) {
        self.by_skillset.clear();
    }
}
