//! A session under test; the peer is the test.

use super::super::*;
use crate::message::{Addr, Numbering, Style, split};
use rusmpp::values::InterfaceVersion;

#[expect(
    clippy::disallowed_methods,
    reason = "an Instant cannot be made of anything else"
)]
pub fn start() -> Instant {
    Instant::now()
}

pub fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

pub fn bind(kind: BindKind, version: Version) -> Bind {
    Bind {
        kind,
        system_id: "ccm".into(),
        password: "secret".into(),
        system_type: String::new(),
        version,
        ton: 0,
        npi: 0,
        address_range: String::new(),
    }
}

pub fn limits() -> Limits {
    Limits {
        window: 3,
        rate: 1000,
        ..Limits::default()
    }
}

pub fn addr(text: &str) -> Addr {
    Addr::new(text, Numbering::default()).unwrap()
}

pub fn submit_sm() -> Pdu {
    split("hello", &Style::default(), 1).unwrap()[0].submit(&addr("72345"), &addr("+19995550123"), true)
}

pub fn deliver_sm() -> Pdu {
    split("hello", &Style::default(), 1).unwrap()[0].deliver(&addr("+19995550123"), &addr("72345"))
}

/// A session under test, and its clock. The peer is the test.
pub struct Rig {
    pub session: Session,
    pub now: Instant,
}

impl Rig {
    pub fn esme(kind: BindKind) -> Self {
        let now = start();
        let mut session = Session::esme(bind(kind, Version::V34), limits(), now);
        session.connected(now);
        Self { session, now }
    }

    pub fn bound() -> Self {
        let mut rig = Self::esme(BindKind::Transceiver);
        rig.says(CommandStatus::EsmeRok, 1, resp(BindKind::Transceiver, None));
        assert_eq!(rig.sent(), [(CommandId::BindTransceiver, 0, 1)]);
        assert_eq!(rig.events(), ["Bound(V34)"]);
        rig
    }

    pub fn smsc() -> Self {
        let now = start();
        let session = Session::smsc(Version::V50, limits(), now);
        Self { session, now }
    }

    pub fn says(&mut self, status: CommandStatus, sequence: u32, pdu: Pdu) {
        let octets = wire::encode(&Command::new(status, sequence, pdu));
        self.session.received(&octets, self.now);
    }

    /// What a peer sends whose octets no library would write.
    pub fn sends(&mut self, id: u32, status: u32, sequence: u32, body: &[u8]) {
        let header = [16 + body.len() as u32, id, status, sequence];
        let octets: Vec<u8> = header.iter().flat_map(|field| field.to_be_bytes()).collect();
        self.session.received(&[&octets, body].concat(), self.now);
    }

    pub fn answers(&mut self, status: CommandStatus, sequence: u32, id: &str) {
        self.says(status, sequence, response_to(CommandId::SubmitSm, id).unwrap());
    }

    /// Goes on in time from time-out to time-out.
    pub fn passes(&mut self, by: Duration) {
        let end = self.now + by;
        while let Some(at) = self.session.next_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.session.timeout(self.now);
            let again = self.session.next_timeout();
            assert!(
                again.is_none_or(|next| next > at),
                "a time-out that is over comes again"
            );
        }
        self.now = end;
    }

    pub fn submit(&mut self) -> Result<Ticket, NotNow> {
        self.now += Duration::from_millis(1);
        self.session.submit(submit_sm(), self.now)
    }

    /// What leaves: id, status, sequence.
    pub fn sent(&mut self) -> Vec<(CommandId, u32, u32)> {
        let mut reader = Reader::new(100_000);
        while let Some(octets) = self.session.poll_transmit() {
            reader.push(&octets);
        }
        std::iter::from_fn(|| match reader.read().unwrap()? {
            Frame::Pdu(command) => Some((
                command.id(),
                u32::from(command.status()),
                command.sequence_number(),
            )),
            Frame::Broken(broken) => panic!("{broken:?}"),
        })
        .collect()
    }

    pub fn events(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.session.poll_event())
            .map(|event| format!("{event:?}"))
            .collect()
    }

    pub fn outcomes(&mut self) -> Vec<Outcome> {
        std::iter::from_fn(|| self.session.poll_event())
            .filter_map(|event| match event {
                Event::Done { outcome, .. } => Some(outcome),
                _ => None,
            })
            .collect()
    }
}

pub fn resp(kind: BindKind, version: Option<InterfaceVersion>) -> Pdu {
    use rusmpp::pdus::{BindReceiverResp, BindTransceiverResp, BindTransmitterResp};
    let id = "smsc".parse().unwrap();
    match kind {
        BindKind::Transmitter => BindTransmitterResp::new(id, version).into(),
        BindKind::Receiver => BindReceiverResp::new(id, version).into(),
        BindKind::Transceiver => BindTransceiverResp::new(id, version).into(),
    }
}
