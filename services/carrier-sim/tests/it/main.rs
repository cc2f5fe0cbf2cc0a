//! The simulator on the wire: what it takes, what it posts, and how it fails on order.

mod carrier;
mod control;
mod esme;
mod faults;
mod from_phone;
mod kannel;
mod lookups;
mod manners;
mod node_smpp;
mod parts;
mod receipts;
mod smsc;
mod to_phone;
mod webhook;

use ccm_carrier_sim::{Account, Config, Kind, Retry, Setup, Sim};
use std::{
    sync::{Arc, Once},
    time::Duration,
};

const SID: &str = "AC0123456789abcdef0123456789abcdef";
const TOKEN: &str = "fedcba9876543210fedcba9876543210";
const NAME: &str = "generic";
const SECRET: &str = "a-documented-secret";
const PHONE: &str = "+19995550123";
/// Twilio's.
const LONG: &str = "+19995550100";
/// The generic account's.
const SHORT: &str = "72345";
/// 2026-11-23T08:00:00.5Z
const NOW_NS: u64 = 1_795_420_800_500_000_000;
const SOON: Duration = Duration::from_secs(10);

fn http() -> reqwest::Client {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    });
    reqwest::Client::builder().timeout(SOON).build().unwrap()
}

/// A simulator with one account of each dialect, quick retries and a clock that stands still.
async fn sim(twilio_webhook: Option<String>, generic_webhook: Option<String>) -> Sim {
    let hasty = Retry {
        pauses: [20, 50].map(Duration::from_millis).to_vec(),
        give_up_after: Duration::from_secs(5),
        timeout: Duration::from_millis(500),
    };
    sim_that_retries(twilio_webhook, generic_webhook, hasty).await
}

async fn sim_that_retries(
    twilio_webhook: Option<String>,
    generic_webhook: Option<String>,
    retry: Retry,
) -> Sim {
    http();
    let account = |kind, name: &str, secret: &str, webhook_url| Account {
        kind,
        name: name.into(),
        secret: secret.into(),
        webhook_url,
    };
    Sim::start(Config {
        setup: Setup {
            accounts: vec![
                account(Kind::Twilio, SID, TOKEN, twilio_webhook),
                account(Kind::Http, NAME, SECRET, generic_webhook),
            ],
            numbers: [(LONG.into(), SID.into()), (SHORT.into(), NAME.into())].into(),
        },
        retry,
        now_ns: Arc::new(|| NOW_NS),
        seed: 7,
        ..Config::default()
    })
    .await
    .unwrap()
}
