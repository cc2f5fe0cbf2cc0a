use crate::{AccountError, Class};
use ccm_model::LineType;
use std::time::Duration;

/// What a provider says about a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberFacts {
    /// Whether there can be such a number.
    pub valid: bool,
    /// Two letters (ISO 3166-1).
    pub country: Option<String>,
    /// `None`: it cannot tell.
    pub line: Option<LineType>,
    /// At most [`MAX_CARRIER_NAME`] characters.
    pub carrier: Option<String>,
    /// The mobile network's codes (ITU-T E.212).
    pub mobile_country_code: Option<String>,
    pub mobile_network_code: Option<String>,
}

/// How much of a carrier's name is kept.
pub const MAX_CARRIER_NAME: usize = 100;

/// Why a number was not looked up. `Display` is the operator's text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{operator}")]
pub struct NumberLookUpError {
    /// Whether asking again can help.
    pub class: Class,
    /// The provider's name of the failure, as its documentation has it.
    pub provider_code: Option<String>,
    /// What happened and what to do about it, for the operator. Safe to log: no number, no secret.
    pub operator: String,
    /// The same for whoever asked.
    pub user: &'static str,
}

impl NumberLookUpError {
    /// The account cannot be used as it is stored.
    pub fn unusable(error: &AccountError) -> Self {
        Self::lasting(&format!("its account cannot be used: {error}"))
    }

    /// The caller waits no longer.
    pub fn too_slow(limit: Duration) -> Self {
        Self::passing(&format!("no answer within {} ms", limit.as_millis()))
    }

    pub(crate) fn passing(why: &str) -> Self {
        Self {
            class: Class::Retryable { after: None },
            provider_code: None,
            operator: format!("the provider could not be asked about a number: {why}"),
            user: user::LATER,
        }
    }

    pub(crate) fn lasting(why: &str) -> Self {
        Self {
            class: Class::Terminal,
            user: user::NO,
            ..Self::passing(why)
        }
    }
}

/// What whoever asked reads: an agent can do nothing about a token.
mod user {
    pub const LATER: &str = "The provider could not be asked about this number; try again later.";
    pub const NO: &str = "The provider says nothing about this number.";
}
