use super::{Account, errors::TELNYX};
use crate::{Client, Outbound, SendError, Sent, call, failure::Said, inbound::is_id, json::any};
use secrecy::ExposeSecret;
use serde_json::json;

/// <https://developers.telnyx.com/docs/messaging/messages/send-message>
pub async fn send(http: &Client, account: &Account, out: &Outbound<'_>) -> Result<Sent, SendError> {
    let mut message = json!({"from": out.from, "to": out.to, "text": out.body});
    if let Some(profile) = &account.messaging_profile_id {
        message["messaging_profile_id"] = json!(profile);
    }
    if let Some(address) = out.receipts_to {
        message["webhook_url"] = json!(address);
    }
    let request = http
        .post(format!("{}/v2/messages", account.api_base))
        .bearer_auth(account.api_key.expose_secret())
        .json(&message);
    let reply = call::post(http, request, account.timeout, out.now).await?;
    let json = reply.json().unwrap_or_default();
    if reply.status.is_success() {
        let id = any(&json, "/data/id").filter(|id| is_id(id));
        return TELNYX.taken(&reply, id.map(Into::into), None);
    }
    let code = any(&json, "/errors/0/code");
    let words = any(&json, "/errors/0/detail").or(any(&json, "/errors/0/title"));
    let said = Said {
        code: code.as_deref(),
        words: words.as_deref(),
    };
    Err(TELNYX.refused(&reply, said, out))
}
