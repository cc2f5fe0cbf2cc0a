//! A migrated database of one's own for each test.

use crate::{
    folder::TempFolder,
    pg::{PgOptions, PgServer, hex},
    provision::{Logins, OWNER, Urls, identifier},
    psql::Psql,
};
use anyhow::{Context, Result, anyhow};
use ccm_model::IdSource;
use sha2::{Digest, Sha256};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::task::spawn_blocking;

/// A fresh database with the migrations applied, dropped with this value.
///
/// It is cloned from a template that is migrated once per server and content of `/migrations`. The server is the one
/// that `CCM_TEST_PG` names (a superuser's address; `deploy/dev/test` exports it), else a private one that this
/// process starts on first use.
#[derive(Debug)]
pub struct TestDb {
    name: String,
    urls: Urls,
}

impl TestDb {
    /// Makes a database. `migrate` is given the owner's address and applies the migrations; it is called only where no
    /// template for them exists yet.
    ///
    /// ```ignore
    /// let db = TestDb::create(async |owner_url: String| ccm_db::migrate(&owner_url.into()).await).await?;
    /// ```
    pub async fn create<F, T, E>(migrate: F) -> Result<Self>
    where
        F: AsyncFnOnce(String) -> Result<T, E>,
        E: Into<anyhow::Error>,
    {
        Self::create_from(&migrations_folder(), migrate).await
    }

    /// As [`TestDb::create`], for migrations in another folder.
    pub async fn create_from<F, T, E>(migrations: &Path, migrate: F) -> Result<Self>
    where
        F: AsyncFnOnce(String) -> Result<T, E>,
        E: Into<anyhow::Error>,
    {
        let migrations = migrations.to_owned();
        let start = move || {
            let psql = Psql::new(server_url()?)?;
            let template = format!("ccm_template_{}", content_hash(&migrations)?);
            let ready = is_ready(&psql, &template)?;
            anyhow::Ok((Arc::new(psql), template, ready))
        };
        let (psql, template, ready) = spawn_blocking(start).await??;
        if !ready {
            make_template(&psql, &template, migrate).await?;
        }
        let clone = move || {
            let name = format!("ccm_test_{:016x}", IdSource::system().next_u64());
            clone_template(&psql, &template, &name)?;
            let urls = Logins::of(&psql).urls(&psql, &name);
            anyhow::Ok(Self { name, urls })
        };
        spawn_blocking(clone).await?
    }

    /// The database's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All addresses.
    pub fn urls(&self) -> &Urls {
        &self.urls
    }

    /// The address of the owner, who ran the migrations.
    pub fn owner_url(&self) -> &str {
        &self.urls.owner
    }

    /// The address of the services' role.
    pub fn app_url(&self) -> &str {
        &self.urls.app
    }

    /// The address of the system role.
    pub fn system_url(&self) -> &str {
        &self.urls.system
    }

    /// The address of the server's superuser.
    pub fn superuser_url(&self) -> &str {
        &self.urls.superuser
    }

    /// Runs SQL as the superuser, which sees behind row-level security. Rows come back one a line, columns parted by
    /// `|`. Blocks the thread.
    pub fn superuser_sql(&self, sql: &str) -> Result<String> {
        Psql::new(&self.urls.superuser)?.run(sql)
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        let drop = || {
            Psql::new(server_url()?)?.run(&format!(
                "drop database if exists {} with (force)",
                identifier(&self.name)
            ))
        };
        // A server that is gone has taken the database along.
        let _ = drop();
    }
}

/// The superuser's address of the server for tests.
fn server_url() -> Result<&'static str> {
    static URL: OnceLock<Result<String, String>> = OnceLock::new();
    let url = URL.get_or_init(|| match std::env::var("CCM_TEST_PG") {
        Ok(url) => Ok(url),
        Err(_) => private_server().map_err(|error| format!("{error:#}")),
    });
    url.as_deref().map_err(|error| anyhow!("{error}"))
}

/// Statics are never dropped: the server ends because it is bound to this process.
fn private_server() -> Result<String> {
    static SERVER: OnceLock<(PgServer, TempFolder)> = OnceLock::new();
    let folder = TempFolder::new()?;
    let server = PgServer::start_private(folder.path(), PgOptions::fast())?;
    let (server, _) = SERVER.get_or_init(|| (server, folder));
    Ok(server.superuser_url())
}

fn migrations_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations")
}

fn content_hash(folder: &Path) -> Result<String> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("reading the migrations in {}", folder.display()))?;
    let mut files = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    files.retain(|file| file.is_file());
    files.sort();
    let mut hash = Sha256::new();
    for file in files {
        hash.update(file.file_name().unwrap_or_default().as_encoded_bytes());
        hash.update([0]);
        hash.update(fs::read(&file)?);
        hash.update([0]);
    }
    Ok(hex(&hash.finalize()[..8]))
}

fn is_ready(psql: &Psql, template: &str) -> Result<bool> {
    let mark = Logins::of(psql).mark();
    let sql = format!(
        "select exists (select from pg_database where datname = '{template}' and datistemplate)
            and exists (select from pg_roles where rolname = '{OWNER}'
                        and shobj_description(oid, 'pg_authid') = '{mark}')"
    );
    Ok(psql.run(&sql)? == "t")
}

async fn make_template<F, T, E>(psql: &Arc<Psql>, template: &str, migrate: F) -> Result<()>
where
    F: AsyncFnOnce(String) -> Result<T, E>,
    E: Into<anyhow::Error>,
{
    let (server, name) = (psql.clone(), template.to_owned());
    let begin = move || {
        let lock = server.lock()?;
        if is_ready(&server, &name)? {
            return Ok(None);
        }
        let logins = Logins::of(&server);
        logins.make(&server)?;
        // One that is no template yet was left by a migration that failed.
        server.run(&format!("drop database if exists {name} with (force)"))?;
        server.run(&format!("create database {name} owner {OWNER}"))?;
        anyhow::Ok(Some((lock, logins.urls(&server, &name).owner)))
    };
    let Some((lock, owner_url)) = spawn_blocking(begin).await?? else {
        return Ok(());
    };
    migrate(owner_url)
        .await
        .map_err(Into::into)
        .context("migrating the template of the test databases")?;
    let (server, name) = (psql.clone(), template.to_owned());
    let finish = move || {
        // Without connections from now on: a template that somebody is connected to cannot be cloned.
        server.run(&format!(
            "alter database {name} with is_template true allow_connections false"
        ))?;
        drop(lock);
        anyhow::Ok(())
    };
    spawn_blocking(finish).await?
}

fn clone_template(psql: &Psql, template: &str, name: &str) -> Result<()> {
    // Copying files costs half of what copying through the log does, the dropping at the end included.
    let sql = format!("create database {name} template {template} owner {OWNER} strategy file_copy");
    let mut tries = 0;
    loop {
        match psql.run(&sql) {
            Ok(_) => return Ok(()),
            // The migration's sessions, or a vacuum, are still on their way out.
            Err(error) if tries < 50 && error.to_string().contains("is being accessed by other users") => {
                tries += 1;
                std::thread::sleep(Duration::from_millis(100));
            }
            Err(error) => return Err(error),
        }
    }
}
