//! Broken in TLS.

use ccm_aacc_sim::{ClientCertificate, ServerCertificate, TlsSetup, TlsVersions};
use ccm_doctor::{Cause, StepKind};
use ccm_ewc_client::{ClientIdentity, Target};
use ccm_testkit::certs::Ca;

use crate::rig::*;

async fn shown(certificate: ServerCertificate) -> (StepKind, Cause) {
    let sim = wss(TlsSetup {
        certificate,
        ..TlsSetup::default()
    })
    .await;
    cause(plan(target(&sim))).await
}

#[tokio::test]
async fn certificates_that_are_refused() {
    use ServerCertificate as Is;
    for (certificate, expected) in [
        (Is::Expired, Cause::CertificateExpired),
        (Is::NotYetValid, Cause::CertificateNotYetValid),
        (Is::WrongName, Cause::WrongName),
        (Is::UnknownIssuer, Cause::PrivateCaMissing),
        (Is::SelfSigned, Cause::SelfSigned),
        (Is::IncompleteChain, Cause::IntermediateMissing),
    ] {
        assert_eq!(
            shown(certificate).await,
            (StepKind::Tls, expected),
            "{certificate:?}"
        );
    }
}

#[tokio::test]
async fn a_private_authority_that_the_link_was_not_given() {
    let sim = wss(TlsSetup::default()).await;
    let with_public = Target {
        ca_pem: None,
        ..target(&sim)
    };
    // Where the system has no authorities at all, that comes first.
    let (_, found) = cause(plan(with_public)).await;
    assert!(
        matches!(found, Cause::PrivateCaMissing | Cause::NoSystemRoots),
        "{found:?}"
    );
    let with_another = Target {
        ca_pem: Some(Ca::new("another").unwrap().pem().to_owned()),
        ..target(&sim)
    };
    let report = examine(plan(with_another)).await;
    let finding = step(&report, StepKind::Tls).finding.clone().unwrap();
    assert_eq!(finding.cause, Cause::PrivateCaMissing);
    assert!(
        finding.explanation.contains("CN=aacc-sim private CA"),
        "it is named: {finding}"
    );
    assert!(
        finding.explanation.contains("CN=another"),
        "and so is what is trusted: {finding}"
    );
}

#[tokio::test]
async fn a_name_that_the_certificate_does_not_have_and_one_that_it_has() {
    let sim = wss(TlsSetup::default()).await;
    let mut dialled = Target {
        host: "aacc.example.com".into(),
        ..target(&sim)
    };
    let report = examine(plan(dialled.clone())).await;
    let finding = step(&report, StepKind::Tls).finding.clone().unwrap();
    assert_eq!(finding.cause, Cause::WrongName);
    assert!(
        finding.explanation.contains("aacc.localhost"),
        "the names are listed: {finding}"
    );
    dialled.server_name = Some("aacc.localhost".into());
    assert_eq!(examine(plan(dialled)).await.causes(), []);
}

#[tokio::test]
async fn a_certificate_that_is_about_to_end() {
    let sim = wss(TlsSetup {
        expires_in_s: Some(13 * 86_400 + 3_600),
        ..TlsSetup::default()
    })
    .await;
    assert_eq!(
        cause(plan(target(&sim))).await,
        (StepKind::Tls, Cause::CertificateExpiresSoon)
    );
    let mut patient = plan(target(&sim));
    patient.warn_days = 10;
    assert_eq!(examine(patient).await.causes(), []);
}

#[tokio::test]
async fn versions_that_are_too_old() {
    let sim = wss(TlsSetup {
        versions: TlsVersions::TooOld,
        ..TlsSetup::default()
    })
    .await;
    assert_eq!(
        cause(plan(target(&sim))).await,
        (StepKind::Tls, Cause::TlsVersionTooOld)
    );
}

/// With TLS 1.3 a client learns of it only after the handshake.
#[tokio::test]
async fn client_certificates_that_are_wanted_and_refused() {
    for versions in [TlsVersions::Only12, TlsVersions::Only13] {
        let sim = wss(TlsSetup {
            client_certificate: ClientCertificate::OfCa,
            versions,
            ..TlsSetup::default()
        })
        .await;
        let (_, found) = cause(plan(target(&sim))).await;
        assert_eq!(found, Cause::ClientCertificateWanted, "{versions:?}");
        let stranger = Ca::new("another").unwrap().issue_client("gateway").unwrap();
        let with_wrong = Target {
            client_identity: Some(ClientIdentity::new(stranger.cert_pem, stranger.key_pem)),
            ..target(&sim)
        };
        let (_, found) = cause(plan(with_wrong)).await;
        assert_eq!(found, Cause::ClientCertificateRefused, "{versions:?}");
        let right = sim.client_identity().unwrap();
        let with_right = Target {
            client_identity: Some(ClientIdentity::new(right.cert_pem, right.key_pem)),
            ..target(&sim)
        };
        assert_eq!(examine(plan(with_right)).await.causes(), []);
    }
}

#[tokio::test]
async fn our_own_client_certificate() {
    let sim = wss(TlsSetup::default()).await;
    let unusable = Target {
        client_identity: Some(ClientIdentity::new("nothing", "nothing")),
        ..target(&sim)
    };
    assert_eq!(
        cause(plan(unusable)).await,
        (StepKind::Settings, Cause::ClientCertificateUnusable)
    );
}
