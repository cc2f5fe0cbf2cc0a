//! A text to be decided on.

use ccm_model::Address;
use ccm_routing::{Decision, Explanation, Facts, Held, Router, RoutingSettings};
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

pub const OURS: &str = "+14155550123";
/// A Friday noon in Berlin.
pub const NOON: &str = "2026-11-27T11:00:00Z";
/// The evening after it.
pub const NIGHT: &str = "2026-11-27T21:00:00Z";
/// Monday, 09:00 in Berlin.
pub const MONDAY: &str = "2026-11-30T08:00:00Z";

/// To our number, from an Irish customer in English, on a working day.
#[derive(Debug, Clone)]
pub struct Text {
    pub to: Address,
    pub from: Address,
    pub text: String,
    pub language: String,
    pub now: OffsetDateTime,
    pub held: Option<(String, Option<String>)>,
}

pub fn text(text: &str) -> Text {
    Text {
        to: OURS.parse().unwrap(),
        from: "+353861234567".parse().unwrap(),
        text: text.to_owned(),
        language: "en-IE".to_owned(),
        now: at(NOON),
        held: None,
    }
}

impl Text {
    pub fn to(mut self, to: &str) -> Self {
        self.to = to.parse().unwrap();
        self
    }

    pub fn from(mut self, from: &str) -> Self {
        self.from = from.parse().unwrap();
        self
    }

    pub fn speaking(mut self, language: &str) -> Self {
        self.language = language.to_owned();
        self
    }

    pub fn at(mut self, now: &str) -> Self {
        self.now = at(now);
        self
    }

    pub fn held(mut self, calendar: &str, skillset: Option<&str>) -> Self {
        self.held = Some((calendar.to_owned(), skillset.map(str::to_owned)));
        self
    }

    pub fn with<T>(&self, look: impl FnOnce(&Facts<'_>) -> T) -> T {
        look(&Facts {
            to: &self.to,
            from: &self.from,
            text: &self.text,
            language: &self.language,
            tenant_language: "de",
            own_skillset: "Own",
            now: self.now,
            held: self.held.as_ref().map(|(calendar, skillset)| Held {
                calendar,
                skillset: skillset.as_deref(),
            }),
        })
    }

    /// What is decided; the explanation must say the same.
    pub fn decided(&self, router: &Router) -> Decision {
        let decision = self.with(|facts| router.decide(facts));
        assert_eq!(self.explained(router).decision, decision);
        decision
    }

    pub fn explained(&self, router: &Router) -> Explanation {
        self.with(|facts| router.explain(facts))
    }
}

pub fn at(text: &str) -> OffsetDateTime {
    OffsetDateTime::parse(text, &Rfc3339).unwrap()
}

pub fn router(document: Value) -> Router {
    let settings: RoutingSettings = serde_json::from_value(document).unwrap();
    Router::new(&settings).unwrap()
}
