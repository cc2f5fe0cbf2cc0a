//! What is known of a text that may be from before the database was restored (ADR 27).

use super::{Doubt, Knows, Question};
use crate::{DbError, TenantDb};
use ccm_model::{AccountId, ConversationId, Id, MessageId};
use sqlx::{Postgres, Row, Transaction};
use time::{Duration, OffsetDateTime};

/// How a provider's clock and ours may differ, and a process' from the database's.
const CLOCKS_APART: Duration = Duration::minutes(2);
/// The same of AACC's clock, which nobody sets by ours.
const AACC_APART: Duration = Duration::minutes(15);
/// For so long a provider knows a text that comes again; it promises a day.
const KEYS_LAST: Duration = Duration::hours(20);

/// Whether the life before this one may have sent a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    New,
    /// It waited when the life began.
    Waited,
    /// An agent's, said in the life before, that AACC has told again.
    HeardAgain,
    /// Ours, and what it answers is from before.
    Repeated,
    /// New, for somebody who has said nothing since, while opt-outs may be missing.
    Unasked,
}

impl Before {
    /// As `HEAD` says it.
    pub fn parse(name: &str) -> Result<Self, DbError> {
        Ok(match name {
            "new" => Self::New,
            "waited" => Self::Waited,
            "heard_again" => Self::HeardAgain,
            "repeated" => Self::Repeated,
            "unasked" => Self::Unasked,
            other => {
                return Err(DbError::Corrupt(format!(
                    "a text's place in the database's lives: {other}"
                )));
            }
        })
    }
}

/// What a text's doubt follows from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts {
    pub before: Before,
    /// An attempt is under way, as it is stored.
    pub is_sending: bool,
    /// The account of that attempt is the one that the text would leave through now.
    pub same_account: bool,
    pub knows: Knows,
    /// The number's other account, where the row does not say which one a text from before left through.
    pub other: Option<(AccountId, Knows)>,
    /// It is the answer to STOP, START or HELP.
    pub is_reply: bool,
    pub created_at: OffsetDateTime,
    /// Since when a provider that is asked has to look, for a text that is new to us.
    pub since: OffsetDateTime,
    pub at: OffsetDateTime,
}

impl Facts {
    /// What may leave in the end, or not.
    pub fn doubt(&self) -> Doubt {
        let ask = |since| {
            let known = match self.other {
                Some((_, knows)) => knows == Knows::WhenAsked,
                None => true,
            };
            match known {
                true => Doubt::Ask(Question {
                    since,
                    also: self.other.map(|(account, _)| account),
                    or_nobody_knows: true,
                }),
                false => Doubt::Unknown,
            }
        };
        match (self.before, self.knows) {
            (Before::New | Before::Unasked, _) => self.of_this_life(),
            (Before::Waited, _) if self.is_sending && !self.same_account => Doubt::Unknown,
            (Before::Waited, Knows::Again)
                if self.other.is_none() && self.at - self.created_at < KEYS_LAST =>
            {
                Doubt::Recognised
            }
            (Before::Waited, Knows::WhenAsked) => ask(self.created_at - CLOCKS_APART),
            (Before::HeardAgain, Knows::WhenAsked) => ask(self.since - AACC_APART),
            (Before::Repeated, Knows::WhenAsked) => ask(self.since - CLOCKS_APART),
            // Silence after STOP is worse than two confirmations.
            (Before::Repeated, Knows::Again | Knows::Nothing) if self.is_reply => Doubt::Resend,
            (Before::Waited | Before::HeardAgain | Before::Repeated, _) => Doubt::Unknown,
        }
    }

    fn of_this_life(&self) -> Doubt {
        match self.knows {
            _ if !self.is_sending => Doubt::No,
            _ if !self.same_account => Doubt::Resend,
            Knows::Again => Doubt::Recognised,
            Knows::WhenAsked => Doubt::Ask(Question {
                since: self.created_at - CLOCKS_APART,
                also: None,
                or_nobody_knows: false,
            }),
            Knows::Nothing => Doubt::Resend,
        }
    }
}

impl TenantDb<'_> {
    /// Since when a provider may have a text that this life knows as new.
    pub(super) async fn sent_since(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        before: Before,
        conversation: ConversationId,
        message: MessageId,
    ) -> Result<OffsetDateTime, DbError> {
        let row = sqlx::query(
            "SELECT m.created_at, m.written_at, x.opened_at,
                    (SELECT t.created_at FROM message t WHERE t.tenant_id = m.tenant_id AND t.conversation_id = m.conversation_id
                       AND t.direction = 'mo' ORDER BY t.seq DESC LIMIT 1) AS texted_at
             FROM message m LEFT JOIN chat x ON x.tenant_id = m.tenant_id AND x.id = m.chat_id
             WHERE m.tenant_id = $1 AND m.id = $2 AND m.conversation_id = $3",
        )
        .bind(self.tenant.uuid())
        .bind(message.uuid())
        .bind(conversation.uuid())
        .fetch_one(&mut **tx)
        .await?;
        let created_at = row.try_get("created_at")?;
        let said: Option<OffsetDateTime> = row.try_get("written_at")?;
        Ok(match before {
            Before::HeardAgain => said.or(row.try_get("opened_at")?).unwrap_or(created_at),
            Before::Repeated => row.try_get::<Option<_>, _>("texted_at")?.unwrap_or(created_at),
            Before::New | Before::Waited | Before::Unasked => created_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const AT: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn facts(before: Before, knows: Knows) -> Facts {
        Facts {
            before,
            is_sending: false,
            same_account: true,
            knows,
            other: None,
            is_reply: false,
            created_at: AT,
            since: AT - Duration::HOUR,
            at: AT + Duration::MINUTE,
        }
    }

    fn asked(since: OffsetDateTime) -> Doubt {
        Doubt::Ask(Question {
            since,
            also: None,
            or_nobody_knows: true,
        })
    }

    /// ADR 27's table.
    #[test]
    fn what_may_have_been_sent_is_asked_about_or_waits_for_a_word() {
        use Before::{HeardAgain, New, Repeated, Unasked, Waited};
        let hour_ago = AT - Duration::HOUR;
        for (before, again, when_asked, nothing) in [
            (New, Doubt::No, Doubt::No, Doubt::No),
            (Unasked, Doubt::No, Doubt::No, Doubt::No),
            (
                Waited,
                Doubt::Recognised,
                asked(AT - Duration::minutes(2)),
                Doubt::Unknown,
            ),
            (
                HeardAgain,
                Doubt::Unknown,
                asked(hour_ago - Duration::minutes(15)),
                Doubt::Unknown,
            ),
            (
                Repeated,
                Doubt::Unknown,
                asked(hour_ago - Duration::minutes(2)),
                Doubt::Unknown,
            ),
        ] {
            for (knows, expected) in [
                (Knows::Again, again),
                (Knows::WhenAsked, when_asked),
                (Knows::Nothing, nothing),
            ] {
                assert_eq!(facts(before, knows).doubt(), expected, "{before:?} {knows:?}");
            }
        }
    }

    #[test]
    fn a_key_is_good_for_less_than_a_day() {
        let mut old = facts(Before::Waited, Knows::Again);
        old.at = AT + KEYS_LAST;
        assert_eq!(old.doubt(), Doubt::Unknown);
    }

    #[test]
    fn who_said_stop_hears_it_confirmed() {
        for (knows, expected) in [(Knows::Again, Doubt::Resend), (Knows::Nothing, Doubt::Resend)] {
            let mut reply = facts(Before::Repeated, knows);
            reply.is_reply = true;
            assert_eq!(reply.doubt(), expected);
        }
    }

    #[test]
    fn both_accounts_are_asked_where_nothing_says_which() {
        let other = AccountId(Uuid::nil());
        let with = |before, knows, of_other| {
            let mut facts = facts(before, knows);
            facts.other = Some((other, of_other));
            facts.doubt()
        };
        assert!(matches!(
            with(Before::Waited, Knows::WhenAsked, Knows::WhenAsked),
            Doubt::Ask(Question { also: Some(account), or_nobody_knows: true, .. }) if account == other
        ));
        assert_eq!(
            with(Before::Waited, Knows::WhenAsked, Knows::Again),
            Doubt::Unknown
        );
        assert_eq!(
            with(Before::Waited, Knows::Again, Knows::WhenAsked),
            Doubt::Unknown
        );
        let mut elsewhere = facts(Before::Waited, Knows::WhenAsked);
        (elsewhere.is_sending, elsewhere.same_account) = (true, false);
        assert_eq!(elsewhere.doubt(), Doubt::Unknown);
    }

    #[test]
    fn an_attempt_of_this_life_is_in_doubt_as_ever() {
        let under_way = |knows, same_account| {
            let mut facts = facts(Before::New, knows);
            (facts.is_sending, facts.same_account) = (true, same_account);
            facts.doubt()
        };
        assert_eq!(under_way(Knows::Again, true), Doubt::Recognised);
        assert!(matches!(
            under_way(Knows::WhenAsked, true),
            Doubt::Ask(Question {
                or_nobody_knows: false,
                ..
            })
        ));
        assert_eq!(under_way(Knows::Nothing, true), Doubt::Resend);
        assert_eq!(under_way(Knows::Again, false), Doubt::Resend);
    }
}
