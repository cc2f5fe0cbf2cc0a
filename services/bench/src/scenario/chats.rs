//! Thousands of live chats: what one costs in memory, what its pings cost in CPU, and what it takes to re-open all of them at
//! once. `ccm connector` and a bare tokio-tungstenite client hold as many chats at the same time, with an `aacc-sim` each, every
//! one a process of its own. Customers' texts come in through `ccm ingest`, as in life.

use super::{
    Load, Programs, Target,
    aacc::{self, Aacc},
    ccm, make_tenants, pid, tell, write,
};
use crate::{
    bare::chats::{FIGURES, Figures, LISTENS, OPEN, TEXTS},
    process::{Child, Memory, cpu_seconds, memory, open_files_limit},
    report::{
        Report,
        chats::{Chats, Reopening, Sample, Side, Texts},
    },
    store::Store,
};
use anyhow::{Context, Result, bail, ensure};
use ccm_model::Clock;
use ccm_testkit::{PgOptions, Stack};
use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};
use tokio::time::{Instant, sleep};

const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// With nothing new for so long, nothing more comes.
const PATIENCE: Duration = Duration::from_secs(60);
/// From the last chat's opening to the first figure, and from the last resume to the end of its CPU: longer than a ping's turn.
const SETTLE: Duration = Duration::from_secs(6);
/// Of `ccm` and of the baseline.
const PING_EVERY: Duration = Duration::from_secs(5);
/// Files that a process has open besides its chats' sockets.
const OTHER_FILES: u64 = 200;

/// How much is measured.
#[derive(Debug, Clone)]
pub struct Size {
    /// How many chats, one run after the other, each from a fresh start.
    pub chats: Vec<u64>,
    pub tenants: usize,
    /// How long the chats only ping.
    pub pings: Duration,
    /// Between two looks at the memory meanwhile.
    pub look_every: Duration,
    /// Chats with a text each way around the second breaking.
    pub texts: u64,
}

impl Size {
    /// Under a minute.
    pub fn short() -> Self {
        Self {
            chats: vec![200],
            tenants: 5,
            pings: Duration::from_secs(10),
            look_every: Duration::from_secs(2),
            texts: 50,
        }
    }

    /// So many chats over 30 tenants, so long.
    pub fn of(chats: Vec<u64>, pings: Duration) -> Self {
        Self {
            chats,
            tenants: 30,
            pings,
            look_every: Duration::from_secs(5),
            texts: 1_000,
        }
    }
}

/// Measures and adds what came of it to the report.
pub async fn run(programs: &Programs, size: &Size, clock: &Clock, report: &mut Report) -> Result<()> {
    let files = open_files_limit()?;
    for chats in &size.chats {
        ensure!(
            chats + OTHER_FILES <= files,
            "a process may open {files} files here: too few for {chats} chats"
        );
        tell(&format!(
            "chats: {chats} to ccm connector, and as many to a bare client"
        ));
        report.chats.push(measure(programs, size, *chats, clock).await?);
    }
    Ok(())
}

async fn measure(programs: &Programs, size: &Size, chats: u64, clock: &Clock) -> Result<Chats> {
    let mut ccm = Ccm::start(programs, size, chats, clock).await?;
    let mut bare = Bare::start(programs, &ccm.stack).await?;

    let (mut ccm_figures, mut bare_figures) = (grow(&mut ccm, chats).await?, grow(&mut bare, chats).await?);

    tell(&format!("chats: {:.0} s of pings", size.pings.as_secs_f64()));
    let (ccm_cpu, bare_cpu, began) = (ccm.cpu()?, bare.cpu()?, Instant::now());
    let mut samples = Vec::new();
    loop {
        samples.push(Sample {
            seconds: began.elapsed().as_secs_f64(),
            ccm_kb: ccm.memory()?.rss_kb,
            bare_kb: bare.memory()?.rss_kb,
        });
        if began.elapsed() >= size.pings {
            break;
        }
        sleep(size.look_every).await;
    }
    let pings = chats as f64 * began.elapsed().as_secs_f64() / PING_EVERY.as_secs_f64();
    ccm_figures.cpu_us_per_ping = (ccm.cpu()? - ccm_cpu) * 1e6 / pings;
    bare_figures.cpu_us_per_ping = (bare.cpu()? - bare_cpu) * 1e6 / pings;
    (ccm_figures.after_pings, bare_figures.after_pings) = (ccm.memory()?, bare.memory()?);

    let texts = size.texts.min(chats);
    for with in [0, texts] {
        tell(&format!(
            "chats: all sockets break at once, with {with} texts each way"
        ));
        ccm_figures.reopenings.push(reopen(&mut ccm, chats, with).await?);
        bare_figures
            .reopenings
            .push(reopen(&mut bare, chats, with).await?);
    }
    (ccm_figures.at_the_end, bare_figures.at_the_end) = (ccm.memory()?, bare.memory()?);

    ccm.everything_has_arrived(texts).await?;
    Ok(Chats {
        chats,
        tenants: size.tenants,
        ccm: ccm_figures,
        bare: bare_figures,
        samples,
        refused: ccm.target.refused,
        refusal: ccm.target.refusal.clone(),
        to_agent: ccm.text_agents().await?,
        to_phone: ccm.text_phones(texts).await?,
    })
}

/// A program that holds chats.
trait Holder {
    fn pid(&self) -> Result<u32>;
    fn aacc(&self) -> &Aacc;
    /// Opens chats until there are so many, and waits until an agent is in each and has the customer's first text.
    async fn open(&mut self, chats: u64) -> Result<()>;
    /// Chats `from` to `to` have a text for the agent.
    async fn text(&mut self, from: u64, to: u64) -> Result<()>;
    /// Counted since the start: `resumes`, and what went wrong.
    async fn counts(&self) -> Result<BTreeMap<&'static str, u64>>;

    fn cpu(&self) -> Result<f64> {
        cpu_seconds(self.pid()?)
    }

    fn memory(&self) -> Result<Memory> {
        memory(self.pid()?)
    }
}

const RESUMES: &str = "resumes";

/// Opens the chats, in two halves, and weighs them.
async fn grow(holder: &mut impl Holder, chats: u64) -> Result<Side> {
    let idle = holder.memory()?;
    let (cpu, began) = (holder.cpu()?, Instant::now());
    holder.open(chats / 2).await?;
    sleep(SETTLE).await;
    let half = holder.memory()?;
    holder.open(chats).await?;
    let open_s = (began.elapsed() - SETTLE).as_secs_f64();
    let open_cpu_s = holder.cpu()? - cpu;
    sleep(SETTLE).await;
    Ok(Side {
        idle,
        half,
        full: holder.memory()?,
        after_pings: idle,
        at_the_end: idle,
        open_s,
        open_cpu_s,
        cpu_us_per_ping: 0.0,
        reopenings: Vec::new(),
    })
}

/// Breaks every socket and waits until every chat has one again. Half of the texts are on their way when it happens, the
/// other half come while no chat has a socket.
async fn reopen(holder: &mut impl Holder, chats: u64, texts: u64) -> Result<Reopening> {
    let seen = holder.aacc().live_chats().await?;
    let resumed_before: u64 = seen.iter().map(|c| c.resumes).sum();
    let talking: Vec<u64> = seen.iter().map(|c| c.guid).take(texts as usize).collect();
    let (early, late) = talking.split_at(talking.len() / 2);
    let before = holder.counts().await?;
    let (cpu, began) = (holder.cpu()?, Instant::now());

    holder.text(0, texts / 2).await?;
    holder.aacc().say(early, "early").await?;
    let broken = Instant::now();
    holder.aacc().break_all().await?;
    holder.text(texts / 2, texts).await?;
    holder.aacc().say(late, "late").await?;

    let mut peak_per_s = 0.0f64;
    let (mut last, mut last_at, mut progress) = (0, broken, broken);
    let mut seconds;
    loop {
        let resumed = holder.counts().await?[RESUMES] - before[RESUMES];
        let now = Instant::now();
        seconds = (now - broken).as_secs_f64();
        peak_per_s = peak_per_s.max((resumed - last) as f64 / (now - last_at).as_secs_f64());
        if resumed > last {
            progress = now;
        }
        (last, last_at) = (resumed, now);
        if resumed >= chats && is_whole(holder.aacc(), chats, resumed_before).await? {
            break;
        }
        if progress.elapsed() > PATIENCE {
            bail!("only {resumed} of {chats} chats come back");
        }
        sleep(LOOK_AGAIN).await;
    }
    sleep(SETTLE).await;
    let mut counts = holder.counts().await?;
    for (name, count) in &mut counts {
        *count -= before[name];
    }
    Ok(Reopening {
        texts,
        seconds,
        cpu_s: holder.cpu()? - cpu,
        whole_s: began.elapsed().as_secs_f64(),
        peak_per_s,
        counts,
    })
}

/// Whether AACC sees every chat with a socket, each of them resumed since.
async fn is_whole(aacc: &Aacc, chats: u64, resumed_before: u64) -> Result<bool> {
    let seen = aacc.live_chats().await?;
    let linked = seen.iter().filter(|c| c.is_linked()).count() as u64;
    let resumed: u64 = seen.iter().map(|c| c.resumes).sum();
    Ok(linked == chats && resumed >= resumed_before + chats)
}

/// Waits until a count is there; fails when nothing more comes.
async fn reached(what: &str, goal: u64, mut count: impl AsyncFnMut() -> Result<u64>) -> Result<()> {
    let (mut last, mut since) = (0, Instant::now());
    loop {
        let now = count().await?;
        if now >= goal {
            return Ok(());
        }
        if now != last {
            (last, since) = (now, Instant::now());
        } else if since.elapsed() > PATIENCE {
            bail!("only {now} of {goal} {what}");
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// The product.
struct Ccm {
    stack: Stack,
    aacc: Aacc,
    target: Target,
    store: Store,
    clock: Clock,
}

impl Ccm {
    async fn start(programs: &Programs, size: &Size, chats: u64, clock: &Clock) -> Result<Self> {
        let stack = Stack::builder(&programs.ccm)
            .roles(["ingest", "connector", "admin"])
            .pg_options(PgOptions::durable())
            .start()
            .await?;
        let script = write(stack.dir(), "agents.json", &aacc::agents_who_only_read())?;
        let aacc = Aacc::start("aacc-sim-ccm", programs, &script, stack.dir(), true).await?;
        let numbers = make_tenants(&stack, size.tenants, 1, &aacc.chat_url, Some(&aacc.ca_pem)).await?;
        let target = ccm(&stack, &["connector"], numbers, Some(chats))?;
        let store = Store::open(&stack.urls().superuser).await?;
        Ok(Self {
            stack,
            aacc,
            target,
            store,
            clock: clock.clone(),
        })
    }

    async fn post(&mut self, texts: u64) -> Result<()> {
        if texts > 0 {
            self.target.offer(&Load::all(16, texts), &self.clock).await?;
        }
        Ok(())
    }

    /// Waits until both sides have what they are to have, or nothing more comes: what is missing is counted afterwards.
    async fn everything_has_arrived(&mut self, said: u64) -> Result<()> {
        let store = &mut self.store;
        let waiting = store.ccm_waiting().await?;
        let arrived = reached("texts are acknowledged", waiting, async || {
            Ok(waiting.saturating_sub(store.ccm_waiting().await?))
        });
        let arrived = arrived.await;
        let stored = reached("texts of agents are stored", said, async || {
            Ok(store.ccm_agent_texts().await?.bodies)
        });
        for missing in [arrived, stored.await].into_iter().filter_map(Result::err) {
            tell(&format!("chats: {missing}"));
        }
        Ok(())
    }

    /// Customers' texts: what the record of AACC's side says.
    async fn text_agents(&mut self) -> Result<Texts> {
        let record = self.aacc.record().await?;
        let received = record.iter().flat_map(|chat| &chat.received);
        let texts = received.clone().count() as u64;
        let different = received.map(|r| r.text.as_str()).collect::<HashSet<_>>().len() as u64;
        let resends = self.store.ccm_resends().await?;
        Ok(Texts {
            sent: self.target.accepted(),
            arrived: different,
            again: texts - different,
            again_with_a_mark: resends.min(texts - different),
        })
    }

    /// Agents' texts: what the database has for dispatch.
    async fn text_phones(&mut self, sent: u64) -> Result<Texts> {
        let stored = self.store.ccm_agent_texts().await?;
        Ok(Texts {
            sent,
            arrived: stored.bodies,
            again: stored.rows - stored.bodies,
            again_with_a_mark: 0,
        })
    }
}

impl Holder for Ccm {
    fn pid(&self) -> Result<u32> {
        pid(&self.stack, "connector")
    }

    fn aacc(&self) -> &Aacc {
        &self.aacc
    }

    async fn open(&mut self, chats: u64) -> Result<()> {
        self.post(chats - self.target.posted).await?;
        let store = &mut self.store;
        reached("chats are open", chats, async || store.ccm_live_chats().await).await?;
        let waiting = store.ccm_waiting().await?;
        reached("first texts are acknowledged", waiting, async || {
            Ok(waiting.saturating_sub(store.ccm_waiting().await?))
        })
        .await
    }

    /// Customers text in turn, each as often as all others before: those that were posted are those of the last `from` chats.
    async fn text(&mut self, from: u64, to: u64) -> Result<()> {
        self.post(to - from).await
    }

    async fn counts(&self) -> Result<BTreeMap<&'static str, u64>> {
        let metrics = self.stack.metrics("connector").await?;
        let of = |name| counter(&metrics, name);
        Ok(BTreeMap::from([
            (RESUMES, of("ccm_connector_resumes_total")),
            ("connect failures", of("ccm_connector_connect_failures_total")),
            ("links lost", of("ccm_connector_links_lost_total")),
            ("sessions expired", of("ccm_connector_sessions_expired_total")),
            ("database retries", of("ccm_connector_database_retries_total")),
            ("actor failures", of("ccm_connector_actor_failures_total")),
        ]))
    }
}

/// The sum of a counter over its labels; 0 for one that has not counted yet.
fn counter(metrics: &str, name: &str) -> u64 {
    let values = metrics
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.rsplit_once(' '))
        .filter(|(labels, _)| labels.is_empty() || labels.starts_with('{'));
    values.filter_map(|(_, value)| value.parse::<u64>().ok()).sum()
}

/// The baseline.
struct Bare {
    child: Child,
    aacc: Aacc,
    base: String,
    http: reqwest::Client,
}

impl Bare {
    async fn start(programs: &Programs, stack: &Stack) -> Result<Self> {
        let dir = stack.dir();
        let script = write(dir, "agents.json", &aacc::agents_who_only_read())?;
        let aacc = Aacc::start("aacc-sim-bare", programs, &script, dir, true).await?;
        let ca = write(dir, "bare-ca.pem", &aacc.ca_pem)?;
        let (port, ca) = (aacc.port()?.to_string(), ca.display().to_string());
        let args = ["bare-chats", "--port", &port, "--ca", &ca];
        let mut child = Child::start("bare-chats", &programs.bench, args, &[], dir)?;
        let base = format!("http://{}", child.says(LISTENS).await?);
        Ok(Self {
            child,
            aacc,
            base,
            http: reqwest::Client::new(),
        })
    }

    async fn figures(&self) -> Result<Figures> {
        let answer = self.http.get(format!("{}{FIGURES}", self.base)).send().await?;
        let answer = answer.error_for_status()?;
        answer.json().await.context("the bare client's figures")
    }

    async fn post(&self, what: &str, n: u64) -> Result<()> {
        let url = format!("{}{what}{n}", self.base);
        self.http.post(url).send().await?.error_for_status()?;
        Ok(())
    }
}

impl Holder for Bare {
    fn pid(&self) -> Result<u32> {
        self.child.pid()
    }

    fn aacc(&self) -> &Aacc {
        &self.aacc
    }

    async fn open(&mut self, chats: u64) -> Result<()> {
        self.post(OPEN, chats).await?;
        reached("bare chats are open", chats, async || {
            Ok(self.figures().await?.live)
        })
        .await?;
        reached("bare texts arrive", chats, async || {
            Ok(self.aacc.stats().await?.count)
        })
        .await
    }

    /// Sent at the resume.
    async fn text(&mut self, _: u64, to: u64) -> Result<()> {
        self.post(TEXTS, to).await
    }

    async fn counts(&self) -> Result<BTreeMap<&'static str, u64>> {
        let figures = self.figures().await?;
        Ok(BTreeMap::from([
            (RESUMES, figures.resumes),
            ("TLS resumed", figures.tls_resumed),
            ("errors", figures.errors),
        ]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_summed_over_its_labels() {
        let metrics = "# TYPE lost counter\nlost{why=\"silent\"} 3\nlost{why=\"a b\"} 4\nlost_more 9\nup 1\n";
        assert_eq!(counter(metrics, "lost"), 7);
        assert_eq!(counter(metrics, "up"), 1);
        assert_eq!(counter(metrics, "down"), 0);
    }
}
