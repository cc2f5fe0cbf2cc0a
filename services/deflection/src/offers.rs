//! Whether a caller is offered a chat, and the offer.

use crate::{
    Deps,
    answer::Answer,
    given::{Given, Script},
    page, words,
    worker::came_to,
};
use axum::{extract::State, response::Response};
use ccm_bus::Wake;
use ccm_db::{
    LinkRow, NewDeflection, NewOffer, NumberRow, OfferBounds, Offered, Refusal, SkillsetRow, TenantDb,
};
use ccm_model::{
    Address, Body, ChatSettings, DeflectionSettings, DeflectionState,
    deflection_settings::{AgentCheck, waited_minutes},
};
use ccm_numbers::{Home, Reading, of_call};
use ccm_web::Problem;
use serde_json::{Map, Value, json};
use time::{Duration, OffsetDateTime};

/// So long the same call gets the answer that it was accepted.
const ACCEPTED_LASTS: Duration = Duration::HOUR;
/// A refusal is repeated for as long as scripts send a request again whose answer was lost; then things may have changed.
const REFUSED_LASTS: Duration = Duration::seconds(30);

const MOST_WAITED_S: u32 = 7 * 86_400;
const MOST_MEMBERS: usize = 20;
const MOST_CONTEXT_CHARS: usize = 2000;

/// What a script says of a call. Deliberately without `Debug`.
struct Call {
    /// As the switch has it: a number in any shape, or none.
    caller: Option<String>,
    dialed: Option<String>,
    skillset: Option<String>,
    language: Option<String>,
    contact: Option<String>,
    waited_s: Option<u32>,
    name: Option<String>,
    context: Map<String, Value>,
}

/// What the tenant is, for this call.
struct Known {
    settings: DeflectionSettings,
    chat: ChatSettings,
    from: Address,
    /// All of the tenant's numbers.
    ours: Vec<Address>,
    skillset: String,
    link: Option<LinkRow>,
}

/// `GET` and `POST /v1/deflections`
pub async fn offer(State(deps): State<Deps>, mut script: Script) -> Result<Response, Problem> {
    let call = Call::read(&mut script.given)?;
    script.given.nothing_else()?;
    let db = deps.db.tenant(script.holder.tenant);
    let answer = deps.decide(&db, call).await?;
    metrics::counter!("ccm_deflection_asked_total", "result" => label(&answer)).increment(1);
    Ok(answer.into_response(script.format))
}

/// A metric's label.
fn label(answer: &Answer) -> &'static str {
    match answer {
        Answer::Accepted { .. } => "accepted",
        Answer::Refused { reason, .. } => Refusal::parse(reason).map_or("other", Refusal::as_str),
    }
}

impl Call {
    fn read(given: &mut Given) -> Result<Self, Problem> {
        let waited_s = match given.short_text("waited_s", 20)? {
            None => None,
            Some(text) => text
                .parse::<u32>()
                .ok()
                .filter(|seconds| *seconds <= MOST_WAITED_S)
                .map(Some)
                .ok_or_else(|| {
                    Problem::invalid_field(
                        "waited_s",
                        format!("waited_s is no whole number of 0 to {MOST_WAITED_S}"),
                    )
                    .remedy("give the seconds that the caller has waited, such as waited_s=120")
                })?,
        };
        let language = given.short_text("language", 35)?;
        if language.as_ref().is_some_and(|tag| !is_tag(tag)) {
            return Err(Problem::invalid_field("language", "language is no language tag")
                .remedy("write one such as en or de-AT, or leave it out"));
        }
        Ok(Self {
            caller: given.short_text("caller", 200)?,
            dialed: given.short_text("dialed", 200)?,
            skillset: given.short_text("skillset", 100)?,
            language,
            contact: given.short_text("contact_id", 100)?,
            waited_s,
            name: given.short_text("name", 100)?,
            context: bounded(given.context())?,
        })
    }
}

fn is_tag(tag: &str) -> bool {
    let part = |p: &str| (1..=8).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphanumeric());
    tag.len() >= 2 && tag.split('-').all(part)
}

fn bounded(context: Map<String, Value>) -> Result<Map<String, Value>, Problem> {
    let is_name = |name: &str| {
        (1..=40).contains(&name.len())
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
    };
    let chars: usize = context
        .iter()
        .map(|(name, value)| name.len() + value.as_str().map_or(8, |text| text.chars().count()))
        .sum();
    let problem = if context.len() > MOST_MEMBERS {
        format!("context has more than {MOST_MEMBERS} members")
    } else if chars > MOST_CONTEXT_CHARS {
        format!("context is longer than {MOST_CONTEXT_CHARS} characters in all")
    } else if !context.keys().all(|name| is_name(name)) {
        "context has a member whose name is not 1 to 40 letters, digits, dashes or underscores".to_owned()
    } else {
        return Ok(context);
    };
    Err(Problem::invalid_field("context", problem).remedy("give what agents need, under short names"))
}

/// Why no offer is made, with words for whoever writes the script.
type Refused = (Refusal, &'static str);

impl Deps {
    async fn decide(&self, db: &TenantDb<'_>, call: Call) -> Result<Answer, Problem> {
        let Some(_turn) = self.turns.take(db.id()).await else {
            return Ok(Answer::refused(
                Refusal::Unavailable,
                "too many questions of the tenant's wait already",
            ));
        };
        let now = self.ids.clock().now();
        let known = known(db, &call).await?;
        let home = Home {
            region: known.settings.region.as_deref(),
            ours: Some(&known.from),
        };
        let caller = of_call(call.caller.as_deref().unwrap_or_default(), home);
        let mut new = self.new_deflection(&known, &call);
        if let Some(Reading::One(facts)) = &caller {
            new.customer_address = Some(facts.address.clone());
        }
        if let Some(contact) = &call.contact
            && let Some(before) = db
                .deflection_of_contact(contact, new.customer_address.as_ref(), now - ACCEPTED_LASTS)
                .await?
            && (before.state != DeflectionState::Refused || now - before.asked_at < REFUSED_LASTS)
        {
            return Ok(Answer::before(before));
        }
        let checked = match caller {
            Some(Reading::One(facts)) => self.check(db, &known, facts, now).await?,
            Some(Reading::Either { .. }) => Err((
                Refusal::Ambiguous,
                "caller does not name its country and can be read in two ways: send it with +, or set region: PUT …/deflection-settings",
            )),
            None => Err((Refusal::NoSms, "the caller has no number that can be texted")),
        };
        match checked {
            Ok(to) => self.make(db, &known, &call, &new, &to, now).await,
            Err((refusal, detail)) => {
                db.keep_refusal(&new, refusal, now).await?;
                Ok(Answer::refused(refusal, detail))
            }
        }
    }

    /// What can be texted, wants to be, and finds somebody.
    async fn check(
        &self,
        db: &TenantDb<'_>,
        known: &Known,
        mut caller: ccm_numbers::Facts,
        now: OffsetDateTime,
    ) -> Result<Result<Address, Refused>, Problem> {
        if known.settings.offer.is_none() {
            return Ok(Err((
                Refusal::Unavailable,
                "the tenant has no words of offer: PUT …/deflection-settings",
            )));
        }
        if known.settings.link && self.settings.public_base_url.is_none() {
            return Ok(Err((
                Refusal::Unavailable,
                "offers have a link, and this installation has no address for it: deflection.public_base_url",
            )));
        }
        if known.ours.contains(&caller.address) {
            return Ok(Err((
                Refusal::NoSms,
                "the caller has one of the tenant's own numbers",
            )));
        }
        let since = now - self.settings.look_ups_kept;
        if let Some(looked_up) = db.number_lookup(&caller.address, since).await? {
            caller.looked_up(looked_up.valid, looked_up.line);
        }
        if let Some(because) = caller.not_textable_because {
            return Ok(Err((Refusal::NoSms, because)));
        }
        let opt_outs = db.opt_outs_of(&caller.address).await?;
        if opt_outs.iter().any(|out| out.our_address == known.from) {
            return Ok(Err((
                Refusal::OptedOut,
                "the caller wants no texts from this number",
            )));
        }
        let open = self
            .hours
            .are_open(&self.db, db.id(), &known.from, &known.skillset, now);
        if !open.await? {
            return Ok(Err((Refusal::Closed, "the skillset's calendar is closed")));
        }
        Ok(self.agents(db, known).await.map(|()| caller.address))
    }

    async fn agents(&self, db: &TenantDb<'_>, known: &Known) -> Result<(), Refused> {
        let Some(link) = &known.link else {
            return Err((Refusal::Unavailable, "the skillset's link is gone"));
        };
        if known.settings.agents == AgentCheck::Off {
            return Ok(());
        }
        let Some(queue) = self.queues.ask(db.id(), link, &known.skillset).await else {
            return Err((Refusal::Unavailable, "AACC does not say whether agents are there"));
        };
        let enough = match known.settings.agents {
            AgentCheck::Off => true,
            AgentCheck::Available => queue.available_agents > 0,
            AgentCheck::Free => queue.is_open(),
        };
        match enough {
            true => Ok(()),
            false => Err((Refusal::NoAgents, "no agent of the skillset is free for a chat")),
        }
    }

    fn new_deflection(&self, known: &Known, call: &Call) -> NewDeflection {
        let waited_s = call.waited_s.unwrap_or_default();
        let priority = known.settings.priority(waited_s);
        NewDeflection {
            id: self.ids.next(),
            our_address: Some(known.from.clone()),
            customer_address: None,
            skillset: known.skillset.clone(),
            voice_skillset: call.skillset.clone().unwrap_or_else(|| known.skillset.clone()),
            language: call
                .language
                .clone()
                .unwrap_or_else(|| known.chat.language.clone()),
            contact: call.contact.clone(),
            waited_s: i32::try_from(waited_s).unwrap_or(i32::MAX),
            priority: priority.and_then(|entry| entry.priority.clone()),
            name: call.name.clone(),
            context: Value::Object(call.context.clone()),
        }
    }

    async fn make(
        &self,
        db: &TenantDb<'_>,
        known: &Known,
        call: &Call,
        new: &NewDeflection,
        to: &Address,
        now: OffsetDateTime,
    ) -> Result<Answer, Problem> {
        let settings = &known.settings;
        let base = self.settings.public_base_url.as_deref().filter(|_| settings.link);
        let token = base.map(page::Token::new);
        let link = token.as_ref().map(|token| token.address.as_str());
        let words = settings.offer.as_ref();
        let words = words.and_then(|words| words::chosen(words, &new.language, &known.chat.language));
        let minutes = words::minutes(settings.answer_within_s);
        let text = words
            .map(|words| words::fill_offer(words, new.name.as_deref(), &new.voice_skillset, &minutes, link));
        let Some(body) = text.and_then(|text| Body::new(text).ok()) else {
            return Err(Problem::internal(
                "words of offer that were checked cannot be texted",
            ));
        };
        let offer = NewOffer {
            message: self.ids.next(),
            conversation: self.ids.next(),
            from: &known.from,
            to,
            body: &body,
            about: &about(known, call, new),
            token_hash: token.as_ref().map(|token| &token.hash),
            answer_within: Duration::seconds(settings.answer_within_s.into()),
        };
        let bounds = OfferBounds {
            per_caller: settings.limits.per_caller.into(),
            within: Duration::seconds(settings.limits.per_caller_s.into()),
            per_minute: settings.limits.per_minute.into(),
        };
        let offered = db.offer(new, &offer, bounds, now - ACCEPTED_LASTS, now).await?;
        Ok(match offered {
            Offered::Made(texted) => {
                let (tenant, conversation) = (db.id(), texted.conversation);
                self.bus.publish(Wake::Outbound { tenant, conversation });
                if texted.noted {
                    self.bus.publish(Wake::Inbound { tenant, conversation });
                }
                came_to(DeflectionState::Offered);
                Answer::Accepted {
                    deflection: new.id,
                    state: DeflectionState::Offered,
                    expires_at: Some(now + offer.answer_within),
                    repeated: false,
                }
            }
            Offered::Before(row) => Answer::before(*row),
            Offered::Refused(refusal) => Answer::refused(
                refusal,
                match refusal {
                    Refusal::OfferedRecently => "the caller has had as many offers as the tenant allows",
                    Refusal::Limit => "the tenant has made as many offers in this minute as it allows",
                    _ => "the tenant's texts are not carried now, or the number is no longer its own",
                },
            ),
        })
    }
}

/// What the chat is opened with.
fn about(known: &Known, call: &Call, new: &NewDeflection) -> Value {
    // What this call has not takes away what an earlier one had.
    json!({
        "deflection": new.id,
        "skillset": new.skillset,
        "language": new.language,
        "waited_s": call.waited_s,
        "context": new.context,
        "name": new.name,
        "contact_id": new.contact,
        "priority": new.priority,
        "said": note(known, call, new),
    })
}

/// What the agent reads first, in the tenant's language.
fn note(known: &Known, call: &Call, new: &NewDeflection) -> Option<String> {
    let words = known.settings.note.as_ref()?;
    let words = words::chosen(words, &known.chat.language, "en")?;
    let filled = ccm_model::fill(words, |word| {
        Some(match word {
            "name" => new.name.clone().unwrap_or_default(),
            "skillset" => new.voice_skillset.clone(),
            "waited_minutes" => call
                .waited_s
                .map_or_else(|| "?".to_owned(), |seconds| waited_minutes(seconds.into())),
            "contact" => new.contact.clone().unwrap_or_default(),
            "priority" => new.priority.clone().unwrap_or_default(),
            "context" => words::context_line(&call.context),
            _ => return None,
        })
    });
    Some(filled.trim().to_owned())
}

async fn known(db: &TenantDb<'_>, call: &Call) -> Result<Known, Problem> {
    // One after the other: a question takes one connection.
    let (settings, _) = db.settings::<DeflectionSettings>().await?;
    let (chat, _) = db.settings::<ChatSettings>().await?;
    let (numbers, skillsets) = (db.numbers().await?, db.skillsets().await?);
    let number = sender(&settings, &numbers, call.dialed.as_deref())?;
    let voice = call.skillset.as_deref().unwrap_or_default();
    let wanted = settings.chat_skillset(voice, call.waited_s.unwrap_or_default());
    let skillset = chat_skillset(&skillsets, wanted, number);
    let link = db.link_of_skillset(&skillset).await?;
    Ok(Known {
        from: number.address.clone(),
        ours: numbers.iter().map(|number| number.address.clone()).collect(),
        settings,
        chat,
        skillset,
        link,
    })
}

/// A voice skillset that no chat skillset is called like has its chats answered by those of the number.
fn chat_skillset(skillsets: &[SkillsetRow], wanted: &str, number: &NumberRow) -> String {
    let named = skillsets.iter().find(|skillset| skillset.name == wanted);
    let own = || skillsets.iter().find(|skillset| skillset.id == number.skillset);
    named
        .or_else(own)
        .map_or_else(|| wanted.to_owned(), |skillset| skillset.name.clone())
}

/// The number that the offer leaves from: the one that was dialled, or the one that the tenant says for it.
fn sender<'a>(
    settings: &DeflectionSettings,
    numbers: &'a [NumberRow],
    dialed: Option<&str>,
) -> Result<&'a NumberRow, Problem> {
    let ours = |address: &Address| numbers.iter().find(|number| number.address == *address);
    let digits = |raw: &str| raw.chars().filter(char::is_ascii_digit).collect::<String>();
    let dialled = dialed.map(digits).filter(|dialled| !dialled.is_empty());
    let by_dialled = dialled.and_then(|dialled| {
        let own = numbers
            .iter()
            .find(|number| digits(number.address.as_str()) == dialled);
        let mapped = || settings.senders.iter().find(|(from, _)| digits(from) == dialled);
        own.or_else(|| ours(mapped()?.1))
    });
    let all_one = || {
        numbers
            .first()
            .filter(|first| numbers.iter().all(|n| n.address == first.address))
    };
    by_dialled
        .or_else(|| ours(settings.sender.as_ref()?))
        .or_else(all_one)
        .ok_or_else(no_sender)
}

fn no_sender() -> Problem {
    Problem::new(
        axum::http::StatusCode::UNPROCESSABLE_ENTITY,
        "refused-value",
        "A value is not taken",
    )
    .detail("dialed is none of the tenant's numbers, and no other number is set for the offer to leave from")
    .field("dialed")
    .remedy("send the number that offers leave from, or set sender or senders: PUT …/deflection-settings")
}
