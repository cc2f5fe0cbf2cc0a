//! The quirks of text on its way through AACC (PROTOCOL section 7, application notes 2.2 observation 2).
//!
//! AACC does not carry `<` and `>`. What agents send comes with HTML entities; agents who need an angle bracket type its
//! look-alike `‹` or `›`. What a customer writes reaches the agent with `&lt;` and `&gt;` in place of the brackets.
//!
//! A label such as `[Agent]` in front of a text is left as it is until [`split_label`] takes it off.

mod label;

use std::borrow::Cow;

pub use label::{ALL_AGENTS_LEFT, NO_AGENTS, is_label, split_label, system_notice};

/// Longest entity that is looked for, between `&` and `;`: `#x10FFFF` and a leading zero or two.
const LONGEST_ENTITY: usize = 10;

/// What the customer reads of what an agent (or AACC) wrote: entities decoded once (`&amp;lt;` becomes `&lt;`),
/// look-alike brackets turned back. What is no entity stays as it is.
pub fn from_agent(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '‹', '›', '\u{a0}']) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (c, used) = match entity(rest) {
            Some(decoded) => decoded,
            None => (c, c.len_utf8()),
        };
        out.push(match c {
            '‹' => '<',
            '›' => '>',
            // No alphabet of SMS but UCS-2 has the no-break space: one would triple the price of a text.
            '\u{a0}' => ' ',
            c => c,
        });
        rest = &rest[used..];
    }
    Cow::Owned(out)
}

/// What the agent reads of what a customer wrote: `<` and `>` swapped for `‹` and `›` if the tenant wants it.
pub fn to_agent(text: &str, swap_angle_brackets: bool) -> Cow<'_, str> {
    if !swap_angle_brackets || !text.contains(['<', '>']) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace('<', "‹").replace('>', "›"))
}

/// The character of the entity that `text` starts with, and the bytes it takes.
fn entity(text: &str) -> Option<(char, usize)> {
    let inner = text.strip_prefix('&')?;
    let end = inner.bytes().take(LONGEST_ENTITY + 1).position(|b| b == b';')?;
    let name = &inner[..end];
    let c = match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        "lsaquo" => '‹',
        "rsaquo" => '›',
        _ => numeric(name.strip_prefix('#')?)?,
    };
    Some((c, end + 2))
}

fn numeric(digits: &str) -> Option<char> {
    let (digits, radix) = match digits.strip_prefix(['x', 'X']) {
        Some(hex) => (hex, 16),
        None => (digits, 10),
    };
    // from_str_radix takes a sign, an entity has none; a NUL cannot be stored.
    if !digits.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    char::from_u32(u32::from_str_radix(digits, radix).ok()?).filter(|c| *c != '\0')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn entities_are_decoded_once() {
        for (from, to) in [
            ("1 &lt; 2 &amp; 3", "1 < 2 & 3"),
            ("1 &lt; 2 &amp;&amp; 3 &gt; 2", "1 < 2 && 3 > 2"),
            ("&amp;lt;", "&lt;"),
            ("&amp;amp;amp;", "&amp;amp;"),
            ("&quot;it&#39;s&quot; &apos;", "\"it's\" '"),
            ("&#60;&#x3e;&#X3E;&#x1F600;", "<>>😀"),
            ("a&nbsp;b&#160;c\u{a0}d", "a b c d"),
            ("‹b› &lsaquo;i&rsaquo; &#8249;", "<b> <i> <"),
            ("[Agent] Welcome", "[Agent] Welcome"),
            ("AT&T & co; R&D; &", "AT&T & co; R&D; &"),
            (
                "&lt &; &#; &#x; &#+60; &#xD800; &#x110000; &#0; &#99999999999;",
                "&lt &; &#; &#x; &#+60; &#xD800; &#x110000; &#0; &#99999999999;",
            ),
            ("&é; &😀;", "&é; &😀;"),
        ] {
            assert_eq!(from_agent(from), to, "{from}");
        }
    }

    #[test]
    fn brackets_are_swapped_only_for_tenants_that_want_it() {
        assert_eq!(to_agent("a < b > c", true), "a ‹ b › c");
        assert_eq!(to_agent("a < b > c", false), "a < b > c");
    }

    fn escape(text: &str) -> String {
        text.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace('"', "&quot;")
            .replace('\'', "&#39;")
    }

    proptest! {
        #[test]
        fn escaped_text_comes_back(text in "[^‹›\u{a0}]*") {
            let escaped = escape(&text);
            prop_assert_eq!(&*from_agent(&escaped), text);
        }

        #[test]
        fn swapped_brackets_come_back(text in "[^‹›\u{a0}&]*") {
            let swapped = to_agent(&text, true);
            prop_assert!(!swapped.contains(['<', '>']));
            prop_assert_eq!(&*from_agent(&swapped), &*text);
        }

        #[test]
        fn text_without_quirks_is_not_touched(text in "[^‹›\u{a0}&]*") {
            prop_assert!(matches!(from_agent(&text), Cow::Borrowed(_)));
        }

        #[test]
        fn any_text_is_taken(text in ".*", entities in "(&#?[a-z0-9]{0,6};?|[‹›é😀]){0,9}") {
            from_agent(&text);
            prop_assert!(from_agent(&entities).len() <= entities.len());
        }

        #[test]
        fn every_character_can_be_written_by_its_number(c in any::<char>()) {
            prop_assume!(!['\0', '‹', '›', '\u{a0}'].contains(&c));
            for entity in [format!("&#{};", c as u32), format!("&#x{:x};", c as u32)] {
                prop_assert_eq!(&*from_agent(&entity), c.to_string());
            }
        }
    }
}
