//! A conversation as people read it: plain text and PDF, in their time zone and language. Pure: what it is made of is handed in, and
//! how much of it is bounded by whoever does so.

mod language;
mod letters;
mod lines;
mod pdf;
mod text;
mod zone;

pub use language::Language;
pub use pdf::{PdfError, pdf};
pub use text::text;
pub use zone::{UnknownZone, Zone};

use ccm_model::{MessageState, Origin};
use time::OffsetDateTime;

/// A conversation, or a part of it.
#[derive(Debug, Clone)]
pub struct Transcript {
    /// Stands at the top: the conversation's id.
    pub id: String,
    /// The tenant's name.
    pub tenant: String,
    pub our_address: String,
    pub customer_address: String,
    pub opened_at: OffsetDateTime,
    /// `None` while it is open.
    pub closed_at: Option<OffsetDateTime>,
    pub entries: Vec<Entry>,
    /// There are more texts than these.
    pub cut: bool,
}

/// One text.
#[derive(Clone)]
pub struct Entry {
    pub at: OffsetDateTime,
    pub origin: Origin,
    /// The agent's name as the customer reads it.
    pub author: Option<String>,
    /// `None`: it has been erased.
    pub body: Option<String>,
    pub state: MessageState,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Entry({} {} {})", self.at, self.origin, self.state)
    }
}

/// Where and in which words it is read.
#[derive(Debug, Clone)]
pub struct Reader {
    pub zone: Zone,
    pub language: Language,
}

impl Transcript {
    /// What stands above the texts: names and values.
    fn head(&self, reader: &Reader) -> Vec<(&'static str, String)> {
        let words = reader.language.words();
        let mut head = vec![
            (words.conversation, self.id.clone()),
            (words.number, self.our_address.clone()),
            (words.customer, self.customer_address.clone()),
            (words.opened, reader.zone.moment(self.opened_at)),
        ];
        if let Some(closed) = self.closed_at {
            head.push((words.closed, reader.zone.moment(closed)));
        }
        head.push((words.zone, reader.zone.name().to_owned()));
        head
    }

    /// What stands below them, if there is anything to say.
    fn foot(&self, reader: &Reader) -> Option<&'static str> {
        self.cut.then_some(reader.language.words().cut)
    }
}

impl Entry {
    /// Who wrote it, and what became of it if it did not arrive.
    fn who(&self, reader: &Reader) -> String {
        let words = reader.language.words();
        let who = match (self.origin, &self.author) {
            (Origin::Customer, _) => words.customer,
            (Origin::Agent, Some(name)) => name,
            (Origin::Agent, None) => words.agent,
            (Origin::System, _) => words.automatic,
        };
        match reader.language.state(self.state) {
            Some(state) => format!("{who} ({state})"),
            None => who.to_owned(),
        }
    }

    fn what<'a>(&'a self, reader: &Reader) -> &'a str {
        self.body.as_deref().unwrap_or(reader.language.words().erased)
    }
}

#[cfg(test)]
mod tests;
