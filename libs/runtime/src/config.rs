//! Configuration: `default.toml` compiled in, then a file, then the environment.
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
    collections::BTreeMap,
    path::{Path, PathBuf},
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

impl Config {
    /// Reads the defaults, then `file`, then `env` (name and value pairs, usually `std::env::vars()`).
    ///
    /// Of the environment `CCM__SECTION__KEY`, `RUST_LOG` (for `telemetry.log_filter`) and `HOSTNAME` (for
    /// `connector.pod_name`) are looked at. What a role needs and nobody set is reported when it is asked for
    /// ([`DatabaseConfig::app_url`] and its like), not here.
    pub fn load(
        file: Option<&Path>,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let layers = Layers::read(file, env)?;
        let config: Self = layers.merge()?;
        config.check(&layers)?;
        Ok(config)
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

/// The three layers, kept apart so that an error can say which one is wrong.
struct Layers {
    defaults: Map<String, Value>,
    file: Option<(PathBuf, Map<String, Value>)>,
    /// Key path → environment variable's name and value.
    env: BTreeMap<String, (String, String)>,
}

impl Layers {
    fn read(
        file: Option<&Path>,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let defaults = parse(DEFAULTS).expect("the compiled-in default.toml is well-formed");
        let mut layers = Self {
            defaults,
            file: None,
            env: BTreeMap::new(),
        };
        let known = keys_of(&layers.defaults);
        if let Some(path) = file {
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
        layers.read_env(env, &known)?;
        Ok(layers)
    }

    fn read_env(
        &mut self,
        env: impl IntoIterator<Item = (String, String)>,
        known: &[String],
    ) -> Result<(), ConfigError> {
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
                        return Err(ConfigError::unknown_variable(&name, &key, known));
                    }
                    self.env.insert(key, (name, value));
                }
            }
        }
        for (key, name, value) in fallbacks {
            if !value.is_empty() {
                self.env.entry(key.to_owned()).or_insert((name, value));
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
        for (key, (_, value)) in &self.env {
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
        match (self.env.get(key), &self.file) {
            (Some((name, _)), _) => format!("environment variable {name}"),
            (None, Some((path, _))) if self.file_sets(key) => path.display().to_string(),
            _ => "the built-in defaults".to_owned(),
        }
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

/// Every leaf as `section.key`; an empty section as `section`.
fn keys_of(map: &Map<String, Value>) -> Vec<String> {
    let mut keys = Vec::new();
    for (name, value) in map {
        match &value.kind {
            ValueKind::Table(inner) => keys.extend(keys_of(inner).into_iter().map(|k| format!("{name}.{k}"))),
            _ => keys.push(name.clone()),
        }
    }
    keys.sort();
    keys
}

#[cfg(test)]
mod tests;
