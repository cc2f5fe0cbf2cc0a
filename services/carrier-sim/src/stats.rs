//! Figures for benches: how many texts reached phones, and how long they took.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Ten minutes, in microseconds: whatever takes longer counts as that.
const LONGEST_US: u64 = 600_000_000;

/// Texts delivered to phones since the start or the last reset. A text that carries `TS` and 19 digits (the nanoseconds
/// since 1970 at which it was sent) is timed.
pub(crate) struct Stats {
    took_us: Histogram<u64>,
    count: u64,
    first_ns: u64,
    last_ns: u64,
    pub traffic: Traffic,
    manners: BTreeMap<&'static str, u64>,
    rate_violations: BTreeMap<String, u64>,
    failures: BTreeMap<String, u64>,
}

/// What went over the wire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Traffic {
    /// Sends that were in order: signed, complete.
    pub sends: u64,
    /// Those of them whose text is on the phone.
    pub taken: u64,
    /// The same key again.
    pub taken_again: u64,
    /// Posts of texts to webhooks, copies included.
    pub posts: u64,
    pub posts_accepted: u64,
    /// Texts that no webhook accepted in time.
    pub given_up: u64,
    /// Posts of delivery receipts, copies included.
    pub receipts: u64,
    pub receipts_accepted: u64,
    /// Receipts that were not accepted after all their tries.
    pub receipts_given_up: u64,
}

/// A reading of the figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatsView {
    /// Texts delivered.
    pub count: u64,
    /// From the first to the last of them, in seconds.
    pub span_s: f64,
    pub per_s: f64,
    /// Texts among them that carried a time.
    pub lat_n: u64,
    pub p50_us: u64,
    pub p90_us: u64,
    pub p99_us: u64,
    pub p999_us: u64,
    pub max_us: u64,
    #[serde(default)]
    pub traffic: Traffic,
    /// How often each manner hit, by its name: `send.slow`.
    #[serde(default)]
    pub manners: BTreeMap<String, u64>,
    /// Sends above the limit of their number.
    #[serde(default)]
    pub rate_violations: BTreeMap<String, u64>,
    /// What posts ended with that were not accepted, texts' and receipts': `HTTP 503`, `the connection broke`.
    #[serde(default)]
    pub failures: BTreeMap<String, u64>,
}

impl Default for Stats {
    fn default() -> Self {
        let took_us = Histogram::new_with_bounds(1, LONGEST_US, 3).expect("constant bounds");
        Self {
            took_us,
            count: 0,
            first_ns: 0,
            last_ns: 0,
            traffic: Traffic::default(),
            manners: BTreeMap::new(),
            rate_violations: BTreeMap::new(),
            failures: BTreeMap::new(),
        }
    }
}

impl Stats {
    pub fn delivered(&mut self, text: &str, now_ns: u64) {
        if self.count == 0 {
            self.first_ns = now_ns;
        }
        self.last_ns = now_ns;
        self.count += 1;
        if let Some(sent_ns) = sent_ns(text) {
            self.took_us
                .saturating_record((now_ns.saturating_sub(sent_ns) / 1000).max(1));
        }
    }

    /// A manner hit.
    pub fn manner(&mut self, name: &'static str) {
        *self.manners.entry(name).or_default() += 1;
    }

    /// A post was not accepted.
    pub fn failed(&mut self, why: &str) {
        *self.failures.entry(why.to_owned()).or_default() += 1;
    }

    pub fn too_fast(&mut self, number: &str) {
        *self.rate_violations.entry(number.to_owned()).or_default() += 1;
    }

    pub fn view(&self) -> StatsView {
        let span_s = self.last_ns.saturating_sub(self.first_ns) as f64 / 1e9;
        let quantile = |q| self.took_us.value_at_quantile(q);
        StatsView {
            count: self.count,
            span_s,
            per_s: if span_s > 0.0 {
                (self.count - 1) as f64 / span_s
            } else {
                0.0
            },
            lat_n: self.took_us.len(),
            p50_us: quantile(0.5),
            p90_us: quantile(0.9),
            p99_us: quantile(0.99),
            p999_us: quantile(0.999),
            max_us: self.took_us.max(),
            traffic: self.traffic,
            manners: self
                .manners
                .iter()
                .map(|(name, n)| ((*name).to_owned(), *n))
                .collect(),
            rate_violations: self.rate_violations.clone(),
            failures: self.failures.clone(),
        }
    }
}

fn sent_ns(text: &str) -> Option<u64> {
    text.match_indices("TS").find_map(|(at, _)| {
        let digits = text.get(at + 2..at + 21)?;
        digits
            .bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| digits.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marked_text_is_timed() {
        assert_eq!(
            sent_ns("TS TS12 é TS1700000000000000000é"),
            Some(1_700_000_000_000_000_000)
        );
        assert_eq!(sent_ns("TS170000000000000000"), None);
        let mut stats = Stats::default();
        assert_eq!(stats.view().per_s, 0.0);
        stats.delivered("TS1700000000000000000", 1_700_000_000_002_000_000);
        stats.delivered("no mark", 1_700_000_002_002_000_000);
        let view = stats.view();
        assert_eq!(
            (view.count, view.lat_n, view.span_s, view.per_s),
            (2, 1, 2.0, 0.5)
        );
        assert!((1_990..=2_010).contains(&view.p50_us), "{view:?}");
    }
}
