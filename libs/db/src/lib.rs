//! The only room with SQL: tenant-scoped queries, queues, leases, sealed secrets, the migrations runner.
//!
//! - [`Db::tenant`] is the only way to a tenant's rows. It opens transactions under that tenant; row-level security
//!   holds the wall even when a query forgets its `WHERE`.
//! - [`Db::batch`] writes texts of several tenants in one transaction (ingest), and reads how several do (admin).
//! - [`Db::access`] is the way to who may use the admin API and to what they did, of a tenant or of the platform.
//! - [`Db::operator`] is the loud exception: look-ups before a tenant is known, the tenants themselves, how far
//!   each one's audit has come, the queues' claims and the leases. It connects as another role, with policies on named tables and columns.
//!
//! Postgres is the truth and the queue. Nothing here talks to Redis, to a provider or to AACC.

mod accept;
mod access;
mod account_watch;
mod accounts;
mod api_keys;
mod audit;
mod auth_keys;
mod caps;
mod chats;
mod consent;
mod conversations;
mod customer_texts;
mod dead_letters;
mod deflections;
mod deletion;
mod doctor_reports;
mod documents;
mod error;
mod events;
mod forget;
mod idempotency;
mod inbox;
mod keeping;
mod leases;
mod life;
mod link_certificates;
mod link_watch;
mod links;
mod listing;
mod looks;
mod migrate;
mod mt;
mod names;
mod number_lookups;
mod number_moves;
mod numbers;
mod outbox;
mod overview;
mod pace;
mod parts;
mod platform;
mod pool;
mod pops;
mod receipts;
mod removal;
mod routing;
mod seal;
mod search;
mod sessions;
mod signing_keys;
mod skillsets;
mod statistics;
mod storable;
mod templates;
mod tenants;
#[cfg(test)]
mod tests;
mod two_secrets;
mod usage;
mod users;
mod webhook_deliveries;
mod webhook_secrets;
mod webhooks;

pub use accept::{Accepted, Batch, IncomingText, Refused, Route, TextKind};
pub use access::AccessDb;
pub use account_watch::AccountEventRow;
pub use accounts::{AccountChange, AccountRow, AccountRules, AccountSecret, NewAccount};
pub use api_keys::{ApiKeyRow, NewApiKey};
pub use audit::{AUDIT_BEGINS, AuditFilter, AuditHead, AuditRow};
pub use auth_keys::{AuthKeyChange, AuthKeyOwner, AuthKeyRow, NewAuthKey, Successor};
pub use caps::{Caps, CapsRow};
pub use chats::{
    ActorContext, ChatResume, CountedChat, Fence, LastWords, NewChat, PreviousChat, RoomState, ToServe,
};
pub use consent::{ConsentChange, ConsentEventRow, ConsentSource, OptOutRow};
pub use conversations::{ConversationRow, HistoryRow, MessageRow, MessageStep};
pub use customer_texts::{NewText, NotTexted, TextOutcome, Texted, UsesUp};
pub use dead_letters::{DeadLetterFilter, DeadLetterRow, MOST_UNROUTED, Mend, Replay, Replayed, Unrouted};
pub use deflections::{
    Clicked, DeflectionChange, DeflectionFilter, DeflectionMoved, DeflectionRow, DeflectionSeen,
    DueDeflection, FunnelRow, HeardText, NewDeflection, NewOffer, OfferBounds, Offered, Refusal, RefusalRow,
};
pub use deletion::{
    Closing, DeletionRow, DeletionState, KEPT, NewDeletion, Purge, PurgeBatch, TableRows, UnderWay,
};
pub use doctor_reports::DoctorReportRow;
pub use documents::{Settings, Statements, Unless};
pub use error::DbError;
pub use events::{EventFilter, EventRow};
pub use forget::Old;
pub use idempotency::{Begun, OnceRequest};
pub use inbox::PendingText;
pub use keeping::{
    Begin, ErasureRow, ErasureState, ExportedRow, HoldRow, HoldScope, Kept, NewErasure, NewExport, NewHold,
    RetentionPlan, RetentionProgress,
};
pub use leases::{LeaseTimes, OwnedTenant, PodRow};
pub use life::{Beginning, LifeLeft, LifeRow, RESTORED, ToldLife};
pub use link_certificates::ClientKeyRow;
pub use link_watch::{LinkEventRow, LinkStateRow, MaintenanceWindow, Once};
pub use links::{HostPort, LinkRow, LinkSecrets, NewLink, NewReach, Scheme};
pub use listing::Part;
pub use looks::{LOOK, Look};
pub use migrate::{PendingMigration, check_migrated, migrate, pending_migrations};
pub use mt::{AgentText, Notice, Said};
pub use names::{Names, Naming, NamingState};
pub use number_lookups::NumberLookupRow;
pub use number_moves::{Destination, DueMove, Moved, NewNumberMove, NumberMoveRow};
pub use numbers::{NewNumber, NumberChange, NumberFilter, NumberRow};
pub use outbox::{AsSent, Claim, Doubt, Head, Knows, Outcome, Question, Sender, Sending};
pub use overview::{
    Edges, LINK_STATE_LASTS, LastTexts, MOST_COUNTED, OverviewAccount, OverviewLink, OverviewRow, Waiting,
};
pub use parts::{DueParts, IncomingPart, Parted, StoredPart};
pub use platform::{LeaseRow, LeaseState, Leases, MOST_WAITING, ProcessRow, QueueRow, UnsentRow};
pub use pool::{Db, DbConfig, Operator, TenantDb};
pub use pops::{
    NewPop, OpenedWith, PopChange, PopForm, PopOwner, PopRow, PopWait, SentForm, TextOfForm, Written,
};
pub use receipts::{Receipt, Receipted, derived_id};
pub use removal::{InTheWay, Removal};
pub use routing::RoutingRow;
pub use seal::{KeyRing, SealError};
pub use search::{Found, FoundRow, MessageSearch, SearchPart};
pub use sessions::{NewSession, SessionRow, SignedIn};
pub use signing_keys::SigningKeyRow;
pub use skillsets::{NewSkillset, SkillsetChange, SkillsetFilter, SkillsetRow};
pub use statistics::{BucketRow, FailureRow, Span, Statistics};
pub use templates::{Template, TemplateFilter, TemplateRow, TemplateScope};
pub use tenants::{StateChange, TenantChange, TenantFilter, TenantRow};
pub use two_secrets::SecretRow;
pub use usage::{TenantUsageRow, UsageRow};
pub use users::{NewUser, UserChange, UserRow};
pub use webhook_deliveries::{
    ClaimedDelivery, DeliveryClaim, DeliveryFilter, DeliveryRow, TEST_EVENT, Then, Tried,
};
pub use webhook_secrets::WebhookSecretRow;
pub use webhooks::{Webhook, WebhookRow};
