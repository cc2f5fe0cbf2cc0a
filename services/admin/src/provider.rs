//! What an account of each kind is made of, as `ccm-sms` tells it (ADR 28): what tenants type is checked by the same table
//! and read by the same code as at the SMS edge, and the document is written from that table.

use crate::valid::Refused;
use ccm_model::ProviderKind;
use ccm_sms::{Account, AccountError, Field, Form, Shape, shape};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::borrow::Cow;
use url::Origin;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Object, ObjectBuilder, OneOf, RefOr, Schema,
        schema::{AdditionalProperties, KnownFormat, SchemaFormat, SchemaType, Type},
    },
};

/// Settings by the account's kind.
pub struct AccountSettings;

/// Secrets by the account's kind. Sealed at rest; no answer ever shows them.
pub struct AccountSecret;

/// A secret as it is kept: as somebody gave it now, or as it was opened.
pub enum Secret {
    Given(Value),
    Stored(SecretString),
}

/// Checks an account's two halves, and whether they fit each other. Returns the settings as they are stored, and the secret
/// as it is sealed if it was given.
pub fn check(
    kind: ProviderKind,
    settings: Value,
    secret: Secret,
) -> Result<(Value, Option<SecretString>), Refused> {
    let settings = without_nulls(settings);
    shape(kind).check_settings(&settings)?;
    let (secret, given) = match secret {
        Secret::Stored(secret) => (secret, false),
        Secret::Given(secret) => {
            let secret = without_nulls(secret);
            shape(kind).check_secret(&secret)?;
            (secret.to_string().into(), true)
        }
    };
    Account::parse(kind, &settings, secret.expose_secret().as_bytes())?;
    Ok((settings, given.then_some(secret)))
}

/// To which servers an account's secret goes, in checked settings.
pub fn goes_to(kind: ProviderKind, settings: &Value) -> Vec<Origin> {
    shape(kind).goes_to(settings)
}

impl From<AccountError> for Refused {
    fn from(e: AccountError) -> Self {
        let field = match e.field.as_str() {
            "" => e.place.to_owned(),
            field => format!("{}.{field}", e.place),
        };
        Self::new(field, e.problem, e.remedy)
    }
}

fn without_nulls(mut value: Value) -> Value {
    if let Value::Object(map) = &mut value {
        map.retain(|_, value| !value.is_null());
    }
    value
}

impl PartialSchema for AccountSettings {
    fn schema() -> RefOr<Schema> {
        by_kind("By the account's kind.", |shape| shape.settings)
    }
}

impl ToSchema for AccountSettings {
    fn name() -> Cow<'static, str> {
        "AccountSettings".into()
    }
}

impl PartialSchema for AccountSecret {
    fn schema() -> RefOr<Schema> {
        by_kind(
            "By the account's kind. Sealed at rest; no answer ever shows it.",
            |shape| shape.secret,
        )
    }
}

impl ToSchema for AccountSecret {
    fn name() -> Cow<'static, str> {
        "AccountSecret".into()
    }
}

fn by_kind(about: &str, of: fn(&'static Shape) -> &'static [Field]) -> RefOr<Schema> {
    let mut kinds = OneOf::new();
    kinds.description = Some(about.to_owned());
    kinds.items = ProviderKind::ALL
        .iter()
        .map(|kind| object(*kind, of(shape(*kind))).into())
        .collect();
    Schema::OneOf(kinds).into()
}

fn object(kind: ProviderKind, fields: &[Field]) -> Object {
    let mut object = ObjectBuilder::new()
        .title(Some(kind.as_str()))
        .description(Some(shape(kind).title))
        .additional_properties(Some(AdditionalProperties::FreeForm(false)));
    for field in fields {
        object = object.property(field.name, member(field));
        if field.required {
            object = object.required(field.name);
        }
    }
    object.build()
}

fn member(field: &Field) -> RefOr<Schema> {
    let text = ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .description(Some(field.about));
    let object = match field.form {
        Form::Text | Form::Word(_) => text.max_length(Some(500)),
        Form::Address => text
            .max_length(Some(2000))
            .format(Some(SchemaFormat::Custom("uri".into()))),
        Form::Secret { least } => text
            .min_length(Some(least))
            .max_length(Some(500))
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Password))),
        Form::OneOf(names) => text.min_length(None).enum_values(Some(names.iter().copied())),
        Form::Milliseconds => ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(100))
            .maximum(Some(60_000))
            .description(Some(field.about)),
        Form::Json => ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::Object, Type::Array]))
            .description(Some(field.about)),
    };
    let example = field.example.map(|example| match field.form {
        Form::Json => serde_json::from_str(example).unwrap_or_default(),
        _ => Value::from(example),
    });
    object.examples(example).build().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ProviderKind::{Http, Twilio};
    use serde_json::json;

    const TOKEN: &str = "0123456789abcdefTOKEN";
    const AC: &str = "AC0123456789abcdef0123456789abcdef";
    const MG: &str = "MG0123456789abcdef0123456789abcdef";
    const SK: &str = "SK0123456789abcdef0123456789abcdef";

    fn given(kind: ProviderKind, of: Value, secret: Value) -> Result<(Value, Option<SecretString>), Refused> {
        check(kind, of, Secret::Given(secret))
    }

    /// The largest and the smallest account of two kinds.
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
    fn what_is_taken_is_stored_as_it_came() {
        for (kind, settings, secret) in good() {
            let (stored, sealed) = given(kind, settings.clone(), secret.clone()).unwrap();
            assert_eq!(stored, settings);
            let sealed = sealed.unwrap();
            assert_eq!(
                serde_json::from_str::<Value>(sealed.expose_secret()).unwrap(),
                secret
            );
            assert!(!format!("{sealed:?}").contains(TOKEN));
            let (_, sealed) = check(kind, settings, Secret::Stored(sealed)).unwrap();
            assert!(sealed.is_none(), "it is there already");
        }
    }

    #[test]
    fn null_is_as_good_as_left_out() {
        let settings = json!({"account_sid": AC, "api_base": null, "timeout_ms": null});
        let secret = json!({"auth_token": TOKEN, "api_key_sid": null});
        let (stored, _) = given(Twilio, settings, secret).unwrap();
        assert_eq!(stored, json!({"account_sid": AC}));
    }

    #[test]
    fn a_stored_secret_must_fit_new_settings_and_may_be_shorter_than_new_ones() {
        let check = |secret: &str| check(Twilio, json!({"account_sid": AC}), Secret::Stored(secret.into()));
        check(r#"{"auth_token": "short"}"#).unwrap();
        assert_eq!(check("{}").unwrap_err().field, "secret.auth_token");
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
        assert_eq!(given(kind, json!(TOKEN), secret).unwrap_err().field, "settings");
        assert_eq!(given(kind, settings, json!(TOKEN)).unwrap_err().field, "secret");
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
        let refused = given(*kind, settings, secret).expect_err(field);
        assert_eq!(refused.field, field, "{value}");
        assert!(!format!("{refused} {refused:?}").contains(TOKEN));
    }
}
