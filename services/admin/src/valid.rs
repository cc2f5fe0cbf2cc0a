use ccm_auth::Role;
use ccm_model::{Address, TenantId, settings::SettingRefused};
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::borrow::Cow;
use url::{Host, Position, Url};

/// A value that was understood and is not taken (422). Never repeats the value: it may be a number or a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct Refused {
    /// Where it stands in the request, such as `settings.send_url`.
    pub field: Cow<'static, str>,
    /// Follows the field's name in a sentence.
    pub problem: String,
    /// What to do about it.
    pub remedy: &'static str,
}

impl Refused {
    pub fn new(
        field: impl Into<Cow<'static, str>>,
        problem: impl Into<String>,
        remedy: &'static str,
    ) -> Self {
        Self {
            field: field.into(),
            problem: problem.into(),
            remedy,
        }
    }
}

impl From<SettingRefused> for Refused {
    fn from(refused: SettingRefused) -> Self {
        Self::new(refused.field, refused.problem, refused.remedy)
    }
}

/// A name for people: 1 to `max` characters on one line, no space at either end.
pub fn name(field: &'static str, text: &str, max: usize) -> Result<(), Refused> {
    let problem = if text.is_empty() {
        "is empty".to_owned()
    } else if text.chars().count() > max {
        format!("is longer than {max} characters")
    } else if text.chars().any(char::is_control) {
        "holds a line end or another control character".to_owned()
    } else if text.trim() != text {
        "begins or ends with a space".to_owned()
    } else {
        return Ok(());
    };
    Err(Refused::new(
        field,
        problem,
        "give a short name on one line, without spaces around it",
    ))
}

/// A role of its owner's kind: a tenant's in a tenant, else one of the platform's.
pub fn role_of(field: &'static str, role: Role, owner: TenantId) -> Result<(), Refused> {
    let in_tenant = owner != TenantId::PLATFORM;
    match (role.is_of_tenant() == in_tenant, in_tenant) {
        (true, _) => Ok(()),
        (false, true) => Err(Refused::new(
            field,
            "is a role of the platform",
            "choose tenant-admin or tenant-viewer, or make it under /v1 without a tenant",
        )),
        (false, false) => Err(Refused::new(
            field,
            "is a role of a tenant",
            "choose platform-admin, engineer or support, or make it under /v1/tenants/{tenant}",
        )),
    }
}

/// The country in whose way numbers without one are read.
pub fn region(letters: Option<&str>) -> Result<(), Refused> {
    match letters {
        Some(letters) if !ccm_numbers::is_region(&letters.to_ascii_uppercase()) => Err(Refused::new(
            "region",
            "is no country that has telephone numbers",
            "write it as ISO 3166-1 does, such as IE, US or GB",
        )),
        _ => Ok(()),
    }
}

/// A rate: 0.01 to 1000 a second.
pub fn rate(field: &'static str, per_second: f32) -> Result<(), Refused> {
    if (0.01..=1000.0).contains(&per_second) {
        return Ok(());
    }
    Err(Refused::new(
        field,
        "is not a rate from 0.01 to 1000 a second",
        "give what the other side allows, such as 1",
    ))
}

/// An address that is called over HTTP: https, or http on this machine, since texts do not cross a network in the clear;
/// no user name, query or fragment, since those hold secrets and this is shown to every reader.
pub fn http_url(field: &'static str, raw: &str) -> Result<(), Refused> {
    let refused = |problem: &str| Refused::new(field, problem, "write it like https://sms.example.com/send");
    let url = Url::parse(raw).map_err(|e| refused(&format!("is not an address: {e}")))?;
    let here = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if url.scheme() != "https" && !(url.scheme() == "http" && here) {
        return Err(refused(
            "does not begin with https:// (http:// is taken on this machine only)",
        ));
    }
    if raw.len() > 2000 {
        return Err(refused("is longer than 2000 characters"));
    }
    if url[Position::BeforeUsername..Position::BeforeHost].contains('@') {
        return Err(refused(
            "holds a user name or password, which every reader would see",
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refused(
            "holds a ? or #, where secrets stand that every reader would see",
        ));
    }
    Ok(())
}

/// Where something is reached: scheme, host and port as [`http_url`] has them, without a path or a slash at the end.
pub fn origin(field: &'static str, raw: &str) -> Result<(), Refused> {
    http_url(field, raw)?;
    let remedy = "write it like https://sms.example.com, without anything behind the host and port";
    if raw.len() > 300 {
        return Err(Refused::new(field, "is longer than 300 characters", remedy));
    }
    let url = Url::parse(raw).map_err(|e| Refused::new(field, format!("is not an address: {e}"), remedy))?;
    if url.path() != "/" || raw.ends_with('/') {
        return Err(Refused::new(field, "has a path, or a slash at its end", remedy));
    }
    Ok(())
}

/// Why somebody did something: 1 to `max` characters on one line, kept for later readers.
pub fn reason(field: &'static str, text: &str, max: usize) -> Result<(), Refused> {
    let problem = if text.trim().is_empty() {
        "is empty".to_owned()
    } else if text.chars().count() > max {
        format!("is longer than {max} characters")
    } else if text.chars().any(char::is_control) {
        "holds a line end or another control character".to_owned()
    } else {
        return Ok(());
    };
    Err(Refused::new(field, problem, "say on one line why it is done"))
}

/// A [`reason`] for something that is done about a customer. It is kept for ever in the audit, which does not name customers: not
/// with the number's last digits either, as people write it at home.
pub fn reason_about(field: &'static str, text: &str, max: usize, customer: &Address) -> Result<(), Refused> {
    const TELLING: usize = 7;
    reason(field, text, max)?;
    let digits = |text: &str| text.chars().filter_map(|c| c.to_digit(10)).collect::<Vec<_>>();
    let (told, number) = (digits(text), digits(customer.as_str()));
    let end = &number[number.len().saturating_sub(TELLING)..];
    if end.len() == TELLING && told.windows(TELLING).any(|part| part == end) {
        return Err(Refused::new(
            field,
            "has the number in it",
            "leave the number out: reasons are kept for ever, and must not name whom they are about",
        ));
    }
    Ok(())
}

/// A text; what else came is not repeated in the error, as serde would: a secret of digits may have come as a number.
pub fn unrepeated<'de, D: Deserializer<'de>>(json: D) -> Result<Option<SecretString>, D::Error> {
    match Value::deserialize(json)? {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.into())),
        _ => Err(serde::de::Error::custom("is not a text; put it into quotes")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_on_one_line() {
        assert_eq!(name("name", "Été & Söhne", 11), Ok(()));
        for bad in ["", " x", "x ", "a\nb", "a\0b", "123456789012"] {
            assert_eq!(name("name", bad, 11).unwrap_err().field, "name", "{bad:?}");
        }
    }

    #[test]
    fn rates_have_two_ends() {
        for good in [0.01, 1.0, 1000.0] {
            assert_eq!(rate("per_second", good), Ok(()));
        }
        for bad in [0.0, -1.0, 0.009, 1000.1, f32::NAN, f32::INFINITY] {
            assert!(rate("per_second", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_hold_no_secrets() {
        assert_eq!(http_url("send_url", "http://127.0.0.1:8090/send"), Ok(()));
        for bad in [
            "",
            "sms.example.com",
            "ftp://x",
            "http://sms.example.com/",
            "https://u:HIDDEN@x/",
            "https://x/?key=HIDDEN",
            "https://x/#y",
        ] {
            let refused = http_url("send_url", bad).unwrap_err();
            assert!(!refused.to_string().contains("HIDDEN"), "{bad}");
        }
        assert!(http_url("send_url", &format!("https://x/{}", "a".repeat(2000))).is_err());
    }

    #[test]
    fn an_origin_has_no_path() {
        for good in [
            "https://sms.example.com",
            "https://sms.example.com:8443",
            "http://127.0.0.1:8081",
        ] {
            assert_eq!(origin("webhook_base", good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "sms.example.com",
            "http://sms.example.com",
            "https://sms.example.com/",
            "https://sms.example.com/v1",
            "https://sms.example.com?",
            "https://u@sms.example.com",
            &format!("https://{}", "a.".repeat(150)),
        ] {
            assert!(origin("webhook_base", bad).is_err(), "{bad}");
        }
    }
}
