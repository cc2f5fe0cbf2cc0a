//! What live chats cost, and what became of their texts.

use crate::process::Memory;
use serde::Serialize;
use std::{collections::BTreeMap, fmt};

/// One size of the scenario `chats`.
#[derive(Debug, Clone, Serialize)]
pub struct Chats {
    pub chats: u64,
    pub tenants: usize,
    pub ccm: Side,
    pub bare: Side,
    /// While the chats only ping.
    pub samples: Vec<Sample>,
    /// Customers' texts that ingest did not take, and why the first of them.
    pub refused: u64,
    pub refusal: Option<String>,
    pub to_agent: Texts,
    pub to_phone: Texts,
}

/// One program.
#[derive(Debug, Clone, Serialize)]
pub struct Side {
    /// Before the first chat.
    pub idle: Memory,
    /// With half of the chats.
    pub half: Memory,
    /// With all.
    pub full: Memory,
    pub after_pings: Memory,
    /// After the re-openings.
    pub at_the_end: Memory,
    /// To open all chats, an agent in each and the first text with the agent.
    pub open_s: f64,
    pub open_cpu_s: f64,
    pub cpu_us_per_ping: f64,
    pub reopenings: Vec<Reopening>,
}

/// All sockets broken at once.
#[derive(Debug, Clone, Serialize)]
pub struct Reopening {
    /// Each way, around the breaking.
    pub texts: u64,
    /// From the breaking until every chat had a socket and AACC had taken its resume.
    pub seconds: f64,
    /// Over `whole_s`.
    pub cpu_s: f64,
    pub whole_s: f64,
    /// The most resumes a second, over about 100 ms.
    pub peak_per_s: f64,
    /// What the program itself counted meanwhile.
    pub counts: BTreeMap<&'static str, u64>,
}

/// Resident memory at a moment of the pings.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Sample {
    pub seconds: f64,
    pub ccm_kb: u64,
    pub bare_kb: u64,
}

/// Texts of one direction.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Texts {
    pub sent: u64,
    /// Different ones.
    pub arrived: u64,
    /// More than once.
    pub again: u64,
    /// Those among them that the store marks as re-sends: they were in flight when the link died.
    pub again_with_a_mark: u64,
}

impl Texts {
    pub fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.arrived)
    }

    pub fn doubled(&self) -> u64 {
        self.again - self.again_with_a_mark
    }
}

impl Side {
    /// KiB of resident memory for each chat.
    fn kb_per_chat(&self, at: Memory, chats: u64) -> f64 {
        (at.rss_kb as f64 - self.idle.rss_kb as f64) / chats as f64
    }
}

/// KiB a minute: the slope of the straight line with the smallest squared distances to the samples.
pub fn growth(samples: &[Sample], kb: fn(&Sample) -> u64) -> f64 {
    let n = samples.len() as f64;
    let minute = |s: &Sample| s.seconds / 60.0;
    let mean_x = samples.iter().map(minute).sum::<f64>() / n;
    let mean_y = samples.iter().map(|s| kb(s) as f64).sum::<f64>() / n;
    let products = samples
        .iter()
        .map(|s| (minute(s) - mean_x) * (kb(s) as f64 - mean_y));
    let squares = samples.iter().map(|s| (minute(s) - mean_x).powi(2));
    match squares.sum::<f64>() {
        0.0 => 0.0,
        squares => products.sum::<f64>() / squares,
    }
}

impl Chats {
    /// Whether every text was taken and is where it belongs, once.
    pub fn is_good(&self) -> bool {
        let is_good = |texts: Texts| texts.lost() == 0 && texts.doubled() == 0;
        self.refused == 0 && is_good(self.to_agent) && is_good(self.to_phone)
    }

    fn memory(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ccm, bare, chats) = (&self.ccm, &self.bare, self.chats);
        let half = chats / 2;
        let each = |at: fn(&Side) -> Memory, n| (ccm.kb_per_chat(at(ccm), n), bare.kb_per_chat(at(bare), n));
        row(f, "KB a chat, half of them", each(|s| s.half, half))?;
        row(f, "KB a chat", each(|s| s.full, chats))?;
        row(f, "KB a chat, after the pings", each(|s| s.after_pings, chats))?;
        row(f, "KB a chat, after re-opening", each(|s| s.at_the_end, chats))?;
        let pss = |s: &Side| (s.full.pss_kb as f64 - s.idle.pss_kb as f64) / chats as f64;
        row(f, "KB a chat, PSS", (pss(ccm), pss(bare)))?;
        let kb = |s: &Side| s.idle.rss_kb as f64 / 1024.0;
        row(f, "MB without a chat", (kb(ccm), kb(bare)))?;
        let (ccm_grows, bare_grows) = (
            growth(&self.samples, |s| s.ccm_kb),
            growth(&self.samples, |s| s.bare_kb),
        );
        line(f, "growth, KB a minute", ccm_grows, bare_grows)?;
        let percent = |kb: f64, side: &Side| kb * 100.0 / side.full.rss_kb as f64;
        line(
            f,
            "growth, % a minute",
            percent(ccm_grows, ccm),
            percent(bare_grows, bare),
        )
    }

    fn work(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ccm, bare) = (&self.ccm, &self.bare);
        row(f, "CPU µs a ping", (ccm.cpu_us_per_ping, bare.cpu_us_per_ping))?;
        row(f, "opening, s", (ccm.open_s, bare.open_s))?;
        row(f, "opening, CPU-s", (ccm.open_cpu_s, bare.open_cpu_s))?;
        for (ours, theirs) in ccm.reopenings.iter().zip(&bare.reopenings) {
            let name = match ours.texts {
                0 => "re-opening".to_owned(),
                texts => format!("re-opening, {texts} texts each way"),
            };
            row(f, &format!("{name}, s"), (ours.seconds, theirs.seconds))?;
            row(f, &format!("{name}, CPU-s"), (ours.cpu_s, theirs.cpu_s))?;
            row(
                f,
                &format!("{name}, peak/s"),
                (ours.peak_per_s, theirs.peak_per_s),
            )?;
            for (program, counts) in [("ccm", &ours.counts), ("bare", &theirs.counts)] {
                let counts: Vec<String> = counts.iter().map(|(name, n)| format!("{n} {name}")).collect();
                writeln!(f, "    {program}: {}", counts.join(", "))?;
            }
        }
        Ok(())
    }

    fn texts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (way, texts) in [("to agents", self.to_agent), ("to phones", self.to_phone)] {
            writeln!(
                f,
                "  texts {way}: {} sent, {} arrived, {} lost, {} doubled (and {} with a mark)",
                texts.sent,
                texts.arrived,
                texts.lost(),
                texts.doubled(),
                texts.again_with_a_mark
            )?;
        }
        if let Some(why) = &self.refusal {
            writeln!(
                f,
                "  {} texts were refused; the first refusal: {why}",
                self.refused
            )?;
        }
        Ok(())
    }
}

fn line(f: &mut fmt::Formatter<'_>, what: &str, ccm: f64, bare: f64) -> fmt::Result {
    writeln!(f, "  {what:<40} {ccm:>10.2} {bare:>10.2}")
}

fn row(f: &mut fmt::Formatter<'_>, what: &str, (ccm, bare): (f64, f64)) -> fmt::Result {
    writeln!(f, "  {what:<40} {ccm:>10.2} {bare:>10.2} {:>10.2}", ccm / bare)
}

impl fmt::Display for Chats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.samples.last().map_or(0.0, |s| s.seconds);
        writeln!(
            f,
            "{} chats over {} tenants, {seconds:.0} s of pings",
            self.chats, self.tenants
        )?;
        writeln!(f, "  {:<40} {:>10} {:>10} {:>10}", "", "ccm", "bare", "ccm/bare")?;
        self.memory(f)?;
        self.work(f)?;
        self.texts(f)
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    fn side(idle: u64, full: u64) -> Side {
        let at = |rss_kb| Memory {
            rss_kb,
            pss_kb: rss_kb,
        };
        let reopening = |texts| Reopening {
            texts,
            seconds: 3.0,
            cpu_s: full as f64 / 10_000.0,
            whole_s: 9.0,
            peak_per_s: 900.0,
            counts: BTreeMap::from([("resumes", 100)]),
        };
        Side {
            idle: at(idle),
            half: at(idle.midpoint(full)),
            full: at(full),
            after_pings: at(full),
            at_the_end: at(full),
            open_s: 1.0,
            open_cpu_s: 1.0,
            cpu_us_per_ping: 20.0,
            reopenings: vec![reopening(0), reopening(10)],
        }
    }

    pub fn some() -> Chats {
        let sample = |n: u64| Sample {
            seconds: n as f64 * 30.0,
            ccm_kb: 14_000 + 50 * n,
            bare_kb: 12_000,
        };
        let all = |sent| Texts {
            sent,
            arrived: sent,
            again: 0,
            again_with_a_mark: 0,
        };
        Chats {
            chats: 100,
            tenants: 3,
            ccm: side(10_000, 14_000),
            bare: side(10_000, 12_000),
            samples: (0..10).map(sample).collect(),
            refused: 0,
            refusal: None,
            to_agent: all(110),
            to_phone: all(10),
        }
    }

    #[test]
    fn a_chat_is_weighed_without_the_program() {
        let text = some().to_string();
        let row = |name: &str| {
            let line = text.lines().find(|l| l.trim_start().starts_with(name));
            let line = line.unwrap_or_else(|| panic!("{name}: {text}"));
            let figures = line.split_whitespace().filter_map(|w| w.parse().ok());
            figures.collect::<Vec<f64>>()
        };
        assert_eq!(row("KB a chat  "), [40.0, 20.0, 2.0]);
        assert_eq!(row("KB a chat, half"), [40.0, 20.0, 2.0]);
        assert_eq!(row("re-opening, CPU-s"), [1.4, 1.2, 1.17]);
        assert_eq!(row("growth, KB"), [100.0, 0.0], "50 KB each half a minute");
    }

    #[test]
    fn texts_that_are_missing_or_doubled_are_told() {
        assert!(some().is_good());
        let with = |change: fn(&mut Chats)| {
            let mut chats = some();
            change(&mut chats);
            chats.is_good()
        };
        assert!(!with(|c| c.to_agent.arrived -= 1));
        assert!(!with(|c| c.to_phone.arrived -= 1));
        assert!(!with(|c| c.to_phone.again += 1));
        assert!(!with(|c| c.refused = 1));
        assert!(!with(|c| c.to_agent.again = 1));
        assert!(with(|c| {
            c.to_agent.again = 1;
            c.to_agent.again_with_a_mark = 1;
        }));
    }
}
