//! A text put in line, the request at the provider out: `ccm dispatch` beside Kannel. Latency is from a text's moment, before it
//! is handed over, to the request's arrival at the [sink](crate::sink), on the same machine's clock; so the commit (ccm),
//! or the answer of the HTTP interface (Kannel), is in it.

use super::{Load, Programs, Sum, Target, Way, pid, tell};
use crate::{
    kannel::{Kannel, Running, Storage},
    load::Answered,
    outbox::Outbox,
    process::family_cpu_seconds,
    report::{CCM, Latency, Report, Tally},
    sink::Sink,
    store::{Store, Stored},
};
use anyhow::{Context, Result, bail, ensure};
use ccm_model::Clock;
use ccm_testkit::{
    PgOptions, Stack,
    stack::{Plan, PlannedAccount},
};
use hdrhistogram::Histogram;
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const SCENARIO: &str = "dispatch";
/// Nobody is there, and nobody asks: no connector runs.
const NO_AACC: &str = "wss://localhost:8445/CustomerControllerWeb/chat";
/// The most that the admin API takes: no rate holds a text up.
const SEGMENTS_PER_SECOND: f64 = 1000.0;
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// With nothing new at the provider for so long, what is missing is lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// How much is measured.
pub struct Size {
    pub tenants: usize,
    /// Of each tenant.
    pub numbers: usize,
    /// Over all numbers. A conversation has one text under way at a time, so many conversations make the rate.
    pub conversations: u64,
    /// Texts before the first figure.
    pub warm_up: u64,
    pub loads: Vec<Load>,
    /// How often each load is offered to each program, in turn.
    pub rounds: u32,
}

impl Size {
    /// Seconds.
    pub fn short() -> Self {
        Self {
            tenants: 2,
            numbers: 2,
            conversations: 20,
            warm_up: 20,
            loads: vec![Load::rate(50.0, 100), Load::most(8, 300)],
            rounds: 1,
        }
    }

    /// Some minutes.
    pub fn long() -> Self {
        Self {
            tenants: 4,
            numbers: 10,
            conversations: 400,
            warm_up: 2_000,
            loads: vec![
                Load::rate(100.0, 1_000),
                Load::rate(500.0, 5_000),
                Load::most(64, 10_000),
            ],
            rounds: 3,
        }
    }
}

/// Measures and adds what came of it to the report.
pub async fn run(
    programs: &Programs,
    kannel: &Kannel,
    size: &Size,
    clock: &Clock,
    report: &mut Report,
) -> Result<()> {
    tell("dispatch: texts to ccm dispatch and to two Kannels, with a provider each");
    let mut stack = Stack::builder(&programs.ccm)
        .roles(["dispatch", "admin"])
        .pg_options(PgOptions::durable())
        .start()
        .await?;
    let mut lines = vec![
        Line::kannel(kannel, Storage::Memory, &stack, size, clock).await?,
        Line::kannel(kannel, Storage::Spool, &stack, size, clock).await?,
        Line::ccm(&mut stack, size, clock).await?,
    ];
    let postgres = stack.pg().pid().context("Postgres does not run")?;
    for line in &mut lines {
        line.offer(&Load::all(8, size.warm_up), clock).await?;
    }
    for load in &size.loads {
        tell(&format!("dispatch: {load}"));
        let mut sums: Vec<Measured> = lines.iter().map(|_| Measured::none()).collect();
        for line in &lines {
            line.sink.take_latencies();
        }
        for _ in 0..size.rounds {
            for (line, measured) in lines.iter_mut().zip(&mut sums) {
                let (cpu_before, postgres_before) =
                    (line.target.cpu_seconds()?, family_cpu_seconds(postgres)?);
                let offered = line.offer(load, clock).await?;
                measured.sum.cpu_seconds += line.target.cpu_seconds()? - cpu_before;
                measured.postgres_cpu_seconds += family_cpu_seconds(postgres)? - postgres_before;
                measured.sum.answered.seconds += offered.seconds_to_the_last;
                measured.sum.answered.add(offered.answered)?;
            }
        }
        for (line, measured) in lines.iter().zip(&sums) {
            let latencies: Histogram<u64> = line.sink.take_latencies();
            let mut point = measured
                .sum
                .point(SCENARIO, line.target.name, load, Latency::from(&latencies));
            if line.store_is_counted() {
                let texts = point.texts.max(1) as f64;
                point.postgres_cpu_s_per_1000 = Some(measured.postgres_cpu_seconds * 1000.0 / texts);
            }
            report.points.push(point);
        }
    }
    for line in &mut lines {
        report.tallies.push(line.tally().await?);
    }
    Ok(())
}

/// What one program did under one load, over the rounds.
struct Measured {
    sum: Sum,
    postgres_cpu_seconds: f64,
}

impl Measured {
    fn none() -> Self {
        Self {
            sum: Sum::none(),
            postgres_cpu_seconds: 0.0,
        }
    }
}

/// A way from a text in line to the provider, and the provider at its end.
struct Line {
    target: Target,
    sink: Sink,
    end: End,
}

/// Where a program's texts are until the provider has them.
enum End {
    Kannel(Box<Running>),
    Ccm(Store),
}

/// What came of one load.
struct Offered {
    answered: Answered,
    /// From the first text's moment to the last one's arrival.
    seconds_to_the_last: f64,
}

impl Line {
    async fn kannel(
        kannel: &Kannel,
        storage: Storage,
        stack: &Stack,
        size: &Size,
        clock: &Clock,
    ) -> Result<Self> {
        let sink = Sink::start(clock.clone())?;
        let running = kannel.start(storage, &sink.kannel_url(), stack.dir()).await?;
        let request = running.request(size.conversations);
        Ok(Self {
            target: Target::new(running.name, running.sendsms, request, running.pids()?),
            sink,
            end: End::Kannel(Box::new(running)),
        })
    }

    async fn ccm(stack: &mut Stack, size: &Size, clock: &Clock) -> Result<Self> {
        let sink = Sink::start(clock.clone())?;
        let admin = stack.admin()?;
        for tenant in 0..size.tenants {
            admin
                .make_tenant(&plan(tenant, size.numbers, &sink.json_url()))
                .await?;
        }
        let superuser = stack.urls().superuser.clone();
        let redis = stack.redis().url();
        let outbox = Outbox::open(&superuser, &redis, size.conversations).await?;
        Ok(Self {
            target: Target::with(CCM, Way::Queued(outbox), vec![pid(stack, "dispatch")?]),
            sink,
            end: End::Ccm(Store::open(&superuser).await?),
        })
    }

    /// Offers a load and waits until all that was accepted is at the provider (and ccm has written that down), or nothing
    /// more comes.
    async fn offer(&mut self, load: &Load, clock: &Clock) -> Result<Offered> {
        let began = Instant::now();
        let answered = self.target.offer(load, clock).await?;
        let (mut last, mut since) = (0, Instant::now());
        loop {
            let arrived = self.sink.look(|a| a.texts);
            if arrived >= self.target.accepted() && self.is_written_down().await? {
                break;
            }
            if arrived > last {
                (last, since) = (arrived, Instant::now());
            } else if since.elapsed() > PATIENCE {
                let missing = self.target.accepted().saturating_sub(arrived);
                tell(&format!(
                    "{}: {missing} texts do not arrive, or are not written down",
                    self.target.name
                ));
                break;
            }
            sleep(LOOK_AGAIN).await;
        }
        let last = self.sink.look(|a| a.last).context("no text has arrived")?;
        Ok(Offered {
            answered,
            seconds_to_the_last: last.saturating_duration_since(began).as_secs_f64(),
        })
    }

    async fn is_written_down(&mut self) -> Result<bool> {
        match &mut self.end {
            End::Kannel(_) => Ok(true),
            End::Ccm(store) => Ok(store.ccm_unsent().await? == 0),
        }
    }

    fn store_is_counted(&self) -> bool {
        matches!(self.end, End::Ccm(_))
    }

    async fn tally(&mut self) -> Result<Tally> {
        let (texts, again, strange) = self.sink.look(|a| (a.texts, a.again, a.strange));
        let target = &self.target;
        ensure!(
            strange == 0,
            "{}: {strange} requests at the provider hold no text of ours",
            target.name
        );
        let stored = match &mut self.end {
            End::Kannel(running) => {
                running.pids()?;
                let accepted = target.accepted();
                Stored {
                    rows: accepted,
                    bodies: accepted,
                }
            }
            End::Ccm(store) => match store.ccm_unsent().await? {
                0 => store.ccm_sent().await?,
                unsent => bail!("{unsent} texts are still in ccm's outbox"),
            },
        };
        Ok(Tally {
            scenario: SCENARIO,
            program: target.name,
            posted: target.posted,
            refused: target.refused,
            refusal: target.refusal.clone(),
            stored: stored.bodies,
            rows: stored.rows,
            arrived: Some(texts),
            again,
        })
    }
}

/// A tenant with an account at the sink.
fn plan(tenant: usize, numbers: usize, send_url: &str) -> Plan {
    Plan {
        slug: format!("bench-{tenant}"),
        ewc_url: NO_AACC.to_owned(),
        ca_pem: None,
        skillset: super::SKILLSET.to_owned(),
        accounts: vec![PlannedAccount {
            kind: "http".to_owned(),
            settings: json!({ "send_url": send_url }),
            secret: json!({ "signing_secret": super::TOKEN }),
            numbers: (0..numbers).map(|n| format!("+1971{tenant:03}{n:04}")).collect(),
            per_second: SEGMENTS_PER_SECOND,
        }],
        connects_per_second: 1.0,
    }
}
