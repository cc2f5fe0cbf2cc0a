//! Texts that agents send again and again.

#![allow(
    unused_qualifications,
    reason = "utoipa's macro qualifies the types of paths and queries"
)]

use crate::{
    Deps,
    answer::{Always, Failure, Gone, InTenant, Made, Making, Taking},
    patch::given,
    path::{TemplatePath, TenantPath},
    query,
    schema::one_of,
    tagged::{Guarded, IfMatch, IfMatchHeader, Tagged, content_tag, with_tag},
    text_check::TextCost,
    valid::{self, Refused},
};
use axum::extract::State;
use ccm_db::{DbError, TemplateFilter, TemplateRow, TemplateScope, TenantDb};
use ccm_model::{SkillsetId, TEMPLATE_FIELDS, template_fields};
use ccm_web::{Cursor, Json, Page, Path, Query, TenantScope, may};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema, openapi::schema::Object};
use uuid::Uuid;

const WHAT: &str = "template";
const MOST_CHARACTERS: usize = 1600;

/// Who sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Scope {
    Tenant,
    Skillset,
    Personal,
}

impl Scope {
    fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Skillset => "skillset",
            Self::Personal => "personal",
        }
    }
}

fn scope() -> Object {
    one_of(
        "Who sees it: every agent of the `tenant`, those of a `skillset`, or one (`personal`).",
        ["tenant", "skillset", "personal"].into_iter(),
    )
}

/// A template to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "Order on its way",
    "text": "Hello, this is {agent}. Your order {order} is on its way.",
    "scope": "tenant",
    "language": "en"
}))]
pub struct NewTemplate {
    /// For agents; unique beside the same scope and language.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// With fields in braces that are filled in when it is used: `{agent}` (the agent's name), `{caller}` (the number that is
    /// texted), `{number}` (the number that it leaves from), `{skillset}` and `{order}` (what the agent types in). Lower-case letters in
    /// braces that are none of these are refused; other braces are text.
    #[schema(min_length = 1, max_length = 1600)]
    text: String,
    #[schema(schema_with = scope)]
    scope: Scope,
    /// With `skillset`: whose agents.
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    skillset_id: Option<SkillsetId>,
    /// With `personal`: the agent's name, as it stands in the page's address. Nobody has verified it: it keeps lists apart, and keeps
    /// nothing secret.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 100)]
    agent: Option<String>,
    /// A tag such as `en` or `de-AT`. Left out: any.
    #[serde(default)]
    #[schema(min_length = 2, max_length = 35)]
    language: Option<String>,
}

/// What is to change of a template; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"text": "Hello, {agent} here. Your order {order} has left us."}))]
pub struct TemplatePatch {
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, min_length = 1, max_length = 100, required = false)]
    name: Option<String>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, min_length = 1, max_length = 1600, required = false)]
    text: Option<String>,
    /// What belongs to the scope before it (`skillset_id`, `agent`) goes with it.
    #[serde(default, deserialize_with = "given")]
    #[schema(schema_with = scope, required = false)]
    scope: Option<Scope>,
    /// With `skillset`: whose agents.
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    skillset_id: Option<SkillsetId>,
    /// With `personal`: the agent's name.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 100)]
    agent: Option<String>,
    /// `null`: any.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, min_length = 2, max_length = 35)]
    language: Option<Option<String>>,
}

/// Which templates, and which page of them.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct TemplateQuery {
    /// Those of this name.
    name: Option<String>,
    /// Those of this scope: `tenant`, `skillset` or `personal`.
    #[param(value_type = Option<String>, example = "skillset")]
    scope: Option<Scope>,
    /// Those of this skillset.
    #[param(value_type = Option<Uuid>)]
    skillset: Option<SkillsetId>,
    /// Those of this agent.
    agent: Option<String>,
    /// Those in this language, as the tag was given.
    language: Option<String>,
    /// How many items at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
}

/// A text that agents send again and again.
#[derive(Debug, Serialize, ToSchema)]
pub struct Template {
    id: Uuid,
    #[schema(example = "Order on its way")]
    name: String,
    #[schema(example = "Hello, this is {agent}. Your order {order} is on its way.")]
    text: String,
    #[schema(schema_with = scope)]
    scope: Scope,
    /// `null`: it is not a skillset's.
    #[schema(value_type = Option<Uuid>, required)]
    skillset_id: Option<SkillsetId>,
    /// `null`: it is not one agent's.
    #[schema(required)]
    agent: Option<String>,
    /// `null`: any.
    #[schema(required, example = "en")]
    language: Option<String>,
    /// What is filled in when it is used, in the order of the text, each once.
    #[schema(example = json!(["agent", "order"]))]
    fields: Vec<String>,
    /// What the text costs as it is written here: what is filled in can make it longer.
    cost: TextCost,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    updated_at: OffsetDateTime,
}

impl From<TemplateRow> for Template {
    fn from(row: TemplateRow) -> Self {
        let template = row.template;
        let mut fields = Vec::new();
        for field in template_fields(&template.body) {
            if !fields.iter().any(|one| one == field) {
                fields.push(field.to_owned());
            }
        }
        let (scope, skillset_id, agent) = match template.scope {
            TemplateScope::Tenant => (Scope::Tenant, None, None),
            TemplateScope::Skillset(id) => (Scope::Skillset, Some(id), None),
            TemplateScope::Personal(agent) => (Scope::Personal, None, Some(agent)),
        };
        Self {
            id: row.id,
            name: template.name,
            cost: TextCost::of(&template.body),
            text: template.body,
            scope,
            skillset_id,
            agent,
            language: template.language,
            fields,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

impl NewTemplate {
    fn check(self) -> Result<ccm_db::Template, Refused> {
        valid::name("name", &self.name, 100)?;
        text(&self.text)?;
        if let Some(tag) = &self.language {
            language(tag)?;
        }
        Ok(ccm_db::Template {
            name: self.name,
            body: self.text,
            scope: scoped(self.scope, self.skillset_id, self.agent)?,
            language: self.language,
        })
    }
}

fn text(text: &str) -> Result<(), Refused> {
    let refused = |problem: String, remedy| Err(Refused::new("text", problem, remedy));
    if text.trim().is_empty() {
        return refused("is empty".to_owned(), "write what the customer is to read");
    }
    if text.chars().count() > MOST_CHARACTERS {
        return refused(
            format!("is longer than {MOST_CHARACTERS} characters"),
            "shorten it, or make two of it",
        );
    }
    if text.contains('\0') {
        return refused("holds a NUL character".to_owned(), "take it out");
    }
    match template_fields(text).find(|field| !TEMPLATE_FIELDS.contains(field)) {
        None => Ok(()),
        Some(field) => refused(
            format!("has {{{field}}}, which nobody fills in"),
            "write one of {agent}, {caller}, {number}, {skillset}, {order}, or leave the braces out",
        ),
    }
}

fn language(tag: &str) -> Result<(), Refused> {
    let part = |p: &str| (1..=8).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphanumeric());
    if (2..=35).contains(&tag.len()) && tag.split('-').all(part) {
        return Ok(());
    }
    Err(Refused::new(
        "language",
        "is no language tag",
        "write one such as en or de-AT",
    ))
}

fn scoped(
    scope: Scope,
    skillset: Option<SkillsetId>,
    agent: Option<String>,
) -> Result<TemplateScope, Refused> {
    let missing = |field: &'static str, remedy| Err(Refused::new(field, "is missing", remedy));
    let surplus = |field: &'static str, remedy| Err(Refused::new(field, "does not fit the scope", remedy));
    match (scope, skillset, agent) {
        (Scope::Tenant, None, None) => Ok(TemplateScope::Tenant),
        (Scope::Skillset, Some(id), None) => Ok(TemplateScope::Skillset(id)),
        (Scope::Personal, None, Some(agent)) => {
            valid::name("agent", &agent, 100)?;
            Ok(TemplateScope::Personal(agent))
        }
        (Scope::Skillset, None, None) => missing("skillset_id", "say whose agents see it"),
        (Scope::Personal, None, None) => missing("agent", "say which agent sees it"),
        (Scope::Tenant | Scope::Personal, Some(_), _) => {
            surplus("skillset_id", "leave it out, or make the scope skillset")
        }
        (_, _, Some(_)) => surplus("agent", "leave it out, or make the scope personal"),
    }
}

impl TemplatePatch {
    fn apply(&self, was: &TemplateRow) -> Result<ccm_db::Template, Refused> {
        let kept = Template::from(was.clone());
        let stays = self.scope.is_none_or(|scope| scope == kept.scope);
        let template = NewTemplate {
            name: self.name.clone().unwrap_or(kept.name),
            text: self.text.clone().unwrap_or(kept.text),
            scope: self.scope.unwrap_or(kept.scope),
            skillset_id: self.skillset_id.or(kept.skillset_id.filter(|_| stays)),
            agent: self.agent.clone().or(kept.agent.filter(|_| stays)),
            language: self.language.clone().unwrap_or(kept.language),
        };
        template.check()
    }
}

fn answer(row: TemplateRow) -> Tagged<Template> {
    let tag = tag(&row);
    with_tag(row.into(), tag)
}

fn tag(row: &TemplateRow) -> String {
    content_tag(&Template::from(row.clone()))
}

async fn conflict(
    db: &TenantDb<'_>,
    missing: bool,
    new: Option<&ccm_db::Template>,
) -> Result<Failure, DbError> {
    if missing {
        return Ok(Failure::unknown(
            "skillset_id",
            "skillset",
            "GET …/skillsets lists them",
        ));
    }
    let filter = TemplateFilter {
        name: new.map(|new| new.name.clone()),
        ..TemplateFilter::default()
    };
    let of_name = db.templates_part(&filter, &query::FIRST_PART).await?;
    let mut of_name = of_name.into_iter();
    let taken = of_name.find(|row| {
        new.is_some_and(|new| row.template.scope == new.scope && row.template.language == new.language)
    });
    Ok(Failure::exists(WHAT, "name", taken.map(|row| row.id)))
}

/// Make a template
///
/// For the roles platform-admin and engineer; tenant-admin in their own tenant.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/templates", tag = "templates",
    params(TenantPath),
    responses((status = 201, description = "Made.", body = Template), Always, InTenant, Making, Taking))]
pub async fn create_template(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Json(new): Json<NewTemplate>,
) -> Result<Made<Template>, Failure> {
    let new = new.check()?;
    let db = deps.tenant(&scope).await?;
    let row = match db.create_template(deps.ids.next(), &new).await {
        Err(DbError::Conflict { missing, .. }) => return Err(conflict(&db, missing, Some(&new)).await?),
        made => made?,
    };
    deps.made(scope.tenant, WHAT, row.id, &scope.bearer.sub);
    Ok(Made(row.into()))
}

/// List the templates, by name
///
/// For the roles platform-admin, engineer and support; tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/templates", tag = "templates",
    params(TenantPath, TemplateQuery),
    responses((status = 200, description = "One page.", body = Page<Template>), Always, InTenant))]
pub async fn list_templates(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
    Query(query): Query<TemplateQuery>,
) -> Result<Json<Page<Template>>, Failure> {
    let (limit, part) = query::part(query.limit, query.cursor.as_ref())?;
    let filter = TemplateFilter {
        name: query.name,
        scope: query.scope.map(Scope::as_str),
        skillset: query.skillset,
        agent: query.agent,
        language: query.language,
    };
    let rows = deps.tenant(&scope).await?.templates_part(&filter, &part).await?;
    let items = rows.into_iter().map(Template::from).collect();
    Ok(Json(Page::cut(items, limit, |one: &Template| {
        (one.name.clone(), one.id)
    })))
}

/// Read a template
///
/// For the roles platform-admin, engineer and support; tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/templates/{template}", tag = "templates",
    params(TemplatePath),
    responses((status = 200, description = "The template.", body = Template,
        headers(("ETag" = String, description = "To be given back as `If-Match`."))), Always, InTenant))]
pub async fn get_template(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
    Path(path): Path<TemplatePath>,
) -> Result<Tagged<Template>, Failure> {
    Ok(answer(deps.tenant(&scope).await?.template(path.template).await?))
}

/// Change a template
///
/// A merge patch (RFC 7396). For the roles platform-admin and engineer; tenant-admin in their own tenant.
#[utoipa::path(patch, path = "/v1/tenants/{tenant}/templates/{template}", tag = "templates",
    params(TemplatePath, IfMatchHeader),
    responses((status = 200, description = "Changed.", body = Template,
        headers(("ETag" = String, description = "Of what is stored now."))),
        Always, InTenant, Making, Taking, Guarded))]
pub async fn patch_template(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Path(path): Path<TemplatePath>,
    unless: IfMatch,
    Json(patch): Json<TemplatePatch>,
) -> Result<Tagged<Template>, Failure> {
    let db = deps.tenant(&scope).await?;
    let mut wanted = None;
    let changed = db
        .change_template(path.template, |was| {
            unless.check(WHAT, &tag(was))?;
            let new = patch.apply(was)?;
            wanted = Some(new.clone());
            Ok::<_, Failure>(new)
        })
        .await;
    let row = match changed {
        Err(Failure::Db(DbError::Conflict { missing, .. })) => {
            return Err(conflict(&db, missing, wanted.as_ref()).await?);
        }
        changed => changed?,
    };
    deps.changed(scope.tenant, WHAT, row.id, &scope.bearer.sub);
    Ok(answer(row))
}

/// Delete a template
///
/// For the roles platform-admin and engineer; tenant-admin in their own tenant.
#[utoipa::path(delete, path = "/v1/tenants/{tenant}/templates/{template}", tag = "templates",
    params(TemplatePath, IfMatchHeader),
    responses((status = 204, description = "It is gone."), Always, InTenant, Guarded))]
pub async fn delete_template(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    Path(path): Path<TemplatePath>,
    unless: IfMatch,
) -> Result<Gone, Failure> {
    let db = deps.tenant(&scope).await?;
    db.delete_template(path.template, |was| unless.check(WHAT, &tag(was)))
        .await?;
    deps.removed(scope.tenant, WHAT, path.template, &scope.bearer.sub);
    Ok(Gone)
}
