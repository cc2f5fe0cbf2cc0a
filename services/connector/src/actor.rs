//! One conversation's chat with the agent, from its first waiting text to the end of its last EWC chat.

mod ask;
mod closing;
mod consent;
mod events;
mod held;
mod route;
mod start;

use crate::{
    admission::Place,
    lease::Ownership,
    policy::{Deed, End, Why},
    tenants::Tenants,
    waits::{Reason, Waits},
    webhooks::Webhooks,
};
use ccm_bus::Bus;
use ccm_db::{Db, DbError, Fence, PendingText, TextKind};
use ccm_ewc_client::Chat;
use ccm_ewc_proto::{
    heard::Replay,
    session::{self, CloseReason, Event, Phase},
    text,
};
use ccm_model::{ChatId, ConversationId, IdSource, MessageId};
use ccm_routing::Action;
use ccm_runtime::trace;
use start::{Begun, Start};
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
    pub tenants: Tenants,
    pub waits: Arc<Waits>,
    pub webhooks: Webhooks,
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
    /// It is over; by us if there is a why.
    Ended(CloseReason, Option<Why>),
    /// The settings are not those that it was dialled with.
    Outdated,
    /// Stopped: the chat is for the next owner.
    HandedOver,
}

/// How long a stopped actor waits for the acknowledgement of the text in flight: without it the next owner must send it again.
const LAST_ACKNOWLEDGEMENT: Duration = Duration::from_secs(3);
/// How long it then waits for the socket to close.
const LAST_CLOSE: Duration = Duration::from_secs(1);
/// How often an actor whose lease has run out looks whether it is back.
const LEASE_LOOK: Duration = Duration::from_millis(100);
/// How often an actor that gets no chat looks whether the tenant's settings have been mended.
const SETTINGS_LOOK: Duration = Duration::from_secs(5);
/// How often an actor that keeps a text until an opening looks whether the tenant's rules have changed.
const RULES_LOOK: Duration = Duration::from_secs(60);
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
        let (began, mut pause) = (Instant::now(), $crate::actor::DATABASE_PAUSE);
        loop {
            let $db = $actor.deps.db.tenant($actor.fence.owned.tenant);
            match $call.await {
                Err(e) if $actor.once_more(&e, began, &mut pause).await => {}
                other => break other,
            }
        }
    }};
}
pub(crate) use persist;

pub(crate) struct Actor {
    deps: Arc<Deps>,
    fence: Fence,
    conversation: ConversationId,
    ownership: watch::Receiver<Ownership>,
    nudge: Arc<Notify>,
    stop: CancellationToken,
    /// The open EWC chat's row, once AACC has given a guid.
    chat: Option<ChatId>,
    /// Its place among the tenant's chats.
    place: Option<Place>,
    /// Texts that wait, in order; the database may have more after them.
    line: VecDeque<PendingText>,
    in_flight: Option<PendingText>,
    /// The newest sequence that was read into the line.
    read_to: i64,
    /// The database may hold texts after that.
    more: bool,
    /// Keywords up to this sequence have been answered.
    answered: i64,
    /// Texts were dealt with that needed no chat.
    settled: bool,
    /// The skillset that a rule chose in place of the number's own.
    routed_to: Option<String>,
    /// What the tenant's program said about a text: it is asked once.
    answer: Option<(MessageId, Action)>,
    /// Something may have come since the line was counted.
    nudged: bool,
    /// What agents have said before the last resume, to tell a replayed transcript from something new. `None`: not read yet.
    replay: Option<Replay>,
    /// Goes in front of the chat's first text.
    note: Option<String>,
    /// Whether a text went either way in this chat: else the next one waits a little.
    fruitful: bool,
    /// Since when the current socket has the chat: losing it is news then.
    logged_in: Option<Instant>,
    /// The chat is to be left when no text is in flight.
    leaves: Option<Why>,
    waiting: crate::waits::Waiting,
    /// Whether a planned absence has been told of.
    told_of_maintenance: bool,
    /// Whether agents have been told that the tenant is being deleted.
    told_of_end: bool,
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
            waiting: deps.waits.of_a_conversation(),
            deps,
            fence,
            conversation,
            ownership,
            nudge,
            stop,
            chat: None,
            place: None,
            line: VecDeque::new(),
            in_flight: None,
            read_to: 0,
            more: true,
            answered: 0,
            settled: false,
            routed_to: None,
            answer: None,
            nudged: true,
            replay: None,
            note: None,
            fruitful: false,
            logged_in: None,
            leaves: None,
            told_of_maintenance: false,
            told_of_end: false,
        }
    }

    /// Serves the conversation until nothing is left to do, or until it is stopped.
    pub async fn run(mut self) -> Result<Ended, DbError> {
        let mut fruitless = 0u32;
        loop {
            // What it takes to begin is large and gone before the long life of the chat.
            let mut start = match Box::pin(self.begin()).await? {
                Begun::Start(start) => start,
                Begun::Again => continue,
                Begun::Nothing => {
                    if self.settled {
                        Box::pin(self.end_without_chat()).await?;
                    }
                    return Ok(Ended::Done);
                }
                Begun::Stopped => return Ok(Ended::HandedOver),
            };
            self.fruitful = false;
            let (reason, why) = match self.serve(&mut start).await? {
                Left::Ended(reason, why) => (reason, why),
                Left::Outdated => continue,
                Left::HandedOver => return Ok(Ended::HandedOver),
            };
            if Box::pin(self.close(start, reason, why)).await? {
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

    /// Writes down that the chat is over, and tells the customer. Whether the conversation is, too.
    async fn close(
        &mut self,
        mut start: Box<Start>,
        reason: CloseReason,
        why: Option<Why>,
    ) -> Result<bool, DbError> {
        let now = Instant::now();
        let end = start.policy.judge_end(reason, now);
        let words = match (why, end) {
            (Some(why), _) => why.as_str().to_owned(),
            (None, End::ForceIdle) => {
                metrics::counter!("ccm_connector_force_idle_ends_total").increment(1);
                "ended by AACC's check of idle customers".to_owned()
            }
            (None, End::Over | End::Forgotten) => reason.to_string(),
        };
        self.more = true;
        self.read_line().await?;
        let told = why != Some(Why::CustomerErased);
        if self.line.is_empty() && self.chat.is_some() && told {
            start.policy.ended(end);
            while let Some(deed) = start.policy.poll(now) {
                if let Deed::Say { kind, text } = deed
                    && kind == "chat_ended"
                {
                    self.say(&start.policy, kind, &text).await?;
                }
            }
        }
        let (fence, conversation, chat, at) = (self.fence, self.conversation, self.chat.take(), self.now());
        let closed = persist!(self, |db| db.chat_ended(
            &fence,
            conversation,
            chat,
            &words,
            None,
            at
        ))?;
        self.place = None;
        if closed {
            self.waiting.set(None);
        }
        tracing::info!(conversation.id = %conversation, conversation.closed = closed, reason = %words, "chat ended");
        Ok(closed)
    }

    /// One EWC chat, over as many sockets as it takes.
    async fn serve(&mut self, start: &mut Start) -> Result<Left, DbError> {
        let mut chat = start.chat.take().expect("a start has a chat");
        let mut deadline: Option<Instant> = None;
        let mut look_at = Instant::now() + SETTINGS_LOOK;
        let mut leaving: Option<Why> = None;
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
                // Boxed, as all that asks the database: such a future is larger than all the rest of a chat.
                if leaving.is_none() {
                    leaving = Box::pin(self.work(&mut chat, start)).await?;
                }
                let waits = !self.line.is_empty() || self.in_flight.is_some() || self.more;
                let notes_only =
                    self.in_flight.is_none() && self.line.iter().all(|t| t.kind == TextKind::Note);
                chat.nothing_waits(notes_only && !self.more);
                if self.chat.is_none() && !waits && leaving.is_none() {
                    chat.leave();
                    leaving = Some(Why::NothingWaits);
                }
            }
            let due = start
                .policy
                .next_timeout()
                .into_iter()
                .chain(self.next_look(&start.policy))
                .min()
                .filter(|_| owned_until.is_some() && deadline.is_none() && leaving.is_none());
            tokio::select! {
                // Without a lease the chat stands still: another pod may be speaking for it already.
                event = chat.next(), if owned_until.is_some() => {
                    let failed = matches!(event, Event::ConnectFailed { .. } | Event::LinkLost { .. });
                    match Box::pin(self.take(event, start)).await? {
                        Some(CloseReason::Detached) => return Ok(Left::HandedOver),
                        Some(reason) => return Ok(Left::Ended(reason, leaving)),
                        None => {}
                    }
                    if failed && deadline.is_none() && look_at <= Instant::now() {
                        if Box::pin(self.is_outdated(start)).await {
                            return Ok(Left::Outdated);
                        }
                        look_at = Instant::now() + SETTINGS_LOOK;
                    }
                    if deadline.is_some() && self.in_flight.is_none() {
                        chat.detach();
                        deadline = Some(Instant::now() + LAST_CLOSE);
                    }
                }
                () = self.nudge.notified(), if deadline.is_none() => {
                    self.more = true;
                    self.nudged = true;
                    if start.settings.customer_typing {
                        chat.customer_typing();
                    }
                }
                () = self.stop.cancelled(), if deadline.is_none() => {}
                () = start.reach.outdated(), if self.logged_in.is_none() && deadline.is_none() && leaving.is_none() => {
                    return Ok(Left::Outdated);
                }
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    if self.in_flight.take().is_none() {
                        return Ok(Left::HandedOver);
                    }
                    chat.detach();
                    deadline = Some(Instant::now() + LAST_CLOSE);
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
                () = sleep_until(owned_until.unwrap_or_else(|| Instant::now() + LEASE_LOOK)) => {}
            }
        }
    }

    /// Everything that can be done now without hearing from AACC.
    async fn work(&mut self, chat: &mut Chat, start: &mut Start) -> Result<Option<Why>, DbError> {
        self.read_line().await?;
        let languages = [start.policy.language(), start.settings.language.as_str()];
        self.answer_keywords(&start.sms, languages).await?;
        while let Some(deed) = start.policy.poll(Instant::now()) {
            match deed {
                Deed::Say { kind, text } => self.say(&start.policy, kind, &text).await?,
                Deed::AskQueueStatus => chat.ask_queue_status(),
                Deed::Leave(why) => self.leaves = Some(why),
            }
        }
        // A text in flight is waited for: left now, it would be in doubt.
        if self.in_flight.is_none()
            && let Some(why) = self.leaves.take()
        {
            chat.leave();
            return Ok(Some(why));
        }
        if self.tenant_closes()
            && let Some(why) = self.end_for_good(chat, start).await?
        {
            return Ok(Some(why));
        }
        self.expire_held(&mut start.policy).await?;
        let present = chat.phase() == Phase::Live;
        if let Some(why) = self.over_before_anybody_came(present).await? {
            chat.leave();
            return Ok(Some(why));
        }
        if self.in_flight.is_none()
            && self
                .line
                .front()
                .is_some_and(|t| t.kind == TextKind::Text && start.policy.is_keyword(t.body.as_str()))
        {
            self.keyword_heard().await?;
            chat.leave();
            return Ok(Some(Why::Keyword));
        }
        if self.may_send(chat) {
            self.send_next(chat, start).await?;
        }
        let reason = self.reason(chat, start);
        if self.waiting.set(reason) {
            self.tell_of_maintenance(&mut start.policy, reason);
        }
        self.write_down_waits().await?;
        Ok(None)
    }

    /// What the texts in the line wait for.
    fn reason(&self, chat: &Chat, start: &Start) -> Option<Reason> {
        if self.line.is_empty() && self.in_flight.is_none() {
            return None;
        }
        match chat.phase() {
            Phase::Live => None,
            Phase::Waiting => Some(Reason::Agent),
            _ if start.reach.is_held() => Some(Reason::Maintenance),
            _ => Some(Reason::Link),
        }
    }

    /// Whether somebody has changed what this chat dials or asks for. A bad certificate in the settings is mended in the
    /// settings, and nobody restarts anything.
    async fn is_outdated(&self, start: &Start) -> bool {
        let db = self.deps.db.tenant(self.fence.owned.tenant);
        // What cannot be read is looked at again.
        match &self.routed_to {
            Some(skillset) => match db.link_of_skillset(skillset).await {
                Ok(link) => link.as_ref() != Some(&start.reach.row),
                Err(_) => false,
            },
            None => match db.actor_context(self.conversation).await {
                Ok(new) => new.skillset != start.skillset || new.link != start.reach.row,
                Err(_) => false,
            },
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
    async fn send_next(&mut self, chat: &mut Chat, start: &Start) -> Result<(), DbError> {
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
        let body = consent::for_agent(&pending, &start.sms, &start.settings.language);
        let body = text::to_agent(&body, start.reach.row.swap_angle_brackets);
        let noted = self.note.as_ref().map(|note| format!("{note}\n{body}"));
        let body = noted.as_deref().unwrap_or(&body);
        if start.settings.customer_typing {
            chat.customer_typing();
        }
        let taken = span
            .in_scope(|| chat.send_text(pending.seq.unsigned_abs(), body))
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

    /// Whether a failed call is to be made again, after a pause. A stopped actor tries for a moment only: the next owner
    /// hears from AACC's transcript what could not be written down, where AACC has one.
    pub(crate) async fn once_more(&self, error: &DbError, began: Instant, pause: &mut Duration) -> bool {
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
