//! SMS providers: what each one's webhooks mean, and how each one is asked to send.
//!
//! A provider is a folder with five things: the [`Shape`] of its account (settings and secrets), the account, [`receive`] (pure: a request becomes
//! events), [`send`], and what it strips from the provider's words before they can be logged (`redact`). One that can be
//! asked what it has also has a [`look_up`], one that knows about numbers a [`look_up_number`]. A new provider is a new folder, a line in the registry below and a kind in
//! [`ProviderKind`]; nothing else in the project names a provider.
//!
//! Nothing in here logs. What an error prints (`Display` and `Debug`) never holds a text, a phone number or a secret.

mod account;
mod bandwidth;
mod call;
mod custom;
mod failure;
mod http;
mod inbound;
mod infobip;
mod json;
mod jwt;
mod number;
mod outbound;
mod plivo;
mod redact;
mod shape;
mod sign;
mod telnyx;
#[cfg(test)]
mod testing;
mod twilio;
mod vonage;

pub use account::AccountError;
pub use call::client;
pub use ccm_egress::{Allowed, Client};
pub use inbound::{Answer, Check, Event, Inbound, MAX_WEBHOOK_BYTES, Part, ReceiveError, Received};
pub use number::{MAX_CARRIER_NAME, NumberFacts, NumberLookUpError};
pub use outbound::{Class, Found, LookUp, Outbound, SendError, Sent};
pub use shape::{Field, Form, Shape, Word};

use ccm_model::{Address, ProviderKind};
use serde_json::Value;
use std::time::Duration;

macro_rules! registry {
    ($($kind:ident => $provider:ident $(with $look_up:ident)? $(and $look_up_number:ident)?),* $(,)?) => {
        /// An account with a provider, ready for use: what it is called there and what it signs with.
        ///
        /// `Debug` shows neither secrets nor what is in an address' query.
        #[derive(Debug, Clone)]
        pub struct Account(Provider);

        #[derive(Debug, Clone)]
        enum Provider { $($kind($provider::Account)),* }

        impl Account {
            /// Reads an account as it is stored: settings, and the opened secrets (JSON).
            pub fn parse(kind: ProviderKind, settings: &Value, secret: &[u8]) -> Result<Self, AccountError> {
                Ok(Self(match kind {
                    $(ProviderKind::$kind => Provider::$kind($provider::Account::parse(settings, secret)?)),*
                }))
            }

            /// The provider's kind.
            pub fn kind(&self) -> ProviderKind {
                match &self.0 { $(Provider::$kind(_) => ProviderKind::$kind),* }
            }

            /// How long [`send`] takes at most: a claim on a text must last longer.
            pub fn timeout(&self) -> Duration {
                match &self.0 { $(Provider::$kind(account) => account.timeout),* }
            }
        }

        /// What an account of this kind is made of.
        pub fn shape(kind: ProviderKind) -> &'static Shape {
            match kind { $(ProviderKind::$kind => &$provider::SHAPE),* }
        }

        /// Whether the provider knows a text that it already has when it is sent once more (by an idempotency key). With
        /// one that does not, a text whose first attempt is in doubt may reach the phone twice, and the second attempt is
        /// a re-send.
        pub fn recognises_retries(kind: ProviderKind) -> bool {
            match kind { $(ProviderKind::$kind => $provider::RECOGNISES_RETRIES),* }
        }

        /// Authenticates a webhook's request and says what happened. The events are to be stored before the answer is
        /// given: a provider that has its answer never asks again.
        pub fn receive(account: &Account, inbound: &Inbound<'_>) -> Result<Received, ReceiveError> {
            if inbound.body.len() > MAX_WEBHOOK_BYTES {
                return Err(ReceiveError::TooLarge);
            }
            match &account.0 { $(Provider::$kind(account) => $provider::receive(account, inbound)),* }
        }

        /// Hands one text to the provider. `http` comes from [`client`].
        pub async fn send(http: &Client, account: &Account, out: &Outbound<'_>) -> Result<Sent, SendError> {
            match &account.0 { $(Provider::$kind(account) => $provider::send(http, account, out).await),* }
        }

        /// Whether the provider can be asked whether it has a text already ([`look_up`]).
        pub fn can_look_up(kind: ProviderKind) -> bool {
            match kind {
                $($(ProviderKind::$kind => { let _ = $provider::$look_up; true })?)*
                #[allow(unreachable_patterns, reason = "were all of them to be asked")]
                _ => false,
            }
        }

        /// Asks the provider for its messages with these words between these two addresses, from `since` on. One that
        /// cannot be asked gives a terminal error, and so does one that will not tell.
        pub async fn look_up(
            http: &Client,
            account: &Account,
            out: &Outbound<'_>,
            since: time::OffsetDateTime,
        ) -> Result<LookUp, SendError> {
            match &account.0 {
                $(
                    $(Provider::$kind(account) => return $provider::$look_up(http, account, out, since).await,)?
                )*
                #[allow(unreachable_patterns, reason = "were all of them to be asked")]
                _ => Err(SendError { class: Class::Terminal, ..call::unasked("it has no way to be asked") }),
            }
        }

        /// Whether the provider can be asked about numbers ([`look_up_number`]).
        pub fn can_look_up_numbers(kind: ProviderKind) -> bool {
            match kind {
                $($(ProviderKind::$kind => { let _ = $provider::$look_up_number; true })?)*
                #[allow(unreachable_patterns, reason = "were all of them to be asked")]
                _ => false,
            }
        }

        /// Asks the provider what kind of line a full number is. It costs the account's owner money. One that cannot be
        /// asked gives a terminal error.
        pub async fn look_up_number(
            http: &Client,
            account: &Account,
            number: &Address,
            now: time::OffsetDateTime,
        ) -> Result<NumberFacts, NumberLookUpError> {
            match &account.0 {
                $(
                    $(Provider::$kind(account) => return $provider::$look_up_number(http, account, number, now).await,)?
                )*
                #[allow(unreachable_patterns, reason = "were all of them to be asked")]
                _ => Err(NumberLookUpError::lasting("it has no way to be asked")),
            }
        }
    };
}

registry! {
    Twilio => twilio with look_up and look_up_number,
    Http => http,
    Custom => custom,
    Vonage => vonage,
    Telnyx => telnyx,
    Bandwidth => bandwidth,
    Plivo => plivo,
    Infobip => infobip,
}

/// The example of `docs/adding-a-provider.md`.
#[cfg(test)]
mod example;
