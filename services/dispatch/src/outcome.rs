//! What becomes of a text after an attempt. Deciding is pure; telling writes log and metrics.

use crate::{backoff, circuit::Seen};
use ccm_db::{Claim, Doubt, Outcome, Sending};
use ccm_model::{AccountId, MessageId, ProviderKind};
use ccm_runtime::{TextEvent, count_text};
use ccm_sms::{Class, SendError, Sent};
use std::time::Duration;
use time::OffsetDateTime;

/// The failure's name when a text has grown too old.
pub(crate) const GAVE_UP: &str = "ccm:gave-up";
/// … when the provider did not answer in time.
const NO_ANSWER: &str = "ccm:no-answer";
/// … when the account cannot be used as it is stored.
const ACCOUNT: &str = "ccm:account";
/// What is said to whoever wrote a text that has grown too old.
const TOO_LATE: &str = "The text could not be sent in time.";
/// A provider's list of messages may not have the newest ones yet: it is asked so much later at the earliest.
const LISTED_AFTER: Duration = Duration::from_secs(2);

/// … when the tenant may not send so much.
const CAP: &str = "ccm:cap";

/// What becomes of a text that is more than its tenant may send.
pub(crate) fn capped() -> Outcome {
    Outcome::Failed {
        code: Some(CAP.to_owned()),
        detail: "the tenant has sent as many segments as it may in this day or month; raise its cap or wait, then replay".to_owned(),
        reason: "The contact center's limit of texts is reached.".to_owned(),
        opted_out: false,
    }
}

/// How an attempt went.
#[derive(Debug)]
pub(crate) enum Attempt {
    Sent(Sent),
    /// An earlier attempt got there, through this account and under this id of the provider's.
    Found {
        provider_id: String,
        account: AccountId,
    },
    /// The text may have been sent before the database was restored, and the provider does not say.
    Untold,
    Refused(SendError),
    /// The provider may have the text already, and could not say.
    Unclear(SendError),
    /// Within that time.
    NoAnswer(Duration),
    /// The account cannot be used as it is stored.
    NoAccount(String),
    /// The database or the claim did not allow for it; nobody was asked.
    NotTried,
    /// Nobody was asked: the text has waited too long already.
    TooOld,
}

impl Attempt {
    /// What it says of the account.
    pub fn seen(&self) -> Option<Seen> {
        match self {
            Self::Sent(_) | Self::Found { .. } | Self::Untold => Some(Seen::Works),
            Self::Refused(e) | Self::Unclear(e) => Some(match e.class {
                Class::Terminal => Seen::Works,
                Class::Retryable { after } => Seen::Fails { asked: after },
            }),
            Self::NoAnswer(_) | Self::NoAccount(_) => Some(Seen::Fails { asked: None }),
            Self::NotTried | Self::TooOld => None,
        }
    }

    /// Whether the provider may have the text although it did not say so.
    fn in_doubt(&self) -> bool {
        match self {
            Self::NoAnswer(_) => true,
            Self::Refused(e) => e.in_doubt,
            _ => false,
        }
    }

    /// The failure's name and what to do about it.
    pub fn failure(&self) -> (Option<String>, String) {
        match self {
            Self::Refused(e) | Self::Unclear(e) => (e.provider_code.clone(), e.operator.clone()),
            Self::NoAnswer(limit) => (
                Some(NO_ANSWER.to_owned()),
                format!("the provider did not answer within {} ms", limit.as_millis()),
            ),
            Self::NoAccount(why) => (
                Some(ACCOUNT.to_owned()),
                format!("the provider account cannot be used: {why}"),
            ),
            Self::Sent(_) | Self::Found { .. } | Self::Untold | Self::NotTried | Self::TooOld => {
                (None, "it was not sent yet".to_owned())
            }
        }
    }
}

/// Decides what is recorded. `elsewhere`: the next attempt goes through another account, for which neither the patience that
/// this one asked for counts nor how often it has failed. `random` spreads the next attempts.
pub(crate) fn decide(
    attempt: &Attempt,
    sending: &Sending,
    elsewhere: bool,
    now: OffsetDateTime,
    give_up_after: Duration,
    random: u64,
) -> Outcome {
    let asked = match attempt {
        Attempt::Sent(sent) => {
            return Outcome::Sent {
                provider_id: sent.provider_id.clone(),
            };
        }
        Attempt::Found { provider_id, .. } => {
            return Outcome::Sent {
                provider_id: Some(provider_id.clone()),
            };
        }
        Attempt::Untold => return Outcome::InDoubt,
        Attempt::Refused(SendError {
            class: Class::Terminal,
            user,
            opted_out,
            ..
        }) => {
            let (code, detail) = attempt.failure();
            return Outcome::Failed {
                code,
                detail,
                reason: (*user).to_owned(),
                opted_out: *opted_out,
            };
        }
        Attempt::TooOld => return gave_up(attempt, sending, give_up_after),
        Attempt::Refused(e) | Attempt::Unclear(e) => match e.class {
            Class::Retryable { after } => after,
            Class::Terminal => None,
        },
        Attempt::NoAnswer(_) | Attempt::NoAccount(_) | Attempt::NotTried => None,
    };
    let failures = u32::try_from(sending.attempt).unwrap_or(u32::MAX);
    // A doubt about an earlier attempt stays: no later answer says what became of that one.
    let in_doubt = attempt.in_doubt() || sending.doubt != Doubt::No;
    let mut after = if elsewhere {
        backoff::delay(1, None, random)
    } else {
        backoff::delay(failures, asked, random)
    };
    if !elsewhere && in_doubt && ccm_sms::can_look_up(sending.kind) {
        after = after.max(LISTED_AFTER);
    }
    if now + after - sending.created_at > give_up_after {
        return gave_up(attempt, sending, give_up_after);
    }
    let (code, detail) = attempt.failure();
    Outcome::Retry {
        after,
        in_doubt,
        code,
        detail,
    }
}

fn gave_up(attempt: &Attempt, sending: &Sending, give_up_after: Duration) -> Outcome {
    let doubt = if attempt.in_doubt() || sending.doubt != Doubt::No {
        ". The provider may have it all the same"
    } else {
        ""
    };
    let (code, last) = attempt.failure();
    let code = code.map(|code| format!(" ({code})")).unwrap_or_default();
    let seconds = give_up_after.as_secs();
    Outcome::Failed {
        code: Some(GAVE_UP.to_owned()),
        detail: format!("no provider took it within {seconds} s; the last word was{code}: {last}{doubt}"),
        reason: TOO_LATE.to_owned(),
        opted_out: false,
    }
}

/// The outcome's name in traces.
pub(crate) fn name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Sent { .. } => "sent",
        Outcome::Retry { .. } => "retry",
        Outcome::Failed { .. } => "failed",
        Outcome::OptedOut => "opted_out",
        Outcome::InDoubt => "in_doubt",
    }
}

/// Counts the outcome, and logs it where nobody will try again.
pub(crate) fn tell(
    attempt: &Attempt,
    outcome: &Outcome,
    claim: &Claim,
    sending: &Sending,
    now: OffsetDateTime,
) {
    let kind = sending.kind.as_str();
    match outcome {
        Outcome::Sent { .. } => {
            metrics::counter!("ccm_dispatch_sent_total", "kind" => kind).increment(1);
            let seconds = (now - sending.created_at).as_seconds_f64();
            metrics::histogram!("ccm_dispatch_sent_seconds", "kind" => kind).record(seconds);
            count_text(claim.tenant, TextEvent::Sent, Some(seconds));
        }
        Outcome::Retry { after, code, .. } => {
            let class = class(attempt);
            metrics::counter!("ccm_dispatch_retried_total", "kind" => kind, "class" => class).increment(1);
            tracing::debug!(
                provider.code = code.as_deref(),
                class,
                after_ms = after.as_millis() as u64,
                "a text was not taken and is tried again"
            );
        }
        Outcome::Failed { code, detail, .. } => {
            let class = class(attempt);
            failed(claim, kind, class);
            tracing::warn!(
                tenant.id = %claim.tenant,
                conversation.id = %claim.conversation,
                message.id = %sending.message,
                account.id = %sending.account,
                provider.kind = kind,
                provider.code = code.as_deref(),
                class,
                detail,
                "a text will not be sent"
            );
        }
        Outcome::InDoubt => in_doubt(claim, sending.message, sending.kind),
        // No attempt ends so; it is told where it is seen.
        Outcome::OptedOut => {}
    }
    if sending.is_from_before {
        let result = match (attempt, outcome) {
            (Attempt::Found { .. }, _) => "found",
            (_, Outcome::Sent { .. }) if sending.doubt == Doubt::Recognised => "recognised",
            (_, Outcome::Sent { .. }) => "absent",
            _ => return,
        };
        from_before(sending.kind, result);
    }
}

/// Counts what became of a text from before a restore.
fn from_before(kind: ProviderKind, result: &'static str) {
    metrics::counter!("ccm_dispatch_from_before_total", "kind" => kind.as_str(), "result" => result)
        .increment(1);
}

/// Counts and logs a text that waits for somebody's word.
pub(crate) fn in_doubt(claim: &Claim, message: MessageId, kind: ProviderKind) {
    from_before(kind, "in_doubt");
    tracing::warn!(
        tenant.id = %claim.tenant,
        conversation.id = %claim.conversation,
        message.id = %message,
        provider.kind = kind.as_str(),
        "a text may have been sent before the database was restored, and nobody can be asked: it is a dead letter"
    );
}

/// Counts a text that no provider will take.
pub(crate) fn failed(claim: &Claim, kind: &'static str, class: &'static str) {
    metrics::counter!("ccm_dispatch_failed_total", "kind" => kind, "class" => class).increment(1);
    count_text(claim.tenant, TextEvent::Failed, None);
}

/// Why an attempt came to nothing, coarse enough for a metric's label.
fn class(attempt: &Attempt) -> &'static str {
    match attempt {
        Attempt::Refused(SendError {
            class: Class::Terminal,
            ..
        }) => "refused",
        Attempt::Refused(SendError { in_doubt: true, .. }) | Attempt::NoAnswer(_) => "in_doubt",
        Attempt::Refused(_) => "unavailable",
        Attempt::Unclear(_) => "unclear",
        Attempt::NoAccount(_) => "account",
        Attempt::NotTried => "not_tried",
        Attempt::Sent(_) | Attempt::Found { .. } | Attempt::Untold | Attempt::TooOld => "too_old",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ccm_db::Question;
    use ccm_model::{Address, Body};
    use uuid::Uuid;

    const DAY: Duration = Duration::from_secs(86_400);
    const BORN: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn sending(attempt: i32, doubt: Doubt) -> Sending {
        Sending {
            message: MessageId(Uuid::nil()),
            account: AccountId(Uuid::nil()),
            kind: ProviderKind::Http,
            from: Address::parse("72345").unwrap(),
            to: Address::parse("+19995550001").unwrap(),
            body: Body::new("hello").unwrap(),
            segments: 1,
            attempt,
            doubt,
            wait: Duration::ZERO,
            held: Duration::ZERO,
            has_second: false,
            webhook_base: None,
            trace: None,
            created_at: BORN,
            is_from_before: false,
        }
    }

    fn refused(class: Class, in_doubt: bool) -> Attempt {
        Attempt::Refused(SendError {
            class,
            provider_code: Some("20429".into()),
            operator: "slow down".into(),
            user: "later",
            in_doubt,
            opted_out: false,
        })
    }

    fn retry(attempt: &Attempt, sending: &Sending) -> (Duration, bool, Option<String>) {
        match decide(attempt, sending, false, BORN, DAY, u64::MAX) {
            Outcome::Retry {
                after,
                in_doubt,
                code,
                ..
            } => (after, in_doubt, code),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_passing_fault_is_tried_again_later_and_later() {
        let fault = refused(Class::Retryable { after: None }, false);
        let code = || Some("20429".to_owned());
        assert_eq!(
            retry(&fault, &sending(1, Doubt::No)),
            (Duration::from_secs(1), false, code())
        );
        assert_eq!(
            retry(&fault, &sending(4, Doubt::No)),
            (Duration::from_secs(8), false, code())
        );
        let asked = refused(
            Class::Retryable {
                after: Some(Duration::from_secs(9)),
            },
            false,
        );
        assert_eq!(
            retry(&asked, &sending(1, Doubt::No)),
            (Duration::from_secs(10), false, code())
        );
    }

    #[test]
    fn another_account_is_tried_soon() {
        let asked = Some(Duration::from_secs(60));
        let busy = refused(Class::Retryable { after: asked }, true);
        let outcome = decide(&busy, &sending(9, Doubt::No), true, BORN, DAY, u64::MAX);
        assert!(
            matches!(outcome, Outcome::Retry { after, in_doubt: true, .. } if after == Duration::from_secs(1)),
            "{outcome:?}"
        );
    }

    #[test]
    fn a_doubt_once_raised_stays() {
        let clear = refused(Class::Retryable { after: None }, false);
        assert!(
            retry(
                &refused(Class::Retryable { after: None }, true),
                &sending(1, Doubt::No)
            )
            .1
        );
        assert!(retry(&Attempt::NoAnswer(DAY), &sending(1, Doubt::No)).1);
        assert!(
            retry(&clear, &sending(2, Doubt::Resend)).1,
            "the first attempt is still in doubt"
        );
        assert!(retry(&Attempt::NotTried, &sending(2, Doubt::Resend)).1);
        assert!(!retry(&Attempt::NotTried, &sending(2, Doubt::No)).1);
    }

    #[test]
    fn a_provider_that_can_be_asked_is_given_time_to_list_the_text() {
        let mut sending = sending(1, Doubt::No);
        sending.kind = ProviderKind::Twilio;
        let asked = |attempt: &Attempt, sending: &Sending| match decide(attempt, sending, false, BORN, DAY, 0)
        {
            Outcome::Retry { after, in_doubt, .. } => (after, in_doubt),
            other => panic!("{other:?}"),
        };
        assert_eq!(asked(&Attempt::NoAnswer(DAY), &sending), (LISTED_AFTER, true));
        let busy = refused(Class::Retryable { after: None }, false);
        assert_eq!(asked(&busy, &sending), (Duration::ZERO, false));
        sending.doubt = Doubt::Ask(Question {
            since: BORN,
            also: None,
            or_nobody_knows: false,
        });
        assert_eq!(asked(&busy, &sending), (LISTED_AFTER, true));
        let Attempt::Refused(error) = busy else {
            unreachable!()
        };
        assert_eq!(asked(&Attempt::Unclear(error), &sending), (LISTED_AFTER, true));
        let attempt = Attempt::Found {
            provider_id: "SM1".into(),
            account: sending.account,
        };
        let found = decide(&attempt, &sending, false, BORN, DAY, 0);
        assert!(matches!(found, Outcome::Sent { provider_id: Some(id) } if id == "SM1"));
    }

    #[test]
    fn gives_up_when_the_next_attempt_would_be_too_late() {
        let fault = refused(Class::Retryable { after: None }, false);
        let almost = BORN + DAY - Duration::from_secs(30);
        assert!(matches!(
            decide(&fault, &sending(9, Doubt::No), false, almost, DAY, 0),
            Outcome::Retry { .. }
        ));
        let Outcome::Failed { code, detail, .. } =
            decide(&fault, &sending(9, Doubt::Resend), false, almost, DAY, u64::MAX)
        else {
            panic!("the next attempt is beyond the day");
        };
        assert_eq!(code.as_deref(), Some(GAVE_UP));
        assert!(
            detail.contains("(20429): slow down. The provider may have it"),
            "{detail}"
        );
        let old = decide(&Attempt::TooOld, &sending(1, Doubt::No), false, almost, DAY, 0);
        assert!(matches!(old, Outcome::Failed { code: Some(code), .. } if code == GAVE_UP));
    }

    #[test]
    fn a_refusal_is_final_and_says_nothing_against_the_account() {
        let no = refused(Class::Terminal, false);
        assert_eq!(no.seen(), Some(Seen::Works));
        let outcome = decide(&no, &sending(1, Doubt::No), false, BORN, DAY, 0);
        assert!(matches!(outcome, Outcome::Failed { code: Some(code), .. } if code == "20429"));
        assert_eq!(Attempt::NotTried.seen(), None);
        let asked = Some(Duration::from_secs(9));
        let later = refused(Class::Retryable { after: asked }, false);
        assert_eq!(later.seen(), Some(Seen::Fails { asked }));
    }
}
