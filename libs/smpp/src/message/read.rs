//! PDUs become texts and receipts.

use super::{
    Addr, Receipt, Style,
    receipt::{INTERMEDIATE, RECEIPT},
    write::UDHI,
};
use crate::coding;
use ccm_sms_text::{
    gsm::Alphabet,
    parts::Piece,
    udh::{Header, Reference},
};
use rusmpp::{
    Pdu,
    tlvs::{Tlv, TlvValue},
};

/// What message type `esm_class` names.
const MESSAGE_TYPE: u8 = 0x3c;

/// What a `deliver_sm`, `data_sm` or `submit_sm` brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    pub from: Addr,
    pub to: Addr,
    pub content: Content,
    /// Whether its sender wants to be told what becomes of it.
    pub wants_receipt: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// What stands in it, undecoded where its other parts may hold the rest of a character.
    Text {
        piece: Piece,
        segment: Option<Segment>,
    },
    Receipt(Receipt),
    /// A phone's own acknowledgement (`esm_class` 0x08 and 0x10), or a receipt of no text: nothing to keep.
    Nothing,
}

/// Which part of a longer text it is: 1 ≤ `number` ≤ `total`, and 2 ≤ `total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Of 8 bits where it is below 256, as the parts' own headers have it.
    pub reference: u16,
    pub total: u8,
    pub number: u8,
}

/// A PDU that carries no text, or nothing at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the PDU carries no text")]
pub struct Unreadable;

struct Fields<'a> {
    from: Addr,
    to: Addr,
    esm_class: u8,
    data_coding: u8,
    registered: u8,
    short_message: &'a [u8],
    tlvs: &'a [Tlv],
}

macro_rules! fields {
    ($pdu:ident, $short_message:expr) => {
        Fields {
            from: Addr {
                ton: $pdu.source_addr_ton.into(),
                npi: $pdu.source_addr_npi.into(),
                value: $pdu.source_addr.as_str().to_owned(),
            },
            to: Addr {
                ton: $pdu.dest_addr_ton.into(),
                npi: $pdu.dest_addr_npi.into(),
                value: $pdu.destination_addr.as_str().to_owned(),
            },
            esm_class: $pdu.esm_class.into(),
            data_coding: $pdu.data_coding.into(),
            registered: $pdu.registered_delivery.into(),
            short_message: $short_message,
            tlvs: $pdu.tlvs(),
        }
    };
}

/// What a PDU brings.
pub fn read(pdu: &Pdu, style: &Style) -> Result<Received, Unreadable> {
    let fields = match pdu {
        Pdu::DeliverSm(sm) => fields!(sm, sm.short_message().as_ref()),
        Pdu::SubmitSm(sm) => fields!(sm, sm.short_message().as_ref()),
        Pdu::DataSm(sm) => fields!(sm, &[]),
        _ => return Err(Unreadable),
    };
    let content = content(&fields, style);
    Ok(Received {
        from: fields.from,
        to: fields.to,
        content,
        wants_receipt: fields.registered & 0x03 != 0,
    })
}

fn content(fields: &Fields<'_>, style: &Style) -> Content {
    let user_data = match payload(fields.tlvs) {
        Some(payload) if fields.short_message.is_empty() => payload,
        _ => fields.short_message,
    };
    let (header, octets) = header(fields.esm_class, user_data);
    let piece = coding::decode(
        fields.data_coding,
        octets,
        header.map_or(Alphabet::default(), |header| header.alphabet),
        style.default_alphabet,
        style.ia5,
    );
    // A receipt that is not marked as one is known by its parameter alone: words like its own can come from any phone.
    let unmarked = fields
        .tlvs
        .iter()
        .any(|tlv| matches!(tlv.value(), Some(TlvValue::ReceiptedMessageId(_))));
    match fields.esm_class & MESSAGE_TYPE {
        RECEIPT | INTERMEDIATE => {}
        0 if unmarked => {}
        0 => {
            let segment = header.and_then(segment_of).or_else(|| sar(fields.tlvs));
            return Content::Text { piece, segment };
        }
        _ => return Content::Nothing,
    }
    Receipt::read(&piece.text(), fields.tlvs).map_or(Content::Nothing, Content::Receipt)
}

fn payload(tlvs: &[Tlv]) -> Option<&[u8]> {
    tlvs.iter().find_map(|tlv| match tlv.value() {
        Some(TlvValue::MessagePayload(payload)) => Some(payload.value.as_ref()),
        _ => None,
    })
}

/// A header that cannot be read leaves the text behind it, where one can tell where it begins.
fn header(esm_class: u8, user_data: &[u8]) -> (Option<Header>, &[u8]) {
    if esm_class & UDHI == 0 {
        return (None, user_data);
    }
    match Header::parse(user_data) {
        Ok((header, length)) => (Some(header), &user_data[length..]),
        Err(_) => {
            let behind = user_data.first().map_or(0, |length| usize::from(*length) + 1);
            (None, user_data.get(behind..).unwrap_or(user_data))
        }
    }
}

fn segment_of(header: Header) -> Option<Segment> {
    let part = header.part.filter(|part| part.total >= 2)?;
    Some(Segment {
        reference: match part.reference {
            Reference::Eight(reference) => reference.into(),
            Reference::Sixteen(reference) => reference,
        },
        total: part.total,
        number: part.number,
    })
}

fn sar(tlvs: &[Tlv]) -> Option<Segment> {
    let (mut reference, mut total, mut number) = (None, None, None);
    for tlv in tlvs {
        match tlv.value() {
            Some(TlvValue::SarMsgRefNum(value)) => reference = Some(*value),
            Some(TlvValue::SarTotalSegments(value)) => total = Some(*value),
            Some(TlvValue::SarSegmentSeqnum(value)) => number = Some(*value),
            _ => {}
        }
    }
    let (reference, total, number) = (reference?, total?, number?);
    (total >= 2 && (1..=total).contains(&number)).then_some(Segment {
        reference,
        total,
        number,
    })
}
