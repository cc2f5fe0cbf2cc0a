/// How a message centre writes a message's id: some say it in another number system in a receipt than in the answer to the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MessageIds {
    #[default]
    Same,
    /// Hexadecimal in the answer, decimal in receipts.
    HexThenDecimal,
    /// Decimal in the answer, hexadecimal in receipts.
    DecimalThenHex,
}

impl MessageIds {
    /// The id of an answer, as [`Self::of_receipt`] gives it too.
    pub fn of_answer(self, raw: &str) -> String {
        match self {
            Self::Same => raw.to_owned(),
            Self::HexThenDecimal => number(raw, 16),
            Self::DecimalThenHex => number(raw, 10),
        }
    }

    pub fn of_receipt(self, raw: &str) -> String {
        match self {
            Self::Same => raw.to_owned(),
            Self::HexThenDecimal => number(raw, 10),
            Self::DecimalThenHex => number(raw, 16),
        }
    }
}

/// Decimal; as it is where it is no such number.
fn number(raw: &str, radix: u32) -> String {
    let digits = match radix {
        16 => raw.strip_prefix("0x").unwrap_or(raw),
        _ => raw,
    };
    u128::from_str_radix(digits, radix).map_or_else(|_| raw.to_owned(), |number| number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_same_in_both_number_systems() {
        for (ids, answer, receipt) in [
            (MessageIds::Same, "01Ab-7", "01Ab-7"),
            (MessageIds::HexThenDecimal, "3BCD", "15309"),
            (MessageIds::HexThenDecimal, "0x00003bcd", "0000015309"),
            (MessageIds::DecimalThenHex, "15309", "3bcd"),
            (MessageIds::HexThenDecimal, "not-a-number", "not-a-number"),
        ] {
            assert_eq!(ids.of_answer(answer), ids.of_receipt(receipt), "{ids:?} {answer}");
        }
    }
}
