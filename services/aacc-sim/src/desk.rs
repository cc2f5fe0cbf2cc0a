//! What agents do.

use ccm_ewc_proto::frame::{
    AgentId, AgentMessage, AgentTyping, NewParticipant, ParticipantLeave, PushPage, ServerFrame,
};

use crate::book::{Book, system_line};
use crate::chat::{Chat, Present};
use crate::error::OpError;
use crate::socket::Mark;
use crate::views::{Agent, ChatState, EndReason, Event, Line, LineKind, Link, Sender};

/// A link that an agent pushes to the customer.
#[derive(Clone, Debug, Default, serde::Deserialize)]
pub struct Page {
    pub url: String,
    /// `newTab` when left out.
    #[serde(default)]
    pub destination: Option<String>,
    /// A text that comes along.
    #[serde(default)]
    pub message: Option<String>,
}

impl Book {
    fn open_chat(&mut self, guid: u64) -> Result<&mut Chat, OpError> {
        let chat = self.chats.get_mut(&guid).ok_or(OpError::NoSuchChat(guid))?;
        if chat.ended() {
            Err(OpError::ChatEnded(guid))
        } else {
            Ok(chat)
        }
    }

    /// The named agent, or the first one in the room.
    fn speaker(&mut self, guid: u64, agent_id: Option<&str>) -> Result<Agent, OpError> {
        let room = &self.open_chat(guid)?.room;
        let found = match agent_id {
            Some(id) => room.iter().find(|p| p.agent.id == id),
            None => room.first(),
        };
        let missing = || match agent_id {
            Some(id) => OpError::AgentNotIn {
                guid,
                agent_id: id.to_owned(),
            },
            None => OpError::NobodyIn(guid),
        };
        found.map(|p| p.agent.clone()).ok_or_else(missing)
    }

    /// An agent joins. The first who opens the chat brings the skillset's welcome message.
    pub fn join(&mut self, guid: u64, agent: Agent) -> Result<(), OpError> {
        let now_ms = self.now_ms;
        let settings = self.settings.clone();
        let chat = self.open_chat(guid)?;
        if chat.room.iter().any(|p| p.agent.id == agent.id) {
            return Err(OpError::AgentAlreadyIn {
                guid,
                agent_id: agent.id,
            });
        }
        chat.room.push(Present {
            agent: agent.clone(),
            typing: false,
        });
        let participants = chat.participants();
        let line = room_line(now_ms, LineKind::Joined, &agent);
        chat.keep(&settings, &line);
        let frame = ServerFrame::NewParticipant(NewParticipant {
            agent_id: Some(AgentId::string(&agent.id)),
            display_name: agent.name.as_str().into(),
            role: agent.role.into(),
            number_of_participants: participants.len() as u32 + 1,
            participants,
        });
        self.put_room_event(guid, &frame);
        self.settle(guid);
        self.emit(|| Event::Joined { guid, agent });
        let chat = self.open_chat(guid)?;
        let skillset = settings.skillset(&chat.skillset);
        if chat.state == ChatState::Live
            && !std::mem::replace(&mut chat.welcomed, true)
            && let Some(welcome) = &skillset.welcome
        {
            let line = Line {
                text: format!("{} {welcome}", skillset.agent_label),
                name: "Agent".into(),
                ..system_line(now_ms, LineKind::Welcome)
            };
            self.speak(guid, line);
        }
        Ok(())
    }

    /// An agent says something. `<` and `>` that are typed never leave AACC; raw text leaves as it is.
    pub fn say(&mut self, guid: u64, agent_id: Option<&str>, text: &str, raw: bool) -> Result<(), OpError> {
        let agent = self.speaker(guid, agent_id)?;
        let text = if raw {
            text.to_owned()
        } else {
            text.replace(['<', '>'], "")
        };
        let line = Line {
            from: Sender::Agent,
            agent_id: Some(agent.id.clone()),
            name: agent.name,
            text,
            ..system_line(self.now_ms, LineKind::Text)
        };
        self.set_typing(guid, &agent.id, false);
        self.speak(guid, line);
        Ok(())
    }

    /// Keeps a text of AACC's side and sends it if a socket is open.
    fn speak(&mut self, guid: u64, mut line: Line) {
        line.displayed = line.text.clone();
        let settings = self.settings.clone();
        let Ok(chat) = self.open_chat(guid) else { return };
        chat.said += 1;
        chat.unread = 0;
        let frame = ServerFrame::NewMessage(AgentMessage {
            message: line.text.as_str().into(),
            display_name: line.name.as_str().into(),
            timestamp_ms: Some(line.at_ms as i64),
            sender_type: None,
        });
        let kept = chat.keep(&settings, &line);
        if let Link::Open(socket) = chat.link {
            let mark = kept.map(|line| Mark {
                guid,
                line,
                replay: false,
            });
            self.put_text(socket, frame.encode(), mark);
        }
        self.emit(|| Event::Text { guid, line });
    }

    /// An agent types, or stops.
    pub fn typing(&mut self, guid: u64, agent_id: Option<&str>, is_typing: bool) -> Result<(), OpError> {
        let agent = self.speaker(guid, agent_id)?;
        self.set_typing(guid, &agent.id, is_typing);
        let link = self.open_chat(guid)?.link;
        if let Link::Open(socket) = link {
            let frame = ServerFrame::IsTyping(AgentTyping {
                agent_id: Some(AgentId::string(&agent.id)),
                display_name: agent.name.as_str().into(),
                is_typing,
            });
            self.put(socket, &frame);
        }
        self.emit(|| Event::AgentTyping {
            guid,
            agent_id: agent.id,
            typing: is_typing,
        });
        Ok(())
    }

    fn set_typing(&mut self, guid: u64, agent_id: &str, typing: bool) {
        let room = self
            .chats
            .get_mut(&guid)
            .into_iter()
            .flat_map(|c| c.room.iter_mut());
        for present in room.filter(|p| p.agent.id == agent_id) {
            present.typing = typing;
        }
    }

    /// An agent pushes a link.
    pub fn push_page(&mut self, guid: u64, agent_id: Option<&str>, page: Page) -> Result<(), OpError> {
        let agent = self.speaker(guid, agent_id)?;
        let settings = self.settings.clone();
        let line = Line {
            from: Sender::Agent,
            agent_id: Some(agent.id),
            name: agent.name.clone(),
            text: page.url.clone(),
            displayed: page.url.clone(),
            ..system_line(self.now_ms, LineKind::Page)
        };
        let frame = ServerFrame::PushPage(PushPage {
            display_name: agent.name.into(),
            url: page.url.into(),
            destination: page.destination.unwrap_or_else(|| "newTab".into()),
            timestamp_ms: Some(line.at_ms as i64),
            message: page.message.map(Into::into),
        });
        let chat = self.open_chat(guid)?;
        chat.said += 1;
        let kept = chat.keep(&settings, &line);
        if let Link::Open(socket) = chat.link {
            let mark = kept.map(|line| Mark {
                guid,
                line,
                replay: false,
            });
            self.put_text(socket, frame.encode(), mark);
        }
        self.emit(|| Event::Text { guid, line });
        Ok(())
    }

    /// An agent leaves. With `end_chat` the chat is over for everybody, else those who stay go on, and an empty room
    /// is back on hold.
    pub fn leave(
        &mut self,
        guid: u64,
        agent_id: Option<&str>,
        end_chat: bool,
        reason: Option<&str>,
    ) -> Result<(), OpError> {
        let agent = self.speaker(guid, agent_id)?;
        let settings = self.settings.clone();
        let line = room_line(self.now_ms, LineKind::Left, &agent);
        let chat = self.open_chat(guid)?;
        if end_chat {
            chat.room.clear();
        } else {
            chat.room.retain(|p| p.agent.id != agent.id);
        }
        chat.keep(&settings, &line);
        let participants = chat.participants();
        let frame = ServerFrame::ParticipantLeave(ParticipantLeave {
            agent_id: Some(AgentId::string(&agent.id)),
            end_chat_flag: end_chat,
            number_of_participants: participants.len() as u32 + 1,
            participants,
            leave_reason: reason.map(str::to_owned),
        });
        self.put_room_event(guid, &frame);
        self.emit(|| Event::Left {
            guid,
            agent_id: agent.id,
            end_chat,
        });
        if end_chat {
            self.end(guid, EndReason::Agent);
        } else {
            self.settle(guid);
        }
        Ok(())
    }

    /// An agent hands the chat over, or back to the queue.
    pub fn transfer(&mut self, guid: u64, agent_id: Option<&str>, to: Option<Agent>) -> Result<(), OpError> {
        if let Some(to) = &to
            && self.open_chat(guid)?.room.iter().any(|p| p.agent.id == to.id)
        {
            return Err(OpError::AgentAlreadyIn {
                guid,
                agent_id: to.id.clone(),
            });
        }
        self.leave(guid, agent_id, false, Some("transfer"))?;
        match to {
            Some(to) => self.join(guid, to),
            None => Ok(()),
        }
    }

    /// AACC gives up looking for an agent [C].
    pub fn route_cancel(&mut self, guid: u64) -> Result<(), OpError> {
        self.open_chat(guid)?;
        self.put_room_event(guid, &ServerFrame::RouteCancel);
        self.end(guid, EndReason::NoAgent);
        Ok(())
    }

    /// An agent looked at the chat.
    pub fn read(&mut self, guid: u64) -> Result<(), OpError> {
        self.open_chat(guid)?.unread = 0;
        Ok(())
    }

    /// Sends any text as a frame: unknown methods, garbage.
    pub fn send_frame(&mut self, guid: u64, text: String) -> Result<(), OpError> {
        match self.open_chat(guid)?.link {
            Link::Open(socket) => {
                self.put_text(socket, text, None);
                Ok(())
            }
            Link::Lost => Err(OpError::NoSocket(guid)),
        }
    }
}

fn room_line(at_ms: u64, kind: LineKind, agent: &Agent) -> Line {
    Line {
        agent_id: Some(agent.id.clone()),
        name: agent.name.clone(),
        ..system_line(at_ms, kind)
    }
}
