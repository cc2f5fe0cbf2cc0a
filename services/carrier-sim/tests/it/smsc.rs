//! The simulator's message centre and `ccm-smpp`'s side over a socket.

use crate::{
    SOON,
    esme::{Esme, PHONE, Taker, US, addr, bind, fast, taken},
};
use ccm_carrier_sim::{Answering, Receipts, Smsc, SmscConfig, SmscManners};
use ccm_smpp::{
    CommandStatus, Pdu,
    dial::Target,
    keep::{Kept, Pauses, Plan, keep},
    message::{Concatenation, Content, MessageIds, MessageState, Style, split},
    send::{Sent, send},
    session::{Bind, BindKind, Closed, Limits, Outcome, State},
};
use futures::future::join_all;
use std::time::Duration;
use tokio::{
    sync::{mpsc::unbounded_channel, oneshot, watch},
    time::{Instant, timeout},
};

async fn smsc(manners: SmscManners) -> Smsc {
    let config = SmscConfig {
        manners,
        ..SmscConfig::default()
    };
    Smsc::start(config).await.unwrap()
}

#[tokio::test]
async fn a_text_goes_out_and_its_receipt_comes_back() {
    for (receipts, hex_ids) in [
        (Receipts::Words, false),
        (Receipts::Words, true),
        (Receipts::Parameters, false),
        (Receipts::Parameters, true),
    ] {
        let smsc = smsc(SmscManners {
            receipts,
            hex_ids,
            state: MessageState::Undeliverable,
            error: Some("034".into()),
            ..SmscManners::default()
        })
        .await;
        let mut esme = Esme::with(&smsc, fast(), Style::default()).await;
        let outcomes = esme.send("hello ж", 1).await;
        let answer = taken(&outcomes[0]).message_id.clone().unwrap();
        let received = smsc.wait_received(1, SOON).await.unwrap();
        assert_eq!(
            (
                received[0].from.as_str(),
                received[0].to.as_str(),
                received[0].body.as_str()
            ),
            (US, PHONE, "hello ж")
        );
        let heard = esme.hears().await;
        let Content::Receipt(receipt) = heard.content else {
            panic!("{heard:?}");
        };
        let ids = if hex_ids {
            MessageIds::HexThenDecimal
        } else {
            MessageIds::Same
        };
        assert_eq!(ids.of_receipt(&receipt.message_id), ids.of_answer(&answer));
        assert_eq!(receipt.state, MessageState::Undeliverable);
        assert!(receipt.error.unwrap().ends_with("34"));
    }
}

#[tokio::test]
async fn long_texts_go_both_ways_in_each_form() {
    let body = "Grüße an alle € ".repeat(30) + "😀";
    for concatenation in [
        Concatenation::Udh8,
        Concatenation::Udh16,
        Concatenation::Sar,
        Concatenation::Payload,
    ] {
        let style = Style {
            concatenation,
            ..Style::default()
        };
        let config = SmscConfig {
            style,
            ..SmscConfig::default()
        };
        let smsc = Smsc::start(config).await.unwrap();
        let mut esme = Esme::with(&smsc, fast(), style).await;
        let outcomes = esme.send(&body, 300).await;
        let received = smsc.wait_received(1, SOON).await.unwrap();
        assert_eq!(received[0].body, body, "{concatenation:?}");
        assert_eq!(received[0].ids.len(), outcomes.len());
        for _ in &outcomes {
            assert!(matches!(esme.hears().await.content, Content::Receipt(_)));
        }
        smsc.text(PHONE, US, &body, 77).await.unwrap();
        let mut parts = None;
        let whole = loop {
            let Content::Text { piece, segment } = esme.hears().await.content else {
                panic!("a text was sent");
            };
            let Some(segment) = segment else {
                break piece.text();
            };
            let parts: &mut ccm_sms_text::parts::Parts =
                parts.get_or_insert_with(|| ccm_sms_text::parts::Parts::new(segment.total).unwrap());
            let _ = parts.add(segment.number, piece);
            if let Some(whole) = parts.complete() {
                break whole;
            }
        };
        assert_eq!(whole, body, "{concatenation:?}");
    }
}

#[tokio::test]
async fn a_bind_lost_with_a_full_window_leaves_it_in_doubt_and_nothing_is_lost() {
    let window = 10;
    let smsc = smsc(SmscManners {
        answering: Answering::Drop { after: 10 },
        receipts: Receipts::None,
        ..SmscManners::default()
    })
    .await;
    let limits = Limits { window, ..fast() };
    let mut again: Vec<u16> = (0..15).collect();
    let (mut in_doubt, mut not_sent) = (0, 0);
    while !again.is_empty() {
        let esme = Esme::with(&smsc, limits, Style::default()).await;
        let bodies: Vec<String> = again.iter().map(|n| format!("text {n}")).collect();
        let outcomes = join_all(bodies.iter().map(|body| esme.send(body, 1))).await;
        let mut left = Vec::new();
        for (n, outcome) in again.into_iter().zip(outcomes) {
            match &outcome[0] {
                Outcome::Answered(answer) => assert_eq!(answer.status, CommandStatus::EsmeRok),
                Outcome::InDoubt => {
                    in_doubt += 1;
                    left.push(n);
                }
                Outcome::NotSent => {
                    not_sent += 1;
                    left.push(n);
                }
            }
        }
        again = left;
    }
    assert_eq!(
        (in_doubt, not_sent),
        (window, 5),
        "those of the window, and no others"
    );
    let received = smsc.wait_received(25, SOON).await.unwrap();
    for n in 0..15 {
        let body = format!("text {n}");
        let times = received.iter().filter(|text| text.body == body).count();
        let expected = if n < 10 { 2 } else { 1 };
        assert_eq!(times, expected, "{body}");
    }
}

#[tokio::test]
async fn no_answer_is_a_doubt_and_the_session_goes_on() {
    let smsc = smsc(SmscManners {
        answering: Answering::Never,
        receipts: Receipts::None,
        ..SmscManners::default()
    })
    .await;
    let limits = Limits {
        response: Duration::from_millis(200),
        ..fast()
    };
    let esme = Esme::with(&smsc, limits, Style::default()).await;
    assert_eq!(esme.send("one", 1).await, [Outcome::InDoubt]);
    smsc.set_manners(SmscManners::default());
    taken(&esme.send("two", 1).await[0]);
    assert_eq!(esme.handle.state(), State::Bound);
}

#[tokio::test]
async fn throttling_slows_and_refusals_are_told() {
    let smsc = smsc(SmscManners {
        throttle_every: 3,
        receipts: Receipts::None,
        ..SmscManners::default()
    })
    .await;
    let esme = Esme::with(&smsc, fast(), Style::default()).await;
    let began = Instant::now();
    let mut throttled = 0;
    for _ in 0..4 {
        match &esme.send("hello", 1).await[0] {
            Outcome::Answered(answer) if answer.status == CommandStatus::EsmeRthrottled => throttled += 1,
            outcome => {
                taken(outcome);
            }
        }
    }
    assert_eq!(throttled, 1);
    assert!(
        began.elapsed() >= Duration::from_secs(1),
        "it rests after a complaint"
    );
    smsc.set_manners(SmscManners {
        refuse: vec![CommandStatus::EsmeRinvdstadr],
        ..SmscManners::default()
    });
    let outcome = esme.send("hello", 1).await.remove(0);
    assert!(matches!(&outcome, Outcome::Answered(answer) if answer.status == CommandStatus::EsmeRinvdstadr));
}

#[tokio::test]
async fn sessions_end_in_order_from_both_ends() {
    let smsc = smsc(SmscManners::default()).await;
    let esme = Esme::with(&smsc, fast(), Style::default()).await;
    smsc.wait_bound(1, SOON).await.unwrap();
    esme.handle.unbind();
    assert_eq!(
        timeout(SOON, esme.closed).await.unwrap().unwrap(),
        Closed::Unbound
    );
    assert_eq!(esme.handle.submit(Pdu::EnquireLink).await, Outcome::NotSent);
    smsc.wait_bound(0, SOON).await.unwrap();
    let esme = Esme::with(&smsc, fast(), Style::default()).await;
    smsc.wait_bound(1, SOON).await.unwrap();
    smsc.unbind_all();
    assert_eq!(
        timeout(SOON, esme.closed).await.unwrap().unwrap(),
        Closed::PeerUnbound
    );
    let esme = Esme::with(&smsc, fast(), Style::default()).await;
    smsc.wait_bound(1, SOON).await.unwrap();
    smsc.drop_all();
    assert_eq!(timeout(SOON, esme.closed).await.unwrap().unwrap(), Closed::Lost);
}

#[tokio::test]
async fn whoever_is_not_known_is_not_bound() {
    let smsc = smsc(SmscManners::default()).await;
    for (system_id, password, status) in [
        ("other", "secret", CommandStatus::EsmeRinvsysid),
        ("ccm", "wrong", CommandStatus::EsmeRinvpaswd),
    ] {
        let bind = Bind {
            system_id: system_id.into(),
            password: password.into(),
            ..bind(BindKind::Transceiver)
        };
        let esme = Esme::connect(smsc.addr().port(), bind, fast(), Style::default()).await;
        assert_eq!(
            timeout(SOON, esme.closed).await.unwrap().unwrap(),
            Closed::Refused(status)
        );
    }
}

/// A pair as some message centres want it: what a transmitter sends comes back to the receiver.
#[tokio::test]
async fn a_transmitter_sends_and_a_receiver_hears() {
    let smsc = smsc(SmscManners::default()).await;
    let port = smsc.addr().port();
    let mut receiver = Esme::connect(port, bind(BindKind::Receiver), fast(), Style::default()).await;
    let mut transmitter = Esme::connect(port, bind(BindKind::Transmitter), fast(), Style::default()).await;
    taken(&transmitter.send("hello", 1).await[0]);
    assert_eq!(receiver.send("hello", 1).await, [Outcome::NotSent]);
    assert!(matches!(receiver.hears().await.content, Content::Receipt(_)));
    smsc.text(PHONE, US, "hi", 1).await.unwrap();
    assert!(matches!(receiver.hears().await.content, Content::Text { .. }));
    assert!(transmitter.heard.try_recv().is_err());
}

/// What has left is not sent twice for a part that is put off, and only the last part is answered for.
#[tokio::test]
async fn a_text_of_several_parts_is_one() {
    let smsc = smsc(SmscManners {
        throttle_every: 2,
        ..SmscManners::default()
    })
    .await;
    let mut esme = Esme::with(&smsc, fast(), Style::default()).await;
    let body = "0123456789".repeat(35);
    let parts = split(&body, &Style::default(), 1).unwrap();
    assert_eq!(parts.len(), 3);
    let sent = send(&esme.handle, &parts, &addr(US), &addr(PHONE), true).await;
    let received = smsc.wait_received(1, SOON).await.unwrap();
    assert_eq!((received.len(), received[0].body.as_str()), (1, body.as_str()));
    let last = format!("sim-{}", received[0].ids[2]);
    assert_eq!(
        sent,
        Sent::Taken {
            message_id: Some(last.clone())
        }
    );
    let Content::Receipt(receipt) = esme.hears().await.content else {
        panic!("a receipt was sent");
    };
    assert_eq!(receipt.message_id, last);
    smsc.set_manners(SmscManners {
        refuse: vec![CommandStatus::EsmeRinvdstadr],
        answering: Answering::Drop { after: 2 },
        ..SmscManners::default()
    });
    let sent = send(&esme.handle, &parts, &addr(US), &addr(PHONE), true).await;
    let status = CommandStatus::EsmeRinvdstadr;
    assert_eq!(
        sent,
        Sent::Refused {
            status,
            partly: false
        }
    );
    let limits = Limits {
        response: Duration::from_millis(200),
        ..fast()
    };
    let esme = Esme::with(&smsc, limits, Style::default()).await;
    assert_eq!(
        send(&esme.handle, &parts, &addr(US), &addr(PHONE), true).await,
        Sent::InDoubt
    );
    esme.handle.unbind();
    esme.closed.await.unwrap();
    assert_eq!(
        send(&esme.handle, &parts, &addr(US), &addr(PHONE), true).await,
        Sent::NotSent
    );
}

#[tokio::test]
async fn a_bind_that_breaks_is_there_again_by_itself() {
    let smsc = smsc(SmscManners::default()).await;
    let plan = |password: &str| Plan {
        target: Target {
            host: "127.0.0.1".into(),
            port: smsc.addr().port(),
            tls: None,
        },
        bind: Bind {
            password: password.into(),
            ..bind(BindKind::Transceiver)
        },
        limits: fast(),
        connect: SOON,
        pauses: Pauses {
            first: Duration::from_millis(50),
            ..Pauses::default()
        },
    };
    let start = |plan: Plan| {
        let (tell, kept) = watch::channel(Kept::Dialling);
        let (end, ended) = oneshot::channel::<()>();
        let (heard, _) = unbounded_channel();
        let serve = move || Taker(heard.clone(), Style::default());
        let over = async {
            let _ = ended.await;
        };
        (
            tokio::spawn(keep(plan, |ip| ip.is_loopback(), serve, || 0.0, tell, over)),
            kept,
            end,
        )
    };
    let (task, mut kept, end) = start(plan("secret"));
    for _ in 0..3 {
        smsc.wait_bound(1, SOON).await.unwrap();
        let texted = async {
            loop {
                let link = kept.borrow_and_update().bound().cloned();
                let parts = split("hello", &Style::default(), 1).unwrap();
                if let Some(link) = link
                    && let Sent::Taken { .. } = send(&link, &parts, &addr(US), &addr(PHONE), false).await
                {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(SOON, texted).await.unwrap();
        smsc.drop_all();
        timeout(SOON, kept.wait_for(|kept| kept.as_str() == "failed"))
            .await
            .unwrap()
            .unwrap();
    }
    smsc.wait_bound(1, SOON).await.unwrap();
    drop(end);
    timeout(SOON, task).await.unwrap().unwrap();
    smsc.wait_bound(0, SOON).await.unwrap();
    let (task, mut kept, end) = start(plan("wrong"));
    let failed = timeout(SOON, kept.wait_for(|kept| kept.as_str() == "failed"))
        .await
        .unwrap()
        .unwrap()
        .clone();
    let Kept::Failed { why, again } = failed else {
        unreachable!()
    };
    assert_eq!(why.to_string(), "the bind was refused (ESME_RINVPASWD)");
    assert!(
        again > Instant::now() + Duration::from_secs(30),
        "it is not tried again at once"
    );
    drop(end);
    timeout(SOON, task).await.unwrap().unwrap();
}
