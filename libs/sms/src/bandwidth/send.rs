use super::{Account, errors::BANDWIDTH};
use crate::{Client, Outbound, SendError, Sent, call, failure::Said, inbound::is_id, json::any};
use ::http::StatusCode;
use secrecy::ExposeSecret;
use serde_json::json;

/// <https://dev.bandwidth.com/docs/messaging>: taken texts are answered with 202. Receipts go to the application's callback
/// address, which no text names.
pub async fn send(http: &Client, account: &Account, out: &Outbound<'_>) -> Result<Sent, SendError> {
    let message = json!({
        "applicationId": account.application_id,
        "from": out.from,
        "to": [out.to],
        "text": out.body,
        "tag": out.message_id,
    });
    let url = format!("{}/api/v2/users/{}/messages", account.api_base, account.id);
    let request = http
        .post(url)
        .basic_auth(
            account.api_user.expose_secret(),
            Some(account.api_password.expose_secret()),
        )
        .json(&message);
    let reply = call::post(http, request, account.timeout, out.now).await?;
    let json = reply.json().unwrap_or_default();
    if reply.status.is_success() {
        let id = any(&json, "/id").filter(|id| is_id(id));
        return BANDWIDTH.taken(&reply, id.map(Into::into), Some(StatusCode::ACCEPTED));
    }
    let (code, words) = (any(&json, "/type"), any(&json, "/description"));
    let said = Said {
        code: code.as_deref(),
        words: words.as_deref(),
    };
    Err(BANDWIDTH.refused(&reply, said, out))
}
