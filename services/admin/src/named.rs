//! Skillsets and numbers that a tenant's documents name: they must be there, and stay as long as they are named.

use crate::{answer::Failure, routing, valid::Refused};
use ccm_db::{DbError, InTheWay, Names, NamingState, NumberRow, Settings, SkillsetRow, TenantDb};
use ccm_model::Address;
use ccm_web::Problem;

/// What a tenant's documents name, for those who would take it away.
pub struct Named {
    pub state: NamingState,
    documents: [(&'static str, Names); 3],
}

impl Named {
    pub async fn read(db: &TenantDb<'_>) -> Result<Self, DbError> {
        let naming = db.naming().await?;
        let routing = naming.routing.map(|row| routing::stored(row.settings));
        let routing = routing.transpose()?.unwrap_or_default();
        Ok(Self {
            state: naming.state,
            documents: [
                ("places in routing", routing::names(&routing)),
                (
                    "places in the deflection settings",
                    naming.deflection.names().unwrap_or_default(),
                ),
                (
                    "places in the screen-pop settings",
                    naming.screenpop.names().unwrap_or_default(),
                ),
            ],
        })
    }

    /// Where this skillset is named.
    pub fn skillset(&self, name: &str) -> Vec<InTheWay> {
        self.places(|names| places(&names.skillsets, |one| one == name))
    }

    /// Where this number is named.
    pub fn number(&self, address: &Address) -> Vec<InTheWay> {
        self.places(|names| places(&names.numbers, |one| one == address))
    }

    fn places(&self, of: impl Fn(&Names) -> Vec<String>) -> Vec<InTheWay> {
        let all = self.documents.iter().map(|(what, names)| (*what, of(names)));
        let some = all.filter(|(_, which)| !which.is_empty());
        some.map(|(what, which)| InTheWay {
            what,
            count: which.len() as i64,
            which: which.into_iter().take(5).collect(),
        })
        .collect()
    }
}

fn places<T>(named: &[(String, T)], is_it: impl Fn(&T) -> bool) -> Vec<String> {
    let of_it = named.iter().filter(|(_, one)| is_it(one));
    of_it.map(|(place, _)| place.clone()).collect()
}

/// What the database said of a document with such names, and which of them it has not found.
pub async fn checked<T>(db: &TenantDb<'_>, names: &Names, put: Result<T, DbError>) -> Result<T, Failure> {
    let error = match put {
        Err(error @ DbError::Contended(_)) => error,
        put => return Ok(put?),
    };
    holds(names, &db.skillsets().await?, &db.numbers().await?)?;
    // What was missing a moment ago is there again.
    Err(Problem::unavailable(error).into())
}

/// Refuses a document that names what is not there.
pub fn holds(names: &Names, skillsets: &[SkillsetRow], numbers: &[NumberRow]) -> Result<(), Refused> {
    let mut named = names.skillsets.iter();
    if let Some((field, name)) = named.find(|(_, name)| skillsets.iter().all(|s| s.name != *name)) {
        return Err(Refused::new(
            field.clone(),
            format!("names {name}, which is not a skillset of this tenant"),
            "write one of those that GET …/skillsets lists, or make it first",
        ));
    }
    let mut named = names.numbers.iter();
    if let Some((field, _)) = named.find(|(_, number)| numbers.iter().all(|n| n.address != *number)) {
        return Err(Refused::new(
            field.clone(),
            "is not a number of this tenant",
            "write one of those that GET …/numbers lists, or make it first",
        ));
    }
    Ok(())
}
