//! How many examinations run at a time.

use ccm_model::LinkId;
use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// At most so many in this process, and one of each saved link: an examination dials as often as dozens of chats do. Clones
/// share their places.
#[derive(Clone)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    links: Arc<Mutex<HashSet<LinkId>>>,
}

/// Why there is no place now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Busy {
    ThisLink,
    All,
}

/// A place, until it is dropped.
pub(super) struct Place {
    links: Arc<Mutex<HashSet<LinkId>>>,
    link: Option<LinkId>,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    pub(super) fn new(at_once: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(at_once)),
            links: Arc::default(),
        }
    }

    pub(super) fn take(&self, link: Option<LinkId>) -> Result<Place, Busy> {
        let permit = self.free.clone().try_acquire_owned().map_err(|_| Busy::All)?;
        if let Some(link) = link
            && !locked(&self.links).insert(link)
        {
            return Err(Busy::ThisLink);
        }
        Ok(Place {
            links: self.links.clone(),
            link,
            _permit: permit,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(link) = self.link {
            locked(&self.links).remove(&link);
        }
    }
}

fn locked(links: &Mutex<HashSet<LinkId>>) -> MutexGuard<'_, HashSet<LinkId>> {
    links.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ccm_model::Id;
    use uuid::Uuid;

    #[test]
    fn places_are_bounded_and_given_back() {
        let places = Places::new(2);
        let link = |n| Some(LinkId::from_uuid(Uuid::from_u128(n)));
        let first = places.take(link(1)).unwrap_or_else(|_| panic!("it is free"));
        assert_eq!(places.take(link(1)).err(), Some(Busy::ThisLink));
        let second = places.take(None).unwrap_or_else(|_| panic!("one is left"));
        assert_eq!(places.take(link(2)).err(), Some(Busy::All));
        drop(first);
        assert!(places.take(link(1)).is_ok());
        drop(second);
        assert!(places.take(link(1)).is_ok(), "refused ones hold nothing");
    }
}
