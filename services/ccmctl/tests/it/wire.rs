//! What goes over the wire: against a server that answers as it is told.

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, Method, Response, Uri},
};
use std::{
    collections::VecDeque,
    process::Stdio,
    sync::{Arc, Mutex},
};
use tokio::{net::TcpListener, process::Command};

const TENANT: &str = "019331f0-7a00-7000-8000-000000000001";

#[derive(Clone, Default)]
struct Server {
    answers: Arc<Mutex<VecDeque<Response<Body>>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

async fn answer(
    State(server): State<Server>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    let said = |name: &str| {
        headers
            .get(name)
            .map_or("-", |value| value.to_str().unwrap())
            .to_owned()
    };
    let line = format!(
        "{method} {} {} {}",
        uri.path(),
        said("idempotency-key"),
        said("accept")
    );
    server.asked.lock().unwrap().push(line);
    server
        .answers
        .lock()
        .unwrap()
        .pop_front()
        .expect("more is asked than was told")
}

fn of(status: u16, headers: &[(&str, &str)], body: &str) -> Response<Body> {
    let built = headers
        .iter()
        .fold(Response::builder().status(status), |b, (name, value)| {
            b.header(*name, *value)
        });
    built.body(Body::from(body.to_owned())).unwrap()
}

/// The exit code, what was printed, and what the server was asked.
async fn run(line: &[&str], answers: Vec<Response<Body>>) -> (i32, String, Vec<String>) {
    let server = Server::default();
    *server.answers.lock().unwrap() = answers.into();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer).with_state(server.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let mut command = Command::new(env!("CARGO_BIN_EXE_ccmctl"));
    command.args(line).env_clear().stdin(Stdio::null());
    command.envs([
        ("CCMCTL_URL", url.as_str()),
        ("CCMCTL_TOKEN", "a.b.c"),
        ("CCMCTL_TENANT", TENANT),
    ]);
    let ended = command.output().await.unwrap();
    let printed =
        String::from_utf8_lossy(&ended.stdout).into_owned() + &String::from_utf8_lossy(&ended.stderr);
    let asked = server.asked.lock().unwrap().clone();
    (ended.status.code().unwrap(), printed, asked)
}

const CREATE: [&str; 6] = ["skillsets", "create", "--name", "WC_X", "--link-id", TENANT];

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_lost_is_asked_for_again_under_the_same_key() {
    let made = || of(201, &[], "{\"id\": \"x\", \"name\": \"WC_X\"}");
    let (code, printed, asked) = run(&CREATE, vec![of(503, &[], "{}"), made()]).await;
    assert_eq!(code, 0, "{printed}");
    assert!(
        asked.len() == 2 && asked[0] == asked[1] && !asked[0].contains(" - "),
        "{asked:?}"
    );

    let patience = of(429, &[("retry-after", "1")], "{}");
    let (code, printed, asked) = run(&CREATE, vec![patience, made()]).await;
    assert_eq!((code, asked.len()), (0, 2), "{printed}");
    let longer = of(
        429,
        &[("retry-after", "3600")],
        "{\"title\": \"Too many\", \"remedy\": \"wait\"}",
    );
    let (code, printed, _) = run(&CREATE, vec![longer]).await;
    assert!(
        code == 3 && printed.contains("429: Too many") && printed.contains("do: wait"),
        "{code} {printed}"
    );

    // What is replaced may have been replaced: a second time could meet somebody else's.
    let (code, _, asked) = run(
        &["numbers", "delete", TENANT, "--if-match", "\"x\""],
        vec![of(503, &[], "{}")],
    )
    .await;
    assert_eq!((code, asked.len()), (3, 1), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_examination_is_told_step_by_step() {
    let lines = |outcome: &str| {
        let step = format!(
            "{{\"event\": \"step\", \"step\": {{\"title\": \"TLS\", \"outcome\": \"{outcome}\", \"evidence\": [{{\"name\": \"protocol\", \
             \"value\": \"TLS 1.3\\u001b[2J\"}}], \"finding\": {{\"cause\": \"expired\", \"explanation\": \"It ended.\", \"remedy\": \"Renew it.\"}}}}}}"
        );
        let began = "{\"event\": \"began\", \"title\": \"TLS\"}";
        let report = format!(
            "{{\"event\": \"report\", \"report\": {{\"outcome\": \"{outcome}\"}}, \"report_id\": \"r1\"}}"
        );
        of(
            200,
            &[("content-type", "application/x-ndjson")],
            &format!("{began}\n{step}\n{report}\n"),
        )
    };
    let doctor = ["links", "doctor", TENANT];
    let (code, printed, asked) = run(&doctor, vec![lines("passed")]).await;
    assert_eq!(code, 0, "{printed}");
    assert!(asked[0].ends_with(" application/x-ndjson"), "{asked:?}");
    assert!(
        printed.starts_with("✓ TLS\n    protocol: TLS 1.3\\u{1b}[2J\n"),
        "{printed}"
    );
    let (code, printed, _) = run(&doctor, vec![lines("failed")]).await;
    assert_eq!(code, 9);
    for part in [
        "✗ TLS\n",
        "expired: It ended.\n",
        "do: Renew it.\n",
        "failed; the report is kept as r1\n",
        "something is wrong",
    ] {
        assert!(printed.contains(part), "{part}: {printed}");
    }
    let (_, printed, _) = run(&[&doctor[..], &["--json"]].concat(), vec![lines("passed")]).await;
    assert_eq!(printed.lines().count(), 3, "{printed}");
}
