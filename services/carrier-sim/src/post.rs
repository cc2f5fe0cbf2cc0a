//! From phones to webhooks: every text is posted until it is accepted or given up, the texts of one phone to one number
//! one after the other.

use crate::{
    Fault, Kind, SentState, SentText,
    book::Book,
    fault::Target,
    lanes::{Item, Lane},
    manners::Room,
    sim::Shared,
    wire::{self, Webhook},
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// How long a text is held back for others to overtake it, besides its delay.
const HELD_BACK_MS: [u32; 2] = [100, 500];

/// The work on one lane.
pub(crate) struct Job {
    lane: Lane,
    current: Option<Current>,
    /// What the current one overtakes.
    overtaken: Option<Current>,
}

struct Current {
    item: Item,
    /// When it was posted first.
    started: Option<Instant>,
    tries: u32,
    may_be_overtaken: bool,
}

impl Job {
    pub fn new(lane: Lane) -> Self {
        Self {
            lane,
            current: None,
            overtaken: None,
        }
    }
}

impl Current {
    fn new(item: Item) -> Self {
        Self {
            item,
            started: None,
            tries: 0,
            may_be_overtaken: false,
        }
    }
}

/// Takes a lane one step further: to the next text, or by one post of it.
pub(crate) async fn step(shared: Arc<Shared>, mut job: Job) -> Option<(Instant, Job)> {
    let Some(mut current) = job.current.take().or_else(|| job.overtaken.take()) else {
        let begun = shared.book().begin(&job.lane);
        let Some((current, wait)) = begun else {
            shared.nudge();
            return None;
        };
        job.current = Some(current);
        return Some((Instant::now() + wait, job));
    };
    if std::mem::take(&mut current.may_be_overtaken) {
        let overtaker = shared.book().overtaken(&job.lane);
        if let Some(item) = overtaker {
            job.overtaken = Some(std::mem::replace(&mut current, Current::new(item)));
        }
    }
    let pause = deliver(&shared, &job.lane, &mut current).await;
    if pause.is_some() {
        job.current = Some(current);
    }
    Some((Instant::now() + pause.unwrap_or_default(), job))
}

impl Book {
    /// Whose turn it is, and how long it waits first.
    fn begin(&mut self, lane: &Lane) -> Option<(Current, Duration)> {
        let item = self.lanes.next(lane)?;
        let mut wait = Duration::from_millis(item.pause_ms.into());
        let mut current = Current::new(item);
        if let Some(all) = &self.manners
            && !current.item.copy
        {
            let manners = &all.posts;
            let dice = all.dice(Room::Posts, &lane.0, &lane.1, current.item.nth);
            let delay = dice.between("delay", manners.delay_ms);
            if !delay.is_zero() {
                self.stats.manner("posts.delay");
            }
            wait += delay;
            if dice.hits("reorder", manners.reorder) {
                self.stats.manner("posts.reorder");
                wait += dice.between("held back", HELD_BACK_MS);
                current.may_be_overtaken = manners.reorder_same_phone;
            }
        }
        Some((current, wait))
    }

    fn overtaken(&mut self, lane: &Lane) -> Option<Item> {
        let item = self.lanes.overtaker(lane)?;
        self.stats.manner("posts.reorder_same_phone");
        Some(item)
    }

    /// Which ids an accepted text is posted with again at once. A late copy goes to the end of its lane.
    fn copies(&mut self, lane: &Lane, text: &SentText, item: &Item) -> Vec<String> {
        let mut ids = Vec::new();
        let kind = self.kind_of(&text.account).unwrap_or(Kind::Http);
        if let Some(Fault::DuplicatePost { copies, new_id }) =
            self.faults.next(Target::Accepted, &text.account)
        {
            let another = |_| match new_id {
                true => self.id(kind, "mo"),
                false => text.id.clone(),
            };
            ids.extend((0..copies).map(another));
        }
        let Some(all) = &self.manners else {
            return ids;
        };
        let manners = &all.posts;
        let dice = all.dice(Room::Posts, &lane.0, &lane.1, item.nth);
        let new_id = kind != Kind::Twilio && dice.hits("new_id", manners.new_id);
        if dice.hits("duplicate", manners.duplicate) {
            self.stats.manner("posts.duplicate");
            if dice.hits("late", 0.5) {
                let copy = Item {
                    copy: true,
                    pause_ms: 0,
                    ..item.clone()
                };
                self.lanes.add(lane, copy);
            } else {
                ids.push(text.id.clone());
            }
        }
        if new_id {
            self.stats.manner("posts.new_id");
            ids.push(self.id(kind, "mo"));
        }
        ids
    }
}

/// Posts once, and copies after that. Returns when to try again; none: the text is settled.
async fn deliver(shared: &Shared, lane: &Lane, current: &mut Current) -> Option<Duration> {
    // A reset has thrown it away.
    let text = shared.sent(current.item.seq)?;
    if current.item.copy {
        copy(shared, &text, text.id.clone()).await;
        return None;
    }
    let started = *current.started.get_or_insert_with(Instant::now);
    let posted = post(shared, &text, Some(current)).await;
    current.tries += 1;
    let Err(failure) = posted else {
        let now = shared.now_ms();
        shared.change_sent(text.seq, |text| {
            text.state = SentState::Accepted;
            text.accepted_at_ms = Some(now);
        });
        let ids = shared.book().copies(lane, &text, &current.item);
        for id in ids {
            copy(shared, &text, id).await;
        }
        return None;
    };
    let pause = shared.retry.pause(current.tries);
    let given_up = started.elapsed() + pause >= shared.retry.give_up_after;
    tracing::info!(message.id = %text.id, account = %text.account, %failure, given_up, "a webhook did not accept a text");
    shared.book().stats.traffic.given_up += u64::from(given_up);
    shared.change_sent(text.seq, |text| {
        text.last_failure = Some(failure);
        if given_up {
            text.state = SentState::GivenUp;
        }
    });
    (!given_up).then_some(pause)
}

/// Posts an accepted text again.
async fn copy(shared: &Shared, text: &SentText, id: String) {
    let another = (id != text.id).then(|| id.clone());
    shared.change_sent(text.seq, |text| {
        text.copies += 1;
        text.new_ids.extend(another);
    });
    let again = SentText { id, ..text.clone() };
    if let Err(failure) = post(shared, &again, None).await {
        tracing::info!(message.id = %again.id, %failure, "a webhook did not accept a copy");
    }
}

/// Posts once. An error is what it ended with. Copies are never signed wrongly by manner.
async fn post(shared: &Shared, text: &SentText, current: Option<&Current>) -> Result<(), String> {
    let (url, webhook) = {
        let mut book = shared.book();
        let account = book.accounts.get(&text.account).ok_or("the account is gone")?;
        let mut account = account.clone();
        let url = account
            .webhook_url
            .take()
            .ok_or("the account has no webhook_url")?;
        let ordered = book.faults.next(Target::Post, &text.account).is_some();
        if ordered || current.is_some_and(|current| book.signs_wrongly(text, current)) {
            account.secret.push_str(" but another one");
            let seq = text.seq;
            book.change_sent(seq, |text| text.wrong_signatures += 1);
        }
        book.stats.traffic.posts += 1;
        let webhook = wire::webhook(&account, &url, text, shared.now_ms());
        (url, webhook)
    };
    shared.change_sent(text.seq, |text| text.posts += 1);
    send(shared, &url, webhook).await?;
    shared.book().stats.traffic.posts_accepted += 1;
    Ok(())
}

impl Book {
    fn signs_wrongly(&mut self, text: &SentText, current: &Current) -> bool {
        let Some(all) = &self.manners else {
            return false;
        };
        let dice = all.dice(Room::Posts, &text.from, &text.to, current.item.nth);
        let hit = dice
            .attempt(current.tries)
            .hits("wrong_signature", all.posts.wrong_signature);
        if hit {
            self.stats.manner("posts.wrong_signature");
        }
        hit
    }
}

/// Posts, and reads the answer: a 2xx status, or what it ended with.
pub(crate) async fn send(shared: &Shared, url: &str, webhook: Webhook) -> Result<u16, String> {
    let answer = ask(shared, url, webhook).await;
    if let Err(why) = &answer {
        shared.book().stats.failed(why);
    }
    answer
}

async fn ask(shared: &Shared, url: &str, webhook: Webhook) -> Result<u16, String> {
    let mut request = shared.http.post(url).body(webhook.body);
    for (name, value) in webhook.headers {
        request = request.header(name, value);
    }
    let response = request.send().await.map_err(|e| why(&e))?;
    let status = response.status();
    // The answer is read to its end: the webhook's server sees no broken connection.
    response.bytes().await.map_err(|e| why(&e))?;
    if status.is_success() {
        Ok(status.as_u16())
    } else {
        Err(format!("HTTP {}", status.as_u16()))
    }
}

fn why(e: &reqwest::Error) -> String {
    if e.is_timeout() {
        "no answer in time".to_owned()
    } else if e.is_connect() {
        "cannot connect".to_owned()
    } else {
        "the connection broke".to_owned()
    }
}
