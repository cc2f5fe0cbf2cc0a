//! The vocabulary of Contact Center Messaging: ids, addresses, texts, states, time. No IO.
//!
//! Everything here is plain data that any room may hold. What must never reach a log (phone numbers, bodies) has a
//! `Debug` that does not show it.

mod actor;
mod address;
mod body;
pub mod chat_settings;
mod clock;
pub mod deflection_settings;
mod ids;
pub mod retention_settings;
pub mod screenpop_settings;
pub mod settings;
pub mod sms_settings;
mod state;
mod template;
mod trace;

pub use actor::Actor;
pub use address::{Address, AddressError};
pub use body::{Body, BodyError, MAX_BODY_CHARS};
pub use chat_settings::ChatSettings;
pub use clock::{Clock, IdSource};
pub use deflection_settings::DeflectionSettings;
pub use ids::{
    AccountId, ApiKeyId, AuthKeyId, ChatId, ConversationId, DeflectionId, Id, LinkId, MessageId, NumberId,
    PodId, SessionId, SigningKeyId, SkillsetId, TenantId, UserId, WebhookId, WebhookSecretId,
};
pub use retention_settings::RetentionSettings;
pub use screenpop_settings::ScreenpopSettings;
pub use sms_settings::SmsSettings;
pub use state::{
    ChatState, ConversationState, DeflectionState, DeliveryState, Direction, KeyUse, LineType, MessageState,
    NumberKind, Origin, ProviderKind, Report, UnknownState, WebhookState,
};
pub use template::{TEMPLATE_FIELDS, fill, template_fields};
pub use trace::TraceParent;
