//! Resident memory over the minutes of pings as a picture (SVG): a field for each number of chats, a line for each program,
//! and what 40 KB a chat would be.

use super::{BASELINE, INK, OURS};
use crate::report::chats::{Chats, Sample};
use std::fmt::Write;

const LEFT: f64 = 70.0;
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 220.0;
const TOP: f64 = 40.0;
const FIELD: f64 = TOP + HEIGHT + 50.0;
/// What a chat may weigh, in KiB.
const MOST: u64 = 40;
const LIMIT: &str = "#c0392b";

/// The picture of these runs.
pub fn svg(runs: &[Chats]) -> String {
    let mut svg = String::new();
    let mut line = |text: String| writeln!(svg, "{text}").expect("a string takes everything");
    line(format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" font-family="sans-serif" font-size="12" fill="{INK}">"#,
        LEFT + WIDTH + 110.0,
        FIELD * runs.len() as f64,
    ));
    line(r#"<rect width="100%" height="100%" fill="white"/>"#.to_owned());
    for (n, run) in runs.iter().enumerate() {
        line(format!(r#"<g transform="translate(0 {})">"#, FIELD * n as f64));
        field(run).into_iter().for_each(&mut line);
        line("</g>".to_owned());
    }
    line("</svg>".to_owned());
    svg
}

fn field(run: &Chats) -> Vec<String> {
    let limit = run.ccm.idle.rss_kb + MOST * run.chats;
    let highest = run.samples.iter().map(|s| s.ccm_kb.max(s.bare_kb)).max();
    let axes = Axes {
        seconds: run.samples.last().map_or(1.0, |s| s.seconds.max(1.0)),
        kb: highest.unwrap_or_default().max(limit) as f64 * 1.05,
    };
    let mut lines = vec![format!(
        r#"<text x="8" y="20" font-weight="bold">{} chats over {} tenants: resident memory while they ping</text>"#,
        run.chats, run.tenants
    )];
    for part in 0..=4 {
        let kb = axes.kb * f64::from(part) / 4.0;
        let y = axes.y(kb);
        lines.push(format!(
            r##"<path d="M{LEFT} {y:.1}h{WIDTH}" stroke="#ddd"/><text x="{:.1}" y="{:.1}" text-anchor="end">{:.0} MB</text>"##,
            LEFT - 6.0,
            y + 4.0,
            kb / 1024.0
        ));
    }
    for (seconds, anchor) in [(0.0, "start"), (axes.seconds, "end")] {
        lines.push(format!(
            r#"<text x="{:.1}" y="{:.1}" text-anchor="{anchor}">{seconds:.0} s</text>"#,
            axes.x(seconds),
            TOP + HEIGHT + 18.0
        ));
    }
    let y = axes.y(limit as f64);
    lines.push(format!(
        r#"<path d="M{LEFT} {y:.1}h{WIDTH}" stroke="{LIMIT}" stroke-dasharray="5 4"/>{}"#,
        label(y, LIMIT, &format!("{MOST} KB a chat"))
    ));
    lines.push(curve(&axes, &run.samples, |s| s.ccm_kb, OURS, "ccm connector"));
    lines.push(curve(&axes, &run.samples, |s| s.bare_kb, BASELINE, "bare client"));
    lines
}

fn curve(axes: &Axes, samples: &[Sample], kb: fn(&Sample) -> u64, colour: &str, name: &str) -> String {
    let points: Vec<String> = samples
        .iter()
        .map(|s| format!("{:.1},{:.1}", axes.x(s.seconds), axes.y(kb(s) as f64)))
        .collect();
    let end = samples.last().map_or(0.0, |s| axes.y(kb(s) as f64));
    format!(
        r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="2"/>{}"#,
        points.join(" "),
        label(end, colour, name)
    )
}

fn label(y: f64, colour: &str, text: &str) -> String {
    format!(
        r#"<text x="{:.1}" y="{:.1}" fill="{colour}">{text}</text>"#,
        LEFT + WIDTH + 6.0,
        y + 4.0
    )
}

struct Axes {
    seconds: f64,
    /// At the top; 0 is at the bottom.
    kb: f64,
}

impl Axes {
    fn x(&self, seconds: f64) -> f64 {
        LEFT + WIDTH * seconds / self.seconds
    }

    fn y(&self, kb: f64) -> f64 {
        TOP + HEIGHT * (1.0 - kb / self.kb)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::chats::tests::some;

    #[test]
    fn more_stands_higher_later_further_right_and_all_of_it_in_its_field() {
        let picture = svg(&[some(), some()]);
        assert!(picture.ends_with("</svg>\n"));
        let lines: Vec<Vec<(f64, f64)>> = picture
            .split("points=\"")
            .skip(1)
            .map(|rest| {
                let points = rest.split('"').next().unwrap().split(' ');
                let number = |n: &str| n.parse::<f64>().unwrap();
                points
                    .map(|p| p.split_once(',').map(|(x, y)| (number(x), number(y))).unwrap())
                    .collect()
            })
            .collect();
        assert_eq!(lines.len(), 4, "two programs in two fields");
        let (ccm, bare) = (&lines[0], &lines[1]);
        assert!(
            ccm.iter().zip(bare).all(|(ccm, bare)| ccm.1 < bare.1),
            "ccm has more"
        );
        assert!(
            ccm.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 > w[1].1),
            "it grows"
        );
        let is_inside =
            |&(x, y): &(f64, f64)| (LEFT..=LEFT + WIDTH).contains(&x) && (TOP..=TOP + HEIGHT).contains(&y);
        assert!(lines.iter().flatten().all(is_inside));
    }
}
