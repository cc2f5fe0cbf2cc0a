//! What a chat's events do: to the line, to the store, to the phone.

use super::{Actor, persist, start::Start};
use crate::{
    policy::{Phone, Why},
    translate,
};
use ccm_bus::Wake;
use ccm_db::{AgentText, DbError, NewChat, PendingText, RoomState};
use ccm_ewc_proto::{
    heard::{Fingerprint, Replay},
    session::{self, CloseReason, Event, Moment, Sender},
    text,
};
use ccm_model::{ChatId, MessageId};
use ccm_runtime::{TextEvent, count_text, trace};
use std::time::Duration;
use tokio::time::Instant;
use tracing::Instrument;

/// AACC sends a transcript at once when a chat is resumed; for so long words over a resumed socket may be part of it.
const TRANSCRIPT_LASTS: Duration = Duration::from_secs(30);

/// Words out of the chat, as they came.
struct Heard<'a> {
    name: &'a str,
    raw: &'a str,
    timestamp_ms: Option<i64>,
    after_resume: bool,
    moment: Moment,
}

impl Actor {
    /// What happened in the chat. `Some`: it is over.
    pub(super) async fn take(
        &mut self,
        event: Event,
        start: &mut Start,
    ) -> Result<Option<CloseReason>, DbError> {
        let now = Instant::now();
        match event {
            Event::ChatOpened { guid, key } => {
                self.logged_in = Some(now);
                self.opened(&translate::stored_guid(&guid), key.expose(), start)
                    .await?;
                start.policy.opened(now);
                start.policy.logged_in(now);
            }
            Event::Resumed { rekeyed } => {
                self.logged_in = Some(now);
                start.policy.logged_in(now);
                metrics::counter!("ccm_connector_resumes_total").increment(1);
                if let (Some(chat), Some(key)) = (self.chat, rekeyed) {
                    let fence = self.fence;
                    persist!(self, |db| db.chat_rekeyed(&fence, chat, key.expose()))?;
                }
            }
            Event::SessionExpired => {
                metrics::counter!("ccm_connector_sessions_expired_total").increment(1);
                self.replay = Some(Replay::default());
            }
            Event::AgentPresent(present) => {
                start.policy.room(present, now);
                self.room(present).await?;
            }
            Event::TextDelivered { .. } => {
                start.policy.customer_spoke(now);
                self.delivered().await?;
            }
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
                moment,
            } => {
                let own = sender == Sender::Customer
                    || (after_resume && sender == Sender::Unknown && *name == *start.name);
                if !own {
                    let heard = Heard {
                        name: &name,
                        raw: &text,
                        timestamp_ms,
                        after_resume,
                        moment,
                    };
                    self.agent_wrote(&heard, start).await?;
                }
            }
            Event::PagePush {
                name,
                url,
                message,
                timestamp_ms,
                after_resume,
            } => {
                let text = match message {
                    Some(words) if !words.trim().is_empty() => format!("{} {}", &*words, &*url),
                    _ => url.to_string(),
                };
                let heard = Heard {
                    name: &name,
                    raw: &text,
                    timestamp_ms,
                    after_resume,
                    moment: Moment::Later,
                };
                self.agent_wrote(&heard, start).await?;
            }
            Event::FileTransfer { name, file, .. } => {
                metrics::counter!("ccm_connector_files_offered_total").increment(1);
                start.policy.file_offered(&name, &file);
            }
            Event::OnHold { comfort_groups, urls } => start.policy.on_hold(&comfort_groups, &urls, now),
            Event::QueueStatus(status) => start.policy.queue_status(&status, now),
            Event::RouteCancelled => start.policy.no_agents(),
            Event::Left {
                reason,
                remaining,
                end,
                ..
            } => start.policy.left(reason.as_ref(), remaining, end, now),
            Event::LinkLost { why } => {
                metrics::counter!("ccm_connector_links_lost_total", "why" => loss_label(&why)).increment(1);
                if self.logged_in.take().is_some() {
                    tracing::info!(conversation.id = %self.conversation, why = ?why, "link lost; resuming");
                } else {
                    tracing::debug!(conversation.id = %self.conversation, why = ?why, "login failed; trying again");
                }
                // What is stored by now can come again; it is read when something does.
                self.replay = None;
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
                if self.logged_in.is_some() {
                    tracing::warn!(conversation.id = %self.conversation, error.code = error.code, "AACC reported an error");
                }
            }
            Event::Maintenance => {
                start.policy.maintenance();
                tracing::info!(link.id = %start.reach.row.id, conversation.id = %self.conversation, "AACC shuts down for maintenance; texts are held");
            }
            Event::Closed(reason) => {
                self.put_back();
                return Ok(Some(reason));
            }
            Event::ReadyForText | Event::Joined { .. } | Event::AgentTyping { .. } => {}
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

    async fn opened(&mut self, guid: &str, key: &str, start: &Start) -> Result<(), DbError> {
        let row: ChatId = self.deps.ids.next();
        let (fence, conversation, link) = (self.fence, self.conversation, start.reach.row.id);
        let at = self.now();
        let lost = self
            .chat
            .map(|_| at + time::Duration::seconds(start.settings.limits.left_behind_s.into()));
        if let (Some(until), Some(place)) = (lost, &self.place) {
            place.leave_behind(until);
        }
        let chat = NewChat {
            id: row,
            link,
            guid,
            key,
            skillset: &start.skillset,
            lost_counts_until: lost,
        };
        persist!(self, |db| db.chat_opened(&fence, conversation, &chat, at))?;
        self.chat = Some(row);
        self.replay = Some(Replay::default());
        metrics::counter!("ccm_connector_chats_opened_total").increment(1);
        // A chat in place of one that was lost, and a text that was to wait, say nothing of how fast we are.
        if lost.is_none()
            && !self.waiting.was_meant()
            && let Some(text) = self.line.front()
        {
            metrics::histogram!("ccm_connector_accept_to_chat_seconds")
                .record((at - text.created_at).as_seconds_f64().max(0.0));
        }
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
        self.note = None;
        if let Some(why) = Why::after(text.kind) {
            self.leaves = Some(why);
        }
        let (fence, at) = (self.fence, self.now());
        persist!(self, |db| db.text_delivered(&fence, text.message, at))?;
        metrics::counter!("ccm_connector_texts_delivered_total").increment(1);
        let seconds = (at - text.created_at).as_seconds_f64().max(0.0);
        metrics::histogram!("ccm_connector_delivery_seconds").record(seconds);
        count_text(fence.owned.tenant, TextEvent::Delivered, Some(seconds));
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
        metrics::counter!("ccm_connector_texts_refused_total", "why" => "aacc").increment(1);
        count_text(fence.owned.tenant, TextEvent::Refused, None);
        tracing::error!(message.id = %text.message, why = %reason, "a text became a dead letter");
        Ok(())
    }

    async fn is_repeat(&mut self, print: Fingerprint) -> Result<bool, DbError> {
        if self.replay.is_none() {
            let (conversation, chat) = (self.conversation, self.chat);
            let heard = match chat {
                Some(chat) => persist!(self, |db| db.heard(conversation, chat))?,
                None => Vec::new(),
            };
            let heard = heard
                .into_iter()
                .map(|(print, times)| (Fingerprint::from_bytes(print), times));
            self.replay = Some(Replay::new(heard));
        }
        Ok(self.replay.as_mut().is_some_and(|replay| replay.is_repeat(print)))
    }

    fn transcript_may_come(&self) -> bool {
        self.logged_in
            .is_none_or(|since| since.elapsed() < TRANSCRIPT_LASTS)
    }

    /// Stores what an agent wrote and hands it to dispatch; a repeat from a replayed transcript is left out, and so is what
    /// the tenant does not want on the phone.
    async fn agent_wrote(&mut self, heard: &Heard<'_>, start: &mut Start) -> Result<(), DbError> {
        let print = Fingerprint::of(heard.timestamp_ms, heard.name, heard.raw);
        if heard.after_resume && self.is_repeat(print).await? {
            metrics::counter!("ccm_connector_agent_texts_repeated_total").increment(1);
            return Ok(());
        }
        let readable = text::from_agent(heard.raw);
        let Phone::Text(words) = start
            .policy
            .words(heard.name, &readable, heard.moment, Instant::now())
        else {
            metrics::counter!("ccm_connector_system_texts_total").increment(1);
            return Ok(());
        };
        let Some(chat) = self.chat else {
            metrics::counter!("ccm_connector_agent_texts_without_chat_total").increment(1);
            tracing::error!(conversation.id = %self.conversation, "AACC sent a text before it gave a chat; it is dropped");
            return Ok(());
        };
        self.fruitful = true;
        let span = tracing::info_span!("connector.agent_text", conversation.id = %self.conversation);
        let bodies = translate::bodies(&words);
        let last = bodies.len().saturating_sub(1);
        for (n, body) in bodies.into_iter().enumerate() {
            let text = AgentText {
                message: self.deps.ids.next::<MessageId>(),
                author: heard.name.replace('\0', ""),
                body,
                heard: (n == last).then(|| *print.as_bytes()),
                written_at: translate::written_at(heard.timestamp_ms),
                replayed: heard.after_resume && self.transcript_may_come(),
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
