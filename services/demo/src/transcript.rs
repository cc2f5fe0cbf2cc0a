//! What both sides saw, side by side for a terminal.

use ccm_aacc_sim::{ChatView, EndReason, Line, LineKind, Sender};
use ccm_bench::checker::tag_of;
use ccm_carrier_sim::PhoneText;
use std::fmt::Write;

/// Characters of one column.
const WIDTH: usize = 46;
/// Sooner than this a text is at the same time on both sides, for a reader.
const SAME_TIME_MS: u64 = 500;

struct Cell {
    at_ms: u64,
    /// What makes the same text on both sides recognisable.
    key: String,
    words: String,
}

/// The customer's phone on the left, the agent's desktop on the right, both in the order of their own times. A text that
/// reached the other side at once stands beside itself; one that was held stands lower there.
pub fn side_by_side(phone: &[PhoneText], chats: &[ChatView]) -> String {
    let left: Vec<Cell> = phone.iter().map(on_phone).collect();
    let mut right: Vec<Cell> = chats.iter().flat_map(on_desktop).collect();
    right.sort_by_key(|cell| cell.at_ms);
    let began = left
        .iter()
        .chain(&right)
        .map(|cell| cell.at_ms)
        .min()
        .unwrap_or(0);

    let mut out = String::new();
    row(&mut out, "", "the customer's phone", "the agent's desktop");
    let line = "─".repeat(WIDTH);
    let _ = writeln!(out, "────────┼─{line}┼─{line}");
    let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
    loop {
        let (l, r) = match (left.peek(), right.peek()) {
            (None, None) => return out,
            (Some(l), Some(r)) if l.key == r.key && l.at_ms.abs_diff(r.at_ms) < SAME_TIME_MS => {
                (left.next(), right.next())
            }
            (Some(l), Some(r)) if l.at_ms <= r.at_ms => (left.next(), None),
            (Some(_), None) => (left.next(), None),
            (_, Some(_)) => (None, right.next()),
        };
        let at_ms = [l, r]
            .into_iter()
            .flatten()
            .map(|c| c.at_ms)
            .min()
            .unwrap_or(began);
        let seconds = format!("{:.1} s", (at_ms - began) as f64 / 1000.0);
        let words = |cell: Option<&Cell>| cell.map_or(String::new(), |c| c.words.clone());
        row(&mut out, &seconds, &words(l), &words(r));
    }
}

fn key(text: &str) -> String {
    tag_of(text).unwrap_or(text).to_owned()
}

fn on_phone(text: &PhoneText) -> Cell {
    let (arrow, text, at_ms) = match text {
        PhoneText::Sent(text) => ('→', &text.text, text.at_ms),
        PhoneText::Received(text) => ('←', &text.text, text.at_ms),
    };
    Cell {
        at_ms,
        key: key(text),
        words: format!("{arrow} {text}"),
    }
}

fn on_desktop(chat: &ChatView) -> Vec<Cell> {
    let mut cells: Vec<Cell> = chat
        .transcript
        .iter()
        .map(|line| desktop_line(chat, line))
        .collect();
    if let Some(first) = cells.first() {
        let words = format!("· chat {} opens in {}", chat.guid, chat.skillset);
        let at_ms = chat.opened_at_ms.min(first.at_ms);
        cells.insert(
            0,
            Cell {
                at_ms,
                key: words.clone(),
                words,
            },
        );
    }
    cells
}

fn desktop_line(chat: &ChatView, line: &Line) -> Cell {
    let words = match line.kind {
        LineKind::Joined => format!("· {} joins", line.name),
        LineKind::Left => format!("· {} leaves", line.name),
        LineKind::Ended => match chat.end_reason {
            Some(EndReason::Agent) => "· chat ended by the agent".to_owned(),
            Some(EndReason::Customer) => "· chat ended from the customer's side".to_owned(),
            Some(EndReason::Expired) => "· chat ended: the session expired".to_owned(),
            Some(EndReason::Idle) => "· chat ended: the customer was silent for too long".to_owned(),
            Some(EndReason::NoAgent) => "· chat ended: no agent".to_owned(),
            None => "· chat ended".to_owned(),
        },
        LineKind::Welcome | LineKind::Notice => line.text.clone(),
        LineKind::File => format!("· {} offers the file {}", line.name, line.text),
        LineKind::Text | LineKind::Page if line.from == Sender::Customer => {
            format!("[Customer] {}", line.displayed)
        }
        LineKind::Text | LineKind::Page => format!("[Agent] {}", line.text),
    };
    let key = match line.kind {
        LineKind::Text | LineKind::Welcome | LineKind::Notice | LineKind::Page => key(&line.text),
        LineKind::Joined | LineKind::Left | LineKind::Ended | LineKind::File => words.clone(),
    };
    Cell {
        at_ms: line.at_ms,
        key,
        words,
    }
}

fn row(out: &mut String, time: &str, left: &str, right: &str) {
    let (left, right) = (wrap(left), wrap(right));
    for n in 0..left.len().max(right.len()) {
        let time = if n == 0 { time } else { "" };
        let cell = |lines: &[String]| lines.get(n).cloned().unwrap_or_default();
        let line = format!("{time:>7} │ {:<WIDTH$}│ {}", cell(&left), cell(&right));
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

/// Cuts at spaces, and words that are longer than a line anywhere. What is cut off is indented.
fn wrap(text: &str) -> Vec<String> {
    let room = WIDTH - 1;
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let mut word: Vec<char> = word.chars().collect();
        let used = line.chars().count();
        if used > 0 && used + 1 + word.len() > room {
            lines.push(std::mem::replace(&mut line, "  ".to_owned()));
        } else if used > 0 {
            line.push(' ');
        }
        loop {
            let free = room - line.chars().count();
            let rest = word.split_off(word.len().min(free));
            line.extend(word);
            if rest.is_empty() {
                break;
            }
            lines.push(std::mem::replace(&mut line, "  ".to_owned()));
            word = rest;
        }
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_wrapped_within_the_column_and_nothing_is_lost() {
        let long = format!("a bb {} end", "x".repeat(100));
        for text in ["", "short", &"word ".repeat(40), &long] {
            let lines = wrap(text);
            assert!(lines.iter().all(|line| line.chars().count() < WIDTH), "{lines:?}");
            let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            assert_eq!(letters(&lines.concat()), letters(text));
        }
    }
}
