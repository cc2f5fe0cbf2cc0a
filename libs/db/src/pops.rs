//! Pages that agents have open: what a page's own address stands for, and what has been written in it.

use crate::{
    DbError, NewText, Operator, TenantDb,
    pace::{Pace, pace},
};
use ccm_model::{Address, AuthKeyId, Id, MessageId, SigningKeyId, TenantId};
use serde_json::Value;
use sqlx::{Postgres, Row, Transaction, postgres::PgRow};
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

/// What a page is opened with.
#[derive(Debug, Clone, Copy)]
pub enum OpenedWith {
    Key(AuthKeyId),
    /// A signed link: `link` is the SHA-256 of its own id. It opens one page.
    Link {
        key: SigningKeyId,
        link: [u8; 32],
    },
}

/// A page to be opened. Deliberately without `Debug`: it names a customer.
pub struct NewPop<'a> {
    pub id: Uuid,
    /// SHA-256 of what stands in the page's address.
    pub token_hash: &'a [u8; 32],
    pub with: OpenedWith,
    pub claims: &'a Value,
    pub form: &'a PopForm,
    /// Whom the form's number reaches, if it is one: the page is forgotten with the person.
    pub customer: Option<&'a Address>,
    pub next_message: MessageId,
    pub expires_at: OffsetDateTime,
}

/// What stands in a page's form. Deliberately without `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct PopForm {
    /// The tenant's number that texts leave from.
    pub sender: Address,
    /// As the agent or the address wrote it.
    pub number: String,
    pub body: String,
    pub order: String,
}

/// An open page. Deliberately without `Debug`.
pub struct PopRow {
    pub id: Uuid,
    pub claims: Value,
    pub form: PopForm,
    /// What the agent is told about the last thing done.
    pub notice: Option<Value>,
    /// What stands for the page's form as it is: a text that is sent from it uses it up.
    pub next_message: MessageId,
    pub expires_at: OffsetDateTime,
}

/// The form that a text is sent from. Deliberately without `Debug`.
pub struct SentForm<'a> {
    pub pop: Uuid,
    /// What is used up, and what stands for the form from then on.
    pub form: MessageId,
    pub next: MessageId,
    /// What then stands in the page, and what its agent is told.
    pub after: &'a PopForm,
    pub notice: &'a Value,
}

/// A text that was sent from a page's form. Deliberately without `Debug`.
pub struct TextOfForm {
    pub from: Address,
    pub to: Address,
    pub body: String,
}

/// Whose page it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PopOwner {
    pub tenant: TenantId,
    pub pop: Uuid,
    /// Of the key that it was opened with: CIDR blocks from which it may be used; none: from anywhere.
    pub networks: Vec<String>,
}

/// What has been written in a page.
#[derive(Clone, Copy)]
pub struct Written<'a> {
    pub form: &'a PopForm,
    /// As in [`NewPop`].
    pub customer: Option<&'a Address>,
}

/// What is to become of a page.
#[derive(Clone, Copy, Default)]
pub struct PopChange<'a> {
    /// In place of what stands in its form; `None`: that stays.
    pub form: Option<Written<'a>>,
    /// In place of what the agent has been told; `None`: that stays.
    pub notice: Option<&'a Value>,
    /// Nothing changes once a text was sent from this form.
    pub unless_sent: Option<MessageId>,
    /// The form that turned out to be used up, and the next one.
    pub used: Option<(MessageId, MessageId)>,
}

/// How long no text may be sent from a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PopWait {
    pub wait: Duration,
    /// The page itself has sent too many; else all of the tenant's pages together.
    pub of_page: bool,
}

/// Texts that one page may send at once after a rest, and how long each then takes.
const AT_ONCE: u32 = 5;
const EACH: Duration = Duration::from_secs(3);

/// Forms of a page of which it is known what was sent from them.
const REMEMBERED: i32 = 20;

const TEXTS: Pace = pace!("screenpop_pace");

pub(crate) const POP_OWNER: &str = "
SELECT s.tenant_id, s.id, k.networks FROM screenpop_session s
JOIN tenant t ON t.id = s.tenant_id AND t.closing_since IS NULL
LEFT JOIN auth_key k ON k.id = s.auth_key_id AND k.tenant_id = s.tenant_id AND k.revoked_at IS NULL
WHERE s.token_hash = $1 AND s.expires_at > $2 AND (s.auth_key_id IS NULL OR k.id IS NOT NULL)";

fn pop(row: &PgRow) -> Result<PopRow, DbError> {
    Ok(PopRow {
        id: row.try_get("id")?,
        claims: row.try_get("claims")?,
        form: PopForm {
            sender: row.try_get::<&str, _>("sender")?.parse()?,
            number: row.try_get("number")?,
            body: row.try_get("body")?,
            order: row.try_get("order_number")?,
        },
        notice: row.try_get("notice")?,
        next_message: MessageId(row.try_get("next_message_id")?),
        expires_at: row.try_get("expires_at")?,
    })
}

impl TenantDb<'_> {
    /// Opens a page. `Conflict` when the link has opened one before.
    pub async fn open_pop(&self, new: &NewPop<'_>, at: OffsetDateTime) -> Result<(), DbError> {
        let (auth_key, signing_key, link) = match new.with {
            OpenedWith::Key(key) => (Some(key.uuid()), None, None),
            OpenedWith::Link { key, link } => (None, Some(key.uuid()), Some(link)),
        };
        let mut tx = self.begin().await?;
        sqlx::query(
            "INSERT INTO screenpop_session (id, tenant_id, token_hash, auth_key_id, signing_key_id, link_hash, claims, sender,
                                            number, customer_address, body, order_number, next_message_id, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        )
        .bind(new.id)
        .bind(self.tenant.uuid())
        .bind(&new.token_hash[..])
        .bind(auth_key)
        .bind(signing_key)
        .bind(link.as_ref().map(|hash| &hash[..]))
        .bind(new.claims)
        .bind(new.form.sender.as_str())
        .bind(&new.form.number)
        .bind(new.customer.map(Address::as_str))
        .bind(&new.form.body)
        .bind(&new.form.order)
        .bind(new.next_message.uuid())
        .bind(at)
        .bind(new.expires_at)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// An open page.
    pub async fn pop(&self, id: Uuid) -> Result<PopRow, DbError> {
        self.one(
            "SELECT id, claims, sender, number, body, order_number, notice, next_message_id, expires_at
             FROM screenpop_session WHERE tenant_id = $1 AND id = $2",
            id,
            "page",
            pop,
        )
        .await
    }

    /// Keeps what has been written in a page, and what its agent is to be told.
    pub async fn change_pop(&self, id: Uuid, change: &PopChange<'_>) -> Result<(), DbError> {
        let (used, next) = change.used.unzip();
        let written = change.form;
        let mut tx = self.begin().await?;
        sqlx::query(
            "UPDATE screenpop_session SET sender = coalesce($3, sender), number = coalesce($4, number),
                    customer_address = CASE WHEN $3 IS NULL THEN customer_address ELSE $5 END,
                    body = coalesce($6, body), order_number = coalesce($7, order_number), notice = coalesce($8, notice),
                    next_message_id = CASE WHEN next_message_id = $9 THEN $10 ELSE next_message_id END
             WHERE tenant_id = $1 AND id = $2 AND ($11::uuid IS NULL OR next_message_id = $11)",
        )
        .bind(self.tenant.uuid())
        .bind(id)
        .bind(written.map(|written| written.form.sender.as_str()))
        .bind(written.map(|written| &written.form.number))
        .bind(written.and_then(|written| written.customer).map(Address::as_str))
        .bind(written.map(|written| &written.form.body))
        .bind(written.map(|written| &written.form.order))
        .bind(change.notice)
        .bind(used.map(Id::uuid))
        .bind(next.map(Id::uuid))
        .bind(change.unless_sent.map(Id::uuid))
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Uses a page's form up for a text. False: a text was sent from it before.
    pub(crate) async fn use_form(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        sent: &SentForm<'_>,
        text: &NewText<'_>,
    ) -> Result<bool, DbError> {
        // The texts of the version before have their form's id.
        let used = sqlx::query(
            "UPDATE screenpop_session SET sender = $4, number = $5, body = $6, order_number = $7, notice = $8, next_message_id = $9,
                    customer_address = $12,
                    sent_forms = (array_prepend($3, sent_forms))[1:$11], sent_texts = (array_prepend($10, sent_texts))[1:$11]
             WHERE tenant_id = $1 AND id = $2 AND next_message_id = $3
               AND NOT EXISTS (SELECT 1 FROM message m WHERE m.tenant_id = $1 AND m.id = $3)",
        )
        .bind(self.tenant.uuid())
        .bind(sent.pop)
        .bind(sent.form.uuid())
        .bind(sent.after.sender.as_str())
        .bind(&sent.after.number)
        .bind(&sent.after.body)
        .bind(&sent.after.order)
        .bind(sent.notice)
        .bind(sent.next.uuid())
        .bind(text.message.uuid())
        .bind(REMEMBERED)
        .bind(text.to.as_str())
        .execute(&mut **tx)
        .await?;
        Ok(used.rows_affected() > 0)
    }

    /// The text that was sent from a page's form, if it is one of the last.
    pub async fn text_of_form(&self, pop: Uuid, form: MessageId) -> Result<Option<TextOfForm>, DbError> {
        let mut tx = self.begin().await?;
        // First by itself: in a join it would be worked out for each of the tenant's texts.
        let text: Option<Uuid> = sqlx::query_scalar(
            "SELECT coalesce(sent_texts[array_position(sent_forms, $3)], $3) FROM screenpop_session
             WHERE tenant_id = $1 AND id = $2",
        )
        .bind(self.tenant.uuid())
        .bind(pop)
        .bind(form.uuid())
        .fetch_optional(&mut *tx)
        .await?;
        let row = sqlx::query(
            "SELECT c.our_address, c.customer_address, m.body FROM message m
             JOIN conversation c ON c.tenant_id = m.tenant_id AND c.id = m.conversation_id
             WHERE m.tenant_id = $1 AND m.id = $2 AND m.direction = 'mt'",
        )
        .bind(self.tenant.uuid())
        .bind(text)
        .fetch_optional(&mut *tx)
        .await?;
        tx.commit().await?;
        row.map(|row| {
            Ok(TextOfForm {
                from: row.try_get::<&str, _>("our_address")?.parse()?,
                to: row.try_get::<&str, _>("customer_address")?.parse()?,
                body: row.try_get("body")?,
            })
        })
        .transpose()
    }

    /// Takes one of the texts that the page, and all of the tenant's pages together (`per_minute`, over all pods), may send.
    /// Otherwise says how long there is none.
    pub async fn take_pop_text(
        &self,
        id: Uuid,
        per_minute: u32,
        now: OffsetDateTime,
    ) -> Result<Option<PopWait>, DbError> {
        let ahead = EACH * (AT_ONCE - 1);
        let mut tx = self.begin().await?;
        let taken = sqlx::query(
            "UPDATE screenpop_session SET next_at = greatest(next_at, $3) + make_interval(secs => $4)
             WHERE tenant_id = $1 AND id = $2 AND next_at <= $5",
        )
        .bind(self.tenant.uuid())
        .bind(id)
        .bind(now)
        .bind(EACH.as_secs_f64())
        .bind(now + ahead)
        .execute(&mut *tx)
        .await?
        .rows_affected();
        if taken == 0 {
            let next: Option<OffsetDateTime> =
                sqlx::query_scalar("SELECT next_at FROM screenpop_session WHERE tenant_id = $1 AND id = $2")
                    .bind(self.tenant.uuid())
                    .bind(id)
                    .fetch_optional(&mut *tx)
                    .await?;
            let next = next.ok_or(DbError::NotFound("page"))?;
            return Ok(Some(PopWait {
                wait: Duration::try_from(next - ahead - now).unwrap_or_default(),
                of_page: true,
            }));
        }
        let wait = TEXTS.take(&mut tx, self.tenant, per_minute, now).await?;
        if wait.is_none() {
            tx.commit().await?;
        }
        Ok(wait.map(|wait| PopWait { wait, of_page: false }))
    }
}

impl Operator<'_> {
    /// Whose page it is whose address has this hash, if it is open and neither its key was revoked nor its tenant is being deleted.
    pub async fn pop_owner(
        &self,
        token_hash: &[u8; 32],
        now: OffsetDateTime,
    ) -> Result<Option<PopOwner>, DbError> {
        let row = sqlx::query(POP_OWNER)
            .bind(&token_hash[..])
            .bind(now)
            .fetch_optional(self.pool())
            .await?;
        row.map(|row| {
            Ok(PopOwner {
                tenant: TenantId(row.try_get("tenant_id")?),
                pop: row.try_get("id")?,
                networks: row.try_get::<Option<_>, _>("networks")?.unwrap_or_default(),
            })
        })
        .transpose()
    }
}
