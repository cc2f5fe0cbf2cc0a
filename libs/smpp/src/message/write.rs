//! Texts become PDUs.

use super::{Addr, Concatenation, Style};
use crate::coding::Coding;
use ccm_sms_text::{
    gsm::Alphabet,
    segments::{self, Encoding as Segmented},
    udh::{self, Header, Reference},
};
use rusmpp::{
    Pdu,
    pdus::{DeliverSm, SubmitSm},
    tlvs::{MessageDeliveryRequestTlvValue, MessageSubmissionRequestTlvValue},
    types::{AnyOctetString, OctetString},
    values::{DataCoding, EsmClass, MessagePayload, Npi, RegisteredDelivery, Ton},
};

/// `esm_class`: the user data begins with a header (section 5.2.12).
pub(super) const UDHI: u8 = 0x40;
/// Octets of user data in one SMS.
const OCTETS: usize = 140;
/// Octets of a `message_payload`.
const LONGEST_PAYLOAD: usize = 0xffff;

/// A text takes more than can be numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text takes more than 255 parts; send it as several")]
pub struct TooLong;

/// One PDU of a text.
#[derive(Clone, PartialEq, Eq)]
pub struct Part {
    data_coding: u8,
    /// The user data header; empty if there is none.
    udh: Vec<u8>,
    octets: Vec<u8>,
    sar: Option<(u16, u8, u8)>,
    in_payload: bool,
}

/// Lengths only: texts are not shown.
impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (coding, octets) = (self.data_coding, self.octets.len());
        write!(f, "Part(data_coding {coding:#04x}, {octets} octets)")
    }
}

/// The parts that a text is sent in; 1 for most. `reference`: the parts of other texts to the same phone have another one.
pub fn split(text: &str, style: &Style, reference: u16) -> Result<Vec<Part>, TooLong> {
    let coding = Coding::of(text, style.encoding, style.default_alphabet);
    let part = |octets: Vec<u8>| Part {
        data_coding: coding.data_coding(),
        udh: Vec::new(),
        octets,
        sar: None,
        in_payload: false,
    };
    let whole = coding.encode(text);
    if whole.len() <= single(coding) {
        return Ok(vec![part(whole)]);
    }
    let (reference, width) = match style.concatenation {
        Concatenation::Payload if whole.len() <= LONGEST_PAYLOAD => {
            return Ok(vec![Part {
                in_payload: true,
                ..part(whole)
            }]);
        }
        Concatenation::Payload => return Err(TooLong),
        Concatenation::Udh8 => (Reference::Eight(reference.to_be_bytes()[1]), 6),
        // Its parts become parts with a header on the way to the phone.
        Concatenation::Sar | Concatenation::Udh16 => (Reference::Sixteen(reference), 7),
    };
    let pieces = cut(text, coding, reference, OCTETS - width)?;
    let total = u8::try_from(pieces.len()).map_err(|_| TooLong)?;
    let parts = (1..=total).zip(pieces).map(|(number, octets)| match reference {
        Reference::Sixteen(reference) if style.concatenation == Concatenation::Sar => Part {
            sar: Some((reference, total, number)),
            ..part(octets)
        },
        _ => {
            let place = udh::Concatenation {
                reference,
                total,
                number,
            };
            let header = Header {
                part: Some(place),
                ..Header::default()
            };
            Part {
                udh: header.build(),
                ..part(octets)
            }
        }
    });
    Ok(parts.collect())
}

/// Octets that one SMS has room for, as they stand in the PDU: GSM's septets are packed only later.
fn single(coding: Coding) -> usize {
    match coding {
        Coding::Gsm7 => OCTETS * 8 / 7,
        Coding::Octets(_) | Coding::Ucs2 => OCTETS,
    }
}

/// Cut where texts are counted and billed, where that is known of this coding; else between characters.
fn cut(text: &str, coding: Coding, reference: Reference, room: usize) -> Result<Vec<Vec<u8>>, TooLong> {
    let parts = segments::split(text, reference, Alphabet::default()).map_err(|_| TooLong)?;
    let counted = match coding {
        Coding::Gsm7 => Segmented::Gsm7,
        Coding::Ucs2 => Segmented::Ucs2,
        Coding::Octets(_) => return Ok(coding.encode(text).chunks(room).map(<[u8]>::to_vec).collect()),
    };
    if parts.first().is_some_and(|part| part.encoding == counted) {
        return Ok(parts.into_iter().map(|part| part.payload).collect());
    }
    let mut pieces = vec![Vec::new()];
    for c in text.chars() {
        let octets = coding.encode(c.encode_utf8(&mut [0; 4]));
        if pieces.last().is_none_or(|last| last.len() + octets.len() > room) {
            pieces.push(Vec::new());
        }
        pieces.last_mut().expect("it begins with one").extend(octets);
    }
    Ok(pieces)
}

/// Both PDUs hold a text in the same parameters.
macro_rules! text_pdu {
    ($part:ident, $pdu:ident, $tlv:ident, $from:ident, $to:ident, $esm_class:expr) => {{
        let user_data = [$part.udh.as_slice(), &$part.octets].concat();
        let mut pdu = $pdu::builder()
            .source_addr_ton(Ton::from($from.ton))
            .source_addr_npi(Npi::from($from.npi))
            .source_addr($from.octets())
            .dest_addr_ton(Ton::from($to.ton))
            .dest_addr_npi(Npi::from($to.npi))
            .destination_addr($to.octets())
            // rusmpp's default is that of a delivery acknowledgement.
            .esm_class(EsmClass::from(
                $esm_class | if $part.udh.is_empty() { 0 } else { UDHI },
            ))
            .data_coding(DataCoding::from($part.data_coding))
            .build();
        if $part.in_payload {
            let payload = MessagePayload::new(AnyOctetString::from_vec(user_data));
            pdu.push_tlv($tlv::MessagePayload(payload));
        } else {
            pdu.set_short_message(OctetString::from_vec(user_data).expect("a part fits into an SMS"));
        }
        if let Some((reference, total, number)) = $part.sar {
            pdu.push_tlv($tlv::SarMsgRefNum(reference));
            pdu.push_tlv($tlv::SarTotalSegments(total));
            pdu.push_tlv($tlv::SarSegmentSeqnum(number));
        }
        pdu
    }};
}

impl Part {
    /// As an ESME sends it; `receipt`: tell what becomes of it.
    pub fn submit(&self, from: &Addr, to: &Addr, receipt: bool) -> Pdu {
        let mut pdu = text_pdu!(self, SubmitSm, MessageSubmissionRequestTlvValue, from, to, 0);
        pdu.registered_delivery = RegisteredDelivery::from(u8::from(receipt));
        pdu.into()
    }

    /// As a message centre sends it.
    pub fn deliver(&self, from: &Addr, to: &Addr) -> Pdu {
        text_pdu!(self, DeliverSm, MessageDeliveryRequestTlvValue, from, to, 0).into()
    }

    /// A receipt's words, as a message centre sends them.
    pub(super) fn receipt(words: &str, from: &Addr, to: &Addr) -> DeliverSm {
        let part = Self {
            data_coding: 0,
            udh: Vec::new(),
            octets: words.bytes().take(254).collect(),
            sar: None,
            in_payload: false,
        };
        text_pdu!(
            part,
            DeliverSm,
            MessageDeliveryRequestTlvValue,
            from,
            to,
            super::receipt::RECEIPT
        )
    }
}
