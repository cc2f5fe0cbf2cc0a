//! `ccm-demo` as a child process.

use anyhow::{Context, Result, bail, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

/// A debug build on a busy machine included.
const LIMIT: Duration = Duration::from_secs(240);

pub struct Demo {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// Everything that was printed so far.
    pub printed: String,
}

impl Demo {
    pub fn start(dir: &Path, arguments: &[&str]) -> Result<Self> {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_ccm-demo"));
        let ccm = program.with_file_name("ccm");
        ensure!(
            ccm.is_file(),
            "there is no {}; build with cargo build --workspace",
            ccm.display()
        );
        let mut child = Command::new(program)
            .arg("--dir")
            .arg(dir)
            .args(arguments)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().context("no stdout")?;
        Ok(Self {
            child,
            lines: BufReader::new(stdout).lines(),
            printed: String::new(),
        })
    }

    /// Reads on until a line has `part` in it.
    pub async fn line_with(&mut self, part: &str) -> Result<String> {
        let read = async {
            while let Some(line) = self.lines.next_line().await? {
                self.printed += &line;
                self.printed.push('\n');
                if line.contains(part) {
                    return Ok(line);
                }
            }
            bail!("the demo ended without {part:?}:\n{}", self.printed)
        };
        timeout(LIMIT, read).await.context("the demo is too slow")?
    }

    /// Reads to its end.
    pub async fn end(&mut self) -> Result<ExitStatus> {
        let read = async {
            while let Some(line) = self.lines.next_line().await? {
                self.printed += &line;
                self.printed.push('\n');
            }
            Ok(self.child.wait().await?)
        };
        timeout(LIMIT, read).await.context("the demo does not end")?
    }

    pub async fn signal(&self, signal: &str) -> Result<()> {
        let pid = self.child.id().context("the demo has ended")?;
        let kill = format!("kill -{signal} {pid}");
        let status = Command::new("sh").arg("-c").arg(kill).status().await?;
        ensure!(status.success(), "kill -{signal}: {status}");
        Ok(())
    }

    /// Processes that it has started: its children and theirs, as `id name`.
    pub fn descendants(&self) -> Vec<(u32, String)> {
        let mut found: Vec<(u32, String)> = Vec::new();
        let mut parents: Vec<u32> = self.child.id().into_iter().collect();
        while let Some(parent) = parents.pop() {
            for (id, name, of) in processes() {
                if of == parent {
                    found.push((id, name));
                    parents.push(id);
                }
            }
        }
        found
    }
}

/// Which of these processes are still there under the same name.
pub fn alive(known: &[(u32, String)]) -> Vec<(u32, String)> {
    let now = processes();
    let is_there = |(id, name): &&(u32, String)| now.iter().any(|(i, n, _)| i == id && n == name);
    known.iter().filter(is_there).cloned().collect()
}

/// All processes: id, name, parent's id. Those that have ended and are only not yet collected are left out.
fn processes() -> Vec<(u32, String, u32)> {
    let entries = fs::read_dir("/proc").expect("/proc can be read").flatten();
    let stats = entries.filter_map(|e| fs::read_to_string(e.path().join("stat")).ok());
    let parse = |stat: String| {
        // 123 (some name) S 45 …
        let (id, rest) = stat.split_once(" (")?;
        let (name, rest) = rest.rsplit_once(") ")?;
        let mut fields = rest.split(' ');
        let state = fields.next()?;
        let parent = fields.next()?.parse().ok()?;
        (state != "Z").then_some((id.parse().ok()?, name.to_owned(), parent))
    };
    stats.filter_map(parse).collect()
}
