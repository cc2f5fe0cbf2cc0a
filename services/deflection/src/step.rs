//! What comes next for a deflection. Pure.

use crate::words;
use ccm_db::{DbError, DeflectionChange, DeflectionSeen, TenantDb};
use ccm_model::{Body, DeflectionSettings, DeflectionState, MessageState};
use ccm_sms_text::keyword::{Keyword, Keywords};
use time::{Duration, OffsetDateTime};

/// What a tenant has decided that matters here.
pub struct Tenant {
    pub settings: DeflectionSettings,
    pub keywords: Keywords,
    /// For words that are not there in the caller's.
    pub language: String,
}

impl Tenant {
    pub async fn read(db: &TenantDb<'_>) -> Result<Self, DbError> {
        let (settings, _) = db.deflection_settings().await?;
        let (sms, _) = db.sms_settings().await?;
        let (chat, _) = db.chat_settings().await?;
        Ok(Self {
            settings,
            keywords: sms.consent.keywords(),
            language: chat.language,
        })
    }
}

/// Why it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// It is due.
    Look,
    /// The script says that the call is over.
    End,
}

/// A chat that does not come to an end by then is looked at no longer.
const LONGEST_CHAT: Duration = Duration::days(7);

const SOONEST: Duration = Duration::SECOND;
const LATEST: Duration = Duration::seconds(15);

/// A deflection as it is from now on.
pub fn step(seen: &DeflectionSeen, tenant: &Tenant, asked: Asked, now: OffsetDateTime) -> DeflectionChange {
    let mut change = DeflectionChange {
        state: seen.state,
        reason: None,
        sent_at: seen.sent_at,
        delivered_at: seen.delivered_at,
        answered_at: seen.answered_at,
        chat_at: seen.chat_at,
        agent_at: seen.agent_at,
        take_back: false,
        say: None,
        due_at: None,
    };
    if let Some((message, at)) = seen.message {
        if was_taken(message) {
            change.sent_at.get_or_insert(at);
        }
        if message == MessageState::Delivered {
            change.delivered_at.get_or_insert(at);
        }
    }
    match seen.state.is_open() {
        true => unanswered(seen, tenant, asked, now, &mut change),
        false => answered(seen, now, &mut change),
    }
    change
}

/// Whether a provider has had the text.
fn was_taken(message: MessageState) -> bool {
    use MessageState::{Delivered, Expired, Sent, Undeliverable, Unknown};
    matches!(message, Sent | Delivered | Undeliverable | Expired | Unknown)
}

fn unanswered(
    seen: &DeflectionSeen,
    tenant: &Tenant,
    asked: Asked,
    now: OffsetDateTime,
    change: &mut DeflectionChange,
) {
    for text in seen.heard.iter().filter(|text| text.at <= seen.expires_at) {
        match tenant.keywords.read(&text.body) {
            // Whoever asks what this is has not answered yet.
            Some(Keyword::Help) => {}
            Some(Keyword::Stop) => return end(change, DeflectionState::Withdrawn, "opted_out"),
            Some(Keyword::Start) | None => {
                change.state = DeflectionState::Answered;
                change.answered_at = Some(text.at);
                change.due_at = Some(now);
                return;
            }
        }
    }
    match seen.message.map(|(message, _)| message) {
        None | Some(MessageState::Failed) => return end(change, DeflectionState::Failed, "not_sent"),
        Some(MessageState::Undeliverable | MessageState::Expired) => {
            return end(change, DeflectionState::Failed, "not_delivered");
        }
        _ => {}
    }
    change.take_back = asked == Asked::End || now >= seen.expires_at;
    if asked == Asked::End {
        return end(change, DeflectionState::Withdrawn, "call_ended");
    }
    if now >= seen.expires_at {
        change.say = goodbye(seen, tenant);
        return end(change, DeflectionState::Expired, "no_answer");
    }
    change.state = match (change.delivered_at, change.sent_at) {
        (Some(_), _) => DeflectionState::Delivered,
        (None, Some(_)) => DeflectionState::Sent,
        (None, None) => DeflectionState::Offered,
    };
    change.due_at = Some(next_look(seen.asked_at, now).min(seen.expires_at));
}

fn answered(seen: &DeflectionSeen, now: OffsetDateTime, change: &mut DeflectionChange) {
    let answered_at = seen.answered_at.unwrap_or(seen.asked_at);
    // A chat that was there before the offer counts from the answer on.
    change.chat_at = seen.chat_at.or(seen.opened_at.map(|at| at.max(answered_at)));
    let over = seen.closed_at.is_some_and(|at| at >= answered_at) || now - answered_at >= LONGEST_CHAT;
    if change.agent_at.is_some() {
        change.chat_at.get_or_insert(answered_at);
        change.state = DeflectionState::Chat;
    } else if over {
        let reason = match change.chat_at {
            Some(_) => "no_agent",
            None => "no_chat",
        };
        end(change, DeflectionState::Abandoned, reason);
    } else {
        if change.chat_at.is_some() {
            change.state = DeflectionState::Chat;
        }
        change.due_at = Some(next_look(answered_at, now));
    }
}

fn end(change: &mut DeflectionChange, state: DeflectionState, reason: &'static str) {
    change.state = state;
    change.reason = Some(reason);
}

/// Soon while much can happen, then less and less often.
fn next_look(since: OffsetDateTime, now: OffsetDateTime) -> OffsetDateTime {
    now + ((now - since) / 20_i32).clamp(SOONEST, LATEST)
}

fn goodbye(seen: &DeflectionSeen, tenant: &Tenant) -> Option<Body> {
    let words = tenant.settings.expired.as_ref()?;
    let words = words::chosen(words, &seen.language, &tenant.language)?;
    let minutes = words::minutes(tenant.settings.answer_within_s);
    let said = words::fill_offer(words, seen.name.as_deref(), &seen.voice_skillset, &minutes, None);
    Body::new(said).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ccm_db::HeardText;
    use ccm_model::{DeflectionId, Id};
    use time::macros::datetime;

    const ASKED: OffsetDateTime = datetime!(2026-11-30 08:00 UTC);

    fn tenant() -> Tenant {
        Tenant {
            settings: DeflectionSettings::default(),
            keywords: Keywords::default(),
            language: "en".to_owned(),
        }
    }

    fn after(seconds: i64) -> OffsetDateTime {
        ASKED + Duration::seconds(seconds)
    }

    fn seen(state: DeflectionState, message: MessageState) -> DeflectionSeen {
        DeflectionSeen {
            id: DeflectionId::from_uuid(uuid::Uuid::nil()),
            state,
            name: None,
            voice_skillset: "Sales".to_owned(),
            language: "en".to_owned(),
            asked_at: ASKED,
            expires_at: after(600),
            sent_at: None,
            delivered_at: None,
            answered_at: None,
            chat_at: None,
            message: Some((message, after(2))),
            heard: Vec::new(),
            opened_at: None,
            agent_at: None,
            closed_at: None,
        }
    }

    fn look(seen: &DeflectionSeen, at: i64) -> DeflectionChange {
        step(seen, &tenant(), Asked::Look, after(at))
    }

    fn heard(bodies: &[(&str, i64)]) -> DeflectionSeen {
        let mut seen = seen(DeflectionState::Sent, MessageState::Sent);
        seen.heard = bodies
            .iter()
            .map(|(body, at)| HeardText {
                body: (*body).to_owned(),
                at: after(*at),
            })
            .collect();
        seen
    }

    #[test]
    fn an_offer_goes_as_far_as_its_text() {
        use DeflectionState::{Delivered, Failed, Offered, Sent};
        for (message, state) in [
            (MessageState::Queued, Offered),
            (MessageState::Sending, Offered),
            (MessageState::Sent, Sent),
            (MessageState::Unknown, Sent),
            (MessageState::Delivered, Delivered),
            (MessageState::Failed, Failed),
            (MessageState::Undeliverable, Failed),
            (MessageState::Expired, Failed),
        ] {
            let change = look(&seen(Offered, message), 3);
            assert_eq!(change.state, state, "{message}");
            assert_eq!(change.due_at.is_some(), state.is_open(), "{message}");
            assert_eq!(change.sent_at.is_some(), was_taken(message), "{message}");
        }
        let mut gone = seen(Offered, MessageState::Queued);
        gone.message = None;
        assert_eq!(look(&gone, 3).state, Failed);
    }

    #[test]
    fn any_text_answers_but_keywords() {
        use DeflectionState::{Answered, Sent, Withdrawn};
        for (texts, state) in [
            (&[("yes", 5)][..], Answered),
            (&[("HELP", 5)], Sent),
            (&[("HELP", 5), ("ok", 9)], Answered),
            (&[("stop", 5)], Withdrawn),
            (&[("stop", 5), ("yes", 9)], Withdrawn),
            (&[("yes", 5), ("stop", 9)], Answered),
            (&[("START", 5)], Answered),
        ] {
            assert_eq!(look(&heard(texts), 10).state, state, "{texts:?}");
        }
    }

    #[test]
    fn an_answer_in_time_counts_whenever_it_is_seen() {
        assert_eq!(
            look(&heard(&[("yes", 600)]), 900).state,
            DeflectionState::Answered
        );
        let late = look(&heard(&[("yes", 601)]), 900);
        assert_eq!((late.state, late.due_at), (DeflectionState::Expired, None));
        assert_eq!(look(&heard(&[]), 600).state, DeflectionState::Expired);
        let waits = look(&heard(&[]), 599);
        assert_eq!(
            (waits.state, waits.due_at),
            (DeflectionState::Sent, Some(after(600)))
        );
    }

    #[test]
    fn only_an_offer_that_nobody_took_is_taken_back() {
        let end = |seen: &DeflectionSeen| step(seen, &tenant(), Asked::End, after(20)).state;
        assert_eq!(end(&heard(&[])), DeflectionState::Withdrawn);
        assert_eq!(end(&heard(&[("yes", 5)])), DeflectionState::Answered);
        let mut chat = seen(DeflectionState::Chat, MessageState::Delivered);
        chat.answered_at = Some(after(5));
        chat.opened_at = Some(after(6));
        assert_eq!(end(&chat), DeflectionState::Chat);
    }

    #[test]
    fn a_chat_is_taken_or_abandoned() {
        use DeflectionState::{Abandoned, Answered, Chat};
        let mut row = seen(Answered, MessageState::Delivered);
        row.answered_at = Some(after(30));
        assert_eq!(look(&row, 40).state, Answered);
        row.opened_at = Some(after(31));
        let open = look(&row, 40);
        assert_eq!((open.state, open.chat_at), (Chat, Some(after(31))));
        assert!(open.due_at.is_some());
        let mut left = row.clone();
        left.closed_at = Some(after(90));
        let left = look(&left, 95);
        assert_eq!(
            (left.state, left.reason, left.due_at),
            (Abandoned, Some("no_agent"), None)
        );
        row.agent_at = Some(after(60));
        row.closed_at = Some(after(90));
        let served = look(&row, 95);
        assert_eq!((served.state, served.due_at), (Chat, None));
        let mut never = seen(Answered, MessageState::Delivered);
        never.answered_at = Some(after(30));
        assert_eq!(look(&never, 8 * 86_400).reason, Some("no_chat"));
    }

    #[test]
    fn who_does_not_answer_is_told_so_in_the_tenants_words() {
        let mut tenant = tenant();
        tenant.settings = serde_json::from_value(serde_json::json!({
            "expired": {"en": "Hello {name}, your place with {skillset} is kept."},
        }))
        .unwrap();
        let change = step(&heard(&[]), &tenant, Asked::Look, after(700));
        let said = change.say.unwrap();
        assert_eq!(said.as_str(), "Hello, your place with Sales is kept.");
    }
}
