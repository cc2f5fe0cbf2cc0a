//! What a provider's refusal means. Each provider has a table of its codes, from its documentation; what no table says is
//! judged by the HTTP status, the same for all.

use crate::{
    Class, Outbound, SendError, Sent,
    call::Reply,
    outbound::{ACCOUNT_REST, user},
    redact::{self, redact},
};
use ::http::StatusCode;
use std::time::Duration;

/// What is to be done about one of a provider's codes.
#[derive(Debug)]
pub(crate) struct Known {
    pub code: &'static str,
    pub kind: Kind,
    /// For the operator.
    pub remedy: &'static str,
    /// For the writer.
    pub user: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It passes by itself.
    Passing,
    /// It passes by itself, and the provider may have the text.
    Unclear,
    /// The account is at fault, not the text: it goes out once an operator has mended that. Asked again slowly.
    Account,
    /// This text will not be taken.
    Final,
    /// Because the customer has refused texts from this number.
    OptedOut,
}

pub(crate) const fn passing(code: &'static str, remedy: &'static str) -> Known {
    Known {
        code,
        kind: Kind::Passing,
        remedy,
        user: user::LATER,
    }
}

pub(crate) const fn unclear(code: &'static str, remedy: &'static str) -> Known {
    Known {
        kind: Kind::Unclear,
        ..passing(code, remedy)
    }
}

pub(crate) const fn account(code: &'static str, remedy: &'static str) -> Known {
    Known {
        kind: Kind::Account,
        ..passing(code, remedy)
    }
}

pub(crate) const fn last(code: &'static str, user: &'static str, remedy: &'static str) -> Known {
    Known {
        code,
        kind: Kind::Final,
        remedy,
        user,
    }
}

pub(crate) const fn opted_out(code: &'static str, remedy: &'static str) -> Known {
    Known {
        kind: Kind::OptedOut,
        ..last(code, user::OPTED_OUT, remedy)
    }
}

impl Known {
    pub fn class(&self, rest: Option<Duration>) -> Class {
        match self.kind {
            Kind::Passing | Kind::Unclear => Class::Retryable { after: rest },
            Kind::Account => Class::Retryable {
                after: Some(rest.unwrap_or_default().max(ACCOUNT_REST)),
            },
            Kind::Final | Kind::OptedOut => Class::Terminal,
        }
    }
}

/// How a provider names its failures.
pub(crate) struct Dialect {
    /// The provider, as its operators call it.
    pub name: &'static str,
    /// Where a code is explained; `{}` stands for it.
    pub docs: &'static str,
    pub table: &'static [Known],
}

/// What a refusal says in the provider's words.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Said<'a> {
    pub code: Option<&'a str>,
    pub words: Option<&'a str>,
}

impl Dialect {
    pub fn find(&self, code: &str) -> Option<&'static Known> {
        self.table.iter().find(|known| known.code == code)
    }

    /// Why a text was refused.
    pub fn refused(&self, reply: &Reply, said: Said<'_>, out: &Outbound<'_>) -> SendError {
        let status = reply.status.as_u16();
        let known = said.code.and_then(|code| self.find(code));
        // A code of the table is no secret, however it looks.
        let code = match known {
            Some(known) => Some(known.code.to_owned()),
            None => said.code.and_then(|code| redact::code(code, out)),
        };
        let class = match known {
            Some(known) => known.class(reply.rest),
            None if matches!(status, 408 | 425 | 429) || status >= 500 => {
                Class::Retryable { after: reply.rest }
            }
            // Not the provider's words: something in between refuses. Or its credentials. The text is not at fault.
            None if matches!(status, 300..=399 | 401 | 403 | 404 | 407) && code.is_none()
                || status == 401 =>
            {
                Class::Retryable {
                    after: Some(reply.rest.unwrap_or_default().max(ACCOUNT_REST)),
                }
            }
            None => Class::Terminal,
        };
        let name = self.name;
        let see = |code: &str| self.docs.replace("{}", code);
        let operator = match (&code, known) {
            (Some(code), Some(known)) => format!("{name} {code}: {}; see {}", known.remedy, see(code)),
            (Some(code), None) => format!(
                "{name} {code} (HTTP {status}): {}; see {}",
                redact(said.words.unwrap_or("no message"), out),
                see(code)
            ),
            (None, _) => format!(
                "answered HTTP {status} without one of {name}'s error codes{}; check the account's settings and what stands between",
                said.words
                    .map(|words| format!(" ({})", redact(words, out)))
                    .unwrap_or_default()
            ),
        };
        SendError {
            class,
            provider_code: code,
            operator,
            user: match (known, class) {
                (Some(known), _) => known.user,
                (None, Class::Retryable { .. }) => user::LATER,
                (None, Class::Terminal) => user::NO,
            },
            in_doubt: match known {
                Some(known) => known.kind == Kind::Unclear || status >= 500,
                None => status >= 500,
            },
            opted_out: known.is_some_and(|known| known.kind == Kind::OptedOut),
        }
    }

    /// What a 2xx means: taken, if it names the text. `says_so` is the status that means it even if the rest of the answer
    /// was lost on the way.
    pub fn taken(
        &self,
        reply: &Reply,
        id: Option<String>,
        says_so: Option<StatusCode>,
    ) -> Result<Sent, SendError> {
        if id.is_some() || (Some(reply.status) == says_so && reply.body.is_none()) {
            return Ok(Sent { provider_id: id });
        }
        Err(SendError {
            class: Class::Retryable { after: None },
            provider_code: None,
            operator: format!(
                "answered {} without a message id: this may not be {}; check the account's settings",
                reply.status.as_u16(),
                self.name
            ),
            user: user::LATER,
            in_doubt: true,
            opted_out: false,
        })
    }
}

/// What a table must be, for each provider's tests: `classes` has every code of it, with the class that its documentation
/// gives it.
#[cfg(test)]
pub(crate) fn check_table(dialect: &Dialect, classes: &[(Kind, &[&str])]) {
    let mut codes: Vec<&str> = dialect.table.iter().map(|known| known.code).collect();
    codes.sort_unstable();
    assert!(
        codes.windows(2).all(|two| two[0] != two[1]),
        "a code stands twice"
    );
    let mut named: Vec<&str> = classes
        .iter()
        .flat_map(|(_, codes)| codes.iter().copied())
        .collect();
    named.sort_unstable();
    assert_eq!(codes, named, "the table's codes, and those of the test");
    for (kind, codes) in classes {
        for code in *codes {
            let known = dialect.find(code).unwrap();
            assert_eq!(known.kind, *kind, "{code}");
            assert!(!known.remedy.is_empty() && !known.remedy.ends_with('.') && !known.user.is_empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_at_fault_is_asked_again_slowly() {
        let rest = |known: Known, rest| match known.class(rest) {
            Class::Retryable { after } => after,
            Class::Terminal => panic!("retryable"),
        };
        assert_eq!(rest(account("1", "x"), None), Some(ACCOUNT_REST));
        assert_eq!(
            rest(account("1", "x"), Some(2 * ACCOUNT_REST)),
            Some(2 * ACCOUNT_REST)
        );
        let short = Duration::from_secs(3);
        assert_eq!(rest(passing("1", "x"), Some(short)), Some(short));
        assert_eq!(rest(unclear("1", "x"), None), None);
        assert_eq!(opted_out("1", "x").class(None), Class::Terminal);
    }
}
