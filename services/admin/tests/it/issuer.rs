//! An OIDC issuer on this machine: its document and its keys over TLS of a private authority, and tokens.

use ccm_admin::OidcSettings;
use ccm_model::Clock;
use ccm_testkit::certs::Ca;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

pub const AUDIENCE: &str = "ccm";

/// An issuer.
pub struct Issuer {
    pub name: String,
    ca: Ca,
    keys: Arc<Mutex<Vec<Jwk>>>,
    current: Mutex<(String, EncodingKey)>,
    /// How often its keys were asked for.
    asked: Arc<AtomicUsize>,
}

impl Issuer {
    pub async fn start() -> Self {
        let ca = Ca::new("the issuer's authority").unwrap();
        let cert = ca.issue(&["localhost"]).unwrap();
        let chain = vec![CertificateDer::from_pem_slice(cert.cert_pem.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(cert.key_pem.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let name = format!(
            "https://localhost:{}/realms/ccm",
            listener.local_addr().unwrap().port()
        );
        let (keys, asked) = (Arc::<Mutex<Vec<Jwk>>>::default(), Arc::<AtomicUsize>::default());
        let document = json!({"issuer": name, "jwks_uri": format!("{name}/keys")}).to_string();
        let (served, counted) = (keys.clone(), asked.clone());
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let keys = json!({"keys": *served.lock().unwrap()}).to_string();
                let (tls, document, counted) = (
                    TlsAcceptor::from(Arc::new(tls.clone())),
                    document.clone(),
                    counted.clone(),
                );
                tokio::spawn(async move { answer(tls, tcp, &document, &keys, &counted).await });
            }
        });
        let issuer = Self {
            name,
            ca,
            keys,
            current: Mutex::new((String::new(), EncodingKey::from_secret(b""))),
            asked,
        };
        issuer.change_key("first");
        issuer
    }

    /// From now on it signs with another key, and knows no other.
    pub fn change_key(&self, id: &str) {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let secret = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap();
        let mut jwk = Jwk::from_encoding_key(&secret, Algorithm::ES256).unwrap();
        jwk.common.key_id = Some(id.to_owned());
        *self.keys.lock().unwrap() = vec![jwk];
        *self.current.lock().unwrap() = (id.to_owned(), secret);
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// What the API is configured with.
    pub fn settings(&self) -> OidcSettings {
        OidcSettings {
            issuers: vec!["https://login.example.com".to_owned(), self.name.clone()],
            audience: AUDIENCE.to_owned(),
            cas: Some(self.ca.pem().to_owned()),
            leeway: Duration::from_secs(5),
        }
    }

    /// A token with these claims beside the usual ones.
    pub fn token(&self, claims: &Value) -> String {
        let now = Clock::system().now().unix_timestamp();
        let mut all = json!({"iss": self.name, "aud": AUDIENCE, "iat": now, "exp": now + 300});
        for (name, value) in claims.as_object().unwrap() {
            all[name] = value.clone();
        }
        let current = self.current.lock().unwrap();
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(current.0.clone());
        encode(&header, &all, &current.1).unwrap()
    }
}

/// One request a connection.
async fn answer(
    tls: TlsAcceptor,
    tcp: TcpStream,
    document: &str,
    keys: &str,
    asked: &AtomicUsize,
) -> Option<()> {
    let mut stream = tls.accept(tcp).await.ok()?;
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.ok()?);
    }
    let request = String::from_utf8(request).ok()?;
    let body = match request.split(' ').nth(1)? {
        "/realms/ccm/.well-known/openid-configuration" => document,
        "/realms/ccm/keys" => {
            asked.fetch_add(1, Ordering::SeqCst);
            keys
        }
        _ => return None,
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.write_all(body.as_bytes()).await.ok()?;
    stream.shutdown().await.ok()
}
