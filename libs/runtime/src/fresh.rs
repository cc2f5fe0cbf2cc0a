//! Answers remembered for a moment: fresh enough that a revocation spreads within the poll interval, and one question to
//! the database where a hundred texts of one account ask it at once.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{sync::OnceCell, time::Instant};

/// Answers by what was asked.
pub struct Fresh<K, V> {
    entries: Mutex<HashMap<K, Entry<V>>>,
    lasts: Duration,
    capacity: usize,
}

struct Entry<V> {
    /// When the question was asked: the answer is never older.
    asked: Instant,
    value: Arc<OnceCell<V>>,
}

impl<K: Eq + Hash, V: Clone> Fresh<K, V> {
    /// Answers last for `lasts`; at most `capacity` (1 or more) are kept, whoever asks for what.
    pub fn new(lasts: Duration, capacity: usize) -> Self {
        Self {
            entries: Mutex::default(),
            lasts,
            capacity,
        }
    }

    /// The remembered answer, or `ask`'s. Who asks the same meanwhile waits for that answer; an error is not remembered.
    pub async fn get<E>(&self, key: K, ask: impl Future<Output = Result<V, E>>) -> Result<V, E> {
        let cell = self.cell(key, Instant::now());
        cell.get_or_try_init(|| ask).await.cloned()
    }

    fn cell(&self, key: K, now: Instant) -> Arc<OnceCell<V>> {
        let mut entries = self.entries.lock().expect("no panic while locked");
        let is_fresh = |entry: &Entry<V>| now < entry.asked + self.lasts;
        if let Some(entry) = entries.get(&key).filter(|entry| is_fresh(entry)) {
            return entry.value.clone();
        }
        if entries.len() >= self.capacity {
            entries.retain(|_, entry| is_fresh(entry));
            if entries.len() >= self.capacity {
                entries.clear();
            }
        }
        let value = Arc::new(OnceCell::new());
        let entry = Entry {
            asked: now,
            value: value.clone(),
        };
        entries.insert(key, entry);
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        convert::Infallible,
        sync::atomic::{AtomicUsize, Ordering},
    };
    use tokio::time::{advance, sleep};

    const SECOND: Duration = Duration::from_secs(1);

    async fn get(fresh: &Fresh<u32, usize>, key: u32, asked: &AtomicUsize) -> usize {
        let ask = async {
            sleep(Duration::from_millis(10)).await;
            Ok::<_, Infallible>(asked.fetch_add(1, Ordering::Relaxed))
        };
        fresh.get(key, ask).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn asks_once_a_second_however_many_want_to_know() {
        let (fresh, asked) = (Fresh::new(SECOND, 10), AtomicUsize::new(0));
        let both = tokio::join!(get(&fresh, 1, &asked), get(&fresh, 1, &asked));
        assert_eq!(both, (0, 0));
        advance(SECOND - Duration::from_millis(11)).await;
        assert_eq!(get(&fresh, 1, &asked).await, 0);
        advance(Duration::from_millis(1)).await;
        assert_eq!(get(&fresh, 1, &asked).await, 1, "a second after the question");
        assert_eq!(get(&fresh, 2, &asked).await, 2, "another key");
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_is_not_remembered() {
        let fresh: Fresh<u32, u32> = Fresh::new(SECOND, 10);
        assert_eq!(fresh.get(1, async { Err("away") }).await, Err("away"));
        assert_eq!(fresh.get(1, async { Ok::<_, &str>(7) }).await, Ok(7));
        assert_eq!(fresh.get(1, async { Err("away") }).await, Ok(7));
    }

    #[tokio::test(start_paused = true)]
    async fn never_grows_beyond_its_capacity() {
        let (fresh, asked) = (Fresh::new(SECOND, 10), AtomicUsize::new(0));
        for key in 0..1000 {
            get(&fresh, key, &asked).await;
            assert!(fresh.entries.lock().unwrap().len() <= 10);
        }
    }
}
