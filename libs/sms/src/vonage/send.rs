use super::{Account, errors::VONAGE};
use crate::{
    Client, Outbound, SendError, Sent, call,
    failure::Said,
    inbound::{bare, is_id},
    json::any,
};
use ccm_sms_text::segments::{self, Encoding};
use secrecy::ExposeSecret;

/// <https://developer.vonage.com/en/api/sms#send-an-sms>. The answer is 200 whatever came of it; each part of a long text has an
/// id of its own there, and the first one's is kept.
pub async fn send(http: &Client, account: &Account, out: &Outbound<'_>) -> Result<Sent, SendError> {
    let alphabet = match segments::count(out.body.as_str()).encoding {
        Encoding::Gsm7 => "text",
        Encoding::Ucs2 => "unicode",
    };
    let mut form = vec![
        ("api_key", account.api_key.as_str()),
        ("api_secret", account.api_secret.expose_secret()),
        ("from", bare(out.from)),
        ("to", bare(out.to)),
        ("text", out.body.as_str()),
        ("type", alphabet),
    ];
    if let Some(address) = out.receipts_to {
        form.push(("callback", address));
    }
    let request = http.post(format!("{}/sms/json", account.api_base)).form(&form);
    let reply = call::post(http, request, account.timeout, out.now).await?;
    let json = reply.json().unwrap_or_default();
    let code = any(&json, "/messages/0/status");
    match code.as_deref() {
        Some("0") if reply.status.is_success() => {
            let id = any(&json, "/messages/0/message-id").filter(|id| is_id(id));
            VONAGE.taken(&reply, id.map(Into::into), None)
        }
        Some(code) => {
            let words = any(&json, "/messages/0/error-text");
            let said = Said {
                code: Some(code),
                words: words.as_deref(),
            };
            Err(VONAGE.refused(&reply, said, out))
        }
        None if reply.status.is_success() => VONAGE.taken(&reply, None, None),
        None => Err(VONAGE.refused(&reply, Said::default(), out)),
    }
}
