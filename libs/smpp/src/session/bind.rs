//! Binds (SMPP 3.4 section 4.1).

use rusmpp::{
    CommandId, Pdu,
    pdus::{
        BindReceiver, BindReceiverResp, BindTransceiver, BindTransceiverResp, BindTransmitter,
        BindTransmitterResp,
    },
    types::COctetString,
    values::{InterfaceVersion, Npi, Ton},
};
use secrecy::{ExposeSecret, SecretString};

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindKind {
    Transmitter,
    Receiver,
    Transceiver,
}

impl BindKind {
    /// Whether the ESME may send texts.
    pub fn transmits(self) -> bool {
        self != Self::Receiver
    }

    /// Whether the message centre may.
    pub fn receives(self) -> bool {
        self != Self::Transmitter
    }
}

/// The protocol's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Version {
    #[default]
    V34,
    V50,
}

impl Version {
    pub(super) fn on_wire(self) -> InterfaceVersion {
        match self {
            Self::V34 => InterfaceVersion::Smpp3_4,
            Self::V50 => InterfaceVersion::Smpp5_0,
        }
    }

    /// What both ends speak, after what the peer said. One that says nothing, or something older, is taken for one of 3.4:
    /// most that leave `sc_interface_version` out are.
    pub(super) fn agreed(self, peer: Option<InterfaceVersion>) -> Self {
        match peer {
            Some(InterfaceVersion::Smpp5_0) => self,
            Some(InterfaceVersion::Other(version)) if version > 0x50 => self,
            _ => Self::V34,
        }
    }
}

/// What an ESME binds with. Texts that are too long for their parameter do not get here: [`Bind::check`].
#[derive(Debug, Clone)]
pub struct Bind {
    pub kind: BindKind,
    pub system_id: String,
    pub password: SecretString,
    pub system_type: String,
    pub version: Version,
    /// Which addresses it is for; mostly left to the message centre.
    pub ton: u8,
    pub npi: u8,
    pub address_range: String,
}

/// A parameter that a bind has no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{parameter} must be ASCII of at most {most} characters (SMPP 3.4 section 4.1)")]
pub struct BadBind {
    pub parameter: &'static str,
    pub most: usize,
}

/// What an ESME asks to be bound with, as a message centre sees it.
#[derive(Debug)]
pub struct BindRequest {
    pub kind: BindKind,
    pub system_id: String,
    pub password: SecretString,
    pub version: Version,
}

fn text<const MAX: usize>(value: &str) -> Option<COctetString<1, MAX>> {
    value.parse().ok()
}

impl Bind {
    /// Whether all of it fits. Else the first parameter that does not.
    pub fn check(&self) -> Result<(), BadBind> {
        let password = self.password.expose_secret();
        for (parameter, most, fits) in [
            ("system_id", 15, text::<16>(&self.system_id).is_some()),
            ("password", 8, text::<9>(password).is_some()),
            ("system_type", 12, text::<13>(&self.system_type).is_some()),
            ("address_range", 40, text::<41>(&self.address_range).is_some()),
        ] {
            if !fits {
                return Err(BadBind { parameter, most });
            }
        }
        Ok(())
    }

    pub(super) fn pdu(&self) -> Pdu {
        macro_rules! bind {
            ($pdu:ident) => {
                $pdu::new(
                    text(&self.system_id).unwrap_or_default(),
                    text(self.password.expose_secret()).unwrap_or_default(),
                    text(&self.system_type).unwrap_or_default(),
                    self.version.on_wire(),
                    Ton::from(self.ton),
                    Npi::from(self.npi),
                    text(&self.address_range).unwrap_or_default(),
                )
                .into()
            };
        }
        match self.kind {
            BindKind::Transmitter => bind!(BindTransmitter),
            BindKind::Receiver => bind!(BindReceiver),
            BindKind::Transceiver => bind!(BindTransceiver),
        }
    }
}

impl BindRequest {
    /// `None` if it is another PDU.
    pub(super) fn read(pdu: &Pdu) -> Option<Self> {
        macro_rules! request {
            ($kind:ident, $bind:ident) => {
                Self {
                    kind: BindKind::$kind,
                    system_id: $bind.system_id.as_str().to_owned(),
                    password: $bind.password.as_str().into(),
                    version: Version::V50.agreed(Some($bind.interface_version)),
                }
            };
        }
        Some(match pdu {
            Pdu::BindTransmitter(bind) => request!(Transmitter, bind),
            Pdu::BindReceiver(bind) => request!(Receiver, bind),
            Pdu::BindTransceiver(bind) => request!(Transceiver, bind),
            _ => return None,
        })
    }
}

/// The response to a bind of this kind.
pub(super) fn response(kind: BindKind, system_id: &str, version: Version) -> Pdu {
    let system_id = text(system_id).unwrap_or_default();
    let version = Some(version.on_wire());
    match kind {
        BindKind::Transmitter => Pdu::BindTransmitterResp(BindTransmitterResp::new(system_id, version)),
        BindKind::Receiver => Pdu::BindReceiverResp(BindReceiverResp::new(system_id, version)),
        BindKind::Transceiver => Pdu::BindTransceiverResp(BindTransceiverResp::new(system_id, version)),
    }
}

pub(super) fn kind_of(id: CommandId) -> Option<BindKind> {
    Some(match id {
        CommandId::BindTransmitter => BindKind::Transmitter,
        CommandId::BindReceiver => BindKind::Receiver,
        CommandId::BindTransceiver => BindKind::Transceiver,
        _ => return None,
    })
}

/// What a message centre says that it speaks.
pub(super) fn version_in(pdu: Option<&Pdu>) -> Option<InterfaceVersion> {
    match pdu? {
        Pdu::BindTransmitterResp(resp) => resp.sc_interface_version(),
        Pdu::BindReceiverResp(resp) => resp.sc_interface_version(),
        Pdu::BindTransceiverResp(resp) => resp.sc_interface_version(),
        _ => None,
    }
}
