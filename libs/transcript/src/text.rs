use crate::{
    Reader, Transcript,
    lines::{lines, visible},
};
use std::fmt::Write;

/// The transcript as plain text, with lines of LF. Lines of a text after its first are set in, so that none of them can be taken for
/// another text.
pub fn text(of: &Transcript, reader: &Reader) -> String {
    let mut out = String::new();
    let title = format!("{}: {}", reader.language.words().title, of.tenant);
    let _ = writeln!(out, "{}", visible(&title));
    for (name, value) in of.head(reader) {
        let _ = writeln!(out, "{name}: {}", visible(&value));
    }
    for entry in &of.entries {
        let who = visible(&entry.who(reader));
        let _ = write!(out, "\n{} {who}:\n", reader.zone.moment(entry.at));
        for line in lines(entry.what(reader)) {
            let _ = writeln!(out, "    {}", visible(line));
        }
    }
    if let Some(foot) = of.foot(reader) {
        let _ = write!(out, "\n{foot}\n");
    }
    out
}
