use super::{Account, errors::INFOBIP};
use crate::{
    Client, Outbound, SendError, Sent, call,
    failure::Said,
    inbound::{bare, is_id},
    json::any,
};
use ::http::header::AUTHORIZATION;
use secrecy::ExposeSecret;
use serde_json::json;

/// <https://www.infobip.com/docs/developer-resources/quickstart>. A text is taken if its status is of the group PENDING or DELIVERED.
pub async fn send(http: &Client, account: &Account, out: &Outbound<'_>) -> Result<Sent, SendError> {
    let message = json!({
        "sender": bare(out.from),
        "destinations": [{"to": bare(out.to), "messageId": out.message_id}],
        "content": {"text": out.body},
    });
    let request = http
        .post(format!("{}/sms/3/messages", account.api_base))
        .header(AUTHORIZATION, format!("App {}", account.api_key.expose_secret()))
        .json(&json!({"messages": [message]}));
    let reply = call::post(http, request, account.timeout, out.now).await?;
    let json = reply.json().unwrap_or_default();
    let group = any(&json, "/messages/0/status/groupName");
    match group.as_deref() {
        Some("PENDING" | "DELIVERED") | None if reply.status.is_success() => {
            let id = any(&json, "/messages/0/messageId").filter(|id| is_id(id));
            INFOBIP.taken(&reply, id.map(Into::into), None)
        }
        code => {
            let words = any(&json, "/messages/0/status/name").or(any(&json, "/description"));
            let said = Said {
                code,
                words: words.as_deref(),
            };
            Err(INFOBIP.refused(&reply, said, out))
        }
    }
}
