//! Redis to EWC: what is published is written as a `newMessage` to one of the open chats, in turn. Nothing is stored, nothing
//! waits for an acknowledgement, a broken socket is not mended.

use super::{api::CHANNEL, tls};
use anyhow::{Context, Result, bail};
use deadpool_redis::redis;
use futures::{SinkExt, StreamExt};
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tokio::{net::TcpStream, sync::mpsc};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};

type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// What it prints when an agent is in every chat.
pub const READY: &str = "ready";

/// Opens `chats` chats at the EWC server on `port` of localhost, waits until an agent is in each, and forwards.
pub async fn run(port: u16, ca_pem: &str, redis_url: &str, chats: usize) -> Result<()> {
    let tls = tls(ca_pem)?;
    let mut lines = Vec::with_capacity(chats);
    for n in 0..chats {
        let socket = open(&tls, port, n)
            .await
            .with_context(|| format!("opening chat {n}"))?;
        let (line, texts) = mpsc::channel(64);
        tokio::spawn(forward(socket, texts));
        lines.push(line);
    }
    let mut bus = redis::Client::open(redis_url)?.get_async_pubsub().await?;
    bus.subscribe(CHANNEL).await?;
    println!("{READY}");
    let mut published = bus.on_message();
    let mut turn = 0;
    while let Some(text) = published.next().await {
        if lines[turn % chats]
            .send(text.get_payload::<String>()?)
            .await
            .is_err()
        {
            bail!("a chat ended");
        }
        turn += 1;
    }
    Ok(())
}

async fn open(tls: &TlsConnector, port: u16, n: usize) -> Result<Socket> {
    let tcp = TcpStream::connect(("127.0.0.1", port)).await?;
    tcp.set_nodelay(true)?;
    let stream = tls.connect(ServerName::try_from("localhost")?, tcp).await?;
    let config = WebSocketConfig::default()
        .read_buffer_size(4096)
        .write_buffer_size(0);
    let address = format!("wss://localhost:{port}/CustomerControllerWeb/chat");
    let (mut socket, _) = client_async_with_config(address, stream, Some(config)).await?;
    let customer = format!("+1888{n:07}");
    let request = json!({"apiVersion": "1.0", "type": "request", "body": {
        "method": "requestChat", "guid": null, "authenticationKey": null, "deviceType": "bare", "requestTranscript": false,
        "intrinsics": {"email": "", "name": "bare", "country": "", "area": "", "phoneNumber": customer,
                       "skillset": "WC_Default_Skillset", "customFields": [{"title": "from", "value": customer}]}}});
    socket.send(Message::text(request.to_string())).await?;
    while let Some(frame) = socket.next().await {
        if let Message::Text(text) = frame?
            && serde_json::from_str::<Value>(&text)?["body"]["method"] == "newParticipant"
        {
            return Ok(socket);
        }
    }
    bail!("closed before an agent came");
}

async fn forward(mut socket: Socket, mut texts: mpsc::Receiver<String>) {
    loop {
        tokio::select! {
            frame = socket.next() => if !matches!(frame, Some(Ok(_))) { return },
            text = texts.recv() => {
                let Some(text) = text else { return };
                let frame = json!({"apiVersion": "1.0", "type": "request", "body": {"method": "newMessage", "message": text}});
                if socket.send(Message::text(frame.to_string())).await.is_err() {
                    return;
                }
            }
        }
    }
}
