//! What is known about a number without asking anybody.

#![allow(
    unused_qualifications,
    reason = "utoipa's macro qualifies the types of paths and queries"
)]

use crate::{
    Deps,
    answer::{Always, Failure, InTenant},
    consent::OptOut,
    path::TenantPath,
    query,
    schema::one_of,
};
use axum::extract::State;
use ccm_model::Address;
use ccm_web::{Json, Problem, Query, TenantScope, may};
use phonenumber::{Mode, PhoneNumber, Type, country, metadata::DATABASE};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema, openapi::schema::Object};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct NumberQuery {
    /// As somebody wrote it: a full number with `+` (written `%2B`), a short code, a sender name; or, with `region`, a number as it is
    /// dialled there.
    #[param(example = "086 123 4567", min_length = 1, max_length = 50)]
    number: String,
    /// The country that a number without `+` is of: two letters (ISO 3166-1).
    #[param(example = "IE")]
    region: Option<String>,
}

/// What is known about a number.
#[derive(Debug, Serialize, ToSchema)]
pub struct NumberCheck {
    #[schema(schema_with = form)]
    form: &'static str,
    /// As CCM stores and compares it.
    #[schema(value_type = String, example = "+353861234567")]
    address: Address,
    /// Whether its country's plan has such a number; `null` for what is none.
    #[schema(required)]
    valid: Option<bool>,
    /// As it is written in its country; `null` for what is no full number.
    #[schema(required, example = "086 123 4567")]
    national: Option<String>,
    /// As it is written elsewhere.
    #[schema(required, example = "+353 86 123 4567")]
    international: Option<String>,
    /// Two letters (ISO 3166-1); `null` where the plan does not tell.
    #[schema(required, example = "IE")]
    region: Option<String>,
    #[schema(schema_with = kind, required)]
    kind: Option<&'static str>,
    /// Whether a text can be sent to it, as far as the number itself tells.
    textable: bool,
    /// Why not, in words; `null` if it is.
    #[schema(required)]
    not_textable_because: Option<&'static str>,
    /// Those of the tenant's numbers that it gets no texts from.
    opted_out_of: Vec<OptOut>,
}

fn form() -> Object {
    one_of(
        "`full`: a number with its country (E.164); `short_code`: 3 to 8 digits; `sender_name`: letters, which cannot be texted.",
        ["full", "short_code", "sender_name"].into_iter(),
    )
}

fn kind() -> Object {
    let names = KINDS.iter().map(|(_, name)| *name);
    utoipa::openapi::ObjectBuilder::from(one_of(
        "What the country's plan says it is; in some countries mobile numbers look like all others. `null` where it does not tell.",
        names,
    ))
    .schema_type(utoipa::openapi::schema::SchemaType::from_iter([
        utoipa::openapi::schema::Type::String,
        utoipa::openapi::schema::Type::Null,
    ]))
    .build()
}

const KINDS: [(Type, &str); 11] = [
    (Type::Mobile, "mobile"),
    (Type::FixedLine, "fixed_line"),
    (Type::FixedLineOrMobile, "fixed_line_or_mobile"),
    (Type::TollFree, "toll_free"),
    (Type::PremiumRate, "premium_rate"),
    (Type::SharedCost, "shared_cost"),
    (Type::PersonalNumber, "personal"),
    (Type::Voip, "voip"),
    (Type::Pager, "pager"),
    (Type::Uan, "company"),
    (Type::Voicemail, "voicemail"),
];

/// All that the number itself tells.
fn examine(raw: &str, region: Option<country::Id>) -> Result<NumberCheck, Problem> {
    let has_plus = raw.trim_start().starts_with(['+', '＋']);
    let letters = raw.chars().any(char::is_alphabetic);
    if letters || !has_plus && region.is_none() {
        return unparsed(raw);
    }
    let Ok(parsed) = phonenumber::parse(region, raw) else {
        return match has_plus {
            true => unparsed(raw),
            false => Err(garbage("is not a number of that region")),
        };
    };
    // Of a short code in a region phonenumber makes a full number that does not exist.
    if !has_plus
        && !parsed.is_valid()
        && let Ok(Address::ShortCode(_)) = Address::parse(raw)
    {
        return unparsed(raw);
    }
    full(&parsed)
}

fn full(parsed: &PhoneNumber) -> Result<NumberCheck, Problem> {
    let address = parsed.format().mode(Mode::E164).to_string();
    let address = Address::parse(&address).map_err(|_| garbage("has too few or too many digits"))?;
    let (valid, kind) = (parsed.is_valid(), parsed.number_type(&DATABASE));
    let because = match kind {
        _ if !valid => Some("no country has such a number"),
        Type::FixedLine => Some("it is a fixed line; some providers text those all the same"),
        Type::PremiumRate | Type::SharedCost | Type::Voicemail | Type::Pager => {
            Some("numbers of its kind are for calls only")
        }
        _ => None,
    };
    Ok(NumberCheck {
        form: "full",
        address,
        valid: Some(valid),
        national: Some(parsed.format().mode(Mode::National).to_string()),
        international: Some(parsed.format().mode(Mode::International).to_string()),
        region: parsed
            .country()
            .id()
            .filter(|_| valid)
            .map(|id| id.as_ref().to_owned()),
        kind: KINDS.iter().find(|(of, _)| *of == kind).map(|(_, name)| *name),
        textable: because.is_none(),
        not_textable_because: because,
        opted_out_of: Vec::new(),
    })
}

/// What phonenumber does not know.
fn unparsed(raw: &str) -> Result<NumberCheck, Problem> {
    let address = Address::parse(raw).map_err(|error| garbage(&error.to_string()))?;
    let (form, valid, because) = match address {
        Address::E164(_) => ("full", Some(false), Some("no country has such a number")),
        Address::ShortCode(_) => ("short_code", None, None),
        Address::Alphanumeric(_) => ("sender_name", None, Some("a sender name cannot be answered")),
    };
    Ok(NumberCheck {
        form,
        address,
        valid,
        national: None,
        international: None,
        region: None,
        kind: None,
        textable: because.is_none(),
        not_textable_because: because,
        opted_out_of: Vec::new(),
    })
}

fn garbage(problem: &str) -> Problem {
    Problem::invalid_field("number", format!("number {problem}"))
        .remedy("write number=%2B353861234567, or number=0861234567&region=IE")
}

fn region(raw: &str) -> Result<country::Id, Problem> {
    raw.to_ascii_uppercase().parse().map_err(|_| {
        Problem::invalid_field("region", "region is not a country of two letters")
            .remedy("write it as ISO 3166-1 does, such as IE or US")
    })
}

/// Check a number
///
/// Says what the number itself tells and what the customer said about texts; no provider is asked. For the roles platform-admin,
/// engineer and support; tenant-admin and tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/number-check", tag = "checks",
    params(TenantPath, NumberQuery),
    responses((status = 200, description = "What is known.", body = NumberCheck), Always, InTenant))]
pub async fn check_number(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
    Query(query): Query<NumberQuery>,
) -> Result<Json<NumberCheck>, Failure> {
    let region = query.region.as_deref().map(region).transpose()?;
    if query.number.len() > 50 {
        return Err(garbage("is longer than 50 characters").into());
    }
    let mut known = examine(&query::plus(&query.number), region)?;
    let db = deps.tenant(&scope).await?;
    let rows = db.opt_outs_of(&known.address).await?;
    known.opted_out_of = rows.into_iter().map(OptOut::from).collect();
    Ok(Json(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Address, whether it is valid, kind, whether it can be texted.
    type Look = (String, Option<bool>, Option<&'static str>, bool);

    fn look(raw: &str, of: Option<&str>) -> Result<Look, u16> {
        let known = of.map(region).transpose().and_then(|of| examine(raw, of));
        let known = known.map_err(|problem| problem.status().as_u16())?;
        Ok((
            String::from(known.address),
            known.valid,
            known.kind,
            known.textable,
        ))
    }

    #[test]
    fn numbers_are_read_as_people_write_them() {
        let irish = ("+353861234567".to_owned(), Some(true), Some("mobile"), true);
        for (raw, of) in [
            ("+353861234567", None),
            ("+353 (86) 123-4567", Some("US")),
            ("086 123 4567", Some("IE")),
            ("0861234567", Some("ie")),
        ] {
            assert_eq!(look(raw, of), Ok(irish.clone()), "{raw}");
        }
        let us = look("(415) 555-0123", Some("US")).unwrap();
        assert_eq!(
            (us.0.as_str(), us.2, us.3),
            ("+14155550123", Some("fixed_line_or_mobile"), true)
        );
        assert_eq!(look("+35312345678", None).unwrap().2, Some("fixed_line"));
        assert_eq!(look("+18005550199", None).unwrap().2, Some("toll_free"));
    }

    #[test]
    fn what_cannot_be_texted_is_told_so() {
        assert_eq!(look("72345", None), Ok(("72345".into(), None, None, true)));
        assert_eq!(look("72345", Some("US")), Ok(("72345".into(), None, None, true)));
        assert_eq!(
            look("WEBTEXT", Some("IE")),
            Ok(("WEBTEXT".into(), None, None, false))
        );
        assert_eq!(
            look("+999123456789", None),
            Ok(("+999123456789".into(), Some(false), None, false))
        );
        assert!(!look("+1415555", None).unwrap().3, "too short for its country");
    }

    #[test]
    fn garbage_is_refused() {
        for (raw, of) in [
            ("", None),
            ("0861234567", None),
            ("+", None),
            ("+12", None),
            ("12345678901234567890", Some("IE")),
            ("call me maybe", None),
            ("0861234567", Some("Ireland")),
            ("0861234567", Some("")),
        ] {
            assert_eq!(look(raw, of), Err(400), "{raw:?} {of:?}");
        }
    }
}
