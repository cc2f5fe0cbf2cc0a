//! What was looked at, in plain English: what the dry run shows.

use crate::{
    BusinessHours, Decision, Facts, KeywordMatch, Router, TimeIs,
    router::{Condition, Detail, Keywords, Look, Named, Rule, Seen},
};
use time::OffsetDateTime;

/// How a decision comes about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What [`Router::decide`] says.
    pub decision: Decision,
    /// All of them, in the order in which they are asked.
    pub rules: Vec<RuleSeen>,
    /// The entry of `after_hours` that is about this text, if it goes to agents.
    pub after_hours: Option<AfterHoursSeen>,
    /// All of them, at this moment.
    pub calendars: Vec<CalendarSeen>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSeen {
    pub name: String,
    pub priority: u32,
    pub outcome: Outcome,
    pub why: String,
    /// Those that the rule has.
    pub conditions: Vec<ConditionSeen>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It matches and decides.
    Decides,
    /// It matches, but one before it decides.
    TooLate,
    /// It matches, but the text is kept, and its customer was answered.
    Over,
    NoMatch,
    Disabled,
}

/// One condition of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConditionSeen {
    /// The field's name: `numbers`, `keyword`, `time`, `languages`, `list`.
    pub condition: &'static str,
    pub matched: bool,
    /// Holds no number, and of the text at most the tenant's own keyword.
    pub why: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AfterHoursSeen {
    /// Where it stands in the document.
    pub entry: usize,
    pub calendar: String,
    pub open: bool,
    pub why: String,
}

/// A calendar at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalendarSeen {
    pub name: String,
    pub open: bool,
    pub holiday: Option<String>,
    /// What the clock on the wall shows: `2026-11-27T09:00`.
    pub local_time: String,
    /// This moment while it is open; `None` if it stays closed for 400 days.
    pub next_opening: Option<OffsetDateTime>,
}

impl Outcome {
    /// The name that the API shows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Decides => "decides",
            Self::TooLate => "too_late",
            Self::Over => "over",
            Self::NoMatch => "no_match",
            Self::Disabled => "disabled",
        }
    }
}

impl Router {
    /// What [`Router::decide`] says, and why: every rule with every condition.
    pub fn explain(&self, facts: &Facts<'_>) -> Explanation {
        let look = Look::new(facts);
        let settled = self.still_held(facts);
        let mut decides: Option<&Rule> = None;
        let mut rules = Vec::with_capacity(self.rules.len());
        for rule in &self.rules {
            let conditions: Vec<_> = self.seen(rule, &look).map(ConditionSeen::from).collect();
            let matched = conditions.iter().all(|condition| condition.matched);
            let outcome = match (rule.enabled, matched, decides) {
                (false, ..) => Outcome::Disabled,
                (_, false, _) => Outcome::NoMatch,
                _ if settled.is_some() || rule.is_over(facts) => Outcome::Over,
                (.., Some(_)) => Outcome::TooLate,
                (.., None) => {
                    decides = Some(rule);
                    Outcome::Decides
                }
            };
            rules.push(RuleSeen {
                name: rule.name.clone(),
                priority: rule.priority,
                outcome,
                why: why(outcome, matched, &conditions, decides),
                conditions,
            });
        }
        let decision = settled.unwrap_or_else(|| self.conclude(decides, facts));
        Explanation {
            after_hours: self.after_hours_seen(decides, facts),
            decision,
            rules,
            calendars: self.calendars.iter().map(|c| calendar(c, facts.now)).collect(),
        }
    }

    fn after_hours_seen(&self, rule: Option<&Rule>, facts: &Facts<'_>) -> Option<AfterHoursSeen> {
        let skillset = match rule {
            None => facts.own_skillset,
            Some(rule) => rule.act.for_agents(facts.own_skillset)?,
        };
        let (entry, found) = self.after_hours(skillset, facts)?;
        let calendar = &self.calendars[found.calendar];
        let open = calendar.is.is_open(facts.now);
        let about = match (found.numbers.is_empty(), found.skillsets.is_empty()) {
            (true, true) => "every text for agents".to_owned(),
            (false, true) => "the number that was texted".to_owned(),
            (true, false) => format!("the skillset {skillset}"),
            (false, false) => format!("the number that was texted with the skillset {skillset}"),
        };
        let follows = match (open, found.hold) {
            (true, _) => "is open, so agents are offered the text",
            (false, true) => "is closed, so the text is kept until it opens",
            (false, false) => "is closed, so the customer is told, and agents are offered the text",
        };
        Some(AfterHoursSeen {
            entry,
            calendar: calendar.name.clone(),
            open,
            why: format!(
                "after_hours[{entry}] is about {about}; the calendar {} {follows}",
                calendar.name
            ),
        })
    }
}

fn why(outcome: Outcome, matched: bool, conditions: &[ConditionSeen], decides: Option<&Rule>) -> String {
    match outcome {
        Outcome::Disabled if matched => "it is switched off; it would match".to_owned(),
        Outcome::Disabled => "it is switched off".to_owned(),
        Outcome::NoMatch => {
            let failed = conditions.iter().filter(|c| !c.matched).map(|c| c.condition);
            format!("it does not match: {}", failed.collect::<Vec<_>>().join(", "))
        }
        Outcome::Decides if conditions.is_empty() => {
            "it has no conditions, so it decides every text that comes to it".to_owned()
        }
        Outcome::Decides => "all of its conditions hold, so it decides".to_owned(),
        Outcome::TooLate => match decides {
            Some(rule) => format!("it matches, but {} has decided before", rule.name),
            None => "it matches, but another one has decided before".to_owned(),
        },
        Outcome::Over => {
            "it matches, but the text is kept for agents, and its customer was answered".to_owned()
        }
    }
}

fn calendar(calendar: &Named<BusinessHours>, now: OffsetDateTime) -> CalendarSeen {
    let moment = calendar.is.at(now);
    CalendarSeen {
        name: calendar.name.clone(),
        open: moment.open,
        holiday: moment.holiday.map(str::to_owned),
        local_time: moment.wall.strftime("%Y-%m-%dT%H:%M").to_string(),
        next_opening: calendar.is.next_opening(now),
    }
}

impl From<Seen<'_>> for ConditionSeen {
    fn from(seen: Seen<'_>) -> Self {
        Self {
            condition: match seen.condition {
                Condition::Numbers => "numbers",
                Condition::Keyword => "keyword",
                Condition::Time => "time",
                Condition::Languages => "languages",
                Condition::List => "list",
            },
            matched: seen.matched,
            why: told(&seen),
        }
    }
}

fn told(seen: &Seen<'_>) -> String {
    let matched = seen.matched;
    match &seen.detail {
        Detail::Numbers(count) => {
            let is = if matched { "is" } else { "is not" };
            format!("the number that was texted {is} one of the rule's {count}")
        }
        Detail::Keyword(keywords, found) => keyword(keywords, *found),
        Detail::Time(calendar, moment, is) => {
            let Named { name, .. } = calendar;
            let wall = moment.wall.strftime("%A %Y-%m-%d %H:%M");
            match (is, moment.holiday) {
                (TimeIs::Holiday, None) => format!("{wall} is no holiday of {name}"),
                (_, holiday) => {
                    let open = if moment.open { "open" } else { "closed" };
                    let holiday = holiday
                        .map(|day| format!(", the holiday {day}"))
                        .unwrap_or_default();
                    format!("{name} is {open} on {wall}{holiday}")
                }
            }
        }
        Detail::Languages(tags) => {
            let is = if matched { "is" } else { "is not" };
            format!("the customer's language {is} one of {}", tags.join(", "))
        }
        Detail::List(name, listed) => {
            let is = if *listed { "is" } else { "is not" };
            format!("the customer {is} in the list {name}")
        }
    }
}

fn keyword(keywords: &Keywords, found: Option<&str>) -> String {
    let verb = match keywords.matching {
        KeywordMatch::Whole => "is",
        KeywordMatch::FirstWord => "begins with",
        KeywordMatch::Contains => "contains",
    };
    match found {
        Some(word) => format!("the text {verb} the keyword {word}"),
        None => {
            let words: Vec<_> = keywords.words.iter().map(|(word, _)| word.as_str()).collect();
            format!("the text {verb} none of the keywords {}", words.join(", "))
        }
    }
}
