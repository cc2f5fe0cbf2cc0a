//! What goes wrong on order.

use crate::{ReceiptStatus, manners};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// One thing to go wrong. The first four hit the next send that is in order (signed, complete), `receipts` the next text
/// that is taken, the others the next post of a text from a phone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// Answer with this status and code. `taken`: although the phone gets the text.
    Answer {
        status: u16,
        #[serde(default)]
        code: Option<String>,
        #[serde(default)]
        retry_after_s: Option<u32>,
        #[serde(default)]
        taken: bool,
    },
    /// Never answer.
    Hang {
        #[serde(default)]
        taken: bool,
    },
    /// Reset the connection instead of answering.
    Reset {
        #[serde(default)]
        taken: bool,
    },
    /// Take it and answer after this time.
    Slow { ms: u32 },
    /// Post an accepted webhook this many times more, with the same id, or each time with a new one.
    DuplicatePost {
        #[serde(default = "one")]
        copies: u32,
        #[serde(default)]
        new_id: bool,
    },
    /// Sign a webhook with another secret.
    WrongSignature,
    /// A text's delivery receipts are these, in this order; none: they are lost.
    Receipts {
        receipts: Vec<OrderedReceipt>,
        /// The first is posted before the send is answered.
        #[serde(default)]
        early: bool,
    },
}

/// One delivery receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderedReceipt {
    pub status: ReceiptStatus,
    /// The provider's code, as a number or a string.
    #[serde(default, deserialize_with = "manners::code")]
    pub code: Option<String>,
    /// After the one before.
    #[serde(default)]
    pub after_ms: u32,
}

impl From<ReceiptStatus> for OrderedReceipt {
    fn from(status: ReceiptStatus) -> Self {
        Self {
            status,
            code: None,
            after_ms: 0,
        }
    }
}

/// A fault, how often, and for whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultOrder {
    #[serde(flatten)]
    pub fault: Fault,
    /// How many sends or posts it hits.
    #[serde(default = "one")]
    pub times: u32,
    /// Only this account's; otherwise everybody's.
    #[serde(default)]
    pub account: Option<String>,
}

fn one() -> u32 {
    1
}

impl From<Fault> for FaultOrder {
    fn from(fault: Fault) -> Self {
        Self {
            fault,
            times: 1,
            account: None,
        }
    }
}

/// What a fault hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Send,
    /// A text that was taken.
    Receipts,
    Post,
    /// After a post was accepted.
    Accepted,
}

impl Fault {
    fn target(&self) -> Target {
        match self {
            Self::Answer { .. } | Self::Hang { .. } | Self::Reset { .. } | Self::Slow { .. } => Target::Send,
            Self::Receipts { .. } => Target::Receipts,
            Self::WrongSignature => Target::Post,
            Self::DuplicatePost { .. } => Target::Accepted,
        }
    }
}

/// Orders in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Faults(VecDeque<FaultOrder>);

impl Faults {
    pub fn add(&mut self, order: FaultOrder) {
        if order.times > 0 {
            self.0.push_back(order);
        }
    }

    /// The first that fits, used up once.
    pub fn next(&mut self, target: Target, account: &str) -> Option<Fault> {
        let fits = |order: &FaultOrder| {
            order.fault.target() == target && order.account.as_deref().is_none_or(|only| only == account)
        };
        let at = self.0.iter().position(fits)?;
        let order = &mut self.0[at];
        order.times -= 1;
        let fault = order.fault.clone();
        if order.times == 0 {
            self.0.remove(at);
        }
        Some(fault)
    }

    pub fn list(&self) -> Vec<FaultOrder> {
        self.0.iter().cloned().collect()
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_used_up_one_by_one_and_only_by_whom_they_are_for() {
        let mut faults = Faults::default();
        faults.add(FaultOrder {
            fault: Fault::Hang { taken: true },
            times: 2,
            account: Some("a".into()),
        });
        faults.add(Fault::WrongSignature.into());
        assert_eq!(faults.next(Target::Send, "b"), None);
        assert_eq!(faults.next(Target::Send, "a"), Some(Fault::Hang { taken: true }));
        assert_eq!(faults.next(Target::Post, "b"), Some(Fault::WrongSignature));
        assert_eq!(faults.next(Target::Post, "b"), None);
        assert_eq!(faults.list().len(), 1);
        assert!(faults.next(Target::Send, "a").is_some());
        assert!(faults.list().is_empty());
    }

    #[test]
    fn orders_are_read_as_the_readme_writes_them() {
        for (json, fault) in [
            (
                r#"{"fault":"answer","status":429,"retry_after_s":1,"times":3}"#,
                Fault::Answer {
                    status: 429,
                    code: None,
                    retry_after_s: Some(1),
                    taken: false,
                },
            ),
            (r#"{"fault":"hang","taken":true}"#, Fault::Hang { taken: true }),
            (r#"{"fault":"reset"}"#, Fault::Reset { taken: false }),
            (r#"{"fault":"slow","ms":50}"#, Fault::Slow { ms: 50 }),
            (
                r#"{"fault":"duplicate_post"}"#,
                Fault::DuplicatePost {
                    copies: 1,
                    new_id: false,
                },
            ),
            (
                r#"{"fault":"duplicate_post","copies":2,"new_id":true}"#,
                Fault::DuplicatePost {
                    copies: 2,
                    new_id: true,
                },
            ),
            (
                r#"{"fault":"receipts","receipts":[{"status":"sent"},{"status":"undeliverable","code":30003,"after_ms":9}]}"#,
                Fault::Receipts {
                    receipts: vec![
                        ReceiptStatus::Sent.into(),
                        OrderedReceipt {
                            status: ReceiptStatus::Undelivered,
                            code: Some("30003".into()),
                            after_ms: 9,
                        },
                    ],
                    early: false,
                },
            ),
            (
                r#"{"fault":"wrong_signature","account":"x"}"#,
                Fault::WrongSignature,
            ),
        ] {
            assert_eq!(
                serde_json::from_str::<FaultOrder>(json).unwrap().fault,
                fault,
                "{json}"
            );
        }
    }
}
