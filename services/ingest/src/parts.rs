//! Long texts whose parts do not all come: after the tenant's wait they are taken as they are.

use ccm_bus::{Bus, Wake};
use ccm_db::{Accepted, Db, DbError, DueParts, IncomingText, StoredPart, TenantDb, TextKind};
use ccm_model::IdSource;
use ccm_runtime::Lifecycle;
use ccm_sms_text::{
    keyword::{Keyword, Keywords},
    parts::{MARK, Parts, Piece},
};
use std::time::Duration;
use tokio::time::sleep;

const EVERY: Duration = Duration::from_secs(1);
const AT_ONCE: i64 = 100;

/// Takes what is due until the process drains. Any number of pods may run it: each text is taken by one.
pub(crate) async fn run(db: Db, bus: Bus, ids: IdSource, life: Lifecycle) {
    let mut told = false;
    while !life.is_draining() {
        match flush(&db, &bus, &ids).await {
            Ok(()) => told = false,
            Err(error) if !std::mem::replace(&mut told, true) => {
                tracing::error!(%error, "texts with missing parts cannot be taken; they wait");
            }
            Err(_) => {}
        }
        tokio::select! {
            () = sleep(EVERY) => {}
            () = life.draining() => {}
        }
    }
}

async fn flush(db: &Db, bus: &Bus, ids: &IdSource) -> Result<(), DbError> {
    for tenant in db.operator().tenants_with_due_parts(AT_ONCE).await? {
        flush_of(&db.tenant(tenant), bus, ids).await?;
    }
    Ok(())
}

async fn flush_of(db: &TenantDb<'_>, bus: &Bus, ids: &IdSource) -> Result<(), DbError> {
    for due in db.due_parts(AT_ONCE).await? {
        let taken = take(db, ids, &due).await?;
        if let Some(Accepted::New {
            tenant, conversation, ..
        }) = taken
        {
            metrics::counter!("ccm_ingest_incomplete_total").increment(1);
            tracing::warn!(tenant.id = %tenant, conversation.id = %conversation, "parts of a long text did not come: it is taken without them");
            bus.publish(Wake::Inbound { tenant, conversation });
        }
    }
    Ok(())
}

async fn take(db: &TenantDb<'_>, ids: &IdSource, due: &DueParts) -> Result<Option<Accepted>, DbError> {
    let now = ids.clock().now();
    db.take_incomplete(
        due,
        |route, to, from, body| IncomingText {
            message: ids.next(),
            conversation: ids.next(),
            route,
            provider_id: String::new(),
            repeat_window: None,
            kind: TextKind::Text,
            refused: None,
            segments: None,
            to,
            from,
            body,
            received_at: now,
            written_at: None,
            trace: None,
        },
        assemble,
    )
    .await
}

fn assemble(total: u8, stored: &[StoredPart]) -> String {
    let Some(mut parts) = Parts::new(total) else {
        return stored.iter().map(|p| p.body.as_str()).collect();
    };
    for part in stored {
        // They came through the same checks when they were stored.
        let _ = parts.add(part.part, Piece::Text(part.body.as_str().to_owned()));
    }
    parts.incomplete(MARK)
}

/// What a whole text is, which its parts did not show.
pub(crate) fn kind(text: &str, keywords: &Keywords) -> TextKind {
    match keywords.read(text) {
        None => TextKind::Text,
        Some(Keyword::Stop) => TextKind::Stop,
        Some(Keyword::Start) => TextKind::Start,
        Some(Keyword::Help) => TextKind::Help,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ccm_model::Body;

    #[test]
    fn what_is_missing_is_marked() {
        let part = |part, body: &str| StoredPart {
            part,
            body: Body::new(body).unwrap(),
        };
        assert_eq!(
            assemble(3, &[part(1, "one "), part(3, " three")]),
            "one [… 2/3 …] three"
        );
    }
}
