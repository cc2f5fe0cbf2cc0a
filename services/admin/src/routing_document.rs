//! The shape of [`ccm_routing::RoutingSettings`] for the API's document, and what a dry run answers. The crate knows no web; the
//! tests in `tests/it/routing.rs` hold this to what it reads, writes and checks.

use crate::schema::one_of;
use ccm_routing::{Action, Explanation, Outcome, RoutingSettings, Then};
use serde::Serialize;
use std::collections::BTreeMap;
use time::OffsetDateTime;
use utoipa::{
    ToSchema,
    openapi::schema::{Object, ObjectBuilder},
};

fn with_default(object: Object, default: &str) -> Object {
    ObjectBuilder::from(object).default(Some(default.into())).build()
}

fn keyword_match() -> Object {
    let names = ["whole", "first_word", "contains"].into_iter();
    let description = "`whole`: the text is the keyword and nothing else; `first_word`: it begins with it; `contains`: it stands \
                       somewhere, as a word of its own where the script has spaces.";
    with_default(one_of(description, names), "first_word")
}

fn time_is() -> Object {
    one_of(
        "`open`; `closed`; `holiday`: the day is one of the calendar's holidays, open or not.",
        ["open", "closed", "holiday"].into_iter(),
    )
}

fn list_is() -> Object {
    with_default(
        one_of(
            "Whether the customer is in it, or not.",
            ["in", "not_in"].into_iter(),
        ),
        "in",
    )
}

fn reply_then() -> Object {
    let description = "`hold`: the text is kept for agents until the calendar opens; while it is open, or without one, they get it \
                       at once. `done`: no agent sees it.";
    with_default(one_of(description, ["hold", "done"].into_iter()), "hold")
}

fn action_kind() -> Object {
    one_of(
        "`skillset`: agents are offered it at once; `reply`: the customer is answered, and agents are offered it if `skillset` is \
         not `null`; `hold`: it is kept until `held_until`; `webhook`: a program is asked, and the other members say what \
         happens when that fails.",
        ["skillset", "reply", "hold", "webhook"].into_iter(),
    )
}

fn outcome() -> Object {
    one_of(
        "`decides`; `too_late`: it matches, but one before it decides; `no_match`; `disabled`.",
        [
            Outcome::Decides,
            Outcome::TooLate,
            Outcome::NoMatch,
            Outcome::Disabled,
        ]
        .iter()
        .map(|outcome| outcome.as_str()),
    )
}

/// Where texts go. What is left out takes its default; an empty document is each number's own skillset, day and night.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the document is made of it")]
#[schema(example = json!({
    "calendars": {
        "office": {
            "time_zone": "Europe/Dublin",
            "weekly": {
                "monday": [{"from": "09:00", "to": "17:30"}],
                "friday": [{"from": "09:00", "to": "12:00"}, {"from": "13:00", "to": "16:00"}]
            },
            "holidays": [{"name": "Christmas", "date": "12-25"}]
        }
    },
    "rules": [{
        "name": "opening hours",
        "when": {"keyword": {"any_of": ["HOURS"]}},
        "action": {"reply": {"words": {"en": "Monday 9 to 17:30, Friday 9 to 16."}, "then": "done"}}
    }],
    "after_hours": [{"calendar": "office", "reply": {"en": "We answer on {opens_date} from {opens_time} on."}}]
}))]
pub struct Routing {
    /// Business hours by name, which has 1 to 100 characters. At most 50.
    #[schema(required = false)]
    calendars: BTreeMap<String, Calendar>,
    /// Customers by name of the list. At most 50, with 10,000 numbers and prefixes in all of them together.
    #[schema(required = false)]
    lists: BTreeMap<String, CustomerList>,
    /// The first that matches decides: those of the smallest `priority` first, then in this order.
    #[schema(default = json!([]), max_items = 200, required = false)]
    rules: Vec<RoutingRule>,
    /// What happens to texts for agents while they are away. The first entry that fits the number and the skillset; without one,
    /// agents are offered every text at once.
    #[schema(default = json!([]), max_items = 100, required = false)]
    after_hours: Vec<AfterHours>,
}

/// Business hours. Everything goes by the clock on the wall of its time zone.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the document is made of it")]
pub struct Calendar {
    /// An IANA name.
    #[schema(example = "Europe/Berlin")]
    time_zone: String,
    #[schema(required = false)]
    weekly: Weekly,
    /// Days that are not like the others. One that is named with its year goes before a yearly one.
    #[schema(default = json!([]), max_items = 500, required = false)]
    holidays: Vec<Holiday>,
}

/// The hours that begin on each day, at most 10 intervals. A day without any is closed.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the document is made of it")]
pub struct Weekly {
    #[schema(default = json!([]), max_items = 10, required = false)]
    monday: Vec<Interval>,
    #[schema(default = json!([]), max_items = 10, required = false)]
    tuesday: Vec<Interval>,
    #[schema(default = json!([]), max_items = 10, required = false)]
    wednesday: Vec<Interval>,
    #[schema(default = json!([]), max_items = 10, required = false)]
    thursday: Vec<Interval>,
    #[schema(default = json!([]), max_items = 10, required = false)]
    friday: Vec<Interval>,
    #[schema(default = json!([]), max_items = 10, required = false)]
    saturday: Vec<Interval>,
    #[schema(default = json!([]), max_items = 10, required = false)]
    sunday: Vec<Interval>,
}

/// From one time until just before another. When `to` is not after `from` it is of the next day; the whole day is `00:00` to
/// `24:00`.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the document is made of it")]
pub struct Interval {
    /// A time of day to the minute.
    #[schema(example = "09:00", pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    from: String,
    /// A time of day to the minute.
    #[schema(example = "17:30", pattern = "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")]
    to: String,
}

/// A day with hours of its own, from midnight to midnight: a shift of the day before ends at its beginning.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the document is made of it")]
pub struct Holiday {
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// `12-25`: each year; `2026-04-03`: once.
    #[schema(example = "12-25", pattern = "^([0-9]{4}-)?[0-9]{2}-[0-9]{2}$")]
    date: String,
    /// None: closed all day.
    #[schema(default = json!([]), max_items = 10, required = false)]
    hours: Vec<Interval>,
}

/// Some customers.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the document is made of it")]
pub struct CustomerList {
    /// Addresses as everywhere in this API.
    #[schema(default = json!([]), required = false)]
    numbers: Vec<String>,
    /// Everybody whose number begins so: `+` and 1 to 15 digits.
    #[schema(default = json!([]), required = false)]
    prefixes: Vec<String>,
}

/// If its conditions hold, its action is done.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the document is made of it")]
pub struct RoutingRule {
    /// Unique in the document.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// The smaller goes first.
    #[schema(default = 100, minimum = 0, maximum = 1000, required = false)]
    priority: u32,
    /// Whether it is asked.
    #[schema(default = true, required = false)]
    enabled: bool,
    #[schema(required = false)]
    when: RoutingConditions,
    action: RoutingAction,
}

/// All that are set must hold. None: every text matches.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the document is made of it")]
pub struct RoutingConditions {
    /// The number that was texted is one of these, which the tenant has. Empty: any.
    #[schema(default = json!([]), max_items = 1000, required = false)]
    numbers: Vec<String>,
    /// `null`: any text.
    keyword: Option<KeywordCondition>,
    /// `null`: at any time.
    time: Option<TimeCondition>,
    /// The customer's language is one of these or begins so: `de` is `de-AT` too. Empty: any.
    #[schema(default = json!([]), max_items = 50, required = false)]
    languages: Vec<String>,
    /// `null`: any customer.
    list: Option<ListCondition>,
}

/// The text has one of these keywords, in upper or lower case.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the document is made of it")]
pub struct KeywordCondition {
    /// Each of 1 to 100 characters. With `whole` none of opt-out, such as STOP: no rule sees those.
    #[schema(min_items = 1, max_items = 50)]
    any_of: Vec<String>,
    #[schema(rename = "match", schema_with = keyword_match, required = false)]
    matching: String,
}

/// What a calendar says of the moment.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the document is made of it")]
pub struct TimeCondition {
    /// One of the document.
    calendar: String,
    #[schema(schema_with = time_is)]
    is: String,
}

/// Whether the customer is in a list.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the document is made of it")]
pub struct ListCondition {
    /// One of the document.
    name: String,
    #[schema(schema_with = list_is, required = false)]
    is: String,
}

/// Exactly one of them.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the document is made of it")]
pub struct RoutingAction {
    /// The text goes to the agents of this skillset, which the tenant has.
    #[schema(default = json!(null), min_length = 1, max_length = 100)]
    skillset: Option<String>,
    /// The customer is answered without an agent.
    reply: Option<AutoReply>,
    /// Somebody else's program decides.
    webhook: Option<RoutingWebhook>,
}

/// An automatic reply.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the document is made of it")]
pub struct AutoReply {
    /// A language tag (`en`, `de-AT`) to a text of 1 to 1000 characters. Knows `{opens_date}` and `{opens_time}`: when the
    /// calendar opens.
    words: BTreeMap<String, String>,
    #[schema(schema_with = reply_then, required = false)]
    then: String,
    /// With `hold`: whose agents get the text. `null`: the number's own skillset.
    #[schema(default = json!(null), min_length = 1, max_length = 100)]
    skillset: Option<String>,
    /// With `hold`: whose opening the text is kept for. `null`: the calendar of the rule's own `time`, else that of `after_hours`.
    #[schema(default = json!(null))]
    calendar: Option<String>,
}

/// A program that decides.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the document is made of it")]
pub struct RoutingWebhook {
    /// https (http on this machine only), without user name, query or fragment.
    #[schema(example = "https://hooks.example.com/route", max_length = 2000)]
    url: String,
    /// How long its answer is waited for, in milliseconds.
    #[schema(default = 3000, minimum = 100, maximum = 10000, required = false)]
    timeout_ms: u32,
    /// When it fails. `null`: the number's own skillset.
    fallback: Option<RoutingFallback>,
}

/// Exactly one of them.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the document is made of it")]
pub struct RoutingFallback {
    /// As in an action.
    #[schema(default = json!(null), min_length = 1, max_length = 100)]
    skillset: Option<String>,
    /// As in an action.
    reply: Option<AutoReply>,
}

/// What happens to a text that would go to agents while they are away.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the document is made of it")]
pub struct AfterHours {
    /// One of the document.
    calendar: String,
    /// Texts to these numbers. Empty: to any.
    #[schema(default = json!([]), max_items = 1000, required = false)]
    numbers: Vec<String>,
    /// Texts that come to these skillsets. Empty: to any.
    #[schema(default = json!([]), max_items = 1000, required = false)]
    skillsets: Vec<String>,
    /// What the customer is told: a language tag to a text of 1 to 1000 characters. Knows `{opens_date}` and `{opens_time}`.
    reply: BTreeMap<String, String>,
    /// Whether the text is kept until the calendar opens; else agents are offered it at once all the same.
    #[schema(default = true, required = false)]
    hold: bool,
}

/// A text that has not been sent.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the document is made of it")]
#[schema(example = json!({
    "to": "+14155550123",
    "from": "+353861234567",
    "text": "When do you open?",
    "language": "en",
    "at": "2026-12-24T20:00:00Z"
}))]
pub struct DryRun {
    /// The tenant's number that would be texted.
    to: String,
    /// The customer.
    from: String,
    /// What would be written. At most 20,000 characters.
    text: String,
    /// The customer's: a tag such as `de-AT`. `null`: that of the chat settings.
    #[schema(default = json!(null))]
    language: Option<String>,
    /// When. `null`: now.
    #[schema(default = json!(null), format = DateTime)]
    at: Option<String>,
    /// A document to try before it is saved. `null`: the stored one.
    settings: Option<Routing>,
}

/// What would happen to a text.
#[derive(Serialize, ToSchema)]
pub struct DryRunResult {
    #[schema(schema_with = action_kind)]
    action: &'static str,
    /// Whose agents would get it, at once or when it is no longer kept; `null`: no agent would.
    #[schema(required)]
    skillset: Option<String>,
    /// What the customer would be told; `null`: nothing.
    #[schema(required)]
    reply: Option<String>,
    /// Until when it would be kept; `null` if it is not, or if the calendar does not open within 400 days.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    held_until: Option<OffsetDateTime>,
    /// The calendar whose opening it would be kept for; `null` if it is not.
    #[schema(required)]
    held_for: Option<String>,
    /// The program that would be asked; `null` if none.
    #[schema(required)]
    webhook_url: Option<String>,
    /// The rule that decides; `null`: none does.
    #[schema(required)]
    rule: Option<String>,
    /// In plain English.
    why: String,
    /// The moment that was looked at.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    at: OffsetDateTime,
    /// All of them, in the order in which they are asked.
    rules: Vec<RuleSeen>,
    /// The entry of `after_hours` that is about this text; `null` if none is, or if it does not go to agents.
    #[schema(required)]
    after_hours: Option<AfterHoursSeen>,
    /// All of the document, at this moment.
    calendars: Vec<CalendarSeen>,
}

/// What a rule did.
#[derive(Serialize, ToSchema)]
pub struct RuleSeen {
    name: String,
    priority: u32,
    #[schema(schema_with = outcome)]
    outcome: &'static str,
    /// In plain English.
    why: String,
    /// Those that it has.
    conditions: Vec<ConditionSeen>,
}

/// What a condition saw.
#[derive(Serialize, ToSchema)]
pub struct ConditionSeen {
    /// Its name in `when`.
    #[schema(example = "keyword")]
    condition: &'static str,
    matched: bool,
    /// In plain English.
    #[schema(example = "the text begins with the keyword SALES")]
    why: String,
}

/// The entry of `after_hours` that is about a text.
#[derive(Serialize, ToSchema)]
pub struct AfterHoursSeen {
    /// Where it stands in the document, from 0 on.
    entry: usize,
    calendar: String,
    /// Whether the calendar is open.
    open: bool,
    /// In plain English.
    why: String,
}

/// A calendar at the moment that was looked at.
#[derive(Serialize, ToSchema)]
pub struct CalendarSeen {
    name: String,
    #[schema(example = "Europe/Berlin")]
    time_zone: String,
    /// What its clock on the wall shows.
    #[schema(example = "2026-12-24T21:00")]
    local_time: String,
    open: bool,
    /// The holiday that the day is; `null` if it is none.
    #[schema(required, example = "Christmas")]
    holiday: Option<String>,
    /// The same moment while it is open; `null` if it stays closed for 400 days.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    next_opening: Option<OffsetDateTime>,
}

/// What an action comes to, for people.
#[derive(Default)]
struct Told {
    kind: &'static str,
    reply: Option<String>,
    held_until: Option<OffsetDateTime>,
    held_for: Option<String>,
    webhook_url: Option<String>,
}

impl Told {
    fn of(action: Action) -> Self {
        match action {
            Action::Default | Action::Skillset { .. } => Self {
                kind: "skillset",
                ..Self::default()
            },
            Action::Reply {
                reply,
                then: Then::Done | Then::Offer { .. },
            } => Self {
                kind: "reply",
                reply: Some(reply),
                ..Self::default()
            },
            Action::HoldUntil {
                at, calendar, reply, ..
            } => Self {
                kind: "hold",
                reply,
                held_until: at,
                held_for: Some(calendar),
                ..Self::default()
            },
            Action::Webhook { url, fallback, .. } => Self {
                kind: "webhook",
                webhook_url: Some(url),
                ..Self::of(*fallback)
            },
        }
    }
}

impl DryRunResult {
    /// `settings` is the document that was explained.
    pub fn new(
        explained: Explanation,
        skillset: Option<String>,
        settings: &RoutingSettings,
        at: OffsetDateTime,
    ) -> Self {
        let told = Told::of(explained.decision.action);
        let rules = explained.rules.into_iter().map(|rule| RuleSeen {
            name: rule.name,
            priority: rule.priority,
            outcome: rule.outcome.as_str(),
            why: rule.why,
            conditions: rule
                .conditions
                .into_iter()
                .map(|seen| ConditionSeen {
                    condition: seen.condition,
                    matched: seen.matched,
                    why: seen.why,
                })
                .collect(),
        });
        let calendars = explained.calendars.into_iter().map(|seen| CalendarSeen {
            time_zone: settings
                .calendars
                .get(&seen.name)
                .map(|calendar| calendar.time_zone.clone())
                .unwrap_or_default(),
            name: seen.name,
            local_time: seen.local_time,
            open: seen.open,
            holiday: seen.holiday,
            next_opening: seen.next_opening,
        });
        Self {
            action: told.kind,
            skillset,
            reply: told.reply,
            held_until: told.held_until,
            held_for: told.held_for,
            webhook_url: told.webhook_url,
            rule: explained.decision.rule,
            why: explained.decision.why,
            at,
            rules: rules.collect(),
            after_hours: explained.after_hours.map(|seen| AfterHoursSeen {
                entry: seen.entry,
                calendar: seen.calendar,
                open: seen.open,
                why: seen.why,
            }),
            calendars: calendars.collect(),
        }
    }
}
