//! The launcher, with a stand-in for `ccm` that serves `/readyz` and `/metrics` where its configuration says.

use ccm_testkit::{Stack, TempFolder};
use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    time::Duration,
};

const LIMIT: Duration = Duration::from_secs(20);

/// A script that hands its arguments to the ignored test below, in this program.
fn fake_ccm(folder: &TempFolder, extra: &str) -> PathBuf {
    let this = std::env::current_exe().unwrap();
    let script = format!(
        "#!/bin/sh\n{extra}\nFAKE_CCM=\"$*\" exec \"{}\" --exact stack::a_fake_ccm --ignored --nocapture\n",
        this.display()
    );
    let file = folder.path().join("ccm");
    fs::write(&file, script).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    file
}

#[test]
#[ignore = "a part of other tests"]
fn a_fake_ccm() {
    let arguments = std::env::var("FAKE_CCM").unwrap();
    let (command, file) = arguments.split_once(" --config ").unwrap();
    let config = fs::read_to_string(file).unwrap();
    if command == "migrate" {
        assert!(config.contains("ccm_owner") && !config.contains("ccm_app_login"));
        return;
    }
    assert!(!config.contains("ccm_owner"), "services do not know the owner");
    let (_, section) = config.split_once(&format!("[{command}]")).unwrap();
    let key = if section.split('[').next().unwrap().contains("ops_listen") {
        "ops_listen = \""
    } else {
        "listen = \""
    };
    let address = section.split_once(key).unwrap().1.split('"').next().unwrap();
    let listener = TcpListener::bind(address).unwrap();
    eprintln!(
        "{command} listens with RUST_LOG={:?}",
        std::env::var("RUST_LOG").ok()
    );
    for mut socket in listener.incoming().flatten() {
        let mut request = [0; 64];
        let length = socket.read(&mut request).unwrap();
        let path = String::from_utf8_lossy(&request[..length])
            .split(' ')
            .nth(1)
            .unwrap_or_default()
            .to_owned();
        write!(socket, "HTTP/1.0 200 OK\r\n\r\n{command} {path}").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_run_apart_and_come_back_on_their_ports() {
    let folder = TempFolder::new().unwrap();
    let ccm = fake_ccm(&folder, "");
    let builder = Stack::builder(&ccm)
        .dir(folder.path().join("stack"))
        .env("RUST_LOG", "ccm=trace");
    let mut stack = builder
        .roles(["ingest", "connector", "connector-2"])
        .proxied_redis()
        .start()
        .await
        .unwrap();
    assert_eq!(
        stack.roles().collect::<Vec<_>>(),
        ["connector", "connector-2", "ingest"]
    );
    assert_eq!(stack.metrics("connector-2").await.unwrap(), "connector /metrics");
    assert!(stack.address("ingest").unwrap().starts_with("http://127.0.0.1:"));
    stack.address("connector").unwrap_err();
    assert!(
        format!("{:#}", stack.logs("sideline").unwrap_err()).contains("only connector, connector-2, ingest")
    );

    stack.kill9("ingest").unwrap();
    assert!(!stack.is_ready("ingest").await.unwrap() && stack.is_ready("connector").await.unwrap());
    stack.start("ingest").await.unwrap();
    assert!(stack.is_ready("ingest").await.unwrap());

    let before = stack.pid("connector").unwrap();
    stack.restart("connector").await.unwrap();
    assert_ne!(stack.pid("connector").unwrap(), before);
    stack.sigterm("connector").unwrap();
    assert!(
        !stack.wait("connector", LIMIT).await.unwrap().success(),
        "the stand-in does not catch SIGTERM"
    );
    stack.add("dispatch").await.unwrap();

    assert_eq!(
        stack
            .logs("ingest")
            .unwrap()
            .matches("RUST_LOG=Some(\"ccm=trace\")")
            .count(),
        2,
        "one log, two starts"
    );
    let proxy = stack.redis_proxy().unwrap().addr();
    assert!(
        fs::read_to_string(stack.config_file("ingest").unwrap())
            .unwrap()
            .contains(&format!("redis://{proxy}"))
    );
    let mut redis = TcpStream::connect(proxy).unwrap();
    redis.write_all(b"PING\r\n").unwrap();
    let mut answer = [0; 5];
    redis.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"+PONG");

    let (pid, pg) = (stack.pid("ingest").unwrap().unwrap(), stack.pg().port());
    drop(stack);
    assert!(
        !PathBuf::from(format!("/proc/{pid}")).exists(),
        "nothing outlives the stack"
    );
    TcpStream::connect(("127.0.0.1", pg)).unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_cannot_start_is_told_with_its_log() {
    let folder = TempFolder::new().unwrap();
    let ccm = fake_ccm(
        &folder,
        "[ \"$1\" = dispatch ] && { echo the key file is missing >&2; exit 3; }",
    );
    let start = Stack::builder(&ccm)
        .dir(folder.path().join("stack"))
        .roles(["ingest", "dispatch"])
        .start()
        .await;
    let error = format!("{:#}", start.err().unwrap());
    assert!(
        error.contains("dispatch ended by itself") && error.contains("the key file is missing"),
        "{error}"
    );
    let error = format!(
        "{:#}",
        Stack::builder("/nowhere/ccm").start().await.err().unwrap()
    );
    assert!(error.contains("cargo build"), "{error}");
}
