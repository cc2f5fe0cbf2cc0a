//! What cannot be in the document, told with the field, the problem and the remedy.

use crate::{
    AfterHours, AutoReply, BusinessHours, Calendar, Conditions, Fallback, Holiday, HolidayDate, Interval,
    KeywordMatch, ReplyThen, RoutingSettings, Rule, SettingRefused, Webhook, Words,
};
use ccm_model::Address;
use ccm_sms_text::keyword::Keywords;
use std::collections::HashSet;
use url::{Host, Url};

pub(crate) const MOST_RULES: usize = 200;
pub(crate) const MOST_LISTED: usize = 10_000;

impl RoutingSettings {
    /// Checks every field, and that what is named within the document is there. Whether the tenant has the numbers and skillsets
    /// is for whoever knows the tenant: [`Self::numbers`], [`Self::skillsets`].
    pub fn check(&self) -> Result<(), SettingRefused> {
        let mut check = Check {
            settings: Some(self),
            refused: None,
        };
        check.most("calendars", self.calendars.len(), 50);
        for (name, calendar) in &self.calendars {
            check.name("calendars", name);
            check.calendar(&format!("calendars.{name}"), calendar);
        }
        check.most("lists", self.lists.len(), 50);
        let listed = self
            .lists
            .values()
            .map(|list| list.numbers.len() + list.prefixes.len());
        check.most("lists", listed.sum(), MOST_LISTED);
        for name in self.lists.keys() {
            check.name("lists", name);
        }
        check.most("rules", self.rules.len(), MOST_RULES);
        let mut names = HashSet::new();
        for (n, rule) in self.rules.iter().enumerate() {
            check.rule(&format!("rules[{n}]"), rule);
            if !names.insert(&rule.name) {
                check.refuse(
                    format!("rules[{n}].name"),
                    "is the name of a rule before it too",
                    "give each rule a name of its own",
                );
            }
        }
        check.most("after_hours", self.after_hours.len(), 100);
        for (n, entry) in self.after_hours.iter().enumerate() {
            check.after_hours(&format!("after_hours[{n}]"), entry);
        }
        check.refused.map_or(Ok(()), Err)
    }
}

impl Fallback {
    /// As [`RoutingSettings::check`], for what a webhook answers: fields begin at its own. Calendars are not looked for.
    pub fn check(&self) -> Result<(), SettingRefused> {
        let mut check = Check {
            settings: None,
            refused: None,
        };
        check.fallback("", self);
        check.refused.map_or(Ok(()), Err)
    }
}

/// Keeps the first refusal.
struct Check<'a> {
    /// The document, for what is named within it. `None`: it is not looked for.
    settings: Option<&'a RoutingSettings>,
    refused: Option<SettingRefused>,
}

impl Check<'_> {
    fn refuse(&mut self, field: impl Into<String>, problem: impl Into<String>, remedy: &'static str) {
        self.refused.get_or_insert_with(|| SettingRefused {
            field: field.into(),
            problem: problem.into(),
            remedy,
        });
    }

    fn most(&mut self, field: impl Into<String>, count: usize, most: usize) {
        if count > most {
            self.refuse(
                field,
                format!("holds {count}, more than {most}"),
                "leave some out",
            );
        }
    }

    fn text(&mut self, field: &str, text: &str, most: usize) {
        if text.trim().is_empty() {
            self.refuse(field, "is empty", "write something, or leave the field out");
        } else if text.chars().count() > most {
            self.refuse(field, format!("is longer than {most} characters"), "shorten it");
        } else if text.contains('\0') {
            self.refuse(field, "holds a NUL character", "take it out");
        }
    }

    /// A name for people: 1 to 100 characters on one line, no space at either end.
    fn name(&mut self, field: &str, name: &str) {
        self.text(field, name, 100);
        if name.trim() != name || name.chars().any(char::is_control) {
            self.refuse(
                field,
                "has a name that begins or ends with a space, or is not on one line",
                "give a short name on one line, without spaces around it",
            );
        }
    }

    fn calendar(&mut self, field: &str, calendar: &Calendar) {
        if BusinessHours::new(calendar).is_err() {
            self.refuse(
                format!("{field}.time_zone"),
                "is no IANA time zone",
                "write one such as Europe/Berlin or America/New_York",
            );
        }
        for (day, hours) in calendar.weekly.days() {
            self.hours(&format!("{field}.weekly.{day}"), hours);
        }
        self.most(format!("{field}.holidays"), calendar.holidays.len(), 500);
        let mut days = HashSet::new();
        for (n, holiday) in calendar.holidays.iter().enumerate() {
            let field = format!("{field}.holidays[{n}]");
            self.name(&format!("{field}.name"), &holiday.name);
            self.hours(&format!("{field}.hours"), &holiday.hours);
            if !days.insert(holiday.date) {
                self.refuse(
                    format!("{field}.date"),
                    "is the day of a holiday before it too",
                    "name each day once; one with a year goes before a yearly one",
                );
            }
        }
    }

    fn hours(&mut self, field: &str, hours: &[Interval]) {
        self.most(field, hours.len(), 10);
        for (n, interval) in hours.iter().enumerate() {
            if interval.from.minutes() == 24 * 60 {
                self.refuse(
                    format!("{field}[{n}].from"),
                    "is the end of the day",
                    "write 00:00 on the day after",
                );
            }
            if interval.from == interval.to {
                self.refuse(
                    format!("{field}[{n}].to"),
                    "is the time of from",
                    "write 00:00 to 24:00 for the whole day, or leave the interval out",
                );
            }
        }
    }

    fn rule(&mut self, within: &str, rule: &Rule) {
        self.name(&format!("{within}.name"), &rule.name);
        self.range(&format!("{within}.priority"), rule.priority, 0, 1000);
        self.conditions(&format!("{within}.when"), &rule.when);
        let action = &rule.action;
        let field = format!("{within}.action");
        let set = [
            action.skillset.is_some(),
            action.reply.is_some(),
            action.webhook.is_some(),
        ];
        self.one_of(&field, &set, "give one of skillset, reply and webhook");
        self.skillset(&format!("{field}.skillset"), action.skillset.as_deref());
        self.reply(&format!("{field}.reply"), action.reply.as_ref());
        if let Some(webhook) = &action.webhook {
            self.webhook(&format!("{field}.webhook"), webhook);
        }
        let fallback = action
            .webhook
            .as_ref()
            .and_then(|webhook| webhook.fallback.as_ref());
        let mut replies = action
            .reply
            .iter()
            .chain(fallback.and_then(|fallback| fallback.reply.as_ref()));
        let holds = |reply: &AutoReply| reply.then == ReplyThen::Hold && reply.calendar.is_none();
        if let (Some(time), true) = (&rule.when.time, replies.any(holds)) {
            self.opens_some_day(&format!("{within}.when.time.calendar"), &time.calendar);
        }
    }

    fn one_of(&mut self, field: &str, set: &[bool], remedy: &'static str) {
        match set.iter().filter(|set| **set).count() {
            0 => self.refuse(field, "says nothing", remedy),
            1 => {}
            _ => self.refuse(field, "says more than one thing", remedy),
        }
    }

    fn conditions(&mut self, field: &str, when: &Conditions) {
        self.numbers(&format!("{field}.numbers"), &when.numbers);
        if let Some(keyword) = &when.keyword {
            let field = format!("{field}.keyword.any_of");
            self.most(&field, keyword.any_of.len(), 50);
            if keyword.any_of.is_empty() {
                self.refuse(&field, "is empty", "write a keyword, or set keyword to null");
            }
            let consent = Keywords::default();
            for (n, word) in keyword.any_of.iter().enumerate() {
                let field = format!("{field}[{n}]");
                self.text(&field, word, 100);
                if keyword.matching == KeywordMatch::Whole && consent.read(word).is_some() {
                    self.refuse(
                        &field,
                        "is a word by which customers refuse or ask for texts, which no rule sees",
                        "take another word, or match it as contains",
                    );
                }
            }
        }
        if let Some(time) = &when.time {
            self.known_calendar(&format!("{field}.time.calendar"), &time.calendar);
        }
        self.most(format!("{field}.languages"), when.languages.len(), 50);
        for (n, tag) in when.languages.iter().enumerate() {
            self.language(&format!("{field}.languages[{n}]"), tag);
        }
        if let Some(list) = &when.list
            && self
                .settings
                .is_some_and(|settings| !settings.lists.contains_key(&list.name))
        {
            self.refuse(
                format!("{field}.list.name"),
                "is no list of this document",
                "write the name of one of its lists, or add it there",
            );
        }
    }

    fn known_calendar(&mut self, field: &str, name: &str) {
        if self
            .settings
            .is_some_and(|settings| !settings.calendars.contains_key(name))
        {
            self.refuse(
                field,
                "is no calendar of this document",
                "write the name of one of its calendars, or add it there",
            );
        }
    }

    /// Whoever is kept until it opens must not wait for ever.
    fn opens_some_day(&mut self, field: &str, name: &str) {
        self.known_calendar(field, name);
        let calendar = self.settings.and_then(|settings| settings.calendars.get(name));
        let never = calendar.is_some_and(|calendar| {
            let of_year = |holiday: &&Holiday| matches!(holiday.date, HolidayDate::Yearly { .. });
            let mut yearly = calendar.holidays.iter().filter(of_year);
            calendar.weekly.days().iter().all(|(_, hours)| hours.is_empty())
                && yearly.all(|h| h.hours.is_empty())
        });
        if never {
            self.refuse(
                field,
                "is a calendar that never opens, so texts would be kept for ever",
                "give the calendar weekly hours, or do not hold the texts",
            );
        }
    }

    fn skillset(&mut self, field: &str, name: Option<&str>) {
        if let Some(name) = name {
            self.name(field, name);
        }
    }

    fn numbers(&mut self, field: &str, numbers: &[Address]) {
        self.most(field, numbers.len(), 1000);
        for (n, number) in numbers.iter().enumerate() {
            if !number.can_be_answered() {
                self.refuse(
                    format!("{field}[{n}]"),
                    "is a sender name, which nobody can text",
                    "give a number like +14155550123, or a short code like 72345",
                );
            }
        }
    }

    fn reply(&mut self, field: &str, reply: Option<&AutoReply>) {
        let Some(reply) = reply else { return };
        self.words(&format!("{field}.words"), &reply.words);
        self.skillset(&format!("{field}.skillset"), reply.skillset.as_deref());
        if let Some(calendar) = &reply.calendar {
            let field = format!("{field}.calendar");
            match reply.then {
                ReplyThen::Hold => self.opens_some_day(&field, calendar),
                ReplyThen::Done => self.known_calendar(&field, calendar),
            }
        }
    }

    fn webhook(&mut self, field: &str, webhook: &Webhook) {
        if let Err(problem) = webhook_url(&webhook.url) {
            self.refuse(
                format!("{field}.url"),
                problem,
                "write it like https://hooks.example.com/route",
            );
        }
        self.range(&format!("{field}.timeout_ms"), webhook.timeout_ms, 100, 10_000);
        if let Some(fallback) = &webhook.fallback {
            self.fallback(&format!("{field}.fallback."), fallback);
        }
    }

    /// `within` ends with a dot, if it is not the beginning.
    fn fallback(&mut self, within: &str, fallback: &Fallback) {
        let set = [fallback.skillset.is_some(), fallback.reply.is_some()];
        let whole = within.trim_end_matches('.');
        self.one_of(whole, &set, "give one of skillset and reply");
        self.skillset(&format!("{within}skillset"), fallback.skillset.as_deref());
        self.reply(&format!("{within}reply"), fallback.reply.as_ref());
    }

    fn after_hours(&mut self, field: &str, entry: &AfterHours) {
        let calendar = format!("{field}.calendar");
        if entry.hold {
            self.opens_some_day(&calendar, &entry.calendar);
        } else {
            self.known_calendar(&calendar, &entry.calendar);
        }
        self.numbers(&format!("{field}.numbers"), &entry.numbers);
        self.most(format!("{field}.skillsets"), entry.skillsets.len(), 1000);
        for (n, name) in entry.skillsets.iter().enumerate() {
            self.name(&format!("{field}.skillsets[{n}]"), name);
        }
        self.words(&format!("{field}.reply"), &entry.reply);
    }

    fn range(&mut self, field: &str, value: u32, least: u32, most: u32) {
        if !(least..=most).contains(&value) {
            let problem = format!("is {value}, not {least} to {most}");
            self.refuse(field, problem, "give a number in that range");
        }
    }

    fn language(&mut self, field: &str, tag: &str) {
        let part = |p: &str| (1..=8).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphanumeric());
        if !(2..=35).contains(&tag.len()) || !tag.split('-').all(part) {
            self.refuse(field, "is no language tag", "write one such as en or de-AT");
        }
    }

    fn words(&mut self, field: &str, Words(words): &Words) {
        if words.is_empty() {
            self.refuse(field, "has no words in any language", "write some");
        }
        self.most(field, words.len(), 50);
        for (language, text) in words {
            self.language(&format!("{field}.{language}"), language);
            self.text(&format!("{field}.{language}"), text, 1000);
        }
    }
}

/// https, or http on this machine, since what customers write does not cross a network in the clear; nothing in it that is
/// secret, since every reader of the document sees it.
fn webhook_url(raw: &str) -> Result<(), &'static str> {
    let url = Url::parse(raw).map_err(|_| "is not an address")?;
    if raw.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("holds a space or a line end");
    }
    let here = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if url.scheme() != "https" && !(url.scheme() == "http" && here) {
        return Err("does not begin with https:// (http:// is taken on this machine only)");
    }
    if raw.len() > 2000 {
        return Err("is longer than 2000 characters");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds a user name or password, which every reader would see");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("holds a ? or #, where secrets stand that every reader would see");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// Everything that there is.
    fn whole() -> Value {
        let own_number = "+14155550123";
        json!({
            "calendars": {
                "office": {
                    "time_zone": "Europe/Berlin",
                    "weekly": {"monday": [{"from": "09:00", "to": "12:00"}, {"from": "13:00", "to": "17:30"}],
                               "friday": [{"from": "22:00", "to": "06:00"}], "sunday": [{"from": "00:00", "to": "24:00"}]},
                    "holidays": [{"name": "Christmas", "date": "12-25"},
                                 {"name": "Party", "date": "2026-12-04", "hours": [{"from": "09:00", "to": "12:00"}]}]
                },
                "closed": {"time_zone": "UTC"}
            },
            "lists": {"vip": {"numbers": ["+353 86 123 4567"], "prefixes": ["+4930"]}},
            "rules": [
                {"name": "vip", "priority": 1, "when": {"list": {"name": "vip"}}, "action": {"skillset": "VIP"}},
                {"name": "hours", "when": {"numbers": [own_number], "keyword": {"any_of": ["HOURS"], "match": "whole"},
                                           "languages": ["de", "en-US"], "list": {"name": "vip", "is": "not_in"}},
                 "action": {"reply": {"words": {"en": "9 to 5"}, "then": "done"}}},
                {"name": "late", "enabled": false, "when": {"time": {"calendar": "office", "is": "closed"}},
                 "action": {"reply": {"words": {"en": "At {opens_time}"}, "skillset": "Night", "calendar": "office"}}},
                {"name": "bot", "when": {"keyword": {"any_of": ["cancel"], "match": "contains"}},
                 "action": {"webhook": {"url": "https://hooks.example.com/route", "timeout_ms": 1000,
                                        "fallback": {"skillset": "Keep"}}}}
            ],
            "after_hours": [{"calendar": "office", "numbers": [own_number], "skillsets": ["Sales"],
                             "reply": {"en": "Tomorrow"}},
                            {"calendar": "closed", "reply": {"en": "Never"}, "hold": false}]
        })
    }

    fn read(document: Value) -> RoutingSettings {
        serde_json::from_value(document).unwrap()
    }

    #[test]
    fn an_empty_document_is_the_default_and_a_whole_one_is_taken() {
        assert_eq!(read(json!({})), RoutingSettings::default());
        RoutingSettings::default().check().unwrap();
        let settings = read(whole());
        settings.check().unwrap();
        let back = read(serde_json::to_value(&settings).unwrap());
        assert_eq!(back, settings);
        let newer = read(
            json!({"zebra": 1, "rules": [{"name": "x", "new": 2, "action": {"skillset": "S", "newer": 3}}]}),
        );
        assert_eq!(
            newer.rules[0].priority, 100,
            "fields of a newer version are passed over"
        );
    }

    #[test]
    fn what_is_named_is_listed_with_its_place() {
        let settings = read(whole());
        let skillsets: Vec<_> = settings.skillsets().collect();
        let expected = [
            ("rules[0].action.skillset", "VIP"),
            ("rules[2].action.reply.skillset", "Night"),
            ("rules[3].action.webhook.fallback.skillset", "Keep"),
            ("after_hours[0].skillsets[0]", "Sales"),
        ];
        assert_eq!(skillsets, expected.map(|(field, name)| (field.to_owned(), name)));
        let numbers: Vec<_> = settings.numbers().map(|(field, _)| field).collect();
        assert_eq!(numbers, ["rules[1].when.numbers[0]", "after_hours[0].numbers[0]"]);
    }

    /// The document with one place changed.
    fn refused(pointer: &str, value: Value) -> SettingRefused {
        let mut document = whole();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let parent = document
            .pointer_mut(parent)
            .unwrap_or_else(|| panic!("{pointer}"));
        match parent {
            Value::Array(items) => items[name.parse::<usize>().unwrap()] = value,
            other => other[name] = value,
        }
        read(document).check().unwrap_err()
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_field() {
        let long = "x".repeat(101);
        let times = |from: &str, to: &str| json!([{"from": from, "to": to}]);
        for (pointer, value, field) in [
            (
                "/calendars/office/time_zone",
                json!("Berlin"),
                "calendars.office.time_zone",
            ),
            (
                "/calendars/office/weekly/monday",
                times("09:00", "09:00"),
                "calendars.office.weekly.monday[0].to",
            ),
            (
                "/calendars/office/weekly/sunday",
                times("24:00", "06:00"),
                "calendars.office.weekly.sunday[0].from",
            ),
            (
                "/calendars/office/holidays/0/name",
                json!(" "),
                "calendars.office.holidays[0].name",
            ),
            (
                "/calendars/office/holidays/0/date",
                json!("2026-12-04"),
                "calendars.office.holidays[1].date",
            ),
            (
                "/calendars/office/holidays/1/hours",
                times("10:00", "10:00"),
                "calendars.office.holidays[1].hours[0].to",
            ),
            ("/calendars/ x", json!({"time_zone": "UTC"}), "calendars"),
            ("/lists/", json!({}), "lists"),
            ("/rules/0/name", json!(long), "rules[0].name"),
            ("/rules/1/name", json!("vip"), "rules[1].name"),
            ("/rules/0/priority", json!(1001), "rules[0].priority"),
            ("/rules/0/action", json!({}), "rules[0].action"),
            ("/rules/1/action/skillset", json!("S"), "rules[1].action"),
            ("/rules/0/action/skillset", json!(""), "rules[0].action.skillset"),
            (
                "/rules/0/when/list/name",
                json!("nobody"),
                "rules[0].when.list.name",
            ),
            (
                "/rules/1/when/numbers",
                json!(["WEBTEXT"]),
                "rules[1].when.numbers[0]",
            ),
            (
                "/rules/1/when/keyword/any_of",
                json!([]),
                "rules[1].when.keyword.any_of",
            ),
            (
                "/rules/1/when/keyword/any_of",
                json!(["HOURS", " "]),
                "rules[1].when.keyword.any_of[1]",
            ),
            (
                "/rules/1/when/keyword/any_of",
                json!(["stop."]),
                "rules[1].when.keyword.any_of[0]",
            ),
            (
                "/rules/1/when/languages",
                json!(["Deutsch!"]),
                "rules[1].when.languages[0]",
            ),
            (
                "/rules/1/action/reply/words",
                json!({}),
                "rules[1].action.reply.words",
            ),
            (
                "/rules/1/action/reply/words/de",
                json!(" "),
                "rules[1].action.reply.words.de",
            ),
            (
                "/rules/2/when/time/calendar",
                json!("x"),
                "rules[2].when.time.calendar",
            ),
            (
                "/rules/2/action/reply/calendar",
                json!("x"),
                "rules[2].action.reply.calendar",
            ),
            (
                "/rules/2/action/reply/calendar",
                json!("closed"),
                "rules[2].action.reply.calendar",
            ),
            (
                "/rules/2",
                json!({"name": "x", "when": {"time": {"calendar": "closed", "is": "closed"}},
                       "action": {"reply": {"words": {"en": "x"}}}}),
                "rules[2].when.time.calendar",
            ),
            (
                "/rules/3/action/webhook/url",
                json!("http://hooks.example.com/"),
                "rules[3].action.webhook.url",
            ),
            (
                "/rules/3/action/webhook/url",
                json!("https://u:p@x/"),
                "rules[3].action.webhook.url",
            ),
            (
                "/rules/3/action/webhook/url",
                json!("https://x/?key=1"),
                "rules[3].action.webhook.url",
            ),
            (
                "/rules/3/action/webhook/timeout_ms",
                json!(99),
                "rules[3].action.webhook.timeout_ms",
            ),
            (
                "/rules/3/action/webhook/fallback",
                json!({}),
                "rules[3].action.webhook.fallback",
            ),
            ("/after_hours/0/calendar", json!("x"), "after_hours[0].calendar"),
            ("/after_hours/1/hold", json!(true), "after_hours[1].calendar"),
            ("/after_hours/0/reply", json!({}), "after_hours[0].reply"),
            (
                "/after_hours/0/numbers",
                json!(["WEBTEXT"]),
                "after_hours[0].numbers[0]",
            ),
            (
                "/after_hours/0/skillsets",
                json!(["a\nb"]),
                "after_hours[0].skillsets[0]",
            ),
        ] {
            let refused = refused(pointer, value);
            assert_eq!(refused.field, field, "{refused}");
        }
    }

    #[test]
    fn what_is_written_wrong_is_not_read() {
        for (document, said) in [
            (json!({"calendars": {"x": {}}}), "time_zone"),
            (
                json!({"calendars": {"x": {"time_zone": "UTC", "weekly": {"monday": [{"from": "9:00", "to": "17:00"}]}}}}),
                "09:00",
            ),
            (
                json!({"calendars": {"x": {"time_zone": "UTC", "holidays": [{"name": "x", "date": "25.12."}]}}}),
                "12-25",
            ),
            (json!({"lists": {"x": {"prefixes": ["030"]}}}), "+4930"),
            (json!({"rules": [{"action": {"skillset": "x"}}]}), "name"),
            (json!({"rules": [{"name": "x"}]}), "action"),
            (
                json!({"rules": [{"name": "x", "when": {"time": {"calendar": "x", "is": "shut"}}, "action": {}}]}),
                "holiday",
            ),
        ] {
            let error = serde_json::from_value::<RoutingSettings>(document).unwrap_err();
            assert!(error.to_string().contains(said), "{error}");
        }
    }

    #[test]
    fn everything_is_bounded() {
        let number = |n: usize| json!(format!("+4930{n:07}"));
        let many = |n: usize| Value::from((0..n).map(number).collect::<Vec<_>>());
        let mut document = json!({"lists": {"a": {"numbers": many(9_999)}, "b": {"prefixes": ["+1"]}}});
        read(document.clone()).check().unwrap();
        document["lists"]["b"]["prefixes"] = json!(["+1", "+2"]);
        assert_eq!(read(document).check().unwrap_err().field, "lists");
        let rule = |n: usize| json!({"name": n.to_string(), "action": {"skillset": "S"}});
        let rules = |n: usize| json!({"rules": (0..n).map(rule).collect::<Vec<_>>()});
        read(rules(200)).check().unwrap();
        assert_eq!(read(rules(201)).check().unwrap_err().field, "rules");
    }

    #[test]
    fn numbers_never_print() {
        let printed = format!("{:?}", read(whole()));
        for number in ["353861234567", "4930", "14155550123"] {
            assert!(!printed.contains(number), "{printed}");
        }
    }
}
