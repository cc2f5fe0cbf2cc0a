//! One conversation's chat with the agent, from its first waiting text to the end of its last EWC chat.

use crate::{
    lease::Ownership,
    links::{self, Links, Reach},
    translate,
};
use ccm_bus::Bus;
use ccm_db::{ActorContext, Db, DbError, Fence, PendingText};
use ccm_ewc_client::Chat;
use ccm_ewc_proto::{
    heard::{Fingerprint, Replay},
    session::{self, CloseReason, Session},
    text,
};
use ccm_model::{ChatId, ConversationId, IdSource};
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

mod events;

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
        let mut chat = Chat::new(session, reach.link.clone());
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
