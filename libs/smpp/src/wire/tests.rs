use super::*;
use proptest::prelude::*;
use rusmpp::{
    Pdu,
    pdus::{DeliverSm, SubmitSm, SubmitSmResp},
    tlvs::{MessageDeliveryRequestTlvValue, TlvValue},
    types::OctetString,
    values::{DataCoding, EsmClass, Ton},
};

fn read_all(octets: &[u8]) -> Vec<Frame> {
    let mut reader = Reader::new(10_000);
    reader.push(octets);
    let frames = std::iter::from_fn(|| reader.read().expect("lengths are right"));
    frames.collect()
}

fn only(octets: &[u8]) -> Command {
    match read_all(octets).as_slice() {
        [Frame::Pdu(command)] => (**command).clone(),
        [Frame::Broken(broken)] => panic!("{broken:?}"),
        frames => panic!("{} frames", frames.len()),
    }
}

/// A PDU of these parameters.
fn pdu(id: u32, body: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    for field in [16 + body.len() as u32, id, 0, 7] {
        octets.put_u32(field);
    }
    octets.extend_from_slice(body);
    octets
}

const DELIVER_SM: u32 = 0x0000_0005;
const SUBMIT_SM_RESP: u32 = 0x8000_0004;

/// service_type to sm_length of a deliver_sm from 1999 to 72345.
const MANDATORY: &[u8] = b"\0\x01\x011999\0\x03\x0072345\0\0\0\0\0\0\0\0\x03\0\x02hi";

/// The example of SMPP 3.4 section 3.2.3 (its octets are those of 5.0's 3.2.1 too).
#[test]
fn the_specifications_example_is_read_and_written() {
    let octets = b"\x00\x00\x00\x2F\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x01SMPP3TEST\0secret08\0SUBMIT1\0\x50\x01\x01\0";
    let command = only(octets);
    assert_eq!(command.sequence_number(), 1);
    let Some(Pdu::BindTransmitter(bind)) = command.pdu() else {
        panic!("it is a bind_transmitter");
    };
    assert_eq!(
        (bind.system_id.as_str(), bind.password.as_str()),
        ("SMPP3TEST", "secret08")
    );
    assert_eq!(encode(&command), octets.as_slice());
}

#[test]
fn a_pdu_comes_in_any_pieces() {
    let octets = [pdu(0x15, b""), pdu(DELIVER_SM, MANDATORY)].concat();
    let mut reader = Reader::new(1000);
    let mut read = 0;
    for octet in &octets {
        reader.push(&[*octet]);
        while reader.read().unwrap().is_some() {
            read += 1;
        }
    }
    assert_eq!(read, 2);
}

#[test]
fn lengths_that_no_pdu_has_end_it() {
    for length in [0, 15, 101, u32::MAX] {
        let mut reader = Reader::new(100);
        reader.push(&length.to_be_bytes());
        assert_eq!(reader.read().err(), Some(BadLength { length, most: 100 }));
    }
}

#[test]
fn what_is_not_understood_is_left_out_for_the_sake_of_the_text() {
    let text = |tlvs: &[u8]| {
        let command = only(&pdu(DELIVER_SM, &[MANDATORY, tlvs].concat()));
        let Some(Pdu::DeliverSm(sm)) = command.pdu() else {
            panic!("it is a deliver_sm");
        };
        assert_eq!(
            (sm.short_message().as_ref(), sm.source_addr.as_str()),
            (&b"hi"[..], "1999")
        );
        sm.tlvs().to_vec()
    };
    for (why, tlvs, left) in [
        ("a vendor's", &b"\x14\x01\x00\x02ab"[..], 1),
        (
            "a state of 4 octets, then a good one",
            b"\x04\x27\x00\x04\0\0\0\x02\x04\x27\x00\x01\x02",
            1,
        ),
        ("no terminator", b"\x00\x1e\x00\x02ab", 1),
        (
            "longer than the PDU",
            b"\x04\x27\x00\x01\x02\x00\x1e\x00\x09ab",
            1,
        ),
        (
            "one to three octets at the end",
            b"\x04\x27\x00\x01\x02\x00\x1e\x00",
            1,
        ),
        ("a network error of 2 octets", b"\x04\x23\x00\x02\x00\x03", 0),
    ] {
        assert_eq!(text(tlvs).len(), left, "{why}");
    }
    let ids = text(b"\x00\x1e\x00\x02ab");
    assert!(matches!(ids[0].value(), Some(TlvValue::ReceiptedMessageId(id)) if id.as_str() == "ab"));
}

#[test]
fn dialects_of_mandatory_parameters_are_read() {
    for (why, body) in [
        (
            "a validity of another length",
            &b"\0\x01\x011999\0\x03\x0072345\0\0\0\0\x0026121\0\0\0\x03\0\x02hi"[..],
        ),
        (
            "a sender in Latin-1",
            b"\0\x05\0Caf\xe9\0\x03\x0072345\0\0\0\0\0\0\0\0\x03\0\x02hi",
        ),
    ] {
        let Some(Pdu::DeliverSm(sm)) = only(&pdu(DELIVER_SM, body)).pdu().cloned() else {
            panic!("{why}");
        };
        assert_eq!(sm.short_message().as_ref(), b"hi", "{why}");
    }
    let resp = only(&pdu(SUBMIT_SM_RESP, b"12\0\x04\x27\x00\x04\0\0\0\x02"));
    assert!(matches!(resp.pdu(), Some(Pdu::SubmitSmResp(resp)) if resp.message_id().as_str() == "12"));
    assert!(
        only(&pdu(SUBMIT_SM_RESP, b"")).pdu().is_none(),
        "an error has no body"
    );
}

#[test]
fn what_cannot_be_read_keeps_its_number_and_costs_nothing_else() {
    let octets = [pdu(DELIVER_SM, b"\0\x01\x01"), pdu(0x15, b"")].concat();
    let frames = read_all(&octets);
    let [Frame::Broken(broken), Frame::Pdu(next)] = frames.as_slice() else {
        panic!("{} frames", frames.len());
    };
    assert_eq!((broken.id, broken.sequence), (CommandId::DeliverSm, 7));
    assert_eq!(next.id(), CommandId::EnquireLink);
}

fn texts() -> impl Strategy<Value = Pdu> {
    (
        ("[0-9+A-Z]{0,20}", "[0-9]{0,20}", any::<[u8; 4]>()),
        prop::collection::vec(any::<u8>(), 0..=255),
        (any::<u16>(), any::<bool>()),
    )
        .prop_map(
            |((from, to, [ton, esm_class, data_coding, protocol]), text, (reference, deliver))| {
                let text = OctetString::from_vec(text).unwrap();
                if deliver {
                    let mut pdu = DeliverSm::builder()
                        .source_addr(from.parse().unwrap())
                        .destination_addr(to.parse().unwrap())
                        .source_addr_ton(Ton::from(ton))
                        .esm_class(EsmClass::from(esm_class))
                        .data_coding(DataCoding::from(data_coding))
                        .protocol_id(protocol)
                        .short_message(text)
                        .build();
                    pdu.push_tlv(MessageDeliveryRequestTlvValue::SarMsgRefNum(reference));
                    pdu.into()
                } else {
                    SubmitSm::builder()
                        .source_addr(from.parse().unwrap())
                        .destination_addr(to.parse().unwrap())
                        .esm_class(EsmClass::from(esm_class))
                        .data_coding(DataCoding::from(data_coding))
                        .short_message(text)
                        .build()
                        .into()
                }
            },
        )
}

proptest! {
    #[test]
    fn what_is_written_is_read(pdu in texts(), sequence in any::<u32>(), id in "[!-~]{0,64}") {
        let resp = SubmitSmResp::new(id.parse().unwrap(), Vec::new());
        for pdu in [pdu, resp.into(), Pdu::EnquireLink, Pdu::GenericNack, Pdu::Unbind] {
            let command = Command::new(CommandStatus::EsmeRok, sequence, pdu);
            let read = only(&encode(&command));
            prop_assert!(read == command);
            // esm_class 0 and the like are more than one value to rusmpp, and one octet to everybody else.
            prop_assert_eq!(encode(&read), encode(&command));
        }
    }

    #[test]
    fn nothing_that_a_peer_sends_breaks_the_reader(
        id in prop_oneof![any::<u32>(), 0..0x20u32, (0..0x20u32).prop_map(|id| id | 0x8000_0000), Just(0x103)],
        body in prop::collection::vec(prop_oneof![any::<u8>(), Just(0)], 0..200),
    ) {
        prop_assert_eq!(read_all(&pdu(id, &body)).len(), 1);
    }

    #[test]
    fn a_damaged_text_is_read_or_refused(pdu in texts(), at in any::<prop::sample::Index>(), octet in any::<u8>(), cut in 0..8usize) {
        let mut octets = encode(&Command::new(CommandStatus::EsmeRok, 1, pdu)).to_vec();
        let at = 4 + at.index(octets.len() - 4);
        octets[at] = octet;
        octets.truncate(octets.len() - cut.min(octets.len() - 16));
        let length = (octets.len() as u32).to_be_bytes();
        octets[..4].copy_from_slice(&length);
        prop_assert_eq!(read_all(&octets).len(), 1);
    }
}
