//! Nothing is wrong, and nothing is said to be.

use ccm_aacc_sim::{AutoAgent, Config, ServerCertificate, Settings, Sim, Tls, TlsSetup};
use ccm_doctor::{Endpoint, Outcome, Plan, StepKind, SyntheticChat};
use ccm_ewc_client::{ClientIdentity, Proxy, Target};
use ccm_testkit::certs::Ca;
use serde_json::{Value, json};
use std::time::Duration;

use crate::rig::*;

fn agent() -> AutoAgent {
    serde_json::from_value(
        json!({"id": "7000", "name": "Russell", "join_after_ms": 100, "greeting": "Hello",
        "replies": ["{text}"]}),
    )
    .unwrap()
}

fn with_chat(sim: &Sim) -> Plan {
    Plan {
        chat: Some(SyntheticChat {
            wait: Duration::from_secs(10),
            ..SyntheticChat::new("WC_Default_Skillset")
        }),
        idle_watch: Some(Duration::from_millis(300)),
        ..plan(target(sim))
    }
}

#[tokio::test]
async fn a_healthy_link_passes_every_step() {
    for tls in [Tls::PrivateCa, Tls::Plain] {
        let encrypted = matches!(tls, Tls::PrivateCa);
        let config = Config {
            tls,
            agents: vec![agent()],
            ..Config::default()
        };
        let sim = Sim::start(config).await.unwrap();
        let report = examine(with_chat(&sim)).await;
        assert_eq!(report.outcome, Outcome::Passed, "{report:#?}");
        let skipped: Vec<_> = report
            .steps
            .iter()
            .filter(|s| s.outcome == Outcome::Skipped)
            .map(|s| s.kind)
            .collect();
        assert_eq!(skipped, if encrypted { vec![] } else { vec![StepKind::Tls] });
        assert_eq!(step(&report, StepKind::ChatAgent).outcome, Outcome::Passed);
        assert_eq!(step(&report, StepKind::ChatTranscript).outcome, Outcome::Passed);
        assert!(sim.violations().is_empty(), "{:?}", sim.violations());
        let chats = sim.record().chats;
        assert_eq!(chats.len(), 1, "one chat, resumed");
        assert!(
            sim.chats()
                .iter()
                .all(|chat| chat.state == ccm_aacc_sim::ChatState::Ended)
        );
    }
}

#[tokio::test]
async fn the_evidence_is_what_was_seen() {
    let setup = TlsSetup {
        certificate: ServerCertificate::WithIntermediate,
        versions: ccm_aacc_sim::TlsVersions::Only12,
        ..TlsSetup::default()
    };
    let sim = wss(setup).await;
    let report = examine(plan(target(&sim))).await;
    assert_eq!(report.outcome, Outcome::Passed, "{report:#?}");
    let value = |kind, name: &str| {
        let facts = &step(&report, kind).evidence;
        facts.iter().find(|f| f.name == name).map(|f| f.value.clone())
    };
    assert_eq!(value(StepKind::Tls, "protocol").unwrap(), "TLS 1.2");
    assert!(value(StepKind::Tls, "cipher suite").unwrap().contains("ECDHE"));
    assert!(
        value(StepKind::Tls, "certificate: names")
            .unwrap()
            .contains("aacc.localhost")
    );
    assert_eq!(value(StepKind::Tls, "certificate: SHA-256").unwrap().len(), 64);
    assert!(
        value(StepKind::Tls, "certificate 1 above it")
            .unwrap()
            .contains("intermediate")
    );
    assert!(
        value(StepKind::Settings, "trusts")
            .unwrap()
            .contains("aacc-sim private CA")
    );
    assert_eq!(
        value(StepKind::Tcp, "connected to").unwrap(),
        sim.ewc_addr().to_string()
    );
    assert_eq!(value(StepKind::Tcp, "from this machine's").unwrap(), "127.0.0.1");
    assert!(value(StepKind::Ping, "round trip").is_some());
    assert!(
        value(StepKind::Queue, "WC_Default_Skillset")
            .unwrap()
            .starts_with("1 agents available")
    );
}

#[tokio::test]
async fn without_skillsets_all_are_listed_and_without_an_agent_the_resume_is_proven() {
    let sim = wss(TlsSetup::default()).await;
    let mut plan = with_chat(&sim);
    plan.skillsets.clear();
    plan.chat.as_mut().unwrap().wait = Duration::ZERO;
    let report = examine(plan).await;
    assert_eq!(report.outcome, Outcome::Passed, "{report:#?}");
    assert_eq!(
        step(&report, StepKind::Queue).evidence[0].name,
        "WC_Default_Skillset"
    );
    assert_eq!(step(&report, StepKind::ChatAgent).outcome, Outcome::Skipped);
    assert_eq!(step(&report, StepKind::ChatTranscript).outcome, Outcome::Skipped);
    let resumed = step(&report, StepKind::ChatResume);
    assert_eq!(resumed.outcome, Outcome::Passed);
    assert_eq!(resumed.evidence[0].name, "same guid");
}

#[tokio::test]
async fn the_second_address_is_examined_too() {
    let sim = wss(TlsSetup::default()).await;
    let mut plan = plan(target(&sim));
    plan.secondary = Some(hurried(Target::wss("localhost", ccm_testkit::ports::free_port())));
    let report = examine(plan).await;
    assert_eq!(report.outcome, Outcome::Failed);
    let of = |endpoint, kind| {
        let mut steps = report.steps.iter();
        steps
            .find(|s| s.endpoint == endpoint && s.kind == kind)
            .unwrap()
            .outcome
    };
    assert_eq!(of(Endpoint::Primary, StepKind::Upgrade), Outcome::Passed);
    assert_eq!(of(Endpoint::Secondary, StepKind::Tcp), Outcome::Failed);
    assert_eq!(of(Endpoint::Secondary, StepKind::Upgrade), Outcome::Skipped);
}

/// What stands in the report, in the form that others read.
#[tokio::test]
async fn the_report_is_stable_json_without_secrets() {
    let sim = Sim::start(Config {
        tls_setup: TlsSetup {
            client_certificate: ccm_aacc_sim::ClientCertificate::OfCa,
            ..TlsSetup::default()
        },
        settings: Settings::default(),
        ..Config::default()
    })
    .await
    .unwrap();
    let identity = sim.client_identity().unwrap();
    let mut plan = with_chat(&sim);
    plan.chat.as_mut().unwrap().wait = Duration::ZERO;
    plan.primary.client_identity = Some(ClientIdentity::new(&identity.cert_pem, &identity.key_pem));
    plan.secondary = Some(Target {
        proxy: Some(Proxy::new("127.0.0.1", 1).with_credentials("ccm", "pass-of-proxy")),
        ca_pem: Some(Ca::new("another").unwrap().pem().to_owned()),
        ..target(&sim)
    });
    let report = examine(plan).await;
    let text = serde_json::to_string(&report).unwrap();
    for secret in [
        "PRIVATE",
        "BEGIN",
        "pass-of-proxy",
        identity.key_pem.lines().nth(1).unwrap(),
    ] {
        assert!(!text.contains(secret), "{secret} stands in {text}");
    }
    assert!(text.contains("asked for and given"), "{text}");
    let again: ccm_doctor::Report = serde_json::from_str(&text).unwrap();
    assert_eq!(again, report);
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["version"], 1);
    assert_eq!(json["outcome"], "failed");
    assert!(json["started_at"].as_str().unwrap().ends_with('Z'));
    let upgrade = json["steps"]
        .as_array()
        .unwrap()
        .iter()
        .find(|s| s["kind"] == "upgrade")
        .unwrap();
    let mut upgrade = upgrade.clone();
    upgrade["duration_ms"] = 0.into();
    assert_eq!(
        upgrade,
        json!({"endpoint": "primary", "kind": "upgrade", "title": "WebSocket upgrade", "outcome": "passed",
            "duration_ms": 0, "evidence": [{"name": "HTTP status", "value": "101"}]})
    );
    let tcp = json["steps"]
        .as_array()
        .unwrap()
        .iter()
        .find(|s| s["endpoint"] == "secondary" && s["kind"] == "tcp");
    let finding = &tcp.unwrap()["finding"];
    assert_eq!(
        (&finding["cause"], &finding["place"]),
        (&json!("proxy_unreachable"), &json!("egress_proxy"))
    );
    assert!(finding["explanation"].is_string() && finding["remedy"].is_string());
    let skipped = json["steps"]
        .as_array()
        .unwrap()
        .iter()
        .find(|s| s["outcome"] == "skipped")
        .unwrap();
    assert!(skipped["because"].is_string());
}
