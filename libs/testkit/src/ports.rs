//! Free ports on the loopback address.

use ccm_model::IdSource;
use std::net::{Ipv4Addr, TcpListener};

/// Above the well-known and registered services that a machine runs, below the range (32768 and up) that Linux takes
/// ports from for outgoing connections: a server that stops and comes back finds its port free.
const RANGE: std::ops::Range<u64> = 20_000..32_000;

/// A TCP port on 127.0.0.1 that nobody listens on at this moment.
///
/// Another program may take it before the caller does: a caller that then fails to bind tries another one.
pub fn free_port() -> u16 {
    let random = IdSource::system();
    for _ in 0..1_000 {
        let port = (RANGE.start + random.next_u64() % (RANGE.end - RANGE.start)) as u16;
        if !is_taken(port) {
            return port;
        }
    }
    panic!("no free TCP port on 127.0.0.1 between 20000 and 31999; something on this machine holds them all")
}

/// Whether some program listens on the port of 127.0.0.1.
pub(crate) fn is_taken(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err()
}
