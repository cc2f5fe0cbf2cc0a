//! What every provider looks at before it takes a text.

use crate::{
    Kind,
    book::{Book, Submission},
};

/// What is wrong with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    To,
    From,
    Text,
    OptedOut,
}

/// A text for a phone as a request has it, its numbers with their plus.
pub struct Draft {
    pub from: String,
    pub to: String,
    pub text: String,
    pub callback: Option<String>,
}

impl Draft {
    pub fn check(self, book: &Book, account: &str) -> Result<Submission, Refusal> {
        let digits = self.to.strip_prefix('+').unwrap_or_default();
        if !(7..=15).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Refusal::To);
        }
        if book.numbers.get(&self.from).is_none_or(|owner| owner != account) {
            return Err(Refusal::From);
        }
        if self.text.is_empty() {
            return Err(Refusal::Text);
        }
        if book.opted_out(&self.from, &self.to) {
            return Err(Refusal::OptedOut);
        }
        Ok(Submission {
            account: account.to_owned(),
            from: self.from,
            to: self.to,
            text: self.text,
            idempotency_key: None,
            attempt: None,
            status_callback: self.callback,
            messaging_service_sid: None,
        })
    }
}

/// The secret of an account of this kind.
pub fn secret<'a>(book: &'a Book, kind: Kind, name: &str) -> Option<&'a str> {
    let account = book.accounts.get(name).filter(|account| account.kind == kind)?;
    Some(&account.secret)
}
