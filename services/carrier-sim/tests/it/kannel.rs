//! SMPP as Kannel speaks it, from Debian: its gateway binds to the simulator's message centre. `deploy/dev/check-smpp` runs this
//! where Kannel is installed.

use crate::{SOON, http};
use ccm_carrier_sim::{Smsc, SmscConfig};
use ccm_smpp::message::{Concatenation, Style};
use ccm_sms_text::ucs2;
use percent_encoding::percent_decode_str;
use std::{net::TcpListener as Free, path::Path, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    process::{Child, Command},
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::{sleep, timeout},
};
use url::Url;

/// Kannel looks for its boxes and its message centres every few seconds.
const KANNEL: Duration = Duration::from_secs(40);

fn free_port() -> u16 {
    let port = Free::bind("127.0.0.1:0").unwrap().local_addr();
    port.unwrap().port()
}

/// What it asks of whoever serves its texts: addresses with their parameters.
async fn listener() -> (u16, UnboundedReceiver<Url>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, asked) = unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                match stream.read_u8().await {
                    Ok(octet) => head.push(octet),
                    Err(_) => break,
                }
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            let path = head.split(' ').nth(1).unwrap_or("/").to_owned();
            let _ = tell.send(Url::parse("http://localhost").unwrap().join(&path).unwrap());
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .await;
        }
    });
    (port, asked)
}

async fn asked(asked: &mut UnboundedReceiver<Url>, path: &str) -> Url {
    loop {
        let url = timeout(KANNEL, asked.recv()).await.expect("it asks").unwrap();
        if url.path() == path {
            return url;
        }
    }
}

fn parameter(url: &Url, name: &str) -> String {
    let found = url.query_pairs().find(|(key, _)| key == name);
    found.map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// A text as Kannel hands it on: octets, UTF-16 where `coding` is 2. It stands last.
fn text_of(url: &Url) -> String {
    let query = url.query().unwrap_or_default();
    let (_, text) = query.rsplit_once("text=").unwrap_or_default();
    let octets: Vec<u8> = percent_decode_str(&text.replace('+', " ")).collect();
    match parameter(url, "coding").as_str() {
        "2" => ucs2::decode(&octets),
        _ => String::from_utf8(octets).unwrap(),
    }
}

fn run(box_: &str, config: &Path) -> Child {
    Command::new(box_)
        .arg("-v")
        .arg("4")
        .arg(config)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|e| panic!("{box_}: {e}"))
}

#[tokio::test]
#[ignore = "needs Kannel, which deploy/dev/check-smpp looks for"]
async fn its_gateway_binds_and_texts_go_both_ways_with_receipts() {
    let style = Style {
        concatenation: Concatenation::Udh8,
        ..Style::default()
    };
    let smsc = Smsc::start(SmscConfig {
        style,
        ..SmscConfig::default()
    })
    .await
    .unwrap();
    let (served, mut asks) = listener().await;
    let (admin, boxes, send) = (free_port(), free_port(), free_port());
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("kannel.conf");
    let text = format!(
        r#"group = core
admin-port = {admin}
admin-password = x
smsbox-port = {boxes}
log-level = 4

group = smsc
smsc = smpp
smsc-id = sim
host = 127.0.0.1
port = {port}
transceiver-mode = true
smsc-username = ccm
smsc-password = secret
system-type = CC
reconnect-delay = 1
source-addr-autodetect = true

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {send}

group = sendsms-user
username = u
password = p
max-messages = 10
concatenation = true

group = sms-service
keyword = default
catch-all = true
max-messages = 0
get-url = "http://127.0.0.1:{served}/mo?from=%p&to=%P&coding=%c&text=%b"
"#,
        port = smsc.addr().port(),
    );
    std::fs::write(&config, text).unwrap();
    let _bearer = run("bearerbox", &config);
    smsc.wait_bound(1, KANNEL).await.unwrap();
    let _sms = run("smsbox", &config);
    let long = "0123456789 abcdefgh ".repeat(15);
    let texts = [("hello {€}", "0"), ("Жук", "2"), (long.as_str(), "0")];
    for (n, (text, coding)) in texts.into_iter().enumerate() {
        let mut url = Url::parse(&format!("http://127.0.0.1:{send}/cgi-bin/sendsms")).unwrap();
        let receipt = format!("http://127.0.0.1:{served}/receipt?state=%d");
        url.query_pairs_mut().extend_pairs([
            ("username", "u"),
            ("password", "p"),
            ("from", "72345"),
            ("to", "+19995550123"),
            ("text", text),
            ("charset", "UTF-8"),
            ("coding", coding),
            ("dlr-mask", "3"),
            ("dlr-url", &receipt),
        ]);
        let taken = async {
            while !http()
                .get(url.clone())
                .send()
                .await
                .is_ok_and(|answer| answer.status() == 202)
            {
                sleep(Duration::from_millis(200)).await;
            }
        };
        timeout(KANNEL, taken).await.expect("smsbox takes it");
        let received = smsc.wait_received(n + 1, KANNEL).await.unwrap();
        assert_eq!(received[n].body, text);
        assert_eq!(received[n].to, "+19995550123");
        let receipt = asked(&mut asks, "/receipt").await;
        assert_eq!(parameter(&receipt, "state"), "1", "it is delivered");
    }
    for (n, body) in ["hi", "Жук €", long.trim_end()].into_iter().enumerate() {
        timeout(SOON, smsc.text("+19995550123", "72345", body, n as u16))
            .await
            .unwrap()
            .unwrap();
        let mo = asked(&mut asks, "/mo").await;
        assert_eq!(text_of(&mo), body);
        assert_eq!(parameter(&mo, "from"), "+19995550123");
        assert_eq!(parameter(&mo, "to"), "72345");
    }
}
