//! Spans reach a collector over the real wire; a collector that is away costs nothing.

use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::post};
use ccm_runtime::{
    config::{LogFormat, TelemetryConfig},
    telemetry,
};
use std::time::Duration;
use tokio::{net::TcpListener, sync::mpsc, time::timeout};

fn config(endpoint: String) -> TelemetryConfig {
    TelemetryConfig {
        log_format: LogFormat::Json,
        log_filter: "info".to_owned(),
        otlp_endpoint: Some(endpoint),
        metrics_tenants: 0,
    }
}

fn has(body: &[u8], text: &str) -> bool {
    body.windows(text.len()).any(|w| w == text.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_are_posted_with_the_services_name_and_flushed_at_the_end() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (sender, mut bodies) = mpsc::unbounded_channel::<Bytes>();
    let collector = Router::new()
        .route(
            "/v1/traces",
            post(
                |State(sender): State<mpsc::UnboundedSender<Bytes>>, body: Bytes| async move {
                    sender.send(body).unwrap();
                    StatusCode::OK
                },
            ),
        )
        .with_state(sender);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, collector).await });

    let guard = telemetry::init(&config(format!("http://{address}/")), "ingest").unwrap();
    tracing::info_span!(target: "ccm_ingest", "accept-webhook").in_scope(|| ());
    tokio::task::spawn_blocking(move || drop(guard)).await.unwrap();

    let body = timeout(Duration::from_secs(30), bodies.recv())
        .await
        .expect("flushed before the guard was gone")
        .unwrap();
    assert!(has(&body, "ccm-ingest"), "the service's name");
    assert!(has(&body, "accept-webhook"), "the span's name");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_never_answers_does_not_hold_the_process_up() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let guard = telemetry::init(&config(format!("http://{address}")), "ingest").unwrap();
    let started = tokio::time::Instant::now();
    for _ in 0..10_000 {
        tracing::info_span!(target: "ccm_ingest", "accept-webhook").in_scope(|| ());
    }
    tokio::task::spawn_blocking(move || drop(guard)).await.unwrap();
    // Waiting for each of the batches, of which there are more than the queue holds, would take 46 s.
    assert!(
        started.elapsed() < Duration::from_secs(30),
        "{:?}",
        started.elapsed()
    );
}
