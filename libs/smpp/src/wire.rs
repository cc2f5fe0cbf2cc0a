//! Octets become PDUs and PDUs octets (SMPP 3.4 section 3.2). rusmpp knows what is in them; where one ends is found here, so
//! that a PDU that nobody can read is answered under its own number and costs the session nothing else.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use rusmpp::{
    Command, CommandId, CommandStatus,
    decode::DecodeWithLength,
    encode::{Length, owned::Encode},
};

/// `command_length`, `command_id`, `command_status`, `sequence_number`.
pub const HEADER: usize = 16;

/// What a peer sent.
#[derive(Clone, PartialEq, Eq)]
pub enum Frame {
    Pdu(Box<Command>),
    /// Its header is one, its body none.
    Broken(Broken),
}

/// A PDU whose body cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken {
    pub id: CommandId,
    pub status: CommandStatus,
    pub sequence: u32,
}

/// The peer names a length that no PDU has. What follows cannot be told apart: the connection is of no more use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the peer sent a PDU of {length} octets; 16 to {most} can be")]
pub struct BadLength {
    pub length: u32,
    pub most: usize,
}

/// Gathers octets until they are a PDU.
pub struct Reader {
    buffer: BytesMut,
    most: usize,
}

impl Reader {
    /// `most`: octets of the longest PDU that is read.
    pub fn new(most: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            most,
        }
    }

    pub fn push(&mut self, octets: &[u8]) {
        self.buffer.extend_from_slice(octets);
    }

    /// The next PDU; `None` until all of it is here.
    pub fn read(&mut self) -> Result<Option<Frame>, BadLength> {
        let Some(mut length) = self.buffer.get(..4) else {
            return Ok(None);
        };
        let length = length.get_u32();
        let octets = usize::try_from(length)
            .ok()
            .filter(|octets| (HEADER..=self.most).contains(octets))
            .ok_or(BadLength {
                length,
                most: self.most,
            })?;
        if self.buffer.len() < octets {
            return Ok(None);
        }
        let mut pdu = self.buffer.split_to(octets);
        pdu.advance(4);
        Ok(Some(frame(&pdu)))
    }
}

/// A PDU's octets.
pub fn encode(command: &Command) -> Bytes {
    let length = 4 + command.length();
    let mut octets = BytesMut::with_capacity(length);
    octets.put_u32(u32::try_from(length).expect("no PDU of ours is that long"));
    command.encode(&mut octets);
    octets.freeze()
}

/// `pdu`: all but its length, at least the rest of the header.
fn frame(pdu: &[u8]) -> Frame {
    let strict = |octets: &[u8]| Command::decode(&mut BytesMut::from(octets), octets.len()).ok();
    let command = strict(pdu)
        .or_else(|| strict(&lenient::mend(pdu)?))
        .map(|(command, _)| command);
    command.map_or_else(
        || {
            let mut header = pdu;
            Frame::Broken(Broken {
                id: CommandId::from(header.get_u32()),
                status: CommandStatus::from(header.get_u32()),
                sequence: header.get_u32(),
            })
        },
        |command| Frame::Pdu(Box::new(command)),
    )
}

/// Real message centres send what the specification forbids: parameters without their end, of another length, in other
/// alphabets. What is not understood is left out, for the sake of the text beside it.
mod lenient {
    use super::{Buf, BufMut, BytesMut, CommandId, DecodeWithLength};
    use rusmpp::tlvs::Tlv;

    /// What a mandatory part consists of.
    #[derive(Clone, Copy)]
    enum Field {
        Text,
        /// One that says nothing where it stands: `schedule_delivery_time` and `validity_period` of a `deliver_sm` (section
        /// 4.6.1) are NULL.
        Unused,
        Octets(usize),
        /// A length and so many octets.
        Counted,
    }

    const RECEIPTED_MESSAGE_ID: u16 = 0x001e;

    fn layout(id: CommandId) -> &'static [Field] {
        use Field::{Counted, Octets, Text, Unused};
        match id {
            CommandId::DeliverSm => &[
                Text,
                Octets(2),
                Text,
                Octets(2),
                Text,
                Octets(3),
                Unused,
                Unused,
                Octets(4),
                Counted,
            ],
            CommandId::SubmitSm => &[
                Text,
                Octets(2),
                Text,
                Octets(2),
                Text,
                Octets(3),
                Text,
                Text,
                Octets(4),
                Counted,
            ],
            CommandId::DataSm => &[Text, Octets(2), Text, Octets(2), Text, Octets(3)],
            CommandId::SubmitSmResp
            | CommandId::DeliverSmResp
            | CommandId::DataSmResp
            | CommandId::BindReceiverResp
            | CommandId::BindTransmitterResp
            | CommandId::BindTransceiverResp => &[Text],
            _ => &[],
        }
    }

    /// The same PDU without what cannot be read. `None` if its mandatory part is not all there, or it is none that matters.
    pub fn mend(pdu: &[u8]) -> Option<BytesMut> {
        let (header, mut rest) = pdu.split_at_checked(12)?;
        let layout = layout(CommandId::from((&header[..4]).get_u32()));
        if layout.is_empty() {
            return None;
        }
        let mut mended = BytesMut::from(header);
        for field in layout {
            match *field {
                Field::Text | Field::Unused => {
                    let end = rest.iter().position(|octet| *octet == 0)?;
                    if matches!(field, Field::Text) {
                        let visible = |octet: &u8| if octet.is_ascii() { *octet } else { b'?' };
                        mended.extend(rest[..end].iter().map(visible));
                    }
                    mended.put_u8(0);
                    rest = &rest[end + 1..];
                }
                Field::Octets(count) => {
                    let (octets, after) = rest.split_at_checked(count)?;
                    mended.extend_from_slice(octets);
                    rest = after;
                }
                Field::Counted => {
                    let (octets, after) = rest.split_at_checked(1 + usize::from(*rest.first()?))?;
                    mended.extend_from_slice(octets);
                    rest = after;
                }
            }
        }
        optional(rest, &mut mended);
        Some(mended)
    }

    fn optional(mut rest: &[u8], mended: &mut BytesMut) {
        while rest.len() >= 4 {
            let (tag, length) = (rest.get_u16(), usize::from(rest.get_u16()));
            let Some((value, after)) = rest.split_at_checked(length) else {
                return;
            };
            rest = after;
            let ended: &[u8] = match value.last() {
                Some(last) if tag == RECEIPTED_MESSAGE_ID && *last != 0 => &[0],
                _ => &[],
            };
            let mut tlv = BytesMut::new();
            tlv.put_u16(tag);
            tlv.put_u16((value.len() + ended.len()) as u16);
            tlv.extend_from_slice(value);
            tlv.extend_from_slice(ended);
            if readable(&tlv) {
                mended.extend_from_slice(&tlv);
            }
        }
    }

    /// Whether it is one that this knows, and takes all of its octets.
    fn readable(tlv: &[u8]) -> bool {
        Tlv::decode(&mut BytesMut::from(tlv), tlv.len()).is_ok_and(|(_, taken)| taken == tlv.len())
    }
}

#[cfg(test)]
mod tests;
