//! All texts of the tenant with the page's customer, chats included.

use super::{
    dress::{Frames, dress, dressed},
    page::Page,
    stop::Stop,
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
use ccm_web::Query;
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
    path: String,
    m: String,
    /// In the frame of a page without a script, whose forms are the page's.
    framed: bool,
    rows: Vec<Row>,
}

#[derive(Template)]
#[template(path = "history_page.html")]
struct HistoryPageView<'a> {
    w: &'static Words,
    style: &'a str,
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
}

impl Row {
    fn of(row: HistoryRow, w: &'static Words) -> Self {
        let inbound = row.direction == Direction::Mo;
        let failed = !inbound && matches!(row.state, MessageState::Failed | MessageState::Expired);
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
            state: state(inbound, row.state, row.error_code.as_deref(), w),
            failed,
            again: failed && row.error_code.as_deref() != Some("ccm:opted_out"),
        }
    }
}

fn utc(at: OffsetDateTime) -> String {
    let form = format_description!("[year]-[month]-[day] [hour]:[minute]");
    at.format(&form).unwrap_or_default()
}

fn state(inbound: bool, state: MessageState, code: Option<&str>, w: &'static Words) -> &'static str {
    if inbound {
        return &w.received;
    }
    match state {
        MessageState::Failed if code == Some("ccm:opted_out") => &w.failed_opted_out,
        MessageState::Failed => &w.failed,
        MessageState::Expired => &w.expired,
        MessageState::Delivered => &w.delivered,
        MessageState::Sent => &w.sent,
        MessageState::Sending => &w.sending,
        _ => &w.queued,
    }
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
        path: page.path(),
        m: page.pop.next_message.to_string(),
        framed,
        rows: rows.into_iter().map(|row| Row::of(row, page.words)).collect(),
    };
    view.render().map_err(unrendered)
}

pub fn unrendered(error: askama::Error) -> Stop {
    Stop::Problem(ccm_web::Problem::internal(error))
}

async fn answer(page: &Page, wanted: &Wanted, headers: &HeaderMap) -> Result<Response, Stop> {
    let history = fragment(page, wanted.page).await?;
    if wanted.page {
        let view = HistoryPageView {
            w: page.words,
            style: &super::assets::STYLE.name,
            history,
        };
        let frames = Frames::SelfAnd(&page.settings.frame_ancestors);
        return Ok(dressed(view.render().map_err(unrendered)?, frames));
    }
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
