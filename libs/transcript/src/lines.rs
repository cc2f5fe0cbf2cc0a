//! Where a text's lines end.

use std::fmt::Write;

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
            '\u{202a}'..='\u{202e}' => {
                let _ = write!(out, "‹U+{:04X}›", u32::from(letter));
            }
            _ if letter.is_control() || ends_line(letter) => {
                let _ = write!(out, "‹U+{:04X}›", u32::from(letter));
            }
            _ => out.push(letter),
        }
    }
    out
}
