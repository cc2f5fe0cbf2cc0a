//! A text leaves the page: once, whatever is clicked, reloaded or gone back to.

use super::{
    act::Sent,
    check::day,
    fields::unfilled,
    meter::LONGEST,
    page::{Page, Senders},
    stop::{Stop, whole_seconds},
    told::Told,
};
use ccm_bus::Wake;
use ccm_db::{NewText, NotTexted, PopChange, PopForm, SentForm, TextOutcome, UsesUp};
use ccm_model::{Address, Body, MessageId, Origin};
use ccm_numbers::Reading;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

/// Stands as the author where nobody says who the agent is.
const NO_AGENT: &str = "screen pop";

/// Why nothing was sent.
enum Not {
    Told(Told),
    /// What the text would have used up is used already.
    Used,
}

impl From<Told> for Not {
    fn from(told: Told) -> Self {
        Self::Told(told)
    }
}

/// A text that can be sent.
struct Ready {
    customer: Address,
    body: Body,
}

impl Page {
    /// Sends what stands in the form.
    pub async fn send(&mut self, sent: &Sent, senders: &Senders) -> Result<(), Stop> {
        self.put_in(self.known().fill(&self.pop.form.body));
        let shown = sent.form_id();
        let told = match self.send_form(shown, senders).await? {
            Ok(()) => {
                counted("sent");
                return Ok(());
            }
            Err(Not::Told(told)) => told,
            Err(Not::Used) => self.told_of_used(shown).await?,
        };
        counted(told.result());
        let notice = Told::notice(Some(&told))?;
        let customer = self.customer();
        let change = PopChange {
            // Whatever has been written since in the newest page stays there.
            form: Some(self.written(customer.as_ref())).filter(|_| told != Told::Already),
            notice: Some(&notice),
            // A version before may have sent from this form and not come to move the page on.
            used: shown
                .map(|shown| (shown, self.deps.ids.next()))
                .filter(|_| told.is_of_used()),
            unless_sent: None,
        };
        Ok(self.db().change_pop(self.pop.id, &change).await?)
    }

    async fn send_form(&self, shown: Option<MessageId>, senders: &Senders) -> Result<Result<(), Not>, Stop> {
        if self.pop.form.number.is_empty() {
            return Ok(Err(Told::NoNumber.into()));
        }
        let Some(shown) = shown.filter(|shown| *shown == self.pop.next_message) else {
            return Ok(Err(Not::Used));
        };
        let ready = match self.ready(&self.pop.form.body, senders).await? {
            Ok(ready) => ready,
            Err(told) => return Ok(Err(told.into())),
        };
        let after = PopForm {
            body: String::new(),
            ..self.pop.form.clone()
        };
        let form = SentForm {
            pop: self.pop.id,
            form: shown,
            next: self.deps.ids.next(),
            after: &after,
            notice: &Told::notice(Some(&told_sent(&ready)))?,
        };
        self.put_in_line(&ready, UsesUp::Form(&form)).await
    }

    /// Sends a text of the history once more, as a new one; what is being written stays.
    pub async fn send_again(&self, sent: &Sent, senders: &Senders) -> Result<Told, Stop> {
        let told = self.send_failed(sent, senders).await?;
        counted(told.result());
        Ok(told)
    }

    async fn send_failed(&self, sent: &Sent, senders: &Senders) -> Result<Told, Stop> {
        let failed: Option<MessageId> = sent.get("text").and_then(|id| id.parse().ok());
        let (Some(failed), Some(customer)) = (failed, self.customer()) else {
            return Ok(Told::NotAgain);
        };
        let Some(body) = self.db().failed_text(&customer, failed).await? else {
            return Ok(Told::NotAgain);
        };
        let ready = match self.ready(body.as_str(), senders).await? {
            Ok(ready) => ready,
            Err(told) => return Ok(told),
        };
        Ok(match self.put_in_line(&ready, UsesUp::Failed(failed)).await? {
            Ok(()) => told_sent(&ready),
            Err(Not::Told(told)) => told,
            Err(Not::Used) => Told::NotAgain,
        })
    }

    /// Whether the page's customer can be sent this now.
    async fn ready(&self, body: &str, senders: &Senders) -> Result<Result<Ready, Told>, Stop> {
        let customer = match self.number() {
            Some(Reading::One(facts)) => facts.address,
            Some(Reading::Either { .. }) => return Ok(Err(Told::WhichCountry)),
            None => return Ok(Err(Told::Unreadable)),
        };
        if senders.find(self.pop.form.sender.as_str()).is_none() {
            return Ok(Err(Told::NoSender));
        }
        if senders.find(customer.as_str()).is_some() {
            return Ok(Err(Told::OwnNumber));
        }
        if let Some(told) = wrong_with(body) {
            return Ok(Err(told));
        }
        let (db, now) = (self.db(), self.deps.ids.clock().now());
        if let Some(out) = db.opt_out(&self.pop.form.sender, &customer).await? {
            return Ok(Err(self.opted_out(out.since)));
        }
        // Of the two rates, the page's is far below the tenant's unless many agents send.
        let wait = db
            .take_pop_text(self.pop.id, self.settings.texts_per_minute, now)
            .await?;
        if let Some(wait) = wait {
            let seconds = whole_seconds(wait.wait);
            return Ok(Err(match wait.of_page {
                true => Told::TooFast { seconds },
                false => Told::TenantTooFast { seconds },
            }));
        }
        let body = Body::new(body).map_err(|_| Told::BadText);
        Ok(body.map(|body| Ready { customer, body }))
    }

    fn opted_out(&self, since: OffsetDateTime) -> Told {
        Told::OptedOut {
            sender: self.pop.form.sender.as_str().to_owned(),
            since: day(since),
        }
    }

    async fn put_in_line(&self, ready: &Ready, uses: UsesUp<'_>) -> Result<Result<(), Not>, Stop> {
        let (db, now) = (self.db(), self.deps.ids.clock().now());
        let author = self.claims.agent.as_deref().unwrap_or(NO_AGENT);
        let about = self.about().await?;
        // Of this moment: what is stored lies in its order and its month.
        let message: MessageId = self.deps.ids.next();
        let event = json!({
            "message_id": message, "agent": self.claims.agent, "contact": self.claims.contact,
            "skillset": self.claims.skillset,
        });
        let text = NewText {
            message,
            conversation: self.deps.ids.next(),
            from: &self.pop.form.sender,
            to: &ready.customer,
            origin: Origin::Agent,
            author,
            body: &ready.body,
            about: Some(&about),
            answer_within: Duration::seconds(self.settings.answer_within_s.into()),
            event: Some(("screenpop_sent", &event)),
            trace: None,
        };
        let texted = match db.text_customer(&text, Some(uses), now).await {
            Ok(texted) => texted,
            Err(NotTexted::Used) => return Ok(Err(Not::Used)),
            Err(NotTexted::NotOurs) => return Ok(Err(Told::NoSender.into())),
            Err(NotTexted::Stopped) => return Ok(Err(Told::Stopped.into())),
            Err(NotTexted::Db(error)) => return Err(error.into()),
        };
        match texted.outcome {
            TextOutcome::Queued => {}
            // Between the look and the text the customer has refused.
            TextOutcome::OptedOut => return Ok(Err(self.opted_out(now).into())),
            TextOutcome::Unanswerable => return Ok(Err(Told::Cannot.into())),
        }
        let (tenant, conversation) = (self.tenant, texted.conversation);
        self.deps.bus.publish(Wake::Outbound { tenant, conversation });
        if texted.noted {
            self.deps.bus.publish(Wake::Inbound { tenant, conversation });
        }
        Ok(Ok(()))
    }

    /// What the chat that the answer opens is to know.
    async fn about(&self) -> Result<Value, Stop> {
        let mut about = serde_json::Map::new();
        if let Some(name) = &self.claims.name {
            about.insert("name".to_owned(), name.as_str().into());
        }
        // A voice skillset may have no chats: then the number's own agents answer.
        if let Some(skillset) = &self.claims.skillset
            && self.db().link_of_skillset(skillset).await?.is_some()
        {
            about.insert("skillset".to_owned(), skillset.as_str().into());
        }
        let order = Some(self.pop.form.order.as_str()).filter(|order| !order.is_empty());
        let known = [
            ("agent", self.claims.agent.as_deref()),
            ("contact", self.claims.contact.as_deref()),
            ("order", order),
        ];
        let context: serde_json::Map<_, _> = known
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?.into())))
            .collect();
        if !context.is_empty() {
            about.insert("context".to_owned(), context.into());
        }
        Ok(about.into())
    }

    /// The form of a page from which a text was sent before: the same one, or another.
    async fn told_of_used(&self, shown: Option<MessageId>) -> Result<Told, Stop> {
        let sent = match shown {
            Some(shown) => self.db().text_of_form(self.pop.id, shown).await?,
            None => None,
        };
        let Some(sent) = sent else {
            return Ok(Told::Stale);
        };
        let form = &self.pop.form;
        let same = sent.from == form.sender && Some(sent.to) == self.customer() && sent.body == form.body;
        Ok(if same { Told::Already } else { Told::Other })
    }
}

fn told_sent(ready: &Ready) -> Told {
    Told::Sent {
        number: ready.customer.as_str().to_owned(),
    }
}

fn counted(result: &'static str) {
    metrics::counter!("ccm_screenpop_texts_total", "result" => result).increment(1);
}

impl Told {
    /// What came of a wish to send; a metric's label.
    fn result(&self) -> &'static str {
        match self {
            Self::Sent { .. } => "sent",
            Self::Already | Self::Stale | Self::Other | Self::NotAgain => "repeated",
            Self::OptedOut { .. } => "opted_out",
            Self::TooFast { .. } | Self::TenantTooFast { .. } => "limited",
            _ => "refused",
        }
    }

    /// Whether it is said of a form that is used up.
    fn is_of_used(&self) -> bool {
        matches!(self, Self::Already | Self::Other)
    }
}

/// Why a text cannot be sent as it is.
fn wrong_with(body: &str) -> Option<Told> {
    if body.trim().is_empty() {
        return Some(Told::Empty);
    }
    let over = body.chars().count().saturating_sub(LONGEST);
    if over > 0 {
        return Some(Told::TooLong { over });
    }
    let names = unfilled(body);
    (!names.is_empty()).then_some(Told::Fields { names })
}
