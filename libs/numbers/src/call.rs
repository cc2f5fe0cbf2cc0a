//! The number of a caller, as a telephone system or a person writes it.

use crate::{Facts, examine};
use ccm_model::Address;
use phonenumber::metadata::DATABASE;

/// What a number is that somebody wrote. A text that goes to the wrong one of two numbers reaches a stranger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    One(Facts),
    /// Two numbers: one as it is dialled at `home`, where that is known, and another with its country in front. Whoever knows the
    /// caller has to say which.
    Either {
        home: Option<Facts>,
        abroad: Facts,
    },
}

impl Reading {
    /// The number, if it is one.
    pub fn one(self) -> Option<Facts> {
        match self {
            Self::One(facts) => Some(facts),
            Self::Either { .. } => None,
        }
    }
}

/// Where a number that does not name its country is at home.
#[derive(Debug, Clone, Copy)]
pub struct Home<'a> {
    /// Two letters of a country, by the tenant's decision: a number that is one there is that one.
    pub region: Option<&'a str>,
    /// The number of ours that is called or sends. Where nothing is decided its country is a guess, which alone decides nothing.
    pub ours: Option<&'a Address>,
}

/// Shorter ones are not taken for a number with its country.
const SHORTEST_ABROAD: usize = 9;

/// What the number of a call tells, in any shape: with and without `+` or `tel:`, as a SIP address, as it is dialled at home. With `+` or
/// `00` it is what it says, wherever home is. `None` for what nobody can be called back at: nothing, `anonymous`, an extension, a
/// placeholder that was not filled.
pub fn of_call(raw: &str, at: Home<'_>) -> Option<Reading> {
    let number = bare(raw);
    if number.is_empty() || number.chars().any(|c| c.is_alphabetic() || "[]{}$%".contains(c)) {
        return None;
    }
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    if number.starts_with(['+', '＋']) {
        // A plan can be newer than ours: what was written in full stays as it is.
        return full(&format!("+{digits}"), None).map(Reading::One);
    }
    let valid = |facts: &Facts| facts.valid == Some(true);
    if let Some(international) = digits.strip_prefix("00") {
        return full(&format!("+{international}"), None)
            .filter(valid)
            .map(Reading::One);
    }
    let in_region = |region: &str| full(number, Some(region)).filter(valid);
    let abroad = || {
        let long = digits.len() >= SHORTEST_ABROAD;
        full(&format!("+{digits}"), None).filter(|facts| long && valid(facts))
    };
    if let Some(region) = at.region {
        return in_region(region).or_else(abroad).map(Reading::One);
    }
    let country = at.ours.and_then(country_of);
    let home = country.as_deref().and_then(in_region);
    match (home, abroad()) {
        (Some(home), Some(abroad)) if home.address == abroad.address => Some(Reading::One(home)),
        (Some(home), None) => Some(Reading::One(home)),
        // It cannot be a number of home's.
        (None, Some(abroad)) if country.is_some() => Some(Reading::One(abroad)),
        (home, Some(abroad)) => Some(Reading::Either { home, abroad }),
        (None, None) => None,
    }
}

/// Without what a telephone system puts around a number: `tel:+1555;ext=1`, `sip:1555@pbx`, `"Ann" <sip:1555@pbx>`.
pub fn bare(raw: &str) -> &str {
    let inner = raw.rsplit_once('<').map_or(raw, |(_, inner)| inner);
    let inner = inner.trim_start_matches(['"', '\'', ' ']);
    let scheme = ["tel:", "sips:", "sip:"].into_iter().find(|scheme| {
        let begin = inner.get(..scheme.len());
        begin.is_some_and(|begin| begin.eq_ignore_ascii_case(scheme))
    });
    let inner = scheme.map_or(inner, |scheme| &inner[scheme.len()..]);
    let end = inner.find(['@', ';', '>', '?', '"', '\'']).unwrap_or(inner.len());
    inner[..end].trim()
}

fn full(number: &str, region: Option<&str>) -> Option<Facts> {
    let facts = examine(number, region).ok()?;
    matches!(facts.address, Address::E164(_)).then_some(facts)
}

/// The two letters of a number's country; of several that share a code, the first.
fn country_of(ours: &Address) -> Option<String> {
    let parsed = phonenumber::parse(None, ours.as_str()).ok()?;
    match parsed.country().id() {
        Some(id) => Some(id.as_ref().to_owned()),
        None => {
            let all = DATABASE.by_code(&parsed.country().code())?;
            Some(all.first()?.id().to_owned())
        }
    }
}

/// Whether a country of these two letters has telephone numbers.
pub fn is_region(letters: &str) -> bool {
    letters.len() == 2 && DATABASE.by_id(letters).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(raw: &str, region: Option<&str>, ours: Option<&str>) -> Option<Reading> {
        let ours = ours.map(|ours| ours.parse().unwrap());
        of_call(
            raw,
            Home {
                region,
                ours: ours.as_ref(),
            },
        )
    }

    fn address(raw: &str, region: Option<&str>) -> Option<String> {
        let one = read(raw, region, Some("+14155550100"))?.one();
        one.map(|facts| String::from(facts.address))
    }

    #[test]
    fn a_number_that_can_be_two_is_neither() {
        let (us, ireland, short) = (Some("+14155550100"), Some("+353861234567"), Some("72345"));
        let one = |raw: &str, region: Option<&str>, ours: Option<&str>| {
            let facts = read(raw, region, ours).unwrap().one();
            facts.map(|facts| String::from(facts.address))
        };
        // Area 479 is Arkansas, 47 is Norway.
        match read("4794567890", None, us).unwrap() {
            Reading::Either { home, abroad } => {
                assert_eq!(home.unwrap().address.as_str(), "+14794567890");
                assert_eq!(abroad.address.as_str(), "+4794567890");
            }
            Reading::One(facts) => panic!("{facts:?}"),
        }
        for (raw, region, ours, number) in [
            ("4794567890", Some("US"), us, "+14794567890"),
            ("4794567890", Some("US"), ireland, "+14794567890"),
            ("+4794567890", None, us, "+4794567890"),
            ("tel:+4794567890", Some("US"), us, "+4794567890"),
            ("004794567890", Some("US"), us, "+4794567890"),
            ("14794567890", None, us, "+14794567890"),
            ("4697206211", None, us, "+14697206211"),
            ("0861234567", None, ireland, "+353861234567"),
            ("353861234567", None, us, "+353861234567"),
            // A country that is none reads nothing wrong.
            ("+353861234567", Some("UK"), us, "+353861234567"),
        ] {
            assert_eq!(
                one(raw, region, ours).as_deref(),
                Some(number),
                "{raw} {region:?} {ours:?}"
            );
        }
        // Nobody knows where home is.
        assert_eq!(one("4794567890", None, short), None);
        assert_eq!(one("14697206211", None, None), None);
        assert_eq!(one("+14697206211", None, None).as_deref(), Some("+14697206211"));
    }

    #[test]
    fn countries_are_those_that_have_numbers() {
        for (letters, is) in [
            ("IE", true),
            ("GB", true),
            ("UK", false),
            ("ZZ", false),
            ("ie", false),
            ("001", false),
        ] {
            assert_eq!(is_region(letters), is, "{letters}");
        }
    }

    #[test]
    fn a_callers_number_comes_in_every_shape() {
        for (raw, region) in [
            ("+353861234567", None),
            (" +353 86 123 4567", Some("US")),
            ("353861234567", None),
            ("00353861234567", None),
            ("0861234567", Some("IE")),
            ("086 123 4567", Some("ie")),
            ("tel:+353861234567", None),
            ("TEL:+353-86-123-4567;phone-context=x", None),
            ("sip:+353861234567@sbc.example.com:5061", None),
            ("<sip:0861234567@sbc.example.com>", Some("IE")),
            ("353861234567", Some("IE")),
        ] {
            assert_eq!(address(raw, region).as_deref(), Some("+353861234567"), "{raw}");
        }
        assert_eq!(
            address("(415) 555-0123", Some("US")).as_deref(),
            Some("+14155550123")
        );
        assert_eq!(address("4155550123", Some("US")).as_deref(), Some("+14155550123"));
    }

    #[test]
    fn nobody_can_be_texted_at_these() {
        for raw in [
            "",
            " ",
            "anonymous",
            "Restricted",
            "unknown",
            "[0]",
            "{ANI}",
            "%5B0%5D",
            "7001",
            "12",
            "0",
            "sip:anonymous@anonymous.invalid",
            "sip:7001@pbx.example.com",
            "tel:",
            "+",
            "1234567890123456789",
        ] {
            assert_eq!(address(raw, Some("IE")), None, "{raw}");
            assert_eq!(read(raw, None, None), None, "{raw}");
        }
    }

    #[test]
    fn what_no_plan_knows_is_told_so() {
        let facts = read("+999123456789", None, None).unwrap().one();
        assert!(!facts.unwrap().textable);
    }
}
