//! Templates into pages.

use crate::assets::{self, Templates};
use axum::{
    body::to_bytes,
    extract::Request,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{Html, IntoResponse, Response},
};
use minijinja::{Environment, Error, UndefinedBehavior, Value, context, value::Serde};
use std::sync::LazyLock;
use time::{OffsetDateTime, format_description::well_known::Rfc3339, macros::format_description};

const MOST_OF_A_PROBLEM: usize = 64 * 1024;

fn environment() -> Environment<'static> {
    let mut templates = Environment::new();
    templates.set_loader(|name| {
        let file = Templates::get(name);
        Ok(file.map(|file| String::from_utf8_lossy(&file.data).into_owned()))
    });
    // What the API left out is empty.
    templates.set_undefined_behavior(UndefinedBehavior::Chainable);
    templates.add_function("asset", |name: String| assets::address(&name));
    templates.add_filter("pretty", |json: Value| {
        serde_json::to_string_pretty(&json).unwrap_or_default()
    });
    templates.add_filter("when", |at: Value| moment(&at).map_or(String::new(), minute));
    templates.add_filter("before", |at: Value, seconds: i64| {
        let earlier = moment(&at).map(|at| at - time::Duration::seconds(seconds));
        earlier.and_then(|at| at.format(&Rfc3339).ok())
    });
    templates.add_filter("top", top);
    templates.add_filter("short", short);
    templates.add_filter("ago", |at: Value, now: Value| match (moment(&at), moment(&now)) {
        (Some(at), Some(now)) => ago((now - at).whole_seconds()),
        _ => String::new(),
    });
    templates
}

/// A template with what it shows.
pub fn text(name: &str, shown: Value) -> Result<String, Error> {
    static BUILT_IN: LazyLock<Environment<'static>> = LazyLock::new(environment);
    if cfg!(debug_assertions) {
        // Read anew, so that a page is changed by saving it.
        return environment().get_template(name)?.render(shown);
    }
    BUILT_IN.get_template(name)?.render(shown)
}

/// A page. One that cannot be drawn says so.
pub fn page(status: StatusCode, name: &str, shown: Value) -> Response {
    match text(name, shown) {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(
                template = name,
                error = format!("{error:#}"),
                "a page of the console cannot be drawn"
            );
            let words = "This page cannot be drawn; the log says why.";
            (StatusCode::INTERNAL_SERVER_ERROR, words).into_response()
        }
    }
}

/// A page that says why there is none, for whoever it is.
pub fn problem(status: StatusCode, title: &str, remedy: &str) -> Response {
    let problem = context! { title, remedy, status => status.as_u16() };
    page(status, "problem.html", context! { problem })
}

/// What every answer of the console carries: nothing is loaded from elsewhere, nobody frames it, and it is kept nowhere.
pub async fn dress(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    put_on(response.headers_mut());
    response
}

fn put_on(headers: &mut HeaderMap) {
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                  form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Not "no-referrer": browsers would say `Origin: null` with forms.
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
}

/// Where an axis ends that is to hold `most`: 1, 2 or 5 with zeros.
fn top(most: f64) -> f64 {
    if most <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(most.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0];
    let end = steps.iter().map(|step| step * power).find(|end| *end >= most);
    end.unwrap_or(1.0)
}

/// A figure as people read it: whole from 100 on, else with two places at most.
fn short(figure: f64) -> String {
    if figure.abs() >= 100.0 {
        return format!("{figure:.0}");
    }
    let written = format!("{figure:.2}");
    written.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// What is refused before a page is thought of (a form that is too large, a request that takes too long) is a page, too.
pub async fn problems_are_pages(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE);
    let is_page = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if is_page || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let read = to_bytes(response.into_body(), MOST_OF_A_PROBLEM)
        .await
        .unwrap_or_default();
    let problem = serde_json::from_slice(&read).unwrap_or_else(|_| {
        let detail = String::from_utf8_lossy(&read);
        serde_json::json!({"status": status.as_u16(), "title": status.canonical_reason(), "detail": detail})
    });
    let mut response = page(status, "problem.html", context! { problem => Serde(problem) });
    put_on(response.headers_mut());
    response
}

fn moment(at: &Value) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(at.as_str()?, &Rfc3339).ok()
}

fn minute(at: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    at.to_offset(time::UtcOffset::UTC)
        .format(format)
        .unwrap_or_else(|_| at.to_string())
}

fn ago(seconds: i64) -> String {
    let (word, future) = (seconds.unsigned_abs(), seconds < -1);
    let (n, unit) = match word {
        0..=1 => return "now".to_owned(),
        2..=119 => (word, "s"),
        120..=7199 => (word / 60, "min"),
        7200..=172_799 => (word / 3600, "h"),
        _ => (word / 86_400, "days"),
    };
    match future {
        true => format!("in {n} {unit}"),
        false => format!("{n} {unit} ago"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_shortly() {
        for (seconds, said) in [
            (0, "now"),
            (-1, "now"),
            (59, "59 s ago"),
            (120, "2 min ago"),
            (7200, "2 h ago"),
            (200_000, "2 days ago"),
            (-86_400, "in 24 h"),
        ] {
            assert_eq!(ago(seconds), said);
        }
        let shown = context! { at => "2026-03-01T12:00:05.5+01:00", none => () };
        let drawn = environment().render_str("{{ at|when }} {{ none|when }}|{{ gone.away|when }}", shown);
        assert_eq!(drawn.unwrap(), "2026-03-01 11:00:05 |");
    }

    #[test]
    fn every_moment_says_that_it_is_of_utc() {
        let shown = context! { at => "2026-03-01T23:30:05-01:00" };
        let drawn = environment().render_str("{% from 'macros.html' import moment %}{{ moment(at) }}", shown);
        assert!(
            drawn.as_deref().unwrap().contains(">2026-03-02 00:30:05 UTC<"),
            "{drawn:?}"
        );
        for name in Templates::iter().filter(|name| name != "charts.html") {
            let file = Templates::get(&name).unwrap();
            let text = String::from_utf8_lossy(&file.data).into_owned();
            for rest in text.split("|when").skip(1) {
                assert!(
                    rest.starts_with(" }} UTC"),
                    "{name}: {}",
                    &rest[..20.min(rest.len())]
                );
            }
        }
    }

    #[test]
    fn a_list_that_is_not_read_whole_says_so() {
        let drawn = |list: serde_json::Value| {
            let source = "{% from 'macros.html' import cut_off %}{{ cut_off(list) }}";
            environment()
                .render_str(source, context! { list => Serde(list) })
                .unwrap()
        };
        let list = serde_json::json!({"items": [1, 2], "next_cursor": "x"});
        assert!(drawn(list).contains("There are more than these 2."));
        let list = serde_json::json!({"items": [1, 2], "next_cursor": null});
        assert_eq!(drawn(list), "");
    }

    #[test]
    fn axes_end_at_round_figures_and_figures_are_short() {
        for (most, end) in [
            (0.0, "1"),
            (0.3, "0.5"),
            (1.0, "1"),
            (7.0, "10"),
            (12.0, "20"),
            (201.0, "500"),
        ] {
            assert_eq!(short(top(most)), end);
        }
        for (figure, said) in [
            (0.0, "0"),
            (0.066, "0.07"),
            (2.5, "2.5"),
            (99.999, "100"),
            (1234.5, "1234"),
        ] {
            assert_eq!(short(figure), said);
        }
        let drawn = environment().render_str(
            "{{ at|before(60) }} {{ 'a&b'|urlencode }}",
            context! { at => "2026-03-01T00:00:30Z" },
        );
        assert_eq!(drawn.unwrap(), "2026-02-28T23:59:30Z a%26b");
    }

    #[test]
    fn every_template_can_be_read_and_what_is_put_in_stays_text() {
        for name in Templates::iter() {
            environment().get_template(&name).unwrap();
        }
        let shown = context! { problem => context! { title => "<script>alert(1)</script>", status => 403 } };
        let drawn = text("problem.html", shown).unwrap();
        assert!(
            drawn.contains("&lt;script&gt;") && !drawn.contains("<script>alert"),
            "{drawn}"
        );
    }
}
