//! Figures for benches: how many texts reached the agent's side, and how long they took.

use std::collections::VecDeque;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

/// Texts counted since the start or the last reset. Latencies are taken from texts that carry a marker: `TS` and 19
/// digits, the nanoseconds since 1970 at which the text was sent.
pub(crate) struct Stats {
    latency_us: Histogram<u64>,
    count: u64,
    first_ns: u64,
    last_ns: u64,
}

/// A reading of the statistics. Times in microseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatsView {
    /// Texts that reached the agent's side.
    pub count: u64,
    /// From the first to the last of them, in seconds.
    pub span_s: f64,
    pub per_s: f64,
    /// Texts among them that carried a time marker.
    pub lat_n: u64,
    pub p50_us: u64,
    pub p90_us: u64,
    pub p99_us: u64,
    pub p999_us: u64,
    pub max_us: u64,
    /// Sockets open now.
    pub sockets: u64,
    /// Chats that have not ended.
    pub chats: u64,
    /// The most TCP connections that came within any one second.
    pub peak_connects_per_s: u64,
    /// Sockets that the customer's side ended with a close frame.
    pub clean_closes: u64,
    /// Sockets that the customer's side ended without one.
    pub abrupt_closes: u64,
}

/// Counts of connections since the start or the last reset.
#[derive(Default)]
pub(crate) struct Counts {
    /// The connections of the last second.
    recent: VecDeque<Instant>,
    peak_per_s: usize,
    clean_closes: u64,
    abrupt_closes: u64,
}

impl Counts {
    pub fn connected(&mut self, now: Instant) {
        while self.recent.pop_front_if(|at| now - *at >= SECOND).is_some() {}
        self.recent.push_back(now);
        self.peak_per_s = self.peak_per_s.max(self.recent.len());
    }

    /// The customer's side ended a socket, with a close frame or without.
    pub fn left(&mut self, said_so: bool) {
        match said_so {
            true => self.clean_closes += 1,
            false => self.abrupt_closes += 1,
        }
    }
}

impl Stats {
    pub fn new() -> Self {
        let latency_us = Histogram::new_with_bounds(1, 600_000_000, 3).expect("the bounds are valid");
        Stats {
            latency_us,
            count: 0,
            first_ns: 0,
            last_ns: 0,
        }
    }

    pub fn text(&mut self, text: &str, now_ns: u64) {
        if self.count == 0 {
            self.first_ns = now_ns;
        }
        self.count += 1;
        self.last_ns = now_ns;
        if let Some(sent_ns) = marker(text.as_bytes()) {
            self.latency_us
                .saturating_record((now_ns.saturating_sub(sent_ns) / 1000).max(1));
        }
    }

    pub fn view(&self, sockets: usize, chats: usize, counts: &Counts) -> StatsView {
        let span_s = self.last_ns.saturating_sub(self.first_ns) as f64 / 1e9;
        let h = &self.latency_us;
        StatsView {
            count: self.count,
            span_s,
            per_s: if span_s > 0.0 {
                (self.count as f64 - 1.0) / span_s
            } else {
                0.0
            },
            lat_n: h.len(),
            p50_us: h.value_at_quantile(0.5),
            p90_us: h.value_at_quantile(0.9),
            p99_us: h.value_at_quantile(0.99),
            p999_us: h.value_at_quantile(0.999),
            max_us: h.max(),
            sockets: sockets as u64,
            chats: chats as u64,
            peak_connects_per_s: counts.peak_per_s as u64,
            clean_closes: counts.clean_closes,
            abrupt_closes: counts.abrupt_closes,
        }
    }
}

/// The first `TS` that 19 digits follow.
fn marker(text: &[u8]) -> Option<u64> {
    text.windows(21).find_map(|w| {
        let digits = w.strip_prefix(b"TS")?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        std::str::from_utf8(digits).ok()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marker_is_found_and_measured() {
        assert_eq!(
            marker(b"m-1 TS1700000000000000000 x"),
            Some(1_700_000_000_000_000_000)
        );
        assert_eq!(marker(b"TS17"), None);
        let mut s = Stats::new();
        s.text("TS1700000000000000000", 1_700_000_000_005_000_000);
        s.text("no marker", 1_700_000_001_005_000_000);
        let mut counts = Counts::default();
        let start = Instant::now();
        for ms in [0, 400, 999, 1000, 1100, 3000] {
            counts.connected(start + Duration::from_millis(ms));
        }
        let v = s.view(3, 2, &counts);
        assert_eq!(v.peak_connects_per_s, 4, "400 to 1100 ms");
        assert_eq!((v.count, v.lat_n, v.sockets, v.chats), (2, 1, 3, 2));
        assert!((4_990..=5_010).contains(&v.p50_us), "{}", v.p50_us);
        assert!((v.per_s - 1.0).abs() < 1e-9);
    }
}
