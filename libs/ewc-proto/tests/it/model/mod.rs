//! A model of AACC, of the links and of the owner of a conversation, in virtual time: whatever happens in between, no text
//! is lost, order is kept, a text arrives twice only if it was in doubt, and the session never waits for nothing
//! (promises 2, 3 and 4 of the design).
//!
//! 10,000 cases a run, in four tests, as a process each is what the machine's cores share best. Each prints its seed;
//! `CCM_PROPTEST_SEED=…` runs the same cases again, `CCM_PROPTEST_CASES=…` more or fewer.

mod aacc;
mod ops;
mod owner;
mod wire;
mod world;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;

use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};

use ops::case;
use world::World;

/// Of each of the four tests.
const CASES: u32 = 2_500;

/// What happened, and how often: a model in which it never does proves nothing.
type Seen = BTreeMap<&'static str, u64>;

const MUST_BE_SEEN: [&str; 23] = [
    "a broken link",
    "a resume",
    "a resume with a new key",
    "an expired chat",
    "a text delivered",
    "a text held",
    "a text in doubt",
    "a dead letter",
    "a text taken twice",
    "maintenance",
    "a clock that jumped hours",
    "a hand-over with a text in flight",
    "a hand-over at rest",
    "a forgotten chat in which nothing waits",
    "a take-over from a live session",
    "a chat stolen back by the old session",
    "a transfer or requeue",
    "a supervisor who barged in",
    "an observer",
    "a repeated text of an agent",
    "a replayed text of the customer",
    "late words while leaving",
    "an answer to the wrong text",
];

fn from_env<T: FromStr>(name: &str) -> Option<T> {
    let value = std::env::var(name).ok()?;
    Some(
        value
            .parse()
            .ok()
            .unwrap_or_else(|| panic!("{name}: not a number")),
    )
}

#[test]
fn nothing_is_lost_doubled_or_stuck_1() {
    nothing_is_lost_doubled_or_stuck();
}

#[test]
fn nothing_is_lost_doubled_or_stuck_2() {
    nothing_is_lost_doubled_or_stuck();
}

#[test]
fn nothing_is_lost_doubled_or_stuck_3() {
    nothing_is_lost_doubled_or_stuck();
}

#[test]
fn nothing_is_lost_doubled_or_stuck_4() {
    nothing_is_lost_doubled_or_stuck();
}

fn nothing_is_lost_doubled_or_stuck() {
    let cases = from_env("CCM_PROPTEST_CASES").unwrap_or(CASES);
    let seed: u64 = from_env("CCM_PROPTEST_SEED").unwrap_or_else(|| RandomState::new().hash_one(0));
    println!("{cases} cases of CCM_PROPTEST_SEED={seed}");
    let mut runner = TestRunner::new(ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    });
    let seen = RefCell::new(Seen::new());
    let outcome = runner.run(&case(), |(habits, ops)| {
        let mut world = World::new(habits);
        for op in ops {
            world.apply(op);
        }
        world.heal();
        world.check();
        let mut seen = seen.borrow_mut();
        for (what, times) in world.seen {
            *seen.entry(what).or_default() += times;
        }
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("CCM_PROPTEST_SEED={seed}: {failure}");
    }
    let seen = seen.into_inner();
    println!("seen: {seen:#?}");
    if cases >= CASES {
        let missing: Vec<_> = MUST_BE_SEEN
            .iter()
            .filter(|what| !seen.contains_key(*what))
            .collect();
        assert!(
            missing.is_empty(),
            "CCM_PROPTEST_SEED={seed}: never seen: {missing:?}"
        );
    }
}
