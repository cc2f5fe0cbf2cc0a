//! From phones to webhooks: every text is posted until it is accepted or given up, the texts of one phone to one number
//! one after the other.

use crate::{
    Fault, SentState, SentText,
    book::Lane,
    fault::Target,
    sim::Shared,
    wire::{self, Webhook},
};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};

/// Works on a lane until nothing waits in it, or the simulator stops.
pub(crate) async fn run_lane(shared: Arc<Shared>, lane: Lane) {
    let stop = shared.stop.clone();
    let work = async {
        loop {
            let Some(seq) = shared.book().next_in(&lane) else {
                return;
            };
            deliver(&shared, seq).await;
        }
    };
    tokio::select! {
        () = work => {}
        () = stop.cancelled() => {}
    }
}

async fn deliver(shared: &Shared, seq: u64) {
    let started = Instant::now();
    let mut pauses = shared.retry.pauses.iter().copied();
    let mut pause = Duration::ZERO;
    // A reset throws the text away in the middle of this.
    while let Some(text) = shared.sent(seq) {
        let Err(failure) = post(shared, &text).await else {
            let now = shared.now_ms();
            shared.change_sent(seq, |text| {
                text.state = SentState::Accepted;
                text.accepted_at_ms = Some(now);
            });
            post_copies(shared, &text).await;
            return;
        };
        pause = pauses.next().unwrap_or(pause);
        let given_up = started.elapsed() + pause >= shared.retry.give_up_after;
        tracing::info!(message.id = %text.id, account = %text.account, %failure, given_up, "a webhook did not accept a text");
        shared.change_sent(seq, |text| {
            text.last_failure = Some(failure);
            if given_up {
                text.state = SentState::GivenUp;
            }
        });
        if given_up {
            return;
        }
        sleep(pause).await;
    }
}

async fn post_copies(shared: &Shared, text: &SentText) {
    let fault = shared.book().faults.next(Target::Accepted, &text.account);
    if let Some(Fault::DuplicatePost { copies }) = fault {
        for _ in 0..copies {
            if let Err(failure) = post(shared, text).await {
                tracing::info!(message.id = %text.id, %failure, "a webhook did not accept a copy");
            }
        }
    }
}

/// Posts once. An error is what it ended with.
async fn post(shared: &Shared, text: &SentText) -> Result<(), String> {
    let (account, wrong) = {
        let mut book = shared.book();
        let wrong = book.faults.next(Target::Post, &text.account).is_some();
        (book.accounts.get(&text.account).cloned(), wrong)
    };
    let mut account = account.ok_or("the account is gone")?;
    let url = account
        .webhook_url
        .take()
        .ok_or("the account has no webhook_url")?;
    shared.change_sent(text.seq, |text| text.posts += 1);
    if wrong {
        account.secret.push_str(" but another one");
    }
    let Webhook { headers, body } = wire::webhook(&account, &url, text, shared.now_ms());
    let mut request = shared.http.post(&url).body(body);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let response = request.send().await.map_err(|e| why(&e))?;
    let status = response.status();
    // The answer is read to its end: the webhook's server sees no broken connection.
    response.bytes().await.map_err(|e| why(&e))?;
    if status.is_success() {
        Ok(())
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
