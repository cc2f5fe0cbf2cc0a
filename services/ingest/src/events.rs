//! What a webhook says becomes rows.

use crate::{
    Batcher,
    flood::Floods,
    lookup::{Lookups, Owned, again},
    parts,
    refusal::Refusal,
};
use ccm_bus::{Bus, Wake};
use ccm_db::{
    Accepted, Db, IncomingPart, IncomingText, Parted, Receipt, Receipted, Refused, Route, TextKind, Unrouted,
};
use ccm_model::{AccountId, Address, Body, IdSource};
use ccm_runtime::{TextEvent, count_text, trace};
use ccm_sms::{Event, Part};
use std::time::Duration;
use time::OffsetDateTime;

const FLOOD: Refused = Refused {
    code: "ccm:flood",
    detail: "this phone has texted this number more often than the tenant's SMS settings allow (flood)",
};

pub(crate) struct Events {
    pub db: Db,
    pub bus: Bus,
    pub ids: IdSource,
    pub lookups: Lookups,
    pub batcher: Batcher,
    pub floods: Floods,
}

/// A text as its provider sent it.
struct Said {
    provider_id: String,
    from: Address,
    to: Address,
    body: Body,
    sent_at: Option<OffsetDateTime>,
    segments: Option<u16>,
}

impl Events {
    /// Returns when it is committed.
    pub async fn take(
        &self,
        owned: &Owned,
        account: AccountId,
        event: Event,
        now: OffsetDateTime,
    ) -> Result<(), Refusal> {
        match event {
            Event::Text {
                provider_id,
                from,
                to,
                body,
                sent_at,
                segments,
                part,
                ..
            } => {
                let said = Said {
                    provider_id,
                    from,
                    to,
                    body,
                    sent_at,
                    segments,
                };
                self.text(owned, account, said, part, now).await
            }
            Event::Receipt {
                provider_id,
                report,
                code,
                ..
            } => {
                let receipt = Receipt {
                    account,
                    provider_id,
                    report,
                    code,
                };
                self.receipt(owned, &receipt, now).await
            }
            _ => Ok(()),
        }
    }

    async fn text(
        &self,
        owned: &Owned,
        account: AccountId,
        said: Said,
        part: Option<Part>,
        now: OffsetDateTime,
    ) -> Result<(), Refusal> {
        let Some((tenant, number)) = self.lookups.number(account, &said.to).await? else {
            return self.unrouted(owned, account, &said, now).await;
        };
        let flooded = !self
            .floods
            .allow(tenant, &owned.settings.flood, &said.to, &said.from);
        let route = Route {
            tenant,
            number,
            account,
        };
        let text = self.incoming(owned, route, said, flooded, now);
        let accepted = match part {
            None => self.batcher.accept(text).await?,
            Some(part) => match self.part(owned, text, part).await? {
                Parted::Whole(accepted) => accepted,
                Parted::Waiting => {
                    metrics::counter!("ccm_ingest_parts_total", "kind" => owned.kind.as_str()).increment(1);
                    return Ok(());
                }
                Parted::Repeated => Accepted::Repeated,
            },
        };
        let name = match accepted {
            Accepted::New { .. } => {
                count_text(tenant, TextEvent::Accepted, None);
                "ccm_ingest_accepted_total"
            }
            Accepted::Repeated => "ccm_ingest_repeated_total",
        };
        metrics::counter!(name, "kind" => owned.kind.as_str()).increment(1);
        Ok(())
    }

    fn incoming(
        &self,
        owned: &Owned,
        route: Route,
        said: Said,
        flooded: bool,
        now: OffsetDateTime,
    ) -> IncomingText {
        let kind = parts::kind(said.body.as_str(), &owned.keywords);
        // Whoever refuses texts is heard, however often he says so.
        let refused = (flooded && kind == TextKind::Text).then_some(FLOOD);
        if refused.is_some() {
            metrics::counter!("ccm_ingest_flooded_total", "kind" => owned.kind.as_str()).increment(1);
        }
        let window = owned.rules.repeat_window_s;
        IncomingText {
            message: self.ids.next(),
            conversation: self.ids.next(),
            route,
            provider_id: said.provider_id,
            repeat_window: (window > 0).then(|| Duration::from_secs(window.into())),
            kind,
            refused,
            segments: said.segments,
            to: said.to,
            from: said.from,
            body: said.body,
            received_at: now,
            written_at: said.sent_at,
            trace: trace::current_traceparent(),
        }
    }

    async fn part(&self, owned: &Owned, text: IncomingText, part: Part) -> Result<Parted, Refusal> {
        let tenant = text.route.tenant;
        let part = IncomingPart {
            text,
            reference: part.reference,
            parts: part.parts,
            part: part.part,
            wait: Duration::from_secs(owned.settings.parts.wait_s.into()),
        };
        let kind = |whole: &str| parts::kind(whole, &owned.keywords);
        let parted = again(|| async { self.db.tenant(tenant).take_part(part.clone(), kind).await }).await?;
        if let Parted::Whole(Accepted::New {
            tenant, conversation, ..
        }) = parted
        {
            self.bus.publish(Wake::Inbound { tenant, conversation });
        }
        Ok(parted)
    }

    /// A text for a number that is none of the account's is kept, for an operator to mend the settings and replay it.
    async fn unrouted(
        &self,
        owned: &Owned,
        account: AccountId,
        said: &Said,
        now: OffsetDateTime,
    ) -> Result<(), Refusal> {
        let id = self.ids.next();
        let text = &Unrouted {
            id,
            account,
            provider_id: &said.provider_id,
            to: &said.to,
            from: &said.from,
            body: &said.body,
            code: "ccm:unknown_number",
            detail: "the text is for a number that this account does not have; add the number, or replay the text to one \
                     that it has",
            at: now,
        };
        let kept = again(|| async { self.db.tenant(owned.tenant).keep_unrouted(text).await }).await?;
        if !kept {
            return Err(Refusal::UnknownNumber);
        }
        metrics::counter!("ccm_ingest_unrouted_total", "kind" => owned.kind.as_str()).increment(1);
        tracing::warn!(tenant.id = %owned.tenant, account.id = %account, "a text is for a number that its account does not have: kept as a dead letter");
        Ok(())
    }

    async fn receipt(&self, owned: &Owned, receipt: &Receipt, now: OffsetDateTime) -> Result<(), Refusal> {
        let receipted = again(|| async { self.db.tenant(owned.tenant).receipt(receipt, now).await }).await?;
        let came_to = match receipted {
            Receipted::News { conversation, noted } => {
                if noted {
                    self.bus.publish(Wake::Inbound {
                        tenant: owned.tenant,
                        conversation,
                    });
                }
                "news"
            }
            Receipted::Early => "early",
            Receipted::Old => "old",
        };
        metrics::counter!("ccm_ingest_receipts_total", "kind" => owned.kind.as_str(), "report" => receipt.report.as_str(), "came_to" => came_to)
            .increment(1);
        Ok(())
    }
}
