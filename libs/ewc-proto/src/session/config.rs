//! What a session is told at its start.

use std::time::Duration;

use crate::frame::{AuthKey, Guid, Intrinsics};

/// The pace and patience of a session. Shared by all chats of a tenant; small, so that a tenant's own is made from the
/// common one: `Config { observer_opens_chat: true, ..(*common).clone() }`.
///
/// Each default says where it comes from; "ours" means that no source gives one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Between two pings on a logged-in socket. Default 5 s (Avaya's reference client).
    pub ping_every: Duration,
    /// A ping with no frame of any kind after it for this long: the link is a black hole, drop it. Default 15 s (ours:
    /// three pings).
    pub pong_timeout: Duration,
    /// From `requestChat` to its answer. Default 15 s (ours).
    pub login_timeout: Duration,
    /// From a text to its acknowledgement; after that the socket is dropped and the text is in doubt. `None` for a server
    /// that acknowledges nothing: a written text counts as delivered. Default 15 s (ours).
    pub ack_timeout: Option<Duration>,
    /// From `closeConversation` to its answer, before the socket is closed all the same. Default 5 s (ours).
    pub leave_timeout: Duration,
    /// Reconnects wait a random time between zero and `backoff_base × 2^attempt` ("full jitter"), at most `backoff_cap`.
    /// Defaults 1 s and 30 s (ours; the reference client tries every 3 s and gives up after 10 min, we never give up).
    pub backoff_base: Duration,
    pub backoff_cap: Duration,
    /// A socket that lived this long logged in, or over which a text was answered, starts the backoff anew when it breaks.
    /// Default 10 s (ours).
    pub stable_after: Duration,
    /// Greatest mean time between tries after AACC said that it shuts down for maintenance (503). The first comes after
    /// twice `backoff_base` where the chat was up (four times where it was logging in), each further one after twice as long: a
    /// 503 that lasts seconds must not cost a live chat, which AACC keeps without a socket for a while only. Default 60 s (ours).
    pub maintenance_retry: Duration,
    /// Ask for the transcript when resuming: what agents wrote while the link was down comes only with it. Default true.
    pub request_transcript_on_resume: bool,
    /// Resumes in a row that AACC answers with an error it does not explain, or not at all, before the chat is given up
    /// for a new one. Default 5 (ours). A broken link does not count.
    pub failed_resumes_before_new_chat: u32,
    /// Refusals of one text (`result: false`, `Chat not started`) before the chat is resumed on a new socket, before a new
    /// chat is opened for the customer, and before the text is a dead letter. Defaults 3, 5, 8 (ours).
    pub refusals_before_resume: u32,
    pub refusals_before_new_chat: u32,
    pub refusals_before_dead_letter: u32,
    /// Refusals of one text as *invalid* (code 1) before it is a dead letter. Default 3 (ours).
    pub invalid_before_dead_letter: u32,
    /// Times one text was in flight when the socket died or its acknowledgement stayed away, before it is a dead letter: a
    /// text that kills each link (a filter in between can do that) must not block the line for ever. Default 8 (ours).
    pub doubts_before_dead_letter: u32,
    /// Pause after the first refusal of a text, doubled at each further one, at most `refusal_pause_cap`. Defaults 2 s and
    /// 30 s (ours).
    pub refusal_pause: Duration,
    pub refusal_pause_cap: Duration,
    /// Between two `isTyping` of a customer. Default 10 s (Avaya's reference client).
    pub typing_every: Duration,
    /// After a resume into an empty room, try the next text rather than wait for `newParticipant`: an agent who came in
    /// while the link was down is not announced again. AACC refuses the text if nobody is in; it is held, and tried again
    /// this much later (doubled each time, up to eightfold) unless somebody comes in. `None` to wait only. Needs
    /// acknowledgements. Default 30 s (ours).
    pub probe_after_resume: Option<Duration>,
    /// Whether anybody in the room opens the chat for texts (Avaya's 7.x reference client), or only an active participant.
    /// Default false.
    pub observer_opens_chat: bool,
    /// Whether a supervisor who barged in takes texts and is shown to the customer. Default true (the later generation
    /// leaves it to the customer of Avaya).
    pub barge_in_opens_chat: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            ping_every: Duration::from_secs(5),
            pong_timeout: Duration::from_secs(15),
            login_timeout: Duration::from_secs(15),
            ack_timeout: Some(Duration::from_secs(15)),
            leave_timeout: Duration::from_secs(5),
            backoff_base: Duration::from_secs(1),
            backoff_cap: Duration::from_secs(30),
            stable_after: Duration::from_secs(10),
            maintenance_retry: Duration::from_secs(60),
            request_transcript_on_resume: true,
            failed_resumes_before_new_chat: 5,
            refusals_before_resume: 3,
            refusals_before_new_chat: 5,
            refusals_before_dead_letter: 8,
            invalid_before_dead_letter: 3,
            doubts_before_dead_letter: 8,
            refusal_pause: Duration::from_secs(2),
            refusal_pause_cap: Duration::from_secs(30),
            typing_every: Duration::from_secs(10),
            probe_after_resume: Some(Duration::from_secs(30)),
            observer_opens_chat: false,
            barge_in_opens_chat: true,
        }
    }
}

/// Who the customer is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Profile {
    /// The `deviceType` of `requestChat`.
    pub device_type: String,
    pub intrinsics: Intrinsics,
}

/// How a session starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// Open a chat.
    New,
    /// Go on with a chat that an earlier session opened.
    Resume {
        guid: Guid,
        key: AuthKey,
        /// Whether an agent was in: after a resume nobody says so again.
        agent_present: bool,
    },
}

impl Login {
    /// From what is stored of a conversation: a resume if both guid and key are known.
    pub fn from_stored(guid: Option<Guid>, key: Option<AuthKey>, agent_present: bool) -> Self {
        match (guid, key) {
            (Some(guid), Some(key)) => Login::Resume {
                guid,
                key,
                agent_present,
            },
            _ => Login::New,
        }
    }
}
