//! Where a text goes: number, keyword, time, language and customer's list come to a skillset, an automatic reply or a
//! webhook, by a tenant's rules. Business hours and holidays in real time zones. Pure: no IO, and `now` is an argument.
//!
//! - [`RoutingSettings`] is what a tenant decides: one JSON document. [`RoutingSettings::check`] says what cannot be.
//! - [`Router`] is the document made ready: [`Router::decide`] takes microseconds, [`Router::explain`] says in plain English
//!   what it looked at, rule by rule.
//! - [`BusinessHours`] knows when a calendar is open and when it opens next.
//!
//! Time zones are those that come with `jiff`, so that a container without `/usr/share/zoneinfo` has them too and every pod
//! has the same.

mod business_hours;
mod check;
mod explain;
mod keyword;
mod router;
mod settings;
mod times;

pub use business_hours::{BusinessHours, Moment, NoSuchZone};
pub use ccm_model::settings::{SettingRefused, Words};
pub use explain::{AfterHoursSeen, CalendarSeen, ConditionSeen, Explanation, Outcome, RuleSeen};
pub use router::{Action, Decision, Facts, Held, Router, Then};
pub use settings::{
    AfterHours, AutoReply, Calendar, Conditions, CustomerList, Fallback, Holiday, Interval, KeywordCondition,
    KeywordMatch, ListCondition, ListIs, Prefix, ReplyThen, RoutingSettings, Rule, RuleAction, TimeCondition,
    TimeIs, Webhook, Weekly,
};
pub use times::{HolidayDate, TimeOfDay};
