//! The page's style and script: files of our own, under names that change with what is in them.

use aws_lc_rs::digest::{SHA256, digest};
use axum::{
    http::{
        HeaderValue,
        header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
    },
    response::{IntoResponse, Response},
};
use ccm_web::{Path, Problem};
use std::sync::LazyLock;

pub struct Asset {
    /// With the beginning of its hash.
    pub name: String,
    pub content: &'static str,
    kind: &'static str,
}

/// The page's style; what is hidden where no script runs; the script.
pub static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    asset(
        "page",
        "css",
        "text/css; charset=utf-8",
        include_str!("../../static/page.css"),
    )
});
pub static PLAIN: LazyLock<Asset> = LazyLock::new(|| {
    asset(
        "plain",
        "css",
        "text/css; charset=utf-8",
        include_str!("../../static/plain.css"),
    )
});
pub static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    asset(
        "page",
        "js",
        "text/javascript; charset=utf-8",
        include_str!("../../static/page.js"),
    )
});

fn asset(stem: &str, extension: &str, kind: &'static str, content: &'static str) -> Asset {
    let hash = digest(&SHA256, content.as_bytes());
    let hash: String = hash.as_ref()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Asset {
        name: format!("{stem}-{hash}.{extension}"),
        content,
        kind,
    }
}

/// `GET /static/{name}`
pub async fn serve(Path(name): Path<String>) -> Response {
    let known = [&*STYLE, &*PLAIN, &*SCRIPT]
        .into_iter()
        .find(|asset| asset.name == name);
    let Some(asset) = known else {
        return Problem::not_found("file")
            .remedy("load the page again: it names its files")
            .into_response();
    };
    let mut response = asset.content.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=31536000, immutable"),
    );
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
