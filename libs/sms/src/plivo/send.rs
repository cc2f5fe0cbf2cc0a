use super::Account;
use crate::{
    Client, Outbound, SendError, Sent, call,
    failure::{Dialect, Said},
    inbound::{bare, is_id},
    json::any,
};
use ::http::StatusCode;
use secrecy::ExposeSecret;
use serde_json::json;

pub const PLIVO: Dialect = Dialect {
    name: "Plivo",
    docs: "https://plivo.com/docs/messaging/troubleshooting/error-codes",
    table: &[],
};

/// <https://www.plivo.com/docs/messaging/api/message/send-a-message>: taken texts are answered with 202 and a list of ids.
pub async fn send(http: &Client, account: &Account, out: &Outbound<'_>) -> Result<Sent, SendError> {
    let mut message = json!({"src": bare(out.from), "dst": bare(out.to), "text": out.body});
    if let Some(address) = out.receipts_to {
        message["url"] = json!(address);
        message["method"] = json!("POST");
    }
    let request = http
        .post(format!(
            "{}/v1/Account/{}/Message/",
            account.api_base, account.auth_id
        ))
        .basic_auth(&account.auth_id, Some(account.auth_token.expose_secret()))
        .json(&message);
    let reply = call::post(http, request, account.timeout, out.now).await?;
    let json = reply.json().unwrap_or_default();
    if reply.status.is_success() {
        let id = any(&json, "/message_uuid/0").filter(|id| is_id(id));
        return PLIVO.taken(&reply, id.map(Into::into), Some(StatusCode::ACCEPTED));
    }
    let words = any(&json, "/error");
    let said = Said {
        code: None,
        words: words.as_deref(),
    };
    Err(PLIVO.refused(&reply, said, out))
}
