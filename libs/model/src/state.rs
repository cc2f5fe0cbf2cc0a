use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A state's name that this version does not know: the database was written by a newer one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {kind} {name:?}")]
pub struct UnknownState {
    /// Which enum was read.
    pub kind: &'static str,
    /// What stood there.
    pub name: String,
}

macro_rules! states {
    ($($(#[$doc:meta])* $enum:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $enum { $($(#[$vdoc])* #[serde(rename = $text)] $variant),* }

        impl $enum {
            /// Every value, in the order of a life.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name that the database and the API use.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }
        impl fmt::Display for $enum {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl FromStr for $enum {
            type Err = UnknownState;
            fn from_str(s: &str) -> Result<Self, UnknownState> {
                match s {
                    $($text => Ok(Self::$variant),)*
                    _ => Err(UnknownState { kind: stringify!($enum), name: s.to_owned() }),
                }
            }
        }
    )*};
}

states! {
    /// Which way a text goes, as the SMS trade says it.
    Direction {
        /// Mobile originated: from the customer's phone.
        Mo = "mo",
        /// Mobile terminated: to the customer's phone.
        Mt = "mt",
    }

    /// Who wrote a text.
    Origin {
        Customer = "customer",
        Agent = "agent",
        /// CCM itself, in the tenant's words (notices).
        System = "system",
    }

    /// Where a text is on its way. MO: accepted → sending → delivered, or refused. MT: queued → sending → sent →
    /// delivered, or one of the failures.
    MessageState {
        /// MO: stored, not yet written to the agent's chat.
        Accepted = "accepted",
        /// MT: stored, not yet handed to the provider.
        Queued = "queued",
        /// Handed over at least once, without an answer yet.
        Sending = "sending",
        /// MT: the provider took it.
        Sent = "sent",
        /// MO: AACC acknowledged it. MT: the provider's receipt says that the phone has it.
        Delivered = "delivered",
        /// MO: AACC refused it again and again while an agent was present; an operator can replay it.
        Refused = "refused",
        /// MT: the provider refused it for good.
        Failed = "failed",
        /// MT: receipt: the phone cannot be reached.
        Undeliverable = "undeliverable",
        /// MT: receipt: not delivered within its validity.
        Expired = "expired",
        /// MT: receipt: the network does not know.
        Unknown = "unknown",
    }

    /// What a provider's receipt says of a text of ours, in the order in which one overrules another: receipts come late, twice
    /// and out of order.
    Report {
        Queued = "queued",
        Sending = "sending",
        Sent = "sent",
        /// The network does not know.
        Unknown = "unknown",
        /// Not delivered within its validity.
        Expired = "expired",
        /// The phone cannot be reached.
        Undeliverable = "undeliverable",
        /// The provider or a carrier refused it.
        Failed = "failed",
        /// The phone has it, whatever was said before.
        Delivered = "delivered",
    }

    /// A conversation is open from its first text until its last chat has ended and nothing waits.
    ConversationState {
        Open = "open",
        Closed = "closed",
    }

    /// Where an EWC chat is, as stored: enough for another pod to take it over.
    ChatState {
        /// AACC gave a guid and key; no agent is in.
        Waiting = "waiting",
        /// An agent is in.
        Live = "live",
        /// Over.
        Closed = "closed",
    }

    /// How far a caller has come who was offered a text chat.
    DeflectionState {
        /// No offer was made: the caller stays in the voice queue.
        Refused = "refused",
        /// The offer is stored, not yet taken by the provider.
        Offered = "offered",
        /// The provider took it.
        Sent = "sent",
        /// The phone has it.
        Delivered = "delivered",
        /// The caller texted back or clicked.
        Answered = "answered",
        /// AACC has opened the chat.
        Chat = "chat",
        /// The chat was over before an agent wrote, or there was none.
        Abandoned = "abandoned",
        /// No answer in time.
        Expired = "expired",
        /// The offer did not reach the phone.
        Failed = "failed",
        /// The script took it back before it was answered, or the caller wants no texts.
        Withdrawn = "withdrawn",
    }

    /// Whether a tenant's webhook is called, and why not.
    WebhookState {
        Enabled = "enabled",
        /// By hand.
        Disabled = "disabled",
        /// The receiver said that it is there no more (410).
        Gone = "gone",
        /// For days nothing was taken.
        Failing = "failing",
    }

    /// How far an event is on its way to a webhook.
    DeliveryState {
        /// It will be tried, for the first time or again.
        Pending = "pending",
        /// The receiver took it.
        Delivered = "delivered",
        /// It is not tried any more, until somebody replays it.
        Failed = "failed",
    }

    /// What a screen-pop key opens.
    KeyUse {
        /// The agents' page.
        Screenpop = "screenpop",
        /// The API that voice scripts call.
        Deflection = "deflection",
        /// What is known about a number, for pages of a tenant's own.
        NumberCheck = "number-check",
    }

    /// What a number of ours is to its carrier, which decides how fast it may send.
    NumberKind {
        /// An ordinary number, mobile or fixed.
        LongCode = "long_code",
        TollFree = "toll_free",
        ShortCode = "short_code",
    }

    /// What kind of line a number is, as a provider that was asked about it says.
    LineType {
        Mobile = "mobile",
        FixedLine = "fixed_line",
        /// Over the internet, at an address.
        FixedVoip = "fixed_voip",
        /// Over the internet, from anywhere.
        NonFixedVoip = "non_fixed_voip",
        TollFree = "toll_free",
        PremiumRate = "premium_rate",
        SharedCost = "shared_cost",
        Personal = "personal",
        Company = "company",
        Voicemail = "voicemail",
        Pager = "pager",
    }

    /// The dialect of a provider account.
    ProviderKind {
        /// Twilio's Programmable Messaging.
        Twilio = "twilio",
        /// CCM's generic JSON over HTTP.
        Http = "http",
        /// Any other provider over HTTP, described by its account's settings.
        Custom = "custom",
        /// Vonage's SMS API.
        Vonage = "vonage",
        /// Telnyx's Messaging API v2.
        Telnyx = "telnyx",
        /// Bandwidth's Messaging API v2.
        Bandwidth = "bandwidth",
        /// Plivo's Messaging API.
        Plivo = "plivo",
        /// Infobip's SMS API v3.
        Infobip = "infobip",
    }
}

impl DeflectionState {
    /// Whether an answer is still waited for.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Offered | Self::Sent | Self::Delivered)
    }
}

impl NumberKind {
    /// Segments a second that its carriers usually take.
    pub fn usual_rate(self) -> f32 {
        match self {
            Self::LongCode => 1.0,
            Self::TollFree => 3.0,
            Self::ShortCode => 100.0,
        }
    }
}

impl Report {
    /// The one of the two that counts, whichever came first.
    pub fn and(self, other: Self) -> Self {
        if (other as u8) > (self as u8) { other } else { self }
    }

    /// Whether it says that the phone does not have the text.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Expired | Self::Undeliverable | Self::Failed)
    }

    /// The state of a text that the provider has taken.
    pub fn state(self) -> MessageState {
        match self {
            Self::Queued | Self::Sending | Self::Sent => MessageState::Sent,
            Self::Unknown => MessageState::Unknown,
            Self::Expired => MessageState::Expired,
            Self::Undeliverable => MessageState::Undeliverable,
            Self::Failed => MessageState::Failed,
            Self::Delivered => MessageState::Delivered,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn receipts_in_any_order_come_to_the_same(picks in proptest::collection::vec(0..Report::ALL.len(), 1..8), turn in 0usize..8) {
            let mut reports: Vec<Report> = picks.iter().map(|n| Report::ALL[*n]).collect();
            let first = reports.iter().copied().reduce(Report::and);
            let turn = turn % reports.len();
            reports.rotate_left(turn);
            reports.push(reports[0]);
            prop_assert_eq!(reports.iter().copied().reduce(Report::and), first);
            let delivered = reports.contains(&Report::Delivered);
            prop_assert_eq!(first.unwrap().state() == MessageState::Delivered, delivered);
        }
    }

    #[test]
    fn names_read_back() {
        for s in MessageState::ALL {
            assert_eq!(s.as_str().parse(), Ok(*s));
            assert_eq!(serde_json::to_value(s).unwrap(), s.as_str());
        }
        assert!("gone".parse::<ChatState>().is_err());
    }
}
