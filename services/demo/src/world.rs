//! A running product, an AACC per tenant, one SMS provider for all of them, and what everybody saw, for the checker.

use anyhow::{Context, Result};
use ccm_aacc_sim::{self as aacc};
use ccm_bench::checker::{self, Flow, Pair, Report, Run, Seen, Stored, tag_of};
use ccm_carrier_sim::{self as carrier, SentState};
use ccm_testkit::stack::{AdminClient, Builder, MadeTenant, Plan, PlannedAccount, Stack};
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// The skillset that the application notes use.
pub const SKILLSET: &str = "WC_Default_Skillset";
/// Signs in both directions; a secret of simulators only.
const SECRET: &str = "simulators-share-this-secret";

/// A tenant with its own AACC.
pub struct Tenant {
    pub made: MadeTenant,
    pub aacc: aacc::Sim,
    /// The number that customers text.
    pub number: String,
    /// The account's name at the provider.
    pub account: String,
}

/// Everything. Dropping it ends everything.
pub struct World {
    pub stack: Stack,
    pub admin: AdminClient,
    pub carrier: carrier::Sim,
    pub tenants: Vec<Tenant>,
    tenancy: Tenancy,
}

/// What every tenant is made with.
struct Tenancy {
    aacc: aacc::Settings,
    agents: Vec<aacc::AutoAgent>,
    per_second: f64,
    connects_per_second: f64,
}

/// How a world is to be.
pub struct WorldBuilder {
    ccm: PathBuf,
    dir: Option<PathBuf>,
    kinds: Vec<carrier::Kind>,
    tenancy: Tenancy,
    stack: Box<dyn FnOnce(Builder) -> Builder + Send>,
    progress: Arc<dyn Fn(&str) + Send + Sync>,
}

impl World {
    /// `ccm` is the program's file. Without more words: one tenant with a Twilio account.
    pub fn builder(ccm: impl Into<PathBuf>) -> WorldBuilder {
        WorldBuilder {
            ccm: ccm.into(),
            dir: None,
            kinds: vec![carrier::Kind::Twilio],
            tenancy: Tenancy {
                aacc: aacc::Settings::default(),
                agents: Vec::new(),
                per_second: 50.0,
                connects_per_second: 100.0,
            },
            stack: Box::new(|builder| builder),
            progress: Arc::new(|_| ()),
        }
    }

    /// What everybody sent and received, and what is stored.
    pub async fn run(&self) -> Result<Run> {
        let mut run = Run {
            late_after_ms: 5_000,
            ..Run::default()
        };
        let record = self.carrier.record();
        for text in &record.sent {
            let Some(tag) = tag_of(&text.text) else { continue };
            if text.state == SentState::Accepted {
                let pair = self.pair_of_account(&text.account, &text.to, &text.from);
                run.sent.push(Seen {
                    pair,
                    flow: Flow::ToAgent,
                    tag: tag.into(),
                    at_ms: text.at_ms,
                });
            }
        }
        for text in &record.received {
            let Some(tag) = tag_of(&text.text) else { continue };
            let pair = self.pair_of_account(&text.account, &text.from, &text.to);
            run.received.push(Seen {
                pair,
                flow: Flow::ToPhone,
                tag: tag.into(),
                at_ms: text.at_ms,
            });
        }
        for tenant in &self.tenants {
            for chat in tenant.aacc.record().chats {
                let pair = Pair {
                    tenant: tenant.made.slug.clone(),
                    ours: chat.ours,
                    customer: chat.customer,
                };
                for text in chat.received {
                    let Some(tag) = tag_of(&text.text) else { continue };
                    let (pair, tag) = (pair.clone(), tag.into());
                    run.received.push(Seen {
                        pair,
                        flow: Flow::ToAgent,
                        tag,
                        at_ms: text.at_ms,
                    });
                }
                for text in chat.said {
                    let Some(tag) = tag_of(&text.text) else { continue };
                    // What was said while no socket was open, and never replayed, nobody but AACC has ever had.
                    if text.delivered_to_socket || text.replayed > 0 {
                        let (pair, tag) = (pair.clone(), tag.into());
                        run.sent.push(Seen {
                            pair,
                            flow: Flow::ToPhone,
                            tag,
                            at_ms: text.at_ms,
                        });
                    }
                }
            }
            for conversation in self.admin.transcripts(&tenant.made.id).await? {
                stored(&tenant.made.slug, &conversation, &mut run.stored)?;
            }
        }
        Ok(run)
    }

    /// Holds it all against each other.
    pub async fn check(&self) -> Result<Report> {
        Ok(checker::check(&self.run().await?))
    }

    fn pair_of_account(&self, account: &str, ours: &str, customer: &str) -> Pair {
        let tenant = self.tenants.iter().find(|t| t.account == account);
        let tenant = tenant.map_or("nobody", |t| t.made.slug.as_str()).to_owned();
        Pair {
            tenant,
            ours: ours.to_owned(),
            customer: customer.to_owned(),
        }
    }
}

fn stored(tenant: &str, conversation: &Value, into: &mut Vec<Stored>) -> Result<()> {
    let text = |from: &Value, field: &str| {
        from[field]
            .as_str()
            .map(ToOwned::to_owned)
            .with_context(|| format!("no {field} in {from}"))
    };
    let pair = Pair {
        tenant: tenant.to_owned(),
        ours: text(conversation, "our_address")?,
        customer: text(conversation, "customer_address")?,
    };
    for message in conversation["messages"].as_array().context("no messages")? {
        let Some(tag) = message["body"].as_str().and_then(tag_of) else {
            continue;
        };
        into.push(Stored {
            pair: pair.clone(),
            flow: if message["direction"] == "mo" {
                Flow::ToAgent
            } else {
                Flow::ToPhone
            },
            tag: tag.to_owned(),
            conversation: text(conversation, "id")?,
            seq: message["seq"].as_i64().context("no seq")?,
            state: text(message, "state")?,
            resends: message["resends"]
                .as_u64()
                .and_then(|n| n.try_into().ok())
                .context("no resends")?,
        });
    }
    Ok(())
}

impl WorldBuilder {
    /// Keeps everything in `dir`.
    pub fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.dir = Some(dir.as_ref().to_owned());
        self
    }

    /// A tenant for each kind of provider account.
    pub fn tenants(mut self, kinds: impl IntoIterator<Item = carrier::Kind>) -> Self {
        self.kinds = kinds.into_iter().collect();
        self
    }

    /// How every tenant's AACC behaves.
    pub fn aacc(mut self, settings: aacc::Settings) -> Self {
        self.tenancy.aacc = settings;
        self
    }

    /// Agents who play by themselves, at every tenant.
    pub fn agents(mut self, agents: impl IntoIterator<Item = aacc::AutoAgent>) -> Self {
        self.tenancy.agents = agents.into_iter().collect();
        self
    }

    /// Texts a second that a number may send.
    pub fn per_second(mut self, rate: f64) -> Self {
        self.tenancy.per_second = rate;
        self
    }

    /// Chats a second that are opened at a tenant's AACC.
    pub fn connects_per_second(mut self, rate: f64) -> Self {
        self.tenancy.connects_per_second = rate;
        self
    }

    /// Changes how the product is started; may be called several times.
    pub fn stack(mut self, change: impl FnOnce(Builder) -> Builder + Send + 'static) -> Self {
        let before = self.stack;
        self.stack = Box::new(|builder| change(before(builder)));
        self
    }

    /// Is told each step before it begins.
    pub fn progress(mut self, tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.progress = Arc::new(tell);
        self
    }

    /// Starts everything and makes the tenants through the admin API.
    pub async fn start(self) -> Result<World> {
        let tell = self.progress.clone();
        let mut builder = Stack::builder(self.ccm).progress(move |step| tell(step));
        if let Some(dir) = self.dir {
            builder = builder.dir(dir);
        }
        let stack = (self.stack)(builder).start().await?;
        let admin = stack.admin()?;
        (self.progress)("starting carrier-sim and an aacc-sim for each tenant");
        let carrier = carrier::Sim::start(carrier::Config::default()).await?;
        let mut world = World {
            stack,
            admin,
            carrier,
            tenants: Vec::new(),
            tenancy: self.tenancy,
        };
        for kind in self.kinds {
            (self.progress)(
                "making a tenant: auth key, skillset, number, EWC link over wss with a private CA",
            );
            world.add_tenant(kind).await?;
        }
        Ok(world)
    }
}

impl World {
    /// One more tenant, with an AACC of its own.
    pub async fn add_tenant(&mut self, kind: carrier::Kind) -> Result<()> {
        let config = aacc::Config {
            settings: self.tenancy.aacc.clone(),
            agents: self.tenancy.agents.clone(),
            ..aacc::Config::default()
        };
        let aacc = aacc::Sim::start(config).await?;
        let tenant = self.make_tenant(self.tenants.len(), kind, aacc).await?;
        self.tenants.push(tenant);
        Ok(())
    }

    async fn make_tenant(&self, n: usize, kind: carrier::Kind, aacc: aacc::Sim) -> Result<Tenant> {
        let number = format!("+1971712{:04}", 2610 + n);
        let account = match kind {
            carrier::Kind::Twilio => format!("AC{n:032}"),
            carrier::Kind::Http => format!("generic-{n}"),
            // Digits, as some providers have them.
            _ => format!("{n:020}"),
        };
        let at_carrier = carrier::Account {
            kind,
            name: account.clone(),
            secret: SECRET.into(),
            webhook_url: None,
        };
        let (settings, secret) = self.carrier.ccm_account(&at_carrier);
        let plan = Plan {
            slug: format!("tenant-{n}"),
            ewc_url: aacc.chat_url(),
            ca_pem: aacc.ca_pem().map(ToOwned::to_owned),
            skillset: SKILLSET.into(),
            accounts: vec![PlannedAccount {
                kind: kind.as_str().into(),
                settings,
                secret,
                numbers: vec![number.clone()],
                per_second: self.tenancy.per_second,
            }],
            connects_per_second: self.tenancy.connects_per_second,
        };
        let made = self.admin.make_tenant(&plan).await?;
        self.carrier.set_account(carrier::Account {
            webhook_url: Some(made.accounts[0].webhook_url.clone()),
            ..at_carrier
        })?;
        self.carrier.set_number(&number, &account)?;
        Ok(Tenant {
            made,
            aacc,
            number,
            account,
        })
    }
}
