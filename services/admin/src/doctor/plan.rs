//! What is to be examined, as a request says it.

use super::DoctorDeps;
use crate::valid::{self, Refused};
use ccm_db::{LinkRow, LinkSecrets};
use ccm_doctor::{Plan, SyntheticChat};
use serde::Deserialize;
use std::time::Duration;
use utoipa::ToSchema;

/// An examination that takes longer is cut short, besides what it was told to wait for.
const LIMIT: Duration = Duration::from_secs(120);

/// How far an examination goes. All of it may be left out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"skillsets": ["WC_Default_Skillset"]}))]
pub struct Examination {
    /// Skillsets that must be there. Left out: those of a saved link; without any, all that AACC has are listed.
    #[schema(max_items = 20)]
    skillsets: Option<Vec<String>>,
    /// Open a test chat, cut its socket and prove the resume. **Agents see it.**
    test_chat: Option<TestChat>,
    /// Hold a silent socket for so long, to find the read timeout of the reverse proxy. In seconds.
    #[schema(minimum = 1, maximum = 120)]
    watch_idle_s: Option<u32>,
    /// Warn of certificates that end within so many days.
    #[serde(default = "thirty")]
    #[schema(default = 30, maximum = 365)]
    warn_days: u32,
}

/// A chat that says that it is a test.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TestChat {
    /// Whose agents are asked.
    #[schema(min_length = 1, max_length = 100, example = "WC_Default_Skillset")]
    skillset: String,
    /// How long to wait for an agent, in seconds. With 0 the resume is proven without one.
    #[serde(default = "thirty")]
    #[schema(default = 30, maximum = 120)]
    wait_s: u32,
}

fn thirty() -> u32 {
    30
}

impl Examination {
    /// Nothing was said.
    pub fn usual() -> Self {
        Self {
            warn_days: thirty(),
            ..Self::default()
        }
    }

    pub fn check(&self) -> Result<(), Refused> {
        let skillsets = self.skillsets.as_deref().unwrap_or_default();
        if skillsets.len() > 20 {
            return Err(Refused::new("skillsets", "holds more than 20", "leave some out"));
        }
        for skillset in skillsets {
            valid::name("skillsets", skillset, 100)?;
        }
        let at_most = |field, value: u32, most| match value <= most {
            true => Ok(()),
            false => Err(Refused::new(field, format!("is more than {most}"), "give less")),
        };
        if let Some(chat) = &self.test_chat {
            valid::name("test_chat.skillset", &chat.skillset, 100)?;
            at_most("test_chat.wait_s", chat.wait_s, 120)?;
        }
        match self.watch_idle_s {
            Some(0) => Err(Refused::new(
                "watch_idle_s",
                "is 0",
                "give 1 to 120 s, or leave it out",
            )),
            watch => at_most("watch_idle_s", watch.unwrap_or_default(), 120),
        }?;
        at_most("warn_days", self.warn_days, 365)
    }

    /// The plan for a link, with `skillsets` unless the request names others.
    pub fn plan(
        &self,
        deps: &DoctorDeps,
        row: &LinkRow,
        secrets: &LinkSecrets,
        skillsets: Vec<String>,
    ) -> Plan {
        let (primary, secondary) = (deps.targets)(row, secrets, deps.guard.as_ref());
        let seconds = |s: u32| Duration::from_secs(s.into());
        let idle_watch = self.watch_idle_s.map(seconds);
        let chat = self.test_chat.as_ref().map(|chat| SyntheticChat {
            wait: seconds(chat.wait_s),
            ..SyntheticChat::new(&chat.skillset)
        });
        let told_to_wait =
            chat.as_ref().map_or(Duration::ZERO, |chat| chat.wait) + idle_watch.unwrap_or_default();
        let endpoints = 1 + u32::from(secondary.is_some());
        Plan {
            secondary,
            skillsets: self.skillsets.clone().unwrap_or(skillsets),
            warn_days: self.warn_days,
            idle_watch,
            ping_every: deps.ping_every,
            time_limit: Some(LIMIT + told_to_wait * endpoints),
            chat,
            ..Plan::new(primary)
        }
    }
}
