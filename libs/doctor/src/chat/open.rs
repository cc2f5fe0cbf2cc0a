//! The test chat as it stands, and the promise that it is not left behind.

use std::time::Duration;

use ccm_ewc_client::{Dialer, Socket};
use ccm_ewc_proto::frame::{
    AaccError, AuthKey, ChatAccepted, ClientFrame, CustomField, ErrorKind, Guid, Intrinsics, ParticipantType,
    RequestChat, ServerFrame,
};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};
use tokio_util::task::TaskTracker;

use super::error_facts;
use crate::report::Fact;
use crate::socket::{self, Heard, Pong};

/// Who the agent sees.
const NAME: &str = "CCM link test";
const DEVICE: &str = "CCM link doctor";
/// From `closeConversation` to its answer, and from a resume to its own.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
const CLOSE_TRIES: u32 = 3;
const CLOSE_PAUSE: Duration = Duration::from_secs(1);
/// The longest excerpt of AACC's words, in characters.
const EXCERPT: usize = 200;

/// A test chat that is closed when it is dropped: in the background, as well as it can be.
pub(crate) struct TestChat {
    open: Option<Open>,
    tidying: TaskTracker,
}

impl TestChat {
    pub fn new(open: Open, tidying: TaskTracker) -> Self {
        TestChat {
            open: Some(open),
            tidying,
        }
    }

    pub fn open(&mut self) -> &mut Open {
        self.open
            .as_mut()
            .expect("it is taken out by forget and drop alone")
    }

    /// It is over: nothing is left to close.
    pub fn forget(mut self) {
        self.open = None;
    }
}

impl Drop for TestChat {
    fn drop(&mut self) {
        if let Some(mut open) = self.open.take()
            && Handle::try_current().is_ok()
        {
            self.tidying.spawn(async move {
                // Nobody is left to hear of a failure; AACC ends the chat by itself in the end.
                let _ = open.leave().await;
            });
        }
    }
}

/// How a request for a chat was answered.
pub(crate) enum Accepted {
    Yes(ChatAccepted),
    No(AaccError),
    Cut(Option<u16>),
    Never,
}

pub(crate) struct Open {
    dialer: Dialer,
    skillset: String,
    socket: Option<Socket>,
    /// Known once the chat was opened.
    pub session: Option<(Guid, AuthKey)>,
    pub agent_in: bool,
    pub route_cancelled: bool,
    /// By the other side.
    pub ended: bool,
    /// What was said before the cut, and what came after it. Never shown.
    pub said: Vec<String>,
    pub replayed: Vec<String>,
    is_back: bool,
}

impl Open {
    pub fn new(dialer: Dialer, socket: Socket, skillset: &str) -> Self {
        Open {
            dialer,
            skillset: skillset.to_owned(),
            socket: Some(socket),
            session: None,
            agent_in: false,
            route_cancelled: false,
            ended: false,
            said: Vec::new(),
            replayed: Vec::new(),
            is_back: false,
        }
    }

    /// Drops the socket without a word, as a broken link does.
    pub fn cut(&mut self) {
        self.socket = None;
    }

    /// Goes on over another socket.
    pub fn come_back(&mut self, socket: Socket) {
        self.socket = Some(socket);
        self.is_back = true;
    }

    /// Asks for a chat, or for the same again.
    pub async fn request(&mut self, patience: Duration) -> Accepted {
        let deadline = Instant::now() + patience;
        self.send(ClientFrame::RequestChat(self.login())).await;
        loop {
            match self.hear(deadline).await {
                Heard::Frame(ServerFrame::RequestChat(accepted)) => {
                    self.remember(&accepted);
                    return Accepted::Yes(accepted);
                }
                Heard::Frame(ServerFrame::Error(error)) => return Accepted::No(error),
                Heard::Frame(_) => {}
                Heard::Closed(code) => return Accepted::Cut(code),
                Heard::Nothing => return Accepted::Never,
            }
        }
    }

    fn login(&self) -> RequestChat {
        let (guid, authentication_key) = self.session.clone().unzip();
        RequestChat {
            request_transcript: guid.is_some(),
            guid,
            authentication_key,
            device_type: DEVICE.into(),
            intrinsics: Some(Intrinsics {
                name: NAME.into(),
                skillset: self.skillset.clone(),
                custom_fields: vec![CustomField {
                    title: "test".into(),
                    value: "true".into(),
                }],
                ..Intrinsics::default()
            }),
        }
    }

    fn remember(&mut self, accepted: &ChatAccepted) {
        let (guid, key) = self.session.take().unzip();
        let guid = accepted.guid.clone().or(guid);
        let key = accepted.authentication_key.clone().or(key);
        self.session = guid.zip(key);
    }

    /// A frame that cannot be written is found out by what is heard next.
    pub async fn send(&mut self, frame: ClientFrame) {
        if let Some(socket) = &mut self.socket {
            let _ = socket.send(frame.encode()).await;
        }
    }

    pub async fn hear(&mut self, deadline: Instant) -> Heard {
        let Some(socket) = &mut self.socket else {
            return Heard::Closed(None);
        };
        let heard = socket::hear(socket, deadline).await;
        if let Heard::Frame(frame) = &heard {
            self.note(frame);
        }
        heard
    }

    pub async fn ping(&mut self, patience: Duration) -> Pong {
        let Some(socket) = &mut self.socket else {
            return Pong::Closed(None);
        };
        let mut others = Vec::new();
        let pong = socket::ping(socket, 0, patience, |frame| others.push(frame)).await;
        for frame in &others {
            self.note(frame);
        }
        pong
    }

    fn note(&mut self, frame: &ServerFrame) {
        match frame {
            ServerFrame::NewParticipant(joined) => {
                let active = |kind: &ParticipantType| *kind == ParticipantType::Active;
                self.agent_in |= match joined.participants.as_slice() {
                    [] => active(&joined.role),
                    all => all.iter().any(|p| active(&p.kind)),
                };
            }
            ServerFrame::NewMessage(message) => {
                let text = message.message.to_string();
                match self.is_back {
                    true => self.replayed.push(text),
                    false => self.said.push(text),
                }
            }
            ServerFrame::ParticipantLeave(left) => self.ended |= left.end_chat_flag,
            ServerFrame::CloseConversation { .. } => self.ended = true,
            ServerFrame::RouteCancel => self.route_cancelled = true,
            _ => {}
        }
    }

    /// Closes the chat, over another socket if this one is gone. An error says why it may still stand there.
    pub async fn leave(&mut self) -> Result<(), String> {
        let mut why = "its socket was gone".to_owned();
        let mut asked = false;
        for attempt in 0..CLOSE_TRIES {
            if attempt > 0 {
                sleep(CLOSE_PAUSE).await;
            }
            if self.socket.is_none() {
                if self.session.is_none() {
                    return Err(why);
                }
                match Box::pin(self.dialer.dial()).await {
                    Ok(socket) => self.come_back(socket),
                    Err(error) => {
                        why = error.to_string();
                        continue;
                    }
                }
                match self.request(CLOSE_TIMEOUT).await {
                    Accepted::Yes(_) => {}
                    // It was asked to close, and is gone.
                    Accepted::No(error) if asked && error.kind() == ErrorKind::SessionExpired => {
                        return Ok(());
                    }
                    Accepted::No(_) => return Err("AACC does not let it be resumed".into()),
                    Accepted::Cut(_) | Accepted::Never => {
                        why = "AACC did not answer".into();
                        self.cut();
                        continue;
                    }
                }
            }
            self.send(ClientFrame::CloseConversation).await;
            asked = true;
            if self.is_closed_in_time().await {
                return Ok(());
            }
            why = "AACC did not confirm it".into();
            self.cut();
        }
        Err(why)
    }

    async fn is_closed_in_time(&mut self) -> bool {
        let deadline = Instant::now() + CLOSE_TIMEOUT;
        loop {
            match self.hear(deadline).await {
                Heard::Frame(ServerFrame::CloseConversation { .. }) => break,
                Heard::Frame(ServerFrame::RequestChat(accepted)) => self.remember(&accepted),
                Heard::Frame(ServerFrame::Error(error)) if error.kind() == ErrorKind::NotStarted => break,
                Heard::Frame(_) => {}
                Heard::Closed(code) => return code == Some(1000),
                Heard::Nothing => return false,
            }
        }
        self.hang_up().await;
        true
    }

    /// Closes the socket of a chat that is over.
    pub async fn hang_up(&mut self) {
        if let Some(mut socket) = self.socket.take() {
            socket.close().await;
        }
    }

    /// AACC's words of an error, without the key that they may repeat.
    pub fn words(&self, error: &AaccError) -> Vec<Fact> {
        let mut words = error.text.to_string();
        if let Some((_, key)) = &self.session {
            words = words.replace(key.expose(), "<key>");
        }
        error_facts(error.code, words.chars().take(EXCERPT).collect())
    }
}
