//! Agents who play by themselves: one small task a chat.

use std::collections::{HashMap, VecDeque};
use std::future::{Future, pending};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit, mpsc};
use tokio::time::{Instant, sleep, sleep_until};

use crate::chat::Chat;
use crate::error::OpError;
use crate::script::{AutoAgent, fill};
use crate::shared::Shared;
use crate::views::{Agent, EndReason};

/// A customer's text, as a player hears it.
pub(crate) struct Heard {
    text: String,
    at: Instant,
}

impl Heard {
    pub fn new(text: &str) -> Self {
        Heard {
            text: text.to_owned(),
            at: Instant::now(),
        }
    }
}

/// How many things were said to each customer, over all rules: numbers must never come twice on one phone.
pub(crate) type Numbers = Arc<Mutex<HashMap<String, u64>>>;

/// A rule with its agents' desks.
pub(crate) struct Rule {
    spec: AutoAgent,
    numbers: Numbers,
    /// Chats of each agent.
    desks: Mutex<Vec<u32>>,
    /// Free places; `None` for any number.
    places: Option<Semaphore>,
}

/// A place at an agent's desk, free again when dropped.
struct Seat<'a> {
    rule: &'a Rule,
    desk: usize,
    _place: Option<SemaphorePermit<'a>>,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.rule.desks.lock().unwrap_or_else(PoisonError::into_inner)[self.desk] -= 1;
    }
}

impl Rule {
    pub fn new(spec: AutoAgent, numbers: Numbers) -> Self {
        let agents = spec.agents.max(1);
        let places = spec
            .chats_per_agent
            .map(|each| Semaphore::new(agents as usize * each.max(1) as usize));
        Rule {
            spec,
            numbers,
            desks: Mutex::new(vec![0; agents as usize]),
            places,
        }
    }

    pub fn fits(&self, chat: &Chat) -> bool {
        self.spec.fits(&chat.skillset, &chat.customer)
    }

    /// Counts from 1 again.
    pub fn forget(&self) {
        self.numbers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// Waits for a free place, and takes it at the agent who has fewest chats.
    async fn seat(&self) -> Seat<'_> {
        let place = match &self.places {
            Some(places) => places.acquire().await.ok(),
            None => None,
        };
        let mut desks = self.desks.lock().unwrap_or_else(PoisonError::into_inner);
        let desk = desks
            .iter()
            .enumerate()
            .min_by_key(|(_, chats)| **chats)
            .map_or(0, |(desk, _)| desk);
        desks[desk] += 1;
        Seat {
            rule: self,
            desk,
            _place: place,
        }
    }

    fn agent(&self, desk: usize) -> Agent {
        let AutoAgent { id, name, role, .. } = &self.spec;
        let agent = match (desk, id.parse::<u64>()) {
            (0, _) => Agent::new(id, name),
            (_, Ok(first)) => Agent::new((first + desk as u64).to_string(), format!("{name} {}", desk + 1)),
            (_, Err(_)) => Agent::new(format!("{id}-{}", desk + 1), format!("{name} {}", desk + 1)),
        };
        agent.with_role(*role)
    }

    fn number(&self, customer: &str) -> u64 {
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let n = numbers.entry(customer.to_owned()).or_default();
        *n += 1;
        *n
    }
}

/// What a player hears while it does something else is kept for later.
struct Ears {
    heard: mpsc::UnboundedReceiver<Heard>,
    kept: VecDeque<Heard>,
}

impl Ears {
    /// The next text; `None` when the chat has ended.
    async fn next(&mut self) -> Option<Heard> {
        match self.kept.pop_front() {
            Some(heard) => Some(heard),
            None => self.heard.recv().await,
        }
    }

    /// Waits for something; `None` when the chat ends before.
    async fn during<F: Future>(&mut self, wait: F) -> Option<F::Output> {
        tokio::pin!(wait);
        loop {
            tokio::select! {
                done = &mut wait => return Some(done),
                heard = self.heard.recv() => self.kept.push_back(heard?),
            }
        }
    }
}

/// Plays a chat from its begin to its end.
pub(crate) async fn play(
    shared: Arc<Shared>,
    guid: u64,
    rule: Arc<Rule>,
    heard: mpsc::UnboundedReceiver<Heard>,
) {
    let mut ears = Ears {
        heard,
        kept: VecDeque::new(),
    };
    let Some(seat) = ears.during(rule.seat()).await else {
        return;
    };
    let customer = shared
        .look(|book| book.chats.get(&guid).map(|c| c.customer.clone()))
        .unwrap_or_default();
    let player = Player {
        shared,
        guid,
        rule: &rule,
        agent: rule.agent(seat.desk),
        customer,
    };
    // An operation is refused when the chat ended, or somebody else took the agent out: nothing is left to play.
    let _ = player.play(&mut ears).await;
}

struct Player<'a> {
    shared: Arc<Shared>,
    guid: u64,
    rule: &'a Rule,
    agent: Agent,
    customer: String,
}

impl Player<'_> {
    async fn play(&self, ears: &mut Ears) -> Result<(), OpError> {
        let spec = &self.rule.spec;
        let mut join_after = spec.join_after_ms;
        loop {
            if ears.during(pause(join_after)).await.is_none() {
                return Ok(());
            }
            self.shared
                .with(|book| book.join(self.guid, self.agent.clone()))?;
            if let Some(greeting) = &spec.greeting {
                self.say(greeting, "")?;
            }
            if !self.answer(ears).await? {
                return Ok(());
            }
            if let Some(skillset) = &spec.requeue_to {
                return self
                    .shared
                    .with(|book| book.requeue(self.guid, Some(skillset.clone())));
            }
            let agent = Some(self.agent.id.as_str());
            self.shared
                .with(|book| book.leave(self.guid, agent, spec.end_chat, None, EndReason::Agent))?;
            match spec.rejoin_after_ms {
                Some(after) if !spec.end_chat => join_after = after,
                _ => return Ok(()),
            }
        }
    }

    /// Answers texts until it is time to leave; false if the chat ended before.
    async fn answer(&self, ears: &mut Ears) -> Result<bool, OpError> {
        let spec = &self.rule.spec;
        let leave_at = spec
            .leave_after_ms
            .map(|ms| Instant::now() + Duration::from_millis(ms));
        let mut replies = spec.replies.iter().cycle();
        let mut texts = 0;
        loop {
            if spec.leave_after_texts.is_some_and(|most| texts >= most) {
                return Ok(true);
            }
            let heard = tokio::select! {
                heard = ears.next() => heard,
                () = reached(leave_at) => return Ok(true),
            };
            let Some(heard) = heard else { return Ok(false) };
            texts += 1;
            let Some(reply) = replies.next() else { continue };
            if spec.typing {
                self.shared
                    .with(|book| book.typing(self.guid, Some(&self.agent.id), true))?;
            }
            let due = heard.at + Duration::from_millis(spec.reply_after_ms);
            if spec.reply_after_ms > 0 && ears.during(sleep_until(due)).await.is_none() {
                return Ok(false);
            }
            self.say(reply, &heard.text)?;
        }
    }

    fn say(&self, template: &str, heard: &str) -> Result<(), OpError> {
        let n = self.rule.number(&self.customer).to_string();
        let known = |name: &str| match name {
            "n" => Some(n.clone()),
            "agent" => Some(self.agent.name.clone()),
            "customer" => Some(self.customer.clone()),
            "digits" => Some(self.customer.chars().filter(char::is_ascii_digit).collect()),
            "guid" => Some(self.guid.to_string()),
            _ => None,
        };
        let text = fill(template, |name| match name {
            "tag" => Some(fill(&self.rule.spec.tag, known)),
            "text" => Some(heard.to_owned()),
            other => known(other),
        });
        self.shared
            .with(|book| book.say(self.guid, Some(&self.agent.id), &text, self.rule.spec.raw))
    }
}

async fn pause(ms: u64) {
    if ms > 0 {
        sleep(Duration::from_millis(ms)).await;
    }
}

async fn reached(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}
