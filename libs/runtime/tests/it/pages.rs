use ccm_runtime::{Health, Lifecycle, Metrics, State, config::ShutdownConfig, ops, serve_to_the_end};
use std::time::Duration;
use tokio::net::TcpListener;

async fn pages(health: &Health) -> String {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = ops::router(health.clone(), Metrics::install().unwrap());
    tokio::spawn(serve_to_the_end(listener, router));
    format!("http://{address}")
}

async fn get(url: String) -> (u16, String) {
    let answer = reqwest::get(url).await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn ready_means_able_to_do_the_job() {
    let health = Health::new("ingest");
    health.needs("database");
    health.helped_by("redis");
    let base = pages(&health).await;
    let ready = || async {
        let (status, body) = get(format!("{base}/readyz")).await;
        (status, serde_json::from_str::<serde_json::Value>(&body).unwrap())
    };

    let (status, body) = ready().await;
    assert_eq!(status, 503, "the database was not tried yet");
    assert_eq!(body["dependencies"]["database"]["state"], "unknown");

    health.set("database", State::Up);
    health.set(
        "redis",
        State::Down {
            why: "connection refused".to_owned(),
        },
    );
    let (status, body) = ready().await;
    assert_eq!(status, 200, "a dead Redis is no reason to take no texts: {body}");
    assert_eq!(body["role"], "ingest");
    assert_eq!(body["dependencies"]["redis"]["why"], "connection refused");
    assert_eq!(body["dependencies"]["redis"]["needed"], false);

    health.set(
        "database",
        State::Down {
            why: "gone".to_owned(),
        },
    );
    assert_eq!(ready().await.0, 503);
    health.set("database", State::Up);
    assert_eq!(ready().await.0, 200);

    let shutdown = ShutdownConfig {
        notice: Duration::ZERO,
        grace: Duration::from_secs(1),
    };
    Lifecycle::new(shutdown, health.clone()).drain();
    let (status, body) = ready().await;
    assert_eq!(status, 503);
    assert_eq!(body["draining"], true);
    assert_eq!(get(format!("{base}/healthz")).await.0, 200, "draining is alive");
}

#[tokio::test]
async fn metrics_are_shown_with_buckets_for_seconds() {
    let base = pages(&Health::new("ingest")).await;
    metrics::counter!("ccm_test_total", "role" => "ingest").increment(3);
    metrics::histogram!("ccm_test_seconds").record(0.3);
    let (status, body) = get(format!("{base}/metrics")).await;
    assert_eq!(status, 200);
    assert!(body.contains("ccm_test_total{role=\"ingest\"} 3"), "{body}");
    assert!(body.contains("ccm_test_seconds_bucket{le=\"0.5\"} 1"), "{body}");
    assert!(body.contains("ccm_test_seconds_bucket{le=\"0.25\"} 0"), "{body}");
}
