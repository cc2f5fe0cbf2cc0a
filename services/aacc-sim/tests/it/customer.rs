//! A customer's side of EWC that knows nothing of our codec.

use std::time::Duration;

use ccm_aacc_sim::{Agent, Config, Settings, Sim, Tls};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

pub const PATIENCE: Duration = Duration::from_secs(5);
/// Long enough for a frame that must not come to come.
pub const QUIET: Duration = Duration::from_millis(150);
pub const CUSTOMER: &str = "+14697206211";

pub struct Customer {
    pub ws: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

/// How a socket ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    Closed(u16),
    /// Without a close frame.
    Lost,
}

/// An HTTP client; reqwest panics without an installed TLS provider, even for plain addresses.
pub fn http() -> reqwest::Client {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    reqwest::Client::new()
}

pub async fn plain(settings: Settings) -> Sim {
    start(Config {
        settings,
        ..Config::default()
    })
    .await
}

pub async fn start(config: Config) -> Sim {
    Sim::start(Config {
        tls: Tls::Plain,
        ..config
    })
    .await
    .unwrap()
}

pub fn request(body: Value) -> Value {
    json!({"apiVersion": "1.0", "type": "request", "body": body})
}

pub fn open_body(from: &str, skillset: &str) -> Value {
    json!({"method": "requestChat", "guid": null, "authenticationKey": null, "deviceType": "test (SMS)",
        "requestTranscript": false, "intrinsics": {"email": "", "name": "SMS Customer", "country": "+1",
        "area": "469", "phoneNumber": "7206211", "skillset": skillset,
        "customFields": [{"title": "from", "value": from},
            {"title": "to", "value": "+19717122614"}]}})
}

pub fn resume_body(guid: u64, key: &str, transcript: bool) -> Value {
    json!({"method": "requestChat", "guid": guid, "authenticationKey": key, "deviceType": "test (SMS)",
        "requestTranscript": transcript, "intrinsics": {"email": "", "name": "SMS Customer", "country": "+1",
        "area": "469", "phoneNumber": "7206211", "skillset": "WC_Default_Skillset"}})
}

impl Customer {
    pub async fn dial(sim: &Sim) -> Customer {
        let url = format!("ws://{}/CustomerControllerWeb/chat", sim.ewc_addr());
        let (ws, _) = timeout(PATIENCE, connect_async(url)).await.unwrap().unwrap();
        Customer { ws }
    }

    /// Dials and opens a chat; returns its guid and key too.
    pub async fn chat(sim: &Sim) -> (Customer, u64, String) {
        let mut customer = Customer::dial(sim).await;
        let (guid, key) = customer.open(CUSTOMER, "WC_Default_Skillset").await;
        (customer, guid, key)
    }

    /// The same with an agent in the room.
    pub async fn live(sim: &Sim) -> (Customer, u64, String) {
        let (mut customer, guid, key) = Customer::chat(sim).await;
        sim.join(guid, Agent::new("7000", "Russell")).unwrap();
        customer.expect("newParticipant").await;
        (customer, guid, key)
    }

    pub async fn open(&mut self, from: &str, skillset: &str) -> (u64, String) {
        self.send(open_body(from, skillset)).await;
        let answer = self.expect("requestChat").await;
        session(&answer)
    }

    pub async fn send(&mut self, body: Value) {
        self.send_text(request(body).to_string()).await;
    }

    pub async fn send_text(&mut self, text: impl Into<String>) {
        self.ws.send(Message::text(text.into())).await.unwrap();
    }

    pub async fn text(&mut self, text: &str) {
        self.send(json!({"method": "newMessage", "message": text})).await;
    }

    /// The next frame, whole.
    pub async fn next(&mut self) -> Value {
        loop {
            match timeout(PATIENCE, self.ws.next())
                .await
                .expect("a frame comes")
                .expect("the socket is open")
            {
                Ok(Message::Text(text)) => return serde_json::from_str(&text).unwrap(),
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                other => panic!("not a text frame: {other:?}"),
            }
        }
    }

    /// The body of the next frame, which must be a notification of this method.
    pub async fn expect(&mut self, method: &str) -> Value {
        let frame = self.next().await;
        assert_eq!(frame["apiVersion"], "1.0", "{frame}");
        assert_eq!(frame["type"], "notification", "{frame}");
        assert_eq!(frame["body"]["method"], method, "{frame}");
        frame["body"].clone()
    }

    pub async fn expect_ack(&mut self, result: bool) {
        let frame = self.next().await;
        let acknowledgement = json!({"apiVersion": "1.0", "type": "acknowledgement",
            "body": {"method": "newMessage", "result": result}});
        assert_eq!(frame, acknowledgement);
    }

    pub async fn expect_error(&mut self, code: i64, text: &str) {
        let frame = self.next().await;
        assert_eq!(frame["type"], "error", "{frame}");
        assert_eq!(frame["body"]["code"], code, "{frame}");
        assert_eq!(frame["body"]["errorMessage"], text, "{frame}");
    }

    pub async fn expect_not_started(&mut self) {
        self.expect_error(1, "Invalid message: Chat not started").await;
    }

    pub async fn expect_expired(&mut self) {
        self.expect_error(2, "Unable to reconnect, session key is invalid or expired")
            .await;
    }

    pub async fn expect_quiet(&mut self) {
        if let Ok(frame) = timeout(QUIET, self.ws.next()).await {
            panic!("nothing should come: {frame:?}");
        }
    }

    /// How the socket ends; nothing else may come before.
    pub async fn end(&mut self) -> End {
        match timeout(PATIENCE, self.ws.next()).await.expect("the socket ends") {
            Some(Ok(Message::Close(Some(frame)))) => End::Closed(frame.code.into()),
            Some(Err(_)) => End::Lost,
            other => panic!("no end, or one without a code: {other:?}"),
        }
    }
}

pub fn session(answer: &Value) -> (u64, String) {
    let guid = answer["guid"].as_u64().expect("the guid is a whole number");
    (
        guid,
        answer["authenticationKey"]
            .as_str()
            .expect("the key is a string")
            .to_owned(),
    )
}
