//! How an AACC writes its frames. The protocol's page names the variants; the default is what 7.x writes.

use ccm_ewc_proto::frame::ServerFrame;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Variants of AACC's frames that clients of real servers have met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dialect {
    /// How `apiVersion` is written.
    pub api_version: ApiVersion,
    /// `guid` as `"62"` in place of `62` [D].
    pub guid_as_string: bool,
    /// `agentId` and `participants[].id` as numbers, where they are digits.
    pub agent_id_as_number: bool,
    /// Pings are answered with `pong`.
    pub pong: bool,
    /// Acknowledgements say `accepted` in place of `result`.
    pub accepted: bool,
    /// `participantRole` in place of `role`.
    pub participant_role: bool,
    /// Methods in lower case (`newmessage` was seen).
    pub lower_case: bool,
    /// A `newChatAcknowledgement` goes before the answer to `requestChat`.
    pub new_chat_acknowledgement: bool,
}

/// The ways of writing version 1.0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApiVersion {
    /// `"1.0"`
    #[default]
    Text,
    /// `1.0`
    Number,
    /// `1`
    Integer,
}

impl Dialect {
    pub(crate) fn encode(&self, frame: &ServerFrame) -> String {
        let frame = match frame {
            ServerFrame::Ping if self.pong => &ServerFrame::Pong,
            frame => frame,
        };
        let written = frame.encode();
        if *self == Dialect::default() {
            return written;
        }
        match serde_json::from_str(&written) {
            Ok(frame) => self.rewrite(frame).to_string(),
            Err(_) => written,
        }
    }

    fn rewrite(&self, mut frame: Value) -> Value {
        match self.api_version {
            ApiVersion::Text => {}
            ApiVersion::Number => frame["apiVersion"] = json!(1.0),
            ApiVersion::Integer => frame["apiVersion"] = json!(1),
        }
        let Some(body) = frame["body"].as_object_mut() else {
            return frame;
        };
        if self.guid_as_string
            && let Some(guid) = body.get_mut("guid").filter(|g| g.is_number())
        {
            *guid = json!(guid.to_string());
        }
        if self.agent_id_as_number {
            body.get_mut("agentId").into_iter().for_each(to_number);
            let participants = body.get_mut("participants").and_then(Value::as_array_mut);
            for participant in participants.into_iter().flatten() {
                participant.get_mut("id").into_iter().for_each(to_number);
            }
        }
        rename(body, self.accepted, "result", "accepted");
        rename(body, self.participant_role, "role", "participantRole");
        if self.lower_case
            && let Some(Value::String(method)) = body.get_mut("method")
        {
            method.make_ascii_lowercase();
        }
        frame
    }
}

fn to_number(id: &mut Value) {
    if let Some(number) = id.as_str().and_then(|id| id.parse::<u64>().ok()) {
        *id = json!(number);
    }
}

fn rename(body: &mut serde_json::Map<String, Value>, wanted: bool, from: &str, to: &str) {
    if wanted && let Some(value) = body.remove(from) {
        body.insert(to.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ccm_ewc_proto::frame::{ChatAccepted, Guid};

    #[test]
    fn frames_are_written_in_every_way() {
        let dialect = Dialect {
            api_version: ApiVersion::Integer,
            guid_as_string: true,
            accepted: true,
            pong: true,
            lower_case: true,
            ..Dialect::default()
        };
        let accepted = ServerFrame::RequestChat(ChatAccepted {
            guid: Some(Guid::number(62)),
            ..ChatAccepted::default()
        });
        let written: Value = serde_json::from_str(&dialect.encode(&accepted)).unwrap();
        assert_eq!(written["apiVersion"], json!(1));
        assert_eq!(
            (&written["body"]["guid"], &written["body"]["method"]),
            (&json!("62"), &json!("requestchat"))
        );
        let ack = ServerFrame::Acknowledgement {
            method: "newMessage".into(),
            result: true,
        };
        let written: Value = serde_json::from_str(&dialect.encode(&ack)).unwrap();
        assert_eq!(written["body"], json!({"method": "newmessage", "accepted": true}));
        assert!(dialect.encode(&ServerFrame::Ping).contains("\"pong\""));
        assert_eq!(Dialect::default().encode(&ack), ack.encode());
    }
}
