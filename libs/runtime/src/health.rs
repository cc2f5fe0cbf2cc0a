use serde::Serialize;
use std::{
    collections::BTreeMap,
    sync::{Arc, RwLock},
};

/// How something that a role depends on is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum State {
    /// Not tried yet.
    Unknown,
    /// Works.
    Up,
    /// Does not.
    Down {
        /// For the operator; without secrets, addresses of customers or texts.
        why: String,
    },
}

/// What `/readyz` says. A cheap handle that every part of a role may hold.
///
/// A role is ready when it can do its job: everything it *needs* is up and it is not draining. What only *helps* (Redis)
/// is shown and changes nothing.
#[derive(Clone)]
pub struct Health(Arc<RwLock<Report>>);

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    role: String,
    ready: bool,
    draining: bool,
    dependencies: BTreeMap<&'static str, Dependency>,
}

#[derive(Debug, Clone, Serialize)]
struct Dependency {
    needed: bool,
    #[serde(flatten)]
    state: State,
}

impl Health {
    /// Of one role, with nothing that it depends on yet.
    pub fn new(role: &str) -> Self {
        Self(Arc::new(RwLock::new(Report {
            role: role.to_owned(),
            ready: true,
            draining: false,
            dependencies: BTreeMap::new(),
        })))
    }

    /// Without `name` the role cannot do its job: not ready until it is up.
    pub fn needs(&self, name: &'static str) {
        self.declare(name, true);
    }

    /// `name` is shown, and the role is ready without it.
    pub fn helped_by(&self, name: &'static str) {
        self.declare(name, false);
    }

    /// How `name` is doing now; a name not declared before is needed.
    pub fn set(&self, name: &'static str, state: State) {
        self.update(|report| {
            report
                .dependencies
                .entry(name)
                .or_insert(Dependency {
                    needed: true,
                    state: State::Unknown,
                })
                .state = state;
        });
    }

    /// From now on not ready: the process is ending.
    pub fn draining(&self) {
        self.update(|report| report.draining = true);
    }

    /// Whether the role can do its job now.
    pub fn is_ready(&self) -> bool {
        self.report().ready
    }

    pub(crate) fn report(&self) -> Report {
        self.0.read().unwrap_or_else(|e| e.into_inner()).clone()
    }

    fn declare(&self, name: &'static str, needed: bool) {
        self.update(|report| {
            report
                .dependencies
                .entry(name)
                .or_insert(Dependency {
                    needed,
                    state: State::Unknown,
                })
                .needed = needed;
        });
    }

    fn update(&self, change: impl FnOnce(&mut Report)) {
        let mut report = self.0.write().unwrap_or_else(|e| e.into_inner());
        change(&mut report);
        report.ready = !report.draining
            && report
                .dependencies
                .values()
                .all(|d| !d.needed || d.state == State::Up);
        let say = |yes: bool| if yes { 1.0 } else { 0.0 };
        metrics::gauge!("ccm_ready", "role" => report.role.clone()).set(say(report.ready));
        metrics::gauge!("ccm_draining").set(say(report.draining));
        for (name, dependency) in &report.dependencies {
            metrics::gauge!("ccm_dependency_up", "dependency" => *name)
                .set(say(dependency.state == State::Up));
        }
    }
}

impl Report {
    pub(crate) fn ready(&self) -> bool {
        self.ready
    }
}
