//! Tenants' own programs, which are asked where a text goes.

use ccm_egress::{Call, CallFailed, Egress, Signers};
use ccm_model::{Address, ConversationId, MessageId, TenantId};
use ccm_routing::{AutoReply, Fallback, SettingRefused};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use time::OffsetDateTime;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};
use url::Url;

/// Bytes of an answer at most: room for a reply in all languages.
const MOST_ANSWER: usize = 64 * 1024;
/// Calls of one address at the same time; others wait, within their own time.
const AT_ONCE: usize = 20;
/// So many failures in a row, and an address is not called for a while: its customers' texts wait for nothing meanwhile.
const FAILURES: u32 = 5;
const REST: Duration = Duration::from_secs(30);
/// Addresses that are remembered. Beyond, those are forgotten that are neither called nor left alone just now.
const MOST_KNOWN: usize = 10_000;

/// What a program is told: about one text.
#[derive(Serialize)]
pub(crate) struct Question<'a> {
    pub message_id: MessageId,
    pub conversation_id: ConversationId,
    /// The tenant's number.
    pub to: &'a Address,
    /// The customer.
    pub from: &'a Address,
    pub text: &'a str,
    pub language: &'a str,
    #[serde(with = "time::serde::rfc3339")]
    pub received_at: OffsetDateTime,
    /// The rule that asks.
    pub rule: Option<&'a str>,
    /// The number's own.
    pub skillset: &'a str,
}

#[derive(Serialize)]
struct Envelope<'a> {
    r#type: &'static str,
    #[serde(with = "time::serde::rfc3339")]
    timestamp: OffsetDateTime,
    data: Question<'a>,
}

/// What a program may answer. Nothing: the number's own skillset.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    #[serde(default)]
    skillset: Option<String>,
    #[serde(default)]
    reply: Option<AutoReply>,
}

/// Why nothing came of asking.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskFailed {
    #[error("it failed {FAILURES} times in a row and is left alone for {} s", REST.as_secs())]
    Resting,
    #[error(transparent)]
    Call(#[from] CallFailed),
    #[error("its answer cannot be used: {0}")]
    Answer(String),
    #[error("its answer names a skillset that the tenant does not have")]
    NoSuchSkillset,
}

impl AskFailed {
    /// A metric's label.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Resting => "resting",
            Self::Call(failed) => failed.as_str(),
            Self::Answer(_) => "answer",
            Self::NoSuchSkillset => "no_such_skillset",
        }
    }
}

impl From<SettingRefused> for AskFailed {
    fn from(refused: SettingRefused) -> Self {
        let SettingRefused {
            field,
            problem,
            remedy,
        } = refused;
        // What stands in a language's place is the answer's own.
        let field = match field.split_once(".words.") {
            Some((of, _)) => format!("{of}.words"),
            None => field,
        };
        Self::Answer(format!("{field} {problem}; {remedy}"))
    }
}

/// How one address does.
struct Known {
    places: Arc<Semaphore>,
    failures: u32,
    rests_until: Option<Instant>,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(AT_ONCE)),
            failures: 0,
            rests_until: None,
        }
    }
}

impl Known {
    fn rests(&self) -> bool {
        self.rests_until.is_some_and(|until| Instant::now() < until)
    }
}

/// All tenants' programs, as this pod knows them.
pub(crate) struct Webhooks {
    egress: Egress,
    known: Mutex<HashMap<(TenantId, String), Known>>,
}

impl Webhooks {
    pub fn new(egress: Egress) -> Self {
        Self {
            egress,
            known: Mutex::default(),
        }
    }

    /// Asks about one text. `None`: it has nothing to say.
    pub async fn ask(
        &self,
        tenant: TenantId,
        (url, within): (&str, Duration),
        question: Question<'_>,
        secrets: &[SecretString],
        now: OffsetDateTime,
    ) -> Result<Option<Fallback>, AskFailed> {
        let places = self.places(tenant, url).ok_or(AskFailed::Resting)?;
        // What cannot be signed with is refused when it is made.
        let signers = Signers::new(secrets).unwrap_or_default();
        let began = Instant::now();
        let late = CallFailed::TimedOut(within);
        let called = async {
            let _place = timeout(within, places.acquire()).await.map_err(|_| late)?;
            let id = question.message_id.to_string();
            let envelope = Envelope {
                r#type: "text.route",
                timestamp: now,
                data: question,
            };
            self.egress
                .post(Call {
                    url: &Url::parse(url).map_err(|_| CallFailed::Address)?,
                    id: &id,
                    timestamp: now.unix_timestamp(),
                    json: serde_json::to_string(&envelope).map_err(|_| CallFailed::Address)?,
                    signers: &signers,
                    timeout: within.saturating_sub(began.elapsed()),
                    most: MOST_ANSWER,
                })
                .await
        }
        .await;
        metrics::histogram!("ccm_connector_webhook_seconds").record(began.elapsed().as_secs_f64());
        self.heard(tenant, url, called.is_ok());
        read(&called?)
    }

    /// `None` while it rests.
    fn places(&self, tenant: TenantId, url: &str) -> Option<Arc<Semaphore>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_KNOWN {
            known.retain(|_, it| it.rests() || Arc::strong_count(&it.places) > 1);
        }
        let it = known.entry((tenant, url.to_owned())).or_default();
        (!it.rests()).then(|| it.places.clone())
    }

    fn heard(&self, tenant: TenantId, url: &str, well: bool) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let it = known.entry((tenant, url.to_owned())).or_default();
        it.failures = if well { 0 } else { it.failures.saturating_add(1) };
        // After a rest one failure is enough for the next.
        it.rests_until = (it.failures >= FAILURES).then(|| Instant::now() + REST);
    }
}

fn read(body: &[u8]) -> Result<Option<Fallback>, AskFailed> {
    if body.trim_ascii().is_empty() {
        return Ok(None);
    }
    // serde's own words may repeat a value.
    let object: Map<String, Value> =
        serde_json::from_slice(body).map_err(|_| AskFailed::Answer("it is no JSON object".into()))?;
    let answer: Answer = serde_json::from_value(object.into()).map_err(|_| {
        AskFailed::Answer("it has other members than skillset and reply as documented".into())
    })?;
    // Which one is open is the rules' affair, where it is checked that it opens some day.
    if answer
        .reply
        .as_ref()
        .is_some_and(|reply| reply.calendar.is_some())
    {
        return Err(AskFailed::Answer("a reply names a calendar".into()));
    }
    Ok(match answer {
        Answer {
            skillset: None,
            reply: None,
        } => None,
        Answer { skillset, reply } => Some(Fallback { skillset, reply }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ccm_egress::Allowed;
    use ccm_model::IdSource;

    #[test]
    fn answers_are_read_strictly() {
        for nothing in ["", " \n", "{}", r#"{"skillset": null}"#] {
            assert!(matches!(read(nothing.as_bytes()), Ok(None)), "{nothing}");
        }
        let said = read(br#"{"skillset": "WC_Sales"}"#).unwrap().unwrap();
        assert_eq!(said.skillset.as_deref(), Some("WC_Sales"));
        let said = read(br#"{"reply": {"words": {"en": "9 to 5"}, "then": "done"}}"#).unwrap();
        assert!(said.unwrap().reply.is_some());
        for bad in [
            "[]",
            "null",
            "1",
            r#"{"skilset": "x"}"#,
            r#"{"skillset": 7}"#,
            r#"{"reply": {"words": {"en": "later"}, "calendar": "office"}}"#,
            "{",
            "ok",
        ] {
            let failed = read(bad.as_bytes()).unwrap_err();
            assert_eq!(failed.as_str(), "answer", "{bad}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_that_fail_are_not_remembered_without_end() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let hooks = Webhooks::new(Egress::new(Allowed::default()).unwrap());
        let tenant: TenantId = IdSource::system().next();
        let asked = |url: &str| {
            let places = hooks.places(tenant, url);
            hooks.heard(tenant, url, false);
            places
        };
        let busy = asked("https://busy.example/").unwrap();
        for _ in 0..FAILURES {
            asked("https://rests.example/");
        }
        for n in 0..MOST_KNOWN + 10 {
            asked(&format!("https://hooks.example.com/{n}"));
        }
        assert!(hooks.known.lock().unwrap().len() <= MOST_KNOWN);
        let again = hooks.places(tenant, "https://busy.example/").unwrap();
        assert!(Arc::ptr_eq(&busy, &again), "calls that run are still counted");
        assert!(hooks.places(tenant, "https://rests.example/").is_none());
    }

    #[test]
    fn a_refused_answers_words_are_not_repeated() {
        let answer = r#"{"reply": {"words": {"+14697200001": "hi"}}}"#;
        let said = read(answer.as_bytes()).unwrap().unwrap();
        let failed = AskFailed::from(said.check().unwrap_err()).to_string();
        assert!(failed.contains("reply.words is no language tag"), "{failed}");
        assert!(!failed.contains("1469"), "{failed}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_again_and_again_is_left_alone_and_others_are_not() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let hooks = Webhooks::new(Egress::new(Allowed::default()).unwrap());
        let ids = IdSource::system();
        let (tenant, other): (TenantId, TenantId) = (ids.next(), ids.next());
        let url = "https://hooks.example.com/route";
        for _ in 1..FAILURES {
            hooks.heard(tenant, url, false);
        }
        assert!(hooks.places(tenant, url).is_some());
        hooks.heard(tenant, url, false);
        assert!(hooks.places(tenant, url).is_none());
        assert!(hooks.places(tenant, "https://hooks.example.com/other").is_some());
        assert!(hooks.places(other, url).is_some());
        tokio::time::advance(REST).await;
        assert!(hooks.places(tenant, url).is_some());
        hooks.heard(tenant, url, false);
        assert!(hooks.places(tenant, url).is_none(), "once is enough now");
        tokio::time::advance(REST).await;
        hooks.heard(tenant, url, true);
        hooks.heard(tenant, url, false);
        assert!(hooks.places(tenant, url).is_some());
    }
}
