use super::problem::{Body, Problem};
use crate::{Account, AccountOptions, Kind, Sim};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// `GET /control/accounts`. Secrets are not shown.
pub async fn list(State(sim): State<Sim>) -> Json<Value> {
    let setup = sim.setup();
    let account = |account: &Account| {
        let (way, url) = match account.kind {
            Kind::Http | Kind::Custom => ("send_url", sim.send_url(&account.name)),
            _ => ("api_base", sim.api_base()),
        };
        json!({
            "kind": account.kind, "name": account.name, "webhook_url": account.webhook_url, way: url,
            "options": sim.options(&account.name),
        })
    };
    let rates = setup
        .numbers
        .keys()
        .filter_map(|number| Some((number, sim.rate(number)?)));
    Json(json!({
        "accounts": setup.accounts.iter().map(account).collect::<Vec<_>>(),
        "numbers": setup.numbers,
        "rates": rates.collect::<BTreeMap<_, _>>(),
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewAccount {
    kind: Kind,
    secret: String,
    #[serde(default)]
    webhook_url: Option<String>,
}

/// `PUT /control/accounts/{name}`
pub async fn set(
    State(sim): State<Sim>,
    Path(name): Path<String>,
    Body(new): Body<NewAccount>,
) -> Result<StatusCode, Problem> {
    let NewAccount {
        kind,
        secret,
        webhook_url,
    } = new;
    sim.set_account(Account {
        kind,
        name,
        secret,
        webhook_url,
    })?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewWebhook {
    url: String,
}

/// `PUT /control/accounts/{name}/webhook`
pub async fn set_webhook(
    State(sim): State<Sim>,
    Path(name): Path<String>,
    Body(new): Body<NewWebhook>,
) -> Result<StatusCode, Problem> {
    sim.set_webhook(&name, &new.url)?;
    Ok(StatusCode::NO_CONTENT)
}

/// `PUT /control/accounts/{name}/options`
pub async fn set_options(
    State(sim): State<Sim>,
    Path(name): Path<String>,
    Body(options): Body<AccountOptions>,
) -> Result<StatusCode, Problem> {
    sim.set_options(&name, options)?;
    Ok(StatusCode::NO_CONTENT)
}
