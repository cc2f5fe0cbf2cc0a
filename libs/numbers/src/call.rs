//! The number of a caller, as a telephone system writes it.

use crate::{Facts, examine};
use ccm_model::Address;

/// What the number of a call tells, in any shape: with and without `+` or `tel:`, as a SIP address, as it is dialled in `region` (two letters
/// of a country). `None` for what nobody can be called back at: nothing, `anonymous`, an extension, a placeholder that was not filled.
pub fn of_call(raw: &str, region: Option<&str>) -> Option<Facts> {
    let raw = raw.trim();
    // A query makes a space of a `+`.
    let bare = raw.trim_start_matches(['<', '"', '\'', ' ']);
    let bare = ["tel:", "sips:", "sip:"]
        .iter()
        .find_map(|scheme| {
            let head = bare.get(..scheme.len())?;
            head.eq_ignore_ascii_case(scheme).then(|| &bare[scheme.len()..])
        })
        .unwrap_or(bare);
    let end = bare.find(['@', ';', '>', '?', '"', '\'']).unwrap_or(bare.len());
    let number = bare[..end].trim();
    if number.is_empty() || number.chars().any(|c| c.is_alphabetic() || "[]{}$%".contains(c)) {
        return None;
    }
    let full = number.starts_with('+').then(|| number.to_owned());
    // International without its `+`: as switches pass it on, or with the prefix of most countries.
    let bare_digits: String = number.chars().filter(char::is_ascii_digit).collect();
    let international = bare_digits.strip_prefix("00").unwrap_or(&bare_digits);
    let guesses = [
        full.map(|number| (number, None)),
        region.map(|region| (number.to_owned(), Some(region))),
        Some((format!("+{international}"), None)),
    ];
    let facts = guesses
        .into_iter()
        .flatten()
        .filter_map(|(number, region)| examine(&number, region).ok())
        .filter(|facts| matches!(facts.address, Address::E164(_)));
    let mut unknown = None;
    for facts in facts {
        if facts.valid == Some(true) {
            return Some(facts);
        }
        unknown.get_or_insert(facts);
    }
    // A plan can be newer than ours: what was written in full stays as it is.
    unknown.filter(|_| number.starts_with('+'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(raw: &str, region: Option<&str>) -> Option<String> {
        of_call(raw, region).map(|facts| String::from(facts.address))
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
            assert_eq!(address(raw, None), None, "{raw}");
        }
    }

    #[test]
    fn what_no_plan_knows_is_told_so() {
        let facts = of_call("+999123456789", None).unwrap();
        assert!(!facts.textable);
    }
}
