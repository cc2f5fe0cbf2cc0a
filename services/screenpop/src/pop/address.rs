//! What the page's address says: who calls, from which number texts leave, and what else it claims. Pure.

use ccm_model::{Address, screenpop_settings::Parameters};
use ccm_numbers::{Home, Reading, bare, of_call};
use serde::{Deserialize, Serialize};

/// What an address claims beside numbers. Nobody proves any of it. Deliberately without `Debug`: it may name people.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Claims {
    pub agent: Option<String>,
    pub contact: Option<String>,
    pub skillset: Option<String>,
    pub name: Option<String>,
    /// Why the number has to be typed in.
    pub hint: Option<Hint>,
    /// The address named a sender that is none of the tenant's numbers.
    pub strange_sender: bool,
}

/// Why a call brings no number that can be texted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hint {
    /// There is none.
    Missing,
    /// AACC has not put it in: a literal `[0]`.
    Placeholder,
    Anonymous,
    Extension,
    Unreadable,
    /// It stands in the page, and can be read in two ways.
    WhichCountry,
}

/// Whoever calls.
#[derive(Debug, PartialEq, Eq)]
pub enum Called {
    Number(Address),
    /// As it was written: it can be read in two ways.
    Unclear(String),
}

/// Parameters of an address or of a signed link, in their order.
pub struct Given(pub Vec<(String, String)>);

/// The longest claim that is kept; characters.
const LONGEST_CLAIM: usize = 100;

const ANONYMOUS: [&str; 9] = [
    "anonymous",
    "restricted",
    "private",
    "unknown",
    "unavailable",
    "withheld",
    "blocked",
    "none",
    "null",
];

impl Given {
    /// A parameter, whatever the case of its name. What AACC has not put in, `[0]`, is as if it were not there.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut given = self.0.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        given.find_map(|(_, value)| Some(value.trim()).filter(|value| !value.is_empty()))
    }

    fn claim(&self, name: &str) -> Option<String> {
        let value = self.get(name).filter(|value| !is_placeholder(value))?;
        let shown = value.chars().filter(|c| !c.is_control()).take(LONGEST_CLAIM);
        Some(shown.collect())
    }

    /// What it claims.
    pub fn claims(&self, names: &Parameters) -> Claims {
        Claims {
            agent: self.claim(&names.agent),
            contact: self.claim(&names.contact),
            skillset: self.claim(&names.skillset),
            name: self.claim(&names.name),
            hint: None,
            strange_sender: false,
        }
    }

    pub fn order(&self, names: &Parameters) -> String {
        self.claim(&names.order).unwrap_or_default()
    }

    /// The number of the tenant's that texts leave from, as it is written.
    pub fn dialed(&self) -> Option<&str> {
        self.get("dialed").filter(|value| !is_placeholder(value))
    }

    /// Whoever calls.
    pub fn caller(&self, names: &Parameters, home: Home<'_>) -> Result<Called, Hint> {
        // The first that is one; else what is wrong with the first that is there.
        let given = [names.caller.as_str(), "dest"].map(|name| self.get(name));
        let mut read = given.into_iter().flatten().map(|raw| read_caller(raw, home));
        match read.next() {
            None => Err(Hint::Missing),
            Some(Ok(caller)) => Ok(caller),
            Some(Err(hint)) => read.find_map(Result::ok).ok_or(hint),
        }
    }
}

/// Square brackets, also where the address was encoded twice.
fn is_placeholder(value: &str) -> bool {
    value.starts_with('[') && value.ends_with(']') || value.to_ascii_lowercase().starts_with("%5b")
}

fn read_caller(raw: &str, home: Home<'_>) -> Result<Called, Hint> {
    if is_placeholder(raw) {
        return Err(Hint::Placeholder);
    }
    let bare = bare(raw);
    if bare.is_empty() {
        return Err(Hint::Missing);
    }
    if ANONYMOUS.contains(&bare.to_ascii_lowercase().as_str()) {
        return Err(Hint::Anonymous);
    }
    let digits = bare.chars().filter(char::is_ascii_digit).count();
    let has_letters = bare.chars().any(char::is_alphabetic);
    if !has_letters && (1..=6).contains(&digits) {
        return Err(Hint::Extension);
    }
    match of_call(bare, home) {
        Some(Reading::One(facts)) => Ok(Called::Number(facts.address)),
        Some(Reading::Either { .. }) => Ok(Called::Unclear(bare.to_owned())),
        None => Err(Hint::Unreadable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> Given {
        Given(
            pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
        )
    }

    const NOWHERE: Home<'_> = Home {
        region: None,
        ours: None,
    };

    /// For a tenant with a number in the US.
    fn caller(raw: &str, region: Option<&str>) -> Result<String, Hint> {
        let ours = Address::parse("+14155550100").unwrap();
        let home = Home {
            region,
            ours: Some(&ours),
        };
        let caller = given(&[("dest", raw)]).caller(&Parameters::default(), home);
        caller.map(|called| match called {
            Called::Number(address) => address.as_str().to_owned(),
            Called::Unclear(written) => format!("{written}?"),
        })
    }

    #[test]
    fn callers_come_in_every_shape() {
        for (raw, region) in [
            ("+353861234567", None),
            ("353861234567", None),
            ("00353861234567", None),
            ("353861234567", Some("US")),
            ("0861234567", Some("IE")),
            ("086 123 4567", Some("IE")),
            ("(086) 123-4567", Some("IE")),
            ("tel:+353861234567", None),
            ("TEL:+353-86-123-4567;ext=7", None),
            ("sip:+353861234567@pbx.example;user=phone", None),
            ("\"Ann\" <sip:+353861234567@pbx.example>", None),
            (" +353861234567 ", Some("IE")),
        ] {
            assert_eq!(
                caller(raw, region).as_deref(),
                Ok("+353861234567"),
                "{raw} {region:?}"
            );
        }
        // As the application notes show it: with its country, and without `+`.
        assert_eq!(caller("14697206211", None).as_deref(), Ok("+14697206211"));
        assert_eq!(caller("14697206211", Some("IE")).as_deref(), Ok("+14697206211"));
        assert_eq!(caller("4697206211", Some("US")).as_deref(), Ok("+14697206211"));
        // Arkansas or Norway.
        assert_eq!(caller("4794567890", None).as_deref(), Ok("4794567890?"));
    }

    #[test]
    fn who_brings_no_number_is_told_why() {
        for (raw, hint) in [
            ("", Hint::Missing),
            ("   ", Hint::Missing),
            ("tel:", Hint::Missing),
            ("[0]", Hint::Placeholder),
            ("%5B0%5D", Hint::Placeholder),
            ("anonymous", Hint::Anonymous),
            ("sip:Anonymous@anonymous.invalid", Hint::Anonymous),
            ("Restricted", Hint::Anonymous),
            ("7000", Hint::Extension),
            ("sip:7000@pbx.example", Hint::Extension),
            ("0861234567", Hint::Unreadable),
            ("Ann", Hint::Unreadable),
            ("12345678901234567890", Hint::Unreadable),
        ] {
            assert_eq!(caller(raw, None), Err(hint), "{raw}");
        }
        let none = given(&[("dialed", "19717122614")]);
        assert_eq!(
            none.caller(&Parameters::default(), NOWHERE).unwrap_err(),
            Hint::Missing
        );
    }

    #[test]
    fn a_tenant_names_its_parameters() {
        let names = Parameters {
            caller: "CLID".to_owned(),
            agent: "login".to_owned(),
            ..Parameters::default()
        };
        let address = given(&[
            ("auth", "key"),
            ("clid", "+353861234567"),
            ("Login", "Mary\u{7} Ní Bhriain"),
            ("skillset", "[3]"),
            ("contact", "4711"),
        ]);
        let claims = address.claims(&names);
        assert_eq!(claims.agent.as_deref(), Some("Mary Ní Bhriain"));
        assert_eq!((claims.contact.as_deref(), claims.skillset), (Some("4711"), None));
        let number = Called::Number("+353861234567".parse().unwrap());
        assert_eq!(address.caller(&names, NOWHERE).unwrap(), number);
        // A parameter that AACC left alone does not hide the other one.
        let both = given(&[("clid", "[0]"), ("dest", "+353861234567")]);
        assert!(both.caller(&names, NOWHERE).is_ok());
        let neither = given(&[("clid", "[0]"), ("dest", "7000")]);
        assert_eq!(neither.caller(&names, NOWHERE).unwrap_err(), Hint::Placeholder);
    }
}
