//! What conversations wait for, for people to see: in a metric at once, in the database when it lasts.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// A wait shorter than this is not worth a row.
const LASTING: Duration = Duration::from_secs(2);

/// What a conversation's texts wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// An agent.
    Agent,
    /// The link to AACC: it is down, or its dials are paced.
    Link,
    /// A planned absence of the AACC.
    Maintenance,
    /// The link's settings cannot be used.
    Settings,
    /// The customer has as many chats as AACC allows.
    CustomerLimit,
    /// The skillset has as many chats as AACC allows.
    SkillsetLimit,
    /// The tenant's business hours.
    Opening,
}

impl Reason {
    const ALL: [Self; 7] = [
        Self::Agent,
        Self::Link,
        Self::Maintenance,
        Self::Settings,
        Self::CustomerLimit,
        Self::SkillsetLimit,
        Self::Opening,
    ];

    fn is_meant(self) -> bool {
        matches!(self, Self::Opening | Self::Maintenance)
    }

    /// As stored and as a metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Link => "link",
            Self::Maintenance => "maintenance",
            Self::Settings => "settings",
            Self::CustomerLimit => "customer_limit",
            Self::SkillsetLimit => "skillset_limit",
            Self::Opening => "opening",
        }
    }
}

/// How many conversations of this pod wait for what.
#[derive(Default)]
pub(crate) struct Waits(Mutex<[u32; Reason::ALL.len()]>);

impl Waits {
    pub fn of_a_conversation(self: &Arc<Self>) -> Waiting {
        Waiting {
            waits: self.clone(),
            reason: None,
            since: Instant::now(),
            meant: false,
            written: Some(None),
        }
    }

    fn moved(&self, from: Option<Reason>, to: Option<Reason>) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut change = |reason: Option<Reason>, by: fn(u32) -> u32| {
            let Some(reason) = reason else { return };
            let count = &mut counts[reason as usize];
            *count = by(*count);
            metrics::gauge!("ccm_connector_waiting", "for" => reason.as_str()).set(f64::from(*count));
        };
        change(from, |n| n.saturating_sub(1));
        change(to, |n| n + 1);
    }
}

/// One conversation's wait.
pub(crate) struct Waiting {
    waits: Arc<Waits>,
    reason: Option<Reason>,
    since: Instant,
    /// What it waits for, or has waited for, is meant to be.
    meant: bool,
    /// What the database says; the outer `None`: something else.
    written: Option<Option<Reason>>,
}

impl Waiting {
    /// Returns whether that is new.
    pub fn set(&mut self, reason: Option<Reason>) -> bool {
        if reason == self.reason {
            return false;
        }
        self.waits.moved(self.reason, reason);
        self.reason = reason;
        self.since = Instant::now();
        self.meant |= reason.is_some_and(Reason::is_meant);
        true
    }

    /// When what it waits for is worth writing down; `None` when the database says so already.
    pub fn due(&self) -> Option<Instant> {
        (self.written != Some(self.reason)).then(|| match self.reason {
            Some(_) => self.since + LASTING,
            None => self.since,
        })
    }

    /// Whether the texts waited for opening hours or a maintenance window.
    pub fn was_meant(&self) -> bool {
        self.meant
    }

    pub fn reason(&self) -> Option<Reason> {
        self.reason
    }

    pub fn written(&mut self) {
        self.written = Some(self.reason);
    }

    /// What the database says.
    pub fn is_written(&mut self, reason: Option<&str>) {
        let known = Reason::ALL.into_iter().find(|r| Some(r.as_str()) == reason);
        // Something that this version does not know is written over.
        self.written = (known.is_some() == reason.is_some()).then_some(known);
        self.meant |= known.is_some_and(Reason::is_meant);
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.waits.moved(self.reason, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn only_what_lasts_is_worth_a_row() {
        let waits = Arc::new(Waits::default());
        let mut waiting = waits.of_a_conversation();
        assert_eq!(waiting.due(), None);
        assert!(waiting.set(Some(Reason::Link)));
        assert!(!waiting.set(Some(Reason::Link)));
        assert!(waiting.due().unwrap() > Instant::now());
        waiting.set(None);
        assert_eq!(waiting.due(), None, "it was never written");
        waiting.set(Some(Reason::Agent));
        advance(LASTING).await;
        assert!(waiting.due().unwrap() <= Instant::now());
        waiting.written();
        assert_eq!(waiting.due(), None);
        waiting.set(None);
        assert!(
            waiting.due().unwrap() <= Instant::now(),
            "what stands there is taken back at once"
        );
        assert!(!waiting.was_meant());
        waiting.is_written(Some("opening"));
        assert!(waiting.was_meant());
        waiting.is_written(Some("something new"));
        assert!(waiting.due().is_some());
        assert_eq!(waits.0.lock().unwrap()[Reason::Agent as usize], 0);
        waiting.set(Some(Reason::Agent));
        assert_eq!(waits.0.lock().unwrap()[Reason::Agent as usize], 1);
        drop(waiting);
        assert_eq!(waits.0.lock().unwrap()[Reason::Agent as usize], 0);
    }
}
