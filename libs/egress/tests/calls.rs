//! Calls to receivers that answer, hang, redirect and lie.

use axum::{Router, body::Body, http::HeaderMap, http::StatusCode, response::Redirect, routing::post};
use ccm_egress::{Allowed, Call, CallFailed, Egress, Signers};
use std::{net::SocketAddr, time::Duration};
use url::Url;

async fn receiver() -> SocketAddr {
    let verified = |headers: HeaderMap, body: String| async move {
        let known = standardwebhooks::Webhook::new(SECRET).unwrap();
        match known.verify(body.as_bytes(), &headers) {
            Ok(()) => (StatusCode::OK, "signed"),
            Err(_) => (StatusCode::UNAUTHORIZED, "not signed"),
        }
    };
    let router = Router::new()
        .route("/verified", post(verified))
        .route("/nothing", post(|| async { StatusCode::NO_CONTENT }))
        .route("/redirect", post(|| async { Redirect::temporary("/verified") }))
        .route("/fails", post(|| async { StatusCode::BAD_GATEWAY }))
        .route("/long", post(|| async { "x".repeat(1001) }))
        .route("/just", post(|| async { "x".repeat(1000) }))
        .route("/hangs", post(std::future::pending::<()>))
        .route(
            "/trickles",
            post(|| async { Body::from_stream(futures_trickle()) }),
        );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    at
}

/// A byte now and then, for ever.
fn futures_trickle() -> impl futures::Stream<Item = Result<&'static str, std::io::Error>> + Send {
    futures::stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        Some((Ok("x"), ()))
    })
}

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn here() -> Allowed {
    Allowed::also(vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()])
}

async fn call(allowed: Allowed, url: &str) -> Result<String, CallFailed> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let egress = Egress::new(allowed).unwrap();
    let answer = egress
        .post(Call {
            url: &Url::parse(url).unwrap(),
            id: "msg_1",
            timestamp: ccm_model::Clock::system().now().unix_timestamp(),
            json: r#"{"text":"hi"}"#.into(),
            signers: &Signers::new(&[SECRET.into()]).unwrap(),
            timeout: Duration::from_millis(500),
            most: 1000,
        })
        .await?;
    Ok(String::from_utf8(answer).unwrap())
}

#[tokio::test]
async fn a_receiver_verifies_what_it_gets_and_answers() {
    let at = receiver().await;
    let to = |path: &str| format!("http://{at}{path}");
    assert_eq!(call(here(), &to("/verified")).await.as_deref(), Ok("signed"));
    assert_eq!(call(here(), &to("/nothing")).await.as_deref(), Ok(""));
    assert_eq!(call(here(), &to("/just")).await.map(|b| b.len()), Ok(1000));
}

#[tokio::test]
async fn whatever_else_a_receiver_does_ends_in_time_with_a_reason() {
    let at = receiver().await;
    let to = |path: &str| format!("http://{at}{path}");
    let late = CallFailed::TimedOut(Duration::from_millis(500));
    for (path, failed) in [
        ("/redirect", CallFailed::Redirect(307)),
        ("/fails", CallFailed::Status(502)),
        ("/gone", CallFailed::Status(404)),
        ("/long", CallFailed::TooLong(1000)),
        ("/hangs", late),
        ("/trickles", late),
    ] {
        assert_eq!(call(here(), &to(path)).await, Err(failed), "{path}");
    }
    // Nobody listens; nobody speaks TLS.
    assert_eq!(
        call(here(), "http://127.0.0.1:1/").await,
        Err(CallFailed::Connect)
    );
    assert_eq!(
        call(here(), &format!("https://{at}/verified")).await,
        Err(CallFailed::Connect)
    );
}

#[tokio::test]
async fn private_addresses_are_not_called_by_number_nor_by_name() {
    let at = receiver().await;
    let port = at.port();
    for url in [
        format!("http://127.0.0.1:{port}/verified"),
        format!("http://localhost:{port}/verified"),
        format!("http://[::1]:{port}/verified"),
        format!("http://[::ffff:127.0.0.1]:{port}/verified"),
        // The same host, as other programs write it.
        format!("http://2130706433:{port}/verified"),
        format!("http://0x7f.1:{port}/verified"),
        "http://169.254.169.254/latest/meta-data/".into(),
    ] {
        assert_eq!(
            call(Allowed::default(), &url).await,
            Err(CallFailed::Private),
            "{url}"
        );
    }
    assert!(
        call(here(), &format!("http://localhost:{port}/verified"))
            .await
            .is_ok()
    );
}
