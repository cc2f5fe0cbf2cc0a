//! Everything that is known of a person.

use super::{holds::number, slots::busy};
use crate::{
    Deps,
    answer::{Always, Failure, InTenant, Taking},
    path::TenantPath,
    valid,
};
use axum::{
    body::{Body, Bytes},
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use ccm_db::{Db, DbError, ExportedRow, NewExport};
use ccm_model::{Address, ConversationId, TenantId};
use ccm_web::{Json, TenantScope, may};
use futures::stream;
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;
use utoipa::ToSchema;

/// Whose data.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"number": "+353861234567", "reason": "asked for it, ticket 4713"}))]
pub struct PersonExportRequest {
    /// The customer's number.
    #[schema(example = "+353861234567")]
    number: String,
    /// On one line; the audit keeps it for ever: no numbers and no names of customers.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

/// How far it is.
enum At {
    Number,
    After(Option<ConversationId>),
    End,
}

/// What is being sent.
struct Export {
    db: Db,
    tenant: TenantId,
    customer: Address,
    at: At,
    _slot: OwnedSemaphorePermit,
}

#[derive(Serialize)]
struct Line<'a> {
    table: &'a str,
    row: &'a serde_json::Value,
}

fn lines(rows: &[ExportedRow]) -> Bytes {
    let mut out = Vec::new();
    for ExportedRow { table, row } in rows {
        let _ = serde_json::to_writer(&mut out, &Line { table, row });
        out.push(b'\n');
    }
    out.into()
}

impl Export {
    /// The next part. An error breaks the answer off: whoever reads it sees that it is not whole.
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, DbError> {
        let db = self.db.tenant(self.tenant);
        let rows = match self.at {
            At::Number => {
                self.at = At::After(None);
                db.export_by_number(&self.customer).await?
            }
            At::After(after) => match db.export_conversations(&self.customer, after).await? {
                Some((last, rows)) => {
                    self.at = At::After(Some(last));
                    rows
                }
                None => {
                    self.at = At::End;
                    return Ok(Some((Bytes::from_static(b"{\"end\": true}\n"), self)));
                }
            },
            At::End => return Ok(None),
        };
        Ok(Some((lines(&rows), self)))
    }
}

/// Export what is known of a person
///
/// One JSON object a line, `table` and `row`, of every row that names the number or one of its conversations, without what is sealed; the last line
/// is `{"end": true}`. The audit tells that it was done. For the roles platform-admin and engineer; tenant-admin and tenant-viewer in their own
/// tenant.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/person-exports", tag = "message-store",
    params(TenantPath), request_body = PersonExportRequest,
    responses((status = 200, description = "All of it.", body = String, content_type = "application/x-ndjson"),
        Always, InTenant, Taking))]
pub async fn export_person(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadTexts>,
    Json(new): Json<PersonExportRequest>,
) -> Result<Response, Failure> {
    let customer = number("number", &new.number)?;
    valid::reason_about("reason", &new.reason, 500, &customer)?;
    let Some(slot) = deps.store.take() else {
        return Ok(busy());
    };
    let (id, by) = (deps.ids.next(), &scope.bearer.sub);
    let export = NewExport {
        id,
        customer: &customer,
        reason: &new.reason,
        by,
        at: deps.ids.clock().now(),
    };
    deps.tenant(&scope).await?.begin_export(export).await?;
    deps.made(scope.tenant, "person export", id, by);
    let export = Export {
        db: deps.db.clone(),
        tenant: scope.tenant,
        customer,
        at: At::Number,
        _slot: slot,
    };
    let body = Body::from_stream(stream::try_unfold(export, Export::next));
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}
