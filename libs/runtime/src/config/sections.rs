use super::ConfigError;
use base64::{Engine, engine::general_purpose::STANDARD};
use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretBox, SecretSlice, SecretString, zeroize::Zeroizing};
use serde::{Deserialize, Deserializer};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};
use url::Url;

/// `[database]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    #[serde(deserialize_with = "secret")]
    app_url: Option<SecretString>,
    #[serde(deserialize_with = "secret")]
    system_url: Option<SecretString>,
    #[serde(deserialize_with = "secret")]
    owner_url: Option<SecretString>,
    /// The most connections of this process as the services' role.
    pub app_pool: u32,
    /// The most connections of this process as the system role.
    pub system_pool: u32,
    /// A replica that is promoted has every commit.
    pub synchronous_standby: bool,
}

const POSTGRES_URL: &str = "set it to postgres://USER:PASSWORD@HOST:PORT/DATABASE";

impl DatabaseConfig {
    /// Address and password of the services' role.
    pub fn app_url(&self) -> Result<&SecretString, ConfigError> {
        required(&self.app_url, "database.app_url", POSTGRES_URL)
    }
    /// Address and password of the system role.
    pub fn system_url(&self) -> Result<&SecretString, ConfigError> {
        required(&self.system_url, "database.system_url", POSTGRES_URL)
    }
    /// Address and password of the tables' owner; only `migrate` has it.
    pub fn owner_url(&self) -> Result<&SecretString, ConfigError> {
        required(&self.owner_url, "database.owner_url", POSTGRES_URL)
    }
}

/// `[redis]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedisConfig {
    /// Nothing: wake-ups stay inside the process.
    #[serde(deserialize_with = "secret")]
    pub url: Option<SecretString>,
    /// What all channels' names begin with.
    pub prefix: String,
}

impl RedisConfig {
    /// The address, for roles that run apart from each other.
    pub fn url(&self) -> Result<&SecretString, ConfigError> {
        required(&self.url, "redis.url", "set it to redis://HOST:PORT")
    }
}

/// `[keys]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeysConfig {
    #[serde(deserialize_with = "path")]
    master_key_file: Option<PathBuf>,
    #[serde(deserialize_with = "secret")]
    master_key: Option<SecretString>,
}

impl KeysConfig {
    /// The master keys, from wherever they were set; a file is read now. The first one is in use, the others only open what
    /// was sealed before. Never empty.
    pub fn master_keys(&self) -> Result<Vec<SecretBox<[u8; 32]>>, ConfigError> {
        const REMEDY: &str = "one key a line, each made with `openssl rand -base64 32`";
        if let Some(text) = &self.master_key {
            return decode_keys(text.expose_secret()).ok_or(ConfigError::Invalid {
                origin: "configuration".to_owned(),
                key: "keys.master_key".to_owned(),
                problem: "is not 32 bytes in base64".to_owned(),
                remedy: REMEDY,
            });
        }
        let Some(file) = &self.master_key_file else {
            return Err(ConfigError::Missing {
                key: "keys.master_key_file",
                remedy: "name a file that holds 32 random bytes in base64 (`openssl rand -base64 32`)",
            });
        };
        decode_keys(&read(file)?).ok_or(ConfigError::BadKeyFile {
            file: file.clone(),
            key: "keys.master_key_file",
            problem: "does not hold 32 bytes in base64",
            remedy: REMEDY,
        })
    }
}

fn decode_keys(text: &str) -> Option<Vec<SecretBox<[u8; 32]>>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let keys: Vec<_> = lines.map(decode_32).collect::<Option<_>>()?;
    (!keys.is_empty()).then_some(keys)
}

fn decode_32(text: &str) -> Option<SecretBox<[u8; 32]>> {
    let bytes = Zeroizing::new(STANDARD.decode(text).ok()?);
    let key: [u8; 32] = bytes.as_slice().try_into().ok()?;
    Some(SecretBox::new(Box::new(key)))
}

/// `[jwt]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JwtKeysConfig {
    /// The `iss` that a token must carry.
    pub issuer: String,
    /// The `aud` that a token must carry.
    pub audience: String,
    /// By how much clocks may differ.
    #[serde(rename = "leeway_ms", deserialize_with = "millis")]
    pub leeway: Duration,
    #[serde(deserialize_with = "path")]
    hs256_secret_file: Option<PathBuf>,
    #[serde(deserialize_with = "path")]
    ed25519_public_key_file: Option<PathBuf>,
    #[serde(deserialize_with = "path")]
    ed25519_private_key_file: Option<PathBuf>,
}

/// What tokens are verified, and perhaps issued, with.
#[derive(Debug, Clone)]
pub enum JwtKeyMaterial {
    /// A shared secret of at least 32 bytes.
    Hs256(SecretSlice<u8>),
    /// PEM texts.
    Ed25519 {
        /// Verifies.
        public_pem: String,
        /// Issues; set only where tokens are issued.
        private_pem: Option<SecretString>,
    },
}

impl JwtKeysConfig {
    /// Reads the key files that are set.
    pub fn key_material(&self) -> Result<JwtKeyMaterial, ConfigError> {
        match (&self.hs256_secret_file, &self.ed25519_public_key_file) {
            (Some(_), Some(_)) => Err(ConfigError::Invalid {
                origin: "configuration".to_owned(),
                key: "jwt.hs256_secret_file".to_owned(),
                problem: "is set together with jwt.ed25519_public_key_file".to_owned(),
                remedy: "set one of the two; tokens of one algorithm only are taken",
            }),
            (None, None) => Err(ConfigError::Missing {
                key: "jwt.hs256_secret_file",
                remedy: "name a file with a random secret (`openssl rand -base64 48`), or set jwt.ed25519_public_key_file",
            }),
            (Some(file), None) => {
                let text = read(file)?;
                let secret = text.trim_end_matches(['\r', '\n']);
                if secret.len() < 32 {
                    return Err(ConfigError::BadKeyFile {
                        file: file.clone(),
                        key: "jwt.hs256_secret_file",
                        problem: "holds less than 32 bytes, which can be guessed",
                        remedy: "make one with `openssl rand -base64 48`",
                    });
                }
                Ok(JwtKeyMaterial::Hs256(secret.as_bytes().to_vec().into()))
            }
            (None, Some(public)) => Ok(JwtKeyMaterial::Ed25519 {
                public_pem: read_pem(
                    public,
                    "jwt.ed25519_public_key_file",
                    "-----BEGIN PUBLIC KEY-----",
                )?
                .to_string(),
                private_pem: match &self.ed25519_private_key_file {
                    Some(file) => Some(SecretString::from(
                        read_pem(
                            file,
                            "jwt.ed25519_private_key_file",
                            "-----BEGIN PRIVATE KEY-----",
                        )?
                        .to_string(),
                    )),
                    None => None,
                },
            }),
        }
    }
}

fn read_pem(file: &Path, key: &'static str, head: &str) -> Result<Zeroizing<String>, ConfigError> {
    let text = read(file)?;
    if text.contains(head) {
        return Ok(text);
    }
    Err(ConfigError::BadKeyFile {
        file: file.to_owned(),
        key,
        problem: "is not that half of an Ed25519 key pair in PEM",
        remedy: "the comment beside the key in `ccm config` says how to make both halves",
    })
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// `[telemetry]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelemetryConfig {
    /// How log lines are written.
    pub log_format: LogFormat,
    /// What is logged, in RUST_LOG's spelling, before the cap on third-party targets.
    pub log_filter: String,
    /// Base address of an OTLP collector (http/protobuf), without `/v1/traces`.
    #[serde(deserialize_with = "optional")]
    pub otlp_endpoint: Option<String>,
    /// Tenants that a process' metrics name at most; 0: none.
    pub metrics_tenants: usize,
}

/// `[ingest]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IngestConfig {
    /// Where webhooks come in.
    pub listen: SocketAddr,
    /// Health and metrics.
    pub ops_listen: SocketAddr,
    #[serde(deserialize_with = "optional")]
    public_base_url: Option<String>,
    /// The largest body that is read.
    pub max_body_bytes: usize,
    /// A webhook not committed by then gets 503.
    #[serde(rename = "request_timeout_ms", deserialize_with = "millis")]
    pub request_timeout: Duration,
}

impl IngestConfig {
    /// How providers reach us, without a slash at the end; part of what Twilio signs.
    pub fn public_base_url(&self) -> Result<&str, ConfigError> {
        required(
            &self.public_base_url,
            "ingest.public_base_url",
            "set it to the address that providers call, like https://sms.example.com",
        )
        .map(|url| url.trim_end_matches('/'))
    }
}

/// `[dispatch]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DispatchConfig {
    /// Health and metrics.
    pub listen: SocketAddr,
    /// How often the outbox is looked at without a wake-up.
    #[serde(rename = "poll_ms", deserialize_with = "millis")]
    pub poll: Duration,
    /// The most texts on their way to providers at once.
    pub concurrency: usize,
    /// How long a provider may take to answer.
    #[serde(rename = "provider_timeout_ms", deserialize_with = "millis")]
    pub provider_timeout: Duration,
    /// After which a dead process' claim is free; more than `provider_timeout`.
    #[serde(rename = "claim_ms", deserialize_with = "millis")]
    pub claim: Duration,
}

/// `[connector]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectorConfig {
    /// Health and metrics.
    pub listen: SocketAddr,
    /// How often waiting texts and leases are looked at without a wake-up.
    #[serde(rename = "poll_ms", deserialize_with = "millis")]
    pub poll: Duration,
    /// How long a silent pod keeps its tenants.
    #[serde(rename = "lease_ms", deserialize_with = "millis")]
    pub lease: Duration,
    /// A pod stops sending so long before its lease runs out, another starts so long after.
    #[serde(rename = "lease_margin_ms", deserialize_with = "millis")]
    pub lease_margin: Duration,
    /// Between two pings on an open chat.
    #[serde(rename = "ping_ms", deserialize_with = "millis")]
    pub ping: Duration,
    /// A ping with nothing after it for this long: the link is broken.
    #[serde(rename = "pong_timeout_ms", deserialize_with = "millis")]
    pub pong_timeout: Duration,
    /// A text without its acknowledgement for this long: the link is broken. Zero: none is waited for.
    #[serde(rename = "ack_timeout_ms", deserialize_with = "millis")]
    pub ack_timeout: Duration,
    /// So many chats of one link in a row that did not get in, and nobody dials it for a while.
    pub breaker_failures: u32,
    /// The while at the most.
    #[serde(rename = "breaker_cap_ms", deserialize_with = "millis")]
    pub breaker_cap: Duration,
    /// How often the primary of a pair is looked at while dials go to the secondary.
    #[serde(rename = "failback_probe_ms", deserialize_with = "millis")]
    pub failback_probe: Duration,
    #[serde(deserialize_with = "optional")]
    pod_name: Option<String>,
}

impl ConnectorConfig {
    /// How this pod is called on pages and in logs; not unique.
    pub fn pod_name(&self) -> &str {
        self.pod_name.as_deref().unwrap_or("local")
    }
}

/// `[egress]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EgressConfig {
    /// Networks in which tenants' webhooks and AACCs may be beside the public ones.
    #[serde(deserialize_with = "networks")]
    pub private_networks: Vec<IpNet>,
}

/// `[admin]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminConfig {
    /// The admin API.
    pub listen: SocketAddr,
    /// Health and metrics.
    pub ops_listen: SocketAddr,
    /// The largest body that is read.
    pub max_body_bytes: usize,
    /// Networks of the proxies that are believed when they say for whom they ask.
    #[serde(deserialize_with = "networks")]
    pub trusted_proxies: Vec<IpNet>,
    /// How many requests a minute one token, key or, without either, address may send to one pod, over time.
    pub requests_per_minute: u32,
    /// How many of them at once.
    pub requests_at_once: u32,
    /// How long people stay signed in at most.
    #[serde(rename = "session_ms", deserialize_with = "millis")]
    pub session: Duration,
    /// How long they stay signed in without asking anything.
    #[serde(rename = "session_idle_ms", deserialize_with = "millis")]
    pub session_idle: Duration,
}

/// `[oidc]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcConfig {
    /// Issuers whose tokens are taken; `https` addresses, as they name themselves.
    #[serde(deserialize_with = "words")]
    pub issuers: Vec<String>,
    /// The `aud` that their tokens must carry.
    pub audience: String,
    /// A file of certificates in PEM that are trusted beside the public ones when an issuer is asked.
    #[serde(deserialize_with = "path")]
    pub ca_file: Option<PathBuf>,
}

impl OidcConfig {
    /// The CAs, if any are set.
    pub fn cas(&self) -> Result<Option<String>, ConfigError> {
        let Some(file) = &self.ca_file else {
            return Ok(None);
        };
        Ok(Some(
            read_pem(file, "oidc.ca_file", "-----BEGIN CERTIFICATE-----")?.to_string(),
        ))
    }
}

/// `[console]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsoleConfig {
    /// How browsers reach it.
    #[serde(deserialize_with = "optional")]
    url: Option<String>,
    #[serde(deserialize_with = "path")]
    client_secret_file: Option<PathBuf>,
    /// Where a trace is looked at; `{trace}` is its id.
    #[serde(deserialize_with = "optional")]
    pub trace_url: Option<String>,
}

impl ConsoleConfig {
    /// How browsers reach it, if that is said: scheme, host and port.
    pub fn url(&self) -> Result<Option<Url>, ConfigError> {
        let Some(text) = &self.url else {
            return Ok(None);
        };
        let url = Url::parse(text).ok();
        let fits = |url: &Url| {
            ["http", "https"].contains(&url.scheme()) && url.path() == "/" && url.query().is_none()
        };
        url.filter(fits).map(Some).ok_or_else(|| ConfigError::Invalid {
            origin: "configuration".to_owned(),
            key: "console.url".to_owned(),
            problem: "is no address of a host".to_owned(),
            remedy: "give scheme, host and port, such as https://console.example.com",
        })
    }

    /// By which issuers know the console, if it has one.
    pub fn client_secret(&self) -> Result<Option<SecretString>, ConfigError> {
        let Some(file) = &self.client_secret_file else {
            return Ok(None);
        };
        Ok(Some(read(file)?.trim_end_matches(['\r', '\n']).into()))
    }
}

/// `[screenpop]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScreenpopConfig {
    /// What agents' pages ask.
    pub listen: SocketAddr,
    /// Health and metrics.
    pub ops_listen: SocketAddr,
    /// The largest request body that is read.
    pub max_body_bytes: usize,
    /// How long a provider may take to say what it knows about a number.
    #[serde(rename = "lookup_timeout_ms", deserialize_with = "millis")]
    pub lookup_timeout: Duration,
    /// How many numbers a tenant may have its providers asked about in a minute.
    pub lookups_per_minute: u32,
    /// How long an answer is good.
    #[serde(rename = "lookups_kept_days", deserialize_with = "days")]
    pub lookups_kept: Duration,
    /// Networks of the proxies that are believed when they say for whom they ask.
    #[serde(deserialize_with = "networks")]
    pub trusted_proxies: Vec<IpNet>,
}

/// `[deflection]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeflectionConfig {
    /// What voice scripts ask.
    pub listen: SocketAddr,
    /// Health and metrics.
    pub ops_listen: SocketAddr,
    /// How phones reach `listen`.
    #[serde(deserialize_with = "optional")]
    public_base_url: Option<String>,
    /// The largest request body that is read.
    pub max_body_bytes: usize,
    /// How many requests a minute one key may send to one pod.
    pub requests_per_minute: u32,
    /// How often it is looked for what is due.
    #[serde(rename = "poll_ms", deserialize_with = "millis")]
    pub poll: Duration,
    /// How long AACC is not asked again how busy a skillset is.
    #[serde(rename = "queue_fresh_ms", deserialize_with = "millis")]
    pub queue_fresh: Duration,
    /// How long an older answer will do.
    #[serde(rename = "queue_stale_ms", deserialize_with = "millis")]
    pub queue_stale: Duration,
    /// How long a script waits for AACC.
    #[serde(rename = "queue_wait_ms", deserialize_with = "millis")]
    pub queue_wait: Duration,
    /// Networks of the proxies that are believed when they say for whom they ask.
    #[serde(deserialize_with = "networks")]
    pub trusted_proxies: Vec<IpNet>,
}

impl DeflectionConfig {
    /// How phones reach us, without a slash at the end; `None`: offers carry no links.
    pub fn public_base_url(&self) -> Option<&str> {
        self.public_base_url
            .as_deref()
            .map(|base| base.trim_end_matches('/'))
    }
}

/// `[events]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventsConfig {
    /// Health and metrics.
    pub listen: SocketAddr,
    /// How often it is looked for what is due.
    #[serde(rename = "poll_ms", deserialize_with = "millis")]
    pub poll: Duration,
    /// The most calls of one process at once.
    pub concurrency: u32,
    /// The most calls of one webhook at once.
    pub per_webhook: u32,
    /// How long a receiver may take to answer.
    #[serde(rename = "timeout_ms", deserialize_with = "millis")]
    pub timeout: Duration,
    /// What a process had in hand is due again after this time, should it die.
    #[serde(rename = "claim_ms", deserialize_with = "millis")]
    pub claim: Duration,
}

/// `[shutdown]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShutdownConfig {
    /// Listeners still accept for this long after SIGTERM.
    #[serde(rename = "notice_ms", deserialize_with = "millis")]
    pub notice: Duration,
    /// The process may take this long after SIGTERM, `notice` included.
    #[serde(rename = "grace_ms", deserialize_with = "millis")]
    pub grace: Duration,
}

fn required<'a, T>(
    value: &'a Option<T>,
    key: &'static str,
    remedy: &'static str,
) -> Result<&'a T, ConfigError> {
    value.as_ref().ok_or(ConfigError::Missing { key, remedy })
}

fn read(file: &Path) -> Result<Zeroizing<String>, ConfigError> {
    std::fs::read_to_string(file)
        .map(Zeroizing::new)
        .map_err(|source| ConfigError::Unreadable {
            file: file.to_owned(),
            source,
        })
}

fn optional<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(d)?;
    Ok(Some(text.trim().to_owned()).filter(|t| !t.is_empty()))
}

fn words<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<String>, D::Error> {
    let text = String::deserialize(d)?;
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    Ok(words.map(str::to_owned).collect())
}

fn networks<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<IpNet>, D::Error> {
    words(d)?
        .iter()
        .map(|word| {
            word.parse().map_err(|_| {
                serde::de::Error::custom("is not a list of networks such as 10.7.0.0/16, fd00:1::/32")
            })
        })
        .collect()
}

fn secret<'de, D: Deserializer<'de>>(d: D) -> Result<Option<SecretString>, D::Error> {
    Ok(optional(d)?.map(SecretString::from))
}

fn path<'de, D: Deserializer<'de>>(d: D) -> Result<Option<PathBuf>, D::Error> {
    Ok(optional(d)?.map(PathBuf::from))
}

fn days<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
    let days = u16::deserialize(d)?;
    Ok(Duration::from_secs(u64::from(days) * 86_400))
}

fn millis<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
    u64::deserialize(d).map(Duration::from_millis)
}
