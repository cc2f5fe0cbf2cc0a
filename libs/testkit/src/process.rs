//! Programs that end with this process.

use anyhow::{Context, Result, bail};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{OnceLock, mpsc},
    time::Duration,
};

/// How often something that takes its time is looked at again.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A program that runs in a process group of its own (Ctrl-C at the terminal is not for it), writes its output to a
/// file, and ends when this process ends, in whatever way.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` (made by [`bound_to_this_process`]) with its output appended to `log`.
    pub fn spawn(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        let out = OpenOptions::new().create(true).append(true).open(log);
        let out = out.with_context(|| format!("opening {}", log.display()))?;
        command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .process_group(0);
        let child = spawn_for_life(command).with_context(|| format!("starting {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log: log.to_owned(),
        })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its end, if it has ended.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Fails with the log's tail if it has ended.
    pub fn must_run(&mut self) -> Result<()> {
        match self.ended()? {
            None => Ok(()),
            Some(status) => bail!("{} ended by itself ({status})\n{}", self.name, self.tail()),
        }
    }

    /// Sends a signal by name (`TERM`, `KILL`, …). No error if it has ended meanwhile.
    pub fn signal(&mut self, signal: &str) -> Result<()> {
        if self.ended()?.is_some() {
            return Ok(());
        }
        if signal == "KILL" {
            return Ok(self.child.kill()?);
        }
        let kill = format!("kill -{signal} {}", self.child.id());
        let status = Command::new("sh")
            .arg("-c")
            .arg(&kill)
            .stderr(Stdio::null())
            .status()?;
        if !status.success() && self.ended()?.is_none() {
            bail!("`{kill}` failed ({status})");
        }
        Ok(())
    }

    /// Waits for its end, at most `limit`.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let mut waited = Duration::ZERO;
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if waited >= limit {
                bail!(
                    "{} has not ended {limit:?} after it was told to\n{}",
                    self.name,
                    self.tail()
                );
            }
            std::thread::sleep(LOOK_AGAIN);
            waited += LOOK_AGAIN;
        }
    }

    /// Ends it with `signal`, and with SIGKILL if it has not ended after `grace`.
    pub fn end(&mut self, signal: &str, grace: Duration) {
        let ended = self.signal(signal).and_then(|()| self.wait(grace));
        if ended.is_err() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    /// The last lines of its output, with the file's name.
    pub fn tail(&self) -> String {
        tail(&self.log)
    }
}

/// The last lines of a log, headed by the file's name.
pub(crate) fn tail(log: &Path) -> String {
    const BYTES: u64 = 4_000;
    let read = || -> io::Result<String> {
        let mut file = File::open(log)?;
        let from = file.metadata()?.len().saturating_sub(BYTES);
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    match read() {
        Ok(text) => format!("--- end of {}:\n{}", log.display(), text.trim_end()),
        Err(error) => format!("--- {} cannot be read: {error}", log.display()),
    }
}

/// Runs a program to its end and returns what it printed; fails with its error output.
pub(crate) fn run(what: &str, command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("{what}: starting {}", command.get_program().display()))?;
    if !output.status.success() {
        bail!(
            "{what} failed ({})\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Looks for a program in the folders of `PATH`.
pub(crate) fn in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(program))
        .find(|file| is_program(file))
}

pub(crate) fn is_program(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

/// A command for a program that gets the signal `on_parent_death` (such as `INT`) when this process dies.
///
/// util-linux' `setpriv` asks the kernel for the signal and then becomes the program. Where there is no `setpriv`, a
/// killed parent leaves the program running.
pub(crate) fn bound_to_this_process(program: &Path, on_parent_death: &str) -> Command {
    static SETPRIV: OnceLock<Option<PathBuf>> = OnceLock::new();
    let Some(setpriv) = SETPRIV.get_or_init(|| in_path("setpriv")) else {
        return Command::new(program);
    };
    let mut command = Command::new(setpriv);
    command
        .arg("--pdeathsig")
        .arg(on_parent_death)
        .arg("--")
        .arg(program);
    command
}

type Order = (Command, mpsc::Sender<io::Result<Child>>);

/// Starts a program from a thread that lives as long as this process: Linux sends the parent-death signal when the
/// *thread* that forked ends, and the threads of tests and of tokio's pools come and go.
fn spawn_for_life(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in inbox {
                let _ = answer.send(command.spawn());
            }
        });
        orders
    });
    let (answer, child) = mpsc::channel();
    let gone = || io::Error::other("the thread that starts programs has died");
    spawner.send((command, answer)).map_err(|_| gone())?;
    child.recv().map_err(|_| gone())?
}
