//! A session on a bench: the test plays driver, owner and AACC by hand.

use std::time::{Duration, Instant};

use ccm_ewc_proto::frame::*;
use ccm_ewc_proto::session::*;

pub const S: Duration = Duration::from_secs(1);

pub struct Bench {
    pub session: Session,
    pub now: Instant,
}

pub fn profile() -> Profile {
    Profile {
        device_type: "CCM/1.0 (SMS)".into(),
        intrinsics: Intrinsics {
            name: "SMS Customer".into(),
            country: "+1".into(),
            area: "469".into(),
            phone_number: "7206211".into(),
            skillset: "WC_Default_Skillset".into(),
            custom_fields: vec![CustomField {
                title: "channel".into(),
                value: "SMS".into(),
            }],
            ..Default::default()
        },
    }
}

impl Bench {
    pub fn new(config: Config, login: Login) -> Self {
        Bench {
            session: Session::new(config, profile(), login, 7),
            now: Instant::now(),
        }
    }

    /// A new chat with an agent in, all actions and events taken.
    pub fn live(config: Config) -> Self {
        let mut b = Bench::waiting(config);
        b.frame(agent_joins());
        b.events();
        assert!(b.session.ready_for_text());
        b
    }

    /// A new chat without an agent.
    pub fn waiting(config: Config) -> Self {
        let mut b = Bench::new(config, Login::New);
        b.connect();
        b.frame(accepted(62, "key"));
        b.events();
        assert_eq!(b.session.phase(), Phase::Waiting);
        b
    }

    /// Takes the `Connect` and answers it; leaves the login frame.
    pub fn connect(&mut self) {
        assert_eq!(self.session.poll_action(), Some(Action::Connect));
        self.session.on_connected(self.now);
    }

    /// Waits out the backoff, connects, and gives the `requestChat` that is sent.
    pub fn reconnect(&mut self) -> RequestChat {
        let Phase::Recovering { retry_at, .. } = self.session.phase() else {
            panic!("{:?}", self.session.phase())
        };
        self.now = self.now.max(retry_at);
        self.session.on_timeout(self.now);
        self.connect();
        self.login()
    }

    pub fn login(&mut self) -> RequestChat {
        match self.sent().as_slice() {
            [ClientFrame::RequestChat(r)] => r.clone(),
            other => panic!("{other:?}"),
        }
    }

    pub fn frame(&mut self, frame: ServerFrame) {
        self.session.on_frame(&frame.encode(), self.now);
    }

    pub fn actions(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.session.poll_action()).collect()
    }

    pub fn events(&mut self) -> Vec<Event> {
        self.actions();
        std::iter::from_fn(|| self.session.poll_event()).collect()
    }

    /// The frames sent; nothing but frames must have been asked for.
    pub fn sent(&mut self) -> Vec<ClientFrame> {
        let frame = |action| match action {
            Action::Send(frame) => ClientFrame::parse(&frame).unwrap(),
            other => panic!("{other:?}"),
        };
        self.actions().into_iter().map(frame).collect()
    }

    pub fn send_text(&mut self, token: u64) {
        self.session
            .send_text(token, &format!("text {token}"), self.now)
            .unwrap();
        assert_eq!(
            self.sent(),
            [ClientFrame::NewMessage {
                message: format!("text {token}").into()
            }]
        );
    }

    /// Lets time pass to the next timeout, which must come within `limit`.
    pub fn tick(&mut self, limit: Duration) {
        let at = self.session.next_timeout().expect("a timeout");
        assert!(at <= self.now + limit, "next timeout in {:?}", at - self.now);
        self.now = self.now.max(at);
        self.session.on_timeout(self.now);
    }

    pub fn wait(&mut self, time: Duration) {
        self.now += time;
        self.session.on_timeout(self.now);
    }

    pub fn phase(&self) -> Phase {
        self.session.phase()
    }
}

pub fn accepted(guid: u64, key: &str) -> ServerFrame {
    ServerFrame::RequestChat(ChatAccepted {
        guid: Some(Guid::number(guid)),
        authentication_key: Some(AuthKey::new(key)),
        ..Default::default()
    })
}

pub fn participant(id: &str, kind: ParticipantType) -> Participant {
    Participant {
        id: Some(AgentId::string(id)),
        name: format!("Agent {id}").into(),
        kind,
    }
}

/// `id` comes in; those in are now `all`.
pub fn joins(id: &str, all: &[(&str, ParticipantType)]) -> ServerFrame {
    ServerFrame::NewParticipant(NewParticipant {
        agent_id: Some(AgentId::string(id)),
        display_name: format!("Agent {id}").into(),
        number_of_participants: 1 + all.len() as u32,
        participants: all
            .iter()
            .map(|(id, kind)| participant(id, kind.clone()))
            .collect(),
        ..Default::default()
    })
}

pub fn agent_joins() -> ServerFrame {
    joins("7000", &[("7000", ParticipantType::Active)])
}

/// `id` leaves; those in are now `all`.
pub fn leaves(id: &str, end: bool, all: &[(&str, ParticipantType)]) -> ServerFrame {
    ServerFrame::ParticipantLeave(ParticipantLeave {
        agent_id: Some(AgentId::string(id)),
        end_chat_flag: end,
        // As AACC counts: with the customer.
        number_of_participants: 1 + all.len() as u32,
        participants: all
            .iter()
            .map(|(id, kind)| participant(id, kind.clone()))
            .collect(),
        leave_reason: None,
    })
}

pub fn ack(result: bool) -> ServerFrame {
    ServerFrame::Acknowledgement {
        method: "newMessage".into(),
        result,
    }
}

pub fn error(method: &str, code: i64, text: &str) -> ServerFrame {
    ServerFrame::Error(AaccError {
        method: method.into(),
        code: Some(code),
        text: text.into(),
    })
}

pub fn not_started() -> ServerFrame {
    error("error", 1, "Invalid message: Chat not started")
}

pub fn expired() -> ServerFrame {
    error(
        "error",
        2,
        "Unable to reconnect, session key is invalid or expired",
    )
}

pub fn says(text: &str) -> ServerFrame {
    ServerFrame::NewMessage(AgentMessage {
        message: text.into(),
        display_name: "Russell".into(),
        timestamp_ms: Some(1_458_053_235_000),
        sender_type: None,
    })
}

pub fn guid() -> Guid {
    Guid::number(62)
}

pub fn lost(code: Option<u16>) -> Event {
    Event::LinkLost {
        why: Loss::Disconnected { code },
    }
}

pub fn here(id: &str) -> Event {
    came(id, ParticipantType::Active, true)
}

pub fn came(id: &str, role: ParticipantType, shown: bool) -> Event {
    Event::Joined {
        agent: Some(AgentId::string(id)),
        display_name: format!("Agent {id}").into(),
        role,
        shown,
    }
}

/// An agent is gone, `remaining` are in who take texts.
pub fn gone(id: &str, remaining: usize, end: bool) -> Event {
    Event::Left {
        agent: Some(AgentId::string(id)),
        display_name: format!("Agent {id}").into(),
        shown: true,
        reason: None,
        remaining,
        end,
    }
}
