//! Kannel, the open SMS gateway, as Debian packages it: `bearerbox` (queues, SMSCs) and `smsbox` (the HTTP interface for
//! sending), in processes of their own. Its SMSC is the HTTP one and sends to a [sink](crate::sink).

use crate::{load::Request, process::Child, sink};
use anyhow::{Context, Result, bail};
use ccm_testkit::ports::free_port;
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep},
};

/// Of the password-protected pages; nothing but this machine may ask.
const PASSWORD: &str = "the-bench-asks-with-this";
const START_LIMIT: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Where Kannel keeps texts until the provider has taken them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// In memory alone.
    Memory,
    /// A file for each text, written before the text is accepted and removed when the provider has it. Not synced to disk.
    Spool,
}

impl Storage {
    /// Names in figures, and of the processes' logs.
    fn names(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Memory => ("kannel memory", "kannel-memory-bearerbox", "kannel-memory-smsbox"),
            Self::Spool => ("kannel spool", "kannel-spool-bearerbox", "kannel-spool-smsbox"),
        }
    }
}

/// The programs.
#[derive(Debug)]
pub struct Kannel {
    bearerbox: PathBuf,
    smsbox: PathBuf,
}

/// A Kannel that runs. It ends when dropped.
pub struct Running {
    pub name: &'static str,
    pub sendsms: SocketAddr,
    bearerbox: Child,
    smsbox: Child,
}

struct Ports {
    admin: u16,
    smsbox: u16,
    /// Of the HTTP SMSC, for texts from phones: none come.
    from_phones: u16,
    sendsms: u16,
}

impl Kannel {
    /// From `PATH` or `/usr/sbin`, where Debian has them.
    pub fn find() -> Result<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
        folders.push(PathBuf::from("/usr/sbin"));
        Self::find_in(&folders)
    }

    fn find_in(folders: &[PathBuf]) -> Result<Self> {
        let find = |name: &str| {
            let mut programs = folders.iter().map(|folder| folder.join(name));
            programs.find(|program| program.is_file()).with_context(|| {
                format!(
                    "there is no program {name}, which dispatch is measured beside: `apt-get install kannel`, \
                     or deploy/dev/bootstrap, which installs it with the rest"
                )
            })
        };
        Ok(Self {
            bearerbox: find("bearerbox")?,
            smsbox: find("smsbox")?,
        })
    }

    /// Starts it, with its files below `dir`, and waits until its SMSC is online.
    pub async fn start(&self, storage: Storage, provider_url: &str, dir: &Path) -> Result<Running> {
        let (name, bearerbox_name, smsbox_name) = storage.names();
        let folder = dir.join(bearerbox_name);
        let spool = folder.join("spool");
        std::fs::create_dir_all(&spool).with_context(|| format!("making {}", spool.display()))?;
        let ports = Ports {
            admin: free_port(),
            smsbox: free_port(),
            from_phones: free_port(),
            sendsms: free_port(),
        };
        let file = folder.join("kannel.conf");
        std::fs::write(&file, configuration(&ports, storage, provider_url, &spool))?;
        // Warnings and worse: at Kannel's own level it would write several lines a text.
        let args = |file: &Path| ["-v".to_owned(), "2".to_owned(), file.display().to_string()];
        let bearerbox = Child::start(bearerbox_name, &self.bearerbox, args(&file), &[], dir)?;
        // The other one ends when it finds no bearerbox.
        listens(&bearerbox, ports.smsbox).await?;
        let smsbox = Child::start(smsbox_name, &self.smsbox, args(&file), &[], dir)?;
        listens(&smsbox, ports.sendsms).await?;
        let running = Running {
            name,
            sendsms: loopback(ports.sendsms),
            bearerbox,
            smsbox,
        };
        running.is_online(ports.admin).await?;
        Ok(running)
    }
}

impl Running {
    /// The operating system's ids of its processes.
    pub fn pids(&self) -> Result<Vec<u32>> {
        Ok(vec![self.bearerbox.pid()?, self.smsbox.pid()?])
    }

    /// A text for its HTTP interface; each of so many phones gets one in turn.
    pub fn request(&self, phones: u64) -> Request {
        let host = self.sendsms;
        Arc::new(move |n, marker| {
            let query = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("username", "bench")
                .append_pair("password", PASSWORD)
                .append_pair("from", "+19710000000")
                .append_pair("to", &format!("+1214{:07}", n % phones))
                .append_pair("text", &sink::text(n, marker))
                .finish();
            format!("GET /cgi-bin/sendsms?{query} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes()
        })
    }

    /// Waits until bearerbox says that smsbox is connected and the SMSC is online.
    async fn is_online(&self, admin: u16) -> Result<()> {
        let page = format!("http://127.0.0.1:{admin}/status.txt?password={PASSWORD}");
        let (http, began) = (reqwest::Client::new(), Instant::now());
        loop {
            self.pids()?;
            let said = match http.get(&page).send().await {
                Ok(answer) => answer.text().await.unwrap_or_default(),
                Err(_) => String::new(),
            };
            if said.contains("smsbox:") && said.contains("(online") {
                return Ok(());
            }
            if began.elapsed() > START_LIMIT {
                bail!("{} is not online after {START_LIMIT:?}: {said}", self.name);
            }
            sleep(LOOK_AGAIN).await;
        }
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

async fn listens(child: &Child, port: u16) -> Result<()> {
    let began = Instant::now();
    while TcpStream::connect(loopback(port)).await.is_err() {
        child.pid()?;
        if began.elapsed() > START_LIMIT {
            bail!("nothing listens on port {port} after {START_LIMIT:?}");
        }
        sleep(LOOK_AGAIN).await;
    }
    Ok(())
}

/// As many requests under way to the provider as `ccm dispatch` has by default.
fn configuration(ports: &Ports, storage: Storage, provider_url: &str, spool: &Path) -> String {
    let Ports {
        admin,
        smsbox,
        from_phones,
        sendsms,
    } = ports;
    let store = match storage {
        Storage::Memory => String::new(),
        Storage::Spool => format!("store-type = spool\nstore-location = \"{}\"\n", spool.display()),
    };
    format!(
        "group = core
admin-port = {admin}
admin-password = {PASSWORD}
admin-allow-ip = \"127.0.0.1\"
smsbox-port = {smsbox}
box-allow-ip = \"127.0.0.1\"
sms-outgoing-queue-limit = 100000
dlr-storage = internal
{store}
group = smsc
smsc = http
smsc-id = provider
system-type = kannel
port = {from_phones}
connect-allow-ip = \"127.0.0.1\"
smsc-username = bench
smsc-password = {PASSWORD}
send-url = \"{provider_url}\"
max-pending-submits = 64

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {sendsms}
http-timeout = 30
max-pending-requests = 512

group = sendsms-user
username = bench
password = {PASSWORD}
max-messages = 1
concatenation = false
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_spool_has_a_store_and_all_else_is_the_same() {
        let ports = Ports {
            admin: 1,
            smsbox: 2,
            from_phones: 3,
            sendsms: 4,
        };
        let of = |storage| {
            configuration(
                &ports,
                storage,
                "http://127.0.0.1:5/mt",
                Path::new("/tmp/a/spool"),
            )
        };
        let (memory, spool) = (of(Storage::Memory), of(Storage::Spool));
        let store = "store-type = spool\nstore-location = \"/tmp/a/spool\"\n";
        assert!(spool.contains(store) && !memory.contains("store"));
        assert_eq!(spool.replace(store, ""), memory);
        for line in [
            "admin-port = 1",
            "smsbox-port = 2",
            "port = 3",
            "sendsms-port = 4",
        ] {
            assert!(memory.lines().any(|l| l == line), "{line}");
        }
        assert!(memory.contains("send-url = \"http://127.0.0.1:5/mt\"\n"));
    }

    #[test]
    fn what_is_missing_is_said_with_its_package() {
        let error = Kannel::find_in(&[PathBuf::from("/nowhere")]).unwrap_err();
        assert!(error.to_string().contains("apt-get install kannel"), "{error}");
    }
}
