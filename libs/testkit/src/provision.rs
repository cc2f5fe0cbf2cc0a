//! Roles and databases as the product expects to find them.

use crate::{
    pg::{PgServer, hex},
    psql::Psql,
};
use anyhow::Result;
use sha2::{Digest, Sha256};
use std::fmt;

/// Owns the database and runs the migrations; may make roles.
pub const OWNER: &str = "ccm_owner";
/// What the services log in as: a member of `ccm_app`.
pub const APP: &str = "ccm_app_login";
/// What looks things up before a tenant is known: a member of `ccm_system`.
pub const SYSTEM: &str = "ccm_system_login";

/// The addresses of one database, one per role. `Debug` shows no password.
#[derive(Clone, PartialEq, Eq)]
pub struct Urls {
    /// The server's superuser, for tests that look behind the curtain. The product never has it.
    pub superuser: String,
    /// Owner of the database: migrations.
    pub owner: String,
    /// The services' own role; row-level security binds it to a tenant.
    pub app: String,
    /// The second role, with policies on named tables.
    pub system: String,
}

impl fmt::Debug for Urls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.app.rsplit('@').next().unwrap_or_default();
        write!(f, "Urls({place})")
    }
}

/// Makes the roles that are missing, and a database owned by [`OWNER`] if it is missing. Does nothing else to a
/// database that exists, so it can be called at every start; several processes may call it at once.
pub fn provision(server: &PgServer, database: &str) -> Result<Urls> {
    let psql = Psql::new(&server.superuser_url())?;
    let logins = Logins::of(&psql);
    let _lock = psql.lock()?;
    logins.make(&psql)?;
    let exists = psql.run(&format!(
        "select 1 from pg_database where datname = '{}'",
        literal(database)
    ))?;
    if exists.is_empty() {
        psql.run(&format!("create database {} owner {OWNER}", identifier(database)))?;
    }
    Ok(logins.urls(&psql, database))
}

/// The passwords of the login roles. They follow from the superuser's, so that all processes that know the server
/// agree on them.
pub(crate) struct Logins {
    seed: String,
}

impl Logins {
    pub fn of(psql: &Psql) -> Self {
        Self {
            seed: psql.url().password().unwrap_or_default().to_owned(),
        }
    }

    fn password(&self, role: &str) -> String {
        hex(&Sha256::digest(format!("ccm-testkit {role} {}", self.seed))[..16])
    }

    /// The comment that a finished provisioning leaves on [`OWNER`].
    pub fn mark(&self) -> String {
        format!("made by ccm-testkit {}", &self.password("mark")[..8])
    }

    pub fn urls(&self, psql: &Psql, database: &str) -> Urls {
        let url = |role: &str| psql.url_as(role, &self.password(role), database);
        let mut superuser = psql.url().clone();
        superuser.set_path(database);
        Urls {
            superuser: superuser.into(),
            owner: url(OWNER),
            app: url(APP),
            system: url(SYSTEM),
        }
    }

    /// Makes or corrects the roles. The caller holds the lock.
    ///
    /// The group roles are the migrations' to make where they are missing; they are made here already because the logins
    /// must be members of them, and because two databases migrated at once would both try.
    pub fn make(&self, psql: &Psql) -> Result<()> {
        let (owner, app, system) = (self.password(OWNER), self.password(APP), self.password(SYSTEM));
        let mark = self.mark();
        let marked = "select shobj_description(oid, 'pg_authid') from pg_roles where rolname = 'ccm_owner'";
        if psql.run(marked)? == mark {
            return Ok(());
        }
        psql.run(&format!(
            "do $$
             declare name text;
             begin
               foreach name in array array['ccm_app', 'ccm_system'] loop
                 if not exists (select from pg_roles where rolname = name) then
                   execute format('create role %I nologin nosuperuser nobypassrls noinherit', name);
                 end if;
               end loop;
               foreach name in array array['{OWNER}', '{APP}', '{SYSTEM}'] loop
                 if not exists (select from pg_roles where rolname = name) then
                   execute format('create role %I login nosuperuser nobypassrls', name);
                 end if;
               end loop;
             end $$;
             alter role {OWNER} createrole password '{owner}';
             alter role {APP} password '{app}';
             alter role {SYSTEM} password '{system}';
             grant ccm_app to {APP};
             grant ccm_system to {SYSTEM};
             comment on role {OWNER} is '{mark}';"
        ))?;
        Ok(())
    }
}

/// A name as SQL writes it.
pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    text.replace('\'', "''")
}
