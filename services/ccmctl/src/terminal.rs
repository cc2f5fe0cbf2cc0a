//! What is known of the terminal, if it is one.

use std::io::{self, IsTerminal, Write};

/// How wide a line of standard output may be. `None`: as long as it likes.
pub fn width() -> Option<usize> {
    let said = std::env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse().ok());
    let asked = || {
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
        Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
    };
    match io::stdout().is_terminal() {
        true => said.or_else(asked),
        false => None,
    }
}

/// Whether what goes to standard output may have colours.
pub fn is_colourful() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    io::stdout().is_terminal()
        && !is_set("NO_COLOR")
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// What goes on meanwhile, on one line of standard error that is written over. Nothing where nobody looks.
pub struct Progress(bool);

impl Progress {
    pub fn new() -> Self {
        Self(io::stderr().is_terminal())
    }

    pub fn say(&self, what: &str) {
        if self.0 {
            let _ = write!(io::stderr(), "\r\u{1b}[K{what}");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.say("");
    }
}

/// Asks a person. `None`: there is none.
pub fn ask(question: &str) -> Option<bool> {
    if !io::stdin().is_terminal() {
        return None;
    }
    let _ = write!(io::stderr(), "{question} [y/N] ");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).ok()?;
    Some(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
