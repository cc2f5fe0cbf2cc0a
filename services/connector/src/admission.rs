//! How many chats may be open at once: what AACC would refuse is not asked for, and waits here in the order it came.
//!
//! A tenant has one owner, so the owner's count is the count. It begins with what the database knows when the tenant is
//! taken, chats included that a broken session left behind and that AACC may still count.

use ccm_db::CountedChat;
use ccm_model::{Address, ConversationId, chat_settings::ChatLimits};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};
use time::OffsetDateTime;
use tokio::sync::oneshot;

/// Which limit a chat waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    Customer,
    Skillset,
}

/// The chats of one tenant.
#[derive(Default)]
pub(crate) struct Admission(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    open: HashMap<ConversationId, Slot>,
    /// Over for us, not yet for AACC.
    left_behind: Vec<(OffsetDateTime, Slot)>,
    waiting: VecDeque<Waiting>,
    /// The latest moment that anybody named.
    now: Option<OffsetDateTime>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Slot {
    customer: Address,
    skillset: String,
}

struct Waiting {
    conversation: ConversationId,
    slot: Slot,
    limits: ChatLimits,
    granted: oneshot::Sender<()>,
}

/// A chat's place, or its place in the line. Dropped, it is free for the next one.
pub(crate) struct Place {
    admission: Arc<Admission>,
    conversation: ConversationId,
}

/// A limit that is reached, and word when the place is granted all the same.
pub(crate) type Wait = (Full, oneshot::Receiver<()>);

impl Admission {
    /// With what the database knows.
    pub fn new(known: Vec<CountedChat>) -> Self {
        let mut counts = Counts::default();
        for chat in known {
            let slot = Slot {
                customer: chat.customer,
                skillset: chat.skillset,
            };
            match chat.counts_until {
                None => drop(counts.open.insert(chat.conversation, slot)),
                Some(until) => counts.left_behind.push((until, slot)),
            }
        }
        Self(Mutex::new(counts))
    }

    /// A place for a chat that is open already: it is never refused.
    pub fn enter_open(
        self: &Arc<Self>,
        conversation: ConversationId,
        customer: &Address,
        skillset: &str,
    ) -> Place {
        let slot = Slot {
            customer: customer.clone(),
            skillset: skillset.to_owned(),
        };
        self.counts().open.insert(conversation, slot);
        self.place(conversation)
    }

    /// A place for a new chat, or one in the line. A conversation asks for one at a time.
    pub fn ask(
        self: &Arc<Self>,
        conversation: ConversationId,
        customer: &Address,
        skillset: &str,
        limits: &ChatLimits,
        now: OffsetDateTime,
    ) -> (Place, Option<Wait>) {
        let slot = Slot {
            customer: customer.clone(),
            skillset: skillset.to_owned(),
        };
        let mut counts = self.counts();
        counts.grant(now);
        let wait = match counts.full(&slot, limits) {
            None => {
                counts.open.insert(conversation, slot);
                None
            }
            Some(full) => {
                let (granted, word) = oneshot::channel();
                counts.waiting.push_back(Waiting {
                    conversation,
                    slot,
                    limits: limits.clone(),
                    granted,
                });
                Some((full, word))
            }
        };
        drop(counts);
        (self.place(conversation), wait)
    }

    fn place(self: &Arc<Self>, conversation: ConversationId) -> Place {
        Place {
            admission: self.clone(),
            conversation,
        }
    }

    /// Lets in who fits now: places that AACC has given up by itself count no more.
    pub fn look_again(&self, now: OffsetDateTime) {
        self.counts().grant(now);
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// The chat is over for us, and AACC may count it until then: nobody could tell it.
    pub fn leave_behind(&self, until: OffsetDateTime) {
        let mut counts = self.admission.counts();
        if let Some(slot) = counts.open.get(&self.conversation).cloned() {
            counts.left_behind.push((until, slot));
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.admission.counts();
        counts.open.remove(&self.conversation);
        counts.waiting.retain(|w| w.conversation != self.conversation);
        if let Some(now) = counts.now {
            counts.grant(now);
        }
    }
}

impl Counts {
    fn full(&self, slot: &Slot, limits: &ChatLimits) -> Option<Full> {
        let left_behind = self.left_behind.iter().map(|(_, s)| s);
        let (mut customers, mut skillsets) = (0u32, 0u32);
        for other in self.open.values().chain(left_behind) {
            customers += u32::from(other.customer == slot.customer);
            skillsets += u32::from(other.skillset == slot.skillset);
        }
        if customers >= limits.per_customer {
            return Some(Full::Customer);
        }
        (skillsets >= limits.per_skillset).then_some(Full::Skillset)
    }

    /// Lets waiting chats in that fit, the longest-waiting first; one that does not fit holds nobody else up.
    fn grant(&mut self, now: OffsetDateTime) {
        self.now = self.now.max(Some(now));
        self.left_behind.retain(|(until, _)| *until > now);
        for _ in 0..self.waiting.len() {
            let Some(next) = self.waiting.pop_front() else {
                return;
            };
            if self.full(&next.slot, &next.limits).is_some() {
                self.waiting.push_back(next);
                continue;
            }
            // Whoever does not listen any more drops its place, and with it this entry.
            let _ = next.granted.send(());
            self.open.insert(next.conversation, next.slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const NOON: OffsetDateTime = time::macros::datetime!(2026-11-27 12:00 UTC);

    fn conversation(n: u128) -> ConversationId {
        ConversationId(Uuid::from_u128(n))
    }

    fn customer(n: u32) -> Address {
        format!("+1469720{n:04}").parse().unwrap()
    }

    fn limits(per_customer: u32, per_skillset: u32) -> ChatLimits {
        ChatLimits {
            per_customer,
            per_skillset,
            ..ChatLimits::default()
        }
    }

    fn granted((place, wait): (Place, Option<Wait>)) -> Place {
        assert!(wait.is_none());
        place
    }

    fn waits((place, wait): (Place, Option<Wait>)) -> (Place, Full, oneshot::Receiver<()>) {
        let (full, word) = wait.expect("it is full");
        (place, full, word)
    }

    #[test]
    fn who_waits_comes_in_order_and_holds_nobody_else_up() {
        let desk = Arc::new(Admission::default());
        let ask = |n: u128, who: u32| desk.ask(conversation(n), &customer(who), "S", &limits(1, 2), NOON);
        let first = granted(ask(1, 1));
        let (_second, full, mut second_of_one) = waits(ask(2, 1));
        assert_eq!(full, Full::Customer);
        let other = granted(ask(3, 2));
        let (third, full, mut word_to_third) = waits(ask(4, 3));
        assert_eq!(full, Full::Skillset);
        let (fourth, _, mut word_to_fourth) = waits(ask(5, 4));
        let (fifth, _, mut word_to_fifth) = waits(ask(6, 5));
        drop(other);
        assert!(
            second_of_one.try_recv().is_err(),
            "its customer's chat is still open"
        );
        assert!(
            word_to_third.try_recv().is_ok(),
            "longest waiting of those who fit"
        );
        assert!(word_to_fourth.try_recv().is_err());
        drop(fourth);
        drop(third);
        assert!(word_to_fifth.try_recv().is_ok(), "who gave up is passed over");
        drop(first);
        assert!(second_of_one.try_recv().is_ok());
        drop(fifth);
        granted(ask(7, 7));
    }

    #[test]
    fn what_was_left_behind_counts_until_aacc_gives_it_up() {
        let left = CountedChat {
            conversation: conversation(9),
            customer: customer(1),
            skillset: "S".into(),
            counts_until: Some(NOON + time::Duration::minutes(1)),
        };
        let desk = Arc::new(Admission::new(vec![left]));
        let ask = |n, at| desk.ask(conversation(n), &customer(1), "S", &limits(1, 50), at);
        let (place, _, mut word) = waits(ask(1, NOON));
        desk.look_again(NOON + time::Duration::seconds(59));
        assert!(word.try_recv().is_err());
        desk.look_again(NOON + time::Duration::seconds(60));
        assert!(word.try_recv().is_ok());
        place.leave_behind(NOON + time::Duration::minutes(5));
        drop(place);
        drop(waits(ask(2, NOON + time::Duration::minutes(4))));
        granted(ask(2, NOON + time::Duration::minutes(5)));
    }

    #[test]
    fn an_open_chat_is_never_refused() {
        let open = CountedChat {
            conversation: conversation(1),
            customer: customer(1),
            skillset: "S".into(),
            counts_until: None,
        };
        let desk = Arc::new(Admission::new(vec![open]));
        drop(waits(desk.ask(
            conversation(2),
            &customer(1),
            "S",
            &limits(1, 50),
            NOON,
        )));
        let place = desk.enter_open(conversation(1), &customer(1), "S");
        let second = desk.enter_open(conversation(3), &customer(1), "S");
        drop((place, second));
        granted(desk.ask(conversation(4), &customer(1), "S", &limits(1, 50), NOON));
    }
}
