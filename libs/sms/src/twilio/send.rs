use super::{Account, errors};
use crate::{Client, Outbound, SendError, Sent, call, call::Reply, failure::Said, inbound::is_id};
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
    let base = &account.api_base;
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
    let json = reply.json();
    let sid = json.as_ref().and_then(|json| json.get("sid")?.as_str());
    let sid = sid.filter(|sid| is_id(sid)).map(str::to_owned);
    errors::TWILIO.taken(reply, sid, Some(StatusCode::CREATED))
}

fn refused(reply: &Reply, out: &Outbound<'_>) -> SendError {
    let json = reply.json();
    let code = json.as_ref().and_then(|json| json.get("code")?.as_u64());
    let code = code.map(|code| code.to_string());
    let said = Said {
        code: code.as_deref(),
        words: json.as_ref().and_then(|json| json.get("message")?.as_str()),
    };
    // "If you get a 500 … and you retry the request, it is possible for a customer to receive multiple messages":
    // https://www.twilio.com/docs/api/errors/20500
    errors::TWILIO.refused(reply, said, out)
}
