use super::{Account, errors::ACME};
use crate::{Client, Outbound, SendError, Sent, call, failure::Said, inbound::is_id, json::any};
use secrecy::ExposeSecret;
use serde_json::json;

/// <https://sms.acme.example/docs/send>
pub async fn send(http: &Client, account: &Account, out: &Outbound<'_>) -> Result<Sent, SendError> {
    let request = http
        .post(format!("{}/projects/{}/texts", account.api_base, account.project))
        .bearer_auth(account.key.expose_secret())
        .header("idempotency-key", out.message_id.to_string())
        .json(&json!({"from": out.from, "to": out.to, "text": out.body, "report_to": out.receipts_to}));
    let reply = call::post(http, request, account.timeout, out.now).await?;
    let json = reply.json().unwrap_or_default();
    if reply.status.is_success() {
        let id = any(&json, "/id").filter(|id| is_id(id));
        return ACME.taken(&reply, id.map(Into::into), None);
    }
    let (code, words) = (any(&json, "/error"), any(&json, "/message"));
    let said = Said {
        code: code.as_deref(),
        words: words.as_deref(),
    };
    Err(ACME.refused(&reply, said, out))
}
