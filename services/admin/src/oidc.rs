//! Issuers of OpenID Connect: their keys, fetched and kept.

use ccm_auth::{Discovery, Identity, KeySet, OidcRules, issuer_of};
use ccm_web::Problem;
use reqwest::{Certificate, Client, redirect::Policy};
use std::{
    error::Error,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use time::OffsetDateTime;
use tokio::{sync::Mutex, time::Instant};

/// After this long an issuer is asked again: a key that it has taken away is refused from then on.
const FRESH: Duration = Duration::from_secs(300);
/// So long do its last keys serve when it cannot be asked.
const STALE: Duration = Duration::from_secs(24 * 3600);
/// No sooner is it asked again: tokens with made-up key ids must not make us flood it.
const RETRY: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(5);
/// Far more than a document of an issuer has.
const MAX_DOCUMENT_BYTES: usize = 512 * 1024;

/// What is taken of issuers.
#[derive(Debug, Clone, Default)]
pub struct OidcSettings {
    /// As their tokens' `iss` has them.
    pub issuers: Vec<String>,
    /// The `aud` of their tokens.
    pub audience: String,
    /// Trusted beside the public CAs, in PEM.
    pub cas: Option<String>,
    /// By how much their clocks may differ from ours.
    pub leeway: Duration,
}

/// All issuers. Cheap to clone.
#[derive(Clone)]
pub struct Oidc(Arc<Vec<Arc<Issuer>>>);

/// One issuer.
pub struct Issuer {
    name: String,
    audience: String,
    leeway: Duration,
    http: Client,
    kept: RwLock<Option<Kept>>,
    /// When it was asked last. Held while it is being asked.
    asked: Mutex<Option<Instant>>,
}

#[derive(Clone)]
struct Kept {
    keys: Arc<KeySet>,
    since: Instant,
}

impl Oidc {
    /// The process has installed rustls' default provider before.
    pub fn new(settings: OidcSettings) -> Result<Self, reqwest::Error> {
        if settings.issuers.is_empty() {
            return Ok(Self(Arc::default()));
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
        let issuers = settings.issuers.into_iter().map(|name| {
            Arc::new(Issuer {
                name,
                audience: settings.audience.clone(),
                leeway: settings.leeway,
                http: http.clone(),
                kept: RwLock::default(),
                asked: Mutex::default(),
            })
        });
        Ok(Self(Arc::new(issuers.collect())))
    }

    /// The issuer that a token says it is of, if that is one of ours.
    pub(crate) fn issuer_of(&self, token: &str) -> Option<Arc<Issuer>> {
        if self.0.is_empty() {
            return None;
        }
        let name = issuer_of(token)?;
        self.0.iter().find(|issuer| issuer.name == name).cloned()
    }

    /// Whether users of this issuer can sign in.
    pub(crate) fn knows(&self, issuer: &str) -> bool {
        self.0.iter().any(|known| known.name == issuer)
    }

    /// Their names, for people.
    pub(crate) fn names(&self) -> String {
        let names: Vec<_> = self.0.iter().map(|issuer| issuer.name.as_str()).collect();
        names.join(", ")
    }
}

impl Issuer {
    /// Whom a good token of the issuer names.
    pub(crate) async fn identify(
        self: &Arc<Self>,
        token: &str,
        now: OffsetDateTime,
    ) -> Result<Identity, Problem> {
        let keys = self.keys_for(token).await?;
        let rules = OidcRules {
            issuer: &self.name,
            audience: &self.audience,
            leeway: self.leeway,
        };
        keys.verify(token, rules, now.unix_timestamp())
            .map_err(|error| Problem::unauthorised(Some(error)))
    }

    async fn keys_for(self: &Arc<Self>, token: &str) -> Result<Arc<KeySet>, Problem> {
        match self.kept() {
            Some(kept) if kept.keys.fits(token) => {
                // Nobody waits for an issuer that is slow.
                if kept.since.elapsed() >= FRESH {
                    let issuer = self.clone();
                    tokio::spawn(async move { issuer.ask_anew(Some(kept.since)).await });
                }
                Ok(kept.keys)
            }
            kept => {
                let since = kept.map(|kept| kept.since);
                self.ask_anew(since).await;
                let kept = self.kept();
                kept.map(|kept| kept.keys).ok_or_else(|| {
                    Problem::unavailable(format_args!(
                        "the keys of the issuer {} are not to be had",
                        self.name
                    ))
                })
            }
        }
    }

    fn kept(&self) -> Option<Kept> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner).clone();
        kept.filter(|kept| kept.since.elapsed() < STALE)
    }

    /// Asks, unless somebody else has since `seen`, or just before.
    async fn ask_anew(&self, seen: Option<Instant>) {
        let mut asked = self.asked.lock().await;
        let newer = self.kept().map(|kept| kept.since) > seen;
        if newer || asked.is_some_and(|last| last.elapsed() < RETRY) {
            return;
        }
        *asked = Some(Instant::now());
        match self.fetch().await {
            Ok(keys) => {
                let kept = Kept {
                    keys: Arc::new(keys),
                    since: Instant::now(),
                };
                *self.kept.write().unwrap_or_else(PoisonError::into_inner) = Some(kept);
            }
            Err(error) => {
                tracing::warn!(issuer = self.name, %error, "the issuer's keys cannot be fetched");
                metrics::counter!("ccm_oidc_fetch_failures_total", "issuer" => self.name.clone())
                    .increment(1);
            }
        }
    }

    async fn fetch(&self) -> Result<KeySet, String> {
        let document = self.get(&Discovery::address(&self.name)).await?;
        let found = Discovery::read(&self.name, &document).map_err(|e| e.to_string())?;
        let keys = self.get(&found.keys_at).await?;
        KeySet::read(&keys).map_err(|e| e.to_string())
    }

    async fn get(&self, address: &str) -> Result<Vec<u8>, String> {
        let asked = self.http.get(address).send().await;
        let mut answer = asked
            .and_then(reqwest::Response::error_for_status)
            .map_err(|e| cause(&e))?;
        let mut document = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(|e| cause(&e))? {
            document.extend_from_slice(&part);
            if document.len() > MAX_DOCUMENT_BYTES {
                return Err(format!(
                    "{address} answers with more than {MAX_DOCUMENT_BYTES} bytes"
                ));
            }
        }
        Ok(document)
    }
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
