//! What a tenant decides about its texts: one document, read and replaced as a whole.

use crate::{
    Deps,
    answer::{Always, Failure, InTenant, Taking},
    path::TenantPath,
    sms_document::SmsSettings as Shape,
    tagged::{Tagged, precondition, tagged},
    valid::Refused,
};
use axum::{extract::State, http::HeaderMap};
use ccm_model::{SmsSettings, sms_settings::ConsentSettings};
use ccm_sms_text::keyword::{Keyword, KeywordRefused, Keywords, MAX_CHARS};
use ccm_web::{Document, Problem, TenantScope, may};

const WHAT: &str = "SMS settings";

fn check(new: &SmsSettings) -> Result<(), Refused> {
    new.check()?;
    consent_words(&new.consent)
}

/// Beside each other and beside the built-in ones, each word means one thing.
fn consent_words(consent: &ConsentSettings) -> Result<(), Refused> {
    let mut keywords = Keywords::default();
    for (language, words) in &consent.words {
        for (list, keyword, words) in [
            ("stop", Keyword::Stop, &words.stop),
            ("start", Keyword::Start, &words.start),
            ("help", Keyword::Help, &words.help),
        ] {
            for word in words {
                keywords
                    .add(language, keyword, word)
                    .map_err(|error| refused(format!("consent.words.{language}.{list}"), &error))?;
            }
        }
    }
    Ok(())
}

fn refused(field: String, error: &KeywordRefused) -> Refused {
    match error {
        KeywordRefused::Empty { word } => Refused::new(
            field,
            format!("has {word:?}, which has no letter or digit"),
            "write a word, or leave it out",
        ),
        KeywordRefused::TooLong { word } => Refused::new(
            field,
            format!("has {word:?}, which is longer than {MAX_CHARS} characters"),
            "take a shorter word: customers text it as a whole",
        ),
        KeywordRefused::Collision { word, already, .. } => Refused::new(
            field,
            format!("has {word:?}, which means {} already", meaning(*already)),
            "leave it out here, or in the other list; the English words that every tenant has cannot be given another meaning",
        ),
    }
}

fn meaning(keyword: Keyword) -> &'static str {
    match keyword {
        Keyword::Stop => "stop",
        Keyword::Start => "start",
        Keyword::Help => "help",
    }
}

/// Read how texts are treated
///
/// A tenant that has set nothing has the defaults. For the roles platform-admin, engineer and support; tenant-admin and
/// tenant-viewer in their own tenant.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/sms-settings", tag = "sms-settings",
    params(TenantPath),
    responses((status = 200, description = "All of them.", body = Shape,
        headers(("ETag" = String, description = "To be given back as `If-Match`."))), Always, InTenant))]
pub async fn get_sms_settings(
    State(deps): State<Deps>,
    scope: TenantScope<may::ReadSettings>,
) -> Result<Tagged<SmsSettings>, Failure> {
    let (settings, changed) = deps.tenant(&scope).await?.sms_settings().await?;
    Ok(tagged(settings, changed))
}

/// Replace how texts are treated
///
/// What is left out takes its default. For the roles platform-admin and engineer; tenant-admin in their own tenant.
#[utoipa::path(put, path = "/v1/tenants/{tenant}/sms-settings", tag = "sms-settings",
    params(TenantPath, ("If-Match" = Option<String>, Header,
        description = "The `ETag` of what was read: then nothing is replaced that somebody has changed since.")),
    request_body = Shape,
    responses((status = 200, description = "Replaced.", body = Shape,
        headers(("ETag" = String, description = "Of what is stored now."))),
        (status = 412, description = "They were changed since `If-Match` was read. Nothing was replaced.",
            body = Problem, content_type = "application/problem+json"),
        Always, InTenant, Taking))]
pub async fn put_sms_settings(
    State(deps): State<Deps>,
    scope: TenantScope<may::WriteSettings>,
    headers: HeaderMap,
    Document(new): Document<SmsSettings>,
) -> Result<Tagged<SmsSettings>, Failure> {
    check(&new)?;
    let db = deps.tenant(&scope).await?;
    let stored = async { Ok(db.sms_settings().await?.1) };
    let unless = precondition(&headers, WHAT, stored).await?;
    let changed = db.put_sms_settings(&new, unless).await?;
    let changed = changed.ok_or(Failure::Changed { what: WHAT })?;
    deps.changed(scope.tenant, WHAT, scope.tenant, &scope.bearer.sub);
    Ok(tagged(new, Some(changed)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn words(words: Value) -> Result<(), Refused> {
        check(&serde_json::from_value(json!({"consent": {"words": words}})).unwrap())
    }

    #[test]
    fn consent_words_mean_one_thing() {
        words(
            json!({"de": {"stop": ["Abmelden", "stop"], "start": ["Anmelden"]}, "fr": {"stop": ["ARRÊT"]}}),
        )
        .unwrap();
        for (given, field, says) in [
            (
                json!({"de": {"start": ["Stop!"]}}),
                "consent.words.de.start",
                "means stop already",
            ),
            (
                json!({"tr": {"help": ["ıptal"]}, "az": {"stop": ["İPTAL"]}}),
                "consent.words.tr.help",
                "means stop already",
            ),
            (
                json!({"de": {"stop": ["..."]}}),
                "consent.words.de.stop",
                "no letter",
            ),
            (
                json!({"de": {"help": ["x".repeat(31)]}}),
                "consent.words.de.help",
                "longer than 30",
            ),
        ] {
            let refused = words(given).unwrap_err();
            assert_eq!(refused.field, field);
            assert!(refused.problem.contains(says), "{refused}");
        }
    }
}
