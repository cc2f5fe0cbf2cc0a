//! What a phone number itself tells, and what a provider's look-up adds to it. Pure: nobody is asked here.

mod call;

pub use call::{Home, Reading, bare, is_region, of_call};

use ccm_model::{Address, LineType};
use phonenumber::{Mode, PhoneNumber, Type, country, metadata::DATABASE};
use serde::Serialize;

/// What is known about a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// One of [`FORMS`].
    pub form: &'static str,
    /// As CCM stores and compares it.
    pub address: Address,
    /// Whether its country's plan has such a number; `None` for what is none.
    pub valid: Option<bool>,
    /// As it is written in its country; `None` for what is no full number.
    pub national: Option<String>,
    /// As it is written elsewhere.
    pub international: Option<String>,
    /// Two letters (ISO 3166-1); `None` where the plan does not tell.
    pub region: Option<String>,
    /// One of [`kinds`]; `None` where the plan does not tell.
    pub kind: Option<&'static str>,
    /// Whether a text can be sent to it, as far as is known.
    pub textable: bool,
    /// Why not, in words.
    pub not_textable_because: Option<&'static str>,
}

/// Why there are no facts. `Display` says what is wrong without repeating it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    #[error("number {0}")]
    Number(String),
    #[error("region is not a country of two letters")]
    Region,
}

impl NumberError {
    /// Which of the two it is about.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Number(_) => "number",
            Self::Region => "region",
        }
    }

    /// How to write it in a query.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Number(_) => "write number=%2B353861234567, or number=0861234567&region=IE",
            Self::Region => "write it as ISO 3166-1 does, such as IE or US",
        }
    }
}

/// A number with its country (E.164); 3 to 8 digits; letters, which cannot be texted.
pub const FORMS: [&str; 3] = ["full", "short_code", "sender_name"];

/// What a plan can say that a number is.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|(_, name)| *name)
}

const KINDS: [(Type, &str); 11] = [
    (Type::Mobile, "mobile"),
    (Type::FixedLine, "fixed_line"),
    (Type::FixedLineOrMobile, "fixed_line_or_mobile"),
    (Type::TollFree, "toll_free"),
    (Type::PremiumRate, "premium_rate"),
    (Type::SharedCost, "shared_cost"),
    (Type::PersonalNumber, "personal"),
    (Type::Voip, "voip"),
    (Type::Pager, "pager"),
    (Type::Uan, "company"),
    (Type::Voicemail, "voicemail"),
];

/// All that the number itself tells, as somebody wrote it: a full number with `+`, a short code, a sender name; or, with the
/// two letters of a country, a number as it is dialled there.
pub fn examine(raw: &str, region: Option<&str>) -> Result<Facts, NumberError> {
    let region = region.map(country).transpose()?;
    if raw.len() > 50 {
        return Err(garbage("is longer than 50 characters"));
    }
    let has_plus = raw.trim_start().starts_with(['+', '＋']);
    let letters = raw.chars().any(char::is_alphabetic);
    if letters || !has_plus && region.is_none() {
        return unparsed(raw);
    }
    let Ok(parsed) = phonenumber::parse(region, raw) else {
        return match has_plus {
            true => unparsed(raw),
            false => Err(garbage("is not a number of that region")),
        };
    };
    // Of a short code in a region phonenumber makes a full number that does not exist.
    if !has_plus
        && !parsed.is_valid()
        && let Ok(Address::ShortCode(_)) = Address::parse(raw)
    {
        return unparsed(raw);
    }
    full(&parsed)
}

fn full(parsed: &PhoneNumber) -> Result<Facts, NumberError> {
    let address = parsed.format().mode(Mode::E164).to_string();
    let address = Address::parse(&address).map_err(|_| garbage("has too few or too many digits"))?;
    let (valid, kind) = (parsed.is_valid(), parsed.number_type(&DATABASE));
    let because = match kind {
        _ if !valid => Some("no country has such a number"),
        Type::FixedLine => Some("it is a fixed line; some providers text those all the same"),
        Type::PremiumRate | Type::SharedCost | Type::Voicemail | Type::Pager => {
            Some("numbers of its kind are for calls only")
        }
        _ => None,
    };
    Ok(Facts {
        form: "full",
        address,
        valid: Some(valid),
        national: Some(parsed.format().mode(Mode::National).to_string()),
        international: Some(parsed.format().mode(Mode::International).to_string()),
        region: parsed
            .country()
            .id()
            .filter(|_| valid)
            .map(|id| id.as_ref().to_owned()),
        kind: KINDS.iter().find(|(of, _)| *of == kind).map(|(_, name)| *name),
        textable: because.is_none(),
        not_textable_because: because,
    })
}

/// What phonenumber does not know.
fn unparsed(raw: &str) -> Result<Facts, NumberError> {
    let address = Address::parse(raw).map_err(|error| garbage(&error.to_string()))?;
    let (form, valid, because) = match address {
        Address::E164(_) => ("full", Some(false), Some("no country has such a number")),
        Address::ShortCode(_) => ("short_code", None, None),
        Address::Alphanumeric(_) => ("sender_name", None, Some("a sender name cannot be answered")),
    };
    Ok(Facts {
        form,
        address,
        valid,
        national: None,
        international: None,
        region: None,
        kind: None,
        textable: because.is_none(),
        not_textable_because: because,
    })
}

fn garbage(problem: &str) -> NumberError {
    NumberError::Number(problem.to_owned())
}

fn country(raw: &str) -> Result<country::Id, NumberError> {
    raw.to_ascii_uppercase().parse().map_err(|_| NumberError::Region)
}

impl Facts {
    /// Takes in what the provider says, who knows of ported numbers and plans that have changed: its word decides whether
    /// the number can be texted. `line` is `None` where it cannot tell.
    pub fn looked_up(&mut self, valid: bool, line: Option<LineType>) {
        let because = match line {
            _ if !valid => Some("the provider knows no such number"),
            None => return,
            Some(LineType::FixedLine) => Some("it is a fixed line, as the provider says"),
            Some(LineType::PremiumRate | LineType::SharedCost | LineType::Voicemail | LineType::Pager) => {
                Some("numbers of its kind are for calls only, and the provider says that it is one")
            }
            Some(
                LineType::Mobile
                | LineType::FixedVoip
                | LineType::NonFixedVoip
                | LineType::TollFree
                | LineType::Personal
                | LineType::Company,
            ) => None,
        };
        self.textable = because.is_none();
        self.not_textable_because = because;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Address, whether it is valid, kind, whether it can be texted.
    type Look = (String, Option<bool>, Option<&'static str>, bool);

    fn look(raw: &str, of: Option<&str>) -> Result<Look, &'static str> {
        let known = examine(raw, of).map_err(|error| error.field())?;
        Ok((
            String::from(known.address),
            known.valid,
            known.kind,
            known.textable,
        ))
    }

    #[test]
    fn numbers_are_read_as_people_write_them() {
        let irish = ("+353861234567".to_owned(), Some(true), Some("mobile"), true);
        for (raw, of) in [
            ("+353861234567", None),
            ("+353 (86) 123-4567", Some("US")),
            ("086 123 4567", Some("IE")),
            ("0861234567", Some("ie")),
        ] {
            assert_eq!(look(raw, of), Ok(irish.clone()), "{raw}");
        }
        let us = look("(415) 555-0123", Some("US")).unwrap();
        assert_eq!(
            (us.0.as_str(), us.2, us.3),
            ("+14155550123", Some("fixed_line_or_mobile"), true)
        );
        assert_eq!(look("+35312345678", None).unwrap().2, Some("fixed_line"));
        assert_eq!(look("+18005550199", None).unwrap().2, Some("toll_free"));
    }

    #[test]
    fn what_cannot_be_texted_is_told_so() {
        assert_eq!(look("72345", None), Ok(("72345".into(), None, None, true)));
        assert_eq!(look("72345", Some("US")), Ok(("72345".into(), None, None, true)));
        assert_eq!(
            look("WEBTEXT", Some("IE")),
            Ok(("WEBTEXT".into(), None, None, false))
        );
        assert_eq!(
            look("+999123456789", None),
            Ok(("+999123456789".into(), Some(false), None, false))
        );
        assert!(!look("+1415555", None).unwrap().3, "too short for its country");
    }

    #[test]
    fn garbage_is_refused() {
        let long = "1".repeat(51);
        for (raw, of, field) in [
            ("", None, "number"),
            ("0861234567", None, "number"),
            ("+", None, "number"),
            ("+12", None, "number"),
            ("12345678901234567890", Some("IE"), "number"),
            ("call me maybe", None, "number"),
            (&long, Some("IE"), "number"),
            ("0861234567", Some("Ireland"), "region"),
            ("0861234567", Some(""), "region"),
        ] {
            assert_eq!(look(raw, of), Err(field), "{raw:?} {of:?}");
        }
    }

    #[test]
    fn the_providers_word_decides() {
        let after = |raw: &str, valid: bool, line: Option<LineType>| {
            let mut known = examine(raw, None).unwrap();
            known.looked_up(valid, line);
            assert_eq!(known.textable, known.not_textable_because.is_none());
            known.textable
        };
        let (mobile, fixed) = ("+353861234567", "+35312345678");
        assert!(!after(mobile, true, Some(LineType::FixedLine)));
        assert!(!after(mobile, true, Some(LineType::Pager)));
        assert!(!after(mobile, false, None));
        assert!(
            after(fixed, true, Some(LineType::NonFixedVoip)),
            "the plan calls it a fixed line"
        );
        assert!(
            after(mobile, true, None) && !after(fixed, true, None),
            "as before"
        );
    }
}
