//! Sending to real servers on port 0: each class of answer, and each way in which an answer can fail to come.

mod dialects;
mod http;
mod look_up;
mod look_up_number;
mod provider;
mod simulated;
mod twilio;

use ccm_model::{Address, Body, MessageId};
use ccm_sms::{Allowed, Class, Client, Outbound, SendError};
use std::{sync::Once, time::Duration};
use time::macros::datetime;

/// Stands in what is sent, and nowhere else.
const TEXT: &str = "CANARY-BODY: quux pays 17.50 €, Grüße + 😀 & 1%";
const TO: &str = "+19995550123";
const FROM: &str = "+19995550199";
const RECEIPTS: &str = "https://sms.example.com/v1/sms/twilio/7";

fn client() -> Client {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    });
    ccm_sms::client(Allowed::also(vec!["127.0.0.0/8".parse().unwrap()])).unwrap()
}

struct Text {
    from: Address,
    to: Address,
    body: Body,
}

impl Text {
    fn new() -> Self {
        Self {
            from: FROM.parse().unwrap(),
            to: TO.parse().unwrap(),
            body: Body::new(TEXT).unwrap(),
        }
    }

    fn out(&self) -> Outbound<'_> {
        Outbound {
            message_id: MessageId(uuid::Uuid::from_u128(7)),
            from: &self.from,
            to: &self.to,
            body: &self.body,
            attempt: 2,
            receipts_to: Some(RECEIPTS),
            now: datetime!(2026-11-23 08:00:00 UTC),
        }
    }
}

const LATER: Class = Class::Retryable { after: None };

fn after(seconds: u64) -> Class {
    Class::Retryable {
        after: Some(Duration::from_secs(seconds)),
    }
}

/// Nothing that an error prints holds the text, a number or a secret.
fn must_be_safe(e: &SendError) {
    let shown = format!("{e} {e:?}").to_lowercase();
    for private in [
        "canary", "quux", "grüße", "17.50", "😀", "5550123", "5550199", "to hide", "hidden",
    ] {
        assert!(!shown.contains(private), "{private} stands in {shown}");
    }
}
