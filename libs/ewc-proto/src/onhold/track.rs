//! One list of messages that is played at its own pace, round and round.

use std::time::{Duration, Instant};

use super::{Kind, Mode, Play, Policy};
use crate::frame::{ComfortGroup, OnHoldUrls, Private};

/// A pace below this is a slip in the settings.
const FASTEST: Duration = Duration::from_secs(5);
/// No chat waits longer; keeps sums of times in their range.
pub(super) const SLOWEST: Duration = Duration::from_secs(24 * 3600);
/// Rounds are alike: winding further than this leads nowhere new that matters.
const MOST_WOUND: u32 = 10_000;

#[derive(Debug)]
pub(super) struct Track {
    kind: Kind,
    every: Duration,
    /// Never empty.
    lines: Vec<Private>,
    next: usize,
}

impl Track {
    fn new(kind: Kind, every_s: u32, lines: impl Iterator<Item = Private>) -> Option<Self> {
        let lines: Vec<_> = lines.filter(|line| !line.trim().is_empty()).collect();
        (!lines.is_empty()).then_some(Track {
            kind,
            every: Duration::from_secs(every_s.into()).clamp(FASTEST, SLOWEST),
            lines,
            next: 0,
        })
    }

    pub fn every(&self) -> Duration {
        self.every
    }

    pub fn play(&mut self) -> Play {
        let text = self.lines[self.next].clone();
        self.step();
        Play {
            kind: self.kind,
            text,
        }
    }

    /// The same messages at the same pace, wherever each of them stands.
    pub fn same_list(&self, other: &Track) -> bool {
        (self.kind, self.every, &self.lines) == (other.kind, other.every, &other.lines)
    }

    fn step(&mut self) {
        self.next = (self.next + 1) % self.lines.len();
    }
}

/// The tracks that the policy lets through, in their order: comfort groups, then links. `numberOfMessages` is not looked
/// at, it can be larger than the list.
pub(super) fn lay_out(groups: &[ComfortGroup], urls: &[OnHoldUrls], policy: &Policy) -> Vec<Track> {
    let comfort = groups.iter().filter_map(|g| {
        let messages = in_sequence(&g.messages, |m| m.sequence);
        let lines = messages.into_iter().map(|m| m.message.clone());
        Track::new(Kind::Comfort, g.delay_s, lines)
    });
    let links = in_sequence(urls, |u| u.sequence).into_iter().filter_map(|u| {
        let line = |url: &String| match (u.description.trim(), url.trim()) {
            (_, "") => Private::default(),
            ("", url) => url.into(),
            (description, url) => format!("{description} {url}").into(),
        };
        Track::new(Kind::Url, u.hold_time_s, u.urls.iter().map(line))
    });
    let links = links.filter(|_| policy.urls);
    let most = match policy.mode {
        Mode::Off => 0,
        Mode::First => 1,
        Mode::All => usize::MAX,
    };
    comfort.chain(links).take(most).collect()
}

/// By `sequence` where that orders (the later generation), else as they come (7.x).
fn in_sequence<T>(list: &[T], sequence: impl Fn(&T) -> u32) -> Vec<&T> {
    let mut sorted: Vec<&T> = list.iter().collect();
    sorted.sort_by_key(|item| sequence(item));
    let distinct = sorted
        .windows(2)
        .all(|pair| sequence(pair[0]) != sequence(pair[1]));
    if distinct { sorted } else { list.iter().collect() }
}

/// The first turn after `now`: those missed are left out.
pub(super) fn next_turn(due: Instant, every: Duration, now: Instant) -> Instant {
    let late = now.saturating_duration_since(due).as_nanos();
    let missed = late / every.as_nanos();
    let missed = u32::try_from(missed).unwrap_or(u32::MAX);
    match every.checked_mul(missed).and_then(|d| d.checked_add(every)) {
        Some(ahead) => due + ahead,
        None => now + every,
    }
}

/// Puts each track where it stands after `played` messages of one wait, each played the moment its turn came.
pub(super) fn wind(tracks: &mut [Track], played: u32, min_gap: Duration) {
    let mut due: Vec<Duration> = tracks.iter().map(Track::every).collect();
    let mut free_at = Duration::ZERO;
    for _ in 0..played.min(MOST_WOUND) {
        let Some((index, turn)) = due.iter().copied().enumerate().min_by_key(|(_, due)| *due) else {
            return;
        };
        let at = turn.max(free_at);
        let every = tracks[index].every;
        let missed = (at - turn).as_nanos() / every.as_nanos();
        due[index] = turn + every.saturating_mul(u32::try_from(missed).unwrap_or(u32::MAX).saturating_add(1));
        tracks[index].step();
        free_at = at.saturating_add(min_gap);
    }
}
