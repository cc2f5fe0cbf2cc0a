//! What an account of each kind is made of: one table per kind, from which its JSON is checked, and from which the admin
//! API's document is written.

use crate::AccountError;
use serde_json::{Map, Value};
use url::{Host, Url};

/// The longest secret, in characters.
const LONGEST_SECRET: usize = 500;
const LONGEST_ADDRESS: usize = 2000;
const LONGEST_TEXT: usize = 500;
const TIMEOUT_MS: std::ops::RangeInclusive<u64> = 100..=60_000;

/// What a kind's settings and secret hold.
#[derive(Debug)]
pub struct Shape {
    /// What people call it.
    pub title: &'static str,
    /// What everybody may see.
    pub settings: &'static [Field],
    /// What is sealed and never shown.
    pub secret: &'static [Field],
}

/// One member of the settings or of the secret.
#[derive(Debug)]
pub struct Field {
    pub name: &'static str,
    /// What it is for, in a sentence or two.
    pub about: &'static str,
    pub form: Form,
    pub required: bool,
    /// For the document and for tests.
    pub example: Option<&'static str>,
}

/// What a member looks like.
#[derive(Debug, Clone, Copy)]
pub enum Form {
    /// 1 to 500 characters.
    Text,
    /// A text of its own form.
    Word(&'static Word),
    /// Visible ASCII characters, from so many to 500.
    Secret { least: usize },
    /// Where to send to: https, or http on this machine.
    Address,
    /// 100 to 60,000.
    Milliseconds,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// A JSON object or array, whose inside the provider's folder checks.
    Json,
}

/// A text that has a form of its own.
#[derive(Debug)]
pub struct Word {
    pub fits: fn(&str) -> bool,
    /// Follows the field's name in a sentence.
    pub problem: &'static str,
    pub remedy: &'static str,
}

impl Field {
    const fn new(name: &'static str, form: Form, about: &'static str) -> Self {
        Self {
            name,
            about,
            form,
            required: false,
            example: None,
        }
    }

    pub(crate) const fn text(name: &'static str, about: &'static str) -> Self {
        Self::new(name, Form::Text, about)
    }

    pub(crate) const fn word(name: &'static str, word: &'static Word, about: &'static str) -> Self {
        Self::new(name, Form::Word(word), about)
    }

    pub(crate) const fn secret(name: &'static str, least: usize, about: &'static str) -> Self {
        Self::new(name, Form::Secret { least }, about)
    }

    pub(crate) const fn address(name: &'static str, about: &'static str) -> Self {
        Self::new(name, Form::Address, about)
    }

    pub(crate) const fn one_of(
        name: &'static str,
        names: &'static [&'static str],
        about: &'static str,
    ) -> Self {
        Self::new(name, Form::OneOf(names), about)
    }

    pub(crate) const fn json(name: &'static str, about: &'static str) -> Self {
        Self::new(name, Form::Json, about)
    }

    pub(crate) const fn needed(mut self) -> Self {
        self.required = true;
        self
    }

    pub(crate) const fn like(mut self, example: &'static str) -> Self {
        self.example = Some(example);
        self
    }
}

/// Every provider that is sent to has it.
pub(crate) const TIMEOUT: Field = Field::new(
    "timeout_ms",
    Form::Milliseconds,
    "How long the provider may take to answer, in milliseconds. Left out: 15000.",
);

/// How closely an account is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// Whether it can be used: it is stored already.
    Stored,
    /// Also whether its secrets are long enough, and whether everybody may see its settings.
    Given,
}

impl Shape {
    /// Checks settings that somebody gives. They can still lack what another member asks for: [`crate::Account::parse`]
    /// looks at the whole.
    pub fn check_settings(&self, settings: &Value) -> Result<(), AccountError> {
        check(
            "settings",
            object("settings", settings)?,
            self.settings,
            Look::Given,
        )
    }

    /// Checks a secret that somebody gives; the same holds.
    pub fn check_secret(&self, secret: &Value) -> Result<(), AccountError> {
        check("secret", object("secret", secret)?, self.secret, Look::Given)
    }

    /// To which servers an account's secret goes, in checked settings: nothing is a provider's own.
    pub fn goes_to(&self, settings: &Value) -> Vec<url::Origin> {
        self.settings
            .iter()
            .filter(|field| matches!(field.form, Form::Address))
            .filter_map(|field| Url::parse(settings.get(field.name)?.as_str()?).ok())
            .map(|url| url.origin())
            .collect()
    }
}

fn object<'a>(place: &'static str, value: &'a Value) -> Result<&'a Map<String, Value>, AccountError> {
    value.as_object().ok_or_else(|| AccountError {
        place,
        field: String::new(),
        problem: "is not an object",
        remedy: "docs/providers.md describes it",
    })
}

/// Looks at each member. `null` is as good as left out.
pub(crate) fn check(
    place: &'static str,
    map: &Map<String, Value>,
    fields: &[Field],
    look: Look,
) -> Result<(), AccountError> {
    let error = |field: &str, (problem, remedy)| AccountError {
        place,
        field: field.to_owned(),
        problem,
        remedy,
    };
    if let Some(name) = map.keys().find(|name| fields.iter().all(|f| f.name != **name)) {
        // Whoever mixed up names and values shall not read a secret in a log.
        let name: String = name.chars().take(40).collect();
        return Err(error(
            &name,
            (
                "is not known for this kind of account",
                "docs/providers.md lists what there is",
            ),
        ));
    }
    for field in fields {
        match map.get(field.name).filter(|value| !value.is_null()) {
            None if field.required => {
                let missing = ("is missing", "docs/providers.md says what it is");
                return Err(error(field.name, missing));
            }
            None => {}
            Some(value) => field
                .form
                .check(value, look)
                .map_err(|wrong| error(field.name, wrong))?,
        }
    }
    Ok(())
}

/// What is wrong, and what to do about it.
type Wrong = (&'static str, &'static str);

impl Form {
    fn check(self, value: &Value, look: Look) -> Result<(), Wrong> {
        match self {
            Self::Milliseconds => match value.as_u64() {
                Some(ms) if TIMEOUT_MS.contains(&ms) => Ok(()),
                _ => Err((
                    "is not a whole number from 100 to 60000",
                    "leave it out for 15000",
                )),
            },
            Self::Json if value.is_object() || value.is_array() => Ok(()),
            Self::Json => Err((
                "is not an object or a list",
                "docs/providers.md shows what it looks like",
            )),
            _ => {
                let text = value.as_str().filter(|text| !text.is_empty());
                self.check_text(
                    text.ok_or(("is not a text, or an empty one", "put it into quotes"))?,
                    look,
                )
            }
        }
    }

    fn check_text(self, text: &str, look: Look) -> Result<(), Wrong> {
        match self {
            Self::Text if text.chars().count() > LONGEST_TEXT || text.chars().any(char::is_control) => Err((
                "is longer than 500 characters, or holds a line end",
                "write it in one line",
            )),
            Self::Word(word) if !(word.fits)(text) => Err((word.problem, word.remedy)),
            Self::Secret { least } if look == Look::Given => secret(text, least),
            Self::OneOf(names) if !names.contains(&text) => Err((
                "is not one of the names that there are",
                "docs/providers.md lists them",
            )),
            Self::Address => address(text, look),
            _ => Ok(()),
        }
    }
}

fn secret(text: &str, least: usize) -> Result<(), Wrong> {
    const AGAIN: &str = "copy it again from where it was made, without spaces around it";
    if text.len() < least {
        Err((
            "is too short to be a secret",
            "docs/providers.md says how long it is",
        ))
    } else if text.len() > LONGEST_SECRET {
        Err(("is longer than 500 characters", AGAIN))
    } else if !text.bytes().all(|b| b.is_ascii_graphic()) {
        Err(("holds a space, a line end or a letter outside ASCII", AGAIN))
    } else {
        Ok(())
    }
}

/// Secrets and texts do not cross a network in the clear.
fn address(text: &str, look: Look) -> Result<(), Wrong> {
    const LIKE: &str = "write it like https://api.example.com";
    let url = Url::parse(text).map_err(|_| ("is not an address", LIKE))?;
    let here = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if url.scheme() != "https" && !(url.scheme() == "http" && here) {
        return Err(("must be https; http is taken on this machine only", LIKE));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(("must not hold a user or a password", "put them into the secret"));
    }
    if look == Look::Given {
        if text.len() > LONGEST_ADDRESS {
            return Err(("is longer than 2000 characters", LIKE));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err((
                "holds a ? or #, where secrets stand that every reader would see",
                LIKE,
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ccm_model::ProviderKind;

    /// An account of each kind with everything in it.
    fn full(fields: &[Field]) -> Value {
        let example = |field: &Field| match field.form {
            Form::Milliseconds => Value::from(1000),
            Form::Json => serde_json::from_str(field.example.unwrap_or("{}")).unwrap(),
            Form::OneOf(names) => Value::from(names[0]),
            Form::Secret { .. } => Value::from(format!("hidden-{}-0123456789", field.name)),
            Form::Address => Value::from(field.example.unwrap_or("https://sms.example.com/x")),
            _ => Value::from(field.example.unwrap_or("0123456789abcdef0123456789abcdef")),
        };
        fields
            .iter()
            .map(|field| (field.name.to_owned(), example(field)))
            .collect::<Map<_, _>>()
            .into()
    }

    #[test]
    fn every_kinds_example_is_an_account_and_each_needed_member_is_missed() {
        for kind in ProviderKind::ALL {
            let shape = crate::shape(*kind);
            let (settings, secret) = (full(shape.settings), full(shape.secret));
            shape.check_settings(&settings).unwrap();
            shape.check_secret(&secret).unwrap();
            let parse = |settings: &Value, secret: &Value| {
                crate::Account::parse(*kind, settings, secret.to_string().as_bytes())
            };
            let account = parse(&settings, &secret).unwrap_or_else(|e| panic!("{kind}: {e}"));
            assert_eq!(account.kind(), *kind);
            for field in shape.secret {
                let hidden = secret[field.name].as_str().unwrap();
                let shown = format!("{account:?}");
                assert!(
                    !matches!(field.form, Form::Secret { .. }) || !shown.contains(hidden),
                    "{kind} shows {}",
                    field.name
                );
            }
            for (place, fields) in [("settings", shape.settings), ("secret", shape.secret)] {
                for field in fields {
                    let (mut settings, mut secret) = (settings.clone(), secret.clone());
                    let half = if place == "settings" {
                        &mut settings
                    } else {
                        &mut secret
                    };
                    half[field.name] = Value::Null;
                    if field.required {
                        let e = parse(&settings, &secret).unwrap_err();
                        assert_eq!((e.place, e.field.as_str()), (place, field.name), "{kind}");
                    }
                    let half = if place == "settings" {
                        &mut settings
                    } else {
                        &mut secret
                    };
                    half[field.name] = Value::Bool(true);
                    let e = parse(&settings, &secret).unwrap_err();
                    assert_eq!((e.place, e.field.as_str()), (place, field.name), "{kind}");
                }
            }
        }
    }

    #[test]
    fn what_is_given_is_looked_at_more_closely_than_what_is_stored() {
        let wrong = |form: Form, text: &str, look| form.check(&Value::from(text), look).err().map(|w| w.0);
        let key = Form::Secret { least: 16 };
        for (form, text, given, stored) in [
            (key, "short", Some("is too short to be a secret"), None),
            (
                key,
                "two words, and long enough",
                Some("holds a space, a line end or a letter outside ASCII"),
                None,
            ),
            (key, "0123456789abcdef", None, None),
            (
                Form::Address,
                "https://x/?key=1",
                Some("holds a ? or #, where secrets stand that every reader would see"),
                None,
            ),
            (
                Form::Address,
                "http://x/",
                Some("must be https; http is taken on this machine only"),
                Some("must be https; http is taken on this machine only"),
            ),
            (Form::Address, "http://[::1]:8090", None, None),
            (
                Form::Address,
                "https://me:pw@x",
                Some("must not hold a user or a password"),
                Some("must not hold a user or a password"),
            ),
        ] {
            assert_eq!(wrong(form, text, Look::Given), given, "{text}");
            assert_eq!(wrong(form, text, Look::Stored), stored, "{text}");
        }
        for ms in [
            Value::from(99),
            Value::from(60_001),
            Value::from(1.5),
            Value::from("100"),
        ] {
            assert!(Form::Milliseconds.check(&ms, Look::Stored).is_err());
        }
    }
}
