//! All texts of the tenant with the page's customer, chats included.

use super::{
    act::Sent,
    dress::{Frames, dress, dressed},
    page::{Page, Senders},
    stop::Stop,
    told::{Told, Tone},
    words::{Words, with},
};
use askama::Template;
use aws_lc_rs::digest::{SHA256, digest};
use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use ccm_db::HistoryRow;
use ccm_model::{Direction, MessageState, Origin};
use ccm_web::{Bytes, Query};
use serde::Deserialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339, macros::format_description};

/// Texts that are shown.
const SHOWN: i64 = 50;

#[derive(Deserialize)]
pub struct Wanted {
    /// A page of its own that loads itself anew, for where no script does.
    #[serde(default)]
    page: bool,
}

#[derive(Template)]
#[template(path = "history.html")]
struct HistoryView {
    w: &'static Words,
    title: String,
    /// Where a text is sent again. In the frame of a page without a script that is the frame: what is being written in the page stays.
    again: String,
    rows: Vec<Row>,
}

#[derive(Template)]
#[template(path = "history_page.html")]
struct HistoryPageView<'a> {
    w: &'static Words,
    style: &'a str,
    /// Without what was done there: this loads itself anew.
    path: String,
    told: Option<(Tone, String)>,
    history: String,
}

struct Row {
    id: String,
    /// For the script, which shows it in the agent's own time.
    at: String,
    time: String,
    direction: &'static str,
    way: &'static str,
    who: String,
    text: String,
    state: &'static str,
    failed: bool,
    again: bool,
    sent_again: bool,
}

impl Row {
    fn of(row: HistoryRow, w: &'static Words) -> Self {
        let inbound = row.direction == Direction::Mo;
        let out = Progress::of(row.state, row.error_code.as_deref());
        let who = match (inbound, row.origin) {
            (true, _) => w.customer.clone(),
            (false, Origin::System) => w.system.clone(),
            (false, _) => row.author.unwrap_or_default(),
        };
        Self {
            id: row.id.to_string(),
            at: row.created_at.format(&Rfc3339).unwrap_or_default(),
            time: utc(row.created_at),
            direction: if inbound { &w.inbound } else { &w.outbound },
            way: if inbound { "in" } else { "out" },
            who,
            text: row.body.as_str().to_owned(),
            state: if inbound { &w.received } else { out.words(w) },
            failed: !inbound && out.has_failed(),
            again: !inbound && out.can_be_repeated() && !row.sent_again,
            sent_again: row.sent_again,
        }
    }
}

/// How far a text of ours is, as its agent sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Queued,
    Sending,
    Sent,
    Delivered,
    Failed,
    OptedOut,
    Expired,
    Unknown,
}

impl Progress {
    fn of(state: MessageState, code: Option<&str>) -> Self {
        match state {
            MessageState::Accepted | MessageState::Queued => Self::Queued,
            MessageState::Sending => Self::Sending,
            MessageState::Sent => Self::Sent,
            MessageState::Delivered => Self::Delivered,
            MessageState::Failed if code == Some("ccm:opted_out") => Self::OptedOut,
            MessageState::Refused | MessageState::Failed | MessageState::Undeliverable => Self::Failed,
            MessageState::Expired => Self::Expired,
            MessageState::Unknown => Self::Unknown,
        }
    }

    fn words(self, w: &'static Words) -> &'static str {
        match self {
            Self::Queued => &w.queued,
            Self::Sending => &w.sending,
            Self::Sent => &w.sent,
            Self::Delivered => &w.delivered,
            Self::Failed => &w.failed,
            Self::OptedOut => &w.failed_opted_out,
            Self::Expired => &w.expired,
            Self::Unknown => &w.unknown,
        }
    }

    fn has_failed(self) -> bool {
        matches!(self, Self::Failed | Self::OptedOut | Self::Expired)
    }

    fn can_be_repeated(self) -> bool {
        matches!(self, Self::Failed | Self::Expired | Self::Unknown)
    }
}

fn utc(at: OffsetDateTime) -> String {
    let form = format_description!("[year]-[month]-[day] [hour]:[minute]");
    at.format(&form).unwrap_or_default()
}

/// The history as a part of the page.
pub async fn fragment(page: &Page, framed: bool) -> Result<String, Stop> {
    let customer = page.customer();
    let rows = match &customer {
        Some(customer) => page.db().history(customer, SHOWN).await?,
        None => Vec::new(),
    };
    let title = match &customer {
        Some(customer) => with(&page.words.history_of, &[("number", customer.as_str())]),
        None => page.words.history.clone(),
    };
    let view = HistoryView {
        w: page.words,
        title,
        again: match framed {
            true => format!("{}/history?page=true", page.path()),
            false => page.path(),
        },
        rows: rows.into_iter().map(|row| Row::of(row, page.words)).collect(),
    };
    view.render().map_err(unrendered)
}

pub fn unrendered(error: askama::Error) -> Stop {
    Stop::Problem(ccm_web::Problem::internal(error))
}

/// The history as a page of its own.
async fn whole(page: &Page, told: Option<Told>) -> Result<Response, Stop> {
    let view = HistoryPageView {
        w: page.words,
        style: &super::assets::STYLE.name,
        path: page.path(),
        told: told.map(|told| (told.tone(), told.words(page.words))),
        history: fragment(page, true).await?,
    };
    let frames = Frames::SelfAnd(&page.settings.frame_ancestors);
    Ok(dressed(view.render().map_err(unrendered)?, frames))
}

async fn answer(page: &Page, wanted: &Wanted, headers: &HeaderMap) -> Result<Response, Stop> {
    if wanted.page {
        return whole(page, None).await;
    }
    let history = fragment(page, false).await?;
    let hash = digest(&SHA256, history.as_bytes());
    let tag: String = hash.as_ref()[..12]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let tag = format!("\"{tag}\"");
    let known = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok());
    let mut response = match known == Some(tag.as_str()) {
        true => {
            let mut response = StatusCode::NOT_MODIFIED.into_response();
            dress(response.headers_mut(), page.frames());
            response
        }
        false => dressed(history, page.frames()),
    };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    Ok(response)
}

/// `GET /pop/{token}/history`
pub async fn show(page: Page, Query(wanted): Query<Wanted>, headers: HeaderMap) -> Response {
    match answer(&page, &wanted, &headers).await {
        Ok(response) => response,
        Err(stop) => stop.page(&headers, page.request),
    }
}

/// `POST /pop/{token}/history`: a text is sent again from the frame, and the page around it stays as it is.
pub async fn again(page: Page, headers: HeaderMap, Bytes(body): Bytes) -> Response {
    let acted = async {
        let sent = Sent::read(&body)?;
        let senders = Senders::of(&page.db()).await?;
        let told = page.send_again(&sent, &senders).await?;
        whole(&page, Some(told)).await
    };
    match acted.await {
        Ok(response) => response,
        Err(stop) => stop.page(&headers, page.request),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_is_said_and_what_did_not_arrive_can_be_sent_again() {
        let w = Words::accepted("en");
        for (state, said, failed, again) in [
            (MessageState::Queued, "waiting to be sent", false, false),
            (MessageState::Sending, "being sent", false, false),
            (MessageState::Sent, "sent", false, false),
            (MessageState::Delivered, "delivered", false, false),
            (MessageState::Failed, "not delivered", true, true),
            (MessageState::Undeliverable, "not delivered", true, true),
            (MessageState::Expired, "not delivered in time", true, true),
            (MessageState::Unknown, "not known whether it arrived", false, true),
        ] {
            let out = Progress::of(state, None);
            let is = (out.words(w), out.has_failed(), out.can_be_repeated());
            assert_eq!(is, (said, failed, again), "{state:?}");
        }
        let out = Progress::of(MessageState::Failed, Some("ccm:opted_out"));
        assert!(out.has_failed() && !out.can_be_repeated());
    }
}
