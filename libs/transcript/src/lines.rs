//! Where a text's lines end, and what of them is not shown as it is.

use std::fmt::{self, Write};

/// The lines of a text, whichever of Unicode's line ends (UAX #14: LF, CR, CR LF, VT, FF, NEL, LS, PS) its writer chose.
pub fn lines(text: &str) -> impl Iterator<Item = &str> {
    let text = text.strip_suffix(ends_line).unwrap_or(text);
    let mut before = '\n';
    text.split(move |letter| {
        let ends = ends_line(letter) && !(before == '\r' && letter == '\n');
        before = letter;
        ends
    })
    // What is left of CR LF.
    .map(|line| line.strip_prefix('\n').unwrap_or(line))
}

fn ends_line(letter: char) -> bool {
    matches!(letter, '\n'..='\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// The line without anything that moves a terminal's cursor or turns letters around: such characters stand as their code points.
pub fn visible(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    for letter in line.chars() {
        match letter {
            '\t' => out.push(letter),
            _ if letter.is_control() || ends_line(letter) || turns_around(letter) => {
                let _ = write!(out, "{}", CodePoint(letter));
            }
            _ => out.push(letter),
        }
    }
    out
}

/// Embeddings and overrides of direction: what follows stands in another order than it was written in.
pub fn turns_around(letter: char) -> bool {
    matches!(letter, '\u{202a}'..='\u{202e}')
}

/// A character that is not shown, as it is looked up: `‹U+1F600›`.
pub struct CodePoint(pub char);

impl fmt::Display for CodePoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "‹U+{:04X}›", u32::from(self.0))
    }
}
