//! From the name to the open WebSocket, stage by stage.

use std::net::SocketAddr;

use ccm_ewc_client::{Connection, DialError, Scheme, Secured, Socket, Stream};

use crate::chain::Chain;
use crate::explain::{Patient, answer_facts};
use crate::log::{Seen, fact};

type Stage<T> = (Seen, Option<T>);

pub(crate) async fn dns(patient: &Patient<'_>) -> Stage<Vec<SocketAddr>> {
    match patient.dialer.resolve(patient.dialer.deadline()).await {
        Ok(addresses) => {
            let of = match (&patient.target.proxy, patient.target.addresses.is_empty()) {
                (Some(_), _) => "proxy's address",
                (None, false) => "pinned address",
                (None, true) => "address",
            };
            let facts: Vec<_> = addresses.iter().map(|address| fact(of, address.ip())).collect();
            (Seen::passed().facts(facts), Some(addresses))
        }
        Err(error) => (Seen::failed(patient.dns(&error)), None),
    }
}

pub(crate) async fn tcp(patient: &Patient<'_>, addresses: &[SocketAddr]) -> Stage<Connection> {
    match patient.dialer.connect(addresses, patient.dialer.deadline()).await {
        Ok(connection) => {
            let mut seen = Seen::passed().fact("connected to", connection.address);
            if let Some(from) = connection.local_address() {
                seen = seen.fact("from this machine's", from.ip());
            }
            if let Some(tunnel) = &connection.tunnel {
                seen = seen.fact("carried on to", tunnel);
            }
            (seen, Some(connection))
        }
        Err(error) => {
            let tried = addresses.iter().map(|address| fact("tried", address));
            (Seen::failed(patient.tcp(&error).await).facts(tried), None)
        }
    }
}

pub(crate) async fn tls(patient: &Patient<'_>, connection: Connection, warn_days: u32) -> Stage<Stream> {
    let Secured { stream, evidence } = patient.dialer.secure(connection, patient.dialer.deadline()).await;
    let chain = Chain::read(&evidence.chain);
    let (mut seen, stream) = match stream {
        Ok(stream) => (
            Seen::passed_unless(chain.ends_soon(patient.now, warn_days)),
            Some(stream),
        ),
        Err(error) => (
            Seen::failed(patient.tls(&error, &evidence).await).fact("seen", error),
            None,
        ),
    };
    for (name, value) in [
        ("protocol", evidence.protocol),
        ("cipher suite", evidence.cipher_suite),
    ] {
        if let Some(value) = value {
            seen = seen.fact(name, value);
        }
    }
    if evidence.client_certificate_asked {
        let given = match patient.target.client_identity {
            Some(_) => "asked for and given",
            None => "asked for, and we have none",
        };
        seen = seen.fact("client certificate", given);
    }
    (seen.facts(chain.evidence(patient.now)), stream)
}

pub(crate) async fn upgrade(patient: &Patient<'_>, stream: Stream) -> Stage<Socket> {
    match patient.dialer.upgrade(stream, patient.dialer.deadline()).await {
        Ok(socket) => (Seen::passed().fact("HTTP status", 101), Some(socket)),
        Err(error) => {
            let (finding, besides) = patient.upgrade(&error).await;
            let answer = match &error {
                DialError::Upgrade(answer) => answer_facts(answer),
                other => vec![fact("seen", other)],
            };
            (Seen::failed(finding).facts(answer).facts(besides), None)
        }
    }
}

/// Another socket for another step; what goes wrong is that step's.
pub(crate) async fn again(patient: &Patient<'_>) -> Result<Socket, Seen> {
    match patient.dialer.dial().await {
        Ok(socket) => Ok(socket),
        Err(error) => {
            let (finding, besides) = match &error {
                DialError::Dns { .. } | DialError::NotAllowed { .. } | DialError::BadHost(_) => {
                    (patient.dns(&error), Vec::new())
                }
                DialError::Tcp(_) | DialError::Proxy(_) => (patient.tcp(&error).await, Vec::new()),
                _ => patient.upgrade(&error).await,
            };
            Err(Seen::failed(finding).fact("another dial", error).facts(besides))
        }
    }
}

pub(crate) fn has_tls(patient: &Patient<'_>) -> bool {
    patient.target.scheme == Scheme::Wss
}
