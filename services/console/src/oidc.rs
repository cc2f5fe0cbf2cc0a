//! Signing in at an OpenID Connect issuer: authorization code with PKCE. The identity token that comes back is shown to the API, which
//! verifies it and knows who that is here.
//!
//! Sources: OpenID Connect Core 1.0 section 3.1, RFC 7636 (PKCE), RFC 6749 section 4.1.

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use reqwest::{Certificate, Client, redirect::Policy};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{error::Error, sync::Arc, time::Duration};
use url::Url;

const TIMEOUT: Duration = Duration::from_secs(10);
/// Far more than a document of an issuer, or an answer with tokens, has.
const MAX_BYTES: usize = 512 * 1024;

/// How the cookies of sign-ins that are under way begin.
pub const COOKIES: &str = "sign_in_";

/// Where people sign in.
#[derive(Debug, Clone, Default)]
pub struct IssuersSettings {
    /// As their tokens' `iss` has them; `https`.
    pub issuers: Vec<String>,
    /// By what they know the console, each of them. It must be the `aud` that the API takes.
    pub client_id: String,
    /// Where there is one issuer: each has a secret of its own, which is nobody else's business.
    pub client_secret: Option<SecretString>,
    /// Trusted beside the public CAs, in PEM.
    pub cas: Option<String>,
}

/// The issuers. Cheap to clone.
#[derive(Clone, Default)]
pub struct Issuers(Option<Arc<Known>>);

struct Known {
    settings: IssuersSettings,
    http: Client,
}

/// The CAs cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the certificates for issuers cannot be used: {0}")]
pub struct IssuersError(#[from] reqwest::Error);

/// Why somebody is not signed in, for them and for whoever runs the platform.
#[derive(Debug, thiserror::Error)]
pub enum NotSignedIn {
    #[error("there is no such issuer here")]
    NoIssuer,
    #[error("console.url is not set, so the issuer cannot be told where to come back to")]
    NoAddress,
    #[error("the issuer does not answer as it should: {0}")]
    Issuer(String),
    #[error("the issuer says: {0}")]
    Refused(String),
    #[error("this is not the sign-in that was begun in this browser, or it took longer than ten minutes")]
    Another,
}

/// A sign-in that has begun.
pub struct Started {
    /// Where the browser goes.
    pub address: Url,
    /// What it keeps meanwhile, and under which name: another tab may sign in at the same time.
    pub kept: String,
    pub cookie: String,
}

/// What a browser comes back with.
#[derive(Debug, Default, Deserialize)]
pub struct Return {
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
    /// Who sends the browser back, where they say so (RFC 9207).
    iss: Option<String>,
}

impl Return {
    /// The cookie of the sign-in that has ended.
    pub fn cookie(&self) -> String {
        cookie(self.state.as_deref().unwrap_or_default())
    }
}

/// Each sign-in has a cookie of its own.
fn cookie(state: &str) -> String {
    let plain = |c: &char| c.is_ascii_alphanumeric() || "-_".contains(*c);
    let name: String = state.chars().filter(plain).take(16).collect();
    format!("{COOKIES}{name}")
}

/// What the browser keeps: nobody else's business, and nothing that opens anything without the code.
#[derive(Serialize, Deserialize)]
struct Kept {
    issuer: usize,
    state: String,
    nonce: String,
    verifier: String,
    next: String,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    authorization_endpoint: Url,
    token_endpoint: Url,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: SecretString,
}

impl Issuers {
    /// The process has installed rustls' default provider before.
    pub fn new(settings: IssuersSettings) -> Result<Self, IssuersError> {
        if settings.issuers.is_empty() {
            return Ok(Self::default());
        }
        let mut http = Client::builder()
            .https_only(true)
            .redirect(Policy::none())
            .timeout(TIMEOUT)
            .user_agent(concat!("ccm/", env!("CARGO_PKG_VERSION")));
        if let Some(pem) = &settings.cas {
            http = http.tls_certs_merge(Certificate::from_pem_bundle(pem.as_bytes())?);
        }
        let http = http.build()?;
        Ok(Self(Some(Arc::new(Known { settings, http }))))
    }

    /// As their tokens' `iss` has them.
    pub fn all(&self) -> &[String] {
        self.0.as_ref().map_or(&[][..], |known| &known.settings.issuers)
    }

    /// Their hosts, for people, in the order of [`Issuers::start`].
    pub fn names(&self) -> Vec<String> {
        let host = |issuer: &String| Url::parse(issuer).ok()?.host_str().map(ToOwned::to_owned);
        self.all()
            .iter()
            .map(|issuer| host(issuer).unwrap_or_else(|| issuer.clone()))
            .collect()
    }

    fn known(&self, issuer: usize) -> Result<(&Known, &str), NotSignedIn> {
        let known = self.0.as_deref().ok_or(NotSignedIn::NoIssuer)?;
        let name = known.settings.issuers.get(issuer).ok_or(NotSignedIn::NoIssuer)?;
        Ok((known, name))
    }

    /// Begins a sign-in.
    pub async fn start(&self, issuer: usize, url: Option<&Url>, next: &str) -> Result<Started, NotSignedIn> {
        let (known, name) = self.known(issuer)?;
        let back = back(url)?;
        let found = known.discover(name).await?;
        let kept = Kept {
            issuer,
            state: random(),
            nonce: random(),
            verifier: random(),
            next: next.to_owned(),
        };
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, kept.verifier.as_bytes()));
        let mut address = found.authorization_endpoint;
        address.query_pairs_mut().extend_pairs([
            ("response_type", "code"),
            ("scope", "openid email"),
            ("client_id", known.settings.client_id.as_str()),
            ("redirect_uri", &back),
            ("state", &kept.state),
            ("nonce", &kept.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        let cookie = cookie(&kept.state);
        let kept = serde_json::to_vec(&kept).map_err(|error| NotSignedIn::Issuer(error.to_string()))?;
        Ok(Started {
            address,
            kept: BASE64_URL_SAFE_NO_PAD.encode(kept),
            cookie,
        })
    }

    /// Ends it: the identity token, and the page that was wanted.
    pub async fn finish(
        &self,
        url: Option<&Url>,
        kept: &str,
        came: Return,
    ) -> Result<(SecretString, String), NotSignedIn> {
        let kept = BASE64_URL_SAFE_NO_PAD
            .decode(kept)
            .map_err(|_| NotSignedIn::Another)?;
        let kept: Kept = serde_json::from_slice(&kept).map_err(|_| NotSignedIn::Another)?;
        if came.state.as_deref() != Some(&kept.state) {
            return Err(NotSignedIn::Another);
        }
        if let Some(error) = came.error {
            let more = came.error_description.map(|more| format!(" ({more})"));
            return Err(NotSignedIn::Refused(error + &more.unwrap_or_default()));
        }
        let code = came.code.ok_or(NotSignedIn::Another)?;
        let (known, name) = self.known(kept.issuer)?;
        if came.iss.is_some_and(|iss| iss != name) {
            return Err(NotSignedIn::Another);
        }
        let back = back(url)?;
        let found = known.discover(name).await?;
        let tokens = known
            .exchange(found.token_endpoint, &code, &back, &kept.verifier)
            .await?;
        if nonce(tokens.id_token.expose_secret()).as_deref() != Some(&kept.nonce) {
            return Err(NotSignedIn::Another);
        }
        Ok((tokens.id_token, kept.next))
    }
}

impl Known {
    async fn discover(&self, issuer: &str) -> Result<Discovery, NotSignedIn> {
        let address = format!(
            "{}/.well-known/openid-configuration",
            issuer.trim_end_matches('/')
        );
        let found: Discovery = read(self.http.get(address)).await?;
        match found.issuer == issuer {
            true => Ok(found),
            false => Err(NotSignedIn::Issuer(format!(
                "its document names another, {:?}",
                found.issuer
            ))),
        }
    }

    async fn exchange(&self, at: Url, code: &str, back: &str, verifier: &str) -> Result<Tokens, NotSignedIn> {
        let id = self.settings.client_id.as_str();
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", back),
            ("code_verifier", verifier),
            ("client_id", id),
        ];
        if let (Some(secret), [_]) = (&self.settings.client_secret, &self.settings.issuers[..]) {
            form.push(("client_secret", secret.expose_secret()));
        }
        read(self.http.post(at).form(&form)).await
    }
}

async fn read<T: DeserializeOwned>(request: reqwest::RequestBuilder) -> Result<T, NotSignedIn> {
    let wrong = |error: reqwest::Error| NotSignedIn::Issuer(cause(&error.without_url()));
    let mut answer = request.send().await.map_err(wrong)?;
    let status = answer.status();
    let mut document = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(wrong)? {
        document.extend_from_slice(&part);
        if document.len() > MAX_BYTES {
            return Err(NotSignedIn::Issuer(format!(
                "it answers more than {MAX_BYTES} bytes"
            )));
        }
    }
    if status.is_success() {
        return serde_json::from_slice(&document).map_err(|error| NotSignedIn::Issuer(error.to_string()));
    }
    // RFC 6749 section 5.2.
    let said: serde_json::Value = serde_json::from_slice(&document).unwrap_or_default();
    let words = [&said["error"], &said["error_description"]].map(|word| word.as_str().unwrap_or_default());
    Err(NotSignedIn::Issuer(format!("{status} {}", words.join(" "))))
}

/// The whole chain: what is wrong with a certificate stands at its end.
fn cause(error: &reqwest::Error) -> String {
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(deeper) = source {
        said = format!("{said}: {deeper}");
        source = deeper.source();
    }
    said
}

/// Where the issuer sends the browser back to.
fn back(url: Option<&Url>) -> Result<String, NotSignedIn> {
    let url = url.ok_or(NotSignedIn::NoAddress)?;
    Ok(format!(
        "{}/console/signed-in",
        url.as_str().trim_end_matches('/')
    ))
}

/// 256 bits that nobody guesses.
fn random() -> String {
    let mut bytes = [0u8; 32];
    // It fails on a machine without randomness, on which nothing else of ours would have come up.
    rand::fill(&mut bytes).expect("the system has random numbers");
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// What a token that came straight from its issuer, over TLS, says of the sign-in it is for; the API verifies its signature.
fn nonce(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        nonce: String,
    }
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    Some(serde_json::from_slice::<Claims>(&claims).ok()?.nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tokens_nonce_is_read() {
        let token = |claims: &str| format!("e30.{}.x", BASE64_URL_SAFE_NO_PAD.encode(claims));
        assert_eq!(
            nonce(&token("{\"nonce\":\"n1\",\"sub\":\"x\"}")).as_deref(),
            Some("n1")
        );
        for other in [token("{}"), token("x"), "x".to_owned(), String::new()] {
            assert_eq!(nonce(&other), None, "{other}");
        }
        assert_ne!(random(), random());
    }
}
