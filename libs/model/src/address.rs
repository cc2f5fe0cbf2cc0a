use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// An SMS address, in the one spelling that is stored and compared.
///
/// `Debug` shows the kind and the length only: numbers never reach a log.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Address {
    /// `+` and 7 to 15 digits (ITU-T E.164), the first not zero.
    E164(String),
    /// 3 to 8 digits without `+`: a short code, meaningful within its country or provider account.
    ShortCode(String),
    /// 1 to 11 letters, digits, spaces or `-_.&+` with at least one letter (3GPP TS 23.040 alphanumeric sender). It cannot be answered.
    Alphanumeric(String),
}

/// Why a text is not an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("is empty; give a number like +14155550123, a short code like 72345 or a sender name")]
    Empty,
    #[error("starts with + but is not 7 to 15 digits after it; write it like +14155550123")]
    NotE164,
    #[error(
        "is digits without + and not a short code (3 to 8 digits); write a full number with + and country code"
    )]
    MissingPlus,
    #[error("is not a sender name: at most 11 letters, digits, spaces or -_.&+ with at least one letter")]
    NotAlphanumeric,
}

impl Address {
    /// Reads an address as providers write it: spaces, dots, dashes and brackets inside a number are dropped.
    pub fn parse(raw: &str) -> Result<Self, AddressError> {
        let raw = raw.trim();
        if raw.is_empty() {
            return Err(AddressError::Empty);
        }
        let digits_only: String = raw
            .chars()
            .filter(|c| !matches!(c, ' ' | '.' | '-' | '(' | ')'))
            .collect();
        if let Some(rest) = digits_only.strip_prefix('+')
            && rest.bytes().all(|b| b.is_ascii_digit())
        {
            return if (7..=15).contains(&rest.len()) && !rest.starts_with('0') {
                Ok(Self::E164(digits_only))
            } else {
                Err(AddressError::NotE164)
            };
        }
        if !digits_only.is_empty() && digits_only.bytes().all(|b| b.is_ascii_digit()) {
            return if (3..=8).contains(&digits_only.len()) {
                Ok(Self::ShortCode(digits_only))
            } else {
                Err(AddressError::MissingPlus)
            };
        }
        let fits = raw.len() <= 11
            && raw.bytes().any(|b| b.is_ascii_alphabetic())
            && raw
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b" -_.&+".contains(&b));
        if fits {
            Ok(Self::Alphanumeric(raw.to_owned()))
        } else {
            Err(AddressError::NotAlphanumeric)
        }
    }

    /// The stored spelling.
    pub fn as_str(&self) -> &str {
        match self {
            Self::E164(s) | Self::ShortCode(s) | Self::Alphanumeric(s) => s,
        }
    }

    /// Whether a text can be sent back to it.
    pub fn can_be_answered(&self) -> bool {
        !matches!(self, Self::Alphanumeric(_))
    }
}

impl FromStr for Address {
    type Err = AddressError;
    fn from_str(s: &str) -> Result<Self, AddressError> {
        Self::parse(s)
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;
    fn try_from(s: String) -> Result<Self, AddressError> {
        Self::parse(&s)
    }
}

impl From<Address> for String {
    fn from(a: Address) -> String {
        match a {
            Address::E164(s) | Address::ShortCode(s) | Address::Alphanumeric(s) => s,
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::E164(_) => "e164",
            Self::ShortCode(_) => "short-code",
            Self::Alphanumeric(_) => "alphanumeric",
        };
        write!(f, "Address({kind}, {} chars)", self.as_str().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn kinds_are_told_apart() {
        let parse = |s| Address::parse(s);
        assert_eq!(
            parse("+1 (469) 720-6211"),
            Ok(Address::E164("+14697206211".into()))
        );
        assert_eq!(parse("72345"), Ok(Address::ShortCode("72345".into())));
        assert_eq!(parse("WEBTEXT"), Ok(Address::Alphanumeric("WEBTEXT".into())));
        assert_eq!(parse("AT&T 1"), Ok(Address::Alphanumeric("AT&T 1".into())));
        assert_eq!(parse(""), Err(AddressError::Empty));
        assert_eq!(parse("+1"), Err(AddressError::NotE164));
        assert_eq!(parse("+0123456789"), Err(AddressError::NotE164));
        assert_eq!(parse("14697206211"), Err(AddressError::MissingPlus));
        assert_eq!(
            parse("a name that is too long"),
            Err(AddressError::NotAlphanumeric)
        );
        assert!(!parse("WEBTEXT").unwrap().can_be_answered());
    }

    proptest! {
        #[test]
        fn the_stored_spelling_reads_back_and_never_prints(raw in "\\PC{0,20}") {
            if let Ok(address) = Address::parse(&raw) {
                prop_assert_eq!(Address::parse(address.as_str()), Ok(address.clone()));
            }
        }

        #[test]
        fn debug_hides_the_number(digits in "[1-9][0-9]{9,13}") {
            let address = Address::parse(&format!("+{digits}")).unwrap();
            let printed = format!("{address:?}");
            prop_assert!(!printed.contains(&digits));
        }
    }
}
