//! What goes wrong all the time, from a seed: several at once, in every room.
//!
//! A decision depends on the seed, the two numbers, and the how many-th text (and attempt) between them it is. What else
//! goes on at the same time changes nothing: the same seed decides the same where the same texts come between the same
//! numbers, whoever else texts meanwhile.

use crate::{Fault, OpError, ReceiptStatus};
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use std::time::Duration;

/// Chances are from 0 (never) to 1 (always); what is left out never happens.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Manners {
    pub seed: u64,
    pub send: SendManners,
    pub receipts: ReceiptManners,
    pub posts: PostManners,
}

/// How sends are answered. At most one of these hits a send, drawn from the last to the first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SendManners {
    /// Taken at once, answered later.
    pub slow: Slow,
    /// Taken, and the answer is lost.
    pub lose_answer: LoseAnswer,
    pub error: Errors,
    /// Not taken, 429.
    pub throttle: Throttle,
    /// Not taken, and the connection is reset.
    pub drop: Dropped,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slow {
    pub chance: f64,
    /// From, to.
    #[serde(default = "a_while")]
    pub ms: [u32; 2],
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Throttle {
    pub chance: f64,
    #[serde(default)]
    pub retry_after_s: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Errors {
    pub chance: f64,
    #[serde(default = "server_errors")]
    pub statuses: Vec<u16>,
    /// How many of them are taken all the same.
    #[serde(default)]
    pub taken: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoseAnswer {
    pub chance: f64,
    /// How many of them hang; the connection of the others is reset.
    #[serde(default = "a_quarter")]
    pub hang: f64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dropped {
    pub chance: f64,
}

/// What becomes of delivery receipts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReceiptManners {
    /// One receipt is never posted.
    pub lose: f64,
    /// One receipt is posted twice.
    pub duplicate: f64,
    /// From, to: how long each is held back.
    pub delay_ms: [u32; 2],
    /// The text's receipts come in the wrong order: `delivered` before `sent`.
    pub reorder: f64,
    /// The text's first receipt is posted before its send is answered.
    pub early: f64,
    pub fail: Failures,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failures {
    pub chance: f64,
    /// Numbers or strings.
    #[serde(default = "failure_codes", deserialize_with = "codes")]
    pub codes: Vec<String>,
    #[serde(default = "undelivered")]
    pub statuses: Vec<ReceiptStatus>,
}

/// How texts from phones are posted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PostManners {
    /// An accepted text is posted again with the same id: at once, or after the texts that follow.
    pub duplicate: f64,
    /// From, to: how long each text is held back.
    pub delay_ms: [u32; 2],
    /// A text is held back longer, so that texts of other phones overtake it.
    pub reorder: f64,
    /// Then the phone's own next text overtakes it as well, if it comes meanwhile.
    pub reorder_same_phone: bool,
    /// A post is signed wrongly; refused, the text comes again.
    pub wrong_signature: f64,
    /// An accepted text is posted again with a new id. Generic accounts only.
    pub new_id: f64,
}

fn a_while() -> [u32; 2] {
    [100, 1000]
}

fn server_errors() -> Vec<u16> {
    vec![500, 503]
}

fn a_quarter() -> f64 {
    0.25
}

/// Unreachable handset, unknown destination, landline or unreachable carrier, filtered, unknown
/// (<https://www.twilio.com/docs/api/errors>).
fn failure_codes() -> Vec<String> {
    ["30003", "30005", "30006", "30007", "30008"]
        .map(Into::into)
        .to_vec()
}

fn undelivered() -> Vec<ReceiptStatus> {
    vec![ReceiptStatus::Undelivered]
}

impl Default for Slow {
    fn default() -> Self {
        Self {
            chance: 0.0,
            ms: a_while(),
        }
    }
}

impl Default for Errors {
    fn default() -> Self {
        Self {
            chance: 0.0,
            statuses: server_errors(),
            taken: 0.0,
        }
    }
}

impl Default for LoseAnswer {
    fn default() -> Self {
        Self {
            chance: 0.0,
            hang: a_quarter(),
        }
    }
}

impl Default for Failures {
    fn default() -> Self {
        Self {
            chance: 0.0,
            codes: failure_codes(),
            statuses: undelivered(),
        }
    }
}

/// A provider's code, written as a number or as a string.
#[derive(Deserialize)]
#[serde(untagged)]
enum Code {
    Number(u64),
    Text(String),
}

impl From<Code> for String {
    fn from(code: Code) -> Self {
        match code {
            Code::Number(number) => number.to_string(),
            Code::Text(text) => text,
        }
    }
}

fn codes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let codes: Vec<Code> = Vec::deserialize(deserializer)?;
    Ok(codes.into_iter().map(Into::into).collect())
}

pub(crate) fn code<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let code: Option<Code> = Option::deserialize(deserializer).map_err(D::Error::custom)?;
    Ok(code.map(Into::into))
}

impl Manners {
    /// Refuses what cannot be done.
    pub(crate) fn check(&self) -> Result<(), OpError> {
        let (send, receipts, posts) = (&self.send, &self.receipts, &self.posts);
        let invalid = |field, remedy| Err(OpError::Invalid { field, remedy });
        for (field, chance) in [
            ("send.slow.chance", send.slow.chance),
            ("send.throttle.chance", send.throttle.chance),
            ("send.error.chance", send.error.chance),
            ("send.error.taken", send.error.taken),
            ("send.lose_answer.chance", send.lose_answer.chance),
            ("send.lose_answer.hang", send.lose_answer.hang),
            ("send.drop.chance", send.drop.chance),
            ("receipts.lose", receipts.lose),
            ("receipts.duplicate", receipts.duplicate),
            ("receipts.reorder", receipts.reorder),
            ("receipts.early", receipts.early),
            ("receipts.fail.chance", receipts.fail.chance),
            ("posts.duplicate", posts.duplicate),
            ("posts.reorder", posts.reorder),
            ("posts.wrong_signature", posts.wrong_signature),
            ("posts.new_id", posts.new_id),
        ] {
            if !(0.0..=1.0).contains(&chance) {
                return invalid(field, "must be a chance from 0 to 1");
            }
        }
        for (field, [from, to]) in [
            ("send.slow.ms", send.slow.ms),
            ("receipts.delay_ms", receipts.delay_ms),
            ("posts.delay_ms", posts.delay_ms),
        ] {
            if from > to {
                return invalid(field, "must be two numbers, the smaller one first");
            }
        }
        let statuses = &send.error.statuses;
        if statuses.is_empty() || statuses.iter().any(|status| !(400..=599).contains(status)) {
            return invalid("send.error.statuses", "must be some of 400 to 599");
        }
        let failed = |status: &ReceiptStatus| status.is_final() && *status != ReceiptStatus::Delivered;
        if receipts.fail.codes.is_empty()
            || receipts.fail.statuses.is_empty()
            || !receipts.fail.statuses.iter().all(failed)
        {
            return invalid("receipts.fail", "needs codes, and statuses that are failures");
        }
        Ok(())
    }

    /// What is to go wrong with a send, and the manner's name.
    pub(crate) fn fate(&self, dice: Dice) -> Option<(&'static str, Fault)> {
        let send = &self.send;
        let (name, fault) = if dice.hits("drop", send.drop.chance) {
            ("send.drop", Fault::Reset { taken: false })
        } else if dice.hits("throttle", send.throttle.chance) {
            let fault = Fault::Answer {
                status: 429,
                code: None,
                retry_after_s: send.throttle.retry_after_s,
                taken: false,
            };
            ("send.throttle", fault)
        } else if dice.hits("error", send.error.chance) {
            let fault = Fault::Answer {
                status: *dice.pick("status", &send.error.statuses),
                code: None,
                retry_after_s: None,
                taken: dice.hits("error taken", send.error.taken),
            };
            ("send.error", fault)
        } else if dice.hits("lose_answer", send.lose_answer.chance) {
            let fault = match dice.hits("hang", send.lose_answer.hang) {
                true => Fault::Hang { taken: true },
                false => Fault::Reset { taken: true },
            };
            ("send.lose_answer", fault)
        } else if dice.hits("slow", send.slow.chance) {
            let ms = dice.between("slow ms", send.slow.ms).as_millis() as u32;
            ("send.slow", Fault::Slow { ms })
        } else {
            return None;
        };
        Some((name, fault))
    }

    pub(crate) fn dice(&self, room: Room, from: &str, to: &str, nth: u64) -> Dice {
        let mut hash = mix(self.seed ^ room as u64);
        for part in [from, to] {
            hash = mix(hash ^ fnv(part));
        }
        Dice(mix(hash ^ nth))
    }
}

/// Decisions in one room tell nothing about those in another.
#[derive(Clone, Copy)]
pub(crate) enum Room {
    Send = 1,
    Receipts,
    Posts,
}

/// Everything that is decided about one text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dice(u64);

impl Dice {
    /// For the how many-th attempt.
    pub fn attempt(self, n: u32) -> Self {
        Self(mix(self.0 ^ u64::from(n)))
    }

    pub fn hits(self, what: &str, chance: f64) -> bool {
        chance > 0.0 && self.draw(what) < chance
    }

    pub fn between(self, what: &str, [from, to]: [u32; 2]) -> Duration {
        let ms = f64::from(from) + self.draw(what) * (f64::from(to) - f64::from(from) + 1.0);
        Duration::from_millis((ms as u64).min(to.into()))
    }

    /// One of several; there is at least one.
    pub fn pick<'a, T>(self, what: &str, all: &'a [T]) -> &'a T {
        &all[((self.draw(what) * all.len() as f64) as usize).min(all.len() - 1)]
    }

    /// From 0 to less than 1.
    fn draw(self, what: &str) -> f64 {
        (mix(self.0 ^ fnv(what)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// FNV-1a, and the last step of splitmix64: the same on every machine and with every version.
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn mix(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn hits(seed: u64, chance: f64) -> Vec<bool> {
        let manners = Manners {
            seed,
            ..Manners::default()
        };
        let dice = |n: u64| manners.dice(Room::Send, "+1", &format!("+{}", n % 100), n / 100);
        (0..10_000).map(|n| dice(n).hits("drop", chance)).collect()
    }

    #[test]
    fn a_seed_decides_and_chances_are_kept() {
        assert_eq!(hits(1, 0.3), hits(1, 0.3));
        assert_ne!(hits(1, 0.3), hits(2, 0.3));
        for chance in [0.0, 0.05, 0.3, 1.0] {
            let share = hits(7, chance).iter().filter(|hit| **hit).count() as f64 / 10_000.0;
            assert!((share - chance).abs() < 0.02, "{chance}: {share}");
        }
        let dice = Manners::default().dice(Room::Posts, "+1", "+2", 0);
        let drawn: Vec<u128> = (0..2000)
            .map(|n| dice.attempt(n).between("delay", [5, 9]).as_millis())
            .collect();
        assert!(drawn.iter().all(|ms| (5..=9).contains(ms)));
        assert!((5..=9).all(|ms| drawn.iter().filter(|drawn| **drawn == ms).count() > 300));
        assert_eq!(dice.between("delay", [0, 0]), Duration::ZERO);
    }

    #[test]
    fn manners_are_read_as_the_readme_writes_them_and_checked() {
        let all = json!({
            "seed": 7,
            "send": {
                "slow": {"chance": 0.1, "ms": [50, 400]},
                "throttle": {"chance": 0.05, "retry_after_s": 1},
                "error": {"chance": 0.05, "statuses": [500, 503]},
                "lose_answer": {"chance": 0.02},
                "drop": {"chance": 0.02},
            },
            "receipts": {
                "lose": 0.1, "duplicate": 0.1, "delay_ms": [0, 300], "reorder": 0.1, "early": 0.1,
                "fail": {"chance": 0.05, "codes": [30003, "30005"]},
            },
            "posts": {
                "duplicate": 0.1, "delay_ms": [0, 200], "reorder": 0.1, "wrong_signature": 0.05, "new_id": 0.05,
            },
        });
        let manners: Manners = serde_json::from_value(all).unwrap();
        assert_eq!(manners.check(), Ok(()));
        assert_eq!(manners.receipts.fail.codes, ["30003", "30005"]);
        assert_eq!(manners.receipts.fail.statuses, [ReceiptStatus::Undelivered]);
        assert_eq!(
            (manners.send.lose_answer.hang, manners.posts.reorder_same_phone),
            (0.25, false)
        );
        let again: Manners = serde_json::from_str(&serde_json::to_string(&manners).unwrap()).unwrap();
        assert_eq!(again, manners);

        for (wrong, field) in [
            (json!({"send": {"drop": {"chance": 1.1}}}), "send.drop.chance"),
            (json!({"posts": {"delay_ms": [2, 1]}}), "posts.delay_ms"),
            (
                json!({"send": {"error": {"chance": 1, "statuses": []}}}),
                "send.error.statuses",
            ),
            (
                json!({"receipts": {"fail": {"chance": 1, "statuses": ["delivered"]}}}),
                "receipts.fail",
            ),
        ] {
            let wrong: Manners = serde_json::from_value(wrong).unwrap();
            assert!(
                matches!(wrong.check(), Err(OpError::Invalid { field: at, .. }) if at == field),
                "{field}"
            );
        }
        assert!(serde_json::from_value::<Manners>(json!({"posts": {"late": 1}})).is_err());
    }
}
