//! Our side, bound to a message centre.

use crate::SOON;
use ccm_carrier_sim::Smsc;
use ccm_smpp::{
    CommandStatus, Pdu,
    dial::{Target, dial},
    link::{self, Handle, Reply, Serve},
    message::{self, Addr, Numbering, Received, Style, split},
    session::{Answer, Bind, BindKind, Closed, Limits, Outcome, Session, State, Version},
};
use futures::{FutureExt, future::BoxFuture, future::join_all};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinHandle,
    time::{Instant, timeout},
};

pub const US: &str = "72345";
pub const PHONE: &str = "+19995550123";

/// One ESME, bound to somebody.
pub struct Esme {
    pub handle: Handle,
    pub closed: JoinHandle<Closed>,
    pub heard: UnboundedReceiver<Received>,
    style: Style,
}

/// Takes everything.
pub struct Taker(pub UnboundedSender<Received>, pub Style);

impl Serve for Taker {
    fn request(&mut self, pdu: Pdu) -> BoxFuture<'static, Reply> {
        let status = match message::read(&pdu, &self.1) {
            Ok(received) => {
                let _ = self.0.send(received);
                CommandStatus::EsmeRok
            }
            Err(_) => CommandStatus::EsmeRsyserr,
        };
        async move { Reply::status(status) }.boxed()
    }
}

pub fn bind(kind: BindKind) -> Bind {
    Bind {
        kind,
        system_id: "ccm".into(),
        password: "secret".into(),
        system_type: "CC".into(),
        version: Version::V34,
        ton: 0,
        npi: 0,
        address_range: String::new(),
    }
}

impl Esme {
    pub async fn connect(port: u16, bind: Bind, limits: Limits, style: Style) -> Self {
        let target = Target {
            host: "127.0.0.1".into(),
            port,
            tls: None,
        };
        let stream = dial(&target, |ip| ip.is_loopback(), SOON).await.unwrap();
        let session = Session::esme(bind, limits, Instant::now().into_std());
        let (handle, driver) = link::link();
        let (tell, heard) = unbounded_channel();
        let closed = tokio::spawn(link::run(stream, session, Taker(tell, style), driver));
        let mut bound = handle.clone();
        timeout(SOON, bound.reached(State::Bound)).await.unwrap();
        Self {
            handle,
            closed,
            heard,
            style,
        }
    }

    pub async fn with(smsc: &Smsc, limits: Limits, style: Style) -> Self {
        Self::connect(smsc.addr().port(), bind(BindKind::Transceiver), limits, style).await
    }

    /// Sends a text's parts, and says what became of each.
    pub async fn send(&self, body: &str, reference: u16) -> Vec<Outcome> {
        let (from, to) = (addr(US), addr(PHONE));
        let parts = split(body, &self.style, reference).unwrap();
        join_all(
            parts
                .iter()
                .map(|part| self.handle.submit(part.submit(&from, &to, true))),
        )
        .await
    }

    pub async fn hears(&mut self) -> Received {
        timeout(SOON, self.heard.recv()).await.unwrap().unwrap()
    }
}

pub fn addr(text: &str) -> Addr {
    Addr::new(text, Numbering::default()).unwrap()
}

pub fn fast() -> Limits {
    Limits {
        rate: 1000,
        ..Limits::default()
    }
}

pub fn taken(outcome: &Outcome) -> &Answer {
    match outcome {
        Outcome::Answered(answer) if answer.status == CommandStatus::EsmeRok => answer,
        other => panic!("{other:?}"),
    }
}
