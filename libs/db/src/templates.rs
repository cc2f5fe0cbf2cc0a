//! Templates of texts that agents send.

use crate::{DbError, Part, TenantDb, listing::row_of};
use ccm_model::{Id, SkillsetId};
use sqlx::{Postgres, Row, Transaction, postgres::PgRow};
use time::OffsetDateTime;
use uuid::Uuid;

/// Who sees a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplateScope {
    Tenant,
    Skillset(SkillsetId),
    /// The agent of this name, as a page's address claims it.
    Personal(String),
}

impl TemplateScope {
    fn as_str(&self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Skillset(_) => "skillset",
            Self::Personal(_) => "personal",
        }
    }

    fn skillset(&self) -> Option<Uuid> {
        match self {
            Self::Skillset(id) => Some(id.uuid()),
            _ => None,
        }
    }

    fn agent(&self) -> Option<&str> {
        match self {
            Self::Personal(agent) => Some(agent),
            _ => None,
        }
    }
}

/// What a template says, to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Unique with scope and language.
    pub name: String,
    /// 1 to 1600 characters.
    pub body: String,
    pub scope: TemplateScope,
    pub language: Option<String>,
}

/// A tenant's template.
#[derive(Debug, Clone, PartialEq)]
pub struct TemplateRow {
    pub id: Uuid,
    pub template: Template,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
}

/// Which templates; `None`: whichever.
#[derive(Debug, Clone, Default)]
pub struct TemplateFilter {
    pub name: Option<String>,
    pub scope: Option<&'static str>,
    pub skillset: Option<SkillsetId>,
    pub agent: Option<String>,
    pub language: Option<String>,
}

macro_rules! columns {
    () => {
        "id, name, body, scope, skillset_id, agent, language, created_at, updated_at"
    };
}

const WHAT: &str = "template";

const LOCKED: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM template WHERE tenant_id = $1 AND id = $2 FOR UPDATE"
);

fn template(row: &PgRow) -> Result<TemplateRow, DbError> {
    let corrupt = || DbError::Corrupt("a template's scope".to_owned());
    let scope = match row.try_get("scope")? {
        "tenant" => TemplateScope::Tenant,
        "skillset" => {
            let id: Option<Uuid> = row.try_get("skillset_id")?;
            TemplateScope::Skillset(SkillsetId(id.ok_or_else(corrupt)?))
        }
        "personal" => TemplateScope::Personal(row.try_get::<Option<_>, _>("agent")?.ok_or_else(corrupt)?),
        _ => return Err(corrupt()),
    };
    Ok(TemplateRow {
        id: row.try_get("id")?,
        template: Template {
            name: row.try_get("name")?,
            body: row.try_get("body")?,
            scope,
            language: row.try_get("language")?,
        },
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}

impl TenantDb<'_> {
    /// Makes a template. `Conflict { missing: true }` when the tenant has no such skillset, `Conflict` when there is one of the
    /// same name, scope and language.
    pub async fn create_template(&self, id: Uuid, new: &Template) -> Result<TemplateRow, DbError> {
        let sql = concat!(
            "INSERT INTO template (id, tenant_id, name, body, scope, skillset_id, agent, language)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING ",
            columns!()
        );
        let mut tx = self.begin().await?;
        let row = self.write_template(&mut tx, sql, id, new).await?;
        tx.commit().await?;
        Ok(row)
    }

    /// Changes a template to what `change` makes of it; nobody else changes it meanwhile. `Conflict` as when one is made.
    pub async fn change_template<E: From<DbError>>(
        &self,
        id: Uuid,
        change: impl FnOnce(&TemplateRow) -> Result<Template, E>,
    ) -> Result<TemplateRow, E> {
        let sql = concat!(
            "UPDATE template SET name = $3, body = $4, scope = $5, skillset_id = $6, agent = $7, language = $8,
                    updated_at = clock_timestamp()
             WHERE id = $1 AND tenant_id = $2 RETURNING ",
            columns!()
        );
        let mut tx = self.begin().await?;
        let new = change(&row_of(&mut tx, self.tenant, LOCKED, id, WHAT, template).await?)?;
        let row = self.write_template(&mut tx, sql, id, &new).await?;
        tx.commit().await.map_err(DbError::from)?;
        Ok(row)
    }

    async fn write_template(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        sql: &'static str,
        id: Uuid,
        new: &Template,
    ) -> Result<TemplateRow, DbError> {
        let row = sqlx::query(sql)
            .bind(id)
            .bind(self.tenant.uuid())
            .bind(&new.name)
            .bind(&new.body)
            .bind(new.scope.as_str())
            .bind(new.scope.skillset())
            .bind(new.scope.agent())
            .bind(&new.language)
            .fetch_one(&mut **tx)
            .await?;
        template(&row)
    }

    /// A part of the tenant's templates, by name.
    pub async fn templates_part(
        &self,
        filter: &TemplateFilter,
        part: &Part,
    ) -> Result<Vec<TemplateRow>, DbError> {
        self.part(
            concat!(
                "SELECT ",
                columns!(),
                " FROM template WHERE tenant_id = $1 AND ($2::text IS NULL OR (name, id) > ($2, $3))
                   AND ($5::text IS NULL OR name = $5) AND ($6::text IS NULL OR scope = $6)
                   AND ($7::uuid IS NULL OR skillset_id = $7) AND ($8::text IS NULL OR agent = $8)
                   AND ($9::text IS NULL OR language = $9)
                 ORDER BY name, id LIMIT $4"
            ),
            part,
            |asked| {
                asked
                    .bind(&filter.name)
                    .bind(filter.scope)
                    .bind(filter.skillset.map(Id::uuid))
                    .bind(&filter.agent)
                    .bind(&filter.language)
            },
            template,
        )
        .await
    }

    /// The tenant's templates that an agent sees on a call of this skillset: the agent's own, the skillset's, everybody's; by name.
    pub async fn templates_for(
        &self,
        skillset: Option<SkillsetId>,
        agent: Option<&str>,
    ) -> Result<Vec<TemplateRow>, DbError> {
        let asked = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM template WHERE tenant_id = $1 AND (scope = 'tenant' OR skillset_id = $2 OR agent = $3)
             ORDER BY name, id LIMIT 200"
        ))
        .bind(self.tenant.uuid())
        .bind(skillset.map(Id::uuid))
        .bind(agent);
        self.rows(asked, template).await
    }

    /// One of the tenant's templates.
    pub async fn template(&self, id: Uuid) -> Result<TemplateRow, DbError> {
        let sql = concat!(
            "SELECT ",
            columns!(),
            " FROM template WHERE tenant_id = $1 AND id = $2"
        );
        self.one(sql, id, WHAT, template).await
    }

    /// Takes a template away, if `allowed`.
    pub async fn delete_template<E: From<DbError>>(
        &self,
        id: Uuid,
        allowed: impl FnOnce(&TemplateRow) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut tx = self.begin().await?;
        allowed(&row_of(&mut tx, self.tenant, LOCKED, id, WHAT, template).await?)?;
        sqlx::query("DELETE FROM template WHERE tenant_id = $1 AND id = $2")
            .bind(self.tenant.uuid())
            .bind(id)
            .execute(&mut *tx)
            .await
            .map_err(DbError::from)?;
        tx.commit().await.map_err(DbError::from)?;
        Ok(())
    }
}
