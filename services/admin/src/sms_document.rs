//! The shape of [`ccm_model::SmsSettings`] for the API's document, with ranges and defaults. The model knows no web; the tests in
//! `tests/it/sms_settings.rs` hold this to what the model reads, writes and checks.

#![allow(dead_code, reason = "the document is made of it")]

use crate::schema::one_of;
use std::collections::BTreeMap;
use utoipa::{
    ToSchema,
    openapi::schema::{Object, ObjectBuilder},
};

pub const TRANSLITERATE: [&str; 3] = ["off", "punctuation", "latin"];

fn transliterate() -> Object {
    ObjectBuilder::from(one_of(
        "What is written in GSM-7 letters instead of its own, if the whole text fits then and takes fewer segments: nothing \
         (`off`); quotes, dashes, spaces and the like that word processors put in (`punctuation`); accented Latin letters \
         that GSM-7 lacks as well (`latin`).",
        TRANSLITERATE.into_iter(),
    ))
    .default(Some("punctuation".into()))
    .build()
}

/// How texts are treated: encoding, consent, what agents are told, bounds. Times are in seconds. What is left out takes its
/// default.
#[derive(ToSchema)]
#[schema(example = json!({
    "transliterate": "latin",
    "segments_per_second": 20,
    "consent": {
        "words": {"de": {"stop": ["ABMELDEN"], "start": ["ANMELDEN"], "help": ["HILFE"]}},
        "stop_reply": {
            "de": "Sie erhalten keine Nachrichten mehr. Mit ANMELDEN melden Sie sich wieder an.",
            "en": "You will get no more texts. Reply START to get them again."
        },
        "help_reply": {"en": "Acme Bank, +1 415 555 0100. Reply STOP to get no more texts."}
    },
    "flood": {"texts": 30, "per_s": 60}
}))]
pub struct SmsSettings {
    #[schema(schema_with = transliterate, required = false)]
    transliterate: String,
    /// Segments a second that all of the tenant's numbers may send together. `null`: what its numbers and accounts allow.
    #[schema(default = json!(null), minimum = 0.1, maximum = 10000)]
    segments_per_second: Option<f32>,
    #[schema(required = false)]
    consent: Consent,
    #[schema(required = false)]
    agent_notes: AgentNotes,
    #[schema(required = false)]
    flood: Flood,
    #[schema(required = false)]
    auto_replies: AutoReplies,
    #[schema(required = false)]
    parts: LongTexts,
}

/// By which words customers refuse and ask for texts, and what they are answered. STOP, STOPALL, STOP ALL, UNSUBSCRIBE, CANCEL,
/// END, QUIT, REVOKE, OPTOUT, OPT OUT, OPT-OUT; START, UNSTOP; HELP and INFO count for every tenant.
#[derive(ToSchema)]
pub struct Consent {
    /// More words, by language tag. A text that is only the word is heeded, whatever its case.
    #[schema(default = json!({}), required = false)]
    words: BTreeMap<String, ConsentWords>,
    /// Said once after a word of refusal: the last text that this customer gets. `null`: nothing (a carrier that handles
    /// opt-outs says it itself).
    #[schema(default = json!(null))]
    stop_reply: Option<BTreeMap<String, String>>,
    /// Said after a customer asked for texts again. `null`: nothing.
    #[schema(default = json!(null))]
    start_reply: Option<BTreeMap<String, String>>,
    /// Said after HELP or INFO. `null`: nothing.
    #[schema(default = json!(null))]
    help_reply: Option<BTreeMap<String, String>>,
}

/// A language's words: at most 20 of each, of 1 to 30 characters. A word means one thing.
#[derive(ToSchema)]
pub struct ConsentWords {
    /// No more texts.
    #[schema(default = json!([]), max_items = 20, required = false)]
    stop: Vec<String>,
    /// Texts again.
    #[schema(default = json!([]), max_items = 20, required = false)]
    start: Vec<String>,
    /// Who is this?
    #[schema(default = json!([]), max_items = 20, required = false)]
    help: Vec<String>,
}

/// What agents read in the chat about texts. AACC takes such a note for the customer's words, and it restarts AACC's idle
/// timers.
#[derive(ToSchema)]
pub struct AgentNotes {
    /// In front of each, so that nobody takes it for the customer's words.
    #[schema(default = "[CCM]", min_length = 1, max_length = 40, required = false)]
    prefix: String,
    /// Whether agents are told that a text of theirs did not reach the phone.
    #[schema(default = true, required = false)]
    failures: bool,
    /// Between two such notes in one chat.
    #[schema(default = 30, minimum = 0, maximum = 3600, required = false)]
    min_gap_s: u32,
    /// A text failed; knows `{reason}`.
    #[schema(default = json!({"en": "Your text did not reach the customer's phone. {reason}"}), required = false)]
    failed: BTreeMap<String, String>,
    /// The customer opted out.
    #[schema(default = json!({"en": "The customer has opted out. No more texts can be sent; the chat ends."}), required = false)]
    opted_out: BTreeMap<String, String>,
    /// Somebody else texted the customer from the chat's number; knows `{author}` and `{text}`.
    #[schema(default = json!({"en": "{author} texted the customer: {text}"}), required = false)]
    texted: BTreeMap<String, String>,
}

/// How much one phone may text one number. What is beyond is stored and shown, and no agent gets it.
#[derive(ToSchema)]
pub struct Flood {
    /// So many texts …
    #[schema(default = 300, minimum = 1, maximum = 10000, required = false)]
    texts: u32,
    /// … within so long.
    #[schema(default = 60, minimum = 1, maximum = 3600, required = false)]
    per_s: u32,
}

/// How many texts that nobody wrote (replies by rule, after hours, to keywords) one customer gets from one number: two robots
/// that answer each other stop there.
#[derive(ToSchema)]
pub struct AutoReplies {
    /// So many …
    #[schema(default = 6, minimum = 1, maximum = 100, required = false)]
    most: u32,
    /// … within so long.
    #[schema(default = 3600, minimum = 60, maximum = 86400, required = false)]
    per_s: u32,
}

/// Long texts that arrive in parts.
#[derive(ToSchema)]
pub struct LongTexts {
    /// How long the first part waits for the rest; then the text is taken with a mark where parts are missing.
    #[schema(default = 120, minimum = 1, maximum = 86400, required = false)]
    wait_s: u32,
}
