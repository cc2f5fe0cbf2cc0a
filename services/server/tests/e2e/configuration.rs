//! `ccm config check`, `ccm migrate --dry-run`, and settings that change while a role runs.

use crate::play::SOON;
use ccm_demo::World;
use std::{fs, process::Output, time::Duration};
use tokio::{process::Command, time::sleep};

async fn ccm(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ccm"));
    command.args(args).env_clear().kill_on_drop(true);
    command.output().await.unwrap()
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[tokio::test]
async fn everything_that_is_missing_is_said_at_once() {
    let missing = ccm(&["config", "check", "admin"]).await;
    let text = said(&missing);
    assert_eq!(missing.status.code(), Some(1), "{text}");
    for key in [
        "database.app_url",
        "database.system_url",
        "keys.master_key_file",
        "redis.url",
        "ingest.public_base_url",
        "jwt.",
    ] {
        assert!(text.contains(key), "{key}: {text}");
    }
    for (args, words) in [
        (
            &["config", "check", "--set", "dispatch.pol_ms=1"][..],
            "did you mean dispatch.poll_ms?",
        ),
        (
            &["config", "check", "--set", "telemetry.log_filter=a=b=c"],
            "is not a filter",
        ),
        (&["config", "check", "nobody"], "possible values"),
        (&["config", "check", "--set", "dispatch"], "section.key=value"),
        (
            &["ingest", "--set", "dispatch.poll_ms=often"],
            "--set dispatch.poll_ms",
        ),
    ] {
        let output = ccm(args).await;
        assert!(!output.status.success(), "{args:?}");
        assert!(said(&output).contains(words), "{args:?}: {}", said(&output));
    }
}

/// With a world that runs: what it runs with is checked, and changed.
pub async fn is_checked_and_taken_up(world: &World) {
    for role in [
        "ingest",
        "dispatch",
        "connector",
        "admin",
        "screenpop",
        "deflection",
        "events",
    ] {
        let file = world.stack.config_file(role).unwrap();
        let output = ccm(&[
            "--config",
            file.to_str().unwrap(),
            "config",
            "check",
            role,
            "--connect",
        ])
        .await;
        let text = said(&output);
        assert!(
            output.status.success() && text.contains("what it needs answers"),
            "{role}: {text}"
        );
        assert!(
            text.contains("set    database.app_url (") && !text.contains("postgres://"),
            "{role}: {text}"
        );
    }
    let file = world.stack.config_file("dispatch").unwrap();
    let path = file.to_str().unwrap();
    let args = [
        "--config",
        path,
        "--set",
        "redis.url=redis://127.0.0.1:1",
        "config",
        "check",
        "dispatch",
        "--connect",
    ];
    let output = ccm(&args).await;
    assert!(
        !output.status.success() && said(&output).contains("wrong  Redis: "),
        "{}",
        said(&output)
    );

    // RUST_LOG in the environment of this world's roles wins over the file, so that the other setting is changed.
    let before = fs::read_to_string(file).unwrap();
    let change = |text: &str| fs::write(file, format!("{before}\n{text}\n")).unwrap();
    let logs = async |words: &str| {
        let began = tokio::time::Instant::now();
        loop {
            let logs = world.stack.logs("dispatch").unwrap();
            if logs.contains(words) {
                return;
            }
            assert!(began.elapsed() < SOON, "{words}: {logs}");
            sleep(Duration::from_millis(200)).await;
        }
    };
    change("[telemetry]\nmetrics_tenants = 7\n");
    logs("telemetry.metrics_tenants").await;
    change("[telemetry]\nmetrics_tenants = -1\n");
    logs("the configuration has changed and cannot be used").await;
    fs::write(file, before).unwrap();
}
