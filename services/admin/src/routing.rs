//! Where a tenant's texts go: one document, read and replaced as a whole, and tried without sending a text.

use crate::{
    Deps,
    answer::{Always, Failure, InTenant, Taking},
    conversations::may_read_texts,
    named,
    path::TenantPath,
    routing_document::{DryRun as DryRunShape, DryRunResult, Routing as Shape},
    valid::Refused,
};
use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, header},
};
use ccm_db::{DbError, Names, NumberRow, SkillsetRow, TenantDb};
use ccm_model::{Address, Body};
use ccm_routing::{Facts, Router, RoutingSettings, SettingRefused};
use ccm_web::{Document, Json, Problem, TenantScope, may};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;

/// The document with its ETag.
type Tagged = ([(HeaderName, String); 1], Json<Value>);

/// 0 is that of a tenant that has set nothing.
fn tagged(settings: Value, revision: i64) -> Tagged {
    ([(header::ETAG, format!("\"{revision}\""))], Json(settings))
}

const CHANGED: Failure = Failure::Changed {
    what: "routing settings",
};

/// Which revisions may be replaced, if the caller has said so (RFC 9110, 13.1.1).
fn precondition(headers: &HeaderMap) -> Option<Vec<i64>> {
    let mut asked = headers.get_all(header::IF_MATCH).iter().peekable();
    asked.peek()?;
    let tags = asked.filter_map(|value| value.to_str().ok());
    let tags: Vec<&str> = tags.flat_map(|list| list.split(',').map(str::trim)).collect();
    // There always are settings.
    if tags.contains(&"*") {
        return None;
    }
    let revision = |tag: &&str| tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok();
    Some(tags.iter().filter_map(revision).collect())
}

/// A document that is sent in. Its default holds every field, for the nearest one to be named.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sent(RoutingSettings);

impl Default for Sent {
    fn default() -> Self {
        let interval = json!([{"from": "09:00", "to": "17:00"}]);
        let reply = json!({"words": {"*": ""}});
        let every = json!({
            "calendars": {"*": {"time_zone": "UTC", "weekly": {"monday": interval},
                                "holidays": [{"name": "", "date": "12-25", "hours": interval}]}},
            "lists": {"*": {}},
            "rules": [{
                "name": "",
                "when": {"keyword": {"any_of": []}, "time": {"calendar": "", "is": "open"}, "list": {"name": ""}},
                "action": {"reply": reply, "webhook": {"url": "", "fallback": {"reply": reply}}},
            }],
            "after_hours": [{"calendar": "", "reply": {"*": ""}}],
        });
        Self(serde_json::from_value(every).unwrap_or_default())
    }
}

/// What a tenant has.
struct Known {
    numbers: Vec<NumberRow>,
    skillsets: Vec<SkillsetRow>,
}

impl Known {
    async fn of(db: &TenantDb<'_>) -> Result<Self, DbError> {
        Ok(Self {
            numbers: db.numbers().await?,
            skillsets: db.skillsets().await?,
        })
    }

    /// The number's row; of a short code that several accounts have, the first.
    fn number(&self, address: &Address) -> Option<&NumberRow> {
        self.numbers.iter().find(|number| number.address == *address)
    }

    /// Where texts to the number go if no rule sends them elsewhere.
    fn own_skillset(&self, address: &Address) -> Option<&str> {
        let number = self.number(address)?;
        let skillset = self
            .skillsets
            .iter()
            .find(|skillset| skillset.id == number.skillset);
        skillset.map(|skillset| skillset.name.as_str())
    }
}

/// The skillsets and numbers of the tenant's that routing names.
pub fn names(settings: &RoutingSettings) -> Names {
    let skillsets = settings.skillsets();
    let numbers = settings.numbers();
    Names {
        skillsets: skillsets.map(|(place, name)| (place, name.to_owned())).collect(),
        numbers: numbers.map(|(place, number)| (place, number.clone())).collect(),
    }
}

fn written(settings: &RoutingSettings) -> Result<Value, Failure> {
    Ok(serde_json::to_value(settings).map_err(Problem::internal)?)
}

pub fn stored(document: Value) -> Result<RoutingSettings, DbError> {
    serde_json::from_value(document).map_err(|e| DbError::Corrupt(format!("routing settings: {e}")))
}

/// Read where texts go
///
/// A tenant that has set nothing has an empty document: each number's own skillset, day and night. For the roles
/// platform-admin and engineer, and support with `{"withheld": true}` in place of each list's numbers; tenant-admin and
/// tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/routing", tag = "routing",
    params(TenantPath),
    responses((status = 200, description = "All of it.", body = Shape,
        headers(("ETag" = String, description = "To be given back as `If-Match`."))), Always, InTenant))]
pub async fn get_routing(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
) -> Result<Tagged, Failure> {
    let (settings, revision) = match deps.tenant(&scope).await?.routing().await? {
        Some(row) => (stored(row.settings)?, row.revision),
        None => (RoutingSettings::default(), 0),
    };
    let mut document = written(&settings)?;
    if !may_read_texts(&scope) {
        let lists = document["lists"].as_object_mut().into_iter().flatten();
        lists.for_each(|(_, list)| *list = json!({"withheld": true}));
    }
    Ok(tagged(document, revision))
}

/// Replace where texts go
///
/// What is left out takes its default. What is named must be there: calendars and lists in the document, numbers and skillsets
/// in the tenant. For the roles platform-admin and engineer; tenant-admin in their own tenant.
#[utoipa::path(put, path = "/v1/tenants/{tenant}/routing", tag = "routing",
    params(TenantPath, ("If-Match" = Option<String>, Header,
        description = "The `ETag` of what was read: then nothing is replaced that somebody has changed since.")),
    request_body = Shape,
    responses((status = 200, description = "Replaced.", body = Shape,
        headers(("ETag" = String, description = "Of what is stored now."))),
        (status = 412, description = "It was changed since `If-Match` was read. Nothing was replaced.",
            body = Problem, content_type = "application/problem+json"),
        Always, InTenant, Taking))]
pub async fn put_routing(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    headers: HeaderMap,
    Document(Sent(new)): Document<Sent>,
) -> Result<Tagged, Failure> {
    new.check().map_err(Refused::from)?;
    let db = deps.tenant(&scope).await?;
    let document = written(&new)?;
    let names = names(&new);
    let only_of = precondition(&headers);
    let put = db.put_routing(&document, &names, only_of.as_deref()).await;
    let put = named::checked(&db, &names, put).await?;
    let revision = put.ok_or(CHANGED)?;
    deps.changed(scope.tenant, "routing", scope.tenant, &scope.bearer.sub);
    Ok(tagged(document, revision))
}

/// A text that has not been sent. Its default holds every field.
#[derive(Serialize, Deserialize)]
pub struct DryRun {
    to: Address,
    from: Address,
    text: Body,
    #[serde(default)]
    language: Option<String>,
    #[serde(default, with = "crate::moment::option")]
    at: Option<OffsetDateTime>,
    #[serde(default)]
    settings: Option<Sent>,
}

impl Default for DryRun {
    fn default() -> Self {
        Self {
            to: Address::ShortCode(String::new()),
            from: Address::ShortCode(String::new()),
            text: Body::new("").expect("an empty text is one"),
            language: None,
            at: None,
            settings: Some(Sent::default()),
        }
    }
}

/// Say where a text would go, and why
///
/// Nothing is sent, stored or logged, and no webhook is called. For the roles platform-admin, engineer and support;
/// tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/routing/dry-run", tag = "routing",
    params(TenantPath),
    request_body = DryRunShape,
    responses((status = 200, description = "What would happen.", body = DryRunResult), Always, InTenant, Taking))]
pub async fn dry_run_routing(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
    Document(asked): Document<DryRun>,
) -> Result<Json<DryRunResult>, Failure> {
    let db = deps.tenant(&scope).await?;
    let known = Known::of(&db).await?;
    let tried = asked.settings.is_some();
    let settings = match asked.settings {
        Some(Sent(settings)) => settings,
        None => match db.routing().await? {
            Some(row) => stored(row.settings)?,
            None => RoutingSettings::default(),
        },
    };
    let router = Router::new(&settings).map_err(|refused| unusable(tried, refused))?;
    if tried {
        named::holds(&names(&settings), &known.skillsets, &known.numbers).map_err(within_settings)?;
    }
    let own_skillset = known.own_skillset(&asked.to).ok_or_else(|| {
        Refused::new(
            "to",
            "is not a number of this tenant",
            "write one of those that GET …/numbers lists",
        )
    })?;
    let (chats, _) = db.settings::<ccm_model::ChatSettings>().await?;
    let facts = Facts {
        to: &asked.to,
        from: &asked.from,
        text: asked.text.as_str(),
        language: asked.language.as_deref().unwrap_or(&chats.language),
        tenant_language: &chats.language,
        own_skillset,
        now: asked.at.unwrap_or_else(|| deps.ids.clock().now()),
        held: None,
    };
    let explained = router.explain(&facts);
    let skillset = router.comes_to(&explained.decision.action, &facts);
    Ok(Json(DryRunResult::new(explained, skillset, &settings, facts.now)))
}

/// What is sent in is refused; what is stored was checked once, and is broken.
fn unusable(tried: bool, refused: SettingRefused) -> Failure {
    match tried {
        true => within_settings(Refused::from(refused)).into(),
        false => DbError::Corrupt(format!("routing settings: {refused}")).into(),
    }
}

fn within_settings(refused: Refused) -> Refused {
    Refused {
        field: format!("settings.{}", refused.field).into(),
        ..refused
    }
}
