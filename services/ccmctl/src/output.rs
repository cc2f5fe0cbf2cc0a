use crate::{api::Stream, failure::Failure};
use serde_json::{Value, json};
use std::{
    fs::File,
    io::{self, ErrorKind, Write},
    path::PathBuf,
};

/// What a command has to say.
pub struct Said {
    /// As the API says it.
    pub json: Value,
    /// For people.
    pub text: String,
    /// Why it is not all that was asked for: how far it came is said first.
    pub failure: Option<Failure>,
}

impl Said {
    pub fn new(json: Value, text: String) -> Self {
        Self {
            json,
            text,
            failure: None,
        }
    }

    /// So many of several things were not done.
    pub fn partly(mut self, failed: usize) -> Self {
        self.failure = (failed > 0).then_some(Failure::Partly { failed });
        self
    }

    /// What was looked at is not: `what` is wrong with it.
    pub fn not_as_it_should_be(mut self, what: &'static str) -> Self {
        self.failure = Some(Failure::NotAsItShouldBe(what));
        self
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
        match self.failure {
            None => Ok(()),
            Some(failure) => Err(failure),
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

/// An answer that goes as it is to a new file, or to standard output.
pub async fn saved(mut pieces: Stream, output: Option<PathBuf>) -> Result<Said, Failure> {
    let mut to: Box<dyn Write> = match &output {
        Some(file) => Box::new(File::create_new(file).map_err(|e| {
            Failure::usage(
                format!("{} cannot be made: {e}", file.display()),
                "name a file that is not there yet",
            )
        })?),
        None => Box::new(io::stdout()),
    };
    let mut bytes = 0;
    while let Some(piece) = pieces.next().await? {
        bytes += piece.as_ref().len();
        written(to.write_all(piece.as_ref()))?;
    }
    written(to.flush())?;
    Ok(match output {
        Some(file) => Said::new(
            json!({"file": file, "bytes": bytes}),
            format!("{bytes} bytes in {}\n", file.display()),
        ),
        None => Said::nothing(),
    })
}

/// A table with a line of names first.
pub fn table<R: AsRef<[String]>>(names: &[&str], rows: &[R]) -> String {
    let shown = |row: &R| row.as_ref().iter().map(|cell| printable(cell)).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(shown).collect();
    let widths: Vec<usize> = (0..names.len()).map(|n| width(names[n], &rows, n)).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded = cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line = padded.collect::<Vec<_>>().join("  ");
        format!("{}\n", line.trim_end())
    };
    let mut text = line(&mut names.iter().copied());
    for row in &rows {
        text += &line(&mut row.iter().map(String::as_str));
    }
    text
}

fn width(name: &str, rows: &[Vec<String>], n: usize) -> usize {
    let cells = rows.iter().map(|row| row[n].chars().count());
    cells.chain([name.chars().count()]).max().unwrap_or_default()
}

/// Leaves columns away from the right until a table is as wide as it may be. The first two stay.
pub fn fitted(names: &mut Vec<String>, rows: &mut [Vec<String>], most: Option<usize>) {
    let Some(most) = most else { return };
    let widths: Vec<usize> = names
        .iter()
        .enumerate()
        .map(|(n, name)| width(name, rows, n) + 2)
        .collect();
    let mut sum = 0;
    let fits = widths.iter().take_while(|width| {
        sum += **width;
        sum <= most + 2
    });
    let keep = fits.count().max(2);
    names.truncate(keep);
    for row in rows {
        row.truncate(keep);
    }
}

/// Names and values, one a line.
pub fn list<N: AsRef<str>>(pairs: &[(N, String)]) -> String {
    let width = pairs
        .iter()
        .map(|(name, _)| name.as_ref().len())
        .max()
        .unwrap_or_default();
    let line = |(name, value): &(N, String)| format!("{:<width$}  {}\n", name.as_ref(), printable(value));
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
        assert_eq!(
            table(&["ID", "TEXT"], &rows),
            "ID     TEXT\n1      Grüße\n12345\n"
        );
    }

    #[test]
    fn a_table_is_as_wide_as_the_terminal() {
        let fit = |most: Option<usize>| {
            let mut names = ["ID", "NAME", "STATE"].map(str::to_owned).to_vec();
            let mut rows = vec![["1234", "AACC", "up"].map(str::to_owned).to_vec()];
            fitted(&mut names, &mut rows, most);
            assert_eq!(names.len(), rows[0].len());
            names.len()
        };
        // 4 + 2 + 4 + 2 + 5
        assert_eq!(
            (fit(None), fit(Some(17)), fit(Some(16)), fit(Some(3))),
            (3, 3, 2, 2)
        );
    }

    #[test]
    fn a_text_tells_the_terminal_nothing() {
        assert_eq!(printable("a\u{1b}[2Jb\nc\u{202e}"), "a\\u{1b}[2Jb⏎c\\u{202e}");
    }
}
