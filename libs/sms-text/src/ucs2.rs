//! UCS-2 as phones really use it: UTF-16, the higher octet first.

/// The text's octets.
pub fn encode(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

/// The text of these octets. Half a surrogate pair, and half a unit at the end, become U+FFFD: nothing vanishes unseen.
pub fn decode(octets: &[u8]) -> String {
    let (units, rest) = octets.as_chunks::<2>();
    let units = units.iter().map(|unit| u16::from_be_bytes(*unit));
    let mut text: String = char::decode_utf16(units)
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    if !rest.is_empty() {
        text.push(char::REPLACEMENT_CHARACTER);
    }
    text
}

/// How many 16-bit units the text takes.
pub(crate) fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn halves_are_seen() {
        assert_eq!(decode(&[0x00, 0x41, 0xd8, 0x3d]), "A\u{fffd}");
        assert_eq!(decode(&[0x00, 0x41, 0x00]), "A\u{fffd}");
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes(text in any::<String>()) {
            let octets = encode(&text);
            prop_assert_eq!(octets.len(), 2 * units(&text));
            prop_assert_eq!(decode(&octets), text);
        }
    }
}
