//! Many customers who text on, whatever is done meanwhile, agents who answer by themselves, and how it ends.

use crate::play::SOON;
use ccm_aacc_sim::{AutoAgent, Settings, Skillset};
use ccm_carrier_sim::Sim;
use ccm_demo::{Report, Tenant, World, WorldBuilder};
use ccm_model::{Clock, IdSource};
use ccm_testkit::canary;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};

/// [`peopled`], with the program that is tested.
pub fn world() -> WorldBuilder {
    peopled(crate::play::world())
}

/// Its agents answer by themselves, take any number of chats, and never end one because its customer is silent.
pub fn peopled(world: WorldBuilder) -> WorldBuilder {
    let agent = AutoAgent {
        replies: vec!["{tag} noted".into()],
        ..AutoAgent::default()
    };
    let settings = Settings {
        any_skillset: Skillset {
            max_chats: None,
            ..Skillset::default()
        },
        force_idle_after: Duration::ZERO,
        ..Settings::default()
    };
    world.agents([agent]).aacc(settings).stack(|stack| {
        // The checker reads every conversation.
        stack
            .env("RUST_LOG", "info")
            .env("CCM__ADMIN__REQUESTS_PER_MINUTE", "100000")
    })
}

/// Customers, spread over the tenants. A customer's number tells its tenant too: tags of automatic agents are numbered by customer.
#[derive(Clone)]
pub struct Crowd {
    carrier: Sim,
    /// The tenants' numbers.
    numbers: Vec<String>,
    customers: u32,
    said: Arc<AtomicU32>,
}

/// Ends when dropped.
pub struct Texting(JoinHandle<()>);

impl Crowd {
    /// Each customer of a crowd texts once. Returns when all of them are live chats.
    pub async fn gather(world: &World, customers: u32) -> Self {
        let crowd = Self {
            carrier: world.carrier.clone(),
            numbers: world.tenants.iter().map(|t| t.number.clone()).collect(),
            customers,
            said: Arc::default(),
        };
        for customer in 0..customers {
            crowd.text(customer);
        }
        let (began, wanted) = (Instant::now(), customers as usize);
        loop {
            let chats = world.tenants.iter().flat_map(|t| t.aacc.chats());
            let live = chats.filter(|c| c.said > 0).count();
            if live == wanted {
                return crowd;
            }
            // Many chats are opened at each link's own rate.
            assert!(
                began.elapsed() < 2 * SOON + Duration::from_millis(100) * customers,
                "{live} of {wanted} chats are live"
            );
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// Says something that nobody has said.
    pub fn text(&self, customer: u32) {
        let n = self.said.fetch_add(1, Relaxed);
        let number = &self.numbers[customer as usize % self.numbers.len()];
        let text = format!("#c-crowd-{n} {}", canary::body(n));
        self.carrier
            .text(&canary::number(customer), number, &text)
            .expect("the phone sends");
    }

    /// One text each `pace` from now on, whoever's turn it is.
    pub fn go_on(&self, pace: Duration, seed: u64) -> Texting {
        let dice = IdSource::new(Clock::system(), seed);
        let crowd = self.clone();
        Texting(tokio::spawn(async move {
            loop {
                crowd.text((dice.next_u64() % u64::from(crowd.customers)) as u32);
                sleep(pace).await;
            }
        }))
    }

    /// Texts so far.
    pub fn said(&self) -> u32 {
        self.said.load(Relaxed)
    }
}

impl Drop for Texting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// All chats' guids, tenant by tenant, in the order in which they were opened.
pub fn all_guids(world: &World) -> Vec<Vec<u64>> {
    let of = |tenant: &Tenant| tenant.aacc.chats().iter().map(|c| c.guid).collect();
    world.tenants.iter().map(of).collect()
}

/// What the checker says when everything has arrived, or when it has not for long.
pub async fn settled(world: &World) -> Report {
    let end = Instant::now() + 2 * SOON;
    loop {
        let report = world.check().await.expect("everybody can be asked");
        if (report.is_clean() && report.dead.is_empty()) || Instant::now() > end {
            return report;
        }
        sleep(Duration::from_secs(1)).await;
    }
}

/// The provider posted nothing twice: each text and receipt was answered with 2xx at once, by some pod.
pub async fn every_post_was_answered(world: &World) {
    world
        .carrier
        .wait_quiet(SOON)
        .await
        .expect("nothing is under way");
    let traffic = world.carrier.stats().traffic;
    let record = world.carrier.record();
    let of_texts = record.sent.iter().filter_map(|t| t.last_failure.clone());
    let receipts = record.received.iter().flat_map(|t| &t.receipts);
    let of_receipts = receipts
        .filter(|r| !r.accepted || r.posts > 1)
        .map(|r| format!("receipt after {} posts: {:?}", r.posts, r.answer));
    let failures: Vec<String> = of_texts.chain(of_receipts).take(20).collect();
    println!(
        "ingest: {} texts and {} receipts posted, {} not answered with 2xx",
        traffic.posts,
        traffic.receipts,
        (traffic.posts - traffic.posts_accepted) + (traffic.receipts - traffic.receipts_accepted)
    );
    assert_eq!(
        (traffic.posts, traffic.receipts),
        (traffic.posts_accepted, traffic.receipts_accepted),
        "posts and receipts against those with a 2xx: {failures:?}"
    );
}

/// No process has logged an error, over all its restarts.
pub fn nobody_logged_an_error(world: &World) {
    for role in world.stack.roles() {
        let logs = world.stack.logs(role).expect("every role has a log");
        let is_wrong = |line: &&str| line.contains(r#""level":"ERROR""#) || line.contains("panicked at");
        let wrong: Vec<&str> = logs.lines().filter(is_wrong).take(5).collect();
        assert!(wrong.is_empty(), "{role}: {wrong:#?}");
    }
}

/// Asks a process to end, as a deploy does; it ends by itself, in time, with exit code 0.
pub async fn drain(world: &mut World, role: &str) {
    world.stack.sigterm(role).unwrap();
    let status = world.stack.wait(role, Duration::from_secs(30)).await.unwrap();
    assert!(
        status.success(),
        "{role} ended with {status}\n{}",
        world.stack.logs(role).unwrap()
    );
}
