use super::*;
use ccm_sms_text::parts::{Added, Parts};
use proptest::prelude::*;
use rusmpp::{Pdu, tlvs::TlvValue};

fn addr(text: &str) -> Addr {
    Addr::new(text, Numbering::default()).unwrap()
}

const ALL: [Concatenation; 4] = [
    Concatenation::Udh8,
    Concatenation::Udh16,
    Concatenation::Sar,
    Concatenation::Payload,
];

fn with(concatenation: Concatenation) -> Style {
    Style {
        concatenation,
        ..Style::default()
    }
}

/// What the parts say together, read back from the PDUs that carry them.
fn together(pdus: &[Pdu], style: &Style) -> String {
    let mut parts: Option<Parts> = None;
    for pdu in pdus {
        match read(pdu, style).unwrap().content {
            Content::Text { piece, segment: None } => return piece.text(),
            Content::Text {
                piece,
                segment: Some(segment),
            } => {
                let parts = parts.get_or_insert_with(|| Parts::new(segment.total).unwrap());
                assert_eq!(parts.add(segment.number, piece), Added::New);
            }
            other => panic!("{other:?}"),
        }
    }
    parts
        .and_then(|parts| parts.complete())
        .expect("all parts are there")
}

#[test]
fn a_short_text_is_one_pdu_as_the_specification_has_it() {
    let parts = split("hello €", &Style::default(), 1).unwrap();
    let [part] = parts.as_slice() else {
        panic!("{parts:?}")
    };
    let Pdu::SubmitSm(sm) = part.submit(&addr("72345"), &addr("+19995550123"), true) else {
        panic!("it is a submit_sm");
    };
    assert_eq!(sm.short_message().as_ref(), b"hello \x1b\x65");
    assert_eq!(u8::from(sm.esm_class), 0);
    assert_eq!(u8::from(sm.registered_delivery), 1);
    assert_eq!(u8::from(sm.data_coding), 0);
    assert_eq!(u8::from(sm.dest_addr_ton), 1);
    assert_eq!(sm.destination_addr.as_str(), "19995550123");
    assert!(sm.tlvs().is_empty());
    let silent = part.submit(&addr("72345"), &addr("+19995550123"), false);
    assert!(!read(&silent, &Style::default()).unwrap().wants_receipt);
}

#[test]
fn long_texts_say_how_they_belong_together() {
    for (concatenation, text, sizes) in [
        (Concatenation::Udh8, "a".repeat(160), vec![160]),
        (Concatenation::Udh8, "a".repeat(161), vec![6 + 153, 6 + 8]),
        (Concatenation::Udh16, "a".repeat(161), vec![7 + 152, 7 + 9]),
        (Concatenation::Sar, "a".repeat(161), vec![152, 9]),
        (Concatenation::Payload, "a".repeat(161), vec![0]),
        (Concatenation::Udh8, "ж".repeat(70), vec![140]),
        (Concatenation::Udh8, "ж".repeat(71), vec![6 + 134, 6 + 8]),
        (Concatenation::Udh16, "ж".repeat(71), vec![7 + 132, 7 + 10]),
    ] {
        let parts = split(&text, &with(concatenation), 0x1234).unwrap();
        let pdus: Vec<Pdu> = parts
            .iter()
            .map(|part| part.submit(&addr("72345"), &addr("+19995550123"), true))
            .collect();
        let lengths: Vec<usize> = pdus
            .iter()
            .map(|pdu| match pdu {
                Pdu::SubmitSm(sm) => sm.short_message().len(),
                _ => panic!("they are submit_sm"),
            })
            .collect();
        assert_eq!(lengths, sizes, "{concatenation:?}");
        assert_eq!(together(&pdus, &with(concatenation)), text);
    }
}

#[test]
fn headers_and_parameters_are_those_of_the_specifications() {
    let text = "a".repeat(161);
    let second = |concatenation| {
        let part = split(&text, &with(concatenation), 0x1234).unwrap().pop().unwrap();
        match part.submit(&addr("72345"), &addr("+19995550123"), true) {
            Pdu::SubmitSm(sm) => sm,
            _ => panic!("it is a submit_sm"),
        }
    };
    let eight = second(Concatenation::Udh8);
    assert_eq!(&eight.short_message().as_ref()[..6], &[5, 0, 3, 0x34, 2, 2]);
    assert_eq!(u8::from(eight.esm_class), 0x40);
    let sixteen = second(Concatenation::Udh16);
    assert_eq!(
        &sixteen.short_message().as_ref()[..7],
        &[6, 8, 4, 0x12, 0x34, 2, 2]
    );
    let sar = second(Concatenation::Sar);
    assert_eq!(u8::from(sar.esm_class), 0);
    let values: Vec<_> = sar.tlvs().iter().filter_map(|tlv| tlv.value()).collect();
    assert!(matches!(
        values[..],
        [
            TlvValue::SarMsgRefNum(0x1234),
            TlvValue::SarTotalSegments(2),
            TlvValue::SarSegmentSeqnum(2)
        ]
    ));
}

#[test]
fn more_than_can_be_numbered_is_refused() {
    for concatenation in ALL {
        let most = match concatenation {
            Concatenation::Udh8 => 255 * 153,
            Concatenation::Udh16 | Concatenation::Sar => 255 * 152,
            Concatenation::Payload => 0xffff,
        };
        assert!(
            split(&"a".repeat(most), &with(concatenation), 1).is_ok(),
            "{concatenation:?}"
        );
        assert_eq!(
            split(&"a".repeat(most + 1), &with(concatenation), 1),
            Err(TooLong)
        );
    }
    let latin1 = Style {
        encoding: Encoding::Latin1,
        ..Style::default()
    };
    assert_eq!(split(&"é".repeat(256 * 134), &latin1, 1), Err(TooLong));
}

#[test]
fn receipts_are_read_in_words_and_in_parameters() {
    for state in [
        MessageState::Delivered,
        MessageState::Undeliverable,
        MessageState::Expired,
        MessageState::Rejected,
    ] {
        let error = (state != MessageState::Delivered).then(|| "034".to_owned());
        let receipt = Receipt {
            message_id: "A1-7".into(),
            state,
            error,
        };
        for in_tlvs in [false, true] {
            let pdu = receipt.deliver(&addr("+19995550123"), &addr("72345"), in_tlvs);
            let received = read(&pdu, &Style::default()).unwrap();
            let Content::Receipt(read) = received.content else {
                panic!("{:?}", received.content);
            };
            assert_eq!((read.message_id.as_str(), read.state), ("A1-7", state));
            let error = match (state, in_tlvs) {
                (MessageState::Delivered, _) => None,
                (_, true) => Some("3/34"),
                (_, false) => Some("034"),
            };
            assert_eq!(read.error.as_deref(), error);
        }
    }
}

#[test]
fn a_customer_cannot_write_a_receipt() {
    let words = "id:1 stat:DELIVRD err:000";
    let part = split(words, &Style::default(), 1).unwrap().remove(0);
    let pdu = part.deliver(&addr("+19995550123"), &addr("72345"));
    assert_eq!(together(&[pdu], &Style::default()), words);
}

#[test]
fn acknowledgements_of_phones_are_nothing() {
    for esm_class in [0x08u8, 0x10, 0x18] {
        let part = split("x", &Style::default(), 1).unwrap().remove(0);
        let Pdu::DeliverSm(mut sm) = part.deliver(&addr("+19995550123"), &addr("72345")) else {
            panic!("it is a deliver_sm");
        };
        sm.esm_class = esm_class.into();
        let received = read(&sm.into(), &Style::default()).unwrap();
        assert_eq!(received.content, Content::Nothing, "{esm_class:#x}");
    }
    assert_eq!(read(&Pdu::EnquireLink, &Style::default()), Err(Unreadable));
}

#[test]
fn a_header_that_is_none_leaves_the_text() {
    let part = split("x", &Style::default(), 1).unwrap().remove(0);
    let Pdu::DeliverSm(mut sm) = part.deliver(&addr("+19995550123"), &addr("72345")) else {
        panic!("it is a deliver_sm");
    };
    sm.esm_class = 0x40.into();
    for (octets, text) in [
        (&b"\x03\x00\x09\x01hello"[..], "hello"),
        (b"\x20hello", " hello"),
        (b"\x05\x00\x03\x07\x02\x03hello", "hello"),
        (b"", ""),
    ] {
        sm.set_short_message(rusmpp::types::OctetString::from_slice(octets).unwrap());
        let received = read(&sm.clone().into(), &Style::default()).unwrap();
        let Content::Text { piece, segment } = received.content else {
            panic!("{octets:?}");
        };
        assert_eq!((piece.text().as_str(), segment), (text, None));
    }
}

#[test]
fn nothing_private_is_shown() {
    let part = split("secret text", &Style::default(), 1).unwrap().remove(0);
    let pdu = part.deliver(&addr("+19995550123"), &addr("72345"));
    let shown = format!("{part:?} {:?}", read(&pdu, &Style::default()).unwrap());
    assert!(!shown.contains("secret") && !shown.contains("5550123"), "{shown}");
}

proptest! {
    #[test]
    fn every_text_comes_back_whole(
        text in "[a-z €]{0,500}|[a-zж😀]{0,300}|[a-zà-ÿ]{0,400}",
        reference in any::<u16>(),
        back in any::<bool>(),
    ) {
        for concatenation in ALL {
            for default_alphabet in [DefaultAlphabet::Gsm7, DefaultAlphabet::Latin1, DefaultAlphabet::Ascii] {
                for encoding in [Encoding::Default, Encoding::Latin1, Encoding::Ucs2] {
                    let style = Style { default_alphabet, encoding, concatenation, ..Style::default() };
                    let parts = split(&text, &style, reference).unwrap();
                    let (us, phone) = (addr("72345"), addr("+19995550123"));
                    let pdus: Vec<Pdu> = parts.iter().map(|part| match back {
                        true => part.deliver(&phone, &us),
                        false => part.submit(&us, &phone, true),
                    }).collect();
                    prop_assert_eq!(together(&pdus, &style), text.clone());
                }
            }
        }
    }
}
