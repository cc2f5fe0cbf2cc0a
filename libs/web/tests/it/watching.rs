//! What a request leaves behind in logs, spans and metrics.

use crate::{call, get_request, json_request};
use axum::{
    body::Body,
    http::{Request, header},
};
use metrics_exporter_prometheus::PrometheusBuilder;
use std::{
    io,
    sync::{Arc, Mutex},
};
use tracing_subscriber::{filter::LevelFilter, fmt::format::FmtSpan};

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const CANARY: &str = "19995550001";

#[tokio::test]
async fn neither_path_nor_query_header_or_body_is_left_behind() {
    let page = Page::default();
    let writer = page.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_writer(move || writer.clone())
        .finish();
    let _default = tracing::subscriber::set_default(subscriber);
    let handle = PrometheusBuilder::new().install_recorder().unwrap();

    let strange = Request::builder()
        .method(format!("X{CANARY}").as_str())
        .uri(format!("/count/{CANARY}?from={CANARY}"))
        .header(header::AUTHORIZATION, format!("Bearer {CANARY}"))
        .header("x-request-id", CANARY)
        .body(Body::from(CANARY))
        .unwrap();
    for request in [
        strange,
        get_request(&format!("/{CANARY}")),
        get_request(&format!("/count/{CANARY}")),
        get_request(&format!("/list?limit={CANARY}")),
        json_request("/numbers", &format!(r#"{{"address":{CANARY}}}"#)),
        json_request("/numbers", &format!(r#"{{"{CANARY}":1}}"#)),
        get_request("/count/7"),
        get_request("/broken"),
    ] {
        call(request).await;
    }

    let logged = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
    assert!(!logged.contains(CANARY), "{logged}");
    assert!(
        logged.contains("/count/{n}") && logged.contains("unmatched"),
        "{logged}"
    );
    assert_eq!(
        logged.matches("the disk is full").count(),
        1,
        "logged once: {logged}"
    );

    let measured = handle.render();
    assert!(!measured.contains(CANARY), "{measured}");
    for line in [
        r#"ccm_http_requests_total{role="test",route="/count/{n}",method="GET",status="200"} 1"#,
        r#"ccm_http_requests_total{role="test",route="/count/{n}",method="other",status="405"} 1"#,
        r#"ccm_http_requests_total{role="test",route="unmatched",method="GET",status="404"} 1"#,
        r#"ccm_http_request_seconds_count{role="test",route="/list",method="GET"} 1"#,
    ] {
        assert!(measured.contains(line), "{line} in {measured}");
    }
}
