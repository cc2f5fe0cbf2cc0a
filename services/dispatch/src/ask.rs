//! One text and its provider: as it leaves, whether the provider has it already, and what it says to it.

use crate::{line::Worker, outcome::Attempt};
use ccm_db::{AsSent, Claim, Doubt, Knows, Question, Sending};
use ccm_model::{AccountId, Body, ProviderKind, sms_settings::Transliterate};
use ccm_sms::{Account, Class, Outbound};
use ccm_sms_text::{
    segments,
    transliterate::{Policy, transliterate},
};
use reqwest::Url;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::Span;

/// The text as it leaves, and how many SMS it takes.
pub(crate) fn as_sent(body: Body, how: Transliterate) -> AsSent {
    let policy = match how {
        Transliterate::Off => Policy::Off,
        Transliterate::Punctuation => Policy::Punctuation,
        Transliterate::Latin => Policy::Latin,
    };
    let other = transliterate(body.as_str(), policy);
    // Should it have grown beyond what a body may be, or nothing be left, it leaves as it is.
    let body = match Body::new(other) {
        Ok(other) if !other.as_str().is_empty() => other,
        _ => body,
    };
    let segments = segments::count(body.as_str()).segments;
    AsSent {
        body,
        segments: u16::try_from(segments).unwrap_or(u16::MAX),
    }
}

/// What can be found out about a text that a provider of this kind may have.
pub(crate) fn knows(kind: ProviderKind) -> Knows {
    if ccm_sms::recognises_retries(kind) {
        Knows::Again
    } else if ccm_sms::can_look_up(kind) {
        Knows::WhenAsked
    } else {
        Knows::Nothing
    }
}

/// When a text may be on its way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    /// Its moment.
    pub leaves: Instant,
    /// When the claim expires: then another pod gets the text, and it must not be on its way from here.
    pub closes: Instant,
}

/// Where the account's provider is to post receipts: its webhook's address, if it can be reached safely.
pub(crate) fn receipts_to(sending: &Sending, platform: &str) -> Option<String> {
    let base = sending.webhook_base.as_deref().unwrap_or(platform);
    let address = format!(
        "{}/v1/sms/{}/{}",
        base.trim_end_matches('/'),
        sending.kind,
        sending.account
    );
    let url = Url::parse(&address).ok()?;
    let here = match url.host_str()? {
        "localhost" | "[::1]" => true,
        host => host
            .parse::<std::net::Ipv4Addr>()
            .is_ok_and(|ip| ip.is_loopback()),
    };
    (url.scheme() == "https" || (url.scheme() == "http" && here)).then_some(address)
}

impl Worker {
    /// Asks the provider to take the text, at its moment. One that may have it already and can be asked about it is asked
    /// that first.
    pub async fn ask(&self, claim: &Claim, account: &Account, sending: &Sending, window: Window) -> Attempt {
        let limit = self.provider_timeout.min(account.timeout());
        let address = receipts_to(sending, &self.receipts_base);
        let out = Outbound {
            message_id: sending.message,
            from: &sending.from,
            to: &sending.to,
            body: &sending.body,
            attempt: u32::try_from(sending.attempt).unwrap_or(u32::MAX),
            receipts_to: address.as_deref(),
            now: self.now(),
        };
        if let Doubt::Ask(question) = sending.doubt {
            match self
                .look_up(claim, account, sending, &out, question, window)
                .await
            {
                Ok(Some(found)) => return found,
                Ok(None) => {}
                Err(attempt) => return attempt,
            }
        }
        sleep_until(window.leaves).await;
        if Instant::now() + limit > window.closes {
            return Attempt::NotTried;
        }
        if let Doubt::Ask(_) = sending.doubt {
            let tenant = self.db.tenant(claim.tenant);
            let marked = tenant.mark_resend(claim, sending.message, self.now()).await;
            if !marked.unwrap_or(false) {
                return Attempt::NotTried;
            }
        }
        let again = matches!(sending.doubt, Doubt::Ask(_) | Doubt::Resend);
        Span::current().record("resend", again);
        if again {
            metrics::counter!("ccm_dispatch_resends_total", "kind" => sending.kind.as_str()).increment(1);
        }
        let out = Outbound {
            now: self.now(),
            ..out
        };
        let asked = Instant::now();
        let answer = timeout(limit, ccm_sms::send(&self.http, account, &out)).await;
        metrics::histogram!("ccm_dispatch_provider_seconds", "kind" => sending.kind.as_str())
            .record(asked.elapsed().as_secs_f64());
        match answer {
            Ok(Ok(sent)) => Attempt::Sent(sent),
            Ok(Err(e)) => Attempt::Refused(e),
            Err(_) => Attempt::NoAnswer(limit),
        }
    }

    /// What the provider has of the text ([`Attempt::Found`]), if it has it; asked of each account that may have had it. `Err`: that
    /// could not be found out now, or never will be.
    async fn look_up(
        &self,
        claim: &Claim,
        account: &Account,
        sending: &Sending,
        out: &Outbound<'_>,
        question: Question,
        window: Window,
    ) -> Result<Option<Attempt>, Attempt> {
        let first = self.look_up_in(claim, sending.account, account, sending, out, question, window);
        if let Some(found) = first.await? {
            return Ok(Some(found));
        }
        let Some(also) = question.also else {
            return Ok(None);
        };
        let account = self.account(claim.tenant, also).await?;
        self.look_up_in(claim, also, &account, sending, out, question, window)
            .await
    }

    #[allow(clippy::too_many_arguments, reason = "what `ask` knows, and whom to ask")]
    async fn look_up_in(
        &self,
        claim: &Claim,
        id: AccountId,
        account: &Account,
        sending: &Sending,
        out: &Outbound<'_>,
        question: Question,
        window: Window,
    ) -> Result<Option<Attempt>, Attempt> {
        let limit = self.provider_timeout.min(account.timeout());
        if Instant::now() + limit > window.closes {
            return Err(Attempt::NotTried);
        }
        let count = |result| {
            let kind = sending.kind.as_str();
            metrics::counter!("ccm_dispatch_look_ups_total", "kind" => kind, "result" => result).increment(1);
        };
        let answer = timeout(limit, ccm_sms::look_up(&self.http, account, out, question.since)).await;
        let found = match answer {
            Ok(Ok(look_up)) => look_up.found,
            Ok(Err(error)) if error.class == Class::Terminal => {
                count("refused");
                tracing::warn!(
                    tenant.id = %claim.tenant,
                    account.id = %id,
                    %error,
                    "a provider does not say whether it has a text"
                );
                return match question.or_nobody_knows {
                    true => Err(Attempt::Untold),
                    false => Ok(None),
                };
            }
            Ok(Err(error)) => {
                count("failed");
                return Err(Attempt::Unclear(error));
            }
            Err(_) => {
                count("failed");
                return Err(Attempt::NoAnswer(limit));
            }
        };
        let mut ids: Vec<String> = found.into_iter().map(|found| found.provider_id).collect();
        if !ids.is_empty() {
            let tenant = self.db.tenant(claim.tenant);
            let others = tenant.ids_of_others(id, sending.message, &ids).await;
            let others = others.map_err(|_| Attempt::NotTried)?;
            ids.retain(|id| !others.contains(id));
        }
        let first = ids.into_iter().next();
        count(if first.is_some() { "found" } else { "absent" });
        Ok(first.map(|provider_id| Attempt::Found {
            provider_id,
            account: id,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ccm_model::{Address, MessageId};
    use std::time::Duration;
    use time::OffsetDateTime;
    use uuid::Uuid;

    #[test]
    fn a_text_leaves_in_fewer_segments_where_the_tenant_lets_it() {
        let written = || Body::new("\u{201c}ça va\u{201d} \u{2013} dit-il \u{2026}").unwrap();
        let long = || Body::new(format!("\u{2019}{}", "x".repeat(100))).unwrap();
        assert_eq!(as_sent(written(), Transliterate::Off).body, written());
        assert_eq!(
            as_sent(written(), Transliterate::Latin).body.as_str(),
            "\"ca va\" - dit-il ..."
        );
        assert_eq!(as_sent(long(), Transliterate::Off).segments, 2);
        let shorter = as_sent(long(), Transliterate::Punctuation);
        assert_eq!((shorter.segments, &shorter.body.as_str()[..2]), (1, "'x"));
        let nothing = Body::new("\u{200b}").unwrap();
        assert_eq!(as_sent(nothing.clone(), Transliterate::Latin).body, nothing);
    }

    #[test]
    fn receipts_come_over_https_or_from_this_machine() {
        let account = AccountId(Uuid::nil());
        let sending = |base: Option<&str>| Sending {
            message: MessageId(Uuid::nil()),
            account,
            kind: ProviderKind::Twilio,
            from: Address::parse("72345").unwrap(),
            to: Address::parse("+19995550001").unwrap(),
            body: Body::new("hello").unwrap(),
            segments: 1,
            attempt: 1,
            doubt: Doubt::No,
            wait: Duration::ZERO,
            held: Duration::ZERO,
            has_second: false,
            webhook_base: base.map(str::to_owned),
            trace: None,
            created_at: OffsetDateTime::UNIX_EPOCH,
            is_from_before: false,
        };
        let path = format!("/v1/sms/twilio/{account}");
        for (base, own, to) in [
            ("https://sms.example.com", None, Some("https://sms.example.com")),
            ("https://sms.example.com/", None, Some("https://sms.example.com")),
            (
                "https://sms.example.com",
                Some("https://own.example"),
                Some("https://own.example"),
            ),
            ("http://sms.example.com", None, None),
            ("http://127.0.0.1:8443", None, Some("http://127.0.0.1:8443")),
            ("http://localhost:8443", None, Some("http://localhost:8443")),
            ("http://127.0.0.1.example.com", None, None),
            ("", None, None),
        ] {
            let expected = to.map(|to| format!("{to}{path}"));
            assert_eq!(receipts_to(&sending(own), base), expected, "{base} {own:?}");
        }
    }
}
