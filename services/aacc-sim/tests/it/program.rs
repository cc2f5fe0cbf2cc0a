//! The program `aacc-sim`.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use crate::customer::{CUSTOMER, PATIENCE, http};
use crate::tls::dial_tls;

#[tokio::test]
async fn the_program_plays_its_script_until_it_is_terminated() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("agents.json");
    std::fs::write(&script, r#"{"agents": [{"greeting": "hello {customer}"}]}"#).unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_aacc-sim"))
        .args(["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"])
        .arg("--tls-dir")
        .arg(dir.path().join("tls"))
        .arg("--script")
        .arg(&script)
        .env("RUST_LOG", "trace,tungstenite::protocol=trace")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    let mut addresses = Vec::new();
    for name in ["chat", "control", "CA"] {
        let line = timeout(PATIENCE, lines.next_line())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        let (label, address) = line.split_once(char::is_whitespace).unwrap();
        assert_eq!(label, name);
        addresses.push(address.trim().to_owned());
    }
    let ca = http()
        .get(&addresses[2])
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert_eq!(
        ca,
        std::fs::read_to_string(dir.path().join("tls/ca.pem")).unwrap()
    );

    let port = addresses[0]
        .split([':', '/'])
        .find_map(|part| part.parse::<u16>().ok())
        .unwrap();
    let addr = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let mut customer = dial_tls(addr, &ca, "localhost").await.unwrap();
    customer.open(CUSTOMER, "").await;
    customer.expect("newParticipant").await;
    assert_eq!(
        customer.expect("newMessage").await["message"],
        format!("hello {CUSTOMER}")
    );

    customer.text("CANARY").await;
    customer.expect_ack(true).await;
    assert!(
        customer.expect("newMessage").await["message"]
            .as_str()
            .unwrap()
            .ends_with("CANARY")
    );

    let pid = program.id().unwrap().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .await
            .unwrap()
            .success()
    );
    let reading = tokio::spawn(async move { customer.end().await });
    let output = timeout(PATIENCE, program.wait_with_output())
        .await
        .unwrap()
        .unwrap();
    assert!(output.status.success());
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.contains("aacc-sim is up"), "{log}");
    assert!(
        !log.contains(&CUSTOMER[1..]) && !log.contains("CANARY"),
        "texts and numbers stay out of the log"
    );
    assert_eq!(reading.await.unwrap(), crate::customer::End::Closed(1001));
}

#[tokio::test]
async fn wrong_flags_and_scripts_fail_at_once() {
    for args in [
        vec!["--plain", "--tls-dir", "x"],
        vec!["--script", "/nowhere.toml"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_aacc-sim"))
            .args(args)
            .output()
            .await
            .unwrap();
        assert!(!output.status.success());
        assert!(!output.stderr.is_empty());
    }
}
