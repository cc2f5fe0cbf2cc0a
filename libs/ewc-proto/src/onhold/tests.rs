use super::*;
use crate::frame::ComfortMessage;
use proptest::prelude::*;

const S: Duration = Duration::from_secs(1);

const EVERYTHING: Policy = Policy {
    mode: Mode::All,
    max: u32::MAX,
    min_gap: Duration::ZERO,
    urls: true,
};

fn epoch() -> Instant {
    #[allow(clippy::disallowed_methods)]
    Instant::now()
}

fn group(name: &str, delay_s: u32, messages: &[(&str, u32)]) -> ComfortGroup {
    ComfortGroup {
        name: name.into(),
        delay_s,
        number_of_messages: 9,
        messages: messages
            .iter()
            .map(|(message, sequence)| ComfortMessage {
                message: (*message).into(),
                sequence: *sequence,
            })
            .collect(),
    }
}

fn link(description: &str, hold_time_s: u32, sequence: u32, urls: &[&str]) -> OnHoldUrls {
    OnHoldUrls {
        tag: "tag".into(),
        description: description.into(),
        hold_time_s,
        sequence,
        urls: urls.iter().map(|u| u.to_string()).collect(),
    }
}

/// Plays until `until`, as a driver does; gives the texts with their seconds since `start`.
fn play(player: &mut OnHold, start: Instant, until: Duration) -> Vec<(u64, String)> {
    let mut heard = Vec::new();
    while let Some(at) = player.next_timeout().filter(|at| *at <= start + until) {
        let play = player.poll(at).expect("its time has come");
        heard.push(((at - start).as_secs(), play.text.into_string()));
    }
    heard
}

fn heard(list: &[(u64, &str)]) -> Vec<(u64, String)> {
    list.iter().map(|(at, text)| (*at, text.to_string())).collect()
}

#[test]
fn groups_are_played_side_by_side_round_and_round() {
    let start = epoch();
    let groups = [
        group("a", 20, &[("a1", 0), ("a2", 0)]),
        group("b", 30, &[("b1", 0)]),
        group("empty", 10, &[]),
        group("blank", 10, &[(" ", 0)]),
    ];
    let urls = [link(
        "Look:",
        45,
        0,
        &["https://e.example/1", "", "https://e.example/2"],
    )];
    let mut player = OnHold::new(&groups, &urls, EVERYTHING);
    assert_eq!(player.next_timeout(), None, "not started");
    player.start(start);
    assert_eq!(player.poll(start), None);
    assert_eq!(
        play(&mut player, start, 90 * S),
        heard(&[
            (20, "a1"),
            (30, "b1"),
            (40, "a2"),
            (45, "Look: https://e.example/1"),
            (60, "a1"),
            (60, "b1"),
            (80, "a2"),
            (90, "b1"),
            (90, "Look: https://e.example/2"),
        ])
    );
    assert_eq!(player.played(), 9);
}

#[test]
fn sequence_orders_only_where_it_tells_messages_apart() {
    let start = epoch();
    for (sequences, expected) in [
        ([3, 1, 2], ["y", "z", "x"]),
        ([0, 0, 0], ["x", "y", "z"]),
        ([2, 1, 1], ["x", "y", "z"]),
    ] {
        let [x, y, z] = sequences;
        let mut player = OnHold::new(
            &[group("g", 10, &[("x", x), ("y", y), ("z", z)])],
            &[],
            EVERYTHING,
        );
        player.start(start);
        let texts: Vec<_> = play(&mut player, start, 30 * S)
            .into_iter()
            .map(|(_, t)| t)
            .collect();
        assert_eq!(texts, expected, "{sequences:?}");
    }
}

#[test]
fn an_absurd_pace_is_slowed_down_and_never_breaks() {
    let start = epoch();
    let groups = [
        group("fast", 0, &[("f", 0)]),
        group("slow", u32::MAX, &[("s", 0)]),
    ];
    let mut player = OnHold::new(
        &groups,
        &[],
        Policy {
            min_gap: Duration::MAX,
            ..EVERYTHING
        },
    );
    player.start(start);
    assert_eq!(play(&mut player, start, 20 * S), heard(&[(5, "f")]));
    assert_eq!(player.next_timeout(), Some(start + 5 * S + track::SLOWEST));
    let mut player = OnHold::new(&groups, &[], EVERYTHING);
    player.start(start);
    assert_eq!(play(&mut player, start, 12 * S), heard(&[(5, "f"), (10, "f")]));
    OnHold::resume(
        u32::MAX,
        true,
        &groups,
        &[],
        Policy {
            min_gap: Duration::MAX,
            ..EVERYTHING
        },
        start,
    );
}

#[test]
fn the_tenant_decides_how_much() {
    let start = epoch();
    let groups = [
        group("a", 10, &[("a1", 0), ("a2", 0)]),
        group("b", 15, &[("b1", 0)]),
    ];
    let urls = [link("", 10, 0, &["https://e.example"])];
    let play_with = |policy| {
        let mut player = OnHold::new(&groups, &urls, policy);
        player.start(start);
        let first = play(&mut player, start, 40 * S);
        player.stop();
        assert_eq!(player.poll(start + 1000 * S), None, "an agent is in");
        player.start(start + 100 * S);
        (first, play(&mut player, start, 140 * S))
    };
    let off = Policy {
        mode: Mode::Off,
        ..EVERYTHING
    };
    assert_eq!(play_with(off), (vec![], vec![]));
    let first = Policy {
        mode: Mode::First,
        ..EVERYTHING
    };
    assert_eq!(play_with(first), (heard(&[(10, "a1")]), heard(&[(110, "a2")])));
    let none = Policy { max: 0, ..EVERYTHING };
    assert_eq!(play_with(none), (vec![], vec![]));
    let capped = Policy {
        max: 4,
        urls: false,
        ..EVERYTHING
    };
    assert_eq!(
        play_with(capped),
        (heard(&[(10, "a1"), (15, "b1"), (20, "a2"), (30, "a1")]), vec![]),
        "the cap is for the chat"
    );
    let spaced = Policy {
        min_gap: 12 * S,
        urls: false,
        ..EVERYTHING
    };
    assert_eq!(
        play_with(spaced).0,
        heard(&[(10, "a1"), (22, "b1"), (34, "a2")]),
        "what waits for the gap does not pile up"
    );
}

#[test]
fn after_a_pause_of_the_process_one_message_comes_not_all() {
    let start = epoch();
    let mut player = OnHold::new(&[group("a", 10, &[("a1", 0), ("a2", 0)])], &[], EVERYTHING);
    player.start(start);
    let late = start + 3605 * S;
    assert_eq!(player.poll(late).map(|p| p.text.into_string()), Some("a1".into()));
    assert_eq!(player.poll(late), None);
    assert_eq!(player.next_timeout(), Some(start + 3610 * S));
}

#[test]
fn another_pod_goes_on_where_the_first_one_stopped() {
    let start = epoch();
    let groups = [group("a", 10, &[("a1", 0), ("a2", 0), ("a3", 0)])];
    let policy = Policy {
        max: 3,
        min_gap: 15 * S,
        ..EVERYTHING
    };
    let mut player = OnHold::resume(1, true, &groups, &[], policy, start);
    assert_eq!(
        play(&mut player, start, 100 * S),
        heard(&[(15, "a2"), (30, "a3")])
    );
    assert_eq!(player.played(), 3);
    let mut in_chat = OnHold::resume(1, false, &groups, &[], policy, start);
    assert_eq!(in_chat.next_timeout(), None, "an agent is in");
    in_chat.start(start);
    assert!(in_chat.next_timeout().is_some());
    let first = Policy {
        mode: Mode::First,
        ..policy
    };
    assert_eq!(
        OnHold::resume(1, true, &groups, &[], first, start).next_timeout(),
        None,
        "this waiting had its message"
    );
    assert!(
        OnHold::resume(0, true, &groups, &[], first, start)
            .next_timeout()
            .is_some()
    );
}

#[test]
fn the_same_lists_again_change_nothing_and_others_go_on_counting() {
    let start = epoch();
    let groups = [group("a", 10, &[("a1", 0), ("a2", 0)])];
    let mut player = OnHold::new(&groups, &[], Policy { max: 3, ..EVERYTHING });
    player.start(start);
    assert_eq!(play(&mut player, start, 10 * S), heard(&[(10, "a1")]));
    player.reload(&groups, &[], start + 15 * S);
    assert_eq!(player.next_timeout(), Some(start + 20 * S));
    player.reload(&[group("n", 10, &[("n1", 0), ("n2", 0)])], &[], start + 15 * S);
    assert_eq!(
        play(&mut player, start, 100 * S),
        heard(&[(25, "n2"), (35, "n1")])
    );
    player.reload(&[], &[], start + 15 * S);
    assert_eq!(player.next_timeout(), None);
}

#[derive(Debug, Clone)]
enum Step {
    Start,
    Stop,
    Reload,
    TakeOver,
    Wait(u32),
}

/// Texts are `track number`: their order can be checked.
fn lists() -> impl Strategy<Value = (Vec<ComfortGroup>, Vec<OnHoldUrls>)> {
    let list = || prop::collection::vec((prop_oneof![0..90u32, Just(u32::MAX)], 0..4usize), 0..3);
    (list(), list()).prop_map(|(groups, urls)| {
        let groups = groups.iter().enumerate().map(|(i, (delay, len))| {
            let texts: Vec<_> = (0..*len).map(|n| format!("g{i} {n}")).collect();
            let messages: Vec<_> = texts.iter().map(|t| (t.as_str(), 0)).collect();
            group("g", *delay, &messages)
        });
        let urls = urls.iter().enumerate().map(|(i, (hold, len))| {
            let texts: Vec<_> = (0..*len).map(|n| n.to_string()).collect();
            let texts: Vec<_> = texts.iter().map(String::as_str).collect();
            link(&format!("u{i}"), *hold, 0, &texts)
        });
        (groups.collect(), urls.collect())
    })
}

fn policies() -> impl Strategy<Value = Policy> {
    let mode = prop_oneof![1 => Just(Mode::Off), 1 => Just(Mode::First), 4 => Just(Mode::All)];
    (
        mode,
        prop_oneof![0..12u32, Just(u32::MAX)],
        0..200u32,
        any::<bool>(),
    )
        .prop_map(|(mode, max, gap, urls)| Policy {
            mode,
            max,
            min_gap: gap * S,
            urls,
        })
}

/// `track number` of a text, and how many texts its track has.
fn place(text: &str, groups: &[ComfortGroup], urls: &[OnHoldUrls]) -> (String, usize, usize) {
    let (track, number) = text.split_once(' ').expect("two parts");
    let index: usize = track[1..].parse().expect("an index");
    let len = match &track[..1] {
        "g" => groups[index].messages.len(),
        _ => urls[index].urls.len(),
    };
    (track.to_owned(), number.parse().expect("a number"), len)
}

proptest! {
    #[test]
    fn whatever_happens_the_policy_holds(
        (groups, urls) in lists(),
        policy in policies(),
        steps in prop::collection::vec(
            prop_oneof![
                1 => Just(Step::Start),
                1 => Just(Step::Stop),
                1 => Just(Step::Reload),
                1 => Just(Step::TakeOver),
                6 => (0..400u32).prop_map(Step::Wait),
            ],
            0..40,
        ),
    ) {
        let mut now = epoch();
        let mut player = OnHold::new(&groups, &urls, policy);
        let (mut nobody_in, mut played, mut last) = (false, 0u32, None::<Instant>);
        let mut this_waiting = 0u32;
        let mut places = std::collections::HashMap::<String, usize>::new();
        for step in steps {
            match step {
                Step::Start => {
                    if !nobody_in {
                        this_waiting = 0;
                    }
                    nobody_in = true;
                    player.start(now);
                }
                Step::Stop => {
                    nobody_in = false;
                    player.stop();
                }
                Step::Reload => player.reload(&groups, &urls, now),
                Step::TakeOver => {
                    player = OnHold::resume(player.played(), nobody_in, &groups, &urls, policy, now);
                    // Where it goes on is exact only after an undisturbed wait.
                    places.clear();
                }
                Step::Wait(s) => {
                    let until = now + s * S;
                    // A driver can be late: polls come at the times asked for, or only at the end.
                    while let Some(at) = player.next_timeout().filter(|at| *at <= until) {
                        now = if s % 3 == 0 { until } else { now.max(at) };
                        let Some(play) = player.poll(now) else { continue };
                        prop_assert!(nobody_in, "an agent is in");
                        prop_assert!(policy.mode != Mode::Off);
                        prop_assert!(policy.urls || play.kind == Kind::Comfort);
                        prop_assert!(last.is_none_or(|last| now - last >= policy.min_gap), "too close");
                        last = Some(now);
                        played += 1;
                        this_waiting += 1;
                        prop_assert!(policy.mode != Mode::First || this_waiting == 1, "one a waiting");
                        prop_assert_eq!(played, player.played());
                        prop_assert!(played <= policy.max, "more than the cap");
                        let (track, number, len) = place(&play.text, &groups, &urls);
                        if let Some(before) = places.insert(track, number) {
                            prop_assert_eq!(number, (before + 1) % len, "out of order");
                        }
                    }
                    now = until;
                }
            }
        }
    }

    /// A take-over in an undisturbed wait neither repeats nor leaves out anything.
    #[test]
    fn a_take_over_goes_on_in_each_list((groups, urls) in lists(), gap in 0..200u32, played in 0..30usize) {
        let policy = Policy { min_gap: gap * S, ..EVERYTHING };
        let start = epoch();
        let mut player = OnHold::new(&groups, &urls, policy);
        player.start(start);
        for _ in 0..played {
            if let Some(at) = player.next_timeout() {
                player.poll(at);
            }
        }
        let resumed = OnHold::resume(player.played(), true, &groups, &urls, policy, start);
        for (a, b) in player.tracks.iter_mut().zip(resumed.tracks) {
            let mut b = b;
            prop_assert_eq!(a.play(), b.play());
        }
    }

    /// Nobody starves: within a round of gaps each track has had its turn.
    #[test]
    fn each_list_gets_its_turn(gap in 0..300u32, delays in prop::collection::vec(5..60u32, 1..5)) {
        let groups: Vec<_> = delays.iter().enumerate().map(|(i, d)| group("g", *d, &[(&format!("g{i} 0"), 0)])).collect();
        let mut player = OnHold::new(&groups, &[], Policy { min_gap: gap * S, ..EVERYTHING });
        let start = epoch();
        player.start(start);
        let texts = play(&mut player, start, Duration::from_secs(60 + 2 * (u64::from(gap) + 60) * delays.len() as u64));
        for i in 0..delays.len() {
            prop_assert!(texts.iter().any(|(_, t)| *t == format!("g{i} 0")), "g{i} of {texts:?}");
        }
    }
}
