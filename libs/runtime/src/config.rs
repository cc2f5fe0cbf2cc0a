//! Configuration: `default.toml` compiled in, then a file, then the environment, then flags of the command line.
//!
//! The known keys are the keys of `default.toml`; it is the documentation and the schema at once.

mod error;
mod sections;

pub use error::ConfigError;
pub use sections::{
    AdminConfig, ConnectorConfig, ConsoleConfig, DatabaseConfig, DeflectionConfig, DispatchConfig,
    EgressConfig, EventsConfig, IngestConfig, JwtKeyMaterial, JwtKeysConfig, KeysConfig, LogFormat,
    OidcConfig, RedisConfig, ScreenpopConfig, ShutdownConfig, TelemetryConfig,
};

use config::{FileFormat, Map, Source, Value, ValueKind};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    path::PathBuf,
    time::Duration,
};

/// The defaults with their explanations, as `ccm config` prints them.
pub const DEFAULTS: &str = include_str!("config/default.toml");

const ENV_PREFIX: &str = "CCM__";

/// How long it may take to hear the rest of a receiver's answer and to record it.
const EVENTS_RECORD: Duration = Duration::from_secs(5);

/// Every setting of every role. Its `Debug` shows no secret.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Config {
    pub database: DatabaseConfig,
    pub redis: RedisConfig,
    pub keys: KeysConfig,
    pub jwt: JwtKeysConfig,
    pub oidc: OidcConfig,
    pub telemetry: TelemetryConfig,
    pub ingest: IngestConfig,
    pub dispatch: DispatchConfig,
    pub connector: ConnectorConfig,
    pub egress: EgressConfig,
    pub admin: AdminConfig,
    pub console: ConsoleConfig,
    pub screenpop: ScreenpopConfig,
    pub deflection: DeflectionConfig,
    pub events: EventsConfig,
    pub shutdown: ShutdownConfig,
}

/// Where a configuration is read from, again when it changes.
#[derive(Clone, Default)]
pub struct Sources {
    /// TOML.
    pub file: Option<PathBuf>,
    /// Names and values, usually `std::env::vars()`.
    pub env: Vec<(String, String)>,
    /// Keys, as `section.key`, and values.
    pub flags: Vec<(String, String)>,
}

impl Sources {
    /// This process' environment.
    pub fn new(file: Option<PathBuf>, flags: Vec<(String, String)>) -> Self {
        Self {
            file,
            env: std::env::vars().collect(),
            flags,
        }
    }
}

/// A setting that somebody has made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Setting {
    /// As `section.key`.
    pub key: String,
    /// The file, the environment variable or the flag that has it.
    pub origin: String,
}

impl Config {
    /// Reads the defaults, then the file, then the environment, then the flags.
    ///
    /// Of the environment `CCM__SECTION__KEY`, `RUST_LOG` (for `telemetry.log_filter`) and `HOSTNAME` (for
    /// `connector.pod_name`) are looked at. What a role needs and nobody set is reported when it is asked for
    /// ([`DatabaseConfig::app_url`] and its like), not here.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        Self::with_settings(sources).map(|(config, _)| config)
    }

    /// The same, and what is not a default, by key.
    pub fn with_settings(sources: &Sources) -> Result<(Self, Vec<Setting>), ConfigError> {
        let layers = Layers::read(sources)?;
        let config = layers.merge()?;
        config.check(&layers)?;
        Ok((config, layers.settings()))
    }

    /// Of every setting what it is, as a number that says nothing about the value: to be compared.
    pub(crate) fn fingerprints(sources: &Sources) -> Result<BTreeMap<String, u64>, ConfigError> {
        Ok(Layers::read(sources)?.fingerprints())
    }

    fn check(&self, layers: &Layers) -> Result<(), ConfigError> {
        let positive = [
            ("database.app_pool", u128::from(self.database.app_pool)),
            ("database.system_pool", u128::from(self.database.system_pool)),
            ("ingest.max_body_bytes", self.ingest.max_body_bytes as u128),
            (
                "ingest.request_timeout_ms",
                self.ingest.request_timeout.as_millis(),
            ),
            ("dispatch.poll_ms", self.dispatch.poll.as_millis()),
            ("dispatch.concurrency", self.dispatch.concurrency as u128),
            (
                "dispatch.provider_timeout_ms",
                self.dispatch.provider_timeout.as_millis(),
            ),
            ("connector.poll_ms", self.connector.poll.as_millis()),
            ("connector.lease_ms", self.connector.lease.as_millis()),
            ("connector.ping_ms", self.connector.ping.as_millis()),
            (
                "connector.pong_timeout_ms",
                self.connector.pong_timeout.as_millis(),
            ),
            ("admin.max_body_bytes", self.admin.max_body_bytes as u128),
            (
                "admin.requests_per_minute",
                u128::from(self.admin.requests_per_minute),
            ),
            ("admin.requests_at_once", u128::from(self.admin.requests_at_once)),
            ("admin.session_ms", self.admin.session.as_millis()),
            ("admin.session_idle_ms", self.admin.session_idle.as_millis()),
            ("screenpop.max_body_bytes", self.screenpop.max_body_bytes as u128),
            (
                "screenpop.lookup_timeout_ms",
                self.screenpop.lookup_timeout.as_millis(),
            ),
            (
                "screenpop.lookups_per_minute",
                u128::from(self.screenpop.lookups_per_minute),
            ),
            (
                "screenpop.lookups_kept_days",
                self.screenpop.lookups_kept.as_millis(),
            ),
            (
                "deflection.max_body_bytes",
                self.deflection.max_body_bytes as u128,
            ),
            (
                "deflection.requests_per_minute",
                u128::from(self.deflection.requests_per_minute),
            ),
            ("deflection.poll_ms", self.deflection.poll.as_millis()),
            (
                "deflection.queue_fresh_ms",
                self.deflection.queue_fresh.as_millis(),
            ),
            ("deflection.queue_wait_ms", self.deflection.queue_wait.as_millis()),
            ("events.poll_ms", self.events.poll.as_millis()),
            ("events.concurrency", u128::from(self.events.concurrency)),
            ("events.per_webhook", u128::from(self.events.per_webhook)),
            ("events.timeout_ms", self.events.timeout.as_millis()),
        ];
        for (key, value) in positive {
            if value == 0 {
                return Err(layers.invalid(
                    key,
                    "must not be 0",
                    "give a number above 0, or remove the line",
                ));
            }
        }
        if self
            .oidc
            .issuers
            .iter()
            .any(|issuer| !issuer.starts_with("https://"))
        {
            return Err(layers.invalid(
                "oidc.issuers",
                "names an issuer that is not an https address",
                "write issuers as their tokens' `iss` has them, like https://login.example.com/realms/ccm",
            ));
        }
        if !self.oidc.issuers.is_empty() && self.oidc.audience.is_empty() {
            return Err(layers.invalid(
                "oidc.audience",
                "is empty, so tokens for other programs would be taken",
                "name the `aud` that tokens for this API carry",
            ));
        }
        if self.dispatch.claim <= self.dispatch.provider_timeout {
            return Err(layers.invalid(
                "dispatch.claim_ms",
                "is not more than dispatch.provider_timeout_ms, so a text could be sent twice",
                "give it at least 5000 more than dispatch.provider_timeout_ms",
            ));
        }
        if self.events.claim < self.events.timeout + EVENTS_RECORD {
            return Err(layers.invalid(
                "events.claim_ms",
                "is not 5000 more than events.timeout_ms, so a webhook could be called by two processes at once",
                "give it at least 5000 more than events.timeout_ms",
            ));
        }
        if self.connector.lease_margin * 2 >= self.connector.lease {
            return Err(layers.invalid(
                "connector.lease_margin_ms",
                "is not less than half of connector.lease_ms, so a pod would hardly ever send",
                "give a fifth of connector.lease_ms",
            ));
        }
        Ok(())
    }
}

/// The layers, kept apart so that an error can say which one is wrong.
struct Layers {
    defaults: Map<String, Value>,
    file: Option<(PathBuf, Map<String, Value>)>,
    /// Key path → where the value comes from (a variable or a flag), and the value.
    over: BTreeMap<String, (String, String)>,
}

impl Layers {
    fn read(sources: &Sources) -> Result<Self, ConfigError> {
        let defaults = parse(DEFAULTS).expect("the compiled-in default.toml is well-formed");
        let mut layers = Self {
            defaults,
            file: None,
            over: BTreeMap::new(),
        };
        let known = keys_of(&layers.defaults);
        if let Some(path) = &sources.file {
            let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
                file: path.to_owned(),
                source,
            })?;
            let map = parse(&text).map_err(|problem| ConfigError::Syntax {
                file: path.to_owned(),
                problem,
            })?;
            for key in keys_of(&map) {
                if !known.contains(&key) {
                    return Err(ConfigError::unknown_key(
                        format!("{}", path.display()),
                        &key,
                        &known,
                    ));
                }
            }
            layers.file = Some((path.to_owned(), map));
        }
        layers.read_env(&sources.env, &known)?;
        for (key, value) in &sources.flags {
            let origin = format!("--set {key}");
            if !known.contains(key) {
                return Err(ConfigError::unknown_key(origin, key, &known));
            }
            layers.over.insert(key.clone(), (origin, value.clone()));
        }
        Ok(layers)
    }

    fn read_env(&mut self, env: &[(String, String)], known: &[String]) -> Result<(), ConfigError> {
        let mut fallbacks = Vec::new();
        for (name, value) in env {
            match name.as_str() {
                "RUST_LOG" => fallbacks.push(("telemetry.log_filter", name, value)),
                "HOSTNAME" if !self.file_sets("connector.pod_name") => {
                    fallbacks.push(("connector.pod_name", name, value));
                }
                _ => {
                    let Some(rest) = name.strip_prefix(ENV_PREFIX) else {
                        continue;
                    };
                    let key = rest.to_lowercase().replace("__", ".");
                    if !known.contains(&key) {
                        return Err(ConfigError::unknown_variable(name, &key, known));
                    }
                    self.over.insert(key, (variable(name), value.clone()));
                }
            }
        }
        for (key, name, value) in fallbacks {
            if !value.is_empty() {
                self.over
                    .entry(key.to_owned())
                    .or_insert((variable(name), value.clone()));
            }
        }
        Ok(())
    }

    fn merge(&self) -> Result<Config, ConfigError> {
        let mut builder = config::Config::builder();
        builder = builder.add_source(Fixed(self.defaults.clone()));
        if let Some((_, map)) = &self.file {
            builder = builder.add_source(Fixed(map.clone()));
        }
        for (key, (_, value)) in &self.over {
            builder = builder
                .set_override(key, value.as_str())
                .expect("a known key is a well-formed path");
        }
        let merged = builder.build().expect("layers that are already read merge");
        merged.try_deserialize().map_err(|e| self.explain(e))
    }

    /// Says which layer a bad value stands in. Never repeats the value: it may be a secret.
    fn explain(&self, error: config::ConfigError) -> ConfigError {
        use config::ConfigError as E;
        match error {
            E::Type { key, expected, .. } => {
                let key = key.unwrap_or_default();
                self.invalid(
                    &key,
                    format!("is not {expected}"),
                    "see the comment in `ccm config`",
                )
            }
            E::At { key, error, .. } => {
                let key = key.unwrap_or_default();
                self.invalid(&key, error.to_string(), "see the comment in `ccm config`")
            }
            other => self.invalid("(file)", other.to_string(), "see `ccm config`"),
        }
    }

    fn invalid(&self, key: &str, problem: impl Into<String>, remedy: &'static str) -> ConfigError {
        ConfigError::Invalid {
            origin: self.origin(key),
            key: key.to_owned(),
            problem: problem.into(),
            remedy,
        }
    }

    fn origin(&self, key: &str) -> String {
        match (self.over.get(key), &self.file) {
            (Some((origin, _)), _) => origin.clone(),
            (None, Some((path, _))) if self.file_sets(key) => path.display().to_string(),
            _ => "the built-in defaults".to_owned(),
        }
    }

    /// What is not a default, by key.
    fn settings(&self) -> Vec<Setting> {
        let in_file = self.file.iter().flat_map(|(_, map)| keys_of(map));
        let keys: BTreeSet<String> = in_file.chain(self.over.keys().cloned()).collect();
        let setting = |key: String| Setting {
            origin: self.origin(&key),
            key,
        };
        keys.into_iter().map(setting).collect()
    }

    fn fingerprints(&self) -> BTreeMap<String, u64> {
        let mut all = BTreeMap::new();
        let mut put = |key: String, value: &dyn fmt::Display| {
            let mut hasher = DefaultHasher::new();
            value.to_string().hash(&mut hasher);
            all.insert(key, hasher.finish());
        };
        for map in [Some(&self.defaults), self.file.as_ref().map(|(_, map)| map)] {
            for (key, value) in map.into_iter().flat_map(leaves_of) {
                put(key, &value);
            }
        }
        for (key, (_, value)) in &self.over {
            put(key.clone(), value);
        }
        all
    }

    fn file_sets(&self, key: &str) -> bool {
        self.file
            .as_ref()
            .is_some_and(|(_, map)| keys_of(map).iter().any(|k| k == key))
    }
}

/// A layer that is read already.
#[derive(Clone, Debug)]
struct Fixed(Map<String, Value>);

impl Source for Fixed {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }
    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        Ok(self.0.clone())
    }
}

/// The error is the parser's place and reason without the offending line, which may hold a secret.
fn parse(text: &str) -> Result<Map<String, Value>, String> {
    config::File::from_str(text, FileFormat::Toml)
        .collect()
        .map_err(|e| {
            let text = e.to_string();
            let mut lines = text.lines().filter(|line| !line.contains('|'));
            let place = lines.next().unwrap_or_default().trim().to_owned();
            lines.fold(place, |all, line| format!("{all}: {}", line.trim()))
        })
}

fn variable(name: &str) -> String {
    format!("environment variable {name}")
}

/// Every leaf's key as `section.key`; an empty section as `section`.
fn keys_of(map: &Map<String, Value>) -> Vec<String> {
    leaves_of(map).into_iter().map(|(key, _)| key).collect()
}

fn leaves_of(map: &Map<String, Value>) -> Vec<(String, Value)> {
    let mut leaves = Vec::new();
    for (name, value) in map {
        match &value.kind {
            ValueKind::Table(inner) => {
                let inner = leaves_of(inner).into_iter();
                leaves.extend(inner.map(|(key, value)| (format!("{name}.{key}"), value)));
            }
            _ => leaves.push((name.clone(), value.clone())),
        }
    }
    leaves.sort_by(|(a, _), (b, _)| a.cmp(b));
    leaves
}

#[cfg(test)]
mod tests;
