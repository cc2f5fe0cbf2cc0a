//! The first text of a line, and how it may leave.

use super::{
    Claim,
    before::{Before, Facts},
    doubt::Doubt,
    rates::{LONGEST_WAIT, Limits, Moment},
};
use crate::{DbError, TenantDb};
use ccm_model::{
    AccountId, Address, Body, Id, MessageId, ProviderKind, TraceParent, sms_settings::Transliterate,
};
use sqlx::{Row, postgres::PgRow};
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

/// The head of a claimed line.
#[derive(Debug)]
pub enum Head {
    /// Send this one, after [`Sending::wait`].
    Send(Box<Sending>),
    /// This one is not to be sent: its customer has opted out. To be recorded as [`Outcome::OptedOut`](super::Outcome).
    OptedOut {
        message: MessageId,
        account: AccountId,
        kind: ProviderKind,
    },
    /// This one is not to be sent: with it, the tenant would send more than it may. To be recorded as a failure.
    Capped {
        message: MessageId,
        account: AccountId,
        kind: ProviderKind,
    },
    /// This one is not to be sent: since a restore of the database nobody knows whether it was. To be recorded as
    /// [`Outcome::InDoubt`](super::Outcome).
    InDoubt {
        message: MessageId,
        account: AccountId,
        kind: ProviderKind,
    },
    /// The accounts are paused, the tenant is suspended, it has to be seen first whether the database was restored, or the next free moment is too far away to hold the claim: the line was put back until then.
    Later,
    /// Nothing waits; the line is gone.
    Empty,
    /// The claim expired, and the line is somebody else's.
    Lost,
}

/// One text on its way to a provider.
#[derive(Debug, Clone)]
pub struct Sending {
    pub message: MessageId,
    pub account: AccountId,
    pub kind: ProviderKind,
    pub from: Address,
    pub to: Address,
    /// As it leaves; what is stored is what was written.
    pub body: Body,
    pub segments: u16,
    /// 1 for the first attempt.
    pub attempt: i32,
    pub doubt: Doubt,
    /// Until the next free moment, which is reserved for this text.
    pub wait: Duration,
    /// How long the claim holds, `wait` included.
    pub held: Duration,
    /// Whether this is the number's first account and it has a second one.
    pub has_second: bool,
    /// Where the account's provider reaches us, where that is not the platform's address.
    pub webhook_base: Option<String>,
    pub trace: Option<TraceParent>,
    pub created_at: OffsetDateTime,
    /// Whether the database has been restored since it was written, or what it answers.
    pub is_from_before: bool,
}

/// What a provider can say of a text that it may have already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Knows {
    /// It recognises the text when it comes again.
    Again,
    /// It can be asked what it has.
    WhenAsked,
    Nothing,
}

/// What whoever sends knows, and the database does not.
pub struct Sender<'a> {
    /// How long a claim holds from the moment on that a text may leave; twice that where the provider is asked first.
    pub hold: Duration,
    pub knows: fn(ProviderKind) -> Knows,
    /// For how long nothing is to go to an account.
    pub paused: &'a (dyn Fn(AccountId) -> Option<Duration> + Sync),
    /// A text in the form in which it leaves.
    pub as_sent: &'a (dyn Fn(Body, Transliterate) -> AsSent + Sync),
}

/// A text as it leaves.
pub struct AsSent {
    pub body: Body,
    /// How many SMS it takes, 1 or more.
    pub segments: u16,
}

/// How often the lines of a suspended tenant are looked at, and those that wait until opt-outs are there again.
const SELDOM: Duration = Duration::from_secs(30);
/// By then a life that has begun is noticed.
const NOTICED: Duration = Duration::from_secs(1);

/// One statement for three tables: each costs a round trip, and this is the way of every text.
pub(crate) const BEGIN_TEXT: &str = "
WITH line AS (
  UPDATE outbox_line SET due_at = clock_timestamp() + make_interval(secs => $7)
  WHERE tenant_id = $1 AND conversation_id = $6
), head AS (
  UPDATE outbox SET state = 'sending', attempts = attempts + 1, account_id = $8
  WHERE tenant_id = $1 AND message_id = $2
)
UPDATE message SET state = 'sending', attempts = attempts + 1, resends = resends + $3, segments = $4, updated_at = $5
WHERE tenant_id = $1 AND id = $2";

pub(crate) const HEAD: &str = "
SELECT o.message_id, o.state, o.attempts, o.created_at, o.account_id AS last_account, m.body, m.trace_parent,
       c.our_address, c.customer_address, c.number_id,
       a.id AS account_id, a.kind, a.webhook_base, a.per_second IS NOT NULL AS limited,
       b.id AS second_id, b.kind AS second_kind, b.webhook_base AS second_base, b.per_second IS NOT NULL AS second_limited,
       s.settings->>'transliterate' AS transliterate, s.settings->>'segments_per_second' IS NOT NULL AS tenant_limited,
       EXISTS (SELECT 1 FROM opt_out x WHERE x.tenant_id = o.tenant_id AND x.our_address = c.our_address
                 AND x.customer_address = c.customer_address)
         AND (m.origin = 'system' AND m.author = 'stop_reply') IS NOT TRUE AS opted_out,
       (m.origin = 'system' AND m.author IN ('stop_reply', 'start_reply', 'help_reply')) IS TRUE AS exempt,
       coalesce(k.daily_segments, k.monthly_segments) IS NOT NULL AS capped,
       t.state = 'suspended' AS suspended, life.known AS life_known,
       CASE WHEN o.created_at < life.began_at THEN 'waited'
            WHEN m.origin = 'agent' AND m.written_at < life.began_at THEN 'heard_again'
            -- AACC's clock may be ahead.
            WHEN m.origin = 'agent' AND o.replayed AND coalesce(m.written_at, life.began_at) < life.began_at + interval '10 minutes'
                 AND EXISTS (SELECT FROM chat x WHERE x.tenant_id = m.tenant_id AND x.id = m.chat_id AND x.opened_at < life.began_at)
              THEN 'heard_again'
            -- Most of a life: nothing below is looked at.
            WHEN life.state = 'settled' AND m.created_at > life.began_at + interval '1 day' THEN 'new'
            WHEN EXISTS (SELECT FROM message x WHERE x.tenant_id = c.tenant_id AND x.conversation_id = c.id AND x.direction = 'mo'
                           AND x.id >= uuid_v7_floor(life.began_at)) THEN 'new'
            WHEN m.origin = 'system' AND m.author IS DISTINCT FROM 'deflection' AND c.id < uuid_v7_floor(life.began_at)
                 AND m.created_at <= life.began_at + interval '1 day' THEN 'repeated'
            WHEN life.state = 'open' AND NOT EXISTS (SELECT FROM chat x WHERE x.tenant_id = c.tenant_id AND x.conversation_id = c.id
                                                       AND x.state <> 'closed') THEN 'unasked'
            ELSE 'new' END AS before
FROM outbox o
JOIN tenant t ON t.id = o.tenant_id
JOIN message m ON m.id = o.message_id AND m.tenant_id = o.tenant_id
JOIN conversation c ON c.tenant_id = o.tenant_id AND c.id = o.conversation_id
JOIN number n ON n.tenant_id = c.tenant_id AND n.id = c.number_id
JOIN provider_account a ON a.tenant_id = n.tenant_id AND a.id = n.account_id
LEFT JOIN provider_account b ON b.tenant_id = n.tenant_id AND b.id = n.second_account_id
LEFT JOIN sms_settings s ON s.tenant_id = o.tenant_id
LEFT JOIN sms_cap k ON k.tenant_id = o.tenant_id
CROSS JOIN (SELECT l.began_at, l.state, (l.system_identifier, l.timeline) = (server_identifier(), server_timeline()) AS known
            FROM database_life l ORDER BY l.began_at DESC LIMIT 1) AS life
WHERE o.tenant_id = $1 AND o.conversation_id = $2 ORDER BY o.seq LIMIT 1";

/// An account that a text may leave through.
struct Way {
    account: AccountId,
    kind: ProviderKind,
    webhook_base: Option<String>,
    limited: bool,
}

fn ways(row: &PgRow) -> Result<(Way, Option<Way>), DbError> {
    let first = Way {
        account: AccountId(row.try_get("account_id")?),
        kind: row.try_get::<&str, _>("kind")?.parse()?,
        webhook_base: row.try_get("webhook_base")?,
        limited: row.try_get("limited")?,
    };
    let Some(second) = row.try_get::<Option<Uuid>, _>("second_id")? else {
        return Ok((first, None));
    };
    let second = Way {
        account: AccountId(second),
        kind: row.try_get::<&str, _>("second_kind")?.parse()?,
        webhook_base: row.try_get("second_base")?,
        limited: row.try_get("second_limited")?,
    };
    Ok((first, Some(second)))
}

/// The first account, or the second one while the first is paused; else how long the first to come back is.
fn open_way(
    (first, second): (Way, Option<Way>),
    paused: &(dyn Fn(AccountId) -> Option<Duration> + Sync),
) -> Result<Way, Duration> {
    let Some(after) = paused(first.account) else {
        return Ok(first);
    };
    let Some(second) = second else {
        return Err(after);
    };
    match paused(second.account) {
        None => Ok(second),
        Some(other) => Err(after.min(other)),
    }
}

/// A setting of a newer version is the default here.
fn transliterate(row: &PgRow) -> Result<Transliterate, DbError> {
    let name: Option<String> = row.try_get("transliterate")?;
    Ok(name
        .and_then(|name| serde_json::from_value(name.into()).ok())
        .unwrap_or_default())
}

impl TenantDb<'_> {
    /// Takes the head of a claimed line: picks its account, reserves the moment at which it may leave, extends the claim and
    /// marks the text as being sent. A line that cannot go now is put back untouched.
    pub async fn begin_send(
        &self,
        claim: &Claim,
        sender: &Sender<'_>,
        at: OffsetDateTime,
    ) -> Result<Head, DbError> {
        let mut tx = self.begin_hot().await?;
        if !self.lock_line(&mut tx, claim).await? {
            return Ok(Head::Lost);
        }
        let head = sqlx::query(HEAD)
            .bind(self.tenant.uuid())
            .bind(claim.conversation.uuid())
            .fetch_optional(&mut *tx)
            .await?;
        let Some(row) = head else {
            self.drop_if_empty(&mut tx, claim.conversation).await?;
            tx.commit().await?;
            return Ok(Head::Empty);
        };
        let before = Before::parse(row.try_get("before")?)?;
        let later = if !row.try_get::<bool, _>("life_known")? {
            Some(NOTICED)
        } else if row.try_get("suspended")? || before == Before::Unasked {
            Some(SELDOM)
        } else {
            None
        };
        if let Some(after) = later {
            self.put_back(&mut tx, claim, after).await?;
            tx.commit().await?;
            return Ok(Head::Later);
        }
        let message = MessageId(row.try_get("message_id")?);
        let ways = ways(&row)?;
        if row.try_get("opted_out")? {
            let (account, kind) = (ways.0.account, ways.0.kind);
            return Ok(Head::OptedOut {
                message,
                account,
                kind,
            });
        }
        let body = Body::new(row.try_get::<String, _>("body")?)?;
        let (from, to) = (
            row.try_get::<&str, _>("our_address")?.parse()?,
            row.try_get::<&str, _>("customer_address")?.parse()?,
        );
        let first = ways.0.account;
        let both = [(first, ways.0.kind)]
            .into_iter()
            .chain(ways.1.as_ref().map(|way| (way.account, way.kind)));
        let both: Vec<_> = both.collect();
        let way = match open_way(ways, sender.paused) {
            Ok(way) => way,
            Err(after) => {
                self.put_back(&mut tx, claim, after).await?;
                tx.commit().await?;
                return Ok(Head::Later);
            }
        };
        // What was under way before accounts were noted went through the number's first one.
        let noted = row.try_get::<Option<Uuid>, _>("last_account")?.map(AccountId);
        let is_from_before = before != Before::New;
        let other = both.iter().find(|(account, _)| *account != way.account);
        let created_at = row.try_get("created_at")?;
        let facts = Facts {
            before,
            is_sending: row.try_get::<&str, _>("state")? == "sending",
            same_account: noted.unwrap_or(first) == way.account,
            knows: (sender.knows)(way.kind),
            other: other
                .filter(|_| is_from_before && noted.is_none())
                .map(|(account, kind)| (*account, (sender.knows)(*kind))),
            is_reply: row.try_get("exempt")?,
            created_at,
            since: match is_from_before {
                true => {
                    self.sent_since(&mut tx, before, claim.conversation, message)
                        .await?
                }
                false => created_at,
            },
            at,
        };
        let doubt = facts.doubt();
        if doubt == Doubt::Unknown {
            return Ok(Head::InDoubt {
                message,
                account: way.account,
                kind: way.kind,
            });
        }
        let as_sent = (sender.as_sent)(body, transliterate(&row)?);
        let limits = Limits {
            number: row.try_get("number_id")?,
            account: way.limited.then_some(way.account),
            tenant: row.try_get("tenant_limited")?,
        };
        let wait = match self.reserve(&mut tx, &limits, as_sent.segments).await? {
            Moment::Reserved(wait) => wait,
            Moment::Far(wait) => {
                self.put_back(&mut tx, claim, wait.saturating_sub(LONGEST_WAIT / 2))
                    .await?;
                tx.commit().await?;
                return Ok(Head::Later);
            }
        };
        let first_attempt = row.try_get::<i32, _>("attempts")? == 0;
        if row.try_get("capped")? && first_attempt {
            let exempt = row.try_get("exempt")?;
            if !self.take_segments(&mut tx, as_sent.segments, exempt, at).await? {
                // The moment is free again.
                tx.rollback().await?;
                self.cap_refused(as_sent.segments, at).await?;
                return Ok(Head::Capped {
                    message,
                    account: way.account,
                    kind: way.kind,
                });
            }
        }
        let held = wait + sender.hold * doubt.requests();
        sqlx::query(BEGIN_TEXT)
            .bind(self.tenant.uuid())
            .bind(message.uuid())
            .bind(i32::from(doubt == Doubt::Resend))
            .bind(i16::try_from(as_sent.segments).unwrap_or(i16::MAX))
            .bind(at)
            .bind(claim.conversation.uuid())
            .bind(held.as_secs_f64())
            .bind(way.account.uuid())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(Head::Send(Box::new(Sending {
            message,
            account: way.account,
            kind: way.kind,
            from,
            to,
            body: as_sent.body,
            segments: as_sent.segments,
            attempt: row.try_get::<i32, _>("attempts")? + 1,
            doubt,
            wait,
            held,
            has_second: both.len() > 1 && way.account == first,
            webhook_base: way.webhook_base,
            trace: row
                .try_get::<Option<&str>, _>("trace_parent")?
                .and_then(TraceParent::parse),
            created_at,
            is_from_before,
        })))
    }
}
