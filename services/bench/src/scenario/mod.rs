//! What is measured: ccm and its baseline in turn, both in processes of their own, on the same Postgres server.

mod aacc;
pub mod accept;
pub mod chats;
pub mod deliver;
pub mod dispatch;

use crate::{
    bare,
    load::{self, Answered, Offer, Pace, Request},
    outbox::Outbox,
    process::{Child, cpu_seconds},
    report::{CCM, Latency, Point},
    store::Store,
};
use anyhow::{Context, Result, ensure};
use ccm_model::Clock;
use ccm_testkit::stack::{Plan, PlannedAccount, Stack};
use serde_json::json;
use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use url::Url;

/// Signs webhooks of accounts that exist in the bench alone.
const TOKEN: &str = "the-bench-signs-with-this";
const SKILLSET: &str = "WC_Default_Skillset";
/// Of one skillset: the most that the admin API takes.
const MOST_CHATS: u32 = 100_000;
const BARE_DATABASE: &str = "bare";

/// The programs that are measured.
pub struct Programs {
    ccm: PathBuf,
    aacc_sim: PathBuf,
    /// This one: the baselines are in it.
    bench: PathBuf,
}

impl Programs {
    /// `ccm` as named, or from this program's folder; `aacc-sim` from beside it.
    pub fn find(ccm: Option<&Path>) -> Result<Self> {
        let bench = std::env::current_exe()?;
        let ccm = ccm.map_or_else(|| bench.with_file_name("ccm"), Path::to_owned);
        let aacc_sim = ccm.with_file_name("aacc-sim");
        for program in [&ccm, &aacc_sim] {
            ensure!(
                program.is_file(),
                "there is no program {}; build it with `cargo build --workspace --bins`, with --release for figures",
                program.display()
            );
        }
        Ok(Self { ccm, aacc_sim, bench })
    }
}

/// How much is measured of each scenario.
pub struct Size {
    pub accept: Option<accept::Size>,
    pub deliver: Option<deliver::Size>,
    pub dispatch: Option<dispatch::Size>,
    pub chats: Option<chats::Size>,
}

impl Size {
    /// A minute.
    pub fn short() -> Self {
        Self {
            accept: Some(accept::Size {
                tenants: 2,
                numbers: 2,
                warm_up: 20,
                loads: vec![Load::rate(100.0, 100), Load::most(8, 300)],
                rounds: 1,
            }),
            deliver: Some(deliver::Size {
                chats: 10,
                warm_up: 20,
                loads: vec![Load::rate(30.0, 60)],
                rounds: 1,
            }),
            dispatch: Some(dispatch::Size::short()),
            chats: Some(chats::Size::short()),
        }
    }

    /// Half an hour, most of it pings.
    pub fn long() -> Self {
        Self {
            accept: Some(accept::Size {
                tenants: 4,
                numbers: 5,
                warm_up: 2_000,
                loads: vec![
                    Load::rate(200.0, 2_000),
                    Load::rate(500.0, 5_000),
                    Load::most(64, 10_000),
                ],
                rounds: 3,
            }),
            deliver: Some(deliver::Size {
                chats: 50,
                warm_up: 1_000,
                loads: vec![Load::rate(100.0, 1_000), Load::rate(300.0, 3_000)],
                rounds: 3,
            }),
            dispatch: Some(dispatch::Size::long()),
            chats: Some(chats::Size::of(vec![5_000, 10_000], Duration::from_secs(600))),
        }
    }

    /// Only the live chats.
    pub fn chats(chats: chats::Size) -> Self {
        Self {
            accept: None,
            deliver: None,
            dispatch: None,
            chats: Some(chats),
        }
    }

    /// Only the way to the provider.
    pub fn dispatch(dispatch: dispatch::Size) -> Self {
        Self {
            accept: None,
            deliver: None,
            dispatch: Some(dispatch),
            chats: None,
        }
    }
}

/// What is offered to each program in each round.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    rate: Option<f64>,
    connections: u64,
    texts: u64,
    tries: u32,
}

impl Load {
    /// Open loop: a text every 1/`per_s` seconds, whatever becomes of those before.
    fn rate(per_s: f64, texts: u64) -> Self {
        Self {
            rate: Some(per_s),
            connections: 64,
            texts,
            tries: 1,
        }
    }

    /// Closed loop: as fast as the connections go.
    fn most(connections: u64, texts: u64) -> Self {
        Self {
            rate: None,
            connections,
            texts,
            tries: 1,
        }
    }

    /// The same, and a text that is not taken is posted again, as providers do.
    fn all(connections: u64, texts: u64) -> Self {
        Self {
            tries: 10,
            ..Self::most(connections, texts)
        }
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rate {
            Some(rate) => write!(f, "{rate:.0} texts a second"),
            None => write!(f, "as fast as {} connections go", self.connections),
        }
    }
}

/// How a program gets its texts.
enum Way {
    Posted { to: SocketAddr, request: Request },
    Queued(Outbox),
}

/// A program (or several that work together) under load.
struct Target {
    name: &'static str,
    way: Way,
    pids: Vec<u32>,
    posted: u64,
    refused: u64,
    refusal: Option<String>,
}

impl Target {
    fn new(name: &'static str, to: SocketAddr, request: Request, pids: Vec<u32>) -> Self {
        Self::with(name, Way::Posted { to, request }, pids)
    }

    fn with(name: &'static str, way: Way, pids: Vec<u32>) -> Self {
        Self {
            name,
            way,
            pids,
            posted: 0,
            refused: 0,
            refusal: None,
        }
    }

    /// Offers a load, each text a new one.
    async fn offer(&mut self, load: &Load, clock: &Clock) -> Result<Answered> {
        let pace = Pace {
            texts: load.texts,
            rate: load.rate,
            tries: load.tries,
            first: self.posted,
        };
        let answered = match &self.way {
            Way::Posted { to, request } => {
                let offer = Offer {
                    to: *to,
                    connections: load.connections,
                    pace,
                    request: request.clone(),
                };
                load::run(&offer, clock).await?
            }
            Way::Queued(outbox) => {
                let connections = (0..load.connections).map(|_| outbox.clone()).collect();
                load::submit(pace, connections, clock).await?
            }
        };
        self.posted += load.texts;
        self.refused += answered.failed;
        self.refusal = self.refusal.take().or_else(|| answered.failure.clone());
        Ok(answered)
    }

    fn accepted(&self) -> u64 {
        self.posted - self.refused
    }

    fn cpu_seconds(&self) -> Result<f64> {
        self.pids.iter().map(|pid| cpu_seconds(*pid)).sum()
    }
}

/// What one target did under one load, over the rounds.
struct Sum {
    answered: Answered,
    cpu_seconds: f64,
}

impl Sum {
    fn none() -> Self {
        Self {
            answered: Answered::none(),
            cpu_seconds: 0.0,
        }
    }

    fn point(&self, scenario: &'static str, program: &'static str, load: &Load, latency: Latency) -> Point {
        let texts = self.answered.ok;
        Point {
            scenario,
            program,
            offered_per_s: load.rate,
            texts,
            per_s: texts as f64 / self.answered.seconds,
            latency,
            cpu_s_per_1000: self.cpu_seconds * 1000.0 / texts.max(1) as f64,
            postgres_cpu_s_per_1000: None,
        }
    }
}

/// A number that customers text.
#[derive(Debug, Clone)]
struct Number {
    to: SocketAddr,
    /// Host and port as in the webhook's address.
    host: String,
    path: String,
    account_sid: String,
    address: String,
}

impl Number {
    /// Twilio's webhook for the n-th text of the run.
    fn webhook(&self, customer: u64, n: u64, marker: &str) -> Vec<u8> {
        let sid = format!("SM{n:032x}");
        let text = |value: &str| value.to_owned();
        let mut params = [
            ("AccountSid", self.account_sid.clone()),
            ("ApiVersion", text("2010-04-01")),
            (
                "Body",
                format!("{marker} n-{n}: could you tell me when somebody will come and look at the heating?"),
            ),
            ("From", format!("+1214{customer:07}")),
            ("FromCity", text("DALLAS")),
            ("FromCountry", text("US")),
            ("FromState", text("TX")),
            ("FromZip", text("75201")),
            ("MessageSid", sid.clone()),
            ("NumMedia", text("0")),
            ("NumSegments", text("1")),
            ("SmsMessageSid", sid.clone()),
            ("SmsSid", sid),
            ("SmsStatus", text("received")),
            ("To", self.address.clone()),
            ("ToCountry", text("US")),
        ];
        load::twilio(&self.host, &self.path, TOKEN, &mut params)
    }

    /// The same text for the baseline.
    fn at_the_baseline(&self, to: SocketAddr) -> Self {
        Self {
            to,
            host: to.to_string(),
            path: bare::api::PATH.to_owned(),
            ..self.clone()
        }
    }
}

/// Text n comes from customer n modulo `customers` (or, without, from a new one) to the customer's number.
fn texts(numbers: Vec<Number>, customers: Option<u64>) -> Request {
    Arc::new(move |n, marker| {
        let customer = customers.map_or(n, |all| n % all);
        numbers[customer as usize % numbers.len()].webhook(customer, n, marker)
    })
}

/// Makes tenants with a Twilio account each, and returns all their numbers.
async fn make_tenants(
    stack: &Stack,
    tenants: usize,
    numbers: usize,
    ewc_url: &str,
    ca_pem: Option<&str>,
) -> Result<Vec<Number>> {
    let admin = stack.admin()?;
    let mut made = Vec::new();
    for tenant in 0..tenants {
        let account_sid = format!("AC{tenant:032}");
        let addresses: Vec<String> = (0..numbers).map(|n| format!("+1971{tenant:03}{n:04}")).collect();
        let plan = Plan {
            slug: format!("bench-{tenant}"),
            ewc_url: ewc_url.to_owned(),
            ca_pem: ca_pem.map(str::to_owned),
            skillset: SKILLSET.to_owned(),
            accounts: vec![PlannedAccount {
                kind: "twilio".to_owned(),
                settings: json!({ "account_sid": account_sid }),
                secret: json!({ "auth_token": TOKEN }),
                numbers: addresses.clone(),
                per_second: 10.0,
            }],
            connects_per_second: 1000.0,
        };
        let tenant = admin.make_tenant(&plan).await?;
        // AACC's own limit is lifted, too.
        let settings = json!({ "limits": { "per_skillset": MOST_CHATS } });
        admin
            .put(&format!("/tenants/{}/chat-settings", tenant.id), &settings)
            .await?;
        let webhook = Url::parse(&tenant.accounts[0].webhook_url)?;
        let host = webhook[url::Position::BeforeHost..url::Position::AfterPort].to_owned();
        made.extend(addresses.into_iter().map(|address| Number {
            to: SocketAddr::from(([127, 0, 0, 1], webhook.port_or_known_default().unwrap_or(80))),
            host: host.clone(),
            path: webhook.path().to_owned(),
            account_sid: account_sid.clone(),
            address,
        }));
    }
    Ok(made)
}

/// The baseline's database and its web side.
struct BareApi {
    child: Child,
    to: SocketAddr,
    store: Store,
}

impl BareApi {
    /// Starts it on the stack's Postgres server.
    async fn start(programs: &Programs, stack: &mut Stack, redis: Option<&str>) -> Result<Self> {
        let mut store = Store::open(&stack.pg().superuser_url()).await?;
        store.create_database(BARE_DATABASE).await?;
        let url = stack.pg().superuser_url_of(BARE_DATABASE);
        let mut args = vec!["bare-api"];
        if let Some(redis) = redis {
            args.extend(["--redis", redis]);
        }
        let env = [("BARE_DATABASE_URL", url.as_str())];
        let mut child = Child::start("bare-api", &programs.bench, args, &env, stack.dir())?;
        let to = child.says(bare::api::LISTENS).await?.parse()?;
        Ok(Self {
            child,
            to,
            store: Store::open(&url).await?,
        })
    }
}

/// The process of a role.
fn pid(stack: &Stack, role: &str) -> Result<u32> {
    stack.pid(role)?.with_context(|| format!("{role} does not run"))
}

/// ccm, ready to be loaded: the numbers' webhooks, and the processes whose work is counted.
fn ccm(stack: &Stack, roles: &[&str], numbers: Vec<Number>, customers: Option<u64>) -> Result<Target> {
    let pids = roles.iter().map(|role| pid(stack, role)).collect::<Result<_>>()?;
    let to = numbers[0].to;
    Ok(Target::new(CCM, to, texts(numbers, customers), pids))
}

/// A file of the run.
fn write(dir: &Path, name: &str, content: &str) -> Result<PathBuf> {
    let file = dir.join(name);
    std::fs::write(&file, content).with_context(|| format!("writing {}", file.display()))?;
    Ok(file)
}

fn tell(step: &str) {
    println!("- {step}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_another_and_a_customer_keeps_to_a_number() {
        let number = |n: usize| Number {
            to: SocketAddr::from(([127, 0, 0, 1], 80)),
            host: "127.0.0.1:80".to_owned(),
            path: "/".to_owned(),
            account_sid: String::new(),
            address: format!("+1971000000{n}"),
        };
        let numbers = vec![number(0), number(1), number(2)];
        let field = |request: &[u8], name: &str| {
            let request = String::from_utf8(request.to_vec()).unwrap();
            let body = request.split_once("\r\n\r\n").unwrap().1.to_owned();
            let found = url::form_urlencoded::parse(body.as_bytes()).find(|(key, _)| key == name);
            found.unwrap().1.into_owned()
        };
        let few = texts(numbers.clone(), Some(4));
        let (one, other) = (few(1, "TS1"), few(5, "TS1"));
        assert_eq!(field(&one, "From"), field(&other, "From"));
        assert_eq!(field(&one, "To"), field(&other, "To"));
        assert_ne!(field(&one, "MessageSid"), field(&other, "MessageSid"));
        assert_ne!(field(&one, "Body"), field(&other, "Body"));
        assert_ne!(field(&few(2, "TS1"), "From"), field(&one, "From"));
        let many = texts(numbers, None);
        assert_ne!(field(&many(1, "TS1"), "From"), field(&many(5, "TS1"), "From"));
    }
}
