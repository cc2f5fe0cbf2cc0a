//! SMPP as node-smpp speaks it, from npm: its message centre with our side, its ESME with the simulator's message centre.
//! `deploy/dev/check-smpp` installs it and runs these.

use crate::{
    SOON,
    esme::{Esme, bind, fast, taken},
};
use ccm_carrier_sim::{Receipts, Smsc, SmscConfig, SmscManners};
use ccm_smpp::{
    CommandStatus,
    message::{Concatenation, Content, MessageState, Style},
    session::{BindKind, Closed, Outcome},
};
use ccm_sms_text::parts::Parts;
use serde_json::{Value, json};
use std::process::Stdio;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

/// A script of `tests/node`, and what it prints.
struct Node {
    lines: Lines<BufReader<ChildStdout>>,
    _stdin: ChildStdin,
    _child: Child,
}

impl Node {
    fn run(script: &str, argument: &str) -> Self {
        let modules = std::env::var("CCM_NODE_SMPP").expect("deploy/dev/check-smpp sets CCM_NODE_SMPP");
        let mut child = Command::new("node")
            .args(["-e", script, "--", argument])
            .env("NODE_PATH", modules)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node is installed");
        let stdout = child.stdout.take().unwrap();
        Self {
            lines: BufReader::new(stdout).lines(),
            _stdin: child.stdin.take().unwrap(),
            _child: child,
        }
    }

    async fn next(&mut self) -> Value {
        let line = timeout(SOON, self.lines.next_line())
            .await
            .expect("it says something");
        serde_json::from_str(&line.unwrap().expect("it goes on")).unwrap()
    }

    /// The next line that has this; what stands before it is gone.
    async fn sees(&mut self, key: &str) -> Value {
        loop {
            let line = self.next().await;
            assert!(line.get("error").is_none(), "{line}");
            if line.get(key).is_some() {
                return line;
            }
        }
    }

    /// Everything until it ends.
    async fn rest(mut self) -> Vec<Value> {
        let mut all = Vec::new();
        while let Some(line) = timeout(SOON, self.lines.next_line()).await.unwrap().unwrap() {
            all.push(serde_json::from_str(&line).unwrap());
        }
        all
    }
}

async fn node_smsc(style: Style) -> (Node, Esme) {
    let mut node = Node::run(include_str!("../node/smsc.js"), "");
    let port = node.sees("port").await["port"].as_u64().unwrap();
    let esme = Esme::connect(
        port.try_into().unwrap(),
        bind(BindKind::Transceiver),
        fast(),
        style,
    )
    .await;
    assert_eq!(
        node.sees("bound").await["bound"],
        json!(["ccm", "secret", "CC", 0x34])
    );
    (node, esme)
}

#[tokio::test]
#[ignore = "needs node-smpp from npm, which deploy/dev/check-smpp installs and names in CCM_NODE_SMPP"]
async fn its_message_centre_takes_our_texts_and_we_its_receipts() {
    let (mut node, mut esme) = node_smsc(Style::default()).await;
    for (body, coding) in [("hello [€]", 0), ("Жук 😀", 8), ("third", 0)] {
        let answer = esme.send(body, 1).await.remove(0);
        let id = taken(&answer).message_id.clone();
        let submit = node.sees("submit").await;
        assert_eq!(
            (&submit["submit"], &submit["coding"]),
            (&json!(body), &json!(coding))
        );
        assert_eq!(submit["from"], json!([3, 0, "72345"]));
        assert_eq!(submit["to"], json!([1, 1, "19995550123"]));
        assert_eq!(submit["registered"], json!(1));
        let Content::Receipt(receipt) = esme.hears().await.content else {
            panic!("a receipt was sent");
        };
        assert_eq!(
            (Some(receipt.message_id), receipt.state),
            (id, MessageState::Delivered)
        );
        assert_eq!(node.sees("receipt_answer").await["receipt_answer"], json!(0));
    }
    let answer = esme.send("too much", 1).await.remove(0);
    assert!(matches!(answer, Outcome::Answered(answer) if answer.status == CommandStatus::EsmeRthrottled));
    esme.handle.unbind();
    assert_eq!(
        timeout(SOON, esme.closed).await.unwrap().unwrap(),
        Closed::Unbound
    );
    node.sees("closed").await;
}

#[tokio::test]
#[ignore = "needs node-smpp from npm, which deploy/dev/check-smpp installs and names in CCM_NODE_SMPP"]
async fn its_message_centre_takes_our_long_texts_in_each_form() {
    let body = "abcdefgh €".repeat(40);
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
        let (mut node, esme) = node_smsc(style).await;
        let outcomes = esme.send(&body, 0x1234).await;
        let mut whole = String::new();
        for (n, outcome) in outcomes.iter().enumerate() {
            taken(outcome);
            let submit = node.sees("submit").await;
            whole.push_str(submit["submit"].as_str().unwrap());
            let (total, number) = (outcomes.len(), n + 1);
            let (udh, sar, payload) = match concatenation {
                Concatenation::Udh8 => (
                    json!(format!("000334{total:02x}{number:02x}")),
                    json!([null, null, null]),
                    false,
                ),
                Concatenation::Udh16 => (
                    json!(format!("08041234{total:02x}{number:02x}")),
                    json!([null, null, null]),
                    false,
                ),
                Concatenation::Sar => (Value::Null, json!([0x1234, total, number]), false),
                Concatenation::Payload => (Value::Null, json!([null, null, null]), true),
            };
            assert_eq!(
                (&submit["udh"], &submit["sar"]),
                (&udh, &sar),
                "{concatenation:?}"
            );
            assert_eq!(submit["payload"], json!(payload));
        }
        assert_eq!(whole, body, "{concatenation:?}");
    }
}

#[tokio::test]
#[ignore = "needs node-smpp from npm, which deploy/dev/check-smpp installs and names in CCM_NODE_SMPP"]
async fn we_take_its_texts_and_put_their_parts_together() {
    let (mut node, mut esme) = node_smsc(Style::default()).await;
    taken(&esme.send("text me", 1).await[0]);
    let long = "a".repeat(140) + " and so on €";
    let mut texts = Vec::new();
    let mut open: Option<Parts> = None;
    while texts.len() < 5 {
        let heard = esme.hears().await;
        assert_eq!(
            (heard.from.text().as_str(), heard.to.text().as_str()),
            ("+19995550123", "72345")
        );
        match heard.content {
            Content::Text { piece, segment: None } => texts.push(piece.text()),
            Content::Text {
                piece,
                segment: Some(segment),
            } => {
                assert!(
                    matches!(segment.reference, 7 | 0x107) && segment.total == 2,
                    "{segment:?}"
                );
                let parts = open.get_or_insert_with(|| Parts::new(2).unwrap());
                let _ = parts.add(segment.number, piece);
                if let Some(whole) = parts.complete() {
                    open = None;
                    texts.push(whole);
                }
            }
            Content::Receipt(_) => {}
            Content::Nothing => panic!("all of them say something"),
        }
    }
    assert_eq!(texts, ["short @€", "Жук 😀", &long, &long, &long.repeat(3)]);
    for _ in 0..7 {
        assert_eq!(node.sees("deliver_answer").await["deliver_answer"], json!(0));
    }
}

#[tokio::test]
#[ignore = "needs node-smpp from npm, which deploy/dev/check-smpp installs and names in CCM_NODE_SMPP"]
async fn its_esme_binds_to_the_simulator_and_both_hear_each_other() {
    let smsc = Smsc::start(SmscConfig {
        manners: SmscManners {
            receipts: Receipts::Parameters,
            ..SmscManners::default()
        },
        ..SmscConfig::default()
    })
    .await
    .unwrap();
    let mut node = Node::run(include_str!("../node/esme.js"), &smsc.addr().port().to_string());
    let bound = node.sees("bound").await;
    assert_eq!(
        bound,
        json!({"bound": 0, "system_id": "carrier-sim", "version": 0x34})
    );
    let bodies: Vec<String> = smsc
        .wait_received(6, SOON)
        .await
        .unwrap()
        .into_iter()
        .map(|text| text.body)
        .collect();
    assert_eq!(
        bodies,
        [
            "hello {€}".to_owned(),
            "Жук 😀".to_owned(),
            "part 1 part 2 part 3 ".to_owned(),
            "first second".to_owned(),
            "p".repeat(700),
            "Grüße".to_owned(),
        ]
    );
    let long = "Grüße an alle € ".repeat(30);
    smsc.text("+19995550123", "72345", &long, 5).await.unwrap();
    smsc.text("+19995550123", "72345", "goodbye", 5).await.unwrap();
    let seen = node.rest().await;
    let all = |key: &str| {
        seen.iter()
            .filter(|line| line.get(key).is_some())
            .collect::<Vec<_>>()
    };
    let answers: Vec<_> = all("answer")
        .iter()
        .map(|line| line["answer"].as_u64().unwrap())
        .collect();
    assert_eq!(
        answers.iter().filter(|status| **status == 0).count(),
        9,
        "{answers:?}"
    );
    assert_eq!(
        answers.iter().filter(|status| **status == 0x0b).count(),
        1,
        "{answers:?}"
    );
    assert_eq!(all("query")[0]["query"], json!(["generic_nack", 3]));
    assert_eq!(all("enquired")[0]["enquired"], json!(0));
    let (receipts, texts): (Vec<_>, Vec<_>) = all("deliver")
        .into_iter()
        .partition(|line| line["esm_class"] == json!(4));
    assert_eq!(receipts.len(), 9);
    assert!(
        receipts
            .iter()
            .all(|line| line["state"] == json!(2) && line["id"].is_string())
    );
    let whole: String = texts.iter().filter_map(|line| line["deliver"].as_str()).collect();
    assert_eq!(whole, long + "goodbye");
    assert_eq!((all("unbound").len(), all("closed").len()), (1, 1));
}
