//! `POST` or `GET /v1/sms/{kind}/{account_id}`: a provider says that a customer has texted.
//!
//! 2xx, in the provider's dialect, only after the text is committed; the same text again is a 2xx again. 403 for what is not
//! signed with the account's secret, 404 for an address without an account, 422 for what is signed and cannot be read, 503 with `Retry-After` for what cannot be stored at the moment.
//!
//! What a provider signs includes the address it was told: `public_base_url` and the path and query as they came in. The
//! `Host` header is not looked at: behind a proxy it is another.

use crate::{events::Events, lookup::Owned, refusal::Refusal};
use axum::{
    Router,
    extract::{OriginalUri, State},
    http::{HeaderMap, Uri, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::post,
};
use ccm_db::DbError;
use ccm_model::{AccountId, ProviderKind};
use ccm_sms::{Answer, Check, Inbound, ReceiveError};
use ccm_web::{Bytes, Path};
use std::{sync::Arc, time::Duration};
use time::OffsetDateTime;
use tokio::time::timeout;
use tracing::{Instrument, Span, field::Empty};

pub(crate) struct Webhooks {
    pub events: Events,
    pub public_base_url: String,
    pub request_timeout: Duration,
}

pub(crate) fn router(webhooks: Webhooks) -> Router {
    Router::new()
        // Some providers say it with a `GET`, all of it in the address.
        .route("/v1/sms/{kind}/{account_id}", post(webhook).get(webhook))
        .with_state(Arc::new(webhooks))
}

async fn webhook(
    State(webhooks): State<Arc<Webhooks>>,
    Path((kind, account)): Path<(String, String)>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    Bytes(body): Bytes,
) -> Result<Response, Refusal> {
    let kind: Option<ProviderKind> = kind.parse().ok();
    let label = kind.map_or("unknown", ProviderKind::as_str);
    let span = tracing::info_span!(
        "ingest.webhook",
        provider.kind = label,
        account.id = Empty,
        tenant.id = Empty,
        outcome = Empty,
    );
    let work = async {
        let (Some(kind), Ok(account)) = (kind, account.parse()) else {
            return Err(Refusal::NoAccount);
        };
        Span::current().record("account.id", tracing::field::display(account));
        let taken = webhooks.take(kind, account, &uri, &headers, &body);
        let limit = webhooks.request_timeout;
        timeout(limit, taken)
            .await
            .unwrap_or(Err(Refusal::TooSlow(limit)))
    };
    let result = async {
        let result = work.await;
        let outcome = match &result {
            Ok(_) => "taken",
            Err(refusal) => {
                let reason = refusal.reason();
                metrics::counter!("ccm_ingest_refused_total", "kind" => label, "reason" => reason)
                    .increment(1);
                refusal.tell();
                reason
            }
        };
        Span::current().record("outcome", outcome);
        result
    };
    let answer = result.instrument(span).await?;
    Ok((answer.status, [(CONTENT_TYPE, answer.content_type)], answer.body).into_response())
}

impl Webhooks {
    async fn take(
        &self,
        kind: ProviderKind,
        id: AccountId,
        uri: &Uri,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Answer, Refusal> {
        let owned = self.events.lookups.account(id).await?;
        let owned = owned.filter(|o| o.kind == kind).ok_or(Refusal::NoAccount)?;
        Span::current().record("tenant.id", tracing::field::display(owned.tenant));
        let account = owned.account.as_ref().map_err(|e| Refusal::Account(e.clone()))?;
        let now = self.events.ids.clock().now();
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let inbound = Inbound {
            url: &format!(
                "{}{path}",
                owned
                    .rules
                    .webhook_base
                    .as_deref()
                    .unwrap_or(&self.public_base_url)
            ),
            headers,
            body,
            check: match owned.rules.report_signatures {
                true => Check::Report,
                false => Check::Enforce,
            },
            now,
        };
        let received = ccm_sms::receive(account, &inbound)?;
        if let Some(mismatch) = &received.mismatch {
            self.mismatched(&owned, id, mismatch, now).await?;
        }
        for event in received.events {
            self.events.take(&owned, id, event, now).await?;
        }
        Ok(received.answer)
    }

    /// Tells of a signature that does not fit, on an account that is being set up.
    async fn mismatched(
        &self,
        owned: &Owned,
        account: AccountId,
        mismatch: &ReceiveError,
        now: OffsetDateTime,
    ) -> Result<(), DbError> {
        metrics::counter!("ccm_ingest_signature_mismatches_total", "kind" => owned.kind.as_str())
            .increment(1);
        tracing::warn!(
            "a webhook is taken although its signature does not fit, as its account is set to report only: {mismatch}"
        );
        let db = self.events.db.tenant(owned.tenant);
        db.signatures_mismatched(account, 1, now).await
    }
}
