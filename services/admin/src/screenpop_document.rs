//! The shape of [`ccm_model::ScreenpopSettings`] for the API's document, with ranges and defaults. The model knows no web; the tests in
//! `tests/it/screenpop_settings.rs` hold this to what the model reads, writes and checks.

#![allow(dead_code, reason = "the document is made of it")]

use crate::schema::one_of;
use std::collections::BTreeMap;
use utoipa::{
    ToSchema,
    openapi::schema::{Object, ObjectBuilder},
};

fn language() -> Object {
    ObjectBuilder::from(one_of(
        "The language that the page speaks.",
        ["en", "de", "fr", "es"].into_iter(),
    ))
    .default(Some("en".into()))
    .build()
}

/// What the agents' page is like: how its address is read, who may frame it, how long it lives. Times are in seconds. What is left
/// out takes its default.
#[derive(ToSchema)]
#[schema(example = json!({
    "region": "IE",
    "language": "en",
    "parameters": {"caller": "clid", "agent": "agent", "order": "order"},
    "senders": {},
    "frame_ancestors": ["https://crm.example.com"],
    "session_s": 14400
}))]
pub struct ScreenpopSettings {
    /// The country whose numbers are dialled without a country, two capital letters (ISO 3166-1). `null`: that of the number
    /// that texts leave from, and a number that can be read in two ways has to be confirmed.
    #[schema(default = json!(null), min_length = 2, max_length = 2)]
    region: Option<String>,
    #[schema(schema_with = language, required = false)]
    language: String,
    #[schema(required = false)]
    parameters: ScreenpopParameters,
    /// By skillset, the number that its customers are texted from: one of the tenant's. At most 200. It goes before `dialed`.
    #[schema(default = json!({}), required = false)]
    senders: BTreeMap<String, String>,
    /// Origins whose pages may frame the page, such as `https://crm.example.com`; none: nobody may. At most 20. Agent Desktop's own
    /// browser is no frame.
    #[schema(default = json!([]), required = false)]
    frame_ancestors: Vec<String>,
    /// How long a page works after it was opened.
    #[schema(default = 28800, minimum = 900, maximum = 86400, required = false)]
    session_s: u32,
    /// Whether the number's provider is asked about it when the page opens, and not only when the agent asks. Each look-up costs money.
    #[schema(default = false, required = false)]
    check_at_opening: bool,
    /// How long an answer is waited for; then the conversation ends, if only we have written in it.
    #[schema(default = 259200, minimum = 3600, maximum = 2592000, required = false)]
    answer_within_s: u32,
    /// Texts that all agents together send from their pages in a minute.
    #[schema(default = 600, minimum = 1, maximum = 10000, required = false)]
    texts_per_minute: u32,
}

/// Under which names the page's address brings what, in any case: letters, digits, dots, dashes and underscores. Each name means one
/// thing; `auth`, `dialed` and `link` mean something already.
#[derive(ToSchema)]
pub struct ScreenpopParameters {
    /// Whoever calls. `dest` is read as well.
    #[schema(default = "dest", min_length = 1, max_length = 40, required = false)]
    caller: String,
    /// The agent's name. Nobody proves it.
    #[schema(default = "agent", min_length = 1, max_length = 40, required = false)]
    agent: String,
    /// The contact's id in AACC.
    #[schema(default = "contact", min_length = 1, max_length = 40, required = false)]
    contact: String,
    /// The skillset that the call is of.
    #[schema(default = "skillset", min_length = 1, max_length = 40, required = false)]
    skillset: String,
    /// The caller's name.
    #[schema(default = "name", min_length = 1, max_length = 40, required = false)]
    name: String,
    /// An order number, for templates.
    #[schema(default = "order", min_length = 1, max_length = 40, required = false)]
    order: String,
}
