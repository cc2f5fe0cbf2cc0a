//! Patients, and a doctor in a hurry.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ccm_aacc_sim::{Config, Edge, Settings, Sim, Tls, TlsSetup};
use ccm_doctor::{Cause, Doctor, Outcome, Plan, Progress, Report, Step, StepKind};
use ccm_ewc_client::Target;
use ccm_model::Clock;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

pub const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Answers on this machine come at once; what never comes is waited for in vain by tests.
const HURRY: Duration = Duration::from_secs(3);

pub async fn wss(setup: TlsSetup) -> Sim {
    let config = Config {
        tls_setup: setup,
        ..Config::default()
    };
    Sim::start(config).await.unwrap()
}

pub async fn wss_with(settings: Settings) -> Sim {
    let config = Config {
        settings,
        ..Config::default()
    };
    Sim::start(config).await.unwrap()
}

pub async fn ws_with(settings: Settings) -> Sim {
    let config = Config {
        tls: Tls::Plain,
        settings,
        ..Config::default()
    };
    Sim::start(config).await.unwrap()
}

pub async fn ws_behind(edge: Edge) -> Sim {
    ws_with(Settings {
        edge,
        ..Settings::default()
    })
    .await
}

/// How the simulator is reached, rightly.
pub fn target(sim: &Sim) -> Target {
    let port = sim.ewc_addr().port();
    let target = match sim.ca_pem() {
        Some(_) => Target::wss("localhost", port),
        None => Target::ws("localhost", port),
    };
    hurried(Target {
        ca_pem: sim.ca_pem().map(str::to_owned),
        ..target
    })
}

/// At an address of this machine.
pub fn hurried(target: Target) -> Target {
    Target {
        addresses: vec![LOOPBACK],
        connect_timeout: HURRY,
        ..target
    }
}

pub fn plan(target: Target) -> Plan {
    Plan {
        skillsets: vec!["WC_Default_Skillset".into()],
        ping_timeout: Duration::from_secs(1),
        ..Plan::new(target)
    }
}

pub async fn examine(plan: Plan) -> Report {
    // Every `main` does, and aacc-sim must not depend on which test came first.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut told = Vec::new();
    let report = Doctor::new(plan, Clock::system())
        .run(|progress| {
            if let Progress::Finished(step) = progress {
                told.push(step.clone());
            }
        })
        .await;
    assert_eq!(told, report.steps, "every step is told of while it is taken");
    report
}

/// The first cause, and the step that found it. The report must have exactly this one finding that fails or warns.
pub async fn cause(plan: Plan) -> (StepKind, Cause) {
    let report = examine(plan).await;
    let found: Vec<&Step> = report
        .steps
        .iter()
        .filter(|step| matches!(step.outcome, Outcome::Failed | Outcome::Warned))
        .collect();
    let [step] = found.as_slice() else {
        panic!("one finding is expected: {found:#?}")
    };
    let finding = step.finding.as_ref().expect("what fails or warns has a finding");
    assert!(!finding.explanation.is_empty() && !finding.remedy.is_empty());
    (step.kind, finding.cause)
}

pub fn step(report: &Report, kind: StepKind) -> &Step {
    report
        .steps
        .iter()
        .find(|step| step.kind == kind)
        .expect("the step was taken")
}

/// A server that says the same to everybody, after it has read something.
pub async fn saying(words: &'static [u8]) -> u16 {
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = tcp.readable().await;
                let _ = tcp.try_read(&mut [0; 4096]);
                let _ = tcp.write_all(words).await;
                let _ = tcp.shutdown().await;
                tokio::time::sleep(Duration::from_millis(200)).await;
            });
        }
    });
    port
}
