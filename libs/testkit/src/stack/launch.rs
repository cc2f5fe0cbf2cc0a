//! How the stack's processes are started.

use super::{
    LOOK_AGAIN, READY_LIMIT,
    config::{self, Ports, Shared},
};
use crate::{
    http,
    process::{self, Process},
    service::Service,
};
use anyhow::{Context, Result, bail};
use std::{path::PathBuf, process::Command, time::Duration};
use tokio::time::sleep;

/// What all processes are started with.
pub(super) struct Launch {
    /// The program of what is started anew.
    pub ccm: PathBuf,
    pub dir: PathBuf,
    pub shared: Shared,
    /// Before all that run `ingest`.
    pub service: Option<Service>,
    pub env: Vec<(String, String)>,
}

/// One process, running or not.
pub(super) struct Role {
    program: PathBuf,
    command: String,
    pub config: PathBuf,
    pub log: PathBuf,
    pub ports: Vec<Ports>,
    pub process: Option<Process>,
}

impl Launch {
    /// `ccm migrate`, to be run.
    pub fn migrate(&self) -> Result<Command> {
        let file = self.dir.join("migrate.toml");
        config::write_private(&file, &self.shared.migrate_toml())?;
        let mut command = Command::new(&self.ccm);
        command.arg("migrate").arg("--config").arg(&file);
        self.environment(&mut command);
        Ok(command)
    }

    pub fn role(&self, name: &str) -> Result<Role> {
        let command = name
            .trim_end_matches(|c: char| c.is_ascii_digit() || c == '-')
            .to_owned();
        let is_named = command == name && self.service.is_none();
        let ports = Ports::of(&command, Some(self.shared.ingest_port).filter(|_| is_named));
        if ports.is_empty() {
            bail!(
                "{name} is no role; there are ingest, dispatch, connector, admin, screenpop, deflection, events and all, with -2 and so on behind"
            );
        }
        let config = self.dir.join(format!("{name}.toml"));
        config::write_private(&config, &self.shared.role_toml(name, &ports))?;
        if let Some(service) = &self.service {
            for ports in ports.iter().filter(|ports| ports.role == "ingest") {
                service.add(ports.public.expect("ingest is for others"), ports.ops);
            }
        }
        Ok(Role {
            program: self.ccm.clone(),
            command,
            log: self.dir.join(format!("{name}.log")),
            config,
            ports,
            process: None,
        })
    }

    pub fn spawn(&self, name: &str, role: &mut Role) -> Result<()> {
        let mut command = process::bound_to_this_process(&role.program, "KILL");
        command.arg(&role.command).arg("--config").arg(&role.config);
        self.environment(&mut command);
        role.process = Some(Process::spawn(name, command, &role.log)?);
        Ok(())
    }

    /// Of the caller's environment, only its settings for the product are kept away.
    pub fn environment(&self, command: &mut Command) {
        for (key, _) in std::env::vars_os() {
            if key.to_str().is_some_and(|key| key.starts_with("CCM__")) {
                command.env_remove(key);
            }
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
    }
}

impl Role {
    pub async fn is_ready(&self) -> bool {
        for port in self.ports.iter().map(|ports| ports.ops) {
            if !matches!(http::get(port, "/readyz").await, Ok((200, _))) {
                return false;
            }
        }
        true
    }

    pub async fn become_ready(&mut self, name: &str) -> Result<()> {
        let mut waited = Duration::ZERO;
        while !self.is_ready().await {
            let process = self
                .process
                .as_mut()
                .with_context(|| format!("{name} does not run"))?;
            process.must_run()?;
            if waited >= READY_LIMIT {
                let tail = process.tail();
                let (_, says) = http::get(self.ports[0].ops, "/readyz").await.unwrap_or_default();
                bail!("{name} is not ready after {READY_LIMIT:?}; its /readyz says: {says}\n{tail}");
            }
            sleep(LOOK_AGAIN).await;
            waited += LOOK_AGAIN;
        }
        // The port may be another program's.
        self.process.as_mut().map_or(Ok(()), Process::must_run)
    }
}
