//! An OIDC issuer on this machine: its document, its keys and its tokens over TLS of a private authority, as OpenID Connect Core 1.0
//! section 3.1 (authorization code) and RFC 7636 (PKCE) have them.

use crate::certs::Ca;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ccm_model::Clock;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;
use url::{Url, form_urlencoded};

/// The client id that it knows, and the `aud` of its tokens.
pub const AUDIENCE: &str = "ccm";

/// An issuer. Cheap to clone.
#[derive(Clone)]
pub struct Issuer {
    /// As its tokens' `iss` has it.
    pub name: String,
    inner: Arc<Inner>,
}

struct Inner {
    ca: Ca,
    keys: Mutex<Vec<Jwk>>,
    current: Mutex<(String, EncodingKey)>,
    /// How often its keys were asked for.
    asked: AtomicUsize,
    /// What codes are good for, each once.
    codes: Mutex<HashMap<String, Consent>>,
}

/// What somebody has agreed to at the issuer.
struct Consent {
    challenge: String,
    redirect: String,
    claims: Value,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[allow(
    clippy::missing_panics_doc,
    reason = "of tests: what goes wrong here ends the test"
)]
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
        let port = listener.local_addr().unwrap().port();
        let inner = Inner {
            ca,
            keys: Mutex::default(),
            current: Mutex::new((String::new(), EncodingKey::from_secret(b""))),
            asked: AtomicUsize::default(),
            codes: Mutex::default(),
        };
        let issuer = Self {
            name: format!("https://localhost:{port}/realms/ccm"),
            inner: Arc::new(inner),
        };
        issuer.change_key("first");
        let (serving, acceptor) = (issuer.clone(), TlsAcceptor::from(Arc::new(tls)));
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (issuer, acceptor) = (serving.clone(), acceptor.clone());
                tokio::spawn(async move { issuer.serve(acceptor, tcp).await });
            }
        });
        issuer
    }

    /// The authority of its certificate, in PEM.
    pub fn ca_pem(&self) -> &str {
        self.inner.ca.pem()
    }

    /// From now on it signs with another key, and knows no other.
    pub fn change_key(&self, id: &str) {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let secret = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap();
        let mut jwk = Jwk::from_encoding_key(&secret, Algorithm::ES256).unwrap();
        jwk.common.key_id = Some(id.to_owned());
        *locked(&self.inner.keys) = vec![jwk];
        *locked(&self.inner.current) = (id.to_owned(), secret);
    }

    /// How often its keys were asked for.
    pub fn asked(&self) -> usize {
        self.inner.asked.load(Ordering::SeqCst)
    }

    /// A token with these claims beside the usual ones.
    pub fn token(&self, claims: &Value) -> String {
        let now = Clock::system().now().unix_timestamp();
        let mut all = json!({"iss": self.name, "aud": AUDIENCE, "iat": now, "exp": now + 300});
        for (name, value) in claims.as_object().unwrap() {
            all[name] = value.clone();
        }
        let current = locked(&self.inner.current);
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(current.0.clone());
        encode(&header, &all, &current.1).unwrap()
    }

    /// What a person does whose browser is sent here: signs in, and is sent back with a code.
    pub fn consent(&self, address: &Url, claims: &Value) -> Url {
        let asked: HashMap<_, _> = address.query_pairs().into_owned().collect();
        assert!(
            address.as_str().starts_with(&format!("{}/authorize?", self.name)),
            "{address}"
        );
        for (name, value) in [
            ("response_type", "code"),
            ("client_id", AUDIENCE),
            ("code_challenge_method", "S256"),
        ] {
            assert_eq!(asked[name], value, "{address}");
        }
        assert!(
            asked["scope"].split(' ').any(|scope| scope == "openid"),
            "{address}"
        );
        let mut claims = claims.clone();
        claims["nonce"] = json!(asked["nonce"]);
        let code = format!("code-{}", locked(&self.inner.codes).len());
        let consent = Consent {
            challenge: asked["code_challenge"].clone(),
            redirect: asked["redirect_uri"].clone(),
            claims,
        };
        locked(&self.inner.codes).insert(code.clone(), consent);
        let mut back = Url::parse(&asked["redirect_uri"]).unwrap();
        back.query_pairs_mut()
            .append_pair("code", &code)
            .append_pair("state", &asked["state"]);
        back
    }

    fn document(&self) -> Value {
        let at = |what: &str| format!("{}/{what}", self.name);
        json!({
            "issuer": self.name, "jwks_uri": at("keys"), "authorization_endpoint": at("authorize"), "token_endpoint": at("token"),
        })
    }

    fn exchange(&self, form: &[u8]) -> Result<Value, Value> {
        let asked: HashMap<_, _> = form_urlencoded::parse(form).into_owned().collect();
        let said = |name: &str| asked.get(name).map(String::as_str).unwrap_or_default();
        let refused = |error: &str| Err(json!({ "error": error }));
        if (said("grant_type"), said("client_id")) != ("authorization_code", AUDIENCE) {
            return refused("invalid_request");
        }
        let Some(consent) = locked(&self.inner.codes).remove(said("code")) else {
            return refused("invalid_grant");
        };
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(said("code_verifier")));
        if consent.challenge != challenge || consent.redirect != said("redirect_uri") {
            return refused("invalid_grant");
        }
        Ok(json!({"id_token": self.token(&consent.claims), "access_token": "opaque", "token_type": "Bearer"}))
    }

    /// One request a connection.
    async fn serve(&self, tls: TlsAcceptor, tcp: TcpStream) -> Option<()> {
        let mut stream = tls.accept(tcp).await.ok()?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.ok()?);
        }
        let head = String::from_utf8(head).ok()?.to_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        stream.read_exact(&mut body).await.ok()?;
        let said = match head.split(' ').nth(1)? {
            "/realms/ccm/.well-known/openid-configuration" => Ok(self.document()),
            "/realms/ccm/keys" => {
                self.inner.asked.fetch_add(1, Ordering::SeqCst);
                Ok(json!({"keys": *locked(&self.inner.keys)}))
            }
            "/realms/ccm/token" => self.exchange(&body),
            _ => return None,
        };
        let (status, said) = match said {
            Ok(said) => ("200 OK", said.to_string()),
            Err(said) => ("400 Bad Request", said.to_string()),
        };
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            said.len()
        );
        stream.write_all(head.as_bytes()).await.ok()?;
        stream.write_all(said.as_bytes()).await.ok()?;
        stream.shutdown().await.ok()
    }
}
