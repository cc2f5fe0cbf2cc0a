//! Which addresses may be dialled.

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use tokio::sync::Semaphore;

/// What is not reached over the public internet, or leads back into private networks: IANA's registries of special-purpose
/// addresses (<https://www.iana.org/assignments/iana-ipv4-special-registry>), multicast and reserved space.
const SPECIAL_V4: [&str; 18] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    // Azure's own services for its machines, at an address that looks public.
    "168.63.129.16/32",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/3",
];

/// The one block that public IPv6 addresses are given out of.
const PUBLIC_V6: &str = "2000::/3";

/// What is special within it (<https://www.iana.org/assignments/iana-ipv6-special-registry>): Teredo and 6to4, which carry an
/// IPv4 address to whoever relays them, among them.
const SPECIAL_V6: [&str; 5] = [
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "2620:4f:8000::/48",
    "3fff::/20",
];

/// Which addresses may be dialled: public ones, and some networks beside them.
#[derive(Debug, Clone)]
pub struct Allowed {
    private: Vec<IpNet>,
    special: Vec<IpNet>,
    public_v6: IpNet,
}

impl Default for Allowed {
    fn default() -> Self {
        Self::also(Vec::new())
    }
}

impl Allowed {
    /// Public addresses, and those of these networks.
    pub fn also(private: Vec<IpNet>) -> Self {
        let read = |net: &str| net.parse().expect("a network");
        Self {
            private,
            special: SPECIAL_V4.into_iter().chain(SPECIAL_V6).map(read).collect(),
            public_v6: read(PUBLIC_V6),
        }
    }

    pub fn allows(&self, ip: IpAddr) -> bool {
        // `::ffff:10.0.0.1` is dialled as 10.0.0.1.
        let ip = ip.to_canonical();
        let within = |nets: &[IpNet]| nets.iter().any(|net| net.contains(&ip));
        within(&self.private) || (!within(&self.special) && (ip.is_ipv4() || self.public_v6.contains(&ip)))
    }
}

/// All addresses of a name are such as may not be dialled.
#[derive(Debug, thiserror::Error)]
#[error("the name has no address that may be dialled")]
pub(crate) struct NotAllowed;

/// Look-ups at a time. Each holds a thread until it ends, whoever still waits for it: a name server that hangs must not take
/// the threads of the rest of the process.
const LOOK_UPS: usize = 64;

/// The system's resolver, of whose answers only those are taken that may be dialled.
#[derive(Clone)]
pub(crate) struct Guarded {
    allowed: Arc<Allowed>,
    places: Arc<Semaphore>,
}

impl Guarded {
    pub fn new(allowed: Arc<Allowed>) -> Self {
        Self {
            allowed,
            places: Arc::new(Semaphore::new(LOOK_UPS)),
        }
    }
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let (allowed, places) = (self.allowed.clone(), self.places.clone());
        Box::pin(async move {
            let place = places.acquire_owned().await?;
            // A task of its own: the place is taken for as long as the thread is.
            let look_up = tokio::spawn(async move {
                let found = tokio::net::lookup_host((name.as_str(), 0)).await;
                drop(place);
                found.map(Iterator::collect)
            });
            let found: Vec<SocketAddr> = look_up.await??;
            let any = !found.is_empty();
            let dialled: Vec<_> = found.into_iter().filter(|to| allowed.allows(to.ip())).collect();
            if any && dialled.is_empty() {
                return Err(NotAllowed.into());
            }
            Ok(Box::new(dialled.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_addresses_are_dialled_and_no_others() {
        let allowed = Allowed::default();
        for public in [
            "8.8.8.8",
            "93.184.216.34",
            "2606:4700::1111",
            "::ffff:8.8.8.8",
            "172.32.0.1",
        ] {
            assert!(allowed.allows(public.parse().unwrap()), "{public}");
        }
        for not in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.9.9.9",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "198.18.0.1",
            "203.0.113.7",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::7f00:1",
            "64:ff9b::7f00:1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!allowed.allows(not.parse().unwrap()), "{not}");
        }
    }

    #[test]
    fn an_operator_allows_networks_beside_them() {
        let allowed = Allowed::also(vec!["10.7.0.0/16".parse().unwrap(), "::1/128".parse().unwrap()]);
        for (ip, may) in [
            ("10.7.3.4", true),
            ("::ffff:10.7.3.4", true),
            ("10.8.3.4", false),
            ("::1", true),
            ("127.0.0.1", false),
            ("8.8.8.8", true),
        ] {
            assert_eq!(allowed.allows(ip.parse().unwrap()), may, "{ip}");
        }
    }
}
