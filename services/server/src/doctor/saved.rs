//! A link as it is saved.

use super::DoctorRequest;
use crate::roles;
use anyhow::{Context, Result, bail};
use ccm_db::{Db, LinkRow};
use ccm_doctor::Plan;
use ccm_model::TenantId;
use ccm_runtime::Config;

const PAGE: i64 = 500;

pub async fn plan(request: &DoctorRequest, tenant: &str, config: &Config) -> Result<Plan> {
    let db = roles::database(config)?;
    let tenant_id = find_tenant(&db, tenant).await?;
    let rows = db.tenant(tenant_id);
    let link = choose(rows.links().await?, request.link.as_deref(), tenant)?;
    let mut skillsets = request.skillset.clone();
    if skillsets.is_empty() {
        let of_link = rows
            .skillsets()
            .await?
            .into_iter()
            .filter(|row| row.link == link.id);
        skillsets = of_link.map(|row| row.name).collect();
    }
    let secrets = rows.link_secrets(link.id).await?;
    let (primary, secondary) = ccm_connector::targets(&link, &secrets, None);
    Ok(Plan {
        ping_every: config.connector.ping,
        secondary,
        ..request.plan_for(primary, skillsets)
    })
}

async fn find_tenant(db: &Db, wanted: &str) -> Result<TenantId> {
    if let Ok(id) = wanted.parse::<TenantId>() {
        return Ok(db
            .tenant(id)
            .tenant()
            .await
            .with_context(|| format!("tenant {wanted}"))?
            .id);
    }
    let mut after = None;
    loop {
        let page = db.operator().tenants(after, PAGE).await?;
        if let Some(found) = page.iter().find(|tenant| tenant.slug == wanted) {
            return Ok(found.id);
        }
        after = match page.last() {
            Some(last) => Some(last.id),
            None => bail!("there is no tenant {wanted:?}; give its slug or id"),
        };
    }
}

fn choose(links: Vec<LinkRow>, name: Option<&str>, tenant: &str) -> Result<LinkRow> {
    let names = links
        .iter()
        .map(|link| link.name.clone())
        .collect::<Vec<_>>()
        .join(", ");
    let mut fitting = links
        .into_iter()
        .filter(|link| name.is_none_or(|name| link.name == name));
    match (fitting.next(), fitting.next()) {
        (Some(link), None) => Ok(link),
        (None, _) => bail!("tenant {tenant} has no such link; it has: {names}"),
        (Some(_), Some(_)) => bail!("tenant {tenant} has several links; name one with --link: {names}"),
    }
}
