//! What agents say and do in a chat.

use ccm_ewc_proto::frame::{AgentFileTransfer, AgentId, AgentMessage, AgentTyping, PushPage, ServerFrame};

use crate::book::{Book, system_line};
use crate::chat::Chat;
use crate::error::OpError;
use crate::socket::Mark;
use crate::views::{Agent, Event, Line, LineKind, Link, Sender};

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

/// A file that an agent offers to the customer.
#[derive(Clone, Debug, Default, serde::Deserialize)]
pub struct OfferedFile {
    pub name: String,
    /// A new one when left out.
    #[serde(default)]
    pub uuid: Option<String>,
}

impl Book {
    pub fn open_chat(&mut self, guid: u64) -> Result<&mut Chat, OpError> {
        let chat = self.chats.get_mut(&guid).ok_or(OpError::NoSuchChat(guid))?;
        if chat.ended() {
            Err(OpError::ChatEnded(guid))
        } else {
            Ok(chat)
        }
    }

    /// The named agent, or the first one in the room.
    pub fn speaker(&mut self, guid: u64, agent_id: Option<&str>) -> Result<Agent, OpError> {
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
    pub fn speak(&mut self, guid: u64, mut line: Line) {
        line.displayed = line.text.clone();
        let settings = self.settings.clone();
        let Ok(chat) = self.open_chat(guid) else { return };
        if line.kind != LineKind::Notice {
            chat.said += 1;
            chat.unread = 0;
        }
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
            self.put_text(socket, self.encode(&frame), mark);
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
            self.put_text(socket, self.encode(&frame), mark);
        }
        self.emit(|| Event::Text { guid, line });
        Ok(())
    }

    /// An agent offers a file [C].
    pub fn send_file(&mut self, guid: u64, agent_id: Option<&str>, file: OfferedFile) -> Result<(), OpError> {
        let agent = self.speaker(guid, agent_id)?;
        let settings = self.settings.clone();
        let line = Line {
            from: Sender::Agent,
            agent_id: Some(agent.id),
            name: agent.name.clone(),
            text: file.name.clone(),
            displayed: file.name.clone(),
            ..system_line(self.now_ms, LineKind::File)
        };
        let uuid = file.uuid.unwrap_or_else(|| self.fresh_key());
        let chat = self.open_chat(guid)?;
        chat.keep(&settings, &line);
        let link = chat.link;
        if let Link::Open(socket) = link {
            let frame = ServerFrame::AgentFileTransfer(AgentFileTransfer {
                agent_name: agent.name.into(),
                name: file.name.into(),
                uuid,
                work_request_id: guid.to_string(),
            });
            self.put(socket, &frame);
        }
        self.emit(|| Event::Text { guid, line });
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
