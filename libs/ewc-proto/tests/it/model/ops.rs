//! What can happen.

use std::time::Duration;

use ccm_ewc_proto::frame::ParticipantType;
use proptest::prelude::*;

use crate::bench::S;

/// How this AACC goes about what PROTOCOL.md leaves open, and what the tenant set.
#[derive(Debug, Clone)]
pub struct Habits {
    /// Each resume brings a new key; the one before is worth nothing.
    pub rekeys: bool,
    /// The guid of a resume comes as text, not as a number.
    pub guid_as_text: bool,
    pub transcript: Transcript,
    /// Says again who is in after a resume.
    pub replays_room: bool,
    /// Answers texts of the socket before, on the new one.
    pub late_answers: Option<LateAnswer>,
    /// Closes a socket with this code when another one resumes its chat.
    pub closes_older: Option<u16>,
    pub observer_opens: bool,
    pub barge_in_opens: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transcript {
    /// What agents said.
    AgentsOnly,
    /// Both sides, as 7.x: without a word of who wrote it but the name.
    Both,
    /// Both sides, as the later generation.
    BothWithSenders,
    /// The newest half of what both sides said.
    Tail,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LateAnswer {
    BeforeTheLogin,
    AfterTheLogin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusing {
    NotStarted,
    NotAccepted,
    Invalid,
}

#[derive(Debug, Clone)]
pub enum Op {
    /// The customer texts.
    Text,
    /// Comes in, or is now of this type.
    Joins(u8, ParticipantType),
    Says,
    Leaves {
        who: u8,
        end: bool,
        reason: Option<&'static str>,
    },
    /// One leaves and another comes.
    Transfer(u8),
    /// The socket dies; the far side got this many of the frames under way.
    Cut {
        code: Option<u16>,
        got: usize,
    },
    /// The link carries nothing any more and does not close.
    BlackHole,
    /// AACC forgets every chat but one that waits on an open socket: there it would have to say so.
    Expire,
    /// AACC refuses the next texts.
    Refuse {
        times: u32,
        how: Refusing,
    },
    /// AACC takes the next texts and says nothing, or error 500.
    TakeSilently {
        times: u32,
        internal_error: bool,
    },
    /// AACC acknowledges the next text twice.
    AnswerTwice,
    /// AACC shuts down: every request gets 503 until it is back.
    Maintenance(bool),
    /// Dials fail.
    Unreachable {
        times: u32,
    },
    /// Frames wait on the way, or go through at once.
    Lag(bool),
    /// An acknowledgement that answers nothing.
    SurplusAck,
    Noise(&'static str),
    Typing,
    AskQueue,
    PushPage,
    Advance(Duration),
    /// The process stands still, or its clock jumps.
    Freeze(Duration),
    /// The timer goes off again and again while the clock stands still.
    Spin,
    /// Another process takes the chat over, as planned.
    HandOver {
        in_flight_too: bool,
    },
    /// Another process takes the chat over from what is stored, while the old session lives on unheard.
    TakeOver,
    /// The old session goes on for this long, if there is one.
    OldSessionActs(Duration),
    /// The old session finds out.
    OldSessionEnds,
    /// The customer leaves; agents say this much more before AACC takes it in. The next text opens a chat.
    CustomerLeaves {
        late_words: u32,
    },
}

const NOISE: [&str; 10] = [
    "{",
    "[1]",
    r#"{"type":"notification","body":{"method":"newCoBrowseSessionKeyMessage"}}"#,
    r#"{"type":"error","body":{"method":"other","code":77}}"#,
    r#"{"type":"notification","body":{"method":"isTyping","isTyping":"true"}}"#,
    r#"{"type":"notification","body":{"method":"routeCancel"}}"#,
    r#"{"type":"notification","body":{"method":"queueStatus","positionInQueue":"3"}}"#,
    r#"{"type":"notification","body":{"method":"newAgentFileTransfer","name":"x","uuid":"u"}}"#,
    r#"{"type":"acknowledgement","body":{"method":"isTyping","result":true}}"#,
    r#"{"type":"newChatAcknowledgement","body":{"guid":1}}"#,
];

fn habits() -> impl Strategy<Value = Habits> {
    let transcript = prop_oneof![
        Just(Transcript::AgentsOnly),
        Just(Transcript::Both),
        Just(Transcript::BothWithSenders),
        Just(Transcript::Tail),
    ];
    let late = prop_oneof![
        2 => Just(None),
        1 => Just(Some(LateAnswer::BeforeTheLogin)),
        1 => Just(Some(LateAnswer::AfterTheLogin)),
    ];
    let sometimes = || prop::bool::weighted(0.25);
    (
        (sometimes(), sometimes(), transcript, sometimes()),
        (late, codes(), sometimes(), prop::bool::weighted(0.75)),
    )
        .prop_map(
            |((rekeys, guid_as_text, transcript, replays_room), rest)| Habits {
                rekeys,
                guid_as_text,
                transcript,
                replays_room,
                late_answers: rest.0,
                closes_older: rest.1,
                observer_opens: rest.2,
                barge_in_opens: rest.3,
            },
        )
}

fn codes() -> impl Strategy<Value = Option<u16>> {
    prop::sample::select(vec![None, Some(1001), Some(1006), Some(1000), Some(1011)])
}

fn kinds() -> impl Strategy<Value = ParticipantType> {
    prop_oneof![
        6 => Just(ParticipantType::Active),
        1 => Just(ParticipantType::Passive),
        1 => Just(ParticipantType::SupervisorObserve),
        1 => Just(ParticipantType::SupervisorBarge),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let secs = |most: u32| (0..most).prop_map(|s| s * S);
    let refusing = prop::sample::select(vec![
        Refusing::NotStarted,
        Refusing::NotAccepted,
        Refusing::Invalid,
    ]);
    let reasons = prop::sample::select(vec![None, Some("requeue"), Some("transfer"), Some("odd")]);
    prop_oneof![
        // Nested: proptest's union takes ten.
        24 => prop_oneof![
            8 => Just(Op::Text),
            5 => (0..3u8, kinds()).prop_map(|(who, kind)| Op::Joins(who, kind)),
            4 => Just(Op::Says),
            1 => (0..3u8, prop::bool::weighted(0.3), reasons)
                .prop_map(|(who, end, reason)| Op::Leaves { who, end, reason }),
            1 => (0..3u8).prop_map(Op::Transfer),
            3 => prop::sample::select(&NOISE[..]).prop_map(Op::Noise),
            1 => Just(Op::CustomerLeaves { late_words: 0 }),
            1 => (1..3u32).prop_map(|late_words| Op::CustomerLeaves { late_words }),
        ],
        14 => prop_oneof![
            4 => (codes(), 0..4usize).prop_map(|(code, got)| Op::Cut { code, got }),
            1 => Just(Op::BlackHole),
            1 => Just(Op::Expire),
            2 => (1..12u32, refusing).prop_map(|(times, how)| Op::Refuse { times, how }),
            1 => (1..3u32, any::<bool>())
                .prop_map(|(times, internal_error)| Op::TakeSilently { times, internal_error }),
            1 => Just(Op::AnswerTwice),
            1 => any::<bool>().prop_map(Op::Maintenance),
            1 => (1..9u32).prop_map(|times| Op::Unreachable { times }),
            3 => any::<bool>().prop_map(Op::Lag),
            1 => Just(Op::SurplusAck),
        ],
        9 => prop_oneof![
            7 => (0..40_000u64).prop_map(|ms| Op::Advance(Duration::from_millis(ms))),
            1 => secs(4_000).prop_map(Op::Freeze),
            1 => (1..72u32).prop_map(|hours| Op::Freeze(3600 * hours * S)),
            1 => Just(Op::Spin),
        ],
        8 => prop_oneof![
            2 => any::<bool>().prop_map(|in_flight_too| Op::HandOver { in_flight_too }),
            2 => Just(Op::TakeOver),
            2 => secs(60).prop_map(Op::OldSessionActs),
            1 => Just(Op::OldSessionEnds),
        ],
        3 => prop_oneof![Just(Op::Typing), Just(Op::AskQueue), Just(Op::PushPage)],
    ]
}

pub fn case() -> impl Strategy<Value = (Habits, Vec<Op>)> {
    (habits(), prop::collection::vec(op(), 1..38))
}
