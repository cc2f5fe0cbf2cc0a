//! The only room with SQL: tenant-scoped queries, queues, leases, sealed secrets, the migrations runner.
//!
//! - [`Db::tenant`] is the only way to a tenant's rows. It opens transactions under that tenant; row-level security
//!   holds the wall even when a query forgets its `WHERE`.
//! - [`Db::batch`] writes texts of several tenants in one transaction (ingest).
//! - [`Db::operator`] is the loud exception: look-ups before a tenant is known, the tenants themselves, the queues'
//!   claims and the leases. It connects as another role, with policies on named tables and columns.
//!
//! Postgres is the truth and the queue. Nothing here talks to Redis, to a provider or to AACC.

mod accept;
mod account_watch;
mod auth_keys;
mod chats;
mod consent;
mod conversations;
mod dead_letters;
mod deletion;
mod documents;
mod error;
mod forget;
mod inbox;
mod leases;
mod link_watch;
mod links;
mod migrate;
mod mt;
mod number_lookups;
mod outbox;
mod parts;
mod pool;
mod receipts;
mod routing;
mod seal;
mod settings;
mod storable;
mod tenants;
#[cfg(test)]
mod tests;
mod webhook_secrets;

pub use accept::{Accepted, Batch, IncomingText, Refused, Route, TextKind};
pub use account_watch::AccountEventRow;
pub use auth_keys::{AuthKeyRow, NewAuthKey};
pub use chats::{
    ActorContext, ChatResume, CountedChat, Fence, LastWords, NewChat, PreviousChat, RoomState, ToServe,
};
pub use consent::{ConsentChange, ConsentEventRow, ConsentSource, OptOutRow};
pub use conversations::{ConversationRow, MessageRow};
pub use dead_letters::{DeadLetterFilter, DeadLetterRow, MOST_UNROUTED, Mend, Replay, Replayed, Unrouted};
pub use deletion::{
    Closing, DeletionRow, DeletionState, KEPT, NewDeletion, Purge, PurgeBatch, TableRows, UnderWay,
};
pub use documents::Unless;
pub use error::DbError;
pub use forget::Old;
pub use inbox::PendingText;
pub use leases::{LeaseTimes, OwnedTenant, PodRow};
pub use link_watch::{LinkEventRow, LinkStateRow, MaintenanceWindow};
pub use links::{HostPort, LinkRow, LinkSecrets, NewLink, NewReach, Scheme};
pub use migrate::{check_migrated, migrate};
pub use mt::{AgentText, Notice, Said};
pub use number_lookups::NumberLookupRow;
pub use outbox::{AsSent, Claim, Doubt, Head, Knows, Outcome, Sender, Sending};
pub use parts::{DueParts, IncomingPart, Parted, StoredPart};
pub use pool::{Db, DbConfig, Operator, TenantDb};
pub use receipts::{Receipt, Receipted, derived_id};
pub use routing::RoutingRow;
pub use seal::{KeyRing, SealError};
pub use settings::{
    AccountChange, AccountRow, AccountRules, AccountSecret, NewAccount, NewNumber, NewSkillset, NumberChange,
    NumberRow, SkillsetRow,
};
pub use tenants::{StateChange, TenantRow};
pub use webhook_secrets::WebhookSecretRow;
