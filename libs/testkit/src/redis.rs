//! A private Redis server.

use crate::{
    folder::TempFolder,
    ports::{free_port, is_taken},
    process::{self, LOOK_AGAIN, Process},
};
use anyhow::{Context, Result, anyhow, bail};
use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Duration,
};

const START_LIMIT: Duration = Duration::from_secs(20);
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// A Redis server of one's own: own folder, own port on 127.0.0.1, nothing written to disk. It stops when dropped and
/// when this process dies.
#[derive(Debug)]
pub struct RedisServer {
    dir: PathBuf,
    port: u16,
    process: Option<Process>,
}

impl RedisServer {
    /// Starts a server that works in `dir`. The program is the one that `REDIS_BIN` names (the file, or its folder),
    /// else `redis-server` in `PATH`.
    pub fn start_private(dir: impl AsRef<Path>) -> Result<Self> {
        let dir = dir.as_ref().to_owned();
        fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
        for _ in 0..5 {
            let port = free_port();
            let mut server = Self {
                dir: dir.clone(),
                port,
                process: None,
            };
            match server.start_again() {
                Ok(()) => return Ok(server),
                // Another program was faster.
                Err(_) if is_taken(port) => {}
                Err(error) => return Err(error),
            }
        }
        bail!("five ports in a row were taken by other programs between choosing and binding them")
    }

    /// The port on 127.0.0.1. It stays the same over stops and starts.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Where the server writes its log.
    pub fn log(&self) -> PathBuf {
        self.dir.join("redis.log")
    }

    /// Asks it to end and waits. Nothing happens if it does not run.
    pub fn stop(&mut self) -> Result<()> {
        self.end("TERM")
    }

    /// Kills it (SIGKILL): its clients learn of it when they next write or read.
    pub fn kill(&mut self) -> Result<()> {
        self.end("KILL")
    }

    /// Starts it on the same port, empty.
    pub fn start_again(&mut self) -> Result<()> {
        if self.process.is_some() {
            return Ok(());
        }
        let mut command = process::bound_to_this_process(&program()?, "TERM");
        command.args(["--bind", "127.0.0.1", "--port", &self.port.to_string()]);
        command
            .args(["--save", "", "--appendonly", "no", "--daemonize", "no", "--dir"])
            .arg(&self.dir);
        let mut process = Process::spawn("Redis", command, &self.log())?;
        wait_until_ready(&mut process, self.port).context(
            "a private Redis does not start; look at the log above, or name another program with \
             REDIS_BIN=/path/to/redis-server",
        )?;
        self.process = Some(process);
        Ok(())
    }

    fn end(&mut self, signal: &str) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.signal(signal)?;
            process.wait(STOP_LIMIT)?;
        }
        Ok(())
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.end("TERM", STOP_LIMIT);
        }
    }
}

/// The address of a Redis for tests: the one in `CCM_TEST_REDIS`, else of a private server that this process starts on
/// first use. It is shared with other tests: use keys and channels of one's own, and no test may stop it.
pub fn redis_url() -> Result<&'static str> {
    static URL: OnceLock<Result<String, String>> = OnceLock::new();
    let url = URL.get_or_init(|| match std::env::var("CCM_TEST_REDIS") {
        Ok(url) => Ok(url),
        Err(_) => shared_server().map_err(|error| format!("{error:#}")),
    });
    url.as_deref().map_err(|error| anyhow!("{error}"))
}

/// Statics are never dropped: the server ends because it is bound to this process.
fn shared_server() -> Result<String> {
    static SERVER: OnceLock<(RedisServer, TempFolder)> = OnceLock::new();
    let folder = TempFolder::new()?;
    let server = RedisServer::start_private(folder.path())?;
    let (server, _) = SERVER.get_or_init(|| (server, folder));
    Ok(server.url())
}

fn program() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("REDIS_BIN") {
        let file = PathBuf::from(&named);
        let file = if file.is_dir() {
            file.join("redis-server")
        } else {
            file
        };
        if process::is_program(&file) {
            return Ok(file);
        }
        bail!(
            "REDIS_BIN is {} but there is no program redis-server",
            named.display()
        );
    }
    process::in_path("redis-server").context(
        "the program redis-server is nowhere: run deploy/dev/bootstrap (Debian's package is `redis-server`), or name it \
         with REDIS_BIN=/path/to/redis-server",
    )
}

fn wait_until_ready(process: &mut Process, port: u16) -> Result<()> {
    let mut waited = Duration::ZERO;
    while !answers(port) {
        process.must_run()?;
        if waited > START_LIMIT {
            process.end("KILL", STOP_LIMIT);
            bail!("Redis does not answer after {START_LIMIT:?}\n{}", process.tail());
        }
        std::thread::sleep(LOOK_AGAIN);
        waited += LOOK_AGAIN;
    }
    // The port may be another program's.
    process.must_run()
}

fn answers(port: u16) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        socket.write_all(b"PING\r\n")?;
        let mut answer = [0; 7];
        socket.read_exact(&mut answer)?;
        Ok(&answer == b"+PONG\r\n")
    };
    ask().unwrap_or(false)
}
