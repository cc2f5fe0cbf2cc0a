//! Field types that outlive a frame.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Number, Value};

/// Text that must not reach a log: its `Debug` shows only the length. There is no `Display`; deref to `str` to use it.
#[derive(Clone, PartialEq, Eq, Default, Hash, PartialOrd, Ord)]
pub struct Private(String);

impl Private {
    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Debug for Private {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} chars>", self.0.chars().count())
    }
}

impl Deref for Private {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<String> for Private {
    fn from(text: String) -> Self {
        Private(text)
    }
}

impl From<&str> for Private {
    fn from(text: &str) -> Self {
        Private(text.to_owned())
    }
}

impl PartialEq<str> for Private {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for Private {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

/// The `authenticationKey` of a chat. Whoever has it and the guid takes the chat over: keep it sealed, never log it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AuthKey(String);

impl AuthKey {
    pub fn new(key: impl Into<String>) -> Self {
        AuthKey(key.into())
    }

    /// The key itself, to be sealed or sent.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AuthKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<key>")
    }
}

/// Text that came as a JSON number or a JSON string, and goes back in the form it came.
///
/// Equality and hash look at the text alone: `62` and `"62"` name the same thing.
#[derive(Clone, Eq)]
struct Id {
    text: Box<str>,
    number: bool,
}

impl Id {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::String(s) if !s.is_empty() => Some(Id {
                text: s.as_str().into(),
                number: false,
            }),
            Value::Number(n) => Some(Id {
                text: n.to_string().into(),
                number: true,
            }),
            _ => None,
        }
    }

    fn to_value(&self) -> Value {
        match self.text.parse::<Number>() {
            Ok(number) if self.number => Value::Number(number),
            _ => Value::String(self.text.to_string()),
        }
    }
}

impl PartialEq for Id {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Hash for Id {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// Remembers whether it came as a JSON number or string and is written the same way (serde too).
        #[derive(Clone, PartialEq, Eq, Hash)]
        pub struct $name(Id);

        impl $name {
            /// One that is written as a JSON number.
            pub fn number(value: u64) -> Self {
                $name(Id { text: value.to_string().into(), number: true })
            }

            /// One that is written as a JSON string.
            pub fn string(value: &str) -> Self {
                $name(Id { text: value.into(), number: false })
            }

            /// `None` for anything but a number or a text that is not empty.
            pub fn from_json(value: &Value) -> Option<Self> {
                Id::from_value(value).map($name)
            }

            pub fn to_json(&self) -> Value {
                self.0.to_value()
            }

            pub fn as_str(&self) -> &str {
                &self.0.text
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0.text)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0.text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.to_json().serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let value = Value::deserialize(deserializer)?;
                Self::from_json(&value)
                    .ok_or_else(|| serde::de::Error::custom(concat!(stringify!($name), ": a number or a text")))
            }
        }
    };
}

id_type! {
    /// The identity of one EWC chat; with its [`AuthKey`] a new socket resumes it.
    Guid
}

id_type! {
    /// An agent's id in AACC (`agentId`, `participants[].id`).
    AgentId
}
