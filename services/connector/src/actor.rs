//! One conversation's chat with the agent, from its first waiting text to the end of its last EWC chat.

use crate::{
    lease::Ownership,
    links::{self, Links, Reach},
    translate,
};
use ccm_bus::{Bus, Wake};
use ccm_db::{ActorContext, AgentText, Db, DbError, Fence, PendingText, RoomState};
use ccm_ewc_client::Chat;
use ccm_ewc_proto::{
    heard::{Fingerprint, Replay},
    session::{self, CloseReason, Event, Sender, Session},
    text,
};
use ccm_model::{ChatId, ConversationId, IdSource, MessageId};
use ccm_runtime::trace;
use std::{collections::VecDeque, sync::Arc, time::Duration};
use time::OffsetDateTime;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

/// What all actors of a pod share.
pub(crate) struct Deps {
    pub db: Db,
    pub bus: Bus,
    pub ids: IdSource,
    pub links: Links,
    pub session: Arc<session::Config>,
}

/// How an actor ended without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Nothing is left to do for the conversation.
    Done,
    /// Stopped; the chat stays open at AACC for the next owner.
    HandedOver,
}

/// How one EWC chat was left.
enum Left {
    /// It is over.
    Ended(CloseReason),
    /// The settings are not those that it was dialled with.
    Outdated,
    /// Stopped: the chat is for the next owner.
    HandedOver,
}

/// Texts read from the database at once.
const LINE_LENGTH: i64 = 20;
/// How long a stopped actor waits for the acknowledgement of the text in flight: without it the next owner must send it again.
const LAST_ACKNOWLEDGEMENT: Duration = Duration::from_secs(3);
/// How long it then waits for the socket to close.
const LAST_CLOSE: Duration = Duration::from_secs(1);
/// How often an actor whose lease has run out looks whether it is back.
const LEASE_LOOK: Duration = Duration::from_millis(100);
/// How often an actor that gets no chat looks whether the tenant's settings have been mended.
const SETTINGS_LOOK: Duration = Duration::from_secs(5);
/// Between two chats of which the first ended without a text having gone either way.
const REOPEN_BASE: Duration = Duration::from_secs(1);
const REOPEN_CAP: Duration = Duration::from_secs(60);

/// Between two tries while the database is away.
const DATABASE_PAUSE: Duration = Duration::from_millis(50);
const DATABASE_PAUSE_CAP: Duration = Duration::from_secs(1);

/// Makes a database call, and while the database is away makes it again and again: what the far side has said already
/// cannot be asked for twice. A macro, since a call borrows what a closure could not lend to a future that is `Send`.
macro_rules! persist {
    ($actor:ident, |$db:ident| $call:expr) => {{
        let (began, mut pause) = (Instant::now(), DATABASE_PAUSE);
        loop {
            let $db = $actor.deps.db.tenant($actor.fence.owned.tenant);
            match $call.await {
                Err(e) if $actor.once_more(&e, began, &mut pause).await => {}
                other => break other,
            }
        }
    }};
}

pub(crate) struct Actor {
    deps: Arc<Deps>,
    fence: Fence,
    conversation: ConversationId,
    ownership: watch::Receiver<Ownership>,
    nudge: Arc<Notify>,
    stop: CancellationToken,
    /// The open EWC chat's row, once AACC has given a guid.
    chat: Option<ChatId>,
    /// Texts that wait, in order; the database may have more after them.
    line: VecDeque<PendingText>,
    in_flight: Option<PendingText>,
    /// The newest sequence that was read into the line.
    read_to: i64,
    /// The database may hold texts after that.
    more: bool,
    /// What agents have said before the last resume, to tell a replayed transcript from something new.
    replay: Replay,
    /// Whether a text went either way in this chat: else the next one waits a little.
    fruitful: bool,
    /// Whether the current socket got the chat: losing it is news then.
    logged_in: bool,
}

impl Actor {
    pub fn new(
        deps: Arc<Deps>,
        fence: Fence,
        conversation: ConversationId,
        ownership: watch::Receiver<Ownership>,
        nudge: Arc<Notify>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            deps,
            fence,
            conversation,
            ownership,
            nudge,
            stop,
            chat: None,
            line: VecDeque::new(),
            in_flight: None,
            read_to: 0,
            more: true,
            replay: Replay::default(),
            fruitful: false,
            logged_in: false,
        }
    }

    /// Serves the conversation until nothing is left to do, or until it is stopped.
    pub async fn run(mut self) -> Result<Ended, DbError> {
        let mut fruitless = 0u32;
        loop {
            let conversation = self.conversation;
            let context = persist!(self, |db| db.actor_context(conversation))?;
            self.more = true;
            self.read_line().await?;
            if context.chat.is_none() && self.line.is_empty() {
                return Ok(Ended::Done);
            }
            self.chat = context.chat.as_ref().map(|c| c.id);
            self.fruitful = false;
            let reason = match self.serve(&context).await? {
                Left::Ended(reason) => reason,
                Left::Outdated => continue,
                Left::HandedOver => return Ok(Ended::HandedOver),
            };
            let (fence, chat, at) = (self.fence, self.chat.take(), self.now());
            let closed = persist!(self, |db| db.chat_ended(
                &fence,
                conversation,
                chat,
                &reason.to_string(),
                at
            ))?;
            tracing::info!(conversation.id = %conversation, conversation.closed = closed, reason = %reason, "chat ended");
            if closed {
                return Ok(Ended::Done);
            }
            // Texts wait, so a new chat is opened for them; gently, when AACC ends one after the other at once.
            fruitless = if self.fruitful { 0 } else { fruitless + 1 };
            if fruitless > 0 {
                let pause = (REOPEN_BASE * 2u32.saturating_pow(fruitless - 1)).min(REOPEN_CAP);
                tokio::select! {
                    () = sleep(pause) => {}
                    () = self.stop.cancelled() => return Ok(Ended::HandedOver),
                }
            }
        }
    }

    /// One EWC chat, over as many sockets as it takes.
    async fn serve(&mut self, context: &ActorContext) -> Result<Left, DbError> {
        let Some(reach) = self.deps.links.reach(&context.link) else {
            tokio::select! {
                () = sleep(SETTINGS_LOOK) => return Ok(Left::Outdated),
                () = self.stop.cancelled() => return Ok(Left::HandedOver),
            }
        };
        let login = translate::login(context);
        if let Some(chat) = &context.chat {
            self.load_replay(chat.id).await?;
        }
        let session = Session::new(
            self.deps.session.clone(),
            translate::profile(context),
            login,
            self.deps.ids.next_u64(),
        );
        let mut chat = Chat::new(session, reach.dialer.clone(), reach.rate.clone());
        let mut deadline: Option<Instant> = None;
        let mut look_at = Instant::now() + SETTINGS_LOOK;
        loop {
            if self.stop.is_cancelled() && deadline.is_none() {
                deadline = Some(match self.in_flight {
                    Some(_) => Instant::now() + LAST_ACKNOWLEDGEMENT,
                    None => {
                        chat.detach();
                        Instant::now() + LAST_CLOSE
                    }
                });
            }
            let owned_until = self.owned_until();
            if owned_until.is_some() && deadline.is_none() {
                self.read_line().await?;
                if self.may_send(&chat) {
                    self.send_next(&mut chat, &reach).await?;
                }
            }
            tokio::select! {
                // Without a lease the chat stands still: another pod may be speaking for it already.
                event = chat.next(), if owned_until.is_some() => {
                    let failed = reach.note(&event, self.logged_in, chat.last_dial_error());
                    match self.take(event, context).await? {
                        Some(CloseReason::Detached) => return Ok(Left::HandedOver),
                        Some(reason) => return Ok(Left::Ended(reason)),
                        None => {}
                    }
                    if failed && deadline.is_none() && look_at <= Instant::now() {
                        if self.is_outdated(context).await {
                            return Ok(Left::Outdated);
                        }
                        look_at = Instant::now() + SETTINGS_LOOK;
                    }
                    if deadline.is_some() && self.in_flight.is_none() {
                        chat.detach();
                        deadline = Some(Instant::now() + LAST_CLOSE);
                    }
                }
                () = self.nudge.notified(), if deadline.is_none() => self.more = true,
                () = self.stop.cancelled(), if deadline.is_none() => {}
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    if self.in_flight.take().is_none() {
                        return Ok(Left::HandedOver);
                    }
                    chat.detach();
                    deadline = Some(Instant::now() + LAST_CLOSE);
                }
                () = sleep_until(owned_until.unwrap_or_else(|| Instant::now() + LEASE_LOOK)) => {}
            }
        }
    }

    /// Whether somebody has changed what this chat dials or asks for. A bad certificate in the settings is mended in the
    /// settings, and nobody restarts anything.
    async fn is_outdated(&self, old: &ActorContext) -> bool {
        let db = self.deps.db.tenant(self.fence.owned.tenant);
        match db.actor_context(self.conversation).await {
            Ok(new) => new.skillset != old.skillset || links::differ(&new.link, &old.link),
            // It is looked at again.
            Err(_) => false,
        }
    }

    /// Until when this pod may speak for the tenant, as the last heartbeat has it; `None`: not now.
    fn owned_until(&self) -> Option<Instant> {
        let ownership = self.ownership.borrow();
        let is_ours = ownership.epoch(self.fence.owned.tenant) == Some(self.fence.owned.epoch);
        (is_ours && ownership.valid_until > Instant::now()).then_some(ownership.valid_until)
    }

    fn may_send(&self, chat: &Chat) -> bool {
        self.in_flight.is_none() && !self.line.is_empty() && self.chat.is_some() && chat.ready_for_text()
    }

    /// Writes the head of the line to the socket: first down in the database that it is being sent, then the frame.
    async fn send_next(&mut self, chat: &mut Chat, reach: &Reach) -> Result<(), DbError> {
        let Some(row) = self.chat else { return Ok(()) };
        let Some(pending) = self.line.pop_front() else {
            return Ok(());
        };
        if pending.doubts >= self.deps.session.doubts_before_dead_letter {
            return self
                .dead_letter(pending, &session::Refusal::NeverAcknowledged)
                .await;
        }
        let span = tracing::info_span!("connector.deliver", message.id = %pending.message, message.seq = pending.seq);
        if let Some(parent) = &pending.trace {
            trace::follow(&span, parent);
        }
        let (fence, message) = (self.fence, pending.message);
        let at = self.now();
        let resend = match persist!(self, |db| db
            .text_sending(&fence, message, row, at)
            .instrument(span.clone()))
        {
            Ok(resend) => resend,
            Err(DbError::NotFound(_)) => return Ok(()),
            Err(e) => return Err(e),
        };
        if resend {
            metrics::counter!("ccm_connector_resends_total").increment(1);
        }
        let body = text::to_agent(pending.body.as_str(), reach.swap_angle_brackets);
        let taken = span
            .in_scope(|| chat.send_text(pending.seq.unsigned_abs(), &body))
            .is_ok();
        if taken {
            self.in_flight = Some(pending);
            return Ok(());
        }
        self.line.push_front(pending);
        // Nothing was written, so unless an earlier attempt is in doubt the next one is no re-send.
        if !resend {
            let at = self.now();
            persist!(self, |db| db.text_held(&fence, message, at))?;
        }
        Ok(())
    }

    /// What happened in the chat. `Some`: it is over.
    async fn take(&mut self, event: Event, context: &ActorContext) -> Result<Option<CloseReason>, DbError> {
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
        persist!(self, |db| db.chat_opened(
            &fence,
            conversation,
            link,
            row,
            guid,
            key,
            at
        ))?;
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

    async fn dead_letter(&mut self, text: PendingText, reason: &session::Refusal) -> Result<(), DbError> {
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

    async fn load_replay(&mut self, chat: ChatId) -> Result<(), DbError> {
        let conversation = self.conversation;
        let heard = persist!(self, |db| db.heard(conversation, chat))?;
        self.replay = Replay::new(
            heard
                .into_iter()
                .map(|(print, times)| (Fingerprint::from_bytes(print), times)),
        );
        Ok(())
    }

    /// Reads on where the line is empty and there may be more.
    async fn read_line(&mut self) -> Result<(), DbError> {
        if !self.line.is_empty() || !std::mem::take(&mut self.more) {
            return Ok(());
        }
        let (conversation, after) = (self.conversation, self.read_to);
        let texts = persist!(self, |db| db.pending_texts(conversation, after, LINE_LENGTH))?;
        if let Some(last) = texts.last() {
            self.read_to = last.seq;
        }
        self.more = texts.len() as i64 == LINE_LENGTH;
        self.line.extend(texts);
        Ok(())
    }

    /// Whether a failed call is to be made again, after a pause. A stopped actor tries for a moment only: the next owner
    /// hears from AACC's transcript what could not be written down, where AACC has one.
    async fn once_more(&self, error: &DbError, began: Instant, pause: &mut Duration) -> bool {
        if !error.is_retryable() || (self.stop.is_cancelled() && began.elapsed() > LAST_ACKNOWLEDGEMENT) {
            return false;
        }
        metrics::counter!("ccm_connector_database_retries_total").increment(1);
        sleep(*pause).await;
        *pause = (*pause * 2).min(DATABASE_PAUSE_CAP);
        true
    }

    fn now(&self) -> OffsetDateTime {
        self.deps.ids.clock().now()
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
