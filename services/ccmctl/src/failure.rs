use crate::output::printable;
use serde::Deserialize;
use std::{fmt, process::ExitCode, time::Duration};

/// Why a command is not done. Shown to people.
#[derive(Debug)]
pub enum Failure {
    /// The command line, or a file that it names.
    Usage { what: String, remedy: String },
    /// The API understood it and does not do it.
    Refused(Box<Problem>),
    /// The API cannot be reached, is too busy, or broke off: the same may go well later.
    TryAgain {
        what: String,
        problem: Option<Box<Problem>>,
        /// The API has not done it, and says when it may be asked again.
        after: Option<Duration>,
    },
    /// Some of several things were not done; which ones has been printed.
    Partly { failed: usize },
    /// What was looked at is not as it should be; how it is has been printed.
    NotAsItShouldBe(&'static str),
}

/// What the API says is wrong (RFC 9457).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Problem {
    status: u16,
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

    /// Something that was named, and is not there.
    pub fn not_found(title: impl Into<String>, remedy: impl Into<String>) -> Box<Self> {
        Box::new(Self {
            status: 404,
            ..*Self::of(title, remedy)
        })
    }

    /// Something that is not any more what it was when somebody decided on it.
    pub fn changed(title: impl Into<String>) -> Box<Self> {
        Box::new(Self {
            status: 412,
            ..*Self::of(title, "run it again: it looks at what is there now")
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
    pub fn usage(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Usage {
            what: what.into(),
            remedy: remedy.into(),
        }
    }

    /// Whether the token's role is not enough.
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Refused(problem) if problem.status == 403)
    }

    /// Whether there is no such thing.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused(problem) if problem.status == 404)
    }

    pub fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Refused(problem) => match problem.status {
                401 | 403 => 5,
                404 => 6,
                409 | 412 => 7,
                400 | 413 | 415 | 422 => 8,
                _ => 1,
            },
            Self::Usage { .. } => 2,
            Self::TryAgain { .. } => 3,
            Self::Partly { .. } => 4,
            Self::NotAsItShouldBe(_) => 9,
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
                ..
            } => write!(f, "ccmctl: {what}: {problem}"),
            Self::TryAgain {
                what, problem: None, ..
            } => {
                write!(f, "ccmctl: {what}\n  do: try again in a few seconds")
            }
            Self::Partly { failed } => write!(f, "ccmctl: {failed} not done, see above"),
            Self::NotAsItShouldBe(what) => write!(f, "ccmctl: {what}, see above"),
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
