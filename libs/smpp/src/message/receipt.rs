//! Delivery receipts, in words (SMPP 3.4 appendix B) and in optional parameters (sections 5.3.2.12, 5.3.2.31, 5.3.2.35).

use super::{Addr, MessageState, write::Part};
use rusmpp::{
    Pdu,
    tlvs::{MessageDeliveryRequestTlvValue, Tlv, TlvValue},
    types::COctetString,
    values::NetworkErrorCode,
};

/// `esm_class`: a receipt (section 5.2.12).
pub(super) const RECEIPT: u8 = 0x04;
/// One before the last word.
pub(super) const INTERMEDIATE: u8 = 0x20;

/// What became of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// As it stands there: [`super::MessageIds`].
    pub message_id: String,
    pub state: MessageState,
    /// The network's name of the failure, where there is one: `network_error_code` as `3/34` (GSM's 34), else `err:`.
    pub error: Option<String>,
}

/// What a receipt's words say.
#[derive(Debug, Default)]
struct Words {
    id: Option<String>,
    state: Option<MessageState>,
    error: Option<String>,
}

const LONGEST_ID: usize = 65;

impl Receipt {
    /// Of a receipt's words and parameters; the parameters count where both say something. `None`: it does not say of which text
    /// it is.
    pub(super) fn read(words: &str, tlvs: &[Tlv]) -> Option<Self> {
        let words = read_words(words);
        let (mut id, mut state, mut error) = (None, None, None);
        for tlv in tlvs {
            match tlv.value() {
                Some(TlvValue::ReceiptedMessageId(value)) => id = Some(value.as_str().trim().to_owned()),
                Some(TlvValue::MessageState(value)) => state = Some(*value),
                Some(TlvValue::NetworkErrorCode(code)) if code.error_code != 0 => {
                    error = Some(format!("{}/{}", u8::from(code.network_type), code.error_code));
                }
                _ => {}
            }
        }
        Some(Self {
            message_id: id.filter(|id| !id.is_empty()).or(words.id)?,
            state: state.or(words.state).unwrap_or(MessageState::Unknown),
            error: error.or(words.error),
        })
    }

    /// As a message centre sends it: in words, or with parameters beside them. `from` is the phone.
    pub fn deliver(&self, from: &Addr, to: &Addr, in_tlvs: bool) -> Pdu {
        let delivered = u8::from(self.state == MessageState::Delivered);
        let words = format!(
            "id:{} sub:001 dlvrd:00{delivered} submit date:2601010000 done date:2601010000 stat:{} err:{} text:",
            self.message_id,
            state_name(self.state),
            self.error.as_deref().unwrap_or("000"),
        );
        let mut pdu = Part::receipt(if in_tlvs { "" } else { &words }, from, to);
        if in_tlvs {
            let id: COctetString<1, 65> = self.message_id.parse().unwrap_or_default();
            pdu.push_tlv(MessageDeliveryRequestTlvValue::ReceiptedMessageId(id));
            pdu.push_tlv(MessageDeliveryRequestTlvValue::MessageState(self.state));
            if let Some(code) = self.error.as_ref().and_then(|error| error.parse().ok()) {
                let code = NetworkErrorCode::new(3.into(), code);
                pdu.push_tlv(MessageDeliveryRequestTlvValue::NetworkErrorCode(code));
            }
        }
        pdu.into()
    }
}

/// The specification's names (appendix B), and for what it has none (5.0).
const STATES: &[(&str, MessageState)] = &[
    ("SCHEDULED", MessageState::Scheduled),
    ("ENROUTE", MessageState::Enroute),
    ("DELIVRD", MessageState::Delivered),
    ("EXPIRED", MessageState::Expired),
    ("DELETED", MessageState::Deleted),
    ("UNDELIV", MessageState::Undeliverable),
    ("ACCEPTD", MessageState::Accepted),
    ("UNKNOWN", MessageState::Unknown),
    ("REJECTD", MessageState::Rejected),
    ("SKIPPED", MessageState::Skipped),
];

/// Other message centres' names, by how they begin.
const DIALECTS: &[(&str, MessageState)] = &[
    ("DELIV", MessageState::Delivered),
    ("DELET", MessageState::Deleted),
    ("UNDELIV", MessageState::Undeliverable),
    ("UNDLV", MessageState::Undeliverable),
    ("FAIL", MessageState::Undeliverable),
    ("EXPIR", MessageState::Expired),
    ("ACCEPT", MessageState::Accepted),
    ("ACK", MessageState::Accepted),
    ("REJECT", MessageState::Rejected),
    ("BUFF", MessageState::Enroute),
    ("ENROUTE", MessageState::Enroute),
    ("EN_ROUTE", MessageState::Enroute),
    ("PEND", MessageState::Enroute),
    ("SCHED", MessageState::Scheduled),
    ("SKIP", MessageState::Skipped),
    ("CANCEL", MessageState::Deleted),
];

/// A state as receipts write it.
pub fn state_name(state: MessageState) -> &'static str {
    STATES
        .iter()
        .find(|(_, of)| *of == state)
        .map_or("UNKNOWN", |(name, _)| name)
}

fn state_of(word: &str) -> MessageState {
    let word = word.to_ascii_uppercase();
    STATES
        .iter()
        .find(|(name, _)| *name == word)
        .or_else(|| DIALECTS.iter().find(|(begin, _)| word.starts_with(begin)))
        .map_or(MessageState::Unknown, |(_, state)| *state)
}

/// `id:… sub:… dlvrd:… submit date:… done date:… stat:… err:… text:…`, in any order and case, with whatever between them.
fn read_words(words: &str) -> Words {
    // What the customer was sent comes last, and may look like anything.
    let lower = words.to_ascii_lowercase();
    let end = find(&lower, "text").map_or(words.len(), |(key, _)| key);
    let field = |key: &str| {
        let (_, value) = find(&lower[..end], key)?;
        let value = words[value..end].trim_start();
        let value = value.split([' ', ',', ';', '\t', '\r', '\n', '\0']).next()?;
        (1..LONGEST_ID).contains(&value.len()).then(|| value.to_owned())
    };
    let error = field("err").or_else(|| field("error"));
    Words {
        id: field("id"),
        state: field("stat")
            .or_else(|| field("status"))
            .map(|word| state_of(&word)),
        error: error.filter(|error| error.bytes().any(|b| b != b'0') && error.is_ascii()),
    }
}

/// Where `key:` stands, with no letter before it, and where its value begins.
fn find(lower: &str, key: &str) -> Option<(usize, usize)> {
    lower.match_indices(key).find_map(|(at, _)| {
        let begins = !lower[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
        let rest = lower[at + key.len()..].trim_start_matches(' ');
        let value = rest.strip_prefix([':', '='])?;
        begins.then(|| (at, lower.len() - value.len()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dialects_of_receipts_are_read() {
        use MessageState::{Accepted, Delivered, Enroute, Expired, Rejected, Undeliverable, Unknown};
        for (words, id, state, error) in [
            (
                "id:0123456789 sub:001 dlvrd:001 submit date:2612010900 done date:2612010901 stat:DELIVRD err:000 text:Hello",
                "0123456789",
                Delivered,
                None,
            ),
            (
                "id:7f-A sub:001 dlvrd:000 stat:UNDELIV err:034 Text:id:9 stat:DELIVRD",
                "7f-A",
                Undeliverable,
                Some("034"),
            ),
            ("ID:1 STAT:EXPIRED ERR:1a", "1", Expired, Some("1a")),
            ("id: 1 stat: REJECTD err: 69", "1", Rejected, Some("69")),
            ("stat:ACCEPTD id:1", "1", Accepted, None),
            ("id:1 stat:Delivered", "1", Delivered, None),
            ("id:1 stat:UNDELIVERABLE", "1", Undeliverable, None),
            ("id:1 stat:FAILED err:5", "1", Undeliverable, Some("5")),
            ("id:1 stat:BUFFRED", "1", Enroute, None),
            ("id:1 stat:ENROUTE", "1", Enroute, None),
            ("id:1 stat:whatever", "1", Unknown, None),
            ("id:1", "1", Unknown, None),
            ("id=1,status=DELIVRD,error=0", "1", Delivered, None),
            ("id:1\r\nstat:DELIVRD\0", "1", Delivered, None),
            ("msgid:8 id:1 stat:DELIVRD", "1", Delivered, None),
            ("sub:001 id:1 text: stat:DELIVRD", "1", Unknown, None),
        ] {
            let receipt = Receipt::read(words, &[]).unwrap_or_else(|| panic!("{words}"));
            assert_eq!(
                (
                    receipt.message_id.as_str(),
                    receipt.state,
                    receipt.error.as_deref()
                ),
                (id, state, error),
                "{words}"
            );
        }
        for none in [
            "",
            "hello",
            "stat:DELIVRD",
            "id:",
            "paid:1",
            "text:id:1 stat:DELIVRD",
        ] {
            assert_eq!(Receipt::read(none, &[]), None, "{none}");
        }
    }

    #[test]
    fn parameters_count_before_words() {
        let tlvs = [
            Tlv::new(TlvValue::ReceiptedMessageId("77".parse().unwrap())),
            Tlv::new(TlvValue::MessageState(MessageState::Expired)),
            Tlv::new(TlvValue::NetworkErrorCode(NetworkErrorCode::new(3.into(), 34))),
        ];
        let receipt = Receipt::read("id:1 stat:DELIVRD err:001", &tlvs).unwrap();
        assert_eq!(receipt.message_id, "77");
        assert_eq!(receipt.state, MessageState::Expired);
        assert_eq!(receipt.error.as_deref(), Some("3/34"));
        let only = Receipt::read("", &tlvs[..1]).unwrap();
        assert_eq!((only.state, only.error), (MessageState::Unknown, None));
    }
}
