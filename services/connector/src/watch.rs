//! How the links of this pod's tenants do: kept in the database for people to see, with an event for each change; and planned
//! absences, which hold a link's dials.

use crate::{
    actor::Deps,
    certificates::{Certificates, Warning, Whose},
    lease::Ownership,
    links::{Reach, Unusable},
};
use ccm_db::{
    DbError, Fence, LINK_STATE_LASTS, LinkEventRow, LinkStateRow, MaintenanceWindow, Once, OwnedTenant,
};
use ccm_ewc_client::{LinkState, LinkStatus, Which};
use ccm_model::{LinkId, PodId, TenantId};
use serde_json::{Value, json};
use std::{collections::HashMap, sync::Arc, time::Duration};
use time::OffsetDateTime;
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval},
};

const LOOK: Duration = Duration::from_secs(1);
/// How often a state that has not changed is written all the same: its figures have.
const REFRESH: Duration = Duration::from_secs(30);
/// How long a failure is known of a link that nobody uses: for as long as others read its row so.
const KNOWN_FOR: Duration = LINK_STATE_LASTS.unsigned_abs();
/// How often the settings of links that do not work are read.
const REREAD: Duration = Duration::from_secs(3);
/// How often planned absences are read. They may be planned at short notice.
const WINDOWS: Duration = Duration::from_secs(5);

/// Watches the links of one pod.
pub(crate) struct Watcher {
    deps: Arc<Deps>,
    pod: PodId,
    ownership: watch::Receiver<Ownership>,
    windows: Vec<MaintenanceWindow>,
    windows_at: Option<Instant>,
    reread_at: Option<Instant>,
    seen: HashMap<LinkId, Seen>,
    certificates: Certificates,
}

/// A link as it was written down last.
struct Seen {
    epoch: i64,
    state: &'static str,
    endpoint: Which,
    since: OffsetDateTime,
    held: bool,
    written_at: Instant,
    /// When a chat had it open, or waited for it, or its state changed.
    used_at: Instant,
}

impl Seen {
    /// What failed when it was last used, some time ago, is not known to fail still.
    fn state(&self) -> &'static str {
        match is_up(self.state) {
            Some(false) if self.used_at.elapsed() >= KNOWN_FOR => UNKNOWN,
            _ => self.state,
        }
    }
}

impl Watcher {
    pub fn new(deps: Arc<Deps>, pod: PodId, ownership: watch::Receiver<Ownership>) -> Self {
        Self {
            deps,
            pod,
            ownership,
            windows: Vec::new(),
            windows_at: None,
            reread_at: None,
            seen: HashMap::new(),
            certificates: Certificates::default(),
        }
    }

    /// Watches until it is dropped. What cannot be written down now is at the next look.
    pub async fn run(mut self) {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let _ = self.look().await;
        }
    }

    async fn look(&mut self) -> Result<(), DbError> {
        let epochs = self.ownership.borrow().epochs.clone();
        let now = self.deps.ids.clock().now();
        if self.windows_at.is_none_or(|at| at.elapsed() >= WINDOWS) && !epochs.is_empty() {
            let tenants: Vec<_> = epochs.keys().copied().collect();
            self.windows = self.deps.db.batch().maintenance_windows(&tenants, now).await?;
            self.windows_at = Some(Instant::now());
        }
        let pod = self.pod;
        let fence = |tenant| {
            let epoch = *epochs.get(&tenant)?;
            let owned = OwnedTenant { tenant, epoch };
            Some(Fence { pod, owned })
        };
        let (usable, unusable) = self.deps.tenants.links.all();
        self.seen.retain(|link, _| {
            usable.iter().any(|(_, r)| r.row.id == *link) || unusable.iter().any(|u| u.link == *link)
        });
        let reread = self.reread_at.is_none_or(|at| at.elapsed() >= REREAD);
        for (tenant, reach) in usable {
            let Some(fence) = fence(tenant) else { continue };
            let status = reach.status();
            if reread && status.health.state != LinkState::Up {
                self.reread(&fence, &reach).await?;
            }
            self.link(&fence, &reach, &status, now).await?;
        }
        if reread {
            self.reread_at = Some(Instant::now());
        }
        for link in unusable {
            if let Some(fence) = fence(link.tenant) {
                if reread {
                    let rows = self.deps.db.tenant(link.tenant).links().await?;
                    self.deps.tenants.links.forget_unusable(&rows);
                }
                self.unusable(&fence, &link, now).await?;
            }
        }
        for state in STATES {
            let count = self.seen.values().filter(|seen| seen.state() == state).count();
            metrics::gauge!("ccm_connector_links", "state" => state).set(count as f64);
        }
        self.certificates(fence, &epochs, now).await
    }

    /// A link that does not work may have been mended in the settings: then nobody waits for the old ones.
    async fn reread(&self, fence: &Fence, reach: &Reach) -> Result<(), DbError> {
        let rows = self.deps.db.tenant(fence.owned.tenant).links().await?;
        let now = rows.iter().find(|row| row.id == reach.row.id);
        if now.is_some_and(|row| *row != reach.row) {
            reach.is_outdated();
        }
        Ok(())
    }

    async fn link(
        &mut self,
        fence: &Fence,
        reach: &Reach,
        status: &LinkStatus,
        now: OffsetDateTime,
    ) -> Result<(), DbError> {
        let id = reach.row.id;
        let window = self
            .windows
            .iter()
            .find(|w| w.link == id && w.begins_at <= now && now < w.ends_at)
            .cloned();
        let held = window.is_some();
        reach.hold(held);
        let state = state_name(&status.health.state);
        let (error, remedy) = match &status.health.state {
            LinkState::Down { why, remedy, .. } => (Some(why.clone()), Some((*remedy).to_owned())),
            _ => (None, None),
        };
        let before = self.seen.get(&id).filter(|s| s.epoch == fence.owned.epoch);
        let fresh =
            before.is_none_or(|s| s.state != state || s.endpoint != status.health.active || s.held != held);
        let used = fresh || status.sockets > 0 || status.waiting > 0;
        if used && let Some(seen) = self.seen.get_mut(&id) {
            seen.used_at = Instant::now();
        }
        let before = self.seen.get(&id).filter(|s| s.epoch == fence.owned.epoch);
        // Of a failure that nobody meets any more the row grows old: it is read as that.
        let old = before
            .is_some_and(|s| s.written_at.elapsed() < REFRESH || is_up(s.state) == Some(false) && !used);
        if !fresh && old {
            return Ok(());
        }
        let was_up = before.and_then(|s| is_up(s.state));
        // Down and half open take turns: since when it is down is what people ask.
        let same = |s: &&Seen| s.state == state || (was_up, is_up(state)) == (Some(false), Some(false));
        let since = before.filter(same).map_or(now, |s| s.since);
        if is_up(state) == Some(false) && was_up != Some(false) {
            tracing::warn!(link.id = %id, error, remedy, muted = held, "the link is down; texts are held");
            let detail = json!({"error": error, "remedy": remedy});
            self.event(fence, id, "link_down", held, detail, Once::EachTime)
                .await?;
        }
        if let Some(before) = before {
            if (was_up, is_up(state)) == (Some(false), Some(true)) {
                let down_s = (now - before.since).whole_seconds();
                tracing::info!(link.id = %id, down_s, "the link works again");
                self.event(
                    fence,
                    id,
                    "link_up",
                    held,
                    json!({"down_s": down_s}),
                    Once::EachTime,
                )
                .await?;
            }
            if before.endpoint != status.health.active {
                let kind = match status.health.active {
                    Which::Primary => "failback",
                    Which::Secondary => "failover",
                };
                tracing::warn!(link.id = %id, kind, "the link goes over its other address");
                self.event(fence, id, kind, held, json!({}), Once::EachTime)
                    .await?;
            }
        }
        if let Some(window) = &window
            && before.is_none_or(|s| !s.held)
        {
            let detail = json!({"reason": window.reason, "window": window.id});
            self.event(
                fence,
                id,
                "maintenance_began",
                true,
                detail,
                Once::Since(window.begins_at),
            )
            .await?;
        }
        if !held && before.is_some_and(|s| s.held) {
            self.event(fence, id, "maintenance_ended", true, json!({}), Once::EachTime)
                .await?;
        }
        if let Some(certificate) = &status.health.certificate {
            let seen = self
                .certificates
                .see(fence.owned.tenant, id, Whose::Server, certificate, now);
            if let Some((link, warning)) = seen {
                self.warn(fence, link, &warning).await?;
            }
        }
        let row = LinkStateRow {
            link: id,
            state: state.into(),
            since,
            endpoint: match status.health.active {
                Which::Primary => "primary".into(),
                Which::Secondary => "secondary".into(),
            },
            error,
            remedy,
            chats: i32::try_from(status.sockets).unwrap_or(i32::MAX),
            waiting: i32::try_from(status.waiting).unwrap_or(i32::MAX),
            certificate_until: status.health.certificate.as_ref().map(|c| c.not_after),
            certificate: status.health.certificate.as_ref().map(|c| json!(**c)),
            updated_at: now,
        };
        self.deps
            .db
            .tenant(fence.owned.tenant)
            .put_link_state(fence, &row)
            .await?;
        self.seen.insert(
            id,
            Seen {
                epoch: fence.owned.epoch,
                state,
                endpoint: status.health.active,
                since,
                held,
                written_at: Instant::now(),
                used_at: Instant::now(),
            },
        );
        Ok(())
    }

    async fn unusable(&mut self, fence: &Fence, link: &Unusable, now: OffsetDateTime) -> Result<(), DbError> {
        let known = self.seen.get(&link.link);
        if known.is_some_and(|s| s.state == UNUSABLE && s.written_at.elapsed() < REFRESH) {
            return Ok(());
        }
        let row = LinkStateRow {
            link: link.link,
            state: UNUSABLE.into(),
            since: known.filter(|s| s.state == UNUSABLE).map_or(now, |s| s.since),
            endpoint: "primary".into(),
            error: Some(link.error.clone()),
            remedy: Some(link.remedy.into()),
            chats: 0,
            waiting: 0,
            certificate_until: None,
            certificate: None,
            updated_at: now,
        };
        if known.is_none_or(|s| s.state != UNUSABLE) {
            let detail = json!({"error": row.error, "remedy": row.remedy});
            self.event(fence, link.link, "link_down", false, detail, Once::EachTime)
                .await?;
        }
        self.deps
            .db
            .tenant(fence.owned.tenant)
            .put_link_state(fence, &row)
            .await?;
        self.seen.insert(
            link.link,
            Seen {
                epoch: fence.owned.epoch,
                state: UNUSABLE,
                endpoint: Which::Primary,
                since: row.since,
                held: false,
                written_at: Instant::now(),
                used_at: Instant::now(),
            },
        );
        Ok(())
    }

    /// The certificates of all links, used or not.
    async fn certificates(
        &mut self,
        fence: impl Fn(TenantId) -> Option<Fence>,
        epochs: &HashMap<TenantId, i64>,
        now: OffsetDateTime,
    ) -> Result<(), DbError> {
        for tenant in self.certificates.due(epochs.keys()) {
            let Some(fence) = fence(tenant) else { continue };
            let db = self.deps.db.tenant(tenant);
            let (links, states) = (db.links().await?, db.link_states().await?);
            for (link, warning) in self.certificates.look(tenant, &links, &states, now) {
                self.warn(&fence, link, &warning).await?;
            }
        }
        for (whose, until) in self.certificates.first_ends() {
            // Of a kind that there is no certificate of, any more, no figure stays behind: no alert compares with NaN.
            let days = until.map_or(f64::NAN, |until| (until - now).as_seconds_f64() / 86_400.0);
            metrics::gauge!("ccm_connector_certificate_days_left", "whose" => whose.as_str()).set(days);
        }
        Ok(())
    }

    async fn warn(&mut self, fence: &Fence, link: LinkId, warning: &Warning) -> Result<(), DbError> {
        let (kind, whose) = (warning.kind(), warning.whose.as_str());
        let new = self
            .event(fence, link, kind, false, warning.detail(), warning.once())
            .await?;
        self.certificates.told(link, warning);
        if new {
            let (days_left, subject) = (warning.days_left, &warning.subject);
            tracing::warn!(link.id = %link, kind, whose, days_left, certificate.subject = subject, "a certificate ends");
        }
        Ok(())
    }

    async fn event(
        &self,
        fence: &Fence,
        link: LinkId,
        kind: &str,
        muted: bool,
        detail: Value,
        once: Once,
    ) -> Result<bool, DbError> {
        let event = LinkEventRow {
            id: self.deps.ids.next(),
            link,
            kind: kind.into(),
            at: self.deps.ids.clock().now(),
            muted,
            detail,
        };
        let db = self.deps.db.tenant(fence.owned.tenant);
        let new = db.link_event(fence, &event, once).await?;
        if new {
            metrics::counter!("ccm_connector_link_events_total", "kind" => kind.to_owned(), "muted" => muted.to_string())
                .increment(1);
        }
        Ok(new)
    }
}

/// Whether a state is one of a link that works; `None` where that is not known.
fn is_up(state: &str) -> Option<bool> {
    match state {
        "up" => Some(true),
        "down" | "half_open" | UNUSABLE => Some(false),
        _ => None,
    }
}

const UNKNOWN: &str = "unknown";
const UNUSABLE: &str = "unusable";
const STATES: [&str; 6] = [UNKNOWN, "up", "down", "half_open", "held", UNUSABLE];

fn state_name(state: &LinkState) -> &'static str {
    match state {
        LinkState::Unknown => UNKNOWN,
        LinkState::Up => "up",
        LinkState::Down { .. } => "down",
        LinkState::HalfOpen { .. } => "half_open",
        LinkState::Held => "held",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn a_failure_that_nobody_meets_is_not_known_for_long() {
        let seen = |state| Seen {
            epoch: 1,
            state,
            endpoint: Which::Primary,
            since: OffsetDateTime::UNIX_EPOCH,
            held: false,
            written_at: Instant::now(),
            used_at: Instant::now(),
        };
        let (down, up) = (seen("down"), seen("up"));
        advance(KNOWN_FOR - Duration::from_secs(1)).await;
        assert_eq!((down.state(), up.state()), ("down", "up"));
        advance(Duration::from_secs(1)).await;
        assert_eq!((down.state(), up.state()), (UNKNOWN, "up"));
    }
}
