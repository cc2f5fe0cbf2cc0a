//! Things to do at their times, so many at once: thousands may wait, and waiting costs no task.

use futures::{StreamExt, stream::FuturesUnordered};
use std::{collections::BTreeMap, future::Future};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

/// Where jobs are handed in.
pub(crate) struct Agenda<J>(mpsc::UnboundedSender<(Instant, J)>);

/// The other end, for [`run`].
pub(crate) type Incoming<J> = mpsc::UnboundedReceiver<(Instant, J)>;

pub(crate) fn agenda<J>() -> (Agenda<J>, Incoming<J>) {
    let (sender, incoming) = mpsc::unbounded_channel();
    (Agenda(sender), incoming)
}

impl<J> Agenda<J> {
    pub fn add(&self, due: Instant, job: J) {
        // After the end nothing is done any more.
        let _ = self.0.send((due, job));
    }
}

/// Takes steps, at most `at_once` at a time. A step says when its job's next one is due, or that it is over.
pub(crate) async fn run<J, F>(mut incoming: Incoming<J>, at_once: usize, step: impl Fn(J) -> F)
where
    F: Future<Output = Option<(Instant, J)>>,
{
    let mut waiting: BTreeMap<(Instant, u64), J> = BTreeMap::new();
    let mut counter = 0u64;
    let mut busy = FuturesUnordered::new();
    loop {
        while busy.len() < at_once {
            match waiting.first_entry() {
                Some(first) if first.key().0 <= Instant::now() => busy.push(step(first.remove())),
                _ => break,
            }
        }
        let due = match waiting.first_key_value() {
            Some(((due, _), _)) if busy.len() < at_once => Some(*due),
            _ => None,
        };
        let next = tokio::select! {
            new = incoming.recv() => match new {
                Some(new) => Some(new),
                None => return,
            },
            Some(again) = busy.next(), if !busy.is_empty() => again,
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => None,
        };
        if let Some((due, job)) = next {
            counter += 1;
            // The counter keeps what is due at the same time in order.
            waiting.insert((due, counter), job);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    #[tokio::test]
    async fn a_thousand_jobs_take_their_steps_few_at_once() {
        let (agenda, incoming) = agenda();
        let start = Instant::now();
        for n in 0..1000u32 {
            agenda.add(start, (n, 2));
        }
        let (running, most, over) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        let work = run(incoming, 7, |(n, left): (u32, u32)| {
            let (running, most, over) = (&running, &most, &over);
            async move {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                running.fetch_sub(1, Ordering::SeqCst);
                if left == 1 {
                    over.fetch_add(1, Ordering::SeqCst);
                    return None;
                }
                Some((start + Duration::from_millis(5), (n, left - 1)))
            }
        });
        let done = async {
            while over.load(Ordering::SeqCst) < 1000 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            () = work => panic!("it works until nobody can hand in any more"),
            () = done => {}
        }
        assert_eq!(most.load(Ordering::SeqCst), 7);
        assert!(start.elapsed() >= Duration::from_millis(5));
    }
}
