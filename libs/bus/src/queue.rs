use crate::Wake;
use std::{
    collections::{HashSet, VecDeque},
    sync::{Mutex, MutexGuard},
};
use tokio::sync::Notify;

/// Far more conversations than are woken within one poll interval.
pub(crate) const CAPACITY: usize = 16_384;

/// Wake-ups that wait, each at most once: waking somebody twice before he looks is waking him once. For one reader.
pub(crate) struct Queue {
    capacity: usize,
    waiting: Mutex<Waiting>,
    changed: Notify,
}

#[derive(Default)]
struct Waiting {
    order: VecDeque<Wake>,
    members: HashSet<Wake>,
    closed: bool,
}

impl Queue {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            waiting: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// False if it is full and the wake-up was dropped.
    pub(crate) fn push(&self, wake: Wake) -> bool {
        let mut waiting = self.lock();
        if waiting.members.contains(&wake) {
            return true;
        }
        if waiting.order.len() >= self.capacity {
            return false;
        }
        waiting.members.insert(wake);
        waiting.order.push_back(wake);
        drop(waiting);
        self.changed.notify_one();
        true
    }

    /// If it is full, everything in it becomes one [`Wake::LookAgain`], which means no less.
    pub(crate) fn push_or_look_again(&self, wake: Wake) {
        if !self.push(wake) {
            metrics::counter!("ccm_bus_lagged_total").increment(1);
            self.look_again();
        }
    }

    /// Replaces everything that waits.
    pub(crate) fn look_again(&self) {
        let mut waiting = self.lock();
        waiting.order.clear();
        waiting.members.clear();
        waiting.members.insert(Wake::LookAgain);
        waiting.order.push_back(Wake::LookAgain);
        drop(waiting);
        self.changed.notify_one();
    }

    /// The next one; waits for ever if there is none. Cancel-safe: nothing is taken before it is returned.
    pub(crate) async fn pop(&self) -> Wake {
        loop {
            {
                let mut waiting = self.lock();
                if let Some(wake) = waiting.order.pop_front() {
                    waiting.members.remove(&wake);
                    return wake;
                }
            }
            self.changed.notified().await;
        }
    }

    /// Up to `most` that wait, as soon as there is one; nothing when the queue is closed and empty. Cancel-safe.
    pub(crate) async fn take(&self, most: usize) -> Option<Vec<Wake>> {
        loop {
            {
                let mut waiting = self.lock();
                if !waiting.order.is_empty() {
                    let count = most.min(waiting.order.len());
                    let taken: Vec<Wake> = waiting.order.drain(..count).collect();
                    for wake in &taken {
                        waiting.members.remove(wake);
                    }
                    return Some(taken);
                }
                if waiting.closed {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }

    /// Nothing more will be pushed.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(|e| e.into_inner())
    }
}
