//! `ccm doctor`, the real program, against an AACC that is well and one that is not.

use crate::play::world;
use ccm_aacc_sim::{Config, Sim, UpgradeAnswer};
use serde_json::Value;
use std::{path::Path, process::Output};
use tokio::process::Command;

const CCM: &str = env!("CARGO_BIN_EXE_ccm");

async fn doctor(args: &[&str]) -> Output {
    let mut command = Command::new(CCM);
    // What works before anything is configured must not find a configuration.
    command.arg("doctor").args(args).env_clear().kill_on_drop(true);
    command.output().await.unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

struct Patient {
    sim: Sim,
    url: String,
    ca: tempfile::TempPath,
}

async fn patient() -> Patient {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let sim = Sim::start(Config::default()).await.unwrap();
    let ca = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    std::fs::write(&ca, sim.ca_pem().unwrap()).unwrap();
    Patient {
        url: format!("wss://localhost:{}", sim.ewc_addr().port()),
        sim,
        ca,
    }
}

impl Patient {
    async fn examined(&self, more: &[&str]) -> Output {
        let ca: &Path = &self.ca;
        let mut args = vec![
            self.url.as_str(),
            "--address",
            "127.0.0.1",
            "--ca",
            ca.to_str().unwrap(),
        ];
        args.extend(more);
        doctor(&args).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_examined_without_configuration_or_database() {
    let patient = patient().await;
    let healthy = patient
        .examined(&["--skillset", "WC_Default_Skillset", "--chat", "--wait", "0s"])
        .await;
    let said = text(&healthy.stdout);
    assert_eq!(healthy.status.code(), Some(0), "{said}{}", text(&healthy.stderr));
    for line in [
        "✓ WebSocket upgrade",
        "✓ Queue metrics: WC_Default_Skillset",
        "✓ Test chat: socket cut, resume",
        "same guid: ",
        "✓ This link works: ",
    ] {
        assert!(said.contains(line), "{line:?} is missing in {said}");
    }
    assert!(!said.contains('\x1b'), "no colours off a terminal: {said:?}");
    assert!(
        patient
            .sim
            .chats()
            .iter()
            .all(|chat| chat.state == ccm_aacc_sim::ChatState::Ended)
    );

    patient
        .sim
        .change_edge(|edge| edge.upgrade = UpgradeAnswer::HtmlPage);
    let broken = patient.examined(&[]).await;
    let said = text(&broken.stdout);
    assert_eq!(broken.status.code(), Some(1), "{said}");
    for line in [
        "✗ WebSocket upgrade",
        "allow_websocket_unticked – session border controller or reverse proxy",
        "Do this: Tick Allow Web Socket",
        "HTTP status: 200",
        "– EWC ping – skipped: the WebSocket upgrade failed",
        "Look at this first: allow_websocket_unticked",
    ] {
        assert!(said.contains(line), "{line:?} is missing in {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_warned_of_counts_when_it_is_asked_for() {
    let patient = patient().await;
    patient
        .sim
        .change_settings(|settings| settings.any_skillset.available_agents = 0);
    let args = ["--skillset", "WC_Default_Skillset", "--json"];
    let warned = patient.examined(&args).await;
    assert_eq!(warned.status.code(), Some(0));
    let report: Value = serde_json::from_slice(&warned.stdout).unwrap();
    assert_eq!(report["outcome"], "warned");
    let steps = report["steps"].as_array().unwrap();
    let queue = steps.iter().find(|step| step["kind"] == "queue").unwrap();
    assert_eq!(queue["finding"]["cause"], "no_agents");
    let strict = patient
        .examined(&["--skillset", "WC_Default_Skillset", "--json", "--strict"])
        .await;
    assert_eq!(strict.status.code(), Some(3));
}

#[tokio::test]
async fn a_doctor_who_cannot_begin_says_why() {
    for (args, words) in [
        (&[][..], "required"),
        (&["https://aacc.example.com"], "does not begin with wss://"),
        (
            &["wss://aacc.example.com", "--ca", "/no/such/file"],
            "/no/such/file",
        ),
        (
            &["wss://aacc.example.com", "--tenant", "acme"],
            "cannot be used with",
        ),
        (&["--tenant", "acme"], "is not set"),
    ] {
        let output = doctor(args).await;
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let said = text(&output.stderr);
        assert!(said.contains(words), "{args:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_link_is_examined_by_its_tenants_name_and_what_is_configured_is_checked() {
    let world = world().start().await.unwrap();
    let tenant = &world.tenants[0];
    let config = world
        .stack
        .config_file("admin")
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    for name in [&tenant.made.slug, &tenant.made.id] {
        let output = doctor(&["--config", &config, "--tenant", name, "--json"]).await;
        let said = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{said}{}", text(&output.stderr));
        let report: Value = serde_json::from_str(&said).unwrap();
        let port = tenant.aacc.ewc_addr().port();
        assert!(
            report["primary"].as_str().unwrap().contains(&format!(":{port}/")),
            "{said}"
        );
        let steps = report["steps"].as_array().unwrap();
        let queues: Vec<_> = steps.iter().filter(|step| step["kind"] == "queue").collect();
        assert!(
            !queues.is_empty() && queues.iter().all(|q| q["title"] != "Queue metrics"),
            "{said}"
        );
    }
    let unknown = doctor(&["--config", &config, "--tenant", "nobody"]).await;
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown.stderr).contains("there is no tenant"));
    crate::configuration::is_checked_and_taken_up(&world).await;
}
