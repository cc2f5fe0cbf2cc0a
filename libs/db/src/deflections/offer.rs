//! Making offers. The tenant's limits hold over all pods: those of a tenant are made one after the other.

use super::{DeflectionRow, columns, deflection};
use crate::{
    DbError, NewText, NotTexted, Operator, TenantDb, TextKind, Texted, derived_id, outbox::Because,
    storable::storable,
};
use ccm_model::{
    Address, Body, ConversationId, DeflectionId, DeflectionState, Id, MessageId, Origin, TenantId,
};
use serde_json::{Value, json};
use sqlx::{Postgres, Row, Transaction};
use std::fmt;
use time::{Duration, OffsetDateTime};

/// What a script says about a caller. Deliberately without `Debug`.
#[derive(Clone)]
pub struct NewDeflection {
    pub id: DeflectionId,
    pub our_address: Option<Address>,
    pub customer_address: Option<Address>,
    pub skillset: String,
    pub voice_skillset: String,
    pub language: String,
    pub contact: Option<String>,
    pub waited_s: i32,
    pub priority: Option<String>,
    pub name: Option<String>,
    pub context: Value,
}

/// The text that offers a chat.
pub struct NewOffer<'a> {
    pub message: MessageId,
    /// The conversation's id if the offer opens one.
    pub conversation: ConversationId,
    pub from: &'a Address,
    pub to: &'a Address,
    pub body: &'a Body,
    /// What the chat is opened with.
    pub about: &'a Value,
    pub token_hash: Option<&'a [u8; 32]>,
    pub answer_within: Duration,
}

/// How many offers are made.
#[derive(Debug, Clone, Copy)]
pub struct OfferBounds {
    /// To one caller …
    pub per_caller: i64,
    /// … within so long.
    pub within: Duration,
    /// By the tenant in a minute.
    pub per_minute: i64,
}

/// Why no offer was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The number cannot be texted.
    NoSms,
    OptedOut,
    /// AACC has nobody for it.
    NoAgents,
    /// Outside of business hours.
    Closed,
    /// The caller has had as many offers as the tenant allows.
    OfferedRecently,
    /// The tenant's callers have, in this minute.
    Limit,
    /// The number can be read as one of the tenant's country and as one of another.
    Ambiguous,
    /// It cannot be known or done now.
    Unavailable,
}

impl Refusal {
    pub const ALL: [Self; 8] = [
        Self::NoSms,
        Self::OptedOut,
        Self::NoAgents,
        Self::Closed,
        Self::OfferedRecently,
        Self::Limit,
        Self::Ambiguous,
        Self::Unavailable,
    ];

    /// As scripts branch on it; a metric's label too.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoSms => "no_sms",
            Self::OptedOut => "opted_out",
            Self::NoAgents => "no_agents",
            Self::Closed => "closed",
            Self::OfferedRecently => "offered_recently",
            Self::Limit => "limit",
            Self::Ambiguous => "ambiguous",
            Self::Unavailable => "unavailable",
        }
    }

    /// What is not one of these was written by a newer version.
    pub fn parse(raw: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|refusal| refusal.as_str() == raw)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What became of an offer.
#[derive(Debug)]
pub enum Offered {
    /// It is in the line to the phone: dispatch is to be woken, and the connector where agents are told of it.
    Made(Texted),
    /// It was made for this call before.
    Before(Box<DeflectionRow>),
    Refused(Refusal),
}

/// What a click on an offer's link came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clicked {
    /// The chat is to be opened: the connector is to be woken.
    Now(ConversationId),
    /// It was answered before.
    Before,
    /// The offer is over.
    Over,
    /// The caller has opted out since, or the tenant's texts are not carried now: no agent could answer.
    NotTextable,
}

/// The author of the text that a click stands for.
const LINK: &str = "deflection_link";
/// The author of the note for agents who chat with the caller already.
const NOTE: &str = "deflection_note";
/// The reason of an offer that ended because the caller got another one.
const OFFERED_AGAIN: &str = "offered_again";
const NEWER: Because = Because {
    code: "ccm:withdrawn",
    detail: "the caller was offered a chat again before this had left",
};

pub(crate) const OF_CONTACT: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM deflection WHERE tenant_id = $1 AND contact_id = $2 AND asked_at > $3
        AND customer_address IS NOT DISTINCT FROM $4 ORDER BY id DESC LIMIT 1"
);

const INSERT: &str = "
INSERT INTO deflection (id, tenant_id, state, reason, our_address, customer_address, skillset, voice_skillset, language, contact_id,
                        waited_s, priority, name, context, conversation_id, message_id, token_hash, asked_at, expires_at, due_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)";

/// Offers to the caller since a moment, and of the tenant since another, as far as the limits count.
pub(crate) const COUNTS: &str = "
SELECT (SELECT count(*) FROM (
          SELECT 1 FROM deflection WHERE tenant_id = $1 AND customer_address = $2 AND asked_at > $3 AND state <> 'refused'
          LIMIT $4) AS theirs) AS of_caller,
       (SELECT count(*) FROM deflection WHERE tenant_id = $1 AND asked_at > $5 AND state <> 'refused') AS of_tenant";

impl TenantDb<'_> {
    /// What the last script that named this call of this caller was told since then.
    pub async fn deflection_of_contact(
        &self,
        contact: &str,
        caller: Option<&Address>,
        since: OffsetDateTime,
    ) -> Result<Option<DeflectionRow>, DbError> {
        let mut tx = self.begin().await?;
        let found = self.of_contact(&mut tx, contact, caller, since).await?;
        tx.commit().await?;
        Ok(found)
    }

    async fn of_contact(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        contact: &str,
        caller: Option<&Address>,
        since: OffsetDateTime,
    ) -> Result<Option<DeflectionRow>, DbError> {
        let found = sqlx::query(OF_CONTACT)
            .bind(self.tenant.uuid())
            .bind(contact)
            .bind(since)
            .bind(caller.map(Address::as_str))
            .fetch_optional(&mut **tx)
            .await?;
        found.as_ref().map(deflection).transpose()
    }

    /// Makes an offer within the limits, in one transaction with its text. `again_after`: an offer for the same call since then is
    /// the answer. A refusal is kept.
    pub async fn offer(
        &self,
        new: &NewDeflection,
        offer: &NewOffer<'_>,
        bounds: OfferBounds,
        again_after: OffsetDateTime,
        at: OffsetDateTime,
    ) -> Result<Offered, DbError> {
        let mut tx = self.begin().await?;
        sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('ccm deflection ' || $1, 0))")
            .bind(self.tenant.to_string())
            .execute(&mut *tx)
            .await?;
        if let Some(contact) = &new.contact
            && let Some(before) = self
                .of_contact(&mut tx, contact, Some(offer.to), again_after)
                .await?
            && before.state != DeflectionState::Refused
        {
            tx.commit().await?;
            return Ok(Offered::Before(Box::new(before)));
        }
        if let Some(refusal) = self.over_bounds(&mut tx, offer.to, bounds, at).await? {
            self.insert(&mut tx, new, Err(refusal), at).await?;
            tx.commit().await?;
            return Ok(Offered::Refused(refusal));
        }
        let event = json!({"deflection": new.id, "skillset": new.skillset});
        let text = NewText {
            message: offer.message,
            conversation: offer.conversation,
            from: offer.from,
            to: offer.to,
            origin: Origin::System,
            author: "deflection",
            body: offer.body,
            about: Some(offer.about),
            answer_within: offer.answer_within,
            event: Some(("deflection_offered", &event)),
            trace: None,
        };
        let mut texted = match self.text_in(&mut tx, &text, at).await {
            Ok(texted) => texted.ok_or(DbError::Corrupt("an offer's id is a text's already".to_owned()))?,
            // Released, suspended or closed a moment ago.
            Err(NotTexted::NotOurs | NotTexted::Stopped) => {
                drop(tx);
                return self.keep_refusal(new, Refusal::Unavailable, at).await;
            }
            Err(NotTexted::Used) => return Err(DbError::Corrupt("an offer uses nothing up".to_owned())),
            Err(NotTexted::Db(error)) => return Err(error),
        };
        self.end_earlier(&mut tx, texted.conversation, at).await?;
        self.insert(&mut tx, new, Ok((texted.conversation, offer)), at)
            .await?;
        texted.noted = self.tell_agents(&mut tx, texted.conversation, offer, at).await?;
        tx.commit().await?;
        Ok(Offered::Made(texted))
    }

    /// One answer takes one offer: those before it end. The conversation's lock is held since the text was stored.
    async fn end_earlier(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        conversation: ConversationId,
        at: OffsetDateTime,
    ) -> Result<(), DbError> {
        let earlier = sqlx::query(
            "UPDATE deflection SET state = 'expired', reason = $4, due_at = NULL, ended_at = $5
             WHERE tenant_id = $1 AND conversation_id = $2 AND state = ANY ($3) RETURNING id, message_id",
        )
        .bind(self.tenant.uuid())
        .bind(conversation.uuid())
        .bind(OPEN)
        .bind(OFFERED_AGAIN)
        .bind(at)
        .fetch_all(&mut **tx)
        .await?;
        for row in earlier {
            let offer = MessageId(row.try_get("message_id")?);
            self.take_back(tx, conversation, Some(offer), NEWER, at).await?;
            self.tell(tx, DeflectionId(row.try_get("id")?), DeflectionState::Expired, at)
                .await?;
        }
        Ok(())
    }

    /// Agents who chat with the caller already get no new chat to read the note in.
    async fn tell_agents(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        conversation: ConversationId,
        offer: &NewOffer<'_>,
        at: OffsetDateTime,
    ) -> Result<bool, DbError> {
        let Some(note) = offer.about["said"].as_str() else {
            return Ok(false);
        };
        let chatting: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM chat WHERE tenant_id = $1 AND conversation_id = $2 AND state <> 'closed')",
        )
        .bind(self.tenant.uuid())
        .bind(conversation.uuid())
        .fetch_one(&mut **tx)
        .await?;
        if !chatting {
            return Ok(false);
        }
        let id = derived_id(offer.message, NOTE);
        self.put_note(tx, id, conversation, NOTE, note, at).await
    }

    async fn over_bounds(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        to: &Address,
        bounds: OfferBounds,
        at: OffsetDateTime,
    ) -> Result<Option<Refusal>, DbError> {
        let counts = sqlx::query(COUNTS)
            .bind(self.tenant.uuid())
            .bind(to.as_str())
            .bind(at - bounds.within)
            .bind(bounds.per_caller)
            .bind(at - Duration::MINUTE)
            .fetch_one(&mut **tx)
            .await?;
        Ok(if counts.try_get::<i64, _>("of_caller")? >= bounds.per_caller {
            Some(Refusal::OfferedRecently)
        } else if counts.try_get::<i64, _>("of_tenant")? >= bounds.per_minute {
            Some(Refusal::Limit)
        } else {
            None
        })
    }

    /// Keeps that no offer was made, and why.
    pub async fn keep_refusal(
        &self,
        new: &NewDeflection,
        refusal: Refusal,
        at: OffsetDateTime,
    ) -> Result<Offered, DbError> {
        let mut tx = self.begin().await?;
        self.insert(&mut tx, new, Err(refusal), at).await?;
        tx.commit().await?;
        Ok(Offered::Refused(refusal))
    }

    async fn insert(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        new: &NewDeflection,
        made: Result<(ConversationId, &NewOffer<'_>), Refusal>,
        at: OffsetDateTime,
    ) -> Result<(), DbError> {
        let state = match made {
            Ok(_) => DeflectionState::Offered,
            Err(_) => DeflectionState::Refused,
        };
        let offer = made.ok();
        let address = |given: &Option<Address>| given.as_ref().map(|a| a.as_str().to_owned());
        sqlx::query(INSERT)
            .bind(new.id.uuid())
            .bind(self.tenant.uuid())
            .bind(state.as_str())
            .bind(made.err().map(Refusal::as_str))
            .bind(address(&new.our_address))
            .bind(address(&new.customer_address))
            .bind(storable(&new.skillset))
            .bind(storable(&new.voice_skillset))
            .bind(storable(&new.language))
            .bind(new.contact.as_deref().map(storable))
            .bind(new.waited_s)
            .bind(new.priority.as_deref())
            .bind(new.name.as_deref().map(storable))
            .bind(&new.context)
            .bind(offer.map(|(conversation, _)| conversation.uuid()))
            .bind(offer.map(|(_, offer)| offer.message.uuid()))
            .bind(offer.and_then(|(_, offer)| offer.token_hash.map(|hash| &hash[..])))
            .bind(at)
            .bind(offer.map(|(_, offer)| at + offer.answer_within))
            .bind(offer.map(|_| at))
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    /// A click answers the offer: agents are told by `note`, which stands for the customer's first text.
    pub async fn deflection_clicked(
        &self,
        id: DeflectionId,
        note: &str,
        at: OffsetDateTime,
    ) -> Result<Clicked, DbError> {
        let mut tx = self.begin().await?;
        // The conversation before the deflection, as whoever moves deflections on locks them.
        let row = sqlx::query(
            "SELECT c.id, c.state, t.state = 'active' AND t.closing_since IS NULL AND NOT EXISTS (
               SELECT 1 FROM opt_out o WHERE o.tenant_id = $1 AND o.our_address = c.our_address
                 AND o.customer_address = c.customer_address) AS textable
             FROM conversation c
             JOIN deflection d ON d.tenant_id = c.tenant_id AND d.conversation_id = c.id
             JOIN tenant t ON t.id = c.tenant_id
             WHERE d.tenant_id = $1 AND d.id = $2 FOR UPDATE OF c",
        )
        .bind(self.tenant.uuid())
        .bind(id.uuid())
        .fetch_optional(&mut *tx)
        .await?;
        let Some(row) = row else { return Ok(Clicked::Over) };
        let open = row.try_get::<&str, _>("state")? == "open";
        let textable: bool = row.try_get("textable")?;
        let conversation = ConversationId(row.try_get("id")?);
        let before = sqlx::query(
            "SELECT message_id, answered_at IS NOT NULL AS answered, state = ANY ($3) AND expires_at > $4 AS waits
             FROM deflection WHERE tenant_id = $1 AND id = $2 FOR UPDATE",
        )
        .bind(self.tenant.uuid())
        .bind(id.uuid())
        .bind(OPEN)
        .bind(at)
        .fetch_one(&mut *tx)
        .await?;
        let (answered, waits): (bool, bool) = (before.try_get("answered")?, before.try_get("waits")?);
        if answered || !waits || !open {
            tx.commit().await?;
            return Ok(if answered { Clicked::Before } else { Clicked::Over });
        }
        if !textable {
            tx.commit().await?;
            return Ok(Clicked::NotTextable);
        }
        let message = MessageId(before.try_get("message_id")?);
        self.put_for_agent(
            &mut tx,
            derived_id(message, LINK),
            conversation,
            (LINK, TextKind::Text),
            note,
            at,
        )
        .await?;
        sqlx::query(
            "UPDATE deflection SET state = 'answered', answered_at = $3, answered_by = 'link', due_at = $3
             WHERE tenant_id = $1 AND id = $2",
        )
        .bind(self.tenant.uuid())
        .bind(id.uuid())
        .bind(at)
        .execute(&mut *tx)
        .await?;
        self.tell(&mut tx, id, DeflectionState::Answered, at).await?;
        tx.commit().await?;
        Ok(Clicked::Now(conversation))
    }

    /// The event of a deflection that came to this state.
    pub(super) async fn tell(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        id: DeflectionId,
        state: DeflectionState,
        at: OffsetDateTime,
    ) -> Result<(), DbError> {
        sqlx::query(
            "INSERT INTO tenant_event (id, tenant_id, kind, at, detail)
             SELECT uuid_v7($4), $1, 'deflection_' || $3, $4,
                    jsonb_strip_nulls(jsonb_build_object('deflection', d.id, 'skillset', d.skillset, 'reason', d.reason))
             FROM deflection d WHERE d.tenant_id = $1 AND d.id = $2",
        )
        .bind(self.tenant.uuid())
        .bind(id.uuid())
        .bind(state.as_str())
        .bind(at)
        .execute(&mut **tx)
        .await?;
        Ok(())
    }
}

/// The states in which an answer is waited for: [`DeflectionState::is_open`].
pub(super) const OPEN: [&str; 3] = ["offered", "sent", "delivered"];

impl Operator<'_> {
    /// Whose offer has this in its link: a click names no tenant.
    pub async fn deflection_by_token(
        &self,
        token_hash: &[u8; 32],
    ) -> Result<Option<(TenantId, DeflectionId)>, DbError> {
        let row = sqlx::query("SELECT tenant_id, id FROM deflection WHERE token_hash = $1")
            .bind(&token_hash[..])
            .fetch_optional(self.pool())
            .await?;
        row.map(|row| {
            Ok((
                TenantId(row.try_get("tenant_id")?),
                DeflectionId(row.try_get("id")?),
            ))
        })
        .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_sql_is_what_the_model_says() {
        let open: Vec<_> = DeflectionState::ALL
            .iter()
            .filter(|state| state.is_open())
            .collect();
        assert_eq!(open.iter().map(|state| state.as_str()).collect::<Vec<_>>(), OPEN);
        for refusal in Refusal::ALL {
            assert_eq!(Refusal::parse(refusal.as_str()), Some(refusal));
        }
    }
}
