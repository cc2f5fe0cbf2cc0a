use crate::cli::duration;
use anyhow::{Context, Result, bail};
use ccm_doctor::{ClientIdentity, Plan, Proxy, SyntheticChat, Target};
use clap::{ArgGroup, Args};
use std::{fs, net::IpAddr, path::PathBuf, time::Duration};
use url::{Host, Position, Url};

/// The skillset that every AACC has for web chats.
const DEFAULT_SKILLSET: &str = "WC_Default_Skillset";

#[derive(Args)]
#[command(
    group = ArgGroup::new("patient").required(true).args(["url", "tenant"]),
    after_help = "Exit codes: 0 nothing failed, 1 something failed, 2 the doctor could not begin (command line, files, \
                  database), 3 something was warned of and --strict was given, 130 interrupted.\n\
                  docs/link-doctor.md explains every cause."
)]
pub struct DoctorRequest {
    /// Where AACC is reached, such as wss://aacc.example.com:8445. Needs neither configuration nor database.
    pub url: Option<String>,
    /// Examine a saved link instead: the tenant's slug or id. Needs configuration and database.
    #[arg(long)]
    pub tenant: Option<String>,
    /// Which of the tenant's links, by name.
    #[arg(long, requires = "tenant")]
    pub link: Option<String>,
    /// The private authorities that are trusted, PEM. Without: those of this system.
    #[arg(long, value_name = "FILE", conflicts_with = "tenant")]
    pub ca: Option<PathBuf>,
    /// The name that is asked for (SNI) and that the certificate must carry, if it is not the address' host.
    #[arg(long, value_name = "NAME", conflicts_with = "tenant")]
    pub server_name: Option<String>,
    /// Connect to this IP address instead of what DNS says. May be given again.
    #[arg(long, value_name = "IP", conflicts_with = "tenant")]
    pub address: Vec<IpAddr>,
    /// Our client certificate with its intermediates, PEM.
    #[arg(long, value_name = "FILE", requires = "client_key", conflicts_with = "tenant")]
    pub client_cert: Option<PathBuf>,
    /// The key of our client certificate, PEM, not encrypted.
    #[arg(
        long,
        value_name = "FILE",
        requires = "client_cert",
        conflicts_with = "tenant"
    )]
    pub client_key: Option<PathBuf>,
    /// The HTTP proxy on our way out, such as http://proxy.example.com:3128.
    #[arg(
        long,
        value_name = "URL",
        conflicts_with = "tenant",
        env = "CCM_DOCTOR_PROXY",
        hide_env_values = true
    )]
    pub proxy: Option<String>,
    /// The second address of an AACC pair, examined in the same way.
    #[arg(long, value_name = "URL", conflicts_with = "tenant")]
    pub secondary: Option<String>,
    /// A skillset that must be there. May be given again; without, all are listed (of a saved link: those of the link).
    #[arg(long, value_name = "NAME")]
    pub skillset: Vec<String>,
    /// Open a test chat to the first skillset, cut its socket and prove the resume. Agents see it.
    #[arg(long)]
    pub chat: bool,
    /// How long the test chat waits for an agent, such as 30s.
    #[arg(long, default_value = "30s", value_parser = duration, requires = "chat")]
    pub wait: Duration,
    /// Hold a silent socket for so long (70s, say), to find the reverse proxy's read timeout.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub watch_idle: Option<Duration>,
    /// Warn of certificates that end within so many days.
    #[arg(long, default_value = "30")]
    pub warn_days: u32,
    /// How long each stage of a dial may take.
    #[arg(long, default_value = "10s", value_parser = duration, conflicts_with = "tenant")]
    pub timeout: Duration,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
    /// End with 3 if something was warned of.
    #[arg(long)]
    pub strict: bool,
}

impl DoctorRequest {
    /// What the command line says of an address, with everything around it.
    pub fn target(&self, url: &str) -> Result<Target> {
        let identity = match (&self.client_cert, &self.client_key) {
            (Some(cert), Some(key)) => Some(ClientIdentity::new(read(cert)?, read(key)?)),
            _ => None,
        };
        Ok(Target {
            server_name: self.server_name.clone(),
            addresses: self.address.clone(),
            ca_pem: self.ca.as_ref().map(read).transpose()?,
            client_identity: identity,
            proxy: self.proxy.as_deref().map(proxy).transpose()?,
            connect_timeout: self.timeout,
            ..address(url)?
        })
    }

    /// The plan for a target that the command line describes.
    pub fn plan(&self, primary: Target) -> Result<Plan> {
        let secondary = self
            .secondary
            .as_deref()
            .map(|url| self.target(url))
            .transpose()?
            // Pinned addresses are the primary's.
            .map(|secondary| Target {
                addresses: Vec::new(),
                ..secondary
            });
        Ok(Plan {
            secondary,
            ..self.plan_for(primary, self.skillset.clone())
        })
    }

    /// What is to be done, without whom.
    pub fn plan_for(&self, primary: Target, skillsets: Vec<String>) -> Plan {
        let chat = self.chat.then(|| SyntheticChat {
            wait: self.wait,
            ..SyntheticChat::new(skillsets.first().map_or(DEFAULT_SKILLSET, String::as_str))
        });
        Plan {
            skillsets,
            chat,
            warn_days: self.warn_days,
            idle_watch: self.watch_idle,
            ..Plan::new(primary)
        }
    }
}

fn read(path: &PathBuf) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

/// As an address is written, host without brackets.
fn host(url: &Url) -> Option<String> {
    Some(match url.host()? {
        Host::Ipv6(ip) => ip.to_string(),
        other => other.to_string(),
    })
}

/// Reads `wss://host[:port][/path]`; AACC's own ports where none is given.
fn address(raw: &str) -> Result<Target> {
    let url = Url::parse(raw)
        .with_context(|| format!("{raw:?} is no address; write it like wss://aacc.example.com:8445"))?;
    if url[Position::BeforeUsername..Position::BeforeHost].contains('@') || url.query().is_some() {
        bail!("{}://… holds a user name or a ?; EWC knows neither", url.scheme());
    }
    let Some(host) = host(&url).filter(|host| !host.is_empty()) else {
        bail!("{raw:?} names no host");
    };
    let target = match url.scheme() {
        "wss" => Target::wss(host, port(&url, raw, 443).unwrap_or(8445)),
        "ws" => Target::ws(host, port(&url, raw, 80).unwrap_or(8081)),
        _ => bail!("{raw:?} does not begin with wss:// (or ws:// without encryption)"),
    };
    Ok(match url.path() {
        "" | "/" => target,
        path => Target {
            path: path.to_owned(),
            ..target
        },
    })
}

/// The port as it was written: `Url` drops the one that is usual for web pages.
fn port(url: &Url, raw: &str, usual: u16) -> Option<u16> {
    let is_written = raw.contains(&format!(":{usual}"));
    url.port().or(is_written.then_some(usual))
}

fn proxy(raw: &str) -> Result<Proxy> {
    // What was written can hold a password: it is not repeated.
    let wrong =
        "--proxy: write it like http://proxy.example.com:3128 or http://user:password@proxy.example.com:3128";
    let url = Url::parse(raw).ok().context(wrong)?;
    let (Some(host), "http") = (host(&url), url.scheme()) else {
        bail!(wrong);
    };
    let proxy = Proxy::new(host, url.port_or_known_default().unwrap_or(80));
    let plain = |text: &str| {
        percent_encoding::percent_decode_str(text)
            .decode_utf8_lossy()
            .into_owned()
    };
    Ok(match (url.username(), url.password()) {
        ("", None) => proxy,
        (user, password) => proxy.with_credentials(plain(user), plain(password.unwrap_or_default())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ccm_doctor::Scheme;

    #[test]
    fn addresses_have_aaccs_ports_unless_they_say_otherwise() {
        for (raw, scheme, host, port, path) in [
            (
                "wss://aacc.example.com",
                Scheme::Wss,
                "aacc.example.com",
                8445,
                Target::CHAT_PATH,
            ),
            (
                "ws://aacc.example.com/",
                Scheme::Ws,
                "aacc.example.com",
                8081,
                Target::CHAT_PATH,
            ),
            (
                "wss://aacc.example.com:443",
                Scheme::Wss,
                "aacc.example.com",
                443,
                Target::CHAT_PATH,
            ),
            ("wss://[::1]:9000/chat", Scheme::Wss, "::1", 9000, "/chat"),
        ] {
            let target = address(raw).unwrap();
            assert_eq!(
                (
                    target.scheme,
                    target.host.as_str(),
                    target.port,
                    target.path.as_str()
                ),
                (scheme, host, port, path)
            );
        }
        for wrong in [
            "aacc.example.com",
            "https://aacc.example.com",
            "wss://me@aacc.example.com",
            "wss://a/b?c",
        ] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn proxies_are_read_and_never_repeated() {
        let read = proxy("http://ccm:p%40ss@proxy.example.com:3128").unwrap();
        assert_eq!((read.host.as_str(), read.port), ("proxy.example.com", 3128));
        assert_eq!(*read.credentials.unwrap().password, "p@ss");
        assert!(proxy("http://proxy.example.com").unwrap().credentials.is_none());
        let error = proxy("https://ccm:secret@proxy.example.com")
            .unwrap_err()
            .to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}
