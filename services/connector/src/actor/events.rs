//! What a chat's events do: to the line, to the store, to the phone.

use super::{Actor, DATABASE_PAUSE};
use crate::translate;
use ccm_bus::Wake;
use ccm_db::{ActorContext, AgentText, DbError, NewChat, PendingText, RoomState};
use ccm_ewc_proto::{
    heard::{Fingerprint, Replay},
    session::{self, CloseReason, Event, Sender},
    text,
};
use ccm_model::{ChatId, MessageId};
use ccm_runtime::trace;
use tokio::time::Instant;
use tracing::Instrument;

impl Actor {
    /// What happened in the chat. `Some`: it is over.
    pub(super) async fn take(
        &mut self,
        event: Event,
        context: &ActorContext,
    ) -> Result<Option<CloseReason>, DbError> {
        match event {
            Event::ChatOpened { guid, key } => {
                self.logged_in = true;
                self.opened(&translate::stored_guid(&guid), key.expose(), context)
                    .await?
            }
            Event::Resumed { rekeyed } => {
                self.logged_in = true;
                metrics::counter!("ccm_connector_resumes_total").increment(1);
                if let (Some(chat), Some(key)) = (self.chat, rekeyed) {
                    let fence = self.fence;
                    persist!(self, |db| db.chat_rekeyed(&fence, chat, key.expose()))?;
                }
            }
            Event::SessionExpired => {
                metrics::counter!("ccm_connector_sessions_expired_total").increment(1);
                self.replay = Replay::default();
            }
            Event::AgentPresent(present) => self.room(present).await?,
            Event::TextDelivered { .. } => self.delivered().await?,
            Event::TextHeld { .. } => self.held().await?,
            Event::TextInDoubt { .. } => {
                metrics::counter!("ccm_connector_texts_in_doubt_total").increment(1);
                self.put_back();
            }
            Event::TextRefused { token, reason } => self.refused(token, &reason).await?,
            Event::AgentText {
                name,
                text,
                timestamp_ms,
                sender,
                after_resume,
                ..
            } => {
                let own = sender == Sender::Customer
                    || (after_resume && sender == Sender::Unknown && *name == *translate::CUSTOMER_NAME);
                if !own {
                    self.agent_wrote(&name, &text, timestamp_ms).await?;
                }
            }
            Event::PagePush {
                name,
                url,
                message,
                timestamp_ms,
                ..
            } => {
                let text = match message {
                    Some(words) if !words.trim().is_empty() => format!("{} {}", &*words, &*url),
                    _ => url.to_string(),
                };
                self.agent_wrote(&name, &text, timestamp_ms).await?;
            }
            Event::LinkLost { why } => {
                metrics::counter!("ccm_connector_links_lost_total", "why" => loss_label(&why)).increment(1);
                if std::mem::take(&mut self.logged_in) {
                    tracing::info!(conversation.id = %self.conversation, why = ?why, "link lost; resuming");
                } else {
                    tracing::debug!(conversation.id = %self.conversation, why = ?why, "login failed; trying again");
                }
                // Now, for nobody says that AACC answers the login before it sends the transcript.
                if let Some(chat) = self.chat {
                    self.load_replay(chat).await?;
                }
            }
            Event::ConnectFailed { attempt } => {
                metrics::counter!("ccm_connector_connect_failures_total").increment(1);
                tracing::debug!(conversation.id = %self.conversation, attempt, "connect failed; trying again");
            }
            Event::UnknownMethod { .. } | Event::Unreadable(_) => {
                metrics::counter!("ccm_connector_frames_not_understood_total").increment(1);
            }
            Event::FarSideError(error) => {
                metrics::counter!("ccm_connector_far_side_errors_total").increment(1);
                // While there is no login, the link says it once for all of its chats.
                if self.logged_in {
                    tracing::warn!(conversation.id = %self.conversation, error.code = error.code, "AACC reported an error");
                }
            }
            Event::Maintenance => {
                tracing::info!(link.id = %context.link.id, conversation.id = %self.conversation, "AACC shuts down for maintenance; texts are held");
            }
            Event::Closed(reason) => {
                self.put_back();
                return Ok(Some(reason));
            }
            Event::ReadyForText
            | Event::Joined { .. }
            | Event::Left { .. }
            | Event::AgentTyping { .. }
            | Event::QueueStatus(_)
            | Event::FileTransfer { .. }
            | Event::OnHold { .. }
            | Event::RouteCancelled => {}
        }
        Ok(None)
    }

    /// The text in flight is in doubt. Its row still says `sending`: the next attempt finds that and is marked as a re-send.
    fn put_back(&mut self) {
        if let Some(mut text) = self.in_flight.take() {
            text.doubts += 1;
            self.line.push_front(text);
        }
    }

    async fn opened(&mut self, guid: &str, key: &str, context: &ActorContext) -> Result<(), DbError> {
        let row: ChatId = self.deps.ids.next();
        let (fence, conversation, link) = (self.fence, self.conversation, context.link.id);
        let at = self.now();
        let chat = NewChat {
            id: row,
            link,
            guid,
            key,
            skillset: &context.skillset,
            lost_counts_until: None,
        };
        persist!(self, |db| db.chat_opened(&fence, conversation, &chat, at))?;
        self.chat = Some(row);
        self.replay = Replay::default();
        metrics::counter!("ccm_connector_chats_opened_total").increment(1);
        Ok(())
    }

    async fn room(&mut self, present: bool) -> Result<(), DbError> {
        let Some(chat) = self.chat else { return Ok(()) };
        let fence = self.fence;
        let room = if present {
            RoomState::Live
        } else {
            RoomState::Waiting
        };
        persist!(self, |db| db.set_room(&fence, chat, room))
    }

    async fn delivered(&mut self) -> Result<(), DbError> {
        let Some(text) = self.in_flight.take() else {
            return Ok(());
        };
        self.fruitful = true;
        let (fence, at) = (self.fence, self.now());
        persist!(self, |db| db.text_delivered(&fence, text.message, at))?;
        metrics::counter!("ccm_connector_texts_delivered_total").increment(1);
        metrics::histogram!("ccm_connector_delivery_seconds")
            .record((at - text.created_at).as_seconds_f64().max(0.0));
        Ok(())
    }

    async fn held(&mut self) -> Result<(), DbError> {
        let Some(text) = self.in_flight.take() else {
            return Ok(());
        };
        let (fence, at) = (self.fence, self.now());
        persist!(self, |db| db.text_held(&fence, text.message, at))?;
        metrics::counter!("ccm_connector_texts_held_total").increment(1);
        self.line.push_front(text);
        Ok(())
    }

    async fn refused(&mut self, token: u64, reason: &session::Refusal) -> Result<(), DbError> {
        let is_it = |text: &mut PendingText| text.seq.unsigned_abs() == token;
        let Some(text) = self
            .in_flight
            .take_if(is_it)
            .or_else(|| self.line.pop_front_if(is_it))
        else {
            return Ok(());
        };
        self.dead_letter(text, reason).await
    }

    pub(super) async fn dead_letter(
        &mut self,
        text: PendingText,
        reason: &session::Refusal,
    ) -> Result<(), DbError> {
        let (fence, at) = (self.fence, self.now());
        let detail = reason.to_string();
        persist!(self, |db| db.text_refused(
            &fence,
            text.message,
            "ewc:refused",
            &detail,
            at
        ))?;
        metrics::counter!("ccm_connector_texts_refused_total").increment(1);
        tracing::error!(message.id = %text.message, why = %reason, "a text became a dead letter");
        Ok(())
    }

    /// Stores what an agent wrote and hands it to dispatch; a repeat from a replayed transcript is left out.
    async fn agent_wrote(&mut self, name: &str, raw: &str, timestamp_ms: Option<i64>) -> Result<(), DbError> {
        let print = Fingerprint::of(timestamp_ms, name, raw);
        if self.replay.is_repeat(print) {
            metrics::counter!("ccm_connector_replayed_texts_total").increment(1);
            return Ok(());
        }
        let Some(chat) = self.chat else {
            metrics::counter!("ccm_connector_agent_texts_without_chat_total").increment(1);
            tracing::error!(conversation.id = %self.conversation, "AACC sent a text before it gave a chat; it is dropped");
            return Ok(());
        };
        self.fruitful = true;
        let span = tracing::info_span!("connector.agent_text", conversation.id = %self.conversation);
        let bodies = translate::bodies(&text::from_agent(raw));
        let last = bodies.len().saturating_sub(1);
        for (n, body) in bodies.into_iter().enumerate() {
            let text = AgentText {
                message: self.deps.ids.next::<MessageId>(),
                author: name.replace('\0', ""),
                body,
                heard: (n == last).then(|| *print.as_bytes()),
                written_at: translate::written_at(timestamp_ms),
                trace: span.in_scope(trace::current_traceparent),
            };
            let (fence, conversation, at) = (self.fence, self.conversation, self.now());
            persist!(self, |db| db
                .agent_said(&fence, conversation, chat, &text, at)
                .instrument(span.clone()))?;
            metrics::counter!("ccm_connector_agent_texts_total").increment(1);
            self.deps.bus.publish(Wake::Outbound {
                tenant: self.fence.owned.tenant,
                conversation,
            });
        }
        Ok(())
    }
}

fn loss_label(why: &session::Loss) -> &'static str {
    use session::Loss;
    match why {
        Loss::Disconnected { .. } => "disconnected",
        Loss::Silent => "silent",
        Loss::LoginTimeout => "login_timeout",
        Loss::LoginRefused { .. } => "login_refused",
        Loss::AckTimeout => "ack_timeout",
        Loss::InternalError => "internal_error",
        Loss::Maintenance => "maintenance",
        Loss::TextRefusals => "text_refusals",
    }
}
