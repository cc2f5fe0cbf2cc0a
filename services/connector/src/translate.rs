//! The one place where EWC's words and ours meet.

use ccm_db::{ActorContext, RoomState};
use ccm_ewc_proto::{
    frame::{AuthKey, Guid},
    session::Login,
};
use ccm_model::{Body, MAX_BODY_CHARS};
use time::OffsetDateTime;

/// What CCM calls itself in `requestChat`.
pub(crate) const DEVICE_TYPE: &str = concat!("CCM/", env!("CARGO_PKG_VERSION"), " (SMS)");

/// How the session starts: with the stored chat, if there is one.
pub(crate) fn login(context: &ActorContext) -> Login {
    let Some(chat) = &context.chat else {
        return Login::New;
    };
    let guid = serde_json::from_str(&chat.guid)
        .ok()
        .and_then(|json| Guid::from_json(&json));
    Login::from_stored(
        guid,
        Some(AuthKey::new(chat.key.as_str())),
        chat.room == RoomState::Live,
    )
}

/// A guid as it is stored: its JSON, so that a number goes back as a number.
pub(crate) fn stored_guid(guid: &Guid) -> String {
    guid.to_json().to_string()
}

/// AACC's milliseconds since 1970. `None` also for what no database takes as a time.
pub(crate) fn written_at(timestamp_ms: Option<i64>) -> Option<OffsetDateTime> {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(timestamp_ms?) * 1_000_000).ok()?;
    (at.year() > 0).then_some(at)
}

/// An agent's text as texts that can be stored: without NUL, which Postgres does not take, and cut where it is longer than
/// any SMS can be. Empty for a text without words.
pub(crate) fn bodies(text: &str) -> Vec<Body> {
    let clean: Vec<char> = text.chars().filter(|c| *c != '\0').collect();
    if clean.iter().all(|c| c.is_whitespace()) {
        return Vec::new();
    }
    clean
        .chunks(MAX_BODY_CHARS)
        .map(|part| Body::new(part.iter().collect::<String>()).expect("no NUL, and no longer than allowed"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agents_text_loses_nothing_but_nul() {
        assert!(bodies(" \n").is_empty());
        assert_eq!(bodies("a\0b")[0].as_str(), "ab");
        let long = "é".repeat(MAX_BODY_CHARS + 5);
        let parts = bodies(&long);
        assert_eq!(parts.len(), 2);
        assert_eq!(parts.iter().map(Body::as_str).collect::<String>(), long);
    }

    #[test]
    fn a_guid_is_stored_as_it_came() {
        for json in ["62", "\"62\""] {
            let guid = Guid::from_json(&serde_json::from_str(json).unwrap()).unwrap();
            assert_eq!(stored_guid(&guid), json);
        }
    }
}
