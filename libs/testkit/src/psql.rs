//! SQL through the `psql` program: only `ccm-db` holds a database driver.

use anyhow::{Context, Result, bail};
use std::{
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
};
use url::Url;

/// A server and a login on it.
#[derive(Clone)]
pub(crate) struct Psql {
    program: PathBuf,
    url: Url,
}

impl Psql {
    /// `url` as in `postgres://user:password@host:port/database`.
    pub fn new(url: &str) -> Result<Self> {
        let program = crate::pg::program("psql")?;
        let url = Url::parse(url).context("the Postgres address is not a URL")?;
        if !matches!(url.scheme(), "postgres" | "postgresql") || url.host_str().is_none() {
            bail!("the Postgres address must look like postgres://user:password@127.0.0.1:5432/postgres");
        }
        Ok(Self { program, url })
    }

    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The address of another database, as another user.
    pub fn url_as(&self, user: &str, password: &str, database: &str) -> String {
        let mut url = self.url.clone();
        url.set_path(database);
        url.set_username(user).expect("the address has a host");
        url.set_password(Some(password)).expect("the address has a host");
        url.into()
    }

    /// Runs statements, stops at the first error, and returns the rows: one a line, columns parted by `|`.
    pub fn run(&self, sql: &str) -> Result<String> {
        let mut child = self.start()?;
        child.stdin.take().expect("piped").write_all(sql.as_bytes())?;
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!(
                "psql: {}\nin: {sql}",
                String::from_utf8_lossy(&output.stderr).trim_end()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    /// Waits for a lock that one session on the server can hold at a time, over all processes.
    pub fn lock(&self) -> Result<Lock> {
        let mut child = self.start()?;
        let mut stdin = child.stdin.take().expect("piped");
        // Any number will do; it must only differ from the ones that the product and sqlx' migrator use.
        stdin.write_all(b"select 'locked' from pg_advisory_lock(4277009102);\n")?;
        stdin.flush()?;
        let mut answer = String::new();
        BufReader::new(child.stdout.as_mut().expect("piped")).read_line(&mut answer)?;
        if answer.trim_end() != "locked" {
            drop(stdin);
            let output = child.wait_with_output()?;
            bail!(
                "psql: {}\nwhile taking the testkit's lock",
                String::from_utf8_lossy(&output.stderr).trim_end()
            );
        }
        Ok(Lock {
            stdin: Some(stdin),
            child,
        })
    }

    fn start(&self) -> Result<Child> {
        let url = &self.url;
        let mut command = Command::new(&self.program);
        forget_pg_environment(&mut command);
        command
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-"])
            // By environment: arguments are seen by every user of the machine.
            .env("PGHOST", url.host_str().unwrap_or("127.0.0.1"))
            .env("PGPORT", url.port().unwrap_or(5432).to_string())
            .env("PGUSER", decoded(url.username())?)
            .env("PGPASSWORD", decoded(url.password().unwrap_or_default())?)
            .env("PGDATABASE", decoded(url.path().trim_start_matches('/'))?)
            .env("PGCONNECT_TIMEOUT", "10")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
            .spawn()
            .with_context(|| format!("starting {}", self.program.display()))
    }
}

/// Held until dropped, or until this process dies.
pub(crate) struct Lock {
    stdin: Option<ChildStdin>,
    child: Child,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // psql ends with its input, and the server frees the lock with the session.
        self.stdin = None;
        let _ = self.child.wait();
    }
}

/// Keeps the `PG…` variables of whoever runs the tests from Postgres' programs.
pub(crate) fn forget_pg_environment(command: &mut Command) {
    for (key, _) in std::env::vars_os() {
        if key.to_str().is_some_and(|key| key.starts_with("PG")) {
            command.env_remove(key);
        }
    }
}

fn decoded(part: &str) -> Result<String> {
    let mut bytes = Vec::new();
    let mut rest = part.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let code = (first == b'%').then(|| tail.get(..2)).flatten();
        let code = code.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(code.unwrap_or(first));
        rest = if code.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(bytes).context("the Postgres address holds bytes that are not UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_codes_are_decoded() {
        assert_eq!(decoded("p%40ss%25word%").unwrap(), "p@ss%word%");
        assert_eq!(decoded("plain").unwrap(), "plain");
    }
}
