//! How a simulator is set up.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::chaos::Chaos;
use crate::script::AutoAgent;
use crate::settings::Settings;
use crate::steps::Step;
use crate::tls::TlsSetup;

/// Wall-clock time in nanoseconds since 1970, UTC. Nanoseconds, because the latency figures are taken from it.
pub type WallClock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Everything that [`crate::Sim::start`] needs. `Config::default()` is a wss simulator on free loopback ports with a
/// private CA of its own, the machine's clock, no automatic agents, and AACC's default settings.
#[derive(Clone)]
pub struct Config {
    /// Where EWC is served; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the control API is served. Loopback only: it asks for no password.
    pub control: SocketAddr,
    pub tls: Tls,
    /// What is wrong with the TLS side, to begin with. Has no meaning with [`Tls::Plain`].
    pub tls_setup: TlsSetup,
    pub settings: Settings,
    /// Automatic agents; the first rule that fits a new chat plays it.
    pub agents: Vec<AutoAgent>,
    /// Faults at random, from the start.
    pub chaos: Option<Chaos>,
    /// What happens at which time.
    pub steps: Vec<Step>,
    /// Where recorded times come from.
    pub now_ns: WallClock,
    /// Seed of the authentication keys.
    pub seed: u64,
    /// The first chat's guid. `None`: taken from the clock, so that a restarted simulator gives no guid twice.
    pub first_guid: Option<u64>,
}

/// What the EWC port speaks.
#[derive(Clone, Debug, Default)]
pub enum Tls {
    /// wss with a private CA and a server certificate made at start, in memory.
    #[default]
    PrivateCa,
    /// wss with `ca.pem`, `server.pem` and `server.key` of this folder; they are made where missing (and `ca.key` with
    /// them), so that a restarted simulator keeps its identity.
    Dir(PathBuf),
    /// wss with these PEM texts. `ca_pem` is handed out by the handle, and checks clients' certificates if they are asked
    /// for. Without the CA's key no other certificates can be made.
    Pem {
        cert_pem: String,
        key_pem: String,
        ca_pem: String,
    },
    /// ws.
    Plain,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            control: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls: Tls::default(),
            tls_setup: TlsSetup::default(),
            settings: Settings::default(),
            agents: Vec::new(),
            chaos: None,
            steps: Vec::new(),
            now_ns: machine_clock(),
            seed: machine_entropy(),
            first_guid: None,
        }
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "the simulator's one default clock; callers can pass their own"
)]
fn machine_clock() -> WallClock {
    Arc::new(|| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |d| d.as_nanos() as u64)
    })
}

#[allow(
    clippy::disallowed_methods,
    reason = "the simulator's one default seed; callers can pass their own"
)]
fn machine_entropy() -> u64 {
    rand::random()
}
