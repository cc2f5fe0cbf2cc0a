//! AACC, as PROTOCOL.md says, with faults.

use std::collections::BTreeMap;

use ccm_ewc_proto::frame::*;

use super::ops::{Habits, LateAnswer, Refusing, Transcript};
use super::wire::Wire;
use crate::bench::{accepted, ack, error, expired, joins, leaves, not_started, profile};

#[derive(Default)]
pub struct Chat {
    pub members: BTreeMap<u8, ParticipantType>,
    transcript: Vec<Said>,
    resumes: u32,
    /// Texts taken and never answered.
    owed: u32,
}

#[derive(Clone)]
enum Said {
    ByCustomer { token: u64, at: i64 },
    ByAgent(i64),
}

pub struct Aacc {
    pub habits: Habits,
    pub chats: BTreeMap<u64, Chat>,
    last_guid: u64,
    /// Customer texts in the order they came in.
    pub taken: Vec<u64>,
    /// Words of agents so far.
    said: i64,
    pub refuse: (u32, Refusing),
    pub take_silently: (u32, bool),
    pub answer_twice: bool,
    pub late_words: u32,
    pub maintenance: bool,
    pub unreachable: u32,
}

impl Aacc {
    pub fn new(habits: Habits) -> Self {
        Aacc {
            habits,
            chats: BTreeMap::new(),
            last_guid: 0,
            taken: Vec::new(),
            said: 0,
            refuse: (0, Refusing::NotStarted),
            take_silently: (0, false),
            answer_twice: false,
            late_words: 0,
            maintenance: false,
            unreachable: 0,
        }
    }

    pub fn is_open(&self, guid: u64) -> bool {
        self.chats
            .get(&guid)
            .is_some_and(|c| c.members.values().any(|kind| self.opens(kind)))
    }

    fn opens(&self, kind: &ParticipantType) -> bool {
        match kind {
            ParticipantType::Active => true,
            ParticipantType::SupervisorBarge => self.habits.barge_in_opens || self.habits.observer_opens,
            _ => self.habits.observer_opens,
        }
    }

    /// A frame came over `wire`; `other` is the conversation's other socket.
    pub fn take(&mut self, frame: &str, wire: &mut Wire, other: Option<&mut Wire>) {
        match ClientFrame::parse(frame).unwrap() {
            ClientFrame::RequestChat(_) if self.maintenance => {
                wire.push(&error("requestChat", 503, "shutting down"))
            }
            ClientFrame::RequestChat(r) => {
                assert_eq!(r.intrinsics, Some(profile().intrinsics));
                match &r.guid {
                    None => self.open(wire),
                    Some(guid) => self.resume(guid.as_str().parse().unwrap(), &r, wire, other),
                }
            }
            ClientFrame::NewMessage { message } => self.text(message.strip_prefix('c').unwrap(), wire),
            ClientFrame::Ping => wire.push(&ServerFrame::Ping),
            ClientFrame::QueueStatus => wire.push(&ServerFrame::QueueStatus(QueueStatus::default())),
            ClientFrame::IsTyping { is_typing } => assert!(is_typing),
            ClientFrame::PushPage(_) => wire.push(&ServerFrame::Acknowledgement {
                method: "newPushPageMessage".into(),
                result: true,
            }),
            ClientFrame::CloseConversation => {
                if let Some(guid) = wire.chat {
                    for _ in 0..std::mem::take(&mut self.late_words) {
                        self.agent_says(guid, Some(wire));
                    }
                    self.chats.remove(&guid);
                }
                wire.chat = None;
                wire.push(&ServerFrame::CloseConversation { result: true });
            }
            other => panic!("{other:?}"),
        }
    }

    fn open(&mut self, wire: &mut Wire) {
        self.last_guid += 1;
        self.chats.insert(self.last_guid, Chat::default());
        wire.chat = Some(self.last_guid);
        wire.push(&accepted(self.last_guid, &key(self.last_guid, 0)));
    }

    fn resume(&mut self, guid: u64, request: &RequestChat, wire: &mut Wire, other: Option<&mut Wire>) {
        let given = request.authentication_key.as_ref().expect("a key");
        let chat = self.chats.get_mut(&guid);
        let Some(chat) = chat.filter(|chat| given.expose() == key(guid, chat.resumes)) else {
            assert!(
                self.habits.rekeys || !self.chats.contains_key(&guid),
                "a wrong key: {guid}"
            );
            return wire.push(&expired());
        };
        if self.habits.rekeys {
            chat.resumes += 1;
        }
        wire.chat = Some(guid);
        if let Some(older) = other.filter(|older| older.chat == Some(guid)) {
            older.chat = None;
            older.closed = Some(self.habits.closes_older);
        }
        let owed = match self.habits.late_answers {
            Some(_) => std::mem::take(&mut chat.owed),
            None => 0,
        };
        let late = |wire: &mut Wire| (0..owed).for_each(|_| wire.push(&ack(true)));
        if self.habits.late_answers == Some(LateAnswer::BeforeTheLogin) {
            late(wire);
        }
        let answer = accepted(guid, &key(guid, chat.resumes));
        match answer {
            ServerFrame::RequestChat(accepted) if self.habits.guid_as_text => {
                wire.push(&ServerFrame::RequestChat(ChatAccepted {
                    guid: Some(Guid::string(&guid.to_string())),
                    ..accepted
                }))
            }
            answer => wire.push(&answer),
        }
        if self.habits.late_answers == Some(LateAnswer::AfterTheLogin) && owed > 0 {
            late(wire);
            wire.tainted = true;
        }
        if self.habits.replays_room {
            for who in chat.members.keys() {
                wire.push(&joins(&who.to_string(), &listed(chat)));
            }
        }
        if request.request_transcript {
            self.replay(guid, wire);
        }
    }

    fn replay(&self, guid: u64, wire: &mut Wire) {
        let all = &self.chats[&guid].transcript;
        let from = match self.habits.transcript {
            Transcript::Tail => all.len() / 2,
            _ => 0,
        };
        let senders = self.habits.transcript == Transcript::BothWithSenders;
        for said in &all[from..] {
            match said {
                Said::ByAgent(said) => {
                    wire.say(&words(*said, senders.then_some(SenderType::LiveAgent)), *said)
                }
                Said::ByCustomer { .. } if self.habits.transcript == Transcript::AgentsOnly => {}
                Said::ByCustomer { token, at } => wire.push(&ServerFrame::NewMessage(AgentMessage {
                    message: format!("c{token}").into(),
                    display_name: profile().intrinsics.name,
                    timestamp_ms: Some(*at),
                    sender_type: senders.then_some(SenderType::Customer),
                })),
            }
        }
    }

    fn text(&mut self, token: &str, wire: &mut Wire) {
        assert!(
            wire.unanswered == 0 || wire.tainted,
            "{token} came before the one before it was answered"
        );
        wire.unanswered += 1;
        let token = token.parse().unwrap();
        let open = wire.chat.filter(|guid| self.is_open(*guid));
        let chat = open.and_then(|guid| self.chats.get_mut(&guid));
        if self.maintenance {
            return wire.answer_text(&error("newMessage", 503, "shutting down"));
        }
        let Some(chat) = chat else {
            return wire.answer_text(&not_started());
        };
        if self.refuse.0 > 0 {
            self.refuse.0 -= 1;
            return wire.answer_text(&match self.refuse.1 {
                Refusing::NotStarted => not_started(),
                Refusing::NotAccepted => ack(false),
                Refusing::Invalid => error("newMessage", 1, "Invalid message"),
            });
        }
        self.taken.push(token);
        let at = self.taken.len() as i64;
        chat.transcript.push(Said::ByCustomer { token, at });
        if self.take_silently.0 > 0 {
            self.take_silently.0 -= 1;
            if self.take_silently.1 {
                wire.answer_text(&error("newMessage", 500, "internal"));
            } else {
                chat.owed += 1;
            }
            return;
        }
        wire.answer_text(&ack(true));
        if std::mem::take(&mut self.answer_twice) {
            wire.push(&ack(true));
            wire.tainted = true;
        }
    }

    pub fn agent_says(&mut self, guid: u64, wire: Option<&mut Wire>) {
        let Some(chat) = self.chats.get_mut(&guid) else {
            return;
        };
        self.said += 1;
        chat.transcript.push(Said::ByAgent(self.said));
        if let Some(wire) = wire {
            wire.say(&words(self.said, None), self.said);
        }
    }

    /// `who` comes in, or is of another type from now on.
    pub fn joins(&mut self, guid: u64, who: u8, kind: ParticipantType, wire: Option<&mut Wire>) {
        let Some(chat) = self.chats.get_mut(&guid) else {
            return;
        };
        chat.members.insert(who, kind);
        if let Some(wire) = wire {
            wire.push(&joins(&who.to_string(), &listed(chat)));
        }
    }

    /// False if `who` was not in.
    pub fn leaves(
        &mut self,
        guid: u64,
        who: u8,
        end: bool,
        reason: Option<&str>,
        wire: Option<&mut Wire>,
    ) -> bool {
        let Some(chat) = self.chats.get_mut(&guid) else {
            return false;
        };
        if chat.members.remove(&who).is_none() {
            return false;
        }
        let mut frame = leaves(&who.to_string(), end, &listed(chat));
        if let ServerFrame::ParticipantLeave(left) = &mut frame {
            left.leave_reason = reason.map(str::to_owned);
        }
        if let Some(wire) = wire {
            wire.push(&frame);
        }
        if end {
            self.chats.remove(&guid);
        }
        true
    }

    /// What agents said in a chat.
    pub fn agents_words(&self, guid: u64) -> impl Iterator<Item = i64> {
        self.chats[&guid].transcript.iter().filter_map(|said| match said {
            Said::ByAgent(said) => Some(*said),
            Said::ByCustomer { .. } => None,
        })
    }
}

fn key(guid: u64, resumes: u32) -> String {
    format!("key {guid}.{resumes}")
}

/// For the frames of [`crate::bench`].
fn listed(chat: &Chat) -> Vec<(&'static str, ParticipantType)> {
    let name = |who: &u8| ["0", "1", "2"][usize::from(*who)];
    chat.members
        .iter()
        .map(|(who, kind)| (name(who), kind.clone()))
        .collect()
}

fn words(said: i64, sender_type: Option<SenderType>) -> ServerFrame {
    ServerFrame::NewMessage(AgentMessage {
        message: format!("a{said}").into(),
        display_name: "Russell".into(),
        timestamp_ms: Some(1_458_053_235_000 + said),
        sender_type,
    })
}
