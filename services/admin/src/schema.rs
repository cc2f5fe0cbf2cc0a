//! Parts of the document that derive cannot make: the names of the model's states.

use ccm_auth::{Permission, Role};
use ccm_model::{
    ConversationState, DeflectionState, DeliveryState, Direction, KeyUse, MessageState, NumberKind, Origin,
    ProviderKind, WebhookState,
};
use utoipa::openapi::schema::{Array, ArrayBuilder, Object, ObjectBuilder, SchemaType, Type};

/// One of these names.
pub fn one_of(description: &str, names: impl Iterator<Item = &'static str>) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .enum_values(Some(names))
        .build()
}

macro_rules! states {
    ($($name:ident = $enum:ident, $description:literal;)*) => {$(
        pub fn $name() -> Object {
            one_of($description, $enum::ALL.iter().map(|state| state.as_str()))
        }
    )*};
}

states! {
    provider_kind = ProviderKind, "The provider's dialect; `http` is CCM's generic JSON, `custom` any other over HTTP (docs/providers.md).";
    key_use = KeyUse, "The agents' page, the API that voice scripts call, the check of numbers.";
    number_kind = NumberKind, "What the number is to its carrier.";
    conversation_state = ConversationState, "At most one conversation between two addresses is `open`.";
    deflection_state = DeflectionState,
        "`refused`: nothing was offered, `reason` says why. `offered`, `sent`, `delivered`: an answer is waited for. `answered`, then \
         `chat`: AACC has opened it. It ends as a `chat` in which an agent wrote, or as `abandoned`, `expired`, `failed` or `withdrawn`.";
    webhook_state = WebhookState,
        "`disabled`: by hand. `gone`: its receiver said that it is there no more (410). `failing`: for 5 days nothing was taken. What \
         happens while it is not `enabled` waits, for 30 days.";
    delivery_state = DeliveryState,
        "`failed`: its attempts are used up, or what it is about is not kept any more. It can be replayed.";
    direction = Direction, "`mo`: from the customer's phone. `mt`: to it.";
    origin = Origin, "Who wrote it; `system` is CCM itself, in the tenant's words.";
    message_state = MessageState,
        "Where it is on its way. `mo`: accepted, sending, delivered (AACC acknowledged it) or refused. `mt`: queued, \
         sending, sent (the provider took it), delivered, or failed, undeliverable, expired, unknown.";
}

/// A number's kind that can be left out.
pub fn optional_number_kind() -> Object {
    ObjectBuilder::from(number_kind())
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .description(Some(
            "What the number is to its carrier. Left out or `null`: `short_code` for 3 to 8 digits, `toll_free` where its \
             country's plan says so, else `long_code`.",
        ))
        .build()
}

pub fn dead_letter_kind() -> Object {
    one_of(
        "`mo`: no agent got it; `mt`: no phone did; `unrouted`: it came for a number that is none of the account's.",
        ["mo", "mt", "unrouted"].into_iter(),
    )
}

pub fn replay_failure() -> Object {
    one_of(
        "`resolved`: somebody has replayed or discarded it already; `no_number`: it is for an address that none of the \
         tenant's numbers has; `opted_out`: the customer gets no texts from that address; `not_found`: there is none of \
         this id; `gone`: what it is about is gone.",
        ["resolved", "no_number", "opted_out", "not_found", "gone"].into_iter(),
    )
}

pub fn deletion_state() -> Object {
    one_of(
        "`closing`: texts and keys are refused, agents' chats are being ended; `grace`: nothing is carried, and it can be taken \
         back until `grace_until`; `purging`: rows are being deleted; `purged`: nothing is left, the certificate is there; \
         `restored`: it was taken back.",
        ccm_db::DeletionState::ALL.iter().map(|state| state.as_str()),
    )
}

pub const TENANT_STATES: [&str; 2] = ["active", "suspended"];

pub fn tenant_state() -> Object {
    one_of(
        "`suspended`: texts are taken and stored, and nobody is answered.",
        TENANT_STATES.into_iter(),
    )
}

pub fn role() -> Object {
    one_of(
        "`tenant-admin` and `tenant-viewer` are a tenant's; the others are the platform's.",
        Role::ALL.iter().map(|role| role.as_str()),
    )
}

fn scope() -> Object {
    one_of(
        "A permission.",
        Permission::ALL.iter().map(|permission| permission.as_str()),
    )
}

/// What a screen-pop key opens.
pub fn key_uses() -> Array {
    ArrayBuilder::new()
        .items(key_use())
        .min_items(Some(1))
        .max_items(Some(3))
        .description(Some("What it opens."))
        .build()
}

/// What a screen-pop key is to open, left out: everything.
pub fn optional_key_uses() -> Array {
    ArrayBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Array, Type::Null]))
        .items(key_use())
        .min_items(Some(1))
        .max_items(Some(3))
        .description(Some("What it opens. Left out or `null`: everything."))
        .build()
}

/// Scopes that can be left out.
pub fn scopes() -> Array {
    ArrayBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Array, Type::Null]))
        .items(scope())
        .min_items(Some(1))
        .build()
}

/// Scopes as they were given.
pub fn scopes_of() -> Array {
    ArrayBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Array, Type::Null]))
        .items(scope())
        .build()
}

/// What a webhook is told; may be left out.
pub fn webhook_events() -> Array {
    let known = crate::webhook_document::EVENTS;
    let mut groups: Vec<&str> = known.iter().filter_map(|event| event.split('.').next()).collect();
    groups.dedup();
    let names: Vec<String> = groups
        .iter()
        .map(|group| format!("{group}.*"))
        .chain(known.iter().map(ToString::to_string))
        .collect();
    let name = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(names));
    ArrayBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Array, Type::Null]))
        .description(Some(
            "Types, or groups of them. Left out or `null`: everything, also what there will be.",
        ))
        .items(name)
        .min_items(Some(1))
        .max_items(Some(50))
        .build()
}
