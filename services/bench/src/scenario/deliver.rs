//! A text in, a `newMessage` frame at AACC's side out, over wss. Every chat is open and has an agent, who only reads.
//! Latency is from a text's moment to the frame's arrival at `aacc-sim`, on the same machine's clock.

use super::{
    BareApi, Load, Number, Programs, Sum, Target,
    aacc::{Aacc, agents_who_only_read},
    ccm, make_tenants, tell, texts, write,
};
use crate::{
    bare::connector,
    load::Answered,
    process::Child,
    report::{Report, Tally},
    store::Store,
};
use anyhow::{Result, bail};
use ccm_model::Clock;
use ccm_testkit::{PgOptions, Stack};
use std::{path::Path, time::Duration};
use tokio::time::{Instant, sleep};

const SCENARIO: &str = "deliver";
const TENANTS: usize = 2;
const NUMBERS: usize = 5;
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// With nothing new at AACC's side for so long, what is missing is lost.
const PATIENCE: Duration = Duration::from_secs(60);

/// How much is measured.
pub struct Size {
    /// Customers with an open chat each. A chat has one text in flight at a time, so many chats make the rate.
    pub chats: u64,
    /// Texts before the first figure.
    pub warm_up: u64,
    pub loads: Vec<Load>,
    /// How often each load is offered to each program, in turn.
    pub rounds: u32,
}

/// Measures and adds what came of it to the report.
pub async fn run(programs: &Programs, size: &Size, clock: &Clock, report: &mut Report) -> Result<()> {
    tell(
        "deliver: texts to ccm ingest and connector, and to the bare api and connector, with an aacc-sim each",
    );
    let mut stack = Stack::builder(&programs.ccm)
        .roles(["ingest", "connector", "admin"])
        .pg_options(PgOptions::durable())
        .start()
        .await?;
    let script = write(stack.dir(), "agents.json", &agents_who_only_read())?;
    let redis = stack.redis().url();

    let bare_aacc = Aacc::start("aacc-sim-bare", programs, &script, stack.dir(), false).await?;
    let ca = write(stack.dir(), "bare-ca.pem", &bare_aacc.ca_pem)?;
    let bare = BareApi::start(programs, &mut stack, Some(&redis)).await?;
    let bare_connector = bare_connector(programs, &stack, &bare_aacc, &ca, &redis, size.chats).await?;

    let ccm_aacc = Aacc::start("aacc-sim-ccm", programs, &script, stack.dir(), false).await?;
    let numbers = make_tenants(
        &stack,
        TENANTS,
        NUMBERS,
        &ccm_aacc.chat_url,
        Some(&ccm_aacc.ca_pem),
    )
    .await?;

    let bare_numbers: Vec<Number> = numbers.iter().map(|n| n.at_the_baseline(bare.to)).collect();
    let bare_pids = vec![bare.child.pid()?, bare_connector.pid()?];
    let customers = Some(size.chats);
    let mut lines = [
        Line::new(
            Target::new(
                "bare api+conn",
                bare.to,
                texts(bare_numbers, customers),
                bare_pids,
            ),
            bare_aacc,
        ),
        Line::new(
            ccm(&stack, &["ingest", "connector"], numbers, customers)?,
            ccm_aacc,
        ),
    ];
    // The first text of each customer opens ccm's chats.
    for line in &mut lines {
        line.offer(&Load::most(8, size.chats), clock).await?;
        line.offer(&Load::most(8, size.warm_up), clock).await?;
    }
    for load in &size.loads {
        tell(&format!("deliver: {load}"));
        for line in &mut lines {
            line.new_figures().await?;
        }
        let mut sums = [Sum::none(), Sum::none()];
        for _ in 0..size.rounds {
            for (line, sum) in lines.iter_mut().zip(&mut sums) {
                let (cpu_before, began) = (line.target.cpu_seconds()?, Instant::now());
                let answered = line.offer(load, clock).await?;
                sum.answered.add(answered)?;
                sum.answered.seconds += began.elapsed().as_secs_f64();
                sum.cpu_seconds += line.target.cpu_seconds()? - cpu_before;
            }
        }
        for (line, sum) in lines.iter().zip(&sums) {
            let latency = line.aacc.stats().await?.latency;
            report
                .points
                .push(sum.point(SCENARIO, line.target.name, load, latency));
        }
    }

    let mut bare_store = bare.store;
    let mut ccm_store = Store::open(&stack.urls().superuser).await?;
    acknowledged(&mut ccm_store).await?;
    let stored = [bare_store.bare_texts().await?, ccm_store.ccm_texts().await?];
    for (line, stored) in lines.iter_mut().zip(stored) {
        line.new_figures().await?;
        let target = &line.target;
        report.tallies.push(Tally {
            scenario: SCENARIO,
            program: target.name,
            posted: target.posted,
            refused: target.refused,
            refusal: target.refusal.clone(),
            stored: stored.bodies,
            rows: stored.rows,
            arrived: Some(line.arrived),
            again: 0,
        });
    }
    Ok(())
}

/// A way from webhook to frame, and the AACC at its end.
struct Line {
    target: Target,
    aacc: Aacc,
    /// Texts at AACC's side before its figures were last reset.
    arrived: u64,
}

impl Line {
    fn new(target: Target, aacc: Aacc) -> Self {
        Self {
            target,
            aacc,
            arrived: 0,
        }
    }

    /// Offers a load and waits until all that was accepted is at AACC's side, or nothing more comes.
    async fn offer(&mut self, load: &Load, clock: &Clock) -> Result<Answered> {
        let answered = self.target.offer(load, clock).await?;
        let (mut last, mut since) = (0, Instant::now());
        loop {
            let arrived = self.arrived + self.aacc.stats().await?.count;
            if arrived >= self.target.accepted() {
                return Ok(answered);
            }
            if arrived > last {
                (last, since) = (arrived, Instant::now());
            } else if since.elapsed() > PATIENCE {
                let missing = self.target.accepted() - arrived;
                tell(&format!("{}: {missing} texts do not arrive", self.target.name));
                return Ok(answered);
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Begins new figures at AACC's side.
    async fn new_figures(&mut self) -> Result<()> {
        self.arrived += self.aacc.stats().await?.count;
        self.aacc.reset().await
    }
}

async fn bare_connector(
    programs: &Programs,
    stack: &Stack,
    aacc: &Aacc,
    ca: &Path,
    redis: &str,
    chats: u64,
) -> Result<Child> {
    let (port, ca, chats) = (
        aacc.port()?.to_string(),
        ca.display().to_string(),
        chats.to_string(),
    );
    let args = [
        "bare-connector",
        "--port",
        &port,
        "--ca",
        &ca,
        "--redis",
        redis,
        "--chats",
        &chats,
    ];
    let mut child = Child::start("bare-connector", &programs.bench, args, &[], stack.dir())?;
    child.says(connector::READY).await?;
    Ok(child)
}

/// Waits until AACC has acknowledged every text, and ccm has written that down.
async fn acknowledged(store: &mut Store) -> Result<()> {
    let began = Instant::now();
    loop {
        match store.ccm_waiting().await? {
            0 => return Ok(()),
            waiting if began.elapsed() > PATIENCE => bail!("{waiting} texts are not acknowledged"),
            _ => sleep(LOOK_AGAIN).await,
        }
    }
}
