//! Programs beside this one, and what they have used.

use anyhow::{Context, Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;
use std::{
    ffi::OsStr,
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{ChildStdout, Command},
    time::timeout,
};

/// Linux' unit of CPU time in `/proc`: 100 a second on every architecture that Debian has.
const TICKS_PER_SECOND: f64 = 100.0;
/// Debug builds on a busy machine included.
const START_LIMIT: Duration = Duration::from_secs(60);

/// CPU seconds (user and system, all threads) that a process has used so far.
pub fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    let stat = Stat::parse(&stat.with_context(|| format!("process {pid} is gone"))?)?;
    Ok(stat.own)
}

/// The same of a server together with its children, those that have ended included.
pub fn family_cpu_seconds(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    let stat = Stat::parse(&stat.with_context(|| format!("process {pid} is gone"))?)?;
    let mut sum = stat.own + stat.ended_children;
    for entry in std::fs::read_dir("/proc")? {
        // Processes come and go meanwhile.
        let Ok(text) = std::fs::read_to_string(entry?.path().join("stat")) else {
            continue;
        };
        if let Ok(stat) = Stat::parse(&text)
            && stat.parent == pid
        {
            sum += stat.own + stat.ended_children;
        }
    }
    Ok(sum)
}

/// What `/proc/PID/stat` says; CPU in seconds.
struct Stat {
    parent: u32,
    own: f64,
    ended_children: f64,
}

impl Stat {
    fn parse(stat: &str) -> Result<Self> {
        // The second field, the program's name in brackets, may hold spaces.
        let after_name = stat.rsplit_once(')').context("/proc/PID/stat")?.1;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let field = |n: usize| {
            fields
                .get(n)
                .and_then(|f| f.parse::<u32>().ok())
                .context("/proc/PID/stat")
        };
        let seconds =
            |n: usize| anyhow::Ok((f64::from(field(n)?) + f64::from(field(n + 1)?)) / TICKS_PER_SECOND);
        Ok(Self {
            parent: field(1)?,
            own: seconds(11)?,
            ended_children: seconds(13)?,
        })
    }
}

/// Memory of a process, in KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Resident: what the process holds, its program's pages included.
    pub rss_kb: u64,
    /// The same with pages that are shared between processes counted in parts.
    pub pss_kb: u64,
}

/// What a process holds now.
pub fn memory(pid: u32) -> Result<Memory> {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"));
    let rollup = rollup.with_context(|| format!("process {pid} is gone"))?;
    let field = |name: &str| {
        let line = rollup.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.trim().strip_suffix("kB"))
            .and_then(|kb| kb.trim().parse().ok())
            .context("/proc/PID/smaps_rollup")
    };
    Ok(Memory {
        rss_kb: field("Rss:")?,
        pss_kb: field("Pss:")?,
    })
}

/// Lets this process, and those that it starts, open as many files as the system lets it ask for. Returns how many.
pub fn open_files_limit() -> Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised)?;
    Ok(limit.maximum.unwrap_or(u64::MAX))
}

/// A program that is killed when this is dropped, and when this process dies.
pub struct Child {
    name: &'static str,
    log: PathBuf,
    child: tokio::process::Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// Starts a program. Its error output goes to `NAME.log` in `dir`, as do failures to start.
    pub fn start<A: AsRef<OsStr>>(
        name: &'static str,
        program: &Path,
        args: impl IntoIterator<Item = A>,
        env: &[(&str, &str)],
        dir: &Path,
    ) -> Result<Self> {
        let log = dir.join(format!("{name}.log"));
        let mut command = bound_to_this_process(program);
        command
            .args(args)
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).with_context(|| format!("making {}", log.display()))?)
            .kill_on_drop(true);
        let mut child = command
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let out = child.stdout.take().context("no standard output")?;
        Ok(Self {
            name,
            log,
            child,
            lines: BufReader::new(out).lines(),
        })
    }

    /// Waits for a line that begins so and returns the rest of it. Lines before it are skipped.
    pub async fn says(&mut self, beginning: &str) -> Result<String> {
        let found = async {
            while let Some(line) = self.lines.next_line().await? {
                if let Some(rest) = line.strip_prefix(beginning) {
                    return Ok(Some(rest.trim().to_owned()));
                }
            }
            anyhow::Ok(None)
        };
        match timeout(START_LIMIT, found).await {
            Ok(Ok(Some(rest))) => Ok(rest),
            Ok(Ok(None)) => bail!("{} ended: {}", self.name, self.log()),
            Ok(Err(error)) => Err(error),
            Err(_) => bail!("{} does not say {beginning:?}: {}", self.name, self.log()),
        }
    }

    /// The operating system's id.
    pub fn pid(&self) -> Result<u32> {
        self.child
            .id()
            .with_context(|| format!("{} ended: {}", self.name, self.log()))
    }

    fn log(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let tail: Vec<&str> = log.lines().rev().take(10).collect();
        tail.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

/// util-linux' `setpriv` asks the kernel for a signal at this process' death and becomes the program. Without it, a
/// killed bench leaves the program running.
fn bound_to_this_process(program: &Path) -> Command {
    let setpriv = Path::new("/usr/bin/setpriv");
    if !setpriv.exists() {
        return Command::new(program);
    }
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_more_and_more() {
        let before = cpu_seconds(std::process::id()).unwrap();
        let mut x = 0u64;
        while cpu_seconds(std::process::id()).unwrap() < before + 0.02 {
            x = std::hint::black_box(x.wrapping_add(1));
        }
        assert!(cpu_seconds(u32::MAX).is_err());
    }

    #[test]
    fn a_server_is_weighed_with_its_children() {
        let work = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done";
        let before = family_cpu_seconds(std::process::id()).unwrap();
        while family_cpu_seconds(std::process::id()).unwrap() < before + 0.02 {
            let child = std::process::Command::new("sh").args(["-c", work]).status();
            assert!(child.unwrap().success());
        }
        let stat = Stat::parse("7 (a) b) S 3 7 7 0 -1 0 0 0 0 0 150 50 7 3 20 0").unwrap();
        assert_eq!((stat.parent, stat.own, stat.ended_children), (3, 2.0, 0.1));
    }

    #[test]
    fn memory_that_is_written_to_is_seen() {
        let before = memory(std::process::id()).unwrap();
        let block = std::hint::black_box(vec![1u8; 64 << 20]);
        let with = memory(std::process::id()).unwrap();
        assert!(with.rss_kb > before.rss_kb + (60 << 10), "{before:?} {with:?}");
        assert!(with.pss_kb > before.pss_kb + (60 << 10) && with.pss_kb <= with.rss_kb);
        drop(block);
    }

    #[test]
    fn the_limit_of_open_files_is_raised_for_children_too() {
        let most = open_files_limit().unwrap();
        let shell = std::process::Command::new("sh")
            .args(["-c", "ulimit -Sn"])
            .output();
        let said = String::from_utf8(shell.unwrap().stdout).unwrap();
        assert!(
            said.trim() == "unlimited" || said.trim() == most.to_string(),
            "{said}"
        );
    }

    #[tokio::test]
    async fn what_a_program_says_is_read_and_its_end_is_told_with_its_last_words() {
        let dir = std::env::temp_dir().join(format!("ccm-bench-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let args = ["-c", "echo one; echo listens on $WHERE; echo broken >&2"];
        let mut child =
            Child::start("child", Path::new("/bin/sh"), args, &[("WHERE", "here")], &dir).unwrap();
        assert_eq!(child.says("listens on ").await.unwrap(), "here");
        let error = child.says("more").await.unwrap_err().to_string();
        assert!(error.contains("child ended: broken"), "{error}");
        std::fs::remove_dir_all(dir).unwrap();
    }
}
