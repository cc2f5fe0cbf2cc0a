//! The ledger of consent as a file: CSV as RFC 4180 has it, written while it is read.

use axum::{
    body::Body,
    http::{HeaderName, header},
};
use ccm_db::{ConsentEventRow, Db, DbError};
use ccm_model::{Address, TenantId};
use futures::stream::{self, StreamExt};
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

/// Entries that are read at a time.
const PAGE: i64 = 500;

const NAMES: &str = "id,at,kind,our_address,customer_address,source,message_id,evidence\r\n";

/// A file to be kept.
pub type File = ([(HeaderName, &'static str); 2], Body);

struct Reader {
    db: Db,
    tenant: TenantId,
    customer: Option<Address>,
}

impl Reader {
    async fn page(&self, after: Option<Uuid>) -> Result<Vec<ConsentEventRow>, DbError> {
        let db = self.db.tenant(self.tenant);
        db.consent_events(self.customer.as_ref(), after, PAGE).await
    }
}

/// All entries after one, of one customer or of all. Fails before the answer has begun or not at all; if a later page cannot be
/// read, the answer breaks off, and whoever reads it sees that it is not whole.
pub async fn file(
    db: Db,
    tenant: TenantId,
    customer: Option<Address>,
    after: Option<Uuid>,
) -> Result<File, DbError> {
    let reader = Reader { db, tenant, customer };
    let first = reader.page(after).await?;
    let later = stream::try_unfold((reader, Some(first)), async |(reader, page)| {
        let Some(rows) = page else {
            return Ok(None);
        };
        let text: String = rows.iter().map(line).collect();
        let next = match rows.last() {
            Some(last) if rows.len() as i64 == PAGE => {
                Some(reader.page(Some(last.id)).await.map_err(broken)?)
            }
            _ => None,
        };
        Ok::<_, DbError>(Some((text, (reader, next))))
    });
    let whole = stream::once(async { Ok(NAMES.to_owned()) }).chain(later);
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"consent-events.csv\"",
        ),
    ];
    Ok((headers, Body::from_stream(whole)))
}

fn broken(error: DbError) -> DbError {
    tracing::warn!(%error, "an export of consent events broke off");
    error
}

fn line(row: &ConsentEventRow) -> String {
    let message = row.message.map(|id| id.to_string()).unwrap_or_default();
    let fields = [
        row.id.to_string(),
        row.at.format(&Rfc3339).unwrap_or_default(),
        row.kind.clone(),
        address(&row.our_address),
        address(&row.customer_address),
        row.source.clone(),
        message,
        harmless(row.evidence.as_deref().unwrap_or_default()),
    ];
    let fields: Vec<_> = fields.iter().map(|field| quoted(field)).collect();
    format!("{}\r\n", fields.join(","))
}

fn quoted(field: &str) -> String {
    match field.contains(['"', ',', '\r', '\n']) || field != field.trim() {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.to_owned(),
    }
}

/// A `+` and digits are a number and no formula; sender names can begin with a sign.
fn address(address: &Address) -> String {
    match address {
        Address::E164(number) => number.clone(),
        other => harmless(other.as_str()),
    }
}

/// What a spreadsheet would take for a formula gets an apostrophe in front, which it does not show.
fn harmless(text: &str) -> String {
    match text.trim_start_matches([' ', '\u{feff}']).chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠') => {
            format!("'{text}")
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_and_no_formula() {
        for (given, written) in [
            ("Stop", "Stop"),
            ("", ""),
            ("a, \"b\"\r\nc", "\"a, \"\"b\"\"\r\nc\""),
            ("=HYPERLINK(\"x\")", "\"'=HYPERLINK(\"\"x\"\")\""),
            (" =1+1", "' =1+1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("＝1", "'＝1"),
            ("stop-it", "stop-it"),
        ] {
            assert_eq!(quoted(&harmless(given)), written, "{given:?}");
        }
        assert_eq!(address(&"+353861234567".parse().unwrap()), "+353861234567");
        assert_eq!(address(&"-A1".parse().unwrap()), "'-A1");
    }
}
