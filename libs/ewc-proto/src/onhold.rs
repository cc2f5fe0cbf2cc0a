//! What a waiting customer is told: AACC hands over comfort groups and on-hold links, and the *client* plays them while no
//! agent is in (PROTOCOL section 4).
//!
//! The reference client plays one message of each group every `delay` seconds, in the order of the list, round and round,
//! all groups side by side. As text messages that costs money and patience, so the tenant's [`Policy`] thins it out.

mod track;

use std::time::{Duration, Instant};

use crate::frame::{ComfortGroup, OnHoldUrls, Private};

use track::Track;

/// What a tenant lets a waiting customer hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    pub mode: Mode,
    /// Messages a chat, all waitings together.
    pub max: u32,
    /// Between any two messages; at most a day. One whose turn comes inside the gap waits for its end; turns missed meanwhile are left out.
    pub min_gap: Duration,
    /// Play on-hold links too.
    pub urls: bool,
}

impl Default for Policy {
    /// One message a waiting, three a chat, no links (ours).
    fn default() -> Self {
        Policy {
            mode: Mode::First,
            max: 3,
            min_gap: Duration::from_secs(120),
            urls: false,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    Off,
    /// One message each time the customer waits, the next of the first group.
    First,
    /// Every group, within the limits.
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Comfort,
    /// `description url`.
    Url,
}

/// A message for the customer, as AACC wrote it (`text::from_agent` makes it readable).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Play {
    pub kind: Kind,
    pub text: Private,
}

/// The player of one chat.
#[derive(Debug)]
pub struct OnHold {
    tracks: Vec<Track>,
    policy: Policy,
    state: State,
    played: u32,
    last: Option<Instant>,
}

#[derive(Debug)]
enum State {
    Silent,
    Waiting {
        /// When each track's next message is due.
        due: Vec<Instant>,
        /// [`Mode::First`] has had its message.
        had_first: bool,
    },
}

impl OnHold {
    /// Silent until [`OnHold::start`].
    pub fn new(groups: &[ComfortGroup], urls: &[OnHoldUrls], policy: Policy) -> Self {
        let policy = Policy {
            min_gap: policy.min_gap.min(track::SLOWEST),
            ..policy
        };
        OnHold {
            tracks: track::lay_out(groups, urls, &policy),
            policy,
            state: State::Silent,
            played: 0,
            last: None,
        }
    }

    /// Goes on where another player of this chat stopped after `played` messages: waiting since `now` if nobody is in.
    /// Its place in each list is where an undisturbed wait would have led to; the gap counts from now.
    pub fn resume(
        played: u32,
        nobody_in: bool,
        groups: &[ComfortGroup],
        urls: &[OnHoldUrls],
        policy: Policy,
        now: Instant,
    ) -> Self {
        let mut player = OnHold::new(groups, urls, policy);
        track::wind(&mut player.tracks, played, player.policy.min_gap);
        player.played = played;
        player.last = (played > 0).then_some(now);
        if nobody_in {
            player.start(now);
            if let State::Waiting { had_first, .. } = &mut player.state {
                // Of this waiting or of one before, nobody knows: rather once too few.
                *had_first = played > 0;
            }
        }
        player
    }

    /// AACC hands the lists over again at each login. The same ones change nothing; of others the place is found anew.
    pub fn reload(&mut self, groups: &[ComfortGroup], urls: &[OnHoldUrls], now: Instant) {
        let mut tracks = track::lay_out(groups, urls, &self.policy);
        if tracks.len() == self.tracks.len() && tracks.iter().zip(&self.tracks).all(|(a, b)| a.same_list(b)) {
            return;
        }
        track::wind(&mut tracks, self.played, self.policy.min_gap);
        self.tracks = tracks;
        if let State::Waiting { due, .. } = &mut self.state {
            *due = self.tracks.iter().map(|t| now + t.every()).collect();
        }
    }

    /// Nobody is in. Without effect while waiting already.
    pub fn start(&mut self, now: Instant) {
        if matches!(self.state, State::Silent) {
            self.state = State::Waiting {
                due: self.tracks.iter().map(|t| now + t.every()).collect(),
                had_first: false,
            };
        }
    }

    /// An agent is in, or the chat is over.
    pub fn stop(&mut self) {
        self.state = State::Silent;
    }

    /// Messages played in this chat, to be stored for [`OnHold::resume`].
    pub fn played(&self) -> u32 {
        self.played
    }

    /// When to call [`OnHold::poll`]; `None`: not before the next [`OnHold::start`].
    pub fn next_timeout(&self) -> Option<Instant> {
        let (_, due) = self.next()?;
        Some(self.gap_ends().map_or(due, |end| due.max(end)))
    }

    /// The message whose turn it is, one at a time; it counts as played.
    pub fn poll(&mut self, now: Instant) -> Option<Play> {
        if self.next_timeout()? > now {
            return None;
        }
        let (index, _) = self.next()?;
        let track = self.tracks.get_mut(index)?;
        let play = track.play();
        let every = track.every();
        if let State::Waiting { due, had_first } = &mut self.state {
            *had_first = true;
            if let Some(due) = due.get_mut(index) {
                *due = track::next_turn(*due, every, now);
            }
        }
        self.played += 1;
        self.last = Some(now);
        Some(play)
    }

    /// The track whose turn is next, and when; the earlier in the list of two at once.
    fn next(&self) -> Option<(usize, Instant)> {
        let State::Waiting { due, had_first } = &self.state else {
            return None;
        };
        let heard_enough = match self.policy.mode {
            Mode::Off => true,
            Mode::First => *had_first,
            Mode::All => false,
        };
        if heard_enough || self.played >= self.policy.max {
            return None;
        }
        due.iter().copied().enumerate().min_by_key(|(_, due)| *due)
    }

    fn gap_ends(&self) -> Option<Instant> {
        Some(self.last? + self.policy.min_gap)
    }
}

#[cfg(test)]
mod tests;
