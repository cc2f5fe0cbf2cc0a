//! What the tests of several providers share.

use crate::{Account, Check, Inbound, ReceiveError, Received, receive};
use ::http::{HeaderMap, HeaderName, StatusCode};
use ccm_model::ProviderKind;
use serde_json::Value;
use time::{OffsetDateTime, macros::datetime};

pub const NOW: OffsetDateTime = datetime!(2026-11-23 08:00:00 UTC);
pub const URL: &str = "https://ccm.example/v1/sms/x/7";

pub fn account(kind: ProviderKind, settings: &Value, secret: &Value) -> Account {
    Account::parse(kind, settings, secret.to_string().as_bytes()).unwrap()
}

/// A webhook's request as a provider makes it.
#[derive(Clone)]
pub struct Post {
    pub url: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
    pub now: OffsetDateTime,
}

impl Post {
    pub fn new(headers: Vec<(&'static str, String)>, body: String) -> Self {
        Self {
            url: URL.to_owned(),
            headers,
            body,
            now: NOW,
        }
    }

    pub fn take(&self, account: &Account, check: Check) -> Result<Received, ReceiveError> {
        let headers: HeaderMap = self
            .headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        let inbound = Inbound {
            url: &self.url,
            headers: &headers,
            body: self.body.as_bytes(),
            check,
            now: self.now,
        };
        receive(account, &inbound)
    }

    /// What is signed rightly is taken, and anything else of these is refused with 403, unless it is to be reported only.
    pub fn is_held_to_its_signature(&self, account: &Account, wrong: &[(&str, Self)]) {
        assert_eq!(self.take(account, Check::Enforce).unwrap().mismatch, None);
        for (name, post) in wrong {
            let e = post.take(account, Check::Enforce).expect_err(name);
            assert_eq!(e.status(), StatusCode::FORBIDDEN, "{name}: {e}");
            if !matches!(e, ReceiveError::WrongAccount { .. }) {
                let received = post.take(account, Check::Report);
                assert!(
                    received.is_err_and(|e| e.status() == StatusCode::UNPROCESSABLE_ENTITY)
                        || post.take(account, Check::Report).unwrap().mismatch == Some(e),
                    "{name}"
                );
            }
        }
    }

    pub fn with_header(&self, name: &'static str, value: &str) -> Self {
        let mut post = self.without_header(name);
        post.headers.push((name, value.to_owned()));
        post
    }

    pub fn without_header(&self, name: &'static str) -> Self {
        let mut post = self.clone();
        post.headers.retain(|(n, _)| *n != name);
        post
    }

    pub fn with_body(&self, body: &str) -> Self {
        Self {
            body: body.to_owned(),
            ..self.clone()
        }
    }

    pub fn later(&self, seconds: i64) -> Self {
        Self {
            now: self.now + time::Duration::seconds(seconds),
            ..self.clone()
        }
    }
}
