//! What a tenant decides about its agents' page: how its address is read, who may frame it, how long it lives.
//!
//! One JSON document per tenant, as [`crate::chat_settings`].

use crate::{
    Address,
    settings::{Check, SettingRefused},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A language that the page speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageLanguage {
    #[default]
    En,
    De,
    Fr,
    Es,
}

impl PageLanguage {
    pub const ALL: [Self; 4] = [Self::En, Self::De, Self::Fr, Self::Es];

    /// Its tag.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
            Self::Fr => "fr",
            Self::Es => "es",
        }
    }
}

/// A tenant's decisions about its agents' page. Times are in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ScreenpopSettings {
    /// Two letters (ISO 3166-1): how a number without its country is read. `None`: as one of the country of the number
    /// that texts leave from, where that is the only way.
    pub region: Option<String>,
    pub language: PageLanguage,
    pub parameters: Parameters,
    /// By skillset, the number that its customers are texted from. At most 200.
    pub senders: BTreeMap<String, Address>,
    /// Origins whose pages may frame this one; none: nobody may.
    pub frame_ancestors: Vec<String>,
    /// How long a page works after it was opened, 900 to 86,400.
    pub session_s: u32,
    /// Whether the number is checked when the page opens, and not only when the agent asks. A check may cost a look-up.
    pub check_at_opening: bool,
    /// How long an answer is waited for before the conversation ends, 3600 to 2,592,000.
    pub answer_within_s: u32,
    /// Texts that all agents together send in a minute, 1 to 10,000.
    pub texts_per_minute: u32,
}

/// Under which names the page's address brings what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Parameters {
    /// Whoever calls, beside `dest`.
    pub caller: String,
    /// The agent's name. Nobody proves it.
    pub agent: String,
    /// The contact's id in AACC.
    pub contact: String,
    /// The skillset that the call is of.
    pub skillset: String,
    /// The caller's name.
    pub name: String,
    /// An order number, for templates.
    pub order: String,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            caller: "dest".to_owned(),
            agent: "agent".to_owned(),
            contact: "contact".to_owned(),
            skillset: "skillset".to_owned(),
            name: "name".to_owned(),
            order: "order".to_owned(),
        }
    }
}

impl Parameters {
    fn all(&self) -> [(&'static str, &str); 6] {
        [
            ("caller", &self.caller),
            ("agent", &self.agent),
            ("contact", &self.contact),
            ("skillset", &self.skillset),
            ("name", &self.name),
            ("order", &self.order),
        ]
    }
}

impl Default for ScreenpopSettings {
    fn default() -> Self {
        Self {
            region: None,
            language: PageLanguage::En,
            parameters: Parameters::default(),
            senders: BTreeMap::new(),
            frame_ancestors: Vec::new(),
            session_s: 28_800,
            check_at_opening: false,
            answer_within_s: 259_200,
            texts_per_minute: 600,
        }
    }
}

/// What the address means by itself.
const TAKEN: [&str; 3] = ["auth", "dialed", "link"];

impl ScreenpopSettings {
    /// Checks every field against its range.
    pub fn check(&self) -> Result<(), SettingRefused> {
        let mut check = Check::default();
        let is_country =
            |region: &String| region.len() == 2 && region.bytes().all(|b| b.is_ascii_uppercase());
        if self.region.as_ref().is_some_and(|region| !is_country(region)) {
            check.refuse(
                "region",
                "is no country of two capital letters",
                "write one such as IE or US",
            );
        }
        let mut names = BTreeSet::new();
        for (member, name) in self.parameters.all() {
            let field = format!("parameters.{member}");
            let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
            if !(1..=40).contains(&name.len()) || !name.bytes().all(fits) {
                check.refuse(
                    &field,
                    "is not 1 to 40 letters, digits, dots, dashes and underscores",
                    "write the name as it stands in the address",
                );
            }
            let name = name.to_ascii_lowercase();
            if TAKEN.contains(&name.as_str()) || !names.insert(name) {
                check.refuse(
                    &field,
                    "is a name that means something else already",
                    "take another name",
                );
            }
        }
        if self.senders.len() > 200 {
            check.refuse("senders", "has more than 200 skillsets", "leave some out");
        }
        for (skillset, sender) in &self.senders {
            let field = format!("senders.{skillset}");
            check.text(&field, skillset, 100);
            if matches!(sender, Address::Alphanumeric(_)) {
                check.refuse(&field, "cannot be answered", "give one of the tenant's numbers");
            }
        }
        if self.frame_ancestors.len() > 20 {
            check.refuse("frame_ancestors", "holds more than 20", "leave some out");
        }
        for (n, origin) in self.frame_ancestors.iter().enumerate() {
            if !is_origin(origin) {
                check.refuse(
                    &format!("frame_ancestors[{n}]"),
                    "is no https origin",
                    "write it like https://crm.example.com, with its port if it has one, and nothing behind",
                );
            }
        }
        check.range("session_s", self.session_s, 900, 86_400);
        check.range("answer_within_s", self.answer_within_s, 3600, 2_592_000);
        check.range("texts_per_minute", self.texts_per_minute, 1, 10_000);
        check.done()
    }
}

/// As it stands in a header: nothing in it may end the directive.
fn is_origin(origin: &str) -> bool {
    let Some(host) = origin.strip_prefix("https://") else {
        return false;
    };
    let (host, port) = host.split_once(':').unwrap_or((host, "443"));
    let label = |l: &str| !l.is_empty() && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    origin.len() <= 200 && host.split('.').all(label) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn refused(document: Value) -> String {
        let settings: ScreenpopSettings = serde_json::from_value(document).unwrap();
        settings.check().unwrap_err().field
    }

    #[test]
    fn an_empty_document_is_the_default() {
        let settings: ScreenpopSettings = serde_json::from_value(json!({})).unwrap();
        assert_eq!(settings, ScreenpopSettings::default());
        settings.check().unwrap();
    }

    #[test]
    fn what_cannot_be_is_named() {
        for (document, field) in [
            (json!({"region": "Ireland"}), "region"),
            (json!({"parameters": {"caller": "a b"}}), "parameters.caller"),
            (json!({"parameters": {"agent": "AUTH"}}), "parameters.agent"),
            (json!({"parameters": {"order": "agent"}}), "parameters.order"),
            (json!({"senders": {"Sales": "WEBTEXT"}}), "senders.Sales"),
            (
                json!({"frame_ancestors": ["https://crm.example", "http://crm.example"]}),
                "frame_ancestors[1]",
            ),
            (
                json!({"frame_ancestors": ["https://crm.example; script-src *"]}),
                "frame_ancestors[0]",
            ),
            (json!({"frame_ancestors": ["https://*"]}), "frame_ancestors[0]"),
            (json!({"session_s": 86_401}), "session_s"),
            (json!({"answer_within_s": 1}), "answer_within_s"),
            (json!({"texts_per_minute": 0}), "texts_per_minute"),
        ] {
            assert_eq!(refused(document.clone()), field, "{document}");
        }
        let good = json!({"region": "IE", "frame_ancestors": ["https://crm.example.com:8443"],
                          "senders": {"Sales": "+353861234567"}, "parameters": {"caller": "CLID"}});
        serde_json::from_value::<ScreenpopSettings>(good)
            .unwrap()
            .check()
            .unwrap();
    }
}
