//! Skillsets of a tenant's AACC.

use crate::{
    DbError, InTheWay, Part, Removal, TenantDb,
    listing::row_of,
    names::{NamingState, names_stay},
    removal::{Removable, referring},
};
use ccm_model::{Id, LinkId, SkillsetId};
use sqlx::{Row, postgres::PgRow};
use time::OffsetDateTime;

/// A skillset of a tenant's AACC.
#[derive(Debug, Clone, PartialEq)]
pub struct SkillsetRow {
    pub id: SkillsetId,
    pub link: LinkId,
    pub name: String,
    pub created_at: OffsetDateTime,
}

pub struct NewSkillset<'a> {
    pub id: SkillsetId,
    pub link: LinkId,
    /// As AACC spells it, such as `WC_Default_Skillset`.
    pub name: &'a str,
}

/// What a skillset is to become.
#[derive(Debug, Clone)]
pub struct SkillsetChange {
    pub link: LinkId,
    pub name: String,
}

/// Which skillsets; `None`: whichever.
#[derive(Debug, Clone, Default)]
pub struct SkillsetFilter {
    pub name: Option<String>,
    pub link: Option<LinkId>,
}

// Columns are named everywhere: under `*`, a migration that adds one would break the statements that are prepared.
macro_rules! skillset_columns {
    () => {
        "id, link_id, name, created_at"
    };
}

const WHAT: &str = "skillset";

const LOCKED: &str = concat!(
    "SELECT ",
    skillset_columns!(),
    " FROM skillset WHERE tenant_id = $1 AND id = $2 FOR UPDATE"
);

const REMOVABLE: Removable<SkillsetRow> = Removable {
    what: WHAT,
    locked: LOCKED,
    read: skillset,
    referring: &[
        (
            "numbers",
            referring!("number WHERE tenant_id = $1 AND skillset_id = $2"),
        ),
        (
            "templates",
            referring!("template WHERE tenant_id = $1 AND skillset_id = $2"),
        ),
    ],
    deletes: &["DELETE FROM skillset WHERE tenant_id = $1 AND id = $2"],
};

fn skillset(row: &PgRow) -> Result<SkillsetRow, DbError> {
    Ok(SkillsetRow {
        id: SkillsetId(row.try_get("id")?),
        link: LinkId(row.try_get("link_id")?),
        name: row.try_get("name")?,
        created_at: row.try_get("created_at")?,
    })
}

impl TenantDb<'_> {
    /// Makes a skillset. `Conflict { missing: true }` when the tenant has no such link.
    pub async fn create_skillset(&self, new: NewSkillset<'_>) -> Result<SkillsetRow, DbError> {
        let mut tx = self.begin().await?;
        let row = sqlx::query(concat!(
            "INSERT INTO skillset (id, tenant_id, link_id, name) VALUES ($1, $2, $3, $4) RETURNING ",
            skillset_columns!()
        ))
        .bind(new.id.uuid())
        .bind(self.tenant.uuid())
        .bind(new.link.uuid())
        .bind(new.name)
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        skillset(&row)
    }

    /// The tenant's skillsets, by name.
    pub async fn skillsets(&self) -> Result<Vec<SkillsetRow>, DbError> {
        self.list(
            concat!(
                "SELECT ",
                skillset_columns!(),
                " FROM skillset WHERE tenant_id = $1 ORDER BY name"
            ),
            skillset,
        )
        .await
    }

    /// A part of the tenant's skillsets, by name.
    pub async fn skillsets_part(
        &self,
        filter: &SkillsetFilter,
        part: &Part,
    ) -> Result<Vec<SkillsetRow>, DbError> {
        self.part(
            concat!(
                "SELECT ",
                skillset_columns!(),
                " FROM skillset WHERE tenant_id = $1 AND ($2::text IS NULL OR (name, id) > ($2, $3))
                   AND ($5::text IS NULL OR name = $5) AND ($6::uuid IS NULL OR link_id = $6)
                 ORDER BY name, id LIMIT $4"
            ),
            part,
            |asked| asked.bind(&filter.name).bind(filter.link.map(Id::uuid)),
            skillset,
        )
        .await
    }

    /// One of the tenant's skillsets.
    pub async fn skillset(&self, id: SkillsetId) -> Result<SkillsetRow, DbError> {
        let sql = concat!(
            "SELECT ",
            skillset_columns!(),
            " FROM skillset WHERE tenant_id = $1 AND id = $2"
        );
        self.one(sql, id.uuid(), WHAT, skillset).await
    }

    /// Changes a skillset to what `change` makes of it; nobody else changes it meanwhile, nor what may name it. `Conflict`
    /// as when one is made.
    pub async fn change_skillset<E: From<DbError>>(
        &self,
        id: SkillsetId,
        named: NamingState,
        change: impl FnOnce(&SkillsetRow) -> Result<SkillsetChange, E>,
    ) -> Result<SkillsetRow, E> {
        let mut tx = self.begin().await?;
        names_stay(&mut tx, self.tenant, named).await?;
        let new = change(&row_of(&mut tx, self.tenant, LOCKED, id.uuid(), WHAT, skillset).await?)?;
        let row = sqlx::query(concat!(
            "UPDATE skillset SET link_id = $3, name = $4 WHERE tenant_id = $1 AND id = $2 RETURNING ",
            skillset_columns!()
        ))
        .bind(self.tenant.uuid())
        .bind(id.uuid())
        .bind(new.link.uuid())
        .bind(&new.name)
        .fetch_one(&mut *tx)
        .await
        .map_err(DbError::from)?;
        tx.commit().await.map_err(DbError::from)?;
        Ok(skillset(&row)?)
    }

    /// Takes a skillset away, if `allowed` and if nothing is in the way; returns what is.
    pub async fn remove_skillset<E: From<DbError>>(
        &self,
        id: SkillsetId,
        removal: Removal,
        allowed: impl FnOnce(&SkillsetRow) -> Result<(), E>,
    ) -> Result<Vec<InTheWay>, E> {
        self.remove(&REMOVABLE, id.uuid(), removal, allowed).await
    }
}
