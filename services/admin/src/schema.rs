//! Parts of the document that derive cannot make: the names of the model's states.

use ccm_model::{ConversationState, Direction, MessageState, Origin, ProviderKind};
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

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
    provider_kind = ProviderKind, "The dialect: `twilio`, or `http` for CCM's generic JSON (docs/providers.md).";
    conversation_state = ConversationState, "At most one conversation between two addresses is `open`.";
    direction = Direction, "`mo`: from the customer's phone. `mt`: to it.";
    origin = Origin, "Who wrote it; `system` is CCM itself, in the tenant's words.";
    message_state = MessageState,
        "Where it is on its way. `mo`: accepted, sending, delivered (AACC acknowledged it) or refused. `mt`: queued, \
         sending, sent (the provider took it), delivered, or failed, undeliverable, expired, unknown.";
}
