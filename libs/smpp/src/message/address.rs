//! Addresses: a number, and of which type and plan it is (SMPP 3.4 sections 5.2.5 and 5.2.6).

use rusmpp::types::COctetString;

const INTERNATIONAL: u8 = 1;
const NETWORK_SPECIFIC: u8 = 3;
const ALPHANUMERIC: u8 = 5;
const ISDN: u8 = 1;

/// The digits of a number without a type are a full one from here on: no short code is that long.
const FULL: usize = 9;

/// An address as it stands in a PDU.
#[derive(Clone, PartialEq, Eq)]
pub struct Addr {
    pub ton: u8,
    pub npi: u8,
    /// Without `+`. At most 20 ASCII characters.
    pub value: String,
}

/// A number is private: only its type is shown.
impl std::fmt::Debug for Addr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Addr(ton {}, npi {})", self.ton, self.npi)
    }
}

/// What a message centre wants to be told instead of what an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Numbering {
    pub ton: Option<u8>,
    pub npi: Option<u8>,
}

impl Addr {
    /// Of an E.164 number with `+`, a short code, or an alphanumeric sender. `None` if it does not fit into a PDU.
    pub fn new(address: &str, numbering: Numbering) -> Option<Self> {
        let (value, ton, npi) = match address.strip_prefix('+') {
            Some(digits) => (digits, INTERNATIONAL, ISDN),
            None if address.bytes().all(|b| b.is_ascii_digit()) => (address, NETWORK_SPECIFIC, 0),
            None => (address, ALPHANUMERIC, 0),
        };
        (!value.is_empty() && value.len() <= 20 && value.is_ascii()).then(|| Self {
            ton: numbering.ton.unwrap_or(ton),
            npi: numbering.npi.unwrap_or(npi),
            value: value.to_owned(),
        })
    }

    /// The address as everybody else writes it.
    pub fn text(&self) -> String {
        let digits = self.value.strip_prefix('+').unwrap_or(&self.value);
        if self.ton == ALPHANUMERIC || digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return self.value.clone();
        }
        let full = digits.strip_prefix("00").unwrap_or(digits);
        let prefixed = full.len() < digits.len() || digits.len() < self.value.len();
        match self.ton {
            _ if prefixed => format!("+{full}"),
            INTERNATIONAL => format!("+{digits}"),
            0 if digits.len() >= FULL => format!("+{digits}"),
            _ => digits.to_owned(),
        }
    }

    pub(super) fn octets(&self) -> COctetString<1, 21> {
        self.value.parse().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_go_out_as_what_they_are() {
        for (text, ton, npi, value) in [
            ("+19995550123", 1, 1, "19995550123"),
            ("72345", 3, 0, "72345"),
            ("WEBTEXT", 5, 0, "WEBTEXT"),
        ] {
            let addr = Addr::new(text, Numbering::default()).unwrap();
            assert_eq!((addr.ton, addr.npi, addr.value.as_str()), (ton, npi, value));
            assert_eq!(addr.text(), text);
        }
        let told = Numbering {
            ton: Some(0),
            npi: Some(1),
        };
        let addr = Addr::new("72345", told).unwrap();
        assert_eq!((addr.ton, addr.npi), (0, 1));
        for bad in ["", "+", "123456789012345678901", "Büro"] {
            assert_eq!(Addr::new(bad, Numbering::default()), None, "{bad}");
        }
        assert!(!format!("{addr:?}").contains("72345"));
    }

    #[test]
    fn dialects_of_numbers_come_in_as_one() {
        for (ton, value, text) in [
            (1, "19995550123", "+19995550123"),
            (1, "+19995550123", "+19995550123"),
            (0, "+19995550123", "+19995550123"),
            (0, "0019995550123", "+19995550123"),
            (1, "0019995550123", "+19995550123"),
            (0, "19995550123", "+19995550123"),
            (0, "72345", "72345"),
            (3, "72345", "72345"),
            (6, "72345", "72345"),
            (2, "9995550123", "9995550123"),
            (5, "WEBTEXT", "WEBTEXT"),
            (5, "0800", "0800"),
            (0, "Bank", "Bank"),
            (0, "", ""),
        ] {
            let addr = Addr {
                ton,
                npi: 1,
                value: value.into(),
            };
            assert_eq!(addr.text(), text, "{ton} {value}");
        }
    }
}
