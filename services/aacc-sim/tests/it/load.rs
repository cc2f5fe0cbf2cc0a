//! The program with many sockets.

use std::process::Stdio;
use std::sync::Arc;

use ccm_aacc_sim::StatsView;
use futures::{StreamExt, stream};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{Connector, client_async_tls_with_config};

use crate::customer::{Customer, http};

struct Program {
    child: Child,
    chat: String,
    control: String,
}

async fn program(dir: &std::path::Path, flags: &[&str]) -> Program {
    let script = dir.join("load.toml");
    let text = "[aacc.any_skillset]\nmax_chats = 100000\n[[agents]]\ngreeting = \"hello\"\n";
    std::fs::write(&script, text).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_aacc-sim"))
        .args([
            "--listen",
            "127.0.0.1:0",
            "--control",
            "127.0.0.1:0",
            "--no-record",
            "--script",
        ])
        .arg(&script)
        .args(flags)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut address = async || {
        let line = lines.next_line().await.unwrap().unwrap();
        line.split_whitespace().last().unwrap().to_owned()
    };
    let chat = address().await;
    let control = address().await.replace("/chats", "");
    Program { child, chat, control }
}

/// Resident memory in KB.
fn memory_kb(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id().unwrap())).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

async fn client(url: &str, connector: Connector, n: usize) -> Customer {
    let port = url.rsplit(':').next().unwrap().split('/').next().unwrap();
    let tcp = TcpStream::connect(("127.0.0.1", port.parse().unwrap()))
        .await
        .unwrap();
    let small = WebSocketConfig::default()
        .read_buffer_size(1 << 10)
        .write_buffer_size(1 << 10);
    let dial = Box::pin(client_async_tls_with_config(
        url,
        tcp,
        Some(small),
        Some(connector),
    ));
    let (ws, _) = dial.await.unwrap();
    let mut customer = Customer { ws };
    customer.open(&format!("+1469{n:07}"), "").await;
    customer.expect("newParticipant").await;
    assert_eq!(customer.expect("newMessage").await["message"], "hello");
    customer.text("x").await;
    customer.expect_ack(true).await;
    customer.expect("newMessage").await;
    customer
}

/// A TLS client that trusts the program's CA.
async fn trusting(control: &str) -> Connector {
    let ca = http().get(format!("{control}/ca.pem")).send().await.unwrap();
    let ca = ca.text().await.unwrap();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap())
        .unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots);
    Connector::Rustls(Arc::new(config.with_no_client_auth()))
}

/// Opens so many chats, has an agent answer in each, and returns KB of the program per socket.
async fn serve(sockets: usize, flags: &[&str]) -> f64 {
    let dir = tempfile::tempdir().unwrap();
    let program = program(dir.path(), flags).await;
    let control = &program.control;
    let connector = match program.chat.starts_with("wss") {
        true => trusting(control).await,
        false => Connector::Plain,
    };
    let before = memory_kb(&program.child);
    let customers: Vec<Customer> = stream::iter(0..sockets)
        .map(|n| client(&program.chat, connector.clone(), n))
        .buffer_unordered(32)
        .collect()
        .await;
    let stats: StatsView = http()
        .get(format!("{control}/stats"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(
        (stats.sockets, stats.chats, stats.count),
        (sockets as u64, sockets as u64, sockets as u64)
    );
    let violations: Vec<Value> = http()
        .get(format!("{control}/violations"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert!(violations.is_empty(), "{violations:?}");
    let per_socket = (memory_kb(&program.child) - before) as f64 / sockets as f64;
    eprintln!(
        "{sockets} sockets with agents: {per_socket:.1} KB a socket, {} connects in the busiest second",
        stats.peak_connects_per_s
    );
    drop(customers);
    per_socket
}

/// Without TLS, whose handshakes are slow in a build without optimisation.
#[tokio::test]
async fn a_thousand_sockets_are_served() {
    serve(1000, &["--plain"]).await;
}

#[tokio::test]
#[ignore = "long"]
async fn long_ten_thousand_wss_sockets_fit_into_bounded_memory() {
    let per_socket = serve(10_000, &[]).await;
    assert!(per_socket < 60.0, "{per_socket:.1} KB a socket");
}
