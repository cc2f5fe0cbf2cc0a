use super::{Account, errors};
use crate::{
    Class, Client, Outbound, SendError, Sent, call,
    call::Reply,
    inbound::is_id,
    outbound::{ACCOUNT_REST, user},
    redact::redact,
};
use ::http::StatusCode;
use reqwest::RequestBuilder;
use secrecy::ExposeSecret;

/// Creates a message: <https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource>.
pub async fn send(http: &Client, account: &Account, out: &Outbound<'_>) -> Result<Sent, SendError> {
    // `From` is given beside a messaging service too: the answer leaves from the number that was texted.
    let mut form = vec![
        ("From", out.from.as_str()),
        ("To", out.to.as_str()),
        ("Body", out.body.as_str()),
    ];
    if let Some(service) = &account.messaging_service_sid {
        form.push(("MessagingServiceSid", service));
    }
    if let Some(address) = out.receipts_to {
        form.push(("StatusCallback", address));
    }
    let request = authorised(http.post(messages(account)), account).form(&form);
    let reply = call::post(http, request, account.timeout, out.now).await?;
    if reply.status.is_success() {
        taken(&reply)
    } else {
        Err(refused(&reply, out))
    }
}

/// The message list: new ones are posted there, and it can be read.
pub(super) fn messages(account: &Account) -> String {
    let base = account.api_base.as_str().trim_end_matches('/');
    format!("{base}/2010-04-01/Accounts/{}/Messages.json", account.sid)
}

pub(super) fn authorised(request: RequestBuilder, account: &Account) -> RequestBuilder {
    let (name, password) = match &account.api_key {
        Some((sid, secret)) => (sid, secret),
        None => (&account.sid, &account.auth_token),
    };
    request.basic_auth(name, Some(password.expose_secret()))
}

fn taken(reply: &Reply) -> Result<Sent, SendError> {
    let sid = reply.json().and_then(|json| {
        json.get("sid")?
            .as_str()
            .filter(|sid| is_id(sid))
            .map(str::to_owned)
    });
    // A message was created even if its description was lost on the way.
    if sid.is_some() || (reply.status == StatusCode::CREATED && reply.body.is_none()) {
        return Ok(Sent { provider_id: sid });
    }
    Err(SendError {
        class: Class::Retryable { after: None },
        provider_code: None,
        operator: format!(
            "answered {} without a message sid: this may not be Twilio; check the account's api_base",
            reply.status.as_u16()
        ),
        user: user::LATER,
        in_doubt: true,
        opted_out: false,
    })
}

fn refused(reply: &Reply, out: &Outbound<'_>) -> SendError {
    let status = reply.status.as_u16();
    let json = reply.json();
    let code = json
        .as_ref()
        .and_then(|json| json.get("code")?.as_u64())
        .and_then(|code| u32::try_from(code).ok());
    let known = code.and_then(errors::find);
    let class = match known {
        Some(error) => error.class(reply.rest),
        None if matches!(status, 408 | 425 | 429) || status >= 500 => Class::Retryable { after: reply.rest },
        // Not Twilio's words: something in between refuses, and the text is not at fault.
        None if code.is_none() && matches!(status, 300..=399 | 401 | 403 | 404 | 407) => Class::Retryable {
            after: Some(ACCOUNT_REST),
        },
        None => Class::Terminal,
    };
    let operator = match (code, known) {
        (Some(code), Some(error)) => {
            format!(
                "Twilio {code}: {}; see https://www.twilio.com/docs/api/errors/{code}",
                error.remedy
            )
        }
        (Some(code), None) => format!(
            "Twilio {code} (HTTP {status}): {}; see https://www.twilio.com/docs/api/errors/{code}",
            redact(
                json.as_ref()
                    .and_then(|json| json.get("message")?.as_str())
                    .unwrap_or("no message"),
                out
            )
        ),
        (None, _) => format!(
            "answered HTTP {status} without one of Twilio's error codes; check the account's api_base and what stands between"
        ),
    };
    SendError {
        class,
        provider_code: code.map(|code| code.to_string()),
        operator,
        user: match (known, class) {
            (Some(error), _) => error.user,
            (None, Class::Retryable { .. }) => user::LATER,
            (None, Class::Terminal) => user::NO,
        },
        // "If you get a 500 … and you retry the request, it is possible for a customer to receive multiple messages":
        // https://www.twilio.com/docs/api/errors/20500
        in_doubt: status >= 500,
        opted_out: code == Some(errors::OPTED_OUT),
    }
}
