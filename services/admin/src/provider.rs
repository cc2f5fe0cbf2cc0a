//! What an account of each kind is made of. The SMS adapters read the same JSON from the store; this API may not know
//! them, so what tenants type is checked against the documented shapes here. A test holds both against each other.

use crate::valid::{self, Refused};
use ccm_model::ProviderKind;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer, de::DeserializeOwned};
use serde_json::{Value, json};
use url::{Origin, Url};
use utoipa::ToSchema;

/// Twilio's Programmable Messaging: what everybody may see.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TwilioSettings {
    /// The account's SID: `AC` and 32 letters or digits.
    #[schema(example = "AC0123456789abcdef0123456789abcdef")]
    account_sid: String,
    /// Where Twilio's REST API is: https, or http on this machine. Left out: `https://api.twilio.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "https://api.twilio.com")]
    api_base: Option<String>,
    /// Texts leave through this messaging service: `MG` and 32 letters or digits. Left out: from the number itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    messaging_service_sid: Option<String>,
    /// How long Twilio may take to answer, in milliseconds, 100 to 60000. Left out: 15000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 100, maximum = 60000)]
    timeout_ms: Option<u32>,
}

/// Twilio: what is sealed and never shown.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TwilioSecret {
    /// Signs Twilio's webhooks, and authorises sending where there is no API key. 16 to 500 visible ASCII characters.
    #[serde(serialize_with = "opened")]
    #[schema(value_type = String, format = Password, min_length = 16, max_length = 500)]
    auth_token: SecretString,
    /// The token before, while webhooks signed with it may still come.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "opened_if_any"
    )]
    #[schema(value_type = Option<String>, format = Password, min_length = 16, max_length = 500)]
    previous_auth_token: Option<SecretString>,
    /// Sends in place of the account: a key's SID, `SK` and 32 letters or digits; needs `api_key_secret`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    api_key_sid: Option<String>,
    /// Of the key that `api_key_sid` names.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "opened_if_any"
    )]
    #[schema(value_type = Option<String>, format = Password, min_length = 1, max_length = 500)]
    api_key_secret: Option<SecretString>,
}

/// CCM's generic JSON over HTTP: what everybody may see.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpSettings {
    /// Where texts are posted to: https, or http on this machine.
    #[schema(example = "https://sms.example.com/send")]
    send_url: String,
    /// How long the provider may take to answer, in milliseconds, 100 to 60000. Left out: 15000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 100, maximum = 60000)]
    timeout_ms: Option<u32>,
}

/// Generic JSON over HTTP: what is sealed and never shown.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpSecret {
    /// Signs both directions (HMAC-SHA256 over timestamp and body). 16 to 500 visible ASCII characters.
    #[serde(serialize_with = "opened")]
    #[schema(value_type = String, format = Password, min_length = 16, max_length = 500)]
    signing_secret: SecretString,
    /// The secret before, while webhooks signed with it may still come.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "opened_if_any"
    )]
    #[schema(value_type = Option<String>, format = Password, min_length = 16, max_length = 500)]
    previous_signing_secret: Option<SecretString>,
    /// Goes out as `Authorization: Bearer …` besides the signature.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "opened_if_any"
    )]
    #[schema(value_type = Option<String>, format = Password, min_length = 1, max_length = 500)]
    bearer_token: Option<SecretString>,
}

/// By the account's kind.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "the document's view of a value that is read by kind")]
pub enum AccountSettings {
    Twilio(TwilioSettings),
    Http(HttpSettings),
}

/// By the account's kind. Sealed at rest; no answer ever shows it.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "the document's view of a value that is read by kind")]
pub enum AccountSecret {
    Twilio(TwilioSecret),
    Http(HttpSecret),
}

/// Checks an account's settings; returns them as they are stored.
pub fn settings(kind: ProviderKind, settings: Value) -> Result<Value, Refused> {
    match kind {
        ProviderKind::Twilio => twilio_settings(&object("settings", settings)?),
        ProviderKind::Http => http_settings(&object("settings", settings)?),
    }
}

/// Checks an account's secret; returns it as it is sealed: JSON.
pub fn secret(kind: ProviderKind, secret: Value) -> Result<SecretString, Refused> {
    match kind {
        ProviderKind::Twilio => twilio_secret(&object("secret", secret)?),
        ProviderKind::Http => http_secret(&object("secret", secret)?),
    }
}

/// To which server an account's secret goes, in checked settings: nothing is a provider's own.
pub fn goes_to(settings: &Value) -> Option<Origin> {
    let address = settings.get("api_base").or_else(|| settings.get("send_url"));
    let address = address
        .and_then(Value::as_str)
        .and_then(|raw| Url::parse(raw).ok());
    address.map(|url| url.origin())
}

fn twilio_settings(settings: &TwilioSettings) -> Result<Value, Refused> {
    sid("settings.account_sid", "AC", &settings.account_sid)?;
    if let Some(base) = &settings.api_base {
        valid::http_url("settings.api_base", base)?;
    }
    if let Some(service) = &settings.messaging_service_sid {
        sid("settings.messaging_service_sid", "MG", service)?;
    }
    timeout(settings.timeout_ms)?;
    Ok(json!(settings))
}

fn twilio_secret(secret: &TwilioSecret) -> Result<SecretString, Refused> {
    valid::secret("secret.auth_token", &secret.auth_token, 16)?;
    if let Some(token) = &secret.previous_auth_token {
        valid::secret("secret.previous_auth_token", token, 16)?;
    }
    match (&secret.api_key_sid, &secret.api_key_secret) {
        (None, None) => {}
        (Some(key), Some(text)) => {
            sid("secret.api_key_sid", "SK", key)?;
            valid::secret("secret.api_key_secret", text, 1)?;
        }
        (key, _) => {
            let field = if key.is_some() {
                "secret.api_key_secret"
            } else {
                "secret.api_key_sid"
            };
            return Err(Refused::new(
                field,
                "is missing",
                "give both parts of the key, or none",
            ));
        }
    }
    Ok(json!(secret).to_string().into())
}

fn http_settings(settings: &HttpSettings) -> Result<Value, Refused> {
    valid::http_url("settings.send_url", &settings.send_url)?;
    timeout(settings.timeout_ms)?;
    Ok(json!(settings))
}

fn http_secret(secret: &HttpSecret) -> Result<SecretString, Refused> {
    valid::secret("secret.signing_secret", &secret.signing_secret, 16)?;
    if let Some(text) = &secret.previous_signing_secret {
        valid::secret("secret.previous_signing_secret", text, 16)?;
    }
    if let Some(token) = &secret.bearer_token {
        valid::secret("secret.bearer_token", token, 1)?;
    }
    Ok(json!(secret).to_string().into())
}

/// Twilio's ids are part of addresses: nothing but letters and digits, else one account could address another's.
fn sid(field: &'static str, prefix: &str, text: &str) -> Result<(), Refused> {
    if text.len() == 34 && text.starts_with(prefix) && text.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Ok(());
    }
    Err(Refused::new(
        field,
        format!("is not {prefix} and 32 letters or digits"),
        "copy it from Twilio's console; accounts begin with AC, keys with SK, messaging services with MG",
    ))
}

fn timeout(ms: Option<u32>) -> Result<(), Refused> {
    if ms.is_none_or(|ms| (100..=60_000).contains(&ms)) {
        return Ok(());
    }
    Err(Refused::new(
        "settings.timeout_ms",
        "is not from 100 to 60000 milliseconds",
        "leave it out for 15000",
    ))
}

/// Reads an object and names the field that is wrong, without repeating any value.
fn object<T: DeserializeOwned>(at: &'static str, value: Value) -> Result<T, Refused> {
    const REMEDY: &str = "see the schema of this kind of account at /docs";
    let Value::Object(mut map) = value else {
        return Err(Refused::new(at, "is not an object", REMEDY));
    };
    map.retain(|_, v| !v.is_null());
    for (key, value) in &map {
        let (fits, problem) = match key.as_str() {
            "timeout_ms" => (
                value.as_u64().is_some_and(|n| n <= u32::MAX.into()),
                "is not a whole number",
            ),
            _ => (value.is_string(), "is not a text"),
        };
        if !fits {
            return Err(Refused::new(format!("{at}.{key}"), problem, REMEDY));
        }
    }
    serde_json::from_value(Value::Object(map)).map_err(|error| {
        let said = error.to_string();
        let problem = if said.starts_with("missing") {
            "is missing"
        } else {
            "is not known for this kind"
        };
        let name = said.split('`').nth(1).unwrap_or_default();
        Refused::new(format!("{at}.{name}"), problem, REMEDY)
    })
}

fn opened<S: Serializer>(secret: &SecretString, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(secret.expose_secret())
}

fn opened_if_any<S: Serializer>(secret: &Option<SecretString>, to: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(ExposeSecret::expose_secret).serialize(to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ProviderKind::{Http, Twilio};

    const TOKEN: &str = "0123456789abcdefTOKEN";

    fn check(kind: ProviderKind, of: Value, sealed: Value) -> Result<(Value, SecretString), Refused> {
        Ok((settings(kind, of)?, secret(kind, sealed)?))
    }

    const AC: &str = "AC0123456789abcdef0123456789abcdef";
    const MG: &str = "MG0123456789abcdef0123456789abcdef";
    const SK: &str = "SK0123456789abcdef0123456789abcdef";

    /// The largest and the smallest account of each kind.
    fn good() -> [(ProviderKind, Value, Value); 4] {
        [
            (Twilio, json!({"account_sid": AC}), json!({"auth_token": TOKEN})),
            (
                Twilio,
                json!({"account_sid": AC, "api_base": "http://127.0.0.1:8090", "messaging_service_sid": MG,
                       "timeout_ms": 60000}),
                json!({"auth_token": TOKEN, "previous_auth_token": TOKEN, "api_key_sid": SK, "api_key_secret": TOKEN}),
            ),
            (
                Http,
                json!({"send_url": "https://x/send"}),
                json!({"signing_secret": TOKEN}),
            ),
            (
                Http,
                json!({"send_url": "http://localhost:8090/send", "timeout_ms": 100}),
                json!({"signing_secret": TOKEN, "previous_signing_secret": TOKEN, "bearer_token": TOKEN}),
            ),
        ]
    }

    #[test]
    fn what_is_taken_is_stored_as_it_came_and_read_by_the_adapters() {
        for (kind, settings, secret) in good() {
            let (stored, sealed) = check(kind, settings.clone(), secret.clone()).unwrap();
            assert_eq!(stored, settings);
            let sealed = sealed.expose_secret();
            assert_eq!(serde_json::from_str::<Value>(sealed).unwrap(), secret);
            ccm_sms::Account::parse(kind, &stored, sealed.as_bytes()).unwrap();
        }
    }

    #[test]
    fn null_is_as_good_as_left_out() {
        let settings = json!({"account_sid": AC, "api_base": null, "timeout_ms": null});
        let (stored, _) = check(
            Twilio,
            settings,
            json!({"auth_token": TOKEN, "api_key_sid": null}),
        )
        .unwrap();
        assert_eq!(stored, json!({"account_sid": AC}));
    }

    #[test]
    fn debug_shows_no_secret() {
        for (kind, settings, secret) in good() {
            let shown = match kind {
                Twilio => format!("{:?}", object::<TwilioSecret>("secret", secret.clone()).unwrap()),
                Http => format!("{:?}", object::<HttpSecret>("secret", secret.clone()).unwrap()),
            };
            let checked = check(kind, settings, secret).unwrap();
            assert!(!format!("{shown}{checked:?}").contains(TOKEN));
        }
    }

    /// Each case spoils the largest account of its kind in one place.
    #[test]
    fn each_refusal_names_its_field_and_repeats_no_value() {
        let [_, twilio, _, http] = good();
        for (field, value) in [
            ("settings.account_sid", Value::Null),
            ("settings.account_sid", json!(7)),
            ("settings.account_sid", json!(SK)),
            ("settings.account_sid", json!("AC01/../AC02")),
            ("settings.api_base", json!("sms.example.com")),
            ("settings.api_base", json!("http://sms.example.com")),
            ("settings.messaging_service_sid", json!(AC)),
            ("settings.timeout_ms", json!("100")),
            ("settings.timeout_ms", json!(1.5)),
            ("settings.timeout_ms", json!(99)),
            ("settings.timeout_ms", json!(u64::MAX)),
            ("settings.send_url", json!("https://x")),
            ("secret.auth_token", Value::Null),
            ("secret.auth_token", json!([TOKEN])),
            ("secret.auth_token", json!("short")),
            ("secret.previous_auth_token", json!("short")),
            ("secret.api_key_sid", Value::Null),
            ("secret.api_key_sid", json!(AC)),
            ("secret.api_key_secret", Value::Null),
            ("secret.api_key_secret", json!("")),
            ("secret.token", json!(TOKEN)),
        ] {
            spoiled(&twilio, field, value);
        }
        for (field, value) in [
            ("settings.send_url", Value::Null),
            ("settings.send_url", json!("https://x/?key=1")),
            ("settings.timeout_ms", json!(60_001)),
            ("settings.account_sid", json!(AC)),
            ("secret.signing_secret", Value::Null),
            ("secret.signing_secret", json!("short")),
            ("secret.previous_signing_secret", json!("short")),
            ("secret.bearer_token", json!("two words")),
        ] {
            spoiled(&http, field, value);
        }
        let (kind, settings, secret) = twilio;
        assert_eq!(check(kind, json!(TOKEN), secret).unwrap_err().field, "settings");
        assert_eq!(check(kind, settings, json!(TOKEN)).unwrap_err().field, "secret");
    }

    fn spoiled((kind, settings, secret): &(ProviderKind, Value, Value), field: &str, value: Value) {
        let (mut settings, mut secret) = (settings.clone(), secret.clone());
        let (place, key) = field.split_once('.').unwrap();
        let object = if place == "settings" {
            &mut settings
        } else {
            &mut secret
        };
        object[key] = value.clone();
        let refused = check(*kind, settings, secret).expect_err(field);
        assert_eq!(refused.field, field, "{value}");
        assert!(!format!("{refused} {refused:?}").contains(TOKEN));
    }
}
