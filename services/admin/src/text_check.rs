//! What a text would cost.

use crate::{
    Deps,
    answer::{Always, Failure, InTenant, Taking},
    path::TenantPath,
    schema::one_of,
    sms_document::TRANSLITERATE,
    valid::Refused,
};
use axum::extract::State;
use ccm_model::{Body, sms_settings::Transliterate};
use ccm_sms_text::{
    segments::{Encoding, count},
    transliterate::{Policy, transliterate},
};
use ccm_web::{Json, TenantScope, may};
use serde::{Deserialize, Serialize};
use utoipa::{
    ToSchema,
    openapi::{
        ObjectBuilder,
        schema::{Object, SchemaType, Type},
    },
};

/// A text to be counted. Deliberately without `Debug`: it is not stored, and not logged either.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"text": "It’s 5 o’clock – we call you back."}))]
pub struct TextToCheck {
    #[schema(max_length = 20000)]
    text: String,
    #[serde(default)]
    #[schema(schema_with = chosen, required = false)]
    transliterate: Option<Transliterate>,
}

fn chosen() -> Object {
    ObjectBuilder::from(policy())
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .description(Some(
            "In place of the tenant's own `transliterate` (SMS settings).",
        ))
        .build()
}

fn policy() -> Object {
    one_of("By which rule it was written anew.", TRANSLITERATE.into_iter())
}

fn encoding() -> Object {
    one_of(
        "`gsm7`: 160 septets in one segment, 153 in each of several; `ucs2`: 70 and 67 units of UTF-16.",
        ["gsm7", "ucs2"].into_iter(),
    )
}

/// What a text costs.
#[derive(Debug, Serialize, ToSchema)]
pub struct TextCost {
    #[schema(schema_with = encoding)]
    encoding: &'static str,
    /// How many SMS it takes.
    #[schema(minimum = 1, example = 1)]
    segments: usize,
    /// Units of the whole text, without headers.
    #[schema(minimum = 0)]
    units: usize,
    /// Units that the last segment still has room for.
    #[schema(minimum = 0)]
    units_left: usize,
    /// The first character that GSM-7 lacks; `null` with `gsm7`.
    #[schema(value_type = Option<ForcedBy>, required)]
    forced_by: Option<ForcedBy>,
}

/// Why a text is not GSM-7.
#[derive(Debug, Serialize, ToSchema)]
pub struct ForcedBy {
    /// How many characters (Unicode code points) stand before it.
    #[schema(minimum = 0, example = 2)]
    index: usize,
    #[schema(value_type = String, example = "’")]
    character: char,
}

/// What a text costs, as it was written and as it would leave.
#[derive(Serialize, ToSchema)]
pub struct TextCheck {
    /// As it was written.
    written: TextCost,
    /// As it would leave, by the tenant's setting or the one that was asked for.
    sent: SentText,
}

/// A text as it would leave. Deliberately without `Debug`.
#[derive(Serialize, ToSchema)]
pub struct SentText {
    #[schema(schema_with = policy)]
    transliterate: Transliterate,
    /// Whether it would be written anew: only as a whole, and only if that saves something.
    changed: bool,
    #[schema(example = "It's 5 o'clock - we call you back.")]
    text: String,
    cost: TextCost,
}

impl TextCost {
    pub fn of(text: &str) -> Self {
        let cost = count(text);
        Self {
            encoding: match cost.encoding {
                Encoding::Gsm7 => "gsm7",
                Encoding::Ucs2 => "ucs2",
            },
            segments: cost.segments,
            units: cost.units,
            units_left: cost.units_left,
            forced_by: cost
                .forced_by
                .map(|(index, character)| ForcedBy { index, character }),
        }
    }
}

impl TextCheck {
    fn of(text: &str, setting: Transliterate) -> Self {
        let policy = match setting {
            Transliterate::Off => Policy::Off,
            Transliterate::Punctuation => Policy::Punctuation,
            Transliterate::Latin => Policy::Latin,
        };
        let sent = transliterate(text, policy);
        Self {
            written: TextCost::of(text),
            sent: SentText {
                transliterate: setting,
                changed: sent != text,
                cost: TextCost::of(&sent),
                text: sent.into_owned(),
            },
        }
    }
}

/// Count a text's segments
///
/// Nothing is sent or stored. For the roles platform-admin, engineer and support; tenant-admin and tenant-viewer in their own
/// tenant.
#[utoipa::path(post, path = "/v1/tenants/{tenant}/text-check", tag = "checks",
    params(TenantPath),
    responses((status = 200, description = "What it costs.", body = TextCheck), Always, InTenant, Taking))]
pub async fn check_text(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
    Json(asked): Json<TextToCheck>,
) -> Result<Json<TextCheck>, Failure> {
    let text = Body::new(asked.text)
        .map_err(|error| Refused::new("text", error.to_string(), "write at most 20000 characters"))?;
    let (settings, _) = deps
        .tenant(&scope)
        .await?
        .settings::<ccm_model::SmsSettings>()
        .await?;
    let setting = asked.transliterate.unwrap_or(settings.transliterate);
    Ok(Json(TextCheck::of(text.as_str(), setting)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_text_costs_what_it_takes_and_less_when_it_is_written_anew() {
        let text = format!("It’s{}", "x".repeat(100));
        let check = json!(TextCheck::of(&text, Transliterate::Punctuation));
        assert_eq!(
            check["written"],
            json!({"encoding": "ucs2", "segments": 2, "units": 104, "units_left": 30,
                   "forced_by": {"index": 2, "character": "’"}})
        );
        assert_eq!(
            (&check["sent"]["changed"], &check["sent"]["cost"]),
            (
                &json!(true),
                &json!({"encoding": "gsm7", "segments": 1, "units": 104, "units_left": 56, "forced_by": null})
            )
        );
        let off = json!(TextCheck::of(&text, Transliterate::Off));
        assert_eq!(
            (&off["sent"]["changed"], &off["sent"]["cost"]),
            (&json!(false), &off["written"])
        );
        assert_eq!(
            json!(TextCheck::of("", Transliterate::Latin))["written"]["segments"],
            1
        );
    }
}
