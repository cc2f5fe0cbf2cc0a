//! What a tenant decides about its chats: what customers are told, what agents see, how long a chat lives.
//!
//! Stored as one JSON document per tenant; fields of a newer version are passed over (who takes a document from outside
//! refuses them). Everything has a default, so a tenant that has set nothing has a working chat in
//! which CCM itself says nothing: there is no notice before the tenant has written one.

use crate::settings::{Check, SettingRefused, Words};
use ccm_sms_text::keyword::Keywords;
use serde::{Deserialize, Serialize};

/// A tenant's decisions about its chats. Times are in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChatSettings {
    /// The language that notices are picked in and agents are told of: a tag such as `en` or `de-AT`.
    pub language: String,
    pub notices: Notices,
    /// How long a customer waits for an agent before the notice `waiting`. 0 to 3600.
    pub waiting_after_s: u32,
    pub comfort: Comfort,
    pub queue: QueueNews,
    /// Whether agents see the customer type for a moment before each text. An SMS says nothing of typing, so this is a
    /// courtesy that the tenant asks for.
    pub customer_typing: bool,
    pub supervisors: Supervisors,
    pub agent_label: AgentLabel,
    /// Whether the skillset's welcome message goes to the phone.
    pub welcome: bool,
    /// Texts of AACC itself, and what they are to the customer. Compared as a whole, without label, case and a final dot.
    pub system_texts: Vec<SystemText>,
    pub customer: CustomerView,
    pub limits: ChatLimits,
    pub life: ChatLife,
    pub hold: Hold,
}

/// The tenant's words for what happens. `None`: nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Notices {
    /// No agent is logged in, or AACC found none.
    pub no_agents: Option<Words>,
    /// The last agent left, and the chat goes on. Not said on a transfer.
    pub agents_left: Option<Words>,
    /// The chat is over. Not said to a customer who ended it by a keyword of opt-out, nor when AACC's own check of idle
    /// customers ended it.
    pub chat_ended: Option<Words>,
    /// The contact center is closed for maintenance.
    pub maintenance: Option<Words>,
    /// Nobody has answered yet.
    pub waiting: Option<Words>,
    /// The place in the queue; knows `{position}` and `{wait_minutes}`.
    pub queue: Option<Words>,
    /// An agent sent a file, which an SMS cannot carry; knows `{agent}` and `{file}`.
    pub file: Option<Words>,
    /// A text could not be brought to an agent within the tenant's own limits.
    pub not_delivered: Option<Words>,
}

/// What AACC's comfort messages and on-hold links become for a waiting customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Comfort {
    pub mode: ComfortMode,
    /// Texts in one chat at the most. 1 to 100; counts with `all`.
    pub most: u32,
    /// Between two of them. 5 to 86400.
    pub min_gap_s: u32,
    /// Whether on-hold links count as comfort messages.
    pub links: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ComfortMode {
    Off,
    /// The first message of the first group, once in a chat.
    First,
    /// As AACC's own web chat plays them, within `most` and `min_gap_s`.
    All,
}

/// Texts about the place in the queue; their words are `notices.queue`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct QueueNews {
    pub enabled: bool,
    /// Between two such texts. 10 to 86400.
    pub min_gap_s: u32,
    /// How often AACC is asked. 5 to 3600.
    pub ask_every_s: u32,
}

/// What a supervisor's presence means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Supervisors {
    /// Whether one who only observes opens the chat for texts, as in AACC 7.x's reference client.
    pub observer_opens_chat: bool,
    /// Whether one who barges in does.
    pub barge_in_opens_chat: bool,
}

/// What is done with the agent label in front of agents' texts (`[Agent] Hello`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentLabel {
    pub policy: LabelPolicy,
    /// The labels as configured in CCMM (Agent Label).
    pub labels: Vec<String>,
    /// For `template`: knows `{agent}` and `{text}`.
    pub template: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelPolicy {
    Keep,
    Strip,
    Template,
}

/// A text of AACC itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemText {
    pub text: String,
    pub means: SystemMeaning,
}

/// What a text of AACC itself is to the customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SystemMeaning {
    /// The notice `no_agents`, if the tenant has one.
    NoAgents,
    /// The notice `agents_left`, if the tenant has one.
    AgentsLeft,
    /// Nothing.
    Drop,
}

/// What agents are told of the customer. Templates know `{channel}`, `{customer}` and `{ours}` (the two numbers),
/// `{country}` (`+353`), `{area}`, `{number}`, `{name}`, `{email}`, `{language}`, `{first_text}`, `{last_agent}` and
/// `{last_ended}` (of an earlier chat, within `life.reopen_within_s`); of a deflection `{context}`, `{context.NAME}`, `{waited}` (seconds),
/// `{waited_minutes}`, `{contact}` and `{priority}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CustomerView {
    /// The name of a customer of whom none is known.
    pub name: String,
    /// Custom fields, in order. One that comes out empty is left out.
    pub fields: Vec<FieldTemplate>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldTemplate {
    pub title: String,
    pub value: String,
}

/// What AACC would refuse is not asked for: the customer waits instead, visibly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChatLimits {
    /// Chats of one customer at a time, over all of the tenant's numbers (CCMM: Concurrent Chats Limit per Customer). 1 to
    /// 100.
    pub per_customer: u32,
    /// Chats of one skillset at a time (CCMM: Max Concurrent Chats). 1 to 100000.
    pub per_skillset: u32,
    /// How long AACC may count a chat that a broken link left behind. 0 to 86400.
    pub left_behind_s: u32,
}

/// How long a chat lives, and what follows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChatLife {
    /// The chat ends when its customer has been silent so long while an agent was in. `None`: never. 60 to 604800.
    pub customer_idle_s: Option<u32>,
    /// An agent has not answered for so long: the customer is told (`waiting`). `None`: never. 30 to 86400.
    pub agent_idle_s: Option<u32>,
    /// The chat ends so long after it began. `None`: never. 300 to 2592000.
    pub max_age_s: Option<u32>,
    /// A text that is only this word ends the chat. Never a word of opt-out.
    pub closing_keyword: Option<String>,
    /// CCMM's Force Idle Customer Check Timeout: a chat that AACC ends after so long a silence of the customer ends silently, and
    /// the customer's next text opens it again. 0: AACC does not check. 0 to 86400.
    pub force_idle_s: u32,
    /// A text so soon after a chat's end is told to the next agent as its continuation. 0 to 2592000.
    pub reopen_within_s: u32,
    /// Whether the continuation is said in the chat too, in front of its first text, in the tenant's words. Knows
    /// `{last_agent}` and `{last_ended}`.
    pub reopen_note: Option<Words>,
}

/// What is held while no agent can be reached. Beyond it a text becomes a dead letter that an operator sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hold {
    /// Texts of one conversation. 1 to 10000.
    pub most_texts: u32,
    /// Age of a text. 60 to 2592000.
    pub longest_s: u32,
}

impl Default for ChatSettings {
    fn default() -> Self {
        let system = |text: &str, means| SystemText {
            text: text.into(),
            means,
        };
        Self {
            language: "en".into(),
            notices: Notices::default(),
            waiting_after_s: 30,
            comfort: Comfort::default(),
            queue: QueueNews::default(),
            customer_typing: false,
            supervisors: Supervisors::default(),
            agent_label: AgentLabel::default(),
            welcome: true,
            system_texts: vec![
                system("All Agents have left the conversation", SystemMeaning::AgentsLeft),
                system("No agents", SystemMeaning::NoAgents),
            ],
            customer: CustomerView::default(),
            limits: ChatLimits::default(),
            life: ChatLife::default(),
            hold: Hold::default(),
        }
    }
}

impl Default for Comfort {
    fn default() -> Self {
        Self {
            mode: ComfortMode::First,
            most: 3,
            min_gap_s: 120,
            links: false,
        }
    }
}

impl Default for QueueNews {
    fn default() -> Self {
        Self {
            enabled: false,
            min_gap_s: 120,
            ask_every_s: 30,
        }
    }
}

impl Default for Supervisors {
    fn default() -> Self {
        Self {
            observer_opens_chat: false,
            barge_in_opens_chat: true,
        }
    }
}

impl Default for AgentLabel {
    fn default() -> Self {
        Self {
            policy: LabelPolicy::Strip,
            labels: vec!["[Agent]".into()],
            template: "{agent}: {text}".into(),
        }
    }
}

impl Default for CustomerView {
    fn default() -> Self {
        let field = |title: &str, value: &str| FieldTemplate {
            title: title.into(),
            value: value.into(),
        };
        Self {
            name: "SMS Customer".into(),
            fields: vec![
                field("channel", "{channel}"),
                field("from", "{customer}"),
                field("to", "{ours}"),
                field("language", "{language}"),
                field("firstText", "{first_text}"),
                field("context", "{context}"),
                field("lastAgent", "{last_agent}"),
                field("lastChatEnded", "{last_ended}"),
                field("waited", "{waited}"),
                field("contact", "{contact}"),
                field("priority", "{priority}"),
            ],
        }
    }
}

impl Default for ChatLimits {
    fn default() -> Self {
        Self {
            per_customer: 3,
            per_skillset: 50,
            left_behind_s: 180,
        }
    }
}

impl Default for ChatLife {
    fn default() -> Self {
        Self {
            customer_idle_s: None,
            agent_idle_s: None,
            max_age_s: None,
            closing_keyword: None,
            force_idle_s: 180,
            reopen_within_s: 86_400,
            reopen_note: None,
        }
    }
}

impl Default for Hold {
    fn default() -> Self {
        Self {
            most_texts: 500,
            longest_s: 259_200,
        }
    }
}

impl ChatSettings {
    /// Checks every field against its range.
    pub fn check(&self) -> Result<(), SettingRefused> {
        let mut check = Check::default();
        check.language("language", &self.language);
        for (field, words) in self.notices.all() {
            check.words(&format!("notices.{field}"), words);
        }
        check.range("waiting_after_s", self.waiting_after_s, 0, 3600);
        check.range("comfort.most", self.comfort.most, 1, 100);
        check.range("comfort.min_gap_s", self.comfort.min_gap_s, 5, 86_400);
        check.range("queue.min_gap_s", self.queue.min_gap_s, 10, 86_400);
        check.range("queue.ask_every_s", self.queue.ask_every_s, 5, 3600);
        if self.queue.enabled && self.notices.queue.is_none() {
            check.refuse(
                "notices.queue",
                "has no words, and queue.enabled is true",
                "write them, or set queue.enabled to false",
            );
        }
        check.list("agent_label.labels", &self.agent_label.labels);
        check.text("agent_label.template", &self.agent_label.template, 200);
        if self.agent_label.policy == LabelPolicy::Template && !self.agent_label.template.contains("{text}") {
            check.refuse(
                "agent_label.template",
                "has no {text}, so agents' words would be lost",
                "put {text} into it",
            );
        }
        if self.system_texts.len() > 50 {
            check.refuse("system_texts", "holds more than 50", "leave some out");
        }
        for known in &self.system_texts {
            check.text("system_texts.text", &known.text, 500);
        }
        check.text("customer.name", &self.customer.name, 100);
        for (n, field) in self.customer.fields.iter().enumerate() {
            check.text(&format!("customer.fields[{n}].title"), &field.title, 100);
            check.text(&format!("customer.fields[{n}].value"), &field.value, 500);
        }
        if self.customer.fields.len() > 30 {
            check.refuse("customer.fields", "holds more than 30", "leave some out");
        }
        check.range("limits.per_customer", self.limits.per_customer, 1, 100);
        check.range("limits.per_skillset", self.limits.per_skillset, 1, 100_000);
        check.range("limits.left_behind_s", self.limits.left_behind_s, 0, 86_400);
        self.life.check(&mut check);
        check.range("hold.most_texts", self.hold.most_texts, 1, 10_000);
        check.range("hold.longest_s", self.hold.longest_s, 60, 2_592_000);
        check.done()
    }
}

impl ChatLife {
    fn check(&self, check: &mut Check) {
        let optional = [
            ("life.customer_idle_s", self.customer_idle_s, 60, 604_800),
            ("life.agent_idle_s", self.agent_idle_s, 30, 86_400),
            ("life.max_age_s", self.max_age_s, 300, 2_592_000),
        ];
        for (field, value, least, most) in optional {
            if let Some(value) = value {
                check.range(field, value, least, most);
            }
        }
        check.range("life.force_idle_s", self.force_idle_s, 0, 86_400);
        check.range("life.reopen_within_s", self.reopen_within_s, 0, 2_592_000);
        check.words("life.reopen_note", self.reopen_note.as_ref());
        if let Some(word) = &self.closing_keyword {
            check.text("life.closing_keyword", word, 30);
            if Keywords::default().read(word).is_some() {
                check.refuse(
                    "life.closing_keyword",
                    "is a word by which customers refuse or ask for texts",
                    "take another word, such as BYE",
                );
            }
        }
    }
}

impl Notices {
    fn all(&self) -> [(&'static str, Option<&Words>); 8] {
        [
            ("no_agents", self.no_agents.as_ref()),
            ("agents_left", self.agents_left.as_ref()),
            ("chat_ended", self.chat_ended.as_ref()),
            ("maintenance", self.maintenance.as_ref()),
            ("waiting", self.waiting.as_ref()),
            ("queue", self.queue.as_ref()),
            ("file", self.file.as_ref()),
            ("not_delivered", self.not_delivered.as_ref()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(document: serde_json::Value) -> String {
        let settings: ChatSettings = serde_json::from_value(document).unwrap();
        settings.check().unwrap_err().field
    }

    #[test]
    fn an_empty_document_is_the_default_and_says_nothing_to_customers() {
        let settings: ChatSettings = serde_json::from_value(json!({})).unwrap();
        assert_eq!(settings, ChatSettings::default());
        settings.check().unwrap();
        assert_eq!(settings.notices, Notices::default());
        let back: ChatSettings =
            serde_json::from_value(serde_json::to_value(ChatSettings::default()).unwrap()).unwrap();
        assert_eq!(back, settings);
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_field() {
        assert_eq!(refused(json!({"comfort": {"most": 0}})), "comfort.most");
        assert_eq!(
            refused(json!({"life": {"closing_keyword": " stop"}})),
            "life.closing_keyword"
        );
        assert_eq!(refused(json!({"queue": {"enabled": true}})), "notices.queue");
        assert_eq!(
            refused(json!({"agent_label": {"policy": "template", "template": "{agent}"}})),
            "agent_label.template"
        );
        assert_eq!(
            refused(json!({"notices": {"waiting": {"de": " "}}})),
            "notices.waiting.de"
        );
        assert_eq!(refused(json!({"notices": {"waiting": {}}})), "notices.waiting");
        assert_eq!(refused(json!({"language": "x"})), "language");
        assert_eq!(refused(json!({"life": {"max_age_s": 1}})), "life.max_age_s");
    }
}
