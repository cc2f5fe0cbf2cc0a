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
use ccm_db::{DbError, NewText, NotTexted, TextOutcome};
use ccm_model::{Address, Body, MessageId, Origin};
use serde_json::{Value, json};
use time::Duration;

/// Stands as the author where nobody says who the agent is.
const NO_AGENT: &str = "screen pop";

/// What comes of a wish to send.
enum Outcome {
    Sent,
    Not(Told),
}

impl Page {
    /// Sends what stands in the form.
    pub async fn send(&mut self, sent: &Sent, senders: &Senders) -> Result<(), Stop> {
        self.put_in(self.known().fill(&self.pop.form.body));
        let body = self.pop.form.body.clone();
        match self.deliver(sent, &body, senders).await? {
            Outcome::Sent => {
                self.pop.form.body = String::new();
                self.keep_sent().await
            }
            Outcome::Not(Told::Already) => {
                // Whatever has been written since in the newest page stays there.
                self.pop.form = self.db().pop(self.pop.id).await?.form;
                self.keep(Some(Told::Already), None).await
            }
            Outcome::Not(told) => self.keep(Some(told), None).await,
        }
    }

    /// Sends a text of the history once more, as a new one; what is being written stays.
    pub async fn send_again(&mut self, sent: &Sent, senders: &Senders) -> Result<(), Stop> {
        let failed: Option<MessageId> = sent.get("text").and_then(|id| id.parse().ok());
        let (Some(failed), Some(customer)) = (failed, self.customer()) else {
            return self.keep(Some(Told::NoNumber), None).await;
        };
        let body = match self.db().text_of_history(&customer, failed).await {
            Ok(body) => body,
            Err(DbError::NotFound(_)) => return self.keep(Some(Told::Stale), None).await,
            Err(error) => return Err(error.into()),
        };
        match self.deliver(sent, body.as_str(), senders).await? {
            Outcome::Sent => self.keep_sent().await,
            Outcome::Not(told) => self.keep(Some(told), None).await,
        }
    }

    async fn keep_sent(&self) -> Result<(), Stop> {
        let number = self.customer().map(|number| number.as_str().to_owned());
        let told = Told::Sent {
            number: number.unwrap_or_default(),
        };
        let next = (self.pop.next_message, self.deps.ids.next());
        self.keep(Some(told), Some(next)).await
    }

    async fn deliver(&self, sent: &Sent, body: &str, senders: &Senders) -> Result<Outcome, Stop> {
        let told = self.deliver_or_tell(sent, body, senders).await?;
        let result = match &told {
            Outcome::Sent => "sent",
            Outcome::Not(Told::Already | Told::Stale) => "repeated",
            Outcome::Not(Told::OptedOut { .. }) => "opted_out",
            Outcome::Not(Told::TooFast { .. } | Told::TenantTooFast { .. }) => "limited",
            Outcome::Not(_) => "refused",
        };
        metrics::counter!("ccm_screenpop_texts_total", "result" => result).increment(1);
        Ok(told)
    }

    async fn deliver_or_tell(&self, sent: &Sent, body: &str, senders: &Senders) -> Result<Outcome, Stop> {
        let not = |told| Ok(Outcome::Not(told));
        if self.pop.form.number.is_empty() {
            return not(Told::NoNumber);
        }
        let Some(customer) = self.customer() else {
            return not(Told::Unreadable);
        };
        let asked = sent.message();
        if asked != Some(self.pop.next_message) {
            return self
                .told_of_old_page(asked, &customer, body)
                .await
                .map(Outcome::Not);
        }
        if senders.find(self.pop.form.sender.as_str()).is_none() {
            return not(Told::NoSender);
        }
        if let Some(told) = wrong_with(body) {
            return not(told);
        }
        let (db, now) = (self.db(), self.deps.ids.clock().now());
        let out = db.opt_out(&self.pop.form.sender, &customer).await?;
        if let Some(out) = out {
            return not(Told::OptedOut {
                sender: self.pop.form.sender.as_str().to_owned(),
                since: day(out.since),
            });
        }
        // Of the two rates, the page's is far below the tenant's unless many agents send.
        let wait = db
            .take_pop_text(self.pop.id, self.settings.texts_per_minute, now)
            .await?;
        if let Some(wait) = wait {
            let seconds = whole_seconds(wait.wait);
            return not(match wait.of_page {
                true => Told::TooFast { seconds },
                false => Told::TenantTooFast { seconds },
            });
        }
        let Ok(body) = Body::new(body) else {
            return not(Told::BadText);
        };
        self.put_in_line(&customer, &body).await
    }

    async fn put_in_line(&self, customer: &Address, body: &Body) -> Result<Outcome, Stop> {
        let (db, now) = (self.db(), self.deps.ids.clock().now());
        let author = self.claims.agent.as_deref().unwrap_or(NO_AGENT);
        let about = self.about().await?;
        let event = json!({
            "message_id": self.pop.next_message, "agent": self.claims.agent, "contact": self.claims.contact,
            "skillset": self.claims.skillset,
        });
        let text = NewText {
            message: self.pop.next_message,
            conversation: self.deps.ids.next(),
            from: &self.pop.form.sender,
            to: customer,
            origin: Origin::Agent,
            author,
            body,
            about: Some(&about),
            answer_within: Duration::seconds(self.settings.answer_within_s.into()),
            event: Some(("screenpop_sent", &event)),
            trace: None,
        };
        let texted = match db.text_customer(&text, now).await {
            Ok(texted) => texted,
            Err(NotTexted::NotOurs) => return Ok(Outcome::Not(Told::NoSender)),
            Err(NotTexted::Stopped) => return Ok(Outcome::Not(Told::Stopped)),
            Err(NotTexted::Db(error)) => return Err(error.into()),
        };
        let (tenant, conversation) = (self.tenant, texted.conversation);
        self.deps.bus.publish(Wake::Outbound { tenant, conversation });
        if texted.noted {
            self.deps.bus.publish(Wake::Inbound { tenant, conversation });
        }
        Ok(match texted.outcome {
            TextOutcome::Queued => Outcome::Sent,
            // Between the look and the text the customer has refused.
            TextOutcome::OptedOut => Outcome::Not(Told::OptedOut {
                sender: self.pop.form.sender.as_str().to_owned(),
                since: day(now),
            }),
            TextOutcome::Unanswerable => Outcome::Not(Told::Cannot),
        })
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

    /// The form of a page that is not the newest one any more: its text may have been sent from it.
    async fn told_of_old_page(
        &self,
        asked: Option<MessageId>,
        customer: &Address,
        body: &str,
    ) -> Result<Told, Stop> {
        let Some(asked) = asked else {
            return Ok(Told::Stale);
        };
        match self.db().text_of_history(customer, asked).await {
            Ok(before) if before.as_str() == body => Ok(Told::Already),
            Ok(_) | Err(DbError::NotFound(_)) => Ok(Told::Stale),
            Err(error) => Err(error.into()),
        }
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
