use crate::output::printable;
use serde::Deserialize;
use std::{fmt, process::ExitCode};

/// Why a command is not done. Shown to people.
#[derive(Debug)]
pub enum Failure {
    /// The command line, or a file that it names.
    Usage { what: String, remedy: &'static str },
    /// The API understood it and does not do it.
    Refused(Box<Problem>),
    /// The API cannot be reached, is too busy, or broke off: the same may go well later.
    TryAgain {
        what: String,
        problem: Option<Box<Problem>>,
    },
    /// Some of several things were not done; which ones has been printed.
    Partly { failed: usize },
}

/// What the API says is wrong (RFC 9457).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Problem {
    title: String,
    detail: Option<String>,
    field: Option<String>,
    remedy: Option<String>,
    request_id: Option<String>,
}

impl Problem {
    /// One that the API did not have to tell.
    pub fn of(title: impl Into<String>, remedy: impl Into<String>) -> Box<Self> {
        Box::new(Self {
            title: title.into(),
            remedy: Some(remedy.into()),
            ..Self::default()
        })
    }

    /// An answer that is no problem of ours: something else answers there.
    pub fn foreign(status: u16) -> Box<Self> {
        Self::of(
            format!("The answer was {status}, and not of the admin API"),
            "see whether --url (or CCM_URL) is where `ccm admin` listens",
        )
    }
}

impl Failure {
    pub fn usage(what: impl Into<String>, remedy: &'static str) -> Self {
        Self::Usage {
            what: what.into(),
            remedy,
        }
    }

    pub fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Refused(_) => 1,
            Self::Usage { .. } => 2,
            Self::TryAgain { .. } => 3,
            Self::Partly { .. } => 4,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage { what, remedy } => write!(f, "ccmctl: {what}\n  do: {remedy}"),
            Self::Refused(problem) => write!(f, "ccmctl: {problem}"),
            Self::TryAgain {
                what,
                problem: Some(problem),
            } => write!(f, "ccmctl: {what}: {problem}"),
            Self::TryAgain { what, problem: None } => {
                write!(f, "ccmctl: {what}\n  do: try again in a few seconds")
            }
            Self::Partly { failed } => write!(f, "ccmctl: {failed} not done, see above"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.title))?;
        if let Some(detail) = &self.detail {
            write!(f, ": {}", printable(detail))?;
        }
        for (name, value) in [
            ("field", &self.field),
            ("do", &self.remedy),
            ("request", &self.request_id),
        ] {
            if let Some(value) = value {
                write!(f, "\n  {name}: {}", printable(value))?;
            }
        }
        Ok(())
    }
}
