use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

/// An id of one kind of row: a UUIDv7, so that ids made later sort later (to the millisecond, per machine).
///
/// Order within a conversation is never taken from ids but from the message's sequence.
pub trait Id: Copy + Send + Sync + 'static {
    /// Wraps a raw UUID.
    fn from_uuid(raw: Uuid) -> Self;
    /// The raw UUID.
    fn uuid(self) -> Uuid;
}

/// Of a row that has no kind of id of its own, since nothing refers to it.
impl Id for Uuid {
    fn from_uuid(raw: Uuid) -> Self {
        raw
    }
    fn uuid(self) -> Uuid {
        self
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl Id for $name {
            fn from_uuid(raw: Uuid) -> Self {
                Self(raw)
            }
            fn uuid(self) -> Uuid {
                self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(s: &str) -> Result<Self, Self::Err> {
                s.parse().map(Self)
            }
        }
    )*};
}

ids! {
    /// A customer of WEBTEXT: one contact center with its own AACC.
    TenantId,
    /// A tenant's account with an SMS provider.
    AccountId,
    /// One of a tenant's SMS numbers (an address it sends from and is texted at).
    NumberId,
    /// A tenant's AACC as reached over EWC.
    LinkId,
    /// A skillset of a tenant's AACC.
    SkillsetId,
    /// A tenant's key for the screen-pop page.
    AuthKeyId,
    /// A key for programs that use the admin API.
    ApiKeyId,
    /// Somebody's stay at the console, from signing in to signing out.
    SessionId,
    /// Somebody whom an OIDC issuer knows, and what they are here.
    UserId,
    /// What a tenant's own programs know our calls by.
    WebhookSecretId,
    /// Where a tenant is told of what happens.
    WebhookId,
    /// A secret that a tenant signs links to the agent's page with.
    SigningKeyId,
    /// Tenant + our address + customer's address, while it is open.
    ConversationId,
    /// A caller who was offered a text chat, or was not.
    DeflectionId,
    /// One EWC chat (guid and key) within a conversation.
    ChatId,
    /// One text, in either direction.
    MessageId,
    /// One running connector process.
    PodId,
}

impl TenantId {
    /// In place of a tenant where something is the platform's own. No tenant has it.
    pub const PLATFORM: Self = Self(Uuid::nil());
}
