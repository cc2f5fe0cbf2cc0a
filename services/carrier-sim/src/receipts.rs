//! Delivery receipts: what becomes of a text that was taken, and who is told.

use crate::{
    Fault, Kind, Receipt, ReceiptStatus, ReceivedText,
    book::Book,
    fault::Target,
    manners::{Dice, Manners, Room},
    post,
    sim::Shared,
    wire::{self, Webhook},
};
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::{sync::oneshot, time::Instant};

/// How long after a send's answer its first receipt is due, so that none comes early by accident.
const AFTER_ANSWER: Duration = Duration::from_millis(20);

/// One step of a text's fate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    status: ReceiptStatus,
    code: Option<String>,
    delay: Duration,
    /// It is to be posted, and not lost.
    post: bool,
    copy: bool,
}

/// The steps of one text that are left.
#[derive(Debug)]
pub(crate) struct Job {
    seq: u64,
    steps: VecDeque<Step>,
    /// Posts of the first of them.
    tries: u32,
    /// Its place in the text's record.
    at: usize,
    early: bool,
    /// Who waits for the first post's answer.
    told: Option<oneshot::Sender<()>>,
}

/// Starts a text's receipts when it is dropped: after its answer, even if nobody reads that any more.
pub(crate) struct Later {
    pub shared: Arc<Shared>,
    pub job: Option<Job>,
}

impl Later {
    /// Where the first receipt comes before the answer: it is posted now, and its answer told.
    pub fn early(&mut self) -> Option<oneshot::Receiver<()>> {
        let mut job = self.job.take_if(|job| job.early)?;
        let (told, hear) = oneshot::channel();
        job.told = Some(told);
        self.shared.receipts.add(Instant::now(), job);
        Some(hear)
    }
}

impl Drop for Later {
    fn drop(&mut self) {
        if let Some(job) = self.job.take() {
            let delay = AFTER_ANSWER + job.steps.front().map_or(Duration::ZERO, |step| step.delay);
            self.shared.receipts.add(Instant::now() + delay, job);
        }
    }
}

impl Book {
    /// Decides what becomes of a text that was taken now.
    pub fn plan_receipts(&mut self, text: &ReceivedText) -> Option<Job> {
        let pair = self
            .pairs
            .entry((text.from.clone(), text.to.clone()))
            .or_default();
        let nth = pair.taken;
        pair.taken += 1;
        let mut manners = Vec::new();
        let (steps, early) = match self.faults.next(Target::Receipts, &text.account) {
            Some(Fault::Receipts { receipts, early }) => {
                let step = |ordered: crate::OrderedReceipt| Step {
                    status: ordered.status,
                    code: ordered.code,
                    delay: Duration::from_millis(ordered.after_ms.into()),
                    post: true,
                    copy: false,
                };
                (receipts.into_iter().map(step).collect(), early)
            }
            _ => {
                let usual = vec![
                    usual(ReceiptStatus::Sent, None),
                    usual(ReceiptStatus::Delivered, None),
                ];
                match &self.manners {
                    Some(all) => {
                        let dice = all.dice(Room::Receipts, &text.from, &text.to, nth);
                        play(all, dice, usual, &mut manners)
                    }
                    None => (usual, false),
                }
            }
        };
        manners.into_iter().for_each(|name| self.stats.manner(name));
        if steps.is_empty() {
            return None;
        }
        self.receipts_open += 1;
        Some(Job {
            seq: text.seq,
            steps: steps.into(),
            tries: 0,
            at: 0,
            early,
            told: None,
        })
    }

    /// Where a status of a text is told, if anywhere.
    fn receipts_url(&self, text: &ReceivedText, status: ReceiptStatus) -> Option<String> {
        let account = self.accounts.get(&text.account)?;
        if !self.options_of(&text.account).receipts {
            return None;
        }
        match account.kind {
            // The other dialects begin with `sent`.
            kind if kind != Kind::Twilio && status < ReceiptStatus::Sent => None,
            kind if kind.is_told_where_receipts_go() => text.status_callback.clone(),
            _ => account.webhook_url.clone(),
        }
    }

    /// The text reaches a step. Returns what is to be posted, and where.
    fn begin_step(&mut self, job: &mut Job, step: &Step, now_ms: u64) -> Option<(String, Webhook)> {
        let url = self.receipts_url(self.received(job.seq)?, step.status);
        let text = self.received_mut(job.seq)?;
        if job.tries == 0 {
            if !step.copy {
                text.reach(step, now_ms);
            }
            if url.is_some() {
                job.at = text.receipts.len();
                text.receipts.push(Receipt {
                    status: step.status,
                    code: step.code.clone(),
                    at_ms: now_ms,
                    posts: 0,
                    answer: None,
                    accepted: false,
                    copy: step.copy,
                });
            }
        }
        let url = url.filter(|_| step.post)?;
        let text = self.received(job.seq)?;
        let account = self.accounts.get(&text.account)?;
        let webhook = wire::receipt(account, &url, text, text.receipts.get(job.at)?, now_ms);
        self.stats.traffic.receipts += 1;
        Some((url, webhook))
    }

    fn end_post(&mut self, job: &Job, answer: Result<u16, String>, given_up: bool) {
        let accepted = answer.is_ok();
        self.stats.traffic.receipts_accepted += u64::from(accepted);
        self.stats.traffic.receipts_given_up += u64::from(given_up);
        let text = self.received_mut(job.seq);
        if let Some(receipt) = text.and_then(|text| text.receipts.get_mut(job.at)) {
            receipt.posts += 1;
            receipt.accepted = accepted;
            receipt.answer = Some(answer.map_or_else(|why| why, |status| format!("HTTP {status}")));
        }
    }
}

impl ReceivedText {
    /// A late step takes nothing back.
    fn reach(&mut self, step: &Step, now_ms: u64) {
        if step.status >= ReceiptStatus::Sent && step.status != ReceiptStatus::Failed {
            self.sent_at_ms.get_or_insert(now_ms);
        }
        if step.status > self.status {
            self.status = step.status;
            self.error_code.clone_from(&step.code);
        }
    }
}

fn usual(status: ReceiptStatus, code: Option<String>) -> Step {
    Step {
        status,
        code,
        delay: Duration::ZERO,
        post: true,
        copy: false,
    }
}

/// What manners make of the usual steps, and whether the first comes early.
fn play(all: &Manners, dice: Dice, mut steps: Vec<Step>, hit: &mut Vec<&'static str>) -> (Vec<Step>, bool) {
    let manners = &all.receipts;
    if dice.hits("fail", manners.fail.chance) {
        hit.push("receipts.fail");
        let status = *dice.pick("fail status", &manners.fail.statuses);
        let code = dice.pick("fail code", &manners.fail.codes).clone();
        steps.pop();
        // What failed was never sent.
        if status == ReceiptStatus::Failed {
            steps.clear();
        }
        steps.push(usual(status, Some(code)));
    }
    if steps.len() > 1 && dice.hits("reorder", manners.reorder) {
        hit.push("receipts.reorder");
        steps.reverse();
    }
    let early = dice.hits("early", manners.early);
    if early {
        hit.push("receipts.early");
    }
    let mut played: Vec<Step> = Vec::new();
    let mut copies = Vec::new();
    for (n, mut step) in (0..).zip(steps) {
        let dice = dice.attempt(n);
        step.delay = dice.between("delay", manners.delay_ms);
        step.post = !dice.hits("lose", manners.lose);
        if !step.delay.is_zero() {
            hit.push("receipts.delay");
        }
        let copy = Step {
            copy: true,
            delay: dice.between("copy delay", manners.delay_ms),
            ..step.clone()
        };
        let twice = step.post && dice.hits("duplicate", manners.duplicate);
        hit.extend((!step.post).then_some("receipts.lose"));
        played.push(step);
        if twice {
            hit.push("receipts.duplicate");
            match dice.hits("late", 0.5) {
                true => copies.push(copy),
                false => played.push(copy),
            }
        }
    }
    played.append(&mut copies);
    (played, early)
}

/// Takes a text one step further: one post at most.
pub(crate) async fn step(shared: Arc<Shared>, mut job: Job) -> Option<(Instant, Job)> {
    let due = advance(&shared, &mut job).await;
    if due.is_none() {
        shared.book().receipts_open -= 1;
    }
    shared.nudge();
    due.map(|due| (due, job))
}

/// When the next post is due; none: it is over.
async fn advance(shared: &Shared, job: &mut Job) -> Option<Instant> {
    let step = job.steps.front()?.clone();
    let request = shared.book().begin_step(job, &step, shared.now_ms());
    if let Some((url, webhook)) = request {
        let answer = post::send(shared, &url, webhook).await;
        job.tries += 1;
        let given_up = answer.is_err() && job.tries >= shared.receipt_posts;
        if let Err(failure) = &answer {
            tracing::info!(text.seq = job.seq, %failure, given_up, "a webhook did not accept a receipt");
        }
        let accepted = answer.is_ok();
        shared.book().end_post(job, answer, given_up);
        if !accepted && !given_up {
            job.told = None;
            return Some(Instant::now() + shared.retry.pause(job.tries));
        }
    }
    job.told = None;
    job.tries = 0;
    job.steps.pop_front();
    job.steps.front().map(|step| Instant::now() + step.delay)
}
