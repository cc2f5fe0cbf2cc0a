//! Reading and writing of what AACC sends.

use serde_json::{Value, json};

use super::client::Intrinsics;
use super::field::{AgentId, AuthKey, Guid, Private};
use super::server::*;
use super::value::{Envelope, Fields, envelope, put_opt};
use super::{FrameError, PushPage};

impl ServerFrame {
    /// Reads what AACC sent.
    pub fn parse(text: &str) -> Result<Self, FrameError> {
        let frame = Envelope::parse(text)?;
        let body = &frame.body;
        let method = frame.method.to_ascii_lowercase();
        Ok(match frame.kind.to_ascii_lowercase().as_str() {
            "notification" => notification(&method, body).unwrap_or_else(|| unknown(&frame)),
            "acknowledgement" => ServerFrame::Acknowledgement {
                // One without either field is taken as a yes: its coming is the acknowledgement.
                result: body
                    .opt_bool("result")
                    .or_else(|| body.opt_bool("accepted"))
                    .unwrap_or(true),
                method: frame.method.clone(),
            },
            "newchatacknowledgement" => ServerFrame::NewChatAcknowledgement {
                guid: Guid::from_json(body.value("guid")),
            },
            "error" => ServerFrame::Error(AaccError {
                method: frame.method.clone(),
                code: body.opt_int("code"),
                text: body.text("errorMessage").into(),
            }),
            _ => unknown(&frame),
        })
    }

    /// Writes the frame as AACC 7.x does.
    pub fn encode(&self) -> String {
        let note = |method, fields| envelope("1.0".into(), "notification", method, fields);
        match self {
            ServerFrame::RequestChat(c) => note("requestChat", c.write()),
            ServerFrame::NewParticipant(p) => note("newParticipant", p.write()),
            ServerFrame::IsTyping(t) => {
                let mut v = json!({"displayName": &*t.display_name, "isTyping": t.is_typing});
                put_opt(&mut v, "agentId", t.agent_id.as_ref().map(AgentId::to_json));
                note("isTyping", v)
            }
            ServerFrame::NewMessage(m) => {
                let mut v = json!({"message": &*m.message, "displayName": &*m.display_name});
                put_opt(&mut v, "timestamp", m.timestamp_ms);
                put_opt(
                    &mut v,
                    "senderType",
                    m.sender_type.as_ref().map(SenderType::as_str),
                );
                note("newMessage", v)
            }
            ServerFrame::PushPage(page) => note("newPushPageMessage", page.write()),
            ServerFrame::QueueStatus(q) => {
                let mut v = json!({});
                put_opt(&mut v, "positionInQueue", q.position_in_queue);
                put_opt(&mut v, "estimatedWaitTime", q.estimated_wait_time_s);
                note("queueStatus", v)
            }
            ServerFrame::ParticipantLeave(p) => note("participantLeave", p.write()),
            ServerFrame::CloseConversation { result } => note("closeConversation", json!({"result": result})),
            ServerFrame::RouteCancel => note("routeCancel", json!({})),
            ServerFrame::Ping => note("ping", json!({})),
            ServerFrame::Pong => note("pong", json!({})),
            ServerFrame::Acknowledgement { method, result } => {
                envelope("1.0".into(), "acknowledgement", method, json!({"result": result}))
            }
            ServerFrame::NewChatAcknowledgement { guid } => {
                let mut v = json!({});
                put_opt(&mut v, "guid", guid.as_ref().map(Guid::to_json));
                envelope("1.0".into(), "newChatAcknowledgement", "requestChat", v)
            }
            ServerFrame::AgentFileTransfer(t) => note(
                "newAgentFileTransfer",
                json!({
                    "agentName": &*t.agent_name, "name": &*t.name,
                    "uuid": t.uuid, "workRequestId": t.work_request_id,
                }),
            ),
            ServerFrame::Error(e) => {
                let mut v = json!({"errorMessage": &*e.text});
                put_opt(&mut v, "code", e.code);
                envelope("1.0".into(), "error", &e.method, v)
            }
            ServerFrame::Unknown { kind, method } => envelope("1.0".into(), kind, method, json!({})),
        }
    }
}

fn unknown(frame: &Envelope) -> ServerFrame {
    ServerFrame::Unknown {
        kind: frame.kind.clone(),
        method: frame.method.clone(),
    }
}

fn notification(method: &str, body: &Fields) -> Option<ServerFrame> {
    Some(match method {
        "requestchat" => ServerFrame::RequestChat(ChatAccepted::read(body)),
        "newparticipant" => ServerFrame::NewParticipant(NewParticipant {
            agent_id: AgentId::from_json(body.value("agentId")),
            display_name: body.text("displayName").into(),
            role: ParticipantType::read(
                &body
                    .opt_text("participantRole")
                    .or_else(|| body.opt_text("role"))
                    .unwrap_or_default(),
            ),
            number_of_participants: body.count("numberOfParticipants"),
            participants: participants(body),
        }),
        "istyping" => ServerFrame::IsTyping(AgentTyping {
            agent_id: AgentId::from_json(body.value("agentId")),
            display_name: body.text("displayName").into(),
            is_typing: body.flag("isTyping"),
        }),
        "newmessage" => ServerFrame::NewMessage(AgentMessage {
            message: body.text("message").into(),
            display_name: body.text("displayName").into(),
            timestamp_ms: body.opt_int("timestamp"),
            sender_type: body.opt_text("senderType").map(|s| SenderType::read(&s)),
        }),
        "newpushpagemessage" => ServerFrame::PushPage(PushPage::read(body)),
        "queuestatus" => ServerFrame::QueueStatus(QueueStatus {
            position_in_queue: body.opt_int("positionInQueue"),
            estimated_wait_time_s: body.opt_int("estimatedWaitTime"),
        }),
        "participantleave" => ServerFrame::ParticipantLeave(ParticipantLeave {
            agent_id: AgentId::from_json(body.value("agentId")),
            end_chat_flag: body.flag("endChatFlag"),
            number_of_participants: body.count("numberOfParticipants"),
            participants: participants(body),
            leave_reason: body.opt_text("leaveReason"),
        }),
        "closeconversation" => ServerFrame::CloseConversation {
            result: body.opt_bool("result").unwrap_or(true),
        },
        "routecancel" => ServerFrame::RouteCancel,
        "ping" => ServerFrame::Ping,
        "pong" => ServerFrame::Pong,
        "newagentfiletransfer" => ServerFrame::AgentFileTransfer(AgentFileTransfer {
            agent_name: body.text("agentName").into(),
            name: body.text("name").into(),
            uuid: body.text("uuid"),
            work_request_id: body.text("workRequestId"),
        }),
        _ => return None,
    })
}

fn participants(body: &Fields) -> Vec<Participant> {
    let read = |p: Fields| Participant {
        id: AgentId::from_json(p.value("id")),
        name: p.text("name").into(),
        kind: ParticipantType::read(&p.text("type")),
    };
    body.list("participants").map(read).collect()
}

fn write_participants(list: &[Participant]) -> Value {
    let write = |p: &Participant| {
        let mut v = json!({"name": &*p.name, "type": p.kind.as_str()});
        put_opt(&mut v, "id", p.id.as_ref().map(AgentId::to_json));
        v
    };
    list.iter().map(write).collect()
}

impl ChatAccepted {
    fn read(body: &Fields) -> Self {
        let groups = body.list("webOnHoldComfortGroups").map(|g| ComfortGroup {
            name: g.text("groupName"),
            delay_s: g.count("delay"),
            number_of_messages: g.count("numberOfMessages"),
            messages: g
                .list("messages")
                .map(|m| ComfortMessage {
                    message: m.text("message").into(),
                    sequence: m.count("sequence"),
                })
                .collect(),
        });
        let urls = body.list("webOnHoldURLs").map(|u| OnHoldUrls {
            tag: u.text("tag"),
            description: u.text("description"),
            hold_time_s: u.count("holdTime"),
            sequence: u.count("sequence"),
            urls: u.list("urls").map(|x| x.text("url")).collect(),
        });
        ChatAccepted {
            guid: Guid::from_json(body.value("guid")),
            authentication_key: body
                .opt_text("authenticationKey")
                .filter(|k| !k.is_empty())
                .map(AuthKey::new),
            intrinsics: body.object("intrinsics").map(|i| Intrinsics::read(&i)),
            comfort_groups: groups.collect(),
            on_hold_urls: urls.collect(),
        }
    }

    fn write(&self) -> Value {
        let group = |g: &ComfortGroup| {
            let message = |m: &ComfortMessage| json!({"message": &*m.message, "sequence": m.sequence});
            json!({
                "groupName": g.name, "delay": g.delay_s, "numberOfMessages": g.number_of_messages,
                "messages": g.messages.iter().map(message).collect::<Value>(),
            })
        };
        let on_hold = |u: &OnHoldUrls| {
            json!({
                "tag": u.tag, "description": u.description, "holdTime": u.hold_time_s, "sequence": u.sequence,
                "urls": u.urls.iter().map(|url| json!({"url": url})).collect::<Value>(),
            })
        };
        let mut v = json!({
            "webOnHoldComfortGroups": self.comfort_groups.iter().map(group).collect::<Value>(),
            "webOnHoldURLs": self.on_hold_urls.iter().map(on_hold).collect::<Value>(),
        });
        put_opt(&mut v, "guid", self.guid.as_ref().map(Guid::to_json));
        put_opt(
            &mut v,
            "authenticationKey",
            self.authentication_key.as_ref().map(AuthKey::expose),
        );
        put_opt(
            &mut v,
            "intrinsics",
            self.intrinsics.as_ref().map(Intrinsics::write_echo),
        );
        v
    }
}

impl NewParticipant {
    fn write(&self) -> Value {
        let mut v = json!({
            "displayName": &*self.display_name, "participantRole": self.role.as_str(),
            "numberOfParticipants": self.number_of_participants,
            "participants": write_participants(&self.participants),
        });
        put_opt(&mut v, "agentId", self.agent_id.as_ref().map(AgentId::to_json));
        v
    }
}

impl ParticipantLeave {
    fn write(&self) -> Value {
        let mut v = json!({
            "endChatFlag": self.end_chat_flag, "numberOfParticipants": self.number_of_participants,
            "participants": write_participants(&self.participants),
        });
        put_opt(&mut v, "agentId", self.agent_id.as_ref().map(AgentId::to_json));
        put_opt(&mut v, "leaveReason", self.leave_reason.as_deref());
        v
    }
}

impl PushPage {
    pub(super) fn read(f: &Fields) -> Self {
        PushPage {
            display_name: f.text("displayName").into(),
            url: f.text("pagePushURL").into(),
            destination: f.text("pagePushDestination"),
            timestamp_ms: f.opt_int("timestamp"),
            message: f.opt_text("message").map(Private::from),
        }
    }

    pub(super) fn write(&self) -> Value {
        let mut v = json!({"pagePushURL": &*self.url, "pagePushDestination": self.destination});
        if !self.display_name.is_empty() {
            v["displayName"] = (*self.display_name).into();
        }
        put_opt(&mut v, "timestamp", self.timestamp_ms);
        put_opt(&mut v, "message", self.message.as_deref());
        v
    }
}
