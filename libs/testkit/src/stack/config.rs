//! The configuration that the product is started with: the one place that knows its keys.

use crate::{ports::free_port, provision::Urls};
use anyhow::{Context, Result};
use base64::{Engine, prelude::BASE64_STANDARD};
use ccm_model::IdSource;
use std::{
    fmt, fs,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// What the roles of one stack share.
pub(super) struct Shared {
    pub urls: Urls,
    pub redis_url: String,
    pub master_key_file: PathBuf,
    pub jwt_secret_file: PathBuf,
    /// Where providers reach `ingest`: the first process that runs it listens there, and `admin` shows the address.
    pub ingest_port: u16,
}

/// The roles that a process can run, and whether each has an address for others than the cluster.
const ROLES: [(&str, bool); 7] = [
    ("ingest", true),
    ("dispatch", false),
    ("connector", false),
    ("admin", true),
    ("screenpop", true),
    ("deflection", true),
    ("events", false),
];

/// Simulators of AACCs and of tenants' programs are on this machine.
const EGRESS: &str = "[egress]\nprivate_networks = \"127.0.0.0/8, ::1/128\"\n\n";

/// The loopback ports of one role in one process.
#[derive(Debug, Clone)]
pub(super) struct Ports {
    pub role: &'static str,
    /// Where it answers providers' or customers' requests.
    pub public: Option<u16>,
    /// Where it answers `/readyz` and `/metrics`.
    pub ops: u16,
}

impl Ports {
    /// New ports for every role that `ccm COMMAND` runs: that one, or all. `ingest_port`: the providers' one, if this process
    /// is to have it.
    pub fn of(command: &str, ingest_port: Option<u16>) -> Vec<Self> {
        let runs = ROLES
            .into_iter()
            .filter(|(role, _)| command == "all" || command == *role);
        runs.map(|(role, is_public)| Self {
            role,
            public: is_public.then(|| ingest_port.filter(|_| role == "ingest").unwrap_or_else(free_port)),
            ops: free_port(),
        })
        .collect()
    }

    fn toml(&self, process: &str) -> String {
        let listen = |port: u16| text(format!("127.0.0.1:{port}"));
        let mut toml = format!("\n[{}]\n", self.role);
        toml += &match self.public {
            Some(port) => format!("listen = {}\nops_listen = {}\n", listen(port), listen(self.ops)),
            None => format!("listen = {}\n", listen(self.ops)),
        };
        if let (Some(port), "deflection") = (self.public, self.role) {
            toml += &format!("public_base_url = {}\n", text(format!("http://127.0.0.1:{port}")));
        }
        if let (Some(port), "admin") = (self.public, self.role) {
            toml += &format!(
                "\n[console]\nurl = {}\n",
                text(format!("http://127.0.0.1:{port}"))
            );
        }
        if self.role == "connector" {
            toml += &format!("pod_name = {}\n", text(process));
        }
        toml
    }
}

impl Shared {
    /// The file for `ccm migrate`, which alone gets the owner's address.
    pub fn migrate_toml(&self) -> String {
        format!(
            "[database]\nowner_url = {}\n{}",
            text(&self.urls.owner),
            self.keys()
        )
    }

    /// The file for the process called `name`.
    pub fn role_toml(&self, name: &str, ports: &[Ports]) -> String {
        let base = format!(
            "public_base_url = {}\n",
            text(format!("http://127.0.0.1:{}", self.ingest_port))
        );
        let database = format!(
            "app_url = {}\nsystem_url = {}",
            text(&self.urls.app),
            text(&self.urls.system)
        );
        let redis = format!("url = {}", text(&self.redis_url));
        let mut roles: String = ports.iter().map(|ports| ports.toml(name)).collect();
        match roles.find("[ingest]\n") {
            Some(at) => roles.insert_str(at + "[ingest]\n".len(), &base),
            None => roles += &format!("\n[ingest]\n{base}"),
        }
        format!(
            "[database]\n{database}\n\n[redis]\n{redis}\n\n{EGRESS}{}{roles}",
            self.keys()
        )
    }

    fn keys(&self) -> String {
        format!(
            "[keys]\nmaster_key_file = {}\n\n[jwt]\nhs256_secret_file = {}\n",
            text(self.master_key_file.display()),
            text(self.jwt_secret_file.display()),
        )
    }
}

/// A TOML basic string.
fn text(value: impl fmt::Display) -> String {
    format!(
        "\"{}\"",
        value.to_string().replace('\\', "\\\\").replace('"', "\\\"")
    )
}

/// A file with 32 random bytes in base64, made if it is missing. Good enough for made-up data: the model's generator.
pub(super) fn key_file(file: PathBuf) -> Result<PathBuf> {
    if !file.exists() {
        let random = IdSource::system();
        let key: Vec<u8> = (0..4).flat_map(|_| random.next_u64().to_be_bytes()).collect();
        write_private(&file, &BASE64_STANDARD.encode(key))?;
    }
    Ok(file)
}

/// Writes a file that only its owner can read.
pub(super) fn write_private(file: &Path, content: &str) -> Result<()> {
    use std::io::Write;
    let open = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(file);
    let written = open.and_then(|mut file| file.write_all(content.as_bytes()));
    written.with_context(|| format!("writing {}", file.display()))
}
