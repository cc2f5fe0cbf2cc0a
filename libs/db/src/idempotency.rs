//! Answers to requests that carried an Idempotency-Key.

use crate::{AccessDb, DbError, Operator, seal::Place};
use ccm_model::Id;
use sqlx::Row;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;
use zeroize::Zeroizing;

/// A request that must be done once.
#[derive(Debug, Clone, Copy)]
pub struct OnceRequest<'a> {
    /// Who asks: a key means something to its sender alone.
    pub actor: &'a str,
    pub key: &'a str,
    /// SHA-256 of method, path, query and body.
    pub fingerprint: &'a [u8; 32],
}

/// What is known of it.
#[derive(Debug)]
pub enum Begun {
    /// It is new: do it, and then say how it ended.
    New,
    /// It is being done at this moment.
    Running,
    /// It was done, and answered with this.
    Done(Zeroizing<Vec<u8>>),
    /// The key came with another request.
    Other,
}

const HASH: &str = "idempotency key";

impl AccessDb<'_> {
    fn key_hash(&self, once: OnceRequest<'_>) -> [u8; 32] {
        let sender_and_key = [once.actor.as_bytes(), b"\0", once.key.as_bytes()].concat();
        self.db.keys.platform_hash(HASH, &sender_and_key)
    }

    /// Notes that a request is being done, unless it is known. One that was begun before `abandoned` and never ended is done anew.
    pub async fn begin_once(
        &self,
        once: OnceRequest<'_>,
        now: OffsetDateTime,
        abandoned: Duration,
    ) -> Result<Begun, DbError> {
        let hash = self.key_hash(once);
        let mut tx = self.begin().await?;
        let taken = sqlx::query(
            "INSERT INTO idempotent_request AS r (tenant_id, key_hash, fingerprint, begun_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (tenant_id, key_hash) DO UPDATE SET begun_at = excluded.begun_at
               WHERE r.answer_sealed IS NULL AND r.begun_at < $5 AND r.fingerprint = excluded.fingerprint",
        )
        .bind(self.owner.uuid())
        .bind(&hash[..])
        .bind(&once.fingerprint[..])
        .bind(now)
        .bind(now - abandoned)
        .execute(&mut *tx)
        .await?;
        if taken.rows_affected() == 1 {
            tx.commit().await?;
            return Ok(Begun::New);
        }
        let row = sqlx::query(
            "SELECT fingerprint, answer_sealed FROM idempotent_request WHERE tenant_id = $1 AND key_hash = $2",
        )
        .bind(self.owner.uuid())
        .bind(&hash[..])
        .fetch_optional(&mut *tx)
        .await?;
        tx.commit().await?;
        // Given up at this very moment: whoever asks again does it.
        let Some(row) = row else {
            return Ok(Begun::Running);
        };
        if row.try_get::<&[u8], _>("fingerprint")? != once.fingerprint {
            return Ok(Begun::Other);
        }
        match row.try_get::<Option<&[u8]>, _>("answer_sealed")? {
            None => Ok(Begun::Running),
            Some(sealed) => Ok(Begun::Done(self.db.keys.platform_open(
                self.owner,
                &place(&hash),
                sealed,
            )?)),
        }
    }

    /// Keeps the answer, sealed.
    pub async fn end_once(&self, once: OnceRequest<'_>, answer: &[u8]) -> Result<(), DbError> {
        let hash = self.key_hash(once);
        let sealed = self.db.keys.platform_seal(self.owner, &place(&hash), answer);
        let mut tx = self.begin().await?;
        sqlx::query(
            "UPDATE idempotent_request SET answer_sealed = $3 WHERE tenant_id = $1 AND key_hash = $2",
        )
        .bind(self.owner.uuid())
        .bind(&hash[..])
        .bind(sealed)
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }

    /// Forgets a request that came to nothing: it may be sent again.
    pub async fn forget_once(&self, once: OnceRequest<'_>) -> Result<(), DbError> {
        let hash = self.key_hash(once);
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM idempotent_request WHERE tenant_id = $1 AND key_hash = $2")
            .bind(self.owner.uuid())
            .bind(&hash[..])
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit().await?)
    }
}

impl Operator<'_> {
    /// Takes away what was begun before `before`; says how many.
    pub async fn forget_requests(&self, before: OffsetDateTime) -> Result<u64, DbError> {
        let gone = sqlx::query("DELETE FROM idempotent_request WHERE begun_at < $1")
            .bind(before)
            .execute(self.pool())
            .await?;
        Ok(gone.rows_affected())
    }
}

/// A sealed answer fits its own request only.
fn place(hash: &[u8; 32]) -> Place<'static> {
    let row = hash.first_chunk::<16>().expect("32 bytes hold 16");
    Place {
        table: "idempotent_request",
        column: "answer_sealed",
        row: Uuid::from_bytes(*row),
    }
}
