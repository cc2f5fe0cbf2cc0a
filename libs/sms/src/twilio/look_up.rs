use super::{
    Account,
    send::{authorised, messages},
};
use crate::{Class, Client, Found, LookUp, Outbound, SendError, call, inbound::is_id, outbound::user};
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc2822};

/// Messages on a page. Twilio gives up to 1,000.
const PAGE: &str = "100";
/// Pages that are read at most: 1,000 messages between the two addresses.
const MOST_PAGES: usize = 10;
/// A page of 100 messages of 1,600 characters, each escaped, fits.
const MAX_PAGE_BYTES: usize = 2 * 1024 * 1024;

/// Reads the messages between the two addresses, the newest first:
/// <https://www.twilio.com/docs/messaging/api/message-resource#read-multiple-message-resources>.
///
/// There is a filter by the date of sending, and it is left out: a message that Twilio has taken and not sent yet has no such
/// date, and is the very one that is looked for.
pub async fn look_up(
    http: &Client,
    account: &Account,
    out: &Outbound<'_>,
    since: OffsetDateTime,
) -> Result<LookUp, SendError> {
    let list = messages(account);
    let mut request = http.get(&list).query(&[
        ("To", out.to.as_str()),
        ("From", out.from.as_str()),
        ("PageSize", PAGE),
    ]);
    let mut found = Vec::new();
    for _ in 0..MOST_PAGES {
        let page = page(http, authorised(request, account), account, out.now).await?;
        let messages = page.get("messages").and_then(Value::as_array);
        let messages = messages
            .ok_or_else(|| call::unasked("its list has no messages; check the account's api_base"))?;
        found.extend(messages.iter().filter_map(|message| same(message, out, since)));
        let Some(next) = next(&page, account) else {
            // The newest came first; of one second the later ones did.
            found.reverse();
            found.sort_by_key(|found: &Found| found.created_at);
            return Ok(LookUp { found, whole: true });
        };
        request = http.get(next);
    }
    found.reverse();
    found.sort_by_key(|found: &Found| found.created_at);
    Ok(LookUp { found, whole: false })
}

async fn page(
    http: &Client,
    request: reqwest::RequestBuilder,
    account: &Account,
    now: OffsetDateTime,
) -> Result<Value, SendError> {
    let reply = call::get(http, request, account.timeout, now, MAX_PAGE_BYTES).await?;
    let status = reply.status.as_u16();
    match status {
        200 => reply
            .json()
            .ok_or_else(|| call::unasked("its list cannot be read to its end")),
        408 | 425 | 429 | 500..=599 => Err(SendError {
            class: Class::Retryable { after: reply.rest },
            ..call::unasked(&format!("HTTP {status}"))
        }),
        // A key that may send and not read: asking again does not help.
        _ => Err(SendError {
            class: Class::Terminal,
            operator: format!(
                "the account may not read its messages (HTTP {status}), so a text in doubt is sent again; give the API key that right"
            ),
            user: user::LATER,
            ..call::unasked("")
        }),
    }
}

/// The next page's address, which stays within this account's list at this host.
fn next(page: &Value, account: &Account) -> Option<String> {
    let path = page.get("next_page_uri")?.as_str()?;
    let (_, query) = path.split_once('?')?;
    path.starts_with('/')
        .then(|| format!("{}?{query}", messages(account)))
}

fn same(message: &Value, out: &Outbound<'_>, since: OffsetDateTime) -> Option<Found> {
    let is = |name: &str, value: &str| message.get(name).and_then(Value::as_str) == Some(value);
    let same = is("direction", "outbound-api")
        && is("to", out.to.as_str())
        && is("from", out.from.as_str())
        && is("body", out.body.as_str());
    if !same {
        return None;
    }
    let created_at = message.get("date_created")?.as_str()?;
    let created_at = OffsetDateTime::parse(created_at, &Rfc2822).ok()?;
    let provider_id = message.get("sid")?.as_str().filter(|sid| is_id(sid))?.to_owned();
    (created_at >= since).then_some(Found {
        provider_id,
        created_at,
    })
}
