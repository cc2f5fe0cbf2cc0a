//! Templates, style and script: read from the source folder where the console is built for development, so that a page is changed by
//! saving it; part of the program where it is built for release.

use axum::{
    extract::Path,
    http::{HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use rust_embed::{EmbeddedFile, RustEmbed};
use std::fmt::Write;

#[derive(RustEmbed)]
#[folder = "templates/"]
pub struct Templates;

#[derive(RustEmbed)]
#[folder = "static/"]
struct Files;

/// Where a file is: its name carries the beginning of its hash, so that browsers may keep it.
pub fn address(name: &str) -> String {
    let Some(file) = Files::get(name) else {
        return format!("/console/static/{name}");
    };
    format!("/console/static/{name}?{}", mark(&file))
}

/// The hash comes with the file: in a release it is not computed at all.
fn mark(file: &EmbeddedFile) -> String {
    let mut mark = String::new();
    for byte in &file.metadata.sha256_hash()[..6] {
        let _ = write!(mark, "{byte:02x}");
    }
    mark
}

/// `GET /console/static/{file}`
pub async fn serve(Path(name): Path<String>, uri: Uri) -> Response {
    let Some(file) = Files::get(&name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let kind = match name.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    };
    // A page of another version asks for another file: what it gets instead is not kept under that name.
    let kept = match uri.query() == Some(&mark(&file)) {
        true => "private, max-age=31536000, immutable",
        false => "no-store",
    };
    let mut response = file.data.into_owned().into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(kept));
    response
}
