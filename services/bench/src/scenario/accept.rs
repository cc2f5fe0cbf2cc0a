//! Signed webhooks in, 2xx after the commit out. Every text is from a new customer: each opens a conversation, which is the
//! most that a text can ask for.

use super::{BareApi, Load, Programs, Sum, Target, ccm, make_tenants, tell, texts};
use crate::report::{Latency, Report, Tally};
use crate::store::{Store, Stored};
use anyhow::Result;
use ccm_model::Clock;
use ccm_testkit::{PgOptions, Stack};

const SCENARIO: &str = "accept";
/// Nobody is there, and nobody asks: no connector runs.
const NO_AACC: &str = "wss://localhost:8445/CustomerControllerWeb/chat";

/// How much is measured.
pub struct Size {
    pub tenants: usize,
    /// Of each tenant.
    pub numbers: usize,
    /// Texts before the first figure.
    pub warm_up: u64,
    pub loads: Vec<Load>,
    /// How often each load is offered to each program, in turn.
    pub rounds: u32,
}

/// Measures and adds what came of it to the report.
pub async fn run(programs: &Programs, size: &Size, clock: &Clock, report: &mut Report) -> Result<()> {
    tell("accept: signed webhooks to ccm ingest, and to the bare api");
    let mut stack = Stack::builder(&programs.ccm)
        .roles(["ingest", "admin"])
        .pg_options(PgOptions::durable())
        .start()
        .await?;
    let numbers = make_tenants(&stack, size.tenants, size.numbers, NO_AACC, None).await?;
    let mut bare = BareApi::start(programs, &mut stack, None).await?;
    let bare_numbers = numbers.iter().map(|n| n.at_the_baseline(bare.to)).collect();
    let mut targets = [
        Target::new(
            "bare api",
            bare.to,
            texts(bare_numbers, None),
            vec![bare.child.pid()?],
        ),
        ccm(&stack, &["ingest"], numbers, None)?,
    ];
    let warm_up = Load::most(8, size.warm_up);
    for target in &mut targets {
        target.offer(&warm_up, clock).await?;
    }
    for load in &size.loads {
        tell(&format!("accept: {load}"));
        let mut sums = [Sum::none(), Sum::none()];
        for _ in 0..size.rounds {
            for (target, sum) in targets.iter_mut().zip(&mut sums) {
                let cpu_before = target.cpu_seconds()?;
                let answered = target.offer(load, clock).await?;
                sum.cpu_seconds += target.cpu_seconds()? - cpu_before;
                sum.answered.seconds += answered.seconds;
                sum.answered.add(answered)?;
            }
        }
        for (target, sum) in targets.iter().zip(&sums) {
            let latency = Latency::from(&sum.answered.latency_us);
            report
                .points
                .push(sum.point(SCENARIO, target.name, load, latency));
        }
    }
    let stored = [
        bare.store.bare_texts().await?,
        Store::open(&stack.urls().superuser).await?.ccm_texts().await?,
    ];
    for (target, Stored { rows, bodies }) in targets.iter().zip(stored) {
        report.tallies.push(Tally {
            scenario: SCENARIO,
            program: target.name,
            posted: target.posted,
            refused: target.refused,
            refusal: target.refusal.clone(),
            stored: bodies,
            rows,
            arrived: None,
            again: 0,
        });
    }
    Ok(())
}
