use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest text that is taken, in characters: over a hundred segments, far above what any provider delivers.
pub const MAX_BODY_CHARS: usize = 20_000;

/// What somebody wrote. `Debug` shows its length only: bodies never reach a log.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Body(String);

/// Why a text is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("contains a NUL character, which cannot be stored; remove it")]
    Nul,
    #[error("is longer than {MAX_BODY_CHARS} characters; send it in parts")]
    TooLong,
}

impl Body {
    /// Takes a text as it is; an empty one is allowed (an MMS without words arrives as one).
    pub fn new(text: impl Into<String>) -> Result<Self, BodyError> {
        let text = text.into();
        if text.contains('\0') {
            return Err(BodyError::Nul);
        }
        if text.chars().count() > MAX_BODY_CHARS {
            return Err(BodyError::TooLong);
        }
        Ok(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Body {
    type Error = BodyError;
    fn try_from(s: String) -> Result<Self, BodyError> {
        Self::new(s)
    }
}

impl From<Body> for String {
    fn from(b: Body) -> String {
        b.0
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_cannot_be_stored_and_never_prints() {
        assert_eq!(Body::new("a\0b"), Err(BodyError::Nul));
        assert_eq!(Body::new("x".repeat(MAX_BODY_CHARS + 1)), Err(BodyError::TooLong));
        assert!(Body::new("é".repeat(MAX_BODY_CHARS)).is_ok());
        assert!(!format!("{:?}", Body::new("secret").unwrap()).contains("secret"));
    }
}
