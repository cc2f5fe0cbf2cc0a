use super::*;
use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::ExposeSecret;
use std::time::Duration;

fn load(file: &str, env: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ccm.toml");
    std::fs::write(&path, file).unwrap();
    Config::load(&Sources {
        file: Some(path),
        env: pairs(env),
        ..Sources::default()
    })
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect()
}

fn refused(file: &str, env: &[(&str, &str)]) -> String {
    load(file, env).expect_err("must be refused").to_string()
}

#[test]
fn the_defaults_alone_load() {
    let config = Config::load(&Sources::default()).unwrap();
    assert_eq!(config.database.app_pool, 16);
    assert_eq!(config.connector.lease, Duration::from_secs(5));
    assert_eq!(config.connector.pod_name(), "local");
    assert!(config.redis.url.is_none());
    assert_eq!(config.telemetry.log_format, LogFormat::Json);
}

#[test]
fn the_file_overlays_the_defaults_and_the_environment_the_file() {
    let file = "[dispatch]\npoll_ms = 250\nconcurrency = 8\n[database]\napp_url = \"postgres://file\"\n";
    let config = load(
        file,
        &[
            ("CCM__DISPATCH__POLL_MS", "50"),
            ("CCM__REDIS__URL", "redis://env"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap();
    assert_eq!(
        config.dispatch.poll,
        Duration::from_millis(50),
        "environment wins"
    );
    assert_eq!(config.dispatch.concurrency, 8, "then the file");
    assert_eq!(
        config.dispatch.provider_timeout,
        Duration::from_secs(10),
        "then the default"
    );
    assert_eq!(
        config.database.app_url().unwrap().expose_secret(),
        "postgres://file"
    );
    assert_eq!(config.redis.url().unwrap().expose_secret(), "redis://env");
}

#[test]
fn rust_log_and_hostname_are_fallbacks() {
    let env = [("RUST_LOG", "debug"), ("HOSTNAME", "pod-7")];
    let config = load("", &env).unwrap();
    assert_eq!(config.telemetry.log_filter, "debug");
    assert_eq!(config.connector.pod_name(), "pod-7");

    let config = load("[connector]\npod_name = \"mine\"\n", &env).unwrap();
    assert_eq!(config.connector.pod_name(), "mine");
    let config = load("", &[env[0], ("CCM__TELEMETRY__LOG_FILTER", "warn")]).unwrap();
    assert_eq!(config.telemetry.log_filter, "warn");
}

#[test]
fn unknown_keys_name_the_nearest_right_one() {
    let said = refused("[database]\napp_ulr = \"x\"\n", &[]);
    assert!(said.contains("ccm.toml"), "{said}");
    assert!(
        said.contains("unknown key database.app_ulr; did you mean database.app_url?"),
        "{said}"
    );

    let said = refused("[databse]\napp_pool = 3\n", &[]);
    assert!(said.contains("did you mean database.app_pool?"), "{said}");

    let said = refused("[server]\nlease_ms = 3\n", &[]);
    assert!(said.contains("did you mean connector.lease_ms?"), "{said}");

    let said = refused("", &[("CCM__DATABASE__APPURL", "x")]);
    assert!(
        said.contains("environment variable CCM__DATABASE__APPURL")
            && said.contains("did you mean CCM__DATABASE__APP_URL?"),
        "{said}"
    );

    let said = refused("[nothing]\nlike_it_at_all = 3\n", &[]);
    assert!(said.contains("`ccm config`"), "{said}");
}

#[test]
fn wrong_values_say_where_and_never_repeat_themselves() {
    let said = refused("[dispatch]\npoll_ms = \"fast-SECRET\"\n", &[]);
    assert!(
        said.contains("ccm.toml: dispatch.poll_ms") && !said.contains("SECRET"),
        "{said}"
    );
    let said = refused("", &[("CCM__INGEST__LISTEN", "here-SECRET")]);
    assert!(
        said.contains("environment variable CCM__INGEST__LISTEN: ingest.listen") && !said.contains("SECRET"),
        "{said}"
    );
    let said = refused("[database]\napp_url = postgres://u:SECRET@h/d\n", &[]);
    assert!(said.contains("line 2") && !said.contains("SECRET"), "{said}");
    let said = refused("[telemetry]\nlog_format = \"xml\"\n", &[]);
    assert!(said.contains("telemetry.log_format"), "{said}");
    let said = refused("[connector]\npoll_ms = 0\n", &[]);
    assert!(said.contains("connector.poll_ms must not be 0"), "{said}");
    let said = refused("[dispatch]\nclaim_ms = 10000\n", &[]);
    assert!(said.contains("dispatch.claim_ms"), "{said}");
    let said = refused("[connector]\nlease_margin_ms = 2500\n", &[]);
    assert!(said.contains("connector.lease_margin_ms"), "{said}");
    let said = Config::load(&Sources::new(Some("/nowhere/ccm.toml".into()), Vec::new()))
        .unwrap_err()
        .to_string();
    assert!(said.contains("/nowhere/ccm.toml: cannot be read"), "{said}");
}

#[test]
fn what_is_missing_is_named_when_it_is_asked_for() {
    let config = Config::load(&Sources::default()).unwrap();
    let said = config.database.app_url().unwrap_err().to_string();
    assert!(
        said.contains("database.app_url is not set") && said.contains("CCM__DATABASE__APP_URL"),
        "{said}"
    );
    assert!(config.keys.master_keys().is_err());
    assert!(config.jwt.key_material().is_err());
    assert!(config.ingest.public_base_url().is_err());
}

#[test]
fn debug_shows_no_secret() {
    let secrets = [
        "pg-canary-1",
        "pg-canary-2",
        "pg-canary-3",
        "redis-canary",
        "key-canary",
    ];
    let config = load(
        "",
        &[
            ("CCM__DATABASE__APP_URL", secrets[0]),
            ("CCM__DATABASE__SYSTEM_URL", secrets[1]),
            ("CCM__DATABASE__OWNER_URL", secrets[2]),
            ("CCM__REDIS__URL", secrets[3]),
            ("CCM__KEYS__MASTER_KEY", secrets[4]),
        ],
    )
    .unwrap();
    let printed = format!("{config:#?}");
    for secret in secrets {
        assert!(!printed.contains(secret), "{secret} in {printed}");
    }
    assert!(printed.contains("REDACTED"), "{printed}");
    let said = config.keys.master_keys().unwrap_err().to_string();
    assert!(!said.contains("key-canary"), "{said}");
}

#[test]
fn keys_come_from_their_files() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let master = file(
        "master",
        &format!(
            "{}\n\n{}\n",
            STANDARD.encode([7u8; 32]),
            STANDARD.encode([8u8; 32])
        ),
    );
    let half = file("half", &format!("{}\nnonsense\n", STANDARD.encode([7u8; 32])));
    let short = file("short", "c2hvcnQ=\n");
    let secret = file("jwt", "0123456789abcdef0123456789abcdef\n");

    let config = load(
        "",
        &[
            ("CCM__KEYS__MASTER_KEY_FILE", &master),
            ("CCM__JWT__HS256_SECRET_FILE", &secret),
        ],
    )
    .unwrap();
    let keys = config.keys.master_keys().unwrap();
    let keys: Vec<_> = keys.iter().map(|k| *k.expose_secret()).collect();
    assert_eq!(keys, [[7; 32], [8; 32]], "the one in use first");
    let config_of_half = load("", &[("CCM__KEYS__MASTER_KEY_FILE", &half)]).unwrap();
    assert!(config_of_half.keys.master_keys().is_err(), "no line is skipped");
    let JwtKeyMaterial::Hs256(read) = config.jwt.key_material().unwrap() else {
        panic!("an HS256 secret was set")
    };
    assert_eq!(read.expose_secret(), b"0123456789abcdef0123456789abcdef");

    let config = load(
        "",
        &[
            ("CCM__KEYS__MASTER_KEY_FILE", &short),
            ("CCM__JWT__HS256_SECRET_FILE", &short),
        ],
    )
    .unwrap();
    let said = config.keys.master_keys().unwrap_err().to_string();
    assert!(
        said.contains(&short) && said.contains("keys.master_key_file") && said.contains("openssl rand"),
        "{said}"
    );
    let said = config.jwt.key_material().unwrap_err().to_string();
    assert!(said.contains("less than 32 bytes"), "{said}");
}

#[test]
fn every_default_is_explained() {
    let mut explained = false;
    for line in DEFAULTS.lines().map(str::trim) {
        match line {
            l if l.starts_with('#') => explained = true,
            "" => {}
            l if l.starts_with('[') => explained = false,
            l => assert!(explained, "{l} has no comment above it in its section"),
        }
    }
}

#[test]
fn flags_win_over_everything_and_say_so() {
    let sources = |flags: &[(&str, &str)]| Sources {
        file: None,
        env: pairs(&[
            ("CCM__DISPATCH__POLL_MS", "50"),
            ("CCM__DISPATCH__CONCURRENCY", "7"),
        ]),
        flags: pairs(flags),
    };
    let (config, settings) = Config::with_settings(&sources(&[("dispatch.poll_ms", "25")])).unwrap();
    assert_eq!(config.dispatch.poll, Duration::from_millis(25));
    let told: Vec<_> = settings
        .iter()
        .map(|s| (s.key.as_str(), s.origin.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (
                "dispatch.concurrency",
                "environment variable CCM__DISPATCH__CONCURRENCY"
            ),
            ("dispatch.poll_ms", "--set dispatch.poll_ms")
        ]
    );
    let refused = |key, value| Config::load(&sources(&[(key, value)])).unwrap_err().to_string();
    assert_eq!(
        refused("dispatch.pol_ms", "1"),
        "--set dispatch.pol_ms: unknown key dispatch.pol_ms; did you mean dispatch.poll_ms?"
    );
    let wrong = refused("dispatch.poll_ms", "often");
    assert!(
        wrong.starts_with("--set dispatch.poll_ms: dispatch.poll_ms") && !wrong.contains("often"),
        "{wrong}"
    );
}
