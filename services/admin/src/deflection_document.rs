//! The shape of [`ccm_model::DeflectionSettings`] for the API's document, with ranges and defaults. The model knows no web; the tests in
//! `tests/it/deflection_settings.rs` hold this to what the model reads, writes and checks.

#![allow(dead_code, reason = "the document is made of it")]

use crate::schema::one_of;
use std::collections::BTreeMap;
use utoipa::{
    ToSchema,
    openapi::schema::{Object, ObjectBuilder},
};

pub const AGENT_CHECKS: [&str; 3] = ["off", "available", "free"];

fn agents() -> Object {
    ObjectBuilder::from(one_of(
        "How AACC must stand for an offer: it is not asked (`off`); an agent of the chat's skillset is available (`available`); as well, \
         no more customers wait than two for each of those agents (`free`).",
        AGENT_CHECKS.into_iter(),
    ))
    .default(Some("available".into()))
    .build()
}

/// When and how callers in a voice queue are offered a chat. Times are in seconds. What is left out takes its default.
#[derive(ToSchema)]
#[schema(example = json!({
    "offer": {
        "de": "Guten Tag {name}, antworten Sie innerhalb von {minutes} Minuten auf diese SMS, und {skillset} schreibt Ihnen.",
        "en": "Hello {name}, reply to this text within {minutes} minutes and {skillset} will chat with you."
    },
    "expired": {"en": "Nobody heard from you, so your call keeps its place."},
    "answer_within_s": 300,
    "limits": {"per_caller": 1, "per_caller_s": 7200},
    "region": "IE"
}))]
pub struct DeflectionSettings {
    /// What the caller is texted; knows `{name}`, `{skillset}` (as the script says it), `{minutes}` and `{link}`. `null`: nobody is
    /// offered a chat.
    #[schema(default = json!(null))]
    offer: Option<BTreeMap<String, String>>,
    /// What a caller is texted who has not answered in time; knows the same without `{link}`. `null`: nothing.
    #[schema(default = json!(null))]
    expired: Option<BTreeMap<String, String>>,
    /// Whether the offer carries an address where a click opens the chat; its words then have `{link}`.
    #[schema(default = false, required = false)]
    link: bool,
    /// What agents read as the first text of a caller who clicked.
    #[schema(default = json!({"en": "The customer opened this chat by the link in the offer."}), required = false)]
    clicked: BTreeMap<String, String>,
    /// How long an answer is waited for.
    #[schema(default = 600, minimum = 60, maximum = 86400, required = false)]
    answer_within_s: u32,
    /// What the agent reads first; knows `{name}`, `{skillset}`, `{waited_minutes}`, `{contact}`, `{priority}` and `{context}`.
    /// `null`: nothing.
    #[schema(default = json!({"en": "The customer called {skillset}, waited for {waited_minutes} min and was offered this chat. {context}"}))]
    note: Option<BTreeMap<String, String>>,
    #[schema(schema_with = agents, required = false)]
    agents: String,
    #[schema(required = false)]
    limits: OfferLimits,
    /// The country of numbers that the script gives without one (ISO 3166-1). `null`: that of the number that the offer leaves
    /// from, and a number that can be read in two ways is refused as `ambiguous`.
    #[schema(default = json!(null), min_length = 2, max_length = 2, example = "IE")]
    region: Option<String>,
    /// The tenant's number that offers leave from, by what the caller dialled. What is one of the tenant's numbers itself needs no entry.
    #[schema(default = json!({}), required = false)]
    senders: BTreeMap<String, String>,
    /// The same, where nothing else says it. `null`: the tenant's number, if it has just one.
    #[schema(default = json!(null), min_length = 3, max_length = 16, example = "+14155550123")]
    sender: Option<String>,
    /// The skillset that answers chats, by the one that answers calls. A skillset that is not here has its own name; one that there
    /// is not for chats is the number's.
    #[schema(default = json!({}), required = false)]
    skillsets: BTreeMap<String, String>,
    /// What those get who have waited long, at most 20. The longest wait that was reached counts.
    #[schema(default = json!([]), required = false)]
    priorities: Vec<Priority>,
}

/// How often offers are made.
#[derive(ToSchema)]
pub struct OfferLimits {
    /// So many to one caller …
    #[schema(default = 1, minimum = 1, maximum = 100, required = false)]
    per_caller: u32,
    /// … within so long.
    #[schema(default = 3600, minimum = 60, maximum = 2592000, required = false)]
    per_caller_s: u32,
    /// So many by the tenant in a minute.
    #[schema(default = 60, minimum = 1, maximum = 10000, required = false)]
    per_minute: u32,
}

/// What somebody gets who has waited so long.
#[derive(ToSchema)]
pub struct Priority {
    /// The wait.
    #[schema(minimum = 0, maximum = 86400, example = 300)]
    over_s: u32,
    /// What AACC is told as `{priority}` in a custom field. `null`: nothing.
    #[schema(default = json!(null), min_length = 1, max_length = 40, example = "high")]
    priority: Option<String>,
    /// A skillset of their own. `null`: the one that they would have had.
    #[schema(default = json!(null), min_length = 1, max_length = 100, example = "WC_First")]
    skillset: Option<String>,
}
