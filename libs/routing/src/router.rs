//! The document made ready, and what it decides.

use crate::{
    AutoReply, BusinessHours, Conditions, Fallback, KeywordMatch, ListIs, Moment, NoSuchZone, ReplyThen,
    RoutingSettings, SettingRefused, TimeIs, Webhook, Words, keyword,
};
use ccm_model::Address;
use std::{
    cell::OnceCell,
    collections::{BTreeMap, HashSet},
    fmt,
};
use time::OffsetDateTime;

/// What is known of a text. Deliberately without `Debug`: it holds what people wrote.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The tenant's own number that was texted.
    pub to: &'a Address,
    /// The customer.
    pub from: &'a Address,
    pub text: &'a str,
    /// The customer's, or the tenant's if that is not known: a tag such as `de-AT`.
    pub language: &'a str,
    /// For words that are not there in the customer's.
    pub tenant_language: &'a str,
    /// Of the number that was texted: where texts go that no rule sends elsewhere.
    pub own_skillset: &'a str,
    pub now: OffsetDateTime,
    /// What an earlier decision on this text said, if it was [`Action::HoldUntil`]: the customer has been answered already, so
    /// nothing is said again.
    pub held: Option<Held<'a>>,
}

/// What is to be remembered of an [`Action::HoldUntil`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held<'a> {
    pub calendar: &'a str,
    pub skillset: Option<&'a str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub action: Action,
    /// The rule that decided. `None`: no rule did.
    pub rule: Option<String>,
    /// In plain English. Holds no number and nothing of the text.
    pub why: String,
}

/// What happens to a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// It goes to the agents of the number's own skillset.
    Default,
    /// It goes to the agents of this skillset.
    Skillset { name: String },
    /// The customer is told this.
    Reply { reply: String, then: Then },
    /// The customer is told `reply`, if that has not been done, and the text is kept. At `at`, decide again with
    /// [`Facts::held`]: then it goes to agents.
    HoldUntil {
        /// `None`: the calendar does not open within 400 days. Decide again when the settings have changed.
        at: Option<OffsetDateTime>,
        calendar: String,
        reply: Option<String>,
        /// Who gets it then. `None`: the rules say it then.
        skillset: Option<String>,
    },
    /// A program is asked. What it answers is acted on by [`Router::act_on`].
    Webhook {
        url: String,
        timeout_ms: u32,
        /// When it fails. Never a webhook.
        fallback: Box<Action>,
    },
}

/// What follows an automatic reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Then {
    /// Nothing: no agent sees the text.
    Done,
    /// Agents are offered it at once. `None`: those of the number's own skillset.
    Offer { skillset: Option<String> },
}

/// A tenant's routing, ready to decide. Make it once for a document and share it.
#[derive(Default)]
pub struct Router {
    pub(crate) calendars: Vec<Named<BusinessHours>>,
    pub(crate) lists: Vec<Named<Listed>>,
    /// Those that go first first.
    pub(crate) rules: Vec<Rule>,
    pub(crate) after_hours: Vec<AfterHours>,
}

pub(crate) struct Named<T> {
    pub name: String,
    pub is: T,
}

/// A place in the router's calendars or lists.
pub(crate) type Place = usize;

#[derive(Default)]
pub(crate) struct Listed {
    numbers: HashSet<Address>,
    prefixes: HashSet<String>,
}

pub(crate) struct Rule {
    pub name: String,
    pub priority: u32,
    pub enabled: bool,
    pub when: When,
    pub act: Act,
}

pub(crate) struct When {
    /// Empty: any.
    pub numbers: HashSet<Address>,
    pub keyword: Option<Keywords>,
    pub time: Option<(Place, TimeIs)>,
    pub languages: Vec<String>,
    pub list: Option<(Place, ListIs)>,
}

pub(crate) struct Keywords {
    pub matching: KeywordMatch,
    /// As the tenant wrote it, and folded.
    pub words: Vec<(String, String)>,
}

pub(crate) enum Act {
    Skillset(String),
    Reply(Box<Reply>),
    Webhook {
        url: String,
        timeout_ms: u32,
        fallback: Option<Box<Act>>,
    },
}

pub(crate) struct Reply {
    words: Words,
    then: ReplyThen,
    skillset: Option<String>,
    /// Its own, else that of the rule's condition.
    calendar: Option<Place>,
}

pub(crate) struct AfterHours {
    pub calendar: Place,
    pub numbers: HashSet<Address>,
    pub skillsets: Vec<String>,
    reply: Words,
    pub hold: bool,
}

/// One text, looked at.
pub(crate) struct Look<'a> {
    pub facts: &'a Facts<'a>,
    folded: OnceCell<String>,
}

/// A rule's condition, by the field's name in the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    Numbers,
    Keyword,
    Time,
    Languages,
    List,
}

/// What a condition saw.
pub(crate) struct Seen<'a> {
    pub condition: Condition,
    pub matched: bool,
    pub detail: Detail<'a>,
}

/// What the explanation is made of.
pub(crate) enum Detail<'a> {
    Numbers(usize),
    /// The one that was found.
    Keyword(&'a Keywords, Option<&'a str>),
    Time(&'a Named<BusinessHours>, Moment<'a>, TimeIs),
    Languages(&'a [String]),
    List(&'a str, bool),
}

impl Condition {
    const ALL: [Self; 5] = [
        Self::Numbers,
        Self::Keyword,
        Self::Time,
        Self::Languages,
        Self::List,
    ];
}

impl Router {
    /// Makes a document ready, if its [`check`](RoutingSettings::check) finds nothing. [`Router::default`] is that of a tenant that
    /// has set nothing.
    pub fn new(settings: &RoutingSettings) -> Result<Self, SettingRefused> {
        settings.check()?;
        let calendars =
            named(&settings.calendars, BusinessHours::new).map_err(|NoSuchZone| cannot_be("calendars"))?;
        let lists = named(&settings.lists, |list| {
            Ok::<_, SettingRefused>(Listed {
                numbers: list.numbers.iter().cloned().collect(),
                prefixes: list.prefixes.iter().map(|p| p.as_str().to_owned()).collect(),
            })
        })?;
        let made = Self {
            calendars,
            lists,
            ..Self::default()
        };
        let mut rules = Vec::new();
        for rule in &settings.rules {
            let when = made.when(&rule.when)?;
            let its_calendar = when.time.map(|(calendar, _)| calendar);
            let action = &rule.action;
            rules.push(Rule {
                name: rule.name.clone(),
                priority: rule.priority,
                enabled: rule.enabled,
                when,
                act: made
                    .act(
                        &action.skillset,
                        &action.reply,
                        action.webhook.as_ref(),
                        its_calendar,
                    )?
                    .ok_or_else(|| cannot_be("rules"))?,
            });
        }
        // Stable: those of one priority stay in the document's order.
        rules.sort_by_key(|rule| rule.priority);
        let after_hours = settings.after_hours.iter().map(|entry| {
            Ok(AfterHours {
                calendar: place(&made.calendars, &entry.calendar)?,
                numbers: entry.numbers.iter().cloned().collect(),
                skillsets: entry.skillsets.clone(),
                reply: entry.reply.clone(),
                hold: entry.hold,
            })
        });
        let after_hours = after_hours.collect::<Result<_, SettingRefused>>()?;
        Ok(Self {
            rules,
            after_hours,
            ..made
        })
    }

    fn when(&self, when: &Conditions) -> Result<When, SettingRefused> {
        let keywords = |condition: &crate::KeywordCondition| Keywords {
            matching: condition.matching,
            words: condition
                .any_of
                .iter()
                .map(|word| (word.clone(), keyword::bare(&keyword::fold(word)).to_owned()))
                .collect(),
        };
        Ok(When {
            numbers: when.numbers.iter().cloned().collect(),
            keyword: when.keyword.as_ref().map(keywords),
            time: match &when.time {
                Some(time) => Some((place(&self.calendars, &time.calendar)?, time.is)),
                None => None,
            },
            languages: when.languages.clone(),
            list: match &when.list {
                Some(list) => Some((place(&self.lists, &list.name)?, list.is)),
                None => None,
            },
        })
    }

    fn act(
        &self,
        skillset: &Option<String>,
        reply: &Option<AutoReply>,
        webhook: Option<&Webhook>,
        its_calendar: Option<Place>,
    ) -> Result<Option<Act>, SettingRefused> {
        if let Some(name) = skillset {
            return Ok(Some(Act::Skillset(name.clone())));
        }
        if let Some(reply) = reply {
            let calendar = match &reply.calendar {
                Some(name) => Some(place(&self.calendars, name)?),
                None => its_calendar,
            };
            return Ok(Some(Act::Reply(Box::new(Reply {
                words: reply.words.clone(),
                then: reply.then,
                skillset: reply.skillset.clone(),
                calendar,
            }))));
        }
        let Some(webhook) = webhook else { return Ok(None) };
        let fallback = match &webhook.fallback {
            Some(fallback) => self.act(&fallback.skillset, &fallback.reply, None, its_calendar)?,
            None => None,
        };
        Ok(Some(Act::Webhook {
            url: webhook.url.clone(),
            timeout_ms: webhook.timeout_ms,
            fallback: fallback.map(Box::new),
        }))
    }

    /// Where the text goes. The same facts come to the same decision always.
    pub fn decide(&self, facts: &Facts<'_>) -> Decision {
        if let Some(decision) = self.still_held(facts) {
            return decision;
        }
        let look = Look::new(facts);
        let rule = self.rules.iter().find(|rule| {
            rule.enabled && !rule.is_over(facts) && self.seen(rule, &look).all(|seen| seen.matched)
        });
        self.conclude(rule, facts)
    }

    /// What comes of an action that a webhook answered with, as if the rule's own action had been this.
    pub fn act_on(&self, answer: &Fallback, facts: &Facts<'_>) -> Result<Action, SettingRefused> {
        answer.check()?;
        let act = self.act(&answer.skillset, &answer.reply, None, None)?;
        Ok(self.result(act.as_ref(), facts))
    }

    /// What comes of a text that no rule matches, or whose webhook has nothing to say.
    pub fn unruled(&self, facts: &Facts<'_>) -> Action {
        self.result(None, facts)
    }

    /// The skillset whose agents get the text, at once or when it is no longer kept. `None`: no agent does. Of a webhook, that of
    /// its fallback.
    pub fn comes_to(&self, action: &Action, facts: &Facts<'_>) -> Option<String> {
        let own = || facts.own_skillset.to_owned();
        match action {
            Action::Default => Some(own()),
            Action::Skillset { name } => Some(name.clone()),
            Action::Reply { then: Then::Done, .. } => None,
            Action::Reply {
                then: Then::Offer { skillset },
                ..
            } => Some(skillset.clone().unwrap_or_else(own)),
            Action::HoldUntil {
                skillset: Some(name), ..
            } => Some(name.clone()),
            Action::HoldUntil { at: None, .. } => Some(own()),
            Action::HoldUntil {
                at: Some(at),
                calendar,
                ..
            } => {
                let then = Facts {
                    now: *at,
                    held: Some(Held {
                        calendar,
                        skillset: None,
                    }),
                    ..*facts
                };
                self.comes_to(&self.decide(&then).action, &then)
            }
            Action::Webhook { fallback, .. } => self.comes_to(fallback, facts),
        }
    }

    /// A calendar of the document, by name.
    pub fn calendar(&self, name: &str) -> Option<&BusinessHours> {
        Some(&self.calendars.iter().find(|calendar| calendar.name == name)?.is)
    }

    /// What an earlier decision settled: it waits for its calendar, then goes to its skillset.
    pub(crate) fn still_held(&self, facts: &Facts<'_>) -> Option<Decision> {
        let held = facts.held?;
        let hours = self.calendar(held.calendar);
        let name = held.calendar;
        if let Some(hours) = hours
            && !hours.is_open(facts.now)
        {
            return Some(Decision {
                action: Action::HoldUntil {
                    at: hours.next_opening(facts.now),
                    calendar: name.to_owned(),
                    reply: None,
                    skillset: held.skillset.map(str::to_owned),
                },
                rule: None,
                why: format!("it is kept until the calendar {name} opens"),
            });
        }
        let skillset = held.skillset?;
        Some(Decision {
            action: Action::Skillset {
                name: skillset.to_owned(),
            },
            rule: None,
            why: format!("it was kept for {skillset} until the calendar {name} opens, which it has"),
        })
    }

    pub(crate) fn conclude(&self, rule: Option<&Rule>, facts: &Facts<'_>) -> Decision {
        let action = self.result(rule.map(|rule| &rule.act), facts);
        let by = match rule {
            Some(rule) => format!("the rule {} decides", rule.name),
            None => "no rule matches, so it is for the number's own skillset".to_owned(),
        };
        let why = match &action {
            Action::HoldUntil { calendar, .. } => format!("{by}; the calendar {calendar} is closed"),
            _ => by,
        };
        Decision {
            action,
            rule: rule.map(|rule| rule.name.clone()),
            why,
        }
    }

    fn result(&self, act: Option<&Act>, facts: &Facts<'_>) -> Action {
        match act {
            None => self.for_agents(None, facts),
            Some(Act::Skillset(name)) => self.for_agents(Some(name), facts),
            Some(Act::Reply(reply)) => self.reply(reply, facts),
            Some(Act::Webhook {
                url,
                timeout_ms,
                fallback,
            }) => Action::Webhook {
                url: url.clone(),
                timeout_ms: *timeout_ms,
                fallback: Box::new(self.result(fallback.as_deref(), facts)),
            },
        }
    }

    /// A text for agents, by day and by night.
    fn for_agents(&self, skillset: Option<&str>, facts: &Facts<'_>) -> Action {
        let offered = || match skillset {
            Some(name) => Action::Skillset {
                name: name.to_owned(),
            },
            None => Action::Default,
        };
        // Kept once is kept enough: calendars that open by turns would keep it for ever.
        if facts
            .held
            .is_some_and(|held| self.calendar(held.calendar).is_some())
        {
            return offered();
        }
        let Some((_, entry)) = self.after_hours(skillset.unwrap_or(facts.own_skillset), facts) else {
            return offered();
        };
        let calendar = &self.calendars[entry.calendar];
        if calendar.is.is_open(facts.now) {
            return offered();
        }
        let at = calendar.is.next_opening(facts.now);
        let reply = (facts.held.is_none()).then(|| said(&entry.reply, facts, at, &calendar.is));
        match (entry.hold, reply) {
            (true, reply) => Action::HoldUntil {
                at,
                calendar: calendar.name.clone(),
                reply,
                skillset: None,
            },
            (false, Some(reply)) => Action::Reply {
                reply,
                then: Then::Offer {
                    skillset: skillset.map(str::to_owned),
                },
            },
            (false, None) => offered(),
        }
    }

    fn reply(&self, reply: &Reply, facts: &Facts<'_>) -> Action {
        let skillset = reply.skillset.as_deref();
        if facts.held.is_some() {
            return self.for_agents(skillset, facts);
        }
        let calendar = match (reply.then, reply.calendar) {
            (ReplyThen::Done, own) | (ReplyThen::Hold, own @ Some(_)) => own,
            (ReplyThen::Hold, None) => {
                let entry = self.after_hours(skillset.unwrap_or(facts.own_skillset), facts);
                entry.map(|(_, entry)| entry.calendar)
            }
        };
        let calendar = calendar.map(|place| &self.calendars[place]);
        let at = calendar.and_then(|calendar| calendar.is.next_opening(facts.now));
        let words = match calendar {
            Some(calendar) => said(&reply.words, facts, at, &calendar.is),
            None => chosen(&reply.words, facts).to_owned(),
        };
        match (reply.then, calendar) {
            (ReplyThen::Done, _) => Action::Reply {
                reply: words,
                then: Then::Done,
            },
            (ReplyThen::Hold, Some(calendar)) if !calendar.is.is_open(facts.now) => Action::HoldUntil {
                at,
                calendar: calendar.name.clone(),
                reply: Some(words),
                skillset: reply.skillset.clone(),
            },
            (ReplyThen::Hold, _) => Action::Reply {
                reply: words,
                then: Then::Offer {
                    skillset: reply.skillset.clone(),
                },
            },
        }
    }

    /// Whether agents of the skillset answer texts to `to` at this moment: those that no entry of `after_hours` is about do at any.
    pub fn is_open(&self, to: &Address, skillset: &str, now: OffsetDateTime) -> bool {
        self.entry(to, skillset)
            .is_none_or(|(_, entry)| self.calendars[entry.calendar].is.is_open(now))
    }

    /// The first entry that fits, and where it stands.
    pub(crate) fn after_hours(&self, skillset: &str, facts: &Facts<'_>) -> Option<(usize, &AfterHours)> {
        self.entry(facts.to, skillset)
    }

    fn entry(&self, to: &Address, skillset: &str) -> Option<(usize, &AfterHours)> {
        self.after_hours.iter().enumerate().find(|(_, entry)| {
            (entry.numbers.is_empty() || entry.numbers.contains(to))
                && (entry.skillsets.is_empty() || entry.skillsets.iter().any(|name| name == skillset))
        })
    }

    /// The rule's conditions, each looked at when it is asked for.
    pub(crate) fn seen<'a>(&'a self, rule: &'a Rule, look: &'a Look<'a>) -> impl Iterator<Item = Seen<'a>> {
        Condition::ALL
            .into_iter()
            .filter_map(move |condition| self.see(condition, &rule.when, look))
    }

    /// `None` when the rule does not ask for it.
    fn see<'a>(&'a self, condition: Condition, when: &'a When, look: &'a Look<'a>) -> Option<Seen<'a>> {
        let facts = look.facts;
        let (matched, detail) = match condition {
            Condition::Numbers if when.numbers.is_empty() => return None,
            Condition::Numbers => (
                when.numbers.contains(facts.to),
                Detail::Numbers(when.numbers.len()),
            ),
            Condition::Keyword => {
                let keywords = when.keyword.as_ref()?;
                let text = look.folded();
                let mut words = keywords.words.iter();
                let found = words.find(|(_, folded)| keyword::has(text, folded, keywords.matching));
                let found = found.map(|(word, _)| word.as_str());
                (found.is_some(), Detail::Keyword(keywords, found))
            }
            Condition::Time => {
                let (place, is) = when.time?;
                let calendar = &self.calendars[place];
                let moment = calendar.is.at(facts.now);
                let matched = match is {
                    TimeIs::Open => moment.open,
                    TimeIs::Closed => !moment.open,
                    TimeIs::Holiday => moment.holiday.is_some(),
                };
                (matched, Detail::Time(calendar, moment, is))
            }
            Condition::Languages if when.languages.is_empty() => return None,
            Condition::Languages => (
                when.languages.iter().any(|tag| speaks(facts.language, tag)),
                Detail::Languages(&when.languages),
            ),
            Condition::List => {
                let (place, is) = when.list?;
                let list = &self.lists[place];
                let listed = list.is.has(facts.from);
                (listed == (is == ListIs::In), Detail::List(&list.name, listed))
            }
        };
        Some(Seen {
            condition,
            matched,
            detail,
        })
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router")
            .field("calendars", &self.calendars.len())
            .field("lists", &self.lists.len())
            .field("rules", &self.rules.len())
            .field("after_hours", &self.after_hours.len())
            .finish()
    }
}

impl Rule {
    /// Whether the rule has been acted on already: it answers, and the customer was answered.
    pub fn is_over(&self, facts: &Facts<'_>) -> bool {
        facts.held.is_some() && matches!(self.act, Act::Reply(_))
    }
}

impl Act {
    /// The skillset that a text goes to by way of `after_hours`, if it does.
    pub fn for_agents<'a>(&'a self, own: &'a str) -> Option<&'a str> {
        match self {
            Self::Skillset(name) => Some(name),
            Self::Reply(reply) => (reply.then == ReplyThen::Hold && reply.calendar.is_none())
                .then(|| reply.skillset.as_deref().unwrap_or(own)),
            Self::Webhook { .. } => None,
        }
    }
}

impl<'a> Look<'a> {
    pub fn new(facts: &'a Facts<'a>) -> Self {
        Self {
            facts,
            folded: OnceCell::new(),
        }
    }

    fn folded(&self) -> &str {
        self.folded.get_or_init(|| keyword::fold(self.facts.text))
    }
}

impl Listed {
    fn has(&self, customer: &Address) -> bool {
        let prefixed = || match customer {
            Address::E164(number) if !self.prefixes.is_empty() => {
                (2..=number.len()).any(|end| self.prefixes.contains(&number[..end]))
            }
            _ => false,
        };
        self.numbers.contains(customer) || prefixed()
    }
}

/// Whether the language is this one or one of its kinds: `de-AT` is `de`.
fn speaks(language: &str, tag: &str) -> bool {
    let (language, tag) = (language.as_bytes(), tag.as_bytes());
    let begins = language.len() >= tag.len() && language[..tag.len()].eq_ignore_ascii_case(tag);
    begins && language.get(tag.len()).is_none_or(|next| *next == b'-')
}

/// In the customer's language, else in the tenant's, else in the first by its tag: who has been promised an answer gets one.
fn chosen<'a>(words: &'a Words, facts: &Facts<'_>) -> &'a str {
    let languages = [facts.language, facts.tenant_language];
    let found = languages.iter().find_map(|language| words.in_language(language));
    found
        .or_else(|| words.0.values().next().map(String::as_str))
        .unwrap_or_default()
}

fn said(words: &Words, facts: &Facts<'_>, opens: Option<OffsetDateTime>, hours: &BusinessHours) -> String {
    let words = chosen(words, facts);
    if !words.contains("{opens_") {
        return words.to_owned();
    }
    let (date, time) = match opens.map(|at| hours.wall(at)) {
        Some(wall) => (
            wall.date().to_string(),
            format!("{:02}:{:02}", wall.hour(), wall.minute()),
        ),
        None => Default::default(),
    };
    words
        .replace("{opens_date}", &date)
        .replace("{opens_time}", &time)
}

fn named<T, U, E>(all: &BTreeMap<String, T>, make: impl Fn(&T) -> Result<U, E>) -> Result<Vec<Named<U>>, E> {
    let made = all.iter().map(|(name, one)| {
        Ok(Named {
            name: name.clone(),
            is: make(one)?,
        })
    });
    made.collect()
}

fn place<T>(all: &[Named<T>], name: &str) -> Result<Place, SettingRefused> {
    let found = all.binary_search_by(|one| one.name.as_str().cmp(name));
    found.map_err(|_| SettingRefused {
        field: "calendar".to_owned(),
        problem: "is no calendar or list of this document".to_owned(),
        remedy: "write the name of one that is there",
    })
}

/// The check has seen to it.
fn cannot_be(field: &str) -> SettingRefused {
    SettingRefused {
        field: field.to_owned(),
        problem: "cannot be used".to_owned(),
        remedy: "send the document again",
    }
}
