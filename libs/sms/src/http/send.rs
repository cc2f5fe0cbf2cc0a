use super::{Account, signature};
use crate::{
    Class, Client, Outbound, SendError, Sent,
    call::{self, Reply},
    inbound::is_id,
    outbound::{ACCOUNT_REST, user},
    redact::{self, redact},
};
use ::http::header::CONTENT_TYPE;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

/// The code of a refusal because the customer has opted out of this number.
const OPTED_OUT: &str = "opted_out";

/// Posts the text to the account's `send_url`.
pub async fn send(http: &Client, account: &Account, out: &Outbound<'_>) -> Result<Sent, SendError> {
    let body = json!({
        "id": out.message_id,
        "from": out.from,
        "to": out.to,
        "text": out.body,
        "attempt": out.attempt,
    })
    .to_string();
    let (timestamp, signature) = signature::make(&account.signing_secret, out.now, body.as_bytes());
    let mut request = http
        .post(account.send_url.clone())
        .header(CONTENT_TYPE, "application/json")
        .header("idempotency-key", out.message_id.to_string())
        .header(signature::TIMESTAMP, timestamp)
        .header(signature::SIGNATURE, signature)
        .body(body);
    if let Some(token) = &account.bearer_token {
        request = request.bearer_auth(token.expose_secret());
    }
    let reply = call::post(http, request, account.timeout, out.now).await?;
    let id = reply.json().and_then(|json| id(&json));
    match reply.status.as_u16() {
        // The key was seen before: an earlier attempt got there.
        409 => Ok(Sent { provider_id: id }),
        200..=299 if id.is_some() => Ok(Sent { provider_id: id }),
        _ => Err(refused(&reply, out)),
    }
}

fn id(json: &Value) -> Option<String> {
    json.get("id")?.as_str().filter(|id| is_id(id)).map(str::to_owned)
}

fn refused(reply: &Reply, out: &Outbound<'_>) -> SendError {
    let status = reply.status.as_u16();
    let json = reply.json();
    let said = |name: &str| json.as_ref().and_then(|json| json.get(name)?.as_str());
    let provider_code = said("code").and_then(|raw| redact::code(raw, out));
    let message = match said("message") {
        Some(words) => redact(words, out),
        None => "no message".to_owned(),
    };
    let opted_out = provider_code.as_deref() == Some(OPTED_OUT);
    let code = provider_code.as_deref().unwrap_or("no code");
    let retryable = |operator| (Class::Retryable { after: reply.rest }, operator, user::LATER);
    let (class, operator, user) = match status {
        200..=299 => retryable(format!(
            "the provider answered {status} without {{\"id\": \"…\"}}; it has to name the text that it took (docs/providers.md)"
        )),
        300..=399 => retryable(format!(
            "the provider answered {status} (a redirect), which is not followed; correct send_url"
        )),
        // The account is at fault, not the text.
        401 | 403 => (
            Class::Retryable {
                after: Some(reply.rest.unwrap_or_default().max(ACCOUNT_REST)),
            },
            format!(
                "the provider refuses our signature or token: HTTP {status}, {code}: {message}; check the account's secrets and the clock"
            ),
            user::LATER,
        ),
        408 | 425 | 429 => retryable(format!(
            "the provider asks to wait: HTTP {status}, {code}: {message}"
        )),
        500..=599 => retryable(format!("the provider failed: HTTP {status}, {code}: {message}")),
        _ if opted_out => (
            Class::Terminal,
            "the customer has opted out at the provider (opted_out); only the customer can opt in again"
                .to_owned(),
            user::OPTED_OUT,
        ),
        _ => (
            Class::Terminal,
            format!(
                "the provider refused the text: HTTP {status}, {code}: {message}; ask the provider what the code means"
            ),
            user::NO,
        ),
    };
    SendError {
        opted_out: opted_out && class == Class::Terminal,
        class,
        provider_code,
        operator,
        user,
        in_doubt: !(300..500).contains(&status),
    }
}
