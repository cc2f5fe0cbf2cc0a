//! Broken before and at the upgrade.

use std::time::Duration;

use ccm_aacc_sim::{
    Config, Edge, HttpAnswer, NewConnections, Others, Settings, Sim, Tls, TlsSetup, UpgradeAnswer, WhiteList,
};
use ccm_doctor::{Cause, StepKind};
use ccm_ewc_client::{Guard, Proxy, Target};
use ccm_testkit::ports::free_port;
use tokio::net::{TcpSocket, TcpStream};

use crate::rig::*;

#[tokio::test]
async fn addresses_that_cannot_be_used() {
    let bad_path = Target {
        path: "chat".into(),
        ..Target::wss("localhost", 8445)
    };
    assert_eq!(
        cause(plan(bad_path)).await,
        (StepKind::Settings, Cause::AddressUnusable)
    );
    let bad_ca = Target {
        ca_pem: Some("no certificate".into()),
        ..Target::wss("localhost", 8445)
    };
    assert_eq!(cause(plan(bad_ca)).await, (StepKind::Settings, Cause::CaUnusable));
}

#[tokio::test]
async fn a_name_that_dns_does_not_know() {
    let target = Target {
        addresses: Vec::new(),
        ca_pem: Some(ccm_testkit::certs::Ca::new("any").unwrap().pem().to_owned()),
        ..hurried(Target::wss("aacc.invalid", 8445))
    };
    let (step, cause) = cause(plan(target)).await;
    assert_eq!(step, StepKind::Dns);
    // Without any network the resolver is silent instead.
    assert!(matches!(cause, Cause::DnsUnknown | Cause::DnsSilent), "{cause:?}");
}

#[tokio::test]
async fn a_closed_port() {
    let target = hurried(Target::ws("localhost", free_port()));
    assert_eq!(cause(plan(target)).await, (StepKind::Tcp, Cause::PortClosed));
}

/// The ports are those of the protocol, so each test has a loopback address of its own.
#[tokio::test]
async fn a_closed_port_while_that_of_the_other_security_level_is_open() {
    let sim = Sim::start(Config {
        listen: "127.41.7.1:8081".parse().unwrap(),
        tls: Tls::Plain,
        ..Config::default()
    })
    .await
    .unwrap();
    let target = Target {
        addresses: vec![sim.ewc_addr().ip()],
        ca_pem: Some(ccm_testkit::certs::Ca::new("any").unwrap().pem().to_owned()),
        ..hurried(Target::wss("localhost", 8445))
    };
    assert_eq!(
        cause(plan(target)).await,
        (StepKind::Tcp, Cause::WrongPortForSecurityLevel)
    );
}

#[tokio::test]
async fn a_firewall_that_drops_packets() {
    // Linux drops the SYNs for a listener whose queue is full, which is what a firewall does.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((LOOPBACK, 0).into()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let _waiting: Vec<_> = (0..8)
        .map(|_| tokio::spawn(TcpStream::connect(address)))
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let target = Target {
        connect_timeout: Duration::from_millis(800),
        ..hurried(Target::ws("localhost", address.port()))
    };
    assert_eq!(cause(plan(target)).await, (StepKind::Tcp, Cause::FirewallDrops));
}

#[tokio::test]
async fn a_white_list_that_we_are_not_on() {
    let list = |others| Edge {
        white_list: Some(WhiteList {
            allow: vec!["192.0.2.1".parse().unwrap()],
            others,
        }),
        ..Edge::default()
    };
    let plain = ws_behind(list(Others::Reset)).await;
    assert_eq!(
        cause(plan(target(&plain))).await,
        (StepKind::Upgrade, Cause::SourceNotWhitelisted)
    );
    plain.change_edge(|edge| *edge = list(Others::Forbidden));
    assert_eq!(
        cause(plan(target(&plain))).await,
        (StepKind::Upgrade, Cause::SourceNotWhitelisted)
    );
    let secure = wss(TlsSetup::default()).await;
    secure.change_edge(|edge| *edge = list(Others::Reset));
    assert_eq!(
        cause(plan(target(&secure))).await,
        (StepKind::Tls, Cause::SourceNotWhitelisted)
    );
    secure.change_edge(|edge| *edge = list(Others::Forbidden));
    assert_eq!(
        cause(plan(target(&secure))).await,
        (StepKind::Upgrade, Cause::SourceNotWhitelisted)
    );
}

#[tokio::test]
async fn connections_that_nobody_answers() {
    for sim in [wss(TlsSetup::default()).await, ws_behind(Edge::default()).await] {
        sim.set_faults(|faults| faults.new_connections = NewConnections::Hang);
        let target = Target {
            connect_timeout: Duration::from_millis(500),
            ..target(&sim)
        };
        let (_, cause) = cause(plan(target)).await;
        assert_eq!(cause, Cause::PeerSilent);
    }
}

#[tokio::test]
async fn the_other_security_level_on_the_port() {
    let plain = ws_behind(Edge::default()).await;
    let as_wss = Target {
        ca_pem: Some(ccm_testkit::certs::Ca::new("any").unwrap().pem().to_owned()),
        scheme: ccm_ewc_client::Scheme::Wss,
        ..target(&plain)
    };
    assert_eq!(
        cause(plan(as_wss)).await,
        (StepKind::Tls, Cause::WrongPortForSecurityLevel)
    );
    let secure = wss(TlsSetup::default()).await;
    let as_ws = Target {
        scheme: ccm_ewc_client::Scheme::Ws,
        ca_pem: None,
        ..target(&secure)
    };
    assert_eq!(
        cause(plan(as_ws)).await,
        (StepKind::Upgrade, Cause::WrongPortForSecurityLevel)
    );
}

#[tokio::test]
async fn a_port_that_speaks_something_else() {
    let target = Target {
        ca_pem: Some(ccm_testkit::certs::Ca::new("any").unwrap().pem().to_owned()),
        ..hurried(Target::wss("localhost", saying(b"SSH-2.0-OpenSSH_9.2\r\n").await))
    };
    assert_eq!(cause(plan(target)).await, (StepKind::Tls, Cause::NotTls));
    let target = hurried(Target::ws("localhost", saying(b"220 mail ready\r\n").await));
    assert_eq!(
        cause(plan(target)).await,
        (StepKind::Upgrade, Cause::UnexpectedAnswer)
    );
}

async fn upgrade(answer: UpgradeAnswer, queue: Option<u16>) -> Cause {
    let sim = ws_behind(Edge {
        upgrade: answer,
        queue: queue.map(HttpAnswer::status),
        ..Edge::default()
    })
    .await;
    let target = Target {
        connect_timeout: Duration::from_secs(1),
        ..target(&sim)
    };
    let (step, cause) = cause(plan(target)).await;
    assert_eq!(step, StepKind::Upgrade);
    cause
}

#[tokio::test]
async fn answers_of_the_reverse_proxy_are_explained() {
    use UpgradeAnswer as Is;
    for (answer, queue, expected) in [
        (Is::HtmlPage, None, Cause::AllowWebsocketUnticked),
        (Is::HeaderStripped, None, Cause::AllowWebsocketUnticked),
        (Is::status(404), None, Cause::AllowWebsocketUnticked),
        (Is::status(403), None, Cause::AllowWebsocketUnticked),
        (Is::status(403), Some(403), Cause::SourceNotWhitelisted),
        (Is::status(404), Some(404), Cause::EwcNotEnabled),
        (Is::LoginRedirect, None, Cause::LoginInFront),
        (Is::status(401), None, Cause::LoginInFront),
        (Is::status(429), None, Cause::RateLimited),
        (Is::status(413), None, Cause::BodyLimitTooSmall),
        (Is::status(421), None, Cause::NameUnknown),
        (Is::status(502), Some(502), Cause::AaccDownBehindProxy),
        (Is::status(503), None, Cause::AaccDownBehindProxy),
        (Is::status(504), None, Cause::AaccDownBehindProxy),
        (Is::status(418), None, Cause::UnexpectedAnswer),
        (Is::Hang, None, Cause::UpgradeBlocked),
        (Is::Close, None, Cause::UpgradeBlocked),
        (
            Is::Http(HttpAnswer::status(400).body("No required SSL certificate was sent")),
            None,
            Cause::ClientCertificateWanted,
        ),
    ] {
        assert_eq!(upgrade(answer.clone(), queue).await, expected, "{answer:?}");
    }
}

#[tokio::test]
async fn connections_closed_after_tls_are_not_let_in() {
    let sim = wss(TlsSetup::default()).await;
    sim.set_faults(|faults| faults.new_connections = NewConnections::CloseAfterTls);
    assert_eq!(
        cause(plan(target(&sim))).await,
        (StepKind::Upgrade, Cause::SourceNotWhitelisted)
    );
}

#[tokio::test]
async fn a_wrong_path() {
    let sim = wss_with(Settings::default()).await;
    let target = Target {
        path: "/CustomerControllerWeb/chats".into(),
        ..target(&sim)
    };
    assert_eq!(cause(plan(target)).await, (StepKind::Upgrade, Cause::WrongPath));
}

#[tokio::test]
async fn proxies_on_our_way_out() {
    let through = |port| Target {
        proxy: Some(Proxy::new("127.0.0.1", port)),
        ..hurried(Target::ws("aacc.example.com", 8081))
    };
    for (words, expected) in [
        (
            &b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"[..],
            Cause::ProxyCredentials,
        ),
        (
            b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
            Cause::ProxyRefuses,
        ),
        (
            b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
            Cause::ProxyCannotReach,
        ),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Cause::ProxyUnreachable),
    ] {
        let port = saying(words).await;
        assert_eq!(cause(plan(through(port))).await, (StepKind::Tcp, expected));
    }
    assert_eq!(
        cause(plan(through(free_port()))).await,
        (StepKind::Tcp, Cause::ProxyUnreachable)
    );
}

#[tokio::test]
async fn an_address_that_may_not_be_dialled() {
    let target = Target {
        guard: Some(Guard::new(|_| false)),
        ..hurried(Target::ws("localhost", free_port()))
    };
    assert_eq!(
        cause(plan(target)).await,
        (StepKind::Dns, Cause::AddressNotAllowed)
    );
}

#[tokio::test]
async fn an_examination_that_takes_too_long_is_cut_short() {
    let sim = ws_behind(Edge {
        upgrade: UpgradeAnswer::Hang,
        ..Edge::default()
    })
    .await;
    let mut patient = plan(target(&sim));
    patient.time_limit = Some(Duration::from_millis(500));
    let report = examine(patient).await;
    assert_eq!(report.causes(), [Cause::OutOfTime]);
    let last = report
        .steps
        .iter()
        .rfind(|step| step.kind != StepKind::Advice)
        .unwrap();
    assert_eq!(last.kind, StepKind::TimeLimit);
    assert!(report.duration_ms < 3_000);
}
