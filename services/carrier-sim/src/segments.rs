//! How many SMS a text takes, by GSM 03.38 and <https://www.twilio.com/docs/glossary/what-sms-character-limit>: 160 or
//! 153 septets each, or 70 or 67 UTF-16 units where one character is not in GSM's alphabet.

/// GSM's basic alphabet, save what ASCII has as well.
const GSM: &str = "£¥èéùìòÇØøÅåΔΦΓΛΩΠΨΣΘΞÆæßÉ¤¡ÄÖÑÜ§¿äöñüà";
/// Two septets each: an escape goes first.
const EXTENSION: &str = "^{}\\[~]|€\u{c}";

pub(crate) fn segments(text: &str) -> usize {
    match text.chars().map(septets).collect::<Option<Vec<_>>>() {
        Some(sizes) => pack(&sizes, 160, 153),
        None => pack(&text.chars().map(char::len_utf16).collect::<Vec<_>>(), 70, 67),
    }
}

/// No character is cut in two.
fn pack(sizes: &[usize], one: usize, many: usize) -> usize {
    if sizes.iter().sum::<usize>() <= one {
        return 1;
    }
    let (mut count, mut used) = (1, 0);
    for size in sizes {
        if used + size > many {
            count += 1;
            used = 0;
        }
        used += size;
    }
    count
}

fn septets(c: char) -> Option<usize> {
    if EXTENSION.contains(c) {
        return Some(2);
    }
    let basic = match c {
        '`' => false,
        '\n' | '\r' | ' '..='~' => true,
        _ => GSM.contains(c),
    };
    basic.then_some(1)
}

#[cfg(test)]
mod tests {
    use super::segments;

    #[test]
    fn long_texts_take_several_sms() {
        for (text, expected) in [
            (String::new(), 1),
            ("x".repeat(160), 1),
            ("x".repeat(161), 2),
            ("x".repeat(306), 2),
            ("x".repeat(307), 3),
            ("é".repeat(160), 1),
            ("ê".repeat(70), 1),
            ("ê".repeat(71), 2),
            ("`".repeat(71), 2),
            ("€".repeat(80), 1),
            ("€".repeat(81), 2),
            ("x".repeat(152) + &"€".repeat(77), 3),
            ("😀".repeat(35), 1),
            ("😀".repeat(36), 2),
            ("😀".repeat(67), 3),
        ] {
            assert_eq!(segments(&text), expected, "{text}");
        }
    }
}
