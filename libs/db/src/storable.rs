use std::borrow::Cow;

/// What the far side said, without the NUL characters that Postgres does not store. An answer that cannot be recorded
/// would be an answer never heard: the text would be sent again and again.
pub(crate) fn storable(said: &str) -> Cow<'_, str> {
    if said.contains('\0') {
        Cow::Owned(said.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(said)
    }
}
