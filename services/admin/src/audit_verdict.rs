//! Whether a chain of the audit is whole, and how far the chains have come.

use crate::{Deps, answer::Failure, audit::BATCH};
use ccm_db::{AccessDb, AuditHead, AuditRow, DbError};
use ccm_model::TenantId;
use ccm_runtime::Lifecycle;
use ccm_web::Problem;
use serde::{Deserialize, Serialize};
use std::{fmt::Write, time::Duration};
use tokio::time::{MissedTickBehavior, interval};
use utoipa::{IntoParams, ToSchema};

/// Whether a chain is whole.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditVerdict {
    /// How many entries were looked at.
    entries: u64,
    /// Whether each entry's hash fits it and the one before, each is found by what it says, and none is missing: neither in between nor
    /// at the end.
    intact: bool,
    /// The first entry that does not fit or is not there; `null`: none.
    #[schema(required)]
    broken_at: Option<i64>,
    /// What is wrong with it.
    #[schema(required)]
    because: Option<AuditFault>,
    /// The last entry that fits; 0: none.
    #[schema(example = 41)]
    seq: i64,
    /// Its hash, hex. Kept elsewhere together with `seq`, it proves later that nothing up to there was changed or cut off.
    #[schema(example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    head: String,
}

/// What is wrong with an entry. `changed`: its hash does not fit. `columns`: it is not found by what it says (another actor, kind, thing
/// or time stands beside it). `missing`: it is not there, though later ones are. `cut_off`: it is not there, and the chain has been longer.
/// `not_as_known`: it has another hash than the one that was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuditFault {
    Changed,
    Columns,
    Missing,
    CutOff,
    NotAsKnown,
}

/// A head that was kept elsewhere.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct VerifyQuery {
    /// With `hash`: an entry that there was, as an earlier check, export or line of the log had it. The chain is broken if it is
    /// not there any more, or is another one.
    #[param(minimum = 0)]
    seq: Option<i64>,
    /// That entry's hash, hex.
    #[param(min_length = 64, max_length = 64, pattern = "^[0-9a-fA-F]{64}$")]
    hash: Option<String>,
}

impl VerifyQuery {
    fn known(&self) -> Result<Option<AuditHead>, Problem> {
        let wrong = |field: &'static str, what: &str| {
            let remedy = "give seq and hash as an earlier check or an export had them, or neither";
            Err(Problem::invalid_field(field, what).remedy(remedy))
        };
        match (self.seq, self.hash.as_deref()) {
            (None, None) => Ok(None),
            (None, Some(_)) => wrong("seq", "is missing: hash is the hash of an entry"),
            (Some(_), None) => wrong("hash", "is missing: seq alone proves nothing"),
            (Some(..0), _) => wrong("seq", "is less than 0"),
            (Some(seq), Some(hash)) => match unhex(hash) {
                Some(hash) => Ok(Some(AuditHead { seq, hash })),
                None => wrong("hash", "is no hash of 64 hexadecimal digits"),
            },
        }
    }
}

/// Goes through a chain. `was_used`: something has been audited, so that there must be entries.
pub(crate) async fn verify(
    db: AccessDb<'_>,
    query: &VerifyQuery,
    was_used: bool,
) -> Result<AuditVerdict, Failure> {
    // Read first: what is written meanwhile comes after it.
    let mark = db.audit_head().await?;
    let mut check = Check::new(query.known()?.into_iter().chain(mark), was_used);
    loop {
        let rows = db.audit_chain(check.last.seq, BATCH).await?;
        if rows.is_empty() {
            return Ok(check.ended());
        }
        for row in &rows {
            if let Err(verdict) = check.next(row) {
                return Ok(verdict);
            }
        }
    }
}

/// A chain, entry by entry.
struct Check {
    last: AuditHead,
    entries: u64,
    /// Entries that there were.
    known: Vec<AuditHead>,
    was_used: bool,
}

impl Check {
    fn new(known: impl IntoIterator<Item = AuditHead>, was_used: bool) -> Self {
        Self {
            last: AuditHead::BEGINS,
            entries: 0,
            known: known.into_iter().collect(),
            was_used,
        }
    }

    fn next(&mut self, row: &AuditRow) -> Result<(), AuditVerdict> {
        let (now, due) = (row.head(), self.last.seq + 1);
        if now.seq != due {
            return Err(self.broken(due, AuditFault::Missing));
        }
        self.entries += 1;
        if row.expected_hash(&self.last.hash) != now.hash {
            return Err(self.broken(due, AuditFault::Changed));
        }
        if !row.is_found_by_its_record() {
            return Err(self.broken(due, AuditFault::Columns));
        }
        if self
            .known
            .iter()
            .any(|known| known.seq == now.seq && *known != now)
        {
            return Err(self.broken(due, AuditFault::NotAsKnown));
        }
        self.last = now;
        Ok(())
    }

    fn ended(&self) -> AuditVerdict {
        let last = self.last.seq;
        let cut_off = self.known.iter().any(|known| known.seq > last) || (self.was_used && last == 0);
        if cut_off {
            return self.broken(last + 1, AuditFault::CutOff);
        }
        let other_beginning = |known: &AuditHead| known.seq == 0 && *known != AuditHead::BEGINS;
        if self.known.iter().any(other_beginning) {
            return self.broken(0, AuditFault::NotAsKnown);
        }
        self.verdict(None)
    }

    fn broken(&self, at: i64, fault: AuditFault) -> AuditVerdict {
        self.verdict(Some((at, fault)))
    }

    fn verdict(&self, broken: Option<(i64, AuditFault)>) -> AuditVerdict {
        AuditVerdict {
            entries: self.entries,
            intact: broken.is_none(),
            broken_at: broken.map(|(at, _)| at),
            because: broken.map(|(_, fault)| fault),
            seq: self.last.seq,
            head: hex(&self.last.hash),
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let byte = |pair: &[u8; 2]| {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()
    };
    let bytes: Vec<u8> = pairs.iter().map(byte).collect::<Option<_>>()?;
    bytes.try_into().ok()
}

const AFTER_FAILURE: Duration = Duration::from_mins(5);
/// A day, and the time that a look may take.
const SINCE: time::Duration = time::Duration::hours(25);
/// Of a process that starts: for so long there may have been none.
const SINCE_AT_START: time::Duration = time::Duration::days(7);

/// Says in the log once a day how far the chains have come that have moved: there, whoever can rewrite the database cannot reach them.
pub(crate) async fn tell_heads(deps: Deps, life: Lifecycle) {
    let mut ticks = interval(Duration::from_hours(24));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let work = async {
        let mut since = SINCE_AT_START;
        loop {
            ticks.tick().await;
            match tell(&deps, since).await {
                Ok(()) => since = SINCE,
                Err(error) => {
                    ticks.reset_after(AFTER_FAILURE);
                    tracing::warn!(%error, "how far the audit has come could not be read; it is tried again");
                }
            }
        }
    };
    tokio::select! {
        () = work => {}
        () = life.draining() => {}
    }
}

async fn tell(deps: &Deps, since: time::Duration) -> Result<(), DbError> {
    let (operator, since) = (deps.db.operator(), deps.ids.clock().now() - since);
    let mut after = None::<TenantId>;
    loop {
        let heads = operator.audit_heads(since, after, BATCH).await?;
        let Some((last, _)) = heads.last() else {
            return Ok(());
        };
        after = Some(*last);
        for (tenant, head) in heads {
            tracing::info!(
                tenant.id = %tenant, audit.seq = head.seq, audit.head = hex(&head.hash), "how far the audit has come"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_read_as_it_is_written() {
        let hash = std::array::from_fn(|n| n as u8 * 8 + 7);
        assert_eq!(unhex(&hex(&hash)), Some(hash));
        assert_eq!(unhex(&hex(&hash).to_uppercase()), Some(hash));
        for wrong in [
            "",
            "0",
            &"0".repeat(62),
            &"0".repeat(66),
            &"g".repeat(64),
            &"ä".repeat(32),
        ] {
            assert_eq!(unhex(wrong), None, "{wrong}");
        }
    }
}
