//! What a customer side sends.

use serde_json::{Value, json};

use super::field::{AuthKey, Guid, Private};
use super::value::{Envelope, Fields, envelope};
use super::{FrameError, PushPage};

/// A frame from the customer's side to AACC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientFrame {
    RequestChat(RequestChat),
    NewMessage {
        message: Private,
    },
    /// The reference client only ever sends `true`.
    IsTyping {
        is_typing: bool,
    },
    QueueStatus,
    PushPage(PushPage),
    CloseConversation,
    Ping,
    /// The later generation's way to resume; AACC 7.x resumes with [`RequestChat`].
    RenewChat(RenewChat),
    Unknown {
        kind: String,
        method: String,
    },
}

/// Opens a chat, or resumes one when `guid` and `authentication_key` are those of an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestChat {
    pub guid: Option<Guid>,
    pub authentication_key: Option<AuthKey>,
    /// User-agent text.
    pub device_type: String,
    pub request_transcript: bool,
    /// `None` from clients that leave them out when resuming; ours sends all of them always.
    pub intrinsics: Option<Intrinsics>,
}

/// Who the customer is and which skillset is asked for. Any text may be empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Intrinsics {
    pub email: Private,
    pub name: Private,
    /// With its plus: `+353`.
    pub country: String,
    pub area: Private,
    pub phone_number: Private,
    pub skillset: String,
    /// Left out of the frame when empty.
    pub custom_fields: Vec<CustomField>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomField {
    pub title: String,
    pub value: Private,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RenewChat {
    pub guid: Option<Guid>,
    pub authentication_key: Option<AuthKey>,
    pub request_full_transcript: bool,
}

impl Intrinsics {
    pub(super) fn read(f: &Fields) -> Self {
        Intrinsics {
            email: f.text("email").into(),
            name: f.text("name").into(),
            country: f.text("country"),
            area: f.text("area").into(),
            phone_number: f.text("phoneNumber").into(),
            skillset: f.text("skillset"),
            custom_fields: f
                .list("customFields")
                .map(|c| CustomField {
                    title: c.text("title"),
                    value: c.text("value").into(),
                })
                .collect(),
        }
    }

    pub(super) fn write(&self) -> Value {
        let mut v = json!({
            "email": &*self.email, "name": &*self.name, "country": self.country, "area": &*self.area,
            "phoneNumber": &*self.phone_number, "skillset": self.skillset,
        });
        if !self.custom_fields.is_empty() {
            let list = self
                .custom_fields
                .iter()
                .map(|c| json!({"title": c.title, "value": &*c.value}));
            v["customFields"] = list.collect();
        }
        v
    }

    /// As AACC echoes them: without what was not given.
    pub(super) fn write_echo(&self) -> Value {
        let mut v = self.write();
        if let Some(fields) = v.as_object_mut() {
            fields.retain(|key, value| !matches!(key.as_str(), "country" | "area") || value != "");
        }
        v
    }
}

fn key_of(body: &Fields) -> Option<AuthKey> {
    body.opt_text("authenticationKey")
        .filter(|k| !k.is_empty())
        .map(AuthKey::new)
}

fn json_of(guid: &Option<Guid>, key: &Option<AuthKey>) -> Value {
    json!({
        "guid": guid.as_ref().map_or(Value::Null, Guid::to_json),
        "authenticationKey": key.as_ref().map(AuthKey::expose),
    })
}

impl ClientFrame {
    /// Reads what a customer side sent.
    pub fn parse(text: &str) -> Result<Self, FrameError> {
        let frame = Envelope::parse(text)?;
        let body = &frame.body;
        let unknown = || ClientFrame::Unknown {
            kind: frame.kind.clone(),
            method: frame.method.clone(),
        };
        if !frame.kind.eq_ignore_ascii_case("request") {
            return Ok(unknown());
        }
        Ok(match frame.method.to_ascii_lowercase().as_str() {
            "requestchat" => ClientFrame::RequestChat(RequestChat {
                guid: Guid::from_json(body.value("guid")),
                authentication_key: key_of(body),
                device_type: body.text("deviceType"),
                request_transcript: body.flag("requestTranscript"),
                intrinsics: body.object("intrinsics").map(|i| Intrinsics::read(&i)),
            }),
            "newmessage" => ClientFrame::NewMessage {
                message: body.text("message").into(),
            },
            "istyping" => ClientFrame::IsTyping {
                is_typing: body.flag("isTyping"),
            },
            "queuestatus" => ClientFrame::QueueStatus,
            "newpushpagemessage" => ClientFrame::PushPage(PushPage::read(body)),
            "closeconversation" => ClientFrame::CloseConversation,
            "ping" => ClientFrame::Ping,
            "renewchat" => ClientFrame::RenewChat(RenewChat {
                guid: Guid::from_json(body.value("guid")),
                authentication_key: key_of(body),
                request_full_transcript: body.flag("requestFullTranscript"),
            }),
            _ => unknown(),
        })
    }

    /// Writes the frame as the reference client does (`queueStatus` carries its `apiVersion` as a number).
    pub fn encode(&self) -> String {
        let request = |method, fields| envelope("1.0".into(), "request", method, fields);
        match self {
            ClientFrame::RequestChat(r) => {
                let mut body = json_of(&r.guid, &r.authentication_key);
                body["deviceType"] = r.device_type.as_str().into();
                body["requestTranscript"] = r.request_transcript.into();
                if let Some(intrinsics) = &r.intrinsics {
                    body["intrinsics"] = intrinsics.write();
                }
                request("requestChat", body)
            }
            ClientFrame::NewMessage { message } => request("newMessage", json!({"message": &**message})),
            ClientFrame::IsTyping { is_typing } => request("isTyping", json!({"isTyping": is_typing})),
            ClientFrame::QueueStatus => envelope(1.0.into(), "request", "queueStatus", json!({})),
            ClientFrame::PushPage(page) => request("newPushPageMessage", page.write()),
            ClientFrame::CloseConversation => request("closeConversation", json!({})),
            ClientFrame::Ping => request("ping", json!({})),
            ClientFrame::RenewChat(r) => {
                let mut body = json_of(&r.guid, &r.authentication_key);
                body["requestFullTranscript"] = r.request_full_transcript.into();
                request("renewChat", body)
            }
            ClientFrame::Unknown { kind, method } => envelope("1.0".into(), kind, method, json!({})),
        }
    }
}
