//! A table for people, JSON for machines.

pub mod chats;

use anyhow::{Context, Result};
use chats::Chats;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The product's name in figures; every other program is a baseline.
pub const CCM: &str = "ccm";

/// Microseconds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Latency {
    pub p50_us: u64,
    pub p90_us: u64,
    pub p99_us: u64,
    pub p999_us: u64,
    pub max_us: u64,
}

impl From<&Histogram<u64>> for Latency {
    fn from(h: &Histogram<u64>) -> Self {
        Self {
            p50_us: h.value_at_quantile(0.5),
            p90_us: h.value_at_quantile(0.9),
            p99_us: h.value_at_quantile(0.99),
            p999_us: h.value_at_quantile(0.999),
            max_us: h.max(),
        }
    }
}

/// One measured point of one program.
#[derive(Debug, Clone, Serialize)]
pub struct Point {
    pub scenario: &'static str,
    /// [`CCM`] or the baseline's name.
    pub program: &'static str,
    /// Texts a second that were offered; `None`: as fast as the connections go.
    pub offered_per_s: Option<f64>,
    pub texts: u64,
    pub per_s: f64,
    #[serde(flatten)]
    pub latency: Latency,
    /// CPU seconds of the program's processes per 1,000 texts, Postgres and Redis not counted.
    pub cpu_s_per_1000: f64,
    /// Postgres' own, where it was measured: the work of the load tool's connections is in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postgres_cpu_s_per_1000: Option<f64>,
}

/// Where one program's texts of one scenario are in the end, those of the warm-up included.
#[derive(Debug, Clone, Serialize)]
pub struct Tally {
    pub scenario: &'static str,
    pub program: &'static str,
    pub posted: u64,
    /// Not answered with 2xx.
    pub refused: u64,
    /// Why the first of them was.
    pub refusal: Option<String>,
    /// Different texts in the database, and rows. Of a program without one: what it took.
    pub stored: u64,
    pub rows: u64,
    /// Texts at the agent's or the provider's side, where the scenario has one.
    pub arrived: Option<u64>,
    /// Arrivals of texts that had arrived before, where the far side tells them from others.
    pub again: u64,
}

impl Tally {
    /// Accepted, and not in the database or not at the far side.
    pub fn lost(&self) -> u64 {
        let accepted = self.posted - self.refused;
        accepted.saturating_sub(self.arrived.map_or(self.stored, |a| a.min(self.stored)))
    }

    /// In the database more than once, at the far side more than once, or there more often than posted.
    pub fn doubled(&self) -> u64 {
        let arrived_too_often = self.arrived.map_or(0, |a| a.saturating_sub(self.posted));
        (self.rows - self.stored).max(arrived_too_often).max(self.again)
    }

    fn is_good(&self) -> bool {
        self.refused == 0 && self.lost() == 0 && self.doubled() == 0
    }
}

/// What the figures were measured on.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    pub cores: usize,
    /// Processes that wanted a core, on average over the minute before the run: how busy others kept the machine.
    pub load_before: f64,
    /// Whether this program was built without optimisation.
    pub debug: bool,
}

impl Machine {
    /// This one, now.
    pub fn now() -> Result<Self> {
        let load = std::fs::read_to_string("/proc/loadavg").context("reading /proc/loadavg")?;
        let load = load.split(' ').next().and_then(|n| n.parse().ok());
        Ok(Self {
            cores: std::thread::available_parallelism()?.get(),
            load_before: load.context("/proc/loadavg")?,
            debug: cfg!(debug_assertions),
        })
    }
}

/// A run; each of ccm's points is held against the baselines' of the same scenario and rate.
#[derive(Debug, Serialize)]
pub struct Report {
    /// `short`, `long`, `chats` or `dispatch`.
    pub form: &'static str,
    pub machine: Machine,
    pub points: Vec<Point>,
    pub tallies: Vec<Tally>,
    pub chats: Vec<Chats>,
}

impl Report {
    pub fn new(form: &'static str, machine: Machine) -> Self {
        Self {
            form,
            machine,
            points: Vec::new(),
            tallies: Vec::new(),
            chats: Vec::new(),
        }
    }

    fn baselines(&self, of: &Point) -> impl Iterator<Item = &Point> {
        self.points
            .iter()
            .filter(|p| p.scenario == of.scenario && p.offered_per_s == of.offered_per_s && p.program != CCM)
    }

    /// Whether every text was taken and is where it belongs, once.
    pub fn is_every_text_accounted_for(&self) -> bool {
        self.tallies.iter().all(Tally::is_good) && self.chats.iter().all(Chats::is_good)
    }

    fn points(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<9} {:<15} {:>9} {:>7} {:>8} {:>9} {:>9} {:>9} {:>10}",
            "scenario",
            "program",
            "offered/s",
            "texts",
            "texts/s",
            "p50 ms",
            "p99 ms",
            "max ms",
            "CPU-s/1000"
        )?;
        for p in &self.points {
            let ms = |us: u64| format!("{:.2}", us as f64 / 1000.0);
            writeln!(
                f,
                "{:<9} {:<15} {:>9} {:>7} {:>8.0} {:>9} {:>9} {:>9} {:>10.3}",
                p.scenario,
                p.program,
                p.offered(),
                p.texts,
                p.per_s,
                ms(p.latency.p50_us),
                ms(p.latency.p99_us),
                ms(p.latency.max_us),
                p.cpu_s_per_1000
            )?;
            if let Some(postgres) = p.postgres_cpu_s_per_1000 {
                writeln!(
                    f,
                    "  and Postgres, the load tool's commits included: {postgres:.3} CPU-s/1000"
                )?;
            }
        }
        Ok(())
    }

    fn ratios(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "ccm / baseline of the same run (1.00: the same):")?;
        for p in self.points.iter().filter(|p| p.program == CCM) {
            for base in self.baselines(p) {
                let us = |ours: u64, theirs: u64| ours as f64 / theirs.max(1) as f64;
                writeln!(
                    f,
                    "{:<9} {:<15} {:>9}/s  texts/s {:>5.2}  p50 {:>5.2}  p99 {:>5.2}  CPU {:>6.2}",
                    p.scenario,
                    base.program,
                    p.offered(),
                    p.per_s / base.per_s,
                    us(p.latency.p50_us, base.latency.p50_us),
                    us(p.latency.p99_us, base.latency.p99_us),
                    p.cpu_s_per_1000 / base.cpu_s_per_1000,
                )?;
            }
        }
        Ok(())
    }

    fn tallies(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<9} {:<15} {:>9} {:>8} {:>8} {:>8} {:>6} {:>8}",
            "scenario", "program", "posted", "refused", "stored", "arrived", "lost", "doubled"
        )?;
        for t in &self.tallies {
            let arrived = t.arrived.map_or("-".to_owned(), |n| n.to_string());
            writeln!(
                f,
                "{:<9} {:<15} {:>9} {:>8} {:>8} {:>8} {:>6} {:>8}",
                t.scenario,
                t.program,
                t.posted,
                t.refused,
                t.stored,
                arrived,
                t.lost(),
                t.doubled()
            )?;
            if let Some(why) = &t.refusal {
                writeln!(f, "  the first refusal: {why}")?;
            }
        }
        Ok(())
    }
}

impl Point {
    fn offered(&self) -> String {
        self.offered_per_s.map_or("max".to_owned(), |r| format!("{r:.0}"))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let machine = &self.machine;
        writeln!(
            f,
            "{} cores; {:.1} processes wanted one in the minute before\n",
            machine.cores, machine.load_before
        )?;
        if !self.points.is_empty() {
            self.points(f)?;
            writeln!(f)?;
            self.ratios(f)?;
            writeln!(f)?;
            self.tallies(f)?;
            writeln!(f)?;
        }
        for chats in &self.chats {
            writeln!(f, "{chats}")?;
        }
        if self.form == "short" || machine.debug {
            let why = if machine.debug {
                "a debug build"
            } else {
                "the short form"
            };
            write!(f, "This is {why}: only counts of texts mean something.")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(program: &'static str, stored: u64, rows: u64, arrived: Option<u64>) -> Report {
        let point = |program, rate, per_s| Point {
            scenario: "accept",
            program,
            offered_per_s: rate,
            texts: 10,
            per_s,
            latency: Latency {
                p50_us: 2000,
                p90_us: 3000,
                p99_us: 4000,
                p999_us: 4000,
                max_us: 5000,
            },
            cpu_s_per_1000: 0.1,
            postgres_cpu_s_per_1000: None,
        };
        let machine = Machine {
            cores: 2,
            load_before: 0.0,
            debug: false,
        };
        let mut report = Report::new("long", machine);
        report.points = vec![
            point("bare", Some(500.0), 500.0),
            point("bare", None, 1000.0),
            point(CCM, None, 600.0),
        ];
        let refusal = None;
        report.tallies = vec![Tally {
            scenario: "accept",
            program,
            posted: 10,
            refused: 0,
            refusal,
            stored,
            rows,
            arrived,
            again: 0,
        }];
        report
    }

    #[test]
    fn ratios_are_against_the_same_rate() {
        let text = report(CCM, 10, 10, None).to_string();
        assert!(text.contains("max/s  texts/s  0.60"), "{text}");
        assert!(!text.contains("mean something"), "{text}");
    }

    #[test]
    fn each_baseline_has_a_ratio() {
        let mut report = report(CCM, 10, 10, None);
        let mut other = report.points[1].clone();
        (other.program, other.per_s) = ("bearer", 300.0);
        report.points.push(other);
        let text = report.to_string();
        let ratio = |name: &str| text.lines().any(|l| l.contains("max/s") && l.contains(name));
        assert!(
            ratio("bare ") && ratio("bearer ") && text.contains("texts/s  2.00"),
            "{text}"
        );
    }

    #[test]
    fn texts_that_are_missing_or_doubled_are_told() {
        assert!(report(CCM, 10, 10, None).is_every_text_accounted_for());
        assert!(report(CCM, 10, 10, Some(10)).is_every_text_accounted_for());
        for (stored, rows, arrived, lost, doubled) in [
            (9, 9, None, 1, 0),
            (10, 11, None, 0, 1),
            (10, 10, Some(8), 2, 0),
            (9, 9, Some(10), 1, 0),
            (10, 10, Some(12), 0, 2),
        ] {
            let report = report("bare", stored, rows, arrived);
            assert_eq!(
                (report.tallies[0].lost(), report.tallies[0].doubled()),
                (lost, doubled)
            );
            assert!(!report.is_every_text_accounted_for());
        }
        let mut again = report(CCM, 10, 10, Some(9));
        again.tallies[0].again = 1;
        assert_eq!((again.tallies[0].lost(), again.tallies[0].doubled()), (1, 1));
        let mut refused = report(CCM, 9, 9, None);
        refused.tallies[0].refused = 1;
        assert_eq!(refused.tallies[0].lost(), 0);
        assert!(!refused.is_every_text_accounted_for());
    }
}
