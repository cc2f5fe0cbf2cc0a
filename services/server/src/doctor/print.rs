//! The examination for people, while it goes on.

use ccm_doctor::{Endpoint, Finding, Outcome, Plan, Progress, Report, Step};
use std::io::{self, IsTerminal, Write};

/// Where a step's time stands.
const COLUMN: usize = 44;

pub struct Printer {
    on: bool,
    terminal: bool,
    colours: bool,
    endpoint: Option<Endpoint>,
    urls: [Option<String>; 2],
}

impl Printer {
    /// Prints nothing unless it is `on`.
    pub fn new(on: bool, plan: &Plan) -> Self {
        let terminal = io::stdout().is_terminal();
        Self {
            on,
            terminal,
            colours: terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
            endpoint: None,
            urls: [
                Some(plan.primary.url()),
                plan.secondary.as_ref().map(|target| target.url()),
            ],
        }
    }

    pub fn progress(&mut self, progress: Progress<'_>) {
        if !self.on {
            return;
        }
        match progress {
            Progress::Began { endpoint, title, .. } => {
                self.head(endpoint);
                if self.terminal {
                    self.put(&format!("  … {title}"));
                }
            }
            Progress::Finished(step) => {
                self.head(step.endpoint);
                if self.terminal {
                    self.put("\r\x1b[2K");
                }
                self.step(step);
            }
        }
    }

    pub fn summary(&self, report: &Report) {
        let count = |outcome, word: &str| match report.count(outcome) {
            0 => None,
            n => Some(format!("{n} {word}")),
        };
        let parts = [
            count(Outcome::Failed, "failed"),
            count(Outcome::Warned, "warned of"),
            count(Outcome::Passed, "passed"),
            count(Outcome::Skipped, "skipped"),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        let took = report.duration_ms as f64 / 1000.0;
        let (mark, words) = match report.outcome {
            Outcome::Failed => (Outcome::Failed, "This link does not work as it should"),
            Outcome::Warned => (Outcome::Warned, "This link works; something should be looked at"),
            _ => (Outcome::Passed, "This link works"),
        };
        self.put(&format!(
            "\n{} {words}: {} in {took:.1} s.\n",
            self.mark(mark),
            parts.join(", ")
        ));
        if let Some(cause) = report.causes().first() {
            self.put(&format!("  Look at this first: {}\n", cause.code()));
        }
    }

    /// Which address comes now.
    fn head(&mut self, endpoint: Endpoint) {
        if self.endpoint == Some(endpoint) {
            return;
        }
        let first = self.endpoint.replace(endpoint).is_none();
        let (word, url) = match endpoint {
            Endpoint::Primary => ("primary", &self.urls[0]),
            Endpoint::Secondary => ("secondary", &self.urls[1]),
        };
        // The advice at the end belongs to the link as a whole.
        match (first, endpoint) {
            (false, Endpoint::Primary) => self.put("\nBoth addresses\n"),
            _ => self.put(&format!(
                "{}{} ({word})\n",
                if first { "" } else { "\n" },
                url.as_deref().unwrap_or_default()
            )),
        }
    }

    fn step(&self, step: &Step) {
        let mark = self.mark(step.outcome);
        if let Some(because) = &step.because {
            return self.put(&format!("  {mark} {} – skipped: {because}\n", step.title));
        }
        let dots = COLUMN.saturating_sub(step.title.chars().count());
        let time = match step.outcome {
            Outcome::Advice => String::new(),
            _ => format!("{:dots$} {:>7} ms", "", step.duration_ms),
        };
        self.put(&format!("  {mark} {}{time}\n", step.title));
        for fact in &step.evidence {
            self.put(&format!("      {}: {}\n", fact.name, fact.value));
        }
        if let Some(finding) = &step.finding {
            self.finding(step.outcome, finding);
        }
    }

    fn finding(&self, outcome: Outcome, finding: &Finding) {
        let code = self.coloured(outcome, finding.cause.code());
        self.put(&format!("      {code} – {}\n", finding.place.name()));
        self.put(&format!("        {}\n", finding.explanation));
        self.put(&format!("        Do this: {}\n", finding.remedy));
    }

    fn mark(&self, outcome: Outcome) -> String {
        let mark = match outcome {
            Outcome::Passed => "✓",
            Outcome::Advice => "i",
            Outcome::Warned => "!",
            Outcome::Failed => "✗",
            Outcome::Skipped => "–",
        };
        self.coloured(outcome, mark)
    }

    fn coloured(&self, outcome: Outcome, text: &str) -> String {
        let colour = match outcome {
            Outcome::Passed => "32",
            Outcome::Advice | Outcome::Skipped => "36",
            Outcome::Warned => "33",
            Outcome::Failed => "31",
        };
        match self.colours {
            true => format!("\x1b[{colour}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }

    /// A closed pipe is no reason to end an examination.
    fn put(&self, text: &str) {
        let mut out = io::stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}
