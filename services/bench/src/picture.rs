//! The latencies as a picture (SVG): a row for each point, on a logarithmic axis, from the median (dot) over p99 (end of
//! the bar) to the slowest text (end of the line).

pub mod memory;

use crate::report::{CCM, Latency, Point};
use std::fmt::Write;

const ROW: usize = 22;
const TOP: usize = 34;
const LEFT: f64 = 230.0;
const WIDTH: f64 = 560.0;
const INK: &str = "#333";
const OURS: &str = "#1f6feb";
const BASELINE: &str = "#8c8c8c";

/// The picture of these points.
pub fn svg(points: &[Point]) -> String {
    let axis = Axis::over(points.iter().map(|p| p.latency));
    let bottom = TOP + ROW * points.len();
    let mut svg = String::new();
    let mut line = |text: String| writeln!(svg, "{text}").expect("a string takes everything");
    line(format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" font-family="sans-serif" font-size="12" fill="{INK}">"#,
        LEFT + WIDTH + 30.0,
        bottom + 30,
    ));
    line(r#"<rect width="100%" height="100%" fill="white"/>"#.to_owned());
    line(
        r#"<text x="8" y="16" font-weight="bold">Latency: median (dot), p99 (bar), slowest (line)</text>"#
            .to_owned(),
    );
    for (ms, label) in axis.decades() {
        let x = axis.x(ms * 1000.0);
        line(format!(r##"<path d="M{x:.1} {TOP}V{bottom}" stroke="#ddd"/>"##));
        line(format!(
            r#"<text x="{x:.1}" y="{}" text-anchor="middle">{label}</text>"#,
            bottom + 18
        ));
    }
    for (n, point) in points.iter().enumerate() {
        let y = TOP + ROW * n + ROW / 2;
        let rate = point
            .offered_per_s
            .map_or("max".to_owned(), |r| format!("{r:.0}/s"));
        let colour = if point.program == CCM { OURS } else { BASELINE };
        let x = |us: u64| axis.x(us as f64);
        let (p50, p99, max) = (
            x(point.latency.p50_us),
            x(point.latency.p99_us),
            x(point.latency.max_us),
        );
        line(format!(
            r#"<text x="8" y="{}">{} {rate}, {}</text>"#,
            y + 4,
            point.scenario,
            point.program
        ));
        line(format!(r#"<path d="M{p50:.1} {y}H{max:.1}" stroke="{colour}"/>"#));
        line(format!(
            r#"<path d="M{p50:.1} {y}H{p99:.1}" stroke="{colour}" stroke-width="7"/>"#
        ));
        line(format!(
            r#"<circle cx="{p50:.1}" cy="{y}" r="5" fill="{colour}"/>"#
        ));
    }
    line("</svg>".to_owned());
    svg
}

/// Powers of ten, in microseconds.
struct Axis {
    low: i32,
    high: i32,
}

impl Axis {
    fn over(latencies: impl Iterator<Item = Latency> + Clone) -> Self {
        let log = |us: u64| (us.max(1) as f64).log10();
        let low = latencies
            .clone()
            .map(|l| log(l.p50_us))
            .fold(f64::INFINITY, f64::min);
        let high = latencies.map(|l| log(l.max_us)).fold(0.0, f64::max);
        let low = if low.is_finite() { low.floor() as i32 } else { 0 };
        Self {
            low,
            high: (high.ceil() as i32).max(low + 1),
        }
    }

    fn x(&self, us: f64) -> f64 {
        let log = us.max(1.0).log10();
        LEFT + WIDTH * (log - f64::from(self.low)) / f64::from(self.high - self.low)
    }

    /// Milliseconds, and how they are written.
    fn decades(&self) -> impl Iterator<Item = (f64, String)> {
        (self.low..=self.high).map(|power| {
            let ms = 10f64.powi(power - 3);
            (ms, format!("{ms} ms"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slower_stands_further_right_and_all_of_it_on_the_axis() {
        let latency = |p50_us, max_us| Latency {
            p50_us,
            p90_us: p50_us,
            p99_us: max_us,
            p999_us: max_us,
            max_us,
        };
        let axis = Axis::over([latency(900, 40_000), latency(3_000, 250_000)].into_iter());
        assert!(axis.x(900.0) >= LEFT && axis.x(900.0) < axis.x(3_000.0));
        assert!(axis.x(250_000.0) <= LEFT + WIDTH);
        let labels: Vec<String> = axis.decades().map(|(_, label)| label).collect();
        assert_eq!(labels, ["0.1 ms", "1 ms", "10 ms", "100 ms", "1000 ms"]);
        assert!(svg(&[]).ends_with("</svg>\n"));
    }
}
