use crate::failure::Failure;
use serde_json::Value;
use std::io::{self, ErrorKind, Write};

/// What a command has to say.
pub struct Said {
    /// As the API says it.
    pub json: Value,
    /// For people.
    pub text: String,
    /// So many of several things were not done.
    pub failed: usize,
}

impl Said {
    pub fn new(json: Value, text: String) -> Self {
        Self {
            json,
            text,
            failed: 0,
        }
    }

    /// All is said already.
    pub fn nothing() -> Self {
        Self::new(Value::Null, String::new())
    }

    pub fn print(self, json: bool) -> Result<(), Failure> {
        let text = match json {
            _ if self.json.is_null() => self.text,
            true => format!("{:#}\n", self.json),
            false => self.text,
        };
        written(io::stdout().write_all(text.as_bytes()))?;
        match self.failed {
            0 => Ok(()),
            failed => Err(Failure::Partly { failed }),
        }
    }
}

/// Whoever reads may have had enough (`| head`).
pub fn written(done: io::Result<()>) -> Result<(), Failure> {
    match done {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::usage(
            format!("the output cannot be written: {error}"),
            "make room, or write it somewhere else",
        )),
        _ => Ok(()),
    }
}

/// A table with a line of names first.
pub fn table<const N: usize>(names: [&str; N], rows: &[[String; N]]) -> String {
    let rows: Vec<[String; N]> = rows
        .iter()
        .map(|row| row.each_ref().map(|cell| printable(cell)))
        .collect();
    let width = |n: usize| {
        let cells = rows.iter().map(|row| row[n].chars().count());
        cells.chain([names[n].len()]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |cells: &[&str]| {
        let padded = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        let line = padded.collect::<Vec<_>>().join("  ");
        format!("{}\n", line.trim_end())
    };
    let mut text = line(&names);
    for row in &rows {
        text += &line(&row.each_ref().map(String::as_str));
    }
    text
}

/// Names and values, one a line.
pub fn list(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let line = |(name, value): &(&str, String)| format!("{name:<width$}  {}\n", printable(value));
    pairs.iter().map(line).collect()
}

/// A member as people read it.
pub fn cell(of: &Value, member: &str) -> String {
    match &of[member] {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Customers write what they like, and a terminal does what it is told: control characters and those that turn the direction of
/// writing are shown, not sent.
pub fn printable(text: &str) -> String {
    let turns =
        |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => shown.push('⏎'),
            c if c.is_control() || turns(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [
            ["1".to_owned(), "Grüße".to_owned()],
            ["12345".to_owned(), String::new()],
        ];
        assert_eq!(table(["ID", "TEXT"], &rows), "ID     TEXT\n1      Grüße\n12345\n");
    }

    #[test]
    fn a_text_tells_the_terminal_nothing() {
        assert_eq!(printable("a\u{1b}[2Jb\nc\u{202e}"), "a\\u{1b}[2Jb⏎c\\u{202e}");
    }
}
