use std::fmt;

/// A W3C `traceparent`, stored with a message so that one trace follows the text through every role.
#[derive(Clone, PartialEq, Eq)]
pub struct TraceParent(String);

impl TraceParent {
    /// Takes a well-formed version-00 `traceparent` (`00-<32 hex>-<16 hex>-<2 hex>`), else nothing.
    pub fn parse(raw: &str) -> Option<Self> {
        let mut parts = raw.split('-');
        let hex = |part: Option<&str>, len: usize| {
            part.is_some_and(|p| {
                p.len() == len
                    && p.bytes()
                        .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
            })
        };
        let ok = parts.next() == Some("00")
            && hex(parts.next(), 32)
            && hex(parts.next(), 16)
            && hex(parts.next(), 2)
            && parts.next().is_none();
        ok.then(|| Self(raw.to_owned()))
    }

    /// The header's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_only_the_w3c_form() {
        assert!(TraceParent::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").is_some());
        for bad in [
            "",
            "00-0af7-b7ad-01",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "x",
        ] {
            assert!(TraceParent::parse(bad).is_none(), "{bad}");
        }
    }
}
