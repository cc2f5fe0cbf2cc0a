//! The shape of [`ccm_model::ChatSettings`] for the API's document, with ranges and defaults. The model knows no web; the tests
//! in `tests/it/chat_settings.rs` hold this to what the model reads, writes and checks.

#![allow(dead_code, reason = "the document is made of it")]

use crate::schema::one_of;
use std::collections::BTreeMap;
use utoipa::{
    ToSchema,
    openapi::schema::{Object, ObjectBuilder},
};

fn comfort_mode() -> Object {
    ObjectBuilder::from(one_of(
        "`off`; `first`: the first message of the first group, once in a chat; `all`: as AACC's own web chat plays them, \
         within `most` and `min_gap_s`.",
        ["off", "first", "all"].into_iter(),
    ))
    .default(Some("first".into()))
    .build()
}

fn label_policy() -> Object {
    ObjectBuilder::from(one_of(
        "`keep` it, `strip` it, or put the text into `template`.",
        ["keep", "strip", "template"].into_iter(),
    ))
    .default(Some("strip".into()))
    .build()
}

fn system_meaning() -> Object {
    one_of(
        "The notice `no_agents` or `agents_left`, if the tenant has it; or nothing (`drop`).",
        ["no_agents", "agents_left", "drop"].into_iter(),
    )
}

/// How chats behave: what customers are told, what agents see, how long a chat lives. Times are in seconds. What is left out
/// takes its default.
#[derive(ToSchema)]
#[schema(example = json!({
    "language": "de",
    "notices": {
        "no_agents": {
            "de": "Zurzeit ist niemand da. Wir antworten, sobald jemand frei ist.",
            "en": "Nobody is here at the moment. We answer as soon as somebody is."
        },
        "chat_ended": {"de": "Der Chat ist beendet. Danke!", "en": "The chat has ended. Thank you!"}
    },
    "comfort": {"mode": "all", "most": 2, "min_gap_s": 300},
    "life": {"max_age_s": 86400, "closing_keyword": "BYE"}
}))]
pub struct ChatSettings {
    /// The language that notices are picked in and agents are told of: a tag such as `en` or `de-AT`.
    #[schema(default = "en", min_length = 2, max_length = 35, required = false)]
    language: String,
    #[schema(required = false)]
    notices: Notices,
    /// How long a customer waits for an agent before the notice `waiting`.
    #[schema(default = 30, minimum = 0, maximum = 3600, required = false)]
    waiting_after_s: u32,
    #[schema(required = false)]
    comfort: Comfort,
    #[schema(required = false)]
    queue: QueueNews,
    /// Whether agents see the customer type for a moment before each text; an SMS says nothing of typing.
    #[schema(default = false, required = false)]
    customer_typing: bool,
    #[schema(required = false)]
    supervisors: Supervisors,
    #[schema(required = false)]
    agent_label: AgentLabel,
    /// Whether the skillset's welcome message goes to the phone.
    #[schema(default = true, required = false)]
    welcome: bool,
    /// Texts of AACC itself, and what they are to the customer. Compared as a whole, without label, case and a final dot.
    #[schema(default = json!([
        {"text": "All Agents have left the conversation", "means": "agents_left"},
        {"text": "No agents", "means": "no_agents"}
    ]), required = false)]
    system_texts: Vec<SystemText>,
    #[schema(required = false)]
    customer: CustomerView,
    #[schema(required = false)]
    limits: ChatLimits,
    #[schema(required = false)]
    life: ChatLife,
    #[schema(required = false)]
    hold: Hold,
}

/// The tenant's words for what happens: a language tag (`en`, `de-AT`) to a text of 1 to 1000 characters. `null`: nothing
/// is said.
#[derive(ToSchema)]
pub struct Notices {
    /// No agent is logged in, or AACC found none.
    #[schema(default = json!(null))]
    no_agents: Option<BTreeMap<String, String>>,
    /// The last agent left, and the chat goes on. Not said on a transfer.
    #[schema(default = json!(null))]
    agents_left: Option<BTreeMap<String, String>>,
    /// The chat is over. Not said to a customer who opted out, nor when AACC's own check of idle customers ended it.
    #[schema(default = json!(null))]
    chat_ended: Option<BTreeMap<String, String>>,
    /// The contact center is closed for maintenance.
    #[schema(default = json!(null))]
    maintenance: Option<BTreeMap<String, String>>,
    /// Nobody has answered yet.
    #[schema(default = json!(null))]
    waiting: Option<BTreeMap<String, String>>,
    /// The place in the queue; knows `{position}` and `{wait_minutes}`. Needed if `queue.enabled`.
    #[schema(default = json!(null))]
    queue: Option<BTreeMap<String, String>>,
    /// An agent sent a file, which an SMS cannot carry; knows `{agent}` and `{file}`.
    #[schema(default = json!(null))]
    file: Option<BTreeMap<String, String>>,
    /// A text could not be brought to an agent within `hold`.
    #[schema(default = json!(null))]
    not_delivered: Option<BTreeMap<String, String>>,
}

/// What AACC's comfort messages and on-hold links become for a waiting customer.
#[derive(ToSchema)]
pub struct Comfort {
    #[schema(schema_with = comfort_mode, required = false)]
    mode: String,
    /// Texts in one chat at the most, with `all`.
    #[schema(default = 3, minimum = 1, maximum = 100, required = false)]
    most: u32,
    /// Between two of them.
    #[schema(default = 120, minimum = 5, maximum = 86400, required = false)]
    min_gap_s: u32,
    /// Whether on-hold links count as comfort messages.
    #[schema(default = false, required = false)]
    links: bool,
}

/// Texts about the place in the queue; their words are `notices.queue`.
#[derive(ToSchema)]
pub struct QueueNews {
    /// Whether customers are told when their place is a new one.
    #[schema(default = false, required = false)]
    enabled: bool,
    /// Between two such texts.
    #[schema(default = 120, minimum = 10, maximum = 86400, required = false)]
    min_gap_s: u32,
    /// How often AACC is asked.
    #[schema(default = 30, minimum = 5, maximum = 3600, required = false)]
    ask_every_s: u32,
}

/// What a supervisor's presence means.
#[derive(ToSchema)]
pub struct Supervisors {
    /// Whether one who only observes opens the chat for texts, as in AACC 7.x's reference client.
    #[schema(default = false, required = false)]
    observer_opens_chat: bool,
    /// Whether one who barges in does.
    #[schema(default = true, required = false)]
    barge_in_opens_chat: bool,
}

/// What is done with the agent label in front of agents' texts (`[Agent] Hello`).
#[derive(ToSchema)]
pub struct AgentLabel {
    #[schema(schema_with = label_policy, required = false)]
    policy: String,
    /// The labels as configured in CCMM (Agent Label), each of 1 to 100 characters.
    #[schema(default = json!(["[Agent]"]), max_items = 20, required = false)]
    labels: Vec<String>,
    /// For `template`, which needs `{text}` in it; knows `{agent}` too.
    #[schema(
        default = "{agent}: {text}",
        min_length = 1,
        max_length = 200,
        required = false
    )]
    template: String,
}

/// A text of AACC itself.
#[derive(ToSchema)]
pub struct SystemText {
    #[schema(min_length = 1, max_length = 500)]
    text: String,
    #[schema(schema_with = system_meaning)]
    means: String,
}

/// What agents are told of the customer.
#[derive(ToSchema)]
pub struct CustomerView {
    /// The name of a customer of whom none is known.
    #[schema(default = "SMS Customer", min_length = 1, max_length = 100, required = false)]
    name: String,
    /// Custom fields, in order; one that comes out empty is left out.
    #[schema(default = json!([
        {"title": "channel", "value": "{channel}"},
        {"title": "from", "value": "{customer}"},
        {"title": "to", "value": "{ours}"},
        {"title": "language", "value": "{language}"},
        {"title": "firstText", "value": "{first_text}"},
        {"title": "context", "value": "{context}"},
        {"title": "lastAgent", "value": "{last_agent}"},
        {"title": "lastChatEnded", "value": "{last_ended}"},
        {"title": "waited", "value": "{waited}"},
        {"title": "contact", "value": "{contact}"},
        {"title": "priority", "value": "{priority}"}
    ]), max_items = 30, required = false)]
    fields: Vec<FieldTemplate>,
}

/// A custom field. `value` knows `{channel}`, `{customer}` and `{ours}` (the two numbers), `{country}` (`+353`), `{area}`,
/// `{number}`, `{name}`, `{email}`, `{language}`, `{first_text}`, `{last_agent}` and `{last_ended}` (of an
/// earlier chat, within `life.reopen_within_s`); of a deflection `{context}`, `{context.NAME}`, `{waited}` (seconds),
/// `{waited_minutes}`, `{contact}` and `{priority}`.
#[derive(ToSchema)]
pub struct FieldTemplate {
    #[schema(min_length = 1, max_length = 100)]
    title: String,
    #[schema(min_length = 1, max_length = 500)]
    value: String,
}

/// What AACC would refuse is not asked for: the customer waits instead, visibly.
#[derive(ToSchema)]
pub struct ChatLimits {
    /// Chats of one customer at a time, over all of the tenant's numbers (CCMM: Concurrent Chats Limit per Customer).
    #[schema(default = 3, minimum = 1, maximum = 100, required = false)]
    per_customer: u32,
    /// Chats of one skillset at a time (CCMM: Max Concurrent Chats).
    #[schema(default = 50, minimum = 1, maximum = 100000, required = false)]
    per_skillset: u32,
    /// How long AACC may count a chat that a broken link left behind.
    #[schema(default = 180, minimum = 0, maximum = 86400, required = false)]
    left_behind_s: u32,
}

/// How long a chat lives, and what follows it.
#[derive(ToSchema)]
pub struct ChatLife {
    /// The chat ends when its customer has been silent so long while an agent was in. `null`: never.
    #[schema(default = json!(null), minimum = 60, maximum = 604800)]
    customer_idle_s: Option<u32>,
    /// An agent has not answered for so long: the customer is told (`notices.waiting`). `null`: never.
    #[schema(default = json!(null), minimum = 30, maximum = 86400)]
    agent_idle_s: Option<u32>,
    /// The chat ends so long after it began. `null`: never.
    #[schema(default = json!(null), minimum = 300, maximum = 2592000)]
    max_age_s: Option<u32>,
    /// A text that is only this word ends the chat. Never a word of opt-out such as STOP. `null`: none does.
    #[schema(default = json!(null), min_length = 1, max_length = 30)]
    closing_keyword: Option<String>,
    /// CCMM's Force Idle Customer Check Timeout: a chat that AACC ends after so long a silence ends silently, and the
    /// customer's next text opens it again. 0: AACC does not check.
    #[schema(default = 180, minimum = 0, maximum = 86400, required = false)]
    force_idle_s: u32,
    /// A text so soon after a chat's end is told to the next agent as its continuation.
    #[schema(default = 86400, minimum = 0, maximum = 2592000, required = false)]
    reopen_within_s: u32,
    /// The continuation said in the chat too, in front of its first text; knows `{last_agent}` and `{last_ended}`. `null`: it
    /// is not.
    #[schema(default = json!(null))]
    reopen_note: Option<BTreeMap<String, String>>,
}

/// What is held while no agent can be reached. Beyond it a text becomes a dead letter that an operator sees.
#[derive(ToSchema)]
pub struct Hold {
    /// Texts of one conversation.
    #[schema(default = 500, minimum = 1, maximum = 10000, required = false)]
    most_texts: u32,
    /// Age of a text.
    #[schema(default = 259200, minimum = 60, maximum = 2592000, required = false)]
    longest_s: u32,
}
