/// Why the database did not do it, classified for the caller.
///
/// Neither form shows what is in a row. Postgres would quote it in the detail of some errors, but not of a table under
/// row-level security; and a value that it quotes in the message itself (class 22) is left out here.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// Postgres is away, overloaded or gave up on a lock. The same call may succeed later.
    #[error("the database is unavailable: {0}")]
    Unavailable(#[source] sqlx::Error),
    /// A uniqueness or reference rule refused the row; the constraint's name tells which.
    #[error("refused by {constraint}")]
    Conflict {
        /// The constraint's name in Postgres.
        constraint: String,
        /// Whether something that the row refers to does not exist (else: something exists already).
        missing: bool,
    },
    /// A value that the schema does not take.
    #[error("not a valid value: {constraint}")]
    Invalid {
        /// The CHECK constraint's name in Postgres, or the SQLSTATE where no column would take it (22021: a NUL).
        constraint: String,
    },
    /// No such row for this tenant.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// What the caller had looked at was changed by somebody else at this moment: look again.
    #[error("the {0} was changed by somebody else at this moment")]
    Contended(&'static str),
    /// The lease was lost: another pod owns the tenant now, and nothing was written.
    #[error("the lease on the tenant was lost")]
    Fenced,
    /// A sealed value could not be opened.
    #[error(transparent)]
    Seal(#[from] crate::SealError),
    /// A row that this version cannot read.
    #[error("unreadable row: {0}")]
    Corrupt(String),
    /// Anything else: a bug here, or a schema of another version.
    #[error("database error: {0}")]
    Other(#[source] sqlx::Error),
}

impl DbError {
    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// 57P01..03: shutting down, crashed, starting; 25P03, 57P05: a session that was idle too long; 55P03: lock_timeout;
/// 57014: statement_timeout; 40001, 40P01: serialisation, deadlock; 25006: a replica, not the primary any more or not
/// yet; 53xxx: out of something; 08xxx: connection.
fn is_transient_code(code: &str) -> bool {
    matches!(
        code,
        "57P01" | "57P02" | "57P03" | "57P05" | "55P03" | "40001" | "40P01" | "57014" | "25P03" | "25006"
    ) || code.starts_with("08")
        || code.starts_with("53")
}

pub(crate) fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(d) => d.code().is_some_and(|c| is_transient_code(&c)),
        _ => false,
    }
}

impl From<sqlx::Error> for DbError {
    fn from(e: sqlx::Error) -> Self {
        use sqlx::error::ErrorKind;
        if is_transient(&e) {
            return Self::Unavailable(e);
        }
        let Some(d) = e.as_database_error() else {
            return Self::Other(e);
        };
        let constraint = d.constraint().unwrap_or_default().to_owned();
        let code = d.code().unwrap_or_default();
        match d.kind() {
            ErrorKind::UniqueViolation => Self::Conflict {
                constraint,
                missing: false,
            },
            ErrorKind::ForeignKeyViolation => Self::Conflict {
                constraint,
                missing: true,
            },
            // A partition's bounds: its month was made after the text had been sent to the default partition.
            ErrorKind::CheckViolation if constraint.is_empty() => Self::Unavailable(e),
            ErrorKind::CheckViolation => Self::Invalid { constraint },
            _ if code.starts_with("22") => Self::Invalid {
                constraint: code.into_owned(),
            },
            _ => Self::Other(e),
        }
    }
}

impl From<ccm_model::UnknownState> for DbError {
    fn from(e: ccm_model::UnknownState) -> Self {
        Self::Corrupt(e.to_string())
    }
}

impl From<ccm_model::AddressError> for DbError {
    fn from(e: ccm_model::AddressError) -> Self {
        Self::Corrupt(format!("address {e}"))
    }
}

impl From<ccm_model::BodyError> for DbError {
    fn from(e: ccm_model::BodyError) -> Self {
        Self::Corrupt(format!("body {e}"))
    }
}
