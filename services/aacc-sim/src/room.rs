//! Who comes, who goes, and who hands the customer to whom.

use ccm_ewc_proto::frame::{AgentId, NewParticipant, Participant, ParticipantLeave, ServerFrame};

use crate::book::{Book, system_line};
use crate::chat::Present;
use crate::error::OpError;
use crate::settings::{RoleChange, TransferOrder};
use crate::views::{Agent, ChatState, EndReason, Event, Line, LineKind, Role};

impl Book {
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
        self.put_room_event(guid, &joined(&agent, participants));
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

    /// An agent leaves. With `end_chat` the chat is over for everybody (for the reason `end`), else those who stay go on,
    /// and an empty room is back on hold.
    pub fn leave(
        &mut self,
        guid: u64,
        agent_id: Option<&str>,
        end_chat: bool,
        reason: Option<&str>,
        end: EndReason,
    ) -> Result<(), OpError> {
        if end_chat {
            self.speaker(guid, agent_id)?;
            self.notice_all_left(guid);
        }
        self.go(guid, agent_id, end_chat, reason)?;
        if end_chat {
            self.end(guid, end);
            return Ok(());
        }
        self.settle(guid);
        if self.open_chat(guid)?.room.is_empty() {
            self.notice_all_left(guid);
        }
        Ok(())
    }

    /// Takes an agent (or everybody) out of the room and tells so.
    fn go(
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
        self.put_room_event(guid, &left(&agent, participants, end_chat, reason));
        self.emit(|| Event::Left {
            guid,
            agent_id: agent.id,
            end_chat,
        });
        Ok(())
    }

    /// An agent hands the chat over, or back to the queue.
    pub fn transfer(&mut self, guid: u64, agent_id: Option<&str>, to: Option<Agent>) -> Result<(), OpError> {
        let from = self.speaker(guid, agent_id)?;
        let Some(to) = to else {
            return self.leave(guid, Some(&from.id), false, Some("transfer"), EndReason::Agent);
        };
        if self.open_chat(guid)?.room.iter().any(|p| p.agent.id == to.id) {
            return Err(OpError::AgentAlreadyIn {
                guid,
                agent_id: to.id,
            });
        }
        match self.settings.transfer_order {
            TransferOrder::LeaveFirst => {
                self.go(guid, Some(&from.id), false, Some("transfer"))?;
                self.settle(guid);
                self.join(guid, to)
            }
            TransferOrder::JoinFirst => {
                self.join(guid, to)?;
                self.go(guid, Some(&from.id), false, Some("transfer"))?;
                self.settle(guid);
                Ok(())
            }
        }
    }

    /// Everybody leaves, and the chat waits again: for the same skillset, or for another one, whose automatic agents take
    /// it then.
    pub fn requeue(&mut self, guid: u64, skillset: Option<String>) -> Result<(), OpError> {
        let skillset = skillset.unwrap_or(self.open_chat(guid)?.skillset.clone());
        while !self.open_chat(guid)?.room.is_empty() {
            self.go(guid, None, false, Some("requeue"))?;
        }
        self.move_to(guid, skillset.clone());
        self.notice_all_left(guid);
        self.emit(|| Event::Requeued { guid, skillset });
        self.assign(guid);
        Ok(())
    }

    /// Somebody in the room takes another role: a supervisor barges in, or goes back to observing.
    pub fn change_role(&mut self, guid: u64, agent_id: Option<&str>, role: Role) -> Result<(), OpError> {
        let agent = self.speaker(guid, agent_id)?.with_role(role);
        let chat = self.open_chat(guid)?;
        for present in chat.room.iter_mut().filter(|p| p.agent.id == agent.id) {
            present.agent.role = role;
        }
        let all = chat.participants();
        if self.settings.role_change == RoleChange::LeaveAndJoin {
            let id = AgentId::string(&agent.id);
            let others = all.iter().filter(|p| p.id.as_ref() != Some(&id));
            let others = others.cloned().collect();
            self.put_room_event(guid, &left(&agent, others, false, None));
        }
        self.put_room_event(guid, &joined(&agent, all));
        self.settle(guid);
        self.emit(|| Event::RoleChanged { guid, agent });
        Ok(())
    }

    /// AACC gives up looking for an agent [C]. Whether the chat ends then is a setting.
    pub fn route_cancel(&mut self, guid: u64) -> Result<(), OpError> {
        self.open_chat(guid)?;
        self.put_room_event(guid, &ServerFrame::RouteCancel);
        if self.settings.route_cancel_ends_chat {
            self.end(guid, EndReason::NoAgent);
        }
        Ok(())
    }

    fn notice_all_left(&mut self, guid: u64) {
        let settings = self.settings.clone();
        let Ok(chat) = self.open_chat(guid) else { return };
        let skillset = settings.skillset(&chat.skillset);
        if let Some(text) = &skillset.all_left {
            self.notice(guid, format!("{} {text}", skillset.agent_label));
        }
    }

    /// Tells who has just asked for a chat that no agent is there.
    pub fn notice_no_agents(&mut self, guid: u64) {
        let settings = self.settings.clone();
        let Ok(chat) = self.open_chat(guid) else { return };
        let skillset = settings.skillset(&chat.skillset);
        if let Some(text) = skillset
            .no_agents
            .as_ref()
            .filter(|_| skillset.available_agents == 0)
        {
            self.notice(guid, text.clone());
        }
    }

    fn notice(&mut self, guid: u64, text: String) {
        let line = Line {
            text,
            name: "Agent".into(),
            ..system_line(self.now_ms, LineKind::Notice)
        };
        self.speak(guid, line);
    }
}

fn joined(agent: &Agent, participants: Vec<Participant>) -> ServerFrame {
    ServerFrame::NewParticipant(NewParticipant {
        agent_id: Some(AgentId::string(&agent.id)),
        display_name: agent.name.as_str().into(),
        role: agent.role.into(),
        number_of_participants: participants.len() as u32 + 1,
        participants,
    })
}

fn left(agent: &Agent, participants: Vec<Participant>, end_chat: bool, reason: Option<&str>) -> ServerFrame {
    ServerFrame::ParticipantLeave(ParticipantLeave {
        agent_id: Some(AgentId::string(&agent.id)),
        end_chat_flag: end_chat,
        number_of_participants: participants.len() as u32 + 1,
        participants,
        leave_reason: reason.map(str::to_owned),
    })
}

fn room_line(at_ms: u64, kind: LineKind, agent: &Agent) -> Line {
    Line {
        agent_id: Some(agent.id.clone()),
        name: agent.name.clone(),
        ..system_line(at_ms, kind)
    }
}
