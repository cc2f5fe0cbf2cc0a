//! A shared report, for whoever has its address: a page without scripts, or JSON.

use super::share::TOKEN;
use crate::{Deps, answer::Failure};
use axum::{
    extract::{Path, State},
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
use ccm_db::DbError;
use ccm_doctor::{Outcome, Report, Step};
use ccm_web::{Json, Problem};
use sha2::{Digest, Sha256};
use std::{fmt::Write, sync::LazyLock};
use time::{OffsetDateTime, macros::format_description};

const STYLE: &str = include_str!("page.css");

/// Nothing is fetched, nothing is run, and only this page's own style applies.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = BASE64_STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
});

/// Shows a shared report. Whoever asks is not known.
pub async fn shared_report(
    State(deps): State<Deps>,
    Path(token): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let wants_json = accept.is_some_and(|accept| accept.contains("application/json"));
    let Some((report, until)) = find(&deps, &token).await? else {
        return Ok(match wants_json {
            true => Problem::not_found("shared report")
                .remedy("ask whoever sent this address for a new one")
                .into_response(),
            false => (StatusCode::NOT_FOUND, html(&gone())).into_response(),
        });
    };
    Ok(match wants_json {
        true => Json(report).into_response(),
        false => html(&page(&report, until)).into_response(),
    })
}

async fn find(deps: &Deps, token: &str) -> Result<Option<(Report, OffsetDateTime)>, DbError> {
    let token = BASE64_URL_SAFE_NO_PAD.decode(token).ok();
    let Some(token) = token.filter(|token| token.len() == TOKEN) else {
        return Ok(None);
    };
    let now = deps.ids.clock().now();
    let Some((tenant, id)) = deps.db.operator().shared_doctor_report(&token, now).await? else {
        return Ok(None);
    };
    match deps.db.tenant(tenant).doctor_report(id).await {
        // It was taken back or forgotten this very moment.
        Err(DbError::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
        Ok(row) => {
            let report = serde_json::from_value(row.report).map_err(|e| DbError::Corrupt(e.to_string()))?;
            Ok(row.shared_until.map(|until| (report, until)))
        }
    }
}

fn html(body: &str) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY.as_str()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("x-robots-tag"), "noindex"),
    ];
    let page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">\
         <title>Link doctor</title><style>{STYLE}</style></head><body><main>\n{body}</main></body></html>\n"
    );
    (headers, page)
}

fn gone() -> String {
    "<h1>This address leads nowhere</h1><p>The report was shared for a while only, or was taken back. Ask whoever sent you \
     the address for a new one.</p>\n"
        .to_owned()
}

fn page(report: &Report, until: OffsetDateTime) -> String {
    let (class, verdict) = match report.outcome {
        Outcome::Failed => ("failed", "This link does not work as it should"),
        Outcome::Warned => ("warned", "This link works; something should be looked at"),
        _ => ("passed", "This link works"),
    };
    let mut out = format!(
        "<h1>Link doctor</h1>\n<p class=\"verdict {class}\">{verdict}</p>\n<dl><dt>Address</dt><dd>{}</dd>",
        escaped(&report.primary)
    );
    if let Some(secondary) = &report.secondary {
        let _ = write!(out, "<dt>Secondary</dt><dd>{}</dd>", escaped(secondary));
    }
    let _ = write!(
        out,
        "<dt>Examined</dt><dd>{} in {} s</dd></dl>\n<ol>\n",
        minute(report.started_at),
        report.duration_ms as f64 / 1000.0
    );
    let mut endpoint = None;
    for taken in &report.steps {
        if endpoint
            .replace(taken.endpoint)
            .is_some_and(|before| before != taken.endpoint)
        {
            out.push_str("</ol>\n<ol>\n");
        }
        step(&mut out, taken);
    }
    let _ = write!(
        out,
        "</ol>\n<p class=\"foot\">No key, password, text or name of a person is in this report. This address is good until {}.</p>\n",
        minute(until)
    );
    out
}

fn step(out: &mut String, step: &Step) {
    let (class, word) = match step.outcome {
        Outcome::Passed => ("passed", "passed"),
        Outcome::Advice => ("advice", "advice"),
        Outcome::Warned => ("warned", "warning"),
        Outcome::Failed => ("failed", "failed"),
        Outcome::Skipped => ("skipped", "skipped"),
    };
    let _ = write!(
        out,
        "<li class=\"{class}\"><h2>{} <small>{word}, {} ms</small></h2>",
        escaped(&step.title),
        step.duration_ms
    );
    if let Some(because) = &step.because {
        let _ = write!(out, "<p>{}</p>", escaped(because));
    }
    if let Some(finding) = &step.finding {
        let _ = write!(
            out,
            "<p>{}</p><p><b>Do this</b> ({}): {}</p><p class=\"code\">{}</p>",
            escaped(&finding.explanation),
            escaped(finding.place.name()),
            escaped(&finding.remedy),
            finding.cause.code()
        );
    }
    if !step.evidence.is_empty() {
        out.push_str("<dl>");
        for fact in &step.evidence {
            let _ = write!(
                out,
                "<dt>{}</dt><dd>{}</dd>",
                escaped(&fact.name),
                escaped(&fact.value)
            );
        }
        out.push_str("</dl>");
    }
    out.push_str("</li>\n");
}

fn minute(at: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute] UTC");
    at.format(format).unwrap_or_else(|_| at.to_string())
}

/// What a peer said may be anything.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use time::macros::datetime;

    #[test]
    fn what_a_peer_says_stays_text() {
        let report: Report = serde_json::from_value(json!({
            "version": 1, "started_at": "2026-03-01T12:00:00Z", "duration_ms": 1234,
            "primary": "wss://aacc.example.com:8445/<b>", "secondary": null, "outcome": "failed",
            "steps": [{"endpoint": "primary", "kind": "upgrade", "title": "WebSocket upgrade", "outcome": "failed",
                       "duration_ms": 7, "evidence": [{"name": "body begins", "value": "<script>alert('x')</script>"}],
                       "finding": {"cause": "unexpected_answer", "place": "reverse_proxy", "explanation": "It said \"&\".",
                                   "remedy": "Look."}}]}))
        .unwrap();
        let page = page(&report, datetime!(2026-03-08 12:00 UTC));
        for text in [
            "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;",
            "/&lt;b&gt;",
            "It said &quot;&amp;&quot;.",
            "2026-03-01 12:00 UTC in 1.234 s",
            "good until 2026-03-08 12:00 UTC",
            "unexpected_answer",
        ] {
            assert!(page.contains(text), "{text} in {page}");
        }
        assert!(!page.contains("<script") && !page.contains("<b>\""));
    }
}
