//! Free ports on the loopback address.

use ccm_model::IdSource;
use std::{
    net::{Ipv4Addr, TcpListener, UdpSocket},
    sync::Mutex,
};

/// Above the well-known and registered services that a machine runs, below the range (32768 and up) that Linux takes
/// ports from for outgoing connections: a server that stops and comes back finds its port free.
const RANGE: std::ops::Range<u64> = 20_000..32_000;

/// Numbers that this process has given out, each held as a UDP port of the same number: UDP is not used for anything
/// else here, and other processes that choose a port see at once that this one is taken.
static CLAIMED: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());

/// A TCP port on 127.0.0.1 that nobody listens on at this moment and that this function gives to nobody else, in this
/// process or another, until this process ends.
///
/// A program that does not ask here may take it all the same: a caller that then fails to bind tries another one.
pub fn free_port() -> u16 {
    let random = IdSource::system();
    for _ in 0..1_000 {
        let port = (RANGE.start + random.next_u64() % (RANGE.end - RANGE.start)) as u16;
        if let Ok(claim) = UdpSocket::bind((Ipv4Addr::LOCALHOST, port))
            && !is_taken(port)
        {
            CLAIMED
                .lock()
                .expect("nothing panics while the list is locked")
                .push(claim);
            return port;
        }
    }
    panic!("no free TCP port on 127.0.0.1 between 20000 and 31999; something on this machine holds them all")
}

/// Whether some program listens on the port of 127.0.0.1.
pub(crate) fn is_taken(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_port_is_given_out_twice_and_every_one_can_be_bound() {
        let ports: Vec<u16> = (0..300).map(|_| free_port()).collect();
        assert_eq!(ports.iter().collect::<HashSet<_>>().len(), 300);
        UdpSocket::bind((Ipv4Addr::LOCALHOST, ports[0])).expect_err("other processes see the claim");
        TcpListener::bind((Ipv4Addr::LOCALHOST, ports[0])).unwrap();
    }
}
