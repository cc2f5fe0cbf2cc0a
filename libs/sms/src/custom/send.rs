use super::{Account, config::Method, template::fill_json};
use crate::{
    Class, Client, Outbound, SendError, Sent,
    call::{self, Reply},
    failure::{Dialect, Said},
    inbound::is_id,
    json::any,
    outbound::user,
};
use serde_json::Value;
use std::borrow::Cow;

const CUSTOM: Dialect = Dialect {
    name: "the provider",
    docs: "its documentation",
    table: &[],
};

/// Makes the request that the settings describe, and judges its answer as they say.
pub async fn send(http: &Client, account: &Account, out: &Outbound<'_>) -> Result<Sent, SendError> {
    let config = &account.send;
    let mut request = match config.method {
        Method::Post => http.post(account.send_url.clone()),
        Method::Put => http.put(account.send_url.clone()),
    };
    for (name, value) in &config.headers {
        if let Some(value) = value.fill(&account.secrets, out) {
            request = request.header(name, value);
        }
    }
    if let Some(form) = &config.form {
        let fill = |(name, value): (&_, &super::template::Template)| {
            Some((Clone::clone(name), value.fill(&account.secrets, out)?))
        };
        let form: Vec<(String, String)> = form.iter().filter_map(fill).collect();
        request = request.form(&form);
    } else if let Some(json) = &config.json {
        request = request.json(&fill_json(json, &account.secrets, out).unwrap_or_default());
    }
    let reply = call::post(http, request, account.timeout, out.now).await?;
    judge(account, &reply, out)
}

fn judge(account: &Account, reply: &Reply, out: &Outbound<'_>) -> Result<Sent, SendError> {
    let config = &account.send;
    let status = reply.status.as_u16();
    let json = reply.json().unwrap_or(Value::Null);
    let at = |pointer: &Option<String>| -> Option<Cow<'_, str>> { any(&json, pointer.as_ref()?) };
    let status_fits = match config.taken.statuses.as_slice() {
        [] => reply.status.is_success(),
        some => some.contains(&status),
    };
    let says_so = match &config.taken.at {
        None => true,
        Some(pointer) => any(&json, pointer).is_some_and(|said| config.taken.is.iter().any(|is| *is == said)),
    };
    if status_fits && says_so {
        let id = at(&config.id).filter(|id| is_id(id)).map(Into::into);
        return match config.id {
            // A provider without ids: there will be no receipts.
            None => Ok(Sent { provider_id: None }),
            Some(_) => CUSTOM.taken(reply, id, None),
        };
    }
    let (code, words) = (at(&config.code), at(&config.message));
    let said = Said {
        code: code.as_deref(),
        words: words.as_deref(),
    };
    let mut error = CUSTOM.refused(reply, said, out);
    let is_one = |codes: &[String]| said.code.is_some_and(|code| codes.iter().any(|one| one == code));
    if is_one(&config.opted_out_codes) {
        error.class = Class::Terminal;
        error.opted_out = true;
        error.user = user::OPTED_OUT;
        "the customer has opted out at the provider; only the customer can opt in again"
            .clone_into(&mut error.operator);
    } else if config.retry_statuses.contains(&status) || is_one(&config.retry_codes) {
        error.class = Class::Retryable { after: reply.rest };
        error.user = user::LATER;
    } else if reply.status.is_success() && said.code.is_none() {
        // It neither says that it took the text nor why not.
        return CUSTOM.taken(reply, None, None);
    }
    Err(error)
}
