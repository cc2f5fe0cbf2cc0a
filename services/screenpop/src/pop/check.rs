//! Whether the page's number can be texted.

use super::{
    page::{Page, Senders},
    stop::{Stop, whole_seconds},
    told::{Told, Tone},
    words::{Words, with},
};
use crate::{failure::Failure, look_up::LookedUp};
use ccm_db::NumberLookupRow;
use ccm_model::{Address, LineType};
use ccm_numbers::{Facts, Home, Reading, of_call};
use time::OffsetDateTime;

/// What is known about a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Available,
    Landline,
    CallsOnly,
    Invalid,
    Unreadable,
    /// What it is at home, where that is known, and abroad.
    WhichCountry {
        home: Option<String>,
        abroad: String,
    },
    /// One of the tenant's own.
    Ours,
    OptedOut {
        sender: String,
        since: String,
    },
}

/// As the page shows it.
pub struct Shown {
    pub tone: Tone,
    pub word: String,
    pub why: String,
}

impl Verdict {
    fn of(facts: &Facts, said: Option<&NumberLookupRow>) -> Self {
        let calls = |line: LineType| {
            matches!(
                line,
                LineType::PremiumRate | LineType::SharedCost | LineType::Voicemail | LineType::Pager
            )
        };
        match said {
            Some(said) if !said.valid => return Self::Invalid,
            Some(NumberLookupRow {
                line: Some(LineType::FixedLine),
                ..
            }) => return Self::Landline,
            Some(NumberLookupRow { line: Some(line), .. }) if calls(*line) => return Self::CallsOnly,
            Some(NumberLookupRow { line: Some(_), .. }) => return Self::Available,
            _ => {}
        }
        match facts.kind {
            _ if facts.valid != Some(true) => Self::Invalid,
            Some("fixed_line") => Self::Landline,
            Some("premium_rate" | "shared_cost" | "voicemail" | "pager") => Self::CallsOnly,
            _ => Self::Available,
        }
    }

    pub fn shown(&self, w: &Words) -> Shown {
        let (tone, word, why) = match self {
            Self::Available => (Tone::Good, &w.available, String::new()),
            Self::Landline => (Tone::Bad, &w.landline, w.landline_why.clone()),
            Self::CallsOnly => (Tone::Bad, &w.calls_only, w.calls_only_why.clone()),
            Self::Invalid => (Tone::Bad, &w.invalid, w.invalid_why.clone()),
            Self::Unreadable => (Tone::Bad, &w.unreadable, w.unreadable_why.clone()),
            Self::WhichCountry { home, abroad } => {
                let numbers = match home {
                    Some(home) => format!("{home}, {abroad}"),
                    None => abroad.clone(),
                };
                let why = with(&w.which_country_why, &[("numbers", &numbers)]);
                (Tone::Bad, &w.which_country, why)
            }
            Self::Ours => (Tone::Bad, &w.own_number, w.own_number_why.clone()),
            Self::OptedOut { sender, since } => {
                let why = with(&w.opted_out_why, &[("sender", sender), ("since", since)]);
                (Tone::Bad, &w.opted_out, why)
            }
        };
        Shown {
            tone,
            word: word.clone(),
            why,
        }
    }
}

/// A day, as all languages read it.
pub fn day(at: OffsetDateTime) -> String {
    at.date().to_string()
}

impl Page {
    /// What stands in the page as a number.
    pub fn number(&self) -> Option<Reading> {
        let home = Home {
            region: self.settings.region.as_deref(),
            ours: Some(&self.pop.form.sender),
        };
        of_call(&self.pop.form.number, home)
    }

    /// The number that the page texts, if it has one that can be read.
    pub fn customer(&self) -> Option<Address> {
        Some(self.number()?.one()?.address)
    }

    /// What is known about the page's number without asking anybody; `None`: there is no number yet.
    pub async fn verdict(&self) -> Result<Option<Verdict>, Stop> {
        if self.pop.form.number.trim().is_empty() {
            return Ok(None);
        }
        let facts = match self.number() {
            None => return Ok(Some(Verdict::Unreadable)),
            Some(Reading::Either { home, abroad }) => {
                let shown = |facts: Facts| facts.international.unwrap_or_default();
                return Ok(Some(Verdict::WhichCountry {
                    home: home.map(shown),
                    abroad: shown(abroad),
                }));
            }
            Some(Reading::One(facts)) => facts,
        };
        let (db, number) = (self.db(), facts.address.clone());
        if Senders::of(&db).await?.find(number.as_str()).is_some() {
            return Ok(Some(Verdict::Ours));
        }
        if let Some(out) = db.opt_out(&self.pop.form.sender, &number).await? {
            return Ok(Some(Verdict::OptedOut {
                sender: self.pop.form.sender.as_str().to_owned(),
                since: day(out.since),
            }));
        }
        let since = self.deps.ids.clock().now() - self.deps.settings.look_ups_kept;
        let said = db.number_lookup(&number, since).await?;
        Ok(Some(Verdict::of(&facts, said.as_ref())))
    }

    /// Has the provider asked, where there is one that can be; its answer is kept. `Some`: what went wrong.
    pub async fn ask(&self) -> Result<Option<Told>, Stop> {
        if self.pop.form.number.trim().is_empty() {
            return Ok(Some(Told::NoNumber));
        }
        let Some(number) = self.customer() else {
            return Ok(None);
        };
        let asked = self
            .deps
            .look_up(&self.db(), &number, Some(&self.pop.form.sender))
            .await;
        match asked {
            Ok(LookedUp::Done(_) | LookedUp::Unavailable(_)) => Ok(None),
            Ok(LookedUp::Failed { .. }) => Ok(Some(Told::CheckFailed)),
            Err(Failure::TooOften(wait)) => Ok(Some(Told::CheckTooOften {
                seconds: whole_seconds(wait),
            })),
            // The sender has gone meanwhile: the page says so when somebody sends.
            Err(Failure::Problem(problem)) if problem.status().is_client_error() => Ok(None),
            Err(Failure::Problem(problem)) => Err(Stop::Problem(problem)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    fn verdict(number: &str, said: Option<(bool, Option<LineType>)>) -> Verdict {
        let facts = ccm_numbers::examine(number, None).unwrap();
        let said = said.map(|(valid, line)| NumberLookupRow {
            valid,
            country: None,
            line,
            carrier: None,
            mobile_country_code: None,
            mobile_network_code: None,
            at: datetime!(2026-11-30 09:00 UTC),
        });
        Verdict::of(&facts, said.as_ref())
    }

    #[test]
    fn the_providers_word_goes_before_the_plans() {
        let (mobile, fixed) = ("+353861234567", "+35312345678");
        assert_eq!(verdict(mobile, None), Verdict::Available);
        assert_eq!(verdict(fixed, None), Verdict::Landline);
        assert_eq!(verdict("+999123456789", None), Verdict::Invalid);
        assert_eq!(
            verdict(mobile, Some((true, Some(LineType::FixedLine)))),
            Verdict::Landline
        );
        assert_eq!(
            verdict(mobile, Some((true, Some(LineType::Pager)))),
            Verdict::CallsOnly
        );
        assert_eq!(
            verdict(fixed, Some((true, Some(LineType::NonFixedVoip)))),
            Verdict::Available
        );
        assert_eq!(verdict(fixed, Some((true, None))), Verdict::Landline);
        assert_eq!(verdict(mobile, Some((false, None))), Verdict::Invalid);
    }
}
