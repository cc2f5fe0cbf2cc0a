//! A private Postgres server.

use crate::{
    ports::{free_port, is_taken},
    process::{self, LOOK_AGAIN, Process},
    psql,
    user::User,
};
use anyhow::{Context, Result, bail, ensure};
use ccm_model::IdSource;
use sha2::{Digest, Sha256};
use std::{
    ffi::OsStr,
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// The superuser of a private server.
const SUPERUSER: &str = "postgres";
/// Recovery after an immediate stop included.
const START_LIMIT: Duration = Duration::from_secs(60);
/// The last checkpoint on a busy disk included.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// How a private server runs.
#[derive(Debug, Clone)]
pub struct PgOptions {
    /// Whether a commit reaches the disk before it is answered. Off, a test is several times faster, and a server that
    /// is killed may lose what it has committed.
    pub durable: bool,
    /// Connections at a time, over all roles and tests.
    pub max_connections: u32,
    /// More settings, as `("log_statement", "all")`.
    pub settings: Vec<(String, String)>,
}

impl PgOptions {
    /// For tests that do not stop the server: nothing waits for the disk.
    pub fn fast() -> Self {
        Self {
            durable: false,
            max_connections: 300,
            settings: Vec::new(),
        }
    }

    /// For tests that stop or kill the server, for the demo and for measuring: as in production.
    pub fn durable() -> Self {
        Self {
            durable: true,
            ..Self::fast()
        }
    }

    fn arguments(&self) -> Vec<String> {
        let off = |name: &str| (name.to_owned(), "off".to_owned());
        let mut settings = vec![("max_connections".to_owned(), self.max_connections.to_string())];
        if self.durable {
            // Recovery writes every file of the folder to disk first: in one call, not one by one (seconds).
            settings.push(("recovery_init_sync_method".to_owned(), "syncfs".to_owned()));
        } else {
            settings.extend(["fsync", "synchronous_commit", "full_page_writes"].map(off));
        }
        settings.extend(self.settings.iter().cloned());
        settings
            .iter()
            .flat_map(|(name, value)| ["-c".to_owned(), format!("{name}={value}")])
            .collect()
    }
}

/// Names the folder that [`PgServer::template`] made, in the environment of tests.
pub const TEMPLATE: &str = "CCM_TEST_PG_TEMPLATE";
/// In that folder; Postgres passes it over.
const PASSWORD: &str = "ccm.password";

/// How a server is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopMode {
    /// Open transactions are rolled back, sessions closed, everything written.
    Fast,
    /// As in a crash: nothing is written, the next start recovers from the log.
    Immediate,
}

impl StopMode {
    fn signal(self) -> &'static str {
        match self {
            Self::Fast => "INT",
            Self::Immediate => "QUIT",
        }
    }
}

/// A Postgres server of one's own: own folder, own port on 127.0.0.1, no Unix socket, a random password. It stops when
/// dropped and when this process dies.
#[derive(Debug)]
pub struct PgServer {
    data: PathBuf,
    log: PathBuf,
    user: Option<User>,
    port: u16,
    password: String,
    options: PgOptions,
    process: Option<Process>,
}

impl PgServer {
    /// Starts a server with its data below `dir`, which is created, or taken up again where an earlier run left it (with
    /// the same password, on another port).
    ///
    /// Programs are taken from the folder that `PG_BIN` names, else from Debian's `/usr/lib/postgresql/*/bin`, else from
    /// `PATH`. Under root the server runs as user `postgres` or `nobody`; where that user cannot enter `dir`, the data
    /// goes to a folder in `/var/tmp` named after `dir`.
    pub fn start_private(dir: impl AsRef<Path>, options: PgOptions) -> Result<Self> {
        let dir = dir.as_ref();
        fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
        let dir = &dir.canonicalize()?;
        let user = User::instead_of_root()?;
        let data = data_folder(dir, user)?;
        let password_file = dir.join("postgres.password");
        let mut server = Self {
            log: dir.join("postgres.log"),
            user,
            port: free_port(),
            password: String::new(),
            options,
            process: None,
            data,
        };
        if server.data.join("PG_VERSION").exists() && password_file.exists() {
            server.password = fs::read_to_string(&password_file)?;
        } else {
            match std::env::var_os(TEMPLATE) {
                Some(template) => server.copy(Path::new(&template))?,
                None => {
                    server.password = random_password();
                    server.initdb(dir)?;
                }
            }
            write_secret(&password_file, &server.password)?;
        }
        for _ in 0..5 {
            match server.start() {
                Ok(()) => return Ok(server),
                // Another program was faster.
                Err(_) if is_taken(server.port) => server.port = free_port(),
                Err(error) => return Err(error),
            }
        }
        bail!("five ports in a row were taken by other programs between choosing and binding them")
    }

    /// A server's data as it is before its first start, for many servers to begin with ([`TEMPLATE`]): making it takes a processor a
    /// second. They all have the same password.
    pub fn template(dir: impl AsRef<Path>) -> Result<PathBuf> {
        let dir = dir.as_ref();
        fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
        let dir = &dir.canonicalize()?;
        let user = User::instead_of_root()?;
        let template = Self {
            log: dir.join("postgres.log"),
            user,
            port: 0,
            password: random_password(),
            options: PgOptions::fast(),
            process: None,
            data: data_folder(dir, user)?,
        };
        template.initdb(dir)?;
        let password = template.data.join(PASSWORD);
        write_secret(&password, &template.password)?;
        own(&password, user)?;
        Ok(template.data.clone())
    }

    fn copy(&mut self, template: &Path) -> Result<()> {
        if self.data.exists() {
            // Left by a start that was cut short.
            fs::remove_dir_all(&self.data).with_context(|| format!("deleting {}", self.data.display()))?;
        }
        // As `initdb` leaves it: owner and rights too.
        let copied = Command::new("cp")
            .arg("-a")
            .arg(template)
            .arg(&self.data)
            .status();
        ensure!(
            copied.is_ok_and(|status| status.success()),
            "{} cannot be copied to {}",
            template.display(),
            self.data.display()
        );
        self.password = fs::read_to_string(self.data.join(PASSWORD))?;
        Ok(())
    }

    /// The port on 127.0.0.1. It stays the same over stops and starts.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where the server writes its log.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The folder with the server's data.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The superuser's address of the database `postgres`.
    pub fn superuser_url(&self) -> String {
        self.superuser_url_of("postgres")
    }

    /// The superuser's address of a database.
    pub fn superuser_url_of(&self, database: &str) -> String {
        format!(
            "postgres://{SUPERUSER}:{}@127.0.0.1:{}/{database}",
            self.password, self.port
        )
    }

    /// Stops, and starts again on the same port.
    pub fn restart(&mut self, mode: StopMode) -> Result<()> {
        self.stop(mode)?;
        self.start()
    }

    /// Stops and waits for the end. Nothing happens if it does not run.
    pub fn stop(&mut self, mode: StopMode) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.signal(mode.signal())?;
            process.wait(STOP_LIMIT)?;
        }
        Ok(())
    }

    /// Starts after a stop and waits until it answers.
    pub fn start(&mut self) -> Result<()> {
        if self.process.is_some() {
            return Ok(());
        }
        let mut command = process::bound_to_this_process(&program("postgres")?, "INT");
        clean(&mut command, self.user);
        command
            .arg("-D")
            .arg(&self.data)
            .args(self.options.arguments())
            .args([
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                "unix_socket_directories=",
            ]);
        command.args(["-c", &format!("port={}", self.port)]);
        let process = Process::spawn("Postgres", command, &self.log)?;
        let process = self.process.insert(process);
        let ready = wait_until_ready(process, self.port);
        if ready.is_err() {
            self.process = None;
        }
        ready.context(
            "a private Postgres does not start; look at the log above, free disk space or memory if it asks for them, \
             delete its folder to begin anew, or name another installation's programs with PG_BIN=/path/to/bin",
        )
    }

    /// The operating system's id of the server's main process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    fn initdb(&self, dir: &Path) -> Result<()> {
        if self.data.exists() {
            // Left by a start that was cut short.
            fs::remove_dir_all(&self.data).with_context(|| format!("deleting {}", self.data.display()))?;
        }
        fs::create_dir_all(&self.data)?;
        fs::set_permissions(&self.data, fs::Permissions::from_mode(0o700))?;
        own(&self.data, self.user)?;
        let password_file = self.data.with_extension("initial-password");
        write_secret(&password_file, &self.password)?;
        own(&password_file, self.user)?;
        let mut command = Command::new(program("initdb")?);
        clean(&mut command, self.user);
        command
            .arg("-D")
            .arg(&self.data)
            .arg(format!("--pwfile={}", password_file.display()))
            .args([
                "--username",
                SUPERUSER,
                // SCRAM costs 4,096 hashes a connection on each side, some ten times in each test.
                "--auth=md5",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
            ])
            .args(["--no-instructions", "--no-sync"]);
        let made = process::run("initdb", &mut command);
        fs::remove_file(&password_file)?;
        made.with_context(|| {
            format!(
                "making a private Postgres in {}; is the disk full?",
                dir.display()
            )
        })?;
        Ok(())
    }
}

impl Drop for PgServer {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.end(StopMode::Fast.signal(), STOP_LIMIT);
        }
    }
}

/// Where a program of Postgres is.
pub(crate) fn program(name: &str) -> Result<PathBuf> {
    if let Some(dir) = std::env::var_os("PG_BIN") {
        let file = Path::new(&dir).join(name);
        if process::is_program(&file) {
            return Ok(file);
        }
        bail!("PG_BIN is {} but there is no program {name} in it", dir.display());
    }
    debian_versions()
        .into_iter()
        .map(|(_, dir)| dir.join("bin").join(name))
        .find(|file| process::is_program(file))
        .or_else(|| process::in_path(name))
        .with_context(|| {
            format!(
                "Postgres' program {name} is nowhere: run deploy/dev/bootstrap (Debian's package is `postgresql`), or \
                 name the folder that holds it with PG_BIN"
            )
        })
}

/// Debian's installations, newest first.
fn debian_versions() -> Vec<(u32, PathBuf)> {
    let dirs = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let version = |name: &OsStr| name.to_str()?.parse().ok();
    let mut found: Vec<_> = dirs
        .filter_map(|d| Some((version(&d.file_name())?, d.path())))
        .collect();
    found.sort();
    found.reverse();
    found
}

fn data_folder(dir: &Path, user: Option<User>) -> Result<PathBuf> {
    let Some(user) = user.filter(|user| !user.can_enter(dir)) else {
        return Ok(dir.join("postgres"));
    };
    let name = hex(&Sha256::digest(dir.as_os_str().as_encoded_bytes())[..6]);
    let data = Path::new("/var/tmp").join(format!("ccm-postgres-{name}"));
    if let Ok(found) = fs::symlink_metadata(&data)
        && (!found.is_dir() || found.uid() != user.uid)
    {
        bail!(
            "{} belongs to somebody else; move it out of the way",
            data.display()
        );
    }
    Ok(data)
}

/// In the user's shoes and without the environment that would redirect Postgres' programs.
fn clean(command: &mut Command, user: Option<User>) {
    psql::forget_pg_environment(command);
    if let Some(user) = user {
        user.take(command);
    }
}

fn own(path: &Path, user: Option<User>) -> Result<()> {
    if let Some(user) = user {
        chown(path, Some(user.uid), Some(user.gid)).with_context(|| format!("chown {}", path.display()))?;
    }
    Ok(())
}

fn write_secret(path: &Path, secret: &str) -> Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    Ok(file.write_all(secret.as_bytes())?)
}

fn wait_until_ready(process: &mut Process, port: u16) -> Result<()> {
    let ready = program("pg_isready")?;
    let mut waited = Duration::ZERO;
    loop {
        process.must_run()?;
        let mut ask = Command::new(&ready);
        clean(&mut ask, None);
        ask.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]);
        if process::run("pg_isready", &mut ask).is_ok() {
            return Ok(());
        }
        if waited > START_LIMIT {
            bail!(
                "Postgres does not answer after {START_LIMIT:?}\n{}",
                process.tail()
            );
        }
        std::thread::sleep(LOOK_AGAIN);
        waited += LOOK_AGAIN;
    }
}

/// A private server guards made-up data on a loopback port: the model's generator is good enough.
fn random_password() -> String {
    let random = IdSource::system();
    format!("{:016x}{:016x}", random.next_u64(), random.next_u64())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
