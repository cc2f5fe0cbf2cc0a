//! The script file: AACC's settings and agents who play by themselves.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::chaos::Chaos;
use crate::error::SimError;
use crate::settings::Settings;
use crate::steps::Step;
use crate::tls::TlsSetup;
use crate::views::Role;

/// A script file, in TOML (`*.toml`) or JSON (anything else).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    pub aacc: Settings,
    pub tls: TlsSetup,
    pub agents: Vec<AutoAgent>,
    pub chaos: Option<Chaos>,
    pub steps: Vec<Step>,
}

/// A rule for automatic agents. Templates know the placeholders `{n}` (number of what is said to this customer, from 1,
/// over all chats), `{tag}`, `{text}` (the text that is answered), `{agent}`, `{customer}`, `{digits}` (the digits of
/// the customer's number), `{guid}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AutoAgent {
    /// Id of the first agent; further ones count on.
    pub id: String,
    pub name: String,
    /// How many agents play by this rule.
    pub agents: u32,
    /// How many chats each takes at a time; the others wait in line. `None` for any number.
    pub chats_per_agent: Option<u32>,
    /// Only chats of this skillset.
    pub skillset: Option<String>,
    /// Only these customers; a number that ends with `*` stands for all that begin so. Empty for all.
    pub customers: Vec<String>,
    /// What they are in the chat.
    pub role: Role,
    /// From the chat's begin (or its place in line) to the joining.
    pub join_after_ms: u64,
    /// Said after joining.
    pub greeting: Option<String>,
    /// How what is said is numbered. The checker wants a `#`, then letters, digits and dashes, different in every text.
    pub tag: String,
    /// What texts are answered with, one after the other, then from the first again. Empty for no answers.
    pub replies: Vec<String>,
    /// From a text's arrival to its answer.
    pub reply_after_ms: u64,
    /// Show typing before each answer.
    pub typing: bool,
    /// What is said leaves AACC with its `<`, `>` and `&` as they are.
    pub raw: bool,
    /// Leave after so many texts.
    pub leave_after_texts: Option<u32>,
    /// Leave so long after joining.
    pub leave_after_ms: Option<u64>,
    /// Whether leaving ends the chat (`endChatFlag`).
    pub end_chat: bool,
    /// In place of leaving: requeue the chat to this skillset.
    pub requeue_to: Option<String>,
    /// Where leaving does not end the chat: come back after so long.
    pub rejoin_after_ms: Option<u64>,
}

impl Default for AutoAgent {
    fn default() -> Self {
        AutoAgent {
            id: "7000".into(),
            name: "Russell".into(),
            agents: 1,
            chats_per_agent: None,
            skillset: None,
            customers: Vec::new(),
            role: Role::ActiveParticipant,
            join_after_ms: 0,
            greeting: None,
            tag: "#a-{digits}-{n}".into(),
            replies: vec!["{tag} {text}".into()],
            reply_after_ms: 0,
            typing: false,
            raw: false,
            leave_after_texts: None,
            leave_after_ms: None,
            end_chat: true,
            requeue_to: None,
            rejoin_after_ms: None,
        }
    }
}

impl AutoAgent {
    /// Whether a chat of this skillset and customer is for these agents.
    pub fn fits(&self, skillset: &str, customer: &str) -> bool {
        let named = |wanted: &String| match wanted.strip_suffix('*') {
            Some(prefix) => customer.starts_with(prefix),
            None => customer == wanted,
        };
        self.skillset.as_ref().is_none_or(|s| s == skillset)
            && (self.customers.is_empty() || self.customers.iter().any(named))
    }
}

impl Script {
    /// Reads a script file.
    pub fn load(path: &Path) -> Result<Self, SimError> {
        let text = std::fs::read_to_string(path).map_err(|source| SimError::File {
            path: path.to_owned(),
            source,
        })?;
        let wrong = |detail: String| SimError::Script {
            path: path.to_owned(),
            detail,
        };
        if path.extension().is_some_and(|e| e == "toml") {
            Script::from_toml(&text).map_err(wrong)
        } else {
            serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))
        }
    }

    /// Reads a script from TOML text.
    pub fn from_toml(text: &str) -> Result<Self, String> {
        let source = ::config::File::from_str(text, ::config::FileFormat::Toml);
        let built = ::config::Config::builder()
            .add_source(source)
            .build()
            .map_err(|e| e.to_string())?;
        built.try_deserialize().map_err(|e| e.to_string())
    }
}

/// Fills a template's placeholders in one pass, so that a text which looks like one stays as it is. Unknown ones stay.
pub(crate) fn fill(template: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        filled.push_str(&rest[..open]);
        rest = &rest[open..];
        let placeholder = rest
            .find('}')
            .and_then(|close| Some((value(&rest[1..close])?, close)));
        let (text, used) = match &placeholder {
            Some((text, close)) => (text.as_str(), close + 1),
            None => ("{", 1),
        };
        filled.push_str(text);
        rest = &rest[used..];
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn toml_and_json_say_the_same() {
        let toml = r#"
            [aacc]
            survive_for_ms = 1500
            [[aacc.skillsets]]
            name = "WC_Sales"
            welcome = "Welcome"
            comfort_groups = [{ name = "Default", delay_s = 45, messages = ["Please hold"] }]
            [[agents]]
            id = "7100"
            skillset = "WC_Sales"
            customers = ["+1469*"]
            replies = ["{tag} got {text}"]
            leave_after_texts = 2
        "#;
        let json = r#"{"aacc": {"survive_for_ms": 1500, "skillsets": [{"name": "WC_Sales", "welcome": "Welcome",
            "comfort_groups": [{"name": "Default", "delay_s": 45, "messages": ["Please hold"]}]}]},
            "agents": [{"id": "7100", "skillset": "WC_Sales", "customers": ["+1469*"],
            "replies": ["{tag} got {text}"], "leave_after_texts": 2}]}"#;
        let from_toml = Script::from_toml(toml).unwrap();
        let from_json: Script = serde_json::from_str(json).unwrap();
        assert_eq!(from_toml.agents, from_json.agents);
        assert_eq!(from_toml.agents[0].leave_after_texts, Some(2));
        for script in [from_toml, from_json] {
            assert_eq!(script.aacc.survive_for, Duration::from_millis(1500));
            assert_eq!(
                script.aacc.skillset("WC_Sales").welcome.as_deref(),
                Some("Welcome")
            );
            assert_eq!(script.aacc.skillset("other").welcome, None);
        }
        assert!(
            Script::from_toml("[[agents]]\nreplys = []")
                .unwrap_err()
                .contains("replys")
        );
    }

    #[test]
    fn the_readme_shows_a_script_that_loads() {
        let readme = include_str!("../README.md");
        let begin = readme.find("    [aacc]").unwrap();
        let example = &readme[begin..begin + readme[begin..].find("Templates know").unwrap()];
        let script = Script::from_toml(example).unwrap();
        assert_eq!((script.aacc.skillsets.len(), script.agents.len()), (1, 1));
        assert_eq!((script.steps.len(), script.chaos.map(|c| c.seed)), (1, Some(7)));
        let defaults = serde_json::to_value(Settings::default()).unwrap();
        for (name, value) in serde_json::to_value(script.aacc).unwrap().as_object().unwrap() {
            if !["skillsets", "any_skillset"].contains(&name.as_str()) {
                assert_eq!(*value, defaults[name], "{name}");
            }
        }
    }

    #[test]
    fn rules_fit_skillsets_and_customers() {
        let rule = AutoAgent {
            skillset: Some("S".into()),
            customers: vec!["+1*".into(), "77".into()],
            ..Default::default()
        };
        assert!(rule.fits("S", "+1469"));
        assert!(rule.fits("S", "77"));
        assert!(!rule.fits("S", "777"));
        assert!(!rule.fits("T", "+1469"));
        assert!(AutoAgent::default().fits("anything", ""));
    }

    #[test]
    fn templates_are_filled_once() {
        let value = |name: &str| match name {
            "n" => Some("3".to_owned()),
            "text" => Some("{n}".to_owned()),
            _ => None,
        };
        assert_eq!(fill("a-{n} {text} {x} {", value), "a-3 {n} {x} {");
    }
}
